// What it takes that a node does not hold: one of its keywords fails, each in one of a few ways.
#include "guide/schema_expand.h"

typedef struct negation {
    expansion *e;
    const schema_node *n;
    uint32_t node;
    COP_ARRAY(const atom *) ways;
    cop_status status;
} negation;

// ---- lists of atoms; the first failure stays ----

static const atom *with(negation *x, const atom *list, atom_kind kind, uint32_t a, uint32_t b, int32_t lit) {
    atom *it = cop_schema_atom(x->e, list, kind);
    if (!it) {
        if (!x->status) x->status = COP_ERR_LIMIT;
        return list;
    }
    it->a = a;
    it->b = b;
    it->lit = lit;
    it->c = UINT32_MAX;
    return it;
}

static void way(negation *x, const atom *list) {
    if (!x->ways.most) x->ways.most = 100000;
    if (!x->status) x->status = cop_array_push(&x->ways, list);
}

static const atom *of_type(negation *x, const atom *list, uint8_t types) { return with(x, list, A_TYPES, types, 0, 0); }
static const atom *literal(negation *x, const atom *list, uint32_t node, int no) { return with(x, list, A_LIT, 0, 0, LIT(node, no)); }

static uint32_t name_id(negation *x, const char *name, size_t bytes) {
    uint32_t id = 0;
    if (!x->status) x->status = cop_schema_name(x->e->s, name, bytes, &id);
    return id;
}

// ---- by keyword ----

static void negate_types(negation *x, const schema_keyword *k) {
    uint8_t integer, types = cop_schema_types(k, &integer);
    if (integer) way(x, with(x, NULL, A_TYPES, (uint8_t)~types | T_NUMBER, 2, 0));
    else if (types != T_ALL) way(x, of_type(x, NULL, T_ALL & ~types));
}

// One more value that it is not.
static const atom *not_value(negation *x, const atom *list, const json_t *v) {
    schema *s = x->e->s;
    uint32_t node = 0;
    switch (json_typeof(v)) {
    case JSON_NULL: return of_type(x, list, T_ALL & ~T_NULL);
    case JSON_TRUE: return of_type(x, list, T_ALL & ~T_TRUE);
    case JSON_FALSE: return of_type(x, list, T_ALL & ~T_FALSE);
    case JSON_STRING:
        return with(x, list, A_STRING, cop_rx_not(s->regexes, cop_rx_literal(s->regexes, json_string_value(v), json_string_length(v))), 0, 0);
    case JSON_INTEGER:
    case JSON_REAL: {
        schema_dec *d = cop_schema_take(&x->e->mem, sizeof *d);
        if (!x->status) x->status = d ? cop_schema_dec_of(&x->e->mem, d, v) : COP_ERR_LIMIT;
        list = with(x, list, A_NOT_NUMBER, 0, 0, 0);
        if (list) ((atom *)list)->number = d;
        return list;
    }
    default:
        if (!x->status) x->status = cop_schema_const(s, v, &node);
        return literal(x, list, node, 1);
    }
}

static void negate_const(negation *x, const json_t *v) {
    if (!json_is_array(v) && !json_is_object(v)) {
        way(x, not_value(x, NULL, v));
        return;
    }
    bool array = json_is_array(v);
    uint32_t n = (uint32_t)(array ? json_array_size(v) : json_object_size(v)), node = 0;
    uint8_t type = array ? T_ARRAY : T_OBJECT;
    way(x, of_type(x, NULL, T_ALL & ~type));
    if (n) way(x, of_type(x, with(x, NULL, array ? A_MAX_ITEMS : A_MAX_PROPERTIES, n - 1, 0, 0), type));
    way(x, of_type(x, with(x, NULL, array ? A_MIN_ITEMS : A_MIN_PROPERTIES, n + 1, 0, 0), type));
    for (uint32_t i = 0; array && i < n; i++) {
        if (!x->status) x->status = cop_schema_const(x->e->s, json_array_get(v, i), &node);
        way(x, of_type(x, with(x, with(x, NULL, A_RANGE, i, i, LIT(node, 1)), A_MIN_ITEMS, i + 1, 0, 0), T_ARRAY));
    }
    const char *key;
    json_t *child;
    if (!array) json_object_foreach((json_t *)v, key, child) {
        uint32_t id = name_id(x, key, strlen(key));
        if (!x->status) x->status = cop_schema_const(x->e->s, child, &node);
        way(x, of_type(x, with(x, NULL, A_FORBID, id, 0, 0), T_OBJECT));
        way(x, of_type(x, with(x, with(x, NULL, A_PROPERTY, id, 0, LIT(node, 1)), A_REQUIRE, id, 0, 0), T_OBJECT));
    }
}

static void negate_number(negation *x, const schema_keyword *k) {
    if (!json_is_number(k->v)) return;
    schema_dec *d = cop_schema_take(&x->e->mem, sizeof *d);
    if (!x->status) x->status = d ? cop_schema_dec_of(&x->e->mem, d, k->v) : COP_ERR_LIMIT;
    bool low = k->word == W_minimum || k->word == W_exclusiveMinimum;
    bool open = k->word == W_exclusiveMinimum || k->word == W_exclusiveMaximum || cop_schema_open_bound(x->n, k->word);
    const atom *list = with(x, NULL, k->word == W_multipleOf ? A_MULTIPLE : low ? A_HIGH : A_LOW, 0, k->word == W_multipleOf || !open, 0);
    if (!list) return;
    ((atom *)list)->number = d;
    way(x, of_type(x, list, T_NUMBER));
}

static void negate_string(negation *x, const schema_keyword *k) {
    cop_regex_set *r = x->e->s->regexes;
    cop_rx any = cop_rx_any_character(r), rx = k->rx;
    if (k->word == W_minLength) rx = cop_rx_repeat(r, any, k->n, COP_RX_MANY);
    if (k->word == W_maxLength) rx = cop_rx_repeat(r, any, 0, k->n >= UINT32_MAX - 1 ? COP_RX_MANY : k->n);
    if (k->word == W_format && !rx) return;
    way(x, of_type(x, with(x, NULL, A_STRING, cop_rx_not(r, rx), 0, 0), T_STRING));
}

static void negate_members(negation *x, const schema_keyword *k) {
    const char *key;
    json_t *v;
    uint32_t i = 0, id = 0;
    json_object_foreach((json_t *)k->v, key, v) {
        int32_t no = LIT(k->nodes[i], 1);
        if (k->word == W_properties) {
            id = name_id(x, key, strlen(key));
            if (no != (LIT_TRUE | 1)) way(x, of_type(x, with(x, with(x, NULL, A_PROPERTY, id, 0, no), A_REQUIRE, id, 0, 0), T_OBJECT));
        } else {
            if (!x->status) x->status = cop_schema_pattern_cond(x->e->s, k->rxs[i], &id);
            if (no != (LIT_TRUE | 1)) way(x, of_type(x, with(x, NULL, A_EXISTS, id, 0, no), T_OBJECT));
        }
        i++;
    }
}

static void negate_dependencies(negation *x, const schema_keyword *k) {
    const char *key;
    json_t *v;
    uint32_t i = 0;
    json_object_foreach((json_t *)k->v, key, v) {
        uint32_t id = name_id(x, key, strlen(key)), node = k->nodes ? k->nodes[i] : UINT32_MAX;
        i++;
        if (node != UINT32_MAX) {
            way(x, of_type(x, with(x, literal(x, NULL, node, 1), A_REQUIRE, id, 0, 0), T_OBJECT));
            continue;
        }
        for (size_t j = 0; j < json_array_size(v); j++) {
            const json_t *other = json_array_get(v, j);
            const atom *list = with(x, NULL, A_FORBID, name_id(x, json_string_value(other), json_string_length(other)), 0, 0);
            way(x, of_type(x, with(x, list, A_REQUIRE, id, 0, 0), T_OBJECT));
        }
    }
}

static void negate_counts(negation *x, const schema_keyword *k) {
    bool properties = k->word == W_minProperties || k->word == W_maxProperties, min = k->word == W_minProperties || k->word == W_minItems;
    if (min ? k->n == 0 : k->n == UINT32_MAX) return;
    atom_kind kind = properties ? (min ? A_MAX_PROPERTIES : A_MIN_PROPERTIES) : min ? A_MAX_ITEMS : A_MIN_ITEMS;
    way(x, of_type(x, with(x, NULL, kind, min ? k->n - 1 : k->n + 1, 0, 0), properties ? T_OBJECT : T_ARRAY));
}

static void some_item(negation *x, uint32_t from, int32_t lit) {
    if (lit != (LIT_TRUE | 1)) way(x, of_type(x, with(x, NULL, A_CONTAINS, from, 1, lit), T_ARRAY));
}

static void negate_items(negation *x, const schema_keyword *k) {
    for (uint32_t i = 0; i < k->n; i++) {
        const atom *list = with(x, NULL, A_RANGE, i, i, LIT(k->nodes[i], 1));
        way(x, of_type(x, with(x, list, A_MIN_ITEMS, i + 1, 0, 0), T_ARRAY));
    }
}

static void negate_contains(negation *x, const schema_keyword *k) {
    const schema_keyword *min = cop_schema_word(x->n, W_minContains), *max = cop_schema_word(x->n, W_maxContains);
    uint32_t least = min ? min->n : 1;
    for (int more = 0; more < 2; more++) {
        if (more ? !max || max->n == UINT32_MAX : !least) continue;
        const atom *list = with(x, NULL, A_CONTAINS, 0, more ? max->n + 1 : 0, LIT(k->node, 0));
        if (!more && list) ((atom *)list)->c = least - 1;
        way(x, of_type(x, list, T_ARRAY));
    }
}

static void negate_one(negation *x, const schema_keyword *k) {
    const atom *none = NULL;
    for (uint32_t i = k->n; i-- > 0;) none = literal(x, none, k->nodes[i], 1);
    way(x, none);
    for (uint32_t i = 0; i < k->n; i++)
        for (uint32_t j = i + 1; j < k->n; j++) {
            bool apart = false;
            if (!x->status) x->status = cop_schema_apart(x->e->s, LIT(k->nodes[i], 0), LIT(k->nodes[j], 0), &apart);
            if (!apart) way(x, literal(x, literal(x, NULL, k->nodes[j], 0), k->nodes[i], 0));
        }
}

static void negate_if(negation *x, const schema_keyword *k) {
    const schema_keyword *yes = cop_schema_word(x->n, W_then), *no = cop_schema_word(x->n, W_else);
    if (yes) way(x, literal(x, literal(x, NULL, yes->node, 1), k->node, 0));
    if (no) way(x, literal(x, literal(x, NULL, no->node, 1), k->node, 1));
}

static void negate_enum(negation *x, const schema_keyword *k) {
    const atom *list = NULL;
    cop_regex_set *r = x->e->s->regexes;
    uint32_t n = (uint32_t)json_array_size(k->v), strings = 0;
    const char **texts = cop_schema_take(&x->e->mem, (n + 1) * sizeof *texts);
    size_t *bytes = cop_schema_take(&x->e->mem, (n + 1) * sizeof *bytes);
    if (!texts || !bytes) {
        x->status = COP_ERR_LIMIT;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(k->v, i);
        if (json_is_string(v)) texts[strings] = json_string_value(v), bytes[strings++] = json_string_length(v);
        else list = not_value(x, list, v);
    }
    if (strings) list = with(x, list, A_STRING, cop_rx_not(r, cop_rx_one_of(r, texts, bytes, strings)), 0, 0);
    way(x, list);
}

static void negate_word(negation *x, const schema_keyword *k) {
    uint32_t id = 0;
    cop_rx rx = COP_RX_NONE;
    cop_regex_set *r = x->e->s->regexes;
    int32_t self = LIT(x->node, 0);
    switch (k->word) {
    case W_type: negate_types(x, k); break;
    case W_enum: negate_enum(x, k); break;
    case W_const: negate_const(x, k->v); break;
    case W_minimum:
    case W_maximum:
    case W_exclusiveMinimum:
    case W_exclusiveMaximum:
    case W_multipleOf: negate_number(x, k); break;
    case W_minLength:
    case W_maxLength:
    case W_pattern:
    case W_format: negate_string(x, k); break;
    case W_properties:
    case W_patternProperties: negate_members(x, k); break;
    case W_additionalProperties:
        if (!k->node) break;
        if (!x->status) x->status = cop_schema_cond_of(x->e->s, x->n, &id);
        way(x, of_type(x, with(x, NULL, A_EXISTS, id, 0, LIT(k->node, 1)), T_OBJECT));
        break;
    case W_propertyNames:
        if (!x->status) x->status = cop_schema_names_rx(x->e->s, k->node, &rx);
        if (!x->status) x->status = cop_schema_pattern_cond(x->e->s, cop_rx_not(r, rx), &id);
        way(x, of_type(x, with(x, NULL, A_EXISTS, id, 0, LIT_TRUE), T_OBJECT));
        break;
    case W_required:
        for (size_t i = 0; i < json_array_size(k->v); i++) {
            const json_t *v = json_array_get(k->v, i);
            way(x, of_type(x, with(x, NULL, A_FORBID, name_id(x, json_string_value(v), json_string_length(v)), 0, 0), T_OBJECT));
        }
        break;
    case W_minProperties:
    case W_maxProperties:
    case W_minItems:
    case W_maxItems: negate_counts(x, k); break;
    case W_dependencies:
    case W_dependentRequired:
    case W_dependentSchemas: negate_dependencies(x, k); break;
    case W_prefixItems: negate_items(x, k); break;
    case W_items:
        if (json_is_array(k->v)) negate_items(x, k);
        else some_item(x, cop_schema_prefix(x->n), LIT(k->node, 1));
        break;
    case W_additionalItems:
        if (cop_schema_rest(x->n) == k) some_item(x, cop_schema_prefix(x->n), LIT(k->node, 1));
        break;
    case W_uniqueItems:
        if (json_is_true(k->v)) way(x, of_type(x, with(x, NULL, A_UNIQUE, 2, 0, 0), T_ARRAY));
        break;
    case W_contains: negate_contains(x, k); break;
    case W_allOf:
        for (uint32_t i = 0; i < k->n; i++) way(x, literal(x, NULL, k->nodes[i], 1));
        break;
    case W_anyOf: {
        const atom *none = NULL;
        for (uint32_t i = k->n; i-- > 0;) none = literal(x, none, k->nodes[i], 1);
        way(x, none);
        break;
    }
    case W_oneOf: negate_one(x, k); break;
    case W_not:
    case W__ref:
    case W__dynamicRef:
    case W__recursiveRef: way(x, literal(x, NULL, k->node, k->word != W_not)); break;
    case W_if: negate_if(x, k); break;
    case W_unevaluatedProperties: way(x, with(x, NULL, A_REST_PROPERTIES, 0, 0, self)); break;
    case W_unevaluatedItems: way(x, with(x, NULL, A_REST_ITEMS, 0, 0, self)); break;
    default: break;
    }
}

cop_status cop_schema_negate(expansion *e, uint32_t node, const atom **out) {
    const schema_node *n = e->s->nodes.v[node];
    negation x = {.e = e, .n = n, .node = node};
    if (n->kind == NODE_CONST) negate_const(&x, n->j);
    for (uint32_t i = 0; i < n->n_words && !x.status; i++) negate_word(&x, &n->words[i]);
    if (n->kind == NODE_ANY) {
        const atom *none = NULL;
        for (uint32_t i = n->n_any; i-- > 0;) none = with(&x, none, A_LIT, 0, 0, n->any[i] ^ 1);
        way(&x, none);
    }
    const atom **list = cop_schema_take(&e->mem, (x.ways.n + 1) * sizeof *list);
    atom *choice = cop_schema_atom(e, NULL, A_CHOICE);
    if (!x.status && (!list || !choice)) x.status = COP_ERR_LIMIT;
    if (!x.status && x.ways.n == 1) {
        *out = x.ways.v[0];
    } else if (!x.status) {
        if (x.ways.n) memcpy(list, x.ways.v, x.ways.n * sizeof *list);
        choice->choice = list;
        choice->n_choice = (uint32_t)x.ways.n;
        *out = choice;
    }
    cop_array_fini(&x.ways);
    return x.status;
}

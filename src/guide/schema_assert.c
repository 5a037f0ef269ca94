// What it takes that a node holds: its keywords go into the record, its subschemas for the same value become atoms.
#include "guide/schema_expand.h"

typedef struct assertion {
    expansion *e;
    draft_record *r;
    const schema_node *n;
    const scope *sc;
    const atom *first;
    atom *last;
} assertion;

// One more atom at the end of those that are still to be done.
static atom *then_atom(assertion *x, atom_kind kind) {
    atom *a = cop_schema_atom(x->e, NULL, kind);
    if (!a) return NULL;
    a->scope = x->sc;
    if (x->last) x->last->next = a;
    else x->first = a;
    return x->last = a;
}

static cop_status then_literal(assertion *x, int32_t lit) {
    atom *a = then_atom(x, A_LIT);
    if (!a) return COP_ERR_LIMIT;
    a->lit = lit;
    return COP_OK;
}

static cop_status now(assertion *x, atom_kind kind, uint32_t a, uint32_t b, int32_t lit) {
    atom it = {.kind = (uint8_t)kind, .a = a, .b = b, .lit = lit};
    return cop_schema_apply(x->e, x->r, &it);
}

uint8_t cop_schema_types(const schema_keyword *k, uint8_t *integer) {
    static const struct {
        const char *name;
        uint8_t mask;
    } names[] = {{"null", T_NULL}, {"boolean", T_TRUE | T_FALSE}, {"number", T_NUMBER}, {"string", T_STRING}, {"array", T_ARRAY}, {"object", T_OBJECT}};
    uint8_t mask = 0;
    bool whole = false;
    for (size_t i = 0; i < (json_is_array(k->v) ? json_array_size(k->v) : 1); i++) {
        const char *name = json_string_value(json_is_array(k->v) ? json_array_get(k->v, i) : k->v);
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            if (!strcmp(name, names[j].name)) mask |= names[j].mask;
        whole |= !strcmp(name, "integer");
    }
    *integer = whole && !(mask & T_NUMBER);
    return mask | (whole ? T_NUMBER : 0);
}

bool cop_schema_open_bound(const schema_node *n, schema_word w) {
    const schema_keyword *k = cop_schema_word(n, w == W_minimum ? W_exclusiveMinimum : W_exclusiveMaximum);
    return k && json_is_true(k->v);
}

static cop_status assert_number(assertion *x, const schema_keyword *k) {
    if (!json_is_number(k->v)) return COP_OK;  // draft 4's exclusive bounds
    schema_dec *d = cop_schema_take(&x->e->mem, sizeof *d);
    if (!d) return COP_ERR_LIMIT;
    COP_TRY(cop_schema_dec_of(&x->e->mem, d, k->v));
    bool low = k->word == W_minimum || k->word == W_exclusiveMinimum, open = k->word == W_exclusiveMinimum || k->word == W_exclusiveMaximum;
    atom it = {.kind = k->word == W_multipleOf ? A_MULTIPLE : low ? A_LOW : A_HIGH, .number = d};
    it.b = k->word != W_multipleOf && (open || cop_schema_open_bound(x->n, k->word));
    return cop_schema_apply(x->e, x->r, &it);
}

static cop_rx lengths(schema *s, uint32_t min, uint32_t max) {
    return cop_rx_repeat(s->regexes, cop_rx_any_character(s->regexes), min, max >= UINT32_MAX - 1 ? COP_RX_MANY : max);
}

static cop_status assert_string(assertion *x, const schema_keyword *k) {
    if (k->word == W_minLength) return k->n ? now(x, A_STRING, lengths(x->e->s, k->n, COP_RX_MANY), 0, 0) : COP_OK;
    if (k->word == W_maxLength) return now(x, A_STRING, lengths(x->e->s, 0, k->n), 0, 0);
    return k->word == W_format && !k->rx ? COP_OK : now(x, A_STRING, k->rx, 0, 0);
}

// ---- objects ----

cop_status cop_schema_name(schema *s, const char *name, size_t bytes, uint32_t *id) {
    *id = cop_schema_intern(&s->names, name, bytes);
    return *id ? COP_OK : COP_ERR_LIMIT;
}

cop_status cop_schema_pattern_cond(schema *s, cop_rx pattern, uint32_t *cond) {
    schema_cond c;
    memset(&c, 0, sizeof c);
    c.pattern = pattern;
    *cond = cop_schema_intern(&s->conds, &c, sizeof c);
    return *cond ? COP_OK : COP_ERR_LIMIT;
}

cop_status cop_schema_cond_of(schema *s, const schema_node *n, uint32_t *cond) {
    const schema_keyword *p = cop_schema_word(n, W_properties), *q = cop_schema_word(n, W_patternProperties);
    schema_cond c;
    memset(&c, 0, sizeof c);
    c.inverted = true;
    for (uint32_t i = 0; q && i < q->n; i++) c.pattern = cop_rx_or(s->regexes, c.pattern, q->rxs[i]);
    if (p && p->n) {
        const json_t *object = p->v;
        uint32_t list = cop_schema_intern(&s->consts, &object, sizeof object);
        if (!list) return COP_ERR_LIMIT;
        c.names = pool_at(&s->consts, list)->v;
        c.n_names = 1;
    }
    *cond = cop_schema_intern(&s->conds, &c, sizeof c);
    return *cond ? COP_OK : COP_ERR_LIMIT;
}

static cop_status assert_members(assertion *x, const schema_keyword *k) {
    const char *key;
    json_t *v;
    uint32_t i = 0, id;
    json_object_foreach((json_t *)k->v, key, v) {
        if (k->word == W_properties) {
            COP_TRY(cop_schema_name(x->e->s, key, strlen(key), &id));
            COP_TRY(now(x, A_PROPERTY, id, 0, LIT(k->nodes[i], 0)));
        } else {
            COP_TRY(cop_schema_pattern_cond(x->e->s, k->rxs[i], &id));
            COP_TRY(now(x, A_RULE, id, 0, LIT(k->nodes[i], 0)));
        }
        i++;
    }
    return COP_OK;
}

static cop_status require_names(assertion *x, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        uint32_t id;
        const json_t *v = json_array_get(list, i);
        COP_TRY(cop_schema_name(x->e->s, json_string_value(v), json_string_length(v), &id));
        COP_TRY(now(x, A_REQUIRE, id, 0, 0));
    }
    return COP_OK;
}

static cop_status new_choice(assertion *x, uint32_t n, const atom ***lists) {
    *lists = cop_schema_take(&x->e->mem, n * sizeof **lists);
    atom *choice = *lists ? then_atom(x, A_CHOICE) : NULL;
    if (!choice) return COP_ERR_LIMIT;
    choice->choice = *lists;
    choice->n_choice = n;
    return COP_OK;
}

static cop_status add(assertion *x, const atom **list, atom_kind kind, uint32_t a, int32_t lit) {
    atom *it = cop_schema_atom(x->e, *list, kind);
    if (!it) return COP_ERR_LIMIT;
    it->a = a;
    it->lit = lit;
    it->scope = LIT_NO(lit) ? NULL : x->sc;
    *list = it;
    return COP_OK;
}

// A member that, when it is there, asks for names or a schema.
static cop_status assert_dependencies(assertion *x, const schema_keyword *k) {
    const char *key;
    json_t *v;
    uint32_t i = 0;
    json_object_foreach((json_t *)k->v, key, v) {
        uint32_t id, other, node = k->nodes ? k->nodes[i] : UINT32_MAX;
        i++;
        if (node == 0 || (node == UINT32_MAX && !json_array_size(v))) continue;
        const atom **lists;
        COP_TRY(cop_schema_name(x->e->s, key, strlen(key), &id));
        COP_TRY(new_choice(x, 3, &lists));
        COP_TRY(add(x, &lists[0], A_TYPES, T_ALL & ~T_OBJECT, 0));
        COP_TRY(add(x, &lists[1], A_FORBID, id, 0));
        COP_TRY(add(x, &lists[1], A_TYPES, T_OBJECT, 0));
        if (node != UINT32_MAX) COP_TRY(add(x, &lists[2], A_LIT, 0, LIT(node, 0)));
        for (size_t j = 0; node == UINT32_MAX && j < json_array_size(v); j++) {
            const json_t *name = json_array_get(v, j);
            COP_TRY(cop_schema_name(x->e->s, json_string_value(name), json_string_length(name), &other));
            COP_TRY(add(x, &lists[2], A_REQUIRE, other, 0));
        }
        COP_TRY(add(x, &lists[2], A_REQUIRE, id, 0));
        COP_TRY(add(x, &lists[2], A_TYPES, T_OBJECT, 0));
    }
    return COP_OK;
}

cop_status cop_schema_names_rx(schema *s, uint32_t node, cop_rx *out) {
    uint32_t goal;
    int32_t lit = LIT(node, 0);
    COP_TRY(cop_schema_goal(s, &lit, 1, &goal));
    if (goal_at(s, goal)->phase == GOAL_WORKING)
        return cop_fail(COP_ERR_UNSUPPORTED, "schema: %s: propertyNames refers to itself", s->nodes.v[node]->pointer);
    COP_TRY(cop_schema_expand(s, goal));
    *out = goal_at(s, goal)->strings;
    return COP_OK;
}

// ---- arrays ----

const schema_keyword *cop_schema_rest(const schema_node *n) {
    const schema_keyword *items = cop_schema_word(n, W_items);
    return items && json_is_array(items->v) ? cop_schema_word(n, W_additionalItems) : items;
}

uint32_t cop_schema_prefix(const schema_node *n) {
    const schema_keyword *items = cop_schema_word(n, W_items), *prefix = cop_schema_word(n, W_prefixItems);
    return items && json_is_array(items->v) ? items->n : prefix ? prefix->n : 0;
}

static cop_status assert_items(assertion *x, const schema_keyword *k) {
    for (uint32_t i = 0; i < k->n; i++) COP_TRY(now(x, A_RANGE, i, i, LIT(k->nodes[i], 0)));
    return COP_OK;
}

static cop_status assert_contains(assertion *x, const schema_keyword *k) {
    const schema_keyword *min = cop_schema_word(x->n, W_minContains), *max = cop_schema_word(x->n, W_maxContains);
    atom it = {.kind = A_CONTAINS, .lit = LIT(k->node, 0), .b = min ? min->n : 1, .c = max ? max->n : UINT32_MAX};
    return it.b || max ? cop_schema_apply(x->e, x->r, &it) : COP_OK;
}

// ---- subschemas for the same value ----

static cop_status assert_any(assertion *x, const schema_keyword *k) {
    const atom **lists;
    uint32_t n = k->n;
    for (uint32_t i = 0; i < n && !x->sc; i++)
        if (k->nodes[i] == 0) return COP_OK;
    if (n == 1) return then_literal(x, LIT(k->nodes[0], 0));
    COP_TRY(new_choice(x, n, &lists));
    for (uint32_t i = 0; i < n; i++) COP_TRY(add(x, &lists[i], A_LIT, 0, LIT(k->nodes[i], 0)));
    if (!x->sc) return COP_OK;
    // Annotations of all that hold count, so every one is decided.
    for (uint32_t i = 0; i < n; i++) {
        COP_TRY(new_choice(x, 2, &lists));
        COP_TRY(add(x, &lists[0], A_LIT, 0, LIT(k->nodes[i], 0)));
        COP_TRY(add(x, &lists[1], A_LIT, 0, LIT(k->nodes[i], 1)));
    }
    return COP_OK;
}

static cop_status assert_one(assertion *x, const schema_keyword *k) {
    const atom **lists;
    if (k->n == 1) return then_literal(x, LIT(k->nodes[0], 0));
    COP_TRY(new_choice(x, k->n, &lists));
    for (uint32_t i = 0; i < k->n; i++) {
        for (uint32_t j = k->n; j-- > 0;) {
            bool apart = false;
            if (j == i) continue;
            COP_TRY(cop_schema_apart(x->e->s, LIT(k->nodes[i], 0), LIT(k->nodes[j], 0), &apart));
            if (!apart) COP_TRY(add(x, &lists[i], A_LIT, 0, LIT(k->nodes[j], 1)));
        }
        COP_TRY(add(x, &lists[i], A_LIT, 0, LIT(k->nodes[i], 0)));
    }
    return COP_OK;
}

static cop_status assert_if(assertion *x, const schema_keyword *k) {
    const schema_keyword *yes = cop_schema_word(x->n, W_then), *no = cop_schema_word(x->n, W_else);
    const atom **lists;
    if (!yes && !no && !x->sc) return COP_OK;
    COP_TRY(new_choice(x, 2, &lists));
    if (yes) COP_TRY(add(x, &lists[0], A_LIT, 0, LIT(yes->node, 0)));
    COP_TRY(add(x, &lists[0], A_LIT, 0, LIT(k->node, 0)));
    if (no) COP_TRY(add(x, &lists[1], A_LIT, 0, LIT(no->node, 0)));
    return add(x, &lists[1], A_LIT, 0, LIT(k->node, 1));
}

// ---- values ----

static bool is_scalar(const json_t *v) { return !json_is_array(v) && !json_is_object(v); }

// Scalars of a list as one alternative, each array and object as one.
static cop_status assert_values(assertion *x, const json_t *const *values, uint32_t n) {
    const atom **lists;
    uint8_t types = 0;
    uint32_t m = 1, strings = 0;
    const char **texts = cop_schema_take(&x->e->mem, n * sizeof *texts);
    size_t *bytes = cop_schema_take(&x->e->mem, n * sizeof *bytes);
    if (!texts || !bytes) return COP_ERR_LIMIT;
    for (uint32_t i = 0; i < n; i++) m += !is_scalar(values[i]);
    COP_TRY(new_choice(x, m, &lists));
    for (uint32_t i = 0, k = 1; i < n; i++) {
        const json_t *v = values[i];
        if (!is_scalar(v)) {
            uint32_t node;
            COP_TRY(cop_schema_const(x->e->s, v, &node));
            COP_TRY(add(x, &lists[k++], A_LIT, 0, LIT(node, 0)));
            continue;
        }
        types |= json_is_null(v) ? T_NULL : json_is_true(v) ? T_TRUE : json_is_false(v) ? T_FALSE : json_is_string(v) ? T_STRING : T_NUMBER;
        if (json_is_string(v)) texts[strings] = json_string_value(v), bytes[strings++] = json_string_length(v);
    }
    if (strings) COP_TRY(add(x, &lists[0], A_STRING, cop_rx_one_of(x->e->s->regexes, texts, bytes, strings), 0));
    if (types & T_NUMBER) {
        schema_dec *set = cop_schema_take(&x->e->mem, n * sizeof *set);
        atom *only = cop_schema_atom(x->e, lists[0], A_ONLY);
        if (!set || !only) return COP_ERR_LIMIT;
        for (uint32_t i = 0; i < n; i++)
            if (json_is_number(values[i])) COP_TRY(cop_schema_dec_of(&x->e->mem, &set[only->a++], values[i]));
        only->number = set;
        lists[0] = only;
    }
    return add(x, &lists[0], A_TYPES, types, 0);
}

static cop_status assert_enum(assertion *x, const schema_keyword *k) {
    uint32_t n = (uint32_t)json_array_size(k->v);
    const json_t **values = cop_schema_take(&x->e->mem, (n + 1) * sizeof *values);
    if (!values) return COP_ERR_LIMIT;
    for (uint32_t i = 0; i < n; i++) values[i] = json_array_get(k->v, i);
    return assert_values(x, values, n);
}

static cop_status assert_const(assertion *x, const json_t *v) {
    if (is_scalar(v)) return assert_values(x, (const json_t *const[]){v}, 1);
    const char *key;
    json_t *child;
    uint32_t node, id, n = (uint32_t)(json_is_array(v) ? json_array_size(v) : json_object_size(v));
    COP_TRY(now(x, A_TYPES, json_is_array(v) ? T_ARRAY : T_OBJECT, 0, 0));
    COP_TRY(now(x, json_is_array(v) ? A_MIN_ITEMS : A_MIN_PROPERTIES, n, 0, 0));
    COP_TRY(now(x, json_is_array(v) ? A_MAX_ITEMS : A_MAX_PROPERTIES, n, 0, 0));
    for (uint32_t i = 0; i < n && json_is_array(v); i++) {
        COP_TRY(cop_schema_const(x->e->s, json_array_get(v, i), &node));
        COP_TRY(now(x, A_RANGE, i, i, LIT(node, 0)));
    }
    if (json_is_array(v)) return COP_OK;
    json_object_foreach((json_t *)v, key, child) {
        COP_TRY(cop_schema_const(x->e->s, child, &node));
        COP_TRY(cop_schema_name(x->e->s, key, strlen(key), &id));
        COP_TRY(now(x, A_PROPERTY, id, 0, LIT(node, 0)));
        COP_TRY(now(x, A_REQUIRE, id, 0, 0));
    }
    return COP_OK;
}

static cop_status assert_word(assertion *x, const schema_keyword *k) {
    uint32_t id;
    uint8_t integer, types;
    switch (k->word) {
    case W_type: types = cop_schema_types(k, &integer); return now(x, A_TYPES, types, integer, integer && x->n->draft == DRAFT_4);
    case W_enum: return assert_enum(x, k);
    case W_const: return assert_const(x, k->v);
    case W_minimum:
    case W_maximum:
    case W_exclusiveMinimum:
    case W_exclusiveMaximum:
    case W_multipleOf: return assert_number(x, k);
    case W_minLength:
    case W_maxLength:
    case W_pattern:
    case W_format: return assert_string(x, k);
    case W_properties:
    case W_patternProperties: return assert_members(x, k);
    case W_additionalProperties:
        if (!k->node) return COP_OK;
        COP_TRY(cop_schema_cond_of(x->e->s, x->n, &id));
        return now(x, A_RULE, id, 0, LIT(k->node, 0));
    case W_propertyNames: COP_TRY(cop_schema_names_rx(x->e->s, k->node, &id)); return now(x, A_NAMES, id, 0, 0);
    case W_required: return require_names(x, k->v);
    case W_minProperties: return now(x, A_MIN_PROPERTIES, k->n, 0, 0);
    case W_maxProperties: return now(x, A_MAX_PROPERTIES, k->n, 0, 0);
    case W_dependencies:
    case W_dependentRequired:
    case W_dependentSchemas: return assert_dependencies(x, k);
    case W_prefixItems: return assert_items(x, k);
    case W_items:
        if (json_is_array(k->v)) return assert_items(x, k);
        return now(x, A_RANGE, cop_schema_prefix(x->n), UINT32_MAX, LIT(k->node, 0));
    case W_additionalItems: return cop_schema_rest(x->n) == k ? now(x, A_RANGE, cop_schema_prefix(x->n), UINT32_MAX, LIT(k->node, 0)) : COP_OK;
    case W_minItems: return now(x, A_MIN_ITEMS, k->n, 0, 0);
    case W_maxItems: return now(x, A_MAX_ITEMS, k->n, 0, 0);
    case W_uniqueItems: return json_is_true(k->v) ? now(x, A_UNIQUE, 1, 0, 0) : COP_OK;
    case W_contains: return assert_contains(x, k);
    case W_allOf:
        for (uint32_t i = 0; i < k->n; i++) COP_TRY(then_literal(x, LIT(k->nodes[i], 0)));
        return COP_OK;
    case W_anyOf: return assert_any(x, k);
    case W_oneOf: return assert_one(x, k);
    case W_not: return then_literal(x, LIT(k->node, 1));
    case W_if: return assert_if(x, k);
    case W__ref:
    case W__dynamicRef:
    case W__recursiveRef: return then_literal(x, LIT(k->node, 0));
    default: return COP_OK;
    }
}

// What this node's keywords evaluate, for the scopes above.
static cop_status note_evaluated(assertion *x, const scope *sc) {
    const schema_node *n = x->n;
    const schema_keyword *rest = cop_schema_rest(n), *contains = n->draft & (DRAFT_2020 | DRAFT_ANY) ? cop_schema_word(n, W_contains) : NULL;
    evaluated *v = cop_schema_take(&x->e->mem, sizeof *v);
    if (!v) return COP_ERR_LIMIT;
    *v = (evaluated){x->r->evaluated, sc, n, cop_schema_word(n, W_additionalProperties) != NULL, rest != NULL, cop_schema_prefix(n), contains ? LIT(contains->node, 0) : -1};
    x->r->evaluated = v;
    return COP_OK;
}

cop_status cop_schema_assert(expansion *e, draft_record *r, const schema_node *n, const scope *sc, const atom **more) {
    assertion x = {.e = e, .r = r, .n = n, .sc = sc};
    if (n->kind == NODE_CONST) {
        COP_TRY(assert_const(&x, n->j));
    } else if (n->kind == NODE_ANY) {
        const atom **lists;
        COP_TRY(new_choice(&x, n->n_any, &lists));
        for (uint32_t i = 0; i < n->n_any; i++) COP_TRY(add(&x, &lists[i], A_LIT, 0, n->any[i]));
    } else {
        const schema_keyword *p = cop_schema_word(n, W_unevaluatedProperties), *q = cop_schema_word(n, W_unevaluatedItems);
        bool mine = sc && sc->node == n && (sc->no_properties || sc->no_items);  // only its rest is asked for
        if ((p || q) && !mine) {
            scope *inner = cop_schema_take(&e->mem, sizeof *inner);
            cell *c = cop_schema_take(&e->mem, sizeof *c);
            if (!inner || !c) return COP_ERR_LIMIT;
            *inner = (scope){.outer = sc, .node = n, .properties = p != NULL, .items = q != NULL};
            *c = (cell){.next = r->scopes, .scope = inner};
            r->scopes = c;
            x.sc = inner;
        }
        if (x.sc) COP_TRY(note_evaluated(&x, x.sc));
        for (uint32_t i = 0; i < n->n_words && r->types; i++) COP_TRY(assert_word(&x, &n->words[i]));
    }
    *more = x.first;
    return COP_OK;
}

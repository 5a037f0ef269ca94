// The keywords of a node: values checked, patterns and formats as expressions, subschemas and references as nodes.
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "guide/schema_uri.h"

typedef struct check {
    schema *s;
    uint32_t node;
    schema_keyword *k;
    const char *name;
} check;

static const char *at(const check *c) { return c->s->nodes.v[c->node]->pointer; }
static uint8_t draft(const check *c) { return c->s->nodes.v[c->node]->draft; }

#define WRONG(c, ...) cop_schema_problem((c)->s, at(c), (c)->name, __VA_ARGS__)

static cop_status take_nodes(check *c, size_t n, uint32_t **out) {
    *out = cop_schema_take(&c->s->mem, (n + 1) * sizeof **out);
    c->k->nodes = *out;
    c->k->n = (uint32_t)n;
    return *out ? COP_OK : COP_ERR_LIMIT;
}

static cop_status check_list(check *c, const json_t *v) {
    uint32_t *nodes;
    if (!json_is_array(v)) return WRONG(c, "not a list of schemas");
    COP_TRY(take_nodes(c, json_array_size(v), &nodes));
    for (size_t i = 0; i < json_array_size(v); i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        COP_TRY(cop_schema_child(c->s, c->node, json_array_get(v, i), c->name, key, &nodes[i]));
    }
    return COP_OK;
}

static bool is_text_list(const json_t *v) {
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i))) return false;
    return json_is_array(v);
}

static cop_status check_members(check *c, const json_t *v) {
    uint32_t *nodes;
    if (!json_is_object(v)) return WRONG(c, "not an object of schemas");
    COP_TRY(take_nodes(c, json_object_size(v), &nodes));
    const char *key;
    json_t *child;
    uint32_t i = 0;
    json_object_foreach((json_t *)v, key, child) {
        if (c->k->word == W_dependencies && json_is_array(child)) {
            if (!is_text_list(child)) COP_TRY(WRONG(c, "%.60s: not a list of names", key));
            nodes[i++] = UINT32_MAX;
        } else {
            COP_TRY(cop_schema_child(c->s, c->node, child, c->name, key, &nodes[i++]));
        }
    }
    return COP_OK;
}

static cop_status parse_pattern(check *c, const char *pattern, size_t bytes, cop_rx *out) {
    *out = COP_RX_NONE;
    cop_status st = cop_rx_parse(c->s->regexes, pattern, bytes, COP_RX_SEARCH, out);
    if (!st) return COP_OK;
    if (st == COP_ERR_NOMEM) return st;
    cop_error_record why;
    cop_error_get(&why);
    return WRONG(c, "%.150s", why.text);
}

static cop_status check_patterns(check *c, const json_t *v) {
    COP_TRY(check_members(c, v));
    cop_rx *rxs = cop_schema_take(&c->s->mem, (c->k->n + 1) * sizeof *rxs);
    if (!rxs) return COP_ERR_LIMIT;
    c->k->rxs = rxs;
    const char *key;
    json_t *child;
    json_object_foreach((json_t *)v, key, child) COP_TRY(parse_pattern(c, key, strlen(key), rxs++));
    return COP_OK;
}

static cop_status check_format(check *c, const json_t *v) {
    if (!json_is_string(v)) return WRONG(c, "not a text");
    bool known = false;
    if (!c->s->options.annotate_formats) COP_TRY(cop_schema_format(c->s, json_string_value(v), &c->k->rx, &known));
    else return COP_OK;
    char what[120];
    snprintf(what, sizeof what, "%.60s is not known", json_string_value(v));
    return known ? COP_OK : cop_schema_ignored(c->s, c->s->nodes.v[c->node], c->name, what, c->s->options.strict_formats);
}

static cop_status check_type(check *c, const json_t *v) {
    static const char *const names[] = {"null", "boolean", "number", "integer", "string", "array", "object"};
    for (size_t i = 0; i < (json_is_array(v) ? json_array_size(v) : 1); i++) {
        const char *name = json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
        size_t k = 0;
        while (name && k < 7 && strcmp(name, names[k])) k++;
        if (!name || k == 7) return WRONG(c, "%.40s is not a type", name ? name : "this");
    }
    return COP_OK;
}

static cop_status check_count(check *c, const json_t *v) {
    double d = json_number_value(v);
    if (!json_is_number(v) || d < 0 || d != floor(d)) return WRONG(c, "not a count");
    c->k->n = d > 4e9 ? UINT32_MAX : (uint32_t)d;
    return COP_OK;
}

static cop_status check_names(check *c, const json_t *v) {
    if (c->k->word == W_required) return is_text_list(v) ? COP_OK : WRONG(c, "not a list of names");
    const char *key;
    json_t *child;
    if (!json_is_object(v)) return WRONG(c, "not an object of lists of names");
    json_object_foreach((json_t *)v, key, child) if (!is_text_list(child)) return WRONG(c, "%.60s: not a list of names", key);
    return COP_OK;
}

// ---- references ----

// The outermost resource of the dynamic scope that has what is looked for.
static void look_outwards(const check *c, const char *name, schema_target *t) {
    const schema_node *n = c->s->nodes.v[c->node];
    if (!n->scope) return;
    const schema_blob *b = pool_at(&c->s->scopes, n->scope);
    const uint32_t *list = b->v;
    for (uint32_t i = 0; i < b->bytes / 4; i++) {
        const schema_resource *r = &c->s->resources.v[list[i]];
        const schema_anchor *a = name ? cop_schema_anchor(c->s, list[i], name) : NULL;
        while (a && !(a->dynamic && !strcmp(a->name, name))) a = a->next;
        if (name ? a == NULL : !r->recursive) continue;
        *t = (schema_target){name ? a->j : r->root, list[i], name ? a->pointer : r->pointer, a};
        return;
    }
}

static cop_status check_reference(check *c, const json_t *v) {
    const char *reference = json_string_value(v);
    if (!reference) return WRONG(c, "not a text");
    schema_target t;
    cop_status st = cop_schema_resolve(c->s, c->s->nodes.v[c->node], reference, &t);
    if (st == COP_ERR_FORMAT) {
        cop_error_record why;
        cop_error_get(&why);
        return WRONG(c, "%.100s: %.100s", reference, why.text);
    }
    COP_TRY(st);
    if (c->k->word == W__recursiveRef && c->s->resources.v[t.resource].recursive && t.j == c->s->resources.v[t.resource].root) look_outwards(c, NULL, &t);
    if (c->k->word == W__dynamicRef && t.anchor) {
        const schema_anchor *a = t.anchor;
        while (a && !(a->dynamic && !strcmp(a->name, t.anchor->name))) a = a->next;
        if (a) look_outwards(c, t.anchor->name, &t);
    }
    return cop_schema_node_of(c->s, t.j, t.resource, c->s->nodes.v[c->node]->scope, t.pointer, &c->k->node);
}

// ---- all of them ----

static cop_status check_value(check *c, const json_t *v) {
    switch (c->k->word) {
    case W_type: return check_type(c, v);
    case W_enum: return json_is_array(v) ? COP_OK : WRONG(c, "not a list");
    case W_minimum:
    case W_maximum:
    case W_multipleOf:
        if (!json_is_number(v) || (c->k->word == W_multipleOf && json_number_value(v) <= 0)) return WRONG(c, "not a number it can be");
        return COP_OK;
    case W_exclusiveMinimum:
    case W_exclusiveMaximum:
        return json_is_number(v) || (json_is_boolean(v) && draft(c) & (DRAFT_4 | DRAFT_ANY)) ? COP_OK : WRONG(c, "not a number");
    case W_minLength:
    case W_maxLength:
    case W_minItems:
    case W_maxItems:
    case W_minProperties:
    case W_maxProperties:
    case W_minContains:
    case W_maxContains: return check_count(c, v);
    case W_uniqueItems: return json_is_boolean(v) ? COP_OK : WRONG(c, "not a boolean");
    case W_pattern: return json_is_string(v) ? parse_pattern(c, json_string_value(v), json_string_length(v), &c->k->rx) : WRONG(c, "not a text");
    case W_format: return check_format(c, v);
    case W_required:
    case W_dependentRequired: return check_names(c, v);
    case W_properties:
    case W_dependencies:
    case W_dependentSchemas: return check_members(c, v);
    case W_patternProperties: return json_is_object(v) ? check_patterns(c, v) : WRONG(c, "not an object of schemas");
    case W_allOf:
    case W_anyOf:
    case W_oneOf:
    case W_prefixItems: return check_list(c, v);
    case W_items:
        if (json_is_array(v) && draft(c) != DRAFT_2020) return check_list(c, v);
        return cop_schema_child(c->s, c->node, v, c->name, NULL, &c->k->node);
    case W_additionalProperties:
    case W_propertyNames:
    case W_additionalItems:
    case W_contains:
    case W_not:
    case W_if:
    case W_then:
    case W_else:
    case W_unevaluatedProperties:
    case W_unevaluatedItems: return cop_schema_child(c->s, c->node, v, c->name, NULL, &c->k->node);
    case W__ref:
    case W__dynamicRef:
    case W__recursiveRef: return check_reference(c, v);
    default: return COP_OK;
    }
}

static cop_status check_node(schema *s, uint32_t node) {
    const json_t *j = s->nodes.v[node]->j;
    uint8_t d = s->nodes.v[node]->draft;
    bool alone = d <= DRAFT_7 && json_object_get(j, "$ref");
    schema_keyword *list = cop_schema_take(&s->mem, json_object_size(j) * sizeof *list);
    if (!list) return COP_ERR_LIMIT;
    uint32_t n = 0;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)j, key, v) {
        schema_word w = cop_schema_find_word(key, d);
        if (alone && w != W__ref) continue;
        if (w == W_NONE) {
            COP_TRY(cop_schema_ignored(s, s->nodes.v[node], key, "not a keyword", s->options.strict_keywords));
            continue;
        }
        if (w >= W__id) continue;  // identifiers and annotations
        list[n] = (schema_keyword){.word = (uint8_t)w, .v = v};
        check c = {s, node, &list[n], key};
        COP_TRY(check_value(&c, v));
        n++;
    }
    s->nodes.v[node]->words = list;
    s->nodes.v[node]->n_words = n;
    return COP_OK;
}

static cop_status parse_text(schema *s, const char *text, size_t bytes) {
    while (bytes && strchr(" \t\r\n", *text)) text++, bytes--;
    while (bytes && strchr(" \t\r\n", text[bytes - 1])) bytes--;
    if (bytes == 4 && !memcmp(text, "true", 4)) return s->root = json_true(), COP_OK;
    if (bytes == 5 && !memcmp(text, "false", 5)) return s->root = json_false(), COP_OK;
    cop_json_limits limits = {SCHEMA_MOST_BYTES, SCHEMA_MOST_VALUES, SCHEMA_MOST_DEPTH};
    cop_status st = cop_json_parse_wide(&s->root, text, bytes, &limits);
    if (st) cop_fail_note("schema");
    return st;
}

cop_status cop_schema_read(schema *s, const char *text, size_t bytes) {
    COP_TRY(parse_text(s, text, bytes));
    s->nodes.most = SCHEMA_MOST_NODES;
    s->values.most = SCHEMA_MOST_VALUES;
    uint32_t key = UINT32_MAX;
    for (int i = 0; i < 2; i++, key--) {
        schema_node *n = cop_schema_take(&s->mem, sizeof *n);
        if (!n || !cop_schema_intern(&s->node_keys, &key, sizeof key)) return COP_ERR_LIMIT;
        *n = (schema_node){.kind = i ? NODE_FALSE : NODE_TRUE, .pointer = ""};
        COP_TRY(cop_array_push(&s->nodes, n));
    }
    COP_TRY(cop_schema_index(s, s->root, ""));
    uint32_t root;
    COP_TRY(cop_schema_node_of(s, s->root, 0, 0, "", &root));
    for (uint32_t i = 2; i < s->nodes.n; i++) COP_TRY(check_node(s, i));
    if (s->n_problems) return cop_fail(COP_ERR_UNSUPPORTED, "%.*s", (int)s->problems_bytes, s->problems);
    int32_t lit = LIT(root, 0);
    return cop_schema_goal(s, &lit, 1, &s->root_goal);
}

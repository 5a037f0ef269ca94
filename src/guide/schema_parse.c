// A schema's text becomes nodes: one for each subschema that is reached from the root, with its keywords looked up, their
// values checked and references resolved. Nothing is decided here but what is wrong, and of that everything.
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "guide/schema_uri.h"

static const struct {
    const char *name;
    uint8_t drafts;
    char kind;
} words[] = {
#define SCHEMA_WORD(name, drafts, kind) {#name, drafts, kind},
#include "guide/schema_words_body.h"
#undef SCHEMA_WORD
};

schema_word cop_schema_find_word(const char *name, uint8_t draft) {
    for (int w = 0; w < W_NONE; w++) {
        const char *n = words[w].name;
        if ((*n == '_' ? *name == '$' : *name == *n) && !strcmp(n + 1, name + 1)) return words[w].drafts & draft ? w : W_NONE;
    }
    return W_NONE;
}

const schema_keyword *cop_schema_word(const schema_node *n, schema_word w) {
    for (uint32_t i = 0; i < n->n_words; i++)
        if (n->words[i].word == w) return &n->words[i];
    return NULL;
}

// ---- problems ----

cop_status cop_schema_problem(schema *s, const char *pointer, const char *keyword, const char *fmt, ...) {
    char why[200], line[400];
    va_list list;
    va_start(list, fmt);
    vsnprintf(why, sizeof why, fmt, list);
    va_end(list);
    int n = snprintf(line, sizeof line, "%s%s%s%s%s: %s", s->n_problems ? "; " : "schema: ", *pointer ? pointer : "/", keyword ? ": keyword " : "",
                     keyword ? keyword : "", "", why);
    if (n < 0) return COP_OK;
    if (n >= (int)sizeof line) n = (int)sizeof line - 1;
    for (int i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20) line[i] = '?';
    s->n_problems++;
    if (s->problems_bytes + (size_t)n > 8192) return COP_OK;
    char *grown = cop_realloc(s->problems, s->problems_bytes, s->problems_bytes + (size_t)n + 1);
    if (!grown) return cop_fail(COP_ERR_NOMEM, "schema: cannot allocate");
    memcpy(grown + s->problems_bytes, line, (size_t)n);
    s->problems = grown;
    s->problems_bytes += (size_t)n;
    return COP_OK;
}

cop_status cop_schema_ignored(schema *s, const schema_node *n, const char *keyword, const char *what, bool strict) {
    if (strict) return cop_schema_problem(s, n->pointer, keyword, "%s", what);
    char line[400];
    snprintf(line, sizeof line, "schema: %s: keyword %s: %s, ignored", *n->pointer ? n->pointer : "/", keyword, what);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20) *c = '?';
    if (s->warn) s->warn(s->user, line);
    return COP_OK;
}

// ---- documents ----

static uint8_t draft_of(const json_t *j, uint8_t fallback) {
    static const struct {
        const char *part;
        uint8_t draft;
    } known[] = {{"draft-04", DRAFT_4}, {"draft-06", DRAFT_6}, {"draft-07", DRAFT_7}, {"2019-09/schema", DRAFT_2019}, {"2020-12/schema", DRAFT_2020},
                 {"draft-03", DRAFT_ANY}};
    const char *uri = json_string_value(json_object_get(j, "$schema"));
    for (size_t i = 0; uri && i < sizeof known / sizeof *known; i++)
        if (strstr(uri, "json-schema.org") && strstr(uri, known[i].part)) return known[i].draft;
    return fallback;
}

static const char *id_of(const json_t *j, uint8_t draft) {
    if (draft <= DRAFT_7 && json_object_get(j, "$ref")) return NULL;
    const char *id = draft == DRAFT_4 ? NULL : json_string_value(json_object_get(j, "$id"));
    return id || !(draft & (DRAFT_4 | DRAFT_ANY)) ? id : json_string_value(json_object_get(j, "id"));
}

static cop_status add_anchor(schema *s, uint32_t resource, const json_t *j, const char *name, const char *pointer, bool dynamic) {
    schema_anchor *a = cop_schema_take(&s->mem, sizeof *a);
    if (!a) return COP_ERR_LIMIT;
    *a = (schema_anchor){s->resources.v[resource].anchors, name, pointer, j, dynamic};
    s->resources.v[resource].anchors = a;
    return COP_OK;
}

static cop_status index_schema(schema *s, const json_t *j, uint32_t resource, const char *pointer, int depth);

static cop_status index_children(schema *s, const json_t *v, char kind, uint32_t resource, const char *pointer, int depth) {
    if (kind == 'S' || (kind == 'B' && json_is_object(v))) return index_schema(s, v, resource, pointer, depth);
    if (kind == 'L' || kind == 'B') {
        for (size_t i = 0; i < json_array_size(v); i++) {
            char at[24];
            snprintf(at, sizeof at, "%zu", i);
            COP_TRY(index_schema(s, json_array_get(v, i), resource, cop_schema_pointer(s, pointer, at), depth));
        }
    } else if (kind == 'M') {
        const char *key;
        json_t *child;
        json_object_foreach((json_t *)v, key, child) COP_TRY(index_schema(s, child, resource, cop_schema_pointer(s, pointer, key), depth));
    }
    return COP_OK;
}

static cop_status open_resource(schema *s, const json_t *j, const char *id, const char *pointer, uint32_t *resource) {
    uint8_t draft = draft_of(j, s->resources.v[*resource].draft);
    size_t n = strcspn(id, "#");
    if (!n) return draft <= DRAFT_7 || draft == DRAFT_ANY ? add_anchor(s, *resource, j, id[0] ? id + 1 : id, pointer, false) : COP_OK;
    char *head = cop_schema_take(&s->mem, n + 1);
    if (!head) return COP_ERR_LIMIT;
    memcpy(head, id, n);
    const char *uri;
    COP_TRY(cop_schema_join(s, s->resources.v[*resource].uri, head, &uri));
    if (cop_schema_resource_at(s, j) != UINT32_MAX) {  // the root of a document
        s->resources.v[*resource].uri = uri;
        s->resources.v[*resource].draft = draft;
        return COP_OK;
    }
    COP_TRY(cop_array_push(&s->resources, ((schema_resource){uri, j, pointer, draft, false, NULL})));
    *resource = (uint32_t)s->resources.n - 1;
    return COP_OK;
}

static cop_status index_schema(schema *s, const json_t *j, uint32_t resource, const char *pointer, int depth) {
    if (!json_is_object(j) || depth > SCHEMA_MOST_DEPTH) return COP_OK;
    const char *id = id_of(j, s->resources.v[resource].draft);
    if (id) COP_TRY(open_resource(s, j, id, pointer, &resource));
    uint8_t draft = s->resources.v[resource].draft;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)j, key, v) {
        bool defs = !strcmp(key, "$defs") || !strcmp(key, "definitions");
        schema_word w = defs ? W_NONE : cop_schema_find_word(key, draft);
        const char *name = json_string_value(v);
        if (name && w == W__anchor) COP_TRY(add_anchor(s, resource, j, name, pointer, false));
        if (name && w == W__dynamicAnchor) COP_TRY(add_anchor(s, resource, j, name, pointer, true));
        if (w == W__dynamicRef || w == W__recursiveRef) s->has_dynamic = true;
        if (w == W__recursiveAnchor && json_is_true(v) && s->resources.v[resource].root == j) s->resources.v[resource].recursive = true;
        if (defs || w != W_NONE)
            COP_TRY(index_children(s, v, defs ? 'M' : words[w].kind, resource, cop_schema_pointer(s, pointer, key), depth + 1));
    }
    return COP_OK;
}

cop_status cop_schema_index(schema *s, const json_t *document, const char *uri) {
    char *copy = cop_schema_take(&s->mem, strlen(uri) + 1);
    if (!copy) return COP_ERR_LIMIT;
    memcpy(copy, uri, strlen(uri));
    uint8_t draft = draft_of(document, s->resources.n ? s->resources.v[0].draft : DRAFT_ANY);
    if (!s->resources.most) s->resources.most = 20000;
    COP_TRY(cop_array_push(&s->resources, ((schema_resource){copy, document, "", draft, false, NULL})));
    return index_schema(s, document, (uint32_t)s->resources.n - 1, "", 0);
}

// ---- nodes ----

static cop_status add_node(schema *s, schema_pool *keys, const void *key, size_t bytes, const schema_node *node, uint32_t *out) {
    uint32_t before = (uint32_t)keys->blobs.n, id = cop_schema_intern(keys, key, bytes);
    if (!id) return COP_ERR_LIMIT;
    *out = id - 1;
    if (id <= before) return COP_OK;
    if (id > SCHEMA_MOST_NODES) return cop_fail(COP_ERR_LIMIT, "schema: more than %u subschemas", SCHEMA_MOST_NODES);
    schema_node *copy = cop_schema_take(&s->mem, sizeof *copy);
    if (!copy) return COP_ERR_LIMIT;
    *copy = *node;
    return cop_array_push(&s->nodes, copy);
}

// The scope that is entered with a resource: the list of resources in the order of their first entry.
static cop_status enter_scope(schema *s, uint32_t scope, uint32_t resource, uint32_t *out) {
    *out = scope;
    if (!s->has_dynamic) return COP_OK;
    uint32_t list[64], n = 0;
    if (scope) {
        const schema_blob *b = pool_at(&s->scopes, scope);
        n = b->bytes / 4;
        memcpy(list, b->v, b->bytes);
    }
    for (uint32_t i = 0; i < n; i++)
        if (list[i] == resource) return COP_OK;
    if (n == 64) return cop_fail(COP_ERR_LIMIT, "schema: more than 64 resources in one dynamic scope");
    list[n++] = resource;
    *out = cop_schema_intern(&s->scopes, list, n * 4);
    return *out ? COP_OK : COP_ERR_LIMIT;
}

cop_status cop_schema_node_of(schema *s, const json_t *j, uint32_t resource, uint32_t scope, const char *pointer, uint32_t *out) {
    if (json_is_true(j) || (json_is_object(j) && !json_object_size(j))) return *out = 0, COP_OK;
    if (json_is_false(j)) return *out = 1, COP_OK;
    if (!json_is_object(j)) {
        *out = 0;
        return cop_schema_problem(s, pointer, NULL, "not a schema");
    }
    COP_TRY(enter_scope(s, scope, resource, &scope));
    struct {
        const json_t *j;
        uint32_t resource, scope;
    } key = {j, resource, scope};
    schema_node node = {.kind = NODE_JSON, .j = j, .resource = resource, .scope = scope, .pointer = pointer, .draft = s->resources.v[resource].draft};
    return add_node(s, &s->node_keys, &key, sizeof key, &node, out);
}

cop_status cop_schema_any_of(schema *s, const int32_t *lits, uint32_t n, uint32_t *node) {
    int32_t *key = cop_schema_take(&s->mem, (n + 1) * sizeof *key);
    if (!key) return COP_ERR_LIMIT;
    key[0] = -1;
    memcpy(key + 1, lits, n * sizeof *lits);
    schema_node made = {.kind = NODE_ANY, .any = key + 1, .n_any = n, .pointer = ""};
    return add_node(s, &s->node_keys, key, (n + 1) * sizeof *key, &made, node);
}

cop_status cop_schema_const(schema *s, const json_t *v, uint32_t *node) {
    size_t n = json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    schema_node made = {.kind = NODE_CONST, .j = v, .pointer = ""};
    uint32_t before = (uint32_t)s->nodes.n;
    char *key = cop_schema_take(&s->mem, n + 8);
    if (!key) return COP_ERR_LIMIT;
    memcpy(key, "const:\xff", 7);
    json_dumpb(v, key + 7, n, JSON_COMPACT | JSON_ENCODE_ANY);
    COP_TRY(add_node(s, &s->node_keys, key, n + 7, &made, node));
    if (s->nodes.n == before) return COP_OK;
    COP_TRY(cop_array_push(&s->values, (json_t *)v));
    json_incref((json_t *)v);
    return COP_OK;
}

cop_status cop_schema_child(schema *s, uint32_t parent, const json_t *j, const char *key, const char *key2, uint32_t *out) {
    const schema_node *p = s->nodes.v[parent];
    if (json_is_boolean(j)) return *out = json_is_false(j), COP_OK;
    const char *pointer = cop_schema_pointer(s, p->pointer, key);
    if (key2) pointer = cop_schema_pointer(s, pointer, key2);
    uint32_t r = json_is_object(j) ? cop_schema_resource_at(s, j) : UINT32_MAX;
    return cop_schema_node_of(s, j, r == UINT32_MAX ? p->resource : r, p->scope, pointer, out);
}

// guide/schema, exhaustively: for every state behind every text of a tiny alphabet, which token may come is what brute force
// says, and the mask by lexeme is the mask by bytes. The judge is a validator of its own over all short texts.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "guide/language.h"
#include "guide/vocab_trie.h"

// ---- a validator that knows a few keywords, written as plainly as possible ----

static bool valid(const json_t *schema, const json_t *v);

static bool is_type(const char *type, const json_t *v) {
    if (!strcmp(type, "integer")) return json_is_integer(v);
    if (!strcmp(type, "number")) return json_is_number(v);
    return !strcmp(type, json_is_object(v) ? "object" : json_is_array(v) ? "array" : json_is_string(v) ? "string" : json_is_null(v) ? "null"
                                                     : json_is_boolean(v) ? "boolean" : "number");
}

static int count_holding(const json_t *list, const json_t *v) {
    int n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) n += valid(json_array_get(list, i), v);
    return n;
}

static bool valid_object(const json_t *schema, const json_t *v) {
    const json_t *properties = json_object_get(schema, "properties"), *rest = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required"), *max = json_object_get(schema, "maxProperties"), *min = json_object_get(schema, "minProperties");
    const char *key;
    json_t *child;
    for (size_t i = 0; i < json_array_size(required); i++)
        if (!json_object_get(v, json_string_value(json_array_get(required, i)))) return false;
    if (max && (json_int_t)json_object_size(v) > json_integer_value(max)) return false;
    if (min && (json_int_t)json_object_size(v) < json_integer_value(min)) return false;
    json_object_foreach((json_t *)v, key, child) {
        const json_t *own = json_object_get(properties, key);
        if (own ? !valid(own, child) : rest && !valid(rest, child)) return false;
    }
    return true;
}

static bool valid_array(const json_t *schema, const json_t *v) {
    const json_t *items = json_object_get(schema, "items"), *contains = json_object_get(schema, "contains");
    const json_t *max = json_object_get(schema, "maxItems"), *min = json_object_get(schema, "minItems");
    int n = 0;
    if (max && (json_int_t)json_array_size(v) > json_integer_value(max)) return false;
    if (min && (json_int_t)json_array_size(v) < json_integer_value(min)) return false;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        if (items && !valid(items, item)) return false;
        n += contains && valid(contains, item);
        for (size_t j = 0; j < i && json_is_true(json_object_get(schema, "uniqueItems")); j++)
            if (json_equal(item, json_array_get(v, j))) return false;
    }
    return !contains || n;
}

static bool valid(const json_t *schema, const json_t *v) {
    const char *key;
    json_t *k;
    if (json_is_boolean(schema)) return json_is_true(schema);
    json_object_foreach((json_t *)schema, key, k) {
        bool ok = true;
        double d = json_number_value(v);
        if (!strcmp(key, "type")) ok = is_type(json_string_value(k), v);
        if (!strcmp(key, "const")) ok = json_equal(k, v);
        if (!strcmp(key, "enum")) {
            ok = false;
            for (size_t i = 0; i < json_array_size(k); i++) ok |= json_equal(json_array_get(k, i), v);
        }
        if (!strcmp(key, "minimum")) ok = !json_is_number(v) || d >= json_number_value(k);
        if (!strcmp(key, "maximum")) ok = !json_is_number(v) || d <= json_number_value(k);
        if (!strcmp(key, "multipleOf")) ok = !json_is_number(v) || json_integer_value(v) % json_integer_value(k) == 0;
        if (!strcmp(key, "maxLength")) ok = !json_is_string(v) || (json_int_t)json_string_length(v) <= json_integer_value(k);
        if (!strcmp(key, "minLength")) ok = !json_is_string(v) || (json_int_t)json_string_length(v) >= json_integer_value(k);
        if (!strcmp(key, "anyOf")) ok = count_holding(k, v) > 0;
        if (!strcmp(key, "allOf")) ok = count_holding(k, v) == (int)json_array_size(k);
        if (!strcmp(key, "oneOf")) ok = count_holding(k, v) == 1;
        if (!strcmp(key, "not")) ok = !valid(k, v);
        if (!strcmp(key, "if")) {
            const json_t *next = json_object_get(schema, valid(k, v) ? "then" : "else");
            ok = !next || valid(next, v);
        }
        if (!ok) return false;
    }
    if (json_is_object(v)) return valid_object(schema, v);
    return !json_is_array(v) || valid_array(schema, v);
}

// ---- all texts of an alphabet up to a length that are instances; a text is alive when one begins with it ----

#define MOST_TEXTS 400000
typedef struct brute {
    const json_t *schema;
    const char *alphabet;
    size_t longest, n;
    char (*texts)[16];
} brute;

// Can c follow in JSON? Cuts short what no instance begins with.
static bool may_follow(const char *text, size_t n, char c) {
    bool quoted = false;
    int open = 0;
    for (size_t i = 0; i < n; i++) {
        quoted ^= text[i] == '"';
        if (!quoted) open += (text[i] == '{' || text[i] == '[') - (text[i] == '}' || text[i] == ']');
    }
    if (!n) return !strchr(",:]}", c);
    if (quoted) return true;
    if (!open) return !strchr("\"{[", text[0]);
    switch (text[n - 1]) {
    case '{': return c == '"' || c == '}';
    case '[': return !strchr(",:}", c);
    case ',':
    case ':': return !strchr(",:]}", c);
    case '}':
    case ']': return strchr(",]}", c) != NULL;
    case '"': return strchr(",:]}", c) != NULL;
    default: return !strchr("\"{[:", c);
    }
}

static void collect(brute *b, char *text, size_t n) {
    text[n] = 0;
    json_t *v = n ? json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : NULL;
    bool canonical = v && !strstr(text, "-0");
    if (canonical && valid(b->schema, v)) {
        assert_true(b->n < MOST_TEXTS);
        memcpy(b->texts[b->n++], text, n + 1);
    }
    json_decref(v);
    if (n == b->longest) return;
    for (const char *c = b->alphabet; *c; c++) {
        if (!may_follow(text, n, *c)) continue;
        text[n] = *c;
        collect(b, text, n + 1);
        text[n] = 0;
    }
}

static bool begins_one(const brute *b, const char *text, size_t n) {
    for (size_t i = 0; i < b->n; i++)
        if (!memcmp(b->texts[i], text, n)) return true;
    return false;
}

// ---- a vocabulary of a few tokens ----

static const char *const pieces[] = {"{", "}", "[", "]", ",", ":", "\"", "a", "b", "1", "2", "0", "-", "\"a\"", "\":", "{\"", "1,", "],", "\":1", "}]", "12",
                                     "a\"", "\"}", "null", "[[", "\"b", "1]", "\",\"", "nul", "l"};
#define N_PIECES ((int32_t)(sizeof pieces / sizeof *pieces))
static const char *piece(const void *user, int32_t token, size_t *bytes) {
    (void)user;
    *bytes = strlen(pieces[token]);
    return pieces[token];
}
static bool is_end(const void *user, int32_t token) { return (void)user, (void)token, false; }
static int32_t find(const void *user, const char *text, size_t bytes) { return (void)user, (void)text, (void)bytes, -1; }
static int encode(const void *user, const char *text, size_t bytes, int32_t *tokens, int max) {
    return (void)user, (void)text, (void)bytes, (void)tokens, (void)max, -1;
}

typedef struct checked {
    const char *name;
    brute b;
    cop_language *l;
    cop_vocab_trie *v;
    long states;
} checked;

// Every text that is alive and short: a token is allowed when some instance begins so. Only where instances of the
// length that was collected can tell: the nearest end must lie within it.
static void check_state(checked *x, cop_guide_state s, char *text, size_t n) {
    uint64_t bits = 0, walked = 0;
    x->states++;
    x->l->type->mask(x->l, s, x->v, &bits);
    cop_vocab_trie_walk(x->v, x->l, s, &walked);
    if (bits != walked) fail_msg("behind %.*s: mask %llx, by bytes %llx", (int)n, text, (unsigned long long)bits, (unsigned long long)walked);
    for (int32_t t = 0; t < N_PIECES; t++) {
        size_t m = strlen(pieces[t]);
        if (n + m > x->b.longest || n + m >= 16) continue;
        memcpy(text + n, pieces[t], m);
        bool alive = begins_one(&x->b, text, n + m), allowed = bits >> t & 1;
        if (alive && !allowed) fail_msg("%.*s is the beginning of an instance", (int)(n + m), text);
        if (!allowed || alive || strspn(pieces[t], x->b.alphabet) < m) continue;
        cop_guide_state next = s;
        for (size_t i = 0; i < m; i++) next = x->l->type->step(x->l, next, (unsigned char)pieces[t][i]);
        if ((size_t)x->l->type->distance(x->l, next) + n + m <= x->b.longest) fail_msg("%s: %.*s is no beginning of an instance", x->name, (int)(n + m), text);
    }
    bool whole = false;
    for (size_t i = 0; i < x->b.n; i++) whole |= strlen(x->b.texts[i]) == n && !memcmp(x->b.texts[i], text, n);
    if (whole != x->l->type->accepting(x->l, s)) fail_msg("%.*s should %send", (int)n, text, whole ? "" : "not ");
}

static void visit(checked *x, cop_guide_state s, char *text, size_t n) {
    check_state(x, s, text, n);
    if (n + 2 > x->b.longest) return;
    for (const char *c = x->b.alphabet; *c; c++) {
        cop_guide_state next = x->l->type->step(x->l, s, (unsigned char)*c);
        text[n] = *c;
        if (next) visit(x, next, text, n + 1);
    }
}

static void check(const char *schema, const char *alphabet, size_t longest) {
    cop_vocab_trie_source source = {.V = N_PIECES, .piece = piece, .is_end = is_end, .find = find, .encode = encode};
    cop_schema_options o = cop_schema_defaults();
    o.whitespace = 0;
    o.any_order = true;
    checked x = {.name = schema, .b = {json_loads(schema, JSON_DECODE_ANY, NULL), alphabet, longest, 0, malloc(MOST_TEXTS * 16)}};
    char text[32] = "";
    assert_non_null(x.b.schema);
    assert_non_null(x.b.texts);
    collect(&x.b, text, 0);
    assert_int_equal(cop_vocab_trie_new(&x.v, &source), COP_OK);
    if (cop_language_json_schema(&x.l, schema, strlen(schema), &o, NULL, NULL)) fail_msg("%s: %s", schema, cop_error_text());
    visit(&x, x.l->type->start(x.l), text, 0);
    assert_true(x.states > 3);
    x.l->type->close(x.l);
    cop_vocab_trie_free(x.v);
    free(x.b.texts);
    json_decref((json_t *)x.b.schema);
}

static void arrays_are_what_brute_force_says(void **state) {
    (void)state;
    check("{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":12},\"minItems\":1,\"maxItems\":2}", "[],120", 7);
    check("{\"type\":\"array\",\"items\":{\"enum\":[1,2,12]},\"uniqueItems\":true,\"minItems\":2}", "[],12", 8);
    check("{\"type\":\"array\",\"contains\":{\"const\":2},\"items\":{\"type\":\"integer\"},\"maxItems\":2}", "[],12", 7);
    check("{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"array\",\"maxItems\":1},{\"const\":1}]},\"maxItems\":2}", "[],1", 8);
    check("{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"multipleOf\":3,\"minimum\":-12,\"maximum\":21}}", "[],-0123", 6);
}

static void objects_are_what_brute_force_says(void **state) {
    (void)state;
    check("{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2}},\"required\":[\"a\"],\"additionalProperties\":false}", "{}\":,ab12", 7);
    check("{\"type\":\"object\",\"additionalProperties\":{\"const\":1},\"maxProperties\":1,\"minProperties\":1}", "{}\":,a1", 8);
    check("{\"type\":\"object\",\"properties\":{\"a\":false},\"additionalProperties\":{\"const\":1}}", "{}\":,a1", 8);
    check("{\"type\":\"object\",\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":1}},"
          "\"additionalProperties\":false}", "{}\":ab1", 7);
    check("{\"type\":\"object\",\"not\":{\"required\":[\"a\"]},\"minProperties\":1,\"additionalProperties\":{\"const\":1}}", "{}\":ab1", 7);
}

static void scalars_are_what_brute_force_says(void **state) {
    (void)state;
    check("{\"enum\":[\"a\",\"ab\",\"b\",1,12,null]}", "\"ab12nul", 6);
    check("{\"type\":\"string\",\"minLength\":1,\"maxLength\":2,\"not\":{\"const\":\"ab\"}}", "\"ab", 6);
    check("{\"type\":\"integer\",\"if\":{\"minimum\":10},\"then\":{\"multipleOf\":4},\"else\":{\"minimum\":-2}}", "-012", 4);
    check("{\"type\":\"integer\",\"oneOf\":[{\"minimum\":10},{\"maximum\":12}]}", "-012", 4);
    check("{\"allOf\":[{\"type\":\"integer\"},{\"not\":{\"enum\":[1,2,12]}}],\"minimum\":-2}", "-012", 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_what_brute_force_says),
        cmocka_unit_test(arrays_are_what_brute_force_says),
        cmocka_unit_test(objects_are_what_brute_force_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

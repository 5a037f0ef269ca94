// guide/schema: small schemas by hand, states that live, walks at random, forgetting.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/noise.h"
#include "guide/language.h"

static cop_language *open_schema(const char *text, const cop_schema_options *o) {
    cop_language *l;
    if (cop_language_json_schema(&l, text, strlen(text), o, NULL, NULL)) fail_msg("%s: %s", text, cop_error_text());
    return l;
}

static cop_guide_state read(cop_language *l, cop_guide_state s, const char *text) {
    for (; *text && s; text++) s = l->type->step(l, s, (unsigned char)*text);
    return s;
}

static bool accepts(cop_language *l, const char *text) {
    cop_guide_state s = read(l, l->type->start(l), text);
    return s && l->type->accepting(l, s);
}

static void expect(const char *schema, const cop_schema_options *o, const char *const *yes, const char *const *no) {
    cop_language *l = open_schema(schema, o);
    for (; *yes; yes++)
        if (!accepts(l, *yes)) fail_msg("%s should take %s", schema, *yes);
    for (; *no; no++)
        if (accepts(l, *no)) fail_msg("%s should not take %s", schema, *no);
    l->type->close(l);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void members_come_in_the_order_of_the_schema(void **state) {
    (void)state;
    const char *schema = "{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"null\"},\"a\":{\"type\":\"null\"}},\"required\":[\"z\",\"a\"],"
                         "\"additionalProperties\":{\"type\":\"null\"}}";
    cop_schema_options any = cop_schema_defaults();
    any.any_order = true;
    expect(schema, NULL, TEXTS("{\"b\":null,\"a\":null,\"z\":null}", "{\"a\":null,\"z\":null,\"q\":null}"),
           TEXTS("{\"a\":null,\"b\":null,\"z\":null}", "{\"b\":null,\"z\":null}", "{\"q\":null,\"a\":null,\"z\":null}"));
    expect(schema, &any, TEXTS("{\"a\":null,\"b\":null,\"z\":null}", "{\"q\":null,\"a\":null,\"z\":null}"),
           TEXTS("{\"a\":null,\"a\":null,\"z\":null}", "{\"q\":null,\"q\":null,\"a\":null,\"z\":null}", "{\"a\":null}"));
}

static void white_space_is_bounded(void **state) {
    (void)state;
    cop_schema_options none = cop_schema_defaults();
    none.whitespace = 0;
    const char *schema = "{\"type\":\"array\",\"items\":{\"const\":1}}";
    expect(schema, NULL, TEXTS("[1, 1]", "[\n  1,\n  1\n]", "[1,\n       1]"), TEXTS("[1,  1]", "[1,\n        1]", " [1]", "[1] ", "[1 ,1]", "[\n\n1]"));
    expect(schema, &none, TEXTS("[1,1]"), TEXTS("[1, 1]", "[\n1]"));
}

static void numbers_are_plain(void **state) {
    (void)state;
    expect("{\"type\":\"integer\",\"minimum\":-3,\"exclusiveMaximum\":12}", NULL, TEXTS("-3", "0", "11", "9"),
           TEXTS("-4", "12", "-0", "1.0", "01", "1e1", "100"));
    expect("{\"type\":\"number\",\"minimum\":0.25,\"maximum\":1.5}", NULL, TEXTS("0.25", "1", "1.5", "1.50", "0.9"), TEXTS("0.2", "1.51", "2", "0", "-1"));
    expect("{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":50}", NULL, TEXTS("56", "63", "7000"), TEXTS("49", "51", "7"));
    expect("{\"type\":\"number\",\"multipleOf\":0.05,\"maximum\":-0.1}", NULL, TEXTS("-0.1", "-0.15", "-3"), TEXTS("-0.12", "0", "-0.05"));
}

static void what_cannot_be_met_is_not_begun(void **state) {
    (void)state;
    cop_language *l = open_schema("{\"properties\":{\"a\":{\"type\":\"string\",\"enum\":[1]},\"ab\":{\"type\":\"null\"}},\"additionalProperties\":false,"
                                  "\"type\":\"object\",\"oneOf\":[{\"required\":[\"ab\"]},{\"maxProperties\":5}]}", NULL);
    assert_int_equal(read(l, l->type->start(l), "{\"a\""), COP_GUIDE_DEAD);
    assert_int_equal(read(l, l->type->start(l), "{\""), COP_GUIDE_DEAD);  // ab would make both hold
    assert_true(accepts(l, "{}"));
    l->type->close(l);
    assert_int_equal(cop_language_json_schema(&l, "{\"allOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}", 46, NULL, NULL, NULL), COP_ERR_UNSUPPORTED);
    assert_non_null(strstr(cop_error_text(), "no value is an instance"));
}

static void all_problems_are_named_with_their_place(void **state) {
    (void)state;
    cop_language *l;
    const char *schema = "{\"properties\":{\"a\":{\"type\":\"strin\"},\"b/c\":{\"pattern\":\"(\"},\"d\":{\"$ref\":\"#/nowhere\"}}}";
    assert_int_equal(cop_language_json_schema(&l, schema, strlen(schema), NULL, NULL, NULL), COP_ERR_UNSUPPORTED);
    assert_non_null(strstr(cop_error_text(), "/properties/a: keyword type"));
    assert_non_null(strstr(cop_error_text(), "/properties/b~1c: keyword pattern"));
    assert_non_null(strstr(cop_error_text(), "/properties/d: keyword $ref"));
}

static int n_warnings;
static void count_warning(void *user, const char *line) {
    if (strstr(line, user)) n_warnings++;
}

static void what_is_not_known_warns_or_is_refused(void **state) {
    (void)state;
    const char *schema = "{\"frobnicate\":1,\"format\":\"fancy\"}";
    cop_schema_options o = cop_schema_defaults();
    cop_language *l;
    n_warnings = 0;
    assert_int_equal(cop_language_json_schema(&l, schema, strlen(schema), &o, count_warning, "ignored"), COP_OK);
    assert_int_equal(n_warnings, 2);
    l->type->close(l);
    o.strict_keywords = true;
    assert_int_equal(cop_language_json_schema(&l, schema, strlen(schema), &o, NULL, NULL), COP_ERR_UNSUPPORTED);
    o = (cop_schema_options){.strict_formats = true};
    assert_int_equal(cop_language_json_schema(&l, schema, strlen(schema), &o, NULL, NULL), COP_ERR_UNSUPPORTED);
}

// ---- walks ----

static const char *const walked[] = {
    "true",
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":5},\"n\":{\"type\":\"integer\",\"minimum\":10,\"maximum\":3000}},"
    "\"required\":[\"n\"]}",
    "{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"ab\",3,{\"k\":[1]}]},\"uniqueItems\":true,\"minItems\":2,\"maxItems\":4}",
    "{\"type\":\"array\",\"contains\":{\"type\":\"integer\"},\"minContains\":2,\"maxContains\":3,\"maxItems\":5,\"items\":{\"type\":[\"integer\",\"null\"]}}",
    "{\"type\":\"object\",\"properties\":{\"k\":true},\"minProperties\":2,\"additionalProperties\":{\"maxLength\":3}}",
    "{\"type\":\"object\",\"minProperties\":3,\"maxProperties\":4,\"propertyNames\":{\"pattern\":\"^[a-c]{1,2}$\"},\"additionalProperties\":{\"type\":"
    "\"boolean\"}}",
    "{\"type\":\"object\",\"patternProperties\":{\"^x\":{\"type\":\"integer\"}},\"additionalProperties\":{\"type\":\"null\"},\"not\":{\"maxProperties\":1}}",
    "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},{\"type\":\"object\",\"properties\":{\"b\":{\"type\":"
    "\"integer\"}},\"required\":[\"b\"]}],\"properties\":{\"a\":true,\"b\":true},\"additionalProperties\":{\"type\":\"null\"}}",
    "{\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"number\",\"multipleOf\":0.25},\"l\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":"
    "\"#/$defs/t\"}]}},\"required\":[\"v\",\"l\"],\"additionalProperties\":false}},\"$ref\":\"#/$defs/t\"}",
    "{\"type\":\"object\",\"properties\":{\"kind\":{\"enum\":[\"x\",\"y\"]},\"w\":{\"type\":\"integer\"}},\"required\":[\"kind\"],\"if\":{\"properties\":{\"kind\":"
    "{\"const\":\"x\"}}},\"then\":{\"required\":[\"w\"]},\"else\":{\"properties\":{\"w\":false}},\"additionalProperties\":false}",
    "{\"type\":\"object\",\"allOf\":[{\"properties\":{\"a\":{\"type\":\"string\",\"format\":\"date\"}}}],\"properties\":{\"b\":{\"type\":\"integer\"}},"
    "\"unevaluatedProperties\":false,\"dependentRequired\":{\"a\":[\"b\"]},\"minProperties\":1}",
    "{\"type\":\"string\",\"pattern\":\"^(\\\\d{3}-)?[a-f]+$\",\"minLength\":6,\"maxLength\":9}",
};

// Some way to the end: symbols that make the distance smaller. Returns false when there is none.
static bool close_text(cop_language *l, cop_guide_state s, char *text, size_t *n, size_t room) {
    for (int32_t d = l->type->distance(l, s); d > 0;) {
        int found = -1;
        for (int b = 0; b < 256 && found < 0; b++) {
            cop_guide_state next = l->type->step(l, s, b);
            if (next && l->type->distance(l, next) < d) found = b, d = l->type->distance(l, next), s = next;
        }
        if (found < 0 || *n + 1 >= room) return false;
        text[(*n)++] = (char)found;
    }
    return l->type->accepting(l, s);
}

static void check_instance(const char *schema, const char *text, size_t n) {
    json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (!v && !strstr(text, "\\u0000")) fail_msg("%s: not JSON: %.*s", schema, (int)n, text);
    json_decref(v);
    cop_schema_options o = cop_schema_defaults();
    o.checker = true;
    cop_language *l = open_schema(schema, &o);
    if (!accepts(l, text)) fail_msg("%s: not an instance: %.*s", schema, (int)n, text);
    l->type->close(l);
}

static void every_walk_can_be_ended(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof walked / sizeof *walked; k++)
        for (uint64_t seed = 0; seed < 60; seed++) {
            char text[4096];
            size_t n = 0, length = cop_noise_bits(seed, (cop_purpose)0, 0, 1) % 60;
            cop_language *l = open_schema(walked[k], NULL);
            cop_guide_state s = l->type->start(l);
            for (size_t i = 0; i < length && s; i++) {
                int from = (int)(cop_noise_bits(seed, (cop_purpose)0, i + 1, 2) % 128), b = 0;
                cop_guide_state next = COP_GUIDE_DEAD;
                for (int j = 0; j < 128 && !next; j++) next = l->type->step(l, s, b = (from + j) % 128);
                if (!next) break;
                s = next;
                text[n++] = (char)b;
            }
            text[n] = 0;
            if (!close_text(l, s, text, &n, sizeof text)) fail_msg("%s: no end behind %.*s", walked[k], (int)n, text);
            text[n] = 0;
            l->type->close(l);
            check_instance(walked[k], text, n);
        }
}

static void forgetting_changes_nothing(void **state) {
    (void)state;
    cop_language *l = open_schema("{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"object\"}}", NULL);
    cop_guide_state s = read(l, l->type->start(l), "[{\"k\":[1]},{\"name");
    for (int i = 0; i < 40000; i++) s = read(l, s, (const char[]){(char)('a' + i % 26), 0});
    assert_true(l->type->memory(l) > (size_t)2 << 20);
    s = l->type->keep(l, s);
    assert_true(s && l->type->memory(l) < (size_t)6 << 20);
    s = read(l, s, "\":1},{\"k\":[1.0]");
    assert_int_not_equal(s, COP_GUIDE_DEAD);
    assert_int_equal(read(l, s, "}"), COP_GUIDE_DEAD);  // the same as the first
    s = read(l, s, ",\"z\":0}]");
    assert_true(s && l->type->accepting(l, s));
    l->type->close(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_in_the_order_of_the_schema),
        cmocka_unit_test(white_space_is_bounded),
        cmocka_unit_test(numbers_are_plain),
        cmocka_unit_test(what_cannot_be_met_is_not_begun),
        cmocka_unit_test(all_problems_are_named_with_their_place),
        cmocka_unit_test(what_is_not_known_warns_or_is_refused),
        cmocka_unit_test(every_walk_can_be_ended),
        cmocka_unit_test(forgetting_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// base/json: typed members of objects from outside.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/json.h"

static json_t *parse(const char *text) {
    static const cop_json_limits limits = {1000, 100, 5};
    json_t *v;
    if (cop_json_parse(&v, text, strlen(text), &limits)) fail_msg("%s: %s", text, cop_error_text());
    return v;
}

static void integers_are_whole_and_in_range(void **state) {
    (void)state;
    json_t *v = parse("{\"a\":7,\"b\":7.0,\"c\":7.5,\"d\":1e300,\"e\":true,\"f\":\"7\",\"g\":null,\"h\":-1}");
    int64_t n;
    assert_int_equal(cop_json_int(v, "a", 0, 1, 9, &n), COP_OK);
    assert_int_equal(n, 7);
    assert_int_equal(cop_json_int(v, "b", 0, 1, 9, &n), COP_OK);
    assert_int_equal(n, 7);
    assert_int_equal(cop_json_int(v, "a", 0, 1, 6, &n), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "a: 7, need 1 to 6");
    assert_int_equal(cop_json_int(v, "c", 0, 1, 9, &n), COP_ERR_FORMAT);
    assert_int_equal(cop_json_int(v, "d", 0, 1, 9, &n), COP_ERR_FORMAT);
    assert_int_equal(cop_json_int(v, "e", 0, 0, 9, &n), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "e: true, need an integer");
    assert_int_equal(cop_json_int(v, "f", 0, 1, 9, &n), COP_ERR_FORMAT);
    assert_int_equal(cop_json_int(v, "h", 0, 0, 9, &n), COP_ERR_FORMAT);
    assert_int_equal(cop_json_int(v, "g", -5, 1, 9, &n), COP_OK);  // a fallback need not be in range
    assert_int_equal(n, -5);
    assert_int_equal(cop_json_int(v, "missing", 3, 1, 9, &n), COP_OK);
    assert_int_equal(n, 3);
    assert_int_equal(cop_json_int(NULL, "a", 4, 1, 9, &n), COP_OK);
    assert_int_equal(n, 4);
    json_decref(v);
}

static void members_of_another_kind_are_refused_by_name(void **state) {
    (void)state;
    json_t *v = parse("{\"n\":0.5,\"i\":2,\"t\":\"text\",\"b\":false,\"o\":{},\"z\":null}");
    double d;
    bool b;
    const char *t;
    assert_int_equal(cop_json_number(v, "n", 1, &d), COP_OK);
    assert_true(d == 0.5);
    assert_int_equal(cop_json_number(v, "i", 1, &d), COP_OK);
    assert_true(d == 2);
    assert_int_equal(cop_json_number(v, "t", 1, &d), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "t: a text, need a number");
    assert_int_equal(cop_json_bool(v, "b", true, &b), COP_OK);
    assert_false(b);
    assert_int_equal(cop_json_bool(v, "i", true, &b), COP_ERR_FORMAT);
    assert_int_equal(cop_json_bool(v, "z", true, &b), COP_OK);
    assert_true(b);
    assert_int_equal(cop_json_text(v, "t", "", &t), COP_OK);
    assert_string_equal(t, "text");
    assert_int_equal(cop_json_text(v, "o", "", &t), COP_ERR_FORMAT);
    assert_int_equal(cop_json_text(v, "z", NULL, &t), COP_OK);
    assert_null(t);
    assert_null(cop_json_member(v, "z"));
    assert_non_null(cop_json_member(v, "o"));
    json_decref(v);
}

static void a_message_is_one_printable_line(void **state) {
    (void)state;
    static const char *const wrong[] = {"{\"a\":\n\xff}", "{\"a\":'\x01'}", "{\"a\"\n:\n\"\\u0000\"}", "", "7", "{\"a\":1,\"a\":2}", "{\"a\":1}}"};
    static const cop_json_limits limits = {1000, 100, 5};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *v;
        assert_int_equal(cop_json_parse(&v, wrong[i], strlen(wrong[i]), &limits), COP_ERR_FORMAT);
        assert_null(v);
        for (const char *p = cop_error_text(); *p; p++) assert_true(*p >= 0x20 && *p < 0x7f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_whole_and_in_range),
        cmocka_unit_test(members_of_another_kind_are_refused_by_name),
        cmocka_unit_test(a_message_is_one_printable_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// Tests: what may stand behind "is", and the names that select and its kin take.
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_private.h"
#include "text/utf8.h"

#define TEST(name, expression)                                                               \
    static cop_status name(jrun *r, jvalue v, const jvalue *args, bool *out) {               \
        (void)r, (void)args;                                                                 \
        *out = (expression);                                                                 \
        return COP_OK;                                                                       \
    }
#define COMPARISON(name, op)                                                                 \
    static cop_status name(jrun *r, jvalue v, const jvalue *args, bool *out) { return cop_jinja_compare(r, op, v, args[0], out); }

TEST(defined, v.kind != J_UNDEFINED)
TEST(undefined, v.kind == J_UNDEFINED)
TEST(none, v.kind == J_NONE)
TEST(boolean, v.kind == J_BOOL)
TEST(is_true, v.kind == J_BOOL && v.b)
TEST(is_false, v.kind == J_BOOL && !v.b)
TEST(integer, v.kind == J_INT)
TEST(is_float, v.kind == J_FLOAT)
TEST(number, v.kind == J_INT || v.kind == J_FLOAT || v.kind == J_BOOL)
TEST(string, v.kind == J_TEXT)
TEST(mapping, v.kind == J_DICT)
TEST(iterable, cop_jinja_iterable(v))
TEST(sequence, v.kind == J_TEXT || v.kind == J_LIST || v.kind == J_TUPLE || v.kind == J_DICT || v.kind == J_RANGE || v.kind == J_UNDEFINED)
TEST(callable, v.kind == J_METHOD || v.kind == J_FUNCTION || v.kind == J_MACRO || v.kind == J_LOOP || v.kind == J_JOINER || v.kind == J_UNDEFINED)
TEST(escaped, v.kind == J_TEXT && v.markup)
COMPARISON(equal, OP_EQ)
COMPARISON(unequal, OP_NE)
COMPARISON(less, OP_LT)
COMPARISON(at_most, OP_LE)
COMPARISON(greater, OP_GT)
COMPARISON(at_least, OP_GE)
COMPARISON(in, OP_IN)

static cop_status same_as(jrun *r, jvalue v, const jvalue *args, bool *out) {
    *out = v.kind == args[0].kind;
    if (!*out || v.kind == J_NONE) return COP_OK;
    if (v.kind == J_BOOL || v.kind == J_INT || v.kind == J_FLOAT || v.kind == J_TEXT) return cop_jinja_equal(r, v, args[0], out);
    *out = v.list == args[0].list;
    return COP_OK;
}

static cop_status remainder_is(jrun *r, jvalue v, jvalue by, int64_t wanted, bool *out) {
    jvalue rest;
    COP_TRY(cop_jinja_binary(r, OP_MOD, v, by, &rest));
    return cop_jinja_equal(r, rest, cop_jinja_int(wanted), out);
}

static cop_status odd(jrun *r, jvalue v, const jvalue *args, bool *out) {
    (void)args;
    return remainder_is(r, v, cop_jinja_int(2), 1, out);
}

static cop_status even(jrun *r, jvalue v, const jvalue *args, bool *out) {
    (void)args;
    return remainder_is(r, v, cop_jinja_int(2), 0, out);
}

static cop_status divisible(jrun *r, jvalue v, const jvalue *args, bool *out) { return remainder_is(r, v, args[0], 0, out); }

static cop_status has_case(jrun *r, jvalue v, const char *how, bool *out) {
    const jmethod *method;
    static const jbinding nothing;
    jvalue yes;
    jtext name = {.v = how, .n = strlen(how)};
    COP_TRY(cop_jinja_str(r, v, &v));
    method = cop_jinja_find_text_method(&name);
    COP_TRY(method->call(r, v, &nothing, &yes));
    *out = yes.b;
    return COP_OK;
}

static cop_status lower(jrun *r, jvalue v, const jvalue *args, bool *out) {
    (void)args;
    return has_case(r, v, "islower", out);
}

static cop_status upper(jrun *r, jvalue v, const jvalue *args, bool *out) {
    (void)args;
    return has_case(r, v, "isupper", out);
}

static cop_status filter(jrun *r, jvalue v, const jvalue *args, bool *out) {
    (void)r, (void)args;
    *out = v.kind == J_TEXT && cop_jinja_find_filter(v.text->v, v.text->n);
    return COP_OK;
}

static cop_status test(jrun *r, jvalue v, const jvalue *args, bool *out) {
    (void)r, (void)args;
    *out = v.kind == J_TEXT && cop_jinja_find_test(v.text->v, v.text->n);
    return COP_OK;
}

static const jtest tests[] = {
    {"defined", 0, defined}, {"undefined", 0, undefined}, {"none", 0, none}, {"boolean", 0, boolean}, {"true", 0, is_true},
    {"false", 0, is_false}, {"integer", 0, integer}, {"float", 0, is_float}, {"number", 0, number}, {"string", 0, string},
    {"mapping", 0, mapping}, {"iterable", 0, iterable}, {"sequence", 0, sequence}, {"callable", 0, callable}, {"escaped", 0, escaped},
    {"sameas", 1, same_as}, {"odd", 0, odd}, {"even", 0, even}, {"divisibleby", 1, divisible}, {"lower", 0, lower}, {"upper", 0, upper},
    {"filter", 0, filter}, {"test", 0, test}, {"in", 1, in},
    {"eq", 1, equal}, {"==", 1, equal}, {"equalto", 1, equal}, {"ne", 1, unequal}, {"!=", 1, unequal},
    {"lt", 1, less}, {"<", 1, less}, {"lessthan", 1, less}, {"le", 1, at_most}, {"<=", 1, at_most},
    {"gt", 1, greater}, {">", 1, greater}, {"greaterthan", 1, greater}, {"ge", 1, at_least}, {">=", 1, at_least},
};

const jtest *cop_jinja_find_test(const char *name, size_t bytes) {
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (strlen(tests[i].name) == bytes && !memcmp(tests[i].name, name, bytes)) return &tests[i];
    return NULL;
}

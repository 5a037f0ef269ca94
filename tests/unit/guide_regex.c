#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../support/guiding.h"
#include "base/alloc.h"
#include "guide/regex.h"
#include "text/pattern.h"

static bool matches(const char *pattern, cop_rx_how how, const char *text, size_t bytes) {
    cop_regex_set *set;
    cop_rx e;
    assert_int_equal(cop_regex_set_new(&set, 0), 0);
    if (cop_rx_parse(set, pattern, strlen(pattern), how, &e)) fail_msg("%s: %s", pattern, cop_error_text());
    cop_dfa *dfa;
    if (cop_dfa_new(&dfa, set, e)) fail_msg("%s: %s", pattern, cop_error_text());
    cop_dfa_state s = cop_dfa_start(dfa);
    for (size_t i = 0; i < bytes && s; i++) s = cop_dfa_step(dfa, s, (uint8_t)text[i]);
    bool yes = s && cop_dfa_accepting(dfa, s);
    assert_int_equal(yes, cop_rx_matches(set, e, text, bytes));
    cop_dfa_free(dfa);
    cop_regex_set_free(set);
    return yes;
}

typedef struct example {
    const char *pattern, *yes[5], *no[5];
} example;

static void check_examples(const example *list, size_t n, cop_rx_how how) {
    for (size_t i = 0; i < n; i++) {
        for (const char *const *t = list[i].yes; *t; t++)
            if (!matches(list[i].pattern, how, *t, strlen(*t))) fail_msg("%s should match '%s'", list[i].pattern, *t);
        for (const char *const *t = list[i].no; *t; t++)
            if (matches(list[i].pattern, how, *t, strlen(*t))) fail_msg("%s should not match '%s'", list[i].pattern, *t);
    }
}

static void a_whole_text_is_matched(void **state) {
    (void)state;
    static const example list[] = {
        {"", {""}, {"a"}},
        {"a|bc", {"a", "bc"}, {"", "abc", "b"}},
        {"(ab)*c+?", {"c", "abc", "ababcc"}, {"ab", "aabc"}},
        {"[a-c]{2,3}", {"ab", "ccc"}, {"a", "abca", "ad"}},
        {"a{2}", {"aa"}, {"a", "aaa"}},
        {"a{,2}", {"a{,2}"}, {"a", "aa"}},
        {"x{a}", {"x{a}"}, {"x"}},
        {"[^a]", {"b", "é", "\xF0\x9F\x98\x80"}, {"a", "bb", "\xC3", ""}},
        {".", {"a", "é"}, {"\n", "\r", "\xE2\x80\xA8", ""}},
        {"(?s).", {"\n"}, {""}},
        {"(?i)aB[x-z]", {"Abz", "aBX"}, {"ab", "abw"}},
        {"a(?i:b(?-i:c))(?s:.).", {"aBc\nx", "abc-y"}, {"aBC-x", "Abc-x", "abc-\n"}},
        {"\\d+", {"0", "12345"}, {"", "\xD9\xA3", "1a"}},
        {"\\w\\W\\s\\S", {"a-\t-", "_é\xC2\xA0x"}, {"a- ", "aaaa"}},
        {"\\p{Lu}\\p{L}+", {"Éa", "Zß"}, {"éa", "A"}},
        {"\\p{Script=Greek}+", {"αβ"}, {"ab", ""}},
        {"\\P{L}", {"1"}, {"a"}},
        {"[\\p{Nd}-]+", {"1-2", "\xD9\xA3"}, {"a"}},
        {"\\u0041\\x42\\u{1F600}\\uD83D\\uDE00\\cJ\\0", {}, {"AB"}},
        {"\\u0041\\x42\\u{1F600}\\uD83D\\uDE00", {"AB\xF0\x9F\x98\x80\xF0\x9F\x98\x80"}, {"AB"}},
        {"[\\b\\-\\]]", {"\b", "-", "]"}, {"b"}},
        {"[]", {}, {"", "a"}},
        {"[^]", {"a", "\n"}, {""}},
        {"^a$|^b", {"a", "b"}, {"ab"}},
        {"a^b", {}, {"ab"}},
        {"(?!foo)\\w+", {"fo", "bar", "fop"}, {"foo", "foobar"}},
        {"(?=.*\\d)(?=.*[a-z])[a-z0-9]{3,5}", {"a1b", "abcd1"}, {"abc", "123", "a1"}},
        {"a(?!b)[bc]c", {"acc"}, {"abc"}},
        {"\\bab\\b", {"ab"}, {"abc"}},
        {"a\\b-\\Bx?", {"a-"}, {"a-x", "a"}},
        {"(a|ab)(c|bcd)(d*)", {"abcd", "acd", "abbcd"}, {"ab"}},
        {"(?:a(?:b(?:c)?)?)?", {"", "a", "ab", "abc"}, {"ac"}},
        {"(?<year>\\d{4})-(?P<m>\\d\\d)", {"2024-01"}, {"24-1"}},
    };
    check_examples(list, sizeof list / sizeof *list, COP_RX_WHOLE);
}

static void a_part_of_a_text_is_found(void **state) {
    (void)state;
    static const example list[] = {
        {"b", {"b", "abc", "éb"}, {"", "ac", "b\xFF"}},
        {"^b", {"b", "bc"}, {"ab"}},
        {"b$", {"b", "ab"}, {"bc"}},
        {"^$", {""}, {"a"}},
        {"^(a|b$)", {"ac", "b"}, {"bc"}},
        {"(^|,)x(,|$)", {"x", "a,x", "x,b", "a,x,b"}, {"ax", "xb"}},
        {"\\bcat\\b", {"cat", "a cat.", "cat!"}, {"cats", "concat"}},
        {"a(?=b)", {"ab", "aab"}, {"a", "ac"}},
        {"a(?!b)", {"a", "ac", "aba"}, {"ab", "b"}},
        {"(?<!a)b", {"b", "cb", "abb"}, {"ab"}},
        {"(?<=a)b", {"ab", "bab"}, {"b", "cb"}},
        {"x(?<=ax)$", {"ax"}, {"x", "bx", "axy"}},
        {"^(?!.*--)[a-z-]+$", {"a-b"}, {"a--b"}},
        {"", {"", "a"}, {"\xFF"}},
    };
    check_examples(list, sizeof list / sizeof *list, COP_RX_SEARCH);
}

static void what_is_not_understood_is_refused_by_name(void **state) {
    (void)state;
    static const struct { const char *pattern, *says; cop_status status; } list[] = {
        {"(a)\\1", "backreference \\1", COP_ERR_UNSUPPORTED}, {"(?<n>a)\\k<n>", "backreference", COP_ERR_UNSUPPORTED},
        {"(?>a)", "atomic", COP_ERR_UNSUPPORTED}, {"a++", "possessive", COP_ERR_UNSUPPORTED}, {"(?(1)a)", "conditional", COP_ERR_UNSUPPORTED},
        {"a(?<=b)c", "look-behind", COP_ERR_UNSUPPORTED}, {"(^a)*", "inside a repetition", COP_ERR_UNSUPPORTED}, {"(", "( without )", COP_ERR_FORMAT},
        {")", ") without (", COP_ERR_FORMAT}, {"[a", "[ without ]", COP_ERR_FORMAT}, {"*", "nothing to repeat", COP_ERR_FORMAT},
        {"[b-a]", "out of order", COP_ERR_FORMAT}, {"a{3,2}", "out of order", COP_ERR_FORMAT}, {"\\", "backslash at the end", COP_ERR_FORMAT},
        {"\\q", "escape \\q", COP_ERR_UNSUPPORTED}, {"\\p{Nonsense}", "Nonsense", COP_ERR_UNSUPPORTED}, {"a{99999999999}", "count", COP_ERR_LIMIT},
        {"\xFF", "not UTF-8", COP_ERR_FORMAT}, {"\\u12", "four digits", COP_ERR_FORMAT}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        cop_language *l;
        assert_int_equal(cop_language_regex(&l, list[i].pattern, strlen(list[i].pattern)), list[i].status);
        if (!strstr(cop_error_text(), list[i].says)) fail_msg("%s: %s", list[i].pattern, cop_error_text());
    }
}

static void a_hostile_pattern_gives_an_error_or_a_guide(void **state) {
    (void)state;
    static const char *const list[] = {"((a*)*)*b", "(a|a|aa)*c", "(.*a){20}", "(x+x+)+y", "a{1000000000}", "((a{9999}){9999}){9999}",
                                       "(a|b)*a(a|b){25}", "(.*(a|b)){12}c", "(?!.*(a.{30}|b.{31}))[ab]*", "(\\p{L}{1,99}\\p{N}{1,99}){1,99}",
                                       "((a?){99}){99}", "(?:(?:^a){64}){64}", "((((((((^a){9}){9}){9}){9}){9}){9}){9}){9}"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        cop_language *l;
        if (cop_language_regex(&l, list[i], strlen(list[i]))) {
            assert_true(cop_error_text()[0]);
            continue;
        }
        cop_guide_state s = l->type->start(l);
        for (int k = 0; k < 200 && s; k++) s = l->type->step(l, s, "ab"[k * 7 % 3 % 2]);
        if (!s && l->type->failed(l)) assert_true(strstr(cop_error_text(), "regular expression") != NULL);
        l->type->close(l);
    }
    char deep[4000];
    for (int i = 0; i < 1500; i++) deep[i] = '(', deep[1500 + i] = ')';
    cop_language *l;
    assert_int_equal(cop_language_regex(&l, deep, 3000), COP_ERR_LIMIT);
    assert_int_equal(cop_language_regex(&l, "a\0b", 3), COP_OK);
    assert_true(l->type->step(l, l->type->step(l, l->type->start(l), 'a'), 0) != COP_GUIDE_DEAD);
    l->type->close(l);
}

// ---- against PCRE2 ----

static void put(char *out, size_t *n, const char *text) {
    size_t bytes = strlen(text);
    memcpy(out + *n, text, bytes + 1);
    *n += bytes;
}

static void random_pattern(uint64_t *seed, char *out, size_t *n, int depth) {
    static const char *const leaves[] = {"a", "b", "c", "[ab]", "[^a]", ".", "[a-c1]", "é", "[b-é]", "(?:)"};
    static const char *const counts[] = {"*", "+", "?", "{2}", "{1,3}", "{0,2}", "*?", "{2,}"};
    uint32_t kind = guiding_random(seed, depth > 0 ? 9 : 3);
    if (kind < 3) {
        put(out, n, leaves[guiding_random(seed, 10)]);
    } else if (kind < 5) {
        random_pattern(seed, out, n, depth - 1);
        random_pattern(seed, out, n, depth - 1);
    } else if (kind < 7) {
        put(out, n, "(?:");
        random_pattern(seed, out, n, depth - 1);
        put(out, n, "|");
        random_pattern(seed, out, n, depth - 1);
        put(out, n, ")");
    } else {
        put(out, n, "(?:");
        random_pattern(seed, out, n, depth - 1);
        put(out, n, ")");
        put(out, n, counts[guiding_random(seed, 8)]);
    }
}

// PCRE2 is told that é is a word character; ECMA-262 has it that it is none.
static void random_text(uint64_t *seed, bool ascii, char *out, size_t *n) {
    static const char *const letters[] = {"a", "b", "c", "-", "1", "é"};
    *n = 0;
    for (uint32_t i = guiding_random(seed, 7); i > 0; i--) put(out, n, letters[guiding_random(seed, ascii ? 5 : 6)]);
}

static void random_patterns_match_what_pcre_matches(void **state) {
    (void)state;
    static const char *const edges[] = {"", "", "", "^", "$", "(?=a)", "(?!b)", "\\b", "\\B"};
    uint64_t seed = 7;
    cop_pattern_work *work;
    assert_int_equal(cop_pattern_work_new(&work), 0);
    for (int i = 0; i < 1500; i++) {
        char pattern[2000], whole[2100], text[64];
        size_t n = 0, bytes;
        bool search = i % 2, ascii = i % 4 > 1;
        for (int part = 0; part < 2; part++) {
            put(pattern, &n, edges[guiding_random(&seed, ascii ? 9 : 7)]);
            random_pattern(&seed, pattern, &n, 3);
        }
        put(pattern, &n, edges[guiding_random(&seed, ascii ? 9 : 7)]);
        snprintf(whole, sizeof whole, search ? "%s" : "\\A(?:%s)\\z", pattern);
        cop_pattern *p;
        if (cop_pattern_new(&p, whole, strlen(whole))) continue;
        for (int k = 0; k < 12; k++) {
            random_text(&seed, ascii, text, &bytes);
            size_t begin, end;
            bool found;
            if (cop_pattern_find(p, work, text, bytes, 0, &begin, &end, &found)) continue;
            if (found != matches(pattern, search ? COP_RX_SEARCH : COP_RX_WHOLE, text, bytes))
                fail_msg("%s on '%.*s': pcre says %d", whole, (int)bytes, text, found);
        }
        cop_pattern_free(p);
    }
    cop_pattern_work_free(work);
}

// ---- expressions ----

static void a_question_about_expressions_is_answered(void **state) {
    (void)state;
    cop_regex_set *set;
    assert_int_equal(cop_regex_set_new(&set, 0), 0);
    cop_rx a, b, c;
    assert_int_equal(cop_rx_parse(set, "[a-z]+", 6, COP_RX_WHOLE, &a), 0);
    assert_int_equal(cop_rx_parse(set, "[a-m]{2,5}", 10, COP_RX_WHOLE, &b), 0);
    assert_int_equal(cop_rx_parse(set, "\\d*", 3, COP_RX_WHOLE, &c), 0);
    assert_true(cop_rx_contains(set, a, b));
    assert_false(cop_rx_contains(set, b, a));
    assert_true(cop_rx_are_disjoint(set, a, c));
    assert_false(cop_rx_are_disjoint(set, a, b));
    assert_false(cop_rx_is_empty(set, cop_rx_minus(set, a, b)));
    assert_true(cop_rx_is_empty(set, cop_rx_minus(set, b, a)));
    const char *texts[] = {"red", "green", "gré", "red", ""};
    const size_t bytes[] = {3, 5, 4, 3, 0};
    cop_rx one = cop_rx_one_of(set, texts, bytes, 5);
    for (int i = 0; i < 5; i++) assert_true(cop_rx_matches(set, one, texts[i], bytes[i]));
    assert_false(cop_rx_matches(set, one, "gre", 3));
    assert_int_equal(cop_rx_try_is_empty(set, cop_rx_and(set, a, c), 1000), 1);
    cop_rx hard;
    assert_int_equal(cop_rx_parse(set, "(?=.*a.{18}$)(?!.*b.{17}$)[ab]*", 31, COP_RX_WHOLE, &hard), 0);
    assert_int_equal(cop_rx_try_is_empty(set, cop_rx_minus(set, hard, a), 3000), -1);
    assert_int_equal(cop_regex_set_failed(set), COP_OK);
    cop_regex_set_free(set);
}

static void an_expression_is_spelt_as_json(void **state) {
    (void)state;
    cop_regex_set *set;
    assert_int_equal(cop_regex_set_new(&set, 0), 0);
    cop_rx all, some;
    assert_int_equal(cop_rx_parse(set, "(?s).*", 6, COP_RX_WHOLE, &all), 0);
    assert_int_equal(cop_rx_parse(set, "[\"\n\\u{1F600}é/]", 16, COP_RX_WHOLE, &some), 0);
    static const struct { const char *text; bool one, any, of_some; } list[] = {
        {"", 1, 1, 0}, {"abc", 1, 1, 0}, {"\\\"", 1, 1, 1}, {"\"", 0, 0, 0}, {"\n", 0, 0, 0}, {"\\n", 1, 1, 1}, {"\\u000a", 0, 1, 1},
        {"\\u000A", 0, 1, 1}, {"\\u0001", 1, 1, 0}, {"é", 1, 1, 1}, {"\\u00e9", 0, 1, 1}, {"\\ud83d\\uDE00", 0, 1, 1},
        {"\xF0\x9F\x98\x80", 1, 1, 1}, {"\\ud83d", 0, 0, 0}, {"\\ud83d\\ude01", 0, 1, 0}, {"\\/", 0, 1, 1}, {"/", 1, 1, 1}, {"\\a", 0, 0, 0},
        {"\\ude00", 0, 0, 0}, {"\x7F", 1, 1, 0}};
    cop_rx one = cop_rx_encode(set, all, COP_RX_JSON), any = cop_rx_encode(set, all, COP_RX_JSON_ANY);
    cop_rx of_some = cop_rx_encode(set, some, COP_RX_JSON_ANY);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        size_t n = strlen(list[i].text);
        if (cop_rx_matches(set, one, list[i].text, n) != list[i].one) fail_msg("'%s' canonical", list[i].text);
        if (cop_rx_matches(set, any, list[i].text, n) != list[i].any) fail_msg("'%s' any", list[i].text);
        if (cop_rx_matches(set, of_some, list[i].text, n) != list[i].of_some) fail_msg("'%s' some", list[i].text);
    }
    assert_true(cop_rx_contains(set, any, one));
    cop_regex_set_free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_text_is_matched),
        cmocka_unit_test(a_part_of_a_text_is_found),
        cmocka_unit_test(what_is_not_understood_is_refused_by_name),
        cmocka_unit_test(a_hostile_pattern_gives_an_error_or_a_guide),
        cmocka_unit_test(random_patterns_match_what_pcre_matches),
        cmocka_unit_test(a_question_about_expressions_is_answered),
        cmocka_unit_test(an_expression_is_spelt_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

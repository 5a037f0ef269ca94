#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../support/guiding.h"
#include "base/alloc.h"

static cop_vocab_trie *usual;
#define V guiding_usual.n

static cop_language *language_of(const char *text) {
    cop_language *l;
    if (cop_language_grammar(&l, text, strlen(text), usual)) fail_msg("%s\n%s", cop_error_text(), text);
    return l;
}

static cop_guide_state after(cop_language *l, const char *text, size_t bytes) {
    cop_guide_state s = l->type->start(l);
    for (size_t i = 0; i < bytes && s; i++) s = l->type->step(l, s, (uint8_t)text[i]);
    return s;
}

static bool accepts(cop_language *l, const char *text) {
    cop_guide_state s = after(l, text, strlen(text));
    return s && l->type->accepting(l, s);
}

typedef struct example {
    const char *grammar, *yes[6], *no[6];
} example;

static void check_examples(const example *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        cop_language *l = language_of(list[i].grammar);
        for (const char *const *t = list[i].yes; *t; t++)
            if (!accepts(l, *t)) fail_msg("should accept '%s':\n%s", *t, list[i].grammar);
        for (const char *const *t = list[i].no; *t; t++)
            if (accepts(l, *t)) fail_msg("should not accept '%s':\n%s", *t, list[i].grammar);
        l->type->close(l);
    }
}

static const char json_gbnf[] =
    "# JSON\n"
    "root   ::= object\n"
    "value  ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
    "object ::=\n"
    "  \"{\" ws (\n"
    "            string \":\" ws value\n"
    "    (\",\" ws string \":\" ws value)*\n"
    "  )? \"}\" ws\n"
    "array  ::= \"[\" ws ( value (\",\" ws value)* )? \"]\" ws\n"
    "string ::= \"\\\"\" ( [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4}) )* \"\\\"\" ws\n"
    "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9]{1,15})? ws\n"
    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";

static void gbnf_is_read_as_llama_cpp_reads_it(void **state) {
    (void)state;
    const example list[] = {
        {"root ::= \"a\" | \"bc\"", {"a", "bc"}, {"", "b", "abc"}},
        {"root ::= x y?\nx ::= [a-c]+ # letters\n\ny ::= \"!\"{2,3}", {"abc", "a!!", "b!!!"}, {"", "a!", "a!!!!"}},
        {"root ::= (\"a\" |\n \"b\")\n  |\n \"c\"\n", {"a", "b", "c"}, {"ab"}},
        {"root ::= [^a-c] .", {"dx", "éé"}, {"ax", "d"}},
        {"root ::= \"\\x41\\u00e9\\n\\\"\\\\\" [\\]\\-\\\\]", {"Aé\n\"\\]", "Aé\n\"\\-"}, {"A"}},
        {"root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "())"}},
        {"root ::= root \"a\" | \"b\"", {"b", "baa"}, {"ab", ""}},
        {"root ::= \"a\" root | \"b\"", {"b", "aab"}, {"ba", ""}},
        {"root ::= a root a | b*\na ::= \"x\" | \"\"\nb ::= \"y\"", {"", "xx", "xyyx", "x", "yx"}, {"z", "xyxy"}},
        {"root ::= (root \"a\"){2} | \"b\"", {"b", "baba", "babaaba"}, {"ba", "bab"}},
        {"root ::= \"[\" (root (\",\" root){0,2})? \"]\"", {"[]", "[[],[]]", "[[],[],[]]"}, {"[[],[],[],[]]", "[,]"}},
        {"root-1 ::= \"x\"\nroot ::= root-1 root-1", {"xx"}, {"x"}},
        {json_gbnf, {"{}", "{\"a\":1}", "{\"a\": [1, -2.5e+3, {\"b\": null}] }", "{\"\\u00e9\":\"é\"}"}, {"[]", "{\"a\"}", "{\"a\":01}", "{,}"}},
    };
    check_examples(list, sizeof list / sizeof *list);
}

static void a_grammar_that_is_wrong_is_refused_with_its_line(void **state) {
    (void)state;
    static const struct { const char *text, *says; } list[] = {
        {"root ::= x", "rule x is used"}, {"x ::= \"a\"", "rule root is used"}, {"root ::= \"a", "second quote"}, {"root ::= [a", "[ without ]"},
        {"root ::= (\"a\"", "( without )"}, {"root = \"a\"", "::="}, {"root ::= \"a\"\nroot ::= \"b\"", "line 2: rule root is there twice"},
        {"root ::= \"a\"{3,2}", "out of order"}, {"root ::= [b-a]", "out of order"}, {"root ::= \"\\q\"", "escape"}, {"root ::= root", "no text at all"},
        {"root ::= root \"a\"", "no text at all"}, {"root ::= <nothing>", "no token <nothing>"}, {"root ::= <[99999]>", "within the vocabulary"},
        {"root ::= (root \"x\"){9999}", "count above"}, {"", "root is used"}, {"root ::= \"a\" ) b", "what is this"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        cop_language *l = NULL;
        if (!cop_language_grammar(&l, list[i].text, strlen(list[i].text), usual)) fail_msg("%s: was taken", list[i].text);
        if (!strstr(cop_error_text(), list[i].says)) fail_msg("%s: %s", list[i].text, cop_error_text());
    }
}

static void lark_is_read_as_llguidance_reads_it(void **state) {
    (void)state;
    const example list[] = {
        {"start: \"a\" | \"bc\"i", {"a", "bc", "BC", "bC"}, {"", "A"}},
        {"start: NAME \"=\" NUMBER // a comment\nNAME: /[a-z]+/\nNUMBER: \"0\"..\"9\"+\n%ignore /[ \\t]+/", {"a=1", "ab =  12 ", "a= 1"}, {"a", " a=1", "a b=1", "a=\n1"}},
        {"start: /./", {"\r", "a", "é"}, {"\n"}},
        {"start: item (\",\" item)*\n?item: \"x\"\n    | \"(\" start \")\"\n", {"x", "x,x", "(x,(x)),x"}, {"", "(x", "x,"}},
        {"start: X ~ 2..3 Y?\nX: \"x\" \"z\"?\nY: (\"a\" | \"b\") ~ 2", {"xx", "xzxxab", "xxbb"}, {"x", "xxxx", "xxa"}},
        {"start: [\"a\"] \"b\"{2}", {"bb", "abb"}, {"ab", "b"}},
        {"start: A\nA: /[a-z]+/ & /.{3}/ & ~/b.*/", {"abc"}, {"ab", "bcd", "ab1"}},
        {"start: WORDS\nWORDS: /(?s:.*)/ & ~(/(?s:.*)/ \"--\" /(?s:.*)/)", {"", "a-b", "\n"}, {"a--b", "---"}},
        {"start: text \"!\"\ntext[lazy]: /.*;/", {"ab;!", ";!"}, {"a;b;!", "ab;"}},
        {"start: code \"after\"\ncode[stop=\"END\"]: /[A-Za-z ]*/", {"abENDafter"}, {"abENDENDafter", "ab"}},
        {"%import common.INT\n%import common (WS_INLINE -> WS, CNAME)\nstart: CNAME INT\n%ignore WS", {"a1 12", "x 3"}, {"1", " x 3"}},
        {"start: \"<\" %json {\"type\": \"boolean\"} \">\" start?", {"<true>", "<false><true>"}, {"<>", "<1>", "<true"}},
        {"start: SUB\nSUB: %regex {\"substring_words\": \"ab cd, e\"}", {"", "ab", "ab cd", "cd, e", ", e"}, {"b", "ab e"}},
        {"%llguidance {\"no_forcing\": true}\nstart: x{2,3}\nx.3: \"a\" -> one\n | \"b\" -> two", {"ab", "bbb"}, {"a"}},
    };
    check_examples(list, sizeof list / sizeof *list);
}

static void walks_through_masks_end_within_their_budget(void **state) {
    (void)state;
    static const char *const list[] = {
        json_gbnf, "root ::= \"(\" root \")\" | [a-c]+", "root ::= root \"+\" root | [0-9]+", "root ::= \"a\" root \"b\" | \"abc\" | \"\"",
        "root ::= \"{\" (root (\",\" root)*)? \"}\" | \"true\" | \"null\"", "root ::= x x x\nx ::= \"ab\" | \"a\" x | \"\"",
        "root ::= <tool> \"(\" root? \")\" | !<tool> \"ab\"",
        "start: \"{\" %json {\"type\": \"object\", \"properties\": {\"a\": {\"enum\": [1, true, null]}}, \"required\": [\"a\"], \"additionalProperties\": false} \"}\" (\",\" start)?",
        "start: pair (\",\" pair)*\npair: NAME \":\" (NAME | \"(\" start \")\")\nNAME: /[a-c]+/ & ~\"ab\"\n%ignore \" \""};
    uint64_t seed = 9;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        cop_guide *g, *other;
        assert_int_equal(cop_guide_new(&g, language_of(list[i]), usual), 0);
        guiding_check_walks(g, usual, &seed, 12, 40);
        assert_int_equal(cop_guide_fork(&other, g), 0);
        cop_guide_free(g);
        guiding_check_walks(other, usual, &seed, 12, 40);
        cop_guide_free(other);
    }
}

static void a_token_is_a_symbol_by_name_and_number(void **state) {
    (void)state;
    cop_guide *g;
    assert_int_equal(cop_guide_new(&g, language_of("root ::= <tool> \"a\" <[0]> !<tool>*"), usual), 0);
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(usual);
    int32_t tool = source->find(source->user, "<tool>", 6), forced[4];
    cop_guide_state s = cop_guide_start(g);
    assert_int_equal(cop_guide_forced(g, s, forced, 4), 1);
    assert_int_equal(forced[0], tool);
    uint64_t bits[8];
    cop_guide_mask(g, s, -1, bits);
    for (int t = 0; t < V; t++) assert_int_equal(bits[t / 64] >> (t % 64) & 1, t == tool);
    s = cop_guide_advance(g, cop_guide_advance(g, s, tool), 0);
    assert_false(cop_guide_accepting(g, s));
    s = cop_guide_advance(g, s, 0);
    assert_true(cop_guide_accepting(g, s));
    cop_guide_mask(g, s, -1, bits);
    for (int t = 0; t < V; t++) assert_int_equal(bits[t / 64] >> (t % 64) & 1, t != tool);
    cop_guide_free(g);
}

static void a_loop_comes_back_to_the_same_state(void **state) {
    (void)state;
    static const char *const list[] = {"root ::= \"[\" (root (\",\" root)*)? \"]\" | [0-9]", "root ::= list\nlist ::= item | item \",\" list\nitem ::= \"(\" list \")\" | [0-9]"};
    static const char *const texts[] = {"[1,2,3,4", "1,2,3,4"};
    for (int i = 0; i < 2; i++) {
        cop_language *l = language_of(list[i]);
        size_t n = strlen(texts[i]);
        assert_int_equal(after(l, texts[i], n), after(l, texts[i], n - 2));
        assert_int_not_equal(after(l, texts[i], n), after(l, texts[i], n - 1));
        l->type->close(l);
    }
}

static void what_is_kept_goes_on_as_before(void **state) {
    (void)state;
    cop_language *l = language_of("root ::= \"(\" root \")\" root | \"\""), *other;
    assert_int_equal(l->type->fork(&other, l), 0);
    cop_guide_state s = l->type->start(l), t = other->type->start(other);
    for (int i = 0; i < 120000; i++) {
        int b = i % 3 == 2 ? ')' : '(';
        s = l->type->step(l, s, b);
        t = other->type->step(other, t, b);
        assert_true(s && t);
        if (i % 1000 == 0) s = l->type->keep(l, s);
        assert_int_equal(l->type->distance(l, s), other->type->distance(other, t));
    }
    for (int i = 0; i < 40000; i++) s = l->type->step(l, s, ')');
    assert_true(l->type->accepting(l, s));
    assert_int_equal(l->type->step(l, s, ')'), 0);
    l->type->close(l);
    other->type->close(other);
}

// ---- random grammars against a naive recogniser ----

#define N_NAMES 3
#define MAX_TEXT 24
typedef struct cfg {
    int n[N_NAMES];                 // productions
    char of[N_NAMES][3][5];         // letters, and A … C for names
} cfg;

static void random_cfg(uint64_t *seed, cfg *c, char *text, size_t room) {
    size_t at = 0;
    for (int i = 0; i < N_NAMES; i++) {
        c->n[i] = 1 + (int)guiding_random(seed, 3);
        at += (size_t)snprintf(text + at, room - at, "%s ::=", i ? (i == 1 ? "b" : "c") : "root");
        for (int p = 0; p < c->n[i]; p++) {
            uint32_t length = guiding_random(seed, 5);
            for (uint32_t k = 0; k < length; k++) c->of[i][p][k] = "aabcABC"[guiding_random(seed, 7)];
            c->of[i][p][length] = 0;
            at += (size_t)snprintf(text + at, room - at, "%s", p ? " |" : "");
            for (uint32_t k = 0; k < length; k++) {
                char x = c->of[i][p][k];
                at += x >= 'a' ? (size_t)snprintf(text + at, room - at, " \"%c\"", x) : (size_t)snprintf(text + at, room - at, " %s", x == 'A' ? "root" : x == 'B' ? "b" : "c");
            }
            if (!length) at += (size_t)snprintf(text + at, room - at, " \"\"");
        }
        at += (size_t)snprintf(text + at, room - at, "\n");
    }
}

// is[x][i][j]: name x derives text[i .. j); filled by repetition until nothing changes.
static bool derives(const cfg *c, const char *text, int n) {
    static bool is[N_NAMES][MAX_TEXT + 1][MAX_TEXT + 1];
    memset(is, 0, sizeof is);
    for (bool changed = true; changed;) {
        changed = false;
        for (int x = 0; x < N_NAMES; x++)
            for (int p = 0; p < c->n[x]; p++)
                for (int i = 0; i <= n; i++) {
                    bool at[MAX_TEXT + 1] = {0}, next[MAX_TEXT + 1];
                    at[i] = true;
                    for (const char *s = c->of[x][p]; *s; s++) {
                        memset(next, 0, sizeof next);
                        for (int j = i; j <= n; j++) {
                            if (!at[j]) continue;
                            if (*s >= 'a') next[j + 1 > n ? n : j + 1] |= j < n && text[j] == *s;
                            else
                                for (int k = j; k <= n; k++) next[k] |= is[*s - 'A'][j][k];
                        }
                        memcpy(at, next, sizeof at);
                    }
                    for (int j = i; j <= n; j++)
                        if (at[j] && !is[x][i][j]) is[x][i][j] = changed = true;
                }
    }
    return is[0][0][n];
}

static void random_grammars_are_what_a_naive_recogniser_says(void **state) {
    (void)state;
    uint64_t seed = 21;
    int n_grammars = 0;
    for (int round = 0; round < 400; round++) {
        cfg c;
        char grammar[600];
        cop_language *l;
        random_cfg(&seed, &c, grammar, sizeof grammar);
        if (cop_language_grammar(&l, grammar, strlen(grammar), usual)) {
            assert_non_null(strstr(cop_error_text(), "no text at all"));
            continue;
        }
        n_grammars++;
        bool alive[364] = {0};  // is it the beginning of a text of up to five letters?
        char text[MAX_TEXT + 1];
        for (int number = 363; number >= 0; number--) {
            int n = 0;
            for (int k = number; k > 0; k = (k - 1) / 3) text[n++] = "abc"[(k - 1) % 3];
            for (int i = 0; i < n / 2; i++) {
                char x = text[i];
                text[i] = text[n - 1 - i];
                text[n - 1 - i] = x;
            }
            cop_guide_state s = after(l, text, (size_t)n);
            bool in = derives(&c, text, n);
            alive[number] |= in;
            if (number && alive[number]) alive[(number - 1) / 3] = true;
            if (in != (s && l->type->accepting(l, s))) fail_msg("'%.*s': %d\n%s", n, text, in, grammar);
            if (!s && alive[number]) fail_msg("'%.*s' is dead\n%s", n, text, grammar);
            int32_t d = s ? l->type->distance(l, s) : 0;
            if (!s || n + d > MAX_TEXT) continue;
            while (l->type->distance(l, s) > 0) {  // a way of that length ends in the language
                int32_t here = l->type->distance(l, s);
                int b = 'a';
                cop_guide_state next = 0;
                for (; b <= 'c'; b++)
                    if ((next = l->type->step(l, s, b)) && l->type->distance(l, next) < here) break;
                if (b > 'c') fail_msg("'%.*s': no way of %d bytes\n%s", n, text, here, grammar);
                text[n++] = (char)b;
                s = next;
            }
            if (!derives(&c, text, n)) fail_msg("'%.*s' is a way, but to where?\n%s", n, text, grammar);
        }
        if (round % 8 == 0) {
            cop_guide *g;
            assert_int_equal(cop_guide_new(&g, l, usual), 0);
            guiding_check_walks(g, usual, &seed, 6, 12);
            cop_guide_free(g);
        } else {
            l->type->close(l);
        }
    }
    assert_true(n_grammars > 150);
}

static int open_usual(void **state) {
    (void)state;
    usual = guiding_trie(&guiding_usual);
    return usual == NULL;
}
static int close_usual(void **state) {
    (void)state;
    cop_vocab_trie_free(usual);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gbnf_is_read_as_llama_cpp_reads_it),
        cmocka_unit_test(a_grammar_that_is_wrong_is_refused_with_its_line),
        cmocka_unit_test(lark_is_read_as_llguidance_reads_it),
        cmocka_unit_test(walks_through_masks_end_within_their_budget),
        cmocka_unit_test(a_token_is_a_symbol_by_name_and_number),
        cmocka_unit_test(a_loop_comes_back_to_the_same_state),
        cmocka_unit_test(what_is_kept_goes_on_as_before),
        cmocka_unit_test(random_grammars_are_what_a_naive_recogniser_says),
    };
    return cmocka_run_group_tests(tests, open_usual, close_usual);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../support/guiding.h"
#include "base/alloc.h"
#include "base/threads.h"
#include "guide/dfa_mask.h"

static cop_vocab_trie *usual;
static cop_pool *crowd_pool;
#define V guiding_usual.n

static cop_guide *guide_of(const char *pattern) {
    cop_language *l;
    cop_guide *g;
    if (cop_language_regex(&l, pattern, strlen(pattern)) || cop_guide_new(&g, l, usual)) fail_msg("%s: %s", pattern, cop_error_text());
    return g;
}

static int32_t token_of(const char *piece) {
    const cop_vocab_trie_source *s = cop_vocab_trie_get_source(usual);
    return s->find(s->user, piece, strlen(piece));
}

static bool has(const uint64_t *bits, int32_t t) { return bits[t / 64] >> (t % 64) & 1; }

static cop_guide_state after(cop_guide *g, const char *text) {
    cop_guide_state s = cop_guide_start(g);
    for (; *text; text++) s = cop_guide_advance(g, s, token_of((const char[]){*text, 0}));
    return s;
}

static void a_mask_has_the_tokens_that_can_go_on(void **state) {
    (void)state;
    cop_guide *g = guide_of("ab*c|abc10");
    uint64_t bits[8];
    cop_guide_mask(g, cop_guide_start(g), -1, bits);
    const char *const yes[] = {"a", "ab", "abc"}, *const no[] = {"b", "aa", "bc", "1", "tr"};
    for (size_t i = 0; i < 3; i++) assert_true(has(bits, token_of(yes[i])));
    for (size_t i = 0; i < 5; i++) assert_false(has(bits, token_of(no[i])));
    assert_false(has(bits, V - 1));
    cop_guide_mask(g, after(g, "abc"), -1, bits);
    assert_true(has(bits, V - 1) && has(bits, token_of("10")) && has(bits, token_of("1")) && !has(bits, token_of("12")));
    cop_guide_free(g);
}

static void tokens_of_the_same_bytes_are_treated_alike(void **state) {
    (void)state;
    cop_guide *g = guide_of("(ab)+");
    uint64_t bits[8];
    cop_guide_mask(g, cop_guide_start(g), -1, bits);
    assert_true(has(bits, token_of("ab")) && has(bits, V - 2));
    assert_int_not_equal(token_of("ab"), V - 2);
    cop_guide_free(g);
}

static void control_tokens_are_never_text(void **state) {
    (void)state;
    cop_guide *g = guide_of("(?s).*");
    uint64_t bits[8];
    cop_guide_mask(g, cop_guide_start(g), -1, bits);
    assert_false(has(bits, token_of("<tool>")));
    assert_true(cop_guide_advance(g, cop_guide_start(g), token_of("<tool>")) == COP_GUIDE_DEAD);
    assert_true(cop_guide_advance(g, cop_guide_start(g), -1) == COP_GUIDE_DEAD && cop_guide_advance(g, cop_guide_start(g), V) == COP_GUIDE_DEAD);
    cop_guide_free(g);
}

static void an_end_token_ends_a_text_once(void **state) {
    (void)state;
    cop_guide *g = guide_of("a*");
    uint64_t bits[8], none[8] = {0};
    cop_guide_state s = cop_guide_advance(g, cop_guide_start(g), V - 1);
    assert_true(s == COP_GUIDE_ENDED && cop_guide_accepting(g, s));
    assert_true(cop_guide_advance(g, s, V - 1) == COP_GUIDE_DEAD);
    cop_guide_mask(g, s, -1, bits);
    assert_memory_equal(bits, none, (size_t)(V + 63) / 64 * 8);
    cop_guide_free(g);
}

static void a_budget_leaves_only_what_can_be_ended_in_time(void **state) {
    (void)state;
    cop_guide *g = guide_of("\"[a-z]*\"|abcabcabcabc");
    uint64_t bits[8];
    cop_guide_mask(g, cop_guide_start(g), 2, bits);
    assert_true(has(bits, token_of("\"")) && has(bits, token_of("\"a")) && !has(bits, token_of("abc")));
    cop_guide_mask(g, cop_guide_start(g), 4, bits);  // four times abc
    assert_true(has(bits, token_of("abc")) && !has(bits, token_of("a")));
    cop_guide_mask(g, after(g, "\"abc"), 1, bits);
    for (int t = 0; t < V; t++) assert_int_equal(has(bits, t), t == token_of("\"") || t == token_of("a\""));
    cop_guide_free(g);
}

static void walks_through_masks_end_within_their_budget(void **state) {
    (void)state;
    static const char *const patterns[] = {"[ab]*c", "(ab|abc|bc)*", "\"(?:[^\"\\\\]|\\\\[nt\"])*\"", "\\{\"name\": \"[a-z]{2,5}\", \"int\": \\d+\\}",
                                           "(?!foo)[a-z]{3,9}", "(?=.*a)(?=.*b)[abc]{4,8}", "(a{20}|b{3}){1,2}", "é{2,30}€?", "(?:true|false|null|in|int){1,3}",
                                           "[^b]{5}", "(.*ab){3}"};
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        cop_guide *g = guide_of(patterns[i]);
        assert_true(guiding_check_walks(g, usual, &seed, 30, 60) > 30);
        cop_guide_free(g);
    }
}

// Is there a text of at most `most` further letters that the pattern matches?
static bool can_be_ended(cop_regex_set *set, cop_rx e, char *text, size_t n, int most) {
    static const char letters[] = "abc";
    if (cop_rx_matches(set, e, text, n)) return true;
    for (int k = 0; k < 3 && most > 0; k++) {
        text[n] = letters[k];
        if (can_be_ended(set, e, text, n + 1, most - 1)) return true;
    }
    return false;
}

static void masks_are_what_brute_force_finds(void **state) {
    (void)state;
    static const char *const patterns[] = {"(ab|c)*b", "a{2,4}b?c{1,2}", "(?!ab)[abc]{2,5}", "(a|b)(?=c|a).{1,3}", "(abc|bca){1,2}", "[ab]{0,3}(c|aa)"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        cop_guide *g = guide_of(patterns[i]);
        cop_regex_set *set;
        cop_rx e;
        assert_int_equal(cop_regex_set_new(&set, (uint64_t)1 << 40), 0);
        assert_int_equal(cop_rx_parse(set, patterns[i], strlen(patterns[i]), COP_RX_WHOLE, &e), 0);
        for (int number = 0; number < 121; number++) {  // all prefixes of up to four letters
            char text[32];
            size_t n = 0;
            for (int k = number; k > 0; k = (k - 1) / 3) text[n++] = "abc"[(k - 1) % 3];
            text[n] = 0;
            cop_guide_state s = after(g, text);
            uint64_t bits[8];
            cop_guide_mask(g, s, -1, bits);
            for (int t = 0; t < V - 3; t++) {
                size_t bytes = strlen(guiding_usual.pieces[t]);
                memcpy(text + n, guiding_usual.pieces[t], bytes + 1);
                bool abc = strspn(text + n, "abc") == bytes;
                bool truth = abc && can_be_ended(set, e, text, n + bytes, 5);
                if (!abc && strchr(patterns[i], '.')) continue;
                if (truth != has(bits, t))
                    fail_msg("%s: '%.*s' + '%s': mask %d, truth %d", patterns[i], (int)n, text, guiding_usual.pieces[t], has(bits, t), truth);
            }
        }
        cop_regex_set_free(set);
        cop_guide_free(g);
    }
}

static void forced_tokens_are_those_of_every_text(void **state) {
    (void)state;
    static const char *const patterns[] = {"\\{\"name\": \"[a-z]{2,5}\", \"int\": \\d+\\}", "return (a|b);\n", "(abcab|abcd)c?", "ab[c-z]*", "true, false: null;\n"};
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(usual);
    uint64_t seed = 11;
    int n_forced = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        cop_guide *g = guide_of(patterns[i]);
        for (int k = 0; k < 60; k++) {
            char text[200];
            int32_t all[200], forced[64];
            size_t n = guiding_random_text(g, usual, &seed, text, sizeof text, 60);
            int n_all = source->encode(source->user, text, n, all, 200);
            cop_guide_state s = cop_guide_start(g);
            for (int t = 0; t < n_all; t++) {
                int f = cop_guide_forced(g, s, forced, 64);
                n_forced += f;
                for (int j = 0; j < f; j++)
                    if (t + j >= n_all || forced[j] != all[t + j]) fail_msg("%s: '%.*s': forced token %d at %d", patterns[i], (int)n, text, j, t);
                s = cop_guide_advance(g, s, all[t]);
            }
        }
        cop_guide_free(g);
    }
    assert_true(n_forced > 300);
}

static void few_continuations_are_branches(void **state) {
    (void)state;
    cop_guide *g = guide_of("\"(?:true|trick|false|null)\": [0-9]+");
    int32_t tokens[100];
    assert_int_equal(cop_guide_branches(g, cop_guide_start(g), 8, tokens, 100), 4);
    cop_guide_state ends[4];
    int at = 0;
    for (int i = 0; i < 4; i++, at++) {
        cop_guide_state s = cop_guide_start(g);
        for (; tokens[at] >= 0; at++) s = cop_guide_advance(g, s, tokens[at]);
        ends[i] = s;
        assert_true(s != COP_GUIDE_DEAD);
        assert_int_equal(ends[i], ends[0]);
    }
    assert_int_equal(cop_guide_branches(g, cop_guide_start(g), 3, tokens, 100), 3);
    assert_int_equal(cop_guide_branches(g, ends[0], 8, tokens, 100), 0);
    cop_guide_free(g);
}

static void a_choice_is_one_of_its_texts(void **state) {
    (void)state;
    const char *const texts[] = {"abc", "ab", "null", "true"};
    const size_t bytes[] = {3, 2, 4, 4};
    cop_language *l;
    cop_guide *g, *other;
    assert_int_equal(cop_language_choice(&l, texts, bytes, 4), 0);
    assert_int_equal(cop_guide_new(&g, l, usual), 0);
    assert_int_equal(cop_guide_fork(&other, g), 0);
    uint64_t seed = 5;
    guiding_check_walks(g, usual, &seed, 20, 20);
    cop_guide_free(g);
    guiding_check_walks(other, usual, &seed, 20, 20);
    cop_guide_state s = cop_guide_advance(other, cop_guide_start(other), token_of("ab"));
    assert_true(cop_guide_accepting(other, s) && cop_guide_allows(other, s, token_of("c"), -1) && !cop_guide_allows(other, s, token_of("a"), -1));
    cop_guide_free(other);
}

static void a_mask_of_an_automaton_goes_on_below_its_exits(void **state) {
    (void)state;
    cop_regex_set *set;
    cop_rx string, rest;
    cop_dfa *first, *next;
    assert_int_equal(cop_regex_set_new(&set, 0), 0);
    assert_int_equal(cop_rx_parse(set, "[a-z]*\"", 7, COP_RX_WHOLE, &string), 0);
    assert_int_equal(cop_rx_parse(set, "[:,] ?", 6, COP_RX_WHOLE, &rest), 0);
    assert_int_equal(cop_dfa_new(&first, set, string), 0);
    assert_int_equal(cop_dfa_new(&next, set, rest), 0);
    uint64_t bits[8] = {0}, whole[8];
    cop_dfa_exits exits = {0};
    for (int again = 0; again < 2; again++) {
        assert_int_equal(cop_dfa_mask(first, cop_dfa_start(first), usual, bits, &exits), 0);
        assert_true(exits.n == 1 && cop_dfa_ends(first, exits.v[0].state));
        assert_int_equal(cop_dfa_mask_below(next, cop_dfa_start(next), usual, exits.v[0].node, bits, NULL), 0);
    }
    cop_guide *g = guide_of("[a-z]*\"[:,] ?");
    cop_guide_mask(g, cop_guide_start(g), -1, whole);
    assert_memory_equal(bits, whole, (size_t)(V + 63) / 64 * 8);
    cop_guide_free(g);
    cop_array_fini(&exits);
    cop_dfa_free(first);
    cop_dfa_free(next);
    cop_regex_set_free(set);
}

typedef struct crowd {
    cop_guide *guides[8];
    uint64_t words[8];   // of all masks
} crowd;

static cop_status read_text(void *arg, int worker) {
    crowd *c = arg;
    int64_t begin, end;
    (void)worker;
    while (cop_pool_take(crowd_pool, 8, 1, &begin, &end))
        for (int64_t k = begin; k < end; k++) {
            cop_guide *g = c->guides[k];
            cop_guide_state s = cop_guide_start(g);
            uint64_t bits[8];
            for (int i = 0; i < 200 && s != COP_GUIDE_DEAD; i++) {
                cop_guide_mask(g, s, -1, bits);
                for (int w = 0; w < (V + 63) / 64; w++) c->words[k] = c->words[k] * 31 + bits[w];
                s = cop_guide_advance(g, s, token_of((const char[]){"abc"[i * i % 7 % 3], 0}));
            }
        }
    return COP_OK;
}

static void texts_of_one_language_are_read_in_several_threads(void **state) {
    (void)state;
    static const char *const list[] = {"root ::= x*\nx ::= [abc]{1,3} | \"(\" x \")\"", "(?:(?=.*a)[abc]{1,9}|[a-c]+b.){1,9}[a-c]*"};
    for (int i = 0; i < 2; i++) {
        cop_language *l;
        crowd c = {0};
        assert_int_equal(i ? cop_language_regex(&l, list[1], strlen(list[1])) : cop_language_grammar(&l, list[0], strlen(list[0]), usual), 0);
        assert_int_equal(cop_guide_new(&c.guides[0], l, usual), 0);
        for (int k = 1; k < 8; k++) assert_int_equal(cop_guide_fork(&c.guides[k], c.guides[0]), 0);
        assert_int_equal(cop_pool_new(&crowd_pool, 4), 0);
        assert_int_equal(cop_pool_run(crowd_pool, read_text, &c), 0);
        cop_pool_free(crowd_pool);
        for (int k = 0; k < 8; k++) assert_true(c.words[k] == c.words[0] && c.words[k]);
        for (int k = 0; k < 8; k++) cop_guide_free(c.guides[k]);
    }
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
        cmocka_unit_test(a_mask_has_the_tokens_that_can_go_on),
        cmocka_unit_test(tokens_of_the_same_bytes_are_treated_alike),
        cmocka_unit_test(control_tokens_are_never_text),
        cmocka_unit_test(an_end_token_ends_a_text_once),
        cmocka_unit_test(a_budget_leaves_only_what_can_be_ended_in_time),
        cmocka_unit_test(walks_through_masks_end_within_their_budget),
        cmocka_unit_test(masks_are_what_brute_force_finds),
        cmocka_unit_test(forced_tokens_are_those_of_every_text),
        cmocka_unit_test(few_continuations_are_branches),
        cmocka_unit_test(a_choice_is_one_of_its_texts),
        cmocka_unit_test(texts_of_one_language_are_read_in_several_threads),
        cmocka_unit_test(a_mask_of_an_automaton_goes_on_below_its_exits),
    };
    return cmocka_run_group_tests(tests, open_usual, close_usual);
}

// Languages put together by tags: what is in them, and that every state keeps the contract of guide/language.h.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "guide/tags.h"
#include "guide/vocab_trie.h"

// ---- a small inner language: digits, or x, one or more letters a, y; states 1 … 5 ----

static cop_guide_state tiny_start(cop_language *l) { return (void)l, 1; }
static cop_guide_state tiny_step(cop_language *l, cop_guide_state s, int32_t c) {
    (void)l;
    if ((s == 1 || s == 2) && c >= '0' && c <= '9') return 2;
    if (s == 1 && c == 'x') return 3;
    if ((s == 3 || s == 4) && c == 'a') return 4;
    return s == 4 && c == 'y' ? 5 : COP_GUIDE_DEAD;
}
static bool tiny_accepting(cop_language *l, cop_guide_state s) { return (void)l, s == 2 || s == 5; }
static int32_t tiny_distance(cop_language *l, cop_guide_state s) { return (void)l, (int32_t[]){COP_GUIDE_FAR, 1, 0, 2, 1, 0}[s]; }
static int32_t tiny_reach(cop_language *l, cop_guide_state s, int symbols) { return (void)l, (void)s, (void)symbols, 2; }
static cop_status tiny_fork(cop_language **out, cop_language *l);
static void tiny_close(cop_language *l) { cop_free(l); }
static const cop_language_type tiny = {.name = "tiny", .start = tiny_start, .step = tiny_step, .accepting = tiny_accepting,
                                       .distance = tiny_distance, .reach = tiny_reach, .fork = tiny_fork, .close = tiny_close};
static cop_language *new_tiny(void) {
    cop_language *l = cop_alloc(sizeof *l);
    assert_non_null(l);
    l->type = &tiny;
    return l;
}
static cop_status tiny_fork(cop_language **out, cop_language *l) { return (void)l, *out = new_tiny(), COP_OK; }

// ---- a vocabulary: all bytes, some longer tokens, two control tokens and an end ----

static const char *const longer[] = {"<c", "<ca", "ll>", "<call>", ">f", "f:", "g:1", "12", "1<", "1</call", "1</call>", "y</call>", "</call>\n",
                                     "xa", "aay", "aay</", "call", "a<", "/call>", "ab", "abc", "</think>", "ink>"};
enum { LONGER = sizeof longer / sizeof *longer, BEGIN = 256 + LONGER, END, FINAL, VOCAB };

static const char *piece(const void *user, int32_t t, size_t *bytes) {
    static char all[256];
    (void)user;
    *bytes = 0;
    if (t < 256) return all[t] = (char)t, *bytes = 1, &all[t];
    if (t >= BEGIN) return NULL;
    return *bytes = strlen(longer[t - 256]), longer[t - 256];
}
static bool is_end(const void *user, int32_t t) { return (void)user, t == FINAL; }
static int32_t find(const void *user, const char *text, size_t bytes) { return (void)user, (void)text, (void)bytes, -1; }
static int encode(const void *user, const char *text, size_t bytes, int32_t *to, int max) {
    (void)user, (void)text, (void)bytes, (void)to, (void)max;
    return -1;
}

static cop_vocab_trie *new_vocabulary(void) {
    cop_vocab_trie_source source = {VOCAB, piece, is_end, find, encode, NULL};
    cop_vocab_trie *v;
    assert_int_equal(cop_vocab_trie_new(&v, &source), COP_OK);
    return v;
}

// ---- texts: \1 and \2 stand for the control tokens ----

typedef struct symbols {
    int32_t v[64];
    size_t n;
} symbols;

static symbols spell(const char *text) {
    symbols s = {.n = strlen(text)};
    for (size_t i = 0; i < s.n; i++) s.v[i] = text[i] == 1 ? COP_GUIDE_TOKEN + BEGIN : text[i] == 2 ? COP_GUIDE_TOKEN + END : (uint8_t)text[i];
    return s;
}

typedef struct link {
    const char *begin, *end;
    size_t trigger;  // 0: all of begin
    int inner, to;
} link;

static cop_tag_place make_place(bool free, bool accepting, int otherwise, const link *links, size_t n, cop_tag_edge *edges, symbols *texts) {
    for (size_t i = 0; i < n; i++) {
        texts[2 * i] = spell(links[i].begin);
        texts[2 * i + 1] = spell(links[i].end);
        edges[i] = (cop_tag_edge){texts[2 * i].v, texts[2 * i + 1].v, texts[2 * i].n, texts[2 * i + 1].n,
                                  links[i].trigger ? links[i].trigger : texts[2 * i].n, links[i].inner, links[i].to};
    }
    return (cop_tag_place){free, accepting, otherwise, edges, n};
}

// Any text but what goes on behind a trigger: a place of its own, with a trigger inside another one.
static cop_language *new_nested(void) {
    static const link any[] = {{"xabz", "", 0, -1, COP_TAG_FORBIDDEN}, {"ab1", "</f>", 2, 0, 1}, {"/////", "", 0, -1, 1}};
    cop_tag_edge edges[4];
    symbols texts[8];
    cop_tag_place everything = {.free = true, .accepting = true, .otherwise = -1};
    cop_tag_place places[] = {make_place(true, false, -1, any, 3, edges, texts), {.free = false, .accepting = true, .otherwise = -1}};
    cop_language *l, *inner;
    assert_int_equal(cop_language_tags(&inner, NULL, 0, &everything, 1), COP_OK);
    assert_int_equal(cop_language_tags(&l, &inner, 1, places, 2), COP_OK);
    return l;
}

// Free text with calls, as Hermes has them; reasoning before it.
static cop_language *new_calls(void) {
    static const link think[] = {{"</think>", "", 0, -1, 1}};
    static const link calls[] = {{"<call>f:", "</call>", 6, 0, 1}, {"<call>g:", "</call>", 6, 0, 1}, {"</think>", "", 0, -1, COP_TAG_FORBIDDEN}};
    cop_tag_edge edges[2][4];
    symbols texts[2][8];
    cop_tag_place places[] = {make_place(true, false, -1, think, 1, edges[0], texts[0]), make_place(true, true, -1, calls, 3, edges[1], texts[1])};
    cop_language *l, *inner = new_tiny();
    assert_int_equal(cop_language_tags(&l, &inner, 1, places, 2), COP_OK);
    return l;
}

// Calls and nothing else, at least one, between control tokens; commas between them.
static cop_language *new_required(void) {
    static const link first[] = {{"\1f:", "", 0, 0, 1}, {"\1g:", "", 0, 1, 1}};
    static const link more[] = {{",f:", "", 0, 0, 1}, {",g:", "", 0, 1, 1}, {"\2", "", 0, -1, 2}};
    cop_tag_edge edges[2][4];
    symbols texts[2][8];
    cop_tag_place places[] = {make_place(false, false, -1, first, 2, edges[0], texts[0]), make_place(false, false, -1, more, 3, edges[1], texts[1]),
                              make_place(false, true, -1, NULL, 0, NULL, NULL)};
    cop_language *l, *inner[] = {new_tiny(), new_tiny()};
    assert_int_equal(cop_language_tags(&l, inner, 2, places, 3), COP_OK);
    return l;
}

// A text that begins with a call is one; any other text is free.
static cop_language *new_bare(void) {
    static const link calls[] = {{"{f:", "}", 2, 0, 2}, {"{fab:", "}", 2, 0, 2}};
    static const link forbidden[] = {{"<call>", "", 0, -1, COP_TAG_FORBIDDEN}, {"abac", "", 0, -1, COP_TAG_FORBIDDEN}, {"ba", "", 0, 0, 2}};
    cop_tag_edge edges[2][4];
    symbols texts[2][8];
    cop_tag_place places[] = {make_place(false, false, 1, calls, 2, edges[0], texts[0]), make_place(true, true, -1, forbidden, 2, edges[1], texts[1]),
                              make_place(false, true, -1, NULL, 0, NULL, NULL)};
    cop_language *l, *inner = new_tiny();
    assert_int_equal(cop_language_tags(&l, &inner, 1, places, 3), COP_OK);
    return l;
}

static cop_guide_state go(cop_language *l, const char *text) {
    symbols s = spell(text);
    cop_guide_state at = l->type->start(l);
    for (size_t i = 0; i < s.n && at != COP_GUIDE_DEAD; i++) at = l->type->step(l, at, s.v[i]);
    return at;
}

// '+': in the language; '.': the beginning of such a text; '-': neither.
static void assert_is(cop_language *l, const char *text, char want) {
    cop_guide_state s = go(l, text);
    char got = s == COP_GUIDE_DEAD ? '-' : l->type->accepting(l, s) ? '+' : '.';
    if (got != want) fail_msg("%s: %c instead of %c", text, got, want);
}

static void free_text_goes_on_until_a_trigger(void **state) {
    (void)state;
    cop_language *l = new_calls();
    assert_is(l, "", '.');
    assert_is(l, "hm <call>zzz</thin", '.');
    assert_is(l, "hm</think>", '+');
    assert_is(l, "hm</think>\nSo 1 < 2 and <call", '+');
    assert_is(l, "</think><call>", '.');
    assert_is(l, "</think><call>h", '-');
    assert_is(l, "</think><call>f:1", '.');
    assert_is(l, "</think><call>f:12</call>", '+');
    assert_is(l, "</think><call>f:xaay</call> then <<call>g:7</call>.", '+');
    assert_is(l, "</think><call>f:x</call>", '-');
    assert_is(l, "</think><call>f:1</call", '.');
    assert_is(l, "</think><call>f:1</x", '-');
    assert_is(l, "</think></think>", '-');
    l->type->close(l);
}

static void required_calls_begin_at_once_with_control_tokens(void **state) {
    (void)state;
    cop_language *l = new_required();
    assert_is(l, "", '.');
    assert_is(l, "f:", '-');
    assert_is(l, "\1f:1", '.');
    assert_is(l, "\1f:12,g:xay\2", '+');
    assert_is(l, "\1f:x,", '-');
    assert_is(l, "\1f:1\2\2", '-');
    assert_is(l, "\1f:1\2x", '-');
    const int32_t *ids;
    assert_int_equal(l->type->named(l, &ids), 2);
    l->type->close(l);
}

static void a_text_that_leaves_the_tags_in_time_is_free(void **state) {
    (void)state;
    cop_language *l = new_bare();
    assert_is(l, "", '+');
    assert_is(l, "{", '+');
    assert_is(l, "{x", '+');
    assert_is(l, "{f", '.');
    assert_is(l, "{fx", '-');
    assert_is(l, "{fab:1}", '+');
    assert_is(l, "{fab:1}x", '-');
    assert_is(l, "{<call>", '-');
    assert_is(l, " {f", '+');
    assert_is(l, "ababa", '+');
    assert_is(l, "ababac", '-');
    l->type->close(l);
}

static void a_trigger_counts_inside_another_and_an_end_tag_inside_any_text(void **state) {
    (void)state;
    cop_language *l = new_nested();
    assert_is(l, "xa", '.');
    assert_is(l, "xab", '.');
    assert_is(l, "xabz", '-');
    assert_is(l, "xabq", '-');
    assert_is(l, "xab1 a < b <</f", '.');
    assert_is(l, "xab1 a < b <</f>", '+');
    assert_is(l, "xab1</</f>", '+');
    assert_int_equal(l->type->distance(l, go(l, "/")), 4);
    assert_int_equal(l->type->distance(l, go(l, "x")), 5);
    l->type->close(l);
}

// From a state that was reached: distance, mask and walk, fork.
static void check_state(cop_language *l, cop_guide_state s, const cop_vocab_trie *v, const char *path) {
    int32_t here = l->type->distance(l, s), nearest = COP_GUIDE_FAR;
    if (here == COP_GUIDE_FAR) fail_msg("%s: no way to an end", path);
    if (l->type->accepting(l, s) != (here == 0)) fail_msg("%s: accepting, yet distance %d", path, here);
    uint64_t bits[(VOCAB + 63) / 64], want[(VOCAB + 63) / 64] = {0};
    for (int32_t t = 0; t < VOCAB; t++) {
        size_t n = 1, bytes;
        const char *text = piece(NULL, t, &bytes);
        cop_guide_state at = s;
        if (t >= BEGIN) at = t < FINAL ? l->type->step(l, s, COP_GUIDE_TOKEN + t) : COP_GUIDE_DEAD;
        else for (n = 0; n < bytes && at != COP_GUIDE_DEAD; n++) at = l->type->step(l, at, (uint8_t)text[n]);
        if (at == COP_GUIDE_DEAD) continue;
        want[t / 64] |= (uint64_t)1 << (t % 64);
        int32_t d = l->type->distance(l, at);
        if (t < 256 || t >= BEGIN) nearest = d < nearest ? d : nearest;
        int32_t reach = l->type->reach(l, s, cop_vocab_trie_longest(v));
        if (d > reach) fail_msg("%s: token %d leads to distance %d, reach %d", path, t, d, reach);
    }
    if (here > 0 && nearest >= here) fail_msg("%s: distance %d, and no symbol leads nearer", path, here);
    l->type->mask(l, s, v, bits);
    for (int32_t t = 0; t < VOCAB; t++)
        if ((bits[t / 64] ^ want[t / 64]) >> (t % 64) & 1) fail_msg("%s: token %d: mask %d", path, t, (int)(bits[t / 64] >> (t % 64) & 1));
}

static void every_state_keeps_the_contract(void **state) {
    (void)state;
    cop_language *(*const make[])(void) = {new_calls, new_required, new_bare, new_nested};
    static const char alphabet[] = "<call>/fg:1xay\1\2{},hinktbu \n", *const lead[] = {"</think>", "<call>", "f:", "{f", "1", "xaa", "y", "</call>"};
    cop_vocab_trie *v = new_vocabulary();
    uint32_t random = 1;
    for (size_t m = 0; m < 4; m++) {
        cop_language *l = make[m]();
        for (int round = 0; round < 300; round++) {
            char path[128] = "";
            size_t n = 0;
            cop_guide_state s = l->type->start(l);
            for (int i = 0; i < 14 && s != COP_GUIDE_DEAD; i++) {
                check_state(l, s, v, path);
                random = random * 1664525 + 1013904223;
                const char *piece_of = random >> 31 ? lead[random >> 24 & 7] : NULL;
                char one[2] = {alphabet[(random >> 16) % (sizeof alphabet - 1)], 0};
                if (!piece_of) piece_of = one;
                for (const char *c = piece_of; *c && s != COP_GUIDE_DEAD; c++) {
                    symbols sym = spell((char[]){*c, 0});
                    s = l->type->step(l, s, sym.v[0]);
                    path[n++] = *c;
                }
            }
        }
        assert_int_equal(l->type->failed(l), COP_OK);
        l->type->close(l);
    }
    cop_vocab_trie_free(v);
}

// ---- a language with a state for each length, to make many ----

static cop_guide_state long_step(cop_language *l, cop_guide_state s, int32_t c) { return (void)l, c == '1' ? s + 1 : COP_GUIDE_DEAD; }
static bool long_accepting(cop_language *l, cop_guide_state s) { return (void)l, (void)s, true; }
static int32_t long_distance(cop_language *l, cop_guide_state s) { return (void)l, (void)s, 0; }
static const cop_language_type lengths = {.name = "lengths", .start = tiny_start, .step = long_step, .accepting = long_accepting,
                                          .distance = long_distance, .close = tiny_close};

// Masks are kept by number: what is forgotten must not come back as another state.
static void numbers_are_not_used_again(void **state) {
    (void)state;
    static const link links[] = {{"<", ">", 0, 0, 0}};
    cop_tag_edge edges[2];
    symbols texts[4];
    cop_tag_place place = make_place(false, true, -1, links, 1, edges, texts);
    cop_language *l, *inner = new_tiny();
    inner->type = &lengths;
    assert_int_equal(cop_language_tags(&l, &inner, 1, &place, 1), COP_OK);
    cop_guide_state s = go(l, "<"), largest = s;
    for (int i = 0; i < 10000; i++) {
        cop_guide_state next = l->type->step(l, s, '1');
        assert_true(next > largest);
        largest = next;
        s = l->type->keep(l, next);
        assert_true(s == next || s > largest);
        largest = s;
    }
    assert_true(l->type->memory(l) < 400000);
    assert_int_equal(l->type->step(l, s, '>'), l->type->start(l));
    l->type->close(l);
}

static void forks_and_what_is_kept_go_on_as_before(void **state) {
    (void)state;
    cop_language *l = new_calls(), *f;
    assert_int_equal(l->type->fork(&f, l), COP_OK);
    cop_guide_state s = go(l, "</think><call>f:");
    for (int i = 0; i < 100; i++) s = l->type->keep(l, l->type->step(l, s, '1'));
    assert_is(f, "</think><call>f:12</call>", '+');
    symbols rest = spell("</call>");
    for (size_t i = 0; i < rest.n; i++) s = l->type->step(l, s, rest.v[i]);
    assert_true(l->type->accepting(l, s));
    assert_int_equal(l->type->keep(l, s), s);
    l->type->close(l);
    assert_is(f, "</think><call>f:xay</call>", '+');
    f->type->close(f);
}

static void graphs_that_make_no_sense_are_refused(void **state) {
    (void)state;
    static const link prefix[] = {{"ab", "", 0, -1, 0}, {"abc", "", 0, -1, 0}}, nowhere[] = {{"a", "", 0, -1, 7}}, empty[] = {{"", "", 0, -1, 0}};
    const link *rows[] = {prefix, nowhere, empty};
    for (size_t i = 0; i < 3; i++) {
        cop_tag_edge edges[4];
        symbols texts[8];
        cop_tag_place place = make_place(i == 0, true, -1, rows[i], i == 0 ? 2 : 1, edges, texts);
        cop_language *l, *inner = new_tiny();
        assert_int_equal(cop_language_tags(&l, &inner, 1, &place, 1), COP_ERR_ARG);
        assert_null(l);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_text_goes_on_until_a_trigger),
        cmocka_unit_test(required_calls_begin_at_once_with_control_tokens),
        cmocka_unit_test(a_text_that_leaves_the_tags_in_time_is_free),
        cmocka_unit_test(a_trigger_counts_inside_another_and_an_end_tag_inside_any_text),
        cmocka_unit_test(every_state_keeps_the_contract),
        cmocka_unit_test(numbers_are_not_used_again),
        cmocka_unit_test(forks_and_what_is_kept_go_on_as_before),
        cmocka_unit_test(graphs_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

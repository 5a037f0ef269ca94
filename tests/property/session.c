// The second promise and the step's own: text does not depend on what was drafted, a step allocates
// nothing, saving and forking change nothing that follows, every way to end is clean.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "engine/session.h"
#include "text/utf8.h"
#include "support/engines.h"

#define N 48

static cop_session *open_session(cop_engine *e, const cop_session_options *o) {
    cop_session *s;
    if (cop_session_open(&s, e, o)) fail_msg("%s", cop_error_text());
    return s;
}

static cop_session_options seeded(uint64_t seed) {
    cop_session_options o = cop_session_defaults();
    o.context = 160;
    o.hash_logits = 1;
    o.seed = seed;
    if (seed) {
        o.temp = 1.3f;
        o.top_p = seed % 2 ? 0.95f : 1;
        o.typical_p = seed % 3 ? 1 : 0.9f;
        o.samplers = seed % 3 ? NULL : "temp,top_p,typical_p,min_p,top_k";
        o.repeat_penalty = 1.1f;
        o.frequency_penalty = 0.1f;
    }
    return o;
}

static const char prompt[] = "the cat and the dog";
static const char repeating[] = "a b c d e f g h a b c d e f g h a b c";

// ---- drafters that are right, wrong, or mad ---------------------------------------------------

typedef struct oracle {
    const int32_t *truth;  // what plain decoding gives
    int n_truth, kind, V;
} oracle;

enum { RIGHT, MOSTLY_RIGHT, ALWAYS_WRONG, SAME_TOKEN, NOT_TOKENS, FULL_TREE, DEEP_CHAIN, EARLY_END, N_KINDS };
static const char *const kinds[] = {"right", "mostly right", "always wrong", "one token", "ids out of range", "a full tree", "a deep chain", "ends inside"};

static void propose_chain(const oracle *o, const cop_view *view, cop_tree *tree, int wrong_every) {
    int node = COP_TREE_ROOT;
    for (int i = view->n_tokens; i < o->n_truth && node >= 0; i++) {
        int32_t other = (int32_t)(cop_noise_bits(1, COP_NOISE_DRAFT, (uint64_t)i, 0) % (uint64_t)o->V);
        cop_tree_add(tree, node, other, -3.0f);
        bool wrong = wrong_every && i % wrong_every == 0;
        node = cop_tree_add(tree, node, wrong ? other : o->truth[i], -0.5f);
    }
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    const oracle *o = state;
    switch (o->kind) {
    case RIGHT: propose_chain(o, view, tree, 0); return;
    case MOSTLY_RIGHT: propose_chain(o, view, tree, 4); return;
    case ALWAYS_WRONG:
        for (int node = 0; node >= 0 && node < 9; node = cop_tree_add(tree, node, view->n_tokens < o->n_truth ? (o->truth[view->n_tokens] + 1) % o->V : 0, -1)) {}
        return;
    case SAME_TOKEN:
        for (int node = 0; node >= 0;) node = cop_tree_add(tree, node, 65, -1);
        return;
    case NOT_TOKENS: {
        static const int32_t bad[] = {-1, INT32_MIN, INT32_MAX, 1 << 20};
        for (int i = 0; i < 4; i++) {
            int node = cop_tree_add(tree, COP_TREE_ROOT, bad[i], -1);
            if (node >= 0 && view->n_tokens < o->n_truth) cop_tree_add(tree, node, o->truth[view->n_tokens], -1);
        }
        if (view->n_tokens < o->n_truth) cop_tree_add(tree, COP_TREE_ROOT, o->truth[view->n_tokens], -1);
        return;
    }
    case FULL_TREE:
        propose_chain(o, view, tree, 0);
        for (int i = 0; !cop_tree_is_full(tree) && i < o->V; i++) cop_tree_add(tree, i % tree->n_nodes, i, -2);
        return;
    case DEEP_CHAIN:
        for (int i = 0, node = 0; node >= 0; i++)
            node = cop_tree_add(tree, node, view->n_tokens + i < o->n_truth ? o->truth[view->n_tokens + i] : 66, -1);
        return;
    default: {
        int node = view->n_tokens < o->n_truth ? cop_tree_add(tree, COP_TREE_ROOT, o->truth[view->n_tokens], -1) : COP_TREE_ROOT;
        for (int32_t end = 0; end < o->V && node >= 0; end += 17) cop_tree_add(tree, node, end, -1);
    }
    }
}

static const cop_drafter_type oracle_type = {.name = "oracle", .summary = "test", .source = "test", .propose = propose};

static void attach(cop_session *s, oracle *o) {
    s->drafters[0] = (cop_drafter){.type = &oracle_type, .state = cop_alloc(sizeof *o), .started = true};
    memcpy(s->drafters[0].state, o, sizeof *o);
    s->n_drafters = 1;
}

typedef struct text {
    char v[4096];
    size_t n;
    int stop_after;  // calls, 0: never
} text;

static int on_text(void *user, const char *piece, size_t bytes) {
    text *t = user;
    if (t->n + bytes < sizeof t->v) memcpy(t->v + t->n, piece, bytes), t->n += bytes;
    return t->stop_after && --t->stop_after == 0;
}

static cop_result generate(cop_session *s, int n, text *t) {
    cop_result r;
    if (cop_session_generate(s, n, on_text, t, &r)) fail_msg("%s", cop_error_text());
    return r;
}

static void check_drafts(const char *model, uint64_t seed, int threads) {
    cop_engine *e = engines_open(model, NULL, threads);
    cop_session_options o = seeded(seed);
    cop_session *plain = open_session(e, &o);
    assert_int_equal(cop_session_add_text(plain, prompt, sizeof prompt - 1, 0), COP_OK);
    text want = {.n = 0};
    cop_result r = generate(plain, N, &want);
    for (int kind = 0; kind < N_KINDS; kind++) {
        cop_session *s = open_session(e, &o);
        oracle d = {plain->tokens, plain->n_tokens, kind, e->model->desc.V};
        attach(s, &d);
        assert_int_equal(cop_session_add_text(s, prompt, sizeof prompt - 1, 0), COP_OK);
        text got = {.n = 0};
        cop_result q = generate(s, N, &got);
        if (q.tokens != r.tokens || q.finish != r.finish || got.n != want.n || memcmp(got.v, want.v, want.n) || s->n_tokens != plain->n_tokens ||
            memcmp(s->tokens, plain->tokens, (size_t)s->n_tokens * sizeof *s->tokens))
            fail_msg("%s, seed %d, drafts that are %s: %d tokens, plain %d", model, (int)seed, kinds[kind], q.tokens, r.tokens);
        if (kind == RIGHT) assert_true(q.steps < r.steps / 4 + 2);
        if (kind == ALWAYS_WRONG) assert_true(q.accepted == 0 && q.drafted > 0);
        if (r.tokens < N || kind != RIGHT) assert_true(q.steps <= r.steps);
        cop_session_close(s);
    }
    cop_session_close(plain);
    cop_engine_close(e);
}

static void text_does_not_depend_on_what_was_drafted(void **state) {
    (void)state;
    static const char *const models[] = {"tiny-llama-a", "tiny-qwen2-b", "tiny-gemma3-a", "tiny-q4_k", "tiny-moe-q8_0", "tiny-lfm2-a"};
    for (int m = 0; m < 6; m++)
        for (uint64_t seed = 0; seed < 4; seed++) check_drafts(models[m], seed, 1 + (int)seed % 3);
}

// Every drafter of the table, present and future, at both ends of its options.
static cop_result draft_with(cop_engine *e, cop_session_options o, const char *draft, text *t, cop_session **out) {
    o.draft = draft;
    *out = open_session(e, &o);
    assert_int_equal(cop_session_add_text(*out, repeating, sizeof repeating - 1, 0), COP_OK);
    return generate(*out, 100, t);
}

// A drafter with its options at their defaults, all low, or all high.
static void name_with_options(char *name, size_t bytes, const cop_drafter_type *d, int end) {
    int n = snprintf(name, bytes, "%s", d->name);
    for (const cop_option *o = d->options; end && o && o->name; o++) {
        double v = end == 1 ? o->low : o->high;
        n += snprintf(name + n, bytes - (size_t)n, "%c%s=", o == d->options ? ':' : ',', o->name);
        if (o->kind != COP_OPTION_WORD_KIND) {
            n += snprintf(name + n, bytes - (size_t)n, "%.9g", v);
            continue;
        }
        const char *word = o->words;
        for (int i = 0; i < (int)v; i++) word = strchr(word, '|') + 1;
        n += snprintf(name + n, bytes - (size_t)n, "%.*s", (int)strcspn(word, "|"), word);
    }
}

static void every_drafter_of_the_table_is_lossless(void **state) {
    (void)state;
    static const char *const models[] = {"tiny-llama-a", "tiny-gemma3-a", "tiny-qwen3-b"};
    for (int m = 0; m < 3; m++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            cop_engine *e = engines_open(models[m], NULL, 2);
            cop_session_options o = seeded(seed);
            cop_session *plain, *s;
            text want = {.n = 0}, got;
            cop_result r = draft_with(e, o, "none", &want, &plain);
            for (int i = 0; cop_drafters[i]; i++)
                for (int end = 0; end < 3 && !(cop_drafters[i]->needs & COP_NEEDS_STORE); end++) {
                    char name[512];
                    name_with_options(name, sizeof name, cop_drafters[i], end);
                    got.n = got.stop_after = 0;
                    cop_result q = draft_with(e, o, name, &got, &s);
                    if (q.tokens != r.tokens || q.finish != r.finish || s->n_tokens != plain->n_tokens ||
                        memcmp(s->tokens, plain->tokens, (size_t)s->n_tokens * sizeof *s->tokens))
                        fail_msg("%s, seed %d, --draft %s changed the text", models[m], (int)seed, name);
                    cop_session_close(s);
                }
            cop_session_close(plain);
            cop_engine_close(e);
        }
}

static void a_step_allocates_nothing(void **state) {
    (void)state;
    cop_engine *e = engines_open("tiny-gemma3-a", NULL, 2);
    cop_session_options o = seeded(3);
    cop_session *s = open_session(e, &o);
    int32_t truth[4] = {1, 2, 3, 4};
    oracle d = {truth, 4, FULL_TREE, e->model->desc.V};
    attach(s, &d);
    assert_int_equal(cop_session_add_text(s, prompt, sizeof prompt - 1, 0), COP_OK);
    bool ended;
    assert_int_equal(cop_session_prefill(s, NULL, NULL), COP_OK);
    cop_alloc_forbid(true);
    for (int i = 0; i < 30; i++) assert_int_equal(cop_step(s, &ended), COP_OK);
    cop_alloc_forbid(false);
    assert_int_equal(cop_alloc_breaches(), 0);
    cop_session_close(s);
    cop_engine_close(e);
}

static void no_drafter_allocates_in_a_step(void **state) {
    (void)state;
    cop_engine *e = engines_open("tiny-llama-a", NULL, 1);
    for (int i = 0; cop_drafters[i]; i++) {
        cop_session_options o = seeded(2);
        o.draft = cop_drafters[i]->name;
        if (cop_drafters[i]->needs & (COP_NEEDS_SECOND_MODEL | COP_NEEDS_STORE)) continue;
        cop_session *s = open_session(e, &o);
        assert_int_equal(cop_session_add_text(s, repeating, sizeof repeating - 1, 0), COP_OK);
        assert_int_equal(cop_session_prefill(s, NULL, NULL), COP_OK);
        bool ended;
        cop_alloc_forbid(true);
        for (int step = 0; step < 30; step++) assert_int_equal(cop_step(s, &ended), COP_OK);
        cop_alloc_forbid(false);
        if (cop_alloc_breaches()) fail_msg("drafter %s allocates", o.draft);
        cop_session_close(s);
    }
    cop_engine_close(e);
}

static void check_forks(const char *model) {
    cop_engine *e = engines_open(model, NULL, 2);
    cop_session_options o = seeded(5);
    cop_session *a = open_session(e, &o), *b = open_session(e, &o), *fork;
    assert_int_equal(cop_session_add_text(a, prompt, sizeof prompt - 1, 0), COP_OK);
    text t = {.n = 0};
    generate(a, 20, &t);
    char path[] = "/tmp/coppice-session-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(cop_session_save(a, path), COP_OK);
    assert_int_equal(cop_session_load(b, path), COP_OK);
    assert_int_equal(cop_session_fork(&fork, a), COP_OK);
    cop_result one = generate(a, 20, &t), two = generate(b, 20, &t), three = generate(fork, 20, &t);
    assert_true(one.logits_hash == two.logits_hash && one.logits_hash == three.logits_hash && one.logits_hash != 0);
    assert_memory_equal(a->tokens, b->tokens, (size_t)a->n_tokens * sizeof *a->tokens);
    assert_memory_equal(a->tokens, fork->tokens, (size_t)a->n_tokens * sizeof *a->tokens);
    // A damaged file is refused and the session stays as it was.
    FILE *f = fopen(path, "r+");
    assert_int_equal(fseek(f, 200, SEEK_SET), 0);
    fputc('x', f);
    fclose(f);
    int had = b->n_tokens;
    assert_int_equal(cop_session_load(b, path), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), path));
    assert_int_equal(b->n_tokens, had);
    unlink(path);
    cop_session_close(fork);
    cop_session_close(a);
    cop_session_close(b);
    cop_engine_close(e);
}

static void forks_and_saved_sessions_go_on_alike(void **state) {
    (void)state;
    check_forks("tiny-llama-b");
    check_forks("tiny-lfm2-a");  // convolution states
}

// Longrope: what was computed below the border is of no use beyond it. tiny-phi3-a changes at 32.
static void a_saved_session_stays_on_its_side_of_longrope(void **state) {
    (void)state;
    char path[] = "/tmp/coppice-session-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    static const int contexts[] = {32, 33, 24, 160};
    cop_engine *e = engines_open("tiny-phi3-a", NULL, 1);
    for (int from = 0; from < 2; from++) {
        cop_session_options o = seeded(0);
        o.context = contexts[from];
        cop_session *s = open_session(e, &o);
        assert_int_equal(cop_session_add_text(s, "the cat", 7, 0), COP_OK);
        text t = {.n = 0};
        generate(s, 4, &t);
        assert_int_equal(cop_session_save(s, path), COP_OK);
        cop_session_close(s);
        for (int to = 0; to < 4; to++) {
            o.context = contexts[to];
            s = open_session(e, &o);
            assert_int_equal(cop_session_load(s, path), (contexts[from] > 32) == (contexts[to] > 32) ? COP_OK : COP_ERR_ARG);
            cop_session_close(s);
        }
    }
    cop_engine_close(e);
    unlink(path);
}

// A session with adapters forks, is saved, and goes on alike; a file that was saved without them is not taken for it.
static void sessions_keep_their_adapters(void **state) {
    (void)state;
    static const char *const lora[] = {"tests/data/adapters/llama-a-all.gguf:0.75", "tests/data/adapters/llama-a-some:-1.25"};
    cop_engine *e = engines_open("tiny-llama-a", NULL, 2);
    cop_session_options plain = seeded(2), o = plain;
    o.lora = lora;
    o.n_lora = 2;
    cop_session *a = open_session(e, &o), *b = open_session(e, &o), *none = open_session(e, &plain), *fork;
    assert_int_equal(cop_session_add_text(a, prompt, sizeof prompt - 1, 0), COP_OK);
    assert_int_equal(cop_session_add_text(none, prompt, sizeof prompt - 1, 0), COP_OK);
    text t = {.n = 0};
    assert_true(generate(a, 12, &t).logits_hash != generate(none, 12, &t).logits_hash);
    char path[] = "/tmp/coppice-session-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(cop_session_save(a, path), COP_OK);
    assert_int_equal(cop_session_load(none, path), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "other adapters"));
    assert_int_equal(cop_session_load(b, path), COP_OK);
    unlink(path);
    assert_int_equal(cop_session_fork(&fork, a), COP_OK);
    cop_result one = generate(a, 20, &t), two = generate(b, 20, &t);
    cop_session_close(a);
    cop_session_close(b);
    assert_true(one.logits_hash == two.logits_hash && one.logits_hash == generate(fork, 20, &t).logits_hash);
    // Beside it, without adapters: nothing of what was computed with them may be used.
    cop_session *beside, *again = open_session(e, &plain);
    assert_int_equal(cop_session_open_beside(&beside, fork, &plain), COP_OK);
    size_t n;
    const int32_t *tokens = cop_session_tokens(fork, &n);
    assert_int_equal(cop_session_set_tokens(again, tokens, n), COP_OK);
    assert_true(generate(beside, 8, &t).logits_hash == generate(again, 8, &t).logits_hash);
    cop_session_close(again);
    cop_session_close(beside);
    cop_session_close(fork);
    cop_session_close(none);
    assert_null(e->adapters);  // each was let go with its last session
    cop_engine_close(e);
}

static void check_new_end(const char *model) {
    cop_engine *e = engines_open(model, NULL, 1);
    cop_session_options o = seeded(0);
    cop_session *a = open_session(e, &o), *b = open_session(e, &o);
    int32_t tokens[40];
    for (int i = 0; i < 40; i++) tokens[i] = 30 + (i * 7) % 150;
    text t = {.n = 0};
    assert_int_equal(cop_session_set_tokens(a, tokens, 40), COP_OK);
    generate(a, 10, &t);
    tokens[35] = 31;
    assert_int_equal(cop_session_set_tokens(a, tokens, 40), COP_OK);
    assert_int_equal(cop_session_computed(a), 35);
    assert_int_equal(cop_session_set_tokens(b, tokens, 40), COP_OK);
    assert_true(generate(a, 10, &t).logits_hash == generate(b, 10, &t).logits_hash);
    assert_int_equal(cop_session_set_tokens(a, tokens, 12), COP_OK);
    assert_int_equal(cop_session_computed(a), 11);
    cop_session_close(a);
    cop_session_close(b);
    cop_engine_close(e);
}

static void a_new_end_keeps_what_is_computed_of_the_beginning(void **state) {
    (void)state;
    check_new_end("tiny-qwen2-a");
    check_new_end("tiny-lfm2-b");
}

static void every_end_is_clean(void **state) {
    (void)state;
    cop_engine *e = engines_open("tiny-llama-a", NULL, 2);
    cop_session_options o = seeded(0);
    o.context = 40;
    cop_session *s = open_session(e, &o);
    text t = {.n = 0};
    assert_int_equal(cop_session_add_text(s, prompt, sizeof prompt - 1, 0), COP_OK);
    cop_result r = generate(s, 1000, &t);
    assert_int_equal(r.finish, COP_FINISH_CONTEXT);
    assert_int_equal(s->n_tokens, 40);
    bool ended;
    assert_int_equal(cop_step(s, &ended), COP_ERR_LIMIT);
    assert_int_equal(generate(s, 5, &t).finish, COP_FINISH_CONTEXT);

    o.context = 160;
    cop_session *c = open_session(e, &o);
    text stop = {.stop_after = 3};
    assert_int_equal(cop_session_add_text(c, prompt, sizeof prompt - 1, 0), COP_OK);
    assert_int_equal(generate(c, 100, &stop).finish, COP_FINISH_CANCELLED);
    assert_int_equal(generate(c, 4, &t).tokens, 4);  // and it goes on
    cop_session_close(c);
    cop_session_close(s);
    cop_engine_close(e);
}

// The text with a stop string is the text without, cut before its first occurrence.
static void a_stop_string_cuts_before_itself(void **state) {
    (void)state;
    cop_engine *e = engines_open("tiny-llama-a", NULL, 1);
    cop_session_options o = seeded(6);
    cop_session *s = open_session(e, &o);
    text whole = {.n = 0};
    assert_int_equal(cop_session_add_text(s, prompt, sizeof prompt - 1, 0), COP_OK);
    generate(s, 100, &whole);
    cop_session_close(s);
    for (size_t at = 5; at + 4 < whole.n && at < 60; at += 9) {
        char stop[4] = {0};
        memcpy(stop, whole.v + at, 3);
        if (memchr(stop, 0, 3)) continue;
        const char *stops[] = {"never seen", stop};
        o.stop = stops;
        o.n_stop = 2;
        s = open_session(e, &o);
        text cut = {.n = 0};
        assert_int_equal(cop_session_add_text(s, prompt, sizeof prompt - 1, 0), COP_OK);
        cop_result r = generate(s, 100, &cut);
        const char *first = memmem(whole.v, whole.n, stop, 3);
        assert_int_equal(r.finish, COP_FINISH_STOP);
        assert_int_equal(cut.n, first - whole.v);
        assert_memory_equal(cut.v, whole.v, cut.n);
        cop_session_close(s);
    }
    cop_engine_close(e);
}

static int on_whole(void *user, const char *piece, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        int n = cop_utf8_length(piece + i, bytes - i);
        if (!n) fail_msg("a piece of %zu bytes is cut in a character", bytes);
        *(int *)user += n > 1;
        i += (size_t)n;
    }
    return 0;
}

// Also while text is held back because a stop string may begin there.
static void text_comes_in_whole_characters(void **state) {
    (void)state;
    static const char *const stops[] = {"never seen", "\xef\xbf\xbd\xef\xbf\xbdz"};
    cop_engine *e = engines_open("tiny-llama-a", NULL, 1);
    int n_long = 0;
    for (int n = 0; n < 3; n++) {
        cop_session_options o = seeded(6);
        o.stop = stops;
        o.n_stop = n;
        cop_session *s = open_session(e, &o);
        assert_int_equal(cop_session_add_text(s, prompt, sizeof prompt - 1, 0), COP_OK);
        if (cop_session_generate(s, 100, on_whole, &n_long, NULL)) fail_msg("%s", cop_error_text());
        cop_session_close(s);
    }
    assert_true(n_long > 3);
    cop_engine_close(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_does_not_depend_on_what_was_drafted),
        cmocka_unit_test(every_drafter_of_the_table_is_lossless),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(no_drafter_allocates_in_a_step),
        cmocka_unit_test(forks_and_saved_sessions_go_on_alike),
        cmocka_unit_test(a_saved_session_stays_on_its_side_of_longrope),
        cmocka_unit_test(sessions_keep_their_adapters),
        cmocka_unit_test(a_new_end_keeps_what_is_computed_of_the_beginning),
        cmocka_unit_test(every_end_is_clean),
        cmocka_unit_test(a_stop_string_cuts_before_itself),
        cmocka_unit_test(text_comes_in_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

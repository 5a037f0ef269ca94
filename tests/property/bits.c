// The first promise: a row's logits are the same bits alone, in trees and batches, beside strangers, on
// any number of threads, at every CPU level, with shared prefixes, before and after commit and rollback.
// The meaning is one row at a time on one thread at the scalar level; everything else is compared with it.
// build/tests/property/bits NAME ... tries these models only.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "support/model.h"

#define PREFIX 70   // committed tokens: more than a page
#define PATHS 24    // further tokens of the straight path
#define TREE 64

static const char *const models[] = {
    "tiny-llama-a", "tiny-llama-b", "tiny-mistral", "tiny-mixtral-a", "tiny-mixtral-b",
    "tiny-qwen2-a", "tiny-qwen2-b", "tiny-qwen3-a", "tiny-qwen3-b",
    "tiny-qwen3moe-a", "tiny-qwen3moe-b",
    "tiny-gemma2-a", "tiny-gemma2-b", "tiny-gemma3-a", "tiny-gemma3-b",
    "tiny-granite-a", "tiny-granite-b",
    "tiny-lfm2-a", "tiny-lfm2-b",
    "tiny-olmo2-a", "tiny-olmo2-b", "tiny-olmo3",
    "tiny-smollm3-a", "tiny-smollm3-b",
    "tiny-gpt2-a", "tiny-gpt2-b", "tiny-starcoder-a", "tiny-starcoder-b",
    "tiny-starcoder2-a", "tiny-starcoder2-b",
    "tiny-phi3-a", "tiny-phi3-b",
    "tiny-moe-q8_0", "tiny-lfm2-q8_0", "tiny-gpt2-q8_0",
    "tiny-f16", "tiny-bf16",
    "tiny-q8_0", "tiny-q4_0", "tiny-iq4_nl", "tiny-q4_1", "tiny-q5_0", "tiny-q5_1", "tiny-q4_k", "tiny-q5_k", "tiny-q6_k",
    "tiny-q2_k", "tiny-q3_k", "tiny-iq4_xs", "tiny-mxfp4"};
#define N_MODELS ((int)(sizeof models / sizeof *models))

static char **wanted;  // names of models, NULL behind the last; none: all

static bool is_wanted(int m) {
    for (char **name = wanted; *name; name++)
        if (!strcmp(*name, models[m])) return true;
    return !*wanted;
}

static int32_t token(int V, uint64_t seed, uint64_t i) { return (int32_t)(cop_noise_bits(seed, COP_NOISE_DRAFT, i, 0) % (uint64_t)V); }

// A random tree below the straight path's prefix, and what each node's row has to be.
typedef struct scene {
    char path[128];
    const char *name;
    int V;
    int32_t straight[PREFIX + PATHS];
    int n_nodes, parent[TREE];
    int32_t node[TREE];
    float *straight_logits;  // [PREFIX + PATHS][V]
    float *tree_logits;      // [TREE][V]
} scene;

static void make_tree(scene *s, uint64_t seed, int n) {
    s->n_nodes = n;
    for (int i = 0; i < n; i++) {
        uint64_t r = cop_noise_bits(seed, COP_NOISE_ACCEPT, (uint64_t)i, 1);
        s->parent[i] = i == 0 ? -1 : (int)(r % 3 == 0 ? r / 3 % (uint64_t)i : (uint64_t)(i - 1) - r / 3 % (uint64_t)(i < 4 ? i : 4));
        s->node[i] = token(s->V, seed, (uint64_t)(1000 + i));
    }
}

static int path_of(const scene *s, int node, int32_t *out) {
    int n = 0, chain[TREE];
    for (int i = node; i >= 0; i = s->parent[i]) chain[n++] = i;
    for (int i = 0; i < n; i++) out[i] = s->node[chain[n - 1 - i]];
    return n;
}

static cop_seq *new_seq(cop_test_model *t) {
    cop_seq *seq;
    if (cop_seq_new(&seq, t->cache, 512)) fail_msg("%s", cop_error_text());
    return seq;
}

// The meaning: every path of the tree decoded as its own sequence, one row at a time.
static void expect(scene *s, cop_kv_type type) {
    cop_test_model t;
    cop_test_open(&t, s->path, 1, "scalar", type, 8, 1);
    s->V = t.model->desc.V;
    for (int i = 0; i < PREFIX + PATHS; i++) s->straight[i] = token(s->V, 7, (uint64_t)i);
    make_tree(s, 11, TREE);
    size_t row = (size_t)s->V * sizeof(float);
    s->straight_logits = cop_alloc_array(PREFIX + PATHS, row);
    s->tree_logits = cop_alloc_array(TREE, row);
    cop_seq *seq = new_seq(&t);
    cop_test_chain(&t, seq, s->straight, PREFIX + PATHS, 1, s->straight_logits);
    for (int i = 0; i < TREE; i++) {
        int32_t tokens[TREE];
        int n = path_of(s, i, tokens);
        cop_seq_truncate(seq, PREFIX);
        if (n > 1) cop_test_chain(&t, seq, tokens, n - 1, 1, NULL);
        cop_test_chain(&t, seq, tokens + n - 1, 1, 1, s->tree_logits + (size_t)i * (size_t)s->V);
    }
    cop_seq_free(seq);
    cop_test_close(&t);
}

static void same(const scene *s, const float *got, const float *want, const char *what, int i) {
    if (!memcmp(got, want, (size_t)s->V * sizeof(float))) return;
    for (int v = 0; v < s->V; v++)
        if (memcmp(&got[v], &want[v], sizeof(float))) fail_msg("%s: %s, row %d, logit %d: %.9g, alone %.9g", s->name, what, i, v, (double)got[v], (double)want[v]);
}

static int tree_rows(const scene *s, cop_row *rows, int first, cop_seq *seq, int n) {
    for (int i = 0; i < n; i++)
        rows[first + i] = (cop_row){.seq = seq, .token = s->node[i], .parent = s->parent[i] < 0 ? -1 : first + s->parent[i], .want_logits = true};
    return first + n;
}

static void forward(cop_test_model *t, const cop_row *rows, int n) {
    if (cop_model_forward(t->model, t->ws, rows, n, NULL)) fail_msg("%s", cop_error_text());
}

// Trees of several sizes on a fresh prefix read in chunks; then commit a path, and decode on.
static void check_trees(const scene *s, cop_test_model *t, const char *what) {
    cop_row rows[256];
    float *chunked = cop_alloc_array(PREFIX + PATHS, (size_t)s->V * sizeof(float));
    cop_seq *seq = new_seq(t);
    static const int chunks[] = {1, 2, 3, 5, 16, 17, 33, 64, 94};
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        cop_seq_truncate(seq, 0);
        cop_test_chain(t, seq, s->straight, PREFIX + PATHS, chunks[c], chunked);
        for (int i = 0; i < PREFIX + PATHS; i++) same(s, chunked + (size_t)i * (size_t)s->V, s->straight_logits + (size_t)i * (size_t)s->V, what, i);
    }
    cop_seq_truncate(seq, PREFIX);
    for (int n = 1; n <= TREE; n += n < 9 ? 1 : 11) {
        if (cop_seq_reserve(seq, n)) fail_msg("%s", cop_error_text());
        tree_rows(s, rows, 0, seq, n);
        forward(t, rows, n);
        for (int i = 0; i < n; i++) same(s, cop_workspace_logits(t->ws, i), s->tree_logits + (size_t)i * (size_t)s->V, what, i);
        cop_seq_commit(seq, NULL, 0);
    }
    cop_seq_free(seq);
    cop_free(chunked);
}

// A tree that grows: a part in one forward, the rest in others behind it, as a draft model computes its levels.
static void check_grown(const scene *s, cop_test_model *t, const char *what) {
    cop_row rows[256];
    cop_seq *seq = new_seq(t);
    float *unused = cop_alloc_array(PREFIX, (size_t)s->V * sizeof(float));
    cop_test_chain(t, seq, s->straight, PREFIX, 32, unused);
    if (cop_seq_reserve(seq, TREE)) fail_msg("%s", cop_error_text());
    tree_rows(s, rows, 0, seq, TREE);
    for (int done = 0, n = 1; done < TREE; done += n, n = n * 2 + 1) {
        if (n > TREE - done) n = TREE - done;
        if (cop_model_forward(t->model, t->ws, rows, done + n, &(cop_forward_options){.computed = done})) fail_msg("%s", cop_error_text());
        for (int i = 0; i < n; i++) same(s, cop_workspace_logits(t->ws, i), s->tree_logits + (size_t)(done + i) * (size_t)s->V, what, done + i);
    }
    cop_seq_free(seq);
    cop_free(unused);
}

// Accept a path inside the tree: what follows has the bits of the plain sequence.
static void check_commit(const scene *s, cop_test_model *t) {
    cop_row rows[256];
    for (int last = TREE - 1; last > TREE - 6; last--) {
        cop_seq *seq = new_seq(t), *plain = new_seq(t);
        cop_test_chain(t, seq, s->straight, PREFIX, 64, NULL);
        if (cop_seq_share(plain, seq, PREFIX)) fail_msg("%s", cop_error_text());
        if (cop_seq_reserve(seq, TREE)) fail_msg("%s", cop_error_text());
        tree_rows(s, rows, 0, seq, TREE);
        forward(t, rows, TREE);
        int path[TREE], n = 0;
        int32_t tokens[TREE];
        for (int i = last; i >= 0; i = s->parent[i]) path[n++] = i;
        for (int i = 0; i < n / 2; i++) {
            int swap = path[i];
            path[i] = path[n - 1 - i];
            path[n - 1 - i] = swap;
        }
        path_of(s, last, tokens);
        cop_seq_commit(seq, path, n);
        cop_test_chain(t, plain, tokens, n, 1, NULL);
        float *a = cop_alloc_array(8, (size_t)s->V * sizeof(float)), *b = cop_alloc_array(8, (size_t)s->V * sizeof(float));
        cop_test_chain(t, seq, s->straight, 8, 3, a);
        cop_test_chain(t, plain, s->straight, 8, 1, b);
        for (int i = 0; i < 8; i++) same(s, a + (size_t)i * (size_t)s->V, b + (size_t)i * (size_t)s->V, "after commit", i);
        cop_free(a);
        cop_free(b);
        cop_seq_free(seq);
        cop_seq_free(plain);
    }
}

// Three sequences in one forward: a prefill chunk, the tree, and a single row of a shared prefix.
static void check_strangers(const scene *s, cop_test_model *t) {
    cop_row rows[256];
    cop_seq *first = new_seq(t), *tree = new_seq(t), *third = new_seq(t);
    cop_test_chain(t, first, s->straight, 20, 7, NULL);
    cop_test_chain(t, tree, s->straight, PREFIX, 64, NULL);
    if (cop_seq_share(third, tree, 66)) fail_msg("%s", cop_error_text());
    assert_int_equal(cop_seq_reserve(first, 30), COP_OK);
    assert_int_equal(cop_seq_reserve(tree, 40), COP_OK);
    assert_int_equal(cop_seq_reserve(third, 1), COP_OK);
    int n = 0;
    for (; n < 30; n++) rows[n] = (cop_row){.seq = first, .token = s->straight[20 + n], .parent = n - 1, .want_logits = true};
    n = tree_rows(s, rows, n, tree, 40);
    rows[n++] = (cop_row){.seq = third, .token = s->straight[66], .parent = -1, .want_logits = true};
    forward(t, rows, n);
    size_t V = (size_t)s->V;
    for (int i = 0; i < 30; i++) same(s, cop_workspace_logits(t->ws, i), s->straight_logits + (size_t)(20 + i) * V, "prefill beside strangers", i);
    for (int i = 0; i < 40; i++) same(s, cop_workspace_logits(t->ws, 30 + i), s->tree_logits + (size_t)i * V, "tree beside strangers", i);
    same(s, cop_workspace_logits(t->ws, 70), s->straight_logits + 66 * V, "row on a shared prefix", 0);
    cop_seq_free(first);
    cop_seq_free(tree);
    cop_seq_free(third);
}

static void check_model(int m, cop_kv_type type) {
    scene s = {.name = models[m]};
    snprintf(s.path, sizeof s.path, "tests/data/%s.gguf", models[m]);
    expect(&s, type);
    const char *levels[4];
    int n_levels = cop_test_levels(levels);
    for (int l = 0; l < n_levels; l++)
        for (int threads = 1; threads <= 4; threads += l == n_levels - 1 ? 1 : 3) {
            char what[64];
            snprintf(what, sizeof what, "%s, %d threads", levels[l], threads);
            cop_test_model t;
            cop_test_open(&t, s.path, threads, levels[l], type, 64, 128);
            check_trees(&s, &t, what);
            check_grown(&s, &t, what);
            check_commit(&s, &t);
            check_strangers(&s, &t);
            cop_test_close(&t);
        }
    cop_free(s.straight_logits);
    cop_free(s.tree_logits);
}

static void a_rows_bits_depend_on_its_own_path_only(void **state) {
    (void)state;
    for (int m = 0; m < N_MODELS; m++)
        if (is_wanted(m)) check_model(m, COP_KV_F16);
}

// One with windows, one with quantised weights, one with experts and one with convolutions; heads are whole blocks of 32.
static bool has_cache_cases(int m) {
    static const char *const names[] = {"tiny-gemma3-a", "tiny-q4_k", "tiny-moe-q8_0", "tiny-lfm2-q8_0", "tiny-gpt2-q8_0"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(models[m], names[i])) return true;
    return false;
}

static void so_they_do_with_every_cache_type(void **state) {
    (void)state;
    for (int type = 0; type < COP_N_KV_TYPES; type++)
        for (int m = 0; m < N_MODELS; m++)
            if (type != COP_KV_F16 && is_wanted(m) && has_cache_cases(m)) check_model(m, (cop_kv_type)type);
}

int main(int argc, char **argv) {
    wanted = argv + (argc > 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rows_bits_depend_on_its_own_path_only),
        cmocka_unit_test(so_they_do_with_every_cache_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

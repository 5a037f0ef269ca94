// Adapters keep the first promise: a row has the bits of its own path and its own adapters, whatever the rows beside it
// name, and a row that names none has the bits of the plain model.
// The meaning is one row at a time on one thread at the scalar level.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "support/adapters.h"
#include "support/model.h"

#define T 44      // tokens of a sequence
#define N_SETS 5  // what the sequences name
#define TREE 24

static const char *const models[] = {"tiny-llama-a", "tiny-f16", "tiny-q4_k", "tiny-gemma3-b", "tiny-moe-q8_0", "tiny-lfm2-q8_0"};

typedef struct scene {
    cop_test_model t;
    const char *name;
    cop_adapter *one, *two;
    cop_adapter_set sets[N_SETS];
    int V;
    int32_t tokens[T];
} scene;

static void open_scene(scene *s, const char *model, int threads, const char *level) {
    char path[128];
    snprintf(path, sizeof path, "tests/data/%s.gguf", model);
    *s = (scene){.name = model};
    cop_test_open(&s->t, path, threads, level, COP_KV_F16, 12, 128);
    s->V = s->t.model->desc.V;
    s->one = cop_test_adapter(s->t.model, 5, 5, COP_TEST_ALL);
    s->two = cop_test_adapter(s->t.model, 6, 24, COP_TEST_ATTENTION | COP_TEST_MLP);
    s->sets[1] = (cop_adapter_set){1, {s->one}, {0.5f}};
    s->sets[2] = (cop_adapter_set){2, {s->one, s->two}, {-1.0f, 0.7f}};
    s->sets[3] = (cop_adapter_set){2, {s->two, s->one}, {0.7f, -1.0f}};
    s->sets[4] = (cop_adapter_set){1, {s->one}, {0.25f}};
    for (int i = 1; i < N_SETS; i++)
        if (cop_workspace_reserve_adapters(s->t.ws, &s->sets[i])) fail_msg("%s", cop_error_text());
    for (int i = 0; i < T; i++) s->tokens[i] = (int32_t)(cop_noise_bits(3, COP_NOISE_DRAFT, (uint64_t)i, 0) % (uint64_t)s->V);
}

static void close_scene(scene *s) {
    cop_adapter_close(s->one);
    cop_adapter_close(s->two);
    cop_test_close(&s->t);
}

static cop_seq *new_seq(scene *s) {
    cop_seq *seq;
    if (cop_seq_new(&seq, s->t.cache, 256)) fail_msg("%s", cop_error_text());
    return seq;
}

static void forward(scene *s, const cop_row *rows, int n) {
    if (cop_model_forward(s->t.model, s->t.ws, rows, n, NULL)) fail_msg("%s", cop_error_text());
}

// The tokens from..to-1 of set's sequence in chunks, logits into out[T][V].
static void run(scene *s, cop_seq *seq, int set, int to, int chunk, float *out) {
    for (int at = cop_seq_length(seq); at < to;) {
        cop_row rows[64];
        int n = to - at < chunk ? to - at : chunk;
        for (int i = 0; i < n; i++)
            rows[i] = (cop_row){.seq = seq, .token = s->tokens[at + i], .adapters = set ? &s->sets[set] : NULL, .parent = i - 1, .want_logits = true};
        if (cop_seq_reserve(seq, n)) fail_msg("%s", cop_error_text());
        forward(s, rows, n);
        for (int i = 0; i < n; i++) memcpy(out + (size_t)(at + i) * (size_t)s->V, cop_workspace_logits(s->t.ws, i), (size_t)s->V * sizeof(float));
        cop_seq_commit(seq, NULL, n);
        at += n;
    }
}

static void same(const scene *s, const float *got, const float *want, const char *what, int set, int i) {
    if (memcmp(got, want, (size_t)s->V * sizeof(float))) fail_msg("%s: %s, set %d, row %d differs from the row alone", s->name, what, set, i);
}

static float *expect(const char *model) {
    scene s;
    open_scene(&s, model, 1, "scalar");
    size_t size = (size_t)T * (size_t)s.V;
    float *want = cop_alloc_array(N_SETS * size, sizeof *want);
    for (int set = 0; set < N_SETS; set++) {
        cop_seq *seq = new_seq(&s);
        run(&s, seq, set, T, 1, want + (size_t)set * size);
        cop_seq_free(seq);
        for (int other = 0; other < set; other++)  // every set says something of its own, in some row
            if (!memcmp(want + (size_t)set * size, want + (size_t)other * size, size * sizeof *want)) fail_msg("%s: sets %d and %d agree", model, set, other);
    }
    close_scene(&s);
    return want;
}

static void check_chunks(scene *s, const float *want, const char *what) {
    float *got = cop_alloc_array((size_t)T * (size_t)s->V, sizeof *got);
    static const int chunks[] = {2, 17, 44};
    for (int set = 0; set < N_SETS; set++)
        for (int c = 0; c < 3; c++) {
            cop_seq *seq = new_seq(s);
            run(s, seq, set, T, chunks[c], got);
            for (int i = 0; i < T; i++) same(s, got + (size_t)i * (size_t)s->V, want + (size_t)(set * T + i) * (size_t)s->V, what, set, i);
            cop_seq_free(seq);
        }
    cop_free(got);
}

// One forward with all sets: chunks of unequal length, only some rows with logits, and one set's row between others.
static void check_strangers(scene *s, const float *want, const char *what) {
    cop_seq *seqs[N_SETS];
    cop_row rows[128];
    static const int had[N_SETS] = {20, 3, 0, 11, 30}, more[N_SETS] = {19, 20, 21, 1, 14};
    float *unused = cop_alloc_array((size_t)T * (size_t)s->V, sizeof *unused);
    int n = 0, first[N_SETS];
    for (int set = 0; set < N_SETS; set++) {
        seqs[set] = new_seq(s);
        run(s, seqs[set], set, had[set], 7, unused);
    }
    for (int k = 0; k < N_SETS; k++) {
        int set = (k * 2 + 1) % N_SETS;
        first[set] = n;
        assert_int_equal(cop_seq_reserve(seqs[set], more[set]), COP_OK);
        for (int i = 0; i < more[set]; i++, n++)
            rows[n] = (cop_row){.seq = seqs[set], .token = s->tokens[had[set] + i], .adapters = set ? &s->sets[set] : NULL,
                                .parent = i ? n - 1 : -1, .want_logits = i % 3 != 1};
    }
    forward(s, rows, n);
    for (int set = 0; set < N_SETS; set++)
        for (int i = 0; i < more[set]; i++)
            if (rows[first[set] + i].want_logits)
                same(s, cop_workspace_logits(s->t.ws, first[set] + i), want + (size_t)(set * T + had[set] + i) * (size_t)s->V, what, set, i);
    for (int set = 0; set < N_SETS; set++) cop_seq_free(seqs[set]);
    cop_free(unused);
}

// A comb of a tree: the straight path with a wrong child at every node; then the path is committed and continued.
static void check_tree(scene *s, const float *want, const char *what) {
    for (int set = 0; set < N_SETS; set++) {
        cop_seq *seq = new_seq(s);
        cop_row rows[TREE];
        int path[TREE], n_path = 0;
        float *got = cop_alloc_array((size_t)T * (size_t)s->V, sizeof *got);
        run(s, seq, set, 20, 20, got);
        assert_int_equal(cop_seq_reserve(seq, TREE), COP_OK);
        for (int i = 0; i < TREE; i++) {
            bool straight = i % 2 == 0;
            rows[i] = (cop_row){.seq = seq, .token = straight ? s->tokens[20 + i / 2] : (s->tokens[20 + i / 2] + 1) % s->V,
                                .adapters = set ? &s->sets[set] : NULL, .parent = i < 2 ? -1 : (i - 2) / 2 * 2, .want_logits = true};
            if (straight) path[n_path++] = i;
        }
        forward(s, rows, TREE);
        for (int i = 0; i < n_path; i++) same(s, cop_workspace_logits(s->t.ws, path[i]), want + (size_t)(set * T + 20 + i) * (size_t)s->V, what, set, i);
        cop_seq_commit(seq, path, n_path);
        run(s, seq, set, T, 5, got);
        for (int i = 20 + n_path; i < T; i++) same(s, got + (size_t)i * (size_t)s->V, want + (size_t)(set * T + i) * (size_t)s->V, "after commit", set, i);
        cop_seq_free(seq);
        cop_free(got);
    }
}

static void a_rows_bits_depend_on_its_path_and_its_adapters_only(void **state) {
    (void)state;
    const char *levels[4];
    int n_levels = cop_test_levels(levels);
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        float *want = expect(models[m]);
        for (int l = 0; l < n_levels; l++)
            for (int threads = l == n_levels - 1 ? 1 : 3; threads <= 3; threads += 2) {
                char what[64];
                scene s;
                snprintf(what, sizeof what, "%s, %d threads", levels[l], threads);
                open_scene(&s, models[m], threads, levels[l]);
                check_chunks(&s, want, what);
                check_strangers(&s, want, what);
                check_tree(&s, want, what);
                close_scene(&s);
            }
        cop_free(want);
    }
}

static void adapters_without_room_or_of_another_model_are_refused(void **state) {
    (void)state;
    scene a, b;
    open_scene(&a, "tiny-llama-a", 1, NULL);
    open_scene(&b, "tiny-q8_0", 1, NULL);
    cop_seq *seq = new_seq(&a);
    assert_int_equal(cop_seq_reserve(seq, 1), COP_OK);
    cop_row row = {.seq = seq, .token = 1, .adapters = &b.sets[1], .parent = -1};
    assert_int_equal(cop_model_forward(a.t.model, a.t.ws, &row, 1, NULL), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "of another model"));
    cop_workspace *small;
    assert_int_equal(cop_workspace_new(&small, a.t.model, 4, 4, 64), COP_OK);
    row.adapters = &a.sets[2];
    assert_int_equal(cop_model_forward(a.t.model, small, &row, 1, NULL), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "has room for 0"));
    cop_workspace_free(small);
    cop_seq_free(seq);
    close_scene(&a);
    close_scene(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rows_bits_depend_on_its_path_and_its_adapters_only),
        cmocka_unit_test(adapters_without_room_or_of_another_model_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

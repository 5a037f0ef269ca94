// Groups of layers whose attention reads one input, against the same put together from single sublayers.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "support/model.h"

#define ROWS 3
#define PREFIX 10

typedef struct scene {
    cop_test_model t;
    cop_workspace *grouped;
    cop_seq *seq;
    cop_row rows[ROWS];
    int D, L, V;
} scene;

static void open_scene(scene *s, const char *path, int threads, int group) {
    cop_test_open(&s->t, path, threads, NULL, COP_KV_F32, 8, 32);
    s->D = s->t.model->desc.D;
    s->L = s->t.model->desc.L;
    s->V = s->t.model->desc.V;
    assert_int_equal(cop_workspace_new_grouped(&s->grouped, s->t.model, 32, 8, 512, group), COP_OK);
    assert_int_equal(cop_seq_new(&s->seq, s->t.cache, 128), COP_OK);
    int32_t text[PREFIX];
    for (int i = 0; i < PREFIX; i++) text[i] = 10 + 7 * i % 200;
    cop_test_chain(&s->t, s->seq, text, PREFIX, 5, NULL);
    for (int i = 0; i < ROWS; i++) s->rows[i] = (cop_row){.seq = s->seq, .token = 40 + i, .parent = i == 2 ? 0 : i - 1, .want_logits = true};
    assert_int_equal(cop_seq_reserve(s->seq, ROWS), COP_OK);
}

static void close_scene(scene *s) {
    cop_workspace_free(s->grouped);
    cop_seq_free(s->seq);
    cop_test_close(&s->t);
}

// Layers first … end-1 without the sublayers that are skipped, from x to x.
static void sublayers(scene *s, float *x, int first, int end, bool attention, bool mlp) {
    static const uint64_t all = UINT64_MAX;
    float *y = cop_alloc_array((size_t)(ROWS * s->D), sizeof *y);
    const cop_tap tap = {end - 1, y};
    const cop_forward_options o = {.first_layer = first, .end_layer = end, .inject = x, .taps = &tap, .n_taps = 1,
                                   .skip_attention = attention ? NULL : &all, .skip_mlp = mlp ? NULL : &all};
    if (cop_model_forward(s->t.model, s->t.ws, s->rows, ROWS, &o)) fail_msg("%s", cop_error_text());
    memcpy(x, y, (size_t)(ROWS * s->D) * sizeof *x);
    cop_free(y);
}

static void check(const char *path, int threads, int group) {
    scene s;
    open_scene(&s, path, threads, group);
    size_t n = (size_t)(ROWS * s.D);
    float *x = cop_alloc_array(n, sizeof *x), *input = cop_alloc_array(n, sizeof *x), *part = cop_alloc_array(n, sizeof *x);
    float *got = cop_alloc_array(n, sizeof *x);
    const cop_tap start = {-1, x}, end = {s.L - 1, got};
    assert_int_equal(cop_model_forward(s.t.model, s.t.ws, s.rows, ROWS, &(cop_forward_options){.taps = &start, .n_taps = 1}), COP_OK);
    sublayers(&s, x, 0, 1, true, true);
    for (int layer = 1; layer < s.L; layer++) {
        int first = 1 + (layer - 1) / group * group;
        bool grouped = first + group <= s.L - 1;
        if (!grouped) {
            sublayers(&s, x, layer, layer + 1, true, true);
            continue;
        }
        if (layer == first) memcpy(input, x, n * sizeof *x);
        memcpy(part, input, n * sizeof *x);
        sublayers(&s, part, layer, layer + 1, true, false);
        for (size_t i = 0; i < n; i++) x[i] += part[i] - input[i];
        sublayers(&s, x, layer, layer + 1, false, true);
    }
    if (cop_model_forward(s.t.model, s.grouped, s.rows, ROWS, &(cop_forward_options){.group = group, .taps = &end, .n_taps = 1})) fail_msg("%s", cop_error_text());
    for (size_t i = 0; i < n; i++)
        if (fabsf(got[i] - x[i]) > 2e-4f * (1 + fabsf(x[i]))) fail_msg("%s, groups of %d: element %zu is %g, must be %g", path, group, i, (double)got[i], (double)x[i]);
    cop_free(x);
    cop_free(input);
    cop_free(part);
    cop_free(got);
    close_scene(&s);
}

static void a_group_is_what_its_sublayers_give(void **state) {
    (void)state;
    static const char *const paths[] = {"tests/data/tiny-gemma3-a.gguf", "tests/data/tiny-qwen3-a.gguf", "tests/data/tiny-gemma2-a.gguf", "tests/data/tiny-smollm3-a.gguf"};
    for (int i = 0; i < 4; i++)
        for (int threads = 1; threads < 4; threads++)
            for (int group = 2; group < 5; group++) check(paths[i], threads, group);
}

static void without_room_for_a_group_layers_run_one_by_one(void **state) {
    (void)state;
    scene s;
    open_scene(&s, "tests/data/tiny-gemma3-a.gguf", 2, 0);
    size_t bytes = (size_t)s.V * sizeof(float);
    float *plain = cop_alloc(bytes);
    assert_int_equal(cop_model_forward(s.t.model, s.t.ws, s.rows, ROWS, NULL), COP_OK);
    memcpy(plain, cop_workspace_logits(s.t.ws, 2), bytes);
    assert_int_equal(cop_model_forward(s.t.model, s.t.ws, s.rows, ROWS, &(cop_forward_options){.group = 4}), COP_OK);
    assert_memory_equal(plain, cop_workspace_logits(s.t.ws, 2), bytes);
    cop_free(plain);
    close_scene(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_what_its_sublayers_give),
        cmocka_unit_test(without_room_for_a_group_layers_run_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

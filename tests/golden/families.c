// Logits and hidden states of tiny random models against those that the reference library recorded.
// The files' format: tests/golden/README.md.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "model/adapter.h"
#include "support/model.h"

#define MOST_TOKENS 128
#define MOST_LINE (1 << 20)

typedef struct golden {
    FILE *file;
    char *line;
    int V, D, L, T;
    double exact, rounded;
    int32_t ids[MOST_TOKENS];
    cop_test_model model;
    float *logits;  // [T][V]
    float *hidden;  // [L + 2][T][D]
    double worst;   // largest error seen, in tolerances
    const char *name;
    cop_adapter_set adapters;
} golden;

static int numbers(const char *text, double *out, int most) {
    int n = 0;
    for (char *end; n < most; n++) {
        out[n] = strtod(text, &end);
        if (end == text) break;
        text = end;
    }
    return n;
}

static bool exact_weights(const golden *g) { return g->model.model->layers[0].up.w.type == COP_F32; }

static void near(golden *g, double got, double want, const char *what, int position, int i) {
    double tolerance = exact_weights(g) ? g->exact : g->rounded;
    double allowed = tolerance + 1e-3 * fabs(want) * (exact_weights(g) ? 1 : 0), error = fabs(got - want);
    if (error / allowed > g->worst) g->worst = error / allowed;
    if (!(error <= allowed)) fail_msg("%s: %s, position %d, element %d: %.8g, expected %.8g +- %.2g", g->name, what, position, i, got, want, allowed);
}

static void evaluate(golden *g) {
    cop_test_model *t = &g->model;
    cop_seq *seq;
    assert_int_equal(cop_seq_new(&seq, t->cache, g->T), COP_OK);
    cop_row rows[MOST_TOKENS];
    cop_tap taps[40];
    size_t D = (size_t)g->D;
    for (int i = 0; i < g->L + 2; i++) taps[i] = (cop_tap){i - 1, g->hidden + (size_t)i * MOST_TOKENS * D};
    for (int i = 0; i < g->T; i++) rows[i] = (cop_row){.seq = seq, .token = g->ids[i], .adapters = &g->adapters, .parent = i - 1, .want_logits = true};
    const cop_forward_options options = {.taps = taps, .n_taps = g->L + 2};
    assert_int_equal(cop_seq_reserve(seq, g->T), COP_OK);
    if (cop_model_forward(t->model, t->ws, rows, g->T, &options)) fail_msg("%s", cop_error_text());
    for (int i = 0; i < g->T; i++)
        memcpy(g->logits + (size_t)i * (size_t)g->V, cop_workspace_logits(t->ws, i), (size_t)g->V * sizeof(float));
    cop_seq_free(seq);
}

static void check_top(golden *g, const double *v, int n) {
    int position = (int)v[0];
    const float *logits = g->logits + (size_t)position * (size_t)g->V;
    double max = -1e30, sum = 0;
    for (int i = 0; i < g->V; i++) max = fmax(max, (double)logits[i]);
    for (int i = 0; i < g->V; i++) sum += exp((double)logits[i] - max);
    near(g, max + log(sum), v[1], "log-sum-exp", position, 0);
    for (int i = 2; i + 1 < n; i += 2) near(g, (double)logits[(int)v[i]], v[i + 1], "logit", position, (int)v[i]);
}

// "adapter FILE SCALE"
static void open_adapter(golden *g) {
    char path[256], file[64];
    float scale;
    cop_adapter *a;
    assert_int_equal(sscanf(g->line, "adapter %63s %f", file, &scale), 2);
    snprintf(path, sizeof path, "tests/data/adapters/%s", file);
    if (cop_adapter_open(&a, g->model.model, path)) fail_msg("%s", cop_error_text());
    g->adapters.adapters[g->adapters.n] = a;
    g->adapters.scales[g->adapters.n++] = scale;
    assert_int_equal(cop_workspace_reserve_adapters(g->model.ws, &g->adapters), COP_OK);
}

static void check_line(golden *g, double *v) {
    size_t D = (size_t)g->D, V = (size_t)g->V;
    if (!strncmp(g->line, "shape ", 6)) {
        assert_int_equal(numbers(g->line + 6, v, 3), 3);
        g->V = (int)v[0], g->D = (int)v[1], g->L = (int)v[2];
        assert_int_equal(g->V, g->model.model->desc.V);
        g->logits = cop_alloc_array(MOST_TOKENS * (size_t)g->V, sizeof(float));
        g->hidden = cop_alloc_array((size_t)(g->L + 2) * MOST_TOKENS * (size_t)g->D, sizeof(float));
    } else if (!strncmp(g->line, "adapter ", 8)) {
        open_adapter(g);
    } else if (!strncmp(g->line, "tolerance ", 10)) {
        assert_int_equal(numbers(g->line + 10, v, 2), 2);
        g->exact = v[0], g->rounded = v[1];
    } else if (!strncmp(g->line, "ids ", 4)) {
        g->T = numbers(g->line + 4, v, MOST_TOKENS);
        for (int i = 0; i < g->T; i++) g->ids[i] = (int32_t)v[i];
        evaluate(g);
    } else if (!strncmp(g->line, "logits ", 7)) {
        assert_int_equal(numbers(g->line + 7, v, g->V + 1), g->V + 1);
        for (int i = 0; i < g->V; i++) near(g, (double)g->logits[(size_t)v[0] * V + (size_t)i], v[i + 1], "logit", (int)v[0], i);
    } else if (!strncmp(g->line, "top ", 4)) {
        check_top(g, v, numbers(g->line + 4, v, 64));
    } else if (!strncmp(g->line, "hidden ", 7) && exact_weights(g)) {
        assert_int_equal(numbers(g->line + 7, v, g->D + 2), g->D + 2);
        const float *row = g->hidden + ((size_t)v[0] * MOST_TOKENS + (size_t)v[1]) * D;
        for (int i = 0; i < g->D; i++) near(g, (double)row[i], v[i + 2], "hidden", (int)v[1], i);
    }
}

// Every line of tests/golden/NAME.txt against tests/data/MODEL.gguf; returns the number of lines checked.
static int check_golden_of(const char *name, const char *model, cop_kv_type type) {
    char path[256];
    golden g = {.name = name};
    snprintf(path, sizeof path, "tests/data/%s.gguf", model);
    cop_test_open(&g.model, path, 2, NULL, type, 4, MOST_TOKENS);
    snprintf(path, sizeof path, "tests/golden/%s.txt", name);
    g.file = fopen(path, "r");
    if (!g.file) fail_msg("%s is missing", path);
    g.line = cop_alloc(MOST_LINE);
    double *v = cop_alloc_array(8192, sizeof *v);
    int n = 0;
    while (fgets(g.line, MOST_LINE, g.file)) {
        check_line(&g, v);
        n += !strncmp(g.line, "top ", 4);
    }
    fclose(g.file);
    print_message("%s: %d positions, largest error %.2f of the tolerance\n", name, n, g.worst);
    cop_free(v);
    cop_free(g.line);
    cop_free(g.logits);
    cop_free(g.hidden);
    for (int i = 0; i < g.adapters.n; i++) cop_adapter_close((cop_adapter *)g.adapters.adapters[i]);
    cop_test_close(&g.model);
    return n;
}

static int check_golden(const char *name, cop_kv_type type) { return check_golden_of(name, name, type); }

static const char *const families[] = {
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
};
static const char *const types[] = {"tiny-f16", "tiny-bf16", "tiny-q8_0", "tiny-moe-q8_0", "tiny-lfm2-q8_0", "tiny-gpt2-q8_0", "tiny-q4_0", "tiny-iq4_nl", "tiny-q4_1", "tiny-q5_0", "tiny-q5_1", "tiny-q4_k", "tiny-q5_k", "tiny-q6_k",
                                    "tiny-q2_k", "tiny-q3_k", "tiny-iq4_xs", "tiny-mxfp4"};

static void every_family_gives_the_reference_logits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) assert_true(check_golden(families[i], COP_KV_F32) > 60);
}

static void every_weight_type_is_near_its_dequantised_reference(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) assert_true(check_golden(types[i], COP_KV_F32) > 8);
}

static void adapters_give_what_merged_weights_give(void **state) {
    (void)state;
    assert_true(check_golden_of("lora-llama-a", "tiny-llama-a", COP_KV_F32) > 60);
    assert_true(check_golden_of("lora-lfm2-b", "tiny-lfm2-b", COP_KV_F32) > 60);
    assert_true(check_golden_of("lora-phi3-a", "tiny-phi3-a", COP_KV_F32) > 60);
    assert_true(check_golden_of("lora-gpt2-a", "tiny-gpt2-a", COP_KV_F32) > 60);
    assert_true(check_golden_of("lora-q8_0", "tiny-q8_0", COP_KV_F32) > 60);
    assert_true(check_golden_of("lora-lfm2-q8_0", "tiny-lfm2-q8_0", COP_KV_F32) > 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_gives_the_reference_logits),
        cmocka_unit_test(adapters_give_what_merged_weights_give),
        cmocka_unit_test(every_weight_type_is_near_its_dequantised_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// The named models, walked step by step along recorded tokens: log-probabilities must be at least as close
// to a 32-bit evaluation of the same dequantised weights as llama.cpp's are, which the file records too, and
// the best token the same wherever the reference's margin exceeds MARGIN.
//
// Closeness is the mean and the root mean square of the deviations over all steps. The single largest one is
// printed: it is one draw from a long tail, and either engine may have drawn the worse one. MARGIN: rounding
// activations to 8 bits moves a log-probability by up to some tenths, and two tokens move independently.
// Format of the files: tests/golden/README.md.
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
#include "support/model.h"

#define MARGIN 0.6
#define MOST_TOKENS 256
#define MOST_LINE 65536

typedef struct walk {
    cop_test_model model;
    float *logits;  // [MOST_TOKENS][V]
    int V, n_ids, n_steps, n_flips;
    int32_t ids[MOST_TOKENS];
    double sum, squares, most, other_sum, other_squares, other_most;
} walk;

static void evaluate(walk *w) {
    cop_seq *seq;
    assert_int_equal(cop_seq_new(&seq, w->model.cache, MOST_TOKENS), COP_OK);
    cop_test_chain(&w->model, seq, w->ids, w->n_ids, 64, w->logits);
    cop_seq_free(seq);
}

static void check_step(walk *w, const char *line) {
    int t, top;
    double logp, margin, other;
    assert_int_equal(sscanf(line, "step %d %lf %d %lf %lf", &t, &logp, &top, &margin, &other), 5);
    assert_true(t >= 0 && t + 1 < w->n_ids);
    const float *x = w->logits + (size_t)t * (size_t)w->V;
    double max = -INFINITY, sum = 0;
    int best = 0;
    for (int i = 0; i < w->V; i++) {
        if ((double)x[i] > max) max = (double)x[i], best = i;
    }
    for (int i = 0; i < w->V; i++) sum += exp((double)x[i] - max);
    double error = fabs((double)x[w->ids[t + 1]] - max - log(sum) - logp), other_error = fabs(other - logp);
    w->sum += error;
    w->other_sum += other_error;
    w->squares += error * error;
    w->other_squares += other_error * other_error;
    w->most = fmax(w->most, error);
    w->other_most = fmax(w->other_most, other_error);
    w->n_steps++;
    w->n_flips += best != top;
    if (best != top && margin > MARGIN) fail_msg("step %d: best token %d, reference %d by %.3f", t, best, top, margin);
}

static void walk_along(walk *w, FILE *file) {
    char *line = cop_alloc(MOST_LINE);
    while (fgets(line, MOST_LINE, file)) {
        if (!strncmp(line, "step ", 5)) {
            check_step(w, line);
        } else if (!strncmp(line, "ids ", 4)) {
            w->n_ids = 0;
            char *end = line + 4;
            for (char *at = end; w->n_ids < MOST_TOKENS; at = end) {
                long id = strtol(at, &end, 10);
                if (end == at) break;
                w->ids[w->n_ids++] = (int32_t)id;
            }
            evaluate(w);
        }
    }
    cop_free(line);
}

static void check_model(const char *name) {
    char path[1200], golden[128];
    if (!cop_test_named_model(path, sizeof path, name)) {
        print_message("skipped: golden real %s: the model is not here\n", name);
        skip();
    }
    snprintf(golden, sizeof golden, "tests/golden/real-%s.txt", name);
    FILE *file = fopen(golden, "r");
    if (!file) fail_msg("%s is missing", golden);
    walk w = {.n_ids = 0};
    cop_test_open(&w.model, path, 0, NULL, COP_KV_F16, 8, 64);
    w.V = w.model.model->desc.V;
    w.logits = cop_alloc_array(MOST_TOKENS * (size_t)w.V, sizeof(float));
    walk_along(&w, file);
    fclose(file);
    cop_free(w.logits);
    cop_test_close(&w.model);
    print_message("%s: %d steps, deviation mean %.4f, rms %.4f, most %.3f; llama.cpp %.4f, %.4f, %.3f; %d best tokens differ\n", name,
                  w.n_steps, w.sum / w.n_steps, sqrt(w.squares / w.n_steps), w.most, w.other_sum / w.n_steps,
                  sqrt(w.other_squares / w.n_steps), w.other_most, w.n_flips);
    assert_true(w.n_steps > 1000);
    assert_true(w.sum <= w.other_sum);
    assert_true(w.squares <= w.other_squares);
}

static void smollm2_is_as_close_to_its_weights_as_llama_cpp(void **state) {
    (void)state;
    check_model("smollm2-135m");
}
static void gemma3_is_as_close_to_its_weights_as_llama_cpp(void **state) {
    (void)state;
    check_model("gemma3-270m");
}
static void qwen_half_is_as_close_to_its_weights_as_llama_cpp(void **state) {
    (void)state;
    check_model("qwen2.5-coder-0.5b");
}
static void qwen_larger_is_as_close_to_its_weights_as_llama_cpp(void **state) {
    (void)state;
    check_model("qwen2.5-coder-1.5b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_is_as_close_to_its_weights_as_llama_cpp),
        cmocka_unit_test(gemma3_is_as_close_to_its_weights_as_llama_cpp),
        cmocka_unit_test(qwen_half_is_as_close_to_its_weights_as_llama_cpp),
        cmocka_unit_test(qwen_larger_is_as_close_to_its_weights_as_llama_cpp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// The row kernels: the scalar meaning against formulas in double, and every level against scalar, bit
// by bit, with the bytes around every buffer.
#include <float.h>
#include <math.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/weights.h"
#include "kernel/exp.h"

#define MAX_N 300
#define MARGIN 32                          // guarded floats before and behind a buffer
#define ROOM (2 * MAX_N + 2 * MARGIN + 8)  // a rope's row has two floats a step
#define GUARD 0x5a5a5a5au

// ---- every level against scalar ---------------------------------------------------------------

typedef struct arena {
    float a[ROOM], b[ROOM], c[ROOM], y[ROOM];
} arena;

// One call: inputs a, b, c and output y, each of n floats (2n for the ropes).
typedef struct operation {
    const char *name;
    void (*run)(const cop_kernels *k, float *y, float *a, float *b, float *c, int n);
} operation;

#define OPERATION(name, call)                                                                      \
    static void name(const cop_kernels *k, float *y, float *a, float *b, float *c, int n) {        \
        (void)y, (void)a, (void)b, (void)c;                                                        \
        call;                                                                                      \
    }
OPERATION(rmsnorm, k->rmsnorm(y, a, b, n, 1e-6f))
OPERATION(rmsnorm_without_weights, k->rmsnorm(y, a, NULL, n, 1e-5f))
OPERATION(rmsnorm_in_place, k->rmsnorm(a, a, b, n, 1e-6f))
OPERATION(layernorm, k->layernorm(y, a, b, c, n, 1e-5f))
OPERATION(layernorm_plain, k->layernorm(y, a, NULL, NULL, n, 1e-5f))
OPERATION(layernorm_in_place, k->layernorm(a, a, b, NULL, n, 1e-5f))
OPERATION(add, k->add(a, b, n))
OPERATION(scale, k->scale(y, a, 0.3f, n))
OPERATION(axpy, k->axpy(a, b, -1.7f, n))
OPERATION(silu, k->activate[COP_ACT_SILU](y, a, b, n))
OPERATION(silu_alone, k->activate[COP_ACT_SILU](y, a, NULL, n))
OPERATION(silu_over_gate, k->activate[COP_ACT_SILU](a, a, b, n))
OPERATION(silu_over_up, k->activate[COP_ACT_SILU](b, a, b, n))
OPERATION(gelu_tanh, k->activate[COP_ACT_GELU_TANH](y, a, b, n))
OPERATION(gelu_tanh_alone, k->activate[COP_ACT_GELU_TANH](a, a, NULL, n))
OPERATION(gelu_erf, k->activate[COP_ACT_GELU_ERF](y, a, b, n))
OPERATION(gelu_erf_alone, k->activate[COP_ACT_GELU_ERF](a, a, NULL, n))
OPERATION(relu, k->activate[COP_ACT_RELU](y, a, b, n))
OPERATION(relu_alone, k->activate[COP_ACT_RELU](y, a, NULL, n))
OPERATION(softcap, k->softcap(a, 30.0f, n))
OPERATION(softmax, y[0] = k->softmax(a, n))
OPERATION(rope_half_split, k->rope(a, b, n, true))
OPERATION(rope_interleaved, k->rope(a, b, n, false))

#define NAMED(f) {#f, f}
static const operation operations[] = {
    NAMED(rmsnorm), NAMED(rmsnorm_without_weights), NAMED(rmsnorm_in_place), NAMED(layernorm), NAMED(layernorm_plain),
    NAMED(layernorm_in_place), NAMED(add), NAMED(scale), NAMED(axpy), NAMED(silu), NAMED(silu_alone),
    NAMED(silu_over_gate), NAMED(silu_over_up), NAMED(gelu_tanh), NAMED(gelu_tanh_alone), NAMED(gelu_erf),
    NAMED(gelu_erf_alone), NAMED(relu), NAMED(relu_alone), NAMED(softcap), NAMED(softmax), NAMED(rope_half_split),
    NAMED(rope_interleaved),
};
#define N_OPERATIONS ((int)(sizeof operations / sizeof *operations))

// Whole numbers of steps of exp, and logits of which some are forbidden: beside the columns of weights.h.
enum { WIDE = TEST_N_COLUMNS, MASKED, N_KINDS };

static void fill(float *x, int n, int kind, test_rng *rng) {
    if (kind < TEST_N_COLUMNS) {
        test_fill_column(x, n, (test_column)kind, rng);
        return;
    }
    for (int i = 0; i < n; i++) x[i] = 100.0f * test_uniform(rng);
    if (kind == MASKED)  // the first stays finite
        for (int i = 1; i < n; i++) x[i] = test_bits(rng) % 3 ? x[i] : -INFINITY;
}

static void guard(float *x) {
    const uint32_t bits = GUARD;
    for (int i = 0; i < ROOM; i++) memcpy(&x[i], &bits, sizeof bits);
}

static void prepare(arena *m, int kind, int n, int start, uint64_t seed) {
    test_rng rng = test_seed(seed);
    guard(m->a), guard(m->b), guard(m->c), guard(m->y);
    fill(m->a + MARGIN + start, 2 * n, kind, &rng);
    fill(m->b + MARGIN + start, 2 * n, kind == MASKED ? WIDE : kind, &rng);
    fill(m->c + MARGIN + start, 2 * n, TEST_X_RANDOM, &rng);
}

static void run(const operation *op, const cop_kernels *k, arena *m, int n, int start) {
    const int at = MARGIN + start;
    op->run(k, m->y + at, m->a + at, m->b + at, m->c + at, n);
}

// Equal bits; which NaN comes out of an overflow is the CPU's affair.
static bool same(const float *a, const float *b, int n) {
    for (int i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

static bool guarded(const float *x, int n, int start) {
    const uint32_t bits = GUARD;
    for (int i = 0; i < ROOM; i++) {
        const bool inside = i >= MARGIN + start && i < MARGIN + start + 2 * n;
        if (!inside && memcmp(&x[i], &bits, sizeof bits)) return false;
    }
    return true;
}

static void check_levels(int kind, int n, int start) {
    static arena input, want, got;
    cop_kernels levels[4], scalar = cop_kernels_bind(0);
    const int n_levels = test_levels(levels);
    prepare(&input, kind, n, start, (uint64_t)(kind * 1000000 + n * 10 + start));
    for (int o = 0; o < N_OPERATIONS; o++) {
        const operation *op = &operations[o];
        if (kind == MASKED && op->run != softmax) continue;
        want = input;
        run(op, &scalar, &want, n, start);
        if (!guarded(want.a, n, start) || !guarded(want.b, n, start) || !guarded(want.y, n, start))
            fail_msg("scalar %s: n %d wrote beyond its row", op->name, n);
        for (int l = 0; l < n_levels; l++) {
            got = input;
            run(op, &levels[l], &got, n, start);
            if (!same(got.a, want.a, ROOM) || !same(got.b, want.b, ROOM) || !same(got.c, want.c, ROOM) ||
                !same(got.y, want.y, ROOM))
                fail_msg("%s %s: n %d, start %d, input %d differs from scalar", levels[l].level, op->name, n, start, kind);
        }
    }
}

static void every_level_gives_the_bits_of_scalar_and_leaves_the_bytes_around(void **state) {
    (void)state;
    static const int lengths[] = {96, 127, 128, 131, 256, 300};
    for (int kind = 0; kind < N_KINDS; kind++) {
        for (int n = 1; n <= 70; n++) check_levels(kind, n, n % 4);
        for (int i = 0; i < 6; i++) check_levels(kind, lengths[i], i);
    }
}

// ---- scalar against double --------------------------------------------------------------------

static void exp_is_within_its_relative_error(void **state) {
    (void)state;
    double worst = 0;
    for (int i = 0; i <= 3500000; i++) {
        const float x = -87.0f + 5e-5f * (float)i;
        const double want = exp((double)(x > 88 ? 88 : x)), error = fabs(cop_expf_scalar(x) - want) / want;
        if (error > worst) worst = error;
    }
    print_message("exp: relative error %.3g\n", worst);
    assert_true(worst < 1e-7);
    assert_true(cop_expf_scalar(0) == 1 && cop_expf_scalar(-0.0f) == 1);
    assert_true(cop_expf_scalar(-INFINITY) == 0 && cop_expf_scalar(-87.00001f) == 0);
    assert_true(cop_expf_scalar(INFINITY) == cop_expf_scalar(88));
}

static double exact(cop_act_kind kind, double g) {
    switch (kind) {
    case COP_ACT_SILU: return g / (1 + exp(-g));
    case COP_ACT_GELU_TANH: return 0.5 * g * (1 + tanh(0.7978845608 * (g + 0.044715 * g * g * g)));
    case COP_ACT_GELU_ERF: return 0.5 * g * erfc(-g / sqrt(2));
    default: return g > 0 ? g : 0;
    }
}

static void activations_are_within_their_errors(void **state) {
    (void)state;
    const cop_kernels k = cop_kernels_bind(0);
    static const char *const names[] = {"silu", "gelu_tanh", "gelu_erf", "relu"};
    for (int kind = 0; kind < COP_N_ACTS; kind++) {
        const double near = kind == COP_ACT_GELU_ERF ? 10 : 4;  // from here on the error grows with |g|
        double worst = 0;
        for (int i = -400000; i <= 400000; i++) {
            const float g = 1e-4f * (float)i;
            float y;
            k.activate[kind](&y, &g, NULL, 1);
            const double error = fabs(y - exact((cop_act_kind)kind, g)) / fmax(1, fabs(g) / near);
            if (error > worst) worst = error;
        }
        print_message("%s: error %.3g\n", names[kind], worst);
        assert_true(worst < 1e-6);
    }
}

static void close_to(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s: %.9g, expected %.9g", what, got, want);
}

static void norms_follow_their_formulas(void **state) {
    (void)state;
    const cop_kernels k = cop_kernels_bind(0);
    test_rng rng = test_seed(7);
    float x[MAX_N], w[MAX_N], b[MAX_N], y[MAX_N];
    for (int n = 1; n <= MAX_N; n += 13) {
        fill(x, n, TEST_X_RANDOM, &rng), fill(w, n, TEST_X_RANDOM, &rng), fill(b, n, TEST_X_RANDOM, &rng);
        double mean = 0, square = 0, variance = 0;
        for (int i = 0; i < n; i++) mean += x[i] / n, square += (double)x[i] * x[i] / n;
        for (int i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / n;
        k.rmsnorm(y, x, w, n, 1e-3f);
        for (int i = 0; i < n; i++) close_to("rmsnorm", y[i], x[i] * w[i] / sqrt(square + 1e-3), 1e-5);
        k.layernorm(y, x, w, b, n, 1e-3f);
        for (int i = 0; i < n; i++)
            close_to("layernorm", y[i], (x[i] - mean) / sqrt(variance + 1e-3) * w[i] + b[i], 1e-4);
    }
}

static void softmax_and_softcap_follow_their_formulas(void **state) {
    (void)state;
    const cop_kernels k = cop_kernels_bind(0);
    test_rng rng = test_seed(8);
    float s[MAX_N], x[MAX_N];
    for (int n = 1; n <= MAX_N; n += 13) {
        fill(x, n, MASKED, &rng);
        memcpy(s, x, sizeof s);
        double max = x[0], sum = 0;
        for (int i = 0; i < n; i++) max = fmax(max, x[i]);
        const float got = k.softmax(s, n);
        for (int i = 0; i < n; i++) {
            sum += exp(x[i] - max);
            close_to("softmax", s[i], exp(x[i] - max), 1e-6);
            if (isinf(x[i])) assert_true(s[i] == 0);
        }
        close_to("softmax sum", got, sum, 1e-5 * sum);
        fill(x, n, WIDE, &rng);
        memcpy(s, x, sizeof s);
        k.softcap(s, 30, n);
        for (int i = 0; i < n; i++) close_to("softcap", s[i], 30 * tanh(x[i] / 30.0), 1e-5);
    }
}

static void rope_rotates_pairs_halves_apart_or_side_by_side(void **state) {
    (void)state;
    const cop_kernels k = cop_kernels_bind(0);
    test_rng rng = test_seed(9);
    for (int half = 1; half <= 70; half++) {
        float x[140], cs[140], split[140], beside[140];
        fill(x, 2 * half, TEST_X_RANDOM, &rng);
        for (int i = 0; i < half; i++) cs[2 * i] = cosf((float)i), cs[2 * i + 1] = sinf((float)i);
        memcpy(split, x, sizeof x);
        memcpy(beside, x, sizeof x);
        k.rope(split, cs, half, true);
        k.rope(beside, cs, half, false);
        for (int i = 0; i < half; i++) {
            const double c = cs[2 * i], s = cs[2 * i + 1];
            close_to("rope a", split[i], x[i] * c - x[i + half] * s, 1e-5);
            close_to("rope b", split[i + half], x[i] * s + x[i + half] * c, 1e-5);
            close_to("rope a beside", beside[2 * i], x[2 * i] * c - x[2 * i + 1] * s, 1e-5);
            close_to("rope b beside", beside[2 * i + 1], x[2 * i] * s + x[2 * i + 1] * c, 1e-5);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_gives_the_bits_of_scalar_and_leaves_the_bytes_around),
        cmocka_unit_test(exp_is_within_its_relative_error),
        cmocka_unit_test(activations_are_within_their_errors),
        cmocka_unit_test(norms_follow_their_formulas),
        cmocka_unit_test(softmax_and_softcap_follow_their_formulas),
        cmocka_unit_test(rope_rotates_pairs_halves_apart_or_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

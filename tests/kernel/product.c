// The matrix product: the scalar meaning against float64 arithmetic, and every level against scalar,
// bit by bit, on random and nasty inputs.
#include <math.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/weights.h"
#include "base/alloc.h"

#define MAX_N 64
#define Y_STRIDE 21      // odd, so that the output is not aligned and has gaps
#define GUARD 0x5a5a5a5a

// The inputs of one comparison and what scalar makes of them.
typedef struct problem {
    cop_dtype type;
    int cols, padded, n;         // padded: cols rounded up to even for the float types
    cop_matrix m;                // one tile
    float *x;                    // [n][padded]
    cop_act *acts, *panel;       // [n][blocks]; a panel of any n fits
    float *want, *got;           // [MAX_N][Y_STRIDE]
} problem;

static void prepare(problem *p, cop_dtype type, int cols, int n, test_weights kind, uint64_t seed) {
    *p = (problem){.type = type, .cols = cols, .padded = (cols + 1) / 2 * 2, .n = n};
    size_t row_bytes;
    uint8_t *file = test_file_matrix(type, COP_TILE, cols, kind, seed, &row_bytes);
    p->m = test_pack(type, file, row_bytes, COP_TILE, cols);
    cop_free(file);
    p->x = cop_alloc_array((size_t)n * (size_t)p->padded, sizeof *p->x);
    p->acts = cop_alloc_array((size_t)n * (size_t)(cols / 32 + 1), sizeof *p->acts);
    p->panel = cop_alloc_array((size_t)n * (size_t)(cols / 32 + 1), sizeof *p->panel);
    p->want = cop_alloc_array((size_t)n * Y_STRIDE, sizeof *p->want);
    p->got = cop_alloc_array((size_t)n * Y_STRIDE, sizeof *p->got);
    assert_true(p->m.data && p->x && p->acts && p->panel && p->want && p->got);

    test_rng rng = test_seed(seed + 1);
    for (int c = 0; c < n; c++) {  // every third column is ordinary
        test_column column = c % 3 == 0 ? TEST_X_RANDOM : (test_column)(test_bits(&rng) % TEST_N_COLUMNS);
        test_fill_column(p->x + (size_t)c * (size_t)p->padded, cols, column, &rng);
    }
}

static void release(problem *p) {
    cop_free((void *)p->m.data);
    cop_free(p->x);
    cop_free(p->acts);
    cop_free(p->panel);
    cop_free(p->want);
    cop_free(p->got);
}

static void quantise(problem *p, const cop_kernels *k) {
    const int n_blocks = p->cols / COP_BLOCK;
    for (int c = 0; c < p->n; c++)
        k->quantise(p->acts + (size_t)c * (size_t)n_blocks, 1, p->x + (size_t)c * (size_t)p->padded, n_blocks);
}

// y[n][Y_STRIDE] by level k; the acts are k's own.
static void multiply(problem *p, const cop_kernels *k, int n, float *y) {
    const uint32_t guard = GUARD;
    for (int i = 0; i < n * Y_STRIDE; i++) memcpy(y + i, &guard, sizeof guard);
    if (!test_is_float(p->type)) test_panel(p->panel, p->acts, n, p->cols / COP_BLOCK);
    const void *x = test_is_float(p->type) ? (const void *)p->x : p->panel;
    k->product[p->type](y, Y_STRIDE, p->m.data, p->cols, x, (size_t)p->padded, n);
}

// Equal bits; which NaN comes out of an overflow is the CPU's affair.
static bool same(float a, float b) { return (isnan(a) && isnan(b)) || !memcmp(&a, &b, sizeof a); }

static void compare(const problem *p, const cop_kernels *k, int n, test_weights kind) {
    const uint32_t guard = GUARD;
    for (int c = 0; c < n; c++) {
        for (int r = 0; r < Y_STRIDE; r++) {
            const size_t at = (size_t)c * Y_STRIDE + (size_t)r;
            if (r < COP_TILE && !same(p->want[at], p->got[at]))
                fail_msg("%s %s: %d columns of weights (kind %d), n %d, column %d, row %d: %a, scalar has %a", k->level,
                         cop_dtype_name(p->type), p->cols, (int)kind, n, c, r, (double)p->got[at], (double)p->want[at]);
            if (r >= COP_TILE && memcmp(&p->got[at], &guard, sizeof guard))
                fail_msg("%s %s: wrote beyond the 16 rows of column %d", k->level, cop_dtype_name(p->type), c);
        }
    }
}

// Every level and scalar itself, for these n; scalar with all columns is what they must give.
static void check_levels(cop_dtype type, int cols, test_weights kind, const int *ns, int n_ns) {
    cop_kernels levels[4], scalar = cop_kernels_bind(0);
    const int n_levels = test_levels(levels);
    problem p;
    prepare(&p, type, cols, ns[n_ns - 1], kind, (uint64_t)(type * 1000 + cols * 10 + (int)kind));
    quantise(&p, &scalar);
    multiply(&p, &scalar, p.n, p.want);
    for (int i = 0; i < n_ns; i += n_ns / 4 + 1) {
        multiply(&p, &scalar, ns[i], p.got);
        compare(&p, &scalar, ns[i], kind);
    }
    for (int l = 0; l < n_levels; l++) {
        quantise(&p, &levels[l]);
        for (int i = 0; i < n_ns; i++) {
            multiply(&p, &levels[l], ns[i], p.got);
            compare(&p, &levels[l], ns[i], kind);
        }
    }
    release(&p);
}

static void every_level_gives_the_bits_of_scalar_for_any_number_of_columns(void **state) {
    (void)state;
    int ns[MAX_N];
    for (int i = 0; i < MAX_N; i++) ns[i] = i + 1;
    for (int t = 0; t < TEST_N_TYPES; t++)
        for (int kind = 0; kind < TEST_N_WEIGHTS; kind++)
            check_levels(test_types[t], test_fits(test_types[t], 96) ? 96 : 256, (test_weights)kind, ns, MAX_N);
}

static void every_level_gives_the_bits_of_scalar_for_any_width_of_matrix(void **state) {
    (void)state;
    static const int widths[] = {1, 2, 7, 32, 33, 64, 96, 160, 256, 512, 576, 768, 896, 1536, 2816};
    static const int ns[] = {1, 2, 3, 5, 8, 16, 19};
    for (int t = 0; t < TEST_N_TYPES; t++)
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
            if (test_fits(test_types[t], widths[i]))
                check_levels(test_types[t], widths[i], i % 2 ? TEST_W_RANDOM : TEST_W_SCALES, ns, 7);
}

static void the_levels_that_run_here_are_named(void **state) {
    (void)state;
    cop_kernels levels[4];
    const int n = test_levels(levels);
    print_message("levels: scalar");
    for (int i = 0; i < n; i++) print_message(" %s", levels[i].level);
    print_message("\n");
    cop_kernels scalar = cop_kernels_bind(0);
    for (int i = 0; i < n; i++)
        for (int t = 0; t < TEST_N_TYPES; t++)
            if (levels[i].product[test_types[t]] == scalar.product[test_types[t]])
                print_message("level %s: the product of %s is scalar's\n", levels[i].level, cop_dtype_name(test_types[t]));
}

// ---- activations -------------------------------------------------------------------------------

static void every_level_quantises_activations_alike(void **state) {
    (void)state;
    enum { BLOCKS = 5, STRIDE = 3 };
    cop_kernels levels[4], scalar = cop_kernels_bind(0);
    const int n_levels = test_levels(levels);
    float x[BLOCKS * COP_BLOCK + 1];
    cop_act want[BLOCKS], got[BLOCKS * STRIDE], untouched;
    memset(&untouched, 0x77, sizeof untouched);
    for (int i = 0; i < 40 * TEST_N_COLUMNS; i++) {
        test_rng rng = test_seed((uint64_t)i);
        test_fill_column(x + i % 2, BLOCKS * COP_BLOCK, (test_column)(i % TEST_N_COLUMNS), &rng);
        scalar.quantise(want, 1, x + i % 2, BLOCKS);
        for (int l = 0; l < n_levels; l++) {
            memset(got, 0x77, sizeof got);
            levels[l].quantise(got, STRIDE, x + i % 2, BLOCKS);
            for (int b = 0; b < BLOCKS * STRIDE; b++) {
                if (b % STRIDE) {
                    assert_memory_equal(&got[b], &untouched, sizeof untouched);
                    continue;
                }
                assert_memory_equal(got[b].q, want[b / STRIDE].q, COP_BLOCK);
                assert_memory_equal(&got[b].d, &want[b / STRIDE].d, 4);
                assert_memory_equal(&got[b].ds, &want[b / STRIDE].ds, 4);
            }
        }
    }
}

static void activations_round_to_the_nearest_even_of_127_steps(void **state) {
    (void)state;
    float x[COP_BLOCK] = {127, -127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 3.4f, -3.6f};
    static const int8_t q[COP_BLOCK] = {127, -127, 0, 2, 2, 0, -2, 3, -4};
    cop_act act;
    cop_kernels_bind(0).quantise(&act, 1, x, 1);
    assert_memory_equal(act.q, q, sizeof q);
    assert_true(act.d == 1.0f);
    assert_true(act.ds == 1.0f);
    assert_int_equal(act.n[0], -1);
    assert_int_equal(act.n[1], 0);
}

static void a_column_too_small_for_its_scale_becomes_zero(void **state) {
    (void)state;
    float x[COP_BLOCK] = {1e-40f, -3e-37f};
    cop_act act, zero = {0};
    cop_kernels_bind(0).quantise(&act, 1, x, 1);
    assert_memory_equal(&act, &zero, sizeof zero);
}

// ---- the meaning ---------------------------------------------------------------------------------

static double activation(const problem *p, int c, int k) {
    if (test_is_float(p->type)) return p->x[(size_t)c * (size_t)p->padded + (size_t)k];
    const cop_act *act = &p->acts[(size_t)c * (size_t)(p->cols / 32) + (size_t)(k / 32)];
    return (double)act->q[k % 32] * act->d;
}

static void the_scalar_product_is_that_of_the_dequantised_weights(void **state) {
    (void)state;
    enum { COLS = 768, ROWS = COP_TILE, N = 5 };
    cop_kernels scalar = cop_kernels_bind(0);
    float w[COLS];
    for (int t = 0; t < TEST_N_TYPES; t++) {
        problem p;
        const uint64_t seed = (uint64_t)t + 77;
        prepare(&p, test_types[t], COLS, N, TEST_W_RANDOM, seed);
        test_rng rng = test_seed(seed);
        for (int i = 0; i < N * COLS; i++) p.x[i] = test_uniform(&rng);
        size_t row_bytes;
        uint8_t *file = test_file_matrix(p.type, ROWS, COLS, TEST_W_RANDOM, seed, &row_bytes);
        quantise(&p, &scalar);
        multiply(&p, &scalar, N, p.want);
        for (int r = 0; r < ROWS; r++) {
            cop_dequantise(w, p.type, file + (size_t)r * row_bytes, COLS);
            for (int c = 0; c < N; c++) {
                double sum = 0, size = 0;
                for (int k = 0; k < COLS; k++) sum += w[k] * activation(&p, c, k), size += fabs(w[k] * activation(&p, c, k));
                double off = fabs(p.want[c * Y_STRIDE + r] - sum) / size;
                if (off > 1e-6) fail_msg("%s: row %d, column %d is off by %g", cop_dtype_name(p.type), r, c, off);
            }
        }
        cop_free(file);
        release(&p);
    }
}

// One activation of 1 at column k makes the product the weight itself: the tile and the file agree.
static void a_packed_tile_holds_the_weights_of_the_file(void **state) {
    (void)state;
    enum { COLS = 256, ROWS = 37 };
    cop_kernels scalar = cop_kernels_bind(0);
    for (int t = 0; t < TEST_N_TYPES; t++) {
        const cop_dtype type = test_types[t];
        size_t row_bytes;
        uint8_t *file = test_file_matrix(type, ROWS, COLS, TEST_W_RANDOM, (uint64_t)t, &row_bytes);
        cop_matrix m = test_pack(type, file, row_bytes, ROWS, COLS);
        float *w = cop_alloc_array(ROWS * COLS, sizeof *w);
        for (int r = 0; r < ROWS; r++) cop_dequantise(w + r * COLS, type, file + (size_t)r * row_bytes, COLS);
        assert_int_equal(m.n_tiles, 3);
        for (int k = 0; k < COLS; k++) {
            float x[COLS] = {0}, y[COP_TILE];
            cop_act acts[COLS / COP_BLOCK] = {0};
            x[k] = 1;
            acts[k / 32] = (cop_act){.d = 1, .ds = 1, .n = {-1, k % 32 < 16 ? 0 : -1}};
            acts[k / 32].q[k % 32] = 1;
            for (int i = 0; i < m.n_tiles; i++) {
                scalar.product[type](y, COP_TILE, m.data + (size_t)i * m.tile_bytes, COLS,
                                     test_is_float(type) ? (void *)x : (void *)acts, COLS, 1);
                for (int r = 0; r < COP_TILE; r++) {
                    const float want = i * COP_TILE + r < ROWS ? w[(i * COP_TILE + r) * COLS + k] : 0;
                    if (fabsf(y[r] - want) > 1e-6f * (fabsf(want) + 1))
                        fail_msg("%s: row %d, column %d is %g, the file has %g", cop_dtype_name(type), i * COP_TILE + r,
                                 k, (double)y[r], (double)want);
                }
            }
        }
        cop_free(w);
        cop_free((void *)m.data);
        cop_free(file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_levels_that_run_here_are_named),
        cmocka_unit_test(activations_round_to_the_nearest_even_of_127_steps),
        cmocka_unit_test(a_column_too_small_for_its_scale_becomes_zero),
        cmocka_unit_test(every_level_quantises_activations_alike),
        cmocka_unit_test(the_scalar_product_is_that_of_the_dequantised_weights),
        cmocka_unit_test(a_packed_tile_holds_the_weights_of_the_file),
        cmocka_unit_test(every_level_gives_the_bits_of_scalar_for_any_number_of_columns),
        cmocka_unit_test(every_level_gives_the_bits_of_scalar_for_any_width_of_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

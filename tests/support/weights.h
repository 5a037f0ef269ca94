// Matrices and activations for the tests of the product: random and nasty, in file layout and packed.
#ifndef COP_TESTS_WEIGHTS_H
#define COP_TESTS_WEIGHTS_H

#include "kernel/kernel.h"

/* A small generator of its own: the tests need many bytes and no statistics. */
typedef struct test_rng {
    uint64_t state;
} test_rng;
test_rng test_seed(uint64_t seed);
uint32_t test_bits(test_rng *rng);
float test_uniform(test_rng *rng);  // in [-1, 1)

#define TEST_N_TYPES 16
extern const cop_dtype test_types[TEST_N_TYPES];  // every type that has a product
bool test_is_float(cop_dtype type);               // F32, F16 or BF16
bool test_fits(cop_dtype type, int cols);

/* What the blocks of a matrix hold. */
typedef enum test_weights {
    TEST_W_RANDOM,     // any codes, ordinary scales of both signs
    TEST_W_LOW,        // every bit 0
    TEST_W_HIGH,       // every bit 1
    TEST_W_EDGE,       // bytes of -128; for Q6_K codes 0 with scales of -128, the largest integer sum
    TEST_W_SCALES,     // random codes; scales of 0, -0, the tiniest, the largest, the first normal half
    TEST_N_WEIGHTS
} test_weights;

/* What a column of activations holds. */
typedef enum test_column {
    TEST_X_RANDOM, TEST_X_ALL_MAX, TEST_X_ALL_MIN, TEST_X_ZERO, TEST_X_HUGE, TEST_X_TINY, TEST_X_DENORMAL,
    TEST_X_SPIKE, TEST_X_MIXED,
    TEST_N_COLUMNS
} test_column;

/* rows x cols in file layout, rows one after another; *row_bytes gets the bytes of a row. cop_free it. */
uint8_t *test_file_matrix(cop_dtype type, int rows, int cols, test_weights kind, uint64_t seed, size_t *row_bytes);
/* The whole matrix packed; cop_free m->data. */
cop_matrix test_pack(cop_dtype type, const uint8_t *file, size_t row_bytes, int rows, int cols);
void test_fill_column(float *x, int cols, test_column kind, test_rng *rng);

/* The n first of the columns held one after another in acts[column][n_blocks], as one panel. */
void test_panel(cop_act *panel, const cop_act *acts, int n, int n_blocks);

/* The tables of this CPU's levels above scalar, and of AVX-512 when it was compiled to portable code. */
int test_levels(cop_kernels levels[4]);

#endif

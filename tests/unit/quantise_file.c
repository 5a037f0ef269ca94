// Rows of floats to file blocks: the format document's vectors, errors of the searched types, wrong input.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/weights.h"
#include "kernel/kernel.h"
#include "kernel/quantise_file.h"

enum { N = 2048 };

// x[i] = ((29 i + 7) mod 101 - 50) / 16, and the block as hexadecimal digits.
static void the_plain_types_give_the_bytes_of_the_reference(void **state) {
    (void)state;
    static const struct {
        cop_dtype type;
        const char *hex;
    } vectors[] = {
        {COP_Q8_0, "0c268edb2874b6034f91de2a77b9055294e02d7abb085596e3307cbe0b5799e6327f"},
        {COP_Q4_0, "00b65f0ac6813df8a35f0ac5713df8a35f0a"},
        {COP_Q4_1, "113660c1a0f53a8ec2075ca0f53a8fd3175ca0f5"},
        {COP_Q5_0, "00b2b3c96432ae159bf159d046ae048bf159df36ae04"},
        {COP_Q5_1, "df3160c14c269bcd40ea640ea51fb950fa640ea51fb951fb"},
        {COP_MXFP4, "7e4f7bd4176de0b64f7bd4176de0a64f7b"},
    };
    float x[32];
    for (int i = 0; i < 32; i++) x[i] = (float)((29 * i + 7) % 101 - 50) / 16;
    for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
        if (!cop_can_quantise(vectors[v].type)) continue;
        uint8_t block[34];
        char hex[2 * sizeof block + 1] = "";
        assert_int_equal(cop_quantise_row(block, vectors[v].type, x, 32), COP_OK);
        for (int i = 0; i < cop_dtype_get(vectors[v].type)->block_bytes; i++) snprintf(hex + 2 * i, 3, "%02x", block[i]);
        assert_string_equal(hex, vectors[v].hex);
    }
}

// About normal: the sum of six uniform numbers, of deviation `deviation`.
static void fill(float x[N], float deviation, uint64_t seed) {
    test_rng rng = test_seed(seed);
    for (int i = 0; i < N; i++) {
        float sum = 0;
        for (int k = 0; k < 6; k++) sum += test_uniform(&rng);
        x[i] = sum * deviation * 0.70710678f;
    }
}

// Root mean square of the error over that of x.
static double relative_error(const float x[N], cop_dtype type) {
    uint8_t file[4 * N];
    float y[N];
    assert_int_equal(cop_quantise_row(file, type, x, N), COP_OK);
    cop_dequantise(y, type, file, N);
    double error = 0, size = 0;
    for (int i = 0; i < N; i++) error += pow((double)(y[i] - x[i]), 2), size += pow((double)x[i], 2);
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

// The limits lie a few per cent above what was measured; plain rounding of the K types misses them.
static const struct {
    cop_dtype type;
    double most;
} limits[] = {
    {COP_F32, 0},        {COP_F16, 2.5e-4},  {COP_BF16, 2.0e-3},   {COP_Q8_0, 5.5e-3}, {COP_Q6_K, 0.0160}, {COP_Q5_K, 0.0345},
    {COP_Q5_1, 0.0375},  {COP_Q5_0, 0.0405}, {COP_Q4_K, 0.0700},   {COP_Q4_1, 0.0780}, {COP_Q4_0, 0.086},  {COP_IQ4_NL, 0.0730},
    {COP_IQ4_XS, 0.0740}, {COP_MXFP4, 0.12}, {COP_Q3_K, 0.141}, {COP_Q2_K, 0.30},
};

static void a_row_comes_back_within_the_error_of_its_type(void **state) {
    (void)state;
    float x[N];
    fill(x, 0.03f, 1);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (!cop_can_quantise(limits[i].type)) continue;
        const double error = relative_error(x, limits[i].type);
        print_message("%-6s %.5f\n", cop_dtype_name(limits[i].type), error);
        if (error > limits[i].most) fail_msg("%.5f is more than %.5f", error, limits[i].most);
    }
}

// Away from the ends of the halves' range only d grows, so errors do too.
static void a_power_of_two_changes_only_the_scales(void **state) {
    (void)state;
    float x[N], large[N];
    fill(x, 0.5f, 2);
    for (int i = 0; i < N; i++) large[i] = 16 * x[i];
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (cop_can_quantise(limits[i].type)) assert_true(relative_error(large, limits[i].type) == relative_error(x, limits[i].type));
}

static void what_the_codes_can_hold_comes_back_as_it_was(void **state) {
    (void)state;
    float x[N], y[N];
    uint8_t file[4 * N];
    for (size_t t = 0; t < sizeof limits / sizeof *limits; t++) {
        if (!cop_can_quantise(limits[t].type)) continue;
        for (int i = 0; i < N; i++) x[i] = i % 32 < 16 ? 0 : -2.0f;  // zero and one value
        assert_int_equal(cop_quantise_row(file, limits[t].type, x, N), COP_OK);
        cop_dequantise(y, limits[t].type, file, N);
        const bool table = limits[t].type == COP_IQ4_NL || limits[t].type == COP_IQ4_XS;  // has no zero
        const double near = table ? 0.02 : 2e-3;  // of a half precision scale
        for (int i = 0; i < N; i++)
            if (fabs((double)(y[i] - x[i])) > near) fail_msg("%s: %g became %g", cop_dtype_name(limits[t].type), (double)x[i], (double)y[i]);
    }
}

static void extreme_rows_are_finite_or_refused(void **state) {
    (void)state;
    test_rng rng = test_seed(3);
    float x[N], y[N];
    uint8_t file[4 * N];
    for (size_t t = 0; t < sizeof limits / sizeof *limits; t++) {
        if (!cop_can_quantise(limits[t].type)) continue;
        for (int kind = 0; kind < 8; kind++) {
            for (int i = 0; i < N; i++) {
                static const float size[8] = {0, 1e-45f, 1e-38f, 1e-12f, 1e-6f, 1e4f, 1e9f, 3.4e38f};
                x[i] = test_uniform(&rng) * size[kind];
                if (kind == 3 && i % 64 == 5) x[i] = 1;  // one large element among tiny ones
            }
            const cop_status st = cop_quantise_row(file, limits[t].type, x, N);
            assert_true(st == COP_OK || (st == COP_ERR_FORMAT && kind > 4));
            if (st) continue;
            cop_dequantise(y, limits[t].type, file, N);
            for (int i = 0; i < N; i++)
                if (!isfinite(y[i])) fail_msg("%s, kind %d: %g became %g", cop_dtype_name(limits[t].type), kind, (double)x[i], (double)y[i]);
        }
    }
}

static void wrong_input_is_refused_with_the_reason(void **state) {
    (void)state;
    float x[256] = {0};
    uint8_t out[1024];
    assert_int_equal(cop_quantise_row(out, COP_Q4_K, x, 128), COP_ERR_ARG);
    assert_string_equal(cop_error_text(), "128 elements are not a whole number of Q4_K blocks of 256");
    assert_int_equal(cop_quantise_row(out, (cop_dtype)9, x, 32), COP_ERR_ARG);
    assert_string_equal(cop_error_text(), "type Q8_1 cannot be written");
    x[40] = NAN;
    assert_int_equal(cop_quantise_row(out, COP_Q4_0, x, 64), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "element 40 is not finite");
    assert_int_equal(cop_quantise_row(out, COP_BF16, x, 64), COP_OK);
    x[40] = 7e6f;
    assert_int_equal(cop_quantise_row(out, COP_F16, x, 64), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "element 40 is 7e+06: too large for F16");
    assert_int_equal(cop_quantise_row(out, COP_Q4_0, x, 64), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "elements 32 to 63 are too large for a scale of Q4_0");
    assert_int_equal(cop_quantise_row(out, COP_Q4_0, x, 0), COP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_types_give_the_bytes_of_the_reference),
        cmocka_unit_test(a_row_comes_back_within_the_error_of_its_type),
        cmocka_unit_test(a_power_of_two_changes_only_the_scales),
        cmocka_unit_test(what_the_codes_can_hold_comes_back_as_it_was),
        cmocka_unit_test(extreme_rows_are_finite_or_refused),
        cmocka_unit_test(wrong_input_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

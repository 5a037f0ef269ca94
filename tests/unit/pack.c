// File layouts against the format's test vectors, half and bfloat numbers, and the sizes of tiles.
#include <math.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "kernel/kernel.h"

// Block bytes b[i] = (37 i + 11) mod 256, then d = 1 and the second half, if any, 0.5; MXFP4: byte 0 is 128.
static void vector_block(uint8_t *block, int bytes, int d_at, int m_at) {
    for (int i = 0; i < bytes; i++) block[i] = (uint8_t)(37 * i + 11);
    if (d_at >= 0) memcpy(block + d_at, (const uint8_t[]){0x00, 0x3c}, 2);
    else block[0] = 128;
    if (m_at >= 0) memcpy(block + m_at, (const uint8_t[]){0x00, 0x38}, 2);
}

static void blocks_dequantise_to_the_vectors_of_the_reference(void **state) {
    (void)state;
    static const struct {
        cop_dtype type;
        int d_at, m_at;
        double x0, x1, half, half5, last, sum, weighted;
    } vectors[] = {
        {COP_Q4_0, 0, -1, -3, 2, -3, -8, 0, -21, -348},
        {COP_Q4_1, 0, 2, 15.5, 4.5, 9.5, 5.5, 12.5, 261, 2147.5},
        {COP_Q5_0, 0, -1, 9, -2, 14, -6, 1, 15, 231},
        {COP_Q5_1, 0, 2, 19.5, 24.5, 19.5, 30.5, 5.5, 521, 4263.5},
        {COP_Q8_0, 0, -1, 85, 122, -91, 94, -48, -176, -3779},
        {COP_Q4_K, 0, 2, 315.5, -25.5, 423, 150, 48.5, 54440, 495876},
        {COP_Q5_K, 0, 2, 811.5, -25.5, 1047, 774, 108.5, 116216, 1068332},
        {COP_IQ4_NL, 0, -1, -35, 25, -35, -127, 1, -257, -4743},
        {COP_Q6_K, 208, -1, -1431, 1696, -351, 364, -60, 4612, 80705},
        {COP_Q2_K, 80, 82, 33, 0, 7.5, -1.5, 4.5, 2059, 17659},
        {COP_Q3_K, 108, -1, 81, -108, 2, 8, 42, 958, 4578},
        {COP_IQ4_XS, 0, -1, 65, -1, -585, 477, -16, -11005, -168094},
        {COP_MXFP4, -1, -1, 0, 6, 3, -8, 6, 25, 264},
    };
    for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
        const cop_dtype_info *info = cop_dtype_get(vectors[v].type);
        const int n = info->block;
        uint8_t block[256];
        float x[256];
        vector_block(block, info->block_bytes, vectors[v].d_at, vectors[v].m_at);
        cop_dequantise(x, vectors[v].type, block, n);
        double sum = 0, weighted = 0;
        for (int i = 0; i < n; i++) sum += (double)x[i], weighted += (double)x[i] * (i % 17 + 1);
        print_message("%s\n", info->name);
        assert_true((double)x[0] == vectors[v].x0 && (double)x[1] == vectors[v].x1);
        assert_true((double)x[n / 2] == vectors[v].half && (double)x[n / 2 + 5] == vectors[v].half5);
        assert_true((double)x[n - 1] == vectors[v].last);
        assert_true(sum == vectors[v].sum && weighted == vectors[v].weighted);
    }
}

static void plain_types_dequantise_to_themselves(void **state) {
    (void)state;
    const float f32[2] = {1.5f, -0x1p-140f};
    const uint16_t f16[2] = {0x3e00, 0x8001}, bf16[2] = {0x3fc0, 0x8001};
    float x[2];
    cop_dequantise(x, COP_F32, (const uint8_t *)f32, 2);
    assert_true(x[0] == 1.5f && x[1] == -0x1p-140f);
    cop_dequantise(x, COP_F16, (const uint8_t *)f16, 2);
    assert_true(x[0] == 1.5f && x[1] == -0x1p-24f);
    cop_dequantise(x, COP_BF16, (const uint8_t *)bf16, 2);
    assert_true(x[0] == 1.5f && x[1] == -0x1p-133f);
}

// ---- halves ------------------------------------------------------------------------------------

static void every_half_survives_the_way_to_float_and_back(void **state) {
    (void)state;
    for (int h = 0; h < 0x10000; h++) {
        const float x = cop_half_to_float((uint16_t)h);
        if ((h & 0x7fff) > 0x7c00) {
            uint32_t bits;
            memcpy(&bits, &x, sizeof bits);
            assert_true(isnan(x) && (bits & 0x400000));
            assert_int_equal(cop_float_to_half(x), h | 0x200);  // a NaN comes back quiet
            continue;
        }
        const int exponent = h >> 10 & 31, fraction = h & 0x3ff;
        double want = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        if (exponent == 31) want = HUGE_VAL;
        assert_true((double)x == (h & 0x8000 ? -want : want));
        assert_int_equal(cop_float_to_half(x), h);
    }
}

static void a_float_between_two_halves_goes_to_the_nearer_or_the_even_one(void **state) {
    (void)state;
    for (int h = 0; h < 0x7c00; h++) {
        const float low = cop_half_to_float((uint16_t)h);
        const float high = h == 0x7bff ? 65536.0f : cop_half_to_float((uint16_t)(h + 1));
        const float middle = 0.5f * low + 0.5f * high;  // exact: one bit more than a half has
        assert_int_equal(cop_float_to_half(middle), h + (h & 1));
        assert_int_equal(cop_float_to_half(nextafterf(middle, 0)), h);
        assert_int_equal(cop_float_to_half(nextafterf(middle, 1e6f)), h + 1);
        assert_int_equal(cop_float_to_half(-middle), 0x8000 | (h + (h & 1)));
    }
    assert_int_equal(cop_float_to_half(1e30f), 0x7c00);
    assert_int_equal(cop_float_to_half(-HUGE_VALF), 0xfc00);
    assert_int_equal(cop_float_to_half(1e-30f), 0);
}

static void bfloat_rounds_to_nearest_even_and_keeps_nan(void **state) {
    (void)state;
    static const struct {
        uint32_t from;
        uint16_t to;
    } cases[] = {
        {0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0x7f7fffff, 0x7f80},
        {0xff800000, 0xff80}, {0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}, {0x00008000, 0x0000}, {0x80018000, 0x8002},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float x;
        memcpy(&x, &cases[i].from, sizeof x);
        assert_int_equal(cop_float_to_bf16(x), cases[i].to);
    }
}

// ---- tiles -------------------------------------------------------------------------------------

static void tiles_have_the_documented_sizes(void **state) {
    (void)state;
    static const struct {
        cop_dtype type;
        int cols;
        size_t bytes;
    } cases[] = {
        {COP_Q4_0, 64, 2 * 288}, {COP_Q4_1, 32, 320},      {COP_Q5_0, 32, 352},       {COP_Q5_1, 32, 384},
        {COP_Q8_0, 96, 3 * 544}, {COP_Q4_K, 256, 2368},    {COP_Q5_K, 512, 2 * 2880}, {COP_Q6_K, 256, 3360}, {COP_IQ4_NL, 96, 3 * 288},
        {COP_Q2_K, 256, 1344},   {COP_Q3_K, 512, 2 * 1824}, {COP_IQ4_XS, 256, 2208},   {COP_MXFP4, 64, 2 * 272},
        {COP_BF16, 3, 2 * 64},   {COP_F16, 3, 4 * 32},     {COP_F32, 1, 2 * 64},      {COP_Q4_0, 33, 0},
        {COP_Q4_K, 128, 0},      {COP_Q4_0, 0, 0},         {COP_F32, -2, 0},          {(cop_dtype)15, 256, 0},
        {COP_N_DTYPES, 32, 0},   {COP_F32, INT32_MAX, ((size_t)INT32_MAX + 1) * 64},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(cop_pack_tile_bytes(cases[i].type, cases[i].cols) == cases[i].bytes);
}

// A matrix of one row: of its tile only row 0 may differ from zero, and nothing behind it is written.
static void rows_that_the_matrix_lacks_are_zero(void **state) {
    (void)state;
    uint8_t src[34], out[544 + 64];
    memset(src, 0xff, sizeof src);
    memset(out, 0x5a, sizeof out);
    cop_pack_tile(out, COP_Q8_0, src, sizeof src, 1, 32, 0);
    for (int i = 0; i < 544; i++) {
        const bool first_row = i < 512 ? i % 64 < 4 : i < 514;
        assert_int_equal(out[i], first_row ? 0xff : 0);
    }
    for (int i = 544; i < 608; i++) assert_int_equal(out[i], 0x5a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_dequantise_to_the_vectors_of_the_reference),
        cmocka_unit_test(plain_types_dequantise_to_themselves),
        cmocka_unit_test(every_half_survives_the_way_to_float_and_back),
        cmocka_unit_test(a_float_between_two_halves_goes_to_the_nearer_or_the_even_one),
        cmocka_unit_test(bfloat_rounds_to_nearest_even_and_keeps_nan),
        cmocka_unit_test(tiles_have_the_documented_sizes),
        cmocka_unit_test(rows_that_the_matrix_lacks_are_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// base/dtype: the table of element types against the file format's list.
#include "../support/mini_cmocka.h"
#include "base/dtype.h"

static void the_sizes_are_those_of_the_file_format(void **state) {
    (void)state;
    static const struct { uint32_t id; const char *name; int block, bytes; } types[] = {
        {0, "F32", 1, 4}, {1, "F16", 1, 2}, {2, "Q4_0", 32, 18}, {3, "Q4_1", 32, 20}, {6, "Q5_0", 32, 22},
        {7, "Q5_1", 32, 24}, {8, "Q8_0", 32, 34}, {9, "Q8_1", 32, 36}, {10, "Q2_K", 256, 84}, {11, "Q3_K", 256, 110},
        {12, "Q4_K", 256, 144}, {13, "Q5_K", 256, 176}, {14, "Q6_K", 256, 210}, {15, "Q8_K", 256, 292},
        {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74}, {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
        {20, "IQ4_NL", 32, 18}, {21, "IQ3_S", 256, 110}, {22, "IQ2_S", 256, 82}, {23, "IQ4_XS", 256, 136},
        {24, "I8", 1, 1}, {25, "I16", 1, 2}, {26, "I32", 1, 4}, {27, "I64", 1, 8}, {28, "F64", 1, 8},
        {29, "IQ1_M", 256, 56}, {30, "BF16", 1, 2}, {34, "TQ1_0", 256, 54}, {35, "TQ2_0", 256, 66},
        {39, "MXFP4", 32, 17}, {40, "NVFP4", 64, 36}, {41, "Q1_0", 128, 18},
    };
    size_t n_known = 0;
    for (uint32_t id = 0; id < 100; id++) n_known += cop_dtype_get(id) != NULL;
    assert_int_equal(n_known, sizeof types / sizeof *types);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const cop_dtype_info *info = cop_dtype_get(types[i].id);
        assert_non_null(info);
        assert_string_equal(info->name, types[i].name);
        assert_int_equal(info->block, types[i].block);
        assert_int_equal(info->block_bytes, types[i].bytes);
    }
}

static void sixteen_types_can_be_computed(void **state) {
    (void)state;
    int n = 0;
    for (uint32_t id = 0; id < COP_N_DTYPES; id++) n += cop_dtype_get(id) && cop_dtype_get(id)->can_compute;
    assert_int_equal(n, 16);
    assert_true(cop_dtype_get(COP_Q6_K)->can_compute);
    assert_false(cop_dtype_get(9)->can_compute);
}

static void unknown_ids_have_no_entry(void **state) {
    (void)state;
    const uint32_t ids[] = {4, 5, 31, 36, COP_N_DTYPES, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        uint64_t bytes;
        assert_null(cop_dtype_get(ids[i]));
        assert_string_equal(cop_dtype_name(ids[i]), "unknown");
        assert_int_equal(cop_dtype_bytes(ids[i], 32, &bytes), COP_ERR_FORMAT);
    }
    assert_string_equal(cop_error_text(), "element type 4294967295 is unknown");
}

static void bytes_are_whole_blocks_and_checked(void **state) {
    (void)state;
    uint64_t bytes;
    assert_int_equal(cop_dtype_bytes(COP_Q4_K, 512, &bytes), COP_OK);
    assert_int_equal(bytes, 288);
    assert_int_equal(cop_dtype_bytes(COP_F32, 0, &bytes), COP_OK);
    assert_int_equal(bytes, 0);
    assert_int_equal(cop_dtype_bytes(COP_Q4_0, 33, &bytes), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "33 elements are not a whole number of Q4_0 blocks of 32");
    assert_int_equal(cop_dtype_bytes(COP_F32, UINT64_MAX, &bytes), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "18446744073709551615 elements of F32: size overflows");
    assert_int_equal(cop_dtype_bytes(COP_F32, UINT64_MAX / 4, &bytes), COP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sizes_are_those_of_the_file_format),
        cmocka_unit_test(sixteen_types_can_be_computed),
        cmocka_unit_test(unknown_ids_have_no_entry),
        cmocka_unit_test(bytes_are_whole_blocks_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

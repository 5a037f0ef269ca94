// Files that lie to the GGUF reader about sizes: one test, or a few, for each class of weakness on
// record for readers of model files.  Every input ends at a page without access, so reading too far
// is seen.  Types and names: gguf_confusion.c; damaged files: gguf_damaged.c.
#include <stdio.h>
#include <string.h>

#include "../support/gguf_raw.h"
#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "format/gguf.h"

// What counts and lengths lie with.
static const uint64_t huge[] = {(uint64_t)1 << 20, (uint64_t)1 << 31, (uint64_t)1 << 32, ((uint64_t)1 << 32) + 1,
                                (uint64_t)1 << 60, (uint64_t)1 << 61, ((uint64_t)1 << 61) + 1,
                                ((uint64_t)1 << 63) - 1, (uint64_t)1 << 63, UINT64_MAX - 7, UINT64_MAX};
#define N_HUGE (sizeof huge / sizeof *huge)

static raw_file f;  // one at a time, as raw_open wants it

// ---- counts and lengths that overflow -------------------------------------------------------

static void a_count_of_keys_that_cannot_fit_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < N_HUGE; i++) {
        raw_header(&f, 0, huge[i]);
        raw_key_u32(&f, "k", 1);
        assert_refused(&f, COP_ERR_FORMAT, "hold at most 1");
    }
    raw_header(&f, 0, 0);
    assert_opens(&f);
    raw_header(&f, 0, 1);
    assert_refused(&f, COP_ERR_FORMAT, "1 keys, but the 0 bytes from byte 24 on hold at most 0");
    raw_key_u32(&f, "k", 1);
    assert_opens(&f);
    raw_header(&f, 0, 2);
    raw_key_u32(&f, "k", 1);
    raw_fill(&f, 0, 13);
    assert_refused(&f, COP_ERR_FORMAT, "key 1 at byte 41: name of 0 bytes");
}

static void a_count_of_tensors_that_cannot_fit_is_refused(void **state) {
    (void)state;
    const uint64_t dims[] = {4};
    for (size_t i = 0; i < N_HUGE; i++) {
        raw_header(&f, huge[i], 0);
        raw_tensor(&f, "t", 1, dims, COP_F32, 0);
        assert_refused(&f, COP_ERR_FORMAT, "hold at most 1");
    }
    raw_header(&f, 1, 0);
    assert_refused(&f, COP_ERR_FORMAT, "1 tensors, but the 0 bytes from byte 24 on hold at most 0");
    raw_header(&f, 1, 1);  // what is left behind the keys counts
    raw_text(&f, "k");
    raw_u32(&f, COP_GGUF_TEXT);
    raw_text(&f, "as long as a tensor entry and a little longer");
    assert_refused(&f, COP_ERR_FORMAT, "1 tensors, but the 0 bytes");
}

static void a_count_above_the_stated_limit_is_refused(void **state) {
    (void)state;
    size_t bytes = 24 + ((size_t)COP_GGUF_MOST_KEYS + 1) * 14;
    uint8_t *data = cop_alloc(bytes);
    assert_non_null(data);
    raw_header(&f, 0, (uint64_t)COP_GGUF_MOST_KEYS + 1);
    memcpy(data, f.v, f.n);
    cop_gguf *g;
    assert_int_equal(raw_open_bytes(&g, data, bytes), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "65537 keys, at most 65536"));
    cop_free(data);
}

static void a_length_of_a_name_that_cannot_fit_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < N_HUGE; i++) {
        raw_header(&f, 0, 1);
        raw_u64(&f, huge[i]);
        raw_fill(&f, 'k', 30);
        assert_refused(&f, COP_ERR_FORMAT, "need 1 to 65535");
        raw_header(&f, 1, 0);
        raw_u64(&f, huge[i]);
        raw_fill(&f, 't', 60);
        assert_refused(&f, COP_ERR_FORMAT, "need 1 to 63");
    }
    raw_header(&f, 0, 1);
    raw_u64(&f, 23);
    raw_fill(&f, 'k', 22);
    assert_refused(&f, COP_ERR_FORMAT, "key 0 at byte 24: the file ends inside its name");
}

static void a_length_of_a_text_that_cannot_fit_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < N_HUGE; i++) {
        raw_header(&f, 0, 1);
        raw_key(&f, "k", COP_GGUF_TEXT);
        raw_u64(&f, huge[i]);
        raw_fill(&f, 'x', 16);
        assert_refused(&f, COP_ERR_FORMAT, "key k: text needs");
        raw_header(&f, 0, 1);
        raw_array(&f, "k", COP_GGUF_TEXT, 2);
        raw_text(&f, "right");
        raw_u64(&f, huge[i]);
        raw_fill(&f, 'x', 16);
        assert_refused(&f, COP_ERR_FORMAT, "key k: text 1 at byte 62");
    }
}

static void a_count_of_an_array_that_cannot_fit_is_refused(void **state) {
    (void)state;
    for (uint32_t type = 0; type < COP_GGUF_N_TYPES; type++)
        for (size_t i = 0; i < N_HUGE && type != COP_GGUF_ARRAY; i++) {
            raw_header(&f, 0, 1);
            raw_array(&f, "k", type, huge[i]);
            raw_fill(&f, 0, 64);
            assert_refused(&f, COP_ERR_FORMAT, "key k: array of");
        }
    for (uint32_t type = 0; type < COP_GGUF_N_TYPES; type++)
        for (uint64_t n = 0; n < 40 && type != COP_GGUF_ARRAY; n++) {  // exact, and one element too many
            raw_header(&f, 0, 1);
            raw_array(&f, "k", type, n);
            raw_fill(&f, 0, n * raw_type_bytes(type));
            assert_opens(&f);
            f.n--;
            if (n) assert_refused(&f, COP_ERR_FORMAT, "key k: array of");
        }
}

// ---- allocation before checking -------------------------------------------------------------

static void a_refused_count_allocates_nothing_for_it(void **state) {
    (void)state;
    cop_gguf *g;
    for (size_t i = 0; i < N_HUGE; i++) {
        raw_header(&f, huge[i], huge[i]);
        long before = cop_alloc_count();
        assert_int_equal(raw_open(&g, &f), COP_ERR_FORMAT);
        assert_int_equal(cop_alloc_count() - before, 2);  // the reader and its name
        raw_header(&f, 0, 1);
        raw_array(&f, "k", COP_GGUF_TEXT, huge[i]);
        before = cop_alloc_count();
        assert_int_equal(raw_open(&g, &f), COP_ERR_FORMAT);
        assert_int_equal(cop_alloc_count() - before, 3);  // and one key
    }
}

// ---- sizes that wrap ------------------------------------------------------------------------

static void tensor_with(uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset, size_t data_bytes) {
    raw_header(&f, 1, 0);
    raw_tensor(&f, "t", n_dims, dims, type, offset);
    raw_pad(&f, 32);
    raw_fill(&f, 1, data_bytes);
}

static void dimensions_whose_product_wraps_are_refused(void **state) {
    (void)state;
    static const uint64_t table[][4] = {
        {(uint64_t)1 << 32, (uint64_t)1 << 32, 1, 1},
        {(uint64_t)1 << 16, (uint64_t)1 << 16, (uint64_t)1 << 16, (uint64_t)1 << 16},
        {(uint64_t)1 << 63, 2, 1, 1}, {UINT64_MAX, UINT64_MAX, 1, 1}, {4, ((uint64_t)1 << 62) + 1, 1, 1},
        {(uint64_t)1 << 62, 1, 1, 1}, {((uint64_t)1 << 62) + 1, 1, 1, 1}, {UINT64_MAX, 1, 1, 1},
        {UINT64_MAX / 4, 1, 1, 1},  // fits, but not with padding
        {(UINT64_MAX - 31) / 4 + 1, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (uint32_t type = 0; type < 2; type++) {
            tensor_with(4, table[i], type == 0 ? COP_F32 : 28, 0, 64);
            assert_refused(&f, COP_ERR_FORMAT, "overflows");
        }
    const uint64_t blocks[] = {((uint64_t)1 << 61), 4};
    tensor_with(2, blocks, COP_Q8_0, 0, 64);
    assert_refused(&f, COP_ERR_FORMAT, "tensor t");
}

static void an_offset_that_wraps_is_refused(void **state) {
    (void)state;
    const uint64_t dims[] = {16};
    static const uint64_t offsets[] = {32, (uint64_t)1 << 31, (uint64_t)1 << 32, (uint64_t)1 << 61, (uint64_t)1 << 63,
                                       UINT64_MAX - 31, UINT64_MAX - 63, UINT64_MAX - 95, UINT64_MAX - 127};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        tensor_with(1, dims, COP_F32, offsets[i], 64);
        assert_refused(&f, COP_ERR_FORMAT, "tensor t: 64 bytes at offset");
    }
    tensor_with(1, dims, COP_F32, 8, 96);
    assert_refused(&f, COP_ERR_FORMAT, "tensor t: offset 8, need a multiple of the alignment 32");
}

static uint64_t next(uint64_t *seed) {  // splitmix64
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void sizes_agree_with_wide_arithmetic(void **state) {
    (void)state;
    uint64_t seed = 4711;
    int n_fit = 0;
    for (int round = 0; round < 400000; round++) {
        uint32_t type = (uint32_t)(next(&seed) % COP_N_DTYPES);
        const cop_dtype_info *info = cop_dtype_get(type);
        if (!info) continue;
        int n_dims = 1 + (int)(next(&seed) % 4);
        uint64_t dims[4], alignment = (uint64_t)1 << (3 + next(&seed) % 18), bytes = 77, padded = 77;
        unsigned __int128 n = 1;
        bool fits = true;
        for (int i = 0; i < n_dims; i++) {
            dims[i] = next(&seed) >> next(&seed) % 64;  // all magnitudes
            if (next(&seed) % 8 == 0) dims[i] = UINT64_MAX / (1 + next(&seed) % 8) - next(&seed) % 40;
            if (i == 0 && next(&seed) % 4) dims[i] -= dims[i] % (uint64_t)info->block;
            fits = fits && dims[i];
            n *= dims[i];  // below 2^128: n is below 2^64 here
            fits = fits && n <= UINT64_MAX;
            if (n > UINT64_MAX) n = 1;
        }
        fits = fits && dims[0] % (uint64_t)info->block == 0;
        unsigned __int128 want = n / (unsigned)info->block * (unsigned)info->block_bytes;
        unsigned __int128 want_padded = (want + alignment - 1) / alignment * alignment;
        fits = fits && want_padded <= UINT64_MAX;
        cop_status st = cop_gguf_tensor_bytes(type, n_dims, dims, alignment, &bytes, &padded);
        if (fits != !st || (fits && (bytes != want || padded != want_padded)) || (!fits && (bytes != 77 || padded != 77)))
            fail_msg("seed 4711, round %d: type %u: %s", round, type, st ? cop_error_text() : "a wrong size");
        n_fit += fits;
    }
    assert_true(n_fit > 10000);
}

// ---- dimensions that lie about the data -----------------------------------------------------

static void data_beyond_the_end_is_refused(void **state) {
    (void)state;
    static const struct { uint32_t type; uint64_t n; size_t bytes; } table[] = {
        {COP_F32, 16, 64}, {COP_F16, 16, 32}, {COP_BF16, 3, 6}, {COP_Q4_0, 32, 18}, {COP_Q4_1, 64, 40}, {COP_Q5_0, 32, 22},
        {COP_Q5_1, 32, 24}, {COP_Q8_0, 32, 34}, {COP_Q4_K, 256, 144}, {COP_Q5_K, 256, 176}, {COP_Q6_K, 512, 420},
        {10, 256, 84}, {24, 7, 7}, {27, 2, 16},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        tensor_with(1, &table[i].n, table[i].type, 0, table[i].bytes);
        assert_opens(&f);
        f.n--;
        assert_refused(&f, COP_ERR_FORMAT, "tensor t:");
    }
    const uint64_t dims[] = {4};
    raw_header(&f, 1, 0);
    raw_tensor(&f, "t", 1, dims, COP_F32, 0);  // no data at all, not even padding
    assert_refused(&f, COP_ERR_FORMAT, "tensor t: 16 bytes at offset 0 of the data, which begins at byte 64");
}

static void two_tensors(uint64_t first, uint64_t n_first, uint64_t second, uint64_t n_second) {
    raw_header(&f, 2, 0);
    raw_tensor(&f, "one", 1, &n_first, COP_F32, first);
    raw_tensor(&f, "two", 1, &n_second, COP_F32, second);
    raw_pad(&f, 32);
    raw_fill(&f, 1, 256);
}

static void tensors_that_share_bytes_are_refused(void **state) {
    (void)state;
    two_tensors(0, 8, 32, 8);
    assert_opens(&f);
    two_tensors(32, 8, 0, 8);  // any order is right
    assert_opens(&f);
    two_tensors(128, 8, 0, 8);  // and any gap
    assert_opens(&f);
    two_tensors(0, 9, 32, 8);
    assert_refused(&f, COP_ERR_FORMAT, "tensors one and two overlap: 36 bytes, the second begins 32 after the first");
    two_tensors(32, 8, 0, 9);
    assert_refused(&f, COP_ERR_FORMAT, "tensors two and one overlap");
    two_tensors(0, 64, 32, 1);  // inside
    assert_refused(&f, COP_ERR_FORMAT, "overlap");
    two_tensors(64, 4, 64, 4);  // the same place
    assert_refused(&f, COP_ERR_FORMAT, "overlap");
    const uint64_t n[] = {33, 8};  // by one byte
    raw_header(&f, 2, 0);
    raw_tensor(&f, "one", 1, &n[0], 24, 0);  // I8
    raw_tensor(&f, "two", 1, &n[1], 24, 32);
    raw_pad(&f, 32);
    raw_fill(&f, 1, 64);
    assert_refused(&f, COP_ERR_FORMAT, "tensors one and two overlap: 33 bytes, the second begins 32 after the first");
}

// ---- alignment, zero, division --------------------------------------------------------------

static void aligned_to(uint32_t type, uint64_t alignment, size_t bytes, size_t pad) {
    const uint64_t dims[] = {4};
    raw_header(&f, 1, 1);
    raw_key(&f, "general.alignment", type);
    raw_bytes(&f, &alignment, bytes);
    raw_tensor(&f, "t", 1, dims, COP_F32, 0);
    raw_pad(&f, pad);
    raw_fill(&f, 1, 16);
}

static void an_alignment_that_is_not_a_power_of_two_in_range_is_refused(void **state) {
    (void)state;
    static const uint32_t wrong[] = {0, 1, 2, 3, 4, 7, 9, 12, 24, 33, 48, 100, (1u << 20) + 1, 1u << 21, 1u << 30, 1u << 31,
                                     0x7fffffff, UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        aligned_to(COP_GGUF_U32, wrong[i], 4, 32);
        assert_refused(&f, COP_ERR_FORMAT, "need a power of two from 8 to 1048576");
    }
    for (uint32_t a = 8; a <= 8192; a *= 2) {
        aligned_to(COP_GGUF_U32, a, 4, a);
        assert_opens(&f);
        f.n--;
        assert_refused(&f, COP_ERR_FORMAT, "tensor t: 16 bytes at offset 0");
    }
    aligned_to(COP_GGUF_U32, 1u << 20, 4, 32);  // the data would begin at 1 MiB
    assert_refused(&f, COP_ERR_FORMAT, "begins at byte 1048576");
}

static void a_dimension_of_zero_is_refused(void **state) {
    (void)state;
    for (uint32_t n_dims = 1; n_dims <= 4; n_dims++)
        for (uint32_t zero = 0; zero < n_dims; zero++) {
            uint64_t dims[] = {256, 2, 2, 2};
            dims[zero] = 0;
            for (uint32_t type = 0; type < COP_N_DTYPES; type++) {
                if (!cop_dtype_get(type)) continue;
                tensor_with(n_dims, dims, type, 0, 64);
                assert_refused(&f, COP_ERR_FORMAT, "is 0");
            }
        }
}

static void a_rank_outside_1_to_4_is_refused(void **state) {
    (void)state;
    static const uint64_t dims[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    static const uint32_t wrong[] = {0, 5, 8};
    for (size_t i = 0; i < 3; i++) {
        tensor_with(wrong[i], dims, COP_F32, 0, 64);
        char part[64];
        snprintf(part, sizeof part, "tensor t: %u dimensions, need 1 to 4", wrong[i]);
        assert_refused(&f, COP_ERR_FORMAT, part);
    }
    static const uint32_t absurd[] = {1u << 31, UINT32_MAX};
    for (size_t i = 0; i < 2; i++) {
        tensor_with(1, dims, COP_F32, 0, 64);
        memcpy(f.v + 24 + 8 + 1, &absurd[i], 4);
        assert_refused(&f, COP_ERR_FORMAT, "tensor t: ");
    }
}

static void a_row_that_is_not_whole_blocks_is_refused(void **state) {
    (void)state;
    for (uint32_t type = 0; type < COP_N_DTYPES; type++) {
        const cop_dtype_info *info = cop_dtype_get(type);
        if (!info || info->block == 1) continue;
        const uint64_t dims[] = {(uint64_t)info->block / 2, 2};  // two halves are a block, but not a row
        tensor_with(2, dims, type, 0, 512);
        assert_refused(&f, COP_ERR_FORMAT, "are not whole");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_count_of_keys_that_cannot_fit_is_refused),
        cmocka_unit_test(a_count_of_tensors_that_cannot_fit_is_refused),
        cmocka_unit_test(a_count_above_the_stated_limit_is_refused),
        cmocka_unit_test(a_length_of_a_name_that_cannot_fit_is_refused),
        cmocka_unit_test(a_length_of_a_text_that_cannot_fit_is_refused),
        cmocka_unit_test(a_count_of_an_array_that_cannot_fit_is_refused),
        cmocka_unit_test(a_refused_count_allocates_nothing_for_it),
        cmocka_unit_test(dimensions_whose_product_wraps_are_refused),
        cmocka_unit_test(an_offset_that_wraps_is_refused),
        cmocka_unit_test(sizes_agree_with_wide_arithmetic),
        cmocka_unit_test(data_beyond_the_end_is_refused),
        cmocka_unit_test(tensors_that_share_bytes_are_refused),
        cmocka_unit_test(an_alignment_that_is_not_a_power_of_two_in_range_is_refused),
        cmocka_unit_test(a_dimension_of_zero_is_refused),
        cmocka_unit_test(a_rank_outside_1_to_4_is_refused),
        cmocka_unit_test(a_row_that_is_not_whole_blocks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

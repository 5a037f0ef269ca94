// Files that are right in size and wrong in meaning: values read as what they are not, types that do
// not exist, names that deceive, numbers that do not fit, files of other formats.
#include <string.h>

#include "../support/gguf_raw.h"
#include "../support/mini_cmocka.h"
#include "format/gguf.h"

static raw_file f;  // one at a time, as raw_open wants it

static void tensor_with(uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset, size_t data_bytes) {
    raw_header(&f, 1, 0);
    raw_tensor(&f, "t", n_dims, dims, type, offset);
    raw_pad(&f, 32);
    raw_fill(&f, 1, data_bytes);
}

static void aligned_to(uint32_t type, uint64_t alignment, size_t bytes, size_t pad) {
    const uint64_t dims[] = {4};
    raw_header(&f, 1, 1);
    raw_key(&f, "general.alignment", type);
    raw_bytes(&f, &alignment, bytes);
    raw_tensor(&f, "t", 1, dims, COP_F32, 0);
    raw_pad(&f, pad);
    raw_fill(&f, 1, 16);
}

// ---- type confusion -------------------------------------------------------------------------

// A file with one key "k" of each type of value in turn, all bytes zero.
static void open_value(cop_gguf **g, uint32_t type, uint32_t element) {
    raw_header(&f, 0, 1);
    if (type == COP_GGUF_ARRAY) {
        raw_array(&f, "k", element, 1);
        raw_fill(&f, 0, raw_type_bytes(element));
    } else {
        raw_key(&f, "k", type);
        raw_fill(&f, 0, raw_type_bytes(type));
    }
    assert_int_equal(raw_open(g, &f), COP_OK);
}

static void expect(bool right, cop_status st, const char *getter, uint32_t type) {
    if (right ? st != COP_OK : st != COP_ERR_FORMAT)
        fail_msg("%s on %s: %s", getter, cop_gguf_type_name(type), cop_status_name(st));
    if (!right && (!strstr(cop_error_text(), "key k: type ") || !strstr(cop_error_text(), "need")))
        fail_msg("%s on %s: '%s'", getter, cop_gguf_type_name(type), cop_error_text());
}

static void every_getter_refuses_every_other_type(void **state) {
    (void)state;
    for (uint32_t type = 0; type < COP_GGUF_N_TYPES; type++)
        for (uint32_t element = 0; element < COP_GGUF_N_TYPES; element++) {
            if ((type != COP_GGUF_ARRAY && element) || element == COP_GGUF_ARRAY) continue;
            cop_gguf *g;
            open_value(&g, type, element);
            bool array = type == COP_GGUF_ARRAY;
            bool integer = type <= COP_GGUF_I32 || type == COP_GGUF_U64 || type == COP_GGUF_I64;
            bool integers = array && (element <= COP_GGUF_I32 || element == COP_GGUF_U64 || element == COP_GGUF_I64);
            bool real = type == COP_GGUF_F32 || type == COP_GGUF_F64;
            bool reals = array && (element == COP_GGUF_F32 || element == COP_GGUF_F64);
            uint32_t u = 9, each[1];
            int64_t i = 9;
            float r = 9;
            bool b = true;
            const char *text = "untouched";
            size_t bytes = 9;
            cop_gguf_array a;
            expect(integer, cop_gguf_get_u32(g, "k", &u), "u32", type);
            expect(integer, cop_gguf_get_u32_or(g, "k", 7, &u), "u32_or", type);
            expect(integer, cop_gguf_get_i64(g, "k", &i), "i64", type);
            expect(integer, cop_gguf_get_i64_or(g, "k", 7, &i), "i64_or", type);
            expect(real, cop_gguf_get_f32(g, "k", &r), "f32", type);
            expect(real, cop_gguf_get_f32_or(g, "k", 7, &r), "f32_or", type);
            expect(type == COP_GGUF_BOOL, cop_gguf_get_bool(g, "k", &b), "bool", type);
            expect(type == COP_GGUF_BOOL, cop_gguf_get_bool_or(g, "k", true, &b), "bool_or", type);
            expect(type == COP_GGUF_TEXT, cop_gguf_get_text(g, "k", &text, &bytes), "text", type);
            expect(type == COP_GGUF_TEXT, cop_gguf_get_text_or(g, "k", "x", &text, &bytes), "text_or", type);
            expect(integer || integers, cop_gguf_get_u32_each(g, "k", each, 1), "u32_each", type);
            expect(integers || (array && element == COP_GGUF_BOOL), cop_gguf_get_array(g, "k", COP_GGUF_INTS, &a),
                   "ints", type);
            expect(reals, cop_gguf_get_array(g, "k", COP_GGUF_FLOATS, &a), "floats", type);
            expect(array && element == COP_GGUF_TEXT, cop_gguf_get_array(g, "k", COP_GGUF_TEXTS, &a), "texts", type);
            expect(reals, cop_gguf_get_array_or_empty(g, "k", COP_GGUF_FLOATS, &a), "floats_or_empty", type);
            assert_true(u == (integer ? 0 : 9) && i == (integer ? 0 : 9) && r == (real ? 0.0f : 9.0f));
            assert_true(b == (type != COP_GGUF_BOOL) && bytes == (type == COP_GGUF_TEXT ? 0u : 9u));
            cop_gguf_close(g);
        }
}

static void an_alignment_of_another_type_is_refused(void **state) {
    (void)state;
    for (uint32_t type = 0; type < COP_GGUF_N_TYPES; type++) {
        if (type == COP_GGUF_U32 || type == COP_GGUF_ARRAY || type == COP_GGUF_TEXT) continue;
        aligned_to(type, type == COP_GGUF_BOOL ? 1 : 32, raw_type_bytes(type), 32);
        assert_refused(&f, COP_ERR_FORMAT, "key general.alignment: type");
    }
    raw_header(&f, 0, 1);
    raw_key(&f, "general.alignment", COP_GGUF_TEXT);
    raw_text(&f, "32");
    assert_refused(&f, COP_ERR_FORMAT, "key general.alignment: type text, need u32");
    raw_header(&f, 0, 1);
    raw_array(&f, "general.alignment", COP_GGUF_U32, 1);
    raw_u32(&f, 32);
    assert_refused(&f, COP_ERR_FORMAT, "key general.alignment: type array, need u32");
}

static void a_type_of_value_that_does_not_exist_is_refused(void **state) {
    (void)state;
    static const uint32_t wrong[] = {13, 14, 255, 1u << 16, 1u << 31, (uint32_t)-1, (uint32_t)-2};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        raw_header(&f, 0, 1);
        raw_key(&f, "k", wrong[i]);
        raw_fill(&f, 0, 32);
        assert_refused(&f, COP_ERR_FORMAT, "types are 0 to 12");
        raw_header(&f, 0, 1);
        raw_array(&f, "k", wrong[i], 1);
        raw_fill(&f, 0, 32);
        assert_refused(&f, COP_ERR_FORMAT, "types are 0 to 12");
    }
    raw_header(&f, 0, 1);
    raw_array(&f, "k", COP_GGUF_ARRAY, 1);
    raw_fill(&f, 0, 64);
    assert_refused(&f, COP_ERR_UNSUPPORTED, "key k: an array of arrays");
}

static void a_bool_that_is_neither_0_nor_1_is_refused(void **state) {
    (void)state;
    for (int v = 0; v < 256; v++) {
        raw_header(&f, 0, 2);
        raw_key(&f, "k", COP_GGUF_BOOL);
        raw_u8(&f, (uint8_t)v);
        raw_array(&f, "list", COP_GGUF_BOOL, 3);
        raw_fill(&f, 1, 3);
        if (v < 2) assert_opens(&f);
        else assert_refused(&f, COP_ERR_FORMAT, "key k: bool 0 is");
        f.v[24 + 8 + 1 + 4] = 0;
        f.v[f.n - 1] = (uint8_t)v;
        if (v >= 2) assert_refused(&f, COP_ERR_FORMAT, "key list: bool 2 is");
    }
}

static void a_tensor_type_that_cannot_be_sized_is_refused_by_name(void **state) {
    (void)state;
    const uint64_t dims[] = {256};
    static const struct { uint32_t id; cop_status status; const char *part; } table[] = {
        {4, COP_ERR_UNSUPPORTED, "tensor t: type 4 (Q4_2)"},
        {31, COP_ERR_UNSUPPORTED, "tensor t: type 31 (Q4_0_4_4)"},
        {38, COP_ERR_UNSUPPORTED, "tensor t: type 38 (IQ4_NL_8_8)"},
        {43, COP_ERR_FORMAT, "tensor t: type 43 is unknown"},
        {255, COP_ERR_FORMAT, "type 255 is unknown"},
        {1u << 31, COP_ERR_FORMAT, "type 2147483648 is unknown"},
        {UINT32_MAX, COP_ERR_FORMAT, "type 4294967295 is unknown"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        tensor_with(1, dims, table[i].id, 0, 1024);
        assert_refused(&f, table[i].status, table[i].part);
    }
    for (uint32_t id = 0; id < 300; id++) {  // known ones open, computable or not; the rest is refused
        cop_gguf *g;
        tensor_with(1, dims, id, 0, 2048);
        assert_int_equal(!raw_open(&g, &f), cop_dtype_get(id) != NULL);
        cop_gguf_close(g);
    }
}

// ---- names ----------------------------------------------------------------------------------

static void a_name_used_twice_is_refused(void **state) {
    (void)state;
    raw_header(&f, 0, 3);
    raw_key_u32(&f, "llama.block_count", 1);
    raw_key_u32(&f, "llama.block", 2);
    raw_key_u32(&f, "llama.block_count", 3);
    assert_refused(&f, COP_ERR_FORMAT, "key llama.block_count: is there twice");
    const uint64_t dims[] = {8};
    raw_header(&f, 2, 0);
    raw_tensor(&f, "output.weight", 1, dims, COP_F32, 0);
    raw_tensor(&f, "output.weight", 1, dims, COP_F32, 32);
    raw_pad(&f, 32);
    raw_fill(&f, 1, 64);
    assert_refused(&f, COP_ERR_FORMAT, "tensor output.weight: is there twice");
}

static void a_name_that_could_deceive_a_terminal_is_refused(void **state) {
    (void)state;
    const uint64_t dims[] = {8};
    for (int b = 0; b < 256; b++) {
        char name[] = "ab?d";
        name[2] = (char)b;
        for (int tensor = 0; tensor < 2; tensor++) {
            raw_header(&f, tensor ? 1 : 0, tensor ? 0 : 1);
            raw_u64(&f, 4);
            raw_bytes(&f, name, 4);
            raw_u32(&f, tensor ? 1 : COP_GGUF_U32);
            if (tensor) {
                raw_u64(&f, dims[0]);
                raw_u32(&f, COP_F32);
                raw_u64(&f, 0);
                raw_pad(&f, 32);
                raw_fill(&f, 1, 32);
            } else {
                raw_u32(&f, 1);
            }
            if (b >= 0x20 && b < 0x7f) assert_opens(&f);
            else assert_refused(&f, COP_ERR_FORMAT, "at place 2 of its name, need printable ASCII");
        }
    }
}

static void a_tensor_name_of_64_bytes_is_refused(void **state) {
    (void)state;
    const uint64_t dims[] = {8};
    char name[66] = "";
    for (size_t n = 0; n <= 65; n++) {
        tensor_with(1, dims, COP_F32, 0, 0);
        raw_header(&f, 1, 0);
        raw_tensor(&f, name, 1, dims, COP_F32, 0);
        raw_pad(&f, 32);
        raw_fill(&f, 1, 32);
        if (n >= 1 && n <= 63) assert_opens(&f);
        else assert_refused(&f, COP_ERR_FORMAT, "bytes, need 1 to 63");
        if (n < 65) name[n] = 'n';
    }
}

// ---- tokenizer data -------------------------------------------------------------------------

static void a_special_id_of_minus_one_is_not_a_large_number(void **state) {
    (void)state;
    cop_gguf *g;
    uint32_t u = 5, each[3] = {5, 5, 5};
    int64_t i;
    static const uint32_t types[] = {COP_GGUF_I8, COP_GGUF_I16, COP_GGUF_I32, COP_GGUF_I64};
    for (size_t k = 0; k < 4; k++) {
        size_t bytes = raw_type_bytes(types[k]);
        raw_header(&f, 0, 2);
        raw_key(&f, "tokenizer.ggml.bos_token_id", types[k]);
        raw_fill(&f, 0xff, bytes);
        raw_array(&f, "ids", types[k], 3);
        raw_fill(&f, 0, 2 * bytes);
        raw_fill(&f, 0xff, bytes);
        assert_int_equal(raw_open(&g, &f), COP_OK);
        assert_int_equal(cop_gguf_get_u32(g, "tokenizer.ggml.bos_token_id", &u), COP_ERR_FORMAT);
        assert_non_null(strstr(cop_error_text(), "key tokenizer.ggml.bos_token_id: -1, need 0 to 4294967295; test.gguf"));
        assert_int_equal(cop_gguf_get_u32_or(g, "tokenizer.ggml.bos_token_id", 2, &u), COP_ERR_FORMAT);
        assert_int_equal(cop_gguf_get_i64(g, "tokenizer.ggml.bos_token_id", &i), COP_OK);
        assert_int_equal(i, -1);
        assert_int_equal(cop_gguf_get_u32_each(g, "ids", each, 3), COP_ERR_FORMAT);
        assert_true(u == 5 && each[0] == 5 && each[2] == 5);  // nothing is written on failure
        cop_gguf_close(g);
    }
}

static void a_number_that_does_not_fit_is_refused(void **state) {
    (void)state;
    cop_gguf *g;
    uint32_t u;
    int64_t i;
    cop_gguf_array a;
    raw_header(&f, 0, 4);
    raw_key(&f, "33 bits", COP_GGUF_U64);
    raw_u64(&f, (uint64_t)1 << 32);
    raw_key(&f, "64 bits", COP_GGUF_U64);
    raw_u64(&f, UINT64_MAX);
    raw_array(&f, "list", COP_GGUF_U64, 2);
    raw_u64(&f, 1);
    raw_u64(&f, (uint64_t)1 << 63);
    raw_key(&f, "fits", COP_GGUF_U64);
    raw_u64(&f, UINT32_MAX);
    assert_int_equal(raw_open(&g, &f), COP_OK);
    assert_int_equal(cop_gguf_get_u32(g, "33 bits", &u), COP_ERR_FORMAT);
    assert_int_equal(cop_gguf_get_i64(g, "33 bits", &i), COP_OK);
    assert_true(i == (int64_t)1 << 32);
    assert_int_equal(cop_gguf_get_u32(g, "64 bits", &u), COP_ERR_FORMAT);
    assert_int_equal(cop_gguf_get_i64(g, "64 bits", &i), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "18446744073709551615, need at most 9223372036854775807"));
    assert_int_equal(cop_gguf_get_array(g, "list", COP_GGUF_INTS, &a), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "key list: element 1 is above"));
    assert_int_equal(cop_gguf_get_u32(g, "fits", &u), COP_OK);
    assert_true(u == UINT32_MAX);
    cop_gguf_close(g);
}

static void a_float_that_is_not_finite_is_refused(void **state) {
    (void)state;
    static const uint32_t wrong[] = {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff};
    cop_gguf *g;
    float r;
    for (size_t k = 0; k < 5; k++) {
        raw_header(&f, 0, 1);
        raw_key(&f, "k", COP_GGUF_F32);
        raw_u32(&f, wrong[k]);
        assert_int_equal(raw_open(&g, &f), COP_OK);
        assert_int_equal(cop_gguf_get_f32(g, "k", &r), COP_ERR_FORMAT);
        assert_non_null(strstr(cop_error_text(), "need a finite number"));
        cop_gguf_close(g);
    }
    static const double doubles[] = {1e39, -1e300, 3.4028236e38};
    for (size_t k = 0; k < 3; k++) {
        raw_header(&f, 0, 1);
        raw_key(&f, "k", COP_GGUF_F64);
        raw_bytes(&f, &doubles[k], 8);
        assert_int_equal(raw_open(&g, &f), COP_OK);
        assert_int_equal(cop_gguf_get_f32(g, "k", &r), COP_ERR_FORMAT);
        cop_gguf_close(g);
    }
}

// ---- the header -----------------------------------------------------------------------------

static void other_files_are_told_apart(void **state) {
    (void)state;
    static const struct { const char *bytes; size_t n; cop_status status; const char *part; } table[] = {
        {"", 0, COP_ERR_FORMAT, "header: 0 bytes, need 24"},
        {"GGU", 3, COP_ERR_FORMAT, "header: 3 bytes, need 24"},
        {"GGUF", 4, COP_ERR_FORMAT, "header: 4 bytes, need 24"},
        {"GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 23, COP_ERR_FORMAT, "header: 23 bytes, need 24"},
        {"GGUF\0\0\0\0", 8, COP_ERR_UNSUPPORTED, "version 0, need 2 or 3"},
        {"GGUF\1\0\0\0", 8, COP_ERR_UNSUPPORTED, "version 1 (32-bit counts)"},
        {"GGUF\4\0\0\0", 8, COP_ERR_UNSUPPORTED, "version 4, need 2 or 3"},
        {"GGUF\0\0\0\3", 8, COP_ERR_UNSUPPORTED, "big-endian"},
        {"FUGG\0\0\0\3", 8, COP_ERR_UNSUPPORTED, "big-endian"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, COP_ERR_FORMAT, "Git LFS pointer"},
        {"PK\3\4", 4, COP_ERR_FORMAT, "begins with bytes 50 4b 03 04"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        f.n = 0;
        raw_bytes(&f, table[i].bytes, table[i].n);
        assert_refused(&f, table[i].status, table[i].part);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_getter_refuses_every_other_type),
        cmocka_unit_test(an_alignment_of_another_type_is_refused),
        cmocka_unit_test(a_type_of_value_that_does_not_exist_is_refused),
        cmocka_unit_test(a_bool_that_is_neither_0_nor_1_is_refused),
        cmocka_unit_test(a_tensor_type_that_cannot_be_sized_is_refused_by_name),
        cmocka_unit_test(a_name_used_twice_is_refused),
        cmocka_unit_test(a_name_that_could_deceive_a_terminal_is_refused),
        cmocka_unit_test(a_tensor_name_of_64_bytes_is_refused),
        cmocka_unit_test(a_special_id_of_minus_one_is_not_a_large_number),
        cmocka_unit_test(a_number_that_does_not_fit_is_refused),
        cmocka_unit_test(a_float_that_is_not_finite_is_refused),
        cmocka_unit_test(other_files_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

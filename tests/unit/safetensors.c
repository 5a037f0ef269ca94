// safetensors files: what is right is read as it is, what lies is refused by name. Every input ends where
// a page without access begins, so reading one byte too many is seen.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "base/alloc.h"
#include "base/json.h"
#include "format/safetensors.h"


#define ROOM ((size_t)1 << 20)
static uint8_t *pages;

static cop_status open_bytes(cop_safetensors **out, const void *data, size_t bytes) {
    if (!pages) {
        pages = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(pages != MAP_FAILED && !mprotect(pages + ROOM, 4096, PROT_NONE));
    }
    assert_true(bytes <= ROOM);
    memcpy(pages + ROOM - bytes, data, bytes);
    return cop_safetensors_from_memory(out, pages + ROOM - bytes, bytes, "m.safetensors");
}

static size_t make(uint8_t *out, const char *header, size_t data_bytes) {
    uint64_t n = strlen(header);
    memcpy(out, &n, 8);
    memcpy(out + 8, header, n);
    for (size_t i = 0; i < data_bytes; i++) out[8 + n + i] = (uint8_t)i;
    return 8 + n + data_bytes;
}

static cop_status open_text(cop_safetensors **out, const char *header, size_t data_bytes) {
    static uint8_t bytes[ROOM];
    return open_bytes(out, bytes, make(bytes, header, data_bytes));
}

static void refused(const char *header, size_t data_bytes, cop_status want, const char *part) {
    cop_safetensors *s;
    cop_status st = open_text(&s, header, data_bytes);
    if (st != want || s || !strstr(cop_error_text(), part) || !strstr(cop_error_text(), "m.safetensors") || strchr(cop_error_text(), '\n'))
        fail_msg("%.200s\nexpected %d with \"%s\", got %d: %s", header, want, part, st, cop_error_text());
}

static void opens(const char *header, size_t data_bytes) {
    cop_safetensors *s;
    if (open_text(&s, header, data_bytes)) fail_msg("%.200s: %s", header, cop_error_text());
    cop_safetensors_close(s);
}

#define T(name, dtype, shape, offsets) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static void tensors_come_with_their_type_shape_and_bytes(void **state) {
    (void)state;
    cop_safetensors *s;
    assert_int_equal(open_text(&s, "{\"__metadata__\":{\"format\":\"pt\"}," T("b", "BF16", "2,3", "0,12") "," T("a", "F32", "", "12,16") ","
                                   T("c", "I64", "1", "16,24") "," T("d", "F16", "1,1,2", "24,28") "}   ", 28), COP_OK);
    assert_int_equal(cop_safetensors_n_tensors(s), 4);
    assert_int_equal(cop_safetensors_n_shards(s), 1);
    const cop_safetensors_tensor *b = cop_safetensors_find_tensor(s, "b"), *t;
    assert_ptr_equal(cop_safetensors_tensor_at(s, 1), b);
    assert_int_equal(b->type, COP_BF16);
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->dims[0], 2);
    assert_int_equal(b->dims[1], 3);
    assert_int_equal(b->dims[2], 1);
    assert_int_equal(b->bytes, 12);
    assert_int_equal(b->data[5], 5);
    assert_ptr_equal(b->map, cop_safetensors_map(s, 0));
    assert_null(cop_safetensors_map(s, 1));
    assert_int_equal(cop_safetensors_find_tensor(s, "a")->n_dims, 0);
    assert_int_equal(cop_safetensors_find_tensor(s, "a")->data[0], 12);
    assert_int_equal(cop_safetensors_get(s, "d", &t), COP_OK);
    assert_int_equal(t->type, COP_F16);
    assert_int_equal(cop_safetensors_get(s, "c", &t), COP_ERR_UNSUPPORTED);
    assert_string_equal(cop_error_text(), "tensor c: type I64, need F32, F16 or BF16; m.safetensors");
    assert_int_equal(cop_safetensors_get(s, "e", &t), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "tensor e is missing; m.safetensors");
    assert_null(cop_safetensors_tensor_at(s, 4));
    cop_safetensors_close(s);
    opens("{}", 0);
}

static void every_type_of_the_format_has_its_size(void **state) {
    (void)state;
    static const struct { const char *name; int bits; } all[] = {
        {"BOOL", 8}, {"U8", 8}, {"I8", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},
        {"I32", 32}, {"U32", 32}, {"F32", 32}, {"F64", 64}, {"I64", 64}, {"U64", 64}, {"C64", 64}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char header[200];
        for (int wrong = 0; wrong < 2; wrong++) {
            int bytes = 4 * all[i].bits / 8 + wrong;
            snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%d]}}", all[i].name, bytes);
            if (wrong) refused(header, (size_t)bytes, COP_ERR_FORMAT, "tensor a: ");
            else opens(header, (size_t)bytes);
        }
    }
    refused("{" T("a", "F4", "3", "0,1") "}", 1, COP_ERR_FORMAT, "tensor a: 1 bytes");  // half a byte
    refused("{" T("a", "F128", "1", "0,16") "}", 16, COP_ERR_UNSUPPORTED, "tensor a: type F128 is unknown");
    refused("{" T("a", "f32", "1", "0,4") "}", 4, COP_ERR_UNSUPPORTED, "type f32");
    refused("{" T("a", "F\\n32", "1", "0,4") "}", 4, COP_ERR_UNSUPPORTED, "(not a name)");
}

static void a_length_of_the_header_that_cannot_fit_is_refused(void **state) {
    (void)state;
    static const uint64_t huge[] = {3, 4, (uint64_t)1 << 31, (uint64_t)1 << 32, (uint64_t)1 << 61, ((uint64_t)1 << 63) - 1,
                                    (uint64_t)1 << 63, UINT64_MAX - 7, UINT64_MAX};
    uint8_t bytes[16] = {0};
    cop_safetensors *s;
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        memcpy(bytes, &huge[i], 8);
        memcpy(bytes + 8, "{}", 2);
        assert_int_equal(open_bytes(&s, bytes, 10), COP_ERR_FORMAT);
        assert_non_null(strstr(cop_error_text(), "but the file has 2"));
    }
    for (size_t n = 0; n < 8; n++) assert_int_equal(open_bytes(&s, bytes, n), COP_ERR_FORMAT);
    for (uint64_t n = 0; n < 3; n++) {
        memcpy(bytes, &n, 8);
        assert_int_equal(open_bytes(&s, bytes, 10), n == 2 ? COP_OK : COP_ERR_FORMAT);
        cop_safetensors_close(s);
    }
}

static void a_header_that_is_no_object_of_objects_is_refused(void **state) {
    (void)state;
    refused(" {}", 0, COP_ERR_FORMAT, "does not begin with '{'");
    refused("[]", 0, COP_ERR_FORMAT, "does not begin with '{'");
    refused("{]", 0, COP_ERR_FORMAT, "JSON, line 1");
    refused("{}x", 0, COP_ERR_FORMAT, "JSON, line 1");
    refused("{\"a\":1}", 0, COP_ERR_FORMAT, "tensor a: must be an object");
    refused("{\"a\":{}}", 0, COP_ERR_FORMAT, "dtype must be a text");
    refused("{\"a\":{\"dtype\":1}}", 0, COP_ERR_FORMAT, "dtype must be a text");
    refused("{\"a\":{\"dtype\":\"F32\"}}", 0, COP_ERR_FORMAT, "shape must be an array");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 0, COP_ERR_FORMAT, "data_offsets must be an array of two");
    refused("{" T("a", "F32", "1", "0,4,8") "}", 8, COP_ERR_FORMAT, "array of two");
    refused("{" T("a", "F32", "\\\"1\\\"", "0,4") "}", 4, COP_ERR_FORMAT, "JSON");
    refused("{" T("a", "F32", "1.0", "0,4") "}", 4, COP_ERR_FORMAT, "shape must hold integers");
    refused("{" T("a", "F32", "-1", "0,4") "}", 4, COP_ERR_FORMAT, "shape must hold integers");
    refused("{" T("a", "F32", "true", "0,4") "}", 4, COP_ERR_FORMAT, "shape must hold integers");
    refused("{" T("a", "F32", "1", "-4,0") "}", 4, COP_ERR_FORMAT, "data_offsets must hold integers");
    refused("{" T("a", "F32", "1", "0,\"4\"") "}", 4, COP_ERR_FORMAT, "data_offsets must hold integers");
    refused("{\"__metadata__\":[]}", 0, COP_ERR_FORMAT, "__metadata__ must be an object");
    refused("{\"__metadata__\":{\"a\":1}}", 0, COP_ERR_FORMAT, "__metadata__ must hold texts");
    refused("{\"a\xff\":1}", 0, COP_ERR_FORMAT, "JSON");
}

static void names_are_printable_bounded_and_different(void **state) {
    (void)state;
    char header[600], name[300];
    refused("{" T("", "F32", "1", "0,4") "}", 4, COP_ERR_FORMAT, "name of 0 bytes");
    refused("{" T("a\\n", "F32", "1", "0,4") "}", 4, COP_ERR_FORMAT, "byte 0x0a at place 1");
    refused("{" T("a\\u0000", "F32", "1", "0,4") "}", 4, COP_ERR_FORMAT, "JSON");
    refused("{" T("\\u00e9", "F32", "1", "0,4") "}", 4, COP_ERR_FORMAT, "byte 0xc3");
    for (int n = 255; n <= 256; n++) {
        memset(name, 'n', (size_t)n);
        name[n] = 0;
        snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", name);
        if (n == 255) opens(header, 4);
        else refused(header, 4, COP_ERR_FORMAT, "name of 256 bytes");
    }
    refused("{" T("a", "F32", "1", "0,4") "," T("a", "F32", "1", "4,8") "}", 8, COP_ERR_FORMAT, "JSON, line 1");
}

static void sizes_that_overflow_or_disagree_are_refused(void **state) {
    (void)state;
    refused("{" T("a", "F32", "9223372036854775807,2,2", "0,4") "}", 4, COP_ERR_FORMAT, "the number of elements overflows");
    refused("{" T("a", "F32", "4294967296,4294967296", "0,0") "}", 0, COP_ERR_FORMAT, "the number of elements overflows");
    refused("{" T("a", "F32", "2305843009213693953", "0,4") "}", 4, COP_ERR_FORMAT, "size overflows");
    refused("{" T("a", "F64", "4611686018427387904", "0,0") "}", 0, COP_ERR_FORMAT, "size overflows");
    refused("{" T("a", "F32", "18446744073709551617", "0,4") "}", 4, COP_ERR_FORMAT, "JSON");
    refused("{" T("a", "F32", "2", "0,4") "}", 4, COP_ERR_FORMAT, "tensor a: 4 bytes, but its shape and type F32 need 8");
    refused("{" T("a", "F32", "0", "0,0") "}", 0, COP_ERR_FORMAT, "dimension 0 is 0");
    refused("{" T("a", "F32", "1,1,1,1,1,1,1,1,1", "0,4") "}", 4, COP_ERR_LIMIT, "9 dimensions, at most 8");
    opens("{" T("a", "F32", "1,1,1,1,1,1,1,1", "0,4") "}", 4);
}

static void data_lies_in_the_file_without_gap_or_overlap(void **state) {
    (void)state;
    refused("{" T("a", "F32", "2", "0,8") "}", 7, COP_ERR_FORMAT, "tensor a: data from 0 to 8, the file holds 7 bytes");
    refused("{" T("a", "F32", "1", "8,4") "}", 8, COP_ERR_FORMAT, "data from 8 to 4");
    refused("{" T("a", "F32", "1", "9223372036854775803,9223372036854775807") "}", 8, COP_ERR_FORMAT, "the file holds 8 bytes");
    refused("{" T("a", "F32", "1", "4,8") "}", 8, COP_ERR_FORMAT, "4 bytes before it belong to no tensor");
    refused("{" T("a", "F32", "1", "0,4") "}", 8, COP_ERR_FORMAT, "the tensors end at 4 of 8 bytes");
    refused("{" T("a", "F32", "1", "0,4") "," T("b", "F32", "1", "0,4") "}", 4, COP_ERR_FORMAT, "overlap");
    refused("{" T("a", "F32", "2", "0,8") "," T("b", "F32", "1", "4,8") "}", 8, COP_ERR_FORMAT, "tensors a and b overlap");
    refused("{" T("a", "F32", "1", "0,4") "," T("b", "F32", "1", "8,12") "}", 12, COP_ERR_FORMAT, "tensor b: begins at 8");
    refused("{}", 1, COP_ERR_FORMAT, "the tensors end at 0 of 1 bytes");
}

static void depth_and_values_of_the_header_are_bounded(void **state) {
    (void)state;
    static char header[ROOM / 2];
    refused("{\"a\":{\"b\":[[[1]]]}}", 0, COP_ERR_LIMIT, "JSON nested deeper than 4 at byte 12");
    size_t n = (size_t)snprintf(header, sizeof header, "{\"a\":");
    memset(header + n, '[', 200000);
    refused(header, 0, COP_ERR_LIMIT, "nested deeper");
    refused("{\"__metadata__\":{\"a\":\"[[[[[[[[{{{{\\\"[[[[\"}}x", 0, COP_ERR_FORMAT, "JSON");  // brackets in a text count for nothing
    json_t *v;
    const cop_json_limits few = {100, 5, 3};
    assert_int_equal(cop_json_parse(&v, "{\"a\":[1,2,3,4]}", 15, &few), COP_ERR_LIMIT);
    assert_string_equal(cop_error_text(), "JSON of more than 5 values");
    assert_int_equal(cop_json_parse(&v, "{\"a\":[1,2]}", 11, &few), COP_OK);
    json_decref(v);
}

static void a_file_cut_anywhere_is_refused_by_name(void **state) {
    (void)state;
    static uint8_t bytes[1024];
    size_t n = make(bytes, "{" T("a", "F32", "2,2", "0,16") "," T("b", "BF16", "3", "16,22") "}", 22);
    cop_safetensors *s;
    for (size_t cut = 0; cut < n; cut++) {
        if (!open_bytes(&s, bytes, cut)) fail_msg("cut at %zu of %zu opens", cut, n);
        assert_non_null(strstr(cop_error_text(), "m.safetensors"));
    }
    assert_int_equal(open_bytes(&s, bytes, n), COP_OK);
    cop_safetensors_close(s);
}

static void a_header_changed_anywhere_opens_or_is_refused(void **state) {
    (void)state;
    static uint8_t bytes[1024];
    size_t n = make(bytes, "{" T("a", "F32", "2,2", "0,16") "," T("b", "BF16", "3", "16,22") "}", 22);
    for (size_t i = 0; i < n - 22; i++)
        for (int bit = 0; bit < 8; bit++) {
            cop_safetensors *s;
            bytes[i] ^= (uint8_t)(1 << bit);
            cop_status st = open_bytes(&s, bytes, n);
            assert_true((st == COP_OK) == (s != NULL));
            for (size_t k = 0; s && k < cop_safetensors_n_tensors(s); k++) {
                const cop_safetensors_tensor *t = cop_safetensors_tensor_at(s, k);
                assert_true(t->data + t->bytes <= pages + ROOM);
            }
            cop_safetensors_close(s);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
}

// ---- shards ---------------------------------------------------------------------------------

static char folder[64];

static void put(const char *file, const void *data, size_t bytes) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
}

static void put_tensors(const char *file, const char *header, size_t data_bytes) {
    uint8_t bytes[2048];
    put(file, bytes, make(bytes, header, data_bytes));
}

static int new_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/coppice-safetensors-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void folder_refused(const char *index, cop_status want, const char *part) {
    cop_safetensors *s;
    put("model.safetensors.index.json", index, strlen(index));
    cop_status st = cop_safetensors_open_folder(&s, folder);
    if (st != want || s || !strstr(cop_error_text(), part) || !strstr(cop_error_text(), folder))
        fail_msg("%s\nexpected %d with \"%s\", got %d: %s", index, want, part, st, cop_error_text());
}

static void shards_are_one_list_of_tensors(void **state) {
    (void)state;
    cop_safetensors *s;
    const char *index = "{\"metadata\":{\"total_size\":12},\"weight_map\":{\"b\":\"m-1.safetensors\",\"a\":\"m-2.safetensors\",\"c\":\"m-1.safetensors\"}}";
    assert_int_equal(cop_safetensors_open_folder(&s, folder), COP_ERR_NOT_FOUND);
    put("model.safetensors.index.json", index, strlen(index));
    put_tensors("m-1.safetensors", "{" T("b", "F32", "1", "0,4") "," T("c", "F32", "1", "4,8") "}", 8);
    assert_int_equal(cop_safetensors_open_folder(&s, folder), COP_ERR_NOT_FOUND);
    assert_non_null(strstr(cop_error_text(), "m-2.safetensors"));
    put_tensors("m-2.safetensors", "{" T("a", "F32", "1", "0,4") "}", 4);
    if (cop_safetensors_open_folder(&s, folder)) fail_msg("%s", cop_error_text());
    assert_int_equal(cop_safetensors_n_shards(s), 2);
    assert_int_equal(cop_safetensors_n_tensors(s), 3);
    assert_ptr_equal(cop_safetensors_find_tensor(s, "c")->map, cop_safetensors_map(s, 0));
    assert_ptr_equal(cop_safetensors_find_tensor(s, "a")->map, cop_safetensors_map(s, 1));
    assert_int_equal(cop_safetensors_find_tensor(s, "c")->data[0], 4);
    cop_safetensors_close(s);
    put_tensors("model.safetensors", "{" T("x", "F32", "1", "0,4") "}", 4);  // a whole file comes before shards
    assert_int_equal(cop_safetensors_open_folder(&s, folder), COP_OK);
    assert_non_null(cop_safetensors_find_tensor(s, "x"));
    cop_safetensors_close(s);
}

static void an_index_that_lies_is_refused(void **state) {
    (void)state;
    put_tensors("m-1.safetensors", "{" T("a", "F32", "1", "0,4") "}", 4);
    put_tensors("m-2.safetensors", "{" T("a", "F32", "1", "0,4") "," T("b", "F32", "1", "4,8") "}", 8);
    folder_refused("[]", COP_ERR_FORMAT, "not an object");
    folder_refused("{", COP_ERR_FORMAT, "JSON, line 1");
    folder_refused("{}", COP_ERR_FORMAT, "weight_map must be an object");
    folder_refused("{\"weight_map\":{}}", COP_ERR_FORMAT, "weight_map must be an object");
    folder_refused("{\"weight_map\":{\"a\":1}}", COP_ERR_FORMAT, "weight_map must hold file names");
    folder_refused("{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-1.safetensors\"}}", COP_ERR_FORMAT, "tensor b is in the index, and in no file");
    folder_refused("{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}", COP_ERR_FORMAT, "tensor a is in two files");
    put_tensors("m-3.safetensors", "{" T("c", "F32", "1", "0,4") "}", 4);
    folder_refused("{\"weight_map\":{\"c\":\"m-2.safetensors\",\"b\":\"m-3.safetensors\"}}", COP_ERR_FORMAT, "tensor c: the index says m-2.safetensors, it is in m-3.safetensors");
}

static void a_shard_is_never_outside_the_folder(void **state) {
    (void)state;
    static const char *const names[] = {"../m.safetensors", "/etc/m.safetensors", "sub/m.safetensors", "..", "", ".safetensors", ".m.safetensors",
                                        "m.bin", "a\\\\b.safetensors", "a\\n.safetensors", "\\u00e9.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char index[200];
        snprintf(index, sizeof index, "{\"weight_map\":{\"a\":\"%s\"}}", names[i]);
        folder_refused(index, COP_ERR_FORMAT, "no plain NAME.safetensors");
    }
}

// ---- data sets and memory -------------------------------------------------------------------

static void the_hostile_samples_are_read_or_refused_as_they_should(void **state) {
    (void)state;
    static const struct { const char *file; int n; } all[] = {
        {"samples/overall.safetensors", 0}, {"samples/type_b.safetensors", 1}, {"samples/type_e.safetensors", 1}, {"samples/type_f.safetensors", 1},
        {"samples/type_upper_I.safetensors", 1}, {"metadata/malicious_import.safetensors", 3}, {"tiny.safetensors", -1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char path[PLACE_BYTES], name[100];
        snprintf(name, sizeof name, "hostile-safetensors/%s", all[i].file);
        if (!place_data(path, name)) {
            print_message("skipped: no %s\n", name);
            skip();
        }
        cop_safetensors *s;
        cop_status opened = cop_safetensors_open(&s, path);
        if (all[i].n < 0) {  // five bytes that belong to no tensor
            assert_int_equal(opened, COP_ERR_FORMAT);
            assert_non_null(strstr(cop_error_text(), "end at 32768 of 32773 bytes of data"));
            continue;
        }
        if (opened) fail_msg("%s", cop_error_text());
        if (all[i].n) assert_int_equal(cop_safetensors_n_tensors(s), all[i].n);
        for (size_t k = 0; k < cop_safetensors_n_tensors(s); k++) {
            const cop_safetensors_tensor *t = cop_safetensors_tensor_at(s, k), *got;
            cop_status st = cop_safetensors_get(s, t->name, &got);
            assert_int_equal(st, strchr("FB", t->type_name[0]) && strcmp(t->type_name, "F64") ? COP_OK : COP_ERR_UNSUPPORTED);
        }
        cop_safetensors_close(s);
    }
}

static void each_allocation_that_fails_is_reported(void **state) {
    (void)state;
    const char *index = "{\"weight_map\":{\"b\":\"m-1.safetensors\",\"a\":\"m-2.safetensors\"}}";
    put("model.safetensors.index.json", index, strlen(index));
    put_tensors("m-1.safetensors", "{" T("b", "F32", "1", "0,4") "," T("c", "F32", "1", "4,8") "}", 8);
    put_tensors("m-2.safetensors", "{\"__metadata__\":{\"format\":\"pt\"}," T("a", "F32", "1", "0,4") "}", 4);
    json_set_alloc_funcs(cop_alloc, cop_free);  // so that jansson's fail too
    long n = 0;
    for (bool failed = true; failed && n < 2000;) {
        cop_safetensors *s;
        cop_alloc_fail_at(++n);
        cop_status st = cop_safetensors_open_folder(&s, folder);
        failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        bool right = !failed ? st == COP_OK : st == COP_ERR_NOMEM || st == COP_ERR_FORMAT;  // jansson calls some of its own a syntax error
        if (!right || (s != NULL) != (st == COP_OK)) fail_msg("allocation %ld: %d %s", n, st, cop_error_text());
        cop_safetensors_close(s);
    }
    assert_in_range(n, 40, 1000);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, new_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_with_their_type_shape_and_bytes),
        cmocka_unit_test(every_type_of_the_format_has_its_size),
        cmocka_unit_test(a_length_of_the_header_that_cannot_fit_is_refused),
        cmocka_unit_test(a_header_that_is_no_object_of_objects_is_refused),
        cmocka_unit_test(names_are_printable_bounded_and_different),
        cmocka_unit_test(sizes_that_overflow_or_disagree_are_refused),
        cmocka_unit_test(data_lies_in_the_file_without_gap_or_overlap),
        cmocka_unit_test(depth_and_values_of_the_header_are_bounded),
        cmocka_unit_test(a_file_cut_anywhere_is_refused_by_name),
        cmocka_unit_test(a_header_changed_anywhere_opens_or_is_refused),
        IN_FOLDER(shards_are_one_list_of_tensors),
        IN_FOLDER(an_index_that_lies_is_refused),
        IN_FOLDER(a_shard_is_never_outside_the_folder),
        cmocka_unit_test(the_hostile_samples_are_read_or_refused_as_they_should),
        IN_FOLDER(each_allocation_that_fails_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// The GGUF reader and writer on files that are right: what is written is what is read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/gguf_raw.h"
#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "format/gguf.h"
#include "format/gguf_write.h"

// What `w` would write, opened; *data has to be freed after g is closed.
static cop_gguf *reopen(cop_gguf_writer *w, uint8_t **data) {
    size_t bytes;
    cop_gguf *g;
    if (cop_gguf_writer_bytes(w, data, &bytes)) fail_msg("write: %s", cop_error_text());
    if (cop_gguf_from_memory(&g, *data, bytes, "written")) fail_msg("read: %s", cop_error_text());
    cop_gguf_writer_free(w);
    return g;
}

static cop_gguf_writer *writer(uint32_t alignment) {
    cop_gguf_writer *w;
    assert_int_equal(cop_gguf_writer_new(&w, alignment), COP_OK);
    return w;
}

static void integers_come_back_as_written(void **state) {
    (void)state;
    static const struct { cop_gguf_type type; int64_t least, most; } table[] = {
        {COP_GGUF_U8, 0, UINT8_MAX},   {COP_GGUF_I8, INT8_MIN, INT8_MAX},    {COP_GGUF_U16, 0, UINT16_MAX},
        {COP_GGUF_I16, INT16_MIN, INT16_MAX}, {COP_GGUF_U32, 0, UINT32_MAX}, {COP_GGUF_I32, INT32_MIN, INT32_MAX},
        {COP_GGUF_U64, 0, INT64_MAX},  {COP_GGUF_I64, INT64_MIN, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        cop_gguf_writer *w = writer(0);
        assert_int_equal(cop_gguf_add_int(w, "least", table[i].type, table[i].least), COP_OK);
        assert_int_equal(cop_gguf_add_int(w, "most", table[i].type, table[i].most), COP_OK);
        uint8_t *data;
        cop_gguf *g = reopen(w, &data);
        int64_t n;
        uint32_t u;
        assert_int_equal(cop_gguf_get_i64(g, "least", &n), COP_OK);
        assert_true(n == table[i].least);
        assert_int_equal(cop_gguf_get_i64(g, "most", &n), COP_OK);
        assert_true(n == table[i].most);
        assert_int_equal(cop_gguf_get_u32(g, "least", &u), table[i].least < 0 ? COP_ERR_FORMAT : COP_OK);
        assert_int_equal(cop_gguf_get_u32(g, "most", &u), table[i].most > UINT32_MAX ? COP_ERR_FORMAT : COP_OK);
        assert_int_equal(cop_gguf_type_of(g, "most"), table[i].type);
        cop_gguf_close(g);
        cop_free(data);
    }
}

static void floats_bools_and_texts_come_back_as_written(void **state) {
    (void)state;
    cop_gguf_writer *w = writer(0);
    cop_gguf_add_f32(w, "f32", 1e-5f);
    cop_gguf_add_f64(w, "f64", 0.1);
    cop_gguf_add_bool(w, "yes", true);
    cop_gguf_add_bool(w, "no", false);
    cop_gguf_add_text(w, "text", "a\0b\xff", 4);
    assert_int_equal(cop_gguf_add_text(w, "empty", "", 0), COP_OK);
    uint8_t *data;
    cop_gguf *g = reopen(w, &data);
    float f;
    bool b;
    const char *text;
    size_t n;
    assert_int_equal(cop_gguf_get_f32(g, "f32", &f), COP_OK);
    assert_true(f == 1e-5f);
    assert_int_equal(cop_gguf_get_f32(g, "f64", &f), COP_OK);
    assert_true(f == 0.1f);
    assert_int_equal(cop_gguf_get_bool(g, "yes", &b), COP_OK);
    assert_true(b);
    assert_int_equal(cop_gguf_get_bool(g, "no", &b), COP_OK);
    assert_false(b);
    assert_int_equal(cop_gguf_get_text(g, "text", &text, &n), COP_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(text, "a\0b\xff", 4);
    assert_int_equal(cop_gguf_get_text(g, "empty", &text, &n), COP_OK);
    assert_int_equal(n, 0);
    cop_gguf_close(g);
    cop_free(data);
}

static void a_missing_key_fails_or_gives_the_fallback(void **state) {
    (void)state;
    uint8_t *data;
    cop_gguf *g = reopen(writer(0), &data);
    uint32_t u;
    int64_t i;
    float f;
    bool b;
    const char *text;
    size_t n;
    cop_gguf_array a;
    assert_false(cop_gguf_has(g, "k"));
    assert_int_equal(cop_gguf_type_of(g, "k"), COP_GGUF_NONE);
    assert_int_equal(cop_gguf_get_u32(g, "k", &u), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "key k is missing; written");
    assert_int_equal(cop_gguf_get_i64(g, "k", &i), COP_ERR_FORMAT);
    assert_int_equal(cop_gguf_get_f32(g, "k", &f), COP_ERR_FORMAT);
    assert_int_equal(cop_gguf_get_bool(g, "k", &b), COP_ERR_FORMAT);
    assert_int_equal(cop_gguf_get_text(g, "k", &text, &n), COP_ERR_FORMAT);
    assert_int_equal(cop_gguf_get_u32_each(g, "k", &u, 1), COP_ERR_FORMAT);
    assert_int_equal(cop_gguf_get_array(g, "k", COP_GGUF_INTS, &a), COP_ERR_FORMAT);
    assert_int_equal(cop_gguf_get_u32_or(g, "k", 7, &u), COP_OK);
    assert_int_equal(u, 7);
    assert_int_equal(cop_gguf_get_i64_or(g, "k", -7, &i), COP_OK);
    assert_int_equal(i, -7);
    assert_int_equal(cop_gguf_get_f32_or(g, "k", 0.5f, &f), COP_OK);
    assert_true(f == 0.5f);
    assert_int_equal(cop_gguf_get_bool_or(g, "k", true, &b), COP_OK);
    assert_true(b);
    assert_int_equal(cop_gguf_get_text_or(g, "k", "none", &text, &n), COP_OK);
    assert_true(n == 4 && strcmp(text, "none") == 0);
    assert_int_equal(cop_gguf_get_array_or_empty(g, "k", COP_GGUF_TEXTS, &a), COP_OK);
    assert_int_equal(a.n, 0);
    assert_null(cop_gguf_find_tensor(g, "k"));
    assert_null(cop_gguf_tensor_at(g, 0));
    cop_gguf_close(g);
    cop_free(data);
}

// Every size around the stride of the index, so that its first and last entries are crossed.
static void each_text_of_an_array_is_found(void **state) {
    (void)state;
    enum { MOST = 70 };
    char texts[MOST][16];
    const char *list[MOST];
    for (int i = 0; i < MOST; i++) {
        snprintf(texts[i], sizeof texts[i], "%.*s%d", i % 5, "aaaaa", i);
        list[i] = texts[i];
    }
    for (size_t n = 0; n <= MOST; n++) {
        cop_gguf_writer *w = writer(0);
        assert_int_equal(cop_gguf_add_texts(w, "tokens", list, NULL, n), COP_OK);
        uint8_t *data;
        cop_gguf *g = reopen(w, &data);
        cop_gguf_array a;
        assert_int_equal(cop_gguf_get_array(g, "tokens", COP_GGUF_TEXTS, &a), COP_OK);
        assert_int_equal(a.n, n);
        for (size_t i = 0; i < n; i++) {
            size_t bytes, k = (i * 37) % n;  // in no order
            const char *text = cop_gguf_text(&a, k, &bytes);
            assert_int_equal(bytes, strlen(texts[k]));
            assert_memory_equal(text, texts[k], bytes);
        }
        size_t bytes = 1;
        cop_gguf_text(&a, n, &bytes);  // one too many is no text
        assert_int_equal(bytes, 0);
        cop_gguf_close(g);
        cop_free(data);
    }
}

static void elements_of_number_arrays_come_back(void **state) {
    (void)state;
    cop_gguf_writer *w = writer(0);
    cop_gguf_add_array(w, "f32", COP_GGUF_F32, (const float[]){1.5f, -2}, 2);
    cop_gguf_add_array(w, "f64", COP_GGUF_F64, (const double[]){0.1}, 1);
    cop_gguf_add_array(w, "i32", COP_GGUF_I32, (const int32_t[]){-1, 2, INT32_MIN}, 3);
    cop_gguf_add_array(w, "u8", COP_GGUF_U8, "\1\377", 2);
    cop_gguf_add_array(w, "bool", COP_GGUF_BOOL, "\1\0\1", 3);
    assert_int_equal(cop_gguf_add_array(w, "none", COP_GGUF_I32, NULL, 0), COP_OK);
    uint8_t *data;
    cop_gguf *g = reopen(w, &data);
    cop_gguf_array a;
    assert_int_equal(cop_gguf_get_array(g, "f32", COP_GGUF_FLOATS, &a), COP_OK);
    assert_true(a.n == 2 && cop_gguf_float(&a, 0) == 1.5 && cop_gguf_float(&a, 1) == -2 && cop_gguf_float(&a, 2) == 0);
    assert_int_equal(cop_gguf_int(&a, 0), 0);  // not of that kind
    assert_int_equal(cop_gguf_get_array(g, "f64", COP_GGUF_FLOATS, &a), COP_OK);
    assert_true(cop_gguf_float(&a, 0) == 0.1);
    assert_int_equal(cop_gguf_get_array(g, "i32", COP_GGUF_INTS, &a), COP_OK);
    assert_true(cop_gguf_int(&a, 0) == -1 && cop_gguf_int(&a, 1) == 2 && cop_gguf_int(&a, 2) == INT32_MIN);
    assert_int_equal(cop_gguf_get_array(g, "u8", COP_GGUF_INTS, &a), COP_OK);
    assert_true(cop_gguf_int(&a, 0) == 1 && cop_gguf_int(&a, 1) == 255 && cop_gguf_int(&a, 2) == 0);
    assert_int_equal(cop_gguf_get_array(g, "bool", COP_GGUF_INTS, &a), COP_OK);
    assert_true(cop_gguf_int(&a, 0) == 1 && cop_gguf_int(&a, 1) == 0);
    assert_int_equal(cop_gguf_get_array(g, "none", COP_GGUF_INTS, &a), COP_OK);
    assert_int_equal(a.n, 0);
    cop_gguf_close(g);
    cop_free(data);
}

static void one_value_per_layer_may_be_a_number_or_an_array(void **state) {
    (void)state;
    cop_gguf_writer *w = writer(0);
    cop_gguf_add_u32(w, "same", 8);
    assert_int_equal(cop_gguf_add_array(w, "each", COP_GGUF_I32, (const int32_t[]){1, 0, 3}, 3), COP_OK);
    uint8_t *data;
    cop_gguf *g = reopen(w, &data);
    uint32_t v[3];
    assert_int_equal(cop_gguf_get_u32_each(g, "same", v, 3), COP_OK);
    assert_true(v[0] == 8 && v[1] == 8 && v[2] == 8);
    assert_int_equal(cop_gguf_get_u32_each(g, "each", v, 3), COP_OK);
    assert_true(v[0] == 1 && v[1] == 0 && v[2] == 3);
    assert_int_equal(cop_gguf_get_u32_each(g, "each", v, 2), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "key each: array of 3, need 2; written");
    cop_gguf_close(g);
    cop_free(data);
}

static void tensors_are_found_by_index_and_name(void **state) {
    (void)state;
    enum { N = 100 };
    static float values[N][24];
    for (uint32_t alignment = 8; alignment <= 4096; alignment *= 8) {
        cop_gguf_writer *w = writer(alignment);
        for (int i = 0; i < N; i++) {
            char name[32];
            for (int k = 0; k < 24; k++) values[i][k] = (float)(100 * i + k);
            snprintf(name, sizeof name, "blk.%d.attn_q.weight", i);
            const uint64_t dims[] = {2, (uint64_t)(1 + i % 3), 2, 2};
            assert_int_equal(cop_gguf_add_tensor(w, name, COP_F32, 1 + i % 4, dims, values[i]), COP_OK);
        }
        uint8_t *data;
        cop_gguf *g = reopen(w, &data);
        assert_int_equal(cop_gguf_n_tensors(g), N);
        assert_int_equal(cop_gguf_alignment(g), alignment);
        assert_int_equal(cop_gguf_version(g), 3);
        assert_int_equal(cop_gguf_data_start(g) % alignment, 0);
        for (int i = 0; i < N; i++) {
            const cop_gguf_tensor *t = cop_gguf_tensor_at(g, (size_t)i);
            assert_ptr_equal(cop_gguf_find_tensor(g, t->name), t);
            assert_int_equal(t->n_dims, 1 + i % 4);
            uint64_t n = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
            assert_int_equal(t->bytes, 4 * n);
            assert_int_equal(t->offset % alignment, 0);
            assert_memory_equal(t->data, values[i], t->bytes);
        }
        assert_null(cop_gguf_find_tensor(g, "blk.0.attn_q"));
        assert_null(cop_gguf_find_tensor(g, "zzz"));
        assert_null(cop_gguf_find_tensor(g, ""));
        cop_gguf_close(g);
        cop_free(data);
    }
}

static void keys_that_begin_alike_are_told_apart(void **state) {
    (void)state;
    static const char *const keys[] = {"b", "a", "ab", "abc", "abd", "aa", "B", "a.b", "llama.rope.base", "llama.rope"};
    cop_gguf_writer *w = writer(0);
    for (uint32_t i = 0; i < 10; i++) assert_int_equal(cop_gguf_add_u32(w, keys[i], i), COP_OK);
    uint8_t *data;
    cop_gguf *g = reopen(w, &data);
    assert_int_equal(cop_gguf_n_keys(g), 10);
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t v;
        cop_gguf_entry e;
        assert_int_equal(cop_gguf_get_u32(g, keys[i], &v), COP_OK);
        assert_int_equal(v, i);
        cop_gguf_key(g, i, &e);  // in the order of the file
        assert_int_equal(e.name_bytes, strlen(keys[i]));
        assert_memory_equal(e.name, keys[i], e.name_bytes);
    }
    assert_false(cop_gguf_has(g, ""));
    assert_false(cop_gguf_has(g, "llama"));
    assert_false(cop_gguf_has(g, "llama.rope.base.x"));
    cop_gguf_entry none;
    cop_gguf_key(g, 10, &none);
    assert_int_equal(none.type, COP_GGUF_NONE);
    cop_gguf_close(g);
    cop_free(data);
}

static void a_value_prints_as_one_safe_line(void **state) {
    (void)state;
    static const char *const texts[] = {"<s>", "a\"b", "\xc4\xa0t"};
    cop_gguf_writer *w = writer(0);
    cop_gguf_add_text(w, "text", "x\n\33[2J\\", 7);
    cop_gguf_add_f32(w, "f", 1e-5f);
    cop_gguf_add_bool(w, "b", true);
    cop_gguf_add_int(w, "i", COP_GGUF_I8, -5);
    cop_gguf_add_texts(w, "t", texts, NULL, 3);
    assert_int_equal(cop_gguf_add_array(w, "n", COP_GGUF_U16, NULL, 0), COP_OK);
    uint8_t *data;
    cop_gguf *g = reopen(w, &data);
    static const char *const want[] = {"\"x\\n\\x1b[2J\\\\\"", "9.99999975e-06", "true", "-5",
                                       "3 text: \"<s>\", \"a\\\"b\", \"\\xc4\\xa0t\"", "0 u16:"};
    for (size_t i = 0; i < 6; i++) {
        char line[80];
        cop_gguf_print(g, i, line, sizeof line);
        assert_string_equal(line, want[i]);
        for (size_t room = 0; room <= 80; room++) {  // cut anywhere, it ends and says so
            memset(line, 'Z', sizeof line);
            cop_gguf_print(g, i, line, room);
            if (room) assert_true(strlen(line) < room);
            bool whole = room && strcmp(line, want[i]) == 0;
            if (room >= 8 && !whole) assert_string_equal(line + strlen(line) - 3, "...");
            if (room < sizeof line) assert_true(line[room] == 'Z');
        }
    }
    cop_gguf_close(g);
    cop_free(data);
}

static void version_2_reads_as_version_3(void **state) {
    (void)state;
    raw_file f;
    raw_header(&f, 0, 1);
    raw_key_u32(&f, "k", 5);
    f.v[4] = 2;
    cop_gguf *g;
    uint32_t v;
    assert_int_equal(raw_open(&g, &f), COP_OK);
    assert_int_equal(cop_gguf_version(g), 2);
    assert_int_equal(cop_gguf_get_u32(g, "k", &v), COP_OK);
    assert_int_equal(v, 5);
    cop_gguf_close(g);
}

static void a_large_vocabulary_costs_a_handful_of_allocations(void **state) {
    (void)state;
    enum { N = 262144 };
    const char **texts = cop_alloc_array(N, sizeof *texts);
    assert_non_null(texts);
    for (int i = 0; i < N; i++) texts[i] = i % 2 ? "word" : "of";
    cop_gguf_writer *w = writer(0);
    assert_int_equal(cop_gguf_add_texts(w, "tokens", texts, NULL, N), COP_OK);
    cop_free(texts);
    uint8_t *data;
    size_t bytes;
    assert_int_equal(cop_gguf_writer_bytes(w, &data, &bytes), COP_OK);
    cop_gguf_writer_free(w);
    cop_gguf *g;
    long before = cop_alloc_count();
    assert_int_equal(cop_gguf_from_memory(&g, data, bytes, "large"), COP_OK);
    assert_true(cop_alloc_count() - before <= 7);
    cop_gguf_close(g);
    cop_free(data);
}

static void a_file_is_saved_whole_or_not_at_all(void **state) {
    (void)state;
    char folder[] = "/tmp/coppice-gguf-XXXXXX", path[64], missing[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    snprintf(missing, sizeof missing, "%s/none/m.gguf", folder);
    static const float w4[4] = {1, 2, 3, 4};
    for (int round = 0; round < 2; round++) {  // the second replaces the first
        cop_gguf_writer *w = writer(4096);
        cop_gguf_add_u32(w, "round", (uint32_t)round);
        cop_gguf_add_tensor(w, "t", COP_F32, 1, (const uint64_t[]){4}, w4);
        assert_int_equal(cop_gguf_writer_save(w, missing), COP_ERR_IO);
        assert_int_equal(cop_gguf_writer_save(w, path), COP_OK);
        cop_gguf_writer_free(w);
        cop_gguf *g;
        uint32_t v;
        assert_int_equal(cop_gguf_open(&g, path), COP_OK);
        assert_int_equal(cop_gguf_get_u32(g, "round", &v), COP_OK);
        assert_int_equal(v, round);
        assert_memory_equal(cop_gguf_find_tensor(g, "t")->data, w4, sizeof w4);
        assert_string_equal(cop_gguf_name(g), path);
        assert_true(cop_gguf_map(g)->mtime_ns > 0 && cop_gguf_map(g)->bytes == 2 * 4096);
        cop_gguf_close(g);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);  // no temporary file is left
}

static void a_save_that_fails_leaves_nothing_behind(void **state) {
    (void)state;
    char folder[] = "/tmp/coppice-gguf-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    assert_int_equal(mkdir(path, 0700), 0);  // in the way of the rename
    cop_gguf_writer *w = writer(0);
    assert_int_equal(cop_gguf_writer_save(w, path), COP_ERR_IO);
    assert_non_null(strstr(cop_error_text(), "cannot rename"));
    cop_gguf_writer_free(w);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

// Whether this process has the file mapped; false where the system cannot tell.
static bool is_mapped(const char *path) {
    char line[4096];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) found |= strstr(line, path) != NULL;
    if (maps) fclose(maps);
    return found;
}

static void closing_gives_the_mapping_back(void **state) {
    (void)state;
    char path[] = "/tmp/coppice-gguf-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    cop_gguf *g;
    assert_int_equal(cop_gguf_open(&g, path), COP_ERR_FORMAT);  // empty
    cop_gguf_writer *w = writer(0);
    assert_int_equal(cop_gguf_writer_save(w, path), COP_OK);
    cop_gguf_writer_free(w);
    assert_int_equal(cop_gguf_open(&g, path), COP_OK);
    cop_gguf_close(g);
    assert_false(is_mapped(path));
    assert_int_equal(truncate(path, 20), 0);
    assert_int_equal(cop_gguf_open(&g, path), COP_ERR_FORMAT);
    assert_false(is_mapped(path));
    unlink(path);
}

static void the_writer_refuses_what_the_reader_would(void **state) {
    (void)state;
    static const float w4[4];
    cop_gguf_writer *w;
    assert_int_equal(cop_gguf_writer_new(&w, 4), COP_ERR_ARG);
    assert_int_equal(cop_gguf_writer_new(&w, 48), COP_ERR_ARG);
    static const char *const names[] = {"", "a\nb", "\xc3\xa9", NULL};
    for (int i = 0; names[i]; i++) {
        w = writer(0);
        assert_int_equal(cop_gguf_add_u32(w, names[i], 1), COP_ERR_ARG);
        cop_gguf_writer_free(w);
        w = writer(0);
        assert_int_equal(cop_gguf_add_tensor(w, names[i], COP_F32, 1, (const uint64_t[]){4}, w4), COP_ERR_ARG);
        cop_gguf_writer_free(w);
    }
    w = writer(0);
    assert_int_equal(cop_gguf_add_int(w, "k", COP_GGUF_U8, 256), COP_ERR_ARG);
    assert_int_equal(cop_gguf_add_u32(w, "fine", 1), COP_ERR_ARG);  // the first failure stays
    uint8_t *data;
    size_t bytes;
    assert_int_equal(cop_gguf_writer_bytes(w, &data, &bytes), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "256 does not fit type u8"));
    cop_gguf_writer_free(w);
    w = writer(0);
    cop_gguf_add_u32(w, "k", 1);
    assert_int_equal(cop_gguf_add_u32(w, "k", 1), COP_ERR_ARG);
    cop_gguf_writer_free(w);
    w = writer(0);
    cop_gguf_add_tensor(w, "t", COP_F32, 1, (const uint64_t[]){4}, w4);
    assert_int_equal(cop_gguf_add_tensor(w, "t", COP_F32, 1, (const uint64_t[]){4}, w4), COP_ERR_ARG);
    cop_gguf_writer_free(w);
    w = writer(0);
    assert_int_equal(cop_gguf_add_tensor(w, "t", COP_Q4_0, 1, (const uint64_t[]){33}, w4), COP_ERR_ARG);
    cop_gguf_writer_free(w);
    w = writer(0);
    assert_int_equal(cop_gguf_add_array(w, "k", COP_GGUF_TEXT, w4, 1), COP_ERR_ARG);
    cop_gguf_writer_free(w);
}

static void a_file_that_is_not_there_is_named(void **state) {
    (void)state;
    cop_gguf *g;
    assert_int_equal(cop_gguf_open(&g, "/nowhere/m.gguf"), COP_ERR_NOT_FOUND);
    assert_non_null(strstr(cop_error_text(), "/nowhere/m.gguf"));
    assert_null(g);
    assert_int_equal(cop_gguf_open(&g, "/tmp"), COP_ERR_IO);
    cop_gguf_close(NULL);
}

// Real files, as the writer of another program made them.
static void real_models_open(void **state) {
    (void)state;
    static const struct { const char *name, *architecture; size_t n_tensors, n_tokens; } table[] = {
        {"smollm2-135m", "llama", 272, 49152},
        {"gemma3-270m", "gemma3", 236, 262144},
        {"qwen2.5-coder-0.5b", "qwen2", 291, 151936},
        {"qwen2.5-coder-1.5b", "qwen2", 339, 151936},
    };
    const char *folder = getenv("COPPICE_MODELS"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n_opened = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char path[4096];
        if (folder) snprintf(path, sizeof path, "%s/%s.gguf", folder, table[i].name);
        else if (cache) snprintf(path, sizeof path, "%s/coppice/models/%s.gguf", cache, table[i].name);
        else snprintf(path, sizeof path, "%s/.cache/coppice/models/%s.gguf", home ? home : "", table[i].name);
        if (access(path, R_OK)) {
            print_message("skipped: real_models_open: no %s\n", path);
            continue;
        }
        cop_gguf *g;
        const char *text;
        size_t n;
        cop_gguf_array tokens;
        if (cop_gguf_open(&g, path)) fail_msg("%s", cop_error_text());
        assert_int_equal(cop_gguf_get_text(g, "general.architecture", &text, &n), COP_OK);
        assert_true(n == strlen(table[i].architecture) && memcmp(text, table[i].architecture, n) == 0);
        assert_int_equal(cop_gguf_n_tensors(g), table[i].n_tensors);
        assert_int_equal(cop_gguf_get_array(g, "tokenizer.ggml.tokens", COP_GGUF_TEXTS, &tokens), COP_OK);
        assert_int_equal(tokens.n, table[i].n_tokens);
        assert_non_null(cop_gguf_find_tensor(g, "token_embd.weight"));
        cop_gguf_close(g);
        n_opened++;
    }
    if (!n_opened) skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_come_back_as_written),
        cmocka_unit_test(floats_bools_and_texts_come_back_as_written),
        cmocka_unit_test(a_missing_key_fails_or_gives_the_fallback),
        cmocka_unit_test(each_text_of_an_array_is_found),
        cmocka_unit_test(elements_of_number_arrays_come_back),
        cmocka_unit_test(one_value_per_layer_may_be_a_number_or_an_array),
        cmocka_unit_test(tensors_are_found_by_index_and_name),
        cmocka_unit_test(keys_that_begin_alike_are_told_apart),
        cmocka_unit_test(a_value_prints_as_one_safe_line),
        cmocka_unit_test(version_2_reads_as_version_3),
        cmocka_unit_test(a_large_vocabulary_costs_a_handful_of_allocations),
        cmocka_unit_test(a_file_is_saved_whole_or_not_at_all),
        cmocka_unit_test(a_save_that_fails_leaves_nothing_behind),
        cmocka_unit_test(closing_gives_the_mapping_back),
        cmocka_unit_test(the_writer_refuses_what_the_reader_would),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(real_models_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

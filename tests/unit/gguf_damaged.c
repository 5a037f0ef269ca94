// Whole GGUF files, damaged: cut and changed at every byte, very long texts, and an archive of files
// that a fuzzer of another reader found.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "../support/gguf_raw.h"
#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "format/gguf.h"
#include "format/gguf_write.h"

// A file with something of every shape.  The last tensor fills its place, so no padding ends it.
static void make_rich_file(uint8_t **data, size_t *bytes) {
    static const float w[16] = {1, 2, 3};
    static const uint8_t q[34] = {7};
    static const char *const texts[] = {"<s>", "",  "a", "b", "c", "d", "e", "f", "g",
                                        "h",   "i", "j", "k", "l", "m", "n", "o", "p"};
    cop_gguf_writer *wr;
    assert_int_equal(cop_gguf_writer_new(&wr, 64), COP_OK);
    cop_gguf_add_text(wr, "general.architecture", "llama", 5);
    for (int type = 0; type < COP_GGUF_N_TYPES; type++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", type);
        if (type <= COP_GGUF_I32 || type == COP_GGUF_BOOL || type == COP_GGUF_U64 || type == COP_GGUF_I64)
            cop_gguf_add_int(wr, key, (cop_gguf_type)type, 1);
    }
    cop_gguf_add_f32(wr, "f", 0.5f);
    cop_gguf_add_f64(wr, "d", 0.25);
    cop_gguf_add_texts(wr, "texts", texts, NULL, sizeof texts / sizeof *texts);
    cop_gguf_add_array(wr, "floats", COP_GGUF_F32, w, 5);
    cop_gguf_add_array(wr, "bools", COP_GGUF_BOOL, "\1\0\1", 3);
    cop_gguf_add_tensor(wr, "q", COP_Q8_0, 1, (const uint64_t[]){32}, q);
    assert_int_equal(cop_gguf_add_tensor(wr, "w", COP_F32, 2, (const uint64_t[]){4, 4}, w), COP_OK);
    assert_int_equal(cop_gguf_writer_bytes(wr, data, bytes), COP_OK);
    cop_gguf_writer_free(wr);
}

// All that can be read from g, as a number.
static uint64_t digest(const cop_gguf *g) {
    uint64_t h = 14695981039346656037u;
    char line[400];
    for (size_t i = 0; i < cop_gguf_n_keys(g); i++) {
        cop_gguf_entry e;
        cop_gguf_key(g, i, &e);
        cop_gguf_print(g, i, line, sizeof line);
        for (size_t k = 0; k < e.name_bytes; k++) h = (h ^ (uint8_t)e.name[k]) * 1099511628211u;
        for (const char *p = line; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
    }
    for (size_t i = 0; i < cop_gguf_n_tensors(g); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(g, i);
        for (const char *p = t->name; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
        for (int k = 0; k < 4; k++) h = (h ^ t->dims[k]) * 1099511628211u;
        for (size_t k = 0; k < t->bytes; k++) h = (h ^ t->data[k]) * 1099511628211u;
    }
    return h;
}

static void a_file_cut_at_any_byte_is_refused(void **state) {
    (void)state;
    uint8_t *data;
    size_t bytes;
    make_rich_file(&data, &bytes);
    for (size_t n = 0; n < bytes; n++) {
        cop_gguf *g;
        cop_status st = raw_open_bytes(&g, data, n);
        if (st != COP_ERR_FORMAT || g) fail_msg("%zu of %zu bytes: %s", n, bytes, cop_status_name(st));
    }
    cop_gguf *g;
    assert_int_equal(raw_open_bytes(&g, data, bytes), COP_OK);
    cop_gguf_close(g);
    cop_free(data);
}

static void a_file_longer_than_it_says_reads_the_same(void **state) {
    (void)state;
    uint8_t *data;
    size_t bytes;
    make_rich_file(&data, &bytes);
    cop_gguf *g;
    assert_int_equal(raw_open_bytes(&g, data, bytes), COP_OK);
    uint64_t want = digest(g);
    cop_gguf_close(g);
    uint8_t *longer = cop_realloc(data, bytes, bytes + 100);
    assert_non_null(longer);
    assert_int_equal(raw_open_bytes(&g, longer, bytes + 100), COP_OK);
    assert_true(digest(g) == want);
    cop_gguf_close(g);
    cop_free(longer);
}

static void a_file_with_any_byte_changed_is_read_or_refused(void **state) {
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x20};
    uint8_t *data;
    size_t bytes;
    make_rich_file(&data, &bytes);
    for (size_t i = 0; i < bytes; i++)
        for (size_t k = 0; k < sizeof changes; k++) {
            data[i] ^= changes[k];
            cop_gguf *g;
            cop_status st = raw_open_bytes(&g, data, bytes);
            if (!st) digest(g);
            else assert_true(st == COP_ERR_FORMAT || st == COP_ERR_UNSUPPORTED || st == COP_ERR_LIMIT);
            cop_gguf_close(g);
            data[i] ^= changes[k];
        }
    cop_free(data);
}

static void the_hostile_archive_is_read_or_refused(void **state) {
    (void)state;
    const char *data_folder = getenv("COPPICE_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/hostile-gguf/gguf.tar.gz", data_folder ? data_folder : "../shared/data");
    struct archive *tar = archive_read_new();
    archive_read_support_filter_gzip(tar);
    archive_read_support_format_tar(tar);
    if (access(path, R_OK) || archive_read_open_filename(tar, path, 65536) != ARCHIVE_OK) {
        archive_read_free(tar);
        print_message("skipped: the_hostile_archive_is_read_or_refused: no %s\n", path);
        skip();
    }
    struct archive_entry *entry;
    static uint8_t bytes[1 << 16];
    int n_files = 0, n_opened = 0;
    while (archive_read_next_header(tar, &entry) == ARCHIVE_OK) {
        la_ssize_t n = archive_read_data(tar, bytes, sizeof bytes);
        if (n < 0) fail_msg("%s: %s", archive_entry_pathname(entry), archive_error_string(tar));
        cop_gguf *g;
        long before = cop_alloc_count();
        cop_status st = raw_open_bytes(&g, bytes, (size_t)n);
        if (st && st != COP_ERR_FORMAT && st != COP_ERR_UNSUPPORTED)
            fail_msg("%s: %s: %s", archive_entry_pathname(entry), cop_status_name(st), cop_error_text());
        assert_true(cop_alloc_count() - before < 20);
        if (!st) digest(g);
        n_opened += !st;
        n_files++;
        cop_gguf_close(g);
    }
    archive_read_free(tar);
    print_message("%d files, %d open\n", n_files, n_opened);
    assert_int_equal(n_files, 135);
}

// Lengths do not pass through 32 bits: a sparse file has a token of 2^31 and one of 2^32 + 1 bytes.
static void a_token_of_2_to_the_31_bytes_keeps_its_length(void **state) {
    (void)state;
    static const uint64_t lengths[] = {0, (uint64_t)1 << 31, 0, ((uint64_t)1 << 32) + 1, 1};
    char path[] = "/tmp/coppice-sparse-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    raw_file f;
    raw_header(&f, 0, 1);
    raw_array(&f, "tokenizer.ggml.tokens", COP_GGUF_TEXT, 5);
    off_t at = (off_t)f.n;
    bool wrote = pwrite(fd, f.v, f.n, 0) == (ssize_t)f.n;
    for (int i = 0; i < 5; i++) {
        wrote = wrote && pwrite(fd, &lengths[i], 8, at) == 8;
        at += 8 + (off_t)lengths[i];
    }
    wrote = wrote && !ftruncate(fd, at);
    close(fd);
    cop_gguf *g = NULL, *cut = NULL;
    cop_status st = wrote ? cop_gguf_open(&g, path) : COP_ERR_IO;
    cop_status st_cut = wrote && !truncate(path, at - 1) ? cop_gguf_open(&cut, path) : COP_ERR_IO;
    unlink(path);
    if (!wrote) {
        print_message("skipped: a_token_of_2_to_the_31_bytes_keeps_its_length: no sparse files in /tmp\n");
        skip();
    }
    assert_int_equal(st, COP_OK);
    assert_int_equal(st_cut, COP_ERR_FORMAT);
    cop_gguf_array tokens;
    assert_int_equal(cop_gguf_get_array(g, "tokenizer.ggml.tokens", COP_GGUF_TEXTS, &tokens), COP_OK);
    for (size_t i = 0; i < 5; i++) {
        size_t bytes;
        cop_gguf_text(&tokens, i, &bytes);
        assert_true(bytes == lengths[i]);
    }
    cop_gguf_close(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_file_longer_than_it_says_reads_the_same),
        cmocka_unit_test(a_file_with_any_byte_changed_is_read_or_refused),
        cmocka_unit_test(the_hostile_archive_is_read_or_refused),
        cmocka_unit_test(a_token_of_2_to_the_31_bytes_keeps_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

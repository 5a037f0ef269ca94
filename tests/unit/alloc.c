// base/alloc: zeroed aligned memory, large pages, checked sizes, and the test hooks.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"

static int is_zero(const void *p, size_t n) {
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        if (b[i]) return 0;
    return 1;
}

static void memory_is_aligned_and_zeroed_even_after_use(void **state) {
    (void)state;
    for (size_t n = 0; n < 300; n++) {
        unsigned char *p[16];
        for (int round = 0; round < 2; round++) {  // the second round gets what the first gave back
            for (int i = 0; i < 16; i++) {
                p[i] = cop_alloc(n);
                assert_non_null(p[i]);
                assert_int_equal((uintptr_t)p[i] % 64, 0);
                assert_true(is_zero(p[i], n));
                memset(p[i], 0xff, n);
            }
            for (int i = 0; i < 16; i++) cop_free(p[i]);
        }
    }
    cop_free(NULL);
}

static void growing_keeps_the_old_bytes_and_zeroes_the_new(void **state) {
    (void)state;
    unsigned char *p = cop_realloc(NULL, 0, 10);
    assert_non_null(p);
    memset(p, 7, 10);
    p = cop_realloc(p, 10, 500);
    assert_non_null(p);
    for (int i = 0; i < 10; i++) assert_int_equal(p[i], 7);
    assert_true(is_zero(p + 10, 490));
    memset(p, 9, 500);
    p = cop_realloc(p, 500, 3);
    assert_non_null(p);
    for (int i = 0; i < 3; i++) assert_int_equal(p[i], 9);
    cop_free(p);
}

static void a_failed_growth_leaves_the_old_block(void **state) {
    (void)state;
    unsigned char *p = cop_alloc(4);
    memset(p, 5, 4);
    cop_alloc_fail_at(1);
    assert_null(cop_realloc(p, 4, 4000));
    for (int i = 0; i < 4; i++) assert_int_equal(p[i], 5);
    cop_free(p);
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    size_t out;
    assert_false(cop_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_false(cop_add_size(SIZE_MAX, 1, &out));
    assert_true(cop_mul_size(1000, 1000, &out));
    assert_int_equal(out, 1000000);
    assert_true(cop_add_size(SIZE_MAX - 1, 1, &out));
    assert_null(cop_alloc_array(SIZE_MAX / 4, 5));
    assert_null(cop_alloc(SIZE_MAX));
    assert_null(cop_alloc(SIZE_MAX - 63));
    assert_null(cop_text_copy("", SIZE_MAX));
    assert_null(cop_pages_alloc(SIZE_MAX));
    assert_null(cop_pages_alloc(0));
}

static void a_copied_text_ends_in_nul(void **state) {
    (void)state;
    char *copy = cop_text_copy("hello world", 5);
    assert_string_equal(copy, "hello");
    cop_free(copy);
    copy = cop_text_copy(NULL, 0);
    assert_string_equal(copy, "");
    cop_free(copy);
}

static void pages_are_zeroed_whole_and_on_a_large_boundary(void **state) {
    (void)state;
    const size_t sizes[] = {1, 4095, 4096, 65537, (2u << 20) - 1, 2u << 20, (5u << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = cop_pages_alloc(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (2u << 20), 0);
        assert_true(is_zero(p, sizes[i]));
        memset(p, 1, sizes[i]);
        cop_pages_free(p, sizes[i]);
    }
    cop_pages_free(NULL, 10);
}

static void the_nth_allocation_and_only_that_one_fails(void **state) {
    (void)state;
    for (int n = 1; n <= 5; n++) {
        cop_alloc_fail_at(n);
        for (int i = 1; i <= 8; i++) {
            void *p = cop_alloc(8);
            assert_int_equal(p == NULL, i == n);
            assert_int_equal(cop_alloc_failed(), i >= n);
            cop_free(p);
        }
    }
    cop_alloc_fail_at(3);
    cop_alloc_fail_at(0);
    for (int i = 0; i < 5; i++) {
        void *p = cop_alloc(8);
        assert_non_null(p);
        cop_free(p);
    }
    assert_false(cop_alloc_failed());
    cop_alloc_fail_at(1);
    assert_null(cop_pages_alloc(100));
}

static void allocations_are_counted_and_forbidden_ones_reported(void **state) {
    (void)state;
    long before = cop_alloc_count();
    cop_free(cop_alloc(1));
    cop_alloc_forbid(true);
    cop_free(cop_alloc(1));
    void *pages = cop_pages_alloc(1);
    cop_pages_free(pages, 1);
    cop_alloc_forbid(false);
    cop_free(cop_alloc(1));
    assert_non_null(pages);
    assert_int_equal(cop_alloc_breaches(), 2);
    assert_int_equal(cop_alloc_count() - before, 4);
    cop_alloc_forbid(true);
    cop_alloc_forbid(false);
    assert_int_equal(cop_alloc_breaches(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_zeroed_even_after_use),
        cmocka_unit_test(growing_keeps_the_old_bytes_and_zeroes_the_new),
        cmocka_unit_test(a_failed_growth_leaves_the_old_block),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(a_copied_text_ends_in_nul),
        cmocka_unit_test(pages_are_zeroed_whole_and_on_a_large_boundary),
        cmocka_unit_test(the_nth_allocation_and_only_that_one_fails),
        cmocka_unit_test(allocations_are_counted_and_forbidden_ones_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

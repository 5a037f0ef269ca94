// base/array: growth, ceilings and failed allocations.
#include "../support/mini_cmocka.h"
#include "base/array.h"

typedef COP_ARRAY(int32_t) numbers;

static void pushed_elements_stay_in_order(void **state) {
    (void)state;
    numbers a = {0};
    for (int i = 0; i < 5000; i++) assert_int_equal(cop_array_push(&a, i * 3), COP_OK);
    assert_int_equal(a.n, 5000);
    assert_true(a.cap >= a.n);
    for (int i = 0; i < 5000; i++) assert_int_equal(a.v[i], i * 3);
    cop_array_fini(&a);
    assert_null(a.v);
    assert_int_equal(a.n + a.cap, 0);
    cop_array_fini(&a);
}

static void a_full_array_refuses_one_more_and_is_unchanged(void **state) {
    (void)state;
    numbers a = {.most = 20};
    for (int i = 0; i < 20; i++) assert_int_equal(cop_array_push(&a, i), COP_OK);
    assert_int_equal(a.cap, 20);
    assert_int_equal(cop_array_push(&a, 99), COP_ERR_LIMIT);
    assert_string_equal(cop_error_text(), "list: 20 entries and 1 more, at most 20");
    assert_int_equal(a.n, 20);
    for (int i = 0; i < 20; i++) assert_int_equal(a.v[i], i);
    cop_array_fini(&a);
}

static void a_reservation_leaves_room_without_growing_again(void **state) {
    (void)state;
    numbers a = {0};
    assert_int_equal(cop_array_reserve(&a, 1000), COP_OK);
    assert_int_equal(a.n, 0);
    long before = cop_alloc_count();
    for (int i = 0; i < 1000; i++) assert_int_equal(cop_array_push(&a, i), COP_OK);
    assert_int_equal(cop_alloc_count(), before);
    assert_int_equal(cop_array_reserve(&a, 0), COP_OK);
    cop_array_fini(&a);
}

static void a_size_that_overflows_is_a_limit(void **state) {
    (void)state;
    numbers a = {0};
    assert_int_equal(cop_array_push(&a, 1), COP_OK);
    assert_int_equal(cop_array_reserve(&a, SIZE_MAX), COP_ERR_LIMIT);
    assert_int_equal(cop_array_reserve(&a, SIZE_MAX / 2), COP_ERR_LIMIT);
    a.most = 100;
    assert_int_equal(cop_array_reserve(&a, SIZE_MAX), COP_ERR_LIMIT);
    assert_int_equal(a.v[0], 1);
    cop_array_fini(&a);
}

static void without_memory_the_array_is_unchanged(void **state) {
    (void)state;
    numbers a = {0};
    while (a.n < 16) assert_int_equal(cop_array_push(&a, (int32_t)a.n), COP_OK);
    cop_alloc_fail_at(1);
    assert_int_equal(cop_array_push(&a, 99), COP_ERR_NOMEM);
    assert_int_equal(a.n, 16);
    assert_int_equal(cop_array_push(&a, 16), COP_OK);
    for (int i = 0; i < 17; i++) assert_int_equal(a.v[i], i);
    cop_array_fini(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushed_elements_stay_in_order),
        cmocka_unit_test(a_full_array_refuses_one_more_and_is_unchanged),
        cmocka_unit_test(a_reservation_leaves_room_without_growing_again),
        cmocka_unit_test(a_size_that_overflows_is_a_limit),
        cmocka_unit_test(without_memory_the_array_is_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

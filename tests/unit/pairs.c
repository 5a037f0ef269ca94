#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "draft/pairs.h"

static void a_pair_keeps_its_row_until_four_others_want_it(void **state) {
    (void)state;
    cop_pairs p;
    bool fresh;
    assert_int_equal(cop_pairs_init(&p, 4), COP_OK);
    int rows[5];
    for (int32_t i = 0; i < 4; i++) {
        rows[i] = cop_pairs_claim(&p, i, 7, &fresh);
        assert_true(fresh);
        for (int j = 0; j < i; j++) assert_int_not_equal(rows[i], rows[j]);
    }
    assert_int_equal(cop_pairs_claim(&p, 0, 7, &fresh), rows[0]);  // used now: the next to go is the second
    assert_false(fresh);
    assert_int_equal(cop_pairs_claim(&p, 7, 0, &fresh), rows[1]);
    assert_true(fresh);
    assert_int_equal(cop_pairs_find(&p, 1, 7), -1);
    assert_int_equal(cop_pairs_find(&p, 0, 7), rows[0]);
    cop_pairs_fini(&p);
}

static void no_pair_is_found_where_there_is_none(void **state) {
    (void)state;
    cop_pairs p, none;
    bool fresh;
    assert_int_equal(cop_pairs_init(&p, 6), COP_OK);
    assert_int_equal(p.n, 8);
    assert_int_equal(cop_pairs_find(&p, 0, 0), -1);
    assert_int_equal(cop_pairs_claim(&p, -1, 5, &fresh), -1);
    assert_int_equal(cop_pairs_claim(&p, 5, -1, &fresh), -1);
    assert_true(cop_pairs_claim(&p, 0, 0, &fresh) >= 0);
    assert_true(cop_pairs_find(&p, 0, 0) >= 0);
    cop_pairs_fini(&p);
    assert_int_equal(cop_pairs_init(&none, 0), COP_OK);
    assert_int_equal(cop_pairs_claim(&none, 1, 1, &fresh), -1);
    assert_int_equal(cop_pairs_find(&none, 1, 1), -1);
    cop_pairs_fini(&none);
    cop_alloc_fail_at(2);
    assert_int_equal(cop_pairs_init(&p, 8), COP_ERR_NOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_keeps_its_row_until_four_others_want_it),
        cmocka_unit_test(no_pair_is_found_where_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

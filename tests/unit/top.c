#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/noise.h"
#include "draft/top.h"

static void the_largest_are_found_as_by_sorting(void **state) {
    (void)state;
    enum { V = 1000 };
    static float x[V];
    for (uint64_t round = 0; round < 200; round++) {
        int n = 1 + (int)(cop_noise_bits(1, COP_NOISE_DRAFT, round, V) % V), k = 1 + (int)round % COP_TOP_MOST;
        // Few different values, so that many are equal; the smaller token comes first then.
        for (int i = 0; i < n; i++) x[i] = (float)(cop_noise_bits(1, COP_NOISE_DRAFT, round, (uint64_t)i) % (round % 2 ? 20 : 100000));
        int32_t tokens[COP_TOP_MOST];
        float values[COP_TOP_MOST];
        int found = cop_top_tokens(x, n, k, tokens, values);
        assert_int_equal(found, n < k ? n : k);
        for (int i = 0; i < found; i++) {
            int larger = 0;
            for (int j = 0; j < n; j++) larger += x[j] > x[tokens[i]] || (x[j] == x[tokens[i]] && j < tokens[i]);
            assert_int_equal(larger, i);
            assert_true(values[i] == x[tokens[i]]);
        }
    }
}

static void what_is_no_number_is_never_found(void **state) {
    (void)state;
    float x[130];
    for (int i = 0; i < 130; i++) x[i] = i % 3 ? NAN : -INFINITY;
    x[70] = -1e30f;
    x[129] = 2;
    int32_t tokens[8];
    float values[8];
    assert_int_equal(cop_top_tokens(x, 130, 8, tokens, values), 2);
    assert_int_equal(tokens[0], 129);
    assert_int_equal(tokens[1], 70);
    assert_int_equal(cop_top_tokens(x, 0, 8, tokens, values), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_are_found_as_by_sorting),
        cmocka_unit_test(what_is_no_number_is_never_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

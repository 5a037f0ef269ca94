// base/maths: errors against the C library's long double functions, and recorded bits that every
// machine has to give.
#include <math.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/maths.h"
#include "base/noise.h"

enum { N_TRIALS = 20000 };

typedef double function(double x);
typedef long double precise(long double x);

// Distance in units in the last place of a double of the true value's size.
static double error_in_units(double got, long double want) {
    int exponent;
    frexpl(want, &exponent);
    return (double)(fabsl((long double)got - want) / ldexpl(1, exponent - 53));
}

// The largest error over points that are uniform in x, or in log x when low > 0 and `spread`.
static double worst(function *f, precise *g, double low, double high, int spread, double *at) {
    double most = 0;
    for (uint64_t i = 0; i < N_TRIALS; i++) {
        double u = cop_noise_uniform(11, COP_NOISE_SAMPLE, 0, i);
        double x = spread ? exp2(log2(low) + (log2(high) - log2(low)) * u) : low + (high - low) * u;
        double e = error_in_units(f(x), g((long double)x));
        if (!(e <= most)) most = e, *at = x;
    }
    return most;
}

static void check(const char *name, function *f, precise *g, double low, double high, int spread) {
    double at = 0, e = worst(f, g, low, high, spread, &at);
    if (!(e < 4)) fail_msg("%s: %.3f units off at %.17g, must be below 4", name, e, at);
}

static void log_is_within_four_units(void **state) {
    (void)state;
    check("log", cop_log, logl, 1e-300, 1e300, 1);
    check("log", cop_log, logl, 0x1p-53, 1, 1);
    check("log", cop_log, logl, 0.5, 2, 0);
    check("log", cop_log, logl, 1 - 1e-6, 1 + 1e-6, 0);
    assert_true(cop_log(1) == 0);
}

static void exp_is_within_four_units(void **state) {
    (void)state;
    check("exp", cop_exp, expl, -700, 700, 0);
    check("exp", cop_exp, expl, -1, 1, 0);
    check("exp", cop_exp, expl, 1e-20, 1, 1);
    assert_true(cop_exp(0) == 1);
}

// An angle may be next to a multiple of pi / 2, where all leading bits cancel.
static void sine_and_cosine_are_within_four_units_up_to_a_thousand_million(void **state) {
    (void)state;
    const double ends[] = {0.8, 10, 1e3, 1e6, 1e7, 1e9};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        check("sin", cop_sin, sinl, -ends[i], ends[i], 0);
        check("cos", cop_cos, cosl, -ends[i], ends[i], 0);
    }
    check("sin", cop_sin, sinl, 1e-300, 1, 1);
    for (int k = 1; k < 2000; k++) {
        double x = k * 318309.0 * 1.5707963267948966;
        assert_true(error_in_units(cop_sin(x), sinl((long double)x)) < 4);
        assert_true(error_in_units(cop_cos(x), cosl((long double)x)) < 4);
    }
}

static void power_has_the_stated_relative_error(void **state) {
    (void)state;
    for (uint64_t i = 0; i < N_TRIALS; i++) {
        double base = 1e-3 * pow(1e10, cop_noise_uniform(12, COP_NOISE_SAMPLE, 0, i));
        double y = (2 * cop_noise_uniform(12, COP_NOISE_SAMPLE, 1, i) - 1) * 100 / fabs(log(base));
        long double want = powl((long double)base, (long double)y);
        long double e = fabsl((long double)cop_pow(base, y) - want) / want;
        if (!(e < 1e-13L)) fail_msg("pow(%.17g, %.17g): relative error %.3g", base, y, (double)e);
    }
}

static void the_ends_of_the_ranges_saturate(void **state) {
    (void)state;
    assert_true(cop_log(0) == -INFINITY);
    assert_true(cop_exp(701) == INFINITY);
    assert_true(cop_exp(-701) == 0);
    assert_true(cop_exp(INFINITY) == INFINITY);
    assert_true(cop_exp(-INFINITY) == 0);
}

static uint64_t bits_of(double d) {
    uint64_t b;
    memcpy(&b, &d, sizeof b);
    return b;
}

// Recorded from this code; a change of one bit changes texts that were sampled with a seed.
static void the_bits_are_the_recorded_ones(void **state) {
    (void)state;
    static const struct { double x; uint64_t log, exp, sin, cos; } recorded[] = {
        {0x1p-30, 0xc034cb5ecf0a9650u, 0x3ff0000000400000u, 0x3e10000000000000u, 0x3ff0000000000000u},
        {0.1, 0xc0026bb1bbb55515u, 0x3ff1aec7b35a00d4u, 0x3fb98eaecb8bcb2cu, 0x3fefd712f9a817c0u},
        {0.7853981633974483, 0xbfceeb95b094c192u, 0x40018bd669471caau, 0x3fe6a09e667f3bccu, 0x3fe6a09e667f3bcdu},
        {1.4142135623730951, 0x3fd62e42fefa39f1u, 0x401073f7e8448776u, 0x3fef9bc75444858bu, 0x3fc3f5f6868470b3u},
        {3.141592653589793, 0x3ff250d048e7a1bdu, 0x403724046eb09339u, 0x3ca1a62633145c07u, 0xbff0000000000000u},
        {100, 0x40126bb1bbb55516u, 0x48f3494a9b171bf5u, 0xbfe03425b78c4db8u, 0x3feb981dbf665fe0u},
        {123.456, 0x401343774f3e2362u, 0x4b11428e1cbc0143u, 0xbfe9b9dadc41aeb6u, 0xbfe307e5980a1559u},
    };
    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
        double x = recorded[i].x;
        assert_int_equal(bits_of(cop_log(x)), recorded[i].log);
        assert_int_equal(bits_of(cop_exp(x)), recorded[i].exp);
        assert_int_equal(bits_of(cop_sin(x)), recorded[i].sin);
        assert_int_equal(bits_of(cop_cos(x)), recorded[i].cos);
    }
    assert_int_equal(bits_of(cop_pow(10000, -0.375)), 0x3fa030dc4ea03a71u);

    // One hash over many values guards the inputs that the table above leaves out.
    uint64_t hash = 0;
    for (uint64_t i = 0; i < N_TRIALS; i++) {
        double x = 600 * cop_noise_uniform(13, COP_NOISE_SAMPLE, 0, i);
        hash = hash * 0x100000001b3u ^ bits_of(cop_log(x)) ^ bits_of(cop_exp(x));
        hash = hash * 0x100000001b3u ^ bits_of(cop_sin(x * 1000)) ^ bits_of(cop_cos(x * 1000000));
    }
    assert_int_equal(hash, 0x979be3833c020f8eu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_is_within_four_units),
        cmocka_unit_test(exp_is_within_four_units),
        cmocka_unit_test(sine_and_cosine_are_within_four_units_up_to_a_thousand_million),
        cmocka_unit_test(power_has_the_stated_relative_error),
        cmocka_unit_test(the_ends_of_the_ranges_saturate),
        cmocka_unit_test(the_bits_are_the_recorded_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// base/noise: recorded values, and enough statistics to notice a mixer that lost its strength. All
// seeds are fixed, so the outcomes are too; the bounds are five standard deviations.
#include <math.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/maths.h"
#include "base/noise.h"

enum { N_DRAWS = 1 << 17, N_CELLS = 256 };

// Draw i of one of the ways in which a program walks through its counters.
typedef uint64_t walk(uint64_t i);
static uint64_t along_index(uint64_t i) { return cop_noise_bits(1, COP_NOISE_SAMPLE, 5, i); }
static uint64_t along_position(uint64_t i) { return cop_noise_bits(1, COP_NOISE_SAMPLE, i, 0); }
static uint64_t along_seed(uint64_t i) { return cop_noise_bits(i, COP_NOISE_SAMPLE, 0, 0); }
static uint64_t along_purpose(uint64_t i) { return cop_noise_bits(7, (cop_purpose)(i & 3), i >> 2, 0); }
static uint64_t along_position_and_index(uint64_t i) { return cop_noise_bits(3, COP_NOISE_ACCEPT, i >> 9, i & 511); }

static const struct { const char *name; walk *draw; } walks[] = {
    {"index", along_index}, {"position", along_position}, {"seed", along_seed},
    {"purpose", along_purpose}, {"position and index", along_position_and_index},
};
enum { N_WALKS = sizeof walks / sizeof *walks };

// n counts against equal expectation: the statistic of Pearson, in standard deviations from its mean.
static double deviation(const int *count, int n, double expected) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (count[i] - expected) * (count[i] - expected) / expected;
    return (sum - (n - 1)) / sqrt(2.0 * (n - 1));
}

static void every_byte_of_the_bits_is_uniform(void **state) {
    (void)state;
    for (int w = 0; w < N_WALKS; w++) {
        static int count[8][N_CELLS];
        memset(count, 0, sizeof count);
        for (uint64_t i = 0; i < N_DRAWS; i++) {
            uint64_t bits = walks[w].draw(i);
            for (int b = 0; b < 8; b++) count[b][bits >> 8 * b & 255]++;
        }
        for (int b = 0; b < 8; b++) {
            double d = deviation(count[b], N_CELLS, (double)N_DRAWS / N_CELLS);
            if (!(fabs(d) < 5)) fail_msg("along %s, byte %d: %.2f standard deviations", walks[w].name, b, d);
        }
    }
}

// Top four bits of a draw against those of the draw 1, 2, 3 or 64 later.
static void neighbouring_draws_are_independent(void **state) {
    (void)state;
    const uint64_t distances[] = {1, 2, 3, 64};
    for (int w = 0; w < N_WALKS; w++) {
        for (int k = 0; k < 4; k++) {
            int count[N_CELLS] = {0};
            for (uint64_t i = 0; i < N_DRAWS; i++)
                count[(walks[w].draw(i) >> 60) << 4 | walks[w].draw(i + distances[k]) >> 60]++;
            double d = deviation(count, N_CELLS, (double)N_DRAWS / N_CELLS);
            if (!(fabs(d) < 5)) fail_msg("along %s, %d apart: %.2f standard deviations", walks[w].name, (int)distances[k], d);
        }
    }
}

static void one_changed_input_bit_changes_half_of_the_output(void **state) {
    (void)state;
    enum { N_BASES = 300 };
    for (int which = 0; which < 3; which++) {
        for (int bit = 0; bit < 64; bit++) {
            int flipped = 0;
            for (uint64_t i = 0; i < N_BASES; i++) {
                uint64_t in[3] = {i * 77, i * 3 + 1, i};
                uint64_t a = cop_noise_bits(in[0], COP_NOISE_DRAFT, in[1], in[2]);
                in[which] ^= (uint64_t)1 << bit;
                flipped += __builtin_popcountll(a ^ cop_noise_bits(in[0], COP_NOISE_DRAFT, in[1], in[2]));
            }
            double d = (flipped - 32.0 * N_BASES) / sqrt(16.0 * N_BASES);
            if (!(fabs(d) < 5)) fail_msg("input %d, bit %d: %.2f standard deviations", which, bit, d);
        }
    }
}

static void uniform_draws_lie_strictly_between_0_and_1(void **state) {
    (void)state;
    double sum = 0, least = 1, most = 0;
    for (uint64_t i = 0; i < N_DRAWS; i++) {
        double u = cop_noise_uniform(9, COP_NOISE_ACCEPT, 0, i);
        assert_true(u > 0 && u < 1);
        sum += u;
        least = u < least ? u : least;
        most = u > most ? u : most;
    }
    assert_true(fabs(sum / N_DRAWS - 0.5) < 5 * sqrt(1.0 / 12 / N_DRAWS));
    assert_true(least < 1e-4 && most > 1 - 1e-4);
}

static void gumbel_draws_have_the_mean_and_variance_of_gumbel(void **state) {
    (void)state;
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < N_DRAWS; i++) {
        double g = (double)cop_noise_gumbel(10, COP_NOISE_SAMPLE, 1, i);
        sum += g;
        squares += g * g;
    }
    const double mean = 0.5772156649015329, variance = 1.6449340668482264, fourth = 14.6113;  // central moments
    double m = sum / N_DRAWS, v = squares / N_DRAWS - m * m;
    assert_true(fabs(m - mean) < 5 * sqrt(variance / N_DRAWS));
    assert_true(fabs(v - variance) < 5 * sqrt((fourth - variance * variance) / N_DRAWS));
}

// The largest of logit + noise is token i as often as softmax says.
static void the_largest_of_logits_plus_gumbel_is_a_softmax_sample(void **state) {
    (void)state;
    enum { V = 8, N = 50000 };
    const double p[V] = {0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.015, 0.005};
    int count[V] = {0};
    for (uint64_t position = 0; position < N; position++) {
        int best = 0;
        double top = -INFINITY;
        for (int i = 0; i < V; i++) {
            double value = cop_log(p[i]) + (double)cop_noise_gumbel(21, COP_NOISE_SAMPLE, position, (uint64_t)i);
            if (value > top) top = value, best = i;
        }
        count[best]++;
    }
    double sum = 0;
    for (int i = 0; i < V; i++) sum += (count[i] - N * p[i]) * (count[i] - N * p[i]) / (N * p[i]);
    assert_true(sum < 7 + 5 * sqrt(14.0));
}

// These numbers are part of what a seed means: if one changes, every sampled text does.
static void the_numbers_are_the_recorded_ones(void **state) {
    (void)state;
    static const struct { uint64_t seed; cop_purpose purpose; uint64_t position, index, bits, uniform; uint32_t gumbel; } recorded[] = {
        {0, COP_NOISE_SAMPLE, 0, 0, 0x3d9dcc7aad087aa4u, 0x3fcecee63d56843cu, 0xbeb510f2u},
        {1, COP_NOISE_SAMPLE, 0, 0, 0xe739cb0cb45e5ab7u, 0x3fece73961968bcbu, 0x40123c04u},
        {0, COP_NOISE_ACCEPT, 0, 0, 0xf2dc0bcab7ff2171u, 0x3fee5b817956ffe5u, 0x403c5e3au},
        {0, COP_NOISE_SAMPLE, 1, 0, 0x6a0130871106a8a2u, 0x3fda804c21c441aau, 0x3e00ee75u},
        {0, COP_NOISE_SAMPLE, 0, 1, 0xa057b7ef7cc5be96u, 0x3fe40af6fdef98b7u, 0x3f4273a1u},
        {42, COP_NOISE_ACCEPT, 1000, 151935, 0x5e0d214b6bee55d9u, 0x3fd7834852dafb96u, 0xbaaf265bu},
        {UINT64_MAX, COP_NOISE_RESIDUAL, UINT64_MAX, UINT64_MAX, 0x5bda96e936a64a57u, 0x3fd6f6a5ba4da992u, 0xbcca1c47u},
    };
    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
        uint64_t s = recorded[i].seed, at = recorded[i].position, index = recorded[i].index;
        double u = cop_noise_uniform(s, recorded[i].purpose, at, index);
        float g = cop_noise_gumbel(s, recorded[i].purpose, at, index);
        assert_int_equal(cop_noise_bits(s, recorded[i].purpose, at, index), recorded[i].bits);
        assert_memory_equal(&u, &recorded[i].uniform, sizeof u);
        assert_memory_equal(&g, &recorded[i].gumbel, sizeof g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_the_bits_is_uniform),
        cmocka_unit_test(neighbouring_draws_are_independent),
        cmocka_unit_test(one_changed_input_bit_changes_half_of_the_output),
        cmocka_unit_test(uniform_draws_lie_strictly_between_0_and_1),
        cmocka_unit_test(gumbel_draws_have_the_mean_and_variance_of_gumbel),
        cmocka_unit_test(the_largest_of_logits_plus_gumbel_is_a_softmax_sample),
        cmocka_unit_test(the_numbers_are_the_recorded_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

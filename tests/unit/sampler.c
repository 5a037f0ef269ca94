#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/noise.h"
#include "tree/sampler.h"

#define V 12

static cop_sampling plain(void) {
    cop_sampling s = {0};
    cop_options_init(cop_sampling_options, &s);
    return s;
}

static cop_sampler *new_sampler(const cop_sampling *s, int n) {
    cop_sampler *out;
    if (cop_sampler_new(&out, s, n)) fail_msg("%s", cop_error_text());
    return out;
}

static const float logits[V] = {1.0f, -2.0f, 0.5f, 3.0f, 2.9f, -1.0f, 0.0f, 1.5f, -3.0f, 2.0f, 0.2f, 1.1f};

static int32_t pick(cop_sampler *s, int64_t position) {
    float copy[V];
    memcpy(copy, logits, sizeof copy);
    return cop_sampler_pick(s, copy, position, NULL, 0, NULL, 0);
}

// Chi-square of n draws against the softmax over the kept tokens.
static double chi_square(cop_sampler *s, const double *p, int n) {
    int counts[V] = {0};
    for (int i = 0; i < n; i++) counts[pick(s, i)]++;
    double sum = 0;
    for (int t = 0; t < V; t++) {
        if (p[t] == 0) assert_int_equal(counts[t], 0);
        else sum += (counts[t] - n * p[t]) * (counts[t] - n * p[t]) / (n * p[t]);
    }
    return sum;
}

static void softmax(double *p, double temperature, const bool *kept) {
    double sum = 0;
    for (int t = 0; t < V; t++) sum += p[t] = kept[t] ? exp((double)logits[t] / temperature) : 0;
    for (int t = 0; t < V; t++) p[t] /= sum;
}

static void draws_follow_the_softmax(void **state) {
    (void)state;
    const double temperatures[] = {0.5, 1.0, 2.0};
    for (int i = 0; i < 3; i++) {
        cop_sampling o = plain();
        o.temp = (float)temperatures[i];
        o.seed = 77;
        cop_sampler *s = new_sampler(&o, V);
        bool all[V];
        double p[V];
        memset(all, 1, sizeof all);
        softmax(p, temperatures[i], all);
        assert_true(chi_square(s, p, 200000) < 35);  // 11 degrees: beyond 35 with probability 2e-4
        cop_sampler_free(s);
    }
}

// Tokens by logit: 3, 4, 9, 7, 11, 0, ...
static void filters_keep_what_they_say(void **state) {
    (void)state;
    double p[V];
    cop_sampling o = plain();
    o.temp = 1;
    o.top_k = 4;
    bool top4[V] = {[3] = true, [4] = true, [9] = true, [7] = true};
    softmax(p, 1, top4);
    cop_sampler *s = new_sampler(&o, V);
    assert_true(chi_square(s, p, 100000) < 25);
    cop_sampler_free(s);

    o = plain();
    o.temp = 1;
    o.min_p = 0.2f;  // within log 5 = 1.609 of the maximum: 3, 4, 9, 7
    s = new_sampler(&o, V);
    assert_true(chi_square(s, p, 100000) < 25);
    cop_sampler_free(s);

    o = plain();
    o.temp = 1;
    o.top_p = 0.6f;
    bool top2[V] = {[3] = true, [4] = true};  // 0.326 + 0.295 of the whole
    softmax(p, 1, top2);
    s = new_sampler(&o, V);
    assert_true(chi_square(s, p, 100000) < 15);
    cop_sampler_free(s);
}

// Skipping tokens that cannot win must not change who wins.
static void the_draw_is_the_largest_of_all_scores(void **state) {
    (void)state;
    enum { N = 3000 };
    static float x[N], copy[N];
    for (int i = 0; i < N; i++) x[i] = (float)(12 * cop_noise_uniform(4, COP_NOISE_DRAFT, (uint64_t)i, 0));
    cop_sampling o = plain();
    o.temp = 0.7f;
    o.seed = 5;
    cop_sampler *s = new_sampler(&o, N);
    for (int64_t position = 0; position < 300; position++) {
        int best = 0;
        float most = -INFINITY;
        for (int i = 0; i < N; i++) {
            float score = x[i] / o.temp + cop_noise_gumbel(5, COP_NOISE_SAMPLE, (uint64_t)position, (uint64_t)i);
            if (score > most) most = score, best = i;
        }
        memcpy(copy, x, sizeof copy);
        assert_int_equal(cop_sampler_pick(s, copy, position, NULL, 0, NULL, 0), best);
    }
    cop_sampler_free(s);
}

static void penalties_count_history_and_path(void **state) {
    (void)state;
    cop_sampling o = plain();
    o.repeat_penalty = 2;
    cop_sampler *s = new_sampler(&o, V);
    float copy[V];
    const int32_t history[] = {3, 1}, path[] = {4};
    memcpy(copy, logits, sizeof copy);
    assert_int_equal(cop_sampler_pick(s, copy, 0, history, 2, path, 1), 9);  // 3 and 4 were halved
    assert_true(copy[3] == 1.5f && copy[4] == 1.45f && copy[1] == -4.0f);
    cop_sampler_free(s);

    o = plain();
    o.frequency_penalty = 0.5f;
    o.presence_penalty = 0.25f;
    o.penalty_window = 3;
    s = new_sampler(&o, V);
    const int32_t twice[] = {9, 3, 3};
    memcpy(copy, logits, sizeof copy);
    cop_sampler_pick(s, copy, 0, twice, 3, path, 1);
    assert_true(copy[3] == 3.0f - 1.0f - 0.25f && copy[9] == 2.0f);  // 9 is outside the window
    cop_sampler_free(s);
}

static void a_bias_can_forbid_and_force(void **state) {
    (void)state;
    const cop_logit_bias bias[] = {{3, -INFINITY}, {8, 100}};
    cop_sampling o = plain();
    o.bias = bias;
    o.n_bias = 1;
    cop_sampler *s = new_sampler(&o, V);
    assert_int_equal(pick(s, 0), 4);
    cop_sampler_free(s);
    o.n_bias = 2;
    o.temp = 1;
    s = new_sampler(&o, V);
    for (int i = 0; i < 100; i++) assert_int_equal(pick(s, i), 8);
    cop_sampler_free(s);
    const cop_logit_bias wrong[] = {{V, 1}};
    o.bias = wrong;
    o.n_bias = 1;
    assert_int_equal(cop_sampler_new(&s, &o, V), COP_ERR_ARG);
}

// The definition of Meister et al.: tokens by |surprise - entropy|, until their probability reaches the share.
static void typical_set(bool *kept, double share) {
    double p[V], entropy = 0, sum = 0;
    bool all[V];
    memset(all, 1, sizeof all);
    softmax(p, 1, all);
    for (int t = 0; t < V; t++) entropy -= p[t] * log(p[t]);
    memset(kept, 0, V * sizeof *kept);
    while (sum < share) {
        int best = -1;
        for (int t = 0; t < V; t++)
            if (!kept[t] && (best < 0 || fabs(-log(p[t]) - entropy) < fabs(-log(p[best]) - entropy))) best = t;
        kept[best] = true;
        sum += p[best];
    }
}

static void typical_p_keeps_the_tokens_of_nearly_average_surprise(void **state) {
    (void)state;
    const float shares[] = {0.01f, 0.2f, 0.5f, 0.9f};
    for (int i = 0; i < 4; i++) {
        bool kept[V];
        double p[V];
        typical_set(kept, (double)shares[i]);
        softmax(p, 1, kept);
        if (i == 1) assert_false(kept[3]);  // not the most probable token
        cop_sampling o = plain();
        o.temp = 1;
        o.typical_p = shares[i];
        cop_sampler *s = new_sampler(&o, V);
        assert_true(chi_square(s, p, 100000) < 35);
        cop_sampler_free(s);
    }
}

static cop_sampler *chained(cop_sampling *o, const char *chain) {
    if (cop_sampling_parse_chain(o, chain)) fail_msg("%s", cop_error_text());
    return new_sampler(o, V);
}

static void filters_work_in_the_order_that_is_given(void **state) {
    (void)state;
    cop_sampling o = plain();
    o.temp = 2;
    o.min_p = 0.2f;
    bool before[V] = {[3] = true, [4] = true, [9] = true, [7] = true};  // within log 5 of the best
    bool after[V] = {0};                                               // within twice that once halved
    double p[V];
    for (int t = 0; t < V; t++) after[t] = logits[t] >= 3 - 2 * 1.609f;
    softmax(p, 2, before);
    cop_sampler *s = chained(&o, "min_p,temp");
    assert_true(chi_square(s, p, 100000) < 25);
    cop_sampler_free(s);
    softmax(p, 2, after);
    s = chained(&o, "temp,min_p");
    assert_true(chi_square(s, p, 100000) < 35);
    cop_sampler_free(s);

    o.min_p = 0;
    o.top_k = 3;
    o.top_p = 0.8f;  // of three: 0.445, 0.403, 0.164 untempered; halved 0.392, 0.373, 0.238
    bool two[V] = {[3] = true, [4] = true}, three[V] = {[3] = true, [4] = true, [9] = true};
    softmax(p, 2, two);
    s = chained(&o, "top_k,top_p,temp");
    assert_true(chi_square(s, p, 100000) < 15);
    cop_sampler_free(s);
    softmax(p, 2, three);
    s = chained(&o, "temp,top_k,top_p");
    assert_true(chi_square(s, p, 100000) < 20);
    cop_sampler_free(s);
}

static void the_usual_order_spelled_out_changes_no_draw(void **state) {
    (void)state;
    cop_sampling o = plain();
    o.temp = 0.8f;
    o.top_k = 9;
    o.typical_p = 0.95f;
    o.top_p = 0.9f;
    o.min_p = 0.02f;
    cop_sampler *a = new_sampler(&o, V), *b = chained(&o, "top_k,typical_p,top_p,min_p,temp");
    for (int i = 0; i < 2000; i++) assert_int_equal(pick(a, i), pick(b, i));
    cop_sampler_free(a);
    cop_sampler_free(b);
}

static void a_wrong_order_is_refused_with_the_reason(void **state) {
    (void)state;
    cop_sampling o = plain();
    cop_sampler *s;
    assert_int_equal(cop_sampling_parse_chain(&o, "top_k,top-p"), COP_ERR_ARG);
    assert_string_equal(cop_error_text(), "samplers: no top-p; the nearest is top_p");
    assert_int_equal(cop_sampling_parse_chain(&o, "temp,dry"), COP_ERR_ARG);
    assert_string_equal(cop_error_text(), "samplers: no dry; there are top_k, typical_p, top_p, min_p, temp");
    assert_int_equal(cop_sampling_parse_chain(&o, "temp,top_k,temp"), COP_ERR_ARG);
    assert_string_equal(cop_error_text(), "samplers: temp is named twice");
    assert_int_equal(cop_sampling_parse_chain(&o, ""), COP_ERR_ARG);
    assert_int_equal(cop_sampling_parse_chain(&o, "temp,"), COP_ERR_ARG);
    assert_int_equal(cop_sampling_parse_chain(&o, "a_name_that_is_longer_than_any_there_could_be"), COP_ERR_ARG);
    assert_int_equal(cop_sampling_parse_chain(&o, "temp"), COP_OK);
    o.temp = 0.5f;
    o.top_k = 5;
    assert_int_equal(cop_sampler_new(&s, &o, V), COP_ERR_ARG);
    assert_string_equal(cop_error_text(), "samplers: top_k is set, but the order does not name it");
    assert_null(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(filters_keep_what_they_say),
        cmocka_unit_test(the_draw_is_the_largest_of_all_scores),
        cmocka_unit_test(penalties_count_history_and_path),
        cmocka_unit_test(a_bias_can_forbid_and_force),
        cmocka_unit_test(typical_p_keeps_the_tokens_of_nearly_average_surprise),
        cmocka_unit_test(filters_work_in_the_order_that_is_given),
        cmocka_unit_test(the_usual_order_spelled_out_changes_no_draw),
        cmocka_unit_test(a_wrong_order_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

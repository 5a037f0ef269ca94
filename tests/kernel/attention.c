// Attention over one page: storing, scores and mixing. The scalar meaning against arithmetic in double,
// and every level against scalar, bit by bit, for every number of queries.
#include <math.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/weights.h"
#include "base/alloc.h"

#define MAX_HEAD 512
#define MAX_Q 40
#define GUARD 0x5a
#define GAP 5  // floats between two rows of a result, never to be touched

static const char *const type_names[] = {"f16", "bf16", "q8_0", "f32"};
static const int heads[] = {2, 8, 16, 30, 32, 50, 64, 80, 96, 128, 256, 512};
#define N_HEADS ((int)(sizeof heads / sizeof *heads))

static bool fits(cop_kv_type type, int head) { return type != COP_KV_Q8_0 || head % 32 == 0; }

// Equal bits; which NaN comes out of an overflow is the CPU's affair.
static bool same(const float *a, const float *b, int n) {
    for (int i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

static void fill(float *x, int n, uint64_t seed, bool nasty) {
    test_rng rng = test_seed(seed);
    test_fill_column(x, n, nasty ? (test_column)(test_bits(&rng) % TEST_N_COLUMNS) : TEST_X_RANDOM, &rng);
}

// The keys or values of a page whose token i was stored from x of seed + i.
static uint8_t *page_of(const cop_kernels *k, cop_kv_type type, int head, bool key, uint64_t seed, bool nasty) {
    const size_t bytes = cop_kv_page_bytes(type, head);
    uint8_t *page = cop_alloc(bytes);
    assert_non_null(page);
    for (int i = 0; i < COP_PAGE; i++) {
        float x[MAX_HEAD + 1];
        fill(x + 1, head, seed + (uint64_t)i, nasty && i % 3);  // + 1: not aligned
        (key ? k->store_key : k->store_value)[type](page, i, x + 1, head);
    }
    return page;
}

// What element d of token i means, from the layout in kernel.h.
static double element(cop_kv_type type, const uint8_t *page, int head, bool key, int i, int d) {
    const size_t at = key ? ((size_t)(i / 16) * (size_t)head + (size_t)d) * 16 + (size_t)(i % 16)
                          : (size_t)i * (size_t)head + (size_t)d;
    const size_t blocks = (size_t)head / 32, block = (size_t)d / 32;
    const size_t scale_at = key ? ((size_t)(i / 16) * blocks + block) * 16 + (size_t)(i % 16) : (size_t)i * blocks + block;
    uint16_t h = 0;
    uint32_t bits;
    float x;
    if (type == COP_KV_F16 || type == COP_KV_BF16) memcpy(&h, page + 2 * at, 2);
    switch (type) {
    case COP_KV_F16: return cop_half_to_float(h);
    case COP_KV_BF16: bits = (uint32_t)h << 16; memcpy(&x, &bits, 4); return x;
    case COP_KV_Q8_0: memcpy(&x, page + 64 * (size_t)head + 4 * scale_at, 4); return (float)(int8_t)page[at] * x;
    default: memcpy(&x, page + 4 * at, 4); return x;
    }
}

// ---- storing ----------------------------------------------------------------------------------

static void a_page_is_a_multiple_of_64_bytes(void **state) {
    (void)state;
    for (int type = 0; type < COP_N_KV_TYPES; type++)
        for (int h = 0; h < N_HEADS; h++)
            if (fits((cop_kv_type)type, heads[h])) assert_true(cop_kv_page_bytes((cop_kv_type)type, heads[h]) % 64 == 0);
    assert_int_equal(cop_kv_page_bytes(COP_KV_F16, 128), 64 * 128 * 2);
    assert_int_equal(cop_kv_page_bytes(COP_KV_BF16, 80), 64 * 80 * 2);
    assert_int_equal(cop_kv_page_bytes(COP_KV_F32, 8), 64 * 8 * 4);
    assert_int_equal(cop_kv_page_bytes(COP_KV_Q8_0, 64), 64 * 64 + 64 * 2 * 4);
}

static void stored_elements_lie_where_the_layout_says(void **state) {
    (void)state;
    const cop_kernels k = cop_kernels_bind(0);
    static const double tolerance[] = {1.0 / 2048, 1.0 / 256, 1.0 / 253, 0};  // of the largest, 1
    for (int type = 0; type < COP_N_KV_TYPES; type++)
        for (int key = 0; key < 2; key++) {
            const int head = 96;
            uint8_t *page = page_of(&k, (cop_kv_type)type, head, key, 100, false);
            for (int i = 0; i < COP_PAGE; i++) {
                float x[MAX_HEAD];
                fill(x, head, 100 + (uint64_t)i, false);
                for (int d = 0; d < head; d++) {
                    const double got = element((cop_kv_type)type, page, head, key, i, d);
                    if (fabs(got - x[d]) > tolerance[type])
                        fail_msg("%s: token %d, element %d: %g stored as %g", type_names[type], i, d, (double)x[d], got);
                }
            }
            cop_free(page);
        }
}

static void every_level_stores_the_bits_of_scalar(void **state) {
    (void)state;
    cop_kernels levels[4], scalar = cop_kernels_bind(0);
    const int n_levels = test_levels(levels);
    for (int type = 0; type < COP_N_KV_TYPES; type++)
        for (int h = 0; h < N_HEADS; h++) {
            if (!fits((cop_kv_type)type, heads[h])) continue;
            for (int key = 0; key < 2; key++) {
                const size_t bytes = cop_kv_page_bytes((cop_kv_type)type, heads[h]);
                uint8_t *want = page_of(&scalar, (cop_kv_type)type, heads[h], key, (uint64_t)h, true);
                for (int l = 0; l < n_levels; l++) {
                    uint8_t *got = page_of(&levels[l], (cop_kv_type)type, heads[h], key, (uint64_t)h, true);
                    if (memcmp(got, want, bytes))
                        fail_msg("%s: store %s %s, head %d", levels[l].level, key ? "key" : "value", type_names[type], heads[h]);
                    cop_free(got);
                }
                cop_free(want);
            }
        }
}

static void storing_one_token_touches_no_other(void **state) {
    (void)state;
    cop_kernels levels[5];
    const int n_levels = test_levels(levels) + 1;
    levels[n_levels - 1] = cop_kernels_bind(0);
    for (int type = 0; type < COP_N_KV_TYPES; type++)
        for (int h = 0; h < N_HEADS; h++) {
            const int head = heads[h];
            if (!fits((cop_kv_type)type, head)) continue;
            const size_t bytes = cop_kv_page_bytes((cop_kv_type)type, head), element = bytes / COP_PAGE;
            uint8_t *page = cop_alloc(bytes);
            float x[MAX_HEAD];
            memset(x, 0xff, sizeof x);  // NaN must stay NaN, and is not the guard
            if (type == COP_KV_Q8_0) fill(x, head, 3, false);
            for (int l = 0; l < n_levels; l++)
                for (int key = 0; key < 2; key++) {
                    memset(page, GUARD, bytes);
                    (key ? levels[l].store_key : levels[l].store_value)[type](page, 37, x, head);
                    size_t changed = 0;
                    for (size_t i = 0; i < bytes; i++) changed += page[i] != GUARD;
                    if (changed > element || changed < element / 2)
                        fail_msg("%s: store %s, head %d: %zu bytes changed", levels[l].level, type_names[type], head, changed);
                }
            cop_free(page);
        }
}

static void a_copied_token_has_the_bits_of_a_stored_one(void **state) {
    (void)state;
    const cop_kernels k = cop_kernels_bind(0);
    for (int type = 0; type < COP_N_KV_TYPES; type++)
        for (int key = 0; key < 2; key++) {
            const cop_kv_type t = (cop_kv_type)type;
            const int head = 96;
            const size_t bytes = cop_kv_page_bytes(t, head);
            uint8_t *from = page_of(&k, t, head, key, 5, false), *to = page_of(&k, t, head, key, 900, false);
            uint8_t *want = page_of(&k, t, head, key, 900, false);
            float x[MAX_HEAD];
            fill(x, head, 5 + 50, false);
            (key ? k.store_key : k.store_value)[type](want, 17, x, head);
            (key ? cop_kv_copy_key : cop_kv_copy_value)(t, to, 17, from, 50, head);
            assert_memory_equal(to, want, bytes);
            (key ? cop_kv_copy_key : cop_kv_copy_value)(t, to, 3, to, 17, head);  // within a page
            (key ? k.store_key : k.store_value)[type](want, 3, x, head);
            assert_memory_equal(to, want, bytes);
            cop_free(from);
            cop_free(to);
            cop_free(want);
        }
}

// ---- scores and mix ---------------------------------------------------------------------------

typedef struct problem {
    cop_kv_type type;
    int head;
    uint8_t *keys, *values;
    float q[MAX_Q * (MAX_HEAD + 3)], p[MAX_Q * (COP_PAGE + 1)];
    float start[MAX_Q * (MAX_HEAD + GAP)], want[MAX_Q * (MAX_HEAD + GAP)], got[MAX_Q * (MAX_HEAD + GAP)];
} problem;

static problem pr;

static void prepare(cop_kv_type type, int head, bool nasty) {
    const cop_kernels k = cop_kernels_bind(0);
    pr.type = type;
    pr.head = head;
    pr.keys = page_of(&k, type, head, true, (uint64_t)head, nasty);
    pr.values = page_of(&k, type, head, false, (uint64_t)head + 1000, nasty);
    for (int i = 0; i < MAX_Q; i++) {
        fill(pr.q + i * (head + 3), head + 3, (uint64_t)i + 70, nasty && i % 4 == 1);
        fill(pr.p + i * (COP_PAGE + 1), COP_PAGE + 1, (uint64_t)i + 80, nasty && i % 4 == 2);
    }
    fill(pr.start, MAX_Q * (MAX_HEAD + GAP), 90, false);
}

static void release(void) {
    cop_free(pr.keys);
    cop_free(pr.values);
}

static void scores(const cop_kernels *k, float *s, int n_q, int group, int n_groups) {
    memcpy(s, pr.start, sizeof pr.start);
    k->scores[pr.type](s, (size_t)(16 * n_groups + GAP), pr.q, (size_t)pr.head + 3, n_q, pr.keys, group, n_groups, pr.head,
                       0.125f);
}

static void mix(const cop_kernels *k, float *acc, int n_q, int first, int n_tokens) {
    memcpy(acc, pr.start, sizeof pr.start);
    k->mix[pr.type](acc, (size_t)(pr.head + GAP), pr.p, COP_PAGE + 1, n_q, pr.values, first, n_tokens, pr.head);
}

// Rows 0 … n_q-1 are scalar's and everything else is as it was.
static void compare(const cop_kernels *k, const char *what, int n_q, int width, int from, int count) {
    const int row = width + GAP, total = (int)(sizeof pr.got / sizeof *pr.got);
    for (int i = 0; i * row < total; i++) {
        const int at = i * row, n = total - at < row ? total - at : row;
        if (i < n_q ? !same(pr.got + at, pr.want + at, width) || !same(pr.got + at + width, pr.start + at + width, GAP)
                    : !same(pr.got + at, pr.start + at, n))
            fail_msg("%s: %s %s, head %d, %d queries, from %d, %d of them: row %d differs", k->level, what,
                     type_names[pr.type], pr.head, n_q, from, count, i);
    }
}

static void check_scores(const cop_kernels *level, const cop_kernels *scalar) {
    static const int ranges[][2] = {{0, 4}, {0, 1}, {3, 1}, {1, 2}, {1, 3}};
    for (int r = 0; r < 5; r++) {
        scores(scalar, pr.want, MAX_Q, ranges[r][0], ranges[r][1]);
        for (int n_q = 1; n_q <= MAX_Q; n_q += r ? 5 : 1) {
            scores(level, pr.got, n_q, ranges[r][0], ranges[r][1]);
            compare(level, "scores", n_q, 16 * ranges[r][1], ranges[r][0], ranges[r][1]);
        }
    }
}

static void check_mix(const cop_kernels *level, const cop_kernels *scalar) {
    static const int ranges[][2] = {{0, 64}, {0, 1}, {63, 1}, {3, 17}, {16, 48}};
    for (int r = 0; r < 5; r++) {
        mix(scalar, pr.want, MAX_Q, ranges[r][0], ranges[r][1]);
        for (int n_q = 1; n_q <= MAX_Q; n_q += r ? 5 : 1) {
            mix(level, pr.got, n_q, ranges[r][0], ranges[r][1]);
            compare(level, "mix", n_q, pr.head, ranges[r][0], ranges[r][1]);
        }
    }
}

static void check_levels(bool nasty, void check(const cop_kernels *, const cop_kernels *)) {
    cop_kernels levels[4], scalar = cop_kernels_bind(0);
    const int n_levels = test_levels(levels);
    for (int type = 0; type < COP_N_KV_TYPES; type++)
        for (int h = 0; h < N_HEADS; h++) {
            if (!fits((cop_kv_type)type, heads[h])) continue;
            prepare((cop_kv_type)type, heads[h], nasty);
            for (int l = 0; l < n_levels; l++) check(&levels[l], &scalar);
            release();
        }
}

static void every_level_scores_with_the_bits_of_scalar_for_any_number_of_queries(void **state) {
    (void)state;
    check_levels(false, check_scores);
    check_levels(true, check_scores);
}

static void every_level_mixes_with_the_bits_of_scalar_for_any_number_of_queries(void **state) {
    (void)state;
    check_levels(false, check_mix);
    check_levels(true, check_mix);
}

static void scalar_scores_and_mixes_as_the_formula_says(void **state) {
    (void)state;
    const cop_kernels k = cop_kernels_bind(0);
    for (int type = 0; type < COP_N_KV_TYPES; type++) {
        const int head = 64, n_q = 3;
        prepare((cop_kv_type)type, head, false);
        scores(&k, pr.got, n_q, 1, 2);
        for (int i = 0; i < n_q; i++)
            for (int t = 0; t < 32; t++) {
                double sum = 0;
                for (int d = 0; d < head; d++)
                    sum += pr.q[i * (head + 3) + d] * element(pr.type, pr.keys, head, true, 16 + t, d);
                if (fabs(pr.got[i * (32 + GAP) + t] - 0.125 * sum) > 1e-6) fail_msg("%s: score %d, %d", type_names[type], i, t);
            }
        mix(&k, pr.got, n_q, 5, 40);
        for (int i = 0; i < n_q; i++)
            for (int d = 0; d < head; d++) {
                double sum = pr.start[i * (head + GAP) + d];
                for (int j = 0; j < 40; j++)
                    sum += pr.p[i * (COP_PAGE + 1) + j] * element(pr.type, pr.values, head, false, 5 + j, d);
                if (fabs(pr.got[i * (head + GAP) + d] - sum) > 1e-5) fail_msg("%s: mix %d, %d", type_names[type], i, d);
            }
        release();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_a_multiple_of_64_bytes),
        cmocka_unit_test(stored_elements_lie_where_the_layout_says),
        cmocka_unit_test(every_level_stores_the_bits_of_scalar),
        cmocka_unit_test(storing_one_token_touches_no_other),
        cmocka_unit_test(a_copied_token_has_the_bits_of_a_stored_one),
        cmocka_unit_test(every_level_scores_with_the_bits_of_scalar_for_any_number_of_queries),
        cmocka_unit_test(every_level_mixes_with_the_bits_of_scalar_for_any_number_of_queries),
        cmocka_unit_test(scalar_scores_and_mixes_as_the_formula_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// Kept beginnings of sequences, against a list of everything that was kept.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/noise.h"
#include "cache/prefix.h"

enum { PAGES = 24, MOST = 6 * COP_PAGE, TEXTS = 12 };

static cop_cache *new_cache(int pages) {
    const cop_cache_shape shape = {.n_layers = 1, .n_kv_heads = 1, .head = 2, .type = COP_KV_F32};
    cop_cache *c;
    assert_int_equal(cop_cache_new(&c, &shape, pages), COP_OK);
    return c;
}

static float value_of(int32_t token, int position) { return (float)token * 1000 + (float)position; }

// Write tokens into the sequence's slots, as a forward would: a value says which token stands where.
static void compute(cop_seq *seq, const int32_t *tokens, int n) {
    int from = cop_seq_length(seq);
    assert_int_equal(cop_seq_reserve(seq, n - from), COP_OK);
    for (int i = from; i < n; i++) {
        float *values = (float *)(void *)cop_seq_values(seq, 0, 0, i / COP_PAGE);
        values[i % COP_PAGE] = value_of(tokens[i], i);  // element 0 of the token: a part of the page's layout is enough
    }
    cop_seq_commit(seq, NULL, n - from);
}

static void check(const cop_seq *seq, const int32_t *tokens, int n) {
    for (int i = 0; i < n; i++) {
        const float *values = (const float *)(const void *)cop_seq_values(seq, 0, 0, i / COP_PAGE);
        if (values[i % COP_PAGE] != value_of(tokens[i], i)) fail_msg("token %d of %d is another's", i, n);
    }
}

static void make_text(int32_t *tokens, int family, int variant, int n) {
    for (int i = 0; i < n; i++) {
        int fork = 20 + 50 * variant;  // variants of a family part at this token
        tokens[i] = (int32_t)(cop_noise_bits((uint64_t)(i < fork ? family : family * 100 + variant), COP_NOISE_DRAFT, (uint64_t)i, 0) % 50);
    }
}

static int common(const int32_t *a, int n, const int32_t *b, int m) {
    int i = 0;
    while (i < n && i < m && a[i] == b[i]) i++;
    return i;
}

static void the_longest_kept_beginning_is_found_and_holds_its_tokens(void **state) {
    (void)state;
    cop_cache *cache = new_cache(TEXTS * 8);
    cop_prefix *p;
    assert_int_equal(cop_prefix_new(&p, cache, TEXTS * 8), COP_OK);
    static int32_t kept[TEXTS][MOST];
    int lengths[TEXTS], n_kept = 0;
    uint64_t salts[TEXTS];
    for (int i = 0; i < TEXTS; i++) {
        int n = 1 + (int)(cop_noise_bits(3, COP_NOISE_DRAFT, (uint64_t)i, 1) % (MOST - 1));
        uint64_t salt = i % 4 == 3 ? 7 : 0;
        make_text(kept[i], i % 3, i / 3, n);
        int want = 0;
        for (int j = 0; j < n_kept; j++)
            if (salts[j] == salt) {
                int same = common(kept[i], n, kept[j], lengths[j]);
                want = same > want ? same : want;
            }
        cop_seq *seq;
        assert_int_equal(cop_seq_new(&seq, cache, MOST), COP_OK);
        assert_int_equal(cop_prefix_match(p, salt, kept[i], n), want);
        assert_int_equal(cop_prefix_take(p, salt, kept[i], n, seq), want);
        assert_int_equal(cop_seq_length(seq), want);
        check(seq, kept[i], want);
        compute(seq, kept[i], n);
        check(seq, kept[i], n);
        cop_prefix_keep(p, salt, kept[i], seq);
        lengths[i] = n;
        salts[i] = salt;
        n_kept++;
        cop_seq_free(seq);
        for (int j = 0; j < n_kept; j++) assert_int_equal(cop_prefix_match(p, salts[j], kept[j], lengths[j]), lengths[j]);
    }
    cop_prefix_release(p, TEXTS * 8);
    assert_int_equal(cop_cache_pages_free(cache), TEXTS * 8);
    assert_int_equal(cop_prefix_match(p, 0, kept[0], lengths[0]), 0);
    cop_prefix_free(p);
    cop_cache_free(cache);
}

static void the_least_recently_used_go_first_and_used_ones_stay_whole(void **state) {
    (void)state;
    cop_cache *cache = new_cache(PAGES);
    cop_prefix *p;
    assert_int_equal(cop_prefix_new(&p, cache, PAGES), COP_OK);
    static int32_t tokens[4][MOST];
    cop_seq *held = NULL;
    for (int i = 0; i < 4; i++) {
        cop_seq *seq;
        make_text(tokens[i], 10 + i, 0, 4 * COP_PAGE);
        assert_int_equal(cop_seq_new(&seq, cache, MOST), COP_OK);
        compute(seq, tokens[i], 4 * COP_PAGE);
        cop_prefix_keep(p, 0, tokens[i], seq);
        if (i == 1) held = seq;
        else cop_seq_free(seq);
    }
    assert_int_equal(cop_cache_pages_free(cache), PAGES - 16);
    assert_int_equal(cop_prefix_spare(p), 12);
    cop_seq *again;  // text 0 is used once more: 2 is now the oldest that gives pages
    assert_int_equal(cop_seq_new(&again, cache, MOST), COP_OK);
    cop_prefix_take(p, 0, tokens[0], 4 * COP_PAGE, again);
    cop_seq_free(again);
    cop_prefix_release(p, PAGES - 16 + 4);
    assert_int_equal(cop_prefix_match(p, 0, tokens[2], 4 * COP_PAGE), 0);
    assert_int_equal(cop_prefix_match(p, 0, tokens[0], 4 * COP_PAGE), 4 * COP_PAGE);
    assert_int_equal(cop_prefix_match(p, 0, tokens[1], 4 * COP_PAGE), 4 * COP_PAGE);
    cop_prefix_release(p, PAGES);  // everything goes, but the sequence keeps its pages
    assert_int_equal(cop_cache_pages_free(cache), PAGES - 4);
    check(held, tokens[1], 4 * COP_PAGE);
    cop_seq_free(held);
    assert_int_equal(cop_cache_pages_free(cache), PAGES);
    cop_prefix_free(p);
    cop_cache_free(cache);
}

// A page that is shared in part is copied before it is written: the kept one does not change.
static void what_is_kept_never_changes(void **state) {
    (void)state;
    cop_cache *cache = new_cache(PAGES);
    cop_prefix *p;
    assert_int_equal(cop_prefix_new(&p, cache, PAGES), COP_OK);
    static int32_t a[MOST], b[MOST];
    make_text(a, 1, 0, 100);
    make_text(b, 1, 0, 100);
    for (int i = 80; i < 100; i++) b[i] = a[i] + 1;
    cop_seq *first, *second;
    assert_int_equal(cop_seq_new(&first, cache, MOST), COP_OK);
    assert_int_equal(cop_seq_new(&second, cache, MOST), COP_OK);
    compute(first, a, 90);
    cop_prefix_keep(p, 0, a, first);
    compute(first, a, 100);  // goes on in the page that is kept: copies it
    assert_int_equal(cop_prefix_take(p, 0, b, 100, second), 80);
    compute(second, b, 100);
    check(first, a, 100);
    check(second, b, 100);
    cop_seq *third;
    assert_int_equal(cop_seq_new(&third, cache, MOST), COP_OK);
    assert_int_equal(cop_prefix_take(p, 0, a, 100, third), 90);
    check(third, a, 90);
    cop_seq_free(first);
    cop_seq_free(second);
    cop_seq_free(third);
    cop_prefix_free(p);
    cop_cache_free(cache);
}

static void a_full_tree_makes_room_for_what_is_new(void **state) {
    (void)state;
    cop_cache *cache = new_cache(PAGES);
    cop_prefix *p;
    assert_int_equal(cop_prefix_new(&p, cache, 3), COP_OK);
    static int32_t tokens[MOST];
    for (int i = 0; i < 5; i++) {
        cop_seq *seq;
        make_text(tokens, i, 0, 2 * COP_PAGE);
        assert_int_equal(cop_seq_new(&seq, cache, MOST), COP_OK);
        compute(seq, tokens, 2 * COP_PAGE);
        cop_prefix_keep(p, 0, tokens, seq);
        cop_seq_free(seq);
        assert_int_equal(cop_prefix_match(p, 0, tokens, 2 * COP_PAGE), 2 * COP_PAGE);
        assert_true(PAGES - cop_cache_pages_free(cache) <= 3);
    }
    cop_prefix_free(p);
    cop_cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_kept_beginning_is_found_and_holds_its_tokens),
        cmocka_unit_test(the_least_recently_used_go_first_and_used_ones_stay_whole),
        cmocka_unit_test(what_is_kept_never_changes),
        cmocka_unit_test(a_full_tree_makes_room_for_what_is_new),
    };
    return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "cache/cache.h"

static const cop_cache_shape shape = {2, 3, 32, COP_KV_F16, 2, 3, 16};

static cop_cache *new_cache(int n_pages) {
    cop_cache *cache;
    assert_int_equal(cop_cache_new(&cache, &shape, n_pages), COP_OK);
    return cache;
}

static cop_seq *new_seq(cop_cache *cache, int most) {
    cop_seq *seq;
    assert_int_equal(cop_seq_new(&seq, cache, most), COP_OK);
    return seq;
}

// Keys are [16 tokens side by side]; a token's mark is its number in every element.
static uint16_t *key_at(cop_seq *seq, int layer, int head, int slot, int d) {
    uint16_t *page = (uint16_t *)(void *)cop_seq_keys(seq, layer, head, slot / COP_PAGE);
    int s = slot % COP_PAGE;
    return page + ((size_t)(s / 16) * 32 + (size_t)d) * 16 + (size_t)(s % 16);
}

static uint16_t *value_at(cop_seq *seq, int layer, int head, int slot, int d) {
    return (uint16_t *)(void *)cop_seq_values(seq, layer, head, slot / COP_PAGE) + (size_t)(slot % COP_PAGE) * 32 + d;
}

static uint16_t *state_at(cop_seq *seq, int layer, int part, int slot, int d) {
    return (uint16_t *)(void *)cop_seq_states(seq, layer, part, slot / COP_PAGE) + (size_t)(slot % COP_PAGE) * 16 + d;
}

static uint16_t mark(int token, int layer, int head, int d) { return (uint16_t)(token * 101 + layer * 7 + head * 3 + d); }

static void write_token(cop_seq *seq, int slot, int token) {
    for (int l = 0; l < 2; l++)
        for (int h = 0; h < 3; h++)
            for (int d = 0; d < 32; d++) {
                *key_at(seq, l, h, slot, d) = *value_at(seq, l, h, slot, d) = mark(token, l, h, d);
                if (d < 16) *state_at(seq, l, h, slot, d) = mark(token, l, h, 100 + d);
            }
}

static void expect_token(cop_seq *seq, int slot, int token) {
    for (int l = 0; l < 2; l++)
        for (int h = 0; h < 3; h++)
            for (int d = 0; d < 32; d++) {
                assert_int_equal(*key_at(seq, l, h, slot, d), mark(token, l, h, d));
                assert_int_equal(*value_at(seq, l, h, slot, d), mark(token, l, h, d));
                if (d < 16) assert_int_equal(*state_at(seq, l, h, slot, d), mark(token, l, h, 100 + d));
            }
}

static void append(cop_seq *seq, int first, int n) {
    assert_int_equal(cop_seq_reserve(seq, n), COP_OK);
    for (int i = 0; i < n; i++) write_token(seq, cop_seq_length(seq) + i, first + i);
    cop_seq_commit(seq, NULL, n);
}

static void commit_keeps_the_path_and_drops_the_rest(void **state) {
    (void)state;
    cop_cache *cache = new_cache(8);
    cop_seq *seq = new_seq(cache, 300);
    append(seq, 0, 60);
    assert_int_equal(cop_seq_reserve(seq, 10), COP_OK);  // crosses into the second page
    for (int i = 0; i < 10; i++) write_token(seq, 60 + i, 1000 + i);
    cop_seq_commit(seq, (const int[]){0, 3, 4, 9}, 4);
    assert_int_equal(cop_seq_length(seq), 64);
    for (int i = 0; i < 60; i++) expect_token(seq, i, i);
    const int kept[] = {1000, 1003, 1004, 1009};
    for (int i = 0; i < 4; i++) expect_token(seq, 60 + i, kept[i]);
    assert_int_equal(cop_cache_pages_free(cache), 7);  // the second page went back
    cop_seq_free(seq);
    assert_int_equal(cop_cache_pages_free(cache), 8);
    cop_cache_free(cache);
}

static void writing_behind_a_shared_prefix_leaves_the_other_alone(void **state) {
    (void)state;
    cop_cache *cache = new_cache(8);
    cop_seq *a = new_seq(cache, 300), *b = new_seq(cache, 300);
    append(a, 0, 100);
    assert_int_equal(cop_seq_share(b, a, 90), COP_OK);
    assert_int_equal(cop_cache_pages_free(cache), 6);
    append(b, 5000, 20);
    append(a, 7000, 5);
    for (int i = 0; i < 100; i++) expect_token(a, i, i);
    for (int i = 0; i < 5; i++) expect_token(a, 100 + i, 7000 + i);
    for (int i = 0; i < 90; i++) expect_token(b, i, i);
    for (int i = 0; i < 20; i++) expect_token(b, 90 + i, 5000 + i);
    cop_seq_free(a);
    for (int i = 0; i < 90; i++) expect_token(b, i, i);
    cop_seq_free(b);
    assert_int_equal(cop_cache_pages_free(cache), 8);
    cop_cache_free(cache);
}

static void a_full_cache_says_so_and_changes_nothing(void **state) {
    (void)state;
    cop_cache *cache = new_cache(2);
    cop_seq *a = new_seq(cache, 1000), *b = new_seq(cache, 40);
    append(a, 0, 100);
    assert_int_equal(cop_seq_reserve(a, 40), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "cache is full"));
    assert_int_equal(cop_seq_length(a), 100);
    assert_int_equal(cop_seq_reserve(b, 1), COP_ERR_LIMIT);
    assert_int_equal(cop_seq_reserve(b, 41), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "at most 40"));
    append(a, 100, 28);
    for (int i = 0; i < 128; i++) expect_token(a, i, i);
    // A page that is shared has to be copied before it is written, and there is none to copy it to.
    cop_seq_truncate(a, 100);
    cop_seq *c = new_seq(cache, 1000);
    assert_int_equal(cop_seq_share(c, a, 100), COP_OK);
    assert_int_equal(cop_seq_reserve(c, 1), COP_ERR_LIMIT);
    cop_seq_free(c);
    append(a, 100, 1);
    cop_seq_free(a);
    cop_seq_free(b);
    cop_cache_free(cache);
}

static void what_was_saved_is_loaded(void **state) {
    (void)state;
    cop_cache *cache = new_cache(8);
    cop_seq *a = new_seq(cache, 300), *b = new_seq(cache, 300);
    append(a, 0, 77);
    size_t bytes = cop_seq_save_bytes(a);
    uint8_t *data = cop_alloc(bytes);
    cop_seq_save(a, data);
    append(b, 900, 10);
    assert_int_equal(cop_seq_load(b, data, bytes), COP_OK);
    assert_int_equal(cop_seq_length(b), 77);
    for (int i = 0; i < 77; i++) expect_token(b, i, i);
    for (size_t cut = 0; cut < bytes; cut += cut < 64 ? 1 : 997) assert_int_equal(cop_seq_load(b, data, cut), COP_ERR_FORMAT);
    for (size_t at = 0; at < bytes; at += at < 64 ? 1 : 1013) {
        data[at] ^= 4;
        cop_status st = cop_seq_load(b, data, bytes);
        assert_true(st == COP_ERR_FORMAT || st == COP_ERR_LIMIT);
        data[at] ^= 4;
    }
    for (int i = 0; i < 77; i++) expect_token(b, i, i);  // refused files change nothing
    cop_free(data);
    cop_seq_free(a);
    cop_seq_free(b);
    cop_cache_free(cache);
}

// Against the simple way: a list of tokens per sequence.
static void what_is_saved_holds_nothing_of_rejected_rows(void **state) {
    (void)state;
    cop_cache *cache = new_cache(8);
    cop_seq *a = new_seq(cache, 200), *b = new_seq(cache, 200);
    append(a, 0, 70);
    append(b, 0, 70);
    assert_int_equal(cop_seq_reserve(b, 30), COP_OK);
    for (int i = 0; i < 30; i++) write_token(b, 70 + i, 900 + i);  // never committed
    cop_seq_commit(b, NULL, 0);
    size_t bytes = cop_seq_save_bytes(a);
    assert_int_equal(cop_seq_save_bytes(b), bytes);
    uint8_t *x = cop_alloc(bytes), *y = cop_alloc(bytes);
    cop_seq_save(a, x);
    cop_seq_save(b, y);
    assert_memory_equal(x, y, bytes);
    cop_free(x);
    cop_free(y);
    cop_seq_free(a);
    cop_seq_free(b);
    cop_cache_free(cache);
}

static void random_histories_give_what_a_list_gives(void **state) {
    (void)state;
    enum { N = 4, MOST = 200 };
    cop_cache *cache = new_cache(64);
    cop_seq *seqs[N];
    int lists[N][MOST], lengths[N] = {0}, next = 1;
    for (int i = 0; i < N; i++) seqs[i] = new_seq(cache, MOST);
    for (int turn = 0; turn < 400; turn++) {
        uint64_t r = cop_noise_bits(9, COP_NOISE_DRAFT, (uint64_t)turn, 0);
        int i = (int)(r % N), j = (int)(r / 4 % N), kind = (int)(r / 16 % 4), n = (int)(r / 64 % 30);
        if (kind == 0 && i != j) {
            int keep = lengths[j] ? (int)(r / 4096 % (uint64_t)(lengths[j] + 1)) : 0;
            assert_int_equal(cop_seq_share(seqs[i], seqs[j], keep), COP_OK);
            memcpy(lists[i], lists[j], sizeof lists[i]);
            lengths[i] = keep;
        } else if (kind == 1) {
            lengths[i] -= n < lengths[i] ? n : lengths[i];
            cop_seq_truncate(seqs[i], lengths[i]);
        } else if (lengths[i] + n <= MOST) {
            assert_int_equal(cop_seq_reserve(seqs[i], n), COP_OK);
            int path[30], n_path = 0;
            for (int k = 0; k < n; k++) {
                write_token(seqs[i], lengths[i] + k, next + k);
                if (cop_noise_bits(1, COP_NOISE_DRAFT, (uint64_t)turn, (uint64_t)k) % 2) path[n_path++] = k;
            }
            cop_seq_commit(seqs[i], path, n_path);
            for (int k = 0; k < n_path; k++) lists[i][lengths[i]++] = next + path[k];
            next += n;
        }
        for (int s = 0; s < N; s++) {
            assert_int_equal(cop_seq_length(seqs[s]), lengths[s]);
            for (int k = s; k < lengths[s]; k += 7) expect_token(seqs[s], k, lists[s][k]);
        }
    }
    for (int i = 0; i < N; i++) cop_seq_free(seqs[i]);
    assert_int_equal(cop_cache_pages_free(cache), 64);
    cop_cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commit_keeps_the_path_and_drops_the_rest),
        cmocka_unit_test(writing_behind_a_shared_prefix_leaves_the_other_alone),
        cmocka_unit_test(a_full_cache_says_so_and_changes_nothing),
        cmocka_unit_test(what_was_saved_is_loaded),
        cmocka_unit_test(what_is_saved_holds_nothing_of_rejected_rows),
        cmocka_unit_test(random_histories_give_what_a_list_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

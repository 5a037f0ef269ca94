#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../support/drafting.h"
#include "base/alloc.h"
#include "base/noise.h"

#define N(tokens) (int)(sizeof(tokens) / sizeof *(tokens))

static int32_t plus_ten(int32_t token) { return (token + 10) % DRAFTING_V; }

static void what_followed_most_often_comes_first(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "trigram", "nodes=3");
    const int32_t tokens[] = {1, 2, 3, 1, 2, 4, 1, 2, 3, 1, 2};
    drafting_propose(&d, tokens, N(tokens));
    assert_string_equal(drafting_show(&d), "3(1) 4");
    drafting_close(&d);
}

static void what_followed_last_counts_more(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "trigram", "nodes=1");
    const int32_t tokens[] = {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2, 4, 1, 2, 4, 1, 2};
    drafting_propose(&d, tokens, N(tokens));
    assert_string_equal(drafting_show(&d), "4");
    drafting_close(&d);
}

static void a_token_is_counted_once_however_often_it_is_seen(void **state) {
    (void)state;
    drafting d, once;
    drafting_open(&d, "trigram", "nodes=63");
    drafting_open(&once, "trigram", "nodes=63");
    const int32_t tokens[] = {1, 2, 3, 1, 2, 4, 1, 2, 3, 1, 2, 4, 5, 1, 2};
    for (int n = 1; n <= N(tokens); n++)
        for (int twice = 0; twice < 2; twice++) drafting_propose(&d, tokens, n);
    drafting_propose(&once, tokens, N(tokens));
    assert_string_equal(drafting_show(&d), drafting_show(&once));
    for (int i = 1; i < d.tree.n_nodes; i++) assert_true(d.tree.nodes[i].logp == once.tree.nodes[i].logp);
    drafting_close(&once);
    drafting_close(&d);
}

static void another_text_finds_the_counts_of_the_first(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "trigram", "nodes=1");
    const int32_t tokens[] = {1, 2, 3, 4, 5, 6}, other[] = {9, 4, 5};
    drafting_propose(&d, tokens, N(tokens));
    d.type->reset(d.state);
    drafting_propose(&d, other, N(other));
    assert_string_equal(drafting_show(&d), "6");
    drafting_close(&d);
}

static void a_full_table_forgets_and_goes_on(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "trigram", "pairs=4,nodes=63");
    static int32_t tokens[DRAFTING_TOKENS];
    for (int i = 0; i < DRAFTING_TOKENS; i++) tokens[i] = (int32_t)(cop_noise_bits(1, COP_NOISE_DRAFT, (uint64_t)i, 0) % 7);
    for (int n = 1; n <= DRAFTING_TOKENS; n++) drafting_propose(&d, tokens, n);
    // A row that a pair took over holds nothing of the pair before.
    d.type->reset(d.state);
    const int32_t newer[] = {11, 12, 13, 14, 15, 16, 17, 15, 16};
    drafting_propose(&d, newer, N(newer));
    assert_int_equal(d.tree.nodes[1].token, 17);
    assert_int_equal(d.tree.nodes[1].next_sibling, -1);
    // One pair with more followers than a row holds: what came last is among those that stay.
    d.type->reset(d.state);
    for (int i = 0; i + 2 < 90; i += 3) tokens[i] = 1, tokens[i + 1] = 2, tokens[i + 2] = 10 + i;
    tokens[90] = 1, tokens[91] = 2;
    drafting_propose(&d, tokens, 92);
    assert_true(cop_tree_child(&d.tree, COP_TREE_ROOT, 97) > 0);
    assert_int_equal(cop_tree_child(&d.tree, COP_TREE_ROOT, 10), -1);
    drafting_close(&d);
}

static void what_the_target_found_probable_is_counted_when_asked_for(void **state) {
    (void)state;
    for (int soft = 0; soft < 2; soft++) {
        drafting d;
        drafting_open(&d, "trigram", soft ? "soft=on,nodes=8" : "nodes=8");
        const int32_t tokens[] = {1, 2}, later[] = {1, 2, 13, 1, 2};
        drafting_propose(&d, tokens, 2);
        drafting_observe(&d, tokens, 2, plus_ten, 1);  // 12 is most probable, 13 was taken
        drafting_propose(&d, later, N(later));
        assert_true(cop_tree_child(&d.tree, COP_TREE_ROOT, 13) > 0);
        assert_int_equal(cop_tree_child(&d.tree, COP_TREE_ROOT, 12) > 0, soft);
        drafting_close(&d);
    }
}

static void tokens_that_are_none_are_passed_over(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "trigram", "");
    const int32_t odd[] = {-1, -1, 5, -1, -1}, one[] = {3};
    drafting_propose(&d, odd, N(odd));
    assert_string_equal(drafting_show(&d), "");
    d.type->reset(d.state);
    drafting_propose(&d, one, 1);
    assert_string_equal(drafting_show(&d), "");
    drafting_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_followed_most_often_comes_first),
        cmocka_unit_test(what_followed_last_counts_more),
        cmocka_unit_test(a_token_is_counted_once_however_often_it_is_seen),
        cmocka_unit_test(another_text_finds_the_counts_of_the_first),
        cmocka_unit_test(a_full_table_forgets_and_goes_on),
        cmocka_unit_test(what_the_target_found_probable_is_counted_when_asked_for),
        cmocka_unit_test(tokens_that_are_none_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

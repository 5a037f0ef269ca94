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

static int32_t plus_one(int32_t token) { return (token + 1) % DRAFTING_V; }
static int32_t plus_ten(int32_t token) { return (token + 10) % DRAFTING_V; }

static void runs_of_the_text_are_proposed_behind_their_first_token(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "pool", "level=4");
    const int32_t tokens[] = {1, 2, 3, 4, 5, 1}, other[] = {7, 3};
    drafting_propose(&d, tokens, N(tokens));
    assert_string_equal(drafting_show(&d), "2(3(4))");
    d.type->reset(d.state);
    drafting_propose(&d, other, N(other));  // and behind those of an earlier text
    assert_string_equal(drafting_show(&d), "4(5(1))");
    drafting_close(&d);
}

static void equal_beginnings_share_their_nodes_and_the_newest_come_first(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "pool", "level=3,runs=2,nodes=63");
    const int32_t tokens[] = {1, 2, 3, 1, 2, 4, 1, 5, 6, 1};
    drafting_propose(&d, tokens, N(tokens));
    assert_string_equal(drafting_show(&d), "5(6) 2(4)");  // two runs stay, 2 3 was the oldest
    const int32_t again[] = {1, 2, 3, 1, 2, 4, 1, 5, 6, 1, 2, 4, 1};
    drafting_propose(&d, again, N(again));
    assert_string_equal(drafting_show(&d), "2(4) 5(6)");  // a run that comes again is the newest
    const int32_t twice[] = {1, 2, 3, 1, 2, 4, 1, 5, 6, 1, 2, 4, 1, 2, 4, 1};
    drafting_propose(&d, twice, N(twice));
    assert_string_equal(drafting_show(&d), "2(4) 5(6)");  // and takes no second place
    drafting_close(&d);
}

static void rejected_rows_leave_what_the_target_would_have_said(void **state) {
    (void)state;
    for (int rejected = 0; rejected < 2; rejected++) {
        drafting d;
        drafting_open(&d, "pool", rejected ? "" : "rejected=off");
        const int32_t tokens[] = {5}, later[] = {60, 30};
        cop_tree_reset(&d.tree, 5);
        int node = cop_tree_add(&d.tree, COP_TREE_ROOT, 30, COP_LOGP_NONE);
        cop_tree_add(&d.tree, node, 40, COP_LOGP_NONE);
        int taken = cop_tree_add(&d.tree, COP_TREE_ROOT, 6, COP_LOGP_NONE);
        cop_tree_add(&d.tree, taken, 30, COP_LOGP_NONE);
        drafting_observe(&d, tokens, 1, plus_one, 0);
        drafting_propose(&d, later, 2);
        assert_string_equal(drafting_show(&d), rejected ? "31 40(41)" : "");
        drafting_close(&d);
    }
}

static void more_keys_than_there_is_room_for_forget_the_oldest(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "pool", "keys=4,runs=2,level=2");
    static int32_t tokens[DRAFTING_TOKENS];
    for (int i = 0; i < DRAFTING_TOKENS; i++) tokens[i] = i % 50;
    for (int n = 1; n <= DRAFTING_TOKENS; n++) drafting_propose(&d, tokens, n);
    const int32_t newest[] = {47}, oldest[] = {20};
    drafting_propose(&d, newest, 1);
    assert_string_equal(drafting_show(&d), "48");
    drafting_propose(&d, oldest, 1);
    assert_string_equal(drafting_show(&d), "");
    drafting_close(&d);
}

// Level l of column j stands at depth l + j: W - 1 rows of the spine and level - 2 more for each column.
static void the_window_has_the_papers_shape(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "pool", "window=3,level=4,keys=4,rejected=off");
    int32_t tokens[40];
    for (int i = 0; i < 40; i++) tokens[i] = i;
    // Levels are filled one a step: 2 rows, then 2 + 3, then 2 + 6.
    for (int step = 0; step < 6; step++) {
        drafting_propose(&d, tokens, 20 + step);
        int levels = step < 2 ? step : 2, depths[8] = {0};
        assert_int_equal(d.tree.n_nodes, 1 + 2 + 3 * levels);
        for (int i = 0; i < d.tree.n_nodes; i++) depths[d.tree.nodes[i].depth]++;
        for (int l = 0; l <= levels; l++)
            for (int j = 0; j < 3; j++) depths[l + j]--;
        for (int i = 0; i < 8; i++) assert_int_equal(depths[i], 0);
        drafting_observe(&d, tokens, 20 + step, plus_ten, 0);
    }
    drafting_close(&d);
}

static void the_window_finds_runs_that_no_text_held(void **state) {
    (void)state;
    for (int window = 0; window < 2; window++) {
        drafting d;
        drafting_open(&d, "pool", window ? "window=2,level=3,rejected=off" : "level=3,rejected=off");
        const int32_t tokens[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, later[] = {1, 11};
        for (int step = 0; step < 5; step++) {
            drafting_propose(&d, tokens, 5 + step);
            drafting_observe(&d, tokens, 5 + step, plus_ten, 5);  // the text goes elsewhere
        }
        d.type->reset(d.state);
        drafting_propose(&d, later, 2);
        int node = cop_tree_child(&d.tree, COP_TREE_ROOT, 21);
        assert_int_equal(node >= 0 && cop_tree_child(&d.tree, node, 31) >= 0, window);
        drafting_close(&d);
    }
}

static void a_window_that_was_pruned_goes_on(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "pool", "window=8,level=8");
    int32_t tokens[60];
    for (int i = 0; i < 60; i++) tokens[i] = i % 20;
    for (int n = 1; n <= 60; n++) {
        drafting_propose(&d, tokens, n);
        for (int i = 0; i < d.tree.n_nodes; i++) assert_in_range(d.tree.nodes[i].token, 0, DRAFTING_V - 1);
        bool keep[64];
        for (int i = 0; i < d.tree.n_nodes; i++) keep[i] = cop_noise_bits(2, COP_NOISE_DRAFT, (uint64_t)n, (uint64_t)i) % 8 != 0;
        cop_tree_prune(&d.tree, keep, NULL);
        drafting_observe(&d, tokens, n, plus_ten, n % 2);
    }
    drafting_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_the_text_are_proposed_behind_their_first_token),
        cmocka_unit_test(equal_beginnings_share_their_nodes_and_the_newest_come_first),
        cmocka_unit_test(rejected_rows_leave_what_the_target_would_have_said),
        cmocka_unit_test(more_keys_than_there_is_room_for_forget_the_oldest),
        cmocka_unit_test(the_window_has_the_papers_shape),
        cmocka_unit_test(the_window_finds_runs_that_no_text_held),
        cmocka_unit_test(a_window_that_was_pruned_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

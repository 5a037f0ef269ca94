#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "draft/frontier.h"

static void guesses_come_out_the_most_probable_first(void **state) {
    (void)state;
    cop_frontier f;
    assert_int_equal(cop_frontier_init(&f, 500), COP_OK);
    for (int i = 0; i < 500; i++) {
        const cop_guess g = {.path = (float)(cop_noise_bits(3, COP_NOISE_DRAFT, (uint64_t)i, 0) % 50), .token = i};
        cop_frontier_push(&f, &g);
    }
    cop_guess last = {.path = 100}, g;
    for (int i = 0; i < 500; i++) {
        assert_true(cop_frontier_pop(&f, &g));
        assert_true(g.path < last.path || (g.path == last.path && g.token > last.token));  // equal ones as they went in
        last = g;
    }
    assert_false(cop_frontier_pop(&f, &g));
    cop_frontier_fini(&f);
}

static void a_full_frontier_drops_what_comes(void **state) {
    (void)state;
    cop_frontier f;
    assert_int_equal(cop_frontier_init(&f, 2), COP_OK);
    for (int i = 0; i < 5; i++) cop_frontier_push(&f, &(cop_guess){.path = (float)i, .token = i});
    cop_guess g;
    assert_true(cop_frontier_pop(&f, &g));
    assert_int_equal(g.token, 1);
    assert_true(cop_frontier_pop(&f, &g));
    assert_false(cop_frontier_pop(&f, &g));
    cop_frontier_fini(&f);
    cop_alloc_fail_at(1);
    assert_int_equal(cop_frontier_init(&f, 2), COP_ERR_NOMEM);
}

static void a_node_of_another_drafter_stays_as_it_is(void **state) {
    (void)state;
    cop_tree tree;
    assert_int_equal(cop_tree_init(&tree, 8, 0, 0), COP_OK);
    cop_tree_reset(&tree, 1);
    int other = cop_tree_add(&tree, COP_TREE_ROOT, 5, COP_LOGP_NONE);
    tree.nodes[other].bucket = 9;
    tree.source = 1;
    assert_int_equal(cop_guess_add(&(cop_guess){.own = 0.5f, .token = 5, .bucket = 3}, &tree), other);
    assert_int_equal(tree.nodes[other].bucket, 9);
    int mine = cop_guess_add(&(cop_guess){.own = 0.5f, .token = 6, .bucket = 3}, &tree);
    assert_int_equal(tree.nodes[mine].bucket, 3);
    assert_true(tree.nodes[mine].logp < -0.69f && tree.nodes[mine].logp > -0.70f);
    tree.limit = tree.n_nodes;
    assert_int_equal(cop_guess_add(&(cop_guess){.own = 0.5f, .token = 7}, &tree), -1);
    cop_tree_fini(&tree);
}

static void beliefs_follow_what_came_true(void **state) {
    (void)state;
    cop_belief b = {0};
    assert_true(cop_belief_of(&b, 0.3f) > 0.299f && cop_belief_of(&b, 0.3f) < 0.301f);
    for (int i = 0; i < 5000; i++) cop_belief_add(&b, i % 4 == 0);
    assert_true(b.tried < 257);
    assert_true(cop_belief_of(&b, 0.9f) > 0.22f && cop_belief_of(&b, 0.9f) < 0.28f);
    for (int i = 0; i < 1000; i++) cop_belief_add(&b, true);
    assert_true(cop_belief_of(&b, 0.1f) > 0.95f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses_come_out_the_most_probable_first),
        cmocka_unit_test(a_full_frontier_drops_what_comes),
        cmocka_unit_test(a_node_of_another_drafter_stays_as_it_is),
        cmocka_unit_test(beliefs_follow_what_came_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

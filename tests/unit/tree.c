#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/noise.h"
#include "tree/tree.h"

static void a_child_with_the_same_token_is_merged(void **state) {
    (void)state;
    cop_tree t;
    assert_int_equal(cop_tree_init(&t, 8, 0, 0), COP_OK);
    cop_tree_reset(&t, 5);
    int a = cop_tree_add(&t, COP_TREE_ROOT, 7, -0.5f), b = cop_tree_add(&t, COP_TREE_ROOT, 9, -1.0f);
    assert_int_equal(cop_tree_add(&t, COP_TREE_ROOT, 7, -2.0f), a);
    assert_int_not_equal(cop_tree_add(&t, b, 7, -2.0f), a);
    assert_int_equal(t.n_nodes, 4);
    assert_int_equal(cop_tree_child(&t, COP_TREE_ROOT, 9), b);
    assert_int_equal(cop_tree_child(&t, COP_TREE_ROOT, 8), -1);
    cop_tree_fini(&t);
}

static void a_full_tree_takes_no_more(void **state) {
    (void)state;
    cop_tree t;
    assert_int_equal(cop_tree_init(&t, 3, 0, 0), COP_OK);
    cop_tree_reset(&t, 0);
    assert_int_equal(cop_tree_add(&t, 0, 1, COP_LOGP_NONE), 1);
    assert_int_equal(cop_tree_add(&t, 1, 2, COP_LOGP_NONE), 2);
    assert_true(cop_tree_is_full(&t));
    assert_int_equal(cop_tree_add(&t, 2, 3, COP_LOGP_NONE), -1);
    assert_int_equal(cop_tree_add(&t, 0, 1, COP_LOGP_NONE), 1);  // merging needs no room
    cop_tree_fini(&t);
}

static cop_tree random_tree(int n, uint64_t seed) {
    cop_tree t;
    assert_int_equal(cop_tree_init(&t, n, 0, 0), COP_OK);
    cop_tree_reset(&t, 0);
    for (int i = 1; i < n; i++) {
        int node = cop_tree_add(&t, (int)(cop_noise_bits(seed, COP_NOISE_DRAFT, (uint64_t)i, 0) % (uint64_t)i), i, -1.0f);
        t.nodes[node].tag = i;
    }
    return t;
}

static bool is_above(const cop_tree *t, int a, int b) {
    for (; b >= 0; b = t->nodes[b].parent)
        if (b == a) return true;
    return false;
}

static void ancestors_are_those_on_the_way_to_the_root(void **state) {
    (void)state;
    cop_tree t = random_tree(150, 3);
    for (int a = 0; a < t.n_nodes; a++)
        for (int b = 0; b < t.n_nodes; b++) assert_int_equal(cop_tree_is_ancestor(&t, a, b), is_above(&t, a, b));
    for (int i = 1; i < t.n_nodes; i++) assert_int_equal(t.nodes[i].depth, t.nodes[t.nodes[i].parent].depth + 1);
    cop_tree_fini(&t);
}

// Pruned against the simple way: a node stays when it and all above it are kept.
static void pruning_removes_a_node_with_all_below_it(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        cop_tree t = random_tree(100, seed), old = random_tree(100, seed);
        bool keep[100];
        int map[100], n_stay = 0;
        for (int i = 0; i < 100; i++) keep[i] = cop_noise_bits(seed, COP_NOISE_ACCEPT, (uint64_t)i, 0) % 4;
        cop_tree_prune(&t, keep, map);
        for (int i = 0; i < 100; i++) {
            bool stays = true;
            for (int a = i; a > 0; a = old.nodes[a].parent) stays = stays && keep[a];
            assert_int_equal(map[i] >= 0, stays);
            if (!stays) continue;
            n_stay++;
            const cop_node *n = &t.nodes[map[i]];
            assert_int_equal(n->token, old.nodes[i].token);
            assert_int_equal(n->tag, old.nodes[i].tag);
            if (i) assert_int_equal(n->parent, map[old.nodes[i].parent]);
        }
        assert_int_equal(t.n_nodes, n_stay);
        for (int a = 0; a < t.n_nodes; a++)
            for (int b = 0; b < t.n_nodes; b++) assert_int_equal(cop_tree_is_ancestor(&t, a, b), is_above(&t, a, b));
        cop_tree_fini(&t);
        cop_tree_fini(&old);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_with_the_same_token_is_merged),
        cmocka_unit_test(a_full_tree_takes_no_more),
        cmocka_unit_test(ancestors_are_those_on_the_way_to_the_root),
        cmocka_unit_test(pruning_removes_a_node_with_all_below_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

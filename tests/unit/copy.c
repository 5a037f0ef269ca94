#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "draft/draft.h"

typedef struct drafting {
    const cop_drafter_type *type;
    void *state;
    cop_tree tree;
} drafting;

static void open_drafting(drafting *d, const char *options) {
    assert_int_equal(cop_drafter_find(&d->type, "copy", 4), COP_OK);
    d->state = cop_alloc(d->type->state_size);
    cop_options_init(d->type->options, d->state);
    assert_int_equal(cop_options_parse(d->type->options, d->state, "copy", options), COP_OK);
    const cop_draft_setup setup = {.max_nodes = 32, .max_tokens = 1000, .V = 100};
    assert_int_equal(d->type->start(d->state, &setup), COP_OK);
    assert_int_equal(cop_tree_init(&d->tree, 32, 0, 0), COP_OK);
}

static void close_drafting(drafting *d) {
    d->type->stop(d->state);
    cop_free(d->state);
    cop_tree_fini(&d->tree);
}

// What is proposed behind these tokens, a chain, ended by -1.
static void proposal(drafting *d, const int32_t *tokens, int n, int32_t *out) {
    const cop_view view = {.tokens = tokens, .n_tokens = n, .max_tokens = 1000};
    cop_tree_reset(&d->tree, tokens[n - 1]);
    d->type->propose(d->state, &view, &d->tree);
    for (int i = 1; i < d->tree.n_nodes; i++) {
        assert_int_equal(d->tree.nodes[i].parent, i - 1);
        *out++ = d->tree.nodes[i].token;
    }
    *out = -1;
}

#define EXPECT(d, tokens, ...)                                                            \
    do {                                                                                  \
        const int32_t want_[] = {__VA_ARGS__};                                            \
        int32_t got_[64] = {0};                                                           \
        proposal((d), (tokens), (int)(sizeof(tokens) / sizeof *(tokens)), got_);          \
        assert_memory_equal(got_, want_, sizeof want_);                                   \
    } while (0)

static void what_followed_the_same_tokens_is_proposed(void **state) {
    (void)state;
    drafting d;
    open_drafting(&d, "order=2,depth=4");
    const int32_t nothing[] = {1, 2, 3, 4, 5}, again[] = {1, 2, 3, 4, 5, 9, 1, 2};
    EXPECT(&d, nothing, -1);
    EXPECT(&d, again, 3, 4, 5, 9, -1);
    close_drafting(&d);
}

static void the_longest_match_wins_then_the_newest(void **state) {
    (void)state;
    drafting d;
    open_drafting(&d, "order=2,depth=1");
    const int32_t longer[] = {7, 1, 2, 30, 8, 1, 2, 40, 7, 1, 2}, newer[] = {7, 1, 2, 30, 7, 1, 2, 40, 7, 1, 2};
    EXPECT(&d, longer, 30, -1);
    d.type->reset(d.state);
    EXPECT(&d, newer, 40, -1);
    close_drafting(&d);
}

static void a_copy_that_reaches_the_end_goes_on_with_itself(void **state) {
    (void)state;
    drafting d;
    open_drafting(&d, "order=2,depth=7");
    const int32_t tokens[] = {5, 6, 5, 6, 5, 6};
    EXPECT(&d, tokens, 5, 6, 5, 6, 5, 6, 5, -1);
    close_drafting(&d);
}

static void a_short_match_proposes_little(void **state) {
    (void)state;
    drafting d;
    open_drafting(&d, "order=1,depth=30");
    const int32_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1};
    EXPECT(&d, tokens, 2, 3, -1);
    close_drafting(&d);
}

static void a_sequence_that_was_cut_is_looked_up_as_it_is_now(void **state) {
    (void)state;
    drafting d;
    open_drafting(&d, "order=2,depth=2");
    const int32_t before[] = {1, 2, 3, 4, 1, 2, 8, 8, 1, 2}, after[] = {1, 2, 3, 4, 6, 1, 2};
    EXPECT(&d, before, 8, 8, -1);
    EXPECT(&d, after, 3, 4, -1);
    close_drafting(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_followed_the_same_tokens_is_proposed),
        cmocka_unit_test(the_longest_match_wins_then_the_newest),
        cmocka_unit_test(a_copy_that_reaches_the_end_goes_on_with_itself),
        cmocka_unit_test(a_short_match_proposes_little),
        cmocka_unit_test(a_sequence_that_was_cut_is_looked_up_as_it_is_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../support/drafting.h"
#include "base/alloc.h"
#include "base/noise.h"

// Is `want` proposed behind these tokens, of which the first n_prompt are the prompt.
static void expect(drafting *d, const char *want, int n_prompt, const int32_t *tokens, int n) {
    d->n_prompt = n_prompt;
    drafting_propose(d, tokens, n);
    assert_string_equal(drafting_show(d), want);
}

#define EXPECT_OF(d, want, n_prompt, ...)                                                  \
    do {                                                                                   \
        const int32_t tokens_[] = {__VA_ARGS__};                                           \
        expect((d), (want), (n_prompt), tokens_, (int)(sizeof tokens_ / sizeof *tokens_)); \
    } while (0)
#define EXPECT(d, want, ...) EXPECT_OF(d, want, 0, __VA_ARGS__)

static void what_followed_the_same_tokens_is_proposed(void **state) {
    (void)state;
    static const char *const policies[] = {"order=2,depth=4", "order=2,depth=4,policy=vote", "order=2,depth=4,policy=lookup", "order=2,depth=4,policy=copyspec"};
    for (int i = 0; i < 4; i++) {
        drafting d;
        drafting_open(&d, "copy", policies[i]);
        EXPECT(&d, "", 1, 2, 3, 4, 5);
        EXPECT(&d, "3(4(5(9)))", 1, 2, 3, 4, 5, 9, 1, 2);
        drafting_close(&d);
    }
}

static void the_longest_match_wins_then_the_newest(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "order=2,depth=1");
    EXPECT(&d, "30", 7, 1, 2, 30, 8, 1, 2, 40, 7, 1, 2);
    d.type->reset(d.state);
    EXPECT(&d, "40", 7, 1, 2, 30, 7, 1, 2, 40, 7, 1, 2);
    drafting_close(&d);
}

static void a_copy_that_reaches_the_end_goes_on_with_itself(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "order=2,depth=7");
    EXPECT(&d, "5(6(5(6(5(6(5))))))", 5, 6, 5, 6, 5, 6);
    drafting_close(&d);
}

static void a_short_match_proposes_little(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "order=1,depth=30");
    EXPECT(&d, "2(3)", 1, 2, 3, 4, 5, 6, 7, 8, 9, 1);
    drafting_close(&d);
}

static void a_sequence_that_was_cut_is_looked_up_as_it_is_now(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "order=2,depth=2");
    EXPECT(&d, "8(8)", 1, 2, 3, 4, 1, 2, 8, 8, 1, 2);
    EXPECT(&d, "3(4)", 1, 2, 3, 4, 6, 1, 2);
    drafting_close(&d);
}

// The rolling hash finds what a search through the whole text finds.
static void no_occurrence_is_missed(void **state) {
    (void)state;
    static int32_t tokens[300];
    static const char *const options[] = {"", "order=1,look=1024", "order=2,look=1024", "order=3,look=1024", "order=4,look=1024", "order=5,look=1024"};
    for (int order = 1; order <= 5; order++) {
        drafting d;
        drafting_open(&d, "copy", options[order]);
        for (int n = 1; n <= 300; n++) {
            tokens[n - 1] = (int32_t)(cop_noise_bits((uint64_t)order, COP_NOISE_DRAFT, (uint64_t)n, 0) % 3);
            drafting_propose(&d, tokens, n);
            bool there = false;
            for (int end = order; end < n; end++) there = there || !memcmp(tokens + end - order, tokens + n - order, (size_t)order * sizeof *tokens);
            assert_int_equal(d.tree.n_nodes > 1, there);
        }
        drafting_close(&d);
    }
}

static void occurrences_that_disagree_branch(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "policy=vote,order=2,depth=4");
    EXPECT(&d, "3(4(5)) 8", 1, 2, 3, 4, 5, 1, 2, 8, 9, 1, 2, 3, 4, 5, 7, 1, 2);
    drafting_close(&d);
}

static void a_long_match_has_more_votes_than_newer_short_ones(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "policy=vote,order=1,depth=1");
    EXPECT(&d, "30", 5, 6, 7, 30, 9, 7, 40, 8, 7, 40, 5, 6, 7);
    drafting_close(&d);
}

static void votes_are_worth_what_came_true(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "policy=vote,order=1,depth=8,look=1");
    // Every match of this text is wrong: after a while nothing is proposed.
    static int32_t tokens[180];
    int first = 0, last = 0;
    for (int n = 1; n <= 180; n++) {
        tokens[n - 1] = n % 2 ? 1 : 2 + n / 2 % 95;
        drafting_propose(&d, tokens, n);
        if (n <= 20) first += d.tree.n_nodes - 1;
        if (n > 160) last += d.tree.n_nodes - 1;
    }
    assert_true(first > 0 && last == 0);
    drafting_close(&d);
}

static void lookup_takes_the_earliest_with_enough_behind_it(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "policy=lookup,order=3,depth=3");
    EXPECT(&d, "3(4(5))", 1, 2, 3, 4, 5, 1, 2, 8, 9, 10, 1, 2);
    EXPECT(&d, "7(2(2))", 2, 7, 2, 2);  // shorter and shorter suffixes; what is proposed may be the suffix itself
    EXPECT(&d, "", 1, 2, 1);            // three tokens do not stand behind it
    drafting_close(&d);
}

static void copyspec_takes_the_first_occurrence_of_so_many_tokens(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "copy", "policy=copyspec,order=2,depth=3");
    EXPECT(&d, "3(1(2))", 1, 2, 3, 1, 2, 4, 1, 2);
    EXPECT(&d, "", 1, 2, 3, 5, 2);
    drafting_close(&d);
}

static void the_input_is_copied_from_where_the_output_stands(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "input", "depth=3");
    EXPECT_OF(&d, "", 8, 90, 11, 12, 13, 14, 15, 16, 91);
    EXPECT_OF(&d, "12(13(14))", 8, 90, 11, 12, 13, 14, 15, 16, 91, 11);
    EXPECT_OF(&d, "14(15(16))", 8, 90, 11, 12, 13, 14, 15, 16, 91, 11, 12, 13);
    EXPECT_OF(&d, "", 8, 90, 11, 12, 13, 14, 15, 16, 91, 11, 12, 13, 50);           // a deviation
    EXPECT_OF(&d, "16(91)", 8, 90, 11, 12, 13, 14, 15, 16, 91, 11, 12, 13, 50, 15);  // and the place is found again
    drafting_close(&d);
}

static void a_place_is_found_by_as_few_tokens_as_are_only_once_there(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "input", "depth=1,order=2");
    EXPECT_OF(&d, "", 7, 1, 5, 20, 2, 5, 30, 9, 5);      // twice there
    EXPECT_OF(&d, "30", 7, 1, 5, 20, 2, 5, 30, 9, 2, 5);  // 2 5 once
    d.type->reset(d.state);
    EXPECT_OF(&d, "", 7, 2, 5, 20, 2, 5, 30, 9, 2, 5);    // 2 5 twice, and more tokens are not asked
    drafting_close(&d);
}

static void a_source_that_was_named_begins_with_its_beginning(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "input", "depth=8,from=2,to=5");
    EXPECT_OF(&d, "11(12(13))", 7, 90, 92, 11, 12, 13, 14, 15);
    EXPECT_OF(&d, "12(13)", 7, 90, 92, 11, 12, 13, 14, 15, 11);
    EXPECT_OF(&d, "", 7, 90, 92, 11, 12, 13, 14, 15, 11, 12, 13);  // its end
    drafting_close(&d);
}

static void the_index_ends_where_the_context_does(void **state) {
    (void)state;
    static int32_t tokens[DRAFTING_TOKENS + 50];
    for (int i = 0; i < DRAFTING_TOKENS + 50; i++) tokens[i] = i % 5;
    static const char *const policies[] = {"policy=longest", "policy=vote,look=1024,order=1,depth=63", "policy=lookup", "policy=copyspec", "policy=input"};
    for (int i = 0; i < 5; i++) {
        drafting d;
        drafting_open(&d, "copy", policies[i]);
        d.n_prompt = 500;
        for (int n = DRAFTING_TOKENS - 3; n < DRAFTING_TOKENS + 50; n++) drafting_propose(&d, tokens, n);
        drafting_close(&d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_followed_the_same_tokens_is_proposed),
        cmocka_unit_test(the_longest_match_wins_then_the_newest),
        cmocka_unit_test(a_copy_that_reaches_the_end_goes_on_with_itself),
        cmocka_unit_test(a_short_match_proposes_little),
        cmocka_unit_test(a_sequence_that_was_cut_is_looked_up_as_it_is_now),
        cmocka_unit_test(no_occurrence_is_missed),
        cmocka_unit_test(occurrences_that_disagree_branch),
        cmocka_unit_test(a_long_match_has_more_votes_than_newer_short_ones),
        cmocka_unit_test(votes_are_worth_what_came_true),
        cmocka_unit_test(lookup_takes_the_earliest_with_enough_behind_it),
        cmocka_unit_test(copyspec_takes_the_first_occurrence_of_so_many_tokens),
        cmocka_unit_test(the_input_is_copied_from_where_the_output_stands),
        cmocka_unit_test(a_place_is_found_by_as_few_tokens_as_are_only_once_there),
        cmocka_unit_test(a_source_that_was_named_begins_with_its_beginning),
        cmocka_unit_test(the_index_ends_where_the_context_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

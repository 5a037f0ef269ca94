#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../support/drafting.h"
#include "draft/suffixes.h"

#define COUNT(tokens) (sizeof(tokens) / sizeof *(tokens))

static char path[] = "/tmp/coppice-retrieve-XXXXXX";

static int open_path(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int close_path(void **state) {
    (void)state;
    return unlink(path);
}

// 100 separates texts.
static const int32_t texts[] = {1, 2, 3, 4, 5, 100, 1, 2, 3, 4, 6, 100, 1, 2, 3, 7, 100, 9, 2, 3, 8, 100};

static void open_store(drafting *d, const char *options) {
    char all[200];
    assert_int_equal(cop_suffixes_write(path, texts, COUNT(texts), DRAFTING_V), COP_OK);
    snprintf(all, sizeof all, "store=%s%s%s", path, *options ? "," : "", options);
    drafting_open(d, "retrieve", all);
}

static void the_most_frequent_continuations_come_first(void **state) {
    (void)state;
    drafting d;
    open_store(&d, "nodes=2");
    const int32_t tokens[] = {50, 1, 2, 3};
    drafting_propose(&d, tokens, 4);
    assert_string_equal(drafting_show(&d), "4 7");
    drafting_close(&d);
    open_store(&d, "nodes=63");
    drafting_propose(&d, tokens, 4);
    assert_string_equal(drafting_show(&d), "4(5 6) 7");
    drafting_close(&d);
}

static void the_longest_suffix_that_is_there_decides(void **state) {
    (void)state;
    drafting d;
    open_store(&d, "");
    const int32_t longer[] = {9, 2, 3}, shorter[] = {60, 2, 3}, one[] = {60, 3};
    drafting_propose(&d, longer, 3);
    assert_string_equal(drafting_show(&d), "8");
    drafting_propose(&d, shorter, 3);
    assert_string_equal(drafting_show(&d), "4(5 6) 7 8");
    drafting_propose(&d, one, 2);
    assert_string_equal(drafting_show(&d), "");  // least=2
    drafting_close(&d);
}

static void what_comes_true_is_believed(void **state) {
    (void)state;
    drafting d;
    open_store(&d, "nodes=63");
    const int32_t tokens[] = {1, 2, 3}, wrong[] = {1, 2, 3, 70};
    drafting_propose(&d, tokens, 3);
    float before = d.tree.nodes[1].logp;
    for (int i = 0; i < 30; i++) {
        drafting_propose(&d, tokens, 3);
        drafting_propose(&d, wrong, 4);
    }
    drafting_propose(&d, tokens, 3);
    assert_true(d.tree.nodes[1].logp < before - 1);
    drafting_close(&d);
}

// Behind a drafter with probabilities: a model.
static void fuse(drafting *d, float logp) {
    const int32_t tokens[] = {1, 2, 3};
    const cop_view view = {.tokens = tokens, .n_tokens = 3, .max_tokens = DRAFTING_TOKENS};
    cop_tree_reset(&d->tree, 3);
    cop_tree_add(&d->tree, COP_TREE_ROOT, 4, logp);
    d->tree.source = 1;
    d->type->propose(d->state, &view, &d->tree);
}

static void equal_beginnings_are_fused_and_what_a_model_rules_out_is_pruned(void **state) {
    (void)state;
    drafting d;
    open_store(&d, "nodes=63,prune=0.05");
    fuse(&d, -0.7f);
    assert_string_equal(drafting_show(&d), "4(5 6) 7");
    assert_int_equal(d.tree.nodes[1].source, 0);
    fuse(&d, -0.01f);  // the model is sure: 7 has at most a hundredth
    assert_string_equal(drafting_show(&d), "4(5 6)");
    fuse(&d, COP_LOGP_NONE);  // no model, no belief
    assert_string_equal(drafting_show(&d), "4(5 6) 7");
    drafting_close(&d);
}

static void a_store_that_is_absent_or_of_another_model_is_refused(void **state) {
    (void)state;
    drafting d;
    char options[100];
    assert_int_equal(drafting_try(&d, "retrieve", "", DRAFTING_V), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "coppice index"));
    char longer[600];
    memset(longer, 'x', sizeof longer);
    memcpy(longer, "store=", 6);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(drafting_try(&d, "retrieve", longer, DRAFTING_V), COP_ERR_ARG);
    assert_int_equal(drafting_try(&d, "retrieve", "store=/no/such/store", DRAFTING_V), COP_ERR_NOT_FOUND);
    assert_int_equal(cop_suffixes_write(path, texts, COUNT(texts), DRAFTING_V), COP_OK);
    snprintf(options, sizeof options, "store=%s", path);
    assert_int_equal(drafting_try(&d, "retrieve", options, DRAFTING_V + 1), COP_ERR_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_frequent_continuations_come_first),
        cmocka_unit_test(the_longest_suffix_that_is_there_decides),
        cmocka_unit_test(what_comes_true_is_believed),
        cmocka_unit_test(equal_beginnings_are_fused_and_what_a_model_rules_out_is_pruned),
        cmocka_unit_test(a_store_that_is_absent_or_of_another_model_is_refused),
    };
    return cmocka_run_group_tests(tests, open_path, close_path);
}

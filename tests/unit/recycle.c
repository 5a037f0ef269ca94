#define XXH_INLINE_ALL
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <cmocka.h>

#include "../support/drafting.h"
#include "base/alloc.h"
#include "base/map.h"

static int32_t plus_one(int32_t token) { return (token + 1) % DRAFTING_V; }
static int32_t plus_ten(int32_t token) { return (token + 10) % DRAFTING_V; }

// The drafter has seen what follows these tokens.
static void show_text(drafting *d, const int32_t *tokens, int n, int32_t (*next)(int32_t token)) {
    for (int i = 1; i <= n; i++) {
        cop_tree_reset(&d->tree, tokens[i - 1]);
        drafting_observe(d, tokens, i, next, 0);
    }
}

static void nothing_is_proposed_before_anything_was_seen(void **state) {
    (void)state;
    for (int t = 0; t < 2; t++) {
        drafting d;
        drafting_open(&d, "recycle", t ? "template=on,nodes=63" : "nodes=63");
        const int32_t tokens[] = {5};
        drafting_propose(&d, tokens, 1);
        assert_string_equal(drafting_show(&d), "");
        drafting_close(&d);
    }
}

static void what_was_probable_after_a_token_is_proposed_after_it(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "recycle", "nodes=5,k=2,pairs=0");
    const int32_t seen[] = {5, 6}, tokens[] = {40, 5};
    show_text(&d, seen, 2, plus_one);
    drafting_propose(&d, tokens, 2);
    assert_string_equal(drafting_show(&d), "6(7 8) 7");
    drafting_close(&d);
}

static void a_pair_knows_better_than_its_last_token(void **state) {
    (void)state;
    for (int pairs = 0; pairs < 2; pairs++) {
        drafting d;
        drafting_open(&d, "recycle", pairs ? "nodes=1,pairs=64" : "nodes=1,pairs=0");
        const int32_t one[] = {1, 5}, other[] = {2, 5};
        show_text(&d, one, 2, plus_one);
        show_text(&d, other, 2, plus_ten);
        drafting_propose(&d, one, 2);
        assert_string_equal(drafting_show(&d), pairs ? "6" : "15");
        drafting_close(&d);
    }
}

static void rows_that_were_rejected_teach_too(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "recycle", "nodes=1,k=1");
    const int32_t tokens[] = {5}, rejected[] = {60, 30};
    cop_tree_reset(&d.tree, 5);
    cop_tree_add(&d.tree, COP_TREE_ROOT, 30, COP_LOGP_NONE);
    drafting_observe(&d, tokens, 1, plus_one, 0);
    drafting_propose(&d, rejected, 2);
    assert_string_equal(drafting_show(&d), "31");
    drafting_close(&d);
}

static void ranks_that_come_true_are_tried_first(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "recycle", "nodes=1,pairs=0");
    int32_t token = 3;
    for (int round = 0; round < 250; round++, token = (token + 11) % DRAFTING_V) {
        cop_tree_reset(&d.tree, token);
        drafting_observe(&d, &token, 1, plus_ten, 1);
    }
    drafting_propose(&d, &token, 1);
    int32_t want = (token + 11) % DRAFTING_V;
    assert_int_equal(d.tree.n_nodes, 2);
    assert_int_equal(d.tree.nodes[1].token, want);
    drafting_close(&d);
}

static void the_template_is_the_papers_tree(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "recycle", "template=on,nodes=63,pairs=0");
    for (int32_t t = 0; t < DRAFTING_V; t++) show_text(&d, &t, 1, plus_ten);
    const int32_t tokens[] = {5};
    drafting_propose(&d, tokens, 1);
    static const int children[] = {8, 8, 4, 3, 2, 1, 1, 1, 1, 8, 3, 2, 1, 1, 1, 1, 1, 2, 1, 0, 0, 1};
    int depths[7] = {0};
    for (int i = 0; i < d.tree.n_nodes; i++) depths[d.tree.nodes[i].depth]++;
    assert_int_equal(depths[1], 8);
    assert_int_equal(depths[2], 21);
    assert_int_equal(depths[3], 25);
    assert_int_equal(d.tree.n_nodes, 64);
    for (int i = 0; i < (int)(sizeof children / sizeof *children); i++) {
        int n = 0;
        for (int c = d.tree.nodes[i].first_child; c >= 0; c = d.tree.nodes[c].next_sibling, n++)
            assert_int_equal(d.tree.nodes[c].token, (d.tree.nodes[i].token + 10 + n) % DRAFTING_V);
        assert_int_equal(n, children[i]);
    }
    drafting_close(&d);
}

static void more_pairs_than_there_is_room_for_forget_the_oldest(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "recycle", "nodes=1,pairs=8");
    for (int i = 0; i < 5000; i++) {
        const int32_t tokens[] = {i / 100 % DRAFTING_V, i % DRAFTING_V};
        show_text(&d, tokens, 2, i < 4999 ? plus_ten : plus_one);
    }
    const int32_t newest[] = {49, 99}, unknown[] = {70, 1};
    drafting_propose(&d, newest, 2);
    assert_string_equal(drafting_show(&d), "0");
    drafting_propose(&d, unknown, 2);
    assert_string_equal(drafting_show(&d), "11");  // by its last token
    drafting_close(&d);
}

static void tokens_that_are_none_are_passed_over(void **state) {
    (void)state;
    drafting d;
    drafting_open(&d, "recycle", "nodes=63");
    const int32_t seen[] = {5, 6}, odd[] = {-1, INT32_MAX};
    show_text(&d, seen, 2, plus_one);
    drafting_propose(&d, odd, 2);
    assert_string_equal(drafting_show(&d), "");
    drafting_close(&d);
}

// ---- the file -----------------------------------------------------------------------------------

static char path[] = "/tmp/coppice-recycle-XXXXXX";

static int open_path(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int close_path(void **state) {
    (void)state;
    return unlink(path);
}

static void save_some(const char *options) {
    drafting d;
    drafting_open(&d, "recycle", options);
    for (int32_t t = 0; t < 30; t++) show_text(&d, &t, 1, plus_ten);
    assert_int_equal(d.type->save(d.state, path), COP_OK);
    drafting_close(&d);
}

static void what_was_saved_is_known_again(void **state) {
    (void)state;
    save_some("pairs=0");
    const int32_t tokens[] = {5};
    static const char *const options[] = {"nodes=3", "nodes=3,k=1", "nodes=3,k=16"};
    static const char *const want[] = {"15(25(35))", "15(25(35))", "15(25(35))"};
    for (int i = 0; i < 3; i++) {
        drafting d;
        drafting_open(&d, "recycle", options[i]);
        assert_int_equal(d.type->load(d.state, path), COP_OK);
        drafting_propose(&d, tokens, 1);
        assert_string_equal(drafting_show(&d), want[i]);
        drafting_close(&d);
    }
}

static void a_file_of_another_vocabulary_is_refused(void **state) {
    (void)state;
    save_some("");
    drafting d;
    assert_int_equal(drafting_try(&d, "recycle", "", DRAFTING_V - 1), COP_OK);
    assert_int_equal(d.type->load(d.state, path), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "vocabulary of 100, this model has 99"));
    assert_non_null(strstr(cop_error_text(), path));
    drafting_close(&d);
}

static void a_damaged_file_is_refused_and_changes_nothing(void **state) {
    (void)state;
    save_some("k=4");
    char *data;
    size_t bytes;
    assert_int_equal(cop_file_read(path, 1 << 20, &data, &bytes), COP_OK);
    drafting d;
    drafting_open(&d, "recycle", "");
    for (size_t i = 0; i < bytes; i += i < 64 ? 1 : 37) {
        data[i] ^= 0x40;
        assert_int_equal(cop_file_write(path, data, bytes), COP_OK);
        assert_int_equal(d.type->load(d.state, path), COP_ERR_FORMAT);
        data[i] ^= 0x40;
    }
    for (size_t n = 0; n < bytes; n += 41) {
        assert_int_equal(cop_file_write(path, data, n), COP_OK);
        assert_int_equal(d.type->load(d.state, path), COP_ERR_FORMAT);
    }
    const int32_t tokens[] = {5};
    drafting_propose(&d, tokens, 1);
    assert_string_equal(drafting_show(&d), "");
    assert_int_equal(d.type->load(d.state, "/no/such/file"), COP_ERR_NOT_FOUND);
    cop_free(data);
    drafting_close(&d);
}

// The checksum is no protection from those who can compute it.
static void a_file_that_lies_is_refused(void **state) {
    (void)state;
    save_some("k=4");
    char *data;
    size_t bytes, first = 32 + COP_BUCKETS * 8;  // row of token 0: itself, four successors, four classes
    assert_int_equal(cop_file_read(path, 1 << 20, &data, &bytes), COP_OK);
    drafting d;
    drafting_open(&d, "recycle", "");
    static const struct {
        size_t at;
        int32_t value;
    } lies[] = {{0, -1}, {0, DRAFTING_V}, {0, 5}, {4, DRAFTING_V}, {4, -2}, {16, INT32_MIN}, {20, 8}};
    for (int i = 0; i < (int)(sizeof lies / sizeof *lies); i++) {
        int32_t was;
        memcpy(&was, data + first + lies[i].at, sizeof was);
        memcpy(data + first + lies[i].at, &lies[i].value, sizeof was);
        uint64_t sum = XXH3_64bits(data + 16, bytes - 16);
        memcpy(data + 8, &sum, sizeof sum);
        assert_int_equal(cop_file_write(path, data, bytes), COP_OK);
        assert_int_equal(d.type->load(d.state, path), COP_ERR_FORMAT);
        assert_non_null(strstr(cop_error_text(), "row of token"));
        memcpy(data + first + lies[i].at, &was, sizeof was);
    }
    uint64_t sum = XXH3_64bits(data + 16, bytes - 24);
    memcpy(data + 8, &sum, sizeof sum);
    assert_int_equal(cop_file_write(path, data, bytes - 8), COP_OK);
    assert_int_equal(d.type->load(d.state, path), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "bytes for 30 rows"));
    cop_free(data);
    drafting_close(&d);
}

static void what_cannot_be_allocated_is_given_back(void **state) {
    (void)state;
    long n = 1;
    for (;; n++) {
        drafting d = {0};
        assert_int_equal(cop_drafter_find(&d.type, "recycle", 7), COP_OK);
        d.state = cop_alloc(d.type->state_size);
        cop_options_init(d.type->options, d.state);
        const cop_draft_setup setup = {.max_nodes = 64, .max_tokens = 100, .V = 50};
        cop_alloc_fail_at(n);
        cop_status st = d.type->start(d.state, &setup);
        bool failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        assert_int_equal(st, failed ? COP_ERR_NOMEM : COP_OK);
        if (!failed) d.type->stop(d.state);
        cop_free(d.state);
        if (!failed) break;
    }
    assert_true(n > 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_proposed_before_anything_was_seen),
        cmocka_unit_test(what_was_probable_after_a_token_is_proposed_after_it),
        cmocka_unit_test(a_pair_knows_better_than_its_last_token),
        cmocka_unit_test(rows_that_were_rejected_teach_too),
        cmocka_unit_test(ranks_that_come_true_are_tried_first),
        cmocka_unit_test(the_template_is_the_papers_tree),
        cmocka_unit_test(more_pairs_than_there_is_room_for_forget_the_oldest),
        cmocka_unit_test(tokens_that_are_none_are_passed_over),
        cmocka_unit_test(what_was_saved_is_known_again),
        cmocka_unit_test(a_file_of_another_vocabulary_is_refused),
        cmocka_unit_test(a_damaged_file_is_refused_and_changes_nothing),
        cmocka_unit_test(a_file_that_lies_is_refused),
        cmocka_unit_test(what_cannot_be_allocated_is_given_back),
    };
    return cmocka_run_group_tests(tests, open_path, close_path);
}

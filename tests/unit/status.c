// base/status: the record of a failure, per thread.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/status.h"

static void a_failure_returns_its_status_and_keeps_its_sentence(void **state) {
    (void)state;
    assert_int_equal(cop_fail(COP_ERR_FORMAT, "tensor %s: rank %d, at most %d", "a.b", 7, 4), COP_ERR_FORMAT);
    assert_string_equal(cop_error_text(), "tensor a.b: rank 7, at most 4");
    assert_int_equal(cop_fail(COP_ERR_IO, "gone"), COP_ERR_IO);
    assert_string_equal(cop_error_text(), "gone");
}

static void a_failure_remembers_its_line(void **state) {
    (void)state;
    char want[64];
    snprintf(want, sizeof want, "%s:%d", __FILE__, __LINE__ + 1);
    (void)cop_fail(COP_ERR_ARG, "x");
    assert_string_equal(cop_error_place(), want);
}

static void notes_are_appended_in_order(void **state) {
    (void)state;
    (void)cop_fail(COP_ERR_FORMAT, "header: %d bytes, need %d", 3, 24);
    cop_fail_note("%s", "draft.gguf");
    cop_fail_note("while loading the %s", "drafter");
    assert_string_equal(cop_error_text(), "header: 3 bytes, need 24; draft.gguf; while loading the drafter");
}

static void a_long_sentence_is_cut_and_its_beginning_stays(void **state) {
    (void)state;
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    const size_t most = sizeof(((cop_error_record *)0)->text) - 1;
    (void)cop_fail(COP_ERR_FORMAT, "%s", text);
    assert_int_equal(strlen(cop_error_text()), most);
    cop_fail_note("more");
    assert_int_equal(strlen(cop_error_text()), most);

    // Every length near the end, where a note fits in part or not at all.
    for (size_t n = most - 12; n <= most; n++) {
        (void)cop_fail(COP_ERR_FORMAT, "%.*s", (int)n, text);
        cop_fail_note("12345678");
        size_t got = strlen(cop_error_text());
        assert_true(got >= n && got <= most);
        assert_memory_equal(cop_error_text(), text, n);
        if (got > n + 2) assert_memory_equal(cop_error_text() + n, "; 12345678", got - n);
    }
}

static void a_record_can_be_taken_out_and_put_back(void **state) {
    (void)state;
    (void)cop_fail(COP_ERR_LIMIT, "first");
    cop_error_record kept;
    cop_error_get(&kept);
    (void)cop_fail(COP_ERR_NOMEM, "second");
    cop_error_set(&kept);
    assert_string_equal(cop_error_text(), "first");
    cop_error_get(&kept);
    assert_int_equal(kept.status, COP_ERR_LIMIT);
}

static void *fail_elsewhere(void *p) {
    const char **seen = p;
    seen[0] = strlen(cop_error_text()) ? "not empty" : "empty";
    (void)cop_fail(COP_ERR_IO, "elsewhere");
    return NULL;
}

static void each_thread_has_its_own_record(void **state) {
    (void)state;
    const char *seen[1] = {NULL};
    (void)cop_fail(COP_ERR_ARG, "here");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, seen), 0);
    pthread_join(thread, NULL);
    assert_string_equal(seen[0], "empty");
    assert_string_equal(cop_error_text(), "here");
}

static int n_after_try;
static cop_status tries(cop_status first) {
    COP_TRY(first);
    n_after_try++;
    return COP_OK;
}

static void try_returns_a_failure_and_lets_success_pass(void **state) {
    (void)state;
    n_after_try = 0;
    assert_int_equal(tries(COP_ERR_NOT_FOUND), COP_ERR_NOT_FOUND);
    assert_int_equal(n_after_try, 0);
    assert_int_equal(tries(COP_OK), COP_OK);
    assert_int_equal(n_after_try, 1);
}

static void every_status_has_a_name_of_its_own(void **state) {
    (void)state;
    for (int a = COP_OK; a <= COP_ERR_CANCELLED; a++) {
        assert_string_not_equal(cop_status_name((cop_status)a), "unknown status");
        for (int b = COP_OK; b < a; b++)
            assert_string_not_equal(cop_status_name((cop_status)a), cop_status_name((cop_status)b));
    }
    assert_string_equal(cop_status_name((cop_status)99), "unknown status");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_returns_its_status_and_keeps_its_sentence),
        cmocka_unit_test(a_failure_remembers_its_line),
        cmocka_unit_test(notes_are_appended_in_order),
        cmocka_unit_test(a_long_sentence_is_cut_and_its_beginning_stays),
        cmocka_unit_test(a_record_can_be_taken_out_and_put_back),
        cmocka_unit_test(each_thread_has_its_own_record),
        cmocka_unit_test(try_returns_a_failure_and_lets_success_pass),
        cmocka_unit_test(every_status_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

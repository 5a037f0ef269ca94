// Each allocation on the way from a file to the first token fails in turn: the right status, no crash, no leak
// (run under a sanitizer: make torture), and the next try succeeds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "engine/session.h"

static char saved[] = "/tmp/coppice-torture-XXXXXX";

static cop_status use_session(cop_engine *engine) {
    cop_session_options o = cop_session_defaults();
    o.context = 64;
    o.temp = 1;
    cop_session *s = NULL, *fork = NULL;
    int32_t tokens[8];
    size_t n;
    int ended;
    cop_status st = cop_session_open(&s, engine, &o);
    if (!st) st = cop_session_add_text(s, "the dog", 7, 0);
    if (!st) st = cop_session_step(s, tokens, 8, &n, &ended);
    if (!st) st = cop_session_fork(&fork, s);
    if (!st) st = cop_session_save(s, saved);
    if (!st) st = cop_session_load(fork, saved);
    cop_session_close(fork);
    cop_session_close(s);
    return st;
}

static cop_status whole_way(const char *path) {
    cop_engine_options o = cop_engine_defaults();
    o.threads = 2;
    o.keep_packed = 0;
    cop_engine *engine;
    cop_status st = cop_engine_open(&engine, path, &o);
    if (!st) st = use_session(engine);
    cop_engine_close(engine);
    return st;
}

static void every_allocation_may_fail_on_the_way_to_a_token(void **state) {
    (void)state;
    static const char *const paths[] = {"tests/data/tiny-llama-a.gguf", "tests/data/tiny-gemma3-a.gguf", "tests/data/tiny-q4_k.gguf"};
    int fd = mkstemp(saved);
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i < 3; i++) {
        long n = 1, n_refused = 0;
        for (;; n++) {
            cop_alloc_fail_at(n);
            cop_status st = whole_way(paths[i]);
            bool failed = cop_alloc_failed();
            cop_alloc_fail_at(0);
            if (!failed) {
                assert_int_equal(st, COP_OK);
                break;
            }
            // Success is right where memory is only wanted for speed (compiled patterns of the tokenizer).
            if (st != COP_ERR_NOMEM && st != COP_OK) fail_msg("%s: allocation %ld failed, status %d (%s): %s", paths[i], n, st, cop_error_place(), cop_error_text());
            n_refused += st != COP_OK;
        }
        print_message("%s: %ld allocations, each failed once, %ld refused\n", paths[i], n - 1, n_refused);
        assert_true(n > 40 && 4 * n_refused > 3 * n);
    }
    unlink(saved);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail_on_the_way_to_a_token)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

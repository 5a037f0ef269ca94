// The part of cmocka that tests/kernel uses, for builds where the library is absent (COP_MINI_CMOCKA:
// the Arm cross-build). Otherwise this header is cmocka itself with the headers it asks for, so a
// test includes this file and nothing else of the kind. No mocks, no fixtures, no output formats.
#ifndef COP_TESTS_MINI_CMOCKA_H
#define COP_TESTS_MINI_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(COP_MINI_CMOCKA)
#include <cmocka.h>
#else

#include <stdio.h>
#include <string.h>

typedef void (*CMUnitTestFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    void *setup, *teardown;  // always NULL here
    void *initial_state;
};

enum { MINI_FAILED = 1, MINI_SKIPPED = 2 };  // what a test that does not return jumps out with

static jmp_buf mini_exit;

#define cmocka_unit_test(f) {#f, f, NULL, NULL, NULL}
#define cmocka_unit_test_prestate(f, state) {#f, f, NULL, NULL, state}

static inline void __attribute__((format(printf, 1, 2))) print_message(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
}
#define print_error print_message

static inline _Noreturn void mini_fail(const char *file, int line) {
    print_message("%s:%d: error: failure\n", file, line);
    longjmp(mini_exit, MINI_FAILED);
}

static inline void mini_same(uintmax_t a, uintmax_t b, int want, const char *text, const char *file, int line) {
    if ((a == b) == want) return;
    print_message("%s: %lld (%#llx), %lld (%#llx)\n", text, (long long)a, (unsigned long long)a, (long long)b,
                  (unsigned long long)b);
    mini_fail(file, line);
}

static inline void mini_memory(const void *a, const void *b, size_t n, const char *text, const char *file, int line) {
    const unsigned char *p = a, *q = b;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == q[i]) continue;
        print_message("%s: byte %zu of %zu is %02x, %02x\n", text, i, n, p[i], q[i]);
        mini_fail(file, line);
    }
}

static inline void mini_string(const char *a, const char *b, const char *text, const char *file, int line) {
    if (!strcmp(a, b)) return;
    print_message("%s: \"%s\", \"%s\"\n", text, a, b);
    mini_fail(file, line);
}

#define mini_check(ok, text) ((ok) ? (void)0 : (print_message("%s\n", text), mini_fail(__FILE__, __LINE__)))

#define assert_true(c) mini_check(c, #c)
#define assert_false(c) mini_check(!(c), "not " #c)
#define assert_null(p) mini_check(!(p), #p " is not NULL")
#define assert_non_null(p) mini_check(p, #p " is NULL")
#define assert_ptr_equal(a, b) mini_check((const void *)(a) == (const void *)(b), #a " == " #b)
#define assert_int_equal(a, b) mini_same((uintmax_t)(a), (uintmax_t)(b), 1, #a " == " #b, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) mini_same((uintmax_t)(a), (uintmax_t)(b), 0, #a " != " #b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, n) mini_memory(a, b, n, #a " == " #b, __FILE__, __LINE__)
#define assert_string_equal(a, b) mini_string(a, b, #a " == " #b, __FILE__, __LINE__)
#define fail() mini_fail(__FILE__, __LINE__)
#define fail_msg(...) (print_message(__VA_ARGS__), print_message("\n"), mini_fail(__FILE__, __LINE__))
#define skip() longjmp(mini_exit, MINI_SKIPPED)

/* Returns the number of failed tests, as cmocka does. */
static inline int mini_run(const struct CMUnitTest *tests, size_t n) {
    static size_t i;  // these live across longjmp
    static int count[3];
    for (i = 0; i < n; i++) {
        void *state = tests[i].initial_state;
        print_message("[ RUN      ] %s\n", tests[i].name);
        int how = setjmp(mini_exit);
        if (!how) tests[i].test_func(&state);
        count[how]++;
        print_message("[ %s ] %s\n", how == 0 ? "      OK" : how == MINI_FAILED ? " FAILED " : "SKIPPED ", tests[i].name);
        fflush(stdout);
    }
    print_message("%d passed, %d failed, %d skipped\n", count[0], count[MINI_FAILED], count[MINI_SKIPPED]);
    return count[MINI_FAILED];
}

#define cmocka_run_group_tests(tests, setup, teardown) \
    ((void)sizeof(setup), (void)sizeof(teardown), mini_run(tests, sizeof(tests) / sizeof *(tests)))
#define cmocka_run_group_tests_name(name, tests, setup, teardown) cmocka_run_group_tests(tests, setup, teardown)

#endif
#endif

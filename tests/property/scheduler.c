// The scheduler: a request's text is what it would be alone, whatever runs beside it; nothing is lost when requests
// come, wait, stop and go at random.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/noise.h"
#include "engine/scheduler.h"
#include "support/engines.h"

#define CONTEXT 192
#define N 40

static const char *const models[] = {"tiny-llama-a", "tiny-gemma3-a", "tiny-lfm2-a"};
static const char *const drafts[] = {"none", "auto", "copy", "recycle", "pool", "trigram", "model", "copy+recycle"};

static cop_scheduler *open_scheduler(cop_engine *e, int slots, int queue) {
    cop_scheduler_options o = cop_scheduler_defaults();
    o.slots = slots;
    o.context = CONTEXT;
    o.queue = queue;
    cop_scheduler *k;
    if (cop_scheduler_open(&k, e, &o)) fail_msg("%s", cop_error_text());
    return k;
}

typedef struct job {
    cop_session_options o;
    int32_t prompt[CONTEXT];
    int n_prompt, max_tokens;
    int32_t tokens[CONTEXT];
    char text[1 << 14];
    int n;
    size_t bytes;
} job;

// Prompts of all lengths, several of them with a common beginning.
static void make_job(job *j, int i, int V) {
    memset(j, 0, sizeof *j);
    j->o = cop_session_defaults();
    j->o.context = CONTEXT;
    j->o.remember = 0;
    j->o.draft = drafts[i % 8];
    j->o.seed = (uint64_t)i + 1;
    if (i % 3) {
        j->o.temp = 0.9f;
        j->o.top_p = 0.95f;
        j->o.repeat_penalty = i % 2 ? 1.1f : 1;
    }
    j->n_prompt = i % 5 == 4 ? 130 : 1 + (i * 7) % 40;
    for (int t = 0; t < j->n_prompt; t++) {
        uint64_t family = i % 5 == 4 ? 1000 : (uint64_t)(i % 4);
        j->prompt[t] = 3 + (int32_t)(cop_noise_bits(family, COP_NOISE_DRAFT, (uint64_t)(t % 11), 0) % (uint64_t)(V - 3));
    }
    if (i % 5 == 4) j->prompt[129] = 3 + i % 50;
    j->max_tokens = 8 + i % 30;
}

static int keep_text(void *user, const char *text, size_t bytes) {
    job *j = user;
    assert_true(j->bytes + bytes <= sizeof j->text);
    memcpy(j->text + j->bytes, text, bytes);
    j->bytes += bytes;
    return 0;
}

static void run_alone(cop_engine *e, job *j) {
    cop_session_options o = j->o;
    o.draft = "none";
    cop_session *s;
    if (cop_session_open(&s, e, &o)) fail_msg("%s", cop_error_text());
    assert_int_equal(cop_session_add_tokens(s, j->prompt, (size_t)j->n_prompt), COP_OK);
    cop_result r;
    if (cop_session_generate(s, j->max_tokens, keep_text, j, &r)) fail_msg("%s", cop_error_text());
    size_t n;
    const int32_t *tokens = cop_session_tokens(s, &n);
    j->n = (int)n - j->n_prompt;
    memcpy(j->tokens, tokens + j->n_prompt, (size_t)j->n * sizeof *tokens);
    cop_session_close(s);
}

static cop_request *submit(cop_scheduler *k, const job *j, int logprobs) {
    const cop_request_options o = {.session = j->o, .tokens = j->prompt, .n_tokens = (size_t)j->n_prompt, .max_tokens = j->max_tokens,
                                   .logprobs = logprobs, .slot = -1};
    cop_request *r;
    if (cop_request_submit(&r, k, &o)) fail_msg("%s", cop_error_text());
    return r;
}

static void read_all(cop_request *r, const job *want, const char *what) {
    int n = 0;
    size_t bytes = 0;
    for (;;) {
        cop_event e;
        if (cop_request_next(r, -1, &e)) fail_msg("%s", cop_error_text());
        for (int i = 0; i < e.n_tokens; i++, n++)
            if (n >= want->n || e.tokens[i].token != want->tokens[n]) fail_msg("%s: token %d differs from the one alone", what, n);
        if (bytes + e.bytes > want->bytes || memcmp(want->text + bytes, e.text, e.bytes)) fail_msg("%s: text differs from byte %zu on", what, bytes);
        bytes += e.bytes;
        if (!e.done) continue;
        if (e.status) fail_msg("%s: %s", what, e.error);
        break;
    }
    if (n != want->n || bytes != want->bytes) fail_msg("%s: %d tokens, %zu bytes; alone %d and %zu", what, n, bytes, want->n, want->bytes);
}

static void a_request_has_the_same_text_alone_and_beside_others(void **state) {
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        cop_engine *e = engines_open(models[m], NULL, 2);
        static job jobs[N];
        for (int i = 0; i < N; i++) {
            make_job(&jobs[i], i, cop_engine_vocabulary(e));
            run_alone(e, &jobs[i]);
        }
        cop_scheduler *k = open_scheduler(e, 8, N);
        for (int round = 0; round < 2; round++) {  // the second time with warm prefixes
            cop_request *r[N];
            for (int i = 0; i < N; i++) r[i] = submit(k, &jobs[(i * 7) % N], i % 4 ? -1 : 2);
            for (int i = 0; i < N; i++) {
                char what[96];
                snprintf(what, sizeof what, "%s, round %d, request %d (%s)", models[m], round, (i * 7) % N, jobs[(i * 7) % N].o.draft);
                read_all(r[i], &jobs[(i * 7) % N], what);
                cop_request_free(r[i]);
            }
        }
        cop_scheduler_info info;
        cop_scheduler_get_info(k, &info);
        assert_int_equal(info.finished, 2 * N);
        assert_int_equal(info.running + info.waiting, 0);
        assert_true(info.cached_tokens > info.prompt_tokens / 3);
        assert_true(info.forwards < info.tokens);
        cop_scheduler_close(k);
        cop_engine_close(e);
    }
}

// The log-probability of a token from a session that computes its logits alone.
static void log_probabilities_are_those_of_the_model(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[0], NULL, 1);
    cop_scheduler *k = open_scheduler(e, 2, 4);
    job j;
    make_job(&j, 0, cop_engine_vocabulary(e));
    j.o.draft = "copy";
    cop_request *r = submit(k, &j, 5);
    for (bool done = false; !done;) {
        cop_event ev;
        assert_int_equal(cop_request_next(r, -1, &ev), COP_OK);
        for (int i = 0; i < ev.n_tokens; i++) {
            const cop_event_token *t = &ev.tokens[i];
            assert_int_equal(t->n_top, 5);
            assert_int_equal(t->top[0].token, t->token);  // greedy
            assert_true(t->logprob == t->top[0].logprob && t->logprob < 0);
            double sum = 0;
            for (int n = 0; n < 5; n++) {
                assert_true(!n || t->top[n].logprob <= t->top[n - 1].logprob);
                sum += __builtin_exp((double)t->top[n].logprob);
            }
            assert_true(sum > 0 && sum < 1.000001);
        }
        done = ev.done;
    }
    cop_request_free(r);
    cop_scheduler_close(k);
    cop_engine_close(e);
}

static void requests_that_are_cancelled_at_random_touch_no_other(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[0], NULL, 2);
    static job jobs[N];
    for (int i = 0; i < N; i++) {
        make_job(&jobs[i], i, cop_engine_vocabulary(e));
        run_alone(e, &jobs[i]);
    }
    cop_scheduler *k = open_scheduler(e, 6, 4 * N);
    for (int round = 0; round < 3; round++) {
        cop_request *r[2 * N];
        for (int i = 0; i < 2 * N; i++) {
            r[i] = submit(k, &jobs[i % N], -1);
            if (i % 2 && cop_noise_bits(9, COP_NOISE_DRAFT, (uint64_t)i, (uint64_t)round) % 3 == 0) usleep(300);
            if (i % 2) cop_request_cancel(r[i]);
        }
        for (int i = 0; i < 2 * N; i += 2) read_all(r[i], &jobs[i % N], "beside cancelled ones");
        for (int i = 0; i < 2 * N; i++) cop_request_free(r[i]);
    }
    cop_scheduler_info info;
    cop_scheduler_get_info(k, &info);
    assert_int_equal(info.running + info.waiting, 0);
    assert_int_equal(info.finished, info.requests);
    cop_scheduler_close(k);
    cop_engine_close(e);
}

// Whoever looks at a request or a slot while it runs sees figures that fit together; the thread sanitizer sees the rest.
static void figures_can_be_looked_at_while_requests_run(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[0], NULL, 1);
    cop_scheduler *k = open_scheduler(e, 2, 8);
    static job j;
    make_job(&j, 4, cop_engine_vocabulary(e));  // a long prompt: two read it at once, and one waits for the other
    cop_request *r[4];
    for (int i = 0; i < 4; i++) r[i] = submit(k, &j, -1);
    for (int i = 0; i < 4; i++) {
        for (cop_event ev = {0}; !ev.done;) {
            cop_slot_info slot;
            cop_request_stats stats = cop_request_get_stats(r[i]);
            assert_in_range(stats.cached_tokens, 0, j.n_prompt - 1);
            assert_true(stats.prefill_seconds >= 0 && stats.tokens <= j.max_tokens);
            for (int n = 0; n < 2; n++) assert_int_equal(cop_scheduler_get_slot(k, n, &slot), COP_OK);
            if (cop_request_next(r[i], 0.0001, &ev) == COP_OK && ev.done) assert_int_equal(ev.status, COP_OK);
        }
        // The first one computed the prompt; whoever came meanwhile waited for it, whoever came later found it.
        assert_int_equal(cop_request_get_stats(r[i]).cached_tokens, i ? j.n_prompt - 1 : 0);
        cop_request_free(r[i]);
    }
    cop_scheduler_close(k);
    cop_engine_close(e);
}

static void a_full_queue_refuses_and_says_so(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[0], NULL, 1);
    cop_scheduler *k = open_scheduler(e, 1, 2);
    job j;
    make_job(&j, 1, cop_engine_vocabulary(e));
    j.max_tokens = 100;
    cop_request *r[64];
    int n = 0;
    cop_status st = COP_OK;
    while (n < 64 && !st) {
        const cop_request_options o = {.session = j.o, .tokens = j.prompt, .n_tokens = (size_t)j.n_prompt, .max_tokens = 100, .logprobs = -1, .slot = -1};
        st = cop_request_submit(&r[n], k, &o);
        n += !st;
    }
    assert_int_equal(st, COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "try again later"));
    for (int i = 0; i < n; i++) cop_request_free(r[i]);
    cop_scheduler_close(k);
    cop_engine_close(e);
}

static void what_is_out_of_range_is_refused(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[0], NULL, 1);
    cop_scheduler *k = open_scheduler(e, 2, 2);
    job j;
    make_job(&j, 0, cop_engine_vocabulary(e));
    cop_request_options good = {.session = j.o, .tokens = j.prompt, .n_tokens = 1, .max_tokens = 4, .logprobs = -1, .slot = -1};
    int32_t wrong = -1;
    cop_request *r;
    for (int i = 0; i < 9; i++) {
        cop_request_options o = good;
        switch (i) {
        case 0: o.n_tokens = 0; break;
        case 1: o.n_tokens = CONTEXT; break;
        case 2: o.tokens = &wrong; break;
        case 3: o.logprobs = 21; break;
        case 4: o.slot = 2; break;
        case 5: o.session.temp = -1; break;
        case 6: o.session.draft = "nonesuch"; break;
        case 7: o.session.verify = "coupled:x=1"; break;
        case 8: o.session.control = "goodput:most=0"; break;
        }
        if (cop_request_submit(&r, k, &o) != COP_ERR_ARG) fail_msg("case %d was not refused", i);
    }
    cop_scheduler_close(k);
    cop_engine_close(e);
}

static void a_slot_can_be_saved_and_restored(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[2], NULL, 1);
    static job j;
    make_job(&j, 4, cop_engine_vocabulary(e));
    run_alone(e, &j);
    char path[] = "/tmp/coppice-slot-XXXXXX";
    close(mkstemp(path));
    for (int round = 0; round < 2; round++) {
        cop_scheduler *k = open_scheduler(e, 2, 2);
        if (round && cop_scheduler_load_slot(k, 1, path)) fail_msg("%s", cop_error_text());
        cop_request *r = submit(k, &j, -1);
        read_all(r, &j, round ? "restored" : "first");
        cop_request_stats stats = cop_request_get_stats(r);
        assert_int_equal(stats.cached_tokens, round ? j.n_prompt - 1 : 0);
        cop_request_free(r);
        if (!round && cop_scheduler_save_slot(k, stats.slot, path)) fail_msg("%s", cop_error_text());
        assert_int_equal(cop_scheduler_save_slot(k, 2, path), COP_ERR_ARG);
        assert_int_equal(cop_scheduler_clear_slot(k, stats.slot), COP_OK);
        assert_int_equal(cop_scheduler_save_slot(k, stats.slot, path), COP_ERR_ARG);
        cop_scheduler_close(k);
    }
    unlink(path);
    cop_engine_close(e);
}

static void trees_are_shown_when_asked_for(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[0], NULL, 1);
    cop_scheduler *k = open_scheduler(e, 1, 1);
    job j;
    make_job(&j, 4, cop_engine_vocabulary(e));
    j.o.draft = "copy";
    const cop_request_options o = {.session = j.o, .tokens = j.prompt, .n_tokens = (size_t)j.n_prompt, .max_tokens = 20, .logprobs = -1, .slot = -1, .show_trees = true};
    cop_request *r;
    assert_int_equal(cop_request_submit(&r, k, &o), COP_OK);
    int trees = 0;
    for (cop_event ev = {0}; !ev.done;) {
        assert_int_equal(cop_request_next(r, -1, &ev), COP_OK);
        for (int i = 0; i < ev.n_trees; i++, trees++) {
            assert_true(ev.trees[i].n >= 1 && ev.trees[i].parents[0] == -1);
            assert_int_equal(ev.trees[i].fates[0], COP_ACCEPTED);
        }
    }
    assert_int_equal(trees, cop_request_get_stats(r).steps);
    cop_request_free(r);
    cop_scheduler_close(k);
    cop_engine_close(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_has_the_same_text_alone_and_beside_others),
        cmocka_unit_test(log_probabilities_are_those_of_the_model),
        cmocka_unit_test(requests_that_are_cancelled_at_random_touch_no_other),
        cmocka_unit_test(figures_can_be_looked_at_while_requests_run),
        cmocka_unit_test(a_full_queue_refuses_and_says_so),
        cmocka_unit_test(what_is_out_of_range_is_refused),
        cmocka_unit_test(a_slot_can_be_saved_and_restored),
        cmocka_unit_test(trees_are_shown_when_asked_for),
    };
    return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}

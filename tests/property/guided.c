// Sessions under a guide: what is written is in the language whenever it ends, always ends within the limit, and is the
// same text with every drafter, alone and in a batch.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/scheduler.h"
#include "support/engines.h"

#define CONTEXT 256

static const char *const models[] = {"tiny-llama-a", "tiny-gemma3-a", "tiny-qwen2-a"};
static const char *const drafts[] = {"none", "auto", "copy", "recycle", "pool", "model", "copy+recycle"};
static const char *const patterns[] = {
    "yes|no|maybe not",
    "[{]\"name\": \"[a-z ]{0,20}\", \"ok\": (true|false), \"n\": [0-9]{1,4}[}]",
    "[ab]*c",
    "(foo |bar |baz ){1,6}the end of it",
    "a forced beginning, (then|or) [a-f]+[.]",
};

static cop_guide *open_guide(cop_engine *e, const char *pattern) {
    cop_guide *g;
    if (cop_guide_regex(&g, e, pattern, strlen(pattern))) fail_msg("%s: %s", pattern, cop_error_text());
    return g;
}

typedef struct text {
    char v[4096];
    size_t n;
} text;

static int keep(void *user, const char *t, size_t bytes) {
    text *out = user;
    assert_true(out->n + bytes < sizeof out->v);
    memcpy(out->v + out->n, t, bytes);
    out->n += bytes;
    out->v[out->n] = 0;
    return 0;
}

static cop_session_options options_of(cop_guide *g, const char *draft, uint64_t seed) {
    cop_session_options o = cop_session_defaults();
    o.context = CONTEXT;
    o.guide = g;
    o.draft = draft;
    o.remember = 0;
    o.seed = seed;
    o.temp = seed ? 1.2f : 0;
    o.top_k = seed == 2 ? 20 : 0;
    return o;
}

static void write_text(cop_engine *e, const cop_session_options *o, int max_tokens, text *out, cop_result *r) {
    cop_session *s;
    out->n = 0;
    out->v[0] = 0;
    if (cop_session_open(&s, e, o)) fail_msg("%s", cop_error_text());
    assert_int_equal(cop_session_add_text(s, "tell me", 7, 0), COP_OK);
    if (cop_session_generate(s, max_tokens, keep, out, r)) fail_msg("%s", cop_error_text());
    cop_session_close(s);
}

// By another matcher: the C library's.
static bool matches(const char *pattern, const char *t) {
    char whole[512];
    regex_t re;
    snprintf(whole, sizeof whole, "^(%s)$", pattern);
    assert_int_equal(regcomp(&re, whole, REG_EXTENDED | REG_NOSUB), 0);
    bool yes = regexec(&re, t, 0, NULL, 0) == 0;
    regfree(&re);
    return yes;
}

static void text_under_a_guide_is_in_its_language_with_every_drafter(void **state) {
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        cop_engine *e = engines_open(models[m], NULL, 1);
        for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
            cop_guide *g = open_guide(e, patterns[p]);
            for (uint64_t seed = 0; seed < 4; seed++) {
                static text plain, drafted;
                for (size_t d = 0; d < sizeof drafts / sizeof *drafts; d++) {
                    cop_session_options o = options_of(g, drafts[d], seed);
                    cop_result r;
                    write_text(e, &o, 120, d ? &drafted : &plain, &r);
                    if (r.finish != COP_FINISH_STOP) fail_msg("%s, %s, seed %d, %s: '%s' did not end", models[m], patterns[p], (int)seed, drafts[d], d ? drafted.v : plain.v);
                    if (!d && !matches(patterns[p], plain.v)) fail_msg("%s, seed %d: wrote '%s', not in %s", models[m], (int)seed, plain.v, patterns[p]);
                    if (d && strcmp(plain.v, drafted.v)) fail_msg("%s, %s, seed %d, %s: '%s', plain '%s'", models[m], patterns[p], (int)seed, drafts[d], drafted.v, plain.v);
                }
            }
            cop_guide_close(g);
        }
        cop_engine_close(e);
    }
}

// From the smallest limit that is not refused on, every text ends in time.
static void a_text_always_ends_within_its_limit(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[0], NULL, 1);
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        cop_guide *g = open_guide(e, patterns[p]);
        int least = cop_guide_distance(g, cop_guide_start(g)), refused = 0;
        for (int limit = 1; limit < least + 24; limit++)
            for (uint64_t seed = 0; seed < 3; seed++) {
                static text t;
                cop_session_options o = options_of(g, limit % 2 ? "none" : "recycle", seed);
                cop_session *s;
                cop_result r;
                t.n = 0;
                assert_int_equal(cop_session_open(&s, e, &o), COP_OK);
                assert_int_equal(cop_session_add_text(s, "tell me", 7, 0), COP_OK);
                cop_status st = cop_session_generate(s, limit, keep, &t, &r);
                cop_session_close(s);
                if (st == COP_ERR_ARG && limit < least) {
                    assert_non_null(strstr(cop_error_text(), "the shortest text has"));
                    assert_int_equal(refused, limit - 1);  // nothing smaller was taken
                    refused += seed == 2;
                    continue;
                }
                if (st) fail_msg("%s within %d tokens: %s", patterns[p], limit, cop_error_text());
                if (!matches(patterns[p], t.v)) fail_msg("%s within %d tokens: wrote '%s'", patterns[p], limit, t.v);
            }
        cop_guide_close(g);
    }
    cop_engine_close(e);
}

static void forced_text_takes_fewer_forwards_than_tokens(void **state) {
    (void)state;
    static const char *const files[] = {"tiny-llama-a", "tiny-mistral", "tiny-qwen2-a"};
    for (int f = 0; f < 3; f++) {  // the second one's tokenizer puts a space before each text
        cop_engine *e = engines_open(files[f], NULL, 1);
        cop_guide *g = open_guide(e, patterns[1]);
        cop_session_options o = options_of(g, "none", 1);
        static text t;
        cop_result r;
        write_text(e, &o, 120, &t, &r);
        if (r.steps >= r.tokens * 3 / 4) fail_msg("%s: %d forwards for %d tokens", files[f], (int)r.steps, r.tokens);
        cop_guide_close(g);
        cop_engine_close(e);
    }
}

static void lossy_and_rejecting_verifiers_keep_to_the_guide(void **state) {
    (void)state;
    static const char *const verifiers[] = {"rejection", "typical", "relaxed"};
    cop_engine *e = engines_open(models[1], NULL, 1);
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        cop_guide *g = open_guide(e, patterns[p]);
        for (int v = 0; v < 3; v++)
            for (uint64_t seed = 0; seed < 3; seed++) {
                static text t;
                cop_session_options o = options_of(g, "model+recycle", seed);
                o.verify = verifiers[v];
                cop_result r;
                write_text(e, &o, 100, &t, &r);
                if (!matches(patterns[p], t.v)) fail_msg("%s, %s: wrote '%s'", verifiers[v], patterns[p], t.v);
            }
        cop_guide_close(g);
    }
    cop_engine_close(e);
}

static void guided_requests_in_a_batch_write_what_they_write_alone(void **state) {
    (void)state;
    enum { N = 30 };
    cop_engine *e = engines_open(models[0], NULL, 2);
    cop_scheduler_options so = cop_scheduler_defaults();
    so.slots = 6;
    so.context = CONTEXT;
    cop_scheduler *k;
    assert_int_equal(cop_scheduler_open(&k, e, &so), COP_OK);
    static text alone[N], beside;
    cop_request *r[N];
    int32_t prompt[64];
    size_t n_prompt;
    assert_int_equal(cop_engine_tokenize(e, "tell me", 7, 1, 0, prompt, 64, &n_prompt), COP_OK);
    for (int i = 0; i < N; i++) {
        cop_guide *g = i % 6 == 5 ? NULL : open_guide(e, patterns[i % 5]);
        cop_session_options o = options_of(g, "none", (uint64_t)i % 4);
        cop_result result;
        write_text(e, &o, 80, &alone[i], &result);
        o.draft = drafts[(size_t)i % (sizeof drafts / sizeof *drafts)];
        const cop_request_options ro = {.session = o, .tokens = prompt, .n_tokens = n_prompt, .max_tokens = 80, .logprobs = i % 3 ? -1 : 1, .slot = -1};
        if (cop_request_submit(&r[i], k, &ro)) fail_msg("%s", cop_error_text());
        cop_guide_close(g);  // the request has its own
    }
    for (int i = 0; i < N; i++) {
        beside.n = 0;
        beside.v[0] = 0;
        for (cop_event ev = {0}; !ev.done;) {
            assert_int_equal(cop_request_next(r[i], -1, &ev), COP_OK);
            keep(&beside, ev.text, ev.bytes);
            if (ev.done && ev.status) fail_msg("request %d: %s", i, ev.error);
        }
        assert_string_equal(beside.v, alone[i].v);
        cop_request_free(r[i]);
    }
    cop_scheduler_close(k);
    cop_engine_close(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_under_a_guide_is_in_its_language_with_every_drafter),
        cmocka_unit_test(a_text_always_ends_within_its_limit),
        cmocka_unit_test(forced_text_takes_fewer_forwards_than_tokens),
        cmocka_unit_test(lossy_and_rejecting_verifiers_keep_to_the_guide),
        cmocka_unit_test(guided_requests_in_a_batch_write_what_they_write_alone),
    };
    return cmocka_run_group_tests_name("guided", tests, NULL, NULL);
}

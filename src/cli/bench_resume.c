// What bench spec has measured so far, as JSON lines: a head that says what is measured and how, then one line per
// prompt. A line is written whole or it was interrupted; only the last can be such a one.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/json.h"
#include "base/map.h"
#include "cli/bench_spec.h"

#define MOST_BYTES ((size_t)1 << 30)
#define MOST_COUNT ((int64_t)1 << 48)

static const cop_json_limits line_limits = {.bytes = 64 << 20, .values = 1 << 23, .depth = 8};

static json_t *hash_json(uint64_t hash) { return json_sprintf("%016llx", (unsigned long long)hash); }

// Everything that results depend on, and only that.
static json_t *head(const cop_spec *s) {
    const cop_bench_args *a = s->bench->args;
    char cpu[128];
    cop_cpu_name(cpu, sizeof cpu);
    json_t *methods = json_array();
    for (int i = 0; i < s->n_methods; i++) {
        const cop_spec_method *m = &s->methods[i];
        json_array_append_new(methods, json_pack("[s, s, s?, s?]", m->text, m->draft, m->control, m->verify));
    }
    return json_pack("{s:i, s:s, s:s, s:i, s:s, s:I, s:s?, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:f, s:I, s:i, s:s?, s:b, s:b}", "coppice bench spec", 1,
                     "cpu", cpu, "level", s->engine->model->kernels.level, "threads", cop_pool_threads(s->engine->pool), "model", a->model.model,
                     "model_bytes", (json_int_t)s->engine->model->memory_bytes, "draft_model", a->model.draft_model, "data",
                     hash_json(s->prompts.hash), "methods", methods, "limit", a->limit, "total", a->total, "prompts", (int)s->prompts.list.n, "n", a->n, "rounds",
                     a->rounds, "temp", a->temp, "seed", (json_int_t)a->seed, "ctx", a->model.context, "cache", a->model.cache_type, "raw",
                     a->raw, "remember", a->remember);
}

// ---- writing ------------------------------------------------------------------------------------

static json_t *counts_json(const int64_t *counts, int n) {
    json_t *v = json_array();
    while (n > 0 && !counts[n - 1]) n--;
    for (int i = 0; i < n; i++) json_array_append_new(v, json_integer((json_int_t)counts[i]));
    return v;
}

static json_t *turn_json(const cop_spec_turn *t) {
    const cop_step_stats *st = &t->stats;
    return json_pack("{s:I, s:f, s:f, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:f, s:f}", "tokens", (json_int_t)t->tokens, "seconds", t->seconds,
                     "reading_seconds", t->reading_seconds, "equal", t->equal, "steps", (json_int_t)st->steps, "rows", (json_int_t)st->rows, "drafted", (json_int_t)st->drafted, "accepted",
                     (json_int_t)st->accepted, "off_steps", (json_int_t)st->off_steps, "by_depth", counts_json(st->by_depth, COP_DEPTHS),
                     "proposed_by", counts_json(t->proposed_by, COP_MAX_DRAFTERS), "accepted_by", counts_json(t->accepted_by, COP_MAX_DRAFTERS),
                     "draft_seconds", st->draft_seconds, "verify_seconds", st->verify_seconds);
}

static cop_status write_line(cop_spec *s, json_t *v) {
    char *line = v ? json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(v);
    if (!line) return cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
    bool failed = fprintf(s->state, "%s\n", line) < 0 || fflush(s->state);
    json_free_t give_back;
    json_get_alloc_funcs(NULL, &give_back);
    give_back(line);
    return failed ? cop_fail(COP_ERR_IO, "%s: %s", s->bench->args->resume, strerror(errno)) : COP_OK;
}

static json_t *tokens_json(const cop_token_array *tokens) {
    json_t *v = json_array();
    for (size_t i = 0; i < tokens->n; i++) json_array_append_new(v, json_integer(tokens->v[i]));
    return v;
}

cop_status cop_spec_keep(cop_spec *s, size_t prompt, const cop_spec_turn *results, const cop_token_array *asked) {
    if (!s->state) return COP_OK;
    json_t *turns = json_array(), *prompts = json_array();
    const cop_prompt *p = &s->prompts.list.v[prompt];
    for (int i = 0; results && i < s->n_methods * p->n_turns; i++) json_array_append_new(turns, turn_json(&results[i]));
    for (int i = 0; results && i < p->n_turns; i++) json_array_append_new(prompts, tokens_json(&asked[i]));
    return write_line(s, json_pack("{s:I, s:s, s:o, s:o}", "prompt", (json_int_t)prompt, "task", s->prompts.tasks[p->task], "turns", turns, "asked", prompts));
}

// ---- reading ------------------------------------------------------------------------------------

static cop_status count_of(const json_t *o, const char *key, int64_t *out) { return cop_json_int(o, key, 0, 0, MOST_COUNT, out); }

static cop_status read_counts(const json_t *o, const char *key, int most, int64_t *out) {
    const json_t *all = cop_json_member(o, key);
    if (all && (!json_is_array(all) || json_array_size(all) > (size_t)most)) return cop_fail(COP_ERR_FORMAT, "%s: need at most %d counts", key, most);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *v = json_array_get(all, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > MOST_COUNT) return cop_fail(COP_ERR_FORMAT, "%s: need counts", key);
        out[i] = json_integer_value(v);
    }
    return COP_OK;
}

static cop_status read_turn(const json_t *o, cop_spec_turn *t) {
    cop_step_stats *st = &t->stats;
    if (!json_is_object(o)) return cop_fail(COP_ERR_FORMAT, "turns: need objects");
    COP_TRY(count_of(o, "tokens", &t->tokens));
    COP_TRY(cop_json_number(o, "seconds", 0, &t->seconds));
    COP_TRY(cop_json_number(o, "reading_seconds", 0, &t->reading_seconds));
    COP_TRY(cop_json_bool(o, "equal", false, &t->equal));
    COP_TRY(count_of(o, "steps", &st->steps));
    COP_TRY(count_of(o, "rows", &st->rows));
    COP_TRY(count_of(o, "drafted", &st->drafted));
    COP_TRY(count_of(o, "accepted", &st->accepted));
    COP_TRY(count_of(o, "off_steps", &st->off_steps));
    COP_TRY(cop_json_number(o, "draft_seconds", 0, &st->draft_seconds));
    COP_TRY(cop_json_number(o, "verify_seconds", 0, &st->verify_seconds));
    COP_TRY(read_counts(o, "by_depth", COP_DEPTHS, st->by_depth));
    COP_TRY(read_counts(o, "proposed_by", COP_MAX_DRAFTERS, t->proposed_by));
    COP_TRY(read_counts(o, "accepted_by", COP_MAX_DRAFTERS, t->accepted_by));
    return t->seconds >= 0 && t->seconds < 1e9 ? COP_OK : cop_fail(COP_ERR_FORMAT, "seconds: %g", t->seconds);
}

static cop_status read_prompt(cop_spec *s, const json_t *o, bool *done) {
    int64_t i;
    COP_TRY(cop_json_int(o, "prompt", -1, 0, (int64_t)s->prompts.list.n - 1, &i));
    if (i < 0) return cop_fail(COP_ERR_FORMAT, "prompt is missing");
    const json_t *turns = cop_json_member(o, "turns");
    size_t want = (size_t)(s->n_methods * s->prompts.list.v[i].n_turns), n = json_array_size(turns);
    if (!json_is_array(turns) || (n && n != want)) return cop_fail(COP_ERR_FORMAT, "turns: %zu, need %zu or none", n, want);
    if (done[i]) return cop_fail(COP_ERR_FORMAT, "prompt %lld for the second time", (long long)i);
    cop_spec_turn *results = n ? cop_spec_results_new(s, (size_t)i) : NULL;
    if (n && !results) return cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    for (size_t k = 0; k < n; k++) {
        cop_status st = read_turn(json_array_get(turns, k), &results[k]);
        if (!st) continue;
        cop_free(results);
        return st;
    }
    s->results[i] = results;
    s->n_skipped += !n;
    done[i] = true;
    return COP_OK;
}

static cop_status check_head(const cop_spec *s, const json_t *got) {
    json_t *want = head(s), *value;
    const char *key;
    cop_status st = want ? COP_OK : cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
    json_object_foreach(want, key, value) {
        const json_t *other = json_object_get(got, key);
        if (st || (other && json_equal((json_t *)other, value))) continue;
        char *a = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT), *b = other ? json_dumps(other, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
        st = cop_fail(COP_ERR_ARG, "%s: measured with another %s: %.80s, now %.80s", s->bench->args->resume, key, b ? b : "none", a ? a : "none");
        json_free_t give_back;
        json_get_alloc_funcs(NULL, &give_back);
        if (a) give_back(a);
        if (b) give_back(b);
    }
    json_decref(want);
    return st;
}

static cop_status read_line(cop_spec *s, const char *line, size_t bytes, int number, bool *done) {
    json_t *o;
    COP_TRY(cop_json_parse(&o, line, bytes, &line_limits));
    cop_status st = number == 1 ? check_head(s, o) : read_prompt(s, o, done);
    json_decref(o);
    return st;
}

// *good: bytes of whole lines.
static cop_status read_state(cop_spec *s, const char *text, size_t bytes, bool *done, size_t *good) {
    *good = 0;
    for (int number = 1; *good < bytes; number++) {
        const char *end = memchr(text + *good, '\n', bytes - *good);
        if (!end) return COP_OK;  // torn: written again
        size_t n = (size_t)(end - text) - *good;
        cop_status st = read_line(s, text + *good, n, number, done);
        if (st) {
            if (number > 1 || st != COP_ERR_ARG) cop_fail_note("%s, line %d", s->bench->args->resume, number);
            return st;
        }
        *good += n + 1;
    }
    return COP_OK;
}

cop_status cop_spec_resume(cop_spec *s, const char *path, bool *done) {
    char *text = NULL;
    size_t bytes = 0, good = 0;
    if (access(path, F_OK) == 0) {
        COP_TRY(cop_file_read(path, MOST_BYTES, &text, &bytes));
        cop_status st = read_state(s, text, bytes, done, &good);
        cop_free(text);
        if (st) return st;
        if (good < bytes && truncate(path, (off_t)good)) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    }
    s->state = fopen(path, "a");
    if (!s->state) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    return good ? COP_OK : write_line(s, head(s));
}

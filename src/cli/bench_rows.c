// From what was measured to rows: per task and method sums over prompts, then the means over tasks.
//
// ratio is tokens per second over plain's on the same prompts; spread is its standard error, from leaving out one
// prompt after the other (jackknife): what the prompts differ in and what the machine wavers are both in it.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/bench_spec.h"

typedef struct sums {
    cop_spec_turn of;  // of all turns together
    int64_t prompts, turns, unequal;
} sums;

typedef struct spec_row {
    double tokens_per_s, ratio, spread, tokens_per_forward, rows_per_forward, ms_per_forward, draft_share, off_share, reading_ms;
    double by_depth[COP_DEPTHS];  // share of the forwards that accepted a token of depth i + 1
    double proposed_by[COP_MAX_DRAFTERS], accepted_by[COP_MAX_DRAFTERS];  // nodes of each drafter a forward
    int64_t prompts, tokens, unequal;
} spec_row;

static void add_turn(sums *to, const cop_spec_turn *t) {
    to->of.tokens += t->tokens;
    to->of.seconds += t->seconds;
    to->of.reading_seconds += t->reading_seconds;
    to->turns++;
    to->of.stats.steps += t->stats.steps;
    to->of.stats.rows += t->stats.rows;
    to->of.stats.off_steps += t->stats.off_steps;
    to->of.stats.draft_seconds += t->stats.draft_seconds;
    to->of.stats.verify_seconds += t->stats.verify_seconds;
    for (int i = 0; i < COP_DEPTHS; i++) to->of.stats.by_depth[i] += t->stats.by_depth[i];
    for (int i = 0; i < COP_MAX_DRAFTERS; i++) to->of.proposed_by[i] += t->proposed_by[i], to->of.accepted_by[i] += t->accepted_by[i];
    to->unequal += !t->equal;
}

// Does a turn of this prompt belong to the task? turn -1: all turns do.
typedef struct task {
    int index, turn;
} task;

static bool has(const cop_prompt *p, task t, int turn) { return p->task == t.index && (t.turn < 0 || t.turn == turn); }

static void add_prompt(const cop_spec *s, size_t prompt, task t, int method, sums *to) {
    const cop_prompt *p = &s->prompts.list.v[prompt];
    int64_t had = to->of.tokens;
    for (int turn = 0; turn < p->n_turns; turn++)
        if (has(p, t, turn)) add_turn(to, &s->results[prompt][method * p->n_turns + turn]);
    to->prompts += to->of.tokens > had;
}

static double per(double a, double b) { return b > 0 ? a / b : 0; }
static double speed(double tokens, double seconds) { return per(tokens, seconds); }

static double jackknife(const cop_spec *s, task t, int method, const sums *plain, const sums *all) {
    double n = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < s->prompts.list.n; i++) {
        sums a = {0}, b = {0};
        if (!s->results[i]) continue;
        add_prompt(s, i, t, 0, &a);
        add_prompt(s, i, t, method, &b);
        if (!a.prompts) continue;
        double without = per(speed((double)(all->of.tokens - b.of.tokens), all->of.seconds - b.of.seconds),
                             speed((double)(plain->of.tokens - a.of.tokens), plain->of.seconds - a.of.seconds));
        n++;
        sum += without;
        squares += without * without;
    }
    if (n < 2) return NAN;  // one prompt says nothing of it
    double variance = squares / n - sum / n * (sum / n);
    return sqrt((n - 1) * (variance > 0 ? variance : 0));
}

static spec_row row_of(const cop_spec *s, task t, int method) {
    sums plain = {0}, all = {0};
    for (size_t i = 0; i < s->prompts.list.n; i++) {
        if (!s->results[i]) continue;
        add_prompt(s, i, t, 0, &plain);
        add_prompt(s, i, t, method, &all);
    }
    const cop_step_stats *st = &all.of.stats;
    double steps = (double)st->steps;
    spec_row r = {.prompts = all.prompts, .tokens = all.of.tokens, .unequal = all.unequal};
    r.tokens_per_s = speed((double)all.of.tokens, all.of.seconds);
    r.ratio = per(r.tokens_per_s, speed((double)plain.of.tokens, plain.of.seconds));
    r.spread = method ? jackknife(s, t, method, &plain, &all) : 0;
    r.tokens_per_forward = per((double)all.of.tokens, steps);
    r.rows_per_forward = per((double)st->rows, steps);
    r.ms_per_forward = per(st->verify_seconds * 1e3, steps);
    r.draft_share = per(st->draft_seconds, all.of.seconds);
    r.off_share = per((double)st->off_steps, steps);
    r.reading_ms = per(all.of.reading_seconds * 1e3, (double)all.turns);
    for (int i = 0; i < COP_DEPTHS; i++) r.by_depth[i] = per((double)st->by_depth[i], steps);
    for (int i = 0; i < COP_MAX_DRAFTERS; i++) {
        r.proposed_by[i] = per((double)all.of.proposed_by[i], steps);
        r.accepted_by[i] = per((double)all.of.accepted_by[i], steps);
    }
    return r;
}

// The mean's spread takes the tasks for independent.
static void add_to_mean(spec_row *mean, const spec_row *r, int n_tasks) {
    double n = n_tasks;
    mean->tokens_per_s += r->tokens_per_s / n;
    mean->ratio += r->ratio / n;
    mean->spread = sqrt(mean->spread * mean->spread + r->spread * r->spread / (n * n));
    mean->tokens_per_forward += r->tokens_per_forward / n;
    mean->rows_per_forward += r->rows_per_forward / n;
    mean->ms_per_forward += r->ms_per_forward / n;
    mean->draft_share += r->draft_share / n;
    mean->off_share += r->off_share / n;
    mean->reading_ms += r->reading_ms / n;
    for (int i = 0; i < COP_DEPTHS; i++) mean->by_depth[i] += r->by_depth[i] / n;
    for (int i = 0; i < COP_MAX_DRAFTERS; i++) mean->proposed_by[i] += r->proposed_by[i] / n, mean->accepted_by[i] += r->accepted_by[i] / n;
    mean->prompts += r->prompts;
    mean->tokens += r->tokens;
    mean->unequal += r->unequal;
}

static json_t *sources_json(const cop_spec_method *m, const spec_row *r) {
    json_t *v = json_array();
    for (int i = 0; i < m->n_drafters; i++)
        json_array_append_new(v, json_pack("{s:s, s:f, s:f}", "drafter", m->names[i], "proposed", r->proposed_by[i], "accepted", r->accepted_by[i]));
    return v;
}

static json_t *row_json(const char *name, const cop_spec_method *m, const spec_row *r) {
    json_t *depths = json_array();
    int deepest = COP_DEPTHS;
    while (deepest > 0 && r->by_depth[deepest - 1] <= 0) deepest--;
    for (int i = 0; i < deepest; i++) json_array_append_new(depths, json_real(r->by_depth[i]));
    json_t *spread = isnan(r->spread) ? json_null() : json_real(r->spread);
    return json_pack("{s:s, s:s, s:f, s:f, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:b, s:b, s:I, s:I, s:I}", "task", name, "method", m->text,
                     "tokens_per_s", r->tokens_per_s, "ratio", r->ratio, "spread", spread, "tokens_per_forward", r->tokens_per_forward,
                     "rows_per_forward", r->rows_per_forward, "ms_per_forward", r->ms_per_forward, "draft_share", r->draft_share, "off_share",
                     r->off_share, "reading_ms", r->reading_ms, "by_depth", depths, "by_source", sources_json(m, r), "lossless", m->exact, "equal", r->unequal == 0, "unequal", (json_int_t)r->unequal,
                     "prompts", (json_int_t)r->prompts, "tokens", (json_int_t)r->tokens);
}

// The tasks that something was measured of; with --by-turn each turn is one.
static int list_tasks(const cop_spec *s, task *out) {
    int n = 0;
    for (int i = 0; i < s->prompts.n_tasks; i++) {
        int turns = 0;
        for (size_t k = 0; k < s->prompts.list.n; k++) {
            const cop_prompt *p = &s->prompts.list.v[k];
            if (s->results[k] && p->task == i && p->n_turns > turns) turns = p->n_turns;
        }
        if (turns && (!s->bench->args->by_turn || turns == 1)) out[n++] = (task){i, -1};
        else for (int t = 0; t < turns; t++) out[n++] = (task){i, t};
    }
    return n;
}

static void name_task(const cop_spec *s, task t, char *out, size_t bytes) {
    if (t.turn < 0) snprintf(out, bytes, "%s", s->prompts.tasks[t.index]);
    else snprintf(out, bytes, "%s/%d", s->prompts.tasks[t.index], t.turn + 1);
}

int cop_spec_rows(cop_spec *s) {
    task tasks[COP_SPEC_TASKS * COP_SPEC_TURNS];
    spec_row means[COP_SPEC_METHODS] = {0};
    char name[COP_SPEC_NAME + 16];
    int n = list_tasks(s, tasks), wrong = 0;
    for (int i = 0; i < n; i++)
        for (int m = 0; m < s->n_methods; m++) {
            spec_row r = row_of(s, tasks[i], m);
            name_task(s, tasks[i], name, sizeof name);
            json_array_append_new(s->bench->rows, row_json(name, &s->methods[m], &r));
            add_to_mean(&means[m], &r, n);
            if (s->methods[m].exact) wrong += (int)r.unequal;
        }
    for (int m = 0; m < s->n_methods; m++) json_array_append_new(s->bench->rows, row_json("mean", &s->methods[m], &means[m]));
    return wrong;
}

// ---- table --------------------------------------------------------------------------------------

static double number(const json_t *row, const char *key) { return json_number_value(json_object_get(row, key)); }
static const char *text(const json_t *row, const char *key) { return json_string_value(json_object_get(row, key)); }

static const char *text_column(const json_t *row, char out[32]) {
    int64_t unequal = json_integer_value(json_object_get(row, "unequal"));
    if (!unequal) return "same";
    snprintf(out, 32, json_is_true(json_object_get(row, "lossless")) ? "%lld WRONG" : "%lld other", (long long)unequal);
    return out;
}

// Who proposed what was accepted, where there are several.
static void print_sources(const json_t *sources) {
    if (json_array_size(sources) < 2) return;
    for (size_t i = 0; i < json_array_size(sources); i++) {
        const json_t *s = json_array_get(sources, i);
        if (number(s, "proposed") > 0) printf("%s%s %.2f of %.2f", i ? ", " : "; ", text(s, "drafter"), number(s, "accepted"), number(s, "proposed"));
    }
}

static void print_row(const json_t *row, const char *task_name, int task_width, int method_width) {
    char other[32], spread[16] = "-";
    size_t i;
    const json_t *depths = json_object_get(row, "by_depth");
    if (json_is_real(json_object_get(row, "spread"))) snprintf(spread, sizeof spread, "%.2f", number(row, "spread"));
    printf("%-*s  %-*s %9.2f %6.2f %6s %8.2f %9.2f %8.1f %6.1f %6.0f %8.1f  %-8s ", task_width, task_name, method_width, text(row, "method"),
           number(row, "tokens_per_s"), number(row, "ratio"), spread, number(row, "tokens_per_forward"), number(row, "rows_per_forward"),
           number(row, "ms_per_forward"), 100 * number(row, "draft_share"), 100 * number(row, "off_share"), number(row, "reading_ms"),
           text_column(row, other));
    for (i = 0; i < json_array_size(depths) && i < 8; i++) printf("%s%.0f", i ? " " : "", 100 * json_number_value(json_array_get(depths, i)));
    print_sources(json_object_get(row, "by_source"));
    printf("\n");
}

void cop_spec_table(const cop_bench *b, const json_t *rows) {
    int task_width = 4, method_width = 6;
    const char *last = "";
    for (size_t i = 0; i < json_array_size(rows); i++) {
        int n = (int)strlen(text(json_array_get(rows, i), "task")), m = (int)strlen(text(json_array_get(rows, i), "method"));
        if (n > task_width) task_width = n;
        if (m > method_width) method_width = m;
    }
    printf("%-*s  %-*s %9s %6s %6s %8s %9s %8s %6s %6s %8s  %-8s %s\n", task_width, "task", method_width, "method", "tokens/s", "ratio", "+-",
           "tok/fwd", "rows/fwd", "ms/fwd", "draft%", "off%", "read ms", "text", "accepted at depth 1, 2, ... (% of forwards)");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        print_row(row, strcmp(last, text(row, "task")) ? text(row, "task") : "", task_width, method_width);
        last = text(row, "task");
    }
    size_t i;
    const json_t *left;
    json_array_foreach(json_object_get(b->facts, "left_out"), i, left) printf("left out: %s: %s\n", text(left, "method"), text(left, "reason"));
    if (number(b->facts, "skipped") > 0) printf("skipped: %.0f prompts longer than the context allows\n", number(b->facts, "skipped"));
}

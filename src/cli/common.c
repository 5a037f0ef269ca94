#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/map.h"
#include "cli/cli.h"

#define MOST_PROMPT ((size_t)256 << 20)

int cop_exit_code(cop_status status) {
    switch (status) {
    case COP_OK: return 0;
    case COP_ERR_ARG: return 2;
    case COP_ERR_NOT_FOUND: return 3;
    case COP_ERR_FORMAT: return 4;
    case COP_ERR_IO: return 5;
    case COP_ERR_NOMEM: return 6;
    case COP_ERR_LIMIT: return 7;
    case COP_ERR_UNSUPPORTED: return 8;
    case COP_ERR_CANCELLED: return 130;
    }
    return 1;
}

bool cop_cli_progress_wanted(void) { return isatty(STDERR_FILENO); }

void cop_cli_progress(const char *what, double done) {
    static double last;
    double now = cop_clock();
    if (!cop_cli_progress_wanted() || (done < 1 && now - last < 0.1)) return;
    last = now;
    if (done >= 1) {
        fprintf(stderr, "\r\033[K");
        return;
    }
    char bar[31];
    int full = (int)(done * 30);
    for (int i = 0; i < 30; i++) bar[i] = i < full ? '#' : '.';
    bar[30] = 0;
    fprintf(stderr, "\r%s [%s] %3.0f %%\033[K", what, bar, done * 100);
    fflush(stderr);
}

static void packing(void *user, double done) {
    (void)user;
    cop_cli_progress("packing weights", done);
}

cop_status cop_cli_open(cop_engine **out, const cop_model_args *args) {
    *out = NULL;
    if (!args->model) return cop_fail(COP_ERR_ARG, "which model? -m NAME, FILE or FOLDER; `coppice models` lists the names");
    cop_engine_options o = cop_engine_defaults();
    o.threads = args->threads;
    o.cpu_level = args->level;
    o.keep_packed = !args->no_packed;
    o.progress = packing;
    o.draft_model = args->draft_model;
    cop_status st = cop_engine_open(out, args->model, &o);
    cop_cli_progress("", 1);
    return st;
}

static void print_note(void *user, const char *line) {
    (void)user;
    fprintf(stderr, "%s\n", line);
}

// Two ways to run a draft model have options of their own; they are drafters like the others.
static cop_status name_drafters(cop_draft_args *args) {
    if (!args->parallel && !args->layers_parallel) return COP_OK;
    if (args->draft) return cop_fail(COP_ERR_ARG, "--draft names the drafters: --parallel and --draft-layers-parallel exclude it");
    if (args->parallel && args->layers_parallel) return cop_fail(COP_ERR_ARG, "--parallel and --draft-layers-parallel exclude each other");
    if (args->parallel && strcmp(args->parallel, "pearl")) return cop_fail(COP_ERR_ARG, "--parallel %s: must be pearl", args->parallel);
    if (args->parallel) snprintf(args->drafters, sizeof args->drafters, "pearl");
    else snprintf(args->drafters, sizeof args->drafters, "model:group=%d", args->layers_parallel);
    args->draft = args->drafters;
    return COP_OK;
}

cop_status cop_cli_draft_options(cop_session_options *out, cop_draft_args *args) {
    COP_TRY(name_drafters(args));
    out->draft = args->draft ? args->draft : "auto";
    out->verify = args->verify;
    out->control = args->control;
    out->switch_models = args->switch_models;
    if (args->verbose) out->note = print_note;
    return COP_OK;
}

cop_sampling_args cop_cli_sampling_defaults(void) { return (cop_sampling_args){.typical_p = 1, .top_p = 1, .repeat_penalty = 1, .penalty_window = 64}; }

void cop_cli_sampling_options(cop_session_options *out, const cop_sampling_args *args) {
    out->temp = (float)args->temp;
    out->top_k = args->top_k;
    out->typical_p = (float)args->typical_p;
    out->top_p = (float)args->top_p;
    out->samplers = args->samplers;
    out->min_p = (float)args->min_p;
    out->repeat_penalty = (float)args->repeat_penalty;
    out->frequency_penalty = (float)args->frequency_penalty;
    out->presence_penalty = (float)args->presence_penalty;
    out->penalty_window = args->penalty_window;
    out->seed = args->seed;
    out->stop = args->stop.v;
    out->n_stop = args->stop.n;
}

double cop_cli_rate(double n, double seconds) { return seconds > 0 ? n / seconds : 0; }

void cop_cli_print_stats(const cop_session *s, const cop_result *r) {
    double gbps = cop_cli_rate((double)s->engine->model->step_bytes * (double)r->steps, r->decode_seconds) / 1e9;
    fprintf(stderr, "%d prompt tokens: %.1f tokens/s; %d tokens: %.1f tokens/s, %.1f GB/s of weights (%s, %d threads)", r->prompt_tokens,
            cop_cli_rate(r->computed_tokens - 1, r->prefill_seconds), r->tokens, cop_cli_rate(r->tokens, r->decode_seconds), gbps,
            s->engine->model->kernels.level, cop_pool_threads(s->engine->pool));
    if (s->hash_logits) fprintf(stderr, "; logits %016llx", (unsigned long long)r->logits_hash);
    fprintf(stderr, "\n");
}

json_t *cop_cli_draft_json(const cop_session *s) {
    const cop_step_stats *st = &s->stats;
    json_t *names = json_array(), *depths = json_array();
    for (int i = 0; i < s->n_drafters; i++) json_array_append_new(names, json_string(s->drafters[i].type->name));
    int deepest = COP_DEPTHS;
    while (deepest > 0 && !st->by_depth[deepest - 1]) deepest--;
    for (int i = 0; i < deepest; i++) json_array_append_new(depths, json_integer((json_int_t)st->by_depth[i]));
    json_t *turns = NULL;
    if (s->turns) {
        const cop_switch_stats *w = cop_switch_get_stats(s->turns);
        turns = json_pack("{s:I, s:I, s:I}", "small_tokens", (json_int_t)w->small_tokens, "large_tokens", (json_int_t)w->large_tokens, "switches",
                          (json_int_t)w->switches);
    }
    return json_pack("{s:o*, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:f, s:f, s:I}", "switch", turns, "drafters", names, "verify", s->verifier->name,
                     "control", s->controller->name, "steps", (json_int_t)st->steps, "rows", (json_int_t)st->rows, "proposed",
                     (json_int_t)st->proposed, "drafted", (json_int_t)st->drafted, "accepted", (json_int_t)st->accepted, "by_depth", depths,
                     "draft_seconds", st->draft_seconds, "verify_seconds", st->verify_seconds, "off_steps", (json_int_t)st->off_steps);
}

cop_status cop_cli_read_stdin(size_t most, char **text, size_t *bytes) {
    COP_ARRAY(char) all = {.most = most + 1};
    cop_status st;
    for (;;) {
        st = cop_array_reserve(&all, 4096);
        if (st) break;
        ssize_t n = read(STDIN_FILENO, all.v + all.n, 4096 - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = cop_fail(COP_ERR_IO, "standard input: %s", strerror(errno));
        if (n <= 0) break;
        all.n += (size_t)n;
    }
    if (st) {
        cop_array_fini(&all);
        return st;
    }
    all.v[all.n] = 0;
    *text = all.v;
    *bytes = all.n;
    return COP_OK;
}

cop_status cop_cli_prompt(const char *text_or_dash, const char *file, char **text, size_t *bytes) {
    *text = NULL;
    *bytes = 0;
    if (text_or_dash && file) return cop_fail(COP_ERR_ARG, "-p and -f exclude each other");
    if (file) return cop_file_read(file, MOST_PROMPT, text, bytes);
    if (!text_or_dash) return cop_fail(COP_ERR_ARG, "which prompt? -p TEXT, -f FILE, or -p - for standard input");
    if (!strcmp(text_or_dash, "-")) return cop_cli_read_stdin(MOST_PROMPT, text, bytes);
    *bytes = strlen(text_or_dash);
    *text = cop_text_copy(text_or_dash, *bytes);
    return *text ? COP_OK : cop_fail(COP_ERR_NOMEM, "prompt: cannot allocate %zu bytes", *bytes);
}

cop_status cop_cli_write(const char *text, size_t bytes) {
    if (fwrite(text, 1, bytes, stdout) != bytes || fflush(stdout)) return cop_fail(COP_ERR_IO, "standard output: %s", strerror(errno));
    return COP_OK;
}

static int write_piece(const char *text, size_t bytes, void *unused) {
    (void)unused;
    return fwrite(text, 1, bytes, stdout) == bytes ? 0 : -1;
}

cop_status cop_cli_print_json(json_t *value) {
    if (!value) return cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
    int failed = json_dump_callback(value, write_piece, NULL, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(value);
    if (failed) return cop_fail(COP_ERR_IO, "standard output: %s", strerror(errno));
    return cop_cli_write("\n", 1);
}

// utf8proc gives the length of the next character, or an error for bytes that are none.
json_t *cop_cli_json_text(const char *text, size_t bytes) {
    json_t *plain = json_stringn(text, bytes);
    if (plain) return plain;
    COP_ARRAY(char) clean = {.most = SIZE_MAX / 8};
    for (size_t i = 0; i < bytes;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(bytes - i), &c);
        const char *from = n > 0 ? text + i : "\xef\xbf\xbd";
        size_t m = n > 0 ? (size_t)n : 3;
        if (cop_array_reserve(&clean, m)) break;
        memcpy(clean.v + clean.n, from, m);
        clean.n += m;
        i += n > 0 ? (size_t)n : 1;
    }
    json_t *value = json_stringn(clean.v ? clean.v : "", clean.n);
    cop_array_fini(&clean);
    return value;
}

static volatile sig_atomic_t interrupts;

static void on_signal(int signal_number) {
    (void)signal_number;
    if (++interrupts > 1) _exit(130);  // twice: the user means it
}

void cop_cli_catch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_signal};
    interrupts = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool cop_cli_interrupted(void) { return interrupts > 0; }

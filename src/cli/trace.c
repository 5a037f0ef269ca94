// coppice trace: a file of `run --trace` as one HTML page that steps through the growing tree.
//
// Nothing of the file is copied as it is: every line is read, checked and built anew, and in the page each '<' is an
// escape, so no text of it can end the script that holds it.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/map.h"
#include "cli/cli.h"
#include "cli/page.h"

#define MOST_BYTES ((size_t)256 << 20)
#define MOST_STEPS ((size_t)1 << 20)
#define MOST_NODES 4096
#define MOST_TOKEN ((int64_t)1 << 31)

typedef struct trace_args {
    const char *out;
} trace_args;

static const cop_arg options[] = {
    {'o', "output", COP_ARG_TEXT, offsetof(trace_args, out), 0, 0, "FILE", "the page; default the trace's name with .html behind it, - is standard output"},
    {0},
};

static const cop_json_limits line_limits = {.bytes = 16 << 20, .values = 1 << 17, .depth = 8};

typedef struct trace {
    const char *path;
    json_t *head, *steps;
    size_t n_drafters;
} trace;

// ---- checking -----------------------------------------------------------------------------------

// Members that must be there; what they hold is copied into `to`.
static cop_status take_text(json_t *to, const json_t *from, const char *key) {
    const char *text;
    COP_TRY(cop_json_text(from, key, NULL, &text));
    if (!text) return cop_fail(COP_ERR_FORMAT, "%s is missing", key);
    return json_object_set_new(to, key, json_string(text)) ? cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate") : COP_OK;
}

static cop_status take_int(json_t *to, const json_t *from, const char *key, int64_t low, int64_t high) {
    int64_t v;
    if (!cop_json_member(from, key)) return cop_fail(COP_ERR_FORMAT, "%s is missing", key);
    COP_TRY(cop_json_int(from, key, 0, low, high, &v));
    return json_object_set_new(to, key, json_integer(v)) ? cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate") : COP_OK;
}

static cop_status check_seconds(const json_t *v) {
    double seconds = json_number_value(v);
    if (json_is_number(v) && seconds >= 0 && seconds < 1e9) return COP_OK;
    return cop_fail(COP_ERR_FORMAT, "seconds: need a number, 0 to 1e9");
}

static cop_status array_of(const json_t *o, const char *key, size_t most, const json_t **out) {
    *out = cop_json_member(o, key);
    if (!json_is_array(*out)) return cop_fail(COP_ERR_FORMAT, "%s: need an array", key);
    if (json_array_size(*out) > most) return cop_fail(COP_ERR_LIMIT, "%s: %zu, at most %zu", key, json_array_size(*out), most);
    return COP_OK;
}

static cop_status read_head(trace *t, const json_t *o) {
    int64_t version;
    const json_t *drafters;
    COP_TRY(cop_json_int(o, "coppice trace", 0, 0, 1 << 20, &version));
    if (version != 1) return cop_fail(COP_ERR_FORMAT, "not a trace: its first line has no \"coppice trace\": 1");
    t->head = json_object();
    COP_TRY(take_text(t->head, o, "model"));
    COP_TRY(take_text(t->head, o, "verify"));
    COP_TRY(take_text(t->head, o, "control"));
    COP_TRY(take_text(t->head, o, "prompt"));
    COP_TRY(take_int(t->head, o, "prompt_tokens", 0, MOST_TOKEN));
    COP_TRY(array_of(o, "drafters", COP_MAX_DRAFTERS, &drafters));
    t->n_drafters = json_array_size(drafters);
    for (size_t i = 0; i < t->n_drafters; i++)
        if (!json_is_string(json_array_get(drafters, i))) return cop_fail(COP_ERR_FORMAT, "drafters: need texts");
    return json_object_set_new(t->head, "drafters", json_deep_copy(drafters)) ? cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate") : COP_OK;
}

// Short keys: a page of a long run is large.
static cop_status read_node(const trace *t, const json_t *o, int64_t index, json_t *out) {
    static const char *const fates[] = {"pruned", "rejected", "accepted"};
    int64_t token, parent, bucket, source = -1, fate = -1;
    const char *text, *source_name, *fate_name;
    double logp;
    if (!json_is_object(o)) return cop_fail(COP_ERR_FORMAT, "nodes: need objects");
    COP_TRY(cop_json_int(o, "token", -1, 0, MOST_TOKEN, &token));
    COP_TRY(cop_json_int(o, "parent", -1, -1, index - 1, &parent));
    COP_TRY(cop_json_int(o, "bucket", 0, 0, 255, &bucket));
    COP_TRY(cop_json_text(o, "text", "", &text));
    COP_TRY(cop_json_text(o, "source", NULL, &source_name));
    COP_TRY(cop_json_text(o, "fate", "", &fate_name));
    COP_TRY(cop_json_number(o, "logp", 1, &logp));
    if ((parent < 0) != (index == 0)) return cop_fail(COP_ERR_FORMAT, "node %lld: parent %lld", (long long)index, (long long)parent);
    for (size_t i = 0; source_name && i < t->n_drafters; i++)
        if (!strcmp(source_name, json_string_value(json_array_get(json_object_get(t->head, "drafters"), i)))) source = (int64_t)i;
    for (int i = 0; i < 3; i++)
        if (!strcmp(fate_name, fates[i])) fate = i;
    if (fate < 0) return cop_fail(COP_ERR_FORMAT, "node %lld: fate '%.20s', must be pruned, rejected or accepted", (long long)index, fate_name);
    if (index && source < 0) return cop_fail(COP_ERR_FORMAT, "node %lld: its source is none of the head's drafters", (long long)index);
    json_t *v = json_pack("[I, s, I, I, o, I, I]", (json_int_t)token, text, (json_int_t)parent, (json_int_t)source,
                          logp <= 0 && logp > -1e9 ? json_real(logp) : json_null(), (json_int_t)bucket, (json_int_t)fate);
    return json_array_append_new(out, v) ? cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate") : COP_OK;
}

static cop_status read_emitted(const json_t *o, json_t *out) {
    int64_t token;
    const char *text;
    if (!json_is_object(o)) return cop_fail(COP_ERR_FORMAT, "emitted: need objects");
    COP_TRY(cop_json_int(o, "token", -1, 0, MOST_TOKEN, &token));
    COP_TRY(cop_json_text(o, "text", "", &text));
    return json_array_append_new(out, json_pack("[I, s]", (json_int_t)token, text)) ? cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate") : COP_OK;
}

static cop_status fill_step(const trace *t, const json_t *o, json_t *step) {
    const json_t *nodes, *seconds, *emitted, *verify = cop_json_member(o, "verify_seconds");
    json_t *tree = json_array(), *times = json_array(), *tokens = json_array();
    json_object_set_new(step, "nodes", tree);
    json_object_set_new(step, "draft", times);
    json_object_set_new(step, "emitted", tokens);
    COP_TRY(take_int(step, o, "rows", 0, MOST_NODES));
    COP_TRY(array_of(o, "nodes", MOST_NODES, &nodes));
    COP_TRY(array_of(o, "draft_seconds", COP_MAX_DRAFTERS, &seconds));
    COP_TRY(array_of(o, "emitted", MOST_NODES, &emitted));
    COP_TRY(check_seconds(verify));
    json_object_set_new(step, "verify", json_real(json_number_value(verify)));
    if (!json_array_size(nodes)) return cop_fail(COP_ERR_FORMAT, "nodes: need at least the root");
    for (size_t i = 0; i < json_array_size(nodes); i++) COP_TRY(read_node(t, json_array_get(nodes, i), (int64_t)i, tree));
    for (size_t i = 0; i < json_array_size(seconds); i++) {
        COP_TRY(check_seconds(json_array_get(seconds, i)));
        json_array_append_new(times, json_real(json_number_value(json_array_get(seconds, i))));
    }
    for (size_t i = 0; i < json_array_size(emitted); i++) COP_TRY(read_emitted(json_array_get(emitted, i), tokens));
    return COP_OK;
}

static cop_status read_step(trace *t, const json_t *o) {
    if (json_array_size(t->steps) >= MOST_STEPS) return cop_fail(COP_ERR_LIMIT, "more than %zu steps", MOST_STEPS);
    json_t *step = json_object();
    cop_status st = step ? fill_step(t, o, step) : cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
    if (!st && json_array_append(t->steps, step)) st = cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
    json_decref(step);
    return st;
}

static cop_status read_line(trace *t, const char *line, size_t bytes) {
    json_t *o;
    COP_TRY(cop_json_parse(&o, line, bytes, &line_limits));
    cop_status st = t->head ? read_step(t, o) : read_head(t, o);
    json_decref(o);
    return st;
}

// A last line without its end belongs to a run that was killed; it is left out.
static cop_status read_lines(trace *t, const char *text, size_t bytes) {
    int number = 1;
    for (size_t at = 0; at < bytes; number++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        if (!end) break;
        size_t n = (size_t)(end - text) - at;
        cop_status st = read_line(t, text + at, n);
        if (st) {
            cop_fail_note("%s, line %d", t->path, number);
            return st;
        }
        at += n + 1;
    }
    if (!t->head) return cop_fail(COP_ERR_FORMAT, "%s: not a trace: no whole line", t->path);
    return json_array_size(t->steps) ? COP_OK : cop_fail(COP_ERR_FORMAT, "%s: no step", t->path);
}

// ---- the page -----------------------------------------------------------------------------------

static int put_escaped(const char *text, size_t bytes, void *user) {
    FILE *f = user;
    for (size_t i = 0; i < bytes; i++)
        if (text[i] == '<' ? fputs("\\u003c", f) == EOF : putc(text[i], f) == EOF) return -1;
    return 0;
}

static bool put_page(const trace *t, FILE *f) {
    static const char mark[] = "@DATA@";
    const char *data = strstr(cop_page_trace, mark);
    json_t *all = json_pack("{s:O, s:O}", "head", t->head, "steps", t->steps);
    bool done = all && data && fwrite(cop_page_trace, 1, (size_t)(data - cop_page_trace), f) == (size_t)(data - cop_page_trace) &&
                !json_dump_callback(all, put_escaped, f, JSON_COMPACT | JSON_REAL_PRECISION(6)) && fputs(data + sizeof mark - 1, f) != EOF;
    json_decref(all);
    return done;
}

static cop_status write_page(const trace *t, const char *out) {
    char path[4096];
    if (out && !strcmp(out, "-")) return put_page(t, stdout) ? cop_cli_write("", 0) : cop_fail(COP_ERR_IO, "standard output: cannot write");
    int n = snprintf(path, sizeof path, "%s%s", out ? out : t->path, out ? "" : ".html");
    if (n < 0 || (size_t)n >= sizeof path) return cop_fail(COP_ERR_ARG, "a path of %d bytes", n);
    FILE *f = fopen(path, "w");
    if (!f) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    bool done = put_page(t, f);
    if (fclose(f) || !done) return cop_fail(COP_ERR_IO, "%s: cannot write", path);
    printf("%zu steps: %s\n", json_array_size(t->steps), path);
    return cop_cli_write("", 0);
}

static cop_status run(int argc, char **argv) {
    trace_args a = {0};
    cop_texts words = {0};
    char *text;
    size_t bytes;
    COP_TRY(cop_args_parse(options, &a, argc, argv, &words));
    if (words.n != 1) return cop_fail(COP_ERR_ARG, "which trace? one FILE of `coppice run --trace FILE`");
    COP_TRY(cop_file_read(words.v[0], MOST_BYTES, &text, &bytes));
    trace t = {.path = words.v[0], .steps = json_array()};
    cop_status st = read_lines(&t, text, bytes);
    cop_free(text);
    if (!st) st = write_page(&t, a.out);
    json_decref(t.head);
    json_decref(t.steps);
    return st;
}

const cop_command cop_command_trace = {
    .name = "trace", .summary = "a page that steps through the trees of a run", .usage = "trace FILE [-o OUT.html]", .options = options, .run = run,
};

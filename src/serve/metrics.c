// /metrics: counters for Prometheus, under the names of llama-server and, for drafting, of vLLM.
#include <stdio.h>
#include <string.h>

#include "serve/server_private.h"

typedef struct sheet {
    cop_char_array text;
    char label[300];   // {model_name="..."}
    cop_status status;
} sheet;

static void put(sheet *s, const char *text) {
    if (!s->status) s->status = cop_append(&s->text, text, strlen(text));
}

static void put_head(sheet *s, const char *name, const char *kind, const char *help) {
    char line[512];
    snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
    put(s, line);
}

static void put_value(sheet *s, const char *name, const char *label, double value) {
    char line[512];
    snprintf(line, sizeof line, "%s%s %.17g\n", name, label, value);
    put(s, line);
}

static void metric(sheet *s, const char *name, const char *kind, const char *help, double value) {
    put_head(s, name, kind, help);
    put_value(s, name, strncmp(name, "vllm:", 5) ? "" : s->label, value);
}

// Letters that end a label's text are left out of the name.
static void make_label(sheet *s, const char *name) {
    char plain[128];
    size_t n = 0;
    for (; *name && n + 1 < sizeof plain; name++)
        if (*name != '"' && *name != '\\' && *name != '\n') plain[n++] = *name;
    plain[n] = 0;
    snprintf(s->label, sizeof s->label, "{model_name=\"%s\",engine=\"0\"}", plain);
}

static double per(double n, double of) { return of > 0 ? n / of : 0; }

static void put_llama(sheet *s, const cop_scheduler_info *i) {
    double read = (double)(i->prompt_tokens - i->cached_tokens);
    metric(s, "llamacpp:prompt_tokens_total", "counter", "Prompt tokens computed.", read);
    metric(s, "llamacpp:prompt_seconds_total", "counter", "Seconds of reading prompts.", i->prefill_seconds);
    metric(s, "llamacpp:tokens_predicted_total", "counter", "Tokens written.", (double)i->tokens);
    metric(s, "llamacpp:tokens_predicted_seconds_total", "counter", "Seconds of writing, summed over requests.", i->decode_seconds);
    metric(s, "llamacpp:n_decode_total", "counter", "Forwards.", (double)i->forwards);
    metric(s, "llamacpp:n_busy_slots_per_decode", "counter", "Steps of requests per forward.", per((double)i->steps, (double)i->forwards));
    metric(s, "llamacpp:prompt_tokens_seconds", "gauge", "Prompt tokens per second.", per(read, i->prefill_seconds));
    metric(s, "llamacpp:predicted_tokens_seconds", "gauge", "Tokens per second of a request.", per((double)i->tokens, i->decode_seconds));
    metric(s, "llamacpp:kv_cache_usage_ratio", "gauge", "Share of the cache that is in use.", per(i->cache_tokens_used, i->cache_tokens));
    metric(s, "llamacpp:requests_processing", "gauge", "Requests that run.", i->running);
    metric(s, "llamacpp:requests_deferred", "gauge", "Requests that wait.", i->waiting);
}

static void put_vllm(sheet *s, const cop_scheduler_info *i) {
    metric(s, "vllm:num_requests_running", "gauge", "Requests that run.", i->running);
    metric(s, "vllm:num_requests_waiting", "gauge", "Requests that wait.", i->waiting);
    metric(s, "vllm:kv_cache_usage_perc", "gauge", "Share of the cache that is in use.", per(i->cache_tokens_used, i->cache_tokens));
    metric(s, "vllm:prompt_tokens_total", "counter", "Prompt tokens.", (double)i->prompt_tokens);
    metric(s, "vllm:generation_tokens_total", "counter", "Tokens written.", (double)i->tokens);
    metric(s, "vllm:prefix_cache_queries_total", "counter", "Prompt tokens looked up in the prefix cache.", (double)i->prompt_tokens);
    metric(s, "vllm:prefix_cache_hits_total", "counter", "Prompt tokens found there.", (double)i->cached_tokens);
    metric(s, "vllm:spec_decode_num_drafts_total", "counter", "Steps with drafted tokens.", (double)i->drafts);
    metric(s, "vllm:spec_decode_num_draft_tokens_total", "counter", "Drafted tokens that were computed.", (double)i->drafted);
    metric(s, "vllm:spec_decode_num_accepted_tokens_total", "counter", "Drafted tokens that were accepted.", (double)i->accepted);
    put_head(s, "vllm:spec_decode_num_accepted_tokens_per_pos_total", "counter", "Accepted tokens by their depth in the draft.");
    for (int d = 0; d < COP_DEPTHS; d++) {
        char label[340];
        if (d && !i->by_depth[d]) continue;
        snprintf(label, sizeof label, "%.*s,position=\"%d\"}", (int)strlen(s->label) - 1, s->label, d);
        put_value(s, "vllm:spec_decode_num_accepted_tokens_per_pos_total", label, (double)i->by_depth[d]);
    }
}

static void put_own(sheet *s, const cop_scheduler_info *i) {
    metric(s, "coppice:requests_total", "counter", "Requests taken.", (double)i->requests);
    metric(s, "coppice:requests_finished_total", "counter", "Requests that came to their end.", (double)i->finished);
    metric(s, "coppice:requests_refused_total", "counter", "Requests refused because the queue was full.", (double)i->refused);
    metric(s, "coppice:requests_cancelled_total", "counter", "Requests whose client went away.", (double)i->cancelled);
    metric(s, "coppice:rows_total", "counter", "Rows of all forwards.", (double)i->rows);
}

void cop_serve_metrics(cop_exchange *x) {
    cop_server *server = x->server;
    sheet s = {.text.most = (size_t)1 << 20};
    cop_scheduler_info info = {0};
    if (!server->options.metrics) {
        cop_reply_error(x, 501, NULL, "this server tells no metrics: start it with --metrics");
        return;
    }
    if (server->scheduler) cop_scheduler_get_info(server->scheduler, &info);
    make_label(&s, server->name);
    put_llama(&s, &info);
    put_vllm(&s, &info);
    put_own(&s, &info);
    if (s.status) cop_reply_failure(x, s.status, NULL);
    else cop_reply_text(x, 200, "text/plain; version=0.0.4; charset=utf-8", s.text.v, s.text.n);
    cop_array_fini(&s.text);
}

// The server's life: what is served, opening, stopping.
#include "serve/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "serve/daemon.h"
#include "serve/structure.h"

cop_server_options cop_server_defaults(void) {
    cop_server_options o = {.host = "127.0.0.1", .port = 8080, .connections = 256, .timeout = 120, .max_body = (size_t)16 << 20, .max_tokens = -1};
    o.scheduler = cop_scheduler_defaults();
    o.session = cop_session_defaults();
    o.session.temp = 0.8f;
    o.session.top_k = 40;
    o.session.top_p = 0.95f;
    o.session.min_p = 0.05f;
    return o;
}

// ---- what is served ----

// The last part of a path, without the ending of a file.
static void name_of(char *name, size_t bytes, const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from && path[from - 1] != '/') from--;
    n -= from;
    if (n > 5 && (!memcmp(path + from + n - 5, ".gguf", 5))) n -= 5;
    snprintf(name, bytes, "%.*s", (int)(n < bytes ? n : bytes - 1), path + from);
    for (char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e) *c = '_';
}

// "FILE[:SCALE]"; a colon that no number follows belongs to the path.
static cop_status read_adapter(cop_server *s, int i) {
    const char *spec = s->options.lora[i], *colon = strrchr(spec, ':');
    cop_served_adapter *a = &s->adapters[i];
    char *end = NULL;
    size_t n = strlen(spec);
    a->scale = 1;
    double scale = colon && colon[1] ? strtod(colon + 1, &end) : 0;
    if (end && !*end && end != colon + 1) {
        a->scale = scale;
        n = (size_t)(colon - spec);
    }
    if (!(a->scale >= -COP_MOST_LORA_SCALE && a->scale <= COP_MOST_LORA_SCALE))
        return cop_fail(COP_ERR_ARG, "--lora %.200s: scale %g, must be %g to %g", spec, a->scale, -COP_MOST_LORA_SCALE, COP_MOST_LORA_SCALE);
    s->adapter_paths[i] = cop_text_copy(spec, n);
    if (!s->adapter_paths[i]) return cop_fail(COP_ERR_NOMEM, "adapters: cannot allocate");
    a->path = s->adapter_paths[i];
    name_of(a->name, sizeof a->name, a->path);
    return COP_OK;
}

// Each is read now, so that a wrong one is known before somebody asks for it.
static cop_status read_adapters(cop_server *s) {
    int n = s->options.n_lora;
    if (n > COP_MAX_SERVED_ADAPTERS) return cop_fail(COP_ERR_ARG, "--lora: more than %d adapters", COP_MAX_SERVED_ADAPTERS);
    s->adapters = cop_alloc_array((size_t)n, sizeof *s->adapters);
    if (!s->adapters) return cop_fail(COP_ERR_NOMEM, "adapters: cannot allocate");
    for (int i = 0; i < n; i++) {
        cop_adapter_set set;
        COP_TRY(read_adapter(s, i));
        COP_TRY(cop_engine_take_adapters(s->engine, &s->options.lora[i], 1, &set));
        cop_engine_give_adapters(s->engine, &set);
    }
    s->served.adapters = s->adapters;
    s->served.n_adapters = n;
    return COP_OK;
}

static cop_status find_template(cop_server *s) {
    cop_served *v = &s->served;
    size_t bytes = 0;
    if (s->options.template) COP_TRY(cop_file_read(s->options.template, COP_JINJA_MOST_TEMPLATE, &s->template, &bytes));
    v->template = s->template;
    v->template_bytes = bytes;
    v->chat_template = s->template ? s->template : cop_chat_template(v->tokenizer, NULL);
    v->format = cop_tool_format_find(v->chat_template);
    v->reasoning = cop_reasoning_find(v->chat_template);
    s->n_shown = cop_tool_tokens(v->format, v->reasoning, v->tokenizer, s->shown, COP_TOOL_MOST_TOKENS);
    return COP_OK;
}

static cop_status prepare(cop_server *s) {
    cop_served *v = &s->served;
    const cop_server_options *o = &s->options;
    if (o->alias) snprintf(s->name, sizeof s->name, "%s", o->alias);
    else name_of(s->name, sizeof s->name, o->model ? o->model : "model");
    *v = (cop_served){.tokenizer = s->engine->tokenizer, .name = s->name, .defaults = o->session, .seeded = o->seeded, .max_tokens = o->max_tokens};
    COP_TRY(find_template(s));
    COP_TRY(read_adapters(s));
    return cop_keys_new(&s->keys, o);
}

// ---- opening ----

// A model that writes nothing still embeds.
static cop_status open_scheduler(cop_server *s) {
    cop_scheduler_options *o = &s->options.scheduler;
    int most = s->engine->model->desc.max_positions;
    if (!o->context) o->context = most < 4096 ? most : 4096;
    cop_status st = cop_scheduler_open(&s->scheduler, s->engine, o);
    return st == COP_ERR_UNSUPPORTED ? COP_OK : st;
}

static cop_status open_server(cop_server *s) {
    COP_TRY(cop_lock_new(&s->lock));
    COP_TRY(cop_lock_new(&s->embedding));
    COP_TRY(cop_lock_new(&s->guiding));
    COP_TRY(prepare(s));
    COP_TRY(cop_listener_open(s));
    COP_TRY(open_scheduler(s));
    return cop_daemon_start(s);
}

cop_status cop_server_open(cop_server **out, cop_engine *engine, const cop_server_options *options) {
    *out = NULL;
    cop_server *s = cop_alloc(sizeof *s);
    if (!s) return cop_fail(COP_ERR_NOMEM, "server: cannot allocate");
    s->engine = engine;
    s->options = *options;
    s->listener = -1;
    s->started = time(NULL);
    cop_status st = open_server(s);
    if (st) {
        cop_error_record record;
        cop_error_get(&record);
        cop_server_close(s);
        cop_error_set(&record);
        return st;
    }
    *out = s;
    return COP_OK;
}

const char *cop_server_address(const cop_server *s) { return s->address; }

bool cop_server_curl(const cop_server *s, char *line, size_t bytes) {
    const char *key = cop_keys_count(s->keys) ? " -H \"Authorization: Bearer $API_KEY\"" : "", *insecure = s->options.tls_cert ? "-k " : "";
    char where[400];
    if (!strncmp(s->address, "unix:", 5)) snprintf(where, sizeof where, "--unix-socket '%s' http://localhost", s->address + 5);
    else snprintf(where, sizeof where, "%s%s", insecure, s->address);
    const char *path = "/v1/chat/completions", *body = "{\"messages\": [{\"role\": \"user\", \"content\": \"Why is the sky blue?\"}], \"max_tokens\": 64}";
    if (!s->served.chat_template) {
        path = "/v1/completions";
        body = "{\"prompt\": \"Once upon a time\", \"max_tokens\": 64}";
    }
    if (!s->scheduler) {
        path = "/v1/embeddings";
        body = "{\"input\": \"Why is the sky blue?\"}";
    }
    int n = snprintf(line, bytes, "curl %s%s%s -H 'Content-Type: application/json' -d '%s'", where, path, key, body);
    return n > 0 && (size_t)n < bytes;
}

// ---- the end ----

void cop_server_stop(cop_server *s, double seconds, bool (*keep_on)(void *user), void *user) {
    double until = cop_clock() + seconds;
    atomic_store(&s->stopping, true);
    cop_daemon_quiesce(s);
    while (atomic_load(&s->running) > 0 && cop_clock() < until && (!keep_on || keep_on(user))) usleep(20000);
    atomic_store(&s->cut, true);
    cop_daemon_stop(s);
}

void cop_server_close(cop_server *s) {
    if (!s) return;
    atomic_store(&s->cut, true);
    cop_daemon_stop(s);
    cop_listener_close(s);
    cop_embedder_close(s->embedder);
    cop_scheduler_close(s->scheduler);
    cop_kept_guides_close(s);
    cop_keys_free(s->keys);
    for (int i = 0; i < COP_MAX_SERVED_ADAPTERS; i++) cop_free(s->adapter_paths[i]);
    cop_free(s->adapters);
    cop_free(s->template);
    cop_lock_free(s->embedding);
    cop_lock_free(s->guiding);
    cop_lock_free(s->lock);
    cop_free(s);
}

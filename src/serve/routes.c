// Paths to handlers, and what is checked before one is called: method, API key, origin.
#include <string.h>

#include "serve/server_private.h"

typedef struct route {
    const char *method, *path;  // a path that ends with / takes what follows
    cop_dialect dialect;
    bool open;                  // needs no key
    cop_handler *handler;
} route;

static const route routes[] = {
    {"GET", "/", COP_DIALECT_LLAMA, true, cop_serve_page},
    {"GET", "/index.html", COP_DIALECT_LLAMA, true, cop_serve_page},
    {"GET", "/health", COP_DIALECT_LLAMA, true, cop_serve_health},
    {"GET", "/v1/health", COP_DIALECT_LLAMA, true, cop_serve_health},
    {"GET", "/v1/models", COP_DIALECT_OPENAI, false, cop_serve_models},
    {"GET", "/models", COP_DIALECT_OPENAI, false, cop_serve_models},
    {"GET", "/v1/models/", COP_DIALECT_OPENAI, false, cop_serve_model},
    {"POST", "/v1/chat/completions", COP_DIALECT_OPENAI, false, cop_serve_chat},
    {"POST", "/chat/completions", COP_DIALECT_OPENAI, false, cop_serve_chat},
    {"POST", "/v1/completions", COP_DIALECT_OPENAI, false, cop_serve_text},
    {"POST", "/v1/responses", COP_DIALECT_OPENAI, false, cop_serve_responses},
    {"POST", "/v1/embeddings", COP_DIALECT_OPENAI, false, cop_serve_embeddings},
    {"POST", "/v1/messages", COP_DIALECT_ANTHROPIC, false, cop_serve_messages},
    {"POST", "/v1/messages/count_tokens", COP_DIALECT_ANTHROPIC, false, cop_serve_count_tokens},
    {"POST", "/completion", COP_DIALECT_LLAMA, false, cop_serve_completion},
    {"POST", "/completions", COP_DIALECT_LLAMA, false, cop_serve_completion},
    {"POST", "/infill", COP_DIALECT_LLAMA, false, cop_serve_infill},
    {"POST", "/tokenize", COP_DIALECT_LLAMA, false, cop_serve_tokenize},
    {"POST", "/detokenize", COP_DIALECT_LLAMA, false, cop_serve_detokenize},
    {"POST", "/apply-template", COP_DIALECT_LLAMA, false, cop_serve_template},
    {"POST", "/embedding", COP_DIALECT_LLAMA, false, cop_serve_embedding},
    {"POST", "/embeddings", COP_DIALECT_LLAMA, false, cop_serve_embedding},
    {"GET", "/props", COP_DIALECT_LLAMA, false, cop_serve_props},
    {"GET", "/lora-adapters", COP_DIALECT_LLAMA, false, cop_serve_adapters},
    {"GET", "/slots", COP_DIALECT_LLAMA, false, cop_serve_slots},
    {"POST", "/slots/", COP_DIALECT_LLAMA, false, cop_serve_slot_action},
    {"GET", "/metrics", COP_DIALECT_LLAMA, false, cop_serve_metrics},
};

#define N_ROUTES (sizeof routes / sizeof routes[0])

static bool path_matches(const route *r, const char *path) {
    size_t n = strlen(r->path);
    if (n > 1 && r->path[n - 1] == '/') return !strncmp(r->path, path, n) && path[n];
    return !strcmp(r->path, path);
}

// HEAD is GET without the body; the HTTP library leaves it out.
static const char *plain_method(const char *method) { return !strcmp(method, "HEAD") ? "GET" : method; }

static const route *find_route(cop_exchange *x, bool *wrong_method) {
    const char *method = plain_method(x->method);
    *wrong_method = false;
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (!path_matches(&routes[i], x->path)) continue;
        if (!strcmp(routes[i].method, method)) return &routes[i];
        *wrong_method = true;
        x->allow = routes[i].method;
        x->dialect = routes[i].dialect;
    }
    return NULL;
}

static bool key_accepted(const cop_exchange *x) {
    const cop_keys *keys = x->server->keys;
    const char *bearer = x->header(x, "authorization"), *key = x->header(x, "x-api-key");
    if (!cop_keys_count(keys)) return true;
    if (bearer && !strncasecmp(bearer, "Bearer ", 7)) {
        bearer += 7 + strspn(bearer + 7, " ");
        return cop_keys_accept(keys, bearer, strlen(bearer));
    }
    return key && cop_keys_accept(keys, key, strlen(key));
}

bool cop_origin_allowed(const cop_server *s, const char *origin) {
    for (int i = 0; i < s->options.n_cors; i++)
        if (!strcmp(s->options.cors[i], "*") || !strcmp(s->options.cors[i], origin)) return true;
    return false;
}

// A browser asks before it asks.
static bool is_preflight(const cop_exchange *x) { return !strcmp(x->method, "OPTIONS"); }

void cop_route(cop_exchange *x) {
    bool wrong_method;
    if (is_preflight(x)) {
        cop_reply_text(x, 204, NULL, "", 0);
        x->allow = "GET, POST, OPTIONS";
        return;
    }
    const route *r = find_route(x, &wrong_method);
    if (r) x->dialect = r->dialect;
    else if (!strncmp(x->path, "/v1/messages", 12)) x->dialect = COP_DIALECT_ANTHROPIC;
    if (!(r && r->open) && !key_accepted(x)) {
        cop_reply_error(x, 401, NULL, "the API key is missing or wrong: Authorization: Bearer KEY");
        return;
    }
    if (!r && wrong_method) {
        cop_reply_error(x, 405, NULL, "%.16s %.100s: the method must be %s", x->method, x->path, x->allow);
        return;
    }
    if (!r) {
        cop_reply_error(x, 404, NULL, "no such path: %.100s", x->path);
        return;
    }
    x->allow = NULL;
    if (atomic_load(&x->server->stopping)) {
        x->retry_after = 5;
        cop_reply_error(x, 503, NULL, "the server stops");
        return;
    }
    r->handler(x);
}

// Replies: JSON, errors in the form of each family, server-sent events.
#include "serve/exchange.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "text/utf8.h"

#define PRINT_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(9))

cop_status cop_append(cop_char_array *out, const char *text, size_t bytes) {
    COP_TRY(cop_array_reserve(out, bytes));
    if (bytes) memcpy(out->v + out->n, text, bytes);
    out->n += bytes;
    return COP_OK;
}

static int append_piece(const char *text, size_t bytes, void *out) { return cop_append(out, text, bytes) ? -1 : 0; }

cop_status cop_append_json(cop_char_array *out, json_t *value) {
    size_t before = out->n;
    int failed = !value || json_dump_callback(value, append_piece, out, PRINT_FLAGS | JSON_ENCODE_ANY);
    json_decref(value);
    if (!failed) return COP_OK;
    out->n = before;
    return cop_fail(COP_ERR_NOMEM, "reply: cannot allocate");
}

cop_status cop_append_event(cop_char_array *out, const char *name, json_t *value) {
    cop_status st = COP_OK;
    if (name) {
        st = cop_append(out, "event: ", 7);
        if (!st) st = cop_append(out, name, strlen(name));
        if (!st) st = cop_append(out, "\n", 1);
    }
    if (!st) st = cop_append(out, "data: ", 6);
    if (st) json_decref(value);
    else st = cop_append_json(out, value);
    return st ? st : cop_append(out, "\n\n", 2);
}

json_t *cop_clean_json(const char *text, size_t bytes) {
    json_t *plain = json_stringn(text ? text : "", bytes);
    if (plain) return plain;
    cop_char_array clean = {.most = SIZE_MAX / 8};
    for (size_t i = 0; i < bytes;) {
        int n = cop_utf8_length(text + i, bytes - i);
        if (cop_append(&clean, n ? text + i : "\xef\xbf\xbd", n ? (size_t)n : 3)) break;
        i += n ? (size_t)n : 1;
    }
    plain = json_stringn(clean.v ? clean.v : "", clean.n);
    cop_array_fini(&clean);
    return plain;
}

json_t *cop_reals(double v) { return isfinite(v) ? json_real(v) : json_null(); }

// ---- replies ----

// What is said when there is no memory to say anything else.
static void reply_nothing(cop_exchange *x) {
    x->reply.n = 0;
    x->code = 500;
    x->type = COP_TEXT_JSON;
    x->said = "memory";
}

void cop_reply_text(cop_exchange *x, int code, const char *type, const char *text, size_t bytes) {
    x->reply.n = 0;
    x->code = code;
    x->type = type;
    if (cop_append(&x->reply, text, bytes)) reply_nothing(x);
}

void cop_reply_json(cop_exchange *x, int code, json_t *value) {
    x->reply.n = 0;
    x->code = code;
    x->type = COP_TEXT_JSON;
    if (cop_append_json(&x->reply, value)) reply_nothing(x);
}

typedef struct error_name {
    int code;
    const char *openai, *anthropic, *llama;
} error_name;

static const error_name error_names[] = {
    {400, "invalid_request_error", "invalid_request_error", "invalid_request_error"},
    {401, "authentication_error", "authentication_error", "authentication_error"},
    {403, "permission_error", "permission_error", "permission_error"},
    {404, "not_found_error", "not_found_error", "not_found_error"},
    {405, "invalid_request_error", "invalid_request_error", "invalid_request_error"},
    {408, "invalid_request_error", "invalid_request_error", "invalid_request_error"},
    {413, "invalid_request_error", "request_too_large", "invalid_request_error"},
    {429, "rate_limit_error", "rate_limit_error", "unavailable_error"},
    {431, "invalid_request_error", "invalid_request_error", "invalid_request_error"},
    {501, "not_supported_error", "api_error", "not_supported_error"},
    {503, "service_unavailable", "overloaded_error", "unavailable_error"},
    {500, "server_error", "api_error", "server_error"},
};

static const error_name *find_error(int code) {
    size_t n = sizeof error_names / sizeof error_names[0];
    for (size_t i = 0; i < n; i++)
        if (error_names[i].code == code) return &error_names[i];
    return &error_names[n - 1];
}

static const char *code_word(int code) {
    switch (code) {
    case 401: return "invalid_api_key";
    case 404: return "not_found";
    case 413: return "request_too_large";
    case 429: return "queue_full";
    case 503: return "stopping";
    default: return NULL;
    }
}

json_t *cop_error_json(cop_dialect dialect, int code, const char *param, const char *message) {
    const error_name *e = find_error(code);
    json_t *text = cop_clean_json(message, strlen(message));
    if (dialect == COP_DIALECT_ANTHROPIC)
        return json_pack("{s:s, s:{s:s, s:o}}", "type", "error", "error", "type", e->anthropic, "message", text);
    if (dialect == COP_DIALECT_LLAMA) return json_pack("{s:{s:i, s:o, s:s}}", "error", "code", code, "message", text, "type", e->llama);
    return json_pack("{s:{s:o, s:s, s:s?, s:s?}}", "error", "message", text, "type", e->openai, "param", param, "code", code_word(code));
}

void cop_reply_error(cop_exchange *x, int code, const char *param, const char *fmt, ...) {
    char text[640];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    x->said = find_error(code)->openai;
    cop_reply_json(x, code, cop_error_json(x->dialect, code, param, text));
}

int cop_http_code(cop_status status) {
    switch (status) {
    case COP_OK: return 200;
    case COP_ERR_ARG:
    case COP_ERR_FORMAT:
    case COP_ERR_LIMIT:
    case COP_ERR_UNSUPPORTED: return 400;
    case COP_ERR_NOT_FOUND: return 404;
    default: return 500;
    }
}

void cop_reply_failure(cop_exchange *x, cop_status status, const char *param) {
    cop_reply_error(x, cop_http_code(status), param, "%s", cop_error_text());
}

// ---- names ----

uint64_t cop_random(void) {
    uint64_t v = 0;
    if (getrandom(&v, sizeof v, 0) != sizeof v) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        v = (uint64_t)t.tv_nsec * 0x9E3779B97F4A7C15u ^ (uint64_t)t.tv_sec;
    }
    return v;
}

void cop_make_id(char id[48], const char *prefix) {
    snprintf(id, 48, "%.12s%016llx%08x", prefix, (unsigned long long)cop_random(), (unsigned)cop_random());
}

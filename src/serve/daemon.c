// libmicrohttpd: connections to exchanges and back. The only file that knows it.
//
// One thread per connection, so a handler may wait. While it does, the library's timer is off; it runs while bytes are
// expected from the client or taken by it.
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/map.h"
#include "serve/daemon.h"

#define MOST_HEADERS ((size_t)64 << 10)       // bytes that are answered; more is 431
#define CONNECTION_MEMORY ((size_t)3 << 20)   // of one connection, touched as needed
#define SWALLOWED 4                           // a body so many times too long is read to its end before 413
#define BLOCK 16384
#define MOST_CERTIFICATE ((size_t)1 << 20)

typedef struct visit {
    cop_exchange x;
    struct MHD_Connection *connection;
    cop_connection *place;
    int fd;
    cop_char_array body;
    size_t swallowed, headers;
    bool queued, counted, broken;
    double since;
    cop_char_array out;   // of a stream: what is not yet taken
    size_t sent, told;
    bool ended;
} visit;

// ---- the client's side of an exchange ----

static const char *find_query(const cop_exchange *x, const char *name) {
    return MHD_lookup_connection_value(((visit *)x->connection)->connection, MHD_GET_ARGUMENT_KIND, name);
}

static const char *find_header(const cop_exchange *x, const char *name) {
    return MHD_lookup_connection_value(((visit *)x->connection)->connection, MHD_HEADER_KIND, name);
}

// A client that has closed even one direction is not waited for.
static bool has_gone(void *connection) {
    struct pollfd p = {.fd = ((visit *)connection)->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

static void set_timer(visit *v, bool on) {
    MHD_set_connection_option(v->connection, MHD_CONNECTION_OPTION_TIMEOUT, on ? (unsigned)v->x.server->options.timeout : 0u);
}

// ---- replies ----

static ssize_t read_stream(void *cls, uint64_t at, char *to, size_t most) {
    visit *v = cls;
    (void)at;
    while (v->sent == v->out.n) {
        if (v->broken) return MHD_CONTENT_READER_END_WITH_ERROR;
        if (v->ended) return MHD_CONTENT_READER_END_OF_STREAM;
        v->out.n = v->sent = 0;
        set_timer(v, false);
        v->broken = v->x.stream->pull(v->x.stream_state, &v->out, &v->ended) != COP_OK;
        set_timer(v, true);
    }
    size_t n = v->out.n - v->sent < most ? v->out.n - v->sent : most;
    memcpy(to, v->out.v + v->sent, n);
    v->sent += n;
    v->told += n;
    return (ssize_t)n;
}

static bool plain_header(const char *text) {
    return text && strlen(text) < 512 && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-, ")] == 0;
}

static void add_origin(visit *v, struct MHD_Response *r) {
    const char *origin = find_header(&v->x, "origin"), *wanted = find_header(&v->x, "access-control-request-headers");
    if (!origin || !cop_origin_allowed(v->x.server, origin)) return;
    MHD_add_response_header(r, "Access-Control-Allow-Origin", origin);
    MHD_add_response_header(r, "Vary", "Origin");
    if (strcmp(v->x.method, "OPTIONS") != 0) return;
    MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    if (plain_header(wanted)) MHD_add_response_header(r, "Access-Control-Allow-Headers", wanted);
    MHD_add_response_header(r, "Access-Control-Max-Age", "600");
}

static void add_headers(visit *v, struct MHD_Response *r) {
    const cop_exchange *x = &v->x;
    char number[16];
    if (x->type) MHD_add_response_header(r, "Content-Type", x->type);
    if (x->stream) MHD_add_response_header(r, "X-Accel-Buffering", "no");
    MHD_add_response_header(r, "Cache-Control", "no-cache");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (x->code == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (x->allow) MHD_add_response_header(r, "Allow", x->allow);
    if (x->retry_after) {
        snprintf(number, sizeof number, "%d", x->retry_after);
        MHD_add_response_header(r, "Retry-After", number);
    }
    add_origin(v, r);
}

static enum MHD_Result queue_reply(visit *v) {
    cop_exchange *x = &v->x;
    struct MHD_Response *r;
    if (x->stream) r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, v, NULL);
    else r = MHD_create_response_from_buffer(x->reply.n, x->reply.v ? x->reply.v : "", MHD_RESPMEM_PERSISTENT);
    if (!r) return MHD_NO;
    add_headers(v, r);
    set_timer(v, true);
    enum MHD_Result done = MHD_queue_response(v->connection, (unsigned)x->code, r);
    MHD_destroy_response(r);
    v->queued = true;
    return done;
}

// ---- questions ----

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_bytes, const char *value, size_t bytes) {
    visit *v = cls;
    (void)kind, (void)key, (void)value;
    v->headers += key_bytes + bytes + 4;
    return MHD_YES;
}

static void set_since(visit *v, double since) {
    cop_server *s = v->x.server;
    cop_lock_take(s->lock);
    if (v->place) v->place->since = since;
    cop_lock_give(s->lock);
}

static visit *begin_visit(cop_server *s, struct MHD_Connection *connection, const char *path, const char *method) {
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *place = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    visit *v = cop_alloc(sizeof *v);
    if (!v) return NULL;
    v->connection = connection;
    v->fd = fd ? fd->connect_fd : -1;
    v->place = place ? place->socket_context : NULL;
    v->since = cop_clock();
    v->body.most = v->out.most = v->x.reply.most = SIZE_MAX / 8;
    v->x.server = s;
    v->x.method = method;
    v->x.path = path;
    v->x.query = find_query;
    v->x.header = find_header;
    v->x.gone = has_gone;
    v->x.connection = v;
    v->x.dialect = strncmp(path, "/v1/", 4) ? COP_DIALECT_LLAMA : strncmp(path, "/v1/messages", 12) ? COP_DIALECT_OPENAI : COP_DIALECT_ANTHROPIC;
    return v;
}

static void refuse_body(visit *v) {
    cop_reply_error(&v->x, 413, NULL, "the body is longer than %zu bytes", v->x.server->options.max_body);
}

// What can be said before the body comes.
static enum MHD_Result look_at_headers(visit *v) {
    const char *length = find_header(&v->x, "content-length");
    size_t most = v->x.server->options.max_body;
    MHD_get_connection_values_n(v->connection, MHD_HEADER_KIND, count_header, v);
    v->headers += strlen(v->x.path);
    if (v->headers > MOST_HEADERS) {
        cop_reply_error(&v->x, 431, NULL, "headers of %zu bytes, at most %zu", v->headers, MOST_HEADERS);
        return queue_reply(v);
    }
    size_t bytes = 0;
    for (size_t i = 0; length && length[i] >= '0' && length[i] <= '9' && bytes < SIZE_MAX / 16; i++) bytes = bytes * 10 + (size_t)(length[i] - '0');
    if (bytes / SWALLOWED <= most) return MHD_YES;
    refuse_body(v);
    return queue_reply(v);
}

// A body without a length may be too long as well.
static enum MHD_Result take_body(visit *v, const char *data, size_t bytes) {
    size_t most = v->x.server->options.max_body;
    v->swallowed += bytes;
    if (v->swallowed / SWALLOWED > most) return MHD_NO;
    if (v->swallowed > most) return MHD_YES;
    return cop_append(&v->body, data, bytes) ? MHD_NO : MHD_YES;
}

static enum MHD_Result answer(visit *v) {
    v->x.body = v->body.v;
    v->x.body_bytes = v->body.n;
    set_timer(v, false);
    set_since(v, 0);
    v->counted = true;
    atomic_fetch_add(&v->x.server->running, 1);
    if (v->swallowed > v->x.server->options.max_body) refuse_body(v);
    else cop_route(&v->x);
    return queue_reply(v);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                  const char *data, size_t *bytes, void **state) {
    visit *v = *state;
    (void)version;
    if (!v) {
        *state = v = begin_visit(cls, connection, path, method);
        return v ? look_at_headers(v) : MHD_NO;
    }
    if (*bytes) {
        enum MHD_Result go_on = v->queued ? MHD_YES : take_body(v, data, *bytes);
        *bytes = 0;
        return go_on;
    }
    return v->queued ? MHD_YES : answer(v);
}

static void log_visit(const visit *v) {
    const cop_server_options *o = &v->x.server->options;
    char line[256];
    if (!o->log) return;
    int printed = snprintf(line, sizeof line, "%.8s %.120s %d %zu bytes %.0f ms%s%s", v->x.method, v->x.path, v->x.code,
                           v->x.stream ? v->told : v->x.reply.n, (cop_clock() - v->since) * 1e3, v->x.said ? " " : "", v->x.said ? v->x.said : "");
    for (int i = 0; i < printed && i < (int)sizeof line; i++)
        if ((unsigned char)line[i] < 0x20) line[i] = '?';  // a path may hold anything
    o->log(o->user, line);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code) {
    cop_server *s = cls;
    visit *v = *state;
    (void)connection, (void)code;
    if (!v) return;
    if (v->x.stream) v->x.stream->close(v->x.stream_state);
    if (v->counted) atomic_fetch_sub(&s->running, 1);
    set_since(v, cop_clock());
    log_visit(v);
    cop_array_fini(&v->body);
    cop_array_fini(&v->out);
    cop_array_fini(&v->x.reply);
    cop_free(v);
    *state = NULL;
}

// ---- connections ----

static void on_connection(void *cls, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code) {
    cop_server *s = cls;
    cop_connection *c = *context;
    cop_lock_take(s->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED && (c = cop_alloc(sizeof *c))) {
        const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *c = (cop_connection){.next = s->connections, .fd = fd ? fd->connect_fd : -1, .since = cop_clock()};
        if (c->next) c->next->before = c;
        s->connections = c;
        *context = c;
    } else if (code == MHD_CONNECTION_NOTIFY_CLOSED && c) {
        if (c->next) c->next->before = c->before;
        if (c->before) c->before->next = c->next;
        else s->connections = c->next;
        cop_free(c);
        *context = NULL;
    }
    cop_lock_give(s->lock);
}

void cop_server_tend(cop_server *s) {
    double now = cop_clock();
    cop_lock_take(s->lock);
    for (cop_connection *c = s->connections; c; c = c->next)
        if (c->since > 0 && now - c->since > s->options.timeout) shutdown(c->fd, SHUT_RDWR);
    cop_lock_give(s->lock);
}

// ---- the daemon ----

static cop_status read_certificate(const cop_server_options *o, char **cert, char **key) {
    size_t bytes;
    if (!o->tls_cert && !o->tls_key) return COP_OK;
    if (!o->tls_cert || !o->tls_key) return cop_fail(COP_ERR_ARG, "--tls-cert and --tls-key go together");
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) return cop_fail(COP_ERR_UNSUPPORTED, "this libmicrohttpd is built without TLS");
    COP_TRY(cop_file_read(o->tls_cert, MOST_CERTIFICATE, cert, &bytes));
    return cop_file_read(o->tls_key, MOST_CERTIFICATE, key, &bytes);
}

cop_status cop_daemon_start(cop_server *s) {
    const cop_server_options *o = &s->options;
    char *cert = NULL, *key = NULL;
    cop_status st = read_certificate(o, &cert, &key);
    struct MHD_OptionItem tls[] = {{MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
    if (cert) {
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, cert};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, key};
    }
    if (!st) {
        s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, s->listener, MHD_OPTION_CONNECTION_LIMIT,
                                     (unsigned)o->connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->timeout,
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
                                     MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
        if (!s->daemon) st = cop_fail(cert ? COP_ERR_ARG : COP_ERR_IO, cert ? "TLS cannot be set up: are %s and its key a pair?" : "the HTTP library does not start%s", cert ? o->tls_cert : "");
    }
    cop_free(cert);
    if (key) explicit_bzero(key, strlen(key));
    cop_free(key);
    return st;
}

void cop_daemon_quiesce(cop_server *s) {
    if (s->daemon && MHD_quiesce_daemon(s->daemon) != MHD_INVALID_SOCKET) cop_listener_close(s);
}

void cop_daemon_stop(cop_server *s) {
    if (s->daemon) MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
}

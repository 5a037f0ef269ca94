// The listening socket: TCP, a Unix path, or one that the service manager hands over.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"
#include "base/option.h"
#include "serve/server_private.h"

#define BACKLOG 256
#define FIRST_HANDED 3

static cop_status io_failed(const char *what, const char *where) {
    int code = errno;
    return cop_fail(COP_ERR_IO, "%s: %s; %s", what, strerror(code), where);
}

static void describe_tcp(cop_server *s, const char *scheme) {
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    char host[INET6_ADDRSTRLEN + 2] = "?", port[16] = "0";
    if (!getsockname(s->listener, (struct sockaddr *)&a, &n))
        getnameinfo((struct sockaddr *)&a, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    bool any = !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
    if (any) snprintf(s->address, sizeof s->address, "%s://127.0.0.1:%s", scheme, port);
    else snprintf(s->address, sizeof s->address, strchr(host, ':') ? "%s://[%s]:%s" : "%s://%s:%s", scheme, host, port);
}

// ---- handed over ----

// LISTEN_FDS sockets from descriptor 3 on, meant for the process LISTEN_PID.
static int handed_over(void) {
    const char *pid = cop_env("LISTEN_PID"), *n = cop_env("LISTEN_FDS");
    int64_t v;
    if (!pid || !n || cop_parse_int("LISTEN_PID", pid, strlen(pid), 0, INT32_MAX, &v) || v != getpid()) return 0;
    return cop_parse_int("LISTEN_FDS", n, strlen(n), 0, 1024, &v) ? 0 : (int)v;
}

static cop_status take_handed(cop_server *s, int n, const char *scheme) {
    struct sockaddr_storage a;
    socklen_t bytes = sizeof a;
    int listens = 0;
    socklen_t size = sizeof listens;
    if (n != 1) return cop_fail(COP_ERR_ARG, "LISTEN_FDS: %d sockets, one is served", n);
    s->listener = FIRST_HANDED;
    if (getsockopt(s->listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens || getsockname(s->listener, (struct sockaddr *)&a, &bytes))
        return cop_fail(COP_ERR_ARG, "LISTEN_FDS: descriptor %d is no listening socket", FIRST_HANDED);
    fcntl(s->listener, F_SETFD, FD_CLOEXEC);
    if (a.ss_family == AF_UNIX) snprintf(s->address, sizeof s->address, "unix:%.100s", ((struct sockaddr_un *)&a)->sun_path);
    else describe_tcp(s, scheme);
    return COP_OK;
}

// ---- Unix ----

// A socket that nobody listens at any more is in the way; anything else stays.
static cop_status clear_path(const char *path, const struct sockaddr_un *a) {
    struct stat info;
    if (lstat(path, &info)) return COP_OK;
    if (!S_ISSOCK(info.st_mode)) return cop_fail(COP_ERR_IO, "there is a file that is no socket; %s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && !connect(fd, (const struct sockaddr *)a, sizeof *a);
    if (fd >= 0) close(fd);
    if (alive) return cop_fail(COP_ERR_IO, "somebody listens there; %s", path);
    return unlink(path) ? io_failed("unlink", path) : COP_OK;
}

static cop_status listen_unix(cop_server *s, const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof a.sun_path) return cop_fail(COP_ERR_ARG, "--unix: a path of 1 to %zu letters; %s", sizeof a.sun_path - 1, path);
    memcpy(a.sun_path, path, strlen(path));
    COP_TRY(clear_path(path, &a));
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof a)) return io_failed("bind", path);
    snprintf(s->unix_path, sizeof s->unix_path, "%s", path);
    if (chmod(path, 0600) || listen(s->listener, BACKLOG)) return io_failed("listen", path);
    snprintf(s->address, sizeof s->address, "unix:%s", path);
    return COP_OK;
}

// ---- TCP ----

static int bind_one(const struct addrinfo *a) {
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol), one = 1;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, BACKLOG)) return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static cop_status listen_tcp(cop_server *s, const char *scheme) {
    const cop_server_options *o = &s->options;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    char port[16], where[300];
    snprintf(port, sizeof port, "%d", o->port);
    snprintf(where, sizeof where, "%.256s:%d", o->host, o->port);
    int code = getaddrinfo(*o->host ? o->host : NULL, port, &hints, &list);
    if (code) return cop_fail(COP_ERR_ARG, "--host %.200s: %s", o->host, gai_strerror(code));
    for (const struct addrinfo *a = list; a && s->listener < 0; a = a->ai_next) s->listener = bind_one(a);
    code = errno;
    freeaddrinfo(list);
    errno = code;
    if (s->listener < 0) return io_failed("cannot listen", where);
    describe_tcp(s, scheme);
    return COP_OK;
}

cop_status cop_listener_open(cop_server *s) {
    const char *scheme = s->options.tls_cert ? "https" : "http";
    int handed = handed_over();
    if (handed) return take_handed(s, handed, scheme);
    return s->options.unix_path ? listen_unix(s, s->options.unix_path) : listen_tcp(s, scheme);
}

void cop_listener_close(cop_server *s) {
    if (s->listener >= 0) close(s->listener);
    s->listener = -1;
    if (*s->unix_path) unlink(s->unix_path);
    *s->unix_path = 0;
}

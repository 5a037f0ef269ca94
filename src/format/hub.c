// Names of the hub and what they mean in its cache folder on this machine.
#include "format/hub.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/map.h"
#include "format/folder.h"
#include "format/gguf.h"
#include "format/hub_private.h"

// ---- names ----------------------------------------------------------------------------------

static bool is_name(const char *text, size_t n) {
    if (n < 1 || n > COP_HUB_MOST_NAME || text[0] == '.' || text[0] == '-' || text[n - 1] == '.' || text[n - 1] == '-') return false;
    for (size_t i = 0; i < n; i++) {
        bool letter = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= '0' && text[i] <= '9');
        if (!letter && !strchr("._-", text[i])) return false;
        if (i && ((text[i] == '.' && text[i - 1] == '.') || (text[i] == '-' && text[i - 1] == '-'))) return false;  // "--" separates in the cache
    }
    return true;
}

bool cop_hub_is_file(const char *path) {
    size_t n = strlen(path), part = 0;
    if (n < 1 || n > 255) return false;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && path[i] != '/') {
            if (path[i] < 0x21 || path[i] > 0x7e || strchr("\\\"'`$?#%*<>|&;:", path[i])) return false;
            part++;
            continue;
        }
        if (!part || path[i - part] == '.') return false;  // neither empty nor hidden nor ".."
        part = 0;
    }
    return true;
}

bool cop_hub_parse(cop_hub_name *out, const char *text) {
    const char *slash = strchr(text, '/'), *colon = slash ? strchr(slash, ':') : NULL;
    *out = (cop_hub_name){0};
    if (!slash) return false;
    size_t n = colon ? (size_t)(colon - slash - 1) : strlen(slash + 1);
    if (!is_name(text, (size_t)(slash - text)) || !is_name(slash + 1, n)) return false;
    if (colon && (!cop_hub_is_file(colon + 1) || strlen(colon + 1) >= sizeof out->file)) return false;
    memcpy(out->owner, text, (size_t)(slash - text));
    memcpy(out->name, slash + 1, n);
    if (colon) snprintf(out->file, sizeof out->file, "%s", colon + 1);
    return true;
}

// ---- places ---------------------------------------------------------------------------------

cop_status cop_hub_path(char out[COP_PATH_MAX], const char *a, const char *b) {
    int n = snprintf(out, COP_PATH_MAX, "%s/%s", a, b);
    if (n < 0 || n >= COP_PATH_MAX) return cop_fail(COP_ERR_LIMIT, "path of %d bytes, at most %d: %.80s...", n, COP_PATH_MAX - 1, a);
    return COP_OK;
}

cop_status cop_hub_folder(char out[COP_PATH_MAX]) {
    const char *own = cop_env("HF_HUB_CACHE"), *hf = cop_env("HF_HOME"), *cache = cop_env("XDG_CACHE_HOME"), *home = cop_env("HOME");
    if (own) {
        int n = snprintf(out, COP_PATH_MAX, "%s", own);
        return n < COP_PATH_MAX ? COP_OK : cop_fail(COP_ERR_LIMIT, "HF_HUB_CACHE: path of %d bytes, at most %d", n, COP_PATH_MAX - 1);
    }
    if (hf) return cop_hub_path(out, hf, "hub");
    if (cache && cache[0] == '/') return cop_hub_path(out, cache, "huggingface/hub");
    if (home) return cop_hub_path(out, home, ".cache/huggingface/hub");
    return cop_fail(COP_ERR_NOT_FOUND, "no cache folder: set HF_HOME or HOME");
}

cop_status cop_hub_repository(char out[COP_PATH_MAX], const cop_hub_name *name) {
    char hub[COP_PATH_MAX], folder[2 * COP_HUB_MOST_NAME + 16];
    COP_TRY(cop_hub_folder(hub));
    snprintf(folder, sizeof folder, "models--%s--%s", name->owner, name->name);
    return cop_hub_path(out, hub, folder);
}

bool cop_hub_is_commit(const char *text) {
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!strchr("0123456789abcdef", text[i])) return false;
    return n >= 1 && n <= 64;
}

bool cop_hub_snapshot(char out[COP_PATH_MAX], const char *folder) {
    char path[COP_PATH_MAX], *commit, rest[96];
    size_t n;
    struct stat info;
    if (cop_hub_path(path, folder, "refs/main") || cop_file_read(path, 64, &commit, &n)) return false;
    while (n && (commit[n - 1] == '\n' || commit[n - 1] == ' ')) commit[--n] = 0;
    bool fine = cop_hub_is_commit(commit);
    if (fine) snprintf(rest, sizeof rest, "snapshots/%s", commit);
    cop_free(commit);
    return fine && !cop_hub_path(out, folder, rest) && !stat(out, &info) && S_ISDIR(info.st_mode);
}

// ---- what is there --------------------------------------------------------------------------

bool cop_hub_is_gguf(const char *file) {
    size_t n = strlen(file);
    return n > 5 && !strcasecmp(file + n - 5, ".gguf");
}

bool cop_hub_fits(const char *file, const char *wanted) {
    size_t n = strlen(wanted);
    if (!strcmp(file, wanted)) return true;
    if (!cop_hub_is_gguf(file) || cop_hub_is_gguf(wanted)) return false;
    for (const char *p = file; *p; p++)
        if (!strncasecmp(p, wanted, n) && (p == file || strchr("-._/", p[-1])) && strchr("-._/", p[n])) return true;
    return false;
}

bool cop_hub_counts(const char *file) {
    int part, n;
    size_t stem;
    return !cop_gguf_is_part(file, &part, &n, &stem) || part == 1;
}

bool cop_hub_same_set(const char *file, const char *wanted) {
    int part, n, other, m;
    size_t stem, length;
    return cop_gguf_is_part(file, &part, &n, &stem) && cop_gguf_is_part(wanted, &other, &m, &length) && n == m && stem == length &&
           !memcmp(file, wanted, stem);
}

// The .gguf files of a snapshot that fit, one folder deep; the last one's path in `out`.
static int find_files(char out[COP_PATH_MAX], const char *folder, const char *below, const char *wanted) {
    char path[COP_PATH_MAX], name[600];
    int n_found = 0;
    DIR *dir = cop_hub_path(path, folder, below) ? NULL : opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat info;
        snprintf(name, sizeof name, "%s%s%s", below, *below ? "/" : "", e->d_name);
        if (e->d_name[0] == '.' || cop_hub_path(path, folder, name) || stat(path, &info)) continue;
        if (S_ISDIR(info.st_mode) && !*below) n_found += find_files(out, folder, e->d_name, wanted);
        if (!S_ISREG(info.st_mode) || (*wanted ? !cop_hub_fits(name, wanted) : !cop_hub_is_gguf(name)) || (!cop_hub_counts(name) && strcmp(name, wanted) != 0)) continue;
        memcpy(out, path, strlen(path) + 1);
        n_found++;
    }
    if (dir) closedir(dir);
    return n_found;
}

cop_status cop_hub_locate(char out[COP_PATH_MAX], const cop_hub_name *name) {
    char repository[COP_PATH_MAX], snapshot[COP_PATH_MAX];
    COP_TRY(cop_hub_repository(repository, name));
    const char *colon = *name->file ? ":" : "";
    if (!cop_hub_snapshot(snapshot, repository))
        return cop_fail(COP_ERR_NOT_FOUND, "%s/%s: no such file, and not in %s; get it with: coppice pull %s/%s%s%s", name->owner, name->name,
                        repository, name->owner, name->name, colon, name->file);
    if (!*name->file && cop_folder_is_model(snapshot)) {
        memcpy(out, snapshot, strlen(snapshot) + 1);
        return COP_OK;
    }
    int n = find_files(out, snapshot, "", name->file);
    if (n == 1) return COP_OK;
    if (!n)
        return cop_fail(COP_ERR_NOT_FOUND, "%s/%s%s%s: not in %s; get it with: coppice pull %s/%s%s%s", name->owner, name->name, colon, name->file,
                        snapshot, name->owner, name->name, colon, name->file);
    return cop_fail(COP_ERR_NOT_FOUND, "%s/%s: %d .gguf files of that name are in %s; name one as %s/%s:FILE", name->owner, name->name, n, snapshot,
                    name->owner, name->name);
}

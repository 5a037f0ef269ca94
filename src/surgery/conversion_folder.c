// A new folder is filled beside its place and renamed. From a folder: the tensors in another type, config.json with
// that type's name, the other files as they are. From a GGUF file: conversion_unfold.c.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/map.h"
#include "format/folder.h"
#include "surgery/conversion_private.h"

#define MOST_FILE ((size_t)256 << 20)  // of a file that is copied

cop_status cop_convert_join(char path[COP_CONVERT_PATH], const char *folder, const char *file) {
    int n = snprintf(path, COP_CONVERT_PATH, "%s/%s", folder, file);
    if (n < 0 || n >= COP_CONVERT_PATH) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", folder);
    return COP_OK;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    remove(path);
    return 0;
}
static void remove_tree(const char *path) { nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS); }

static cop_status write_file(const char *path, const void *data, size_t bytes) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    cop_status st = cop_file_put(fd, path, data, bytes);
    if (close(fd) && !st) st = cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    return st;
}

cop_status cop_convert_write(const char *folder, const char *name, const void *data, size_t bytes) {
    char path[COP_CONVERT_PATH];
    COP_TRY(cop_convert_join(path, folder, name));
    return write_file(path, data, bytes);
}

cop_status cop_convert_write_json(const char *folder, const char *name, const json_t *value, size_t flags) {
    char *text;
    size_t bytes;
    COP_TRY(cop_json_dump(&text, &bytes, value, flags));
    cop_status st = cop_convert_write(folder, name, text, bytes);
    cop_free(text);
    return st;
}

// ---- tensors --------------------------------------------------------------------------------

typedef struct listing {
    cop_conversion *c;
    COP_ARRAY(cop_convert_item) items;
    COP_ARRAY(const cop_safetensors_tensor *) tensors;
} listing;

// The tensor as rows of its last dimension.
static cop_gguf_tensor flat(const cop_safetensors_tensor *t) {
    uint64_t cols = t->n_dims ? t->dims[t->n_dims - 1] : 1, elements = 1;
    for (int i = 0; i < t->n_dims; i++) elements *= t->dims[i];
    cop_gguf_tensor one = {.n_dims = 2, .dims = {cols, elements / cols, 1, 1}, .type = t->type, .bytes = t->bytes, .data = t->data,
                           .offset = (uint64_t)(t->data - t->map->data)};
    snprintf(one.name, sizeof one.name, "%s", t->name);
    return one;
}

static cop_status list_tensors(listing *l) {
    const cop_safetensors *files = cop_folder_tensors(l->c->file);
    cop_dtype wanted = l->c->options->type;
    for (size_t i = 0; i < cop_safetensors_n_tensors(files); i++) {
        const cop_safetensors_tensor *t = cop_safetensors_tensor_at(files, i);
        if (t->type == COP_N_DTYPES)
            return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s, need F32, F16 or BF16", t->name, t->type_name);
        cop_convert_item it = {.type = wanted == COP_N_DTYPES ? t->type : wanted, .n_dims = t->n_dims};
        snprintf(it.name, sizeof it.name, "%s", t->name);
        memcpy(it.dims, t->dims, sizeof it.dims);
        COP_TRY(cop_array_push(&l->items, it));
        COP_TRY(cop_array_push(&l->tensors, t));
    }
    return COP_OK;
}

static cop_status source(void *user, size_t i, cop_gguf_put *put, void *sink) {
    listing *l = user;
    cop_gguf_tensor one = flat(l->tensors.v[i]);
    return cop_convert_tensor(l->c, &one, l->items.v[i].type, put, sink);
}

static cop_status write_tensors(cop_conversion *c, const char *folder, const char *final) {
    listing l = {.c = c, .items.most = COP_SAFETENSORS_MOST_TENSORS, .tensors.most = COP_SAFETENSORS_MOST_TENSORS};
    cop_status st = list_tensors(&l);
    if (!st) st = cop_convert_shards(c, folder, final, l.items.v, l.items.n, source, &l);
    cop_array_fini(&l.items);
    cop_array_fini(&l.tensors);
    return st;
}

// ---- the other files ------------------------------------------------------------------------

static cop_status copy_file(const char *from, const char *to, const char *name) {
    char path[COP_CONVERT_PATH], *data;
    size_t bytes;
    COP_TRY(cop_convert_join(path, from, name));
    if (access(path, F_OK)) return COP_OK;
    COP_TRY(cop_file_read(path, MOST_FILE, &data, &bytes));
    cop_status st = cop_convert_join(path, to, name);
    if (!st) st = write_file(path, data, bytes);
    cop_free(data);
    return st;
}

// The key of the type is "dtype" or, in files of earlier versions, "torch_dtype".
static cop_status write_config(const cop_conversion *c, const char *from, const char *to) {
    static const cop_json_limits limits = {(size_t)4 << 20, 200000, 32};
    static const char *const names[COP_N_DTYPES] = {[COP_F32] = "float32", [COP_F16] = "float16", [COP_BF16] = "bfloat16"};
    char path[COP_CONVERT_PATH];
    json_t *config;
    if (c->options->type == COP_N_DTYPES) return copy_file(from, to, "config.json");
    COP_TRY(cop_convert_join(path, from, "config.json"));
    COP_TRY(cop_json_read(&config, path, &limits));
    json_t *text = cop_json_member(config, "text_config"), *places[] = {config, json_is_object(text) ? text : config};
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        const char *key = json_object_get(places[i], "torch_dtype") ? "torch_dtype" : "dtype";
        failed |= json_object_set_new(places[i], key, json_string(names[c->options->type]));
    }
    cop_status st = failed ? cop_fail(COP_ERR_NOMEM, "config.json: cannot allocate") : cop_convert_write_json(to, "config.json", config, JSON_INDENT(2));
    json_decref(config);
    return st;
}

static cop_status fill(cop_conversion *c, const char *folder, const char *final) {
    static const char *const others[] = {"generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
                                         "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
                                         "chat_template.jinja", "chat_template.json"};
    const char *from = cop_gguf_folder(c->file);
    COP_TRY(write_config(c, from, folder));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) COP_TRY(copy_file(from, folder, others[i]));
    return write_tensors(c, folder, final);
}

// ---- the whole ------------------------------------------------------------------------------

// The finished folder takes its place; what was there goes only after that.
static cop_status publish(const char *folder, const char *path) {
    char old[COP_CONVERT_PATH];
    int n = snprintf(old, sizeof old, "%s.%ld.old", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof old) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", path);
    bool there = !access(path, F_OK);
    if (there && rename(path, old)) return cop_fail(COP_ERR_IO, "%s: cannot rename: %s", path, strerror(errno));
    if (rename(folder, path)) {
        cop_status st = cop_fail(COP_ERR_IO, "%s: cannot rename: %s", path, strerror(errno));
        if (there) (void)rename(old, path);
        return st;
    }
    if (there) remove_tree(old);
    return COP_OK;
}

cop_status cop_convert_to_folder(cop_conversion *c, const char *path) {
    char folder[COP_CONVERT_PATH], place[COP_CONVERT_PATH];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    int m = snprintf(place, sizeof place, "%.*s", (int)n, path), k = snprintf(folder, sizeof folder, "%.*s.%ld.part", (int)n, path, (long)getpid());
    if (m < 0 || k < 0 || (size_t)k >= sizeof folder) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", path);
    if (mkdir(folder, 0777)) return cop_fail(errno == ENOENT ? COP_ERR_NOT_FOUND : COP_ERR_IO, "%s: %s", folder, strerror(errno));
    cop_status st = cop_gguf_folder(c->file) ? fill(c, folder, place) : cop_convert_unfold(c, folder, place);
    if (!st) st = publish(folder, place);
    if (st) remove_tree(folder);
    return st;
}

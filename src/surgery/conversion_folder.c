// A folder from a folder: the tensors in another type, config.json with that type's name, the other files as
// they are. The new folder is filled beside its place and renamed.
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
#include "base/json.h"
#include "base/map.h"
#include "format/folder.h"
#include "format/safetensors_write.h"
#include "surgery/conversion_private.h"

#define PATH_BYTES 4096
#define MOST_FILE ((size_t)256 << 20)  // of a file that is copied

static cop_status join(char path[PATH_BYTES], const char *folder, const char *file) {
    int n = snprintf(path, PATH_BYTES, "%s/%s", folder, file);
    if (n < 0 || n >= PATH_BYTES) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", folder);
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

static cop_status write_json(const char *path, const json_t *value) {
    char *text = json_dumps(value, JSON_INDENT(2));
    if (!text) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    cop_status st = write_file(path, text, strlen(text));
    json_free_t give_back;
    json_get_alloc_funcs(NULL, &give_back);
    give_back(text);
    return st;
}

// ---- tensors --------------------------------------------------------------------------------

typedef struct listing {
    cop_conversion *c;
    COP_ARRAY(cop_gguf_tensor) tensors;  // in the order of the new file; name unused
} listing;

static cop_status choose(const cop_conversion *c, const cop_safetensors_tensor *t, cop_dtype *type) {
    if (t->type == COP_N_DTYPES)
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s, need F32, F16 or BF16", t->name, t->type_name);
    *type = c->options->type == COP_N_DTYPES ? t->type : c->options->type;
    return COP_OK;
}

// The tensor as rows of its last dimension.
static cop_gguf_tensor flat(const cop_safetensors_tensor *t) {
    uint64_t cols = t->n_dims ? t->dims[t->n_dims - 1] : 1, elements = 1;
    for (int i = 0; i < t->n_dims; i++) elements *= t->dims[i];
    return (cop_gguf_tensor){.n_dims = 2, .dims = {cols, elements / cols, 1, 1}, .type = t->type, .bytes = t->bytes, .data = t->data,
                             .offset = (uint64_t)(t->data - t->map->data)};
}

// Four-byte elements before two-byte ones.
static cop_status list_tensors(listing *l, const cop_safetensors *files, cop_safetensors_writer *w) {
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < cop_safetensors_n_tensors(files); i++) {
            const cop_safetensors_tensor *t = cop_safetensors_tensor_at(files, i);
            cop_dtype type = COP_F32;
            COP_TRY(choose(l->c, t, &type));
            if ((type == COP_F32) != (pass == 0)) continue;
            COP_TRY(cop_safetensors_add(w, t->name, type, t->n_dims, t->dims));
            cop_gguf_tensor one = flat(t);
            snprintf(one.name, sizeof one.name, "%s", t->name);
            COP_TRY(cop_array_push(&l->tensors, one));
        }
    return COP_OK;
}

static cop_status source(void *user, size_t i, cop_gguf_put *put, void *sink) {
    listing *l = user;
    const cop_gguf_tensor *t = &l->tensors.v[i];
    cop_dtype wanted = l->c->options->type;
    return cop_convert_tensor(l->c, t, wanted == COP_N_DTYPES ? t->type : wanted, put, sink);
}

static cop_status write_tensors(cop_conversion *c, const char *folder, const char *final) {
    char path[PATH_BYTES];
    cop_safetensors_writer *w;
    listing l = {.c = c, .tensors.most = COP_SAFETENSORS_MOST_TENSORS};
    COP_TRY(join(path, folder, "model.safetensors"));
    COP_TRY(cop_safetensors_writer_new(&w));
    cop_status st = list_tensors(&l, cop_folder_tensors(c->file), w);
    c->total = cop_safetensors_writer_data_bytes(w);
    if (!st) st = cop_convert_room(c, final);
    if (!st) st = cop_safetensors_writer_save(w, path, source, &l);
    cop_safetensors_writer_free(w);
    cop_array_fini(&l.tensors);
    return st;
}

// ---- the other files ------------------------------------------------------------------------

static cop_status copy_file(const char *from, const char *to, const char *name) {
    char path[PATH_BYTES], *data;
    size_t bytes;
    COP_TRY(join(path, from, name));
    if (access(path, F_OK)) return COP_OK;
    COP_TRY(cop_file_read(path, MOST_FILE, &data, &bytes));
    cop_status st = join(path, to, name);
    if (!st) st = write_file(path, data, bytes);
    cop_free(data);
    return st;
}

// The key of the type is "dtype" or, in files of earlier versions, "torch_dtype".
static cop_status write_config(const cop_conversion *c, const char *from, const char *to) {
    static const cop_json_limits limits = {(size_t)4 << 20, 200000, 32};
    static const char *const names[COP_N_DTYPES] = {[COP_F32] = "float32", [COP_F16] = "float16", [COP_BF16] = "bfloat16"};
    char path[PATH_BYTES];
    json_t *config;
    if (c->options->type == COP_N_DTYPES) return copy_file(from, to, "config.json");
    COP_TRY(join(path, from, "config.json"));
    COP_TRY(cop_json_read(&config, path, &limits));
    json_t *text = cop_json_member(config, "text_config"), *places[] = {config, json_is_object(text) ? text : config};
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        const char *key = json_object_get(places[i], "torch_dtype") ? "torch_dtype" : "dtype";
        failed |= json_object_set_new(places[i], key, json_string(names[c->options->type]));
    }
    cop_status st = failed ? cop_fail(COP_ERR_NOMEM, "config.json: cannot allocate") : join(path, to, "config.json");
    if (!st) st = write_json(path, config);
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
    char old[PATH_BYTES];
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
    char folder[PATH_BYTES], place[PATH_BYTES];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    int m = snprintf(place, sizeof place, "%.*s", (int)n, path), k = snprintf(folder, sizeof folder, "%.*s.%ld.part", (int)n, path, (long)getpid());
    if (m < 0 || k < 0 || (size_t)k >= sizeof folder) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", path);
    if (!cop_gguf_folder(c->file))
        return cop_fail(COP_ERR_UNSUPPORTED, "%s: a folder is made from a folder only; name a file that ends in .gguf", path);
    if (mkdir(folder, 0777)) return cop_fail(errno == ENOENT ? COP_ERR_NOT_FOUND : COP_ERR_IO, "%s: %s", folder, strerror(errno));
    cop_status st = fill(c, folder, place);
    if (!st) st = publish(folder, place);
    if (st) remove_tree(folder);
    return st;
}

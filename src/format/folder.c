// Opening a Hugging Face folder: its configuration becomes the keys of a GGUF in memory, its tensors are
// listed under their GGUF names. Every tensor must have a place in the family's rules or be dropped by one:
// a weight that nobody asked for would change what the model computes.
#include "format/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "format/folder_private.h"
#include "format/gguf_private.h"

#define PATH_BYTES 4096
#define MOST_CONFIG ((size_t)4 << 20)

typedef unsigned long long ull;
typedef const cop_safetensors_tensor *source;

// Where the bytes of a tensor come from; entry i belongs to tensor i of the cop_gguf.
typedef struct making {
    cop_folder_op op;
    int64_t heads;
    size_t first, n;  // sources[first … first + n - 1]
} making;

struct cop_folder {
    char *path;
    cop_safetensors *files;
    uint8_t *keys;          // the GGUF in memory that holds the keys
    making *makings;        // [n_makings]
    size_t n_makings;
    source *sources;
    float *extra[COP_FOLDER_MOST_EXTRA];  // rope_freqs.weight and its like
    uint8_t **copies;       // of tensors that lie on no boundary of 8 bytes
    size_t n_copies;
};

// A published tensor and the name that it gets.
typedef struct entry {
    char to[COP_GGUF_NAME_BYTES];
    cop_folder_op op;
    long expert;
    source from;
} entry;

typedef COP_ARRAY(entry) entry_array;

// ---- names ----------------------------------------------------------------------------------

// Names that stand inside a larger model, as they are in the model alone.
static const char *const prefixes[][2] = {
    {"language_model.model.", "model."}, {"language_model.lm_head", "lm_head"}, {"model.language_model.", "model."}, {"transformer.", ""}, {"bert.", ""}, {"roberta.", ""},
};

static void strip_prefix(const char *name, char out[COP_SAFETENSORS_MOST_NAME + 1]) {
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i][0]);
        if (strncmp(name, prefixes[i][0], n)) continue;
        snprintf(out, COP_SAFETENSORS_MOST_NAME + 1, "%s%s", prefixes[i][1], name + n);
        return;
    }
    snprintf(out, COP_SAFETENSORS_MOST_NAME + 1, "%s", name);
}

// A number of at most five digits, without leading zeros; -1 when there is none.
static long take_number(const char **text) {
    const char *p = *text;
    long n = 0;
    while (*p >= '0' && *p <= '9' && p - *text < 5) n = 10 * n + (*p++ - '0');
    if (p == *text || (**text == '0' && p - *text > 1)) return -1;
    *text = p;
    return n;
}

// Does `name` fit the rule? *rest is what follows: "", ".weight", ".bias".
static bool fits(const cop_folder_rule *rule, const char *name, long *layer, long *expert, const char **rest) {
    const char *p = rule->from;
    *layer = *expert = -1;
    for (; *p; p++) {
        if (*p == '#' || *p == '@') {
            long n = take_number(&name);
            if (n < 0) return false;
            *(*p == '#' ? layer : expert) = n;
        } else if (*p != *name++) {
            return false;
        }
    }
    *rest = name;
    if (p[-1] == '.') return rule->op == COP_FOLDER_DROP;
    return !*name || !strcmp(name, ".weight") || !strcmp(name, ".bias");
}

static cop_status write_name(char out[COP_GGUF_NAME_BYTES], const char *to, long layer, const char *rest) {
    const char *hash = strchr(to, '#');
    int n = hash ? snprintf(out, COP_GGUF_NAME_BYTES, "%.*s%ld%s%s", (int)(hash - to), to, layer, hash + 1, rest)
                 : snprintf(out, COP_GGUF_NAME_BYTES, "%s%s", to, rest);
    if (n < 0 || n >= COP_GGUF_NAME_BYTES) return cop_fail(COP_ERR_LIMIT, "a tensor's name of %d bytes, at most %d", n, COP_GGUF_NAME_BYTES - 1);
    return COP_OK;
}

// Adds an entry for each rule of the list that fits; one source may become several tensors.
static cop_status apply(const cop_folder_rule *rules, const cop_folder_config *c, source t, const char *name, entry_array *list, bool *found) {
    for (const cop_folder_rule *r = rules; r && r->from; r++) {
        long layer, expert;
        const char *rest;
        if (!fits(r, name, &layer, &expert, &rest)) continue;
        *found = true;
        if (r->op == COP_FOLDER_DROP) continue;
        if (layer >= c->L) return cop_fail(COP_ERR_FORMAT, "tensor %s: layer %ld of a model of %lld layers", t->name, layer, (long long)c->L);
        entry e = {.op = r->op, .expert = expert, .from = t};
        COP_TRY(write_name(e.to, r->to, layer, rest));
        if (c->tied && !strcmp(e.to, "output.weight")) continue;  // a copy of the embedding
        if (t->type == COP_N_DTYPES)
            return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s, need F32, F16 or BF16", t->name, t->type_name);
        COP_TRY(cop_array_push(list, e));
    }
    return COP_OK;
}

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    int order = strcmp(x->to, y->to);
    return order ? order : x->expert < y->expert ? -1 : x->expert > y->expert;
}

static cop_status list_entries(const cop_folder *f, const cop_folder_config *c, const cop_folder_family *family, entry_array *list) {
    char name[COP_SAFETENSORS_MOST_NAME + 1];
    for (size_t i = 0; i < cop_safetensors_n_tensors(f->files); i++) {
        source t = cop_safetensors_tensor_at(f->files, i);
        bool found = false;
        strip_prefix(t->name, name);
        COP_TRY(apply(family->rules, c, t, name, list, &found));
        if (!found) COP_TRY(apply(cop_folder_common_rules, c, t, name, list, &found));
        if (!found) return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s has no place in the family %s", t->name, family->model_type);
    }
    if (list->n) qsort(list->v, list->n, sizeof *list->v, compare_entries);
    return COP_OK;
}

// ---- shapes ---------------------------------------------------------------------------------

static cop_status set_shape(cop_gguf_tensor *t, const entry *e, size_t n_experts) {
    source from = e->from;
    uint64_t padded;
    t->type = e->op == COP_FOLDER_PLUS_ONE ? COP_F32 : from->type;
    for (int i = 0; i < 4; i++) t->dims[i] = 1;
    for (int i = from->n_dims - 1; i >= 0; i--) {  // GGUF counts from the fastest
        if (e->op == COP_FOLDER_SQUEEZE && from->n_dims == 3 && i == 1 && from->dims[i] == 1) continue;
        if (t->n_dims == 4) return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: %d dimensions, at most 4", from->name, from->n_dims);
        t->dims[t->n_dims++] = from->dims[i];
    }
    if (!t->n_dims) t->n_dims = 1;
    if (e->op == COP_FOLDER_TRANSPOSE && t->n_dims == 2) {
        t->dims[0] = from->dims[0];
        t->dims[1] = from->dims[1];
    }
    if (e->op == COP_FOLDER_STACK) {
        if (t->n_dims != 2) return cop_fail(COP_ERR_FORMAT, "tensor %s: %d dimensions, an expert has 2", from->name, from->n_dims);
        t->dims[t->n_dims++] = n_experts;
    }
    return cop_gguf_tensor_bytes(t->type, t->n_dims, t->dims, 8, &t->bytes, &padded);
}

// Rows (or elements of a bias) that are permuted come in whole heads of pairs.
static cop_status check_heads(source t, int64_t heads) {
    uint64_t rows = t->dims[0];
    if (t->n_dims < 1 || t->n_dims > 2 || rows % (uint64_t)(2 * heads))
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu rows for %lld heads", t->name, (ull)rows, (long long)heads);
    return COP_OK;
}

static cop_status check_stack(const entry *e, size_t n) {
    for (size_t i = 0; i < n; i++) {
        source t = e[i].from, first = e->from;
        if (e[i].expert != (long)i)
            return cop_fail(COP_ERR_FORMAT, "tensor %s: expert %zu is missing or twice there", t->name, i);
        if (t->type != first->type || t->n_dims != first->n_dims || memcmp(t->dims, first->dims, sizeof t->dims))
            return cop_fail(COP_ERR_FORMAT, "tensors %s and %s differ in shape or type", first->name, t->name);
    }
    return COP_OK;
}

// Bytes that lie in the mapping as GGUF has them; NULL for those that have to be made.
static const uint8_t *place_of(const cop_gguf_tensor *t, const entry *e) {
    switch (e->op) {
    case COP_FOLDER_AS_IS:
    case COP_FOLDER_SQUEEZE: return e->from->data;
    case COP_FOLDER_TRANSPOSE: return t->n_dims == 2 ? NULL : e->from->data;
    default: return NULL;
    }
}

static cop_status place(cop_folder *f, cop_gguf_tensor *t, const entry *e) {
    t->data = place_of(t, e);
    t->offset = (uint64_t)(e->from->data - e->from->map->data);
    if (!t->data || (uintptr_t)t->data % 8 == 0) return COP_OK;
    uint8_t *copy = cop_alloc((size_t)t->bytes);
    if (!copy) return cop_fail(COP_ERR_NOMEM, "tensor %s: cannot allocate %llu bytes", t->name, (ull)t->bytes);
    memcpy(copy, t->data, (size_t)t->bytes);
    f->copies[f->n_copies++] = copy;
    t->data = copy;
    return COP_OK;
}

// ---- tensors --------------------------------------------------------------------------------

static cop_status add_tensor(cop_gguf *g, const cop_folder_config *c, const entry *e, size_t n, size_t first_source) {
    cop_folder *f = g->folder;
    cop_gguf_tensor *t = &g->tensors[g->n_tensors];
    making *m = &f->makings[g->n_tensors];
    if (n > 1 && e->op != COP_FOLDER_STACK)
        return cop_fail(COP_ERR_FORMAT, "tensors %s and %s are both %s", e[0].from->name, e[1].from->name, e->to);
    memcpy(t->name, e->to, sizeof t->name);
    *m = (making){.op = e->op, .heads = e->op == COP_FOLDER_PERMUTE_Q ? c->H : c->G, .first = first_source, .n = n};
    for (size_t i = 0; i < n; i++) f->sources[first_source + i] = e[i].from;
    if (e->op == COP_FOLDER_STACK) COP_TRY(check_stack(e, n));
    if (e->op == COP_FOLDER_PERMUTE_Q || e->op == COP_FOLDER_PERMUTE_K) COP_TRY(check_heads(e->from, m->heads));
    COP_TRY(set_shape(t, e, n));
    COP_TRY(place(f, t, e));
    g->n_tensors++;
    return COP_OK;
}

static int compare_tensors(const void *a, const void *b) {
    return strcmp((*(const cop_gguf_tensor *const *)a)->name, (*(const cop_gguf_tensor *const *)b)->name);
}

// Tensors that the configuration gave; their values are the folder's from here on.
static void add_extra(cop_gguf *g, cop_folder_config *c) {
    cop_folder *f = g->folder;
    for (int i = 0; i < COP_FOLDER_MOST_EXTRA && c->extra[i].name; i++) {
        cop_gguf_tensor *t = &g->tensors[g->n_tensors];
        *t = (cop_gguf_tensor){.n_dims = 1, .dims = {c->extra[i].n, 1, 1, 1}, .type = COP_F32, .bytes = c->extra[i].n * sizeof(float),
                               .data = (const uint8_t *)c->extra[i].v};
        snprintf(t->name, sizeof t->name, "%s", c->extra[i].name);
        f->makings[g->n_tensors++] = (making){.op = COP_FOLDER_AS_IS};
        f->extra[i] = c->extra[i].v;
        c->extra[i].v = NULL;
    }
}

static cop_status check_output(const cop_gguf *g, const cop_folder_config *c) {
    if (!c->tied && cop_gguf_find_tensor(g, "token_embd.weight") && !cop_gguf_find_tensor(g, "output.weight"))
        return cop_fail(COP_ERR_FORMAT, "tensor lm_head.weight is missing, and tie_word_embeddings is not true");
    return COP_OK;
}

static cop_status fill(cop_gguf *g, cop_folder_config *c, const entry_array *list) {
    cop_folder *f = g->folder;
    cop_free(g->tensors);
    cop_free(g->tensors_by_name);
    g->tensors = cop_alloc_array(list->n + COP_FOLDER_MOST_EXTRA, sizeof *g->tensors);
    g->tensors_by_name = cop_alloc_array(list->n + COP_FOLDER_MOST_EXTRA, sizeof *g->tensors_by_name);
    f->makings = cop_alloc_array(list->n + COP_FOLDER_MOST_EXTRA, sizeof *f->makings);
    f->sources = cop_alloc_array(list->n + COP_FOLDER_MOST_EXTRA, sizeof *f->sources);
    f->copies = cop_alloc_array(list->n + COP_FOLDER_MOST_EXTRA, sizeof *f->copies);
    if (!g->tensors || !g->tensors_by_name || !f->makings || !f->sources || !f->copies)
        return cop_fail(COP_ERR_NOMEM, "cannot allocate %zu tensors", list->n);
    for (size_t i = 0; i < list->n;) {
        size_t n = 1;
        while (i + n < list->n && !strcmp(list->v[i].to, list->v[i + n].to)) n++;
        COP_TRY(add_tensor(g, c, &list->v[i], n, i));
        i += n;
    }
    add_extra(g, c);
    for (size_t i = 0; i < g->n_tensors; i++) g->tensors_by_name[i] = &g->tensors[i];
    qsort(g->tensors_by_name, g->n_tensors, sizeof *g->tensors_by_name, compare_tensors);
    return check_output(g, c);
}

// ---- the whole ------------------------------------------------------------------------------

static cop_status join(char path[PATH_BYTES], const char *folder, const char *file) {
    int n = snprintf(path, PATH_BYTES, "%s/%s", folder, file);
    if (n < 0 || n >= PATH_BYTES) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", folder);
    return COP_OK;
}

bool cop_folder_is_model(const char *path) {
    static const char *const weights[] = {"model.safetensors", "model.safetensors.index.json"};
    char file[PATH_BYTES];
    struct stat info;
    if (stat(path, &info) || !S_ISDIR(info.st_mode) || join(file, path, "config.json") || access(file, F_OK)) return false;
    for (int i = 0; i < 2; i++)
        if (!join(file, path, weights[i]) && !access(file, F_OK)) return true;
    return false;
}

// Models for embeddings say in a file of their own how states are pooled; GGUF's numbers are 1 mean, 2 class, 3 last.
static cop_status add_pooling(cop_folder_config *c, const char *path) {
    static const cop_json_limits limits = {1 << 16, 1000, 8};
    static const char *const modes[] = {"pooling_mode_mean_tokens", "pooling_mode_cls_token", "pooling_mode_lasttoken"};
    char file[PATH_BYTES];
    json_t *v;
    bool on = false;
    int i = 0;
    if (join(file, path, "1_Pooling/config.json") || access(file, F_OK)) return COP_OK;
    COP_TRY(cop_json_read(&v, file, &limits));
    cop_status st = COP_OK;
    while (!st && !on && i < 3) st = cop_json_bool(v, modes[i++], false, &on);
    json_decref(v);
    return st || !on ? st : cop_folder_add_int(c, "pooling_type", i);
}

// The keys as a GGUF in memory that owns them.
static cop_status make_keys(cop_gguf **out, cop_folder_config *c, const cop_folder_family **family, const char *config, size_t config_bytes,
                            const char *generation, size_t generation_bytes, const char *name) {
    cop_folder *f = cop_alloc(sizeof *f);
    if (!f) return cop_fail(COP_ERR_NOMEM, "cannot allocate the reader");
    size_t bytes;
    f->path = cop_text_copy(name, strlen(name));
    cop_status st = f->path ? cop_gguf_writer_new(&c->keys, 0) : cop_fail(COP_ERR_NOMEM, "cannot allocate the reader");
    if (!st) st = cop_folder_read_config(c, family, config, config_bytes, generation, generation_bytes);
    if (!st) st = add_pooling(c, name);
    if (!st) st = cop_gguf_writer_bytes(c->keys, &f->keys, &bytes);
    if (!st) st = cop_gguf_from_memory(out, f->keys, bytes, name);
    if (st) cop_folder_free(f);
    else (*out)->folder = f;
    return st;
}

cop_status cop_folder_keys(cop_gguf **out, const char *config, size_t config_bytes, const char *generation, size_t generation_bytes,
                           const char *name) {
    *out = NULL;
    cop_folder_config c = {0};
    const cop_folder_family *family;
    cop_status st = make_keys(out, &c, &family, config, config_bytes, generation, generation_bytes, name);
    cop_folder_config_fini(&c);
    if (st) cop_fail_note("%s", name);
    return st;
}

static cop_status open_weights(cop_gguf *g, cop_folder_config *c, const cop_folder_family *family, const char *path) {
    entry_array list = {.most = 2 * COP_SAFETENSORS_MOST_TENSORS};
    COP_TRY(cop_safetensors_open_folder(&g->folder->files, path));
    cop_status st = list_entries(g->folder, c, family, &list);
    if (!st) st = fill(g, c, &list);
    if (st) cop_fail_note("%s", path);
    cop_array_fini(&list);
    return st;
}

static cop_status open_folder(cop_gguf **out, const char *path, const char *config, size_t config_bytes) {
    char file[PATH_BYTES], *generation = NULL;
    size_t generation_bytes = 0;
    COP_TRY(join(file, path, "generation_config.json"));
    if (!access(file, F_OK)) COP_TRY(cop_file_read(file, MOST_CONFIG, &generation, &generation_bytes));
    cop_folder_config c = {0};
    const cop_folder_family *family;
    cop_gguf *g = NULL;
    cop_status st = make_keys(&g, &c, &family, config, config_bytes, generation, generation_bytes, path);
    if (st) cop_fail_note("%s/config.json", path);
    if (!st) st = open_weights(g, &c, family, path);
    cop_folder_config_fini(&c);
    cop_free(generation);
    if (st) cop_gguf_close(g);
    else *out = g;
    return st;
}

cop_status cop_folder_open(cop_gguf **out, const char *path) {
    char file[PATH_BYTES], *config;
    size_t bytes;
    *out = NULL;
    COP_TRY(join(file, path, "config.json"));
    COP_TRY(cop_file_read(file, MOST_CONFIG, &config, &bytes));
    cop_status st = open_folder(out, path, config, bytes);
    cop_free(config);
    return st;
}

void cop_folder_free(cop_folder *f) {
    if (!f) return;
    for (size_t i = 0; i < f->n_copies; i++) cop_free(f->copies[i]);
    cop_free(f->copies);
    cop_free(f->makings);
    cop_free(f->sources);
    for (int i = 0; i < COP_FOLDER_MOST_EXTRA; i++) cop_free(f->extra[i]);
    cop_free(f->keys);
    cop_free(f->path);
    cop_safetensors_close(f->files);
    cop_free(f);
}

const cop_safetensors *cop_folder_tensors(const cop_gguf *g) { return g->folder ? g->folder->files : NULL; }
const char *cop_folder_path(const cop_folder *f) { return f->path; }
size_t cop_folder_n_maps(const cop_folder *f) { return f->files ? cop_safetensors_n_shards(f->files) : 0; }
const cop_map *cop_folder_map(const cop_folder *f, size_t i) { return f->files ? cop_safetensors_map(f->files, i) : NULL; }

// ---- bytes that are made --------------------------------------------------------------------

// Row r of a head's halves [2][n] goes to pair r % n, place r / n.
static void permute(uint8_t *out, source t, int64_t heads) {
    size_t rows = (size_t)t->dims[0], row_bytes = (size_t)t->bytes / rows, per_head = rows / (size_t)heads, half = per_head / 2;
    for (size_t h = 0; h < (size_t)heads; h++)
        for (size_t r = 0; r < per_head; r++)
            memcpy(out + (h * per_head + 2 * (r % half) + r / half) * row_bytes, t->data + (h * per_head + r) * row_bytes, row_bytes);
}

static void transpose(uint8_t *out, source t) {
    size_t rows = (size_t)t->dims[0], cols = (size_t)t->dims[1], width = (size_t)t->bytes / rows / cols;
    for (size_t block = 0; block < cols; block += 32)  // so that the lines written to stay in the cache
        for (size_t r = 0; r < rows; r++)
            for (size_t c = block; c < cols && c < block + 32; c++) memcpy(out + (c * rows + r) * width, t->data + (r * cols + c) * width, width);
}

static float half_value(uint16_t h) {
    uint32_t bits, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    float x = (float)fraction * 0x1p-24f;
    if (exponent) {
        bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
        memcpy(&x, &bits, sizeof x);
    }
    return h & 0x8000 ? -x : x;
}

static float value_at(source t, size_t i) {
    uint32_t bits;
    uint16_t half;
    float x;
    if (t->type == COP_F32) {
        memcpy(&x, t->data + 4 * i, 4);
        return x;
    }
    memcpy(&half, t->data + 2 * i, 2);
    if (t->type == COP_F16) return half_value(half);
    bits = (uint32_t)half << 16;
    memcpy(&x, &bits, 4);
    return x;
}

cop_status cop_folder_make(const cop_folder *f, const cop_gguf *g, const cop_gguf_tensor *t, uint8_t *data) {
    const making *m = &f->makings[t - g->tensors];
    const source *from = f->sources + m->first;
    switch (m->op) {
    case COP_FOLDER_PERMUTE_Q:
    case COP_FOLDER_PERMUTE_K: permute(data, *from, m->heads); return COP_OK;
    case COP_FOLDER_TRANSPOSE: transpose(data, *from); return COP_OK;
    case COP_FOLDER_PLUS_ONE:
        for (size_t i = 0; i < t->bytes / sizeof(float); i++) ((float *)(void *)data)[i] = value_at(*from, i) + 1.0f;
        return COP_OK;
    case COP_FOLDER_STACK:
        for (size_t i = 0; i < m->n; i++) memcpy(data + i * (size_t)from[i]->bytes, from[i]->data, (size_t)from[i]->bytes);
        return COP_OK;
    default: return cop_fail(COP_ERR_FORMAT, "tensor %s: nothing to make it from", t->name);
    }
}

void cop_folder_forget(const cop_folder *f, const cop_gguf *g, const cop_gguf_tensor *t) {
    if (t < g->tensors || t >= g->tensors + g->n_tensors) return;  // a caller's own
    const making *m = &f->makings[t - g->tensors];
    for (size_t i = 0; i < m->n; i++) {
        source from = f->sources[m->first + i];
        cop_map_forget(from->map, (size_t)(from->data - from->map->data), (size_t)from->bytes);
    }
}

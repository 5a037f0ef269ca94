// Tensors over safetensors files: one, or several of a stated size with model.safetensors.index.json, each tensor whole
// in one of them, in the order of the list.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "format/safetensors_write.h"
#include "surgery/conversion_private.h"

#define SHARD_BYTES ((uint64_t)5000000000)  // what the library's files have at most
#define MOST_SHARDS 9999

typedef struct plan {
    cop_conversion *c;
    const char *folder;
    const cop_convert_item *items;
    size_t n;
    int *shards;           // [n]
    int n_shards;
    cop_gguf_source *source;
    void *user;
    COP_ARRAY(size_t) in;  // items of the shard that is written
} plan;

static cop_status bytes_of(const cop_convert_item *t, uint64_t *bytes) {
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(n, t->dims[i], &n)) return cop_fail(COP_ERR_FORMAT, "tensor %s: size overflows", t->name);
    return cop_dtype_bytes(t->type, n, bytes);
}

static cop_status share_out(plan *p) {
    uint64_t most = p->c->options->shard_bytes ? p->c->options->shard_bytes : SHARD_BYTES, used = 0, bytes;
    p->n_shards = 1;
    for (size_t i = 0; i < p->n; i++) {
        COP_TRY(bytes_of(&p->items[i], &bytes));
        if (used && bytes > most - used) {
            p->n_shards++;
            used = 0;
        }
        p->shards[i] = p->n_shards - 1;
        used = bytes > most - used ? most : used + bytes;
        p->c->total += bytes;
    }
    if (p->n_shards > MOST_SHARDS) return cop_fail(COP_ERR_LIMIT, "%d files, at most %d: larger ones are needed", p->n_shards, MOST_SHARDS);
    return COP_OK;
}

static void file_name(const plan *p, int shard, char name[64]) {
    if (p->n_shards == 1) snprintf(name, 64, "model.safetensors");
    else snprintf(name, 64, "model-%05d-of-%05d.safetensors", shard + 1, p->n_shards);
}

static cop_status source_of_shard(void *user, size_t i, cop_gguf_put *put, void *sink) {
    const plan *p = user;
    return p->source(p->user, p->in.v[i], put, sink);
}

// Four-byte elements before two-byte ones, so that all lie on boundaries of their own.
static cop_status list_shard(plan *p, int shard, cop_safetensors_writer *w) {
    p->in.n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < p->n; i++) {
            const cop_convert_item *t = &p->items[i];
            if (p->shards[i] != shard || (t->type == COP_F32) != (pass == 0)) continue;
            COP_TRY(cop_safetensors_add(w, t->name, t->type, t->n_dims, t->dims));
            COP_TRY(cop_array_push(&p->in, i));
        }
    return COP_OK;
}

static cop_status write_shard(plan *p, int shard) {
    char path[COP_CONVERT_PATH], name[64];
    cop_safetensors_writer *w;
    file_name(p, shard, name);
    COP_TRY(cop_convert_join(path, p->folder, name));
    COP_TRY(cop_safetensors_writer_new(&w));
    cop_status st = list_shard(p, shard, w);
    if (!st) st = cop_safetensors_writer_save(w, path, source_of_shard, p);
    cop_safetensors_writer_free(w);
    return st;
}

static cop_status write_index(const plan *p) {
    json_t *map = json_object(), *index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)p->c->total, "weight_map", map);
    cop_status st = index ? COP_OK : cop_fail(COP_ERR_NOMEM, "the index: cannot allocate");
    for (size_t i = 0; !st && i < p->n; i++) {
        char name[64];
        file_name(p, p->shards[i], name);
        if (json_object_get(map, p->items[i].name)) st = cop_fail(COP_ERR_FORMAT, "tensor %s: twice", p->items[i].name);
        else if (json_object_set_new(map, p->items[i].name, json_string(name))) st = cop_fail(COP_ERR_NOMEM, "the index: cannot allocate");
    }
    if (!st) st = cop_convert_write_json(p->folder, "model.safetensors.index.json", index, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(index);
    return st;
}

cop_status cop_convert_shards(cop_conversion *c, const char *folder, const char *final, const cop_convert_item *items, size_t n, cop_gguf_source *source,
                              void *user) {
    plan p = {.c = c, .folder = folder, .items = items, .n = n, .source = source, .user = user, .in.most = n + 1};
    c->total = 0;
    p.shards = cop_alloc_array(n, sizeof *p.shards);
    cop_status st = p.shards ? share_out(&p) : cop_fail(COP_ERR_NOMEM, "%zu tensors: cannot allocate", n);
    if (!st) st = cop_convert_room(c, final);
    for (int i = 0; !st && i < p.n_shards; i++) st = write_shard(&p, i);
    if (!st && p.n_shards > 1) st = write_index(&p);
    cop_array_fini(&p.in);
    cop_free(p.shards);
    return st;
}

// Fuzzer of the GGUF reader.  Whatever opens is read to the last byte that the interface hands out,
// has to keep the promises of format/gguf.h, and has to survive being written and read again.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/gguf.h"
#include "format/gguf_write.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static volatile uint8_t sink;

static void touch(const void *p, size_t bytes) {
    if (!bytes) return;
    sink = ((const uint8_t *)p)[0];
    sink = ((const uint8_t *)p)[bytes / 2];
    sink = ((const uint8_t *)p)[bytes - 1];
}

static void read_array(const cop_gguf_array *a) {
    size_t n = a->n < 200 ? a->n : 200;
    for (size_t k = 0; k < n; k++) {
        size_t i = k < 100 ? k : a->n - 1 - (k - 100), text_bytes;  // both ends
        const char *text = cop_gguf_text(a, i, &text_bytes);
        touch(text, text_bytes);
        sink = (uint8_t)cop_gguf_int(a, i);
        must(cop_gguf_float(a, i) == 0 || a->type == COP_GGUF_F32 || a->type == COP_GGUF_F64);
    }
}

static void read_key(const cop_gguf *g, size_t i) {
    char line[80], key[65536];
    cop_gguf_entry e;
    cop_gguf_key(g, i, &e);
    memcpy(key, e.name, e.name_bytes);
    key[e.name_bytes] = '\0';
    must(strlen(key) == e.name_bytes && cop_gguf_type_of(g, key) == e.type);
    cop_gguf_print(g, i, line, sizeof line);
    must(strlen(line) < sizeof line);
    uint32_t u, each[4];
    int64_t n;
    float f;
    bool b;
    const char *text;
    size_t text_bytes;
    if (!cop_gguf_get_u32(g, key, &u)) must(!cop_gguf_get_i64(g, key, &n) && n == (int64_t)u);
    if (!cop_gguf_get_f32(g, key, &f)) must(f - f == 0);
    if (!cop_gguf_get_bool(g, key, &b)) must(e.type == COP_GGUF_BOOL);
    if (!cop_gguf_get_text(g, key, &text, &text_bytes)) touch(text, text_bytes);
    if (!cop_gguf_get_u32_each(g, key, each, 4)) sink = (uint8_t)each[3];
    for (int kind = COP_GGUF_INTS; kind <= COP_GGUF_TEXTS; kind++) {
        cop_gguf_array a;
        if (!cop_gguf_get_array(g, key, (cop_gguf_kind)kind, &a)) read_array(&a);
    }
}

static void read_tensor(const cop_gguf *g, size_t i) {
    const cop_map *map = cop_gguf_map(g);
    const cop_gguf_tensor *t = cop_gguf_tensor_at(g, i);
    must(cop_gguf_find_tensor(g, t->name) == t && cop_dtype_get(t->type) && t->n_dims >= 1 && t->n_dims <= 4);
    must(t->data == map->data + t->offset && t->bytes > 0 && t->offset % 8 == 0);
    must(t->offset < map->bytes && t->bytes <= map->bytes - t->offset);
    touch(t->data, (size_t)t->bytes);
    for (size_t k = 0; k < i; k++) {
        const cop_gguf_tensor *other = cop_gguf_tensor_at(g, k);
        must(other->offset + other->bytes <= t->offset || t->offset + t->bytes <= other->offset);
    }
}

static cop_status copy_key(cop_gguf_writer *w, const cop_gguf *g, size_t i) {
    char key[65536];
    cop_gguf_entry e;
    cop_gguf_key(g, i, &e);
    memcpy(key, e.name, e.name_bytes);
    key[e.name_bytes] = '\0';
    if (strcmp(key, "general.alignment") == 0) return COP_OK;
    int64_t n;
    float f;
    const char *text;
    size_t text_bytes;
    if (e.type == COP_GGUF_ARRAY && e.array.type != COP_GGUF_TEXT)
        return cop_gguf_add_array(w, key, e.array.type, e.array.data, e.array.n);
    if (!cop_gguf_get_i64(g, key, &n)) return cop_gguf_add_int(w, key, e.type, n);
    if (!cop_gguf_get_f32(g, key, &f)) return cop_gguf_add_f32(w, key, f);
    if (!cop_gguf_get_text(g, key, &text, &text_bytes)) return cop_gguf_add_text(w, key, text, text_bytes);
    return COP_OK;
}

static void round_trip(const cop_gguf *g) {
    cop_gguf_writer *w;
    uint8_t *data;
    size_t bytes;
    must(!cop_gguf_writer_new(&w, cop_gguf_has(g, "general.alignment") ? cop_gguf_alignment(g) : 0));
    for (size_t i = 0; i < cop_gguf_n_keys(g); i++) must(!copy_key(w, g, i));
    for (size_t i = 0; i < cop_gguf_n_tensors(g); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(g, i);
        must(!cop_gguf_add_tensor(w, t->name, t->type, t->n_dims, t->dims, t->data));
    }
    must(!cop_gguf_writer_bytes(w, &data, &bytes));
    cop_gguf *again;
    must(!cop_gguf_from_memory(&again, data, bytes, "again"));
    must(cop_gguf_n_tensors(again) == cop_gguf_n_tensors(g) && cop_gguf_alignment(again) == cop_gguf_alignment(g));
    for (size_t i = 0; i < cop_gguf_n_tensors(g); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(g, i), *u = cop_gguf_tensor_at(again, i);
        must(strcmp(t->name, u->name) == 0 && t->bytes == u->bytes && memcmp(t->data, u->data, (size_t)t->bytes) == 0);
    }
    cop_gguf_close(again);
    cop_free(data);
    cop_gguf_writer_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    cop_gguf *g;
    cop_status st = cop_gguf_from_memory(&g, data, bytes, "fuzz");
    if (st) {
        must(!g && *cop_error_text());
        return 0;
    }
    for (size_t i = 0; i < cop_gguf_n_keys(g); i++) read_key(g, i);
    for (size_t i = 0; i < cop_gguf_n_tensors(g); i++) read_tensor(g, i);
    if (bytes <= 16384 && cop_gguf_alignment(g) <= 4096) round_trip(g);
    cop_gguf_close(g);
    return 0;
}

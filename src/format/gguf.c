// Opening and closing a GGUF file: magic, version, counts, alignment.
// The entries are read by gguf_keys.c and gguf_tensors.c.
#include "format/gguf.h"

#include <string.h>

#include "base/alloc.h"
#include "format/folder_private.h"
#include "format/gguf_private.h"

static cop_status check_magic(const cop_map *map) {
    const uint8_t *p = map->data;
    if (map->bytes >= 4 && memcmp(p, "GGUF", 4) == 0) return COP_OK;
    if (map->bytes < 4) return cop_fail(COP_ERR_FORMAT, "header: %zu bytes, need %d", map->bytes, COP_GGUF_HEADER_BYTES);
    if (memcmp(p, "FUGG", 4) == 0)
        return cop_fail(COP_ERR_UNSUPPORTED, "header: a big-endian GGUF file, need little endian");
    if (memcmp(p, "vers", 4) == 0)
        return cop_fail(COP_ERR_FORMAT, "header: begins with \"vers\", perhaps a Git LFS pointer; need \"GGUF\"");
    return cop_fail(COP_ERR_FORMAT, "header: begins with bytes %02x %02x %02x %02x, need 47 47 55 46 (\"GGUF\")", p[0], p[1],
                    p[2], p[3]);
}

static cop_status check_version(uint32_t version) {
    if (version == 2 || version == 3) return COP_OK;
    if (version == 1)
        return cop_fail(COP_ERR_UNSUPPORTED, "header: version 1 (32-bit counts), need 2 or 3: convert the model again");
    if (version && !(version & 0xffff))
        return cop_fail(COP_ERR_UNSUPPORTED, "header: version %u reads as a big-endian file, need little endian", version);
    return cop_fail(COP_ERR_UNSUPPORTED, "header: version %u, need 2 or 3", version);
}

static cop_status read_alignment(cop_gguf *g) {
    const char *key = "general.alignment";
    g->alignment = 32;
    cop_gguf_type type = cop_gguf_type_of(g, key);
    if (type == COP_GGUF_NONE) return COP_OK;
    if (type != COP_GGUF_U32) return cop_fail(COP_ERR_FORMAT, "key %s: type %s, need u32", key, cop_gguf_type_name(type));
    uint32_t a;
    COP_TRY(cop_gguf_get_u32(g, key, &a));
    if (a < 8 || a > COP_GGUF_MOST_ALIGNMENT || (a & (a - 1)))
        return cop_fail(COP_ERR_FORMAT, "key %s: %u, need a power of two from 8 to %u", key, a, COP_GGUF_MOST_ALIGNMENT);
    g->alignment = a;
    return COP_OK;
}

static cop_status read_file(cop_gguf *g) {
    COP_TRY(check_magic(&g->map));
    cop_cursor c = {.data = g->map.data, .bytes = g->map.bytes, .at = 4};
    g->version = cop_cursor_u32(&c);
    if (!c.failed) COP_TRY(check_version(g->version));
    uint64_t n_tensors = cop_cursor_u64(&c), n_keys = cop_cursor_u64(&c);
    if (c.failed) return cop_fail(COP_ERR_FORMAT, "header: %zu bytes, need %d", g->map.bytes, COP_GGUF_HEADER_BYTES);
    COP_TRY(cop_gguf_check_count(&c, "keys", n_keys, COP_GGUF_LEAST_KEY, COP_GGUF_MOST_KEYS));
    COP_TRY(cop_gguf_read_keys(g, &c, n_keys));
    COP_TRY(read_alignment(g));
    return cop_gguf_read_tensors(g, &c, n_tensors);
}

// Everything but the map, which the caller has put into g.
static cop_status finish(cop_gguf **out, cop_gguf *g, const char *name) {
    g->name = cop_text_copy(name, strlen(name));
    cop_status st = g->name ? read_file(g) : cop_fail(COP_ERR_NOMEM, "cannot allocate the reader");
    if (st) {
        cop_fail_note("%s", name);
        cop_gguf_close(g);
        return st;
    }
    *out = g;
    return COP_OK;
}

cop_status cop_gguf_open_file(cop_gguf **out, const char *path) {
    *out = NULL;
    cop_gguf *g = cop_alloc(sizeof *g);
    if (!g) return cop_fail(COP_ERR_NOMEM, "cannot allocate the reader; %s", path);
    g->mapped = true;
    cop_status st = cop_map_open(&g->map, path);  // names the path itself
    if (st) {
        cop_gguf_close(g);
        return st;
    }
    return finish(out, g, path);
}

cop_status cop_gguf_open(cop_gguf **out, const char *path) {
    *out = NULL;
    if (cop_folder_is_model(path)) return cop_folder_open(out, path);
    COP_TRY(cop_gguf_open_file(out, path));
    cop_status st = cop_gguf_join_parts(*out);
    if (st) {
        cop_gguf_close(*out);
        *out = NULL;
    }
    return st;
}

cop_status cop_gguf_from_memory(cop_gguf **out, const void *data, size_t bytes, const char *name) {
    *out = NULL;
    cop_gguf *g = cop_alloc(sizeof *g);
    if (!g) return cop_fail(COP_ERR_NOMEM, "cannot allocate the reader; %s", name);
    g->map = (cop_map){.data = data, .bytes = bytes};
    return finish(out, g, name);
}

void cop_gguf_close(cop_gguf *g) {
    if (!g) return;
    cop_gguf_free_tensors(g);
    cop_gguf_free_keys(g);
    cop_gguf_free_parts(g);
    cop_free(g->name);
    if (g->mapped) cop_map_close(&g->map);
    cop_folder_free(g->folder);  // last: the keys lie in its memory
    cop_free(g);
}

const char *cop_gguf_name(const cop_gguf *g) { return g->name; }
const cop_map *cop_gguf_map(const cop_gguf *g) { return &g->map; }
uint32_t cop_gguf_version(const cop_gguf *g) { return g->version; }
uint32_t cop_gguf_alignment(const cop_gguf *g) { return g->alignment; }
uint64_t cop_gguf_data_start(const cop_gguf *g) { return g->data_start; }

// ---- what is behind it ----------------------------------------------------------------------

const char *cop_gguf_folder(const cop_gguf *g) { return g->folder ? cop_folder_path(g->folder) : NULL; }
size_t cop_gguf_n_maps(const cop_gguf *g) { return g->folder ? cop_folder_n_maps(g->folder) : 1 + g->n_parts; }

const cop_map *cop_gguf_map_at(const cop_gguf *g, size_t i) {
    if (g->folder) return cop_folder_map(g->folder, i);
    return !i ? &g->map : i <= g->n_parts ? &g->parts[i - 1]->map : NULL;
}

const uint8_t *cop_gguf_meta(const cop_gguf *g, size_t *bytes) {
    *bytes = g->data_start < g->map.bytes ? (size_t)g->data_start : g->map.bytes;
    return g->map.data;
}

cop_status cop_gguf_read(const cop_gguf *g, const cop_gguf_tensor *t, const uint8_t **data) {
    *data = t->data;
    if (t->data) return COP_OK;
    uint8_t *made = cop_pages_alloc((size_t)t->bytes);
    if (!made) return cop_fail(COP_ERR_NOMEM, "tensor %s: cannot allocate %llu bytes; %s", t->name, (unsigned long long)t->bytes, g->name);
    cop_status st = cop_folder_make(g->folder, g, t, made);
    if (st) cop_pages_free(made, (size_t)t->bytes);
    else *data = made;
    return st;
}

void cop_gguf_release(const cop_gguf *g, const cop_gguf_tensor *t, const uint8_t *data) {
    if (data && data != t->data) cop_pages_free((void *)(uintptr_t)data, (size_t)t->bytes);
    if (g->folder) cop_folder_forget(g->folder, g, t);
    else cop_map_forget(cop_gguf_map_of(g, t), (size_t)t->offset, (size_t)t->bytes);
}

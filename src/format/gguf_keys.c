// The key entries of a GGUF file: name, type, value.  A value is only measured and left where it is;
// the one thing built is an index over the texts of a long array, so that text i is found in O(1).
// Every count is compared with the bytes that are left before anything is allocated for it.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/gguf_private.h"


typedef unsigned long long ull;

cop_status cop_gguf_check_count(const cop_cursor *c, const char *what, uint64_t n, size_t least, size_t most) {
    size_t fit = cop_cursor_left(c) / least;
    if (n > fit)
        return cop_fail(COP_ERR_FORMAT, "header: %llu %s, but the %zu bytes from byte %zu on hold at most %zu", (ull)n, what,
                        cop_cursor_left(c), c->at, fit);
    if (n > most) return cop_fail(COP_ERR_LIMIT, "header: %llu %s, at most %zu", (ull)n, what, most);
    return COP_OK;
}

cop_status cop_gguf_read_name(cop_cursor *c, const char *what, size_t i, size_t most, const char **name, size_t *bytes) {
    size_t at = c->at;
    uint64_t n = cop_cursor_u64(c);
    if (!c->failed && (n == 0 || n > most))
        return cop_fail(COP_ERR_FORMAT, "%s %zu at byte %zu: name of %llu bytes, need 1 to %zu", what, i, at, (ull)n, most);
    const uint8_t *p = cop_cursor_take(c, n);
    if (!p) return cop_fail(COP_ERR_FORMAT, "%s %zu at byte %zu: the file ends inside its name", what, i, at);
    for (size_t k = 0; k < n; k++)
        if (p[k] < 0x20 || p[k] > 0x7e)
            return cop_fail(COP_ERR_FORMAT, "%s %zu at byte %zu: byte 0x%02x at place %zu of its name, need printable ASCII",
                            what, i, at, p[k], k);
    *name = (const char *)p;
    *bytes = (size_t)n;
    return COP_OK;
}

// How much of a name a message repeats.
static int shown(const cop_gguf_value *v) { return v->name_bytes < 80 ? (int)v->name_bytes : 80; }

static cop_status fail_cut(const cop_cursor *c, const cop_gguf_value *v, const char *part, ull bytes) {
    return cop_fail(COP_ERR_FORMAT, "key %.*s: %s needs %llu bytes, the file ends %zu bytes after byte %zu", shown(v),
                    v->name, part, bytes, c->bytes - c->at, c->at);
}

static cop_status check_bools(const cop_gguf_value *v, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] > 1)
            return cop_fail(COP_ERR_FORMAT, "key %.*s: bool %zu is %u, need 0 or 1", shown(v), v->name, i, p[i]);
    return COP_OK;
}

// Walks over the texts of an array: O(n) steps, one page touched per step at most.
static cop_status read_texts(cop_cursor *c, cop_gguf_value *v) {
    cop_gguf_array *a = &v->array;
    uint64_t *index = NULL;
    size_t start = c->at;
    if (a->n > COP_GGUF_INDEX_STRIDE) {
        index = cop_alloc_array(a->n / COP_GGUF_INDEX_STRIDE + 1, sizeof *index);
        if (!index)
            return cop_fail(COP_ERR_NOMEM, "key %.*s: cannot allocate an index of %zu texts", shown(v), v->name, a->n);
        a->index = index;
    }
    a->data = c->data + c->at;
    for (size_t i = 0; i < a->n; i++) {
        size_t at = c->at;
        if (index && i % COP_GGUF_INDEX_STRIDE == 0) index[i / COP_GGUF_INDEX_STRIDE] = at - start;
        uint64_t bytes = cop_cursor_u64(c);
        if (!cop_cursor_take(c, bytes))
            return cop_fail(COP_ERR_FORMAT, "key %.*s: text %zu at byte %zu has %llu bytes, the file ends at byte %zu",
                            shown(v), v->name, i, at, (ull)bytes, c->bytes);
    }
    return COP_OK;
}

static cop_status read_array(cop_cursor *c, cop_gguf_value *v) {
    uint32_t type = cop_cursor_u32(c);
    uint64_t n = cop_cursor_u64(c);
    if (c->failed) return fail_cut(c, v, "the head of an array", 12);
    if (type == COP_GGUF_ARRAY)
        return cop_fail(COP_ERR_UNSUPPORTED, "key %.*s: an array of arrays, need numbers or texts", shown(v), v->name);
    if (type >= COP_GGUF_N_TYPES)
        return cop_fail(COP_ERR_FORMAT, "key %.*s: array of type %u, types are 0 to %d", shown(v), v->name, type,
                        COP_GGUF_N_TYPES - 1);
    size_t width = type == COP_GGUF_TEXT ? 8 : cop_gguf_type_bytes((cop_gguf_type)type);
    if (n > cop_cursor_left(c) / width)
        return cop_fail(COP_ERR_FORMAT, "key %.*s: array of %llu %s, but only %zu bytes follow byte %zu", shown(v),
                        v->name, (ull)n, cop_gguf_type_name(type), cop_cursor_left(c), c->at);
    v->array.type = (cop_gguf_type)type;
    v->array.n = (size_t)n;
    if (type == COP_GGUF_TEXT) return read_texts(c, v);
    v->array.data = cop_cursor_take(c, n * width);
    return type == COP_GGUF_BOOL ? check_bools(v, v->array.data, v->array.n) : COP_OK;
}

static cop_status read_value(cop_cursor *c, cop_gguf_value *v) {
    uint32_t type = cop_cursor_u32(c);
    if (c->failed) return fail_cut(c, v, "its type", 4);
    if (type >= COP_GGUF_N_TYPES)
        return cop_fail(COP_ERR_FORMAT, "key %.*s: type %u, types are 0 to %d", shown(v), v->name, type,
                        COP_GGUF_N_TYPES - 1);
    v->type = (cop_gguf_type)type;
    if (v->type == COP_GGUF_ARRAY) return read_array(c, v);
    uint64_t bytes = cop_gguf_type_bytes(v->type);
    if (v->type == COP_GGUF_TEXT) {
        bytes = cop_cursor_u64(c);
        if (c->failed) return fail_cut(c, v, "the length of a text", 8);
    }
    v->data = cop_cursor_take(c, bytes);
    if (!v->data) return fail_cut(c, v, cop_gguf_type_name(type), (ull)bytes);
    v->bytes = (size_t)bytes;
    return v->type == COP_GGUF_BOOL ? check_bools(v, v->data, 1) : COP_OK;
}

static int compare_names(const void *a, const void *b) {
    const cop_gguf_value *x = *(const cop_gguf_value *const *)a, *y = *(const cop_gguf_value *const *)b;
    int order = memcmp(x->name, y->name, x->name_bytes < y->name_bytes ? x->name_bytes : y->name_bytes);
    if (order) return order;
    return x->name_bytes < y->name_bytes ? -1 : x->name_bytes > y->name_bytes;
}

// Sorted rather than hashed: nobody can craft names that make it slow.
static cop_status sort_names(cop_gguf *g) {
    g->values_by_name = cop_alloc_array(g->n_values, sizeof *g->values_by_name);
    if (!g->values_by_name) return cop_fail(COP_ERR_NOMEM, "cannot allocate the order of %zu keys", g->n_values);
    for (size_t i = 0; i < g->n_values; i++) g->values_by_name[i] = &g->values[i];
    qsort(g->values_by_name, g->n_values, sizeof *g->values_by_name, compare_names);
    for (size_t i = 1; i < g->n_values; i++) {
        const cop_gguf_value *v = g->values_by_name[i];
        if (compare_names(&g->values_by_name[i - 1], &g->values_by_name[i]) == 0)
            return cop_fail(COP_ERR_FORMAT, "key %.*s: is there twice, need once", shown(v), v->name);
    }
    return COP_OK;
}

cop_status cop_gguf_read_keys(cop_gguf *g, cop_cursor *c, uint64_t n) {
    g->values = cop_alloc_array((size_t)n, sizeof *g->values);
    if (!g->values) return cop_fail(COP_ERR_NOMEM, "cannot allocate %llu keys", (ull)n);
    for (size_t i = 0; i < n; i++) {
        cop_gguf_value *v = &g->values[i];
        g->n_values = i + 1;  // so that a half-read one is freed
        COP_TRY(cop_gguf_read_name(c, "key", i, COP_GGUF_MOST_KEY_NAME, &v->name, &v->name_bytes));
        COP_TRY(read_value(c, v));
    }
    return sort_names(g);
}

void cop_gguf_free_keys(cop_gguf *g) {
    for (size_t i = 0; i < g->n_values; i++) cop_free((void *)(uintptr_t)g->values[i].array.index);
    cop_free(g->values);
    cop_free(g->values_by_name);
}

// Values of a GGUF file by key: typed, never converted between kinds, in range or refused.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/gguf_private.h"

static const struct { const char *name; size_t bytes; } types[COP_GGUF_N_TYPES] = {
    [COP_GGUF_U8] = {"u8", 1},     [COP_GGUF_I8] = {"i8", 1},     [COP_GGUF_U16] = {"u16", 2},
    [COP_GGUF_I16] = {"i16", 2},   [COP_GGUF_U32] = {"u32", 4},   [COP_GGUF_I32] = {"i32", 4},
    [COP_GGUF_F32] = {"f32", 4},   [COP_GGUF_BOOL] = {"bool", 1}, [COP_GGUF_TEXT] = {"text", 0},
    [COP_GGUF_ARRAY] = {"array", 0}, [COP_GGUF_U64] = {"u64", 8}, [COP_GGUF_I64] = {"i64", 8},
    [COP_GGUF_F64] = {"f64", 8},
};

const char *cop_gguf_type_name(uint32_t type) { return type < COP_GGUF_N_TYPES ? types[type].name : "unknown"; }
size_t cop_gguf_type_bytes(cop_gguf_type type) { return type < COP_GGUF_N_TYPES ? types[type].bytes : 0; }

const cop_gguf_value *cop_gguf_find_value(const cop_gguf *g, const char *key) {
    size_t n = strlen(key), low = 0, high = g->n_values;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const cop_gguf_value *v = g->values_by_name[middle];
        int order = memcmp(key, v->name, n < v->name_bytes ? n : v->name_bytes);
        if (order == 0 && n == v->name_bytes) return v;
        if (order < 0 || (order == 0 && n < v->name_bytes)) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

bool cop_gguf_has(const cop_gguf *g, const char *key) { return cop_gguf_find_value(g, key) != NULL; }

cop_gguf_type cop_gguf_type_of(const cop_gguf *g, const char *key) {
    const cop_gguf_value *v = cop_gguf_find_value(g, key);
    return v ? v->type : COP_GGUF_NONE;
}

// ---- numbers --------------------------------------------------------------------------------

static uint64_t load(const uint8_t *p, size_t bytes) {
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static float load_f32(const uint8_t *p) {
    uint32_t bits = (uint32_t)load(p, 4);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static double load_f64(const uint8_t *p) {
    uint64_t bits = load(p, 8);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static bool is_integer(cop_gguf_type type) {
    return type <= COP_GGUF_I32 || type == COP_GGUF_U64 || type == COP_GGUF_I64;
}

// An integer or bool; u64 is seen as two's complement, so one above INT64_MAX comes out negative.
static int64_t load_int(cop_gguf_type type, const uint8_t *p) {
    uint64_t v = load(p, types[type].bytes);
    switch (type) {
    case COP_GGUF_I8: return (int8_t)v;
    case COP_GGUF_I16: return (int16_t)v;
    case COP_GGUF_I32: return (int32_t)v;
    default: return (int64_t)v;
    }
}

static double load_float(cop_gguf_type type, const uint8_t *p) {
    return type == COP_GGUF_F32 ? (double)load_f32(p) : load_f64(p);
}

// ---- getters --------------------------------------------------------------------------------

static cop_status fail_missing(const cop_gguf *g, const char *key) {
    return cop_fail(COP_ERR_FORMAT, "key %s is missing; %s", key, g->name);
}

static cop_status fail_type(const cop_gguf *g, const char *key, const cop_gguf_value *v, const char *want) {
    return cop_fail(COP_ERR_FORMAT, "key %s: type %s%s, need %s; %s", key,
                    v->type == COP_GGUF_ARRAY ? "array of " : "",
                    cop_gguf_type_name(v->type == COP_GGUF_ARRAY ? v->array.type : v->type), want, g->name);
}

static cop_status fail_range(const cop_gguf *g, const char *key, cop_gguf_type type, int64_t v, const char *want) {
    if (type == COP_GGUF_U64)
        return cop_fail(COP_ERR_FORMAT, "key %s: %llu, need %s; %s", key, (unsigned long long)v, want, g->name);
    return cop_fail(COP_ERR_FORMAT, "key %s: %lld, need %s; %s", key, (long long)v, want, g->name);
}

static bool fits_u32(cop_gguf_type type, int64_t v) {
    return type == COP_GGUF_U64 ? (uint64_t)v <= UINT32_MAX : v >= 0 && v <= (int64_t)UINT32_MAX;
}

static cop_status u32_of(const cop_gguf *g, const char *key, const cop_gguf_value *v, uint32_t *out) {
    if (!is_integer(v->type)) return fail_type(g, key, v, "an integer");
    int64_t n = load_int(v->type, v->data);
    if (!fits_u32(v->type, n)) return fail_range(g, key, v->type, n, "0 to 4294967295");
    *out = (uint32_t)n;
    return COP_OK;
}

static cop_status i64_of(const cop_gguf *g, const char *key, const cop_gguf_value *v, int64_t *out) {
    if (!is_integer(v->type)) return fail_type(g, key, v, "an integer");
    int64_t n = load_int(v->type, v->data);
    if (v->type == COP_GGUF_U64 && n < 0) return fail_range(g, key, v->type, n, "at most 9223372036854775807");
    *out = n;
    return COP_OK;
}

static cop_status f32_of(const cop_gguf *g, const char *key, const cop_gguf_value *v, float *out) {
    if (v->type != COP_GGUF_F32 && v->type != COP_GGUF_F64) return fail_type(g, key, v, "f32 or f64");
    double d = load_float(v->type, v->data);
    if (!isfinite(d) || fabs(d) > 3.4028234663852886e38)
        return cop_fail(COP_ERR_FORMAT, "key %s: %g, need a finite number in the range of f32; %s", key, d, g->name);
    *out = (float)d;
    return COP_OK;
}

static cop_status bool_of(const cop_gguf *g, const char *key, const cop_gguf_value *v, bool *out) {
    if (v->type != COP_GGUF_BOOL) return fail_type(g, key, v, "bool");
    *out = *v->data != 0;
    return COP_OK;
}

static cop_status text_of(const cop_gguf *g, const char *key, const cop_gguf_value *v, const char **out, size_t *bytes) {
    if (v->type != COP_GGUF_TEXT) return fail_type(g, key, v, "text");
    *out = (const char *)v->data;
    *bytes = v->bytes;
    return COP_OK;
}

#define DEFINE_GETTERS(name, T)                                                                       \
    cop_status cop_gguf_get_##name(const cop_gguf *g, const char *key, T *out) {                      \
        const cop_gguf_value *v = cop_gguf_find_value(g, key);                                        \
        return v ? name##_of(g, key, v, out) : fail_missing(g, key);                                  \
    }                                                                                                 \
    cop_status cop_gguf_get_##name##_or(const cop_gguf *g, const char *key, T fallback, T *out) {     \
        const cop_gguf_value *v = cop_gguf_find_value(g, key);                                        \
        if (v) return name##_of(g, key, v, out);                                                      \
        *out = fallback;                                                                              \
        return COP_OK;                                                                                \
    }
DEFINE_GETTERS(u32, uint32_t)
DEFINE_GETTERS(i64, int64_t)
DEFINE_GETTERS(f32, float)
DEFINE_GETTERS(bool, bool)

cop_status cop_gguf_get_text(const cop_gguf *g, const char *key, const char **out, size_t *bytes) {
    const cop_gguf_value *v = cop_gguf_find_value(g, key);
    return v ? text_of(g, key, v, out, bytes) : fail_missing(g, key);
}

cop_status cop_gguf_get_text_or(const cop_gguf *g, const char *key, const char *fallback, const char **out, size_t *bytes) {
    const cop_gguf_value *v = cop_gguf_find_value(g, key);
    if (v) return text_of(g, key, v, out, bytes);
    *out = fallback;
    *bytes = strlen(fallback);
    return COP_OK;
}

// ---- arrays ---------------------------------------------------------------------------------

static bool is_of_kind(cop_gguf_type type, cop_gguf_kind kind) {
    switch (kind) {
    case COP_GGUF_INTS: return is_integer(type) || type == COP_GGUF_BOOL;
    case COP_GGUF_FLOATS: return type == COP_GGUF_F32 || type == COP_GGUF_F64;
    case COP_GGUF_TEXTS: return type == COP_GGUF_TEXT;
    }
    return false;
}

static cop_status array_of(const cop_gguf *g, const char *key, const cop_gguf_value *v, cop_gguf_kind kind,
                           cop_gguf_array *out) {
    static const char *const wants[] = {"array of integers", "array of f32 or f64", "array of text"};
    if (v->type != COP_GGUF_ARRAY || !is_of_kind(v->array.type, kind)) return fail_type(g, key, v, wants[kind]);
    for (size_t i = 0; v->array.type == COP_GGUF_U64 && i < v->array.n; i++)
        if (load_int(COP_GGUF_U64, v->array.data + 8 * i) < 0)
            return cop_fail(COP_ERR_FORMAT, "key %s: element %zu is above 9223372036854775807; %s", key, i, g->name);
    *out = v->array;
    return COP_OK;
}

cop_status cop_gguf_get_array(const cop_gguf *g, const char *key, cop_gguf_kind kind, cop_gguf_array *out) {
    const cop_gguf_value *v = cop_gguf_find_value(g, key);
    return v ? array_of(g, key, v, kind, out) : fail_missing(g, key);
}

cop_status cop_gguf_get_array_or_empty(const cop_gguf *g, const char *key, cop_gguf_kind kind, cop_gguf_array *out) {
    const cop_gguf_value *v = cop_gguf_find_value(g, key);
    if (v) return array_of(g, key, v, kind, out);
    *out = (cop_gguf_array){.type = COP_GGUF_NONE};
    return COP_OK;
}

cop_status cop_gguf_get_u32_each(const cop_gguf *g, const char *key, uint32_t *out, size_t n) {
    const cop_gguf_value *v = cop_gguf_find_value(g, key);
    if (!v) return fail_missing(g, key);
    if (v->type != COP_GGUF_ARRAY) {
        uint32_t one;
        COP_TRY(u32_of(g, key, v, &one));
        for (size_t i = 0; i < n; i++) out[i] = one;
        return COP_OK;
    }
    if (!is_integer(v->array.type)) return fail_type(g, key, v, "an integer or an array of integers");
    if (v->array.n != n)
        return cop_fail(COP_ERR_FORMAT, "key %s: array of %zu, need %zu; %s", key, v->array.n, n, g->name);
    for (int pass = 0; pass < 2; pass++)  // first all are checked, then all are written
        for (size_t i = 0; i < n; i++) {
            int64_t value = cop_gguf_int(&v->array, i);
            if (!fits_u32(v->array.type, value)) return fail_range(g, key, v->array.type, value, "0 to 4294967295");
            if (pass) out[i] = (uint32_t)value;
        }
    return COP_OK;
}

int64_t cop_gguf_int(const cop_gguf_array *a, size_t i) {
    if (i >= a->n || !is_of_kind(a->type, COP_GGUF_INTS)) return 0;
    return load_int(a->type, a->data + i * types[a->type].bytes);
}

double cop_gguf_float(const cop_gguf_array *a, size_t i) {
    if (i >= a->n || !is_of_kind(a->type, COP_GGUF_FLOATS)) return 0;
    return load_float(a->type, a->data + i * types[a->type].bytes);
}

const char *cop_gguf_text(const cop_gguf_array *a, size_t i, size_t *bytes) {
    *bytes = 0;
    if (i >= a->n || a->type != COP_GGUF_TEXT) return "";
    const uint8_t *p = a->data + (a->index ? a->index[i / COP_GGUF_INDEX_STRIDE] : 0);
    for (size_t skip = a->index ? i % COP_GGUF_INDEX_STRIDE : i; skip; skip--) p += 8 + load(p, 8);
    *bytes = (size_t)load(p, 8);
    return (const char *)p + 8;
}

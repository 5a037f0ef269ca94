// Writer of GGUF version 3: the key entries are kept as the bytes they become, tensors as a list.
// Cost: twice the size of the keys while it grows; tensor data is never copied when saving.
// Assumes a little-endian machine, as all of coppice does.
#include "format/gguf_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "format/gguf_private.h"

#define MOST_META_BYTES ((size_t)1 << 32)  // arbitrary, a thousand times a large vocabulary

typedef COP_ARRAY(uint8_t) byte_array;

typedef struct pending_tensor {
    char name[COP_GGUF_NAME_BYTES];
    cop_dtype type;
    int n_dims;
    uint64_t dims[4], bytes, padded;
    const void *data;
} pending_tensor;

struct cop_gguf_writer {
    uint32_t alignment;
    byte_array keys;
    COP_ARRAY(size_t) names;  // where each key entry begins
    COP_ARRAY(pending_tensor) tensors;
    cop_gguf_source *source;   // of tensors without data
    void *source_user;
    cop_status status;         // of the first failure
    cop_error_record failure;  // and its sentence
};

// ---- bytes ----------------------------------------------------------------------------------

static cop_status put(byte_array *b, const void *data, size_t bytes) {
    COP_TRY(cop_array_reserve(b, bytes));
    if (bytes) memcpy(b->v + b->n, data, bytes);
    b->n += bytes;
    return COP_OK;
}

static cop_status put_u32(byte_array *b, uint32_t v) { return put(b, &v, sizeof v); }
static cop_status put_u64(byte_array *b, uint64_t v) { return put(b, &v, sizeof v); }

static cop_status put_text(byte_array *b, const void *text, size_t bytes) {
    COP_TRY(put_u64(b, bytes));
    return put(b, text, bytes);
}

static cop_status put_zeros(byte_array *b, size_t bytes) {
    COP_TRY(cop_array_reserve(b, bytes));
    memset(b->v + b->n, 0, bytes);
    b->n += bytes;
    return COP_OK;
}

// ---- keys -----------------------------------------------------------------------------------

cop_status cop_gguf_writer_new(cop_gguf_writer **out, uint32_t alignment) {
    *out = NULL;
    if (alignment && (alignment < 8 || alignment > COP_GGUF_MOST_ALIGNMENT || (alignment & (alignment - 1))))
        return cop_fail(COP_ERR_ARG, "alignment %u, need a power of two from 8 to %u", alignment, COP_GGUF_MOST_ALIGNMENT);
    cop_gguf_writer *w = cop_alloc(sizeof *w);
    if (!w) return cop_fail(COP_ERR_NOMEM, "cannot allocate the gguf writer");
    w->alignment = alignment ? alignment : 32;
    w->keys.most = MOST_META_BYTES;
    w->names.most = COP_GGUF_MOST_KEYS;
    w->tensors.most = COP_GGUF_MOST_TENSORS;
    cop_status st = alignment ? cop_gguf_add_u32(w, "general.alignment", alignment) : COP_OK;
    if (st) {
        cop_gguf_writer_free(w);
        return st;
    }
    *out = w;
    return COP_OK;
}

void cop_gguf_writer_free(cop_gguf_writer *w) {
    if (!w) return;
    cop_array_fini(&w->keys);
    cop_array_fini(&w->names);
    cop_array_fini(&w->tensors);
    cop_free(w);
}

// Every add ends here: keeps the first failure.
static cop_status keep(cop_gguf_writer *w, cop_status st) {
    if (st && !w->status) {
        w->status = st;
        cop_error_get(&w->failure);
    }
    return st;
}

static cop_status earlier(const cop_gguf_writer *w) {
    if (w->status) cop_error_set(&w->failure);
    return w->status;
}

static cop_status check_name(const char *what, const char *name, size_t most) {
    size_t n = strlen(name);
    if (n == 0 || n > most) return cop_fail(COP_ERR_ARG, "%s name of %zu bytes, need 1 to %zu", what, n, most);
    for (size_t i = 0; i < n; i++)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return cop_fail(COP_ERR_ARG, "%s name: byte 0x%02x at place %zu, need printable ASCII", what,
                            (unsigned char)name[i], i);
    return COP_OK;
}

static cop_status begin_key(cop_gguf_writer *w, const char *key, cop_gguf_type type) {
    COP_TRY(earlier(w));
    COP_TRY(check_name("key", key, COP_GGUF_MOST_KEY_NAME));
    size_t n = strlen(key);
    for (size_t i = 0; i < w->names.n; i++) {
        const uint8_t *entry = w->keys.v + w->names.v[i];
        uint64_t bytes;
        memcpy(&bytes, entry, sizeof bytes);
        if (bytes == n && memcmp(entry + 8, key, n) == 0) return cop_fail(COP_ERR_ARG, "key %s is there already", key);
    }
    COP_TRY(cop_array_push(&w->names, w->keys.n));
    COP_TRY(put_text(&w->keys, key, n));
    return put_u32(&w->keys, type);
}

static cop_status add_number(cop_gguf_writer *w, const char *key, cop_gguf_type type, const void *value) {
    cop_status st = begin_key(w, key, type);
    return keep(w, st ? st : put(&w->keys, value, cop_gguf_type_bytes(type)));
}

static bool int_fits(cop_gguf_type type, int64_t v) {
    switch (type) {
    case COP_GGUF_BOOL: return v == 0 || v == 1;
    case COP_GGUF_U8: return v >= 0 && v <= UINT8_MAX;
    case COP_GGUF_U16: return v >= 0 && v <= UINT16_MAX;
    case COP_GGUF_U32: return v >= 0 && v <= (int64_t)UINT32_MAX;
    case COP_GGUF_U64: return v >= 0;
    case COP_GGUF_I8: return v >= INT8_MIN && v <= INT8_MAX;
    case COP_GGUF_I16: return v >= INT16_MIN && v <= INT16_MAX;
    case COP_GGUF_I32: return v >= INT32_MIN && v <= INT32_MAX;
    case COP_GGUF_I64: return true;
    default: return false;
    }
}

cop_status cop_gguf_add_int(cop_gguf_writer *w, const char *key, cop_gguf_type type, int64_t value) {
    COP_TRY(earlier(w));
    if (!int_fits(type, value))
        return keep(w, cop_fail(COP_ERR_ARG, "key %s: %lld does not fit type %s", key, (long long)value,
                                cop_gguf_type_name(type)));
    return add_number(w, key, type, &value);  // the low bytes come first
}

cop_status cop_gguf_add_u32(cop_gguf_writer *w, const char *key, uint32_t value) {
    return add_number(w, key, COP_GGUF_U32, &value);
}
cop_status cop_gguf_add_f32(cop_gguf_writer *w, const char *key, float value) {
    return add_number(w, key, COP_GGUF_F32, &value);
}
cop_status cop_gguf_add_f64(cop_gguf_writer *w, const char *key, double value) {
    return add_number(w, key, COP_GGUF_F64, &value);
}
cop_status cop_gguf_add_bool(cop_gguf_writer *w, const char *key, bool value) {
    return add_number(w, key, COP_GGUF_BOOL, &(uint8_t){value});
}

cop_status cop_gguf_add_text(cop_gguf_writer *w, const char *key, const char *text, size_t bytes) {
    cop_status st = begin_key(w, key, COP_GGUF_TEXT);
    return keep(w, st ? st : put_text(&w->keys, text, bytes));
}

static cop_status begin_array(cop_gguf_writer *w, const char *key, cop_gguf_type type, size_t n) {
    COP_TRY(begin_key(w, key, COP_GGUF_ARRAY));
    COP_TRY(put_u32(&w->keys, type));
    return put_u64(&w->keys, n);
}

static cop_status put_array(cop_gguf_writer *w, const char *key, cop_gguf_type type, const void *values, size_t n) {
    size_t bytes, width = cop_gguf_type_bytes(type);
    if (!width || !cop_mul_size(n, width, &bytes))
        return cop_fail(COP_ERR_ARG, "key %s: array of %zu %s, need a type of fixed size", key, n, cop_gguf_type_name(type));
    COP_TRY(begin_array(w, key, type, n));
    return put(&w->keys, values, bytes);
}

cop_status cop_gguf_add_array(cop_gguf_writer *w, const char *key, cop_gguf_type type, const void *values, size_t n) {
    COP_TRY(earlier(w));
    return keep(w, put_array(w, key, type, values, n));
}

cop_status cop_gguf_add_texts(cop_gguf_writer *w, const char *key, const char *const *texts, const size_t *sizes, size_t n) {
    cop_status st = begin_array(w, key, COP_GGUF_TEXT, n);
    for (size_t i = 0; i < n && !st; i++) st = put_text(&w->keys, texts[i], sizes ? sizes[i] : strlen(texts[i]));
    return keep(w, st);
}

// A value as it lies in the file: of arrays of texts from the first length to behind the last text.
static cop_status put_value(byte_array *b, const cop_gguf_value *v) {
    if (v->type == COP_GGUF_TEXT) return put_text(b, v->data, v->bytes);
    if (v->type != COP_GGUF_ARRAY) return put(b, v->data, v->bytes);
    COP_TRY(put_u32(b, v->array.type));
    COP_TRY(put_u64(b, v->array.n));
    if (v->array.type != COP_GGUF_TEXT) return put(b, v->array.data, v->array.n * cop_gguf_type_bytes(v->array.type));
    size_t bytes = 0;
    const char *end = v->array.n ? cop_gguf_text(&v->array, v->array.n - 1, &bytes) + bytes : (const char *)v->array.data;
    return put(b, v->array.data, (size_t)(end - (const char *)v->array.data));
}

cop_status cop_gguf_add_copy(cop_gguf_writer *w, const cop_gguf *g, size_t i) {
    COP_TRY(earlier(w));
    const cop_gguf_value *v = &g->values[i];
    char *key = cop_text_copy(v->name, v->name_bytes);
    cop_status st = key ? begin_key(w, key, v->type) : cop_fail(COP_ERR_NOMEM, "cannot allocate a key");
    if (!st) st = put_value(&w->keys, v);
    cop_free(key);
    return keep(w, st);
}

// ---- tensors --------------------------------------------------------------------------------

static cop_status append_tensor(cop_gguf_writer *w, const char *name, cop_dtype type, int n_dims, const uint64_t *dims,
                                const void *data) {
    COP_TRY(check_name("tensor", name, COP_GGUF_NAME_BYTES - 1));
    for (size_t i = 0; i < w->tensors.n; i++)
        if (strcmp(w->tensors.v[i].name, name) == 0) return cop_fail(COP_ERR_ARG, "tensor %s is there already", name);
    pending_tensor t = {.type = type, .n_dims = n_dims, .data = data};
    if (cop_gguf_tensor_bytes(type, n_dims, dims, w->alignment, &t.bytes, &t.padded)) {
        cop_fail_note("tensor %s", name);
        return COP_ERR_ARG;
    }
    memcpy(t.name, name, strlen(name));
    memcpy(t.dims, dims, (size_t)n_dims * sizeof *dims);
    return cop_array_push(&w->tensors, t);
}

cop_status cop_gguf_add_tensor(cop_gguf_writer *w, const char *name, cop_dtype type, int n_dims, const uint64_t *dims,
                               const void *data) {
    COP_TRY(earlier(w));
    return keep(w, append_tensor(w, name, type, n_dims, dims, data));
}

cop_status cop_gguf_add_tensor_later(cop_gguf_writer *w, const char *name, cop_dtype type, int n_dims, const uint64_t *dims) {
    COP_TRY(earlier(w));
    return keep(w, append_tensor(w, name, type, n_dims, dims, NULL));
}

void cop_gguf_writer_set_source(cop_gguf_writer *w, cop_gguf_source *source, void *user) {
    w->source = source;
    w->source_user = user;
}

uint64_t cop_gguf_writer_data_bytes(const cop_gguf_writer *w) {
    uint64_t sum = 0;
    for (size_t i = 0; i < w->tensors.n; i++) sum += w->tensors.v[i].padded;
    return sum;
}

// All in front of the tensors' data, padded to the alignment.
static cop_status put_front(const cop_gguf_writer *w, byte_array *b) {
    COP_TRY(put(b, "GGUF", 4));
    COP_TRY(put_u32(b, 3));
    COP_TRY(put_u64(b, w->tensors.n));
    COP_TRY(put_u64(b, w->names.n));
    COP_TRY(put(b, w->keys.v, w->keys.n));
    uint64_t offset = 0;
    for (size_t i = 0; i < w->tensors.n; i++) {
        const pending_tensor *t = &w->tensors.v[i];
        COP_TRY(put_text(b, t->name, strlen(t->name)));
        COP_TRY(put_u32(b, (uint32_t)t->n_dims));
        COP_TRY(put(b, t->dims, (size_t)t->n_dims * sizeof *t->dims));
        COP_TRY(put_u32(b, t->type));
        COP_TRY(put_u64(b, offset));
        if (__builtin_add_overflow(offset, t->padded, &offset))
            return cop_fail(COP_ERR_LIMIT, "tensors: their sizes overflow");
    }
    return put_zeros(b, (size_t)(-b->n & (w->alignment - 1)));
}

cop_status cop_gguf_writer_bytes(cop_gguf_writer *w, uint8_t **data, size_t *bytes) {
    *data = NULL;
    *bytes = 0;
    COP_TRY(earlier(w));
    byte_array b = {0};
    cop_status st = put_front(w, &b);
    for (size_t i = 0; i < w->tensors.n && !st; i++) {
        const pending_tensor *t = &w->tensors.v[i];
        st = t->data ? put(&b, t->data, t->bytes) : cop_fail(COP_ERR_ARG, "tensor %s: its bytes come later", t->name);
        if (!st) st = put_zeros(&b, t->padded - t->bytes);
    }
    if (st) {
        cop_array_fini(&b);
        return st;
    }
    *data = b.v;
    *bytes = b.n;
    return COP_OK;
}

// ---- files ----------------------------------------------------------------------------------

static cop_status write_padding(int fd, const char *path, uint64_t bytes) {
    static const uint8_t zeros[4096];
    while (bytes) {
        size_t n = bytes < sizeof zeros ? (size_t)bytes : sizeof zeros;
        COP_TRY(cop_file_put(fd, path, zeros, n));
        bytes -= n;
    }
    return COP_OK;
}

static cop_status write_tensor(const cop_gguf_writer *w, size_t i, int fd, const char *path) {
    const pending_tensor *t = &w->tensors.v[i];
    cop_file_sink sink = {fd, path, t->bytes};
    if (t->data) return cop_file_put(fd, path, t->data, (size_t)t->bytes);
    if (!w->source) return cop_fail(COP_ERR_ARG, "tensor %s: no data", t->name);
    COP_TRY(w->source(w->source_user, i, cop_file_sink_put, &sink));
    return sink.left ? cop_fail(COP_ERR_ARG, "tensor %s: %llu bytes too few", t->name, (unsigned long long)sink.left) : COP_OK;
}

static cop_status write_file(const cop_gguf_writer *w, int fd, const char *path) {
    byte_array front = {0};
    cop_status st = put_front(w, &front);
    if (!st) st = cop_file_put(fd, path, front.v, front.n);
    cop_array_fini(&front);
    for (size_t i = 0; i < w->tensors.n && !st; i++) {
        const pending_tensor *t = &w->tensors.v[i];
        st = write_tensor(w, i, fd, path);
        if (!st) st = write_padding(fd, path, t->padded - t->bytes);
    }
    if (!st && fsync(fd)) st = cop_fail(COP_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    return st;
}

cop_status cop_gguf_writer_save(cop_gguf_writer *w, const char *path) {
    COP_TRY(earlier(w));
    size_t n = strlen(path) + 32;
    char *temporary = cop_alloc(n);
    if (!temporary) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate its name", path);
    snprintf(temporary, n, "%s.%ld.part", path, (long)getpid());
    cop_status st;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        st = cop_fail(COP_ERR_IO, "%s: %s", temporary, strerror(errno));
    } else {
        st = write_file(w, fd, temporary);
        if (close(fd) && !st) st = cop_fail(COP_ERR_IO, "%s: cannot write: %s", temporary, strerror(errno));
        if (!st && rename(temporary, path)) st = cop_fail(COP_ERR_IO, "%s: cannot rename: %s", path, strerror(errno));
        if (st) unlink(temporary);
    }
    cop_free(temporary);
    return st;
}

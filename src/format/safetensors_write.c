#include "format/safetensors_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/json.h"
#include "base/map.h"
#include "format/safetensors.h"

struct cop_safetensors_writer {
    json_t *header;
    COP_ARRAY(uint64_t) bytes;  // of each tensor
    uint64_t sum;
};

cop_status cop_safetensors_writer_new(cop_safetensors_writer **out) {
    *out = NULL;
    cop_safetensors_writer *w = cop_alloc(sizeof *w);
    if (!w) return cop_fail(COP_ERR_NOMEM, "cannot allocate the safetensors writer");
    w->header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    w->bytes.most = COP_SAFETENSORS_MOST_TENSORS;
    if (!w->header) {
        cop_safetensors_writer_free(w);
        return cop_fail(COP_ERR_NOMEM, "cannot allocate the safetensors writer");
    }
    *out = w;
    return COP_OK;
}

void cop_safetensors_writer_free(cop_safetensors_writer *w) {
    if (!w) return;
    json_decref(w->header);
    cop_array_fini(&w->bytes);
    cop_free(w);
}

static cop_status check(const cop_safetensors_writer *w, const char *name, cop_dtype type, int n_dims) {
    size_t n = strlen(name);
    if (type != COP_F32 && type != COP_F16 && type != COP_BF16)
        return cop_fail(COP_ERR_ARG, "tensor %.80s: type %s, need F32, F16 or BF16", name, cop_dtype_name(type));
    if (n_dims < 0 || n_dims > COP_SAFETENSORS_MOST_DIMS) return cop_fail(COP_ERR_ARG, "tensor %.80s: %d dimensions", name, n_dims);
    if (n == 0 || n > COP_SAFETENSORS_MOST_NAME) return cop_fail(COP_ERR_ARG, "a tensor's name of %zu bytes", n);
    for (size_t i = 0; i < n; i++)
        if (name[i] < 0x20 || name[i] > 0x7e) return cop_fail(COP_ERR_ARG, "a tensor's name: byte 0x%02x", (unsigned char)name[i]);
    if (json_object_get(w->header, name)) return cop_fail(COP_ERR_ARG, "tensor %s is there already", name);
    return COP_OK;
}

cop_status cop_safetensors_add(cop_safetensors_writer *w, const char *name, cop_dtype type, int n_dims, const uint64_t *dims) {
    COP_TRY(check(w, name, type, n_dims));
    uint64_t n = 1, bytes, end;
    for (int i = 0; i < n_dims; i++)
        if (!dims[i] || __builtin_mul_overflow(n, dims[i], &n)) return cop_fail(COP_ERR_ARG, "tensor %s: size is 0 or overflows", name);
    if (cop_dtype_bytes(type, n, &bytes) || __builtin_add_overflow(w->sum, bytes, &end) || end > INT64_MAX)
        return cop_fail(COP_ERR_ARG, "tensor %s: size overflows", name);
    json_t *shape = json_array();
    for (int i = 0; shape && i < n_dims; i++) json_array_append_new(shape, json_integer((json_int_t)dims[i]));
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", cop_dtype_name(type), "shape", shape, "data_offsets", (json_int_t)w->sum,
                              (json_int_t)end);
    bool whole = entry && json_array_size(shape) == (size_t)n_dims;
    if (json_object_set_new(w->header, name, entry) || !whole)
        return cop_fail(COP_ERR_NOMEM, "tensor %s: cannot allocate", name);
    COP_TRY(cop_array_push(&w->bytes, bytes));
    w->sum = end;
    return COP_OK;
}

uint64_t cop_safetensors_writer_data_bytes(const cop_safetensors_writer *w) { return w->sum; }

// The header ends with spaces, so that the data begins on a boundary of 8 bytes.
static cop_status write_header(const cop_safetensors_writer *w, int fd, const char *path) {
    char *text;
    size_t bytes;
    COP_TRY(cop_json_dump(&text, &bytes, w->header, JSON_COMPACT));
    uint64_t n = bytes, padded = (n + 7) & ~(uint64_t)7;
    cop_status st = cop_file_put(fd, path, &padded, sizeof padded);
    if (!st) st = cop_file_put(fd, path, text, bytes);
    if (!st) st = cop_file_put(fd, path, "        ", (size_t)(padded - n));
    cop_free(text);
    return st;
}

static cop_status write_file(cop_safetensors_writer *w, int fd, const char *path, cop_gguf_source *source, void *user) {
    COP_TRY(write_header(w, fd, path));
    for (size_t i = 0; i < w->bytes.n; i++) {
        cop_file_sink sink = {fd, path, w->bytes.v[i]};
        COP_TRY(source(user, i, cop_file_sink_put, &sink));
        if (sink.left) return cop_fail(COP_ERR_ARG, "%s: %llu bytes too few for a tensor", path, (unsigned long long)sink.left);
    }
    return fsync(fd) ? cop_fail(COP_ERR_IO, "%s: cannot write: %s", path, strerror(errno)) : COP_OK;
}

cop_status cop_safetensors_writer_save(cop_safetensors_writer *w, const char *path, cop_gguf_source *source, void *user) {
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.%ld.part", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return cop_fail(COP_ERR_IO, "%s: %s", temporary, strerror(errno));
    cop_status st = write_file(w, fd, temporary, source, user);
    if (close(fd) && !st) st = cop_fail(COP_ERR_IO, "%s: cannot write: %s", temporary, strerror(errno));
    if (!st && rename(temporary, path)) st = cop_fail(COP_ERR_IO, "%s: cannot rename: %s", path, strerror(errno));
    if (st) unlink(temporary);
    return st;
}

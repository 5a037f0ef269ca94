#include "surgery/conversion.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "kernel/kernel.h"
#include "kernel/quantise_file.h"
#include "model/vocab.h"
#include "surgery/conversion_private.h"

#define CHUNK ((size_t)8 << 20)            // bytes of the result that are made at once
#define ROOM_BYTES ((uint64_t)16 << 20)    // left free on the disk; arbitrary

// ---- types ----------------------------------------------------------------------------------

cop_status cop_convert_type(const char *name, cop_dtype *out) {
    char known[256] = "";
    for (int id = 0; id < COP_N_DTYPES; id++) {
        if (!cop_dtype_get((uint32_t)id) || !cop_can_quantise((cop_dtype)id)) continue;
        if (!strcasecmp(cop_dtype_name((uint32_t)id), name)) {
            *out = (cop_dtype)id;
            return COP_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", cop_dtype_name((uint32_t)id));
    }
    return cop_fail(COP_ERR_ARG, "type %.32s: must be one of %s", name, known);
}

static bool is_float(cop_dtype type) { return type == COP_F32 || type == COP_F16 || type == COP_BF16; }

// What is small, or is added rather than multiplied, stays exact in a GGUF file.
static bool stays_f32(const cop_gguf_tensor *t) {
    static const char *const small[] = {"norm", "ffn_gate_inp", "position_embd", "token_types", "rope_", "shortconv.conv", ".bias"};
    if (t->n_dims == 1) return true;
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        if (strstr(t->name, small[i])) return true;
    return false;
}

static bool is_output(const cop_gguf *file, const cop_gguf_tensor *t) {
    return !strcmp(t->name, "output.weight") || (!strcmp(t->name, "token_embd.weight") && !cop_gguf_find_tensor(file, "output.weight"));
}

// The output matrix decides between tokens that are near each other: Q6_K below Q8_0, Q8_0 with MXFP4.
static cop_dtype type_of_output(cop_dtype wanted) {
    if (is_float(wanted) || wanted == COP_Q8_0) return wanted;
    return wanted == COP_MXFP4 ? COP_Q8_0 : COP_Q6_K;
}

// For rows that are not whole blocks: first blocks of 32 with about as many bits, then halves.
static cop_dtype next_type(cop_dtype type) {
    switch (type) {
    case COP_Q2_K:
    case COP_Q3_K:
    case COP_IQ4_XS: return COP_IQ4_NL;
    case COP_Q4_K: return COP_Q5_0;
    case COP_Q5_K: return COP_Q5_1;
    case COP_Q6_K: return COP_Q8_0;
    default: return COP_F16;
    }
}

cop_status cop_convert_choose(const cop_gguf *file, const cop_gguf_tensor *t, cop_dtype wanted, bool folder, cop_dtype *out) {
    *out = t->type;
    if (folder) {
        if (wanted != COP_N_DTYPES) *out = wanted;
        else if (!is_float(t->type)) *out = COP_F16;
        return COP_OK;
    }
    if (stays_f32(t)) {
        *out = COP_F32;
        return COP_OK;
    }
    if (wanted == COP_N_DTYPES || t->type == wanted) return COP_OK;
    if (!is_float(t->type) && !is_float(wanted)) {
        if (is_output(file, t) && t->type == type_of_output(wanted)) return COP_OK;
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: is %s already; %s is made from F32, F16 or BF16 only", t->name, cop_dtype_name(t->type),
                        cop_dtype_name(wanted));
    }
    cop_dtype type = is_output(file, t) ? type_of_output(wanted) : wanted;
    while (t->dims[0] % (uint64_t)cop_dtype_get(type)->block) type = next_type(type);
    *out = type;
    return COP_OK;
}

// ---- the bytes of a tensor ------------------------------------------------------------------

// Some rows of a tensor on their way to another type.
typedef struct rows {
    cop_pool *pool;
    const uint8_t *from;
    uint8_t *to;
    float *values;             // [threads][cols]
    cop_dtype from_type, to_type;
    size_t n, cols, from_bytes, to_bytes;  // per row
} rows;

static cop_status convert_rows(void *arg, int worker) {
    const rows *r = arg;
    float *x = r->values + (size_t)worker * r->cols;
    int64_t begin, end;
    while (cop_pool_take(r->pool, (int64_t)r->n, 4, &begin, &end))
        for (size_t i = (size_t)begin; i < (size_t)end; i++) {
            cop_dequantise(x, r->from_type, r->from + i * r->from_bytes, (int64_t)r->cols);
            COP_TRY(cop_quantise_row(r->to + i * r->to_bytes, r->to_type, x, (int64_t)r->cols));
        }
    return COP_OK;
}

static cop_status report(cop_conversion *c, size_t bytes) {
    const cop_convert_options *o = c->options;
    c->done += bytes;
    if (o->progress && !o->progress(o->user, c->done, c->total)) return cop_fail(COP_ERR_CANCELLED, "conversion stopped; nothing was written");
    return COP_OK;
}

static cop_status put_as_is(cop_conversion *c, const uint8_t *data, uint64_t bytes, cop_gguf_put *put, void *sink) {
    for (uint64_t at = 0; at < bytes;) {
        size_t n = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;
        COP_TRY(put(sink, data + at, n));
        COP_TRY(report(c, n));
        at += n;
    }
    return COP_OK;
}

static cop_status put_converted(cop_conversion *c, const cop_gguf_tensor *t, rows *r, cop_gguf_put *put, void *sink) {
    uint64_t n_rows = t->dims[1] * t->dims[2] * t->dims[3], row_bytes;
    size_t most = CHUNK / r->to_bytes ? CHUNK / r->to_bytes : 1;
    COP_TRY(cop_dtype_bytes(t->type, t->dims[0], &row_bytes));
    r->from_bytes = (size_t)row_bytes;
    r->to = cop_alloc_array(most, r->to_bytes);
    r->values = cop_alloc_array((size_t)cop_pool_threads(r->pool) * r->cols, sizeof *r->values);
    if (!r->to || !r->values) return cop_fail(COP_ERR_NOMEM, "cannot allocate rows of %zu", r->cols);
    for (uint64_t at = 0; at < n_rows; at += r->n) {
        r->n = n_rows - at < most ? (size_t)(n_rows - at) : most;
        COP_TRY(cop_pool_run(r->pool, convert_rows, r));
        COP_TRY(put(sink, r->to, r->n * r->to_bytes));
        COP_TRY(report(c, r->n * r->to_bytes));
        r->from += r->n * r->from_bytes;
    }
    return COP_OK;
}

cop_status cop_convert_tensor(cop_conversion *c, const cop_gguf_tensor *t, cop_dtype type, cop_gguf_put *put, void *sink) {
    const uint8_t *data;
    uint64_t row_bytes;
    COP_TRY(cop_dtype_bytes(type, t->dims[0], &row_bytes));
    if (type != t->type && !cop_dtype_get(t->type)->can_compute)
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s cannot be read here", t->name, cop_dtype_name(t->type));
    COP_TRY(cop_gguf_read(c->file, t, &data));
    rows r = {.pool = c->options->pool, .from = data, .from_type = t->type, .to_type = type, .cols = (size_t)t->dims[0], .to_bytes = (size_t)row_bytes};
    cop_status st = type == t->type ? put_as_is(c, data, t->bytes, put, sink) : put_converted(c, t, &r, put, sink);
    if (st) cop_fail_note("tensor %s", t->name);
    cop_free(r.to);
    cop_free(r.values);
    cop_gguf_release(c->file, t, data);
    return st;
}

// ---- a GGUF file ----------------------------------------------------------------------------

// The numbers of general.file_type, which is for people and other programs.
static int file_type(cop_dtype type) {
    static const int numbers[COP_N_DTYPES] = {[COP_F16] = 1, [COP_Q4_0] = 2, [COP_Q4_1] = 3, [COP_Q8_0] = 7, [COP_Q5_0] = 8, [COP_Q5_1] = 9,
                                              [COP_Q2_K] = 10, [COP_Q3_K] = 11, [COP_Q4_K] = 14, [COP_Q5_K] = 16, [COP_Q6_K] = 18,
                                              [COP_IQ4_NL] = 25, [COP_IQ4_XS] = 30, [COP_BF16] = 32, [COP_MXFP4] = 38};
    return numbers[type];
}

static bool is_replaced(const cop_gguf_entry *e, cop_dtype wanted) {
    static const char *const names[] = {"general.alignment", "split.no", "split.count", "split.tensors.count", "general.file_type", "general.quantization_version"};
    for (size_t i = 0; i < (wanted == COP_N_DTYPES ? 4 : sizeof names / sizeof *names); i++)
        if (strlen(names[i]) == e->name_bytes && !memcmp(names[i], e->name, e->name_bytes)) return true;
    return false;
}

// A folder's vocabulary is in files of its own; one without any gives a GGUF file without vocabulary.
static cop_status add_vocabulary(cop_conversion *c, cop_gguf_writer *w, bool *added) {
    static const char *const names[] = {"tokenizer.json", "tokenizer.model"};
    const char *folder = cop_gguf_folder(c->file);
    char path[4096];
    *added = false;
    for (int i = 0; folder && !*added && i < 2; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        *added = n > 0 && (size_t)n < sizeof path && !access(path, F_OK);
    }
    return *added ? cop_vocab_write_folder(w, folder) : COP_OK;
}

static cop_status add_keys(cop_conversion *c, cop_gguf_writer *w) {
    cop_dtype wanted = c->options->type;
    bool vocabulary;
    COP_TRY(add_vocabulary(c, w, &vocabulary));
    for (size_t i = 0; i < cop_gguf_n_keys(c->file); i++) {
        cop_gguf_entry e;
        cop_gguf_key(c->file, i, &e);
        bool of_vocabulary = e.name_bytes > 10 && !memcmp(e.name, "tokenizer.", 10);
        if (!is_replaced(&e, wanted) && !(vocabulary && of_vocabulary)) COP_TRY(cop_gguf_add_copy(w, c->file, i));
    }
    if (wanted == COP_N_DTYPES) return COP_OK;
    COP_TRY(cop_gguf_add_u32(w, "general.quantization_version", 2));
    return cop_gguf_add_u32(w, "general.file_type", (uint32_t)file_type(wanted));
}

static cop_status add_tensors(cop_conversion *c, cop_gguf_writer *w) {
    for (size_t i = 0; i < cop_gguf_n_tensors(c->file); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(c->file, i);
        cop_dtype type;
        COP_TRY(cop_convert_choose(c->file, t, c->options->type, false, &type));
        COP_TRY(cop_gguf_add_tensor_later(w, t->name, type, t->n_dims, t->dims));
    }
    return COP_OK;
}

static cop_status source(void *user, size_t i, cop_gguf_put *put, void *sink) {
    cop_conversion *c = user;
    const cop_gguf_tensor *t = cop_gguf_tensor_at(c->file, i);
    cop_dtype type;
    COP_TRY(cop_convert_choose(c->file, t, c->options->type, false, &type));
    return cop_convert_tensor(c, t, type, put, sink);
}

cop_status cop_convert_room(const cop_conversion *c, const char *path) {
    char folder[4096];
    struct statvfs disk;
    const char *slash = strrchr(path, '/');
    int n = slash ? snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path) : snprintf(folder, sizeof folder, ".");
    if (n < 0 || (size_t)n >= sizeof folder) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", path);
    if (statvfs(folder, &disk)) return cop_fail(errno == ENOENT ? COP_ERR_NOT_FOUND : COP_ERR_IO, "%s: %s", folder, strerror(errno));
    uint64_t have = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (have < c->total + ROOM_BYTES)
        return cop_fail(COP_ERR_LIMIT, "%s: needs %llu MB, the disk has %llu MB free", path, (unsigned long long)(c->total / 1000000 + 17),
                        (unsigned long long)(have / 1000000));
    return COP_OK;
}

static cop_status write_gguf(cop_conversion *c, const char *path) {
    cop_gguf_writer *w;
    COP_TRY(cop_gguf_writer_new(&w, cop_gguf_has(c->file, "general.alignment") ? cop_gguf_alignment(c->file) : 0));
    cop_status st = add_keys(c, w);
    if (!st) st = add_tensors(c, w);
    c->total = cop_gguf_writer_data_bytes(w);
    cop_gguf_writer_set_source(w, source, c);
    if (!st) st = cop_convert_room(c, path);
    if (!st) st = cop_gguf_writer_save(w, path);
    cop_gguf_writer_free(w);
    return st;
}

// ---- the whole ------------------------------------------------------------------------------

static bool same_place(const cop_gguf *file, const char *path) {
    struct stat a, b;
    return !stat(cop_gguf_name(file), &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

cop_status cop_convert(const cop_gguf *file, const char *path, const cop_convert_options *options) {
    size_t n = strlen(path);
    bool gguf = n > 5 && !strcmp(path + n - 5, ".gguf");
    cop_conversion c = {.file = file, .options = options};
    if (same_place(file, path)) return cop_fail(COP_ERR_ARG, "%s: is the model itself", path);
    if (!options->replace && !access(path, F_OK)) return cop_fail(COP_ERR_ARG, "%s: is there already; --force replaces it", path);
    if (!gguf && options->type != COP_N_DTYPES && !is_float(options->type))
        return cop_fail(COP_ERR_ARG, "%s: a folder holds F32, F16 or BF16; a file of type %s ends in .gguf", path, cop_dtype_name(options->type));
    return gguf ? write_gguf(&c, path) : cop_convert_to_folder(&c, path);
}

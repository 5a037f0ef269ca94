// Opening safetensors files: the header of each, then the tensors of all in one sorted list.
// The header is JSON and goes through base/json with limits; its numbers through checked arithmetic.
#include "format/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"

#define PATH_BYTES 4096
#define MOST_INDEX ((size_t)64 << 20)

typedef unsigned long long ull;

typedef struct shard {
    cop_map map;
    bool mapped;  // map is ours to close
    char *file;   // its name for messages
    char *names;  // of its tensors, one after the other
} shard;

struct cop_safetensors {
    char *name;
    shard *shards;
    size_t n_shards;
    cop_safetensors_tensor *tensors;  // [n_tensors], sorted by name
    size_t n_tensors;
};

static const cop_json_limits header_limits = {COP_SAFETENSORS_MOST_HEADER, (size_t)2 << 20, 4};

// ---- one entry ------------------------------------------------------------------------------

typedef struct type_row {
    const char *name;
    int bits;
    cop_dtype type;
} type_row;

static const type_row types[] = {
    {"F32", 32, COP_F32},      {"F16", 16, COP_F16},      {"BF16", 16, COP_BF16},    {"F64", 64, COP_N_DTYPES},
    {"I64", 64, COP_N_DTYPES}, {"I32", 32, COP_N_DTYPES}, {"I16", 16, COP_N_DTYPES}, {"I8", 8, COP_N_DTYPES},
    {"U64", 64, COP_N_DTYPES}, {"U32", 32, COP_N_DTYPES}, {"U16", 16, COP_N_DTYPES}, {"U8", 8, COP_N_DTYPES},
    {"BOOL", 8, COP_N_DTYPES}, {"C64", 64, COP_N_DTYPES}, {"F8_E4M3", 8, COP_N_DTYPES}, {"F8_E5M2", 8, COP_N_DTYPES},
    {"F8_E8M0", 8, COP_N_DTYPES}, {"F4", 4, COP_N_DTYPES}, {"F6_E2M3", 6, COP_N_DTYPES}, {"F6_E3M2", 6, COP_N_DTYPES},
};

static const type_row *find_type(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) return &types[i];
    return NULL;
}

static cop_status check_name(const char *name) {
    size_t n = strlen(name);
    if (n == 0 || n > COP_SAFETENSORS_MOST_NAME)
        return cop_fail(COP_ERR_FORMAT, "a tensor's name of %zu bytes, need 1 to %d", n, COP_SAFETENSORS_MOST_NAME);
    for (size_t i = 0; i < n; i++)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return cop_fail(COP_ERR_FORMAT, "a tensor's name: byte 0x%02x at place %zu, need printable ASCII",
                            (unsigned char)name[i], i);
    return COP_OK;
}

// A number of the header that counts something.
static cop_status read_count(const json_t *v, const char *name, const char *what, uint64_t *out) {
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %s must hold integers that are not negative", name, what);
    *out = (uint64_t)json_integer_value(v);
    return COP_OK;
}

static cop_status read_shape(const json_t *v, cop_safetensors_tensor *t, uint64_t *elements) {
    if (!json_is_array(v)) return cop_fail(COP_ERR_FORMAT, "tensor %s: shape must be an array", t->name);
    size_t n = json_array_size(v);
    if (n > COP_SAFETENSORS_MOST_DIMS)
        return cop_fail(COP_ERR_LIMIT, "tensor %s: %zu dimensions, at most %d", t->name, n, COP_SAFETENSORS_MOST_DIMS);
    t->n_dims = (int)n;
    for (size_t i = 0; i < COP_SAFETENSORS_MOST_DIMS; i++) {
        t->dims[i] = 1;
        if (i >= n) continue;
        COP_TRY(read_count(json_array_get(v, i), t->name, "shape", &t->dims[i]));
        if (!t->dims[i]) return cop_fail(COP_ERR_FORMAT, "tensor %s: dimension %zu is 0", t->name, i);
        if (__builtin_mul_overflow(*elements, t->dims[i], elements))
            return cop_fail(COP_ERR_FORMAT, "tensor %s: dimension %zu of %llu: the number of elements overflows", t->name, i,
                            (ull)t->dims[i]);
    }
    return COP_OK;
}

// Bytes by type and shape, place by the offsets: both must agree and lie in the data.
static cop_status place(const json_t *entry, const type_row *type, uint64_t elements, const uint8_t *data, uint64_t data_bytes,
                        cop_safetensors_tensor *t) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    uint64_t begin, end, bits;
    if (json_array_size(offsets) != 2)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: data_offsets must be an array of two", t->name);
    COP_TRY(read_count(json_array_get(offsets, 0), t->name, "data_offsets", &begin));
    COP_TRY(read_count(json_array_get(offsets, 1), t->name, "data_offsets", &end));
    if (begin > end || end > data_bytes)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: data from %llu to %llu, the file holds %llu bytes of data", t->name, (ull)begin,
                        (ull)end, (ull)data_bytes);
    if (__builtin_mul_overflow(elements, (uint64_t)type->bits, &bits))
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu elements of %s: size overflows", t->name, (ull)elements, type->name);
    if (bits % 8 || bits / 8 != end - begin)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu bytes, but its shape and type %s need %llu", t->name, (ull)(end - begin),
                        type->name, (ull)(bits / 8));
    t->type = type->type;
    t->type_name = type->name;
    t->bytes = end - begin;
    t->data = data + begin;
    return COP_OK;
}

static cop_status fail_type(const char *name, const char *type) {
    bool printable = *type && strlen(type) < 16;
    for (const char *p = type; *p && printable; p++) printable = *p > 0x20 && *p < 0x7f;
    return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s is unknown", name, printable ? type : "(not a name)");
}

static cop_status read_entry(const json_t *entry, const uint8_t *data, uint64_t data_bytes, cop_safetensors_tensor *t) {
    uint64_t elements = 1;
    const json_t *dtype = json_object_get(entry, "dtype");
    if (!json_is_object(entry)) return cop_fail(COP_ERR_FORMAT, "tensor %s: must be an object", t->name);
    if (!json_is_string(dtype)) return cop_fail(COP_ERR_FORMAT, "tensor %s: dtype must be a text", t->name);
    const type_row *type = find_type(json_string_value(dtype));
    if (!type) return fail_type(t->name, json_string_value(dtype));
    COP_TRY(read_shape(json_object_get(entry, "shape"), t, &elements));
    return place(entry, type, elements, data, data_bytes, t);
}

// ---- one file -------------------------------------------------------------------------------

static int compare_places(const void *a, const void *b) {
    const uint8_t *x = ((const cop_safetensors_tensor *)a)->data, *y = ((const cop_safetensors_tensor *)b)->data;
    return x < y ? -1 : x > y;
}

// In the order of their data each begins where the one before ends, and the last ends with the file.
static cop_status check_cover(cop_safetensors_tensor *t, size_t n, const uint8_t *data, uint64_t data_bytes) {
    uint64_t at = 0;
    qsort(t, n, sizeof *t, compare_places);
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = (uint64_t)(t[i].data - data);
        if (begin < at) return cop_fail(COP_ERR_FORMAT, "tensors %s and %s overlap", t[i - 1].name, t[i].name);
        if (begin > at)
            return cop_fail(COP_ERR_FORMAT, "tensor %s: begins at %llu of the data, %llu bytes before it belong to no tensor",
                            t[i].name, (ull)begin, (ull)(begin - at));
        at += t[i].bytes;
    }
    if (at != data_bytes)
        return cop_fail(COP_ERR_FORMAT, "the tensors end at %llu of %llu bytes of data", (ull)at, (ull)data_bytes);
    return COP_OK;
}

static cop_status check_metadata(const json_t *v) {
    const char *key;
    json_t *value;
    if (!json_is_object(v)) return cop_fail(COP_ERR_FORMAT, "__metadata__ must be an object");
    json_object_foreach((json_t *)(uintptr_t)v, key, value)
        if (!json_is_string(value)) return cop_fail(COP_ERR_FORMAT, "__metadata__ must hold texts only");
    return COP_OK;
}

static cop_status allocate(cop_safetensors *s, shard *sh, const json_t *header) {
    size_t n = json_object_size(header), name_bytes = 0;
    const char *key;
    json_t *value;
    if (n > COP_SAFETENSORS_MOST_TENSORS - s->n_tensors)
        return cop_fail(COP_ERR_LIMIT, "%zu tensors, at most %d", s->n_tensors + n, COP_SAFETENSORS_MOST_TENSORS);
    json_object_foreach((json_t *)(uintptr_t)header, key, value) name_bytes += strlen(key) + 1;
    sh->names = cop_alloc(name_bytes);
    cop_safetensors_tensor *grown =
        cop_realloc(s->tensors, s->n_tensors * sizeof *s->tensors, (s->n_tensors + n) * sizeof *s->tensors);
    if (grown) s->tensors = grown;
    if (!grown || !sh->names) return cop_fail(COP_ERR_NOMEM, "cannot allocate %zu tensors", n);
    return COP_OK;
}

static cop_status read_tensors(cop_safetensors *s, shard *sh, const json_t *header, size_t data_start) {
    const uint8_t *data = sh->map.data + data_start;
    uint64_t data_bytes = sh->map.bytes - data_start;
    COP_TRY(allocate(s, sh, header));
    cop_safetensors_tensor *first = s->tensors + s->n_tensors;
    char *names = sh->names;
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)header, key, value) {
        if (!strcmp(key, "__metadata__")) {
            COP_TRY(check_metadata(value));
            continue;
        }
        COP_TRY(check_name(key));
        size_t bytes = strlen(key) + 1;
        memcpy(names, key, bytes);
        first[n] = (cop_safetensors_tensor){.name = names, .map = &sh->map};
        names += bytes;
        COP_TRY(read_entry(value, data, data_bytes, &first[n]));
        n++;
    }
    COP_TRY(check_cover(first, n, data, data_bytes));
    s->n_tensors += n;
    return COP_OK;
}

static cop_status read_shard(cop_safetensors *s, shard *sh) {
    cop_cursor c = {.data = sh->map.data, .bytes = sh->map.bytes};
    uint64_t n = cop_cursor_u64(&c);
    if (c.failed) return cop_fail(COP_ERR_FORMAT, "%zu bytes, need at least 8", sh->map.bytes);
    if (n > cop_cursor_left(&c))
        return cop_fail(COP_ERR_FORMAT, "a header of %llu bytes, but the file has %zu; not a safetensors file?", (ull)n,
                        cop_cursor_left(&c));
    if (n > COP_SAFETENSORS_MOST_HEADER)
        return cop_fail(COP_ERR_LIMIT, "a header of %llu bytes, at most %zu", (ull)n, COP_SAFETENSORS_MOST_HEADER);
    if (n < 2 || sh->map.data[8] != '{') return cop_fail(COP_ERR_FORMAT, "the header does not begin with '{'");
    json_t *header;
    COP_TRY(cop_json_parse(&header, (const char *)sh->map.data + 8, (size_t)n, &header_limits));
    cop_status st = read_tensors(s, sh, header, 8 + (size_t)n);
    json_decref(header);
    return st;
}

static cop_status open_shard(cop_safetensors *s, shard *sh, const char *path) {
    COP_TRY(cop_map_open(&sh->map, path));  // names the path itself
    sh->mapped = true;
    cop_status st = read_shard(s, sh);
    if (st) cop_fail_note("%s", path);
    return st;
}

// ---- all files ------------------------------------------------------------------------------

static int compare_names(const void *a, const void *b) {
    return strcmp(((const cop_safetensors_tensor *)a)->name, ((const cop_safetensors_tensor *)b)->name);
}

static cop_status sort_tensors(cop_safetensors *s) {
    if (s->n_tensors) qsort(s->tensors, s->n_tensors, sizeof *s->tensors, compare_names);
    for (size_t i = 1; i < s->n_tensors; i++)
        if (!strcmp(s->tensors[i - 1].name, s->tensors[i].name))
            return cop_fail(COP_ERR_FORMAT, "tensor %s is in two files; %s", s->tensors[i].name, s->name);
    return COP_OK;
}

static cop_safetensors *create(const char *name, size_t n_shards) {
    cop_safetensors *s = cop_alloc(sizeof *s);
    if (!s) return NULL;
    s->name = cop_text_copy(name, strlen(name));
    s->shards = cop_alloc_array(n_shards, sizeof *s->shards);
    if (s->name && s->shards) {
        s->n_shards = n_shards;
        return s;
    }
    cop_safetensors_close(s);
    return NULL;
}

static cop_status finish(cop_safetensors **out, cop_safetensors *s, cop_status st) {
    if (!st) st = sort_tensors(s);
    if (st) {
        cop_safetensors_close(s);
        return st;
    }
    *out = s;
    return COP_OK;
}

cop_status cop_safetensors_open(cop_safetensors **out, const char *path) {
    *out = NULL;
    cop_safetensors *s = create(path, 1);
    if (!s) return cop_fail(COP_ERR_NOMEM, "cannot allocate the reader; %s", path);
    return finish(out, s, open_shard(s, &s->shards[0], path));
}

cop_status cop_safetensors_from_memory(cop_safetensors **out, const void *data, size_t bytes, const char *name) {
    *out = NULL;
    cop_safetensors *s = create(name, 1);
    if (!s) return cop_fail(COP_ERR_NOMEM, "cannot allocate the reader; %s", name);
    s->shards[0].map = (cop_map){.data = data, .bytes = bytes};
    cop_status st = read_shard(s, &s->shards[0]);
    if (st) cop_fail_note("%s", name);
    return finish(out, s, st);
}

void cop_safetensors_close(cop_safetensors *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n_shards; i++) {
        if (s->shards[i].mapped) cop_map_close(&s->shards[i].map);
        cop_free(s->shards[i].file);
        cop_free(s->shards[i].names);
    }
    cop_free(s->shards);
    cop_free(s->tensors);
    cop_free(s->name);
    cop_free(s);
}

// ---- shards ---------------------------------------------------------------------------------

// A shard is a file in the index's own folder, whatever the index says.
static cop_status check_file_name(const char *file) {
    size_t n = strlen(file);
    bool plain = n > 12 && n < 256 && file[0] != '.' && !strcmp(file + n - 12, ".safetensors");
    for (size_t i = 0; i < n && plain; i++) plain = file[i] >= 0x20 && file[i] <= 0x7e && file[i] != '/' && file[i] != '\\';
    if (!plain) return cop_fail(COP_ERR_FORMAT, "weight_map: a file name that is no plain NAME.safetensors");
    return COP_OK;
}

static int compare_texts(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// The different file names of the index, sorted; borrowed from it.
static cop_status list_files(const json_t *map, const char ***out, size_t *n_files) {
    size_t n = json_object_size(map), n_different = 0;
    if (!json_is_object(map) || !n) return cop_fail(COP_ERR_FORMAT, "weight_map must be an object with tensors");
    if (n > COP_SAFETENSORS_MOST_TENSORS)
        return cop_fail(COP_ERR_LIMIT, "weight_map: %zu tensors, at most %d", n, COP_SAFETENSORS_MOST_TENSORS);
    const char **files = cop_alloc_array(n, sizeof *files), *key;
    if (!files) return cop_fail(COP_ERR_NOMEM, "cannot allocate %zu names", n);
    *out = files;
    json_t *value;
    n = 0;
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        if (!json_is_string(value)) return cop_fail(COP_ERR_FORMAT, "weight_map must hold file names");
        COP_TRY(check_name(key));
        COP_TRY(check_file_name(json_string_value(value)));
        files[n++] = json_string_value(value);
    }
    qsort(files, n, sizeof *files, compare_texts);
    for (size_t i = 0; i < n; i++)
        if (!n_different || strcmp(files[n_different - 1], files[i])) files[n_different++] = files[i];
    if (n_different > COP_SAFETENSORS_MOST_SHARDS)
        return cop_fail(COP_ERR_LIMIT, "weight_map: %zu files, at most %d", n_different, COP_SAFETENSORS_MOST_SHARDS);
    *n_files = n_different;
    return COP_OK;
}

static cop_status join(char path[PATH_BYTES], const char *folder, const char *file) {
    int n = snprintf(path, PATH_BYTES, "%s/%s", folder, file);
    if (n < 0 || n >= PATH_BYTES) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", folder);
    return COP_OK;
}

static cop_status open_files(cop_safetensors *s, const char *folder, const char *const *files) {
    char path[PATH_BYTES];
    for (size_t i = 0; i < s->n_shards; i++) {
        s->shards[i].file = cop_text_copy(files[i], strlen(files[i]));
        if (!s->shards[i].file) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", files[i]);
        COP_TRY(join(path, folder, files[i]));
        COP_TRY(open_shard(s, &s->shards[i], path));
    }
    return COP_OK;
}

// Every tensor of the index is in the file that the index names. More tensors than listed are no harm.
static cop_status check_index(const cop_safetensors *s, const json_t *map) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        const cop_safetensors_tensor *t = cop_safetensors_find_tensor(s, key);
        const char *file = json_string_value(value);
        if (!t) return cop_fail(COP_ERR_FORMAT, "tensor %s is in the index, and in no file; %s", key, s->name);
        for (size_t i = 0; i < s->n_shards; i++)
            if (t->map == &s->shards[i].map && strcmp(s->shards[i].file, file))
                return cop_fail(COP_ERR_FORMAT, "tensor %s: the index says %s, it is in %s; %s", key, file, s->shards[i].file, s->name);
    }
    return COP_OK;
}

static cop_status open_listed(cop_safetensors **out, const char *folder, const char *index_path, const json_t *index) {
    const json_t *map = json_object_get(index, "weight_map");
    const char **files = NULL;
    size_t n = 0;
    cop_safetensors *s = NULL;
    cop_status st = list_files(map, &files, &n);
    if (st) cop_fail_note("%s", index_path);
    if (!st && !(s = create(folder, n))) st = cop_fail(COP_ERR_NOMEM, "cannot allocate the reader; %s", folder);
    if (!st) st = open_files(s, folder, files);
    cop_free(files);
    if (!s) return st;
    COP_TRY(finish(out, s, st));
    st = check_index(s, map);
    if (st) {
        cop_safetensors_close(s);
        *out = NULL;
    }
    return st;
}

cop_status cop_safetensors_open_folder(cop_safetensors **out, const char *folder) {
    static const cop_json_limits limits = {MOST_INDEX, (size_t)1 << 20, 4};
    char path[PATH_BYTES];
    *out = NULL;
    COP_TRY(join(path, folder, "model.safetensors"));
    if (!access(path, F_OK)) return cop_safetensors_open(out, path);
    COP_TRY(join(path, folder, "model.safetensors.index.json"));
    if (access(path, F_OK))
        return cop_fail(COP_ERR_NOT_FOUND, "%s: holds neither model.safetensors nor model.safetensors.index.json", folder);
    json_t *index;
    COP_TRY(cop_json_read(&index, path, &limits));
    cop_status st = open_listed(out, folder, path, index);
    json_decref(index);
    return st;
}

// ---- tensors --------------------------------------------------------------------------------

const char *cop_safetensors_name(const cop_safetensors *s) { return s->name; }
size_t cop_safetensors_n_shards(const cop_safetensors *s) { return s->n_shards; }
const cop_map *cop_safetensors_map(const cop_safetensors *s, size_t i) { return i < s->n_shards ? &s->shards[i].map : NULL; }
size_t cop_safetensors_n_tensors(const cop_safetensors *s) { return s->n_tensors; }

const cop_safetensors_tensor *cop_safetensors_tensor_at(const cop_safetensors *s, size_t i) {
    return i < s->n_tensors ? &s->tensors[i] : NULL;
}

const cop_safetensors_tensor *cop_safetensors_find_tensor(const cop_safetensors *s, const char *name) {
    const cop_safetensors_tensor key = {.name = name};
    return s->n_tensors ? bsearch(&key, s->tensors, s->n_tensors, sizeof key, compare_names) : NULL;
}

cop_status cop_safetensors_get(const cop_safetensors *s, const char *name, const cop_safetensors_tensor **out) {
    const cop_safetensors_tensor *t = cop_safetensors_find_tensor(s, name);
    if (!t) return cop_fail(COP_ERR_FORMAT, "tensor %s is missing; %s", name, s->name);
    if (t->type == COP_N_DTYPES)
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s, need F32, F16 or BF16; %s", name, t->type_name, s->name);
    *out = t;
    return COP_OK;
}

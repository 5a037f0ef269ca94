// GGUF model files, versions 2 and 3, little endian, read from the mapping.
// Source: the GGUF format document (ggml/docs/gguf.md).
// Every size in the file is checked when it is opened, so what these functions hand out lies inside
// the mapping and stays valid until cop_gguf_close.  After open the object never changes: any
// number of threads may read it.  Getters never convert between kinds: a text is never a number.
// Cost: O(keys + tensors) memory, one look at each key, tensor and text of an array; no weights.
// Not here: what keys mean (model/, text/), shards (a caller opens each), writing (gguf_write.h).
#ifndef COP_FORMAT_GGUF_H
#define COP_FORMAT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/map.h"
#include "base/status.h"

#define COP_GGUF_NAME_BYTES 64    // a tensor's name with its NUL
#define COP_GGUF_MOST_KEYS 65536  // arbitrary, far above any model known
#define COP_GGUF_MOST_TENSORS 65536
#define COP_GGUF_MOST_PARTS 1000  // files of one model
#define COP_GGUF_MOST_ALIGNMENT (1u << 20)

typedef struct cop_gguf cop_gguf;

/* Types of values; the numbers are the file's. */
typedef enum cop_gguf_type {
    COP_GGUF_U8, COP_GGUF_I8, COP_GGUF_U16, COP_GGUF_I16, COP_GGUF_U32, COP_GGUF_I32, COP_GGUF_F32,
    COP_GGUF_BOOL, COP_GGUF_TEXT, COP_GGUF_ARRAY, COP_GGUF_U64, COP_GGUF_I64, COP_GGUF_F64,
    COP_GGUF_N_TYPES,
    COP_GGUF_NONE = COP_GGUF_N_TYPES  // of a key that is not there
} cop_gguf_type;

const char *cop_gguf_type_name(uint32_t type);  // "u32", "text"; "unknown" for other numbers

typedef struct cop_gguf_tensor {
    char name[COP_GGUF_NAME_BYTES];  // printable ASCII
    int n_dims;                      // 1 … 4
    uint64_t dims[4];                // never 0; fastest axis first: a matrix [out][in] has in, out.  Unused ones are 1
    cop_dtype type;                  // known to cop_dtype_get; may be one that cannot be computed with
    uint64_t offset;                 // of the data from the start of its file
    uint64_t bytes;
    const uint8_t *data;             // on a boundary of the file's alignment, which is at least 8; NULL: ask cop_gguf_read
} cop_gguf_tensor;

/* A view of an array's elements, all of one type that is not an array. */
typedef struct cop_gguf_array {
    cop_gguf_type type;
    size_t n;
    const uint8_t *data;
    const uint64_t *index;  // of texts: where every 16th begins
} cop_gguf_array;

typedef enum cop_gguf_kind {
    COP_GGUF_INTS,    // any integer type or bool
    COP_GGUF_FLOATS,  // f32 or f64
    COP_GGUF_TEXTS
} cop_gguf_kind;

/* ---- the file ---- */

/* A GGUF file, the first of several (PREFIX-00001-of-00003.gguf) with all the others, or a Hugging Face folder seen as one
 * (format/folder.h).
 * Errors end with the path.  COP_ERR_FORMAT for a file that is not what it says, COP_ERR_UNSUPPORTED
 * for version 1, big-endian files and tensor types this reader has no size for. */
cop_status cop_gguf_open(cop_gguf **out, const char *path);
/* Does the name end in -0000I-of-0000N.gguf? *stem: bytes before it. (gguf_parts.c) */
bool cop_gguf_is_part(const char *name, int *part, int *n_parts, size_t *stem);
/* As open, on borrowed memory (8-byte aligned) that outlives the object; `name` is for messages. */
cop_status cop_gguf_from_memory(cop_gguf **out, const void *data, size_t bytes, const char *name);
void cop_gguf_close(cop_gguf *g);  // accepts NULL

const char *cop_gguf_name(const cop_gguf *g);     // the path, for messages
const cop_map *cop_gguf_map(const cop_gguf *g);   // mtime_ns is 0 for memory
uint32_t cop_gguf_version(const cop_gguf *g);
uint32_t cop_gguf_alignment(const cop_gguf *g);
uint64_t cop_gguf_data_start(const cop_gguf *g);  // of the tensors' data, from the start of the file
const char *cop_gguf_folder(const cop_gguf *g);   // the path of a folder; NULL for a file
/* The files behind the object, and the bytes that keys and names are in: what a derived file is tied to. */
size_t cop_gguf_n_maps(const cop_gguf *g);
const cop_map *cop_gguf_map_at(const cop_gguf *g, size_t i);
const uint8_t *cop_gguf_meta(const cop_gguf *g, size_t *bytes);

/* ---- values ---- */

bool cop_gguf_has(const cop_gguf *g, const char *key);
cop_gguf_type cop_gguf_type_of(const cop_gguf *g, const char *key);  // COP_GGUF_NONE when missing

/* The plain form fails (COP_ERR_FORMAT) when the key is missing; the _or form gives `fallback` then.
 * Both fail, naming key, type and file, when the key is there with another type or a value that
 * does not fit.  *out is written on success only.
 *   u32, i64  any integer type whose value fits
 *   f32       f32 or f64; finite, and in the range of float
 *   bool      bool
 *   text      any bytes, NUL too; not terminated; n in *bytes, borrowed until close */
cop_status cop_gguf_get_u32(const cop_gguf *g, const char *key, uint32_t *out);
cop_status cop_gguf_get_i64(const cop_gguf *g, const char *key, int64_t *out);
cop_status cop_gguf_get_f32(const cop_gguf *g, const char *key, float *out);
cop_status cop_gguf_get_bool(const cop_gguf *g, const char *key, bool *out);
cop_status cop_gguf_get_text(const cop_gguf *g, const char *key, const char **out, size_t *bytes);

cop_status cop_gguf_get_u32_or(const cop_gguf *g, const char *key, uint32_t fallback, uint32_t *out);
cop_status cop_gguf_get_i64_or(const cop_gguf *g, const char *key, int64_t fallback, int64_t *out);
cop_status cop_gguf_get_f32_or(const cop_gguf *g, const char *key, float fallback, float *out);
cop_status cop_gguf_get_bool_or(const cop_gguf *g, const char *key, bool fallback, bool *out);
cop_status cop_gguf_get_text_or(const cop_gguf *g, const char *key, const char *fallback, const char **out,
                                size_t *bytes);

/* One value per layer: a single integer (repeated) or an array of exactly n of them. */
cop_status cop_gguf_get_u32_each(const cop_gguf *g, const char *key, uint32_t *out, size_t n);

/* An array whose elements are of this kind.  Integers are known to fit int64_t.  The _or_empty form
 * gives n = 0 when the key is missing. */
cop_status cop_gguf_get_array(const cop_gguf *g, const char *key, cop_gguf_kind kind, cop_gguf_array *out);
cop_status cop_gguf_get_array_or_empty(const cop_gguf *g, const char *key, cop_gguf_kind kind, cop_gguf_array *out);

/* Element i < n of an array of that kind, in O(1); 0 or no text when the array is of another. */
int64_t cop_gguf_int(const cop_gguf_array *a, size_t i);
double cop_gguf_float(const cop_gguf_array *a, size_t i);
const char *cop_gguf_text(const cop_gguf_array *a, size_t i, size_t *bytes);

/* Keys in the order of the file. */
typedef struct cop_gguf_entry {
    const char *name;    // printable ASCII, not terminated
    size_t name_bytes;
    cop_gguf_type type;
    cop_gguf_array array;  // when type is COP_GGUF_ARRAY
} cop_gguf_entry;
size_t cop_gguf_n_keys(const cop_gguf *g);
void cop_gguf_key(const cop_gguf *g, size_t i, cop_gguf_entry *out);
/* The value as one printable ASCII line, cut with "..." to fit bytes >= 8 with the NUL. */
void cop_gguf_print(const cop_gguf *g, size_t i, char *line, size_t bytes);

/* ---- tensors ---- */

size_t cop_gguf_n_tensors(const cop_gguf *g);
const cop_gguf_tensor *cop_gguf_tensor_at(const cop_gguf *g, size_t i);             // in the order of the file
const cop_gguf_tensor *cop_gguf_find_tensor(const cop_gguf *g, const char *name);  // NULL when missing

/* The tensor's bytes, wherever they are: in the mapping, or made now from a folder's. release: they will not
 * be read again soon, and those that were made are gone. */
cop_status cop_gguf_read(const cop_gguf *g, const cop_gguf_tensor *t, const uint8_t **data);
void cop_gguf_release(const cop_gguf *g, const cop_gguf_tensor *t, const uint8_t *data);  // data may be NULL

/* The one place where sizes are computed: bytes of a tensor, and rounded up to `alignment` (a power
 * of two).  COP_ERR_FORMAT when a dimension is 0, a row is not whole blocks, or a size overflows. */
cop_status cop_gguf_tensor_bytes(uint32_t type, int n_dims, const uint64_t *dims, uint64_t alignment, uint64_t *bytes,
                                 uint64_t *padded);

#endif

// What the files of the GGUF reader share.
#ifndef COP_FORMAT_GGUF_PRIVATE_H
#define COP_FORMAT_GGUF_PRIVATE_H

#include "format/gguf.h"

#define COP_GGUF_HEADER_BYTES 24
#define COP_GGUF_LEAST_KEY 14      // bytes of a key entry: length, one letter, type, one byte
#define COP_GGUF_LEAST_TENSOR 33   // length, one letter, rank, one dimension, type, offset
#define COP_GGUF_INDEX_STRIDE 16   // texts of an array per entry of its index
#define COP_GGUF_MOST_KEY_NAME 65535  // the format document's limit

typedef struct cop_gguf_value {
    const char *name;       // in the mapping, printable ASCII
    size_t name_bytes;
    cop_gguf_type type;
    const uint8_t *data;    // of a number or text
    size_t bytes;           // of a text
    cop_gguf_array array;   // owns its index
} cop_gguf_value;

struct cop_gguf {
    cop_map map;
    bool mapped;  // map is ours to close
    char *name;
    uint32_t version, alignment;
    uint64_t data_start;
    cop_gguf_value *values;  // [n_values], order of the file
    size_t n_values;
    const cop_gguf_value **values_by_name;  // sorted
    cop_gguf_tensor *tensors;  // [n_tensors], order of the file
    size_t n_tensors;
    const cop_gguf_tensor **tensors_by_name;  // sorted
    struct cop_gguf **parts;   // [n_parts] the second file and those behind it, of a model in several; tensors are all in the first's list
    size_t n_parts;
    struct cop_folder *folder;  // what is behind it when it is no file; else NULL
};

/* gguf_keys.c: the key entries, from the cursor's place to behind the last. */
cop_status cop_gguf_read_keys(cop_gguf *g, cop_cursor *c, uint64_t n);
void cop_gguf_free_keys(cop_gguf *g);
/* A length-prefixed name of 1 … most bytes; `what` and `i` are for messages ("tensor", 3). */
cop_status cop_gguf_read_name(cop_cursor *c, const char *what, size_t i, size_t most, const char **name, size_t *bytes);
/* At most `most`, and few enough that entries of `least` bytes fit into what is left. */
cop_status cop_gguf_check_count(const cop_cursor *c, const char *what, uint64_t n, size_t least, size_t most);

/* gguf_tensors.c: the tensor entries and the place of their data. */
cop_status cop_gguf_read_tensors(cop_gguf *g, cop_cursor *c, uint64_t n);
void cop_gguf_free_tensors(cop_gguf *g);

/* gguf.c: one file alone, whatever it is a part of. */
cop_status cop_gguf_open_file(cop_gguf **out, const char *path);

/* gguf_parts.c: the files that belong to g, when it is the first of several. Errors end with g's path. */
cop_status cop_gguf_join_parts(cop_gguf *g);
void cop_gguf_free_parts(cop_gguf *g);
const cop_map *cop_gguf_map_of(const cop_gguf *g, const cop_gguf_tensor *t);  // that holds the tensor

/* gguf_values.c */
const cop_gguf_value *cop_gguf_find_value(const cop_gguf *g, const char *key);  // NULL when missing
size_t cop_gguf_type_bytes(cop_gguf_type type);  // 0 for texts and arrays

#endif

// Writing GGUF version 3.  Keys and tensors are collected, then written at once and atomically.
#ifndef COP_FORMAT_GGUF_WRITE_H
#define COP_FORMAT_GGUF_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/gguf.h"

typedef struct cop_gguf_writer cop_gguf_writer;

/* alignment: a power of two from 8 to COP_GGUF_MOST_ALIGNMENT, or 0 for the format's default, 32.
 * The first failure of an add is kept and every later call returns it again, so a caller may look
 * at the last call only. */
cop_status cop_gguf_writer_new(cop_gguf_writer **out, uint32_t alignment);
void cop_gguf_writer_free(cop_gguf_writer *w);  // accepts NULL

/* Names are copied; COP_ERR_ARG for one that the reader would refuse, or for one used twice. */
cop_status cop_gguf_add_int(cop_gguf_writer *w, const char *key, cop_gguf_type type, int64_t value);  // integer or bool
cop_status cop_gguf_add_u32(cop_gguf_writer *w, const char *key, uint32_t value);
cop_status cop_gguf_add_f32(cop_gguf_writer *w, const char *key, float value);
cop_status cop_gguf_add_f64(cop_gguf_writer *w, const char *key, double value);
cop_status cop_gguf_add_bool(cop_gguf_writer *w, const char *key, bool value);
cop_status cop_gguf_add_text(cop_gguf_writer *w, const char *key, const char *text, size_t bytes);
/* n elements of a type with a fixed size, as they lie in memory on a little-endian machine. */
cop_status cop_gguf_add_array(cop_gguf_writer *w, const char *key, cop_gguf_type type, const void *values, size_t n);
/* n texts; sizes may be NULL, then they end with NUL. */
cop_status cop_gguf_add_texts(cop_gguf_writer *w, const char *key, const char *const *texts, const size_t *sizes, size_t n);

/* data is borrowed until the writer is freed: as many bytes as the type and dims need. */
cop_status cop_gguf_add_tensor(cop_gguf_writer *w, const char *name, cop_dtype type, int n_dims, const uint64_t *dims,
                               const void *data);

/* Key i of a file, with the value as it lies there. */
cop_status cop_gguf_add_copy(cop_gguf_writer *w, const cop_gguf *g, size_t i);

/* A tensor whose bytes are made while the file is written: `source` is called with its number, in the order
 * of the adds, and gives them to `put` in as many pieces as it likes. Only cop_gguf_writer_save asks it. */
typedef cop_status cop_gguf_put(void *sink, const void *data, size_t bytes);
typedef cop_status cop_gguf_source(void *user, size_t tensor, cop_gguf_put *put, void *sink);
cop_status cop_gguf_add_tensor_later(cop_gguf_writer *w, const char *name, cop_dtype type, int n_dims, const uint64_t *dims);
void cop_gguf_writer_set_source(cop_gguf_writer *w, cop_gguf_source *source, void *user);
uint64_t cop_gguf_writer_data_bytes(const cop_gguf_writer *w);  // of all tensors, padded

/* Write to `path`, by way of a temporary file in the same folder: there is a whole file or the old one. */
cop_status cop_gguf_writer_save(cop_gguf_writer *w, const char *path);
/* The whole file in memory; caller frees *data with cop_free. */
cop_status cop_gguf_writer_bytes(cop_gguf_writer *w, uint8_t **data, size_t *bytes);

#endif

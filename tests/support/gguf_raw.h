// GGUF files byte by byte, right or wrong, for tests of the reader; right ones are easier to make
// with format/gguf_write.h.
#ifndef COP_TESTS_GGUF_RAW_H
#define COP_TESTS_GGUF_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "format/gguf.h"

#define RAW_MOST_BYTES 16384

typedef struct raw_file {
    uint8_t v[RAW_MOST_BYTES];
    size_t n;
} raw_file;

void raw_bytes(raw_file *f, const void *data, size_t bytes);
void raw_u8(raw_file *f, uint8_t v);
void raw_u32(raw_file *f, uint32_t v);
void raw_u64(raw_file *f, uint64_t v);
void raw_text(raw_file *f, const char *text);
void raw_fill(raw_file *f, uint8_t value, size_t bytes);
void raw_pad(raw_file *f, size_t alignment);
size_t raw_type_bytes(uint32_t type);  // of a value; 8 for a text, the least; 0 for an array
/* Starts the file: magic, version 3, counts. */
void raw_header(raw_file *f, uint64_t n_tensors, uint64_t n_keys);
void raw_key(raw_file *f, const char *key, uint32_t type);
void raw_key_u32(raw_file *f, const char *key, uint32_t value);
void raw_array(raw_file *f, const char *key, uint32_t type, uint64_t n);
void raw_tensor(raw_file *f, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset);

/* Open the first `bytes` bytes of a copy that ends where a page without access begins.  The copy is
 * valid until the next call: one file at a time. */
cop_status raw_open_bytes(cop_gguf **out, const void *data, size_t bytes);
cop_status raw_open(cop_gguf **out, const raw_file *f);

/* The file is refused with this status and a message that has `part` in it. */
#define assert_refused(f, want, part) raw_assert_refused((f), (want), (part), __FILE__, __LINE__)
void raw_assert_refused(const raw_file *f, cop_status want, const char *part, const char *file, int line);
#define assert_opens(f) raw_assert_opens((f), __FILE__, __LINE__)
void raw_assert_opens(const raw_file *f, const char *file, int line);

#endif

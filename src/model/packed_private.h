// What packed.c and its fuzzer share: the head of a packed file and reading one from anywhere.
#ifndef COP_MODEL_PACKED_PRIVATE_H
#define COP_MODEL_PACKED_PRIVATE_H

#include "base/threads.h"

typedef struct cop_packed_head {
    char magic[8];  // "COPPACK\0"
    uint32_t layout, chunk_bytes;
    uint64_t source_bytes, source_mtime_ns, source_hash, memory_bytes, n_chunks, table_hash;
} cop_packed_head;

/* Copies bytes [offset, offset + bytes) of the file, all or none. Called by several threads at once. */
typedef cop_status cop_packed_bytes(const void *user, void *out, size_t bytes, size_t offset);

/* Where the chunks begin: behind the head and one checksum per chunk, at a multiple of 4096. */
size_t cop_packed_data_offset(const cop_packed_head *h);

/* Fill memory[0 … want->memory_bytes) when the file's head is *want, whose table_hash is the file's own, and every checksum
 * holds. After a failure what is in memory is nothing. */
cop_status cop_packed_read(cop_packed_bytes *from, const void *user, const cop_packed_head *want, cop_pool *pool, uint8_t *memory);

#endif

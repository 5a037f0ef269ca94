// Read-only file mapping, a cursor over bytes that cannot run off its end, whole files in and out.
#ifndef COP_BASE_MAP_H
#define COP_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct cop_map {
    const uint8_t *data;  // NULL when the file is empty
    size_t bytes;
    int64_t mtime_ns;     // of the file when it was opened
} cop_map;

/* Map a regular file.  Errors name the path: COP_ERR_NOT_FOUND, COP_ERR_IO. */
cop_status cop_map_open(cop_map *map, const char *path);
void cop_map_close(cop_map *map);  // accepts a zeroed map
/* The pages of [offset, offset + bytes) will not be read again soon: give them back. */
void cop_map_forget(const cop_map *map, size_t offset, size_t bytes);

/* Little-endian reads from bytes that nobody has checked.  The first read beyond the end sets
 * `failed` and every later read returns 0, so a reader may check once per record. */
typedef struct cop_cursor {
    const uint8_t *data;
    size_t bytes, at;
    bool failed;
} cop_cursor;

static inline size_t cop_cursor_left(const cop_cursor *c) { return c->failed ? 0 : c->bytes - c->at; }
const uint8_t *cop_cursor_take(cop_cursor *c, uint64_t bytes);  // NULL (and failed) when too few are left
uint8_t cop_cursor_u8(cop_cursor *c);
uint16_t cop_cursor_u16(cop_cursor *c);
uint32_t cop_cursor_u32(cop_cursor *c);
uint64_t cop_cursor_u64(cop_cursor *c);

/* Read a whole small file into zero-terminated memory, at most `most` bytes.  Caller frees *data. */
cop_status cop_file_read(const char *path, size_t most, char **data, size_t *bytes);
/* Write all of it, whatever the system takes at once; `path` is for messages. */
cop_status cop_file_put(int fd, const char *path, const void *data, size_t bytes);

/* Bytes into a file of which it is known how many come: cop_file_sink_put refuses more than are left. */
typedef struct cop_file_sink {
    int fd;
    const char *path;  // for messages
    uint64_t left;
} cop_file_sink;
cop_status cop_file_sink_put(void *sink, const void *data, size_t bytes);

/* Make the folder `path` and those above it, as far as they are missing. A full disk is COP_ERR_LIMIT. */
cop_status cop_folders_make(const char *path);

/* Put `bytes` bytes into the file at `path`, all or none: they are written beside it, synced and renamed. */
cop_status cop_file_write(const char *path, const void *data, size_t bytes);

#endif

// The packed file: a model's packed block of memory, so that the second start only reads.
//
// Layout, little endian: a head (packed_private.h), one XXH3 checksum per chunk, padding to 4096, the chunks.
// The head ties it to its source: size, time of change, and a hash of the source's metadata and of
// samples of its data. Anything that does not fit means "pack anew"; nothing in it is trusted.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "model/model_private.h"
#include "model/packed_private.h"

#define LAYOUT 1               // raise when a packed layout or the plan of weights changes
#define CHUNK ((size_t)2 << 20)

// Metadata whole, data by 64 samples of 4 KiB of each file: changes of content that keep size and time are found
// where they are likely, at a cost of a millisecond.
static uint64_t source_hash(const cop_gguf *file) {
    size_t meta, n_maps = cop_gguf_n_maps(file);
    const uint8_t *keys = cop_gguf_meta(file, &meta);
    uint64_t h = XXH3_64bits(keys, meta);
    for (size_t k = 0; k < n_maps; k++) {
        const cop_map *map = cop_gguf_map_at(file, k);
        size_t start = map->data == keys ? meta : 0;
        for (size_t i = 0; i < 64; i++) {
            size_t at = start + (map->bytes - start) / 64 * i, n = map->bytes - at < 4096 ? map->bytes - at : 4096;
            h = XXH3_64bits_withSeed(map->data + at, n, h);
        }
    }
    return h;
}

static cop_packed_head describe(const cop_gguf *file, size_t bytes) {
    cop_packed_head h = {.layout = LAYOUT, .chunk_bytes = (uint32_t)CHUNK, .source_hash = source_hash(file), .memory_bytes = bytes,
                .n_chunks = (bytes + CHUNK - 1) / CHUNK};
    for (size_t i = 0; i < cop_gguf_n_maps(file); i++) {
        const cop_map *map = cop_gguf_map_at(file, i);
        h.source_bytes += map->bytes;
        h.source_mtime_ns = 31 * h.source_mtime_ns + (uint64_t)map->mtime_ns;
    }
    memcpy(h.magic, "COPPACK", 8);
    return h;
}

size_t cop_packed_data_offset(const cop_packed_head *h) { return (sizeof *h + h->n_chunks * 8 + 4095) & ~(size_t)4095; }

// FOLDER/BASENAME-HASH.pack, the hash being that of the source's full path.
static cop_status packed_path(const cop_gguf *file, const char *folder, char *path, size_t bytes) {
    char full[4096];
    const char *name = cop_gguf_name(file);
    if (!realpath(name, full)) snprintf(full, sizeof full, "%s", name);
    const char *base = strrchr(full, '/');
    int n = snprintf(path, bytes, "%s/%s-%016llx.pack", folder, base ? base + 1 : full,
                     (unsigned long long)XXH3_64bits(full, strlen(full)));
    if (n < 0 || (size_t)n >= bytes) return cop_fail(COP_ERR_LIMIT, "%s: path is too long", folder);
    return COP_OK;
}

typedef struct reading {
    cop_pool *pool;
    cop_packed_bytes *from;
    const void *user;
    const cop_packed_head *h;
    const uint64_t *sums;
    uint8_t *memory;
} reading;

static cop_status read_worker(void *arg, int worker) {
    (void)worker;
    const reading *r = arg;
    int64_t begin, end;
    while (cop_pool_take(r->pool, (int64_t)r->h->n_chunks, 4, &begin, &end))
        for (int64_t i = begin; i < end; i++) {
            size_t chunk = r->h->chunk_bytes, at = (size_t)i * chunk, left = (size_t)r->h->memory_bytes - at, n = left < chunk ? left : chunk;
            COP_TRY(r->from(r->user, r->memory + at, n, cop_packed_data_offset(r->h) + at));
            if (XXH3_64bits(r->memory + at, n) != r->sums[i]) return cop_fail(COP_ERR_FORMAT, "packed file: chunk %lld is damaged", (long long)i);
        }
    return COP_OK;
}

cop_status cop_packed_read(cop_packed_bytes *from, const void *user, const cop_packed_head *want, cop_pool *pool, uint8_t *memory) {
    cop_packed_head h, same = *want;
    COP_TRY(from(user, &h, sizeof h, 0));
    same.table_hash = h.table_hash;
    if (memcmp(&h, &same, sizeof h)) return cop_fail(COP_ERR_FORMAT, "packed file: made from another source or by another version");
    uint64_t *sums = cop_alloc_array((size_t)h.n_chunks, sizeof *sums);
    if (!sums) return cop_fail(COP_ERR_NOMEM, "packed file: cannot allocate");
    cop_status st = from(user, sums, (size_t)h.n_chunks * 8, sizeof h);
    if (!st && XXH3_64bits(sums, (size_t)h.n_chunks * 8) != h.table_hash) st = cop_fail(COP_ERR_FORMAT, "packed file: table is damaged");
    reading r = {pool, from, user, &h, sums, memory};
    if (!st) st = cop_pool_run(pool, read_worker, &r);
    cop_free(sums);
    return st;
}

static cop_status read_at(const void *user, void *out, size_t bytes, size_t offset) {
    const int fd = *(const int *)user;
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, (char *)out + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cop_fail(COP_ERR_IO, "packed file: %s", n ? strerror(errno) : "too short");
        done += (size_t)n;
    }
    return COP_OK;
}

cop_status cop_packed_load(const cop_gguf *file, const char *folder, cop_pool *pool, uint8_t *memory, size_t bytes) {
    char path[4600];
    COP_TRY(packed_path(file, folder, path, sizeof path));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return cop_fail(COP_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    cop_packed_head want = describe(file, bytes);
    cop_status st = cop_packed_read(read_at, &fd, &want, pool, memory);
    close(fd);
    return st;
}

static cop_status write_all(int fd, const void *data, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cop_fail(COP_ERR_IO, "packed file: %s", strerror(errno));
        done += (size_t)n;
    }
    return COP_OK;
}

static cop_status write_packed(int fd, const cop_gguf *file, const uint8_t *memory, size_t bytes) {
    cop_packed_head h = describe(file, bytes);
    size_t head_bytes = cop_packed_data_offset(&h);
    uint8_t *head = cop_alloc(head_bytes);
    if (!head) return cop_fail(COP_ERR_NOMEM, "packed file: cannot allocate");
    uint64_t *sums = (uint64_t *)(void *)(head + sizeof h);
    for (size_t i = 0; i < h.n_chunks; i++) {
        size_t left = bytes - i * CHUNK;
        sums[i] = XXH3_64bits(memory + i * CHUNK, left < CHUNK ? left : CHUNK);
    }
    h.table_hash = XXH3_64bits(sums, (size_t)h.n_chunks * 8);
    memcpy(head, &h, sizeof h);
    cop_status st = write_all(fd, head, head_bytes);
    if (!st) st = write_all(fd, memory, bytes);
    cop_free(head);
    return st;
}

cop_status cop_packed_save(const cop_gguf *file, const char *folder, const uint8_t *memory, size_t bytes) {
    char path[4600], temporary[4700];
    COP_TRY(packed_path(file, folder, path, sizeof path));
    COP_TRY(cop_folders_make(folder));
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return cop_fail(COP_ERR_IO, "%s: %s", temporary, strerror(errno));
    cop_status st = write_packed(fd, file, memory, bytes);
    if (close(fd) && !st) st = cop_fail(COP_ERR_IO, "%s: %s", temporary, strerror(errno));
    if (!st && rename(temporary, path)) st = cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    if (st) unlink(temporary);
    return st;
}

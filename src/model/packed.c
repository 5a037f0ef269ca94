// The packed file: a model's packed block of memory, so that the second start only reads.
//
// Layout, little endian: a header (below), one XXH3 checksum per chunk, padding to 4096, the chunks.
// The header ties it to its source: size, time of change, and a hash of the source's metadata and of
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

#define LAYOUT 1               // raise when a packed layout or the plan of weights changes
#define CHUNK ((size_t)2 << 20)

typedef struct header {
    char magic[8];  // "COPPACK\0"
    uint32_t layout, chunk_bytes;
    uint64_t source_bytes, source_mtime_ns, source_hash, memory_bytes, n_chunks, table_hash;
} header;

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

static header describe(const cop_gguf *file, size_t bytes) {
    header h = {.layout = LAYOUT, .chunk_bytes = (uint32_t)CHUNK, .source_hash = source_hash(file), .memory_bytes = bytes,
                .n_chunks = (bytes + CHUNK - 1) / CHUNK};
    for (size_t i = 0; i < cop_gguf_n_maps(file); i++) {
        const cop_map *map = cop_gguf_map_at(file, i);
        h.source_bytes += map->bytes;
        h.source_mtime_ns = 31 * h.source_mtime_ns + (uint64_t)map->mtime_ns;
    }
    memcpy(h.magic, "COPPACK", 8);
    return h;
}

static size_t data_offset(const header *h) { return (sizeof *h + h->n_chunks * 8 + 4095) & ~(size_t)4095; }

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

static cop_status read_at(int fd, void *out, size_t bytes, size_t offset) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, (char *)out + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cop_fail(COP_ERR_IO, "packed file: %s", n ? strerror(errno) : "too short");
        done += (size_t)n;
    }
    return COP_OK;
}

typedef struct reading {
    cop_pool *pool;
    int fd;
    const header *h;
    const uint64_t *sums;
    uint8_t *memory;
} reading;

static cop_status read_worker(void *arg, int worker) {
    (void)worker;
    const reading *r = arg;
    int64_t begin, end;
    while (cop_pool_take(r->pool, (int64_t)r->h->n_chunks, 4, &begin, &end))
        for (int64_t i = begin; i < end; i++) {
            size_t at = (size_t)i * CHUNK, left = (size_t)r->h->memory_bytes - at, n = left < CHUNK ? left : CHUNK;
            COP_TRY(read_at(r->fd, r->memory + at, n, data_offset(r->h) + at));
            if (XXH3_64bits(r->memory + at, n) != r->sums[i]) return cop_fail(COP_ERR_FORMAT, "packed file: chunk %lld is damaged", (long long)i);
        }
    return COP_OK;
}

static cop_status read_packed(int fd, const header *want, cop_pool *pool, uint8_t *memory) {
    header h;
    COP_TRY(read_at(fd, &h, sizeof h, 0));
    header same = *want;
    same.table_hash = h.table_hash;
    if (memcmp(&h, &same, sizeof h)) return cop_fail(COP_ERR_FORMAT, "packed file: made from another source or by another version");
    uint64_t *sums = cop_alloc_array((size_t)h.n_chunks, sizeof *sums);
    if (!sums) return cop_fail(COP_ERR_NOMEM, "packed file: cannot allocate");
    cop_status st = read_at(fd, sums, (size_t)h.n_chunks * 8, sizeof h);
    if (!st && XXH3_64bits(sums, (size_t)h.n_chunks * 8) != h.table_hash) st = cop_fail(COP_ERR_FORMAT, "packed file: table is damaged");
    reading r = {pool, fd, &h, sums, memory};
    if (!st) st = cop_pool_run(pool, read_worker, &r);
    cop_free(sums);
    return st;
}

cop_status cop_packed_load(const cop_gguf *file, const char *folder, cop_pool *pool, uint8_t *memory, size_t bytes) {
    char path[4600];
    COP_TRY(packed_path(file, folder, path, sizeof path));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return cop_fail(COP_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    header want = describe(file, bytes);
    cop_status st = read_packed(fd, &want, pool, memory);
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
    header h = describe(file, bytes);
    size_t head_bytes = data_offset(&h);
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

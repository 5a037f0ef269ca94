#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

// Opens a regular file for reading; everything else is refused by name.
static cop_status open_regular(const char *path, int *fd, struct stat *info) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe without a writer would wait for one
    if (*fd < 0)
        return cop_fail(errno == ENOENT ? COP_ERR_NOT_FOUND : COP_ERR_IO, "%s: %s", path, strerror(errno));
    if (fstat(*fd, info)) {
        cop_status st = cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
        close(*fd);
        return st;
    }
    if (!S_ISREG(info->st_mode)) {
        close(*fd);
        return cop_fail(COP_ERR_IO, "%s: is %s, not a file", path, S_ISDIR(info->st_mode) ? "a folder" : "a device");
    }
    return COP_OK;
}

cop_status cop_map_open(cop_map *map, const char *path) {
    *map = (cop_map){0};
    int fd;
    struct stat info;
    COP_TRY(open_regular(path, &fd, &info));
    map->bytes = (size_t)info.st_size;
    map->mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    cop_status st = COP_OK;
    if (map->bytes) {
        void *p = mmap(NULL, map->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            st = cop_fail(COP_ERR_IO, "%s: cannot map %zu bytes: %s", path, map->bytes, strerror(errno));
            *map = (cop_map){0};
        } else {
            map->data = p;
        }
    }
    close(fd);
    return st;
}

void cop_map_close(cop_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->bytes);
    *map = (cop_map){0};
}

void cop_map_forget(const cop_map *map, size_t offset, size_t bytes) {
    size_t first = (offset + 4095) & ~(size_t)4095, end = (offset + bytes) & ~(size_t)4095;
    if (map->data && end > first) madvise((void *)(uintptr_t)(map->data + first), end - first, MADV_DONTNEED);
}

const uint8_t *cop_cursor_take(cop_cursor *c, uint64_t bytes) {
    if (c->failed || bytes > c->bytes - c->at) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *p = c->data + c->at;
    c->at += (size_t)bytes;
    return p;
}

static uint64_t take_number(cop_cursor *c, int bytes) {
    const uint8_t *p = cop_cursor_take(c, (uint64_t)bytes);
    uint64_t v = 0;
    for (int i = 0; p && i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t cop_cursor_u8(cop_cursor *c) { return (uint8_t)take_number(c, 1); }
uint16_t cop_cursor_u16(cop_cursor *c) { return (uint16_t)take_number(c, 2); }
uint32_t cop_cursor_u32(cop_cursor *c) { return (uint32_t)take_number(c, 4); }
uint64_t cop_cursor_u64(cop_cursor *c) { return take_number(c, 8); }

static cop_status read_all(int fd, const char *path, char *data, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, data + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cop_fail(COP_ERR_IO, "%s: %s", path, n ? strerror(errno) : "became shorter while read");
        done += (size_t)n;
    }
    return COP_OK;
}

cop_status cop_file_read(const char *path, size_t most, char **data, size_t *bytes) {
    *data = NULL;
    *bytes = 0;
    int fd;
    struct stat info;
    COP_TRY(open_regular(path, &fd, &info));
    size_t size = (size_t)info.st_size;
    cop_status st = COP_OK;
    if (size > most) {
        st = cop_fail(COP_ERR_LIMIT, "%s: %zu bytes, at most %zu", path, size, most);
    } else if (!(*data = cop_alloc(size + 1))) {
        st = cop_fail(COP_ERR_NOMEM, "%s: cannot allocate %zu bytes", path, size);
    } else if (!(st = read_all(fd, path, *data, size))) {
        *bytes = size;
    } else {
        cop_free(*data);
        *data = NULL;
    }
    close(fd);
    return st;
}

cop_status cop_file_put(int fd, const char *path, const void *data, size_t bytes) {
    for (const char *at = data; bytes;) {
        ssize_t n = write(fd, at, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cop_fail(COP_ERR_IO, "%s: cannot write: %s", path, n ? strerror(errno) : "no progress");
        at += n;
        bytes -= (size_t)n;
    }
    return COP_OK;
}

cop_status cop_file_sink_put(void *sink, const void *data, size_t bytes) {
    cop_file_sink *s = sink;
    if (bytes > s->left) return cop_fail(COP_ERR_ARG, "%s: %zu bytes too many for a tensor", s->path, bytes);
    s->left -= bytes;
    return cop_file_put(s->fd, s->path, data, bytes);
}

cop_status cop_folders_make(const char *path) {
    char part[4096];
    size_t n = strnlen(path, sizeof part);
    if (n >= sizeof part) return cop_fail(COP_ERR_LIMIT, "folder: longer than %zu bytes", sizeof part - 1);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i]) continue;
        char kept = part[i];
        part[i] = 0;
        if (mkdir(part, 0777) && errno != EEXIST) return cop_fail(errno == ENOSPC ? COP_ERR_LIMIT : COP_ERR_IO, "%s: %s", part, strerror(errno));
        part[i] = kept;
    }
    return COP_OK;
}

cop_status cop_file_write(const char *path, const void *data, size_t bytes) {
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.%ld.partial", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary) return cop_fail(COP_ERR_ARG, "%s: path is too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    cop_status st = cop_file_put(fd, temporary, data, bytes);
    if (!st && fsync(fd)) st = cop_fail(COP_ERR_IO, "%s: %s", temporary, strerror(errno));
    if (close(fd) && !st) st = cop_fail(COP_ERR_IO, "%s: %s", temporary, strerror(errno));
    if (!st && rename(temporary, path)) st = cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    if (st) unlink(temporary);
    return st;
}

#include "gguf_raw.h"

#include <string.h>
#include <sys/mman.h>

#include "mini_cmocka.h"

#define ARENA ((size_t)1 << 20)

void raw_bytes(raw_file *f, const void *data, size_t bytes) {
    if (bytes > sizeof f->v - f->n) fail_msg("a raw file has room for %d bytes", RAW_MOST_BYTES);
    if (bytes) memcpy(f->v + f->n, data, bytes);
    f->n += bytes;
}

void raw_u8(raw_file *f, uint8_t v) { raw_bytes(f, &v, sizeof v); }
void raw_u32(raw_file *f, uint32_t v) { raw_bytes(f, &v, sizeof v); }
void raw_u64(raw_file *f, uint64_t v) { raw_bytes(f, &v, sizeof v); }

size_t raw_type_bytes(uint32_t type) {
    static const uint8_t widths[COP_GGUF_N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
    return type < COP_GGUF_N_TYPES ? widths[type] : 0;
}

void raw_text(raw_file *f, const char *text) {
    raw_u64(f, strlen(text));
    raw_bytes(f, text, strlen(text));
}

void raw_fill(raw_file *f, uint8_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) raw_u8(f, value);
}

void raw_pad(raw_file *f, size_t alignment) {
    while (f->n % alignment) raw_u8(f, 0);
}

void raw_header(raw_file *f, uint64_t n_tensors, uint64_t n_keys) {
    f->n = 0;
    raw_bytes(f, "GGUF", 4);
    raw_u32(f, 3);
    raw_u64(f, n_tensors);
    raw_u64(f, n_keys);
}

void raw_key(raw_file *f, const char *key, uint32_t type) {
    raw_text(f, key);
    raw_u32(f, type);
}

void raw_key_u32(raw_file *f, const char *key, uint32_t value) {
    raw_key(f, key, COP_GGUF_U32);
    raw_u32(f, value);
}

void raw_array(raw_file *f, const char *key, uint32_t type, uint64_t n) {
    raw_key(f, key, COP_GGUF_ARRAY);
    raw_u32(f, type);
    raw_u64(f, n);
}

void raw_tensor(raw_file *f, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset) {
    raw_text(f, name);
    raw_u32(f, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) raw_u64(f, dims[i]);
    raw_u32(f, type);
    raw_u64(f, offset);
}

cop_status raw_open_bytes(cop_gguf **out, const void *data, size_t bytes) {
    static uint8_t *arena;
    if (!arena) {
        arena = mmap(NULL, ARENA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (arena == MAP_FAILED || mprotect(arena + ARENA, 4096, PROT_NONE)) fail_msg("no memory for a guarded copy");
    }
    if (bytes > ARENA) fail_msg("%zu bytes, a guarded copy has room for %zu", bytes, ARENA);
    if (bytes) memcpy(arena + ARENA - bytes, data, bytes);
    return cop_gguf_from_memory(out, arena + ARENA - bytes, bytes, "test.gguf");
}

cop_status raw_open(cop_gguf **out, const raw_file *f) { return raw_open_bytes(out, f->v, f->n); }

void raw_assert_refused(const raw_file *f, cop_status want, const char *part, const char *file, int line) {
    cop_gguf *g;
    cop_status st = raw_open(&g, f);
    if (!st) {
        cop_gguf_close(g);
        fail_msg("%s:%d: opened, expected a message with '%s'", file, line, part);
    }
    if (g) fail_msg("%s:%d: failed but gave an object", file, line);
    if (st != want || !strstr(cop_error_text(), part) || !strstr(cop_error_text(), "test.gguf"))
        fail_msg("%s:%d: %s: '%s', expected %s with '%s' and the file's name", file, line, cop_status_name(st),
                 cop_error_text(), cop_status_name(want), part);
}

void raw_assert_opens(const raw_file *f, const char *file, int line) {
    cop_gguf *g;
    if (raw_open(&g, f)) fail_msg("%s:%d: '%s', expected to open", file, line, cop_error_text());
    cop_gguf_close(g);
}

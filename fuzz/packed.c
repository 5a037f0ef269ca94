// Fuzzer of packed files. The first byte says what is put right (the head, the sums, the table's hash), so that what lies
// behind is reached; the next two say how much memory the model has. The padding before the chunks is not in the
// input. Whatever loads is what the file holds, and nothing is written behind the memory or read behind the file.
#include <stdint.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "model/packed_private.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { CHUNK = 64, MOST = 1024, RIGHT_HEAD = 1, RIGHT_SUMS = 2, RIGHT_TABLE = 4 };

typedef struct input {
    cop_packed_head want;
    uint8_t *data;  // head, table, chunks
    size_t bytes, table_end, padding;
} input;

static cop_status bytes_of(const void *user, void *out, size_t bytes, size_t offset) {
    const input *in = user;
    size_t at = offset;
    if (offset >= in->table_end + in->padding) at -= in->padding;
    else must(bytes <= in->table_end && offset <= in->table_end - bytes);
    if (at > in->bytes || bytes > in->bytes - at) return cop_fail(COP_ERR_IO, "packed file: too short");
    if (bytes) memcpy(out, in->data + at, bytes);
    return COP_OK;
}

static void put_right(input *in, int what) {
    uint64_t *table_hash = &((cop_packed_head *)(void *)in->data)->table_hash;
    if (in->bytes < sizeof in->want) return;
    if (what & RIGHT_HEAD) {
        in->want.table_hash = *table_hash;
        memcpy(in->data, &in->want, sizeof in->want);
    }
    if (in->bytes < in->table_end) return;
    for (size_t i = 0; what & RIGHT_SUMS && i < in->want.n_chunks; i++) {
        size_t at = i * CHUNK, left = (size_t)in->want.memory_bytes - at, n = left < CHUNK ? left : CHUNK;
        if (in->table_end + at + n > in->bytes) break;
        uint64_t sum = XXH3_64bits(in->data + in->table_end + at, n);
        memcpy(in->data + sizeof in->want + 8 * i, &sum, 8);
    }
    if (what & RIGHT_TABLE) *table_hash = XXH3_64bits(in->data + sizeof in->want, in->table_end - sizeof in->want);
}

static int sums_hold(const input *in, const uint8_t *memory) {
    for (size_t i = 0; i < in->want.n_chunks; i++) {
        size_t at = i * CHUNK, left = (size_t)in->want.memory_bytes - at;
        uint64_t sum = XXH3_64bits(memory + at, left < CHUNK ? left : CHUNK);
        if (memcmp(&sum, in->data + sizeof in->want + 8 * i, 8)) return 0;
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static cop_pool *pool;
    static uint8_t memory[MOST + 64];
    if (!pool) must(!cop_pool_new(&pool, 1));
    if (bytes < 3) return 0;
    size_t n = (data[1] | (size_t)data[2] << 8) % (MOST + 1);
    input in = {.want = {.magic = "COPPACK", .layout = 1, .chunk_bytes = CHUNK, .source_bytes = 1000, .source_hash = 7, .memory_bytes = n,
                         .n_chunks = (n + CHUNK - 1) / CHUNK},
                .bytes = bytes - 3};
    in.table_end = sizeof in.want + (size_t)in.want.n_chunks * 8;
    in.padding = cop_packed_data_offset(&in.want) - in.table_end;
    in.data = cop_alloc(in.bytes + 1);
    must(in.data != NULL);
    memcpy(in.data, data + 3, in.bytes);
    put_right(&in, data[0]);
    memset(memory, 0xA5, sizeof memory);
    cop_status st = cop_packed_read(bytes_of, &in, &in.want, pool, memory);
    if (st) must(*cop_error_text());
    else must(in.bytes >= in.table_end + n && !memcmp(memory, in.data + in.table_end, n) && sums_hold(&in, memory));
    for (size_t i = n; i < sizeof memory; i++) must(memory[i] == 0xA5);
    cop_free(in.data);
    return 0;
}

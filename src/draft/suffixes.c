#include "draft/suffixes.h"

#include <divsufsort.h>
#include <string.h>

#include "base/alloc.h"

#define MAGIC "COPSUFX"
#define MOST_BYTES ((size_t)INT32_MAX)  // of the tokens: the sorter's index type

typedef struct header {
    char magic[8];
    uint32_t V, width;
    uint64_t n;
} header;

static int width_of(int V) { return V < 1 << 16 ? 2 : V < 1 << 24 ? 3 : 4; }  // V itself has to fit

// Bytes of the whole file with n tokens; false when that is no size.
static bool file_bytes(uint64_t n, int width, size_t *places_at, size_t *bytes) {
    size_t tokens, places;
    if (n > MOST_BYTES || !cop_mul_size((size_t)n, (size_t)width, &tokens) || tokens > MOST_BYTES) return false;
    *places_at = sizeof(header) + (tokens + 7) / 8 * 8;
    return cop_mul_size((size_t)n, sizeof(uint32_t), &places) && cop_add_size(*places_at, places, bytes);
}

// ---- reading ------------------------------------------------------------------------------------

cop_status cop_suffixes_from_memory(cop_suffixes *s, const void *data, size_t bytes, int V, const char *name) {
    header h;
    size_t places_at, want;
    *s = (cop_suffixes){0};
    if (bytes < sizeof h) return cop_fail(COP_ERR_FORMAT, "%s: %zu bytes, a store has at least %zu", name, bytes, sizeof h);
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, MAGIC, sizeof h.magic)) return cop_fail(COP_ERR_FORMAT, "%s: no store that `coppice index` made", name);
    if (h.V != (uint32_t)V) return cop_fail(COP_ERR_UNSUPPORTED, "%s: of a vocabulary of %u tokens, this model has %d", name, h.V, V);
    if (h.width != (uint32_t)width_of(V) || !file_bytes(h.n, (int)h.width, &places_at, &want) || bytes != want)
        return cop_fail(COP_ERR_FORMAT, "%s: %zu bytes for %llu tokens of %u bytes", name, bytes, (unsigned long long)h.n, h.width);
    s->tokens = (const uint8_t *)data + sizeof h;
    s->places = (const uint8_t *)data + places_at;
    s->n = (int64_t)h.n;
    s->V = V;
    s->width = (int)h.width;
    return COP_OK;
}

cop_status cop_suffixes_open(cop_suffixes *s, const char *path, int V) {
    cop_map map;
    *s = (cop_suffixes){0};
    COP_TRY(cop_map_open(&map, path));
    cop_status st = cop_suffixes_from_memory(s, map.data, map.bytes, V, path);
    if (st) cop_map_close(&map);
    else s->map = map;
    return st;
}

void cop_suffixes_close(cop_suffixes *s) {
    cop_map_close(&s->map);
    *s = (cop_suffixes){0};
}

// Token number `depth` of the suffix that is number `rank`; -1 behind the end.
static int32_t token_at(const cop_suffixes *s, int64_t rank, int depth) {
    uint32_t place;
    memcpy(&place, s->places + (size_t)rank * sizeof place, sizeof place);
    int64_t at = (int64_t)place + depth;
    if (at >= s->n) return -1;
    const uint8_t *b = s->tokens + (size_t)at * (size_t)s->width;
    uint32_t t = 0;
    for (int i = 0; i < s->width; i++) t = t << 8 | b[i];
    return t < (uint32_t)s->V ? (int32_t)t : s->V;
}

// The first suffix in [low, high) that does not come before tokens[n], or, `behind`, that comes behind all that begin so.
static int64_t bound(const cop_suffixes *s, int64_t low, int64_t high, const int32_t *tokens, int n, int depth, bool behind) {
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int i = 0;
        int32_t t = -1;
        while (i < n && (t = token_at(s, middle, depth + i)) == tokens[i]) i++;
        if (i < n ? t < tokens[i] : behind) low = middle + 1;
        else high = middle;
    }
    return low;
}

cop_interval cop_suffixes_find(const cop_suffixes *s, const int32_t *tokens, int n) {
    cop_interval in = {0, s->n};
    in.low = bound(s, in.low, in.high, tokens, n, 0, false);
    in.high = bound(s, in.low, in.high, tokens, n, 0, true);
    return in;
}

// Probes at equal distances meet every part that is as wide as a distance; its ends are searched from there.
int cop_suffixes_split(const cop_suffixes *s, cop_interval in, int depth, int32_t *tokens, cop_interval *parts) {
    int n = 0;
    int64_t done = in.low;
    for (int i = 0; i < COP_SUFFIX_SPLITS; i++) {
        int64_t at = in.low + (in.high - in.low) * i / COP_SUFFIX_SPLITS;
        if (at < done || at >= in.high) continue;
        int32_t t = token_at(s, at, depth);
        cop_interval part = {bound(s, done, at, &t, 1, depth, false), bound(s, at, in.high, &t, 1, depth, true)};
        done = part.high > at ? part.high : at + 1;
        if (t < 0 || t >= s->V || part.low >= part.high) continue;  // in a file that is not sorted a part may be empty
        tokens[n] = t;
        parts[n++] = part;
    }
    return n;
}

// ---- writing ------------------------------------------------------------------------------------

static void put_tokens(uint8_t *out, const int32_t *tokens, size_t n, int width) {
    for (size_t i = 0; i < n; i++)
        for (int b = width; b-- > 0;) *out++ = (uint8_t)((uint32_t)tokens[i] >> (8 * b));
}

// Of the suffixes of bytes those that begin with a token stay, in their order.
static cop_status sort_suffixes(const uint8_t *bytes, size_t n, int width, uint8_t *places) {
    size_t n_bytes = n * (size_t)width, n_places = 0;
    int32_t *order = cop_alloc_array(n_bytes, sizeof *order);
    if (!order) return cop_fail(COP_ERR_NOMEM, "cannot allocate to sort %zu bytes", n_bytes);
    cop_status st = divsufsort(bytes, order, (saidx_t)n_bytes) ? cop_fail(COP_ERR_NOMEM, "cannot sort %zu bytes", n_bytes) : COP_OK;
    for (size_t i = 0; !st && i < n_bytes; i++) {
        if (order[i] % width) continue;
        uint32_t place = (uint32_t)(order[i] / width);
        memcpy(places + n_places++ * sizeof place, &place, sizeof place);
    }
    cop_free(order);
    return st;
}

cop_status cop_suffixes_write(const char *path, const int32_t *tokens, size_t n, int V) {
    header h = {.magic = MAGIC, .V = (uint32_t)V, .width = (uint32_t)width_of(V), .n = n};
    size_t places_at, bytes;
    if (!file_bytes(n, (int)h.width, &places_at, &bytes))
        return cop_fail(COP_ERR_LIMIT, "%s: %zu tokens, at most %zu", path, n, MOST_BYTES / h.width);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] > V) return cop_fail(COP_ERR_ARG, "%s: token %zu is %d, the vocabulary has %d", path, i, tokens[i], V);
    uint8_t *data = cop_alloc(bytes);
    if (!data) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate %zu bytes", path, bytes);
    memcpy(data, &h, sizeof h);
    put_tokens(data + sizeof h, tokens, n, (int)h.width);
    cop_status st = sort_suffixes(data + sizeof h, n, (int)h.width, data + places_at);
    if (!st) st = cop_file_write(path, data, bytes);
    cop_free(data);
    return st;
}

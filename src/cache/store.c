// Saving and loading a sequence. Layout, little endian: "COPKVSEQ", u32 version, layers, kv heads,
// head, element type, state layers, parts, part, tokens, u32 0, u64 checksum (XXH64 of all but itself), then whole pages.
#include <string.h>
#include <xxhash.h>

#include "cache/cache_private.h"

typedef struct header {
    char magic[8];
    uint32_t version, n_layers, n_kv_heads, head, type, n_states, state_heads, state_head, n_tokens, zero;
    uint64_t checksum;
} header;

static int used_pages(const cop_seq *seq) { return (seq->n_tokens + COP_PAGE - 1) / COP_PAGE; }

// Of the header with its checksum as 0, then of the body.
static uint64_t checksum(header h, const uint8_t *body, size_t bytes) {
    h.checksum = 0;
    return XXH64(body, bytes, XXH64(&h, sizeof h, 0));
}

size_t cop_seq_save_bytes(const cop_seq *seq) {
    return sizeof(header) + (size_t)used_pages(seq) * seq->cache->page_bytes;
}

static header describe(const cop_seq *seq) {
    const cop_cache_shape *s = &seq->cache->shape;
    header h = {.version = 2, .n_layers = (uint32_t)s->n_layers, .n_kv_heads = (uint32_t)s->n_kv_heads,
                .head = (uint32_t)s->head, .type = (uint32_t)s->type, .n_states = (uint32_t)s->n_states,
                .state_heads = (uint32_t)s->state_heads, .state_head = (uint32_t)s->state_head, .n_tokens = (uint32_t)seq->n_tokens};
    memcpy(h.magic, "COPKVSEQ", 8);
    return h;
}

// The last page without what is left in its free slots: rejected drafts, or another text's tokens.
static void save_part_of_page(const cop_seq *seq, uint8_t *out, const uint8_t *page, int n_slots) {
    const cop_cache *c = seq->cache;
    const cop_cache_shape *s = &c->shape;
    memset(out, 0, c->page_bytes);
    for (int slot = 0; slot < n_slots; slot++) {
        for (int i = 0; i < s->n_layers * s->n_kv_heads; i++) {
            size_t keys = (size_t)(2 * i) * c->kv_bytes, values = keys + c->kv_bytes;
            cop_kv_copy_key(s->type, out + keys, slot, page + keys, slot, s->head);
            cop_kv_copy_value(s->type, out + values, slot, page + values, slot, s->head);
        }
        for (int i = 0; i < s->n_states * s->state_heads; i++) {
            size_t at = c->states_at + (size_t)i * c->state_bytes;
            cop_kv_copy_value(s->type, out + at, slot, page + at, slot, s->state_head);
        }
    }
}

void cop_seq_save(const cop_seq *seq, uint8_t *out) {
    header h = describe(seq);
    uint8_t *body = out + sizeof h;
    for (int i = 0; i < used_pages(seq); i++, body += seq->cache->page_bytes) {
        const uint8_t *page = cop_cache_page(seq->cache, seq->pages[i]);
        int n_slots = seq->n_tokens - i * COP_PAGE;
        if (n_slots < COP_PAGE) save_part_of_page(seq, body, page, n_slots);
        else memcpy(body, page, seq->cache->page_bytes);
    }
    body = out + sizeof h;
    h.checksum = checksum(h, body, cop_seq_save_bytes(seq) - sizeof h);
    memcpy(out, &h, sizeof h);
}

cop_status cop_seq_load(cop_seq *seq, const uint8_t *data, size_t bytes) {
    header h, mine = describe(seq);
    if (bytes < sizeof h) return cop_fail(COP_ERR_FORMAT, "saved cache: %zu bytes, need %zu", bytes, sizeof h);
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, mine.magic, 8) || h.version != mine.version)
        return cop_fail(COP_ERR_FORMAT, "saved cache: not one of this version");
    if (h.n_layers != mine.n_layers || h.n_kv_heads != mine.n_kv_heads || h.head != mine.head || h.type != mine.type)
        return cop_fail(COP_ERR_FORMAT, "saved cache: %u layers, %u heads of %u, element type %u; this model has %u, %u, %u, %u",
                        h.n_layers, h.n_kv_heads, h.head, h.type, mine.n_layers, mine.n_kv_heads, mine.head, mine.type);
    if (h.n_states != mine.n_states || h.state_heads != mine.state_heads || h.state_head != mine.state_head)
        return cop_fail(COP_ERR_FORMAT, "saved cache: %u state layers of %u x %u; this model has %u of %u x %u", h.n_states, h.state_heads,
                        h.state_head, mine.n_states, mine.state_heads, mine.state_head);
    if (h.n_tokens > (uint32_t)seq->max_tokens)
        return cop_fail(COP_ERR_LIMIT, "saved cache: %u tokens, the context holds %d", h.n_tokens, seq->max_tokens);
    size_t page_bytes = seq->cache->page_bytes, n_pages = (h.n_tokens + COP_PAGE - 1) / COP_PAGE;
    if (bytes - sizeof h != n_pages * page_bytes)
        return cop_fail(COP_ERR_FORMAT, "saved cache: %zu bytes for %u tokens, need %zu", bytes, h.n_tokens,
                        sizeof h + n_pages * page_bytes);
    const uint8_t *body = data + sizeof h;
    if (checksum(h, body, bytes - sizeof h) != h.checksum) return cop_fail(COP_ERR_FORMAT, "saved cache: checksum does not match");
    cop_seq_truncate(seq, 0);
    COP_TRY(cop_seq_reserve(seq, (int)h.n_tokens));
    for (size_t i = 0; i < n_pages; i++) memcpy(cop_cache_page(seq->cache, seq->pages[i]), body + i * page_bytes, page_bytes);
    seq->n_tokens = (int)h.n_tokens;
    return COP_OK;
}

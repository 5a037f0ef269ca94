// Saving and loading a session: "COPSES2", u64 checksum of the rest (XXH3), u32 vocabulary, u32 n tokens,
// u32 n prompt tokens, u32 far (cop_model_far_rope), u32 hash of the adapters (0: none), u32 zero, the tokens, then the
// cache in its own format (cache/store.c).
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "base/map.h"
#include "engine/session.h"

typedef struct header {
    char magic[8];
    uint64_t checksum;  // of everything behind it
    uint32_t vocabulary, n_tokens, n_prompt, far, adapters, zero;
} header;

#define UNCHECKED (sizeof(char[8]) + sizeof(uint64_t))

static uint32_t hash_adapters(const cop_session *s) {
    uint64_t h = cop_adapter_set_hash(&s->adapters);
    return (uint32_t)(h ^ h >> 32);
}

cop_status cop_session_save(const cop_session *s, const char *path) {
    size_t token_bytes = (size_t)s->n_tokens * sizeof *s->tokens, bytes = sizeof(header) + token_bytes + cop_seq_save_bytes(s->seq);
    uint8_t *data = cop_alloc(bytes);
    if (!data) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate %zu bytes", path, bytes);
    header h = {.magic = "COPSES2", .vocabulary = (uint32_t)s->engine->model->desc.V, .n_tokens = (uint32_t)s->n_tokens,
                .n_prompt = (uint32_t)s->n_prompt, .far = cop_model_far_rope(s->engine->model, s->context),
                .adapters = hash_adapters(s)};
    memcpy(data, &h, sizeof h);
    memcpy(data + sizeof h, s->tokens, token_bytes);
    cop_seq_save(s->seq, data + sizeof h + token_bytes);
    h.checksum = XXH3_64bits(data + UNCHECKED, bytes - UNCHECKED);
    memcpy(data, &h, sizeof h);
    cop_status st = cop_file_write(path, data, bytes);
    cop_free(data);
    return st;
}

static cop_status check_tokens(const cop_session *s, const int32_t *tokens, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= s->engine->model->desc.V)
            return cop_fail(COP_ERR_FORMAT, "token %u is %d, the vocabulary has 0 to %d", i, tokens[i], s->engine->model->desc.V - 1);
    return COP_OK;
}

cop_status cop_session_load_data(cop_session *s, const uint8_t *data, size_t bytes) {
    header h;
    if (bytes < sizeof h) return cop_fail(COP_ERR_FORMAT, "%zu bytes, need %zu", bytes, sizeof h);
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, "COPSES2", 8)) return cop_fail(COP_ERR_FORMAT, "not a saved session");
    if (XXH3_64bits(data + UNCHECKED, bytes - UNCHECKED) != h.checksum) return cop_fail(COP_ERR_FORMAT, "checksum does not match");
    if (h.vocabulary != (uint32_t)s->engine->model->desc.V)
        return cop_fail(COP_ERR_FORMAT, "saved with a vocabulary of %u, this model has %d", h.vocabulary, s->engine->model->desc.V);
    if (h.adapters != hash_adapters(s)) return cop_fail(COP_ERR_FORMAT, "saved with other adapters than this session has");
    if (h.n_tokens > (uint32_t)s->context) return cop_fail(COP_ERR_LIMIT, "%u tokens, the context holds %d", h.n_tokens, s->context);
    if (h.far != cop_model_far_rope(s->engine->model, s->context))
        return cop_fail(COP_ERR_ARG, "its context was on the other side of %d tokens, where this model changes its rotation; this one is %d",
                        s->engine->model->desc.rope[0].near, s->context);
    size_t token_bytes = (size_t)h.n_tokens * sizeof *s->tokens;
    if (bytes - sizeof h < token_bytes || h.n_prompt > h.n_tokens) return cop_fail(COP_ERR_FORMAT, "%zu bytes for %u tokens", bytes, h.n_tokens);
    const int32_t *tokens = (const int32_t *)(const void *)(data + sizeof h);
    COP_TRY(check_tokens(s, tokens, h.n_tokens));
    COP_TRY(cop_seq_load(s->seq, data + sizeof h + token_bytes, bytes - sizeof h - token_bytes));
    if (cop_seq_length(s->seq) > (int)h.n_tokens) cop_seq_truncate(s->seq, (int)h.n_tokens);
    memcpy(s->tokens, tokens, token_bytes);
    s->n_tokens = (int)h.n_tokens;
    s->n_prompt = (int)h.n_prompt;
    return COP_OK;
}

cop_status cop_session_load(cop_session *s, const char *path) {
    cop_map map;
    COP_TRY(cop_map_open(&map, path));
    cop_status st = cop_session_load_data(s, map.data, map.bytes);
    if (st) cop_fail_note("%s", path);
    cop_map_close(&map);
    for (int i = 0; i < s->n_drafters; i++)
        if (s->drafters[i].type->reset) s->drafters[i].type->reset(s->drafters[i].state);
    return st;
}

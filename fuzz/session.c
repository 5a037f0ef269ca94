// Fuzzer of saved sessions: the file of a slot or of /save. The first byte says whether the checksums are put right, so
// that what is behind them is reached. Whatever loads has tokens of the vocabulary and no more than the context holds;
// whatever does not leaves the session as it was.
#include <stdint.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "engine/session.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { V = 40, CONTEXT = 200, HEADER = 40, CACHE_HEADER = 56, CACHE_SUM = 48 };

static cop_session *small_session(void) {
    static cop_session s;
    static cop_engine engine;
    static cop_model model;
    static int32_t tokens[CONTEXT];
    if (s.seq) return &s;
    const cop_cache_shape shape = {.n_layers = 1, .n_kv_heads = 1, .head = 2, .type = COP_KV_F16, .n_states = 1, .state_heads = 1, .state_head = 2};
    model.desc.V = V;
    engine.model = &model;
    s.engine = &engine;
    s.tokens = tokens;
    s.context = CONTEXT;
    must(!cop_cache_new(&s.cache, &shape, 8));
    must(!cop_seq_new(&s.seq, s.cache, CONTEXT));
    return &s;
}

// u64 behind the magic of the file, and the last u64 of the cache's header, which stands behind the tokens.
static void put_right(uint8_t *data, size_t bytes) {
    uint32_t n_tokens;
    if (bytes < HEADER) return;
    memcpy(&n_tokens, data + 20, 4);
    size_t at = HEADER + (size_t)n_tokens * 4;
    if (bytes >= HEADER + CACHE_HEADER && at <= bytes - CACHE_HEADER) {
        uint64_t zero = 0;
        memcpy(data + at + CACHE_SUM, &zero, 8);
        uint64_t sum = XXH64(data + at + CACHE_HEADER, bytes - at - CACHE_HEADER, XXH64(data + at, CACHE_HEADER, 0));
        memcpy(data + at + CACHE_SUM, &sum, 8);
    }
    uint64_t sum = XXH3_64bits(data + 16, bytes - 16);
    memcpy(data + 8, &sum, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 1) return 0;
    cop_session *s = small_session();
    uint8_t *copy = cop_alloc(bytes);
    must(copy != NULL);
    memcpy(copy, data + 1, bytes - 1);
    if (data[0] & 1) put_right(copy, bytes - 1);
    int had = s->n_tokens, held = cop_session_computed(s);
    cop_status st = cop_session_load_data(s, copy, bytes - 1);
    if (st) must(*cop_error_text() && s->n_tokens == had && cop_session_computed(s) == held);
    must(s->n_tokens >= 0 && s->n_tokens <= CONTEXT && s->n_prompt <= s->n_tokens && cop_session_computed(s) <= s->n_tokens);
    for (int i = 0; i < s->n_tokens; i++) must(s->tokens[i] >= 0 && s->tokens[i] < V);
    cop_free(copy);
    return 0;
}

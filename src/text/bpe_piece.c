// BPE by characters, for pipelines: each character is a symbol, with the prefix and suffix that the file
// names, or its bytes, or unknown; then merges by rank.
// Source: the behaviour of the tokenizers library.  Cost: O(n log n) in the piece.
#include <string.h>

#include "text/pipeline_private.h"
#include "text/utf8.h"

static int32_t find(const cop_tokenizer *tok, const char *text, size_t bytes) {
    int32_t id = cop_tokenizer_find(tok, text, bytes);
    return id >= 0 && tok->pipeline->in_model[id] ? id : -1;
}

// The symbol of a character: with the inner prefix unless it is the word's first, with the suffix at its end.
static int32_t find_symbol(const cop_tokenizer *tok, const char *text, size_t n, bool first, bool last) {
    const cop_pipeline *p = tok->pipeline;
    const char *before = first ? "" : p->inner, *behind = last ? p->last : "";
    if (!*before && !*behind) return find(tok, text, n);
    char whole[2 * COP_MAX_AFFIX + 4];
    size_t m = strlen(before), k = strlen(behind);
    memcpy(whole, before, m);
    memcpy(whole + m, text, n);
    memcpy(whole + m + n, behind, k);
    return find(tok, whole, m + n + k);
}

static bool falls_apart(const cop_pipeline *p, const char *text, size_t n) {
    bool all = p->byte_fallback;
    for (size_t i = 0; i < n && all; i++) all = p->fallback[(uint8_t)text[i]] >= 0;
    return all;
}

static cop_status add_symbols(const cop_tokenizer *tok, cop_piece_work *w, const char *text, size_t bytes) {
    const cop_pipeline *p = tok->pipeline;
    uint32_t unknown = 0;  // bytes of what is not known yet, before `at`
    for (size_t at = 0, n; at < bytes; at += n) {
        int length = cop_utf8_length(text + at, bytes - at);
        n = length ? (size_t)length : 1;
        int32_t id = find_symbol(tok, text + at, n, at == 0, at + n == bytes);
        if (id < 0 && falls_apart(p, text + at, n)) {
            for (size_t i = 0; i < n; i++)
                COP_TRY(cop_merge_add(&w->merge, (uint32_t)(at + i), 1, p->fallback[(uint8_t)text[at + i]], false));
            continue;
        }
        if (id < 0 && tok->unk < 0) continue;
        if (unknown && (id >= 0 || !p->fuse_unk)) {
            COP_TRY(cop_merge_add(&w->merge, (uint32_t)at - unknown, unknown, tok->unk, false));
            unknown = 0;
        }
        if (id >= 0) COP_TRY(cop_merge_add(&w->merge, (uint32_t)at, (uint32_t)n, id, false));
        else unknown += (uint32_t)n;
    }
    return unknown ? cop_merge_add(&w->merge, (uint32_t)bytes - unknown, unknown, tok->unk, false) : COP_OK;
}

cop_status cop_bpe_piece(const cop_tokenizer *tok, cop_piece_work *w, const char *text, size_t bytes, cop_token_array *out) {
    if (tok->pipeline->whole_words) {
        int32_t id = find(tok, text, bytes);
        if (id >= 0) return cop_array_push(out, id);
    }
    cop_merge_reset(&w->merge);
    COP_TRY(add_symbols(tok, w, text, bytes));
    if (!w->merge.symbols.n) return COP_OK;
    COP_TRY(cop_merge_run(&w->merge, cop_bpe_pair, tok));
    for (int32_t i = 0; i >= 0; i = w->merge.symbols.v[i].next) COP_TRY(cop_array_push(out, w->merge.symbols.v[i].id));
    return COP_OK;
}

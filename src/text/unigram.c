// Unigram: of all ways to write a piece as tokens, the one with the highest sum of scores; the first found
// wins a tie.  A character that no token writes costs the lowest score less 10, and neighbours of that
// kind count as one, which falls apart into bytes where the vocabulary has them.
// Source: Kudo 2018, and the behaviour of the tokenizers library, in 64-bit floats like it; or of
// SentencePiece, in 32-bit floats, which decide some ties.
// Cost: O(n * longest token) steps, 16 bytes of memory a byte of text.
#include <math.h>
#include <string.h>

#include "text/pipeline_private.h"
#include "text/utf8.h"

void cop_piece_work_fini(cop_piece_work *w) {
    cop_merge_fini(&w->merge);
    cop_array_fini(&w->best);
    cop_array_fini(&w->from);
    cop_array_fini(&w->id);
    cop_array_fini(&w->found);
}

static cop_status make_room(cop_piece_work *w, size_t bytes) {
    w->best.n = w->from.n = w->id.n = 0;
    COP_TRY(cop_array_reserve(&w->best, bytes + 1));
    COP_TRY(cop_array_reserve(&w->from, bytes + 1));
    COP_TRY(cop_array_reserve(&w->id, bytes + 1));
    for (size_t i = 0; i <= bytes; i++) w->from.v[i] = -1;
    w->best.v[0] = 0;
    return COP_OK;
}

static void offer(const cop_pipeline *p, cop_piece_work *w, size_t from, size_t to, int32_t id, double more) {
    double score = p->narrow ? (float)w->best.v[from] + (float)more : w->best.v[from] + more;
    if (w->from.v[to] >= 0 && !(score > w->best.v[to])) return;
    w->from.v[to] = (int32_t)from;
    w->id.v[to] = id;
    w->best.v[to] = score;
}

// All tokens that begin at `at`, then the unknown one where none is as long as the character.
static void extend(const cop_tokenizer *tok, cop_piece_work *w, const char *text, size_t bytes, size_t at, size_t length) {
    const cop_pipeline *p = tok->pipeline;
    bool single = false;
    uint32_t node = 0;
    for (size_t i = at; i < bytes && (node = cop_trie_step(&p->trie, node, (uint8_t)text[i])); i++) {
        int32_t id = p->trie.nodes[node].id;
        if (id < 0) continue;
        offer(p, w, at, i + 1, id == tok->unk ? -1 : id, p->score[id]);
        single = single || i + 1 - at == length;
    }
    if (!single) offer(p, w, at, at + length, -1, p->unk_score);
}

static cop_status put_unknown(const cop_tokenizer *tok, const char *text, size_t bytes, cop_token_array *out) {
    const cop_pipeline *p = tok->pipeline;
    int32_t id = cop_tokenizer_find(tok, text, bytes);
    if (id >= 0 && p->in_model[id]) return cop_array_push(out, id);
    bool all = p->byte_fallback;
    for (size_t i = 0; i < bytes && all; i++) all = p->fallback[(uint8_t)text[i]] >= 0;
    if (!all) return tok->unk >= 0 ? cop_array_push(out, tok->unk) : COP_OK;
    for (size_t i = 0; i < bytes; i++) COP_TRY(cop_array_push(out, p->fallback[(uint8_t)text[i]]));
    return COP_OK;
}

cop_status cop_unigram_piece(const cop_tokenizer *tok, cop_piece_work *w, const char *text, size_t bytes,
                             cop_token_array *out) {
    if (bytes > INT32_MAX) return cop_fail(COP_ERR_LIMIT, "text: a piece of %zu bytes", bytes);
    COP_TRY(make_room(w, bytes));
    for (size_t at = 0, n; at < bytes; at += n) {
        int length = cop_utf8_length(text + at, bytes - at);
        n = length ? (size_t)length : 1;
        if (w->from.v[at] >= 0 || !at) extend(tok, w, text, bytes, at, n);
    }
    // Backwards over the best path, turned round into `from`.
    size_t n = 0;
    for (size_t at = bytes; at; at = (size_t)w->from.v[at], n++) w->best.v[n] = (double)at;
    for (size_t at = 0, end; n; at = end) {
        end = (size_t)w->best.v[--n];
        int32_t id = w->id.v[end];
        while (id < 0 && n && w->id.v[(size_t)w->best.v[n - 1]] < 0) end = (size_t)w->best.v[--n];
        COP_TRY(id >= 0 ? cop_array_push(out, id) : put_unknown(tok, text + at, end - at, out));
    }
    return COP_OK;
}

// SentencePiece BPE ("llama"): characters are joined while the joined text is a piece, best score
// first; what is no piece falls apart into byte tokens.
// Source: Kudo and Richardson 2018 and the behaviour of that library.  User-defined tokens are cut
// out first and never joined.  Bytes that are not UTF-8 become their byte tokens.
// Where we differ: pieces marked as unused are never made, not even on the way to a longer one.
// Cost: O(n log n) in the text.
#include "text/text_private.h"
#include "text/utf8.h"

#include <string.h>

typedef struct encoder {
    const cop_tokenizer *tok;
    cop_token_array *out;
    cop_merge_work merge;
    cop_text_buffer text;  // a space mark to spare, then the text with marks for spaces
} encoder;

static bool is_piece(const cop_tokenizer *tok, int32_t id) {
    return id >= 0 && (tok->type[id] == COP_TOKEN_NORMAL || tok->type[id] == COP_TOKEN_USER);
}

// Floats in an order of integers, the highest score first.
static uint32_t rank_of_score(float score) {
    uint32_t bits;
    score += 0.0f;  // -0 counts as 0
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

static bool pair(const void *arg, const cop_symbol *left, const cop_symbol *right, uint32_t *rank, int32_t *id) {
    const encoder *e = arg;
    size_t bytes = (size_t)left->bytes + right->bytes;
    if (bytes > e->tok->longest) return false;
    *id = cop_tokenizer_find(e->tok, e->text.v + left->start, bytes);
    if (!is_piece(e->tok, *id)) return false;
    *rank = rank_of_score(e->tok->score[*id]);
    return true;
}

static cop_status emit_symbol(encoder *e, const cop_symbol *s) {
    const cop_tokenizer *tok = e->tok;
    const char *text = e->text.v + s->start;
    int32_t id = s->id >= 0 ? s->id : cop_tokenizer_find(tok, text, s->bytes);
    if (s->id >= 0 || is_piece(tok, id)) return cop_array_push(e->out, id);
    bool all = true;
    for (uint32_t i = 0; i < s->bytes; i++) all = all && tok->byte_id[(uint8_t)text[i]] >= 0;
    if (!all) return tok->unk >= 0 ? cop_array_push(e->out, tok->unk) : COP_OK;
    for (uint32_t i = 0; i < s->bytes; i++) COP_TRY(cop_array_push(e->out, tok->byte_id[(uint8_t)text[i]]));
    return COP_OK;
}

static cop_status emit_run(encoder *e) {
    if (!e->merge.symbols.n) return COP_OK;
    COP_TRY(cop_merge_run(&e->merge, pair, e));
    for (int32_t i = 0; i >= 0; i = e->merge.symbols.v[i].next) COP_TRY(emit_symbol(e, &e->merge.symbols.v[i]));
    cop_merge_reset(&e->merge);
    return COP_OK;
}

static cop_status prepare(encoder *e, const char *text, size_t bytes) {
    size_t n = COP_SPACE_MARK_BYTES + bytes;
    for (size_t i = 0; i < bytes; i++) n += text[i] == ' ' ? COP_SPACE_MARK_BYTES - 1 : 0;
    COP_TRY(cop_array_reserve(&e->text, n));
    char *to = e->text.v + COP_SPACE_MARK_BYTES;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == ' ') {
            memcpy(to, COP_SPACE_MARK, COP_SPACE_MARK_BYTES);
            to += COP_SPACE_MARK_BYTES;
        } else {
            *to++ = text[i];
        }
    }
    e->text.n = n;
    return COP_OK;
}

// Where a run of text begins: a mark is written over the three bytes before it, which are used up.
static size_t begin_run(encoder *e, size_t at) {
    if (!e->tok->add_space_prefix) return at;
    memcpy(e->text.v + at - COP_SPACE_MARK_BYTES, COP_SPACE_MARK, COP_SPACE_MARK_BYTES);
    return at - COP_SPACE_MARK_BYTES;
}

static cop_status encode_all(encoder *e, bool parse_special) {
    bool fresh = true;  // at the start of the text, or after a control token
    uint32_t matched = 0;
    for (size_t at = COP_SPACE_MARK_BYTES; at < e->text.n;) {
        int32_t id = cop_specials_match(&e->tok->specials, e->text.v + at, e->text.n - at, parse_special, &matched);
        if (id >= 0 && e->tok->type[id] != COP_TOKEN_USER) {
            COP_TRY(emit_run(e));
            COP_TRY(cop_array_push(e->out, id));
            at += matched;
            fresh = true;
            continue;
        }
        if (fresh) {
            fresh = false;
            size_t begin = begin_run(e, at);
            if (begin != at) {
                at = begin;
                id = cop_specials_match(&e->tok->specials, e->text.v + at, e->text.n - at, false, &matched);
            }
        }
        if (id < 0) {
            int length = cop_utf8_length(e->text.v + at, e->text.n - at);
            matched = length ? (uint32_t)length : 1;
        }
        COP_TRY(cop_merge_add(&e->merge, (uint32_t)at, matched, id, id >= 0));
        at += matched;
    }
    return emit_run(e);
}

cop_status cop_spm_encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool parse_special,
                          cop_token_array *out) {
    encoder e = {.tok = tok, .out = out};
    cop_status st = prepare(&e, text, bytes);
    if (!st) st = encode_all(&e, parse_special);
    cop_merge_fini(&e.merge);
    cop_array_fini(&e.text);
    return st;
}

// Byte-level BPE ("gpt2"): bytes are spelt with 256 printable characters, merges go by rank.
// Sources: Sennrich, Haddow, Birch 2016; Radford et al. 2019 for the bytes.
// A byte for which the vocabulary has no token is left out before merging, as the reference does.
// Bytes that are not UTF-8 form pre-tokens of their own, run by run.
// Cost: O(n log n) in the longest pre-token.
#include "text/text_private.h"
#include "text/utf8.h"

#include <string.h>

// Bytes that print in Latin-1 stand for themselves; the others, in order, begin at U+0100.
static bool stands_for_itself(int byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static int byte_of_point(uint32_t point) {
    if (point < 256) return stands_for_itself((int)point) ? (int)point : -1;
    uint32_t n = 256;
    for (int byte = 0; byte < 256; byte++)
        if (!stands_for_itself(byte) && n++ == point) return byte;
    return -1;
}

size_t cop_bpe_spell_byte(uint8_t byte, char to[2]) {
    uint32_t point = byte;
    if (!stands_for_itself(byte)) point = byte < 0x21 ? 0x100u + byte : byte == 0xAD ? 0x143 : 0x121u + byte - 0x7F;
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    to[0] = (char)(0xC0 | point >> 6);
    to[1] = (char)(0x80 | (point & 0x3F));
    return 2;
}

size_t cop_bpe_spell(const char *text, size_t bytes, char *raw) {
    size_t n = 0;
    for (size_t i = 0; i < bytes;) {
        int length = cop_utf8_length(text + i, bytes - i);
        int byte = length ? byte_of_point(cop_utf8_decode(text + i, length)) : -1;
        if (!length) length = 1;
        if (byte >= 0) {
            raw[n++] = (char)byte;
        } else {
            memcpy(raw + n, text + i, (size_t)length);
            n += (size_t)length;
        }
        i += (size_t)length;
    }
    return n;
}

// ---- merges ----

static size_t hash_pair(int32_t left, int32_t right, size_t mask) {
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    return (size_t)(h ^ h >> 29) & mask;
}

// The slot of the pair, or the empty one where it would go.
static cop_merge_slot *find_merge(const cop_tokenizer *tok, int32_t left, int32_t right) {
    size_t mask = tok->n_merge_slots - 1, i = hash_pair(left, right, mask);
    while (tok->merges[i].made >= 0 && (tok->merges[i].left != left || tok->merges[i].right != right))
        i = (i + 1) & mask;
    return &tok->merges[i];
}

// left_bytes: bytes of the left part, 0 where the first space ends it.
static cop_status load_merge(cop_tokenizer *tok, cop_span merge, size_t left_bytes, size_t rank, size_t prefix) {
    if (merge.bytes > 2 * COP_MAX_PIECE + 1)
        return cop_fail(COP_ERR_FORMAT, "merge %zu: %zu bytes, at most %d", rank, merge.bytes, 2 * COP_MAX_PIECE + 1);
    const char *space = merge.bytes > 1 ? memchr(merge.text + 1, ' ', merge.bytes - 1) : NULL;
    if (left_bytes) space = left_bytes < merge.bytes ? merge.text + left_bytes : NULL;
    if (!space) return cop_fail(COP_ERR_FORMAT, "merge %zu: no space between two tokens", rank);
    size_t n = (size_t)(space - merge.text), rest = merge.bytes - n - 1;
    char whole[2 * COP_MAX_PIECE + 1];
    if (prefix > rest) return cop_fail(COP_ERR_FORMAT, "merge %zu: its right part lacks the prefix", rank);
    memcpy(whole, merge.text, n);
    memcpy(whole + n, space + 1 + prefix, rest - prefix);
    int32_t left = cop_tokenizer_find(tok, merge.text, n), right = cop_tokenizer_find(tok, space + 1, rest);
    int32_t made = cop_tokenizer_find(tok, whole, n + rest - prefix);
    if (left < 0 || right < 0 || made < 0)
        return cop_fail(COP_ERR_FORMAT, "merge %zu: %s is not in the vocabulary", rank,
                        left < 0 ? "its left part" : right < 0 ? "its right part" : "its result");
    cop_merge_slot *slot = find_merge(tok, left, right);
    if (slot->made < 0) *slot = (cop_merge_slot){left, right, made, (uint32_t)rank};  // the first of equals counts
    return COP_OK;
}

static void load_bytes(cop_tokenizer *tok) {
    for (int byte = 0; byte < 256; byte++) {
        char spelt[2];
        int32_t id = cop_tokenizer_find(tok, spelt, cop_bpe_spell_byte((uint8_t)byte, spelt));
        tok->byte_id[byte] = id >= 0 && tok->type[id] == COP_TOKEN_NORMAL ? id : -1;
    }
}

cop_status cop_bpe_load(cop_tokenizer *tok, const cop_vocab_source *source) {
    COP_TRY(cop_splitter_new(&tok->splitter, source->pre ? source->pre : "default"));
    load_bytes(tok);
    return cop_bpe_load_merges(tok, source, 0);
}

cop_status cop_bpe_load_merges(cop_tokenizer *tok, const cop_vocab_source *source, size_t prefix) {
    tok->n_merge_slots = 16;
    while (tok->n_merge_slots < 2 * source->n_merges) tok->n_merge_slots *= 2;
    tok->merges = cop_alloc_array(tok->n_merge_slots, sizeof *tok->merges);
    if (!tok->merges) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu merges", source->n_merges);
    for (size_t i = 0; i < tok->n_merge_slots; i++) tok->merges[i].made = -1;
    for (size_t i = 0; i < source->n_merges; i++) COP_TRY(load_merge(tok, source->merges[i], source->merge_left ? source->merge_left[i] : 0, i, prefix));
    return COP_OK;
}

// ---- encoding ----

typedef struct encoder {
    const cop_tokenizer *tok;
    cop_token_array *out;
    cop_merge_work merge;
    cop_split_work *split;
    cop_nfc_work nfc;
    cop_text_buffer normal;
} encoder;

bool cop_bpe_pair(const void *arg, const cop_symbol *left, const cop_symbol *right, uint32_t *rank, int32_t *id) {
    const cop_merge_slot *slot = find_merge(arg, left->id, right->id);
    *rank = slot->rank;
    *id = slot->made;
    return slot->made >= 0;
}

// A pre-token that is one token's spelling, for families that then skip the merges.
static int32_t whole_word(const cop_tokenizer *tok, const char *text, size_t bytes) {
    char spelt[2 * COP_MAX_PIECE];
    size_t n = 0;
    if (bytes > COP_MAX_PIECE) return -1;
    for (size_t i = 0; i < bytes; i++) n += cop_bpe_spell_byte((uint8_t)text[i], spelt + n);
    int32_t id = cop_tokenizer_find(tok, spelt, n);
    return id >= 0 && tok->type[id] == COP_TOKEN_NORMAL ? id : -1;
}

static cop_status encode_piece(void *arg, const char *text, size_t bytes) {
    encoder *e = arg;
    if (cop_splitter_takes_whole_words(e->tok->splitter)) {
        int32_t id = whole_word(e->tok, text, bytes);
        if (id >= 0) return cop_array_push(e->out, id);
    }
    cop_merge_reset(&e->merge);
    for (size_t i = 0; i < bytes; i++) {
        int32_t id = e->tok->byte_id[(uint8_t)text[i]];
        if (id >= 0) COP_TRY(cop_merge_add(&e->merge, (uint32_t)i, 1, id, false));
    }
    if (!e->merge.symbols.n) return COP_OK;
    COP_TRY(cop_merge_run(&e->merge, cop_bpe_pair, e->tok));
    for (int32_t i = 0; i >= 0; i = e->merge.symbols.v[i].next) COP_TRY(cop_array_push(e->out, e->merge.symbols.v[i].id));
    return COP_OK;
}

// text is well-formed UTF-8.
static cop_status encode_valid(encoder *e, const char *text, size_t bytes) {
    if (cop_splitter_wants_nfc(e->tok->splitter) && !cop_nfc_is_trivial(text, bytes)) {
        e->normal.n = 0;
        COP_TRY(cop_form_append(&e->nfc, COP_NFC, text, bytes, &e->normal));
        text = e->normal.v;
        bytes = e->normal.n;
    }
    return cop_split_run(e->tok->splitter, e->split, text, bytes, encode_piece, e);
}

// Text without special tokens: runs that are UTF-8 and runs that are not, in turn.
static cop_status encode_plain(encoder *e, const char *text, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        size_t begin = at;
        int length;
        while (at < bytes && (length = cop_utf8_length(text + at, bytes - at))) at += (size_t)length;
        if (at > begin) COP_TRY(encode_valid(e, text + begin, at - begin));
        begin = at;
        while (at < bytes && !cop_utf8_length(text + at, bytes - at)) at++;
        if (at > begin) COP_TRY(encode_piece(e, text + begin, at - begin));
    }
    return COP_OK;
}

static cop_status encode_all(encoder *e, const char *text, size_t bytes, bool parse_special) {
    size_t begin = 0;
    uint32_t matched = 0;
    for (size_t at = 0; at < bytes;) {
        int32_t id = cop_specials_match(&e->tok->specials, text + at, bytes - at, parse_special, &matched);
        if (id < 0) {
            at++;
            continue;
        }
        COP_TRY(encode_plain(e, text + begin, at - begin));
        COP_TRY(cop_array_push(e->out, id));
        at += matched;
        begin = at;
    }
    return encode_plain(e, text + begin, bytes - begin);
}

cop_status cop_bpe_encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool parse_special,
                          cop_token_array *out) {
    encoder e = {.tok = tok, .out = out};
    cop_status st = cop_split_work_new(&e.split, tok->splitter);
    if (!st) st = encode_all(&e, text, bytes, parse_special);
    cop_split_work_free(e.split);
    cop_merge_fini(&e.merge);
    cop_nfc_fini(&e.nfc);
    cop_array_fini(&e.normal);
    return st;
}

// What the files of text/ share: the tokenizer's tables and the merge loop of both kinds of BPE.
#ifndef COP_TEXT_PRIVATE_H
#define COP_TEXT_PRIVATE_H

#include "text/tokenizer.h"

#define COP_SPACE_MARK "\xE2\x96\x81"  // U+2581, SentencePiece's space
#define COP_SPACE_MARK_BYTES 3
#define COP_MAX_AROUND 8  // tokens put before a text, and behind it

// n texts in one block: text i is bytes[at[i] .. at[i + 1]).
typedef struct cop_strings {
    char *bytes;
    uint32_t *at;  // [n + 1]
} cop_strings;

static inline cop_span cop_strings_get(const cop_strings *s, int32_t i) {
    return (cop_span){s->bytes + s->at[i], s->at[i + 1] - s->at[i]};
}

// A token that is looked for in the text itself.
typedef struct cop_special {
    const char *text;  // in the form it has in the prepared text
    uint32_t bytes;
    int32_t id;
    bool user;         // found even when control tokens are not parsed
    bool single_word;  // not where a letter or digit stands beside it
    bool lstrip, rstrip;  // takes the white space before it, behind it
} cop_special;

typedef struct cop_specials {
    cop_special *v;        // sorted by text
    size_t n;
    char *bytes;           // owns the texts
    uint32_t first[257];   // v[first[c] .. first[c + 1]) begin with byte c
} cop_specials;

// Open addressing, at most half full; made = -1 marks an empty slot.
typedef struct cop_merge_slot {
    int32_t left, right, made;
    uint32_t rank;
} cop_merge_slot;

typedef struct cop_splitter cop_splitter;

struct cop_tokenizer {
    bool is_spm;
    int32_t n;
    cop_strings text;       // as the file spells it
    cop_strings piece;      // the bytes it stands for
    uint8_t *type;          // [n] of cop_token_type
    bool *is_end;           // [n]
    float *score;           // [n], spm only
    uint32_t *slots;        // id + 1 by hash of text; 0 is empty
    size_t n_slots;         // a power of two
    size_t longest;         // bytes of the longest text
    int32_t byte_id[256];   // token of a single byte, -1: none
    cop_merge_slot *merges; // gpt2 only
    size_t n_merge_slots;
    cop_splitter *splitter; // gpt2 only
    cop_specials specials;
    int32_t bos, eos, eot, unk, pad;
    bool add_space_prefix;
    int32_t before[COP_MAX_AROUND], behind[COP_MAX_AROUND];  // put around a text with add_special
    int n_before, n_behind;
    struct cop_pipeline *pipeline;  // NULL for gpt2 and llama of GGUF
    char *chat_template;
};

// ---- merging (merge.c) ----

// A stretch of text, doubly linked to its neighbours; index 0 survives every merge.
typedef struct cop_symbol {
    uint32_t start, bytes;
    int32_t prev, next;  // -1 at the ends
    int32_t id;          // -1: not known
    bool frozen;         // never merged
} cop_symbol;

typedef struct cop_merge_work {
    COP_ARRAY(cop_symbol) symbols;
    COP_ARRAY(uint64_t) heap;  // rank in the upper half, index of the left symbol in the lower
} cop_merge_work;

/* May left and right become one?  If so, the rank (smaller goes first) and the id of the result. */
typedef bool cop_pair_fn(const void *arg, const cop_symbol *left, const cop_symbol *right, uint32_t *rank, int32_t *id);

void cop_merge_reset(cop_merge_work *w);
cop_status cop_merge_add(cop_merge_work *w, uint32_t start, uint32_t bytes, int32_t id, bool frozen);
/* Merge the best pair, the leftmost among equals, until none is left.  Walk the result from symbol 0
 * by next.  O(n log n), at most 3 n calls of pair and as many again to confirm. */
cop_status cop_merge_run(cop_merge_work *w, cop_pair_fn *pair, const void *arg);
void cop_merge_fini(cop_merge_work *w);

// ---- splitting (pretokenize.c) ----

typedef cop_status cop_piece_fn(void *arg, const char *text, size_t bytes);
typedef struct cop_split_work cop_split_work;

cop_status cop_splitter_new(cop_splitter **out, const char *pre);
void cop_splitter_free(cop_splitter *s);
const char *cop_splitter_name(const cop_splitter *s);  // the family's `pre`
bool cop_splitter_wants_nfc(const cop_splitter *s);
bool cop_splitter_takes_whole_words(const cop_splitter *s);  // a word that is a token is not built by merges
cop_status cop_split_work_new(cop_split_work **out, const cop_splitter *s);
void cop_split_work_free(cop_split_work *w);
/* Call piece for each pre-token of text, which is well-formed UTF-8. Nothing is lost or repeated. */
cop_status cop_split_run(const cop_splitter *s, cop_split_work *w, const char *text, size_t bytes, cop_piece_fn *piece,
                         void *arg);

/* Do two names of `pre` stand for the same patterns and flags? */
bool cop_splitter_is_same(const char *pre, const char *other);

// The steps of a family as tokenizer.json publishes them (vocab_words.c).
#define COP_MOST_CUTS 6
#define COP_GPT2_SPLIT "\x01"  // stands for the byte-level step that splits by itself
typedef struct cop_published {
    const char *pre;
    bool nfc, whole_words;
    const char *cuts[COP_MOST_CUTS];  // patterns, or COP_GPT2_SPLIT
} cop_published;
/* The row for a name of GGUF's, or NULL. */
const cop_published *cop_published_find(const char *pre);

// ---- normalising (normalise.c) ----

typedef COP_ARRAY(char) cop_text_buffer;
typedef struct cop_nfc_work {
    COP_ARRAY(int32_t) points, sorted;
} cop_nfc_work;
typedef enum cop_form { COP_NFC, COP_NFD, COP_NFKC, COP_NFKD } cop_form;
bool cop_nfc_is_trivial(const char *text, size_t bytes);  // certainly unchanged by NFC
/* Append the form of text, well-formed UTF-8, to *out.  Linear, whatever the text. */
cop_status cop_form_append(cop_nfc_work *w, cop_form form, const char *text, size_t bytes, cop_text_buffer *out);
void cop_nfc_fini(cop_nfc_work *w);

// ---- the two kinds ----

cop_status cop_bpe_load(cop_tokenizer *tok, const cop_vocab_source *source);
/* The merges alone.  A right part loses `prefix` bytes when it is joined. */
cop_status cop_bpe_load_merges(cop_tokenizer *tok, const cop_vocab_source *source, size_t prefix);
bool cop_bpe_pair(const void *tok, const cop_symbol *left, const cop_symbol *right, uint32_t *rank, int32_t *id);
cop_status cop_bpe_encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool parse_special,
                          cop_token_array *out);
/* Undo the byte-level spelling of text into at most `bytes` bytes; returns how many. */
size_t cop_bpe_spell(const char *text, size_t bytes, char *raw);
/* The spelling of a byte, 1 or 2 bytes of UTF-8. */
size_t cop_bpe_spell_byte(uint8_t byte, char to[2]);

cop_status cop_spm_encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool parse_special,
                          cop_token_array *out);

// ---- special tokens (specials.c) ----

cop_status cop_specials_build(cop_tokenizer *tok);
/* Of a list, whose texts are copied. */
cop_status cop_specials_make(cop_specials *s, const cop_special *list, size_t n);
void cop_specials_fini(cop_specials *s);
/* The longest special token that text[0..bytes) begins with, or -1. */
int32_t cop_specials_match(const cop_specials *s, const char *text, size_t bytes, bool parse_special,
                           uint32_t *matched);
/* The same; NULL: none. */
const cop_special *cop_specials_find(const cop_specials *s, const char *text, size_t bytes, bool parse_special);

#endif

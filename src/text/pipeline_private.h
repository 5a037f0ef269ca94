// The tokenizer as a chain of plain steps: rewrite the text, cut it into pieces, hand each piece to the
// model, put tokens around the result.  tokenizer.json describes such a chain (tokenizer_json.c); the GGUF
// kinds t5 and bert are fixed ones (gguf_pipelines.c).  The meaning of every step is that of the
// tokenizers library, whose documentation names them.
#ifndef COP_TEXT_PIPELINE_PRIVATE_H
#define COP_TEXT_PIPELINE_PRIVATE_H

#include "text/pattern.h"
#include "text/text_private.h"

#define COP_MAX_STEPS 16     // of one kind
#define COP_MAX_AFFIX 64     // bytes of a prefix, suffix or mark

typedef struct cop_text {
    char *v;
    size_t n;
} cop_text;

// ---- rewriting ----

typedef enum cop_rewrite_kind {
    COP_REWRITE_NFC, COP_REWRITE_NFD, COP_REWRITE_NFKC, COP_REWRITE_NFKD,
    COP_REWRITE_LOWER,
    COP_REWRITE_STRIP_ACCENTS,  // marks of any kind are dropped
    COP_REWRITE_BERT,
    COP_REWRITE_REPLACE,        // every match of pattern becomes `text`
    COP_REWRITE_PREPEND,        // text, unless there is nothing
    COP_REWRITE_STRIP,          // white space at the left, at the right
    COP_REWRITE_SQUEEZE,        // spaces at the ends are dropped, runs of them become one (SentencePiece)
    COP_REWRITE_NMT,            // controls dropped, every kind of space becomes one
    COP_REWRITE_CHARSMAP,       // SentencePiece's own table
    COP_REWRITE_BYTES,          // byte-level spelling
} cop_rewrite_kind;

typedef struct cop_charsmap cop_charsmap;

typedef struct cop_rewrite {
    cop_rewrite_kind kind;
    cop_pattern *pattern;
    cop_text text;
    bool left, right;                     // STRIP
    bool clean, chinese, accents, lower;  // BERT; accents: drop them
    cop_charsmap *map;
    bool longest;                         // CHARSMAP: longest match anywhere, as SentencePiece; else by grapheme
} cop_rewrite;

// Buffers of one rewrite.
typedef struct cop_rewrite_work {
    cop_nfc_work forms;
    cop_text_buffer spare;
    cop_pattern_work *match;
} cop_rewrite_work;

/* How long a text of so many bytes may become; the longest decompositions make 11 bytes of one. */
void cop_rewrite_limit(cop_text_buffer *text, size_t bytes);
/* Replace *text, well-formed UTF-8, by its rewritten form; COP_ERR_LIMIT where that passes text->most. */
cop_status cop_rewrite_run(const cop_rewrite *r, cop_rewrite_work *w, cop_text_buffer *text);
void cop_rewrite_fini(cop_rewrite *r);
void cop_rewrite_work_fini(cop_rewrite_work *w);

/* Parse the table of a SentencePiece model; it is checked in full and copied. */
cop_status cop_charsmap_new(cop_charsmap **out, const uint8_t *data, size_t bytes);
cop_status cop_charsmap_new_base64(cop_charsmap **out, const char *text, size_t bytes);
void cop_charsmap_free(cop_charsmap *m);
/* What text[0..bytes) begins with in the table: the longest entry, or the shortest.  Its length, 0: none. */
size_t cop_charsmap_match(const cop_charsmap *m, const char *text, size_t bytes, bool longest, cop_span *to);

// ---- cutting ----

typedef enum cop_cut_kind { COP_CUT_PATTERN, COP_CUT_BYTES, COP_CUT_METASPACE } cop_cut_kind;
typedef enum cop_cut_how { COP_CUT_REMOVED, COP_CUT_ISOLATED, COP_CUT_WITH_PREVIOUS, COP_CUT_WITH_NEXT, COP_CUT_CONTIGUOUS } cop_cut_how;
typedef enum cop_cut_prefix { COP_PREFIX_NEVER, COP_PREFIX_FIRST, COP_PREFIX_ALWAYS } cop_cut_prefix;

typedef struct cop_cut {
    cop_cut_kind kind;
    cop_pattern *pattern;  // PATTERN; BYTES where the text is split first
    cop_cut_how how;
    bool invert;           // what does not match counts as the match
    bool space_first;      // BYTES: a piece that does not begin with a space gets one
    cop_cut_prefix prefix; // METASPACE
    bool split;            // METASPACE
    cop_text mark;         // METASPACE
} cop_cut;

// ---- models ----

typedef enum cop_piece_model { COP_PIECES_BPE, COP_PIECES_UNIGRAM, COP_PIECES_WORDPIECE } cop_piece_model;

// Pieces in a tree by their bytes; the children of a node lie side by side.
typedef struct cop_trie_node {
    uint32_t first;   // child
    int32_t id;       // -1: no piece ends here
    uint16_t n;       // children
    uint8_t byte;
} cop_trie_node;

typedef struct cop_trie {
    cop_trie_node *nodes;
    size_t n;
} cop_trie;

/* Of the tokens for which `in` is set; node 0 is the root. */
cop_status cop_trie_build(cop_trie *t, const cop_tokenizer *tok, const bool *in);
void cop_trie_fini(cop_trie *t);
/* The child of `node` by byte, or 0. */
uint32_t cop_trie_step(const cop_trie *t, uint32_t node, uint8_t byte);

typedef struct cop_pipeline {
    cop_rewrite rewrites[COP_MAX_STEPS];
    int n_rewrites;
    cop_cut cuts[COP_MAX_STEPS];
    int n_cuts;
    bool byte_level;        // some step spells bytes

    cop_piece_model model;
    bool *in_model;         // [n tokens]: the model makes them; the others are only looked for in the text
    int32_t fallback[256];  // <0xNN>, -1: none
    bool byte_fallback, fuse_unk, whole_words;
    char first[COP_MAX_AFFIX], inner[COP_MAX_AFFIX], last[COP_MAX_AFFIX];  // put to a word's first, later, last symbol
    size_t most_word;       // WORDPIECE: characters
    double *score;          // UNIGRAM
    double unk_score;
    bool narrow;            // UNIGRAM: sums are rounded to 32 bits
    cop_trie trie;          // UNIGRAM

    cop_specials normal;    // looked for after rewriting
    const cop_special *source_specials;   // texts as written; `normalized` ones are looked for after rewriting
    const bool *source_normalized;
    size_t n_source_specials;

    // ---- back to text ----
    bool spelt;             // tokens are spelt byte by byte
    bool bytes_back;        // <0xNN> is a byte
    struct { cop_text from, to; } replace[4];
    int n_replace;
    bool strip_first;       // a text's first token loses the space it begins with
    bool words;             // WORDPIECE: a space before each token that does not continue a word
    bool clean_up;          // English spacing of signs
    bool suffixed;          // `last` stands for a space behind the token
} cop_pipeline;

void cop_pipeline_free(cop_pipeline *p);  // accepts NULL

/* A tokenizer around *p, which it takes in either case; NULL: without one.  What the pipeline needs beyond
 * *source stands in its fields `source_...`, borrowed until the call returns. */
cop_status cop_tokenizer_new_pipeline(cop_tokenizer **out, const cop_vocab_source *source, cop_pipeline *p);
/* The kinds of GGUF that are pipelines: "t5" and "bert". */
bool cop_pipeline_is_kind(const char *model);
cop_status cop_tokenizer_new_kind(cop_tokenizer **out, const cop_vocab_source *source);

/* Called by it when texts, types and index are there: tables of the model, tokens that are looked for. */
cop_status cop_pipeline_finish(cop_tokenizer *tok, const cop_vocab_source *source);

cop_status cop_pipeline_encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool parse_special,
                               cop_token_array *out);

// Buffers of the models.
typedef struct cop_piece_work {
    cop_merge_work merge;
    COP_ARRAY(double) best;       // UNIGRAM, by byte
    COP_ARRAY(int32_t) from, id;
    cop_token_array found;
} cop_piece_work;
void cop_piece_work_fini(cop_piece_work *w);

cop_status cop_bpe_piece(const cop_tokenizer *tok, cop_piece_work *w, const char *text, size_t bytes, cop_token_array *out);
cop_status cop_unigram_piece(const cop_tokenizer *tok, cop_piece_work *w, const char *text, size_t bytes, cop_token_array *out);
cop_status cop_wordpiece_piece(const cop_tokenizer *tok, cop_piece_work *w, const char *text, size_t bytes, cop_token_array *out);

/* The bytes that a token stands for: at most one more than its text has. */
size_t cop_pipeline_spell(const cop_tokenizer *tok, int32_t id, char *to);

/* Letters, marks, digits, and what joins words. */
bool cop_point_is_word(uint32_t point);

#endif

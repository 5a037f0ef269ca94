// Text to tokens and back: byte-level BPE ("gpt2") and SentencePiece BPE ("llama") of GGUF, and whatever
// tokenizer.json describes (text/tokenizer_json.h).
// A tokenizer is made from plain data, checked in full, and immutable afterwards: any number of
// threads may use one.  Everything is linear or n log n in the text, whatever the text is.
// Not here: reading GGUF (model/vocab), chat formatting (text/chat).
#ifndef COP_TEXT_TOKENIZER_H
#define COP_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/array.h"
#include "base/status.h"

#define COP_MAX_PIECE 1024                  // bytes of one token's text
#define COP_MAX_VOCAB ((size_t)1 << 24)     // tokens, and merges
#define COP_MAX_TEXT ((size_t)1 << 30)      // bytes of one text to encode

typedef struct cop_tokenizer cop_tokenizer;
typedef COP_ARRAY(int32_t) cop_token_array;  // set .most before the first push; free with cop_array_fini

typedef struct cop_span {
    const char *text;  // not NUL-terminated, may hold any byte
    size_t bytes;
} cop_span;

typedef enum cop_token_type {  // as GGUF numbers them
    COP_TOKEN_NORMAL = 1, COP_TOKEN_UNKNOWN, COP_TOKEN_CONTROL, COP_TOKEN_USER, COP_TOKEN_UNUSED, COP_TOKEN_BYTE
} cop_token_type;

// What a vocabulary file says, unchecked.  Borrowed during cop_tokenizer_new only.
typedef struct cop_vocab_source {
    const char *model;        // "gpt2", "llama", "t5" (Unigram) or "bert" (WordPiece)
    const char *pre;          // name of the split pattern, gpt2 only; NULL means "default"
    size_t n_tokens;
    const cop_span *tokens;   // [n_tokens]
    const float *scores;      // [n_tokens], llama and t5, or NULL
    const int32_t *types;     // [n_tokens] of cop_token_type, or NULL: all normal
    size_t n_merges;
    const cop_span *merges;   // [n_merges] "left right", gpt2 only
    const uint32_t *merge_left;  // [n_merges] bytes of the left part, or NULL: it ends at the first space
    int64_t bos, eos, eot, unk, pad;  // -1: none
    bool add_bos, add_eos;
    bool add_space_prefix;    // llama and t5
    bool squeeze_spaces;      // t5 only: spaces at the ends go, runs of them become one
    cop_span charsmap;        // t5 only: SentencePiece's table of rewritten characters; .bytes 0 when there is none
    cop_span chat_template;   // .text NULL when the file has none
} cop_vocab_source;

/* A tokenizer from *source; every id, length, type and merge is checked.  COP_ERR_FORMAT says what
 * is wrong with the vocabulary, COP_ERR_UNSUPPORTED names a model or a `pre` that is not known. */
cop_status cop_tokenizer_new(cop_tokenizer **out, const cop_vocab_source *source);
void cop_tokenizer_free(cop_tokenizer *tok);  // accepts NULL

/* Append the tokens of text[0..bytes) to *out.
 *
 *   add_special    put bos before and eos after, each where the vocabulary asks for it
 *   parse_special  the texts of control tokens become those tokens; otherwise they are plain text.
 *                  User-defined tokens are found in either case, leftmost first, then longest.
 *
 * A text that begins with bos itself, parsed, gets no second one.  The text need not be UTF-8: other
 * bytes become byte tokens.  A byte for which the vocabulary has no token is left out (or unk, llama),
 * as the references do: SmolLM2 lacks 0x04, 0x06 and others, so not every text comes back.  On failure *out is as it was before.  COP_ERR_LIMIT when out->most is
 * reached.  Allocates scratch in proportion to the text. */
cop_status cop_tokenizer_encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool add_special,
                                bool parse_special, cop_token_array *out);

int32_t cop_tokenizer_n_tokens(const cop_tokenizer *tok);
int32_t cop_tokenizer_bos(const cop_tokenizer *tok);  // -1: none; likewise below
int32_t cop_tokenizer_eos(const cop_tokenizer *tok);
int32_t cop_tokenizer_unk(const cop_tokenizer *tok);
int32_t cop_tokenizer_pad(const cop_tokenizer *tok);
bool cop_tokenizer_adds_bos(const cop_tokenizer *tok);
int cop_tokenizer_n_behind(const cop_tokenizer *tok);  // tokens that add_special puts behind a text
bool cop_tokenizer_adds_space(const cop_tokenizer *tok);  // a text's first token begins with a space that is not text
/* The id whose text in the vocabulary is exactly text[0..bytes), or -1. */
int32_t cop_tokenizer_find(const cop_tokenizer *tok, const char *text, size_t bytes);
bool cop_tokenizer_is_control(const cop_tokenizer *tok, int32_t id);
/* Does this token end the text: eos, eot, and the tokens that families end a turn with, by name. */
bool cop_tokenizer_is_end(const cop_tokenizer *tok, int32_t id);
/* The model's own chat template, or NULL.  NUL-terminated, valid as long as the tokenizer. */
const char *cop_tokenizer_template(const cop_tokenizer *tok);

/* The bytes that token `id` stands for, valid as long as the tokenizer: byte-level spelling undone,
 * the space mark as ' ', <0xNN> as its byte.  A control, unknown or unused token is empty; with
 * `special` it is its text.  An id out of range is empty. */
const char *cop_tokenizer_piece(const cop_tokenizer *tok, int32_t id, bool special, size_t *bytes);

// A detokeniser for a stream of tokens.  A plain struct, no allocation, nothing to free.
typedef struct cop_detok {
    const cop_tokenizer *tok;
    bool special;     // show control tokens
    bool clean;       // ill-formed UTF-8 comes out as U+FFFD, so that the output is always UTF-8
    bool at_start;    // the next text token is the first of its text
    uint8_t n_held;   // bytes of a character that is not complete yet
    char held[4];
    char out[3 * (COP_MAX_PIECE + 4)];
} cop_detok;

/* Begin a stream.  at_start: the first token begins a text, so the space that encoding put before it
 * is taken off (llama with add_space_prefix); false when the tokens continue a prompt.
 * clean: replace what is not UTF-8; otherwise bytes pass as they are, and what was encoded comes back. */
void cop_detok_start(cop_detok *d, const cop_tokenizer *tok, bool at_start, bool special, bool clean);
/* The bytes that became ready with this token: whole characters only, perhaps none.  The result lives
 * in *d until the next call. */
const char *cop_detok_push(cop_detok *d, int32_t id, size_t *bytes);
/* What is still held when the stream ends: an incomplete character, raw or as one U+FFFD. */
const char *cop_detok_flush(cop_detok *d, size_t *bytes);

#endif

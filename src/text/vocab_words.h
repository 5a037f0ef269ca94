// A tokenizer said in the words of GGUF's tokenizer.* keys: the way back to a cop_vocab_source.
#ifndef COP_TEXT_VOCAB_WORDS_H
#define COP_TEXT_VOCAB_WORDS_H

#include "text/tokenizer.h"

// A source and what it points to.
typedef struct cop_vocab_words {
    cop_vocab_source source;
    cop_span *tokens, *merges;
    int32_t *types;
    float *scores;
    char *bytes;        // of merges, and of tokens that are spelt anew
    char *token_bytes;
} cop_vocab_words;

/* A tokenizer made from the result gives the same ids as tok.  COP_ERR_UNSUPPORTED says which step or flag the
 * keys cannot express.  Borrows from tok; free with cop_vocab_words_free. */
cop_status cop_vocab_words_new(cop_vocab_words **out, const cop_tokenizer *tok);
void cop_vocab_words_free(cop_vocab_words *w);  // accepts NULL

#endif

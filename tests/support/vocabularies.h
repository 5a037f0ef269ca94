// Small vocabularies of both kinds, for tests that need no file.
#ifndef COP_TESTS_VOCABULARIES_H
#define COP_TESTS_VOCABULARIES_H

#include "text/tokenizer.h"

#define VOCABULARY_MOST 320

// Everything a source points to; change it, then make the tokenizer.
typedef struct vocabulary {
    cop_vocab_source source;
    cop_span tokens[VOCABULARY_MOST], merges[VOCABULARY_MOST];
    int32_t types[VOCABULARY_MOST];
    float scores[VOCABULARY_MOST];
    char names[VOCABULARY_MOST][8];  // texts of single bytes
} vocabulary;

/* All 256 bytes (ids 0 ... 255 by value), some merges ("the", "aa", "aaaa", ...), control tokens
 * <|im_start|> <|im_end|> <s> and user tokens <tool> and <tool_call>. */
void vocabulary_gpt2(vocabulary *v);
/* <unk> <s> </s>, the 256 byte tokens, pieces of letters and marks, user tokens of 2 and 3 spaces. */
void vocabulary_llama(vocabulary *v);
/* The id of a text; -1 when there is none. */
int32_t vocabulary_id(const vocabulary *v, const char *text);

#endif

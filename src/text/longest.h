// Text to tokens by always taking the token with most bytes: an approximation of a tokenizer that starts anywhere,
// allocates nothing and never fails. For drafts, which may be wrong.
#ifndef COP_TEXT_LONGEST_H
#define COP_TEXT_LONGEST_H

#include "text/tokenizer.h"

typedef struct cop_longest cop_longest;

/* Control tokens are known by their names. The tokenizer is borrowed. Memory: 4 bytes a token. */
cop_status cop_longest_new(cop_longest **out, const cop_tokenizer *tok);
void cop_longest_free(cop_longest *l);  // accepts NULL

/* The token with most bytes that text[0 ... bytes) begins with, and how many they are; -1 when there is none. */
int32_t cop_longest_next(const cop_longest *l, const char *text, size_t bytes, size_t *used);

#endif

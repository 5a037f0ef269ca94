// The most probable tokens of a row of logits.
#ifndef COP_DRAFT_TOP_H
#define COP_DRAFT_TOP_H

#include <stdint.h>

#define COP_TOP_MOST 16

/* The k largest of logits[V] into tokens[] and values[], falling; of equal ones the smaller token comes
 * first. Returns how many there are: fewer than k when V is small or others are -inf or NaN. k <= COP_TOP_MOST.
 * About 20 us for 150,000 tokens. */
int cop_top_tokens(const float *logits, int V, int k, int32_t *tokens, float *values);

#endif

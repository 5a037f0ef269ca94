// Which row of a drafter's table belongs to a pair of tokens: so many rows, and when they are all taken the
// one of its set of four that was used longest ago is given away. Finding is four comparisons.
#ifndef COP_DRAFT_PAIRS_H
#define COP_DRAFT_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct cop_pairs {
    int n;            // rows, a multiple of four; 0: no pair is ever found
    uint64_t *key;    // [n] 0: free
    uint32_t *used;   // [n]
    uint32_t now;
} cop_pairs;

/* Room for about n pairs, 12 bytes each. */
cop_status cop_pairs_init(cop_pairs *p, int n);
void cop_pairs_fini(cop_pairs *p);  // accepts a zeroed one

/* The row of the pair, or -1. Tokens below 0 make no pair. */
int cop_pairs_find(const cop_pairs *p, int32_t before, int32_t token);
/* The row of the pair, its own or one that it takes over now (*fresh): what stands in there is another's. */
int cop_pairs_claim(cop_pairs *p, int32_t before, int32_t token, bool *fresh);

#endif

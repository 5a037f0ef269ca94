// A guide from inside: what guide.c and guide_forced.c share.
#ifndef COP_GUIDE_GUIDE_PRIVATE_H
#define COP_GUIDE_GUIDE_PRIVATE_H

#include "guide/guide.h"

#define COP_GUIDE_N_MASKS 16

// A mask that was asked for: siblings of a tree and turns of a loop often share a state.
typedef struct cop_guide_mask_entry {
    cop_guide_state state;  // COP_GUIDE_DEAD: free
    uint64_t used;
    uint64_t *bits;         // without end tokens
} cop_guide_mask_entry;

// Which symbol comes next on the state's way to an end, and how many tokens the way takes when each is as long as it
// can be. A way is a function of its first state, so a part of a way is the way of its first state.
typedef struct cop_guide_way {
    cop_guide_state state, next;  // COP_GUIDE_DEAD: free
    int32_t symbol, tokens;       // tokens -1: not counted yet
} cop_guide_way;

typedef struct cop_guide_need {
    int32_t token, need;   // tokens from behind it to an end; COP_GUIDE_FAR: more than what was asked for
} cop_guide_need;

// What the tokens of a state need.
typedef struct cop_guide_needs {
    cop_guide_state state;  // COP_GUIDE_DEAD: free
    int32_t cap;            // larger needs are not told apart
    int32_t worst, usual;   // the largest; that of most
    uint64_t used;
    uint64_t *allowed;      // all of them
    cop_guide_need *others; // those that need something else than the usual
    size_t n_others;
} cop_guide_needs;
#define COP_GUIDE_N_NEEDS 6

struct cop_guide {
    cop_language *language;
    const cop_vocab_trie *vocab;
    int32_t V;
    bool all_bytes;        // each byte that text is made of is a token
    uint8_t byte_order[256];
    int32_t *ends;         // end tokens
    int n_ends;
    uint64_t clock;
    cop_guide_mask_entry masks[COP_GUIDE_N_MASKS];
    cop_guide_way *ways;   // open addressing
    size_t n_ways, ways_size;
    cop_guide_needs needs[COP_GUIDE_N_NEEDS];
    COP_ARRAY(cop_guide_need) found;
    cop_status failed;     // memory was gone
};

static inline cop_guide_state cop_guide_step(cop_guide *g, cop_guide_state s, int32_t symbol) {
    return g->language->type->step(g->language, s, symbol);
}

/* Set the bits (all clear before; twins are left out) of the tokens behind which `left` tokens are enough. False: they
 * are for all of them, and nothing is set. */
bool cop_guide_narrow(cop_guide *g, cop_guide_state s, int32_t left, uint64_t *bits);
void cop_guide_forget_ways(cop_guide *g);  // states are called otherwise now

#endif

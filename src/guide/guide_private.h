// A guide from inside: what guide.c and guide_forced.c share.
#ifndef COP_GUIDE_GUIDE_PRIVATE_H
#define COP_GUIDE_GUIDE_PRIVATE_H

#include "guide/guide.h"

#define COP_GUIDE_N_MASKS 16
#define COP_GUIDE_SLICE_STATES 40

// A mask that was asked for: siblings of a tree and turns of a loop often share a state.
typedef struct cop_guide_mask_entry {
    cop_guide_state state;  // COP_GUIDE_DEAD: free
    int32_t worst;          // the largest distance behind one of its tokens, -1: not known yet
    uint64_t used;
    uint64_t *bits;         // without end tokens
} cop_guide_mask_entry;

// Which symbol comes next on the state's way to an end, and how many tokens the way takes when each is as long as it
// can be. A way is a function of its first state, so a part of a way is the way of its first state.
typedef struct cop_guide_way {
    cop_guide_state state, next;  // COP_GUIDE_DEAD: free
    int32_t symbol, tokens;       // tokens -1: not counted yet
} cop_guide_way;

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
    cop_status failed;     // memory was gone
};

static inline cop_guide_state cop_guide_step(cop_guide *g, cop_guide_state s, int32_t symbol) {
    return g->language->type->step(g->language, s, symbol);
}

#endif

// Best-first growth of a tree: what might be added next, the most probable path first; and what a class of
// guesses turned out to be worth, by which drafters rate them.
//
// A drafter pushes the children it knows of the root, then pops one after the other, adds it to the tree and
// pushes its children, until the tree is full. Equal paths come out in the order they went in.
#ifndef COP_DRAFT_FRONTIER_H
#define COP_DRAFT_FRONTIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "tree/tree.h"

typedef struct cop_guess {
    float path;            // probability of all of it, from below the root
    float own;             // of the token, given its parent
    int32_t token;
    int parent;            // node of the tree
    uint8_t bucket;
    int64_t low, high;     // the drafter's own
    uint32_t order;        // set by push
} cop_guess;

typedef struct cop_frontier {
    cop_guess *v;          // [most] heap, the best on top
    int n, most;
    uint32_t pushed;
} cop_frontier;

/* Room for `most` guesses: those pushed beyond are dropped. */
cop_status cop_frontier_init(cop_frontier *f, int most);
void cop_frontier_fini(cop_frontier *f);  // accepts a zeroed one
static inline void cop_frontier_clear(cop_frontier *f) { f->n = 0, f->pushed = 0; }
void cop_frontier_push(cop_frontier *f, const cop_guess *guess);
bool cop_frontier_pop(cop_frontier *f, cop_guess *out);  // false when empty

/* Put the guess into the tree with its bucket and log-probability; the node, -1 when there is no room. A node
 * that another drafter added stays as it is. */
int cop_guess_add(const cop_guess *guess, cop_tree *tree);

/* How often guesses of one class came true; old trials fade. */
typedef struct cop_belief {
    float tried, hit;
} cop_belief;

static inline void cop_belief_add(cop_belief *b, bool hit) {
    const float fade = 1 - 1.0f / 256;
    b->tried = b->tried * fade + 1;
    b->hit = b->hit * fade + (hit ? 1.0f : 0.0f);
}
/* prior: what is believed before any trial. */
static inline float cop_belief_of(const cop_belief *b, float prior) {
    const float weight = 4;
    return (b->hit + weight * prior) / (b->tried + weight);
}

#endif

// One drafter and a tree, without an engine: for tests of what drafters propose.
#ifndef COP_TESTS_DRAFTING_H
#define COP_TESTS_DRAFTING_H

#include "draft/draft.h"

#define DRAFTING_V 100
#define DRAFTING_TOKENS 1000

typedef struct drafting {
    const cop_drafter_type *type;
    void *state;
    cop_tree tree;
    int n_prompt;
    float *logits;  // [64][DRAFTING_V] of the last drafting_observe
} drafting;

/* Open drafter `name` with options "a=1,b=2" over a vocabulary of V tokens; its status when it refuses. */
cop_status drafting_try(drafting *d, const char *name, const char *options, int V);
/* The same, which must succeed, over DRAFTING_V tokens and trees of 64 nodes. */
void drafting_open(drafting *d, const char *name, const char *options);
void drafting_close(drafting *d);

/* Have the tree proposed behind tokens[n]. */
void drafting_propose(drafting *d, const int32_t *tokens, int n);
/* The tree was computed, and each row found `next`(token of the node) most probable, then its 7 followers. The
 * text goes on with the one of rank `rank`, as far as the tree holds it. */
void drafting_observe(drafting *d, const int32_t *tokens, int n, int32_t (*next)(int32_t token), int rank);

/* The tree in one line, as "1(2(3) 4)": children in brackets; the root is left out. */
const char *drafting_show(const drafting *d);

#endif

// What the engine shows to every plug-in (drafters, verifiers, controllers, guides), and what it tells
// them after a step. Everything is borrowed until the call returns.
#ifndef COP_TREE_PLUGIN_H
#define COP_TREE_PLUGIN_H

#include "base/option.h"
#include "tree/sampler.h"
#include "tree/tree.h"

/* What other requests do in the same forward: their rows, and the tokens that are expected of them. */
typedef struct cop_others {
    double rows, tokens;
} cop_others;

typedef struct cop_view {
    const int32_t *tokens;  // [n_tokens] the sequence; the last one is the tree's root
    int n_tokens;
    int n_prompt;           // of them were given, not generated
    uint64_t seed;
    int max_tokens;         // slots of the context
    cop_sampler *sampler;   // the request's: a drafter that draws with it is coupled to the target's noise
    cop_others others;
} cop_view;

/* What became of a step. */
typedef struct cop_accepted {
    const int *path;        // [n_path] nodes from below the root downwards
    int n_path;
    const int32_t *tokens;  // [n_tokens] what was emitted: the path's tokens and one more
    int n_tokens;           // n_path + 1, less when the text ended inside the path
} cop_accepted;

/* Logits [V] of a node of the last forward, raw, or NULL when they were not computed. */
typedef struct cop_rows_view {
    const float *(*logits)(void *engine, int node);
    void *engine;
    int V;
} cop_rows_view;

#endif

// Verifiers: given the tree and the target's logits at its nodes, which path is accepted and which
// token follows it.
#ifndef COP_VERIFY_VERIFY_H
#define COP_VERIFY_VERIFY_H

#include "tree/plugin.h"
#include "tree/sampler.h"

typedef struct cop_verify_input {
    const cop_view *view;
    const cop_tree *tree;
    cop_sampler *sampler;
    /* Logits [V] of a node; the verifier may change them, and asks for each node at most once. */
    float *(*logits)(void *engine, int node);
    /* The token behind a node when a guide leaves no choice, else -1; its logits need not have been computed. May be NULL. */
    int32_t (*decided)(void *engine, int node);
    /* Is this token the end of the text: nothing after it is accepted. May be NULL. */
    bool (*is_end)(void *engine, int32_t token);
    void *engine;
} cop_verify_input;

typedef struct cop_verdict {
    int *path;        // [max_nodes] the engine's
    int32_t *tokens;  // [max_nodes]
    int n_path, n_tokens;
} cop_verdict;

typedef struct cop_verifier_type {
    const char *name;     // --verify NAME
    const char *summary;
    const char *source;
    bool lossless;        // the text is exactly the target's
    bool takes_draws;     // knows what to do with children that were drawn; else all must be COP_POINT
    bool takes_decided;   // asks decided() before it asks for logits; else those of decided nodes leave one token only
    size_t state_size;
    const cop_option *options;
    cop_status (*start)(void *state, int V);  // takes all memory, or none on failure; may be NULL
    void (*stop)(void *state);                // frees what start took; may be NULL
    void (*accept)(void *state, const cop_verify_input *in, cop_verdict *out);
} cop_verifier_type;

extern const cop_verifier_type *const cop_verifiers[];  // verify.c, ends with NULL; the first is the default
cop_status cop_verifier_find(const cop_verifier_type **out, const char *name, size_t bytes);

#endif

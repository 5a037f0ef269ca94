// Drafters: each proposes what may come next by adding nodes to the tree.
//
// A drafter never decides anything: the verifier does. Its proposals may be wrong, late or mad; the text is
// the same. What it must not do is fail, allocate while drafting, or grow without a limit.
#ifndef COP_DRAFT_DRAFT_H
#define COP_DRAFT_DRAFT_H

#include "model/model.h"
#include "text/tokenizer.h"
#include "tree/plugin.h"

enum {
    COP_NEEDS_HIDDEN = 1,
    COP_NEEDS_SECOND_MODEL = 2,  // setup.draft is there, or the session is refused
    COP_NEEDS_TRAINING = 4,
    COP_NEEDS_ROWS = 8,          // observe reads the logits of all rows
    COP_COSTLY = 16,             // proposing costs forwards: a controller weighs it before asking
    COP_IN_AUTO = 32,            // one of those that `--draft auto` chooses from
    COP_TRANSLATES = 128,        // its second model may have another vocabulary
    COP_NEEDS_STORE = 64         // an option names its file, or the session is refused
};

/* What a drafter is given when its session opens; borrowed until stop. */
typedef struct cop_draft_setup {
    int max_nodes, max_tokens, V;  // of the tree, of the context, of the vocabulary
    const cop_model *target;
    cop_seq *target_seq;           // the session's, for drafters that run the target itself: they use scratch
    cop_workspace *target_ws;      // slots and this workspace between steps, and commit nothing
    const cop_adapter_set *target_adapters;  // in force for the session's rows
    const cop_model *draft;        // second model, of the same vocabulary unless the drafter translates, or NULL
    const cop_tokenizer *tokenizer, *draft_tokenizer;  // of both models; may be NULL in tests of drafters that read no text
    cop_kv_type cache_type;
    const cop_sampling *sampling;
    bool draws;                    // the verifier takes draws: the tree stores their distributions
    int32_t (*any_token)(void *engine, uint64_t draw);  // a token of the text that is no control token
    void *engine;
} cop_draft_setup;

typedef struct cop_drafter_type {
    const char *name;           // --draft NAME
    const char *summary;        // one line
    const char *source;         // paper or document
    unsigned needs;             // COP_NEEDS_*, COP_COSTLY
    size_t state_size;          // bytes the engine gives, zeroed, per session
    const cop_option *options;  // fields of the state a user may set; may be NULL
    const char *auto_options;   // "name=value,..." under --draft auto, where a controller prunes; may be NULL
    /* Once per session, options already set: checks what it needs and takes all its memory. May be NULL.
     * On failure everything it took is given back. */
    cop_status (*start)(void *state, const cop_draft_setup *setup);
    /* Add nodes below the root, or none; never fails. Earlier drafters' nodes may be there. tree->limit and
     * tree->max_depth say how much is wanted; cop_tree_add keeps to them. A node's logp is the drafter's
     * own belief, its bucket the class of confidence by which controllers learn what the belief is worth. */
    void (*propose)(void *state, const cop_view *view, cop_tree *tree);
    /* The tree is fixed and its forward is about to run: begin what is done beside it; observe, reset and stop wait for
     * that. Touches nothing of the target. May be NULL. */
    void (*ahead)(void *state, const cop_view *view, const cop_tree *tree);
    /* After every step, the view as before it; `tree` is what was computed. May be NULL. */
    void (*observe)(void *state, const cop_view *view, const cop_tree *tree, const cop_rows_view *rows, const cop_accepted *got);
    /* The sequence was replaced or cut: forget what depends on it. May be NULL. */
    void (*reset)(void *state);
    /* What it learnt, to a file and back; both may be NULL. A file that is damaged or of another vocabulary is
     * refused and changes nothing. */
    cop_status (*save)(const void *state, const char *path);
    cop_status (*load)(void *state, const char *path);
    void (*stop)(void *state);  // frees what start took; may be NULL
} cop_drafter_type;

extern const cop_drafter_type *const cop_drafters[];  // draft.c, ends with NULL

cop_status cop_drafter_find(const cop_drafter_type **out, const char *name, size_t bytes);

#endif

// Drafters: each proposes what may come next by adding nodes to the tree.
#ifndef COP_DRAFT_DRAFT_H
#define COP_DRAFT_DRAFT_H

#include "tree/plugin.h"

enum { COP_NEEDS_HIDDEN = 1, COP_NEEDS_SECOND_MODEL = 2, COP_NEEDS_TRAINING = 4, COP_NEEDS_ROWS = 8 };

typedef struct cop_drafter_type {
    const char *name;           // --draft NAME
    const char *summary;        // one line
    const char *source;         // paper or document
    unsigned needs;             // COP_NEEDS_*
    size_t state_size;          // bytes the engine gives, zeroed, per session
    const cop_option *options;  // fields of the state a user may set; may be NULL
    /* Once per session, options already set. May be NULL. */
    cop_status (*start)(void *state, int max_nodes, int max_tokens, int V);
    /* Add nodes below the root, or none; never fails. Earlier drafters' nodes may be there. */
    void (*propose)(void *state, const cop_view *view, cop_tree *tree);
    /* After every step, the view as before it. May be NULL. */
    void (*observe)(void *state, const cop_view *view, const cop_tree *tree, const cop_rows_view *rows, const cop_accepted *got);
    /* The sequence was replaced or cut: forget what depends on it. May be NULL. */
    void (*reset)(void *state);
    void (*stop)(void *state);  // frees what start took; may be NULL
} cop_drafter_type;

extern const cop_drafter_type *const cop_drafters[];  // draft.c, ends with NULL

cop_status cop_drafter_find(const cop_drafter_type **out, const char *name, size_t bytes);

#endif

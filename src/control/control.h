// Controllers: how much is drafted, by whom, and how much of it is computed.
//
// Before a drafter is asked, admit says how many nodes it may add; when all have proposed, prune says which
// nodes are worth a row; after the step, account learns from what it cost and what became of it. With the
// default verifier none of this can change the text, so a controller may use clocks.
#ifndef COP_CONTROL_CONTROL_H
#define COP_CONTROL_CONTROL_H

#include "tree/plugin.h"

#define COP_MAX_DRAFTERS 8

typedef struct cop_control_setup {
    int n_drafters, max_nodes, max_tokens;
    bool costly[COP_MAX_DRAFTERS];           // proposing costs forwards
    bool reads[COP_MAX_DRAFTERS];            // its first proposal reads the whole text
    const char *names[COP_MAX_DRAFTERS];
    struct cop_cost *cost;                   // measured by a scheduler for all its requests; NULL: measure it
    /* One line for people when a decision changes; may be NULL. */
    void (*note)(void *user, const char *line);
    void *user;
} cop_control_setup;

/* What a drafter may do in this step: nodes of the tree in all, its depth. 0 nodes: it is not asked. */
typedef struct cop_admission {
    int limit, max_depth;
} cop_admission;

/* What a step did. Times are seconds. */
typedef struct cop_step_report {
    const cop_accepted *got;
    int n_tree;             // nodes that were computed, the root included
    int n_rows;             // of the forward, other requests' too; 0: its time says nothing
    double draft_seconds[COP_MAX_DRAFTERS];  // proposing and observing, each drafter
    double verify_seconds;
    bool asked[COP_MAX_DRAFTERS];
} cop_step_report;

typedef struct cop_controller_type {
    const char *name;     // --control NAME
    const char *summary;
    const char *source;
    size_t state_size;
    const cop_option *options;
    cop_status (*start)(void *state, const cop_control_setup *setup);  // takes all memory; may be NULL
    /* Drafters are asked in their order; `tree` holds what the earlier ones proposed. NULL: no limit. */
    cop_admission (*admit)(void *state, const cop_view *view, const cop_tree *tree, int drafter);
    /* keep[n_nodes] is all true; clear what is not worth a row (what hangs below goes with it). Only nodes
     * proposed as COP_POINT may go. NULL: all stay. */
    void (*prune)(void *state, const cop_view *view, const cop_tree *tree, bool *keep);
    void (*account)(void *state, const cop_view *view, const cop_step_report *report);  // may be NULL
    /* What it learnt about the model and the machine, to a file and back; may be NULL. */
    cop_status (*save)(const void *state, const char *path);
    cop_status (*load)(void *state, const char *path);
    void (*stop)(void *state);  // may be NULL
} cop_controller_type;

extern const cop_controller_type *const cop_controllers[];  // control.c, ends with NULL; the first is the default

cop_status cop_controller_find(const cop_controller_type **out, const char *name, size_t bytes);

#endif

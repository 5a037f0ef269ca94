// Fixed: every step drafts as much as the options say, whatever it costs. What benches and tests compare with.
#include "control/control.h"

typedef struct fixed {
    int32_t nodes, depth;
} fixed;

static cop_admission admit(void *state, const cop_view *view, const cop_tree *tree, int drafter) {
    const fixed *f = state;
    (void)view;
    (void)tree;
    (void)drafter;
    return (cop_admission){f->nodes ? f->nodes + 1 : 0, f->depth};
}

static const cop_option options[] = {
    COP_OPTION_INT(fixed, nodes, 63, 0, 63, "nodes of the tree at most, the root not counted; 0: no drafting"),
    COP_OPTION_INT(fixed, depth, 63, 1, 63, "its depth at most"),
    COP_OPTION_END,
};

const cop_controller_type cop_controller_fixed = {
    .name = "fixed", .summary = "as much as the options say, always", .source = "Leviathan 2023",
    .state_size = sizeof(fixed), .options = options, .admit = admit,
};

// What controllers learn: the cost of a forward by its rows, and how often a drafter's proposals of each
// confidence class come true. Both adapt while a session runs, and both can be kept in a file.
#ifndef COP_CONTROL_LEARN_H
#define COP_CONTROL_LEARN_H

#include "control/control.h"

#define COP_COST_ROWS 64
#define COP_COST_CONTEXTS 6  // classes of context length: below 512, 1024, … , beyond

/* Seconds of a forward: plain * ratio(rows). Ratios are measured for each number of rows and class of context;
 * between two measured ones the curve is straight, beyond the last it rises as a memory-bound forward does. */
typedef struct cop_cost {
    double plain;          // seconds of one row, 0: not yet known
    int n_plain, since_plain;  // measurements; steps since the last one
    int context;           // class of the current context
    float measured[COP_COST_CONTEXTS][COP_COST_ROWS + 1];
    uint16_t seen[COP_COST_CONTEXTS][COP_COST_ROWS + 1];
    float ratio[COP_COST_ROWS + 1];  // of the current class
} cop_cost;

void cop_cost_init(cop_cost *cost);
void cop_cost_set_context(cop_cost *cost, int n_tokens);
void cop_cost_add(cop_cost *cost, int rows, double seconds);
/* Beyond COP_COST_ROWS it rises as it did on the last half. */
double cop_cost_ratio(const cop_cost *cost, double rows);

/* How often a node of a class was what the text went on with, given that its parent was. Old trials fade. */
typedef struct cop_odds {
    float tried, hit;
} cop_odds;

void cop_odds_add(cop_odds *odds, bool hit);
/* prior: what is believed before any trial. */
float cop_odds_of(const cop_odds *odds, float prior);

/* Proposals of one step, kept so that those that were pruned are judged, too. */
typedef struct cop_ballot {
    int n;
    struct {
        int parent;
        int32_t token;
        uint8_t source, bucket;
    } node[COP_COST_ROWS];
} cop_ballot;

void cop_ballot_take(cop_ballot *ballot, const cop_tree *tree);
/* Judge every node whose parent the text went through. */
void cop_ballot_judge(const cop_ballot *ballot, const cop_accepted *got, cop_odds odds[][COP_BUCKETS]);

#define COP_SURVIVAL 16

/* What is kept of a controller: pointers into it. survive: [COP_SURVIVAL] of each drafter, or NULL; survive_n and
 * per_node with it. odds has COP_MAX_DRAFTERS rows. */
typedef struct cop_learnt {
    cop_cost *cost;
    cop_odds (*odds)[COP_BUCKETS];
    float *survive[COP_MAX_DRAFTERS], *survive_n[COP_MAX_DRAFTERS], *per_node[COP_MAX_DRAFTERS];
    const cop_control_setup *setup;
} cop_learnt;

/* As text. Drafters are known by name, so that a file serves any set of them. What is damaged is refused and changes
 * nothing. */
cop_status cop_learnt_save(const char *path, const cop_learnt *learnt);
cop_status cop_learnt_load(const char *path, const cop_learnt *learnt);

#endif

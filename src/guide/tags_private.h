// What tags.c and tags_mask.c share: the compiled graph, and a text in it.
//
// States below `n_fixed` are nodes of the tries of begins (one trie for a place; in free places its upper nodes are an
// Aho-Corasick automaton) and positions in end tags. The others are triples (edge, state of its inner language, bytes of
// the end tag that have come beside it), numbered as they are met; numbers are never used again.
#ifndef COP_GUIDE_TAGS_PRIVATE_H
#define COP_GUIDE_TAGS_PRIVATE_H

#include <stdatomic.h>

#include "base/array.h"
#include "guide/tags.h"
#include "guide/vocab_trie.h"

typedef struct node {
    int32_t symbol, place, depth;
    uint32_t parent, child, sibling, fail;
    int32_t edge;       // that begins here, or -1
    bool committed;     // a trigger has come
    bool accepting;
    int32_t dense;      // free places: row of `next`, or -1
    int32_t distance;
} node;

typedef struct edge {
    int32_t inner, to;
    uint32_t n_end, end_at;  // end_at: of its first position among the fixed states
    const int32_t *end;
} edge;

typedef struct place {
    bool free, accepting;
    int32_t otherwise;
    uint32_t root;
} place;

// What is compiled: shared by all texts of the language.
typedef struct graph {
    atomic_int users;
    COP_ARRAY(node) nodes;      // 0 is not one
    COP_ARRAY(edge) edges;
    COP_ARRAY(int32_t) symbols; // of end tags
    COP_ARRAY(int32_t) named;
    uint32_t *next;             // [n_dense][256]
    place *places;
    uint32_t *end_edge;         // of each position in an end tag, its edge
    int32_t n_places, n_dense;
    uint32_t n_fixed, n_positions;
} graph;

typedef struct triple {
    int32_t edge;
    uint32_t inner, at;
} triple;

typedef struct cross_start {
    uint32_t node;
    int32_t token;   // one whose bytes begin with those of the node
    int32_t longest; // bytes of the longest one
} cross_start;

// Where in a vocabulary a byte comes first in a token.
typedef struct crossing {
    struct crossing *next;
    uint64_t vocab;
    int32_t byte;
    COP_ARRAY(cross_start) starts;
} crossing;

typedef struct tags {
    cop_language base;
    graph *g;
    cop_language **inner;
    int n_inner;
    COP_ARRAY(triple) triples;
    uint32_t first;      // number of triples[0]
    uint32_t *table;     // of numbers, 0: free
    size_t table_size;
    crossing *crossings;
    uint64_t *all;       // the tokens of the vocabulary all_of, without twins
    uint64_t all_of;
    int32_t *seen_worst; // of each node whose free mask was made: 1 + the largest distance behind a token; 0: not made
    int32_t worst;       // the largest known distance of a fixed state
    cop_status failed;
} tags;

static inline triple cop_tags_triple(const tags *t, cop_guide_state s) { return t->triples.v[s - t->first]; }

static inline uint32_t cop_tags_child(const graph *g, uint32_t n, int32_t symbol) {
    uint32_t c = g->nodes.v[n].child;
    while (c && g->nodes.v[c].symbol != symbol) c = g->nodes.v[c].sibling;
    return c;
}

cop_guide_state cop_tags_step(cop_language *l, cop_guide_state s, int32_t symbol);
/* Where the text stands in the other place when it leaves the edges at node n. */
cop_guide_state cop_tags_otherwise(tags *t, uint32_t n);

void cop_tags_mask(cop_language *l, cop_guide_state s, const cop_vocab_trie *v, uint64_t *bits);
void cop_tags_forget_masks(tags *t);

#endif

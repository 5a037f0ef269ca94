// Languages put together: a graph of places between which tags and inner languages lie. Calls of tools are the use: free
// text until a tag, then a function's name, its arguments as another language, an end tag, and free text again.
//
// In a free place any bytes may stand; it is left where the trigger of an edge occurs, which is the first part of its
// begin (Aho and Corasick 1975 find it). Behind the trigger one of the edges that begin with it has to be gone.
// In another place the text goes along one of the edges at once.
#ifndef COP_GUIDE_TAGS_H
#define COP_GUIDE_TAGS_H

#include "guide/language.h"

#define COP_TAG_FORBIDDEN (-1)  // as a place to go to: the text may not go there
#define COP_TAG_MOST_SYMBOLS 1000000  // of all begins and ends

typedef struct cop_tag_edge {
    const int32_t *begin;   // [n_begin] symbols, at least one; none of a place's begins is the beginning of another
    const int32_t *end;     // [n_end] behind the inner language
    size_t n_begin, n_end;
    size_t n_trigger;       // of begin; 1 … n_begin. No trigger of a free place is the beginning of another
    int inner;              // number of the language between begin and end, or -1: nothing
    int to;                 // place
} cop_tag_edge;

typedef struct cop_tag_place {
    bool free;
    bool accepting;         // the text may end here; in a free place, wherever no trigger has come
    int otherwise;          // not free: the free place in which a text stands that leaves all edges before a trigger; -1: none
    const cop_tag_edge *edges;
    size_t n_edges;
} cop_tag_place;

/* The text begins in places[0]. Takes the languages inner[0 … n_inner), also on failure; edges may share them. An inner
 * language goes on where it can: its end tag is tried beside it. */
cop_status cop_language_tags(cop_language **out, cop_language *const *inner, int n_inner, const cop_tag_place *places, int n_places);

#endif

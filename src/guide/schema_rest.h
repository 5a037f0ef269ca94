// How much is left to write.
#ifndef COP_GUIDE_SCHEMA_REST_H
#define COP_GUIDE_SCHEMA_REST_H

#include "guide/schema_private.h"

typedef struct schema_progress {  // of an object
    uint32_t next;           // members before this one are done with; all of them when names are written in any order
    const uint32_t *seen;    // any order: bits of the members that are written, or NULL
    uint32_t count;          // members written
    uint32_t satisfied;      // bits of `exists`
} schema_progress;

static inline bool is_seen(const schema_progress *p, uint32_t member) { return member < p->next || (p->seen && p->seen[member / 32] >> member % 32 & 1); }

/* Bytes to the closing bracket, included; nothing but members is written before it. SCHEMA_FAR: there is no way. */
cop_status cop_schema_object_rest(schema *s, schema_object *o, const schema_progress *p, int32_t *rest);
cop_status cop_schema_object_sums(schema *s, schema_object *o);  // makes that quick, where it can
cop_status cop_schema_member_cost(schema *s, schema_member *m, int32_t *cost);  // of "name":value
/* A name that is no member with its value, being what these `exists` (bits) ask for. */
cop_status cop_schema_extra_cost(schema *s, schema_object *o, uint32_t exists, int32_t *cost);
/* The automaton of the names that fit these, in JSON's spelling; NULL: there are none. */
cop_status cop_schema_exists_names(schema *s, schema_object *o, uint32_t exists, cop_dfa **out);
typedef struct schema_items {  // of an array
    uint32_t index;          // written
    const uint32_t *counts;  // how many of them fit each `contains`; NULL: none
    bool forced;             // a comma is written, so there is one more
    const int32_t *taken;    // what keeps the next one apart from them, when few values are possible
    uint32_t n_taken;
} schema_items;
cop_status cop_schema_array_rest(schema *s, schema_array *a, const schema_items *items, int32_t *rest);
/* A number that begins with `text` and is in one of g's sets that are not in its automaton: bytes to its end. */
int32_t cop_schema_count_rest(schema *s, const schema_goal *g, const char *text, size_t bytes);
bool cop_schema_count_holds(schema *s, const schema_goal *g, const char *text, size_t bytes);  // it may end here
cop_status cop_schema_and_goal(schema *s, uint32_t goal, const int32_t *more, uint32_t n_more, uint32_t *out);
cop_rx cop_schema_quoted(schema *s, cop_rx characters);  // as a JSON string without its first quote

static inline int32_t add_far(int32_t a, int32_t b) { return a >= SCHEMA_FAR - b || b == SCHEMA_FAR ? SCHEMA_FAR : a + b; }

#endif

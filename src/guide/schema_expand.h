// Taking a goal apart: what schema_expand.c, schema_negate.c and schema_record.c hand to one another. All of it lives in
// an arena that is gone when the goal is done.
#ifndef COP_GUIDE_SCHEMA_EXPAND_H
#define COP_GUIDE_SCHEMA_EXPAND_H

#include "guide/schema_private.h"

typedef enum atom_kind {
    A_LIT,       // a literal: lit, scope
    A_REST_PROPERTIES, A_REST_ITEMS,  // a node but for its unevaluated…, which fails: lit
    A_TYPES,     // a: mask; b: 0, or 1 integers, 2 no integers; lit: 1 when they are draft 4's
    A_LOW, A_HIGH, A_MULTIPLE, A_NOT_NUMBER,  // number; b: open, or "no"
    A_ONLY,      // number: a list of `a` of them
    A_STRING,    // a: an expression
    A_REQUIRE, A_FORBID,  // a: a name
    A_PROPERTY,  // a: a name; lit
    A_RULE, A_EXISTS,     // a: a cond; lit
    A_NAMES,     // a: an expression
    A_MIN_PROPERTIES, A_MAX_PROPERTIES, A_MIN_ITEMS, A_MAX_ITEMS,  // a
    A_RANGE,     // items a … b; lit
    A_CONTAINS,  // from a; lit; at least b, at most c
    A_UNIQUE,    // a: 1 or 2
    A_CHOICE     // one of `choice`
} atom_kind;

// Where annotations go: to the nearest unevaluated… above, and on to those above it.
typedef struct scope {
    const struct scope *outer;
    const schema_node *node;
    bool properties, items;        // what this one is about
    bool no_properties, no_items;  // ... and it fails
} scope;

typedef struct atom {
    const struct atom *next;
    uint8_t kind;
    int32_t lit;
    uint32_t a, b, c;
    const schema_dec *number;
    const scope *scope;
    const struct atom *const *choice;
    uint32_t n_choice;
} atom;

// What annotations say, by scope.
typedef struct evaluated {
    const struct evaluated *next;
    const scope *scope;
    const schema_node *node;   // its properties, patternProperties
    bool all_properties, all_items;
    uint32_t prefix;           // items before this one
    int32_t contains;          // items that fit; -1: none
} evaluated;

typedef struct cell {  // of the lists of a record
    const struct cell *next;
    uint32_t a, b, c;
    int32_t lit;
    const schema_dec *number;
    const scope *scope;
} cell;

// An alternative while it grows. Lists are newest first and share their tails with other alternatives.
typedef struct draft_record {
    uint8_t types, integer, unique;
    bool has_low, has_high, low_open, high_open, literal;
    const schema_dec *low, *high;
    const cell *multiples, *only, *not;
    cop_rx strings, names;
    const cell *properties, *rules, *exists, *required, *forbidden, *ranges, *contains, *done, *scopes;
    const evaluated *evaluated;
    uint32_t min_properties, max_properties, min_items, max_items;
} draft_record;

typedef struct expansion {
    schema *s;
    uint32_t goal;
    schema_arena mem;
    uint32_t steps;
} expansion;

atom *cop_schema_atom(expansion *e, const atom *next, atom_kind kind);
/* Atoms, newly made, that say that the node does not hold. */
cop_status cop_schema_negate(expansion *e, uint32_t node, const atom **out);
/* The keywords of a node, those of its subschemas for the same value as atoms in *more. */
cop_status cop_schema_assert(expansion *e, draft_record *r, const schema_node *n, const scope *sc, const atom **more);
cop_status cop_schema_apply(expansion *e, draft_record *r, const atom *a);
/* Takes from *later what the record implies already and puts the most urgent choice, with the alternatives that are still
 * open, into *best; NULL: look again. */
cop_status cop_schema_choose(expansion *e, const draft_record *r, const atom **later, const atom **best);
/* Nothing is an instance of both, as far as that is known without much work. */
cop_status cop_schema_clash(expansion *e, int32_t a, int32_t b, bool *out);
cop_status cop_schema_too_many(const expansion *e, const char *what, unsigned most);  // the failure
cop_status cop_schema_emit(expansion *e, draft_record *r);
/* Nothing is an instance of both, for sure. */
cop_status cop_schema_apart(schema *s, int32_t a, int32_t b, bool *out);
cop_status cop_schema_name(schema *s, const char *name, size_t bytes, uint32_t *id);
cop_status cop_schema_cond_of(schema *s, const schema_node *n, uint32_t *cond);  // of additionalProperties
cop_status cop_schema_pattern_cond(schema *s, cop_rx pattern, uint32_t *cond);
cop_status cop_schema_names_rx(schema *s, uint32_t node, cop_rx *out);           // of propertyNames
uint32_t cop_schema_prefix(const schema_node *n);       // items before those that `items` or additionalItems are about
const schema_keyword *cop_schema_rest(const schema_node *n);  // that keyword, or NULL
uint8_t cop_schema_types(const schema_keyword *k, uint8_t *integer);
bool cop_schema_open_bound(const schema_node *n, schema_word w);  // a draft-4 bound that is exclusive

#endif

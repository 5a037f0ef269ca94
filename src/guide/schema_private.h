// What the files of JSON Schema share. In reading order:
//
//   schema_parse.c   text → nodes: keywords of every subschema that is reached, references resolved, problems listed
//   schema_expand.c  a goal, "all these subschemas hold, and those do not", → records: alternatives without applicators
//   schema_negate.c  ... what it takes that a subschema does not hold
//   schema_record.c  records → plans of objects and arrays, interned; the scalars of a goal as one automaton
//   schema_min.c     which goals have an instance, and how short it is
//   schema_number.c  exact decimals, and numbers as expressions
//   schema_format.c  formats as expressions
//   schema_frame.c   a text so far: frames, configurations, states
//   schema_step.c    one byte more
//   schema_rest.c    bytes of a way to the end
//   schema_mask.c    masks by lexeme
//   schema.c         the language
//
// decision 6 in docs/decisions says why. Everything that is compiled hangs on a `schema`, grows while texts go on and is
// guarded by its lock; frames and states belong to one text.
#ifndef COP_GUIDE_SCHEMA_PRIVATE_H
#define COP_GUIDE_SCHEMA_PRIVATE_H

#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "guide/dfa_mask.h"
#include "guide/language.h"
#include "guide/regex.h"

// Ceilings. A schema or a text beyond one is refused with a sentence.
#define SCHEMA_MOST_BYTES (8u << 20)
#define SCHEMA_MOST_VALUES 400000u
#define SCHEMA_MOST_DEPTH 200
#define SCHEMA_MOST_NODES 100000u    // subschemas, counted once per dynamic scope
#define SCHEMA_MOST_GOALS 60000u
#define SCHEMA_MOST_RECORDS 768u     // alternatives of one goal
#define SCHEMA_MOST_STEPS 60000u     // of taking one goal apart
#define SCHEMA_MOST_CONFIGS 768u     // alternatives alive in one state
#define SCHEMA_MOST_NESTING 256      // of containers in a text
#define SCHEMA_MOST_MEMORY ((size_t)256 << 20)  // of one compiled schema, and of one text's states
#define SCHEMA_MOST_DOMAIN 256u      // values of items that must differ, to be counted
#define SCHEMA_FAR INT32_MAX

// ---- memory and interning: schema_pool.c ----

typedef struct schema_chunk schema_chunk;
typedef struct schema_arena {
    schema_chunk *chunks;
    size_t used, total, most;  // used: of the newest chunk
} schema_arena;
void *cop_schema_take(schema_arena *a, size_t bytes);  // zeroed; NULL and a record when memory or the ceiling is reached
void cop_schema_arena_fini(schema_arena *a);

// Equal bytes get equal numbers, from 1. Bytes are kept aligned to 8.
typedef struct schema_blob {
    const void *v;
    uint32_t bytes, hash;
} schema_blob;
typedef struct schema_pool {
    schema_arena *mem;
    COP_ARRAY(schema_blob) blobs;
    uint32_t *slots, n_slots;
} schema_pool;
uint32_t cop_schema_intern(schema_pool *p, const void *v, size_t bytes);  // 0: no memory, with a record
void cop_schema_pool_fini(schema_pool *p);
static inline const schema_blob *pool_at(const schema_pool *p, uint32_t id) { return &p->blobs.v[id - 1]; }

// ---- numbers: schema_number.c ----

typedef struct schema_dec {  // (-1)^negative · digits · 10^exponent; no zeros at either end, zero has no digits
    const char *digits;
    int n, exponent;
    bool negative;
} schema_dec;
cop_status cop_schema_dec_read(schema_arena *mem, schema_dec *out, const char *text, size_t bytes);  // text is JSON's
cop_status cop_schema_dec_of(schema_arena *mem, schema_dec *out, const json_t *number);
int cop_schema_dec_compare(const schema_dec *a, const schema_dec *b);
bool cop_schema_dec_is_integer(const schema_dec *a);
bool cop_schema_dec_is_multiple(const schema_dec *a, const schema_dec *of);

typedef struct schema_multiple {
    schema_dec of;
    bool no;  // must not be one
} schema_multiple;
typedef struct schema_numbers {  // a set of numbers
    bool has_low, has_high, low_open, high_open;
    bool literal;     // written without point and exponent: draft 4's integers
    uint8_t integer;  // 0: either, 1: integers, 2: no integers
    schema_dec low, high;
    const schema_multiple *multiples;
    int n_multiples;
    const schema_dec *only, *not;  // only: NULL for no list
    int n_only, n_not;
} schema_numbers;
bool cop_schema_numbers_hold(const schema_numbers *set, const schema_dec *v);

// ---- the schema as nodes: schema_parse.c ----

typedef enum schema_word {
#define SCHEMA_WORD(name, drafts, kind) W_##name,
#include "guide/schema_words_body.h"
#undef SCHEMA_WORD
    W_NONE
} schema_word;

enum { DRAFT_4 = 1, DRAFT_6 = 2, DRAFT_7 = 4, DRAFT_2019 = 8, DRAFT_2020 = 16, DRAFT_ANY = 32 };

typedef struct schema_keyword {
    uint8_t word;
    const json_t *v;
    cop_rx rx;             // pattern, format
    const cop_rx *rxs;     // patternProperties, in order
    uint32_t node;         // $ref, $dynamicRef, $recursiveRef; the only subschema
    const uint32_t *nodes; // subschemas in order: of a list, or of an object's members
    uint32_t n;
} schema_keyword;

typedef enum schema_node_kind { NODE_TRUE, NODE_FALSE, NODE_JSON, NODE_ANY, NODE_CONST } schema_node_kind;
typedef struct schema_node {
    uint8_t kind, draft;
    const json_t *j;       // NODE_JSON, NODE_CONST
    uint32_t resource, scope;
    const char *pointer;   // for messages
    schema_keyword *words;
    uint32_t n_words;
    const int32_t *any;    // NODE_ANY: literals
    uint32_t n_any;
} schema_node;

// Node 0 holds always, node 1 never. A literal is node * 2, or node * 2 + 1 for "does not hold".
#define LIT(node, no) ((int32_t)((node) * 2 + (no)))
#define LIT_TRUE 0
#define LIT_FALSE 2
#define LIT_NODE(lit) ((uint32_t)(lit) >> 1)
#define LIT_NO(lit) ((lit) & 1)

typedef struct schema_resource {
    const char *uri;       // absolute or "", without fragment
    const json_t *root;
    const char *pointer;   // of the root, for messages
    uint8_t draft;
    bool recursive;        // $recursiveAnchor: true
    const struct schema_anchor *anchors;
} schema_resource;

// ---- goals, records ----

#define T_NULL 1
#define T_FALSE 2
#define T_TRUE 4
#define T_NUMBER 8
#define T_STRING 16
#define T_ARRAY 32
#define T_OBJECT 64
#define T_ALL 127

// Which names a rule is about. Names in the lists are always members of the record's plan.
typedef struct schema_cond {
    bool inverted;              // the names that are in no list and match no pattern
    cop_rx pattern;             // or COP_RX_NONE
    const json_t *const *names; // objects whose keys count
    uint32_t n_names;
} schema_cond;

typedef struct schema_rule {  // members that fit `cond` are instances of `lit`
    uint32_t cond;
    int32_t lit;
} schema_rule;

typedef struct schema_member {
    const char *name, *spelt;  // spelt: as JSON, without quotes
    uint32_t bytes, spelt_bytes;
    bool required, forbidden;
    uint32_t goal;
    int32_t cost;              // of "name":value at least; SCHEMA_FAR when it cannot be
} schema_member;

typedef struct schema_object {
    schema_member *members;    // in order of writing
    const uint32_t *sorted;    // members by spelt
    const uint32_t *by_name;   // members by name
    int32_t *required_from;    // [n + 1]: cost of required members from here on, with their commas; by cop_schema_object_plan
    int32_t *n_required_from;
    uint32_t n, n_required;
    schema_rule *rules, *exists;
    uint32_t n_rules, n_exists;
    cop_rx names;              // what names must match
    uint32_t min, max;         // UINT32_MAX: no limit
    // names that are no members: made when first needed
    bool planned, any_extra, planning;
    cop_rx extra_rx;           // characters
    cop_dfa *extra;            // in JSON's spelling with the closing quote; NULL when there are none
    uint32_t extra_goal;       // of those that match no pattern
    int32_t extra_cost, extra_worst;  // of a cheapest one; of the value of a costly one
} schema_object;

typedef struct schema_range {  // items from … to
    uint32_t from, to;
    int32_t lit;
} schema_range;
typedef struct schema_contains {
    uint32_t from, min, max;   // counted from index `from` on
    int32_t lit;
} schema_contains;
typedef struct schema_array {
    schema_range *ranges;
    schema_contains *contains;
    uint32_t n_ranges, n_contains, min, max, prefix;  // prefix: goals are the same from here on
    uint32_t *goals;           // [prefix + 1] without contains; 0: not made yet
    uint8_t unique;            // 1: all differ
    uint32_t domain;           // how many values items can have at most, when all differ and these are few; 0: many
    int32_t longest;           // bytes of the longest of them
} schema_array;

typedef struct schema_record {
    uint8_t type;              // T_OBJECT or T_ARRAY
    uint32_t goal;             // that first had it, for messages
    union {
        schema_object object;
        schema_array array;
    } u;
} schema_record;

typedef enum schema_phase { GOAL_NEW, GOAL_WORKING, GOAL_DONE } schema_phase;
typedef struct schema_goal {
    const int32_t *lits;
    uint32_t n_lits;
    uint8_t phase, types;      // types: NULL, FALSE, TRUE of the alternatives
    bool settled;              // min is final
    uint32_t mark;             // of the search that last met it
    bool free_numbers;         // some alternative takes every number
    int32_t min;               // bytes of a shortest instance; SCHEMA_FAR: none
    cop_rx strings;            // characters; of all alternatives
    schema_numbers *numbers;
    uint32_t n_numbers;
    bool counted_numbers;      // some of them are not in the automaton (multipleOf), or all in a checker
    uint32_t *records;
    uint32_t n_records;
    cop_dfa *scalars;          // the whole spelling; made when first needed
    bool has_scalars;
} schema_goal;

typedef struct schema {
    struct cop_lock *lock;
    int owners;
    cop_schema_options options;
    schema_arena mem;
    cop_regex_set *regexes;
    cop_rx any_string;
    json_t *root;
    json_t *made[64];          // documents of our own
    int n_made;
    COP_ARRAY(schema_resource) resources;
    COP_ARRAY(schema_node *) nodes;
    COP_ARRAY(json_t *) values;          // made for NODE_CONST
    schema_pool node_keys, scopes, consts, anys, conds, goal_keys, record_keys, names;
    COP_ARRAY(schema_goal *) goals;      // by id of goal_keys
    COP_ARRAY(schema_record *) records;
    bool has_dynamic;
    int depth;                           // of goals being taken apart inside one another
    uint32_t root_goal;
    int min_depth;                       // of searches for lengths inside one another
    uint32_t mark;
    schema_pool dfa_keys;
    COP_ARRAY(cop_dfa *) dfas;           // by id of dfa_keys
    cop_error_record failure;            // why it gave up for good
    // problems while reading
    char *problems;
    size_t problems_bytes;
    int n_problems;
    void (*warn)(void *user, const char *line);
    void *user;
} schema;

cop_status cop_schema_read(schema *s, const char *text, size_t bytes);
cop_status cop_schema_problem(schema *s, const char *pointer, const char *keyword, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
cop_status cop_schema_any_of(schema *s, const int32_t *lits, uint32_t n, uint32_t *node);
cop_status cop_schema_const(schema *s, const json_t *v, uint32_t *node);
const schema_keyword *cop_schema_word(const schema_node *n, schema_word w);
cop_status cop_schema_format(schema *s, const char *name, cop_rx *out, bool *known);
static inline const schema_cond *cond_at(const schema *s, uint32_t id) { return pool_at(&s->conds, id)->v; }
const char *cop_schema_meta(const char *uri);  // text of an official metaschema, or NULL

/* Goals are numbers from 1; the same for the same literals in any order. */
cop_status cop_schema_goal(schema *s, const int32_t *lits, uint32_t n, uint32_t *goal);
cop_status cop_schema_expand(schema *s, uint32_t goal);
cop_status cop_schema_min(schema *s, uint32_t goal, int32_t *min);  // SCHEMA_FAR: no instance
bool cop_schema_cond_fits(schema *s, uint32_t cond, const char *name, size_t bytes);
cop_status cop_schema_member_goal(schema *s, const schema_object *o, const char *name, size_t bytes, const int32_t *more,
                                  uint32_t n_more, uint32_t *goal);
cop_status cop_schema_item_goal(schema *s, schema_array *a, uint32_t index, const int32_t *more, uint32_t n_more, uint32_t *goal);
cop_status cop_schema_object_plan(schema *s, schema_object *o);
cop_status cop_schema_scalars(schema *s, schema_goal *g);
cop_status cop_schema_dfa(schema *s, cop_rx rx, cop_dfa **out);  // one for each expression; stays the schema's
cop_status cop_schema_numbers_rx(schema *s, const schema_numbers *n, cop_rx *out, bool *exact);
const char *cop_schema_spell(schema_arena *mem, const char *name, size_t bytes, uint32_t *spelt_bytes);

static inline schema_goal *goal_at(const schema *s, uint32_t id) { return s->goals.v[id - 1]; }
static inline schema_record *record_at(const schema *s, uint32_t id) { return s->records.v[id - 1]; }

#endif

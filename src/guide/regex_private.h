// Expressions from inside. Functions here expect the set's lock to be held; the public ones of regex.h take it.
#ifndef COP_GUIDE_REGEX_PRIVATE_H
#define COP_GUIDE_REGEX_PRIVATE_H

#include <stdatomic.h>

#include "base/array.h"
#include "base/threads.h"
#include "guide/language.h"
#include "guide/regex.h"

#define COP_RX_ALL 2u          // every text of bytes
#define COP_RX_MAX_DEPTH 1000  // expressions inside expressions; a concatenation counts once

typedef enum cop_rx_kind { COP_RX_NOTHING, COP_RX_EPSILON, COP_RX_BYTES, COP_RX_CHARACTERS, COP_RX_CONCAT, COP_RX_OR, COP_RX_AND,
                           COP_RX_NOT, COP_RX_REPEAT } cop_rx_kind;

#define COP_RX_NULLABLE 1      // accepts the empty text
#define COP_RX_PLAIN 2         // no intersection, no complement: its shortest length is known, it is never empty
#define COP_RX_OF_CHARACTERS 4 // has a leaf of characters, or is a complement over them
#define COP_RX_WELL_FORMED 8   // << encoding: all its texts are sequences of characters so spelt

typedef struct cop_rx_node {
    uint8_t kind, flags;
    uint16_t depth;
    uint32_t a, b;      // bytes, characters: index of the set; concat: parts, b never before a; or, and: kids[a .. a + b), sorted;
                        // not: a, b = over characters; repeat: a
    uint32_t low, high; // repeat: counts
    uint32_t shortest, longest;  // bounds of the length; shortest is exact when plain; COP_RX_MANY: none
    uint32_t reach;     // bound of `shortest` of all derivatives; COP_RX_MANY when not known
    int32_t distance;   // bytes to acceptance when found by search; -1: not known, COP_GUIDE_FAR: empty
    uint32_t next;      // in the same bucket
} cop_rx_node;

typedef struct cop_rx_byte_set {
    uint64_t bits[4];
} cop_rx_byte_set;
typedef struct cop_rx_ranges {
    uint32_t at, n;     // of set->pairs
} cop_rx_ranges;
typedef struct cop_rx_memo {
    uint32_t of, how, to;
} cop_rx_memo;

struct cop_regex_set {
    cop_lock *lock;
    atomic_int owners;
    uint64_t fuel;
    atomic_int failed;               // a cop_status
    char reason[160];
    COP_ARRAY(cop_rx_node) nodes;
    COP_ARRAY(uint32_t) kids;
    COP_ARRAY(cop_rx_byte_set) byte_sets;
    COP_ARRAY(cop_rx_ranges) range_sets;
    COP_ARRAY(uint32_t) pairs;       // low, high, low, high …
    uint32_t *buckets;
    size_t n_buckets;
    cop_rx_memo *derived;            // direct-mapped: a derivative is worth remembering, not worth keeping
    cop_rx_memo *encoded;            // open addressing
    size_t n_encoded, encoded_size;
    cop_rx universe[4];              // by encoding: all sequences of characters; 0 until it is asked for; [3]: not encoded
    struct cop_rx_property *properties;  // classes that were looked up
    size_t n_properties;
    atomic_size_t mask_bytes;        // of the masks of all its automata
};

#define COP_RX_NODE(set, e) (&(set)->nodes.v[e])
static inline bool cop_rx_has(const cop_regex_set *set, cop_rx e, uint8_t flags) {
    return (set->nodes.v[e].flags & flags) == flags;
}
static inline uint32_t cop_rx_add(uint32_t a, uint32_t b) { return a > COP_RX_MANY - b ? COP_RX_MANY : a + b; }
static inline uint32_t cop_rx_times(uint32_t a, uint32_t b) {
    uint64_t p = (uint64_t)a * b;
    return !a || !b ? 0 : a == COP_RX_MANY || b == COP_RX_MANY || p > COP_RX_MANY ? COP_RX_MANY : (uint32_t)p;
}

/* The set fails for good; the first reason stands. */
void cop_rx_give_up(cop_regex_set *set, cop_status status, const char *reason);
/* Take fuel; false: there is none left, and the set has failed. */
bool cop_rx_burn(cop_regex_set *set, uint64_t amount);

cop_rx cop_rx_mk_bytes(cop_regex_set *set, const uint64_t bits[4]);
cop_rx cop_rx_mk_range(cop_regex_set *set, uint8_t low, uint8_t high);
cop_rx cop_rx_mk_characters(cop_regex_set *set, const uint32_t (*ranges)[2], size_t n);
cop_rx cop_rx_mk_concat(cop_regex_set *set, cop_rx a, cop_rx b);
cop_rx cop_rx_mk_or(cop_regex_set *set, const cop_rx *list, size_t n);
cop_rx cop_rx_mk_and(cop_regex_set *set, const cop_rx *list, size_t n);
cop_rx cop_rx_mk_not(cop_regex_set *set, cop_rx a, bool characters);
cop_rx cop_rx_mk_repeat(cop_regex_set *set, cop_rx a, uint32_t min, uint32_t max);
cop_rx cop_rx_mk_encoded(cop_regex_set *set, cop_rx a, cop_rx_encoding encoding);
cop_rx cop_rx_mk_universe(cop_regex_set *set, cop_rx_encoding encoding);
static inline cop_rx cop_rx_mk_or2(cop_regex_set *set, cop_rx a, cop_rx b) { return cop_rx_mk_or(set, (cop_rx[]){a, b}, 2); }
static inline cop_rx cop_rx_mk_and2(cop_regex_set *set, cop_rx a, cop_rx b) { return cop_rx_mk_and(set, (cop_rx[]){a, b}, 2); }
static inline cop_rx cop_rx_mk_any(cop_regex_set *set) {
    static const uint32_t all[1][2] = {{0, 0x10FFFF}};
    return cop_rx_mk_characters(set, all, 1);
}

/* Insert the node unless it is there; its flags and bounds are set by what it is made of. */
cop_rx cop_rx_intern(cop_regex_set *set, cop_rx_node node, const uint32_t *kids);

/* What may follow the byte. Of bytes only. */
cop_rx cop_rx_derive(cop_regex_set *set, cop_rx e, uint8_t byte);

// Bytes that an expression and all its derivatives treat alike.
typedef struct cop_rx_classes {
    uint8_t of[256];     // class of a byte
    uint8_t byte[256];   // a byte of a class
    int n;
} cop_rx_classes;
void cop_rx_find_classes(cop_regex_set *set, cop_rx e, cop_rx_classes *out);

/* Bytes to acceptance: a search when e is not plain. COP_GUIDE_FAR: there is no text. Fuel may end: ask the set. */
int32_t cop_rx_find_distance(cop_regex_set *set, cop_rx e, const cop_rx_classes *classes);

/* Ranges of a class by its name ("L", "Lu", "Script=Greek", …), into *ranges, which the set keeps. */
cop_status cop_rx_find_property(cop_regex_set *set, const char *name, size_t bytes, const uint32_t (**ranges)[2], size_t *n);
void cop_rx_free_properties(cop_regex_set *set);

// Ranges of code points, low and high one after the other.
typedef COP_ARRAY(uint32_t) cop_rx_pairs;
cop_status cop_rx_pairs_add(cop_rx_pairs *p, uint32_t low, uint32_t high);
/* \d \w \s, by their letters. */
cop_status cop_rx_add_class(cop_rx_pairs *p, char letter);
/* All characters that are not in p. */
cop_status cop_rx_invert_pairs(cop_rx_pairs *p);

// ---- automata ----

#define COP_DFA_FIRST_BITS 4   // the first segment has 16 states, each next one twice as many
#define COP_DFA_SEGMENTS 18
#define COP_DFA_MAX_STATES (1u << 20)

typedef struct cop_dfa_info {
    cop_rx rx;
    int32_t distance;
    uint32_t reach;
} cop_dfa_info;
typedef struct cop_dfa_segment {
    cop_dfa_info *info;
    _Atomic uint32_t *to;   // [state][class]: the next state + 1, 0: not known yet
} cop_dfa_segment;

struct cop_dfa {
    cop_regex_set *set;
    atomic_int owners;
    cop_rx_classes classes;
    uint32_t n_states;
    cop_dfa_state start;
    _Atomic(cop_dfa_segment *) segments[COP_DFA_SEGMENTS];
    uint32_t *index;        // states by expression, open addressing
    size_t index_size;
    size_t bytes;
    cop_lock *mask_lock;    // masks of dfa_mask.c
    struct cop_dfa_mask_cache *masks;
};
void cop_dfa_free_masks(cop_dfa *dfa);

static inline cop_dfa_segment *cop_dfa_find(cop_dfa *dfa, cop_dfa_state s, uint32_t *at) {
    uint32_t i = s + (1u << COP_DFA_FIRST_BITS);
    int k = 31 - __builtin_clz(i);
    *at = i - (1u << k);
    return atomic_load_explicit(&dfa->segments[k - COP_DFA_FIRST_BITS], memory_order_acquire);
}
cop_dfa_state cop_dfa_step_slowly(cop_dfa *dfa, cop_dfa_state s, uint8_t byte);
static inline cop_dfa_state cop_dfa_step_fast(cop_dfa *dfa, cop_dfa_state s, uint8_t byte) {
    uint32_t at;
    cop_dfa_segment *seg = cop_dfa_find(dfa, s, &at);
    uint32_t to = atomic_load_explicit(&seg->to[at * (uint32_t)dfa->classes.n + dfa->classes.of[byte]], memory_order_acquire);
    return to ? to - 1 : cop_dfa_step_slowly(dfa, s, byte);
}

#endif

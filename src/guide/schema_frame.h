// A text so far. A state is a set of configurations, alternatives that are still alive; a configuration is a stack of
// frames and, inside arrays whose items must differ, the tape of what was written of the outermost item. All of it is
// interned, so that a state is a number and never changes.
#ifndef COP_GUIDE_SCHEMA_FRAME_H
#define COP_GUIDE_SCHEMA_FRAME_H

#include "guide/schema_rest.h"

typedef enum frame_kind {
    F_END,     // the whole value is written
    F_VALUE,   // what: goal, which comes next
    F_SCALAR,  // what: goal; a: state of its automaton
    F_NUMBER,  // what: goal; a: tape of the spelling
    F_OBJECT,  // what: record; a: next member; b: bits of seen members, c: list of other names; d: members written;
               // e: bits of satisfied `exists`; goal: of the value behind the colon
    F_NAME,    // of a member; parent: the object; a, b: range of `sorted`; c: bytes so far
    F_EXTRA,   // a name that is no member; what: its automaton; a: state of that; b: tape, from the quote on
    F_KEY,     // any name, in a checker; b: tape
    F_ARRAY    // what: record; a: items begun; b: counts of `contains`; c: list of items; d: where the item begins on the tape
} frame_kind;
typedef enum frame_phase { P_OPEN, P_COMMA, P_AFTER, P_AFTER_SPACE, P_COLON } frame_phase;

typedef struct frame {
    uint32_t parent;
    uint8_t kind, phase, space, fresh;  // space: bytes of white space in a row; fresh: the array began the tape
    uint32_t what, a, b, c, d, e, goal, depth;
} frame;

typedef struct config {
    uint32_t frame, tape;  // tape 0: none
} config;

enum { D_TAPE = 1, D_LIST, D_WORDS };
typedef struct datum {  // interned together
    uint32_t tag, before, n, v;  // tape: v the last byte, n bytes; list: v a datum, n a node or 0; words follow n
} datum;

typedef struct schema_text {
    cop_language base;
    schema *s;
    schema_arena mem;
    schema_pool frames, states, data;
    COP_ARRAY(int32_t) rests;  // of frames, by number - 1; -1: not known
    cop_status status;
    cop_error_record failure;
    COP_ARRAY(config) next;    // of a step
    uint32_t masked;           // the state whose mask was made last, and how far from its end a token can lead
    int32_t worst;
} schema_text;

static inline const frame *frame_at(const schema_text *t, uint32_t id) { return pool_at(&t->frames, id)->v; }
static inline const datum *datum_at(const schema_text *t, uint32_t id) { return pool_at(&t->data, id)->v; }
static inline const config *configs_of(const schema_text *t, uint32_t state, uint32_t *n) {
    const schema_blob *b = pool_at(&t->states, state);
    *n = b->bytes / sizeof(config);
    return b->v;
}

/* Bits of the tokens that may come next; t->worst says how far from the end they lead at most. */
void cop_schema_text_mask(schema_text *t, uint32_t state, const cop_vocab_trie *v, uint64_t *bits);
/* The state under its new name; all others are forgotten, when that is worth it. */
uint32_t cop_schema_text_keep(schema_text *t, uint32_t state);
/* All set t->status and return 0 when they fail. */
uint32_t cop_schema_frame(schema_text *t, const frame *f);
uint32_t cop_schema_tape(schema_text *t, uint32_t tape, uint8_t byte);  // tape 0: an empty one; byte is appended
uint32_t cop_schema_list(schema_text *t, uint32_t list, uint32_t v, uint32_t node);
uint32_t cop_schema_words(schema_text *t, const uint32_t *v, uint32_t n);
char *cop_schema_tape_text(schema_text *t, uint32_t tape, uint32_t from, size_t *bytes);  // caller frees
uint32_t cop_schema_state(schema_text *t, const config *list, uint32_t n);
void cop_schema_fail(schema_text *t, cop_status st);
int32_t cop_schema_frame_rest(schema_text *t, uint32_t frame);
void cop_schema_config_step(schema_text *t, config c, uint8_t byte);  // appends to t->next
uint32_t cop_schema_text_step(schema_text *t, uint32_t state, uint8_t byte);
bool cop_schema_config_accepts(schema_text *t, config c);
schema_progress cop_schema_progress_of(const schema_text *t, const frame *object);
bool cop_schema_owes_members(const schema_text *t, const frame *object);  // members are required that come before other names
/* The automaton of names that are no members and not written yet; 0: there are none. Its number, and itself. */
uint32_t cop_schema_extra_names(schema_text *t, const frame *object, cop_dfa **dfa);
bool cop_schema_name_is_free(schema_text *t, const frame *object, uint32_t tape);  // it is no member's, and not written
/* What a member or an extra name leads to; false: it may not come. */
bool cop_schema_may_come(schema_text *t, const frame *object, uint32_t member, frame *after, int32_t *rest);
/* Literals that keep an item apart from those before it, when there are few values it can have; into out[most]. */
uint32_t cop_schema_taken(const schema_text *t, const frame *array, int32_t *out, uint32_t most);
uint32_t cop_schema_canonical(schema_text *t, const char *json, size_t bytes);  // a datum, equal for equal values

#endif

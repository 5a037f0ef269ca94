// The tokens of a vocabulary as bytes, in a trie: a mask is one walk over it with a stack of states.
//
// Nodes lie in depth-first order, children by byte, so that a subtree is a range and a walk is a loop. Tokens with
// the same bytes share a node; control tokens and empty ones are not in it.
#ifndef COP_GUIDE_VOCAB_TRIE_H
#define COP_GUIDE_VOCAB_TRIE_H

#include "base/array.h"
#include "guide/language.h"

typedef struct cop_tokenizer cop_tokenizer;

/* What the trie is made of; `user` is borrowed as long as the vocabulary lives, and its functions may be called from
 * any thread. */
typedef struct cop_vocab_trie_source {
    int32_t V;
    const char *(*piece)(const void *user, int32_t token, size_t *bytes);  // none for control tokens
    bool (*is_end)(const void *user, int32_t token);                       // it ends a text
    int32_t (*find)(const void *user, const char *text, size_t bytes);     // a token by its name, or -1
    /* The tokens of a text in the middle of another one, nothing added; their number, or -1 when that failed. */
    int (*encode)(const void *user, const char *text, size_t bytes, int32_t *tokens, int max);
    const void *user;
} cop_vocab_trie_source;

/* May be used by several threads once it is made. */
cop_status cop_vocab_trie_new(cop_vocab_trie **out, const cop_vocab_trie_source *source);
cop_status cop_vocab_trie_of(cop_vocab_trie **out, const cop_tokenizer *tok);  // of a tokenizer, which is borrowed
void cop_vocab_trie_free(cop_vocab_trie *v);  // accepts NULL
const cop_vocab_trie_source *cop_vocab_trie_get_source(const cop_vocab_trie *v);
int cop_vocab_trie_longest(const cop_vocab_trie *v);  // bytes of the longest token

/* Set the bits of the tokens whose symbols lead from s to a living state; all others are cleared. bits: [ceil(V / 64)]. */
void cop_vocab_trie_walk(const cop_vocab_trie *v, cop_language *l, cop_guide_state s, uint64_t *bits);
/* The same walk, which tells of each such token (but not of its twins) and the state behind it, until told to stop.
 * Not of plain tokens when they are left out (see below). */
void cop_vocab_trie_visit(const cop_vocab_trie *v, bool without_plain, cop_language *l, cop_guide_state s,
                          bool (*go_on)(void *user, int32_t token, cop_guide_state behind), void *user);

// The nodes themselves, for masks that know more than a language's step (dfa_mask.h). Node 0 is the root, the empty text.
// The nodes below `node` are node + 1 … node + size - 1, each before what is below it:
//
//   uint32_t behind[COP_TRIE_MAX_DEPTH + 1];  // states: behind[d] before the byte of a node of depth d
//   for (p = node + 1; p < node + size;) { s = step(behind[depth(p)], byte(p)); if dead: p += size(p);
//                                          else { set token(p); behind[depth(p) + 1] = s; p++; } }
typedef struct cop_trie_node {
    uint32_t token_byte;   // the token, or COP_TRIE_NO_TOKEN, << 8 | the last byte
    uint32_t size_depth;   // nodes of the subtree, this one included << 10 | bytes before the last one
} cop_trie_node;
#define COP_TRIE_ROOT 0u
#define COP_TRIE_NO_TOKEN 0xFFFFFFu
#define COP_TRIE_MAX_DEPTH 1023

static inline uint32_t cop_trie_token(cop_trie_node n) { return n.token_byte >> 8; }
static inline uint8_t cop_trie_byte(cop_trie_node n) { return (uint8_t)n.token_byte; }
static inline uint32_t cop_trie_size(cop_trie_node n) { return n.size_depth >> 10; }
static inline uint32_t cop_trie_depth(cop_trie_node n) { return n.size_depth & 1023; }  // the root's means nothing: its children have 0

const cop_trie_node *cop_vocab_trie_nodes(const cop_vocab_trie *v);
/* The node below `node` by a byte, or COP_TRIE_ROOT when there is none. */
uint32_t cop_vocab_trie_child(const cop_vocab_trie *v, uint32_t node, uint8_t byte);
/* Set the bits of tokens that have the same bytes as one whose bit is set: the last thing a mask of nodes does. */
void cop_vocab_trie_add_twins(const cop_vocab_trie *v, uint64_t *bits);
// Most tokens are plain: well-formed text without controls, quotes and backslashes. Where any plain text may come (the
// interior of a string) these tokens need not be looked at one by one; what is left is a trie of its own, some twenty
// times smaller. A language that takes only so many more characters takes the plain tokens of at most that many.
#define COP_PLAIN_MOST 32      // characters of a plain token
#define COP_PLAIN_NEXT 4
#define COP_PLAIN_STATES 80
typedef struct cop_trie_plain {
    uint64_t *up_to;           // [COP_PLAIN_MOST + 1][words]: bits of the plain tokens of at most so many characters
    size_t words;
    cop_trie_node *rest;       // the trie of all others
    uint32_t *node;            // of a node of rest: the same node in the whole trie
} cop_trie_plain;
const cop_trie_plain *cop_vocab_trie_plain(const cop_vocab_trie *v);

/* The states behind one plain character from s, by what steps: their number, at most COP_PLAIN_NEXT. 0: no plain character
 * may come; -1: some may and some may not, or the states are too many. */
int cop_plain_next(uint32_t (*step)(void *user, uint32_t s, uint8_t byte), void *user, uint32_t s, uint32_t next[COP_PLAIN_NEXT]);
/* How many plain characters may come from s, whichever they are, and no more: 0 … COP_PLAIN_MOST, which may be more; -1:
 * that depends on the characters. *states: those on the way, s not included unless it comes again. next: as above. */
int cop_plain_length(int (*next)(void *user, uint32_t s, uint32_t out[COP_PLAIN_NEXT]), void *user, uint32_t s,
                     uint32_t states[COP_PLAIN_STATES], int *n_states);
/* Tokens by a number that differs between vocabularies of this process: what caches are kept by. */
uint64_t cop_vocab_trie_identity(const cop_vocab_trie *v);

#endif

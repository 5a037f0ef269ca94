// The tokens of a vocabulary as bytes, in a trie: a mask is one walk over it with a stack of states.
//
// Nodes lie in depth-first order, children by byte, so that a subtree is a range and a walk is a loop. Tokens with
// the same bytes share a node; control tokens and empty ones are not in it.
#ifndef COP_GUIDE_VOCAB_TRIE_H
#define COP_GUIDE_VOCAB_TRIE_H

#include "guide/language.h"

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
void cop_vocab_trie_free(cop_vocab_trie *v);  // accepts NULL
const cop_vocab_trie_source *cop_vocab_trie_get_source(const cop_vocab_trie *v);
int cop_vocab_trie_longest(const cop_vocab_trie *v);  // bytes of the longest token

/* Set the bits of the tokens whose bytes lead from s to a living state; all others are cleared. bits: [ceil(V / 64)]. */
void cop_vocab_trie_walk(const cop_vocab_trie *v, cop_language *l, cop_guide_state s, uint64_t *bits);

#endif

// A small vocabulary for tests of guides, whose tokenizer takes the longest token that fits, and what must hold of every
// guide: masks, steps and budgets that agree with one another.
#ifndef TESTS_SUPPORT_GUIDING_H
#define TESTS_SUPPORT_GUIDING_H

#include <stdbool.h>

#include "guide/guide.h"

typedef struct guiding_vocabulary {
    const char *const *pieces;  // NULL: the end token; "<...>": a control token of that name
    int n;
} guiding_vocabulary;

cop_vocab_trie *guiding_trie(const guiding_vocabulary *v);
/* The bytes of printable ASCII and some more, some words, an end token, last. */
extern const guiding_vocabulary guiding_usual;

/* Random walks from the start: at each state the mask is what allows() says of each token and what advance() does; a
 * walk with a budget that suffices at the start always ends within it. *seed goes on. Returns how many states were seen. */
int guiding_check_walks(cop_guide *g, const cop_vocab_trie *v, uint64_t *seed, int n_walks, int most_tokens);
/* A text of the language by a random walk, at most bytes long; its length. */
size_t guiding_random_text(cop_guide *g, const cop_vocab_trie *v, uint64_t *seed, char *text, size_t most, int budget);
uint32_t guiding_random(uint64_t *seed, uint32_t n);  // 0 … n - 1
/* Do the bytes lead to an accepting state? */
bool guiding_accepts(cop_guide *g, cop_language *l, const char *text, size_t bytes);

#endif

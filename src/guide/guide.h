// Guides: which tokens may come next. JSON Schema, grammars, regular expressions and lists of choices are
// languages over bytes; a guide turns one into masks over the vocabulary, for every node of a token tree.
//
// A state is a number that stands for "the text so far" and is never changed: a child of a tree node has a state
// of its own, and rolling back is forgetting it. So nodes may be visited in any order.
// A text that a guide let end is in its language, always; a text that it let begin can always be ended.
#ifndef COP_GUIDE_GUIDE_H
#define COP_GUIDE_GUIDE_H

#include "guide/language.h"
#include "guide/vocab_trie.h"

typedef struct cop_guide cop_guide;

/* Takes the language, also on failure. The vocabulary is borrowed. One guide is one text at a time, used from one
 * thread at a time. */
cop_status cop_guide_new(cop_guide **out, cop_language *language, const cop_vocab_trie *vocab);
/* A guide for another text of the same language; what is compiled is shared, also between threads. */
cop_status cop_guide_fork(cop_guide **out, cop_guide *guide);
void cop_guide_free(cop_guide *guide);  // accepts NULL

cop_guide_state cop_guide_start(cop_guide *guide);
/* The state behind a token. An end token leads from an accepting state to COP_GUIDE_ENDED, from which nothing goes on. */
#define COP_GUIDE_ENDED UINT32_MAX
cop_guide_state cop_guide_advance(cop_guide *guide, cop_guide_state s, int32_t token);
bool cop_guide_accepting(cop_guide *guide, cop_guide_state s);

/* The tokens that may come next when at most `left` more tokens can be written, this one included and the end token
 * not counted: those behind which the text can still be ended in time. bits: [ceil(V / 64)]. End tokens are set where
 * the text may end. left < 0: no limit. Never empty unless s is dead or ended, or `left` was too small at the start. */
void cop_guide_mask(cop_guide *guide, cop_guide_state s, int left, uint64_t *bits);
/* Is its bit set? Cheaper than the mask. */
bool cop_guide_allows(cop_guide *guide, cop_guide_state s, int32_t token, int left);

/* The tokens that come next whatever the model says, as the tokenizer would write them: the bytes behind s that have no
 * alternative, without those at the end that the tokenizer might join with what follows. A function of s alone.
 * Returns their number, 0 … max. */
int cop_guide_forced(cop_guide *guide, cop_guide_state s, int32_t *tokens, int max);

/* Whole continuations, when there are few (an enum, names of members): at most `max` of them, each a list of
 * tokens that ends with -1, one behind the other in tokens[max_tokens]. Returns how many; 0 when there are more. */
int cop_guide_branches(cop_guide *guide, cop_guide_state s, int max, int32_t *tokens, int max_tokens);

/* Only s and what is reached from it will be asked for again; what it is called now. */
cop_guide_state cop_guide_keep(cop_guide *guide, cop_guide_state s);
int32_t cop_guide_distance(cop_guide *guide, cop_guide_state s);  // bytes of a way to an end
/* Can the text be ended with so many tokens, the end token not counted? */
bool cop_guide_can_end_within(cop_guide *guide, cop_guide_state s, int32_t tokens);
cop_status cop_guide_failed(cop_guide *guide);

#endif

// Masks of automata: which tokens stay inside a lexeme, and where it may end inside a token.
//
// For languages with lexemes (JSON Schema, grammars): a state of theirs is what they remember, and a state of a DFA in the
// present lexeme. The mask is then
//
//   memset(bits, 0, ...);
//   cop_dfa_mask(dfa, q, v, bits, &exits);                 // tokens that stay in this lexeme: from the cache
//   if (cop_dfa_accepting(dfa, q)) below(COP_TRIE_ROOT);    // it may end before the token
//   for (each exit e) below(e.node);                        // … or after e.node's bytes, and the token goes on
//
// where below(node) goes on with what may follow: for each DFA that may begin there, from its state p,
// cop_dfa_mask_below(next, p, v, node, bits, &more), and again for each of `more`. Exits are few: some 190 for the
// interior of a string and its closing quote. Lexemes that end by their last byte (strings) have cop_dfa_ends(e.state).
#ifndef COP_GUIDE_DFA_MASK_H
#define COP_GUIDE_DFA_MASK_H

#include "guide/regex.h"
#include "guide/vocab_trie.h"

typedef struct cop_dfa_exit {
    uint32_t node;        // of the trie: longer tokens lie below it
    cop_dfa_state state;  // behind its bytes; accepting
} cop_dfa_exit;
typedef COP_ARRAY(cop_dfa_exit) cop_dfa_exits;  // .most 0: set for you; free with cop_array_fini

/* Set (not clear) the bits of the tokens behind which dfa is alive, coming from s; put the exits into *exits (replacing
 * what is there, in trie order; NULL: not wanted). From a cache of the automaton's, filled by one walk; any thread. */
cop_status cop_dfa_mask(cop_dfa *dfa, cop_dfa_state s, const cop_vocab_trie *v, uint64_t *bits, cop_dfa_exits *exits);
/* The same for the tokens below `node` (its own not included), s being the state behind node's bytes. Appends to *exits.
 * Not cached: for the few nodes below an exit. */
cop_status cop_dfa_mask_below(cop_dfa *dfa, cop_dfa_state s, const cop_vocab_trie *v, uint32_t node, uint64_t *bits,
                              cop_dfa_exits *exits);

#endif

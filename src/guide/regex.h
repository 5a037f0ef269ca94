// Regular expressions as a hash-consed graph: union, intersection, complement, counted repetition, derivatives by
// byte, and lazily filled automata (Brzozowski 1964; Owens, Reppy, Turon 2009).
//
// An expression (cop_rx) is a number inside a cop_regex_set, equal when it was built equal; nothing is ever freed but
// the whole set. There are two alphabets: *characters* (cop_rx_characters, patterns) and *bytes* (cop_rx_bytes). An
// automaton reads bytes: what is made of characters is encoded first (UTF-8 or JSON), the two do not mix before.
// Every function may be called from any thread: the set has a lock, and a step of an automaton that is known already
// takes none. Whatever can explode is under fuel: the set then fails for good with COP_ERR_LIMIT, all
// its functions go on returning something harmless, and cop_regex_set_failed has the reason.
#ifndef COP_GUIDE_REGEX_H
#define COP_GUIDE_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct cop_regex_set cop_regex_set;
typedef uint32_t cop_rx;

#define COP_RX_NONE 0u   // no text at all
#define COP_RX_EMPTY 1u  // the empty text
#define COP_RX_MANY UINT32_MAX  // as a max: without end

/* fuel: how many expressions and derivatives may be made in all; 0: the default, some millions. */
cop_status cop_regex_set_new(cop_regex_set **out, uint64_t fuel);
cop_regex_set *cop_regex_set_share(cop_regex_set *set);  // one more owner; the same pointer
void cop_regex_set_free(cop_regex_set *set);             // drops one owner; accepts NULL
/* COP_OK, or why it gave up; the reason goes into the calling thread's record. */
cop_status cop_regex_set_failed(cop_regex_set *set);

// ---- building ----

/* One byte of a set of bytes: bit b of bits[b / 64]. */
cop_rx cop_rx_bytes(cop_regex_set *set, const uint64_t bits[4]);
cop_rx cop_rx_byte_range(cop_regex_set *set, uint8_t low, uint8_t high);
cop_rx cop_rx_byte_text(cop_regex_set *set, const char *text, size_t bytes);  // these bytes
/* One character: code points in n ranges low, high (inclusive), in any order; surrogates are left out. */
cop_rx cop_rx_characters(cop_regex_set *set, const uint32_t (*ranges)[2], size_t n);
cop_rx cop_rx_any_character(cop_regex_set *set);
cop_rx cop_rx_literal(cop_regex_set *set, const char *utf8, size_t bytes);  // these characters; ill-formed: the set fails
cop_rx cop_rx_concat(cop_regex_set *set, cop_rx a, cop_rx b);
cop_rx cop_rx_or(cop_regex_set *set, cop_rx a, cop_rx b);
cop_rx cop_rx_or_all(cop_regex_set *set, const cop_rx *list, size_t n);
cop_rx cop_rx_and(cop_regex_set *set, cop_rx a, cop_rx b);
/* All texts but those of a: over all *bytes* for one of bytes, over all characters for one of characters. */
cop_rx cop_rx_not(cop_regex_set *set, cop_rx a);
cop_rx cop_rx_minus(cop_regex_set *set, cop_rx a, cop_rx b);
/* min … max times (COP_RX_MANY: no limit). Counted, not unfolded. */
cop_rx cop_rx_repeat(cop_regex_set *set, cop_rx a, uint32_t min, uint32_t max);
cop_rx cop_rx_maybe(cop_regex_set *set, cop_rx a);
/* One of n texts as a trie, so that many cost no more than few: of bytes, or of characters when they are UTF-8. */
cop_rx cop_rx_one_of_bytes(cop_regex_set *set, const char *const *texts, const size_t *bytes, size_t n);
cop_rx cop_rx_one_of(cop_regex_set *set, const char *const *texts, const size_t *bytes, size_t n);
bool cop_rx_is_literal(cop_regex_set *set, cop_rx a);  // a single text of characters
cop_rx cop_rx_or_literals(cop_regex_set *set, const cop_rx *list, size_t n);  // of such as a trie

// The dialect of patterns is ECMA-262's with the flag u, forgiving about needless escapes, over characters:
//   . [...] [^...] \d \w \s \D \W \S \p{L} \p{Lu} \p{Script=Greek} \P{..} \n \r \t \v \f \0 \cX \xHH \uXXXX \u{X..}
//   (...) (?:...) (?<name>...)  |  * + ? {m} {m,} {m,n} and their lazy forms (the same language)
//   ^ $ \A \z \b \B (?=...) (?!...)  anywhere but inside an unlimited repetition;  (?<=...) (?<!...) at the end
//   (?i) (?s) at the beginning, (?i:...) (?s:...) (?-i:...) for a group (i: ASCII letters only)
// Refused by name: backreferences, atomic groups, possessive quantifiers, conditionals, other flags.
typedef enum cop_rx_how {
    COP_RX_WHOLE = 0,   // the whole text matches
    COP_RX_SEARCH = 1,  // some part of the text matches, as JSON Schema's "pattern" has it
    COP_RX_WHOLE_LINE = 2  // as COP_RX_WHOLE; . leaves out \n alone, as in Rust and Python
} cop_rx_how;
/* An expression over characters from a pattern. COP_ERR_FORMAT, COP_ERR_UNSUPPORTED and COP_ERR_LIMIT are about the
 * pattern, and the set goes on. */
cop_status cop_rx_parse(cop_regex_set *set, const char *pattern, size_t bytes, cop_rx_how how, cop_rx *out);

// ---- from characters to bytes ----

typedef enum cop_rx_encoding {
    COP_RX_UTF8 = 0,       // well-formed UTF-8
    COP_RX_JSON,           // between the quotes of a JSON string, every character in one spelling: raw where JSON allows it,
                           // \" \\ \b \f \n \r \t, else \u00xx with small hexadecimal digits
    COP_RX_JSON_ANY        // every spelling that JSON allows: raw, short, \uXXXX in both cases, pairs of surrogates
} cop_rx_encoding;
/* The same texts, spelt so. What is of bytes stays as it is; a complement is taken within the texts that are spelt so. */
cop_rx cop_rx_encode(cop_regex_set *set, cop_rx a, cop_rx_encoding encoding);

// ---- questions ----
// All answer for bytes: encode first (what is of characters is taken as UTF-8). When fuel ends the set fails
// and the answer is "no".

bool cop_rx_accepts_empty(cop_regex_set *set, cop_rx a);
bool cop_rx_is_empty(cop_regex_set *set, cop_rx a);               // no text
bool cop_rx_contains(cop_regex_set *set, cop_rx a, cop_rx b);     // every text of b is one of a
bool cop_rx_are_disjoint(cop_regex_set *set, cop_rx a, cop_rx b);
bool cop_rx_matches(cop_regex_set *set, cop_rx a, const char *text, size_t bytes);
/* A question may be asked with little fuel, without harm to the set: 1 yes, 0 no, -1 not decided within that many steps. */
int cop_rx_try_is_empty(cop_regex_set *set, cop_rx a, uint64_t fuel);

// ---- automata ----

typedef struct cop_dfa cop_dfa;
typedef uint32_t cop_dfa_state;
#define COP_DFA_DEAD 0u   // accepts nothing, whatever follows
#define COP_DFA_START 1u  // the next ones in the order in which they were first reached

/* The automaton of an expression; shares the set, so it may outlive the caller's hold. May be used by several threads. */
cop_status cop_dfa_new(cop_dfa **out, cop_regex_set *set, cop_rx a);
cop_dfa *cop_dfa_share(cop_dfa *dfa);
void cop_dfa_free(cop_dfa *dfa);  // drops one owner; accepts NULL
cop_dfa_state cop_dfa_start(cop_dfa *dfa);  // COP_DFA_START, or COP_DFA_DEAD when there is no text
/* Every state but COP_DFA_DEAD can reach acceptance. */
cop_dfa_state cop_dfa_step(cop_dfa *dfa, cop_dfa_state s, uint8_t byte);
bool cop_dfa_accepting(cop_dfa *dfa, cop_dfa_state s);
/* Bytes of a way to acceptance, the shortest unless intersections make that costly; one step on it makes it smaller. */
int32_t cop_dfa_distance(cop_dfa *dfa, cop_dfa_state s);
/* No state behind s is farther from acceptance than this; COP_GUIDE_FAR (INT32_MAX) when that is not known. */
int32_t cop_dfa_reach(cop_dfa *dfa, cop_dfa_state s);
bool cop_dfa_ends(cop_dfa *dfa, cop_dfa_state s);  // no byte leads on
cop_status cop_dfa_failed(cop_dfa *dfa);           // COP_OK, or why a step gave COP_DFA_DEAD without reason
size_t cop_dfa_memory(const cop_dfa *dfa);

#endif

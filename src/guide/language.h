// Languages over bytes, and the states of a text in one. guide.h turns them into masks.
//
// What costs without bound (an ambiguous grammar, a wide schema) is limited by fuel: a step that runs out of it gives
// COP_GUIDE_DEAD and leaves the reason in failed().
#ifndef COP_GUIDE_LANGUAGE_H
#define COP_GUIDE_LANGUAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef uint32_t cop_guide_state;
#define COP_GUIDE_DEAD 0u  // not the beginning of any text of the language

// Symbols: the bytes 0 … 255, and tokens that are named as such, COP_GUIDE_TOKEN + id. Control tokens are never
// spelt out of bytes.
#define COP_GUIDE_TOKEN 256

#define COP_GUIDE_FAR INT32_MAX  // a distance that is not known

typedef struct cop_language cop_language;
typedef struct cop_vocab_trie cop_vocab_trie;

typedef struct cop_language_type {
    const char *name;  // "json-schema"
    cop_guide_state (*start)(cop_language *l);
    /* The state behind one more symbol; COP_GUIDE_DEAD when no text of the language goes on so. `s` stays as it is. */
    cop_guide_state (*step)(cop_language *l, cop_guide_state s, int32_t symbol);
    bool (*accepting)(cop_language *l, cop_guide_state s);  // the text may end here
    /* Bytes of a shortest way to an accepting state, or of some way that exists: never less than the shortest. Each
     * way that is counted can be gone: from s one symbol leads to a state whose distance is smaller. */
    int32_t (*distance)(cop_language *l, cop_guide_state s);
    /* Set the bits of the tokens that may come next, all others cleared; NULL: cop_vocab_trie_walk. */
    void (*mask)(cop_language *l, cop_guide_state s, const cop_vocab_trie *v, uint64_t *bits);
    /* An upper bound of the distances of all states behind s within `symbols` symbols; NULL: not known. Saves looking at
     * each token when a limit is far away. */
    int32_t (*reach)(cop_language *l, cop_guide_state s, int symbols);
    /* Tokens that the language knows as such: *ids, and their number. NULL: none, it is made of bytes alone. */
    int (*named)(cop_language *l, const int32_t **ids);
    /* Only `s` and what is reached from it will be asked for again; what it is called now: when that is s, no state has got
     * another name. NULL: nothing to forget. */
    cop_guide_state (*keep)(cop_language *l, cop_guide_state s);
    /* Another text of the same language, with states of its own; what is compiled is shared and counted, and may be
     * used by several texts in several threads. */
    cop_status (*fork)(cop_language **out, cop_language *l);
    cop_status (*failed)(cop_language *l);    // COP_OK, or why a step gave up; NULL: never
    size_t (*memory)(const cop_language *l);  // bytes of this text's states; NULL: not counted
    void (*close)(cop_language *l);
} cop_language_type;

struct cop_language {
    const cop_language_type *type;  // the first member of every language
};

/* A regular expression that the whole text matches (regex.h has the dialect). */
cop_status cop_language_regex(cop_language **out, const char *pattern, size_t bytes);
/* One of n texts. */
cop_status cop_language_choice(cop_language **out, const char *const *texts, const size_t *bytes, int n);
/* GBNF, or the dialect of Lark that llguidance reads: known by its first rule ("root ::=", "start:"). Named tokens are
 * looked up in v, which may be NULL. */
cop_status cop_language_grammar(cop_language **out, const char *text, size_t bytes, const cop_vocab_trie *v);

typedef struct cop_schema_options {
    bool any_order;         // members of an object in any order; else as the schema has them
    bool strict_formats;    // a format that is not known is refused, not ignored
    bool strict_keywords;   // likewise a keyword
    bool checker;           // every spelling that JSON allows, for checking instances: white space, order, escapes,
                            // exponents, 1.0 as an integer
    bool annotate_formats;  // no format is asserted, as drafts from 2019-09 have it
    int whitespace;         // most bytes of white space in a row; 0: none, compact
} cop_schema_options;
cop_schema_options cop_schema_defaults(void);
/* JSON that a JSON Schema accepts. A keyword that cannot be kept is refused by name, all of them in one message: "schema:
 * /properties/a: keyword not: ..."; warn (may be NULL) gets a line for each that is ignored, as the specification has
 * it. Schema "true": any JSON value. options NULL: the defaults. */
cop_status cop_language_json_schema(cop_language **out, const char *schema, size_t bytes, const cop_schema_options *options,
                                    void (*warn)(void *user, const char *line), void *user);

#endif

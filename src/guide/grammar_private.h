// Grammars from inside: text -> tree (grammar_gbnf.c, grammar_lark.c) -> productions (grammar_lower.c) -> rows of an Earley
// parser (grammar_rows.c) -> masks (grammar_mask.c). grammar.c is the language.
#ifndef COP_GUIDE_GRAMMAR_PRIVATE_H
#define COP_GUIDE_GRAMMAR_PRIVATE_H

#include <stdatomic.h>

#include "base/array.h"
#include "guide/dfa_mask.h"
#include "guide/language.h"
#include "guide/regex.h"

// ---- the tree ----

typedef enum cop_gr_kind { COP_GR_RX, COP_GR_SEQUENCE, COP_GR_OR, COP_GR_REPEAT, COP_GR_RULE, COP_GR_TOKENS, COP_GR_AND, COP_GR_NOT,
                           COP_GR_LAZY, COP_GR_LEXEME, COP_GR_JSON } cop_gr_kind;

typedef struct cop_gr_node {
    uint8_t kind;
    uint32_t value;        // rx: an expression; rule, tokens, json: an index
    uint32_t low, high;    // repeat
    uint32_t first, last;  // parts, 0: none. Lazy: up to where it first matches; lexeme: what is ignored may follow
    uint32_t next;
} cop_gr_node;

typedef struct cop_gr_rule {
    char *name;
    uint32_t body;         // 0: used, but not defined
    bool terminal;         // of Lark: a lexeme
    // what grammar_lower.c finds out
    uint8_t mark;          // 0: not looked at, 1: being looked at, 2: done
    bool regular;          // an expression, too
    uint32_t size, depth;  // of it, about
    cop_rx rx;
    bool has_rx;
} cop_gr_rule;

// Tokens by their ids; `but`: all others.
typedef struct cop_gr_tokens {
    bool but;
    int32_t low, high;
} cop_gr_tokens;

#define COP_GR_NAMES (1u << 15)

typedef struct cop_gr_source {
    const char *kind;      // "gbnf" or "lark", for messages
    const char *text;
    size_t bytes, at;
    int line, depth;
    const cop_vocab_trie *vocab;
    cop_regex_set *set;
    COP_ARRAY(cop_gr_node) nodes;  // [0] is not used
    COP_ARRAY(cop_gr_rule) rules;
    uint32_t *names;       // rules by name, + 1, open addressing: COP_GR_NAMES
    COP_ARRAY(cop_gr_tokens) tokens;
    COP_ARRAY(cop_language *) json;
    uint32_t ignored;      // a node, 0: nothing
    uint32_t start;        // a rule
    bool in_terminal;      // the rule at hand is one
} cop_gr_source;

cop_status cop_gr_read_gbnf(cop_gr_source *s);
cop_status cop_gr_read_lark(cop_gr_source *s);
cop_status cop_gr_add(cop_gr_source *s, cop_gr_node node, uint32_t *out);
void cop_gr_append(cop_gr_source *s, uint32_t whole, uint32_t part);
cop_status cop_gr_rule_of(cop_gr_source *s, const char *name, size_t bytes, uint32_t *rule);
/* A literal with escapes; s->at is behind its first quote, and behind the last one afterwards. */
cop_status cop_gr_read_text(cop_gr_source *s, char quote, cop_rx *out, bool any_case);
cop_status cop_gr_read_escape(cop_gr_source *s, uint32_t *c);
cop_status cop_gr_read_count(cop_gr_source *s, uint32_t *low, uint32_t *high);
/* <...>, s->at being at the < : a token by id or by name. */
cop_status cop_gr_read_token(cop_gr_source *s, bool but, uint32_t *out);
cop_status cop_gr_fail(const cop_gr_source *s, cop_status status, const char *what);

// ---- productions ----

typedef enum cop_gr_symbol_kind { COP_GR_END, COP_GR_DFA, COP_GR_NAME, COP_GR_TOKEN, COP_GR_LANGUAGE } cop_gr_symbol_kind;

typedef struct cop_gr_symbol {
    uint8_t kind;
    uint32_t value;      // dfa, name, set of tokens, language
    int32_t rest;        // bytes that this symbol and those behind it take at least
} cop_gr_symbol;

typedef struct cop_gr_name {   // a nonterminal
    uint32_t first, n;         // its productions: starts[first .. first + n)
    int32_t shortest;
} cop_gr_name;

typedef struct cop_grammar {   // compiled; shared by all texts, never changed
    atomic_int owners;
    COP_ARRAY(cop_gr_symbol) symbols;   // productions one behind the other, each with an END
    COP_ARRAY(uint32_t) starts;
    COP_ARRAY(cop_gr_name) names;
    COP_ARRAY(cop_dfa *) dfas;
    COP_ARRAY(cop_rx) dfa_rx;
    COP_ARRAY(cop_gr_tokens) tokens;
    COP_ARRAY(cop_language *) languages;
    int32_t *named;      // tokens that are symbols
    uint64_t *is_named;  // bits
    int n_named;
    int32_t V;
    uint32_t start;      // a name
} cop_grammar;

cop_status cop_grammar_lower(cop_gr_source *s, cop_grammar *g);
void cop_grammar_free(cop_grammar *g);  // drops one owner

// ---- rows ----

#define COP_GR_FUEL 6000000            // items that are looked at, some 0.3 s
#define COP_GR_MORE_FUEL 1000000

#define COP_GR_SELF UINT32_MAX         // an origin: the row itself
#define COP_GR_ROOT (UINT32_MAX - 1)   // an origin: the beginning of the text

typedef struct cop_gr_item {
    uint32_t dot;        // of symbols: a dfa, tokens or language in state q; or a name that is waited for
    uint32_t name;       // what is complete when the production is
    uint32_t origin;     // the row in which someone waits for it
    uint32_t q;
} cop_gr_item;

typedef struct cop_gr_row {
    uint32_t at;         // items[at .. at + n), then n_waiting that wait for names
    uint32_t n, n_waiting;
    uint32_t next;       // in the same bucket
    uint32_t hash;
    bool accepting, has_first;
    int32_t distance;
    int32_t worst;       // bound of the distances behind one token; -1: not known yet
    uint64_t first[4];   // bytes that may come next
} cop_gr_row;

typedef struct cop_gr_memo {
    uint32_t row, byte, to;
} cop_gr_memo;

typedef struct cop_gr_pair {
    uint32_t row, node, mark;
} cop_gr_pair;

typedef struct cop_grammar_language {
    cop_language base;
    cop_grammar *grammar;
    COP_ARRAY(cop_gr_row) rows;          // [0]: dead
    COP_ARRAY(cop_gr_item) items;
    COP_ARRAY(int32_t) waits;            // beside items: for those that wait, bytes from behind the name to the end
    uint32_t *buckets;
    size_t n_buckets;
    cop_language **languages;            // this text's own
    cop_gr_memo *memo;
    // the row that is being made
    COP_ARRAY(cop_gr_item) now, waiting, todo;
    struct cop_gr_seen {
        uint32_t dot, name, origin, turn;
    } *pushed;                           // what was pushed in this turn, open addressing
    size_t pushed_size, n_pushed;
    uint32_t turn;
    bool accepting;
    // masks
    cop_gr_pair *pairs;                  // rows and nodes that were gone on with, open addressing
    size_t pairs_size, n_pairs;
    uint32_t mask_turn;
    int32_t worst;
    uint64_t *inner_bits;                // what a language inside gives
    size_t inner_words;
    cop_dfa_exits top, exits;
    int64_t fuel;                        // what rows may still cost; a mask gives some more
    cop_status failed;
    const char *reason;
} cop_grammar_language;

uint32_t cop_gr_first_row(cop_grammar_language *l);
uint32_t cop_gr_step(cop_grammar_language *l, uint32_t row, int32_t symbol);
/* The row behind item i of `row` when what it reads is complete. */
uint32_t cop_gr_row_behind(cop_grammar_language *l, uint32_t row, uint32_t i);
void cop_gr_find_first(cop_grammar_language *l, uint32_t row);
void cop_gr_mask(cop_grammar_language *l, uint32_t row, const cop_vocab_trie *v, uint64_t *bits);
uint32_t cop_gr_keep(cop_grammar_language *l, uint32_t row);
void cop_gr_give_up(cop_grammar_language *l, cop_status status, const char *reason);
bool cop_gr_has_token(const cop_grammar *g, uint32_t set, int32_t token);
/* Bytes to the end behind an item whose symbol needs `missing` more bytes. */
int32_t cop_gr_item_distance(const cop_grammar_language *l, uint32_t row, const cop_gr_item *item, int32_t missing);

static inline int32_t cop_gr_sum(int32_t a, int32_t b) { return a > COP_GUIDE_FAR - 1 - b ? COP_GUIDE_FAR - 1 : a + b; }

#endif

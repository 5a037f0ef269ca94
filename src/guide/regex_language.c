// A regular expression as a language: its states are those of the automaton, which all texts share.
#include <string.h>

#include "base/alloc.h"
#include "guide/dfa_mask.h"
#include "guide/language.h"
#include "guide/regex.h"

typedef struct regex_language {
    cop_language base;
    cop_dfa *dfa;
} regex_language;

static cop_dfa *dfa_of(cop_language *l) { return ((regex_language *)l)->dfa; }

static cop_guide_state start(cop_language *l) { return cop_dfa_start(dfa_of(l)); }
static cop_guide_state step(cop_language *l, cop_guide_state s, int32_t symbol) {
    return symbol < 256 ? cop_dfa_step(dfa_of(l), s, (uint8_t)symbol) : COP_GUIDE_DEAD;
}
static bool accepting(cop_language *l, cop_guide_state s) { return cop_dfa_accepting(dfa_of(l), s); }
static int32_t distance(cop_language *l, cop_guide_state s) { return cop_dfa_distance(dfa_of(l), s); }
static int32_t reach(cop_language *l, cop_guide_state s, int symbols) {
    (void)symbols;
    return cop_dfa_reach(dfa_of(l), s);
}
static void mask(cop_language *l, cop_guide_state s, const cop_vocab_trie *v, uint64_t *bits) {
    memset(bits, 0, ((size_t)cop_vocab_trie_get_source(v)->V + 63) / 64 * sizeof *bits);
    if (cop_dfa_mask(dfa_of(l), s, v, bits, NULL)) cop_vocab_trie_walk(v, l, s, bits);
}
static cop_status failed(cop_language *l) { return cop_dfa_failed(dfa_of(l)); }
static void close(cop_language *l) {
    cop_dfa_free(dfa_of(l));
    cop_free(l);
}

static cop_status make(cop_language **out, const cop_language_type *type, cop_dfa *dfa);
static cop_status fork(cop_language **out, cop_language *l) { return make(out, l->type, cop_dfa_share(dfa_of(l))); }

static const cop_language_type regex_type = {.name = "regex", .start = start, .step = step, .accepting = accepting, .distance = distance,
                                             .reach = reach, .mask = mask, .fork = fork, .failed = failed, .close = close};
static const cop_language_type choice_type = {.name = "choice", .start = start, .step = step, .accepting = accepting, .distance = distance,
                                              .reach = reach, .mask = mask, .fork = fork, .failed = failed, .close = close};

// Takes dfa.
static cop_status make(cop_language **out, const cop_language_type *type, cop_dfa *dfa) {
    regex_language *l = cop_alloc(sizeof *l);
    if (!l) {
        cop_dfa_free(dfa);
        return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", type->name);
    }
    l->base.type = type;
    l->dfa = dfa;
    *out = &l->base;
    return COP_OK;
}

// Takes a hold on set; e is of it.
static cop_status make_from(cop_language **out, const cop_language_type *type, cop_regex_set *set, cop_rx e, cop_status st) {
    cop_dfa *dfa = NULL;
    if (!st) st = cop_dfa_new(&dfa, set, e);
    if (!st && cop_dfa_start(dfa) == COP_DFA_DEAD) {
        cop_dfa_free(dfa);
        st = cop_fail(COP_ERR_ARG, "%s: matches no text at all", type->name);
    }
    cop_regex_set_free(set);
    return st ? st : make(out, type, dfa);
}

cop_status cop_language_regex(cop_language **out, const char *pattern, size_t bytes) {
    cop_regex_set *set;
    cop_rx e = COP_RX_NONE;
    *out = NULL;
    COP_TRY(cop_regex_set_new(&set, 0));
    cop_status st = cop_rx_parse(set, pattern, bytes, COP_RX_WHOLE, &e);
    return make_from(out, &regex_type, set, e, st);
}

cop_status cop_language_choice(cop_language **out, const char *const *texts, const size_t *bytes, int n) {
    cop_regex_set *set;
    *out = NULL;
    if (n < 1) return cop_fail(COP_ERR_ARG, "choice: %d texts, at least 1", n);
    COP_TRY(cop_regex_set_new(&set, 0));
    cop_rx e = cop_rx_one_of_bytes(set, texts, bytes, (size_t)n);
    return make_from(out, &choice_type, set, e, cop_regex_set_failed(set));
}

// A grammar as a language. What is compiled is shared by all texts; rows belong to one text.
#include <string.h>

#include "base/alloc.h"
#include "guide/grammar_private.h"

#define MAX_TEXT ((size_t)1 << 20)
#define MAX_ROWS ((size_t)1 << 23)  // and items, of one text

static cop_grammar_language *of(cop_language *l) { return (cop_grammar_language *)l; }

static cop_guide_state start(cop_language *l) { return cop_gr_first_row(of(l)); }
static cop_guide_state step(cop_language *l, cop_guide_state s, int32_t symbol) { return cop_gr_step(of(l), s, symbol); }
static bool accepting(cop_language *l, cop_guide_state s) { return s < of(l)->rows.n && of(l)->rows.v[s].accepting; }
static int32_t distance(cop_language *l, cop_guide_state s) { return s < of(l)->rows.n ? of(l)->rows.v[s].distance : COP_GUIDE_FAR; }
static int32_t reach(cop_language *l, cop_guide_state s, int symbols) {
    (void)symbols;  // known for one token, since its mask was made
    return s < of(l)->rows.n && of(l)->rows.v[s].worst >= 0 ? of(l)->rows.v[s].worst : COP_GUIDE_FAR;
}
static void mask(cop_language *l, cop_guide_state s, const cop_vocab_trie *v, uint64_t *bits) { cop_gr_mask(of(l), s, v, bits); }
static cop_guide_state keep(cop_language *l, cop_guide_state s) { return cop_gr_keep(of(l), s); }
static int named(cop_language *l, const int32_t **ids) { return *ids = of(l)->grammar->named, of(l)->grammar->n_named; }

static cop_status failed(cop_language *base) {
    cop_grammar_language *l = of(base);
    for (size_t i = 0; i < l->grammar->dfas.n && i < 1; i++) COP_TRY(cop_dfa_failed(l->grammar->dfas.v[i]));
    for (size_t i = 0; i < l->grammar->languages.n; i++)
        if (l->languages[i]->type->failed) COP_TRY(l->languages[i]->type->failed(l->languages[i]));
    return l->failed ? cop_fail(l->failed, "grammar: %s", l->reason) : COP_OK;
}

static size_t memory(const cop_language *base) {
    const cop_grammar_language *l = (const cop_grammar_language *)base;
    return l->rows.cap * sizeof *l->rows.v + l->items.cap * (sizeof *l->items.v + sizeof *l->waits.v) + l->n_buckets * sizeof *l->buckets;
}

static void close(cop_language *base) {
    cop_grammar_language *l = of(base);
    for (size_t i = 0; l->languages && i < l->grammar->languages.n; i++)
        if (l->languages[i]) l->languages[i]->type->close(l->languages[i]);
    cop_free(l->languages);
    cop_array_fini(&l->rows);
    cop_array_fini(&l->items);
    cop_array_fini(&l->waits);
    cop_array_fini(&l->now);
    cop_array_fini(&l->waiting);
    cop_array_fini(&l->todo);
    cop_array_fini(&l->top);
    cop_array_fini(&l->exits);
    cop_free(l->buckets);
    cop_free(l->memo);
    cop_free(l->pushed);
    cop_free(l->pairs);
    cop_free(l->inner_bits);
    cop_grammar_free(l->grammar);
    cop_free(l);
}

static cop_status fork(cop_language **out, cop_language *l);

static const cop_language_type grammar_type = {.name = "grammar", .start = start, .step = step, .accepting = accepting, .distance = distance,
                                               .reach = reach, .named = named, .mask = mask, .keep = keep, .fork = fork, .failed = failed,
                                               .memory = memory, .close = close};
// Asking about each token whether it is a symbol costs; most grammars are made of bytes alone.
static const cop_language_type plain_type = {.name = "grammar", .start = start, .step = step, .accepting = accepting, .distance = distance,
                                             .reach = reach, .mask = mask, .keep = keep, .fork = fork, .failed = failed,
                                             .memory = memory, .close = close};

void cop_grammar_free(cop_grammar *g) {
    if (!g || atomic_fetch_sub(&g->owners, 1) > 1) return;
    for (size_t i = 0; i < g->dfas.n; i++) cop_dfa_free(g->dfas.v[i]);
    for (size_t i = 0; i < g->languages.n; i++) g->languages.v[i]->type->close(g->languages.v[i]);
    cop_array_fini(&g->symbols);
    cop_array_fini(&g->starts);
    cop_array_fini(&g->names);
    cop_array_fini(&g->dfas);
    cop_array_fini(&g->dfa_rx);
    cop_array_fini(&g->tokens);
    cop_array_fini(&g->languages);
    cop_free(g->named);
    cop_free(g->is_named);
    cop_free(g);
}

// Takes a hold on g.
static cop_status new_text(cop_language **out, cop_grammar *g) {
    cop_grammar_language *l = cop_alloc(sizeof *l);
    *out = NULL;
    if (!l) {
        cop_grammar_free(g);
        return cop_fail(COP_ERR_NOMEM, "grammar: cannot allocate");
    }
    l->base.type = g->n_named ? &grammar_type : &plain_type;
    l->grammar = g;
    l->fuel = COP_GR_FUEL;
    l->rows.most = l->items.most = l->waits.most = MAX_ROWS;
    l->now.most = l->waiting.most = l->todo.most = 1 << 16;
    l->languages = cop_alloc_array(g->languages.n + 1, sizeof *l->languages);
    cop_status st = l->languages ? COP_OK : cop_fail(COP_ERR_NOMEM, "grammar: cannot allocate");
    for (size_t i = 0; i < g->languages.n && !st; i++) st = g->languages.v[i]->type->fork(&l->languages[i], g->languages.v[i]);
    if (st) {
        close(&l->base);
        return st;
    }
    *out = &l->base;
    return COP_OK;
}

static cop_status fork(cop_language **out, cop_language *l) {
    atomic_fetch_add(&of(l)->grammar->owners, 1);
    return new_text(out, of(l)->grammar);
}

static void close_source(cop_gr_source *s) {
    for (size_t i = 0; i < s->rules.n; i++) cop_free(s->rules.v[i].name);
    for (size_t i = 0; i < s->json.n; i++)
        if (s->json.v[i]) s->json.v[i]->type->close(s->json.v[i]);
    cop_array_fini(&s->rules);
    cop_free(s->names);
    cop_array_fini(&s->nodes);
    cop_array_fini(&s->tokens);
    cop_array_fini(&s->json);
    cop_regex_set_free(s->set);
}

// GBNF says ::= behind its first name, Lark a colon.
static bool is_gbnf(const char *text, size_t bytes) {
    size_t i = 0;
    while (i < bytes) {
        if (text[i] == '#' || (text[i] == '/' && i + 1 < bytes && text[i + 1] == '/')) {
            while (i < bytes && text[i] != '\n') i++;
        } else if (text[i] == ':') {
            return i + 2 < bytes && text[i + 1] == ':' && text[i + 2] == '=';
        } else {
            i++;
        }
    }
    return true;
}

cop_status cop_language_grammar(cop_language **out, const char *text, size_t bytes, const cop_vocab_trie *v) {
    bool gbnf = is_gbnf(text, bytes);
    cop_gr_source s = {.kind = gbnf ? "gbnf" : "lark", .text = text, .bytes = bytes, .line = 1, .vocab = v};
    *out = NULL;
    if (bytes > MAX_TEXT) return cop_fail(COP_ERR_LIMIT, "grammar: %zu bytes, at most %zu", bytes, MAX_TEXT);
    s.nodes.most = (size_t)1 << 20;
    s.rules.most = COP_GR_NAMES / 2;
    s.tokens.most = s.json.most = 1 << 12;
    cop_grammar *g = cop_alloc(sizeof *g);
    if (!g) return cop_fail(COP_ERR_NOMEM, "grammar: cannot allocate");
    atomic_store(&g->owners, 1);
    cop_status st = cop_regex_set_new(&s.set, 0);
    if (!st) st = cop_array_push(&s.nodes, (cop_gr_node){0});
    if (!st) st = gbnf ? cop_gr_read_gbnf(&s) : cop_gr_read_lark(&s);
    if (!st) st = cop_grammar_lower(&s, g);
    close_source(&s);
    if (st) {
        cop_grammar_free(g);
        return st;
    }
    COP_TRY(new_text(out, g));
    start(*out);
    if (!of(*out)->failed) return COP_OK;
    st = failed(*out);
    close(*out);
    *out = NULL;
    return st;
}

// From a tree to productions. What does not recur is an expression, however many rules it is spread over: neighbours become
// one automaton, so that most grammars have few symbols and a whole one may be a single automaton. The rest becomes
// productions: unlimited repetition is left recursion, counted repetition a chain of tails.
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "guide/grammar_private.h"

#define MAX_EXPRESSION 200000  // nodes of an expression that rules are put together to
#define MAX_EXPRESSION_DEPTH 800
#define MAX_DFAS 4096
#define MAX_SYMBOLS ((size_t)1 << 18)
#define MAX_DEPTH 4000         // rules and groups inside one another
#define MAX_MEASURES 100000000 // symbols that are looked at to find lengths
#define MAX_COPIES 5000        // of a counted repetition of what is no expression

typedef struct node_info {
    bool known, regular;
    uint32_t size, depth;
} node_info;

typedef enum task_kind { TASK_NODE, TASK_STAR, TASK_UP_TO } task_kind;
typedef struct task {
    uint8_t kind;
    uint32_t name, value, count;  // value: node: a node; else the name that is repeated
} task;

typedef struct lowering {
    cop_gr_source *s;
    cop_grammar *g;
    node_info *info;
    uint32_t *name_of;     // of a rule, + 1
    COP_ARRAY(task) tasks;
    COP_ARRAY(cop_rx) pending;   // one behind the other, not yet a symbol
    cop_rx ignored;
    int depth;
    cop_status failed;
} lowering;

static cop_status look_at_rule(lowering *w, uint32_t rule);

// Is the node an expression, and of what size?
static cop_status look_at(lowering *w, uint32_t at, node_info *out) {
    node_info one = {.known = true, .regular = true, .size = 1, .depth = 1}, part;
    const cop_gr_node n = w->s->nodes.v[at];
    if (w->info[at].known) return *out = w->info[at], COP_OK;
    if (++w->depth > MAX_DEPTH) return cop_fail(COP_ERR_LIMIT, "%s grammar: rules use rules too deeply", w->s->kind);
    if (n.kind == COP_GR_RULE) {
        COP_TRY(look_at_rule(w, n.value));
        const cop_gr_rule *r = &w->s->rules.v[n.value];
        one.regular = r->mark == 2 && r->regular;
        one.size = r->size;
        one.depth = r->depth + 1;
    } else if (n.kind == COP_GR_TOKENS || n.kind == COP_GR_JSON) {
        one.regular = false;
    } else if (n.kind == COP_GR_RX) {
        one.size = 4;
    }
    for (uint32_t i = n.first; i; i = w->s->nodes.v[i].next) {
        COP_TRY(look_at(w, i, &part));
        one.regular = one.regular && part.regular;
        one.size = one.size + part.size > MAX_EXPRESSION ? MAX_EXPRESSION : one.size + part.size;
        if (part.depth >= one.depth) one.depth = part.depth + 1;
    }
    w->depth--;
    if (one.size >= MAX_EXPRESSION || one.depth > MAX_EXPRESSION_DEPTH) one.regular = false;
    if ((n.kind == COP_GR_AND || n.kind == COP_GR_NOT || n.kind == COP_GR_LAZY) && !one.regular)
        return cop_fail(COP_ERR_UNSUPPORTED, "%s grammar: &, ~ and lazy need what does not recur", w->s->kind);
    *out = w->info[at] = one;
    return COP_OK;
}

static cop_status look_at_rule(lowering *w, uint32_t rule) {
    cop_gr_rule *r = &w->s->rules.v[rule];
    node_info info;
    if (!r->body) return cop_fail(COP_ERR_FORMAT, "%s grammar: rule %s is used but not there", w->s->kind, r->name);
    if (r->mark) return COP_OK;
    r->mark = 1;
    COP_TRY(look_at(w, r->body, &info));
    r->mark = 2;
    r->regular = info.regular;
    r->size = info.size;
    r->depth = info.depth;
    if (r->terminal && !info.regular)
        return cop_fail(COP_ERR_UNSUPPORTED, "%s grammar: terminal %s recurs, has tokens in it, or is too large", w->s->kind, r->name);
    return COP_OK;
}

static cop_rx express(lowering *w, uint32_t at);

typedef COP_ARRAY(cop_rx) parts;

static void add_part(lowering *w, parts *p, cop_rx rx) {
    p->most = MAX_EXPRESSION;
    if (cop_array_push(p, rx)) w->failed = COP_ERR_LIMIT;
}

// One behind the other. From the right: appending to a chain copies it.
static cop_rx join_parts(lowering *w, parts *p) {
    cop_rx out = COP_RX_EMPTY;
    while (p->n) out = cop_rx_concat(w->s->set, p->v[--p->n], out);
    return out;
}

// Plain texts among many alternatives become a trie.
static cop_rx express_alternatives(lowering *w, uint32_t first) {
    parts ways = {0}, texts = {0};
    for (uint32_t i = first; i; i = w->s->nodes.v[i].next) {
        cop_rx rx = express(w, i);
        add_part(w, cop_rx_is_literal(w->s->set, rx) ? &texts : &ways, rx);
    }
    if (texts.n) add_part(w, &ways, cop_rx_or_literals(w->s->set, texts.v, texts.n));
    cop_rx out = ways.n ? cop_rx_or_all(w->s->set, ways.v, ways.n) : COP_RX_NONE;
    cop_array_fini(&ways);
    cop_array_fini(&texts);
    return out;
}

// The node as an expression; it is known to be one.
static cop_rx express(lowering *w, uint32_t at) {
    const cop_gr_node n = w->s->nodes.v[at];
    cop_regex_set *set = w->s->set;
    cop_rx out = COP_RX_EMPTY, any = cop_rx_any_character(set);
    if (n.kind == COP_GR_RX) return n.value;
    if (n.kind == COP_GR_RULE) {
        cop_gr_rule *r = &w->s->rules.v[n.value];
        if (!r->has_rx) {
            out = express(w, r->body);
            r = &w->s->rules.v[n.value];
            r->rx = out;
            r->has_rx = true;
        }
        return r->rx;
    }
    if (n.kind == COP_GR_OR) return express_alternatives(w, n.first);
    parts list = {0};
    for (uint32_t i = n.first; i; i = w->s->nodes.v[i].next) add_part(w, &list, express(w, i));
    if (n.kind == COP_GR_AND)
        for (size_t i = 0; i < list.n; i++) out = i ? cop_rx_and(set, out, list.v[i]) : list.v[i];
    else
        out = join_parts(w, &list);
    cop_array_fini(&list);
    switch (n.kind) {
    case COP_GR_REPEAT: return cop_rx_repeat(set, out, n.low, n.high);
    case COP_GR_NOT: return cop_rx_minus(set, cop_rx_repeat(set, any, 0, COP_RX_MANY), out);
    case COP_GR_LAZY: return cop_rx_minus(set, out, cop_rx_concat(set, out, cop_rx_repeat(set, any, 1, COP_RX_MANY)));
    case COP_GR_LEXEME: return cop_rx_concat(set, out, w->ignored);
    default: return out;
    }
}

// ---- productions ----

static cop_status put_symbol(lowering *w, uint8_t kind, uint32_t value) {
    return cop_array_push(&w->g->symbols, ((cop_gr_symbol){.kind = kind, .value = value}));
}

static cop_status flush(lowering *w) {
    size_t i = 0;
    cop_rx rx = COP_RX_EMPTY;
    while (w->pending.n) rx = cop_rx_concat(w->s->set, w->pending.v[--w->pending.n], rx);
    if (rx == COP_RX_EMPTY) return COP_OK;
    while (i < w->g->dfa_rx.n && w->g->dfa_rx.v[i] != rx) i++;
    if (i == w->g->dfa_rx.n) {
        cop_dfa *dfa;
        COP_TRY(cop_dfa_new(&dfa, w->s->set, rx));
        cop_status st = cop_array_push(&w->g->dfas, dfa);
        if (st) cop_dfa_free(dfa);
        if (!st) st = cop_array_push(&w->g->dfa_rx, rx);
        if (st) return st;
    }
    return put_symbol(w, COP_GR_DFA, (uint32_t)i);
}

static cop_status new_name(lowering *w, uint8_t kind, uint32_t value, uint32_t count, uint32_t *name) {
    COP_TRY(cop_array_push(&w->g->names, ((cop_gr_name){0})));
    *name = (uint32_t)w->g->names.n - 1;
    return cop_array_push(&w->tasks, ((task){kind, *name, value, count}));
}

static cop_status name_of_rule(lowering *w, uint32_t rule, uint32_t *name) {
    if (!w->name_of[rule]) {
        COP_TRY(new_name(w, TASK_NODE, w->s->rules.v[rule].body, 0, name));
        w->name_of[rule] = *name + 1;
    }
    *name = w->name_of[rule] - 1;
    return COP_OK;
}

static cop_status emit_repeat(lowering *w, const cop_gr_node *n) {
    const cop_gr_node *inner = &w->s->nodes.v[n->first];
    uint32_t name, more;
    bool endless = n->high == COP_RX_MANY;
    if (n->low > MAX_COPIES || (!endless && n->high > MAX_COPIES))
        return cop_fail(COP_ERR_LIMIT, "%s grammar: a repetition of what recurs has a count above %d", w->s->kind, MAX_COPIES);
    COP_TRY(inner->kind == COP_GR_RULE ? name_of_rule(w, inner->value, &name) : new_name(w, TASK_NODE, n->first, 0, &name));
    for (uint32_t i = 0; i < n->low; i++) COP_TRY(put_symbol(w, COP_GR_NAME, name));
    if (!endless && n->high == n->low) return COP_OK;
    COP_TRY(new_name(w, endless ? TASK_STAR : TASK_UP_TO, name, endless ? 0 : n->high - n->low, &more));
    return put_symbol(w, COP_GR_NAME, more);
}

static cop_status emit(lowering *w, uint32_t at) {
    const cop_gr_node n = w->s->nodes.v[at];
    node_info info;
    uint32_t name;
    COP_TRY(look_at(w, at, &info));
    if (info.regular) return cop_array_push(&w->pending, express(w, at));
    if (n.kind != COP_GR_SEQUENCE && n.kind != COP_GR_LEXEME) COP_TRY(flush(w));
    switch (n.kind) {
    case COP_GR_RULE:
        COP_TRY(name_of_rule(w, n.value, &name));
        return put_symbol(w, COP_GR_NAME, name);
    case COP_GR_OR:
        COP_TRY(new_name(w, TASK_NODE, at, 0, &name));
        return put_symbol(w, COP_GR_NAME, name);
    case COP_GR_REPEAT: return emit_repeat(w, &n);
    case COP_GR_TOKENS: return put_symbol(w, COP_GR_TOKEN, n.value);
    case COP_GR_JSON: return put_symbol(w, COP_GR_LANGUAGE, n.value);
    default:
        for (uint32_t i = n.first; i; i = w->s->nodes.v[i].next) COP_TRY(emit(w, i));
        return n.kind == COP_GR_LEXEME ? cop_array_push(&w->pending, w->ignored) : COP_OK;
    }
}

static cop_status begin_production(lowering *w) { return cop_array_push(&w->g->starts, (uint32_t)w->g->symbols.n); }
static cop_status end_production(lowering *w) {
    COP_TRY(flush(w));
    return put_symbol(w, COP_GR_END, 0);
}

static cop_status emit_node(lowering *w, uint32_t at) {
    COP_TRY(begin_production(w));
    COP_TRY(emit(w, at));
    return end_production(w);
}

static cop_status run_task(lowering *w, task t) {
    uint32_t first = (uint32_t)w->g->starts.n, tail;
    const cop_gr_node n = t.kind == TASK_NODE ? w->s->nodes.v[t.value] : (cop_gr_node){0};
    node_info info = {0};
    if (t.kind == TASK_NODE) COP_TRY(look_at(w, t.value, &info));
    if (t.kind == TASK_NODE && n.kind == COP_GR_OR && !info.regular) {
        for (uint32_t i = n.first; i; i = w->s->nodes.v[i].next) COP_TRY(emit_node(w, i));
    } else if (t.kind == TASK_NODE) {
        COP_TRY(emit_node(w, t.value));
    } else {
        COP_TRY(begin_production(w));
        COP_TRY(end_production(w));
        COP_TRY(begin_production(w));
        if (t.kind == TASK_STAR) COP_TRY(put_symbol(w, COP_GR_NAME, t.name));
        COP_TRY(put_symbol(w, COP_GR_NAME, t.value));
        if (t.kind == TASK_UP_TO && t.count > 1) {
            COP_TRY(new_name(w, TASK_UP_TO, t.value, t.count - 1, &tail));
            COP_TRY(put_symbol(w, COP_GR_NAME, tail));
        }
        COP_TRY(end_production(w));
    }
    w->g->names.v[t.name].first = first;
    w->g->names.v[t.name].n = (uint32_t)w->g->starts.n - first;
    return COP_OK;
}

// ---- lengths ----

static int32_t symbol_length(const cop_grammar *g, const cop_gr_symbol *s) {
    cop_language *l;
    switch (s->kind) {
    case COP_GR_DFA: return cop_dfa_distance(g->dfas.v[s->value], cop_dfa_start(g->dfas.v[s->value]));
    case COP_GR_NAME: return g->names.v[s->value].shortest;
    case COP_GR_TOKEN: return 1;
    case COP_GR_LANGUAGE: l = g->languages.v[s->value]; return l->type->distance(l, l->type->start(l));
    default: return 0;
    }
}

// Bytes of a production at least; COP_GUIDE_FAR: it never ends.
static int32_t measure(cop_grammar *g, uint32_t start) {
    uint32_t end = start;
    int32_t rest = 0;
    while (g->symbols.v[end].kind != COP_GR_END) end++;
    for (uint32_t i = end + 1; i-- > start;) {
        int32_t one = symbol_length(g, &g->symbols.v[i]);
        rest = one == COP_GUIDE_FAR || rest == COP_GUIDE_FAR ? COP_GUIDE_FAR : cop_gr_sum(rest, one);
        g->symbols.v[i].rest = rest;
    }
    return rest;
}

// To a fixed point, there and back; then what never ends is left out.
static cop_status find_lengths(cop_grammar *g, const char *kind) {
    for (size_t i = 0; i < g->names.n; i++) g->names.v[i].shortest = COP_GUIDE_FAR;
    size_t measures = 0;
    bool changed = true;
    for (size_t turn = 0; changed && turn < 2 * g->names.n + 4; turn++) {
        changed = false;
        if ((measures += g->symbols.n) > MAX_MEASURES) return cop_fail(COP_ERR_LIMIT, "%s grammar: rules depend on one another too deeply", kind);
        for (size_t k = 0; k < g->names.n; k++) {
            cop_gr_name *n = &g->names.v[turn % 2 ? k : g->names.n - 1 - k];
            for (uint32_t p = n->first; p < n->first + n->n; p++) {
                int32_t length = measure(g, g->starts.v[p]);
                if (length < n->shortest) n->shortest = length, changed = true;
            }
        }
    }
    for (size_t k = 0; k < g->names.n; k++) {
        cop_gr_name *n = &g->names.v[k];
        uint32_t kept = n->first;
        for (uint32_t p = n->first; p < n->first + n->n; p++)
            if (measure(g, g->starts.v[p]) != COP_GUIDE_FAR) g->starts.v[kept++] = g->starts.v[p];
        n->n = kept - n->first;
    }
    return g->names.v[g->start].n ? COP_OK : cop_fail(COP_ERR_ARG, "%s grammar: matches no text at all", kind);
}

static cop_status list_named(cop_grammar *g, const cop_vocab_trie *v) {
    if (!g->tokens.n) return COP_OK;
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(v);
    COP_ARRAY(int32_t) ids = {.most = (size_t)source->V};
    cop_status st = COP_OK;
    g->V = source->V;
    g->is_named = cop_alloc_array((size_t)g->V / 64 + 1, sizeof *g->is_named);
    if (!g->is_named) return cop_fail(COP_ERR_NOMEM, "grammar: cannot allocate");
    for (int32_t t = 0; t < g->V && !st; t++) {
        bool in = false;
        for (size_t i = 0; i < g->tokens.n && !in; i++) {
            const cop_gr_tokens *set = &g->tokens.v[i];
            in = set->but ? (t < set->low || t > set->high) && !source->is_end(source->user, t) : t >= set->low && t <= set->high;
        }
        if (in) st = cop_array_push(&ids, t);
        if (in) g->is_named[t / 64] |= (uint64_t)1 << (t % 64);
    }
    g->named = ids.v;
    g->n_named = (int)ids.n;
    return st;
}

static cop_status lower(lowering *w) {
    cop_grammar *g = w->g;
    cop_gr_source *s = w->s;
    node_info info;
    w->ignored = COP_RX_EMPTY;
    for (uint32_t r = 0; r < s->rules.n; r++) {
        bool used = s->rules.v[r].body || r == s->start;
        if (used) COP_TRY(look_at_rule(w, r));
    }
    if (s->ignored) {
        COP_TRY(look_at(w, s->ignored, &info));
        if (!info.regular) return cop_fail(COP_ERR_UNSUPPORTED, "%s grammar: %%ignore needs what does not recur", s->kind);
        w->ignored = cop_rx_repeat(s->set, express(w, s->ignored), 0, COP_RX_MANY);
    }
    COP_TRY(name_of_rule(w, s->start, &g->start));
    for (size_t i = 0; i < w->tasks.n; i++) COP_TRY(run_task(w, w->tasks.v[i]));
    COP_TRY(cop_regex_set_failed(s->set));
    if (w->failed) return cop_fail(w->failed, "%s grammar: an expression has too many parts", s->kind);
    for (size_t i = 0; i < s->tokens.n; i++) COP_TRY(cop_array_push(&g->tokens, s->tokens.v[i]));
    for (size_t i = 0; i < s->json.n; i++) {
        COP_TRY(cop_array_push(&g->languages, s->json.v[i]));
        s->json.v[i] = NULL;
    }
    COP_TRY(list_named(g, s->vocab));
    return find_lengths(g, s->kind);
}

cop_status cop_grammar_lower(cop_gr_source *s, cop_grammar *g) {
    lowering w = {.s = s, .g = g};
    w.pending.most = MAX_EXPRESSION;
    w.tasks.most = g->symbols.most = g->starts.most = g->names.most = MAX_SYMBOLS;
    g->dfas.most = g->dfa_rx.most = MAX_DFAS;
    g->tokens.most = g->languages.most = 1 << 16;
    w.info = cop_alloc_array(s->nodes.n + 4, sizeof *w.info);
    w.name_of = cop_alloc_array(s->rules.n + 1, sizeof *w.name_of);
    cop_status st = w.info && w.name_of ? lower(&w) : cop_fail(COP_ERR_NOMEM, "grammar: cannot allocate");
    cop_free(w.info);
    cop_free(w.name_of);
    cop_array_fini(&w.tasks);
    cop_array_fini(&w.pending);
    return st;
}

// The mask of a row. Items of a row are independent of one another, so it is the union of theirs: what stays within an
// item's automaton comes from the automaton's cache; where it may end inside a token, the row behind the item goes
// on in the trie below that node, and so forth. Two rows and a node are met once.
#include <string.h>

#include "base/alloc.h"
#include "guide/grammar_private.h"

#define MAX_PAIRS ((size_t)1 << 20)

typedef struct masking {
    cop_grammar_language *l;
    const cop_vocab_trie *v;
    const cop_trie_node *nodes;
    uint64_t *bits;
} masking;

static void go_on_below(masking *m, uint32_t row, uint32_t node);

static bool grow_pairs(cop_grammar_language *l) {
    size_t size = l->pairs_size ? l->pairs_size * 4 : 1024;
    cop_gr_pair *old = l->pairs, *larger = size <= MAX_PAIRS * 2 ? cop_alloc_array(size, sizeof *larger) : NULL;
    if (!larger) return cop_gr_give_up(l, COP_ERR_LIMIT, "a mask takes too much memory"), false;
    for (size_t i = 0; i < l->pairs_size; i++) {
        if (old[i].mark != l->mask_turn) continue;
        size_t at = (old[i].row * 31u + old[i].node) * (size_t)0x9E3779B1u >> 7 & (size - 1);
        while (larger[at].mark == l->mask_turn) at = (at + 1) & (size - 1);
        larger[at] = old[i];
    }
    cop_free(old);
    l->pairs = larger;
    l->pairs_size = size;
    return true;
}

// Is this row met at this node for the first time?
static bool is_new(cop_grammar_language *l, uint32_t row, uint32_t node) {
    if (l->n_pairs * 2 >= l->pairs_size && !grow_pairs(l)) return false;
    size_t at = (row * 31u + node) * (size_t)0x9E3779B1u >> 7 & (l->pairs_size - 1);
    for (; l->pairs[at].mark == l->mask_turn; at = (at + 1) & (l->pairs_size - 1))
        if (l->pairs[at].row == row && l->pairs[at].node == node) return false;
    l->pairs[at] = (cop_gr_pair){row, node, l->mask_turn};
    l->n_pairs++;
    return true;
}

// The item may read on from state q: the distances that this can lead to.
static void note_worst(masking *m, uint32_t row, const cop_gr_item *item, int32_t reach) {
    int32_t d = reach == COP_GUIDE_FAR ? reach : cop_gr_item_distance(m->l, row, item, reach);
    if (d > m->l->worst) m->l->worst = d;
}

// Of a language inside: like cop_dfa_mask_below. With quiet only the exits are wanted, and what is too far from one is
// passed over: a way to an end needs as many nodes as bytes.
static void walk_inner(masking *m, cop_language *inner, cop_guide_state s, uint32_t node, bool quiet, cop_dfa_exits *exits) {
    cop_guide_state behind[COP_TRIE_MAX_DEPTH + 2];
    const cop_trie_node *nodes = m->nodes;
    if (!exits->most) exits->most = (size_t)1 << 22;
    behind[node == COP_TRIE_ROOT ? 0 : cop_trie_depth(nodes[node]) + 1] = s;
    for (uint32_t p = node + 1, end = node + cop_trie_size(nodes[node]); p < end;) {
        cop_trie_node n = nodes[p];
        uint32_t depth = cop_trie_depth(n), token = cop_trie_token(n), below = cop_trie_size(n) - 1;
        cop_guide_state next = quiet && !below ? COP_GUIDE_DEAD : inner->type->step(inner, behind[depth], cop_trie_byte(n));
        if (next == COP_GUIDE_DEAD || (quiet && inner->type->distance(inner, next) >= (int32_t)below)) {
            p += below + 1;
            continue;
        }
        if (!quiet && token != COP_TRIE_NO_TOKEN) m->bits[token / 64] |= (uint64_t)1 << (token % 64);
        if (below && inner->type->accepting(inner, next) && cop_array_push(exits, ((cop_dfa_exit){p, next})))
            cop_gr_give_up(m->l, COP_ERR_NOMEM, "cannot allocate");
        behind[depth + 1] = next;
        p++;
    }
}

static void mask_inner(masking *m, cop_language *inner, cop_guide_state s, cop_dfa_exits *exits) {
    cop_grammar_language *l = m->l;
    size_t words = ((size_t)cop_vocab_trie_get_source(m->v)->V + 63) / 64;
    exits->n = 0;
    if (!inner->type->mask) return walk_inner(m, inner, s, COP_TRIE_ROOT, false, exits);
    if (words > l->inner_words) {
        cop_free(l->inner_bits);
        l->inner_bits = cop_alloc_array(words, sizeof *l->inner_bits);
        l->inner_words = l->inner_bits ? words : 0;
        if (!l->inner_bits) return cop_gr_give_up(l, COP_ERR_NOMEM, "cannot allocate");
    }
    inner->type->mask(inner, s, m->v, l->inner_bits);
    for (size_t i = 0; i < words; i++) m->bits[i] |= l->inner_bits[i];
    walk_inner(m, inner, s, COP_TRIE_ROOT, true, exits);
}

static void set_tokens(masking *m, uint32_t set) {
    const cop_grammar *g = m->l->grammar;
    for (int i = 0; i < g->n_named; i++)
        if (cop_gr_has_token(g, set, g->named[i])) m->bits[g->named[i] / 64] |= (uint64_t)1 << (g->named[i] % 64);
}

// The row behind item i goes on below the exits from `from` on.
static void leave(masking *m, uint32_t row, uint32_t i, const cop_dfa_exits *exits, size_t from) {
    if (exits->n <= from) return;
    uint32_t behind = cop_gr_row_behind(m->l, row, i);
    if (behind == COP_GUIDE_DEAD) return;
    cop_gr_find_first(m->l, behind);
    for (size_t k = from, n = exits->n; k < n && !m->l->failed; k++) go_on_below(m, behind, exits->v[k].node);
}

static bool any_child_fits(const masking *m, uint32_t row, uint32_t node) {
    const uint64_t *first = m->l->rows.v[row].first;
    for (uint32_t p = node + 1, end = node + cop_trie_size(m->nodes[node]); p < end; p += cop_trie_size(m->nodes[p])) {
        uint8_t b = cop_trie_byte(m->nodes[p]);
        if (first[b / 64] >> (b % 64) & 1) return true;
    }
    return false;
}

static void go_on_below(masking *m, uint32_t row, uint32_t node) {
    cop_grammar_language *l = m->l;
    if (!any_child_fits(m, row, node) || !is_new(l, row, node)) return;
    for (uint32_t i = 0; i < l->rows.v[row].n && !l->failed; i++) {
        const cop_gr_item item = l->items.v[l->rows.v[row].at + i];
        const cop_gr_symbol s = l->grammar->symbols.v[item.dot];
        size_t from = l->exits.n;
        if (s.kind == COP_GR_DFA) {
            cop_dfa *dfa = l->grammar->dfas.v[s.value];
            if (cop_dfa_mask_below(dfa, item.q, m->v, node, m->bits, &l->exits)) cop_gr_give_up(l, COP_ERR_LIMIT, "an expression is too costly");
            note_worst(m, row, &item, cop_dfa_reach(dfa, item.q));
        } else if (s.kind == COP_GR_LANGUAGE) {
            walk_inner(m, l->languages[s.value], item.q, node, false, &l->exits);
            note_worst(m, row, &item, COP_GUIDE_FAR);
        }
        leave(m, row, i, &l->exits, from);
        l->exits.n = from;
    }
}

void cop_gr_mask(cop_grammar_language *l, uint32_t row, const cop_vocab_trie *v, uint64_t *bits) {
    masking m = {l, v, cop_vocab_trie_nodes(v), bits};
    memset(bits, 0, ((size_t)cop_vocab_trie_get_source(v)->V + 63) / 64 * sizeof *bits);
    if (row == COP_GUIDE_DEAD || l->failed) return;
    l->fuel = l->fuel + COP_GR_MORE_FUEL < COP_GR_FUEL ? l->fuel + COP_GR_MORE_FUEL : COP_GR_FUEL;
    l->mask_turn++;
    l->n_pairs = 0;
    l->worst = 0;
    l->exits.n = 0;
    l->exits.most = (size_t)1 << 22;
    for (uint32_t i = 0; i < l->rows.v[row].n && !l->failed; i++) {
        const cop_gr_item item = l->items.v[l->rows.v[row].at + i];
        const cop_gr_symbol s = l->grammar->symbols.v[item.dot];
        if (s.kind == COP_GR_DFA) {
            cop_dfa *dfa = l->grammar->dfas.v[s.value];
            if (cop_dfa_mask(dfa, item.q, v, bits, &l->top)) cop_gr_give_up(l, COP_ERR_LIMIT, "an expression is too costly");
            note_worst(&m, row, &item, cop_dfa_reach(dfa, item.q));
            leave(&m, row, i, &l->top, 0);
        } else if (s.kind == COP_GR_TOKEN) {
            set_tokens(&m, s.value);
            note_worst(&m, row, &item, 0);
        } else {
            mask_inner(&m, l->languages[s.value], item.q, &l->top);
            note_worst(&m, row, &item, COP_GUIDE_FAR);
            leave(&m, row, i, &l->top, 0);
        }
        // What follows a whole token may be nearer or farther than the token's own place.
        uint32_t behind = s.kind == COP_GR_TOKEN ? cop_gr_row_behind(l, row, i) : COP_GUIDE_DEAD;
        if (behind != COP_GUIDE_DEAD && l->rows.v[behind].distance > l->worst) l->worst = l->rows.v[behind].distance;
    }
    l->rows.v[row].worst = l->worst;
    cop_vocab_trie_add_twins(v, bits);
}

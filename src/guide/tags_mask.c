// Masks of languages put together by tags. A free text takes nearly all tokens, an inner language has a mask of its own:
// what is looked at token by token are those with a byte in them at which something may begin or end. Where these bytes
// come first in the tokens of a vocabulary is found once for a text.
#include "guide/tags_private.h"

#include <string.h>

void cop_tags_forget_masks(tags *t) {
    cop_free(t->all);
    cop_free(t->seen_worst);
    t->all = NULL;
    t->seen_worst = NULL;
    while (t->crossings) {
        crossing *c = t->crossings;
        t->crossings = c->next;
        cop_array_fini(&c->starts);
        cop_free(c);
    }
}

static int32_t first_token(const cop_trie_node *nodes, uint32_t p) {
    while (cop_trie_token(nodes[p]) == COP_TRIE_NO_TOKEN) p++;  // each leaf is a token
    return (int32_t)cop_trie_token(nodes[p]);
}

static int32_t longest_below(const cop_trie_node *nodes, uint32_t top) {
    uint32_t longest = 0;
    for (uint32_t p = top; p < top + cop_trie_size(nodes[top]); p++)
        if (cop_trie_depth(nodes[p]) >= longest) longest = cop_trie_depth(nodes[p]) + 1;
    return (int32_t)longest;
}

static crossing *crossings_of(tags *t, const cop_vocab_trie *v, int32_t byte) {
    uint64_t id = cop_vocab_trie_identity(v);
    for (crossing *c = t->crossings; c; c = c->next)
        if (c->vocab == id && c->byte == byte) return c;
    crossing *c = cop_alloc(sizeof *c);
    if (!c) return NULL;
    c->vocab = id;
    c->byte = byte;
    const cop_trie_node *nodes = cop_vocab_trie_nodes(v);
    for (uint32_t p = 1, end = cop_trie_size(nodes[0]); p < end;) {
        if (cop_trie_byte(nodes[p]) != byte) {
            p++;
            continue;
        }
        if (cop_array_push(&c->starts, ((cross_start){p, first_token(nodes, p), longest_below(nodes, p)}))) {
            cop_array_fini(&c->starts);
            cop_free(c);
            return NULL;
        }
        p += cop_trie_size(nodes[p]);
    }
    c->next = t->crossings;
    t->crossings = c;
    return c;
}

// The tokens of a subtree, its node included, whose last byte leaves the text alive; the largest distance behind one.
static int32_t walk_below(tags *t, const cop_vocab_trie *v, uint32_t top, cop_guide_state *behind, uint64_t *bits) {
    const cop_trie_node *nodes = cop_vocab_trie_nodes(v);
    int32_t worst = 0;
    for (uint32_t p = top, end = top + cop_trie_size(nodes[top]); p < end;) {
        uint32_t depth = cop_trie_depth(nodes[p]), token = cop_trie_token(nodes[p]);
        cop_guide_state next = cop_tags_step(&t->base, behind[depth], cop_trie_byte(nodes[p]));
        if (next == COP_GUIDE_DEAD) {
            p += cop_trie_size(nodes[p]);
            continue;
        }
        behind[depth + 1] = next;
        p++;
        if (token == COP_TRIE_NO_TOKEN) continue;
        bits[token / 64] |= (uint64_t)1 << (token % 64);
        int32_t d = t->base.type->distance(&t->base, next);
        if (d > worst) worst = d;
    }
    return worst;
}

static void clear_below(const cop_vocab_trie *v, uint32_t top, uint64_t *bits) {
    const cop_trie_node *nodes = cop_vocab_trie_nodes(v);
    for (uint32_t p = top, end = top + cop_trie_size(nodes[top]); p < end; p++) {
        uint32_t token = cop_trie_token(nodes[p]);
        if (token != COP_TRIE_NO_TOKEN) bits[token / 64] &= ~((uint64_t)1 << (token % 64));
    }
}

// The tokens with this byte in them, and longer than `least` bytes: their bits, from the language's steps. *worst (may be
// NULL) grows to the largest distance behind one: then bits that were set are cleared first.
static bool look_at_tokens_with(tags *t, cop_guide_state s, const cop_vocab_trie *v, int32_t byte, int32_t least, int32_t *worst, uint64_t *bits) {
    const crossing *c = crossings_of(t, v, byte);
    if (!c) return false;
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(v);
    const cop_trie_node *nodes = cop_vocab_trie_nodes(v);
    cop_guide_state behind[COP_TRIE_MAX_DEPTH + 2];
    const char *last = "";
    uint32_t n_last = 0;  // bytes of `last` whose states are in behind
    behind[0] = s;
    for (size_t i = 0; i < c->starts.n; i++) {
        cross_start at = c->starts.v[i];
        size_t bytes;
        if (at.longest <= least) continue;
        const char *text = source->piece(source->user, at.token, &bytes);
        uint32_t depth = cop_trie_depth(nodes[at.node]), d = 0;
        while (d < depth && d < n_last && text[d] == last[d]) d++;
        for (; d < depth; d++) behind[d + 1] = cop_tags_step(&t->base, behind[d], (uint8_t)text[d]);
        last = text;
        n_last = depth;
        if (worst) clear_below(v, at.node, bits);
        int32_t far = behind[depth] == COP_GUIDE_DEAD ? 0 : walk_below(t, v, at.node, behind, bits);
        if (worst && far > *worst) *worst = far;
    }
    return true;
}

static bool set_all(tags *t, const cop_vocab_trie *v, uint64_t *bits) {
    size_t words = ((size_t)cop_vocab_trie_get_source(v)->V + 63) / 64;
    if (!t->all || t->all_of != cop_vocab_trie_identity(v)) {
        cop_free(t->all);
        t->all = cop_alloc_array(words, sizeof *t->all);
        if (!t->all) return false;
        t->all_of = cop_vocab_trie_identity(v);
        const cop_trie_node *nodes = cop_vocab_trie_nodes(v);
        for (uint32_t p = 1; p < cop_trie_size(nodes[0]); p++) {
            uint32_t token = cop_trie_token(nodes[p]);
            if (token != COP_TRIE_NO_TOKEN) t->all[token / 64] |= (uint64_t)1 << (token % 64);
        }
    }
    memcpy(bits, t->all, words * sizeof *bits);
    return true;
}

// What reach() tells from now on: the limit of an answer is far away in most of its free text.
static void note_worst(tags *t, cop_guide_state s, const cop_vocab_trie *v, int32_t worst) {
    if (!t->seen_worst) t->seen_worst = cop_alloc_array(t->g->nodes.n, sizeof *t->seen_worst);
    if (!t->seen_worst) return;
    for (size_t i = 0; i < t->g->named.n; i++) {
        int32_t id = t->g->named.v[i];
        cop_guide_state next = id < cop_vocab_trie_get_source(v)->V ? cop_tags_step(&t->base, s, COP_GUIDE_TOKEN + id) : COP_GUIDE_DEAD;
        int32_t d = next == COP_GUIDE_DEAD ? 0 : t->base.type->distance(&t->base, next);
        if (d > worst) worst = d;
    }
    t->seen_worst[s] = worst == COP_GUIDE_FAR ? 0 : worst + 1;
}

// In free text all tokens may come but some in which a trigger may begin, or go on from s: those alone are looked at. The
// same where a text may still become free.
static bool free_mask(tags *t, cop_guide_state s, const cop_vocab_trie *v, uint64_t *bits) {
    const graph *g = t->g;
    cop_guide_state as = g->nodes.v[s].dense >= 0 ? s : cop_tags_otherwise(t, s);
    if (as == COP_GUIDE_DEAD || as >= g->nodes.n || g->nodes.v[as].dense < 0 || !set_all(t, v, bits)) return false;
    uint32_t root = g->places[g->nodes.v[as].place].root;
    int32_t worst = g->nodes.v[root].distance;
    const uint32_t *here = &g->next[(size_t)g->nodes.v[as].dense * 256], *there = &g->next[(size_t)g->nodes.v[root].dense * 256];
    for (uint32_t c = g->nodes.v[root].child; c; c = g->nodes.v[c].sibling)
        if (g->nodes.v[c].symbol < COP_GUIDE_TOKEN && !look_at_tokens_with(t, s, v, g->nodes.v[c].symbol, 0, &worst, bits)) return false;
    for (int32_t b = 0; b < 256 && s != root; b++) {
        bool differs = here[b] != there[b] || (as != s && cop_tags_child(g, s, b));
        uint32_t top = differs ? cop_vocab_trie_child(v, COP_TRIE_ROOT, (uint8_t)b) : COP_TRIE_ROOT;
        cop_guide_state behind[COP_TRIE_MAX_DEPTH + 2] = {s};
        if (top == COP_TRIE_ROOT) continue;
        clear_below(v, top, bits);
        int32_t d = walk_below(t, v, top, behind, bits);
        if (d > worst) worst = d;
    }
    note_worst(t, s, v, worst);
    return true;
}

// Inside an inner language: its own mask, and the tokens in which it may end and the end tag begin.
static bool inner_mask(tags *t, cop_guide_state s, const cop_vocab_trie *v, uint64_t *bits) {
    triple x = cop_tags_triple(t, s);
    const edge *e = &t->g->edges.v[x.edge];
    if (!e->n_end || x.at) return false;
    cop_language *inner = t->inner[e->inner];
    if (inner->type->mask) inner->type->mask(inner, x.inner, v, bits);
    else cop_vocab_trie_walk(v, inner, x.inner, bits);
    int32_t least = inner->type->distance(inner, x.inner);
    return e->end[0] >= COP_GUIDE_TOKEN || least >= cop_vocab_trie_longest(v) || look_at_tokens_with(t, s, v, e->end[0], least, NULL, bits);
}

void cop_tags_mask(cop_language *l, cop_guide_state s, const cop_vocab_trie *v, uint64_t *bits) {
    tags *t = (tags *)l;
    const graph *g = t->g;
    bool done = s < g->nodes.n ? free_mask(t, s, v, bits) : s >= g->n_fixed && inner_mask(t, s, v, bits);
    if (!done) {
        cop_vocab_trie_walk(v, l, s, bits);
        return;
    }
    cop_vocab_trie_add_twins(v, bits);
    for (size_t i = 0; i < g->named.n; i++) {
        int32_t id = g->named.v[i];
        if (id < cop_vocab_trie_get_source(v)->V && cop_tags_step(l, s, COP_GUIDE_TOKEN + id) != COP_GUIDE_DEAD) bits[id / 64] |= (uint64_t)1 << (id % 64);
    }
}

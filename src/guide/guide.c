// Guides: what a language says of bytes, said of tokens. The masks of the last states are kept. What a budget
// leaves of them is in guide_budget.c, text without alternatives in guide_forced.c.
#include "guide/guide.h"

#include <string.h>

#include "base/alloc.h"
#include "guide/guide_private.h"

static size_t mask_words(const cop_guide *g) { return ((size_t)g->V + 63) / 64; }

// The bytes in the order in which ways prefer them: printing ones first, those that no token spells last. Vocabularies
// lack some control characters, and what no assigned character has in UTF-8: nobody's way leads there unless the language insists.
static void order_bytes(cop_guide *g) {
    int n = 0;
    g->all_bytes = true;
    for (int pass = 0; pass < 3; pass++)
        for (int b = 0; b < 256; b++) {
            uint32_t node = cop_vocab_trie_child(g->vocab, COP_TRIE_ROOT, (uint8_t)b);
            bool spelt = node != COP_TRIE_ROOT && cop_trie_token(cop_vocab_trie_nodes(g->vocab)[node]) != COP_TRIE_NO_TOKEN;
            bool printing = (b >= ' ' && b <= '~') || b == '\n' || b == '\t';
            bool rare = (b < ' ' && !printing) || b == 0x7F || b == 0xC0 || b == 0xC1 || b >= 0xF1;
            if (pass == (!spelt ? 2 : printing ? 0 : 1)) g->byte_order[n++] = (uint8_t)b;
            if (!spelt && !rare) g->all_bytes = false;
        }
}

static cop_status look_at_vocabulary(cop_guide *g) {
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(g->vocab);
    COP_ARRAY(int32_t) ends = {.most = (size_t)source->V};
    g->V = source->V;
    for (int32_t t = 0; t < g->V; t++)
        if (source->is_end(source->user, t)) {
            cop_status st = cop_array_push(&ends, t);
            if (st) {
                cop_array_fini(&ends);
                return st;
            }
        }
    g->ends = ends.v;
    g->n_ends = (int)ends.n;
    order_bytes(g);
    return COP_OK;
}

cop_status cop_guide_new(cop_guide **out, cop_language *language, const cop_vocab_trie *vocab) {
    *out = NULL;
    cop_guide *g = cop_alloc(sizeof *g);
    if (!g) {
        language->type->close(language);
        return cop_fail(COP_ERR_NOMEM, "guide: cannot allocate");
    }
    g->language = language;
    g->vocab = vocab;
    cop_status st = look_at_vocabulary(g);
    if (st) {
        cop_guide_free(g);
        return st;
    }
    *out = g;
    return COP_OK;
}

cop_status cop_guide_fork(cop_guide **out, cop_guide *guide) {
    cop_language *language;
    *out = NULL;
    COP_TRY(guide->language->type->fork(&language, guide->language));
    return cop_guide_new(out, language, guide->vocab);
}

void cop_guide_free(cop_guide *g) {
    if (!g) return;
    g->language->type->close(g->language);
    for (int i = 0; i < COP_GUIDE_N_MASKS; i++) cop_free(g->masks[i].bits);
    for (int i = 0; i < COP_GUIDE_N_NEEDS; i++) cop_free(g->needs[i].allowed), cop_free(g->needs[i].others);
    cop_array_fini(&g->found);
    cop_free(g->ends);
    cop_free(g->ways);
    cop_free(g);
}

static bool is_end(const cop_guide *g, int32_t token) {
    for (int i = 0; i < g->n_ends; i++)
        if (g->ends[i] == token) return true;
    return false;
}

cop_guide_state cop_guide_start(cop_guide *g) { return g->language->type->start(g->language); }

bool cop_guide_accepting(cop_guide *g, cop_guide_state s) {
    if (s == COP_GUIDE_DEAD || s == COP_GUIDE_ENDED) return s == COP_GUIDE_ENDED;
    return g->language->type->accepting(g->language, s);
}

int32_t cop_guide_distance(cop_guide *g, cop_guide_state s) {
    if (s == COP_GUIDE_DEAD) return COP_GUIDE_FAR;
    return s == COP_GUIDE_ENDED ? 0 : g->language->type->distance(g->language, s);
}

cop_status cop_guide_failed(cop_guide *g) {
    if (g->failed) return cop_fail(g->failed, "guide: cannot allocate");
    return g->language->type->failed ? g->language->type->failed(g->language) : COP_OK;
}

cop_guide_state cop_guide_advance(cop_guide *g, cop_guide_state s, int32_t token) {
    if (s == COP_GUIDE_DEAD || s == COP_GUIDE_ENDED || token < 0 || token >= g->V) return COP_GUIDE_DEAD;
    if (g->language->type->named) {
        cop_guide_state next = cop_guide_step(g, s, COP_GUIDE_TOKEN + token);
        if (next != COP_GUIDE_DEAD) return next;
    }
    if (is_end(g, token)) return cop_guide_accepting(g, s) ? COP_GUIDE_ENDED : COP_GUIDE_DEAD;
    size_t bytes = 0;
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(g->vocab);
    const char *text = source->piece(source->user, token, &bytes);
    if (!text || !bytes) return COP_GUIDE_DEAD;
    for (size_t i = 0; i < bytes && s != COP_GUIDE_DEAD; i++) s = cop_guide_step(g, s, (uint8_t)text[i]);
    return s;
}

// ---- masks ----

static cop_guide_mask_entry *plain_mask(cop_guide *g, cop_guide_state s) {
    cop_guide_mask_entry *oldest = &g->masks[0];
    g->clock++;
    for (int i = 0; i < COP_GUIDE_N_MASKS; i++) {
        cop_guide_mask_entry *m = &g->masks[i];
        if (m->state == s) return m->used = g->clock, m;
        if (m->used < oldest->used) oldest = m;
    }
    if (!oldest->bits) oldest->bits = cop_alloc_array(mask_words(g), sizeof *oldest->bits);
    if (!oldest->bits) return g->failed = COP_ERR_NOMEM, NULL;
    cop_language *l = g->language;
    if (l->type->mask) l->type->mask(l, s, g->vocab, oldest->bits);
    else cop_vocab_trie_walk(g->vocab, l, s, oldest->bits);
    for (int i = 0; i < g->n_ends; i++) {
        cop_guide_state next = cop_guide_advance(g, s, g->ends[i]);
        if (next == COP_GUIDE_DEAD || next == COP_GUIDE_ENDED)
            oldest->bits[g->ends[i] / 64] &= ~((uint64_t)1 << (g->ends[i] % 64));
    }
    oldest->state = s;
    oldest->used = g->clock;
    return oldest;
}

// Without looking: is an end near enough behind each of the tokens?
static bool all_surely_fit(cop_guide *g, cop_guide_state s, int32_t left) {
    cop_language *l = g->language;
    return g->all_bytes && l->type->reach && l->type->reach(l, s, cop_vocab_trie_longest(g->vocab)) <= left;
}

void cop_guide_mask(cop_guide *g, cop_guide_state s, int left, uint64_t *bits) {
    memset(bits, 0, mask_words(g) * sizeof *bits);
    if (s == COP_GUIDE_DEAD || s == COP_GUIDE_ENDED) return;
    cop_guide_mask_entry *m = left ? plain_mask(g, s) : NULL;
    if (m && (left < 0 || all_surely_fit(g, s, left - 1) || !cop_guide_narrow(g, s, left - 1, bits))) {
        memcpy(bits, m->bits, mask_words(g) * sizeof *bits);
    } else if (m) {
        cop_vocab_trie_add_twins(g->vocab, bits);
        for (size_t i = 0; i < mask_words(g); i++) bits[i] &= m->bits[i];
    }
    if (!cop_guide_accepting(g, s)) return;
    for (int i = 0; i < g->n_ends; i++) bits[g->ends[i] / 64] |= (uint64_t)1 << (g->ends[i] % 64);
}

bool cop_guide_allows(cop_guide *g, cop_guide_state s, int32_t token, int left) {
    cop_guide_state next = cop_guide_advance(g, s, token);
    if (next == COP_GUIDE_DEAD || next == COP_GUIDE_ENDED) return next == COP_GUIDE_ENDED;
    if (left < 0) return true;
    return left > 0 && cop_guide_can_end_within(g, next, left - 1);
}

cop_guide_state cop_guide_keep(cop_guide *g, cop_guide_state s) {
    if (!g->language->type->keep || s == COP_GUIDE_DEAD || s == COP_GUIDE_ENDED) return s;
    cop_guide_state now = g->language->type->keep(g->language, s);
    if (now != s) {
        for (int i = 0; i < COP_GUIDE_N_MASKS; i++) g->masks[i].state = COP_GUIDE_DEAD;
        cop_guide_forget_ways(g);
    }
    return now;
}

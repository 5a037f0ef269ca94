// Masks, and the budget. A language knows how many bytes are missing to an end, a caller how many tokens may still be
// written. A token fits when the rest of a way to an end does: surely when the rest has no more bytes than tokens are
// left; else the way itself is cut into the longest tokens, and these are counted. Masks of the last states are kept.
#include "guide/guide.h"

#include <string.h>

#include "base/alloc.h"
#include "guide/guide_private.h"

#define WAYS_MOST ((size_t)1 << 17)

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

// ---- ways to an end ----

static void forget_states(cop_guide *g) {
    for (int i = 0; i < COP_GUIDE_N_MASKS; i++) g->masks[i].state = COP_GUIDE_DEAD;
    if (g->n_ways) memset(g->ways, 0, g->ways_size * sizeof *g->ways);
    g->n_ways = 0;
}

static cop_guide_way *way_slot(cop_guide *g, cop_guide_state s) {
    size_t at = (size_t)(s * 0x9E3779B97F4A7C15u >> 20) & (g->ways_size - 1);
    while (g->ways[at].state != COP_GUIDE_DEAD && g->ways[at].state != s) at = (at + 1) & (g->ways_size - 1);
    return &g->ways[at];
}

static bool make_room_for_ways(cop_guide *g) {
    if (g->ways_size && g->n_ways * 2 < g->ways_size) return true;
    if (g->ways_size >= WAYS_MOST) {
        memset(g->ways, 0, g->ways_size * sizeof *g->ways);
        g->n_ways = 0;
        return true;
    }
    cop_guide_way *old = g->ways;
    size_t size = g->ways_size;
    cop_guide_way *larger = cop_alloc_array(size ? size * 4 : 256, sizeof *larger);
    if (!larger) return g->failed = COP_ERR_NOMEM, false;
    g->ways = larger;
    g->ways_size = size ? size * 4 : 256;
    for (size_t i = 0; i < size; i++)
        if (old[i].state != COP_GUIDE_DEAD) *way_slot(g, old[i].state) = old[i];
    cop_free(old);
    return true;
}

// The first symbol that leads nearer to an end; -1: there is none, or memory is gone.
static int32_t next_on_way(cop_guide *g, cop_guide_state s, cop_guide_state *next) {
    if (!make_room_for_ways(g)) return -1;
    cop_guide_way *w = way_slot(g, s);
    if (w->state == s) return *next = w->next, w->symbol;
    const int32_t *ids;
    int32_t here = cop_guide_distance(g, s);
    int n = g->language->type->named ? g->language->type->named(g->language, &ids) : 0;
    int32_t symbol = -1;
    for (int i = 0; i < 256 + n && symbol < 0; i++) {
        int32_t candidate = i < 256 ? g->byte_order[i] : COP_GUIDE_TOKEN + ids[i - 256];
        *next = cop_guide_step(g, s, candidate);
        if (*next != COP_GUIDE_DEAD && cop_guide_distance(g, *next) < here) symbol = candidate;
    }
    if (symbol < 0) *next = COP_GUIDE_DEAD;
    *w = (cop_guide_way){s, *next, symbol, -1};
    g->n_ways++;
    return symbol;
}

// The state behind the longest token that the way from s begins with; COP_GUIDE_DEAD when none does.
static cop_guide_state longest_on_way(cop_guide *g, cop_guide_state s) {
    const cop_trie_node *nodes = cop_vocab_trie_nodes(g->vocab);
    cop_guide_state next, found = COP_GUIDE_DEAD;
    uint32_t node = COP_TRIE_ROOT;
    while (g->language->type->distance(g->language, s) > 0) {
        int32_t symbol = next_on_way(g, s, &next);
        if (symbol >= COP_GUIDE_TOKEN) return node == COP_TRIE_ROOT ? next : found;
        if (symbol < 0 || (node = cop_vocab_trie_child(g->vocab, node, (uint8_t)symbol)) == COP_TRIE_ROOT) break;
        s = next;
        if (cop_trie_token(nodes[node]) != COP_TRIE_NO_TOKEN) found = s;
    }
    return found;
}

// Tokens to an end from s, COP_GUIDE_FAR when a byte on the way is no token.
static int32_t tokens_to_end(cop_guide *g, cop_guide_state s, int32_t most) {
    cop_guide_state at = s;
    int32_t n = 0;
    while (at != COP_GUIDE_DEAD && cop_guide_distance(g, at) > 0 && n <= most) {
        if (!make_room_for_ways(g)) return COP_GUIDE_FAR;
        cop_guide_way *w = way_slot(g, at);
        if (w->state == at && w->tokens >= 0) {
            n = w->tokens < COP_GUIDE_FAR - n ? n + w->tokens : COP_GUIDE_FAR;
            break;
        }
        at = longest_on_way(g, at);
        n++;
    }
    if (at == COP_GUIDE_DEAD) n = COP_GUIDE_FAR;
    if (n > most && n != COP_GUIDE_FAR) return n;  // not the whole way was counted
    cop_guide_way *w = g->ways_size ? way_slot(g, s) : NULL;
    if (w && w->state == s) w->tokens = n;
    return n;
}

static bool can_end_within(cop_guide *g, cop_guide_state s, int32_t tokens) {
    int32_t distance = g->language->type->distance(g->language, s);
    if (distance == 0 || (g->all_bytes && distance <= tokens)) return true;
    return distance != COP_GUIDE_FAR && tokens_to_end(g, s, tokens) <= tokens;
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
    oldest->worst = -1;
    oldest->used = g->clock;
    return oldest;
}

typedef struct narrowing {
    cop_guide *guide;
    int32_t left, worst;
    cop_guide_state last;
    bool last_fits;
    uint64_t *bits;
} narrowing;

static bool find_worst(void *user, int32_t token, cop_guide_state behind) {
    narrowing *n = user;
    (void)token;
    if (behind == n->last) return true;
    n->last = behind;
    int32_t d = cop_guide_distance(n->guide, behind);
    if (d > n->worst) n->worst = d;
    return true;
}

static bool fits(narrowing *n, cop_guide_state behind) {
    if (behind != n->last) n->last_fits = can_end_within(n->guide, behind, n->left);
    n->last = behind;
    return n->last_fits;
}

static bool keep_what_fits(void *user, int32_t token, cop_guide_state behind) {
    narrowing *n = user;
    if (fits(n, behind)) n->bits[token / 64] |= (uint64_t)1 << (token % 64);
    return true;
}

static uint32_t step_guide(void *user, uint32_t s, uint8_t byte) { return cop_guide_step(user, s, byte); }

// The states behind the tokens of a slice, when there are few; -1: they are many, or a token is not allowed.
static int slice_states(cop_guide *g, cop_guide_state s, int slice, cop_guide_state *states) {
    int characters = cop_vocab_trie_slice(g->vocab, slice)->characters, n = 0, from = 0;
    cop_guide_state next[COP_SLICE_MAX_NEXT];
    for (int depth = 0; depth < characters; depth++) {
        int end = n;
        for (int i = from; i < end + !depth; i++) {
            int n_next = cop_slice_next(step_guide, g, depth ? states[i] : s, next);
            if (n_next < 0) return -1;
            for (int k = 0, j; k < n_next; k++) {
                for (j = 0; j < n && states[j] != next[k]; j++) {}
                if (j == n && n == COP_GUIDE_SLICE_STATES) return -1;
                if (j == n) states[n++] = next[k];
            }
        }
        if (n == end) break;
        from = end;
    }
    return n;
}

// The tokens behind which an end is near enough, by walking; a slice at once when that can be.
static void narrow(cop_guide *g, cop_guide_state s, narrowing *n) {
    cop_guide_state states[COP_GUIDE_SLICE_STATES];
    for (int i = 0; i < COP_TRIE_SLICES; i++) {
        int n_states = slice_states(g, s, i, states), n_fit = 0;
        for (int k = 0; k < n_states; k++) n_fit += fits(n, states[k]);
        if (n_states < 0 || (n_fit && n_fit < n_states)) continue;
        const cop_trie_slice *slice = cop_vocab_trie_slice(g->vocab, i);
        for (size_t w = 0; n_fit && w < mask_words(g); w++) n->bits[w] |= slice->bits[w];
        cop_vocab_trie_visit(g->vocab, i, g->language, s, keep_what_fits, n);
        return;
    }
    cop_vocab_trie_visit(g->vocab, -1, g->language, s, keep_what_fits, n);
}

// Is an end near enough behind each of the tokens? From what the language knows, else by looking once.
static bool all_fit(cop_guide *g, cop_guide_state s, cop_guide_mask_entry *m, int32_t left) {
    cop_language *l = g->language;
    cop_guide_state states[COP_GUIDE_SLICE_STATES];
    if (!g->all_bytes) return false;
    if (m->worst < 0 && l->type->reach && l->type->reach(l, s, cop_vocab_trie_longest(g->vocab)) <= left) return true;
    if (m->worst < 0) {
        narrowing n = {.guide = g};
        int n_states = slice_states(g, s, 0, states);
        for (int k = 0; k < n_states; k++) find_worst(&n, 0, states[k]);
        cop_vocab_trie_visit(g->vocab, n_states < 0 ? -1 : 0, l, s, find_worst, &n);
        m->worst = n.worst;
    }
    return m->worst <= left;
}

void cop_guide_mask(cop_guide *g, cop_guide_state s, int left, uint64_t *bits) {
    memset(bits, 0, mask_words(g) * sizeof *bits);
    if (s == COP_GUIDE_DEAD || s == COP_GUIDE_ENDED) return;
    cop_guide_mask_entry *m = left ? plain_mask(g, s) : NULL;
    if (m && (left < 0 || all_fit(g, s, m, left - 1))) {
        memcpy(bits, m->bits, mask_words(g) * sizeof *bits);
    } else if (m) {
        narrowing n = {.guide = g, .left = left - 1, .bits = bits};
        narrow(g, s, &n);
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
    return left > 0 && can_end_within(g, next, left - 1);
}

cop_guide_state cop_guide_keep(cop_guide *g, cop_guide_state s) {
    if (!g->language->type->keep || s == COP_GUIDE_DEAD || s == COP_GUIDE_ENDED) return s;
    cop_guide_state now = g->language->type->keep(g->language, s);
    if (now != s) forget_states(g);
    return now;
}

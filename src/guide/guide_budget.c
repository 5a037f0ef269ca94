// Budgets. A language knows how many bytes are missing to an end, a caller how many tokens may still be written. A token
// fits when the rest of a way to an end does: surely when the rest has no more bytes than tokens are left; else the
// way itself is cut into the longest tokens, and these are counted. What each token of a state needs is found by one walk,
// and kept: as the end comes near, a mask is asked for with a smaller budget each time.
#include <string.h>

#include "base/alloc.h"
#include "guide/guide_private.h"

#define WAYS_MOST ((size_t)1 << 17)
#define HISTOGRAM 4096
#define HOPELESS (1 << 16)  // bytes: a way that is not worth to be cut into tokens when each would have to be the longest

// ---- ways to an end ----

void cop_guide_forget_ways(cop_guide *g) {
    for (int i = 0; i < COP_GUIDE_N_NEEDS; i++) g->needs[i].state = COP_GUIDE_DEAD;
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

// Tokens to an end from s; more than most: at least that many.
static int32_t need_of(cop_guide *g, cop_guide_state s, int32_t most) {
    int32_t distance = g->language->type->distance(g->language, s);
    if (distance == 0 || (g->all_bytes && distance <= 1)) return distance;
    if (distance > HOPELESS && distance / cop_vocab_trie_longest(g->vocab) > most) return COP_GUIDE_FAR;
    int32_t tokens = tokens_to_end(g, s, most);
    if (g->all_bytes && distance < tokens) tokens = distance;
    return tokens <= most ? tokens : COP_GUIDE_FAR;
}

bool cop_guide_can_end_within(cop_guide *g, cop_guide_state s, int32_t tokens) {
    int32_t distance = g->language->type->distance(g->language, s);
    if (distance == 0 || (g->all_bytes && distance <= tokens)) return true;
    return need_of(g, s, tokens) <= tokens;
}

// ---- what each token needs ----

static uint32_t step_guide(void *user, uint32_t s, uint8_t byte) { return cop_guide_step(user, s, byte); }
static int next_plain(void *user, uint32_t s, uint32_t next[COP_PLAIN_NEXT]) { return cop_plain_next(step_guide, user, s, next); }

typedef struct needing {
    cop_guide *guide;
    int32_t cap;
    cop_guide_state last;
    int32_t last_need;
} needing;

static int32_t need_behind(needing *n, cop_guide_state behind) {
    if (behind != n->last) n->last_need = need_of(n->guide, behind, n->cap);
    n->last = behind;
    return n->last_need;
}

static bool note_need(void *user, int32_t token, cop_guide_state behind) {
    needing *n = user;
    if (cop_array_push(&n->guide->found, ((cop_guide_need){token, need_behind(n, behind)}))) n->guide->failed = COP_ERR_NOMEM;
    return n->guide->failed == COP_OK;
}

// Walk, as little as possible: plain tokens that all need the same need not be looked at. Their bits, or NULL.
static const uint64_t *find_needs(cop_guide *g, cop_guide_state s, needing *n, int32_t *plain_need) {
    cop_guide_state states[COP_PLAIN_STATES];
    const cop_trie_plain *plain = cop_vocab_trie_plain(g->vocab);
    int n_states = 0, length = cop_plain_length(next_plain, g, s, states, &n_states);
    *plain_need = 0;
    for (int k = 0; k < n_states && length > 0; k++) {
        int32_t need = need_behind(n, states[k]);
        if (k && need != *plain_need) length = -1;
        *plain_need = need;
    }
    g->found.n = 0;
    g->found.most = (size_t)g->V * 2;
    cop_vocab_trie_visit(g->vocab, length >= 0, g->language, s, note_need, n);
    return length < 0 ? NULL : plain->up_to + (size_t)length * plain->words;
}

// What most of the tokens that were found need.
static int32_t usual_need(const cop_guide *g) {
    uint32_t count[HISTOGRAM] = {0};
    int best = 0;
    for (size_t i = 0; i < g->found.n; i++) {
        int32_t need = g->found.v[i].need < HISTOGRAM ? g->found.v[i].need : HISTOGRAM - 1;
        if (++count[need] > count[best]) best = need;
    }
    return best < HISTOGRAM - 1 ? best : COP_GUIDE_FAR;
}

static bool fill_needs(cop_guide *g, cop_guide_state s, int32_t cap, cop_guide_needs *e) {
    size_t words = ((size_t)g->V + 63) / 64, n = 0;
    needing walk = {.guide = g, .cap = cap};
    e->state = COP_GUIDE_DEAD;
    if (!e->allowed) e->allowed = cop_alloc_array(words, sizeof *e->allowed);
    const uint64_t *plain = find_needs(g, s, &walk, &e->usual);
    if (!plain) e->usual = usual_need(g);
    for (size_t i = 0; i < g->found.n; i++) n += g->found.v[i].need != e->usual;
    cop_free(e->others);
    e->others = cop_alloc_array(n, sizeof *e->others);
    if (!e->allowed || !e->others || g->failed) return g->failed = COP_ERR_NOMEM, false;
    if (plain) memcpy(e->allowed, plain, words * sizeof *e->allowed);
    else memset(e->allowed, 0, words * sizeof *e->allowed);
    e->worst = plain ? e->usual : 0;
    e->n_others = 0;
    for (size_t i = 0; i < g->found.n; i++) {
        cop_guide_need x = g->found.v[i];
        e->allowed[x.token / 64] |= (uint64_t)1 << (x.token % 64);
        if (x.need > e->worst) e->worst = x.need;
        if (x.need != e->usual) e->others[e->n_others++] = x;
    }
    e->cap = cap;
    e->state = s;
    return true;
}

bool cop_guide_narrow(cop_guide *g, cop_guide_state s, int32_t left, uint64_t *bits) {
    cop_guide_needs *e = &g->needs[0];
    for (int i = 0; i < COP_GUIDE_N_NEEDS; i++) {
        if (g->needs[i].state == s) {
            e = &g->needs[i];
            break;
        }
        if (g->needs[i].used < e->used) e = &g->needs[i];
    }
    bool known = e->state == s && (left <= e->cap || e->worst <= e->cap);
    if (!known && !fill_needs(g, s, left, e)) return true;
    e->used = ++g->clock;
    if (e->worst <= left) return false;
    bool most = e->usual <= left;
    if (most) memcpy(bits, e->allowed, ((size_t)g->V + 63) / 64 * sizeof *bits);
    for (size_t i = 0; most && i < e->n_others; i++)
        if (e->others[i].need > left) bits[e->others[i].token / 64] &= ~((uint64_t)1 << (e->others[i].token % 64));
    for (size_t i = 0; i < e->n_others; i++)  // last: a token may be there as a symbol and as bytes
        if (e->others[i].need <= left) bits[e->others[i].token / 64] |= (uint64_t)1 << (e->others[i].token % 64);
    return true;
}

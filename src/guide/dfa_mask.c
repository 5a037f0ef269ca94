// One walk of the trie per state of an automaton, remembered: few tokens as a list, many as a bit set, and each bit set
// once however many states have it (the states of a bounded string differ in their count only).
// A cache that is full is emptied.
#include "guide/dfa_mask.h"

#include <string.h>

#include "base/alloc.h"
#include "guide/regex_private.h"

#define CACHE_BYTES ((size_t)8 << 20)        // of one automaton
#define ALL_CACHE_BYTES ((size_t)48 << 20)   // of all automata of a set
#define MAX_LIST 1500

typedef struct stay_set {
    uint64_t hash;
    size_t words;
    uint64_t *bits;
} stay_set;

typedef struct mask_line {
    cop_dfa_state state;      // COP_DFA_DEAD: free
    uint64_t vocab;
    uint32_t *tokens;         // few, or NULL
    uint32_t n_tokens;
    uint32_t set;             // else
    bool has_exits;
    uint32_t n_exits;
    cop_dfa_exit *exits;
} mask_line;

// The states behind one plain character.
typedef struct next_line {
    cop_dfa_state state;      // COP_DFA_DEAD: free
    int n;                    // 0: none may come, -1: some may
    uint32_t next[COP_PLAIN_NEXT];
} next_line;
#define N_NEXT 512            // direct-mapped

typedef struct cop_dfa_mask_cache {
    next_line next[N_NEXT];
    mask_line *lines;         // open addressing
    size_t n, size;
    COP_ARRAY(stay_set) sets;
    size_t bytes;
    uint64_t *bits;           // what a walk fills
    size_t words;
    cop_dfa_exits exits;
} cop_dfa_mask_cache;

static void empty_cache(cop_dfa_mask_cache *c) {
    for (size_t i = 0; i < c->size; i++) {
        cop_free(c->lines[i].tokens);
        cop_free(c->lines[i].exits);
    }
    for (size_t i = 0; i < c->sets.n; i++) cop_free(c->sets.v[i].bits);
    if (c->size) memset(c->lines, 0, c->size * sizeof *c->lines);
    c->sets.n = 0;
    c->n = 0;
    c->bytes = 0;
}

void cop_dfa_free_masks(cop_dfa *dfa) {
    cop_dfa_mask_cache *c = dfa->masks;
    if (!c) return;
    atomic_fetch_sub(&dfa->set->mask_bytes, c->bytes);
    empty_cache(c);
    cop_free(c->lines);
    cop_array_fini(&c->sets);
    cop_array_fini(&c->exits);
    cop_free(c->bits);
    cop_free(c);
}

// The nodes below `node`, from s. plain: the nodes are those of its rest; NULL: of the whole trie.
static cop_status walk(cop_dfa *dfa, cop_dfa_state s, const cop_vocab_trie *v, const cop_trie_plain *plain, uint32_t node,
                       uint64_t *bits, cop_dfa_exits *exits) {
    cop_dfa_state behind[COP_TRIE_MAX_DEPTH + 2];
    const cop_trie_node *nodes = plain ? plain->rest : cop_vocab_trie_nodes(v);
    const cop_trie_node *whole_nodes = cop_vocab_trie_nodes(v);
    if (exits && !exits->most) exits->most = (size_t)1 << 22;
    behind[node == COP_TRIE_ROOT ? 0 : cop_trie_depth(nodes[node]) + 1] = s;
    for (uint32_t p = node + 1, end = node + cop_trie_size(nodes[node]); p < end;) {
        cop_trie_node n = nodes[p];
        uint32_t depth = cop_trie_depth(n), token = cop_trie_token(n);
        cop_dfa_state next = cop_dfa_step_fast(dfa, behind[depth], cop_trie_byte(n));
        if (next == COP_DFA_DEAD) {
            p += cop_trie_size(n);
            continue;
        }
        if (token != COP_TRIE_NO_TOKEN) bits[token / 64] |= (uint64_t)1 << (token % 64);
        if (exits && cop_dfa_accepting(dfa, next)) {
            uint32_t whole = plain ? plain->node[p] : p;
            if (cop_trie_size(whole_nodes[whole]) > 1) COP_TRY(cop_array_push(exits, ((cop_dfa_exit){whole, next})));
        }
        behind[depth + 1] = next;
        p++;
    }
    return cop_dfa_failed(dfa);
}

cop_status cop_dfa_mask_below(cop_dfa *dfa, cop_dfa_state s, const cop_vocab_trie *v, uint32_t node, uint64_t *bits, cop_dfa_exits *exits) {
    return s == COP_DFA_DEAD ? COP_OK : walk(dfa, s, v, NULL, node, bits, exits);
}

// ---- the cache; its lock is held ----

static mask_line *find_line(cop_dfa_mask_cache *c, cop_dfa_state s, uint64_t vocab) {
    size_t at = (s * (size_t)0x9E3779B1u ^ vocab) & (c->size - 1);
    while (c->lines[at].state != COP_DFA_DEAD && (c->lines[at].state != s || c->lines[at].vocab != vocab)) at = (at + 1) & (c->size - 1);
    return &c->lines[at];
}

static cop_status grow_lines(cop_dfa_mask_cache *c) {
    mask_line *old = c->lines;
    size_t size = c->size;
    mask_line *larger = cop_alloc_array(size ? size * 2 : 16, sizeof *larger);
    if (!larger) return cop_fail(COP_ERR_NOMEM, "mask: cannot allocate");
    c->lines = larger;
    c->size = size ? size * 2 : 16;
    for (size_t i = 0; i < size; i++)
        if (old[i].state != COP_DFA_DEAD) *find_line(c, old[i].state, old[i].vocab) = old[i];
    cop_free(old);
    return COP_OK;
}

static uint32_t step_dfa(void *user, uint32_t s, uint8_t byte) { return cop_dfa_step_fast(user, s, byte); }

static int find_next(void *user, uint32_t s, uint32_t next[COP_PLAIN_NEXT]) {
    cop_dfa *dfa = user;
    next_line *line = &dfa->masks->next[s % N_NEXT];
    if (line->state != s) {
        line->n = cop_plain_next(step_dfa, dfa, s, line->next);
        line->state = s;
    }
    memcpy(next, line->next, sizeof line->next);
    return line->n;
}

// The plain tokens that are alive, when none of them needs to be looked at: with exits, they may not end the lexeme on their way.
static const uint64_t *find_plain(cop_dfa *dfa, cop_dfa_state s, const cop_vocab_trie *v, bool with_exits) {
    cop_dfa_state states[COP_PLAIN_STATES];
    const cop_trie_plain *plain = cop_vocab_trie_plain(v);
    int n, length = cop_plain_length(find_next, dfa, s, states, &n);
    for (int i = 0; length >= 0 && i < n; i++)
        if (with_exits && cop_dfa_accepting(dfa, states[i])) return NULL;
    return length < 0 ? NULL : plain->up_to + (size_t)length * plain->words;
}

static size_t count_bits(const uint64_t *bits, size_t words) {
    size_t n = 0;
    for (size_t i = 0; i < words; i++) n += (size_t)__builtin_popcountll(bits[i]);
    return n;
}

static cop_status keep_set(cop_dfa_mask_cache *c, mask_line *line) {
    uint64_t hash = c->words;
    for (size_t i = 0; i < c->words; i++) hash = (hash ^ c->bits[i]) * 0x9E3779B97F4A7C15u, hash ^= hash >> 29;
    for (size_t i = 0; i < c->sets.n; i++) {
        const stay_set *s = &c->sets.v[i];
        if (s->hash == hash && s->words == c->words && !memcmp(s->bits, c->bits, c->words * sizeof *c->bits)) return line->set = (uint32_t)i, COP_OK;
    }
    stay_set one = {hash, c->words, cop_alloc_array(c->words, sizeof *one.bits)};
    c->sets.most = 1 << 20;
    if (!one.bits || cop_array_push(&c->sets, one)) return cop_free(one.bits), cop_fail(COP_ERR_NOMEM, "mask: cannot allocate");
    memcpy(one.bits, c->bits, c->words * sizeof *c->bits);
    c->bytes += c->words * sizeof *c->bits;
    line->set = (uint32_t)c->sets.n - 1;
    return COP_OK;
}

static cop_status keep_tokens(cop_dfa_mask_cache *c, mask_line *line, size_t n) {
    line->tokens = cop_alloc_array(n, sizeof *line->tokens);
    if (!line->tokens) return cop_fail(COP_ERR_NOMEM, "mask: cannot allocate");
    for (size_t i = 0; i < c->words; i++)
        for (uint64_t w = c->bits[i]; w; w &= w - 1) line->tokens[line->n_tokens++] = (uint32_t)(64 * i + (size_t)__builtin_ctzll(w));
    c->bytes += n * sizeof *line->tokens;
    return COP_OK;
}

static cop_status fill_line(cop_dfa *dfa, cop_dfa_mask_cache *c, cop_dfa_state s, const cop_vocab_trie *v, bool with_exits, mask_line *line) {
    size_t words = ((size_t)cop_vocab_trie_get_source(v)->V + 63) / 64;
    if (words != c->words) {
        cop_free(c->bits);
        c->bits = cop_alloc_array(words, sizeof *c->bits);
        c->words = c->bits ? words : 0;
        if (!c->bits) return cop_fail(COP_ERR_NOMEM, "mask: cannot allocate");
    }
    memset(c->bits, 0, words * sizeof *c->bits);
    c->exits.n = 0;
    const uint64_t *plain = find_plain(dfa, s, v, with_exits);
    if (plain) memcpy(c->bits, plain, words * sizeof *c->bits);
    COP_TRY(walk(dfa, s, v, plain ? cop_vocab_trie_plain(v) : NULL, COP_TRIE_ROOT, c->bits, with_exits ? &c->exits : NULL));
    cop_vocab_trie_add_twins(v, c->bits);
    size_t n = count_bits(c->bits, words);
    COP_TRY(n <= MAX_LIST ? keep_tokens(c, line, n) : keep_set(c, line));
    if (c->exits.n) {
        line->exits = cop_alloc_array(c->exits.n, sizeof *line->exits);
        if (!line->exits) return cop_fail(COP_ERR_NOMEM, "mask: cannot allocate");
        memcpy(line->exits, c->exits.v, c->exits.n * sizeof *line->exits);
        c->bytes += c->exits.n * sizeof *line->exits;
    }
    line->n_exits = (uint32_t)c->exits.n;
    line->has_exits = with_exits;
    line->vocab = cop_vocab_trie_identity(v);
    line->state = s;
    c->bytes += sizeof *line;
    return COP_OK;
}

static cop_status get_line(cop_dfa *dfa, cop_dfa_state s, const cop_vocab_trie *v, bool with_exits, mask_line **out) {
    if (!dfa->masks && !(dfa->masks = cop_alloc(sizeof *dfa->masks))) return cop_fail(COP_ERR_NOMEM, "mask: cannot allocate");
    cop_dfa_mask_cache *c = dfa->masks;
    if (c->n * 2 >= c->size) COP_TRY(grow_lines(c));
    mask_line *line = find_line(c, s, cop_vocab_trie_identity(v));
    if (line->state != COP_DFA_DEAD && (line->has_exits || !with_exits)) return *out = line, COP_OK;
    size_t all = atomic_load(&dfa->set->mask_bytes), before = c->bytes;
    if (c->bytes > CACHE_BYTES || (all > ALL_CACHE_BYTES && c->bytes > all / 16)) empty_cache(c), line = find_line(c, s, cop_vocab_trie_identity(v));
    bool fresh = line->state == COP_DFA_DEAD;
    mask_line one = {0};
    cop_status st = fill_line(dfa, c, s, v, with_exits, &one);
    atomic_fetch_add(&dfa->set->mask_bytes, c->bytes - before);  // may be less than before: it wraps, rightly
    if (st) {
        cop_free(one.tokens);
        cop_free(one.exits);
        return st;
    }
    cop_free(line->tokens);
    cop_free(line->exits);
    c->n += fresh;
    *line = one;
    *out = line;
    return COP_OK;
}

cop_status cop_dfa_mask(cop_dfa *dfa, cop_dfa_state s, const cop_vocab_trie *v, uint64_t *bits, cop_dfa_exits *exits) {
    if (exits) exits->n = 0;
    if (s == COP_DFA_DEAD) return COP_OK;
    cop_lock_take(dfa->mask_lock);
    mask_line *line = NULL;
    cop_status st = get_line(dfa, s, v, exits != NULL, &line);
    if (!st && line->tokens) {
        for (uint32_t i = 0; i < line->n_tokens; i++) bits[line->tokens[i] / 64] |= (uint64_t)1 << (line->tokens[i] % 64);
    } else if (!st) {
        const stay_set *set = &dfa->masks->sets.v[line->set];
        for (size_t i = 0; i < set->words; i++) bits[i] |= set->bits[i];
    }
    if (!st && exits && line->n_exits) {
        if (!exits->most) exits->most = (size_t)1 << 22;
        st = cop_array_reserve(exits, line->n_exits);
        if (!st) memcpy(exits->v, line->exits, line->n_exits * sizeof *exits->v);
        if (!st) exits->n = line->n_exits;
    }
    cop_lock_give(dfa->mask_lock);
    return st;
}

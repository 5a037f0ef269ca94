// Masks by lexeme. Inside a scalar or a free name the automaton's own cache says which tokens stay; where the lexeme ends in a
// token, and everywhere else, few bytes are alive and the trie is walked with whole configurations.
//
// Cost: a string's interior is one copy of a bit set and some 190 short walks behind the closing quote.
#include "guide/schema_frame.h"

typedef struct masker {
    schema_text *t;
    const cop_vocab_trie *v;
    const cop_trie_node *nodes;
    uint64_t *bits;
    int32_t worst;  // the farthest from its end that a token leads to, or more
    int depth;
} masker;

static void note(masker *m, int32_t rest) {
    if (rest > m->worst) m->worst = rest;
}

static void below(masker *m, config c, uint32_t node);

// The bytes that can come next, when that is known without trying: fewer than all.
static bool first_bytes(const masker *m, const frame *f, uint64_t set[4]) {
    const schema_text *t = m->t;
    memset(set, 0, 4 * sizeof *set);
#define ADD(c) (set[(uint8_t)(c) / 64] |= (uint64_t)1 << ((uint8_t)(c) % 64))
    if (f->kind == F_NAME) {
        const schema_object *o = &record_at(t->s, frame_at(t, f->parent)->what)->u.object;
        ADD('"');
        for (uint32_t i = f->a; i < f->b; i++)
            if (o->members[o->sorted[i]].spelt_bytes > f->c) ADD(o->members[o->sorted[i]].spelt[f->c]);
        return true;
    }
    if (f->kind == F_OBJECT || (f->kind == F_ARRAY && (f->phase == P_AFTER || f->phase == P_AFTER_SPACE))) {
        for (const char *c = " \n\t\r\",:}]"; *c; c++) ADD(*c);
        return true;
    }
    if (f->kind == F_NUMBER) {
        for (const char *c = "+-.eE0123456789 \n\t\r,]}"; *c; c++) ADD(*c);
        return true;
    }
    return false;
#undef ADD
}

// One byte on, from one configuration: the token there, and what lies below.
static void branch(masker *m, config c, uint32_t node) {
    schema_text *t = m->t;
    config list[16], *all = list;
    t->next.n = 0;
    cop_schema_config_step(t, c, cop_trie_byte(m->nodes[node]));
    size_t n = t->next.n;
    if (!n || t->status) return;
    uint32_t token = cop_trie_token(m->nodes[node]);
    int32_t nearest = SCHEMA_FAR;
    for (size_t i = 0; i < n; i++) {
        int32_t rest = cop_schema_frame_rest(t, t->next.v[i].frame);
        if (rest < nearest) nearest = rest;
    }
    if (token != COP_TRIE_NO_TOKEN) {
        m->bits[token / 64] |= (uint64_t)1 << (token % 64);
        note(m, nearest);
    }
    if (cop_trie_size(m->nodes[node]) == 1) return;
    if (n > 16 && !(all = cop_alloc_array(n, sizeof *all))) {
        cop_schema_fail(t, cop_fail(COP_ERR_NOMEM, "schema: cannot allocate"));
        return;
    }
    memcpy(all, t->next.v, n * sizeof *all);
    for (size_t i = 0; i < n && !t->status; i++) below(m, all[i], node);
    if (all != list) cop_free(all);
}

static void by_bytes(masker *m, config c, uint32_t node) {
    uint64_t set[4];
    uint32_t end = node + cop_trie_size(m->nodes[node]);
    frame f = *frame_at(m->t, c.frame);
    if (!first_bytes(m, &f, set)) {
        for (uint32_t p = node + 1; p < end && !m->t->status; p += cop_trie_size(m->nodes[p])) branch(m, c, p);
    } else if (node == COP_TRIE_ROOT) {
        for (int w = 0; w < 4; w++)
            for (uint64_t left = set[w]; left && !m->t->status; left &= left - 1) {
                uint32_t p = cop_vocab_trie_child(m->v, node, (uint8_t)(64 * w + __builtin_ctzll(left)));
                if (p != COP_TRIE_ROOT) branch(m, c, p);
            }
    } else {
        for (uint32_t p = node + 1; p < end && !m->t->status; p += cop_trie_size(m->nodes[p])) {
            uint8_t byte = cop_trie_byte(m->nodes[p]);
            if (set[byte / 64] >> byte % 64 & 1) branch(m, c, p);
        }
    }
}

// A configuration at `from` goes to node `to`, which lies below, byte by byte, and on from there.
static void follow(masker *m, config c, uint32_t from, uint32_t to) {
    schema_text *t = m->t;
    config list[SCHEMA_MOST_CONFIGS], next[SCHEMA_MOST_CONFIGS];
    size_t n = 1;
    list[0] = c;
    while (from != to && n && !t->status) {
        uint32_t p = from + 1;
        while (to >= p + cop_trie_size(m->nodes[p])) p += cop_trie_size(m->nodes[p]);
        t->next.n = 0;
        for (size_t i = 0; i < n && !t->status; i++) cop_schema_config_step(t, list[i], cop_trie_byte(m->nodes[p]));
        n = t->next.n;
        memcpy(next, t->next.v, n * sizeof *next);
        memcpy(list, next, n * sizeof *list);
        from = p;
    }
    for (size_t i = 0; i < n && !t->status; i++) below(m, list[i], to);
}

static void in_automaton(masker *m, config c, const frame *f, cop_dfa *dfa, uint32_t node) {
    schema_text *t = m->t;
    cop_dfa_exits exits = {.most = 0};
    cop_status st = node == COP_TRIE_ROOT ? cop_dfa_mask(dfa, f->a, m->v, m->bits, &exits)
                                          : cop_dfa_mask_below(dfa, f->a, m->v, node, m->bits, &exits);
    cop_schema_fail(t, st);
    int32_t reach = cop_dfa_reach(dfa, f->a), rest = cop_schema_frame_rest(t, c.frame), own = cop_dfa_distance(dfa, f->a);
    note(m, reach == SCHEMA_FAR ? SCHEMA_FAR : add_far(rest - own, reach));
    bool free_end = f->kind == F_SCALAR && !c.tape;  // what follows does not depend on what is written
    config after = {f->parent, 0};
    if (free_end && frame_at(t, f->parent)->kind == F_ARRAY && record_at(t->s, frame_at(t, f->parent)->what)->u.array.unique) free_end = false;
    if (f->kind == F_SCALAR && cop_dfa_accepting(dfa, f->a)) {  // a number may end before the next byte
        if (free_end) below(m, after, node);
        else by_bytes(m, c, node);
    }
    for (size_t i = 0; i < exits.n && !t->status; i++) {
        if (!free_end) follow(m, c, node, exits.v[i].node);
        else below(m, after, exits.v[i].node);
    }
    cop_array_fini(&exits);
}

static void below(masker *m, config c, uint32_t node) {
    schema_text *t = m->t;
    if (t->status || cop_trie_size(m->nodes[node]) == 1) return;
    if (cop_schema_frame_rest(t, c.frame) == SCHEMA_FAR) return;
    frame f = *frame_at(t, c.frame);
    if (f.kind == F_SCALAR) {
        in_automaton(m, c, &f, goal_at(t->s, f.what)->scalars, node);
    } else if (f.kind == F_EXTRA) {
        in_automaton(m, c, &f, t->s->dfas.v[f.what - 1], node);
    } else {
        by_bytes(m, c, node);
    }
}

void cop_schema_text_mask(schema_text *t, uint32_t state, const cop_vocab_trie *v, uint64_t *bits) {
    memset(bits, 0, ((size_t)cop_vocab_trie_get_source(v)->V + 63) / 64 * sizeof *bits);
    uint32_t n = 0;
    const config *list = state ? configs_of(t, state, &n) : NULL;
    masker m = {.t = t, .v = v, .nodes = cop_vocab_trie_nodes(v), .bits = bits, .worst = 0};
    for (uint32_t i = 0; i < n && !t->status; i++) below(&m, list[i], COP_TRIE_ROOT);
    cop_vocab_trie_add_twins(v, bits);
    t->masked = state;
    t->worst = m.worst;
}

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

// A configuration at `from` goes to node `to`, which lies below, byte by byte; returns how many it is there.
static size_t walk_to(masker *m, config c, uint32_t from, uint32_t to, config list[SCHEMA_MOST_CONFIGS]) {
    schema_text *t = m->t;
    config next[SCHEMA_MOST_CONFIGS];
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
    return t->status ? 0 : n;
}

// What a lexeme leads to at its end. Names that are no members lead to the same, but for the name, which a token does not
// live to see again: so one of them is followed for all, and those that are taken lead nowhere.
typedef struct ending {
    config c;
    uint32_t from;
    bool same, ready;
    size_t n;
    config list[SCHEMA_MOST_CONFIGS];
    COP_ARRAY(uint32_t) taken;  // nodes
} ending;

// The token there, and what lies below.
static void end_at(masker *m, ending *e, uint32_t node) {
    for (size_t i = 0; i < e->taken.n; i++)
        if (e->taken.v[i] == node) return;
    if (!e->same || !e->ready) e->n = walk_to(m, e->c, e->from, node, e->list);
    e->ready = true;
    uint32_t token = cop_trie_token(m->nodes[node]);
    if (e->n && token != COP_TRIE_NO_TOKEN) m->bits[token / 64] |= (uint64_t)1 << (token % 64);
    size_t n = e->n;
    for (size_t i = 0; i < n && !m->t->status; i++) below(m, e->list[i], node);
}

// Below a node, where what ends depends on all that was written: only there a configuration goes byte by byte.
static void walk_checked(masker *m, ending *e, cop_dfa *dfa, cop_dfa_state q, uint32_t node) {
    cop_dfa_state behind[COP_TRIE_MAX_DEPTH + 2];
    behind[node == COP_TRIE_ROOT ? 0 : cop_trie_depth(m->nodes[node]) + 1] = q;
    for (uint32_t p = node + 1, end = node + cop_trie_size(m->nodes[node]); p < end && !m->t->status;) {
        cop_trie_node n = m->nodes[p];
        cop_dfa_state next = cop_dfa_step(dfa, behind[cop_trie_depth(n)], cop_trie_byte(n));
        bool ends = next != COP_DFA_DEAD && cop_dfa_accepting(dfa, next);
        if (ends) end_at(m, e, p);
        if (next == COP_DFA_DEAD || ends) {
            p += cop_trie_size(n);
            continue;
        }
        if (cop_trie_token(n) != COP_TRIE_NO_TOKEN) m->bits[cop_trie_token(n) / 64] |= (uint64_t)1 << (cop_trie_token(n) % 64);
        behind[cop_trie_depth(n) + 1] = next;
        p++;
    }
}

// A text that is taken already: the node that writes the rest of it and its quote, when there is one.
static void note_taken(masker *m, ending *e, const char *spelt, size_t bytes, const char *written, size_t n) {
    if (bytes < n || memcmp(spelt, written, n)) return;
    uint32_t node = e->from;
    for (size_t i = n; i <= bytes; i++) {
        node = cop_vocab_trie_child(m->v, node, i < bytes ? (uint8_t)spelt[i] : '"');
        if (node == COP_TRIE_ROOT) return;
    }
    e->taken.most = 1 << 20;
    cop_schema_fail(m->t, cop_array_push(&e->taken, node));
}

static void note_list(masker *m, ending *e, uint32_t list, bool values, const char *written, size_t n) {
    schema_arena mem = {.most = 1 << 20};
    for (; list; list = datum_at(m->t, list)->before) {
        const uint32_t *words = &datum_at(m->t, datum_at(m->t, list)->v)->v + 1;
        const char *text = (const char *)(words + 1);
        uint32_t bytes = words[0], spelt_bytes;
        if (values && (*text != 's' || bytes < 5)) continue;  // of the canonical form of a string
        if (values) text += 5, bytes -= 5;
        const char *spelt = cop_schema_spell(&mem, text, bytes, &spelt_bytes);
        if (spelt) note_taken(m, e, spelt, spelt_bytes, written, n);
    }
    cop_schema_arena_fini(&mem);
}

static void find_taken(masker *m, const frame *f, ending *e) {
    schema_text *t = m->t;
    const frame *parent = frame_at(t, f->parent);
    size_t n;
    char *written = cop_schema_tape_text(t, f->kind == F_EXTRA ? f->b : e->c.tape, f->kind == F_EXTRA ? 1 : parent->d, &n);
    if (written && f->kind == F_EXTRA) {
        const schema_object *o = &record_at(t->s, parent->what)->u.object;
        for (uint32_t i = 0; i < o->n; i++) note_taken(m, e, o->members[i].spelt, o->members[i].spelt_bytes, written, n);
        note_list(m, e, parent->c, false, written, n);
        e->same = !e->c.tape && !o->n_exists;
        for (uint32_t i = 0; i < o->n_rules && e->same; i++) e->same = cond_at(t->s, o->rules[i].cond)->pattern == COP_RX_NONE;
    } else if (written && parent->kind == F_ARRAY && n && *written == '"') {
        note_list(m, e, parent->c, true, written + 1, n - 1);
    }
    cop_free(written);
}

// A lexeme whose end depends on what was written.
static void in_checked(masker *m, config c, const frame *f, cop_dfa *dfa, uint32_t node) {
    schema_text *t = m->t;
    ending *e = cop_alloc(sizeof *e);
    cop_dfa_exits exits = {.most = 0};
    size_t words = ((size_t)cop_vocab_trie_get_source(m->v)->V + 63) / 64;
    uint64_t *bits = node == COP_TRIE_ROOT ? cop_alloc_array(words, sizeof *bits) : NULL;
    if (!e || (node == COP_TRIE_ROOT && !bits)) {
        cop_schema_fail(t, cop_fail(COP_ERR_NOMEM, "schema: cannot allocate"));
        cop_free(e);
        cop_free(bits);
        return;
    }
    e->c = c;
    e->from = node;
    find_taken(m, f, e);
    if (node != COP_TRIE_ROOT) {
        walk_checked(m, e, dfa, f->a, node);
    } else {
        cop_schema_fail(t, cop_dfa_mask(dfa, f->a, m->v, bits, &exits));
        for (size_t i = 0; i < e->taken.n; i++) {
            uint32_t token = cop_trie_token(m->nodes[e->taken.v[i]]);
            if (token != COP_TRIE_NO_TOKEN) bits[token / 64] &= ~((uint64_t)1 << (token % 64));
        }
        for (size_t i = 0; i < words; i++) m->bits[i] |= bits[i];
        for (size_t i = 0; i < exits.n && !t->status; i++) end_at(m, e, exits.v[i].node);
    }
    cop_array_fini(&exits);
    cop_array_fini(&e->taken);
    cop_free(bits);
    cop_free(e);
}

static void in_automaton(masker *m, config c, const frame *f, cop_dfa *dfa, uint32_t node) {
    schema_text *t = m->t;
    int32_t reach = cop_dfa_reach(dfa, f->a), rest = cop_schema_frame_rest(t, c.frame), own = cop_dfa_distance(dfa, f->a);
    note(m, reach == SCHEMA_FAR ? SCHEMA_FAR : add_far(rest - own, reach));
    const frame *parent = frame_at(t, f->parent);
    bool checked = f->kind == F_EXTRA || c.tape || (parent->kind == F_ARRAY && record_at(t->s, parent->what)->u.array.unique);
    if (checked) {
        if (f->kind == F_SCALAR && cop_dfa_accepting(dfa, f->a)) by_bytes(m, c, node);  // a number
        else in_checked(m, c, f, dfa, node);
        return;
    }
    config after = {f->parent, 0};
    cop_dfa_exits exits = {.most = 0};
    cop_schema_fail(t, node == COP_TRIE_ROOT ? cop_dfa_mask(dfa, f->a, m->v, m->bits, &exits) : cop_dfa_mask_below(dfa, f->a, m->v, node, m->bits, &exits));
    if (cop_dfa_accepting(dfa, f->a)) below(m, after, node);  // a number may end before the next byte
    for (size_t i = 0; i < exits.n && !t->status; i++) below(m, after, exits.v[i].node);
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

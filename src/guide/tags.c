// Places, tags and inner languages as one language: compiling the graph, steps and distances. Masks: tags_mask.c.
#include "guide/tags_private.h"

#include <string.h>

#define MOST_TRIPLES ((size_t)1 << 22)
#define KEEP_FROM 4096  // triples after which old ones are forgotten

static int32_t add(int32_t a, int32_t b) { return a >= COP_GUIDE_FAR - b ? COP_GUIDE_FAR : a + b; }

// ---- triples ----

static size_t slot_of(const tags *t, triple x) {
    uint64_t h = ((uint64_t)(uint32_t)x.edge << 40 ^ (uint64_t)x.at << 32 ^ x.inner) * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(h >> 24) & (t->table_size - 1);
    while (t->table[at]) {
        const triple *y = &t->triples.v[t->table[at] - t->first];
        if (y->edge == x.edge && y->inner == x.inner && y->at == x.at) break;
        at = (at + 1) & (t->table_size - 1);
    }
    return at;
}

static bool make_room(tags *t) {
    if (t->table_size && t->triples.n * 2 < t->table_size) return true;
    size_t size = t->table_size ? t->table_size * 2 : 256;
    uint32_t *larger = cop_alloc_array(size, sizeof *larger);
    if (!larger) {
        t->failed = COP_ERR_NOMEM;
        return false;
    }
    cop_free(t->table);
    t->table = larger;
    t->table_size = size;
    for (size_t i = 0; i < t->triples.n; i++) larger[slot_of(t, t->triples.v[i])] = t->first + (uint32_t)i;
    return true;
}

static cop_guide_state number(tags *t, triple x) {
    if (!make_room(t)) return COP_GUIDE_DEAD;
    size_t at = slot_of(t, x);
    if (t->table[at]) return t->table[at];
    if (t->triples.n > UINT32_MAX - 2 - t->first) t->failed = COP_ERR_LIMIT;
    else t->failed = cop_array_push(&t->triples, x);
    if (t->failed) return COP_GUIDE_DEAD;
    return t->table[at] = t->first + (uint32_t)t->triples.n - 1;
}

static cop_language *inner_of(const tags *t, int32_t e) { return t->inner[t->g->edges.v[e].inner]; }

// ---- steps ----

static cop_guide_state enter(tags *t, int32_t number_of_edge) {
    const edge *e = &t->g->edges.v[number_of_edge];
    if (e->to == COP_TAG_FORBIDDEN) return COP_GUIDE_DEAD;
    if (e->inner >= 0) {
        cop_language *inner = t->inner[e->inner];
        cop_guide_state s = inner->type->start(inner);
        return s == COP_GUIDE_DEAD ? s : number(t, (triple){number_of_edge, s, 0});
    }
    return e->n_end ? e->end_at : t->g->places[e->to].root;
}

// Of a free place before a trigger: the longest end of the text that may become one.
static uint32_t follow(const graph *g, uint32_t n, int32_t symbol) {
    for (;;) {
        uint32_t c = cop_tags_child(g, n, symbol);
        if (c || g->nodes.v[n].depth == 0) return c ? c : symbol < COP_GUIDE_TOKEN ? n : 0;
        n = g->nodes.v[n].fail;
    }
}

// What came since the place was entered is free text now.
cop_guide_state cop_tags_otherwise(tags *t, uint32_t n) {
    const graph *g = t->g;
    const node *at = &g->nodes.v[n];
    int32_t otherwise = g->places[at->place].otherwise;
    if (at->committed || otherwise < 0) return COP_GUIDE_DEAD;
    cop_guide_state s = g->places[otherwise].root;
    for (int32_t d = 1; d <= at->depth && s != COP_GUIDE_DEAD; d++) {
        uint32_t up = n;
        while (g->nodes.v[up].depth > d) up = g->nodes.v[up].parent;
        s = cop_tags_step(&t->base, s, g->nodes.v[up].symbol);
    }
    return s;
}

static cop_guide_state step_node(tags *t, uint32_t n, int32_t symbol) {
    const graph *g = t->g;
    const node *at = &g->nodes.v[n];
    uint32_t next;
    if (at->dense >= 0)
        next = symbol < COP_GUIDE_TOKEN ? g->next[(size_t)at->dense * 256 + (size_t)symbol] : follow(g, n, symbol);
    else
        next = cop_tags_child(g, n, symbol);
    if (!next) return cop_tags_step(&t->base, cop_tags_otherwise(t, n), symbol);
    return g->nodes.v[next].edge >= 0 ? enter(t, g->nodes.v[next].edge) : next;
}

static cop_guide_state step_position(tags *t, cop_guide_state s, int32_t symbol) {
    const graph *g = t->g;
    const edge *e = &g->edges.v[g->end_edge[s - (uint32_t)g->nodes.n]];
    uint32_t at = s - e->end_at;
    if (e->end[at] != symbol) return COP_GUIDE_DEAD;
    return at + 1 == e->n_end ? g->places[e->to].root : s + 1;
}

static cop_guide_state step_triple(tags *t, cop_guide_state s, int32_t symbol) {
    triple x = cop_tags_triple(t, s);
    const edge *e = &t->g->edges.v[x.edge];
    cop_language *inner = t->inner[e->inner];
    bool knows = symbol < COP_GUIDE_TOKEN || inner->type->named;
    cop_guide_state next = knows ? inner->type->step(inner, x.inner, symbol) : COP_GUIDE_DEAD;
    uint32_t at = 0;
    if (x.at && e->end[x.at] == symbol) at = x.at + 1;
    else if (e->n_end && e->end[0] == symbol && inner->type->accepting(inner, x.inner)) at = 1;
    if (at && at == e->n_end) return t->g->places[e->to].root;
    if (next != COP_GUIDE_DEAD) return number(t, (triple){x.edge, next, at});
    if (at) return e->end_at + at;
    if (e->n_end || !inner->type->accepting(inner, x.inner)) return COP_GUIDE_DEAD;
    return step_node(t, t->g->places[e->to].root, symbol);
}

cop_guide_state cop_tags_step(cop_language *l, cop_guide_state s, int32_t symbol) {
    tags *t = (tags *)l;
    if (s == COP_GUIDE_DEAD || t->failed) return COP_GUIDE_DEAD;
    if (s < t->g->nodes.n) return step_node(t, s, symbol);
    return s < t->g->n_fixed ? step_position(t, s, symbol) : step_triple(t, s, symbol);
}

static cop_guide_state start(cop_language *l) { return ((tags *)l)->g->places[0].root; }

static bool accepting(cop_language *l, cop_guide_state s) {
    tags *t = (tags *)l;
    if (s < t->g->nodes.n) return t->g->nodes.v[s].accepting;
    if (s < t->g->n_fixed) return false;
    triple x = cop_tags_triple(t, s);
    const edge *e = &t->g->edges.v[x.edge];
    return !e->n_end && t->g->nodes.v[t->g->places[e->to].root].accepting && inner_of(t, x.edge)->type->accepting(inner_of(t, x.edge), x.inner);
}

static int32_t place_distance(const graph *g, int32_t to) {
    return to == COP_TAG_FORBIDDEN ? COP_GUIDE_FAR : g->nodes.v[g->places[to].root].distance;
}

static int32_t distance(cop_language *l, cop_guide_state s) {
    tags *t = (tags *)l;
    const graph *g = t->g;
    if (s == COP_GUIDE_DEAD) return COP_GUIDE_FAR;
    if (s < g->nodes.n) return g->nodes.v[s].distance;
    if (s < g->n_fixed) {
        const edge *e = &g->edges.v[g->end_edge[s - (uint32_t)g->nodes.n]];
        return add(place_distance(g, e->to), (int32_t)(e->n_end - (s - e->end_at)));
    }
    triple x = cop_tags_triple(t, s);
    const edge *e = &g->edges.v[x.edge];
    int32_t behind = place_distance(g, e->to), inner = inner_of(t, x.edge)->type->distance(inner_of(t, x.edge), x.inner);
    int32_t whole = inner == COP_GUIDE_FAR ? inner : add(add(behind, (int32_t)e->n_end), inner);
    int32_t beside = x.at ? add(behind, (int32_t)(e->n_end - x.at)) : COP_GUIDE_FAR;
    return whole < beside ? whole : beside;
}

// The farthest that one can be from an end behind s: what the mask saw behind the tokens of its vocabulary, or else
// somewhere in a tag, or as far as an inner language tells.
static int32_t reach(cop_language *l, cop_guide_state s, int symbols) {
    tags *t = (tags *)l;
    const graph *g = t->g;
    int32_t most = t->worst;
    if (s < g->nodes.n && t->seen_worst && t->seen_worst[s]) return t->seen_worst[s] - 1;
    for (size_t i = 0; i < g->edges.n; i++) {
        const edge *e = &g->edges.v[i];
        int32_t behind = place_distance(g, e->to);
        if (behind == COP_GUIDE_FAR || e->inner < 0) continue;
        cop_language *inner = t->inner[e->inner];
        if (!inner->type->reach) return COP_GUIDE_FAR;
        int32_t far = inner->type->reach(inner, inner->type->start(inner), symbols);
        if (s >= g->n_fixed && cop_tags_triple(t, s).edge == (int32_t)i) {
            int32_t now = inner->type->reach(inner, cop_tags_triple(t, s).inner, symbols);
            if (now > far) far = now;
        }
        far = far == COP_GUIDE_FAR ? far : add(add(behind, (int32_t)e->n_end), far);
        if (far > most) most = far;
    }
    return most;
}

static int named(cop_language *l, const int32_t **ids) {
    const graph *g = ((tags *)l)->g;
    *ids = g->named.v;
    return (int)g->named.n;
}

// ---- the life of a text ----

static cop_guide_state keep(cop_language *l, cop_guide_state s) {
    tags *t = (tags *)l;
    bool fixed = s < t->g->n_fixed;
    if (t->triples.n < KEEP_FROM) return s;
    triple x = fixed ? (triple){0, 0, 0} : cop_tags_triple(t, s);
    for (int i = 0; i < t->n_inner; i++) {
        cop_language *inner = t->inner[i];
        if (!inner->type->keep) continue;
        bool inside = !fixed && t->g->edges.v[x.edge].inner == i;
        cop_guide_state now = inner->type->keep(inner, inside ? x.inner : inner->type->start(inner));
        if (inside) x.inner = now;
    }
    t->first += (uint32_t)t->triples.n;
    t->triples.n = 0;
    memset(t->table, 0, t->table_size * sizeof *t->table);
    return fixed ? s : number(t, x);
}

static void close_graph(graph *g) {
    if (!g || atomic_fetch_sub(&g->users, 1) > 1) return;
    cop_array_fini(&g->nodes);
    cop_array_fini(&g->edges);
    cop_array_fini(&g->symbols);
    cop_array_fini(&g->named);
    cop_free(g->next);
    cop_free(g->places);
    cop_free(g->end_edge);
    cop_free(g);
}

static void close_tags(cop_language *l) {
    tags *t = (tags *)l;
    for (int i = 0; i < t->n_inner; i++)
        if (t->inner[i]) t->inner[i]->type->close(t->inner[i]);
    close_graph(t->g);
    cop_tags_forget_masks(t);
    cop_array_fini(&t->triples);
    cop_free(t->inner);
    cop_free(t->table);
    cop_free(t);
}

static cop_status failed(cop_language *l) {
    tags *t = (tags *)l;
    if (t->failed) return cop_fail(t->failed, "tags: %s", t->failed == COP_ERR_NOMEM ? "cannot allocate" : "too many states");
    for (int i = 0; i < t->n_inner; i++)
        if (t->inner[i]->type->failed) COP_TRY(t->inner[i]->type->failed(t->inner[i]));
    return COP_OK;
}

static size_t memory(const cop_language *l) {
    const tags *t = (const tags *)l;
    size_t sum = t->triples.cap * sizeof(triple) + t->table_size * sizeof *t->table;
    for (int i = 0; i < t->n_inner; i++)
        if (t->inner[i]->type->memory) sum += t->inner[i]->type->memory(t->inner[i]);
    return sum;
}

static cop_status fork_tags(cop_language **out, cop_language *l);

static const cop_language_type type = {
    .name = "tags", .start = start, .step = cop_tags_step, .accepting = accepting, .distance = distance, .mask = cop_tags_mask, .reach = reach,
    .named = named, .keep = keep, .fork = fork_tags, .failed = failed, .memory = memory, .close = close_tags,
};

static tags *new_text(graph *g, int n_inner) {
    tags *t = cop_alloc(sizeof *t);
    if (!t) return NULL;
    t->base.type = &type;
    t->g = g;
    t->inner = cop_alloc_array((size_t)n_inner, sizeof *t->inner);
    t->n_inner = t->inner ? n_inner : 0;
    t->triples.most = MOST_TRIPLES;
    t->first = g->n_fixed;
    return t;
}

static cop_status fork_tags(cop_language **out, cop_language *l) {
    tags *from = (tags *)l, *t = new_text(from->g, from->n_inner);
    *out = NULL;
    if (!t) return cop_fail(COP_ERR_NOMEM, "tags: cannot allocate");
    atomic_fetch_add(&t->g->users, 1);
    cop_status st = t->n_inner == from->n_inner ? COP_OK : cop_fail(COP_ERR_NOMEM, "tags: cannot allocate");
    t->worst = from->worst;
    for (int i = 0; i < t->n_inner && !st; i++) st = from->inner[i]->type->fork(&t->inner[i], from->inner[i]);
    if (st) {
        close_tags(&t->base);
        return st;
    }
    *out = &t->base;
    return COP_OK;
}

// ---- compiling ----

static cop_status add_name(graph *g, int32_t symbol) {
    if (symbol < COP_GUIDE_TOKEN) return COP_OK;
    for (size_t i = 0; i < g->named.n; i++)
        if (g->named.v[i] == symbol - COP_GUIDE_TOKEN) return COP_OK;
    return cop_array_push(&g->named, symbol - COP_GUIDE_TOKEN);
}

static cop_status new_node(graph *g, uint32_t *out, uint32_t parent, int32_t symbol, int32_t in) {
    node n = {.symbol = symbol, .place = in, .edge = -1, .dense = -1, .distance = COP_GUIDE_FAR, .parent = parent};
    if (parent) {
        n.depth = g->nodes.v[parent].depth + 1;
        n.sibling = g->nodes.v[parent].child;
        n.committed = g->nodes.v[parent].committed;
    }
    *out = (uint32_t)g->nodes.n;
    COP_TRY(cop_array_push(&g->nodes, n));
    if (parent) g->nodes.v[parent].child = *out;
    return add_name(g, symbol);
}

static cop_status add_begin(graph *g, int32_t in, const cop_tag_edge *from, int32_t number_of_edge) {
    uint32_t n = g->places[in].root;
    for (size_t i = 0; i < from->n_begin; i++) {
        uint32_t c = cop_tags_child(g, n, from->begin[i]);
        if (!c) COP_TRY(new_node(g, &c, n, from->begin[i], in));
        n = c;
        if (g->nodes.v[n].edge >= 0) return cop_fail(COP_ERR_ARG, "tags: place %d: one begin is the beginning of another", in);
        if (i + 1 >= from->n_trigger) g->nodes.v[n].committed = true;
    }
    if (g->nodes.v[n].child) return cop_fail(COP_ERR_ARG, "tags: place %d: one begin is the beginning of another", in);
    g->nodes.v[n].edge = number_of_edge;
    return COP_OK;
}

static cop_status add_edge(graph *g, int32_t in, const cop_tag_edge *from, int n_inner, int n_places) {
    if (!from->n_begin || !from->n_trigger || from->n_trigger > from->n_begin || from->inner >= n_inner || from->to >= n_places ||
        from->to < COP_TAG_FORBIDDEN)
        return cop_fail(COP_ERR_ARG, "tags: place %d: an edge without a begin, or to nowhere", in);
    edge e = {.inner = from->inner, .to = from->to, .n_end = (uint32_t)from->n_end, .end_at = (uint32_t)g->symbols.n};
    for (size_t i = 0; i < from->n_end; i++) {
        COP_TRY(cop_array_push(&g->symbols, from->end[i]));
        COP_TRY(add_name(g, from->end[i]));
    }
    COP_TRY(cop_array_push(&g->edges, e));
    return add_begin(g, in, from, (int32_t)g->edges.n - 1);
}

// Fail links by breadth, then the rows of each node before a trigger.
static cop_status add_automaton(graph *g, int32_t in) {
    COP_ARRAY(uint32_t) queue = {0};
    uint32_t root = g->places[in].root;
    cop_status st = cop_array_push(&queue, root);
    for (size_t i = 0; i < queue.n && !st; i++) {
        uint32_t n = queue.v[i];
        g->nodes.v[n].dense = g->n_dense++;
        for (uint32_t c = g->nodes.v[n].child; c && !st; c = g->nodes.v[c].sibling) {
            g->nodes.v[c].fail = n == root ? root : follow(g, g->nodes.v[n].fail, g->nodes.v[c].symbol);
            if (!g->nodes.v[c].fail) g->nodes.v[c].fail = root;
            if (!g->nodes.v[c].committed) st = cop_array_push(&queue, c);
        }
    }
    cop_array_fini(&queue);
    return st;
}

// A trigger may end inside the way to another one.
static uint32_t trigger_in(const graph *g, uint32_t n) {
    for (uint32_t f = n; f && g->nodes.v[f].depth; f = g->nodes.v[f].fail)
        if (g->nodes.v[f].committed) return f;
    return n;
}

static cop_status fill_rows(graph *g) {
    g->next = cop_alloc_array((size_t)g->n_dense * 256 + 1, sizeof *g->next);
    if (!g->next) return cop_fail(COP_ERR_NOMEM, "tags: cannot allocate");
    for (uint32_t n = 1; n < g->nodes.n; n++)
        for (int32_t b = 0; b < 256 && g->nodes.v[n].dense >= 0; b++)
            g->next[(size_t)g->nodes.v[n].dense * 256 + (size_t)b] = trigger_in(g, follow(g, n, b));
    return COP_OK;
}

static int32_t edge_distance(const tags *t, int32_t number_of_edge) {
    const edge *e = &t->g->edges.v[number_of_edge];
    int32_t d = add(place_distance(t->g, e->to), (int32_t)e->n_end);
    if (e->inner < 0 || e->to == COP_TAG_FORBIDDEN) return d;
    cop_language *inner = t->inner[e->inner];
    int32_t in = inner->type->distance(inner, inner->type->start(inner));
    return in == COP_GUIDE_FAR ? in : add(d, in);
}

// Shortest ways, until nothing gets shorter: nodes come behind their parents, so few rounds do.
static void find_distances(tags *t) {
    graph *g = t->g;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = (uint32_t)g->nodes.n - 1; n > 0; n--) {
            node *x = &g->nodes.v[n];
            int32_t d = x->accepting ? 0 : x->distance;
            for (uint32_t c = x->child; c; c = g->nodes.v[c].sibling) {
                int32_t below = add(g->nodes.v[c].edge >= 0 ? edge_distance(t, g->nodes.v[c].edge) : g->nodes.v[c].distance, 1);
                if (below < d) d = below;
            }
            if (x->dense >= 0 && x->depth && g->nodes.v[x->fail].distance < d) d = g->nodes.v[x->fail].distance;
            if (d < x->distance) {
                x->distance = d;
                changed = true;
            }
        }
    }
}

static int32_t worst_distance(const graph *g) {
    int32_t worst = 0;
    for (uint32_t n = 1; n < g->nodes.n; n++)
        if (g->nodes.v[n].distance > worst && g->nodes.v[n].distance < COP_GUIDE_FAR) worst = g->nodes.v[n].distance;
    for (size_t i = 0; i < g->edges.n; i++) {
        int32_t d = add(place_distance(g, g->edges.v[i].to), (int32_t)g->edges.v[i].n_end);
        if (d > worst && d < COP_GUIDE_FAR) worst = d;
    }
    return worst;
}

static cop_status compile(graph *g, const cop_tag_place *places, int n_places, int n_inner) {
    g->places = cop_alloc_array((size_t)n_places, sizeof *g->places);
    if (!g->places) return cop_fail(COP_ERR_NOMEM, "tags: cannot allocate");
    g->n_places = n_places;
    COP_TRY(cop_array_push(&g->nodes, ((node){.edge = -1, .dense = -1})));
    for (int p = 0; p < n_places; p++) {
        const cop_tag_place *from = &places[p];
        if (!from->free && (from->otherwise >= n_places || (from->otherwise >= 0 && !places[from->otherwise].free)))
            return cop_fail(COP_ERR_ARG, "tags: place %d: the other place is not free", p);
        g->places[p] = (place){from->free, from->accepting, from->free ? -1 : from->otherwise, 0};
        COP_TRY(new_node(g, &g->places[p].root, 0, -1, p));
        for (size_t i = 0; i < from->n_edges; i++) COP_TRY(add_edge(g, p, &from->edges[i], n_inner, n_places));
    }
    for (int p = 0; p < n_places; p++)
        if (places[p].free) COP_TRY(add_automaton(g, p));
    COP_TRY(fill_rows(g));
    for (uint32_t n = 1; n < g->nodes.n; n++) {
        node *x = &g->nodes.v[n];
        const place *in = &g->places[x->place];
        x->accepting = !x->committed && (in->free || !x->depth ? in->accepting || (in->otherwise >= 0 && places[in->otherwise].accepting)
                                                               : in->otherwise >= 0 && places[in->otherwise].accepting);
    }
    g->n_positions = (uint32_t)g->symbols.n;
    g->n_fixed = (uint32_t)(g->nodes.n + g->symbols.n);
    g->end_edge = cop_alloc_array(g->n_positions, sizeof *g->end_edge);
    if (!g->end_edge) return cop_fail(COP_ERR_NOMEM, "tags: cannot allocate");
    for (size_t i = 0; i < g->edges.n; i++) {
        edge *e = &g->edges.v[i];
        e->end = g->symbols.v + e->end_at;
        for (uint32_t k = 0; k < e->n_end; k++) g->end_edge[e->end_at + k] = (uint32_t)i;
        e->end_at += (uint32_t)g->nodes.n;
    }
    return COP_OK;
}

cop_status cop_language_tags(cop_language **out, cop_language *const *inner, int n_inner, const cop_tag_place *places, int n_places) {
    *out = NULL;
    graph *g = cop_alloc(sizeof *g);
    tags *t = NULL;
    cop_status st = g && n_places > 0 ? COP_OK : cop_fail(g ? COP_ERR_ARG : COP_ERR_NOMEM, "tags: no places, or no memory");
    if (g) {
        atomic_init(&g->users, 1);
        g->nodes.most = g->symbols.most = COP_TAG_MOST_SYMBOLS;
    }
    if (!st) st = compile(g, places, n_places, n_inner);
    for (int i = 0; i < n_inner && !st; i++) {
        const int32_t *ids;
        int n = inner[i]->type->named ? inner[i]->type->named(inner[i], &ids) : 0;
        for (int k = 0; k < n && !st; k++) st = add_name(g, COP_GUIDE_TOKEN + ids[k]);
    }
    if (!st && (!(t = new_text(g, n_inner)) || t->n_inner < n_inner)) st = cop_fail(COP_ERR_NOMEM, "tags: cannot allocate");
    if (st) {
        for (int i = 0; i < n_inner; i++) inner[i]->type->close(inner[i]);
        if (t) close_tags(&t->base);
        else if (g) close_graph(g);
        return st;
    }
    if (n_inner) memcpy(t->inner, inner, (size_t)n_inner * sizeof *inner);
    find_distances(t);
    t->worst = worst_distance(g);
    *out = &t->base;
    return COP_OK;
}

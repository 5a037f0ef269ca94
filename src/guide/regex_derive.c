// Derivatives, and whether there is any text: a plain expression that is not COP_RX_NONE has one; with intersections
// and complements an A* search through the derivatives decides, led by the lower bounds of lengths.
#include <string.h>

#include "base/alloc.h"
#include "guide/regex_private.h"

#define N_DERIVED ((size_t)1 << 13)

static cop_rx derive_concat(cop_regex_set *set, cop_rx e, uint8_t byte) {
    cop_rx out = COP_RX_NONE;
    for (bool more = true; more;) {  // along the chain as long as its heads can be empty
        bool chain = COP_RX_NODE(set, e)->kind == COP_RX_CONCAT;
        cop_rx head = chain ? COP_RX_NODE(set, e)->a : e, rest = chain ? COP_RX_NODE(set, e)->b : COP_RX_EMPTY;
        cop_rx d = cop_rx_mk_concat(set, cop_rx_derive(set, head, byte), rest);
        if (d != COP_RX_NONE) out = out == COP_RX_NONE ? d : cop_rx_mk_or2(set, out, d);
        more = chain && cop_rx_has(set, head, COP_RX_NULLABLE);
        e = rest;
    }
    return out;
}

static cop_rx derive_list(cop_regex_set *set, cop_rx e, uint8_t byte) {
    cop_rx_node n = *COP_RX_NODE(set, e);
    cop_rx small[32], *kids = n.b <= 32 ? small : cop_alloc_array(n.b, sizeof *kids);
    if (!kids) return cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate"), COP_RX_NONE;
    size_t k = 0;
    for (uint32_t i = 0; i < n.b; i++) {
        cop_rx d = cop_rx_derive(set, set->kids.v[n.a + i], byte);
        if (d != COP_RX_NONE || n.kind == COP_RX_AND) kids[k++] = d;
        if (d == COP_RX_NONE && n.kind == COP_RX_AND) break;  // nothing is left
    }
    cop_rx out = n.kind == COP_RX_OR ? (k ? cop_rx_mk_or(set, kids, k) : COP_RX_NONE) : cop_rx_mk_and(set, kids, k);
    if (kids != small) cop_free(kids);
    return out;
}

cop_rx cop_rx_derive(cop_regex_set *set, cop_rx e, uint8_t byte) {
    if (e <= COP_RX_EMPTY || e == COP_RX_ALL) return e == COP_RX_ALL ? e : COP_RX_NONE;
    cop_rx_node n = *COP_RX_NODE(set, e);
    if (n.kind == COP_RX_BYTES) return set->byte_sets.v[n.a].bits[byte / 64] >> (byte % 64) & 1 ? COP_RX_EMPTY : COP_RX_NONE;
    if (!cop_rx_burn(set, 1)) return COP_RX_NONE;
    if (!set->derived && !(set->derived = cop_alloc_array(N_DERIVED, sizeof *set->derived))) {
        cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate");
        return COP_RX_NONE;
    }
    cop_rx_memo *memo = &set->derived[(e * 0x9E3779B1u ^ byte * 0x85EBCA6Bu) >> 7 & (N_DERIVED - 1)];
    if (memo->of == e && memo->how == byte) return memo->to;
    cop_rx out = COP_RX_NONE;
    switch (n.kind) {
    case COP_RX_CONCAT: out = derive_concat(set, e, byte); break;
    case COP_RX_OR:
    case COP_RX_AND: out = derive_list(set, e, byte); break;
    case COP_RX_NOT: out = cop_rx_mk_not(set, cop_rx_derive(set, n.a, byte), false); break;
    case COP_RX_REPEAT:
        out = cop_rx_derive(set, n.a, byte);
        if (out == COP_RX_NONE) break;
        out = cop_rx_mk_concat(set, out, cop_rx_mk_repeat(set, n.a, n.low ? n.low - 1 : 0, n.high == COP_RX_MANY ? n.high : n.high - 1));
        break;
    default: cop_rx_give_up(set, COP_ERR_ARG, "regular expression: characters that were not encoded");
    }
    if (!atomic_load(&set->failed)) *memo = (cop_rx_memo){e, byte, out};
    return out;
}

// ---- classes of bytes ----

static void split_classes(cop_rx_classes *c, const uint64_t bits[4]) {
    int16_t now[2][256];
    uint8_t of[256];
    int n = 0;
    memset(now, -1, sizeof now);
    for (int b = 0; b < 256; b++) {
        int16_t *to = &now[bits[b / 64] >> (b % 64) & 1][c->of[b]];
        if (*to < 0) {
            c->byte[n] = (uint8_t)b;
            *to = (int16_t)n++;
        }
        of[b] = (uint8_t)*to;
    }
    memcpy(c->of, of, sizeof of);
    c->n = n;
}

void cop_rx_find_classes(cop_regex_set *set, cop_rx e, cop_rx_classes *out) {
    COP_ARRAY(cop_rx) todo = {.most = 1 << 26};
    uint8_t *seen = cop_alloc(set->nodes.n / 8 + 1), *split = cop_alloc(set->byte_sets.n / 8 + 1);
    memset(out, 0, sizeof *out);
    out->n = 1;
    bool room = seen && split && !cop_array_push(&todo, e);
    while (room && todo.n) {
        cop_rx x = todo.v[--todo.n];
        if (seen[x / 8] >> (x % 8) & 1) continue;
        seen[x / 8] |= (uint8_t)(1 << (x % 8));
        const cop_rx_node *n = COP_RX_NODE(set, x);
        room = cop_rx_burn(set, 1);
        if (n->kind == COP_RX_BYTES && !(split[n->a / 8] >> (n->a % 8) & 1)) {
            split[n->a / 8] |= (uint8_t)(1 << (n->a % 8));
            split_classes(out, set->byte_sets.v[n->a].bits);
        } else if (n->kind == COP_RX_OR || n->kind == COP_RX_AND) {
            for (uint32_t i = 0; i < n->b && room; i++) room = !cop_array_push(&todo, set->kids.v[n->a + i]);
        } else if (n->kind >= COP_RX_CONCAT) {
            room = !cop_array_push(&todo, n->a) && (n->kind != COP_RX_CONCAT || !cop_array_push(&todo, n->b));
        }
    }
    if (!room) cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate");
    cop_array_fini(&todo);
    cop_free(seen);
    cop_free(split);
}

// ---- search for a text ----

typedef struct place {
    cop_rx rx;
    uint32_t from;    // index of the place before it
    uint32_t way;     // bytes to here
    uint32_t bound;   // way and what is missing at least
    bool done;
} place;

typedef struct search {
    cop_regex_set *set;
    const cop_rx_classes *classes;
    COP_ARRAY(place) places;
    COP_ARRAY(uint32_t) heap;   // of places, the nearest first
    uint32_t *index;
    size_t index_size;
} search;

static bool is_nearer(const search *s, uint32_t a, uint32_t b) {
    const place *x = &s->places.v[a], *y = &s->places.v[b];
    return x->bound != y->bound ? x->bound < y->bound : x->way > y->way;
}

static bool push_heap(search *s, uint32_t i) {
    if (cop_array_push(&s->heap, i)) return false;
    size_t at = s->heap.n - 1;
    for (; at && is_nearer(s, i, s->heap.v[(at - 1) / 2]); at = (at - 1) / 2) s->heap.v[at] = s->heap.v[(at - 1) / 2];
    s->heap.v[at] = i;
    return true;
}

static uint32_t pop_heap(search *s) {
    uint32_t first = s->heap.v[0], last = s->heap.v[--s->heap.n];
    size_t at = 0, n = s->heap.n;
    for (size_t kid; (kid = 2 * at + 1) < n; at = kid) {
        if (kid + 1 < n && is_nearer(s, s->heap.v[kid + 1], s->heap.v[kid])) kid++;
        if (!is_nearer(s, s->heap.v[kid], last)) break;
        s->heap.v[at] = s->heap.v[kid];
    }
    if (n) s->heap.v[at] = last;
    return first;
}

static uint32_t *find_place(search *s, cop_rx e) {
    size_t at = e * (size_t)0x9E3779B1u & (s->index_size - 1);
    while (s->index[at] && s->places.v[s->index[at] - 1].rx != e) at = (at + 1) & (s->index_size - 1);
    return &s->index[at];
}

static bool grow_index(search *s) {
    size_t size = s->index_size ? s->index_size * 4 : 64;
    uint32_t *larger = cop_alloc_array(size, sizeof *larger);
    if (!larger) return false;
    cop_free(s->index);
    s->index = larger;
    s->index_size = size;
    for (uint32_t i = 0; i < s->places.n; i++) *find_place(s, s->places.v[i].rx) = i + 1;
    return true;
}

// Bytes to acceptance as far as they are known without a search: COP_GUIDE_FAR none, -1 not known.
static int32_t known_distance(const cop_regex_set *set, cop_rx e) {
    const cop_rx_node *n = COP_RX_NODE(set, e);
    if (e == COP_RX_NONE) return COP_GUIDE_FAR;
    if (n->flags & COP_RX_NULLABLE) return 0;
    if (n->flags & COP_RX_PLAIN) return n->shortest < COP_GUIDE_FAR ? (int32_t)n->shortest : COP_GUIDE_FAR - 1;
    return n->distance;
}

static bool visit(search *s, cop_rx e, uint32_t from, uint32_t way) {
    int32_t known = known_distance(s->set, e);
    if (known == COP_GUIDE_FAR) return true;
    if (s->places.n * 2 >= s->index_size && !grow_index(s)) return false;
    uint32_t *at = find_place(s, e), bound = cop_rx_add(way, known >= 0 ? (uint32_t)known : COP_RX_NODE(s->set, e)->shortest);
    if (*at) {
        place *p = &s->places.v[*at - 1];
        if (p->done || p->way <= way) return true;
        p->way = way;
        p->from = from;
        p->bound = bound;
        return push_heap(s, *at - 1);  // its older entry comes later and finds it done
    }
    if (cop_array_push(&s->places, ((place){e, from, way, bound, false}))) return false;
    *at = (uint32_t)s->places.n;
    return push_heap(s, (uint32_t)s->places.n - 1);
}

static int32_t run_search(search *s) {
    cop_regex_set *set = s->set;
    while (s->heap.n) {
        uint32_t i = pop_heap(s);
        place p = s->places.v[i];
        if (p.done) continue;
        s->places.v[i].done = true;
        int32_t known = known_distance(set, p.rx);
        if (known >= 0) {  // found: the whole way is known now
            for (uint32_t k = p.from, left = (uint32_t)known + 1; k != UINT32_MAX; k = s->places.v[k].from, left++)
                set->nodes.v[s->places.v[k].rx].distance = left < COP_GUIDE_FAR ? (int32_t)left : COP_GUIDE_FAR - 1;
            return set->nodes.v[s->places.v[0].rx].distance;
        }
        for (int c = 0; c < s->classes->n; c++) {
            cop_rx d = cop_rx_derive(set, p.rx, s->classes->byte[c]);
            if (!atomic_load(&set->failed) && d != COP_RX_NONE && !visit(s, d, i, p.way + 1))
                cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate");
            if (atomic_load(&set->failed)) return COP_GUIDE_FAR;
        }
    }
    for (size_t i = 0; i < s->places.n; i++) set->nodes.v[s->places.v[i].rx].distance = COP_GUIDE_FAR;
    return COP_GUIDE_FAR;
}

int32_t cop_rx_find_distance(cop_regex_set *set, cop_rx e, const cop_rx_classes *classes) {
    int32_t known = known_distance(set, e);
    if (known >= 0 || atomic_load(&set->failed)) return known >= 0 ? known : COP_GUIDE_FAR;
    search s = {.set = set, .classes = classes, .places.most = 1 << 24, .heap.most = 1 << 26};
    int32_t out = COP_GUIDE_FAR;
    if (visit(&s, e, UINT32_MAX, 0)) out = run_search(&s);
    else cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate");
    cop_array_fini(&s.places);
    cop_array_fini(&s.heap);
    cop_free(s.index);
    return out;
}

// Union and intersection: sorted lists without lists inside, and what can be said without looking into the members.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "guide/regex_private.h"

#define SMALL 64

typedef struct members {
    cop_rx small[SMALL], *v;
    size_t n;
} members;

// The lists among list[0..n) opened.
static bool open_lists(cop_regex_set *set, cop_rx_kind kind, const cop_rx *list, size_t n, members *m) {
    size_t most = 0;
    for (size_t i = 0; i < n; i++) most += COP_RX_NODE(set, list[i])->kind == kind ? COP_RX_NODE(set, list[i])->b : 1;
    m->n = 0;
    m->v = most <= SMALL ? m->small : cop_alloc_array(most, sizeof *m->v);
    if (!m->v) return cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate"), false;
    for (size_t i = 0; i < n; i++) {
        const cop_rx_node *k = COP_RX_NODE(set, list[i]);
        size_t count = k->kind == kind ? k->b : 1;
        memcpy(m->v + m->n, k->kind == kind ? set->kids.v + k->a : &list[i], count * sizeof *m->v);
        m->n += count;
    }
    return true;
}

static void close_lists(members *m) {
    if (m->v != m->small) cop_free(m->v);
}

static int compare_rx(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sort_members(members *m) {
    if (m->n > 16) {
        qsort(m->v, m->n, sizeof *m->v, compare_rx);
    } else {
        for (size_t i = 1; i < m->n; i++) {
            cop_rx x = m->v[i];
            size_t k = i;
            for (; k > 0 && m->v[k - 1] > x; k--) m->v[k] = m->v[k - 1];
            m->v[k] = x;
        }
    }
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (!n || m->v[n - 1] != m->v[i]) m->v[n++] = m->v[i];
    m->n = n;
}

static bool holds(const members *m, cop_rx e) { return bsearch(&e, m->v, m->n, sizeof e, compare_rx) != NULL; }

// All sets of bytes among the members as one.
static void merge_bytes(cop_regex_set *set, members *m, bool meet) {
    uint64_t bits[4] = {0};
    size_t n = 0, found = 0;
    for (size_t i = 0; i < m->n; i++) {
        const cop_rx_node *k = COP_RX_NODE(set, m->v[i]);
        if (k->kind != COP_RX_BYTES) {
            m->v[n++] = m->v[i];
            continue;
        }
        const uint64_t *more = set->byte_sets.v[k->a].bits;
        for (int w = 0; w < 4; w++) bits[w] = meet && found ? bits[w] & more[w] : bits[w] | more[w];
        found++;
    }
    if (!found) return;
    m->v[n++] = cop_rx_mk_bytes(set, bits);
    m->n = n;
}

// What a code point set leaves out, as ranges; used for intersections by De Morgan.
static size_t invert(const uint32_t (*in)[2], size_t n, uint32_t (*out)[2]) {
    uint32_t from = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (in[i][0] > from) out[k][0] = from, out[k++][1] = in[i][0] - 1;
        from = in[i][1] + 1;
    }
    if (from <= 0x10FFFF) out[k][0] = from, out[k++][1] = 0x10FFFF;
    return k;
}

static cop_rx invert_characters(cop_regex_set *set, cop_rx e, uint32_t (*room)[2]) {
    cop_rx_ranges r = set->range_sets.v[COP_RX_NODE(set, e)->a];
    size_t n = invert((const uint32_t(*)[2])(set->pairs.v + r.at), r.n, room);
    return cop_rx_mk_characters(set, (const uint32_t(*)[2])room, n);
}

// Two sets of characters as one: their union, or what both have.
static cop_rx merge_pair(cop_regex_set *set, cop_rx a, cop_rx b, bool meet) {
    if (a == COP_RX_NONE || b == COP_RX_NONE) return meet ? COP_RX_NONE : a | b;
    cop_rx_ranges x = set->range_sets.v[COP_RX_NODE(set, a)->a], y = set->range_sets.v[COP_RX_NODE(set, b)->a];
    uint32_t(*room)[2] = cop_alloc_array((size_t)x.n + y.n + 4, sizeof *room);
    if (!room) return cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate"), COP_RX_NONE;
    cop_rx out;
    if (meet) {
        cop_rx not_a = invert_characters(set, a, room), not_b = invert_characters(set, b, room);
        cop_rx either = merge_pair(set, not_a, not_b, false);
        cop_rx_ranges r = either == COP_RX_NONE ? (cop_rx_ranges){0, 0} : set->range_sets.v[COP_RX_NODE(set, either)->a];
        uint32_t(*more)[2] = cop_alloc_array((size_t)r.n + 2, sizeof *more);
        size_t n = more ? invert((const uint32_t(*)[2])(set->pairs.v + r.at), r.n, more) : 0;
        out = cop_rx_mk_characters(set, (const uint32_t(*)[2])more, n);
        cop_free(more);
    } else {
        memcpy(room, set->pairs.v + x.at, x.n * sizeof *room);
        memcpy(room + x.n, set->pairs.v + y.at, y.n * sizeof *room);
        out = cop_rx_mk_characters(set, (const uint32_t(*)[2])room, (size_t)x.n + y.n);
    }
    cop_free(room);
    return out;
}

static void merge_characters(cop_regex_set *set, members *m, bool meet) {
    cop_rx all = COP_RX_NONE;
    size_t n = 0, found = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (COP_RX_NODE(set, m->v[i])->kind != COP_RX_CHARACTERS) m->v[n++] = m->v[i];
        else all = found++ ? merge_pair(set, all, m->v[i], meet) : m->v[i];
    }
    if (!found) return;
    m->v[n++] = all;
    m->n = n;
}

typedef struct headed {
    cop_rx tail, whole;
} headed;

static int compare_headed(const void *a, const void *b) {
    const headed *x = a, *y = b;
    return (x->tail > y->tail) - (x->tail < y->tail);
}

// xt | yt = (x|y)t where x and y are sets of bytes: the forms that characters take in UTF-8.
static void merge_tails(cop_regex_set *set, members *m) {
    headed small[SMALL], *h = m->n <= SMALL ? small : cop_alloc_array(m->n, sizeof *h);
    size_t n = 0, kept = 0;
    if (!h) return;
    for (size_t i = 0; i < m->n; i++) {
        const cop_rx_node *k = COP_RX_NODE(set, m->v[i]);
        if (k->kind == COP_RX_CONCAT && COP_RX_NODE(set, k->a)->kind == COP_RX_BYTES) h[n++] = (headed){k->b, m->v[i]};
        else m->v[kept++] = m->v[i];
    }
    if (n > 1) qsort(h, n, sizeof *h, compare_headed);
    for (size_t i = 0, end; i < n; i = end) {
        uint64_t bits[4] = {0};
        for (end = i; end < n && h[end].tail == h[i].tail; end++) {
            const uint64_t *more = set->byte_sets.v[COP_RX_NODE(set, COP_RX_NODE(set, h[end].whole)->a)->a].bits;
            for (int w = 0; w < 4; w++) bits[w] |= more[w];
        }
        m->v[kept++] = end == i + 1 ? h[i].whole : cop_rx_mk_concat(set, cop_rx_mk_bytes(set, bits), h[i].tail);
    }
    m->n = kept;
    if (h != small) cop_free(h);
}

// "All sequences of characters" takes in every other such sequence, and adds nothing to an intersection with one.
static void mind_universe(cop_regex_set *set, members *m, bool meet) {
    for (int u = 0; u < 4; u++) {
        if (!set->universe[u] || !holds(m, set->universe[u])) continue;
        uint8_t flag = u < 3 ? (uint8_t)(COP_RX_WELL_FORMED << u) : COP_RX_OF_CHARACTERS;
        size_t n = 0;
        bool other = false;
        for (size_t i = 0; i < m->n; i++) {
            bool within = m->v[i] != set->universe[u] && (cop_rx_has(set, m->v[i], flag) || m->v[i] == COP_RX_EMPTY);
            other |= within;
            if (meet || !within) m->v[n++] = m->v[i];
        }
        m->n = n;
        for (size_t i = n = 0; meet && other && i < m->n; i++)
            if (m->v[i] != set->universe[u]) m->v[n++] = m->v[i];
        if (meet && other) m->n = n;
    }
}

static cop_rx make_list(cop_regex_set *set, cop_rx_kind kind, const members *m) {
    return cop_rx_intern(set, (cop_rx_node){.kind = kind, .b = (uint32_t)m->n}, m->v);
}

static void drop(members *m, cop_rx e) {
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i] != e) m->v[n++] = m->v[i];
    m->n = n;
}

cop_rx cop_rx_mk_or(cop_regex_set *set, const cop_rx *list, size_t n) {
    members m;
    if (!open_lists(set, COP_RX_OR, list, n, &m)) return COP_RX_NONE;
    merge_bytes(set, &m, false);
    merge_characters(set, &m, false);
    merge_tails(set, &m);
    sort_members(&m);
    drop(&m, COP_RX_NONE);
    bool all = holds(&m, COP_RX_ALL), nullable = false;
    for (size_t i = 0; i < m.n; i++) {
        nullable |= m.v[i] != COP_RX_EMPTY && cop_rx_has(set, m.v[i], COP_RX_NULLABLE);
        const cop_rx_node *k = COP_RX_NODE(set, m.v[i]);
        all |= k->kind == COP_RX_NOT && !k->b && holds(&m, k->a);
    }
    if (nullable) drop(&m, COP_RX_EMPTY);
    mind_universe(set, &m, false);
    cop_rx out = all ? COP_RX_ALL : !m.n ? COP_RX_NONE : m.n == 1 ? m.v[0] : make_list(set, COP_RX_OR, &m);
    close_lists(&m);
    return out;
}

// Can no text be in all of them, by what is known of their lengths and of pairs?
static bool excludes(const cop_regex_set *set, const members *m) {
    uint32_t shortest = 0, longest = COP_RX_MANY;
    for (size_t i = 0; i < m->n; i++) {
        const cop_rx_node *k = COP_RX_NODE(set, m->v[i]);
        if (k->shortest > shortest) shortest = k->shortest;
        if (k->longest < longest) longest = k->longest;
        if (k->kind == COP_RX_NOT && holds(m, k->a)) return true;
    }
    return shortest > longest;
}

cop_rx cop_rx_mk_and(cop_regex_set *set, const cop_rx *list, size_t n) {
    members m;
    if (!open_lists(set, COP_RX_AND, list, n, &m)) return COP_RX_NONE;
    merge_bytes(set, &m, true);
    merge_characters(set, &m, true);
    sort_members(&m);
    bool none = holds(&m, COP_RX_NONE), empty = holds(&m, COP_RX_EMPTY);
    for (size_t i = 0; empty && i < m.n; i++) none |= !cop_rx_has(set, m.v[i], COP_RX_NULLABLE);
    drop(&m, COP_RX_ALL);
    none = none || excludes(set, &m);
    if (!none) mind_universe(set, &m, true);
    cop_rx out = none ? COP_RX_NONE : empty ? COP_RX_EMPTY : !m.n ? COP_RX_ALL : m.n == 1 ? m.v[0] : make_list(set, COP_RX_AND, &m);
    close_lists(&m);
    return out;
}

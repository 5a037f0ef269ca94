// Making expressions: hash-consing, and the rules by which equal ones become one. The rules are what keeps the number
// of derivatives finite (union and intersection as sorted sets) and mostly small (merged sets of bytes and
// repetitions, texts within "all characters", intersections of lengths that exclude each other).
#include <string.h>

#include "base/alloc.h"
#include "guide/regex_private.h"

void cop_rx_give_up(cop_regex_set *set, cop_status status, const char *reason) {
    if (atomic_load(&set->failed)) return;
    size_t n = strlen(reason) < sizeof set->reason - 1 ? strlen(reason) : sizeof set->reason - 1;
    memcpy(set->reason, reason, n);
    set->reason[n] = 0;
    atomic_store(&set->failed, (int)status);
}

bool cop_rx_burn(cop_regex_set *set, uint64_t amount) {
    if (set->fuel > amount) {
        set->fuel -= amount;
        return true;
    }
    set->fuel = 0;
    cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too costly, its automaton has too many states");
    return false;
}

static uint32_t hash_node(const cop_rx_node *n, const uint32_t *kids) {
    uint64_t h = n->kind * 0x9E3779B97F4A7C15u ^ ((uint64_t)n->low << 32 | n->high);
    h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9u;
    if (kids)
        for (uint32_t i = 0; i < n->b; i++) h = (h ^ kids[i]) * 0x100000001B3u + (h >> 31);
    else
        h ^= ((uint64_t)n->a << 32 | n->b) * 0xD6E8FEB86659FD93u;
    return (uint32_t)(h ^ h >> 32);
}

static bool is_same(const cop_regex_set *set, const cop_rx_node *x, const cop_rx_node *n, const uint32_t *kids) {
    if (x->kind != n->kind || x->b != n->b || x->low != n->low || x->high != n->high) return false;
    return kids ? !memcmp(set->kids.v + x->a, kids, n->b * sizeof *kids) : x->a == n->a;
}

static bool grow_buckets(cop_regex_set *set) {
    size_t size = set->n_buckets ? set->n_buckets * 2 : 1024;
    uint32_t *buckets = cop_alloc_array(size, sizeof *buckets);
    if (!buckets) return cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate"), false;
    for (uint32_t i = 3; i < set->nodes.n; i++) {
        cop_rx_node *n = &set->nodes.v[i];
        bool listed = n->kind == COP_RX_OR || n->kind == COP_RX_AND;
        uint32_t at = hash_node(n, listed ? set->kids.v + n->a : NULL) & (uint32_t)(size - 1);
        n->next = buckets[at];
        buckets[at] = i;
    }
    cop_free(set->buckets);
    set->buckets = buckets;
    set->n_buckets = size;
    return true;
}

// Flags and bounds of a list: of all kids together.
static void bound_list(const cop_regex_set *set, cop_rx_node *n, const uint32_t *kids) {
    bool is_or = n->kind == COP_RX_OR;
    uint8_t all = 0xFF, any = 0;
    n->shortest = is_or ? COP_RX_MANY : 0;
    n->longest = is_or ? 0 : COP_RX_MANY;
    for (uint32_t i = 0; i < n->b; i++) {
        const cop_rx_node *k = COP_RX_NODE(set, kids[i]);
        all &= k->flags;
        any |= k->flags;
        if (is_or ? k->shortest < n->shortest : k->shortest > n->shortest) n->shortest = k->shortest;
        if (is_or ? k->longest > n->longest : k->longest < n->longest) n->longest = k->longest;
        if (k->reach > n->reach) n->reach = k->reach;
        if (k->depth >= n->depth) n->depth = k->depth + 1;
    }
    uint8_t formed = 7 * COP_RX_WELL_FORMED;
    n->flags = (is_or ? any : all) & COP_RX_NULLABLE;
    n->flags |= (any & COP_RX_OF_CHARACTERS) | ((is_or ? all : any) & formed) | (is_or ? all & COP_RX_PLAIN : 0);
}

static void bound_node(const cop_regex_set *set, cop_rx_node *n) {
    const cop_rx_node *a = n->kind >= COP_RX_CONCAT ? COP_RX_NODE(set, n->a) : NULL;
    const cop_rx_node *b = n->kind == COP_RX_CONCAT ? COP_RX_NODE(set, n->b) : NULL;
    uint8_t kept = COP_RX_PLAIN | 7 * COP_RX_WELL_FORMED;
    switch (n->kind) {
    case COP_RX_CONCAT:
        n->flags = (a->flags & b->flags & (kept | COP_RX_NULLABLE)) | ((a->flags | b->flags) & COP_RX_OF_CHARACTERS);
        n->shortest = cop_rx_add(a->shortest, b->shortest);
        n->longest = cop_rx_add(a->longest, b->longest);
        n->reach = cop_rx_add(a->reach, b->shortest);
        if (b->reach > n->reach) n->reach = b->reach;
        n->depth = a->depth + 1 > b->depth ? a->depth + 1 : b->depth;
        break;
    case COP_RX_NOT:
        n->flags = (a->flags & COP_RX_NULLABLE ? 0 : COP_RX_NULLABLE) | (a->flags & COP_RX_OF_CHARACTERS) |
                   (n->b ? COP_RX_OF_CHARACTERS : 0);
        n->shortest = a->flags & COP_RX_NULLABLE ? 1 : 0;
        n->longest = COP_RX_MANY;
        n->depth = a->depth + 1;
        break;
    case COP_RX_REPEAT:
        n->flags = (a->flags & (kept | COP_RX_OF_CHARACTERS)) | (n->low ? a->flags & COP_RX_NULLABLE : COP_RX_NULLABLE);
        n->shortest = cop_rx_times(a->shortest, n->low);
        n->longest = cop_rx_times(a->longest, n->high);
        n->reach = cop_rx_add(a->reach, cop_rx_times(a->shortest, n->low ? n->low - 1 : 0));
        n->depth = a->depth + 1;
        break;
    default:  // one byte or character
        n->flags = COP_RX_PLAIN | (n->kind == COP_RX_CHARACTERS ? COP_RX_OF_CHARACTERS : 0);
        n->shortest = n->longest = n->reach = 1;
    }
}

cop_rx cop_rx_intern(cop_regex_set *set, cop_rx_node node, const uint32_t *kids) {
    if (atomic_load(&set->failed) || !cop_rx_burn(set, kids ? 1 + node.b / 4 : 1)) return COP_RX_NONE;
    if (set->nodes.n >= set->n_buckets && !grow_buckets(set)) return COP_RX_NONE;
    uint32_t at = hash_node(&node, kids) & (uint32_t)(set->n_buckets - 1);
    for (uint32_t i = set->buckets[at]; i; i = set->nodes.v[i].next)
        if (is_same(set, &set->nodes.v[i], &node, kids)) return i;
    if (kids) bound_list(set, &node, kids);
    else bound_node(set, &node);
    if (!(node.flags & COP_RX_PLAIN)) node.reach = COP_RX_MANY;
    node.distance = -1;
    if (node.depth > COP_RX_MAX_DEPTH) {
        cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: nested too deeply");
        return COP_RX_NONE;
    }
    if (kids) {
        node.a = (uint32_t)set->kids.n;
        bool room = !cop_array_reserve(&set->kids, node.b);
        if (room) memcpy(set->kids.v + set->kids.n, kids, node.b * sizeof *kids);
        if (room) set->kids.n += node.b;
        if (!room) cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too large");
    }
    node.next = set->buckets[at];
    if (atomic_load(&set->failed) || cop_array_push(&set->nodes, node)) {
        cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too large");
        return COP_RX_NONE;
    }
    return set->buckets[at] = (uint32_t)set->nodes.n - 1;
}

// ---- leaves ----

cop_rx cop_rx_mk_bytes(cop_regex_set *set, const uint64_t bits[4]) {
    if (!(bits[0] | bits[1] | bits[2] | bits[3])) return COP_RX_NONE;
    // Sets are few; those that came last are looked at first.
    if (!cop_rx_burn(set, 1 + set->byte_sets.n / 64)) return COP_RX_NONE;
    for (size_t i = set->byte_sets.n; i-- > 0;)
        if (!memcmp(set->byte_sets.v[i].bits, bits, 32))
            return cop_rx_intern(set, (cop_rx_node){.kind = COP_RX_BYTES, .a = (uint32_t)i}, NULL);
    cop_rx_byte_set one;
    memcpy(one.bits, bits, 32);
    if (cop_array_push(&set->byte_sets, one)) {
        cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too many sets of bytes");
        return COP_RX_NONE;
    }
    return cop_rx_intern(set, (cop_rx_node){.kind = COP_RX_BYTES, .a = (uint32_t)set->byte_sets.n - 1}, NULL);
}

cop_rx cop_rx_mk_range(cop_regex_set *set, uint8_t low, uint8_t high) {
    uint64_t bits[4] = {0};
    for (int b = low; b <= high; b++) bits[b / 64] |= (uint64_t)1 << (b % 64);
    return cop_rx_mk_bytes(set, bits);
}

// ---- concatenation and repetition ----

// The expression that e repeats, and how often; e itself once when it is no repetition.
static cop_rx repeated(const cop_regex_set *set, cop_rx e, uint32_t *low, uint32_t *high) {
    const cop_rx_node *n = COP_RX_NODE(set, e);
    *low = *high = 1;
    if (n->kind != COP_RX_REPEAT) return e;
    *low = n->low;
    *high = n->high;
    return n->a;
}

// a b where a is no concatenation.
static cop_rx put_before(cop_regex_set *set, cop_rx a, cop_rx b) {
    if (a == COP_RX_NONE || b == COP_RX_NONE) return COP_RX_NONE;
    if (b == COP_RX_EMPTY) return a;
    if (a == COP_RX_EMPTY) return b;
    const cop_rx_node *nb = COP_RX_NODE(set, b);
    bool longer = nb->kind == COP_RX_CONCAT;
    cop_rx head = longer ? nb->a : b, rest = longer ? nb->b : COP_RX_EMPTY;
    uint32_t low_a, high_a, low_b, high_b;
    cop_rx x = repeated(set, a, &low_a, &high_a), y = repeated(set, head, &low_b, &high_b);
    if (x == y && (x != a || y != head)) {  // x{m,n} x{p,q}
        cop_rx both = cop_rx_mk_repeat(set, x, cop_rx_add(low_a, low_b), cop_rx_add(high_a, high_b));
        return rest == COP_RX_EMPTY ? both : put_before(set, both, rest);
    }
    return cop_rx_intern(set, (cop_rx_node){.kind = COP_RX_CONCAT, .a = a, .b = b}, NULL);
}

cop_rx cop_rx_mk_concat(cop_regex_set *set, cop_rx a, cop_rx b) {
    if (a == COP_RX_NONE || b == COP_RX_NONE) return COP_RX_NONE;
    if (COP_RX_NODE(set, a)->kind != COP_RX_CONCAT) return put_before(set, a, b);
    COP_ARRAY(cop_rx) parts = {.most = 1 << 24};
    for (; COP_RX_NODE(set, a)->kind == COP_RX_CONCAT; a = COP_RX_NODE(set, a)->b)
        if (cop_array_push(&parts, COP_RX_NODE(set, a)->a)) {
            cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too long");
            cop_array_fini(&parts);
            return COP_RX_NONE;
        }
    cop_rx all = put_before(set, a, b);
    while (parts.n) all = put_before(set, parts.v[--parts.n], all);
    cop_array_fini(&parts);
    return all;
}

cop_rx cop_rx_mk_repeat(cop_regex_set *set, cop_rx a, uint32_t min, uint32_t max) {
    if (min > max) return COP_RX_NONE;
    if (!max || a == COP_RX_EMPTY) return COP_RX_EMPTY;
    if (a == COP_RX_NONE) return min ? COP_RX_NONE : COP_RX_EMPTY;
    if (cop_rx_has(set, a, COP_RX_NULLABLE)) min = 0;
    if (min == 1 && max == 1) return a;
    const cop_rx_node *n = COP_RX_NODE(set, a);
    if (n->kind == COP_RX_REPEAT && n->low <= 1 && n->high == COP_RX_MANY)  // (x*){..}, (x+){m,..}
        return cop_rx_mk_repeat(set, n->a, n->low ? min : 0, COP_RX_MANY);
    if (n->kind == COP_RX_REPEAT && n->low == 0 && n->high == 1) return cop_rx_mk_repeat(set, n->a, 0, max);
    return cop_rx_intern(set, (cop_rx_node){.kind = COP_RX_REPEAT, .a = a, .low = min, .high = max}, NULL);
}

cop_rx cop_rx_mk_not(cop_regex_set *set, cop_rx a, bool characters) {
    const cop_rx_node *n = COP_RX_NODE(set, a);
    if (n->kind == COP_RX_NOT && (bool)n->b == characters) return n->a;
    if (a == COP_RX_NONE && !characters) return COP_RX_ALL;
    return cop_rx_intern(set, (cop_rx_node){.kind = COP_RX_NOT, .a = a, .b = characters}, NULL);
}

// What regex.h offers, each under the set's lock.
#include "guide/regex.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "guide/regex_private.h"
#include "text/utf8.h"

#define DEFAULT_FUEL 5000000

typedef COP_ARRAY(char) char_array;

static const uint32_t most_nodes = 1u << 23;

static cop_status make_constants(cop_regex_set *set) {
    uint8_t formed = 7 * COP_RX_WELL_FORMED;
    const cop_rx_node none = {.kind = COP_RX_NOTHING, .flags = COP_RX_PLAIN | formed, .shortest = COP_RX_MANY, .distance = COP_GUIDE_FAR};
    const cop_rx_node empty = {.kind = COP_RX_EPSILON, .flags = COP_RX_NULLABLE | COP_RX_PLAIN | formed};
    const cop_rx_node all = {.kind = COP_RX_NOT, .flags = COP_RX_NULLABLE, .longest = COP_RX_MANY, .reach = COP_RX_MANY};
    COP_TRY(cop_array_push(&set->nodes, none));
    COP_TRY(cop_array_push(&set->nodes, empty));
    COP_TRY(cop_array_push(&set->nodes, all));
    set->universe[3] = cop_rx_mk_repeat(set, cop_rx_mk_any(set), 0, COP_RX_MANY);
    return cop_regex_set_failed(set);
}

cop_status cop_regex_set_new(cop_regex_set **out, uint64_t fuel) {
    *out = NULL;
    cop_regex_set *set = cop_alloc(sizeof *set);
    if (!set) return cop_fail(COP_ERR_NOMEM, "regular expression: cannot allocate");
    set->fuel = fuel ? fuel : DEFAULT_FUEL;
    atomic_store(&set->owners, 1);
    set->nodes.most = most_nodes;
    set->kids.most = most_nodes;
    set->byte_sets.most = set->range_sets.most = 1 << 16;
    set->pairs.most = most_nodes;
    cop_status st = cop_lock_new(&set->lock);
    if (!st) st = make_constants(set);
    if (st) {
        cop_regex_set_free(set);
        return st;
    }
    *out = set;
    return COP_OK;
}

cop_regex_set *cop_regex_set_share(cop_regex_set *set) {
    atomic_fetch_add(&set->owners, 1);
    return set;
}

void cop_regex_set_free(cop_regex_set *set) {
    if (!set || atomic_fetch_sub(&set->owners, 1) > 1) return;
    cop_lock_free(set->lock);
    cop_array_fini(&set->nodes);
    cop_array_fini(&set->kids);
    cop_array_fini(&set->byte_sets);
    cop_array_fini(&set->range_sets);
    cop_array_fini(&set->pairs);
    cop_free(set->buckets);
    cop_free(set->derived);
    cop_free(set->encoded);
    cop_rx_free_properties(set);
    cop_free(set);
}

cop_status cop_regex_set_failed(cop_regex_set *set) {
    cop_status st = (cop_status)atomic_load(&set->failed);
    return st ? cop_fail(st, "%s", set->reason) : COP_OK;
}

// One expression from others, under the lock.
#define LOCKED(set, expression)            \
    cop_lock_take((set)->lock);            \
    cop_rx result = (expression);          \
    cop_lock_give((set)->lock);            \
    return result

cop_rx cop_rx_bytes(cop_regex_set *set, const uint64_t bits[4]) { LOCKED(set, cop_rx_mk_bytes(set, bits)); }
cop_rx cop_rx_byte_range(cop_regex_set *set, uint8_t low, uint8_t high) { LOCKED(set, cop_rx_mk_range(set, low, high)); }
cop_rx cop_rx_characters(cop_regex_set *set, const uint32_t (*ranges)[2], size_t n) { LOCKED(set, cop_rx_mk_characters(set, ranges, n)); }
cop_rx cop_rx_any_character(cop_regex_set *set) { LOCKED(set, cop_rx_mk_any(set)); }
cop_rx cop_rx_concat(cop_regex_set *set, cop_rx a, cop_rx b) { LOCKED(set, cop_rx_mk_concat(set, a, b)); }
cop_rx cop_rx_or(cop_regex_set *set, cop_rx a, cop_rx b) { LOCKED(set, cop_rx_mk_or2(set, a, b)); }
cop_rx cop_rx_or_all(cop_regex_set *set, const cop_rx *list, size_t n) { LOCKED(set, n ? cop_rx_mk_or(set, list, n) : COP_RX_NONE); }
cop_rx cop_rx_and(cop_regex_set *set, cop_rx a, cop_rx b) { LOCKED(set, cop_rx_mk_and2(set, a, b)); }
cop_rx cop_rx_not(cop_regex_set *set, cop_rx a) { LOCKED(set, cop_rx_mk_not(set, a, cop_rx_has(set, a, COP_RX_OF_CHARACTERS))); }
cop_rx cop_rx_repeat(cop_regex_set *set, cop_rx a, uint32_t min, uint32_t max) { LOCKED(set, cop_rx_mk_repeat(set, a, min, max)); }
cop_rx cop_rx_maybe(cop_regex_set *set, cop_rx a) { LOCKED(set, cop_rx_mk_repeat(set, a, 0, 1)); }
cop_rx cop_rx_encode(cop_regex_set *set, cop_rx a, cop_rx_encoding encoding) { LOCKED(set, cop_rx_mk_encoded(set, a, encoding)); }

static cop_rx subtract(cop_regex_set *set, cop_rx a, cop_rx b) {
    bool characters = cop_rx_has(set, a, COP_RX_OF_CHARACTERS) || cop_rx_has(set, b, COP_RX_OF_CHARACTERS);
    return cop_rx_mk_and2(set, a, cop_rx_mk_not(set, b, characters));
}
cop_rx cop_rx_minus(cop_regex_set *set, cop_rx a, cop_rx b) { LOCKED(set, subtract(set, a, b)); }

static cop_rx make_text(cop_regex_set *set, const char *text, size_t bytes) {
    cop_rx out = COP_RX_EMPTY;
    for (size_t i = bytes; i-- > 0;) out = cop_rx_mk_concat(set, cop_rx_mk_range(set, (uint8_t)text[i], (uint8_t)text[i]), out);
    return out;
}
cop_rx cop_rx_byte_text(cop_regex_set *set, const char *text, size_t bytes) { LOCKED(set, make_text(set, text, bytes)); }

// ---- texts as tries ----

typedef struct text_ref {
    const char *text;
    size_t bytes;
} text_ref;

static int compare_texts(const void *a, const void *b) {
    const text_ref *x = a, *y = b;
    size_t common = x->bytes < y->bytes ? x->bytes : y->bytes;
    int c = common ? memcmp(x->text, y->text, common) : 0;
    return c ? c : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

// The next symbol of a text at `at` and its length: a byte, or a character.
static uint32_t symbol_at(cop_regex_set *set, const text_ref *t, size_t at, bool characters, size_t *bytes) {
    *bytes = 1;
    if (!characters) return (uint8_t)t->text[at];
    int n = cop_utf8_length(t->text + at, t->bytes - at);
    if (!n) cop_rx_give_up(set, COP_ERR_FORMAT, "regular expression: a text is not UTF-8");
    if (n) *bytes = (size_t)n;
    return n ? cop_utf8_decode(t->text + at, n) : 0;
}

static cop_rx make_symbol(cop_regex_set *set, uint32_t symbol, bool characters) {
    const uint32_t range[1][2] = {{symbol, symbol}};
    return characters ? cop_rx_mk_characters(set, range, 1) : cop_rx_mk_range(set, (uint8_t)symbol, (uint8_t)symbol);
}

// The sorted texts list[0..n) from byte `at` on, which is where they part. Recursion is as deep as the texts part often.
static cop_rx make_trie(cop_regex_set *set, const text_ref *list, size_t n, size_t at, bool characters, int depth) {
    if (atomic_load(&set->failed)) return COP_RX_NONE;
    if (depth > COP_RX_MAX_DEPTH) return cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: texts part too often"), COP_RX_NONE;
    COP_ARRAY(cop_rx) ways = {.most = 1 << 24};
    size_t i = 0;
    bool ends = list[0].bytes == at;
    while (i < n && list[i].bytes == at) i++;
    while (i < n && !atomic_load(&set->failed)) {
        size_t bytes, end = i, shared = at;
        uint32_t first = symbol_at(set, &list[i], at, characters, &bytes);
        for (; end < n && symbol_at(set, &list[end], at, characters, &bytes) == first; end++) {}
        // How far the texts of this group go together: as far as its first and its last.
        const text_ref *a = &list[i], *b = &list[end - 1];
        while (shared < a->bytes && shared < b->bytes) {
            size_t step_b, step;
            uint32_t x = symbol_at(set, a, shared, characters, &step), y = symbol_at(set, b, shared, characters, &step_b);
            if (x != y || atomic_load(&set->failed)) break;
            shared += step;
        }
        if (shared == at) break;
        cop_rx way = make_trie(set, a, end - i, shared, characters, depth + 1);
        for (size_t k = shared, from; k > at; k = from) {
            from = k - 1;
            while (characters && from > at && ((uint8_t)a->text[from] & 0xC0) == 0x80) from--;
            way = cop_rx_mk_concat(set, make_symbol(set, symbol_at(set, a, from, characters, &bytes), characters), way);
        }
        if (cop_array_push(&ways, way)) cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too many texts");
        i = end;
    }
    if (ends && cop_array_push(&ways, COP_RX_EMPTY)) cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too many texts");
    cop_rx out = ways.n ? cop_rx_mk_or(set, ways.v, ways.n) : COP_RX_NONE;
    cop_array_fini(&ways);
    return out;
}

static cop_rx make_one_of(cop_regex_set *set, const char *const *texts, const size_t *bytes, size_t n, bool characters) {
    text_ref *list = n ? cop_alloc_array(n, sizeof *list) : NULL;
    if (!list) return n ? cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate") : (void)0, COP_RX_NONE;
    for (size_t i = 0; i < n; i++) list[i] = (text_ref){texts[i], bytes[i]};
    qsort(list, n, sizeof *list, compare_texts);
    cop_rx out = make_trie(set, list, n, 0, characters, 0);
    cop_free(list);
    return out;
}

cop_rx cop_rx_one_of_bytes(cop_regex_set *set, const char *const *texts, const size_t *bytes, size_t n) {
    LOCKED(set, make_one_of(set, texts, bytes, n, false));
}
cop_rx cop_rx_one_of(cop_regex_set *set, const char *const *texts, const size_t *bytes, size_t n) {
    LOCKED(set, make_one_of(set, texts, bytes, n, true));
}
cop_rx cop_rx_literal(cop_regex_set *set, const char *utf8, size_t bytes) {
    LOCKED(set, make_one_of(set, &utf8, &bytes, 1, true));
}

static size_t put_character(char *out, uint32_t c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    return out[0] = (char)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c), n;
}

// Append the text of a literal to *out; false: it is none.
static bool spell_literal(cop_regex_set *set, cop_rx e, char_array *out) {
    for (;;) {
        const cop_rx_node *n = COP_RX_NODE(set, e), *head = n->kind == COP_RX_CONCAT ? COP_RX_NODE(set, n->a) : n;
        uint32_t times = 1;
        char utf8[4];
        if (e == COP_RX_EMPTY) return true;
        if (head->kind == COP_RX_REPEAT && head->low == head->high && head->low < 1000) times = head->low, head = COP_RX_NODE(set, head->a);
        if (head->kind != COP_RX_CHARACTERS) return false;
        cop_rx_ranges r = set->range_sets.v[head->a];
        if (r.n != 1 || set->pairs.v[r.at] != set->pairs.v[r.at + 1]) return false;
        size_t bytes = put_character(utf8, set->pairs.v[r.at]);
        for (size_t i = 0; out && i < bytes * times; i++)
            if (cop_array_push(out, utf8[i % bytes])) return cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too many texts"), false;
        if (n->kind != COP_RX_CONCAT) return true;
        e = n->b;
    }
}

bool cop_rx_is_literal(cop_regex_set *set, cop_rx a) {
    cop_lock_take(set->lock);
    bool yes = spell_literal(set, a, NULL);
    cop_lock_give(set->lock);
    return yes;
}

static cop_rx or_literals(cop_regex_set *set, const cop_rx *list, size_t n) {
    char_array all = {.most = (size_t)1 << 24};
    size_t *ends = cop_alloc_array(n + 1, sizeof *ends);
    const char **texts = cop_alloc_array(n, sizeof *texts);
    cop_rx out = COP_RX_NONE;
    bool ok = ends && texts;
    for (size_t i = 0; i < n && ok; i++) {
        ok = spell_literal(set, list[i], &all);
        ends[i + 1] = all.n;
    }
    for (size_t i = 0; i < n && ok; i++) texts[i] = all.v ? all.v + ends[i] : "";
    for (size_t i = 0; i < n && ok; i++) ends[i] = ends[i + 1] - ends[i];
    if (ok) out = make_one_of(set, texts, ends, n, true);
    else cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate");
    cop_array_fini(&all);
    cop_free(ends);
    cop_free(texts);
    return out;
}
cop_rx cop_rx_or_literals(cop_regex_set *set, const cop_rx *list, size_t n) { LOCKED(set, or_literals(set, list, n)); }

// ---- questions ----

bool cop_rx_accepts_empty(cop_regex_set *set, cop_rx a) {
    cop_lock_take(set->lock);
    bool yes = cop_rx_has(set, a, COP_RX_NULLABLE);
    cop_lock_give(set->lock);
    return yes;
}

static bool is_empty(cop_regex_set *set, cop_rx a) {
    cop_rx_classes classes;
    cop_rx e = cop_rx_mk_encoded(set, a, COP_RX_UTF8);
    if (e == COP_RX_NONE || cop_rx_has(set, e, COP_RX_PLAIN)) return e == COP_RX_NONE && !atomic_load(&set->failed);
    cop_rx_find_classes(set, e, &classes);
    return cop_rx_find_distance(set, e, &classes) == COP_GUIDE_FAR && !atomic_load(&set->failed);
}

bool cop_rx_is_empty(cop_regex_set *set, cop_rx a) {
    cop_lock_take(set->lock);
    bool yes = is_empty(set, a);
    cop_lock_give(set->lock);
    return yes;
}
bool cop_rx_contains(cop_regex_set *set, cop_rx a, cop_rx b) { return cop_rx_is_empty(set, cop_rx_minus(set, b, a)); }
bool cop_rx_are_disjoint(cop_regex_set *set, cop_rx a, cop_rx b) { return cop_rx_is_empty(set, cop_rx_and(set, a, b)); }

int cop_rx_try_is_empty(cop_regex_set *set, cop_rx a, uint64_t fuel) {
    cop_lock_take(set->lock);
    uint64_t had = set->fuel, lent = fuel < had ? fuel : had;
    bool was_failed = atomic_load(&set->failed);
    set->fuel = lent;
    bool yes = is_empty(set, a);
    bool decided = was_failed || !atomic_load(&set->failed);
    if (!decided && lent < had) atomic_store(&set->failed, COP_OK);
    set->fuel = had - (lent - set->fuel);
    cop_lock_give(set->lock);
    return decided ? yes : -1;
}

bool cop_rx_matches(cop_regex_set *set, cop_rx a, const char *text, size_t bytes) {
    cop_lock_take(set->lock);
    cop_rx e = cop_rx_mk_encoded(set, a, COP_RX_UTF8);
    for (size_t i = 0; i < bytes && e != COP_RX_NONE; i++) e = cop_rx_derive(set, e, (uint8_t)text[i]);
    bool yes = cop_rx_has(set, e, COP_RX_NULLABLE) && !atomic_load(&set->failed);
    cop_lock_give(set->lock);
    return yes;
}

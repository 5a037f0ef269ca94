// From characters to bytes. A set of characters becomes a small graph by its bitmap: characters whose encodings share a
// prefix and go on alike share a node, so that "any character" is nine nodes and \p{L} some hundreds.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "guide/regex_private.h"

#define N_CODES 0x110000
#define N_WORDS (N_CODES / 64)

static int compare_ranges(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

// Sort and join the ranges; returns how many are left.
static size_t tidy_ranges(uint32_t (*r)[2], size_t n) {
    size_t k = 0;
    qsort(r, n, sizeof *r, compare_ranges);
    for (size_t i = 0; i < n; i++) {
        if (r[i][0] > r[i][1]) continue;
        if (k && r[i][0] <= r[k - 1][1] + 1) {
            if (r[i][1] > r[k - 1][1]) r[k - 1][1] = r[i][1];
        } else {
            r[k][0] = r[i][0];
            r[k++][1] = r[i][1];
        }
    }
    return k;
}

// Without surrogates, which are no characters, and within Unicode.
static size_t copy_ranges(const uint32_t (*in)[2], size_t n, uint32_t (*out)[2]) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t low = in[i][0], high = in[i][1] < N_CODES ? in[i][1] : N_CODES - 1;
        if (low < 0xD800 && low <= high) out[k][0] = low, out[k++][1] = high < 0xD800 ? high : 0xD7FF;
        if (high > 0xDFFF && low <= high) out[k][0] = low > 0xDFFF ? low : 0xE000, out[k++][1] = high;
    }
    return k;
}

cop_rx cop_rx_mk_characters(cop_regex_set *set, const uint32_t (*ranges)[2], size_t n) {
    uint32_t(*r)[2] = cop_alloc_array(2 * n + 1, sizeof *r);
    if (!r) return cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate"), COP_RX_NONE;
    n = tidy_ranges(r, copy_ranges(ranges, n, r));
    size_t i = set->range_sets.n;
    cop_rx_burn(set, 1 + n / 8 + i / 8);
    while (n && i-- > 0)
        if (set->range_sets.v[i].n == n && !memcmp(set->pairs.v + set->range_sets.v[i].at, r, n * sizeof *r)) break;
    if (n && i == SIZE_MAX) {
        i = set->range_sets.n;
        cop_rx_ranges one = {(uint32_t)set->pairs.n, (uint32_t)n};
        bool room = !cop_array_reserve(&set->pairs, 2 * n) && !cop_array_push(&set->range_sets, one);
        if (room) memcpy(set->pairs.v + set->pairs.n, r, n * sizeof *r);
        if (room) set->pairs.n += 2 * n;
        if (!room) cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too many classes"), n = 0;
    }
    cop_free(r);
    return n ? cop_rx_intern(set, (cop_rx_node){.kind = COP_RX_CHARACTERS, .a = (uint32_t)i}, NULL) : COP_RX_NONE;
}

// ---- groups: which heads go on with the same tail ----

typedef struct groups {
    struct { uint64_t key, heads[4]; } of[64];
    int n;
} groups;

static void add_head(groups *g, uint64_t key, int byte) {
    int i = 0;
    while (i < g->n && g->of[i].key != key) i++;
    if (i == g->n) {
        memset(&g->of[i], 0, sizeof g->of[i]);
        g->of[g->n++].key = key;
    }
    g->of[i].heads[byte / 64] |= (uint64_t)1 << (byte % 64);
}

static cop_rx join_groups(cop_regex_set *set, const groups *g) {
    cop_rx list[64];
    for (int i = 0; i < g->n; i++)
        list[i] = cop_rx_mk_concat(set, cop_rx_mk_bytes(set, g->of[i].heads), (cop_rx)g->of[i].key);
    return g->n == 1 ? list[0] : cop_rx_mk_or(set, list, (size_t)g->n);
}

// ---- UTF-8 ----

static cop_rx last_byte(cop_regex_set *set, uint64_t mask) { return cop_rx_mk_bytes(set, (const uint64_t[4]){0, 0, mask, 0}); }

// Two bytes behind a lead: words[from .. 64) of the bitmap.
static cop_rx two_bytes(cop_regex_set *set, const uint64_t *words, int from) {
    groups masks = {.n = 0}, tails = {.n = 0};
    for (int s = from; s < 64; s++)
        if (words[s]) add_head(&masks, words[s], 0x80 + s);
    for (int i = 0; i < masks.n; i++) {
        cop_rx tail = last_byte(set, masks.of[i].key);
        memcpy(tails.of[tails.n].heads, masks.of[i].heads, sizeof masks.of[i].heads);
        tails.of[tails.n++].key = tail;
    }
    return join_groups(set, &tails);
}

static cop_rx spell_utf8(cop_regex_set *set, const uint64_t *map) {
    groups g = {.n = 0};
    cop_rx parts[4];
    parts[0] = cop_rx_mk_bytes(set, (const uint64_t[4]){map[0], map[1], 0, 0});
    for (int lead = 2; lead < 32; lead++)
        if (map[lead]) add_head(&g, last_byte(set, map[lead]), 0xC0 + lead);
    parts[1] = join_groups(set, &g);
    g.n = 0;
    for (int lead = 0; lead < 16; lead++) {
        cop_rx tail = two_bytes(set, map + 64 * lead, lead ? 0 : 32);
        if (tail != COP_RX_NONE) add_head(&g, tail, 0xE0 + lead);
    }
    parts[2] = join_groups(set, &g);
    g.n = 0;
    for (int lead = 0; lead < 5; lead++) {
        groups seconds = {.n = 0};
        for (int s = lead ? 0 : 16; s < (lead < 4 ? 64 : 16); s++) {
            cop_rx tail = two_bytes(set, map + 64 * (64 * lead + s), 0);
            if (tail != COP_RX_NONE) add_head(&seconds, tail, 0x80 + s);
        }
        cop_rx tail = join_groups(set, &seconds);
        if (tail != COP_RX_NONE) add_head(&g, tail, 0xF0 + lead);
    }
    parts[3] = join_groups(set, &g);
    return cop_rx_mk_or(set, parts, 4);
}

// ---- JSON ----

static void add_digit(uint64_t bits[4], int digit) {
    static const char digits[] = "0123456789abcdefABCDEF";
    for (int k = digit; k < 22; k += 6) {
        int c = digits[k];
        bits[c / 64] |= (uint64_t)1 << (c % 64);
        if (digit < 10) return;
    }
}

// A digit, then `tails[digit]`.
static cop_rx hex_digit(cop_regex_set *set, const cop_rx tails[16]) {
    groups g = {.n = 0};
    for (int d = 0; d < 16; d++) {
        if (tails[d] == COP_RX_NONE) continue;
        add_head(&g, tails[d], 0);
        for (int i = 0; i < g.n; i++)
            if (g.of[i].key == tails[d]) add_digit(g.of[i].heads, d);
    }
    for (int i = 0; i < g.n; i++) g.of[i].heads[0] &= ~(uint64_t)1;  // the 0 that add_head put there
    return join_groups(set, &g);
}

// n hexadecimal digits for the numbers whose bits are set in 16^n bits at map, then `tail`.
static cop_rx hex_numbers(cop_regex_set *set, const uint64_t *map, size_t at, int n, cop_rx tail) {
    cop_rx tails[16];
    size_t each = (size_t)1 << 4 * (n - 1);
    for (size_t d = 0; d < 16; d++) {
        size_t i = at + d * each;
        if (n == 1) tails[d] = map[i / 64] >> (i % 64) & 1 ? tail : COP_RX_NONE;
        else tails[d] = hex_numbers(set, map, i, n - 1, tail);
    }
    return hex_digit(set, tails);
}

static cop_rx text_before(cop_regex_set *set, const char *text, cop_rx tail) {
    for (size_t i = strlen(text); i-- > 0;) tail = cop_rx_mk_concat(set, cop_rx_mk_range(set, (uint8_t)text[i], (uint8_t)text[i]), tail);
    return tail;
}

// The pairs of surrogates for what is beyond 16 bits.
static cop_rx spell_pairs(cop_regex_set *set, const uint64_t *map) {
    cop_rx seconds[1024], level[64];
    for (int high = 0; high < 1024; high++) {
        const uint64_t *block = map + 1024 + 16 * high;
        if (high && !memcmp(block, block - 16, 16 * sizeof *block)) {
            seconds[high] = seconds[high - 1];
            continue;
        }
        cop_rx tails[16] = {0};
        for (size_t d = 0; d < 4; d++) tails[12 + d] = hex_numbers(set, block, 256 * d, 2, COP_RX_EMPTY);
        cop_rx d_digit[16] = {0};
        d_digit[13] = hex_digit(set, tails);
        seconds[high] = text_before(set, "\\u", hex_digit(set, d_digit));
        if (d_digit[13] == COP_RX_NONE) seconds[high] = COP_RX_NONE;
    }
    for (int i = 0; i < 64; i++) level[i] = hex_digit(set, seconds + 16 * i);
    cop_rx tails[16] = {0}, d_digit[16] = {0};
    for (int d = 0; d < 4; d++) tails[8 + d] = hex_digit(set, level + 16 * d);
    d_digit[13] = hex_digit(set, tails);
    return d_digit[13] == COP_RX_NONE ? COP_RX_NONE : text_before(set, "\\u", hex_digit(set, d_digit));
}

static const char json_short[][2] = {{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}, {'/', '/'}};

static cop_rx spell_json(cop_regex_set *set, uint64_t *map, bool any) {
    cop_rx escapes[8 + 32 + 2];
    size_t n = 0;
    uint32_t control = (uint32_t)map[0];
    for (size_t i = 0; i < 8; i++) {
        int c = json_short[i][0];
        if (!(map[c / 64] >> (c % 64) & 1) || (c == '/' && !any)) continue;
        escapes[n++] = text_before(set, (const char[]){'\\', json_short[i][1], 0}, COP_RX_EMPTY);
        if (c < 32) control &= ~(1u << c);
    }
    for (int c = 0; c < 32 && !any; c++) {
        const char hex[] = {'\\', 'u', '0', '0', (char)('0' + c / 16), "0123456789abcdef"[c % 16], 0};
        if (control >> c & 1) escapes[n++] = text_before(set, hex, COP_RX_EMPTY);
    }
    if (any) {
        cop_rx low = hex_numbers(set, map, 0, 4, COP_RX_EMPTY);
        escapes[n++] = low == COP_RX_NONE ? low : text_before(set, "\\u", low);
        escapes[n++] = spell_pairs(set, map);
    }
    map[0] &= ~(uint64_t)0xFFFFFFFF & ~((uint64_t)1 << '"');
    map[1] &= ~((uint64_t)1 << ('\\' - 64));
    cop_rx raw = spell_utf8(set, map);
    return cop_rx_mk_or2(set, cop_rx_mk_or(set, escapes, n), raw);
}

static cop_rx encode_leaf(cop_regex_set *set, cop_rx e, cop_rx_encoding encoding) {
    uint64_t *map = cop_alloc_array(N_WORDS, sizeof *map);
    if (!map) return cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate"), COP_RX_NONE;
    cop_rx_ranges r = set->range_sets.v[COP_RX_NODE(set, e)->a];
    for (uint32_t i = 0; i < r.n; i++) {
        uint32_t low = set->pairs.v[r.at + 2 * i], high = set->pairs.v[r.at + 2 * i + 1];
        for (uint32_t c = low; c <= high;) {
            if (c % 64 == 0 && high - c >= 63) map[c / 64] = ~(uint64_t)0, c += 64;
            else map[c / 64] |= (uint64_t)1 << (c % 64), c++;
        }
    }
    cop_rx out = encoding == COP_RX_UTF8 ? spell_utf8(set, map) : spell_json(set, map, encoding == COP_RX_JSON_ANY);
    cop_free(map);
    set->nodes.v[out].flags |= out == COP_RX_NONE ? 0 : (uint8_t)(COP_RX_WELL_FORMED << encoding);
    return out;
}

// ---- whole expressions ----

static cop_rx_memo *memo_slot(cop_regex_set *set, cop_rx e, cop_rx_encoding encoding) {
    if (set->n_encoded * 2 >= set->encoded_size) {
        cop_rx_memo *old = set->encoded;
        size_t size = set->encoded_size;
        cop_rx_memo *larger = cop_alloc_array(size ? size * 2 : 256, sizeof *larger);
        if (!larger) return cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate"), NULL;
        set->encoded = larger;
        set->encoded_size = size ? size * 2 : 256;
        for (size_t i = 0; i < size; i++)
            if (old[i].of) *memo_slot(set, old[i].of, (cop_rx_encoding)old[i].how) = old[i];
        cop_free(old);
    }
    size_t at = (e * 3u + encoding) * (size_t)0x9E3779B1u & (set->encoded_size - 1);
    while (set->encoded[at].of && (set->encoded[at].of != e || set->encoded[at].how != encoding)) at = (at + 1) & (set->encoded_size - 1);
    return &set->encoded[at];
}

static cop_rx encode_chain(cop_regex_set *set, cop_rx e, cop_rx_encoding encoding) {
    COP_ARRAY(cop_rx) parts = {.most = 1 << 24};
    for (; COP_RX_NODE(set, e)->kind == COP_RX_CONCAT; e = COP_RX_NODE(set, e)->b)
        if (cop_array_push(&parts, COP_RX_NODE(set, e)->a)) {
            cop_rx_give_up(set, COP_ERR_LIMIT, "regular expression: too long");
            e = COP_RX_NONE;
            break;
        }
    cop_rx out = cop_rx_mk_encoded(set, e, encoding);
    while (parts.n) out = cop_rx_mk_concat(set, cop_rx_mk_encoded(set, parts.v[--parts.n], encoding), out);
    cop_array_fini(&parts);
    return out;
}

static cop_rx encode_list(cop_regex_set *set, cop_rx e, cop_rx_encoding encoding) {
    cop_rx_node n = *COP_RX_NODE(set, e);
    cop_rx *kids = cop_alloc_array(n.b, sizeof *kids);
    if (!kids) return cop_rx_give_up(set, COP_ERR_NOMEM, "regular expression: cannot allocate"), COP_RX_NONE;
    for (uint32_t i = 0; i < n.b; i++) kids[i] = cop_rx_mk_encoded(set, set->kids.v[n.a + i], encoding);
    cop_rx out = n.kind == COP_RX_OR ? cop_rx_mk_or(set, kids, n.b) : cop_rx_mk_and(set, kids, n.b);
    cop_free(kids);
    return out;
}

cop_rx cop_rx_mk_encoded(cop_regex_set *set, cop_rx e, cop_rx_encoding encoding) {
    if (!cop_rx_has(set, e, COP_RX_OF_CHARACTERS) || !cop_rx_burn(set, 1)) return e;
    cop_rx_memo *memo = memo_slot(set, e, encoding);
    if (!memo) return COP_RX_NONE;
    if (memo->of) return memo->to;
    cop_rx_node n = *COP_RX_NODE(set, e);
    cop_rx out;
    switch (n.kind) {
    case COP_RX_CHARACTERS: out = encode_leaf(set, e, encoding); break;
    case COP_RX_CONCAT: out = encode_chain(set, e, encoding); break;
    case COP_RX_REPEAT: out = cop_rx_mk_repeat(set, cop_rx_mk_encoded(set, n.a, encoding), n.low, n.high); break;
    case COP_RX_NOT:
        out = cop_rx_mk_and2(set, cop_rx_mk_universe(set, encoding), cop_rx_mk_not(set, cop_rx_mk_encoded(set, n.a, encoding), false));
        break;
    default: out = encode_list(set, e, encoding);
    }
    memo = memo_slot(set, e, encoding);
    if (!memo || atomic_load(&set->failed)) return COP_RX_NONE;
    if (!memo->of) set->n_encoded++;
    *memo = (cop_rx_memo){e, encoding, out};
    return out;
}

cop_rx cop_rx_mk_universe(cop_regex_set *set, cop_rx_encoding encoding) {
    if (set->universe[encoding]) return set->universe[encoding];
    cop_rx all = cop_rx_mk_repeat(set, cop_rx_mk_encoded(set, cop_rx_mk_any(set), encoding), 0, COP_RX_MANY);
    if (!atomic_load(&set->failed)) set->universe[encoding] = all;
    return all;
}

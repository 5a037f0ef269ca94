// Numbers that are counted, not in an automaton: multiples, and every spelling in a checker. The text so far is what is
// remembered; what it can still become is arithmetic.
#include "guide/schema_rest.h"

typedef __int128 wide;
#define WHOLE 19
#define FRACTION 17
#define CLAMP ((wide)1 << 122)

typedef struct begun {  // a plain number, as far as it is written
    bool negative, point;
    int whole, fraction;  // digits
    wide digits;
    bool zero;            // the whole part is 0, so it has ended
} begun;

static bool read_plain(const char *text, size_t n, begun *b) {
    *b = (begun){.negative = n && *text == '-'};
    for (size_t i = b->negative; i < n; i++) {
        char c = text[i];
        if (c == '.') {
            if (b->point || !b->whole) return false;
            b->point = true;
            continue;
        }
        if (c < '0' || c > '9') return false;
        if (b->point ? ++b->fraction > FRACTION : b->zero || ++b->whole > WHOLE) return false;
        if (!b->point && b->whole == 1 && c == '0') b->zero = true;
        b->digits = b->digits * 10 + (c - '0');
    }
    return true;
}

static wide power(int n) {
    wide p = 1;
    while (n-- > 0) p *= 10;
    return p;
}

// The size of d in units of 10^-places, rounded up or down.
static wide scaled(const schema_dec *d, int places, bool up) {
    wide v = 0;
    int shift = d->exponent + places;
    bool more = false;
    for (int i = 0; i < d->n; i++) {
        if (d->n - i + shift <= 0) more = true;
        else if (v > CLAMP / 10) return CLAMP;
        else v = v * 10 + (d->digits[i] - '0');
    }
    for (; d->n && shift > 0; shift--)
        if (v > CLAMP / 10) return CLAMP;
        else v *= 10;
    return v + (up && more);
}

static bool holds(const schema_numbers *n, bool negative, wide v, int places) {
    char digits[48];
    int k = 48;
    schema_dec d = {.negative = negative && v, .exponent = -places};
    while (v && v % 10 == 0) v /= 10, d.exponent++;
    if (!v) d.exponent = 0;
    for (; v; v /= 10) digits[--k] = (char)('0' + (int)(v % 10));
    d.digits = digits + k;
    d.n = 48 - k;
    return cop_schema_numbers_hold(n, &d);
}

// Is there a number of the set among the sizes low … high in units of 10^-places?
static bool any_between(const schema_numbers *n, bool negative, wide low, wide high, int places) {
    const schema_dec *from = negative ? &n->high : &n->low, *to = negative ? &n->low : &n->high;
    bool has_from = negative ? n->has_high : n->has_low, has_to = negative ? n->has_low : n->has_high;
    if (has_from && from->negative == negative && from->n && scaled(from, places, true) > low) low = scaled(from, places, true);
    if (has_from && from->n && from->negative != negative && negative) has_from = false;
    if (has_to && to->n && to->negative != negative) return false;
    if (has_to && scaled(to, places, false) < high) high = scaled(to, places, false);
    if (negative && low < 1) low = 1;
    wide step = 1;
    for (int i = 0; i < n->n_multiples; i++) {
        if (n->multiples[i].no) continue;
        wide m = scaled(&n->multiples[i].of, places, false);
        if (m != scaled(&n->multiples[i].of, places, true)) m *= power(0);  // finer than the places: numbers_hold decides
        if (m > step) step = m;
    }
    wide v = (low + step - 1) / step * step;
    for (int tries = 0; v <= high && tries < 400; tries++, v += step)
        if (holds(n, negative, v, places)) return true;
    return false;
}

static int places_of(const schema_numbers *n) {
    int most = n->integer == 1 ? 0 : 2;
    for (int i = 0; i < n->n_multiples && n->integer != 1; i++)
        if (-n->multiples[i].of.exponent > most) most = -n->multiples[i].of.exponent;
    return most < FRACTION ? most : FRACTION;
}

// Bytes that lead from b to a number of the set, the fewest.
static int32_t plain_rest(const schema_numbers *n, const begun *b) {
    int most = places_of(n), best = INT32_MAX;
    for (int whole = 0; whole + b->whole <= WHOLE; whole++) {
        if (whole && (b->point || b->zero)) break;
        if (!whole && !b->whole) continue;
        for (int fraction = 0; b->fraction + fraction <= most; fraction++) {
            int places = b->fraction + fraction, cost = whole + fraction + (fraction && !b->point);
            if ((b->point && !places) || cost >= best) continue;
            wide low = b->digits * power(whole + fraction), high = low + power(whole + fraction) - 1;
            if (!b->whole && whole > 1) low = power(whole + fraction - 1);
            if (any_between(n, b->negative, low, high, places)) best = cost;
        }
    }
    return best;
}

// A JSON number in any spelling: -1 not the beginning of one, 0 incomplete, 1 complete.
static int any_spelling(const char *t, size_t n) {
    size_t i = n && t[0] == '-', digits = i;
    if (n > 1000) return -1;
    while (i < n && t[i] >= '0' && t[i] <= '9') i++;
    if (i - digits > 1 && t[digits] == '0') return -1;
    if (i == n) return i > digits;
    if (i == digits) return -1;
    if (t[i] == '.') {
        digits = ++i;
        while (i < n && t[i] >= '0' && t[i] <= '9') i++;
        if (i == n) return i > digits;
        if (i == digits) return -1;
    }
    if (t[i] != 'e' && t[i] != 'E') return -1;
    i++;
    if (i < n && (t[i] == '+' || t[i] == '-')) i++;
    digits = i;
    while (i < n && t[i] >= '0' && t[i] <= '9') i++;
    return i < n ? -1 : i > digits;
}

int32_t cop_schema_count_rest(schema *s, const schema_goal *g, const char *text, size_t bytes) {
    int32_t best = SCHEMA_FAR;
    if (s->options.checker) {
        int k = any_spelling(text, bytes);
        if (k < 0) return SCHEMA_FAR;
        return k && cop_schema_count_holds(s, g, text, bytes) ? 0 : 1;
    }
    begun b;
    if (!read_plain(text, bytes, &b)) return SCHEMA_FAR;
    for (uint32_t i = 0; i < g->n_numbers; i++) {
        const schema_numbers *n = &g->numbers[i];
        if (!n->n_multiples || n->only) continue;
        int32_t rest = plain_rest(n, &b), below = SCHEMA_FAR;
        if (!bytes) {
            b.negative = true;
            below = plain_rest(n, &b);
            b.negative = false;
        }
        if (below < SCHEMA_FAR && below + 1 < rest) rest = below + 1;
        if (rest < best) best = rest;
    }
    return best;
}

bool cop_schema_count_holds(schema *s, const schema_goal *g, const char *text, size_t bytes) {
    begun b;
    if (s->options.checker ? any_spelling(text, bytes) != 1 : !read_plain(text, bytes, &b) || !b.whole || (b.point && !b.fraction)) return false;
    schema_arena mem = {.most = 1 << 20};
    schema_dec d;
    bool yes = false, is_digits = true;
    for (size_t i = 0; i < bytes; i++) is_digits &= !strchr(".eE", text[i]);
    if (!cop_schema_dec_read(&mem, &d, text, bytes))
        for (uint32_t i = 0; i < g->n_numbers && !yes; i++)
            yes = (s->options.checker ? !g->numbers[i].literal || is_digits : g->numbers[i].n_multiples > 0) && cop_schema_numbers_hold(&g->numbers[i], &d);
    cop_schema_arena_fini(&mem);
    return yes && !(!s->options.checker && d.n == 0 && *text == '-');
}

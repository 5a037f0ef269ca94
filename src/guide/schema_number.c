// Exact decimals, sets of numbers, and the numbers of a set as an expression over bytes.
//
// What is written is plain: at most 19 digits, and 17 behind the point; no exponents, no -0, and integers have no point.
#include <stdio.h>

#include "guide/schema_private.h"

#define WHOLE_DIGITS 19
#define FRACTION_DIGITS 17

cop_status cop_schema_dec_read(schema_arena *mem, schema_dec *out, const char *text, size_t bytes) {
    char *digits = cop_schema_take(mem, bytes + 1);
    if (!digits) return COP_ERR_LIMIT;
    *out = (schema_dec){.digits = digits};
    size_t i = 0;
    bool point = false;
    if (bytes && text[0] == '-') out->negative = true, i++;
    for (; i < bytes && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        if (point) out->exponent--;
        if (text[i] != '0' || out->n) digits[out->n++] = text[i];
    }
    if (i < bytes) {
        i++;
        bool down = i < bytes && text[i] == '-';
        if (i < bytes && (text[i] == '-' || text[i] == '+')) i++;
        int e = 0;
        for (; i < bytes; i++) e = e < 100000000 ? e * 10 + (text[i] - '0') : e;
        out->exponent += down ? -e : e;
    }
    while (out->n && digits[out->n - 1] == '0') out->n--, out->exponent++;
    if (!out->n) out->negative = false, out->exponent = 0;
    return COP_OK;
}

cop_status cop_schema_dec_of(schema_arena *mem, schema_dec *out, const json_t *number) {
    char text[48];
    if (json_is_integer(number)) {
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
    } else {
        double d = json_number_value(number), back;
        for (int p = 1; p <= 17; p++) {
            snprintf(text, sizeof text, "%.*e", p - 1, d);
            if (sscanf(text, "%lf", &back) == 1 && back == d) break;
        }
    }
    return cop_schema_dec_read(mem, out, text, strlen(text));
}

static int compare_sizes(const schema_dec *a, const schema_dec *b) {
    if (!a->n || !b->n) return (a->n > 0) - (b->n > 0);
    int x = a->n + a->exponent, y = b->n + b->exponent;
    if (x != y) return x < y ? -1 : 1;
    int c = memcmp(a->digits, b->digits, (size_t)(a->n < b->n ? a->n : b->n));
    return c ? (c < 0 ? -1 : 1) : (a->n > b->n) - (a->n < b->n);
}

int cop_schema_dec_compare(const schema_dec *a, const schema_dec *b) {
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    int c = compare_sizes(a, b);
    return a->negative ? -c : c;
}

bool cop_schema_dec_is_integer(const schema_dec *a) { return a->exponent >= 0; }

// digits · 10^(difference of exponents) modulo the digits of `of`.
bool cop_schema_dec_is_multiple(const schema_dec *a, const schema_dec *of) {
    if (!a->n) return true;
    int zeros = a->exponent - of->exponent;
    if (!of->n || of->n > 19 || zeros < 0) return false;
    unsigned __int128 m = 0, r = 0, ten = 10;
    for (int i = 0; i < of->n; i++) m = m * 10 + (unsigned)(of->digits[i] - '0');
    for (int i = 0; i < a->n; i++) r = (r * 10 + (unsigned)(a->digits[i] - '0')) % m;
    for (ten %= m; zeros; zeros >>= 1, ten = ten * ten % m)
        if (zeros & 1) r = r * ten % m;
    return r == 0;
}

bool cop_schema_numbers_hold(const schema_numbers *set, const schema_dec *v) {
    if (set->has_low) {
        int c = cop_schema_dec_compare(v, &set->low);
        if (c < 0 || (!c && set->low_open)) return false;
    }
    if (set->has_high) {
        int c = cop_schema_dec_compare(v, &set->high);
        if (c > 0 || (!c && set->high_open)) return false;
    }
    if (set->integer && cop_schema_dec_is_integer(v) != (set->integer == 1)) return false;
    for (int i = 0; i < set->n_multiples; i++)
        if (cop_schema_dec_is_multiple(v, &set->multiples[i].of) == set->multiples[i].no) return false;
    for (int i = 0; i < set->n_not; i++)
        if (!cop_schema_dec_compare(v, &set->not[i])) return false;
    for (int i = 0; i < set->n_only; i++)
        if (!cop_schema_dec_compare(v, &set->only[i])) return true;
    return !set->only;
}

// ---- as an expression ----

typedef struct places {  // a size: whole digits without leading zeros, then a fraction without zeros at its end
    char whole[64], fraction[64];
    int n_whole, n_fraction;
    bool huge;  // beyond what can be written
} places;

static places place(const schema_dec *d) {
    places p = {.n_whole = 0};
    int whole = d->n + d->exponent;
    if (whole > 40) return p.huge = true, p;
    for (int i = 0; i < whole; i++) p.whole[p.n_whole++] = i < d->n ? d->digits[i] : '0';
    for (int i = whole < 0 ? whole : 0; d->n && i < 0 && p.n_fraction < 40; i++) p.fraction[p.n_fraction++] = '0';
    for (int i = whole < 0 ? 0 : whole; i < d->n && p.n_fraction < 40; i++) p.fraction[p.n_fraction++] = d->digits[i];
    return p;
}

static cop_rx digit(schema *s, char low, char high) { return low > high ? COP_RX_NONE : cop_rx_byte_range(s->regexes, (uint8_t)low, (uint8_t)high); }
static cop_rx digits(schema *s, uint32_t min, uint32_t max) { return cop_rx_repeat(s->regexes, digit(s, '0', '9'), min, max); }
static cop_rx text(schema *s, const char *t, size_t n) { return cop_rx_byte_text(s->regexes, t, n); }
static cop_rx join(schema *s, cop_rx a, cop_rx b) { return cop_rx_concat(s->regexes, a, b); }
static cop_rx either(schema *s, cop_rx a, cop_rx b) { return cop_rx_or(s->regexes, a, b); }
static cop_rx point(schema *s, cop_rx a) { return join(s, text(s, ".", 1), a); }
static cop_rx any_fraction(schema *s) { return cop_rx_maybe(s->regexes, point(s, digits(s, 1, COP_RX_MANY))); }
static cop_rx not_zero(schema *s) { return join(s, digits(s, 0, COP_RX_MANY), join(s, digit(s, '1', '9'), digits(s, 0, COP_RX_MANY))); }

// Fractions, point included or nothing, that are at least (above: more than) or at most (below: less than) p's.
static cop_rx fraction_from(schema *s, const places *p, bool open) {
    if (!p->n_fraction) return open ? point(s, not_zero(s)) : any_fraction(s);
    cop_rx r = join(s, text(s, p->fraction, (size_t)p->n_fraction), open ? not_zero(s) : digits(s, 0, COP_RX_MANY));
    for (int j = 0; j < p->n_fraction; j++)
        r = either(s, r, join(s, text(s, p->fraction, (size_t)j), join(s, digit(s, (char)(p->fraction[j] + 1), '9'), digits(s, 0, COP_RX_MANY))));
    return point(s, r);
}

static cop_rx fraction_to(schema *s, const places *p, bool open) {
    cop_rx zeros = cop_rx_repeat(s->regexes, text(s, "0", 1), 1, COP_RX_MANY);
    if (!p->n_fraction) return open ? COP_RX_NONE : cop_rx_maybe(s->regexes, point(s, zeros));
    cop_rx r = open ? COP_RX_NONE : join(s, text(s, p->fraction, (size_t)p->n_fraction), cop_rx_maybe(s->regexes, zeros));
    for (int j = 0; j < p->n_fraction; j++) {
        if (j) r = either(s, r, text(s, p->fraction, (size_t)j));
        r = either(s, r, join(s, text(s, p->fraction, (size_t)j), join(s, digit(s, '0', (char)(p->fraction[j] - 1)), digits(s, 0, COP_RX_MANY))));
    }
    return either(s, COP_RX_EMPTY, point(s, r));
}

static cop_rx sizes_from(schema *s, const places *p, bool open) {
    if (p->huge) return COP_RX_NONE;
    cop_rx tail = any_fraction(s), first = digit(s, '1', '9');
    if (!p->n_whole) {
        cop_rx zero = join(s, text(s, "0", 1), fraction_from(s, p, open));
        return either(s, zero, join(s, join(s, first, digits(s, 0, COP_RX_MANY)), tail));
    }
    cop_rx r = join(s, join(s, first, digits(s, (uint32_t)p->n_whole, COP_RX_MANY)), tail);
    for (int i = 0; i < p->n_whole; i++) {
        cop_rx more = join(s, digit(s, (char)(p->whole[i] + 1), '9'), digits(s, (uint32_t)(p->n_whole - i - 1), (uint32_t)(p->n_whole - i - 1)));
        r = either(s, r, join(s, text(s, p->whole, (size_t)i), join(s, more, tail)));
    }
    return either(s, r, join(s, text(s, p->whole, (size_t)p->n_whole), fraction_from(s, p, open)));
}

static cop_rx sizes_to(schema *s, const places *p, bool open) {
    cop_rx tail = any_fraction(s), first = digit(s, '1', '9'), zero = text(s, "0", 1);
    if (p->huge) return join(s, either(s, zero, join(s, first, digits(s, 0, COP_RX_MANY))), tail);
    if (!p->n_whole) return join(s, zero, fraction_to(s, p, open));
    cop_rx r = join(s, zero, tail);
    if (p->n_whole > 1) r = either(s, r, join(s, join(s, first, digits(s, 0, (uint32_t)p->n_whole - 2)), tail));
    for (int i = 0; i < p->n_whole; i++) {
        cop_rx less = join(s, digit(s, i ? '0' : '1', (char)(p->whole[i] - 1)), digits(s, (uint32_t)(p->n_whole - i - 1), (uint32_t)(p->n_whole - i - 1)));
        r = either(s, r, join(s, text(s, p->whole, (size_t)i), join(s, less, tail)));
    }
    return either(s, r, join(s, text(s, p->whole, (size_t)p->n_whole), fraction_to(s, p, open)));
}

// One number in every plain spelling.
static cop_rx spellings(schema *s, const schema_dec *d) {
    places p = place(d);
    if (p.huge) return COP_RX_NONE;
    cop_rx r = p.n_whole ? text(s, p.whole, (size_t)p.n_whole) : text(s, "0", 1);
    cop_rx zeros = cop_rx_repeat(s->regexes, text(s, "0", 1), 1, COP_RX_MANY);
    if (p.n_fraction) r = join(s, r, point(s, join(s, text(s, p.fraction, (size_t)p.n_fraction), cop_rx_maybe(s->regexes, zeros))));
    else r = join(s, r, cop_rx_maybe(s->regexes, point(s, zeros)));
    return d->negative ? join(s, text(s, "-", 1), r) : r;
}

// How numbers are written; below zero without their sign.
static cop_rx plain_form(schema *s, uint8_t integer, uint32_t fraction) {
    cop_rx whole = either(s, text(s, "0", 1), join(s, digit(s, '1', '9'), digits(s, 0, WHOLE_DIGITS - 1)));
    if (integer == 1 || !fraction) return whole;
    cop_rx part = cop_rx_repeat(s->regexes, digit(s, '0', '9'), 1, fraction);
    if (integer == 2) part = cop_rx_and(s->regexes, part, not_zero(s));
    return integer == 2 ? join(s, whole, point(s, part)) : join(s, whole, cop_rx_maybe(s->regexes, point(s, part)));
}

// Multiples of a power of ten are a matter of places; *fraction: how many are left. Others are not.
static bool multiples_by_places(const schema_numbers *n, uint32_t *fraction) {
    *fraction = FRACTION_DIGITS;
    for (int i = 0; i < n->n_multiples; i++) {
        const schema_dec *m = &n->multiples[i].of;
        if (n->multiples[i].no || m->n != 1 || m->digits[0] != '1' || m->exponent > 0) return false;
        if ((uint32_t)-m->exponent < *fraction) *fraction = (uint32_t)-m->exponent;
    }
    return true;
}

static cop_rx only_these(schema *s, const schema_numbers *n) {
    cop_rx r = COP_RX_NONE;
    for (int i = 0; i < n->n_only; i++) {
        if (!cop_schema_numbers_hold(n, &n->only[i])) continue;
        places p = place(&n->only[i]);
        if (p.huge || p.n_fraction > 30) continue;
        cop_rx one = n->only[i].negative ? text(s, "-", 1) : COP_RX_EMPTY;
        one = join(s, one, p.n_whole ? text(s, p.whole, (size_t)p.n_whole) : text(s, "0", 1));
        if (p.n_fraction) one = join(s, one, point(s, text(s, p.fraction, (size_t)p.n_fraction)));
        r = either(s, r, one);
    }
    return r;
}

cop_status cop_schema_numbers_rx(schema *s, const schema_numbers *n, cop_rx *out, bool *exact) {
    uint32_t fraction;
    *exact = true;
    if (n->only) return *out = only_these(s, n), cop_regex_set_failed(s->regexes);
    *exact = multiples_by_places(n, &fraction);
    cop_rx form = plain_form(s, n->integer, fraction), up = form, down = form;
    schema_dec zero = {.n = 0};
    places low = place(n->has_low ? &n->low : &zero), high = place(n->has_high ? &n->high : &zero), nothing = place(&zero);
    cop_regex_set *r = s->regexes;
    if (n->has_low && !n->low.negative) up = cop_rx_and(r, up, sizes_from(s, &low, n->low_open)), down = COP_RX_NONE;
    if (n->has_high && !n->high.negative) up = cop_rx_and(r, up, sizes_to(s, &high, n->high_open));
    if (n->has_high && n->high.negative) down = cop_rx_and(r, down, sizes_from(s, &high, n->high_open)), up = COP_RX_NONE;
    if (n->has_low && n->low.negative) down = cop_rx_and(r, down, sizes_to(s, &low, n->low_open));
    down = cop_rx_and(r, down, sizes_from(s, &nothing, true));
    *out = cop_rx_or(r, up, join(s, text(s, "-", 1), down));
    for (int i = 0; i < n->n_not; i++) *out = cop_rx_minus(r, *out, spellings(s, &n->not[i]));
    return cop_regex_set_failed(s->regexes);
}

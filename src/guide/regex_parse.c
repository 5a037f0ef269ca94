// Patterns as text: ECMA-262 with the flag u, forgiving where Annex B is. The sentence of a failure has the place.
#include <string.h>

#include "base/alloc.h"
#include "guide/regex_syntax.h"
#include "text/utf8.h"

#define MAX_PATTERN ((size_t)1 << 16)  // bytes
#define MAX_NESTING 200
#define MAX_COUNT 1000000000u
#define NO_CHARACTER UINT32_MAX

typedef struct parser {
    cop_regex_set *set;
    cop_syntax_tree *tree;
    const char *text;
    size_t bytes, at;
    int depth;
    bool any_case, dot_all, dot_line;
} parser;

static cop_status parse_alternatives(parser *p, uint32_t *out);

static bool is_at(const parser *p, const char *text) {
    size_t n = strlen(text);
    return p->bytes - p->at >= n && !memcmp(p->text + p->at, text, n);
}
static bool take(parser *p, const char *text) {
    if (!is_at(p, text)) return false;
    p->at += strlen(text);
    return true;
}

static cop_status add_node(parser *p, cop_syntax node, uint32_t *out) {
    COP_TRY(cop_array_push(p->tree, node));
    *out = (uint32_t)p->tree->n - 1;
    return COP_OK;
}

static void append(parser *p, uint32_t whole, uint32_t part) {
    cop_syntax *w = &p->tree->v[whole];
    if (w->last) p->tree->v[w->last].next = part;
    else w->first = part;
    w->last = part;
    w->asserts |= p->tree->v[part].asserts;
    w->looks |= p->tree->v[part].looks;
}

// ---- characters ----

static cop_status next_character(parser *p, uint32_t *c) {
    int n = cop_utf8_length(p->text + p->at, p->bytes - p->at);
    if (!n) return cop_fail(COP_ERR_FORMAT, "pattern: not UTF-8 at byte %zu", p->at);
    *c = cop_utf8_decode(p->text + p->at, n);
    p->at += (size_t)n;
    return COP_OK;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// n hexadecimal digits; false: they are not there, and nothing was taken.
static bool take_hex(parser *p, int n, uint32_t *out) {
    uint32_t v = 0;
    if (p->bytes - p->at < (size_t)n) return false;
    for (int i = 0; i < n; i++) {
        int d = hex_value(p->text[p->at + (size_t)i]);
        if (d < 0) return false;
        v = v * 16 + (uint32_t)d;
    }
    p->at += (size_t)n;
    *out = v;
    return true;
}

// Behind \u.
static cop_status parse_unicode_escape(parser *p, uint32_t *c) {
    uint32_t low;
    if (take(p, "{")) {
        uint32_t v = 0;
        int n = 0, d;
        for (; p->at < p->bytes && (d = hex_value(p->text[p->at])) >= 0 && n < 8; n++, p->at++) v = v * 16 + (uint32_t)d;
        if (!n || v > 0x10FFFF || !take(p, "}")) return cop_fail(COP_ERR_FORMAT, "pattern: bad \\u{...} at byte %zu", p->at);
        *c = v;
        return COP_OK;
    }
    if (!take_hex(p, 4, c)) return cop_fail(COP_ERR_FORMAT, "pattern: \\u without four digits at byte %zu", p->at);
    size_t before = p->at;
    if (*c >= 0xD800 && *c < 0xDC00 && take(p, "\\u")) {
        if (take_hex(p, 4, &low) && low >= 0xDC00 && low < 0xE000) *c = 0x10000 + ((*c - 0xD800) << 10) + (low - 0xDC00);
        else p->at = before;
    }
    return COP_OK;
}

static cop_status parse_property(parser *p, bool negated, cop_rx_pairs *pairs) {
    const uint32_t(*ranges)[2];
    size_t n, bytes = 1, name = p->at;
    if (take(p, "{")) {
        name = p->at;
        if (p->at < p->bytes && p->text[p->at] == '^') negated = !negated, name++;
        const char *end = memchr(p->text + name, '}', p->bytes - name);
        if (!end) return cop_fail(COP_ERR_FORMAT, "pattern: \\p{ without } at byte %zu", p->at);
        bytes = (size_t)(end - (p->text + name));
        p->at = name + bytes + 1;
    } else if (p->at++ >= p->bytes) {
        return cop_fail(COP_ERR_FORMAT, "pattern: \\p at the end");
    }
    COP_TRY(cop_rx_find_property(p->set, p->text + name, bytes, &ranges, &n));
    cop_rx_pairs found = {0};
    cop_status st = COP_OK;
    for (size_t i = 0; i < n && !st; i++) st = cop_rx_pairs_add(&found, ranges[i][0], ranges[i][1]);
    if (!st && negated) st = cop_rx_invert_pairs(&found);
    for (size_t i = 0; i < found.n && !st; i += 2) st = cop_rx_pairs_add(pairs, found.v[i], found.v[i + 1]);
    cop_array_fini(&found);
    return st;
}

static cop_status add_escaped_class(cop_rx_pairs *pairs, char letter) {
    cop_rx_pairs found = {0};
    char small = letter | 0x20;
    cop_status st = cop_rx_add_class(&found, small);
    if (!st && small != letter) st = cop_rx_invert_pairs(&found);
    for (size_t i = 0; i < found.n && !st; i += 2) st = cop_rx_pairs_add(pairs, found.v[i], found.v[i + 1]);
    cop_array_fini(&found);
    return st;
}

// Behind a backslash: one character into *c, or a class into *pairs and NO_CHARACTER.
static cop_status parse_escape(parser *p, bool in_class, uint32_t *c, cop_rx_pairs *pairs) {
    uint32_t x;
    if (p->at >= p->bytes) return cop_fail(COP_ERR_FORMAT, "pattern: a backslash at the end");
    COP_TRY(next_character(p, &x));
    *c = NO_CHARACTER;
    switch (x) {
    case 'd': case 'D': case 'w': case 'W': case 's': case 'S': return add_escaped_class(pairs, (char)x);
    case 'p': case 'P': return parse_property(p, x == 'P', pairs);
    case 't': return *c = '\t', COP_OK;
    case 'n': return *c = '\n', COP_OK;
    case 'v': return *c = '\v', COP_OK;
    case 'f': return *c = '\f', COP_OK;
    case 'r': return *c = '\r', COP_OK;
    case '0': return *c = 0, COP_OK;
    case 'u': return parse_unicode_escape(p, c);
    case 'x':
        if (take_hex(p, 2, c)) return COP_OK;
        return is_at(p, "{") ? parse_unicode_escape(p, c) : cop_fail(COP_ERR_FORMAT, "pattern: \\x without two digits at byte %zu", p->at);
    case 'c':
        if (p->at >= p->bytes || !((p->text[p->at] | 0x20) >= 'a' && (p->text[p->at] | 0x20) <= 'z'))
            return cop_fail(COP_ERR_FORMAT, "pattern: \\c without a letter at byte %zu", p->at);
        return *c = (uint32_t)p->text[p->at++] & 31, COP_OK;
    case 'b':
        if (in_class) return *c = '\b', COP_OK;
        break;
    default:
        if (x >= '1' && x <= '9') return cop_fail(COP_ERR_UNSUPPORTED, "pattern: backreference \\%c at byte %zu", (int)x, p->at - 1);
        if (x == 'k') return cop_fail(COP_ERR_UNSUPPORTED, "pattern: backreference \\k at byte %zu", p->at - 1);
        if (x >= 0x80 || !((x | 0x20) >= 'a' && (x | 0x20) <= 'z')) return *c = x, COP_OK;
    }
    return cop_fail(COP_ERR_UNSUPPORTED, "pattern: escape \\%c at byte %zu", (int)x, p->at - 1);
}

static cop_status add_other_case(cop_rx_pairs *pairs) {
    size_t n = pairs->n;
    for (size_t i = 0; i < n; i += 2)
        for (int shift = 0; shift < 2; shift++) {
            uint32_t a = shift ? 'a' : 'A', z = shift ? 'z' : 'Z';
            uint32_t low = pairs->v[i] > a ? pairs->v[i] : a, high = pairs->v[i + 1] < z ? pairs->v[i + 1] : z;
            if (low <= high) COP_TRY(cop_rx_pairs_add(pairs, low ^ 0x20, high ^ 0x20));
        }
    return COP_OK;
}

static cop_status add_characters(parser *p, cop_rx_pairs *pairs, bool negated, uint32_t *out) {
    if (p->any_case) COP_TRY(add_other_case(pairs));
    if (negated) COP_TRY(cop_rx_invert_pairs(pairs));
    cop_rx rx = cop_rx_mk_characters(p->set, (const uint32_t(*)[2])pairs->v, pairs->n / 2);
    return add_node(p, (cop_syntax){.kind = COP_SYNTAX_CHARACTERS, .rx = rx}, out);
}

// One member of a class: a character, or NO_CHARACTER when it was a class of its own.
static cop_status parse_member(parser *p, uint32_t *c, cop_rx_pairs *pairs) {
    if (take(p, "\\")) return parse_escape(p, true, c, pairs);
    return next_character(p, c);
}

// Behind [.
static cop_status parse_class_body(parser *p, cop_rx_pairs *pairs) {
    while (!take(p, "]")) {
        uint32_t low, high;
        if (p->at >= p->bytes) return cop_fail(COP_ERR_FORMAT, "pattern: [ without ]");
        COP_TRY(parse_member(p, &low, pairs));
        bool range = is_at(p, "-") && !is_at(p, "-]");
        if (range && low != NO_CHARACTER) {
            p->at++;
            COP_TRY(parse_member(p, &high, pairs));
            if (high == NO_CHARACTER) {  // [a-\d]: three members
                COP_TRY(cop_rx_pairs_add(pairs, low, low));
                low = high = '-';
            }
            if (high < low) return cop_fail(COP_ERR_FORMAT, "pattern: a range is out of order at byte %zu", p->at);
            COP_TRY(cop_rx_pairs_add(pairs, low, high));
        } else if (low != NO_CHARACTER) {
            COP_TRY(cop_rx_pairs_add(pairs, low, low));
        }
    }
    return COP_OK;
}

static cop_status parse_atom_characters(parser *p, uint32_t *out) {
    cop_rx_pairs pairs = {0};
    bool negated = false;
    cop_status st;
    if (take(p, "[")) {
        negated = take(p, "^");
        st = parse_class_body(p, &pairs);
    } else if (take(p, ".")) {
        negated = true;
        st = p->dot_all ? COP_OK : cop_rx_pairs_add(&pairs, '\n', '\n');
        if (!st && !p->dot_all && !p->dot_line) st = cop_rx_pairs_add(&pairs, '\r', '\r');
        if (!st && !p->dot_all && !p->dot_line) st = cop_rx_pairs_add(&pairs, 0x2028, 0x2029);
    } else {
        uint32_t c;
        st = parse_member(p, &c, &pairs);
        if (!st && c != NO_CHARACTER) st = cop_rx_pairs_add(&pairs, c, c);
    }
    if (!st) st = add_characters(p, &pairs, negated, out);
    cop_array_fini(&pairs);
    return st;
}

// ---- groups, quantifiers ----

static cop_status skip_group_name(parser *p) {
    const char *end = memchr(p->text + p->at, '>', p->bytes - p->at);
    if (!end) return cop_fail(COP_ERR_FORMAT, "pattern: a group's name without > at byte %zu", p->at);
    p->at = (size_t)(end - p->text) + 1;
    return COP_OK;
}

// (?i: (?-s: and so on: flags for a group.
static bool take_group_flags(parser *p) {
    bool on = true, any_case = p->any_case, dot_all = p->dot_all;
    size_t n = 1;
    for (; p->at + n < p->bytes && p->text[p->at + n] != ':'; n++) {
        char c = p->text[p->at + n];
        if (c == '-') on = false;
        else if (c == 'i') any_case = on;
        else if (c == 's') dot_all = on;
        else if (c != 'u') return false;
    }
    if (!is_at(p, "?") || p->at + n >= p->bytes) return false;
    p->any_case = any_case;
    p->dot_all = dot_all;
    p->at += n + 1;
    return true;
}

// Behind ( : what kind of group; -1: nothing but a group.
static cop_status parse_group_kind(parser *p, int *kind) {
    *kind = -1;
    if (!is_at(p, "?")) return is_at(p, "*") ? cop_fail(COP_ERR_UNSUPPORTED, "pattern: (* at byte %zu", p->at) : COP_OK;
    if (take_group_flags(p)) return COP_OK;
    if (take(p, "?=")) return *kind = COP_SYNTAX_AHEAD, COP_OK;
    if (take(p, "?!")) return *kind = COP_SYNTAX_NOT_AHEAD, COP_OK;
    if (take(p, "?<=")) return *kind = COP_SYNTAX_BEHIND, COP_OK;
    if (take(p, "?<!")) return *kind = COP_SYNTAX_NOT_BEHIND, COP_OK;
    if (take(p, "?<") || (is_at(p, "?P<") && take(p, "?P<"))) return skip_group_name(p);
    if (is_at(p, "?>")) return cop_fail(COP_ERR_UNSUPPORTED, "pattern: atomic group at byte %zu", p->at);
    if (is_at(p, "?P=")) return cop_fail(COP_ERR_UNSUPPORTED, "pattern: backreference at byte %zu", p->at);
    if (is_at(p, "?(")) return cop_fail(COP_ERR_UNSUPPORTED, "pattern: conditional group at byte %zu", p->at);
    return cop_fail(COP_ERR_UNSUPPORTED, "pattern: flags or a kind of group that is not known at byte %zu", p->at);
}

static cop_status parse_group(parser *p, uint32_t *out) {
    int kind;
    size_t begin = p->at;
    bool any_case = p->any_case, dot_all = p->dot_all;
    COP_TRY(parse_group_kind(p, &kind));
    if (++p->depth > MAX_NESTING) return cop_fail(COP_ERR_LIMIT, "pattern: groups are nested more than %d deep", MAX_NESTING);
    COP_TRY(parse_alternatives(p, out));
    p->depth--;
    p->any_case = any_case;
    p->dot_all = dot_all;
    if (!take(p, ")")) return cop_fail(COP_ERR_FORMAT, "pattern: ( without ) at byte %zu", begin - 1);
    if (kind < 0) return COP_OK;
    uint32_t inner = *out;
    COP_TRY(add_node(p, (cop_syntax){.kind = (uint8_t)kind, .asserts = true, .looks = true}, out));
    append(p, *out, inner);
    return COP_OK;
}

static cop_status parse_atom(parser *p, uint32_t *out) {
    static const struct { const char *text; uint8_t kind; bool looks; } edges[] = {
        {"^", COP_SYNTAX_BEGIN, false}, {"$", COP_SYNTAX_END, false}, {"\\A", COP_SYNTAX_BEGIN, false}, {"\\z", COP_SYNTAX_END, false},
        {"\\Z", COP_SYNTAX_END, false}, {"\\b", COP_SYNTAX_WORD_EDGE, true}, {"\\B", COP_SYNTAX_NO_WORD_EDGE, true}};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        if (take(p, edges[i].text))
            return add_node(p, (cop_syntax){.kind = edges[i].kind, .asserts = true, .looks = edges[i].looks}, out);
    if (take(p, "(")) return parse_group(p, out);
    if (is_at(p, "*") || is_at(p, "+") || is_at(p, "?")) return cop_fail(COP_ERR_FORMAT, "pattern: nothing to repeat at byte %zu", p->at);
    return parse_atom_characters(p, out);
}

static bool take_count(parser *p, uint32_t *out) {
    size_t from = p->at;
    uint64_t v = 0;
    for (; p->at < p->bytes && p->text[p->at] >= '0' && p->text[p->at] <= '9'; p->at++)
        if (v <= MAX_COUNT) v = v * 10 + (uint64_t)(p->text[p->at] - '0');
    *out = v > MAX_COUNT ? MAX_COUNT + 1 : (uint32_t)v;
    return p->at > from;
}

// {m}, {m,} or {m,n}; anything else is text, and nothing is taken.
static bool take_braces(parser *p, uint32_t *low, uint32_t *high) {
    size_t from = p->at;
    if (take(p, "{") && take_count(p, low)) {
        *high = *low;
        if (take(p, ",") && !take_count(p, high)) *high = COP_RX_MANY;
        if (take(p, "}")) return true;
    }
    p->at = from;
    return false;
}

static cop_status parse_quantifier(parser *p, uint32_t *atom) {
    uint32_t low = 0, high = COP_RX_MANY, inner = *atom;
    size_t from = p->at;
    if (take(p, "+")) low = 1;
    else if (take(p, "?")) high = 1;
    else if (!take(p, "*") && !take_braces(p, &low, &high)) return COP_OK;
    if (low > MAX_COUNT || (high > MAX_COUNT && high != COP_RX_MANY))
        return cop_fail(COP_ERR_LIMIT, "pattern: a count at byte %zu is larger than %u", from, MAX_COUNT);
    if (low > high) return cop_fail(COP_ERR_FORMAT, "pattern: {%u,%u} at byte %zu is out of order", low, high, from);
    uint8_t kind = p->tree->v[inner].kind;
    if (kind >= COP_SYNTAX_BEGIN) return cop_fail(COP_ERR_UNSUPPORTED, "pattern: a repeated assertion at byte %zu", from);
    if (!take(p, "?") && is_at(p, "+")) return cop_fail(COP_ERR_UNSUPPORTED, "pattern: possessive quantifier at byte %zu", from);
    COP_TRY(add_node(p, (cop_syntax){.kind = COP_SYNTAX_REPEAT, .low = low, .high = high}, atom));
    append(p, *atom, inner);
    return COP_OK;
}

static cop_status parse_sequence(parser *p, uint32_t *out) {
    COP_TRY(add_node(p, (cop_syntax){.kind = COP_SYNTAX_CONCAT}, out));
    while (p->at < p->bytes && !is_at(p, "|") && !is_at(p, ")")) {
        uint32_t part;
        COP_TRY(parse_atom(p, &part));
        COP_TRY(parse_quantifier(p, &part));
        append(p, *out, part);
    }
    return COP_OK;
}

static cop_status parse_alternatives(parser *p, uint32_t *out) {
    uint32_t part;
    COP_TRY(parse_sequence(p, &part));
    *out = part;
    if (!is_at(p, "|")) return COP_OK;
    COP_TRY(add_node(p, (cop_syntax){.kind = COP_SYNTAX_OR}, out));
    append(p, *out, part);
    while (take(p, "|")) {
        COP_TRY(parse_sequence(p, &part));
        append(p, *out, part);
    }
    return COP_OK;
}

static void take_flags(parser *p) {
    size_t n = 2;
    if (!is_at(p, "(?")) return;
    while (p->at + n < p->bytes && (p->text[p->at + n] == 'i' || p->text[p->at + n] == 's' || p->text[p->at + n] == 'u')) n++;
    if (n == 2 || p->at + n >= p->bytes || p->text[p->at + n] != ')') return;
    p->any_case = memchr(p->text + p->at, 'i', n) != NULL;
    p->dot_all = memchr(p->text + p->at, 's', n) != NULL;
    p->at += n + 1;
}

cop_status cop_syntax_parse(cop_regex_set *set, const char *pattern, size_t bytes, cop_rx_how how, cop_syntax_tree *tree, uint32_t *root) {
    parser p = {.set = set, .tree = tree, .text = pattern, .bytes = bytes, .dot_line = how == COP_RX_WHOLE_LINE};
    if (bytes > MAX_PATTERN) return cop_fail(COP_ERR_LIMIT, "pattern: %zu bytes, at most %zu", bytes, MAX_PATTERN);
    tree->most = 4 * MAX_PATTERN;
    COP_TRY(cop_array_push(tree, (cop_syntax){0}));
    take_flags(&p);
    COP_TRY(parse_alternatives(&p, root));
    if (p.at < bytes) return cop_fail(COP_ERR_FORMAT, "pattern: ) without ( at byte %zu", p.at);
    return COP_OK;
}

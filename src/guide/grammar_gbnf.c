// GBNF as llama.cpp has it: name ::= alternatives, "text", [class], ., (group), * + ? {m,n}, # comments, <token>, <[id]>,
// !<token>. A rule ends with its line unless a bracket is open, an alternative is missing, or the next
// line begins with one. And what both dialects share: the tree, escapes, counts, tokens.
#include <string.h>

#include "base/alloc.h"
#include "guide/grammar_private.h"
#include "text/utf8.h"

#define MAX_NESTING 200
#define MAX_NAME 128

cop_status cop_gr_fail(const cop_gr_source *s, cop_status status, const char *what) {
    return cop_fail(status, "%s grammar, line %d: %s", s->kind, s->line, what);
}

cop_status cop_gr_add(cop_gr_source *s, cop_gr_node node, uint32_t *out) {
    COP_TRY(cop_array_push(&s->nodes, node));
    *out = (uint32_t)s->nodes.n - 1;
    return COP_OK;
}

void cop_gr_append(cop_gr_source *s, uint32_t whole, uint32_t part) {
    cop_gr_node *w = &s->nodes.v[whole];
    if (w->last) s->nodes.v[w->last].next = part;
    else w->first = part;
    w->last = part;
}

cop_status cop_gr_rule_of(cop_gr_source *s, const char *name, size_t bytes, uint32_t *rule) {
    if (bytes > MAX_NAME) return cop_gr_fail(s, COP_ERR_LIMIT, "a name is too long");
    uint32_t hash = 2166136261u, at;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    if (!s->names) s->names = cop_alloc_array(COP_GR_NAMES, sizeof *s->names);
    for (at = hash % COP_GR_NAMES; s->names && s->names[at]; at = (at + 1) % COP_GR_NAMES) {
        const char *its = s->rules.v[s->names[at] - 1].name;
        if (!strncmp(its, name, bytes) && !its[bytes]) return *rule = s->names[at] - 1, COP_OK;
    }
    cop_gr_rule one = {.name = cop_text_copy(name, bytes)};
    if (!one.name || !s->names) return cop_free(one.name), cop_fail(COP_ERR_NOMEM, "grammar: cannot allocate");
    cop_status st = cop_array_push(&s->rules, one);
    if (st) cop_free(one.name);
    else s->names[at] = *rule = (uint32_t)s->rules.n;
    *rule -= !st;
    return st;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

cop_status cop_gr_read_escape(cop_gr_source *s, uint32_t *c) {
    static const char letters[] = "nrtfbv0", values[] = "\n\r\t\f\b\v";
    if (s->at >= s->bytes) return cop_gr_fail(s, COP_ERR_FORMAT, "a backslash at the end");
    char x = s->text[s->at++];
    const char *known = x ? strchr(letters, x) : NULL;
    int digits = x == 'x' ? 2 : x == 'u' ? 4 : x == 'U' ? 8 : 0;
    if (known) return *c = (uint8_t)values[known - letters], COP_OK;
    if (!digits) {
        s->at--;
        int n = cop_utf8_length(s->text + s->at, s->bytes - s->at);
        if (!n) return cop_gr_fail(s, COP_ERR_FORMAT, "not UTF-8");
        if ((x | 0x20) >= 'a' && (x | 0x20) <= 'z') return cop_gr_fail(s, COP_ERR_FORMAT, "an escape that is not known");
        *c = cop_utf8_decode(s->text + s->at, n);
        s->at += (size_t)n;
        return COP_OK;
    }
    for (*c = 0; digits > 0; digits--) {
        int d = s->at < s->bytes ? hex_value(s->text[s->at++]) : -1;
        if (d < 0 || *c > 0x10FFFF) return cop_gr_fail(s, COP_ERR_FORMAT, "an escape has too few digits, or is no character");
        *c = *c * 16 + (uint32_t)d;
    }
    return *c > 0x10FFFF || (*c >= 0xD800 && *c < 0xE000) ? cop_gr_fail(s, COP_ERR_FORMAT, "an escape is no character") : COP_OK;
}

static cop_status read_character(cop_gr_source *s, uint32_t *c) {
    if (s->at < s->bytes && s->text[s->at] == '\\') return s->at++, cop_gr_read_escape(s, c);
    int n = cop_utf8_length(s->text + s->at, s->bytes - s->at);
    if (!n) return cop_gr_fail(s, COP_ERR_FORMAT, s->at < s->bytes ? "not UTF-8" : "the text ends too early");
    *c = cop_utf8_decode(s->text + s->at, n);
    s->at += (size_t)n;
    return COP_OK;
}

cop_status cop_gr_read_text(cop_gr_source *s, char quote, cop_rx *out, bool any_case) {
    COP_ARRAY(cop_rx) parts = {.most = 1 << 20};
    cop_status st = COP_OK;
    while (!st && (s->at >= s->bytes || s->text[s->at] != quote)) {
        uint32_t c = 0;
        st = s->at >= s->bytes || s->text[s->at] == '\n' ? cop_gr_fail(s, COP_ERR_FORMAT, "a text without its second quote") : read_character(s, &c);
        bool letter = c < 128 && (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        const uint32_t range[2][2] = {{c, c}, {any_case && letter ? c ^ 0x20 : c, any_case && letter ? c ^ 0x20 : c}};
        if (!st) st = cop_array_push(&parts, cop_rx_characters(s->set, range, 2));
    }
    s->at++;
    for (*out = COP_RX_EMPTY; parts.n;) *out = cop_rx_concat(s->set, parts.v[--parts.n], *out);
    cop_array_fini(&parts);
    return st;
}

static bool read_number(cop_gr_source *s, uint32_t *out) {
    size_t from = s->at;
    uint64_t v = 0;
    for (; s->at < s->bytes && s->text[s->at] >= '0' && s->text[s->at] <= '9'; s->at++)
        if (v < UINT32_MAX) v = v * 10 + (uint64_t)(s->text[s->at] - '0');
    *out = v < 1000000000 ? (uint32_t)v : 1000000000;
    return s->at > from;
}

static void skip_blanks(cop_gr_source *s) {
    while (s->at < s->bytes && (s->text[s->at] == ' ' || s->text[s->at] == '\t')) s->at++;
}

// Behind { : m}, m,} ,n} or m,n}.
cop_status cop_gr_read_count(cop_gr_source *s, uint32_t *low, uint32_t *high) {
    skip_blanks(s);
    bool has_low = read_number(s, low);
    if (!has_low) *low = 0;
    skip_blanks(s);
    *high = *low;
    bool comma = s->at < s->bytes && s->text[s->at] == ',';
    if (comma) {
        s->at++;
        skip_blanks(s);
        if (!read_number(s, high)) *high = COP_RX_MANY;
        skip_blanks(s);
    }
    if ((!has_low && !comma) || s->at >= s->bytes || s->text[s->at++] != '}') return cop_gr_fail(s, COP_ERR_FORMAT, "a repetition needs {m}, {m,} or {m,n}");
    return *low > *high ? cop_gr_fail(s, COP_ERR_FORMAT, "a repetition {m,n} is out of order") : COP_OK;
}

cop_status cop_gr_read_token(cop_gr_source *s, bool but, uint32_t *out) {
    cop_gr_tokens set = {.but = but};
    const char *from = s->text + s->at, *end = memchr(from, '>', s->bytes - s->at);
    if (!end) return cop_gr_fail(s, COP_ERR_FORMAT, "< without >");
    size_t bytes = (size_t)(end - from) + 1;
    for (size_t i = 0; i < bytes; i++)
        if ((uint8_t)from[i] < ' ' || bytes > MAX_NAME) return cop_gr_fail(s, COP_ERR_FORMAT, "a token's name is too long, or has control characters");
    if (!s->vocab) return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "a token by its name or number needs a vocabulary");
    const cop_vocab_trie_source *v = cop_vocab_trie_get_source(s->vocab);
    s->at += bytes;
    if (from[1] == '[') {
        size_t after = s->at;
        s->at = (size_t)(from - s->text) + 2;
        uint32_t low, high;
        bool ok = read_number(s, &low);
        high = low;
        if (ok && s->text[s->at] == '-') s->at++, ok = read_number(s, &high);
        if (!ok || s->at + 2 != after || s->text[s->at] != ']' || low > high || high >= (uint32_t)v->V)
            return cop_gr_fail(s, COP_ERR_FORMAT, "a token's number must be <[n]> or <[m-n]>, within the vocabulary");
        s->at = after;
        set.low = (int32_t)low;
        set.high = (int32_t)high;
    } else {
        set.low = set.high = v->find(v->user, from, bytes);
        if (set.low < 0) return cop_fail(COP_ERR_NOT_FOUND, "%s grammar, line %d: the vocabulary has no token %.*s", s->kind, s->line, (int)(bytes < 80 ? bytes : 80), from);
    }
    COP_TRY(cop_array_push(&s->tokens, set));
    return cop_gr_add(s, (cop_gr_node){.kind = COP_GR_TOKENS, .value = (uint32_t)s->tokens.n - 1}, out);
}

// ---- GBNF alone ----

static bool is_word(char c) {
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}
static char peek(const cop_gr_source *s) { return s->at < s->bytes ? s->text[s->at] : 0; }

static void skip_space(cop_gr_source *s, bool lines) {
    for (; s->at < s->bytes; s->at++) {
        char c = s->text[s->at];
        if (c == '#')
            while (s->at + 1 < s->bytes && s->text[s->at + 1] != '\n' && s->text[s->at + 1] != '\r') s->at++;
        else if (c == '\n' && lines) s->line++;
        else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) return;
    }
}

static cop_status read_class(cop_gr_source *s, uint32_t *out) {
    COP_ARRAY(uint32_t) pairs = {.most = 1 << 20};
    bool negated = peek(s) == '^';
    cop_status st = COP_OK;
    s->at += negated;
    while (!st && peek(s) != ']') {
        uint32_t low = 0, high;
        if (s->at >= s->bytes) st = cop_gr_fail(s, COP_ERR_FORMAT, "[ without ]");
        if (!st) st = read_character(s, &low);
        high = low;
        if (!st && peek(s) == '-' && s->at + 1 < s->bytes && s->text[s->at + 1] != ']') s->at++, st = read_character(s, &high);
        if (!st && low > high) st = cop_gr_fail(s, COP_ERR_FORMAT, "a range is out of order");
        if (!st) st = cop_array_push(&pairs, low);
        if (!st) st = cop_array_push(&pairs, high);
    }
    s->at++;
    cop_rx rx = cop_rx_characters(s->set, (const uint32_t(*)[2])pairs.v, pairs.n / 2);
    cop_array_fini(&pairs);
    if (!st && negated) rx = cop_rx_minus(s->set, cop_rx_any_character(s->set), rx);
    return st ? st : cop_gr_add(s, (cop_gr_node){.kind = COP_GR_RX, .value = rx}, out);
}

static cop_status read_alternatives(cop_gr_source *s, bool nested, uint32_t *out);

static cop_status read_group(cop_gr_source *s, uint32_t *out) {
    if (++s->depth > MAX_NESTING) return cop_gr_fail(s, COP_ERR_LIMIT, "groups are nested too deeply");
    skip_space(s, true);
    COP_TRY(read_alternatives(s, true, out));
    s->depth--;
    if (peek(s) != ')') return cop_gr_fail(s, COP_ERR_FORMAT, "( without )");
    s->at++;
    return COP_OK;
}

// One element; *out 0: there is none here.
static cop_status read_element(cop_gr_source *s, uint32_t *out) {
    cop_rx rx;
    char c = peek(s);
    *out = 0;
    if (c == '"') {
        s->at++;
        COP_TRY(cop_gr_read_text(s, '"', &rx, false));
        return cop_gr_add(s, (cop_gr_node){.kind = COP_GR_RX, .value = rx}, out);
    }
    if (c == '[') return s->at++, read_class(s, out);
    if (c == '.') return s->at++, cop_gr_add(s, (cop_gr_node){.kind = COP_GR_RX, .value = cop_rx_any_character(s->set)}, out);
    if (c == '(') return s->at++, read_group(s, out);
    if (c == '<') return cop_gr_read_token(s, false, out);
    if (c == '!' && s->at + 1 < s->bytes && s->text[s->at + 1] == '<') return s->at++, cop_gr_read_token(s, true, out);
    if (!is_word(c)) return COP_OK;
    size_t from = s->at;
    while (is_word(peek(s))) s->at++;
    uint32_t rule;
    COP_TRY(cop_gr_rule_of(s, s->text + from, s->at - from, &rule));
    return cop_gr_add(s, (cop_gr_node){.kind = COP_GR_RULE, .value = rule}, out);
}

static cop_status read_suffixes(cop_gr_source *s, bool nested, uint32_t *element) {
    for (;;) {
        char c = peek(s);
        uint32_t low = c == '+', high = c == '?' ? 1 : COP_RX_MANY, inner = *element;
        if (c != '*' && c != '+' && c != '?' && c != '{') return COP_OK;
        s->at++;
        if (c == '{') COP_TRY(cop_gr_read_count(s, &low, &high));
        COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_REPEAT, .low = low, .high = high}, element));
        cop_gr_append(s, *element, inner);
        skip_space(s, nested);
    }
}

static cop_status read_alternatives(cop_gr_source *s, bool nested, uint32_t *out) {
    uint32_t sequence, element;
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_OR}, out));
    for (bool more = true; more;) {
        COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_SEQUENCE}, &sequence));
        cop_gr_append(s, *out, sequence);
        for (;;) {
            COP_TRY(read_element(s, &element));
            if (!element) break;
            skip_space(s, nested);
            COP_TRY(read_suffixes(s, nested, &element));
            cop_gr_append(s, sequence, element);
        }
        size_t at = s->at;
        int line = s->line;
        skip_space(s, true);  // the next line may begin with an alternative
        more = peek(s) == '|';
        if (!more) s->at = at, s->line = line;
        if (more) s->at++, skip_space(s, true);
    }
    return COP_OK;
}

static cop_status read_rule(cop_gr_source *s) {
    size_t from = s->at;
    uint32_t rule, body;
    while (is_word(peek(s))) s->at++;
    if (s->at == from) return cop_gr_fail(s, COP_ERR_FORMAT, "a rule's name is missing");
    COP_TRY(cop_gr_rule_of(s, s->text + from, s->at - from, &rule));
    skip_space(s, false);
    if (s->bytes - s->at < 3 || memcmp(s->text + s->at, "::=", 3) != 0) return cop_gr_fail(s, COP_ERR_FORMAT, "::= is missing behind a rule's name");
    s->at += 3;
    skip_space(s, true);
    if (s->rules.v[rule].body) return cop_fail(COP_ERR_FORMAT, "gbnf grammar, line %d: rule %s is there twice", s->line, s->rules.v[rule].name);
    COP_TRY(read_alternatives(s, false, &body));
    s->rules.v[rule].body = body;
    if (s->at < s->bytes && peek(s) != '\n' && peek(s) != '\r') return cop_gr_fail(s, COP_ERR_FORMAT, "what is this behind a rule?");
    skip_space(s, true);
    return COP_OK;
}

cop_status cop_gr_read_gbnf(cop_gr_source *s) {
    skip_space(s, true);
    while (s->at < s->bytes) COP_TRY(read_rule(s));
    return cop_gr_rule_of(s, "root", 4, &s->start);
}

// From a pattern's tree to an expression. What looks around is expressed by what may follow: a part is compiled together
// with its continuation, in three contexts (nothing before it, a word character, another one), so that ^ \b and
// look-aheads become intersections of the continuation:  ^K = K at the beginning,  (?=x)K = K & x.*,  (?!x)K = K & ~(x.*).
#include "guide/regex_syntax.h"

#define MAX_UNFOLD 64   // repetitions of what asserts

typedef struct context {
    cop_rx begin, word, other;  // behind nothing, behind a word character, behind another one
} context;

typedef struct compiler {
    cop_regex_set *set;
    const cop_syntax *nodes;
    cop_rx any, words, others;  // any text; a word character, another one
} compiler;

static cop_status compile(compiler *c, uint32_t at, context *k);

static bool is_same(context k) { return k.begin == k.word && k.word == k.other; }
static context everywhere(cop_rx e) { return (context){e, e, e}; }

// A part that asserts nothing, by itself.
static cop_rx compile_plain(compiler *c, uint32_t at) {
    const cop_syntax *n = &c->nodes[at];
    cop_rx out = n->kind == COP_SYNTAX_OR ? COP_RX_NONE : COP_RX_EMPTY;
    if (n->kind == COP_SYNTAX_CHARACTERS) return n->rx;
    if (n->kind == COP_SYNTAX_REPEAT) return cop_rx_mk_repeat(c->set, compile_plain(c, n->first), n->low, n->high);
    COP_ARRAY(cop_rx) parts = {.most = 1 << 20};
    for (uint32_t i = n->first; i; i = c->nodes[i].next)
        if (cop_array_push(&parts, compile_plain(c, i))) cop_rx_give_up(c->set, COP_ERR_NOMEM, "regular expression: cannot allocate");
    if (n->kind == COP_SYNTAX_OR) out = cop_rx_mk_or(c->set, parts.v, parts.n);
    else
        while (parts.n) out = cop_rx_mk_concat(c->set, parts.v[--parts.n], out);
    cop_array_fini(&parts);
    return out;
}

// e, then what may follow its last character.
static context put_before(compiler *c, cop_rx e, context k) {
    if (is_same(k)) return everywhere(cop_rx_mk_concat(c->set, e, k.begin));
    bool nullable = cop_rx_has(c->set, e, COP_RX_NULLABLE);
    cop_rx text = nullable ? cop_rx_mk_and2(c->set, e, cop_rx_mk_repeat(c->set, cop_rx_mk_any(c->set), 1, COP_RX_MANY)) : e, out;
    if (k.word == k.other) {
        out = cop_rx_mk_concat(c->set, text, k.word);
    } else {
        cop_rx ends = cop_rx_mk_and2(c->set, text, cop_rx_mk_concat(c->set, c->any, c->words));
        cop_rx rest = cop_rx_mk_and2(c->set, text, cop_rx_mk_concat(c->set, c->any, c->others));
        out = cop_rx_mk_or2(c->set, cop_rx_mk_concat(c->set, ends, k.word), cop_rx_mk_concat(c->set, rest, k.other));
    }
    if (!nullable) return everywhere(out);
    return (context){cop_rx_mk_or2(c->set, out, k.begin), cop_rx_mk_or2(c->set, out, k.word), cop_rx_mk_or2(c->set, out, k.other)};
}

static context join(compiler *c, context a, context b) {
    return (context){cop_rx_mk_or2(c->set, a.begin, b.begin), cop_rx_mk_or2(c->set, a.word, b.word), cop_rx_mk_or2(c->set, a.other, b.other)};
}

static context meet(compiler *c, context k, context with, bool negated) {
    cop_regex_set *s = c->set;
    if (negated)
        with = (context){cop_rx_mk_not(s, with.begin, true), cop_rx_mk_not(s, with.word, true), cop_rx_mk_not(s, with.other, true)};
    return (context){cop_rx_mk_and2(s, k.begin, with.begin), cop_rx_mk_and2(s, k.word, with.word), cop_rx_mk_and2(s, k.other, with.other)};
}

static cop_status compile_parts(compiler *c, uint32_t at, context *k) {
    COP_ARRAY(uint32_t) parts = {.most = 1 << 20};
    cop_status st = COP_OK;
    for (uint32_t i = c->nodes[at].first; i && !st; i = c->nodes[i].next) st = cop_array_push(&parts, i);
    if (c->nodes[at].kind == COP_SYNTAX_OR) {
        context all = everywhere(COP_RX_NONE);
        for (size_t i = 0; i < parts.n && !st; i++) {
            context one = *k;
            st = compile(c, parts.v[i], &one);
            all = join(c, all, one);
        }
        *k = all;
    } else {
        for (size_t i = parts.n; i-- > 0 && !st;) st = compile(c, parts.v[i], k);
    }
    cop_array_fini(&parts);
    return st;
}

static cop_status unfold(compiler *c, const cop_syntax *n, context *k) {
    if (n->high > MAX_UNFOLD)
        return cop_fail(COP_ERR_UNSUPPORTED, "pattern: ^, $, \\b or a look-around inside a repetition of more than %d", MAX_UNFOLD);
    context end = *k;
    for (uint32_t i = n->low; i < n->high; i++) {
        COP_TRY(compile(c, n->first, k));
        *k = join(c, *k, end);
    }
    for (uint32_t i = 0; i < n->low; i++) COP_TRY(compile(c, n->first, k));
    return COP_OK;
}

// What stands before *k; *k becomes both together.
static cop_status compile(compiler *c, uint32_t at, context *k) {
    const cop_syntax *n = &c->nodes[at];
    if (!cop_rx_burn(c->set, 1) || atomic_load(&c->set->failed)) return cop_fail(COP_ERR_LIMIT, "%s", c->set->reason);
    if (!n->asserts && (is_same(*k) || n->kind == COP_SYNTAX_CHARACTERS || n->kind == COP_SYNTAX_REPEAT)) {
        *k = put_before(c, compile_plain(c, at), *k);
        return COP_OK;
    }
    cop_rx word_next = cop_rx_mk_concat(c->set, c->words, c->any), not_next = cop_rx_mk_not(c->set, word_next, true);
    switch (n->kind) {
    case COP_SYNTAX_BEGIN: *k = (context){k->begin, COP_RX_NONE, COP_RX_NONE}; return COP_OK;
    case COP_SYNTAX_END: *k = meet(c, *k, everywhere(COP_RX_EMPTY), false); return COP_OK;
    case COP_SYNTAX_WORD_EDGE: *k = meet(c, *k, (context){word_next, not_next, word_next}, false); return COP_OK;
    case COP_SYNTAX_NO_WORD_EDGE: *k = meet(c, *k, (context){not_next, word_next, not_next}, false); return COP_OK;
    case COP_SYNTAX_AHEAD:
    case COP_SYNTAX_NOT_AHEAD: {
        context ahead = everywhere(c->any);
        COP_TRY(compile(c, n->first, &ahead));
        *k = meet(c, *k, ahead, n->kind == COP_SYNTAX_NOT_AHEAD);
        return COP_OK;
    }
    case COP_SYNTAX_REPEAT: return unfold(c, n, k);
    case COP_SYNTAX_BEHIND:
    case COP_SYNTAX_NOT_BEHIND:
        return cop_fail(COP_ERR_UNSUPPORTED, "pattern: a look-behind that is not at the beginning or the end");
    default: return compile_parts(c, at, k);
    }
}

// ---- look-behinds at both ends ----

static bool is_behind(const compiler *c, uint32_t at) {
    uint8_t kind = c->nodes[at].kind;
    return (kind == COP_SYNTAX_BEHIND || kind == COP_SYNTAX_NOT_BEHIND) && !c->nodes[c->nodes[at].first].asserts;
}

// before & .*x, or & ~(.*x)
static cop_rx look_behind(compiler *c, uint32_t at, cop_rx before) {
    cop_rx seen = cop_rx_mk_concat(c->set, c->any, compile_plain(c, c->nodes[at].first));
    if (c->nodes[at].kind == COP_SYNTAX_NOT_BEHIND) seen = cop_rx_mk_not(c->set, seen, true);
    return cop_rx_mk_and2(c->set, before, seen);
}

// The parts first … last in context: with what may be before them.
static cop_status compile_within(compiler *c, const uint32_t *parts, size_t n, cop_rx before, cop_rx behind, cop_rx *out) {
    context k = everywhere(behind);
    for (size_t i = n; i-- > 0;) COP_TRY(compile(c, parts[i], &k));
    if (before == COP_RX_EMPTY || (is_same(k) && before != COP_RX_NONE)) {
        *out = before == COP_RX_EMPTY ? k.begin : cop_rx_mk_concat(c->set, before, k.begin);
        return COP_OK;
    }
    cop_rx ways[3];
    ways[0] = cop_rx_has(c->set, before, COP_RX_NULLABLE) ? k.begin : COP_RX_NONE;
    ways[1] = cop_rx_mk_concat(c->set, cop_rx_mk_and2(c->set, before, cop_rx_mk_concat(c->set, c->any, c->words)), k.word);
    ways[2] = cop_rx_mk_concat(c->set, cop_rx_mk_and2(c->set, before, cop_rx_mk_concat(c->set, c->any, c->others)), k.other);
    *out = cop_rx_mk_or(c->set, ways, 3);
    return COP_OK;
}

// A sequence whose look-behinds stand at its ends.
static cop_status compile_ends(compiler *c, const uint32_t *parts, size_t n, cop_rx_how how, cop_rx *out) {
    cop_rx before = how == COP_RX_SEARCH ? c->any : COP_RX_EMPTY, behind = before;
    size_t from = 0, end = n;
    for (; from < n && is_behind(c, parts[from]); from++) before = look_behind(c, parts[from], before);
    if (end > from && c->nodes[parts[end - 1]].kind == COP_SYNTAX_END) end--;
    size_t last = end;
    while (end > from && is_behind(c, parts[end - 1])) end--;
    if (end == last) return compile_within(c, parts + from, n - from, before, behind, out);
    for (size_t i = from; i < end; i++)
        if (c->nodes[parts[i]].looks)
            return cop_fail(COP_ERR_UNSUPPORTED, "pattern: a look-behind together with \\b or another look-around");
    COP_TRY(compile_within(c, parts + from, end - from, before, COP_RX_EMPTY, out));
    for (size_t i = end; i < last; i++) *out = look_behind(c, parts[i], *out);
    if (last == n) *out = cop_rx_mk_concat(c->set, *out, behind);
    return COP_OK;
}

cop_status cop_syntax_compile(cop_regex_set *set, const cop_syntax_tree *tree, uint32_t root, cop_rx_how how, cop_rx *out) {
    compiler c = {.set = set, .nodes = tree->v, .any = set->universe[3]};
    static const uint32_t words[4][2] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const uint32_t others[5][2] = {{0, '0' - 1}, {'9' + 1, 'A' - 1}, {'Z' + 1, '_' - 1}, {'`', '`'}, {'z' + 1, 0x10FFFF}};
    c.words = cop_rx_mk_characters(set, words, 4);
    c.others = cop_rx_mk_characters(set, others, 5);
    COP_ARRAY(uint32_t) parts = {.most = 1 << 20};
    cop_status st = COP_OK;
    if (tree->v[root].kind != COP_SYNTAX_CONCAT) st = cop_array_push(&parts, root);
    else
        for (uint32_t i = tree->v[root].first; i && !st; i = tree->v[i].next) st = cop_array_push(&parts, i);
    if (!st) st = compile_ends(&c, parts.n ? parts.v : &root, parts.n, how, out);
    cop_array_fini(&parts);
    if (!st && atomic_load(&set->failed)) st = cop_fail((cop_status)atomic_load(&set->failed), "%s", set->reason);
    return st;
}

cop_status cop_rx_parse(cop_regex_set *set, const char *pattern, size_t bytes, cop_rx_how how, cop_rx *out) {
    cop_syntax_tree tree = {0};
    uint32_t root = 0;
    *out = COP_RX_NONE;
    cop_lock_take(set->lock);
    cop_status st = cop_syntax_parse(set, pattern, bytes, how, &tree, &root);
    if (!st) st = cop_syntax_compile(set, &tree, root, how, out);
    cop_lock_give(set->lock);
    cop_array_fini(&tree);
    return st;
}

// The trie is made by sorting the tokens by their bytes: neighbours share a prefix, and what differs are new nodes.
// Cost: a sort of the vocabulary (some 50 ms for 128,000 tokens), two nodes of 8 bytes per token; a walk takes about
// 2 ns per node that is looked at, plus the language's step.
#include "guide/vocab_trie.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/utf8.h"

#define MAX_NODES ((size_t)1 << 22)

typedef struct twin {
    int32_t token, of;
} twin;

typedef COP_ARRAY(cop_trie_node) node_array;

struct cop_vocab_trie {
    cop_vocab_trie_source source;
    uint64_t identity;
    node_array nodes;
    COP_ARRAY(twin) twins;
    cop_trie_plain plain;
    int longest;
    uint32_t first[256];  // the root's children by byte, 0: none
};

typedef struct sorted_token {
    const char *text;
    uint32_t bytes;
    int32_t token;
} sorted_token;

static int compare_tokens(const void *a, const void *b) {
    const sorted_token *x = a, *y = b;
    uint32_t common = x->bytes < y->bytes ? x->bytes : y->bytes;
    int c = memcmp(x->text, y->text, common);
    if (c) return c;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static cop_status sort_tokens(const cop_vocab_trie_source *source, sorted_token **out, size_t *n) {
    sorted_token *list = cop_alloc_array((size_t)source->V + 1, sizeof *list);
    if (!list) return cop_fail(COP_ERR_NOMEM, "vocabulary of %d tokens: cannot allocate", source->V);
    for (int32_t t = 0; t < source->V; t++) {
        size_t bytes = 0;
        const char *text = source->piece(source->user, t, &bytes);
        if (!text || !bytes) continue;
        if (bytes > COP_TRIE_MAX_DEPTH) {
            cop_free(list);
            return cop_fail(COP_ERR_LIMIT, "vocabulary: token %d has %zu bytes, at most %d", t, bytes, COP_TRIE_MAX_DEPTH);
        }
        list[(*n)++] = (sorted_token){text, (uint32_t)bytes, t};
    }
    qsort(list, *n, sizeof *list, compare_tokens);
    *out = list;
    return COP_OK;
}

// A node's subtree ends where a node of its depth or less begins.
static void close_nodes(node_array *nodes, const uint32_t *open, size_t from, size_t to) {
    for (size_t d = to; d > from; d--) {
        uint32_t i = open[d - 1];
        nodes->v[i].size_depth = (uint32_t)(nodes->n - i) << 10 | (uint32_t)(d - 1);
    }
}

// The trie of the sorted tokens without those whose bits are set; of the whole trie, twins are noted.
static cop_status make_nodes(cop_vocab_trie *v, const sorted_token *list, size_t n, const uint64_t *without, node_array *nodes) {
    uint32_t open[COP_TRIE_MAX_DEPTH + 1];  // nodes on the way to the last token
    size_t depth = 0;
    const sorted_token *last = NULL;
    nodes->most = MAX_NODES - 1;
    COP_TRY(cop_array_push(nodes, ((cop_trie_node){COP_TRIE_NO_TOKEN << 8, 0})));
    for (size_t i = 0; i < n; i++) {
        const sorted_token *t = &list[i];
        size_t same = 0;
        if (without && without[t->token / 64] >> (t->token % 64) & 1) continue;
        while (last && same < t->bytes && same < last->bytes && t->text[same] == last->text[same]) same++;
        if (last && same == t->bytes && same == last->bytes) {
            int32_t of = (int32_t)cop_trie_token(nodes->v[open[depth - 1]]);
            if (!without) COP_TRY(cop_array_push(&v->twins, ((twin){t->token, of})));
            continue;
        }
        close_nodes(nodes, open, same, depth);
        for (depth = same; depth < t->bytes; depth++) {
            open[depth] = (uint32_t)nodes->n;
            uint32_t token = depth + 1 == t->bytes ? (uint32_t)t->token : COP_TRIE_NO_TOKEN;
            COP_TRY(cop_array_push(nodes, ((cop_trie_node){token << 8 | (uint8_t)t->text[depth], 0})));
        }
        last = t;
    }
    close_nodes(nodes, open, 0, depth);
    nodes->v[0].size_depth = (uint32_t)nodes->n << 10;
    return COP_OK;
}

static cop_status make_trie(cop_vocab_trie *v, const sorted_token *list, size_t n) {
    COP_TRY(make_nodes(v, list, n, NULL, &v->nodes));
    for (uint32_t p = 1; p < v->nodes.n; p += cop_trie_size(v->nodes.v[p])) v->first[cop_trie_byte(v->nodes.v[p])] = p;
    for (size_t i = 0; i < n; i++)
        if ((int)list[i].bytes > v->longest) v->longest = (int)list[i].bytes;
    return COP_OK;
}

// ---- plain tokens ----

// How many plain characters a text has; -1: it has others.
static int count_plain(const sorted_token *t) {
    int count = 0;
    for (size_t at = 0; at < t->bytes; count++) {
        const uint8_t *p = (const uint8_t *)t->text + at;
        int bytes = cop_utf8_measure(p, t->bytes - at, &(int){0});
        if (!bytes || *p < ' ' || *p == '"' || *p == '\\' || *p == 0x7F) return -1;
        at += (size_t)bytes;
    }
    return count;
}

static cop_status make_plain(cop_vocab_trie *v, const sorted_token *list, size_t n) {
    cop_trie_plain *plain = &v->plain;
    node_array rest = {0};
    plain->words = ((size_t)v->source.V + 63) / 64;
    plain->up_to = cop_alloc_array(plain->words, (COP_PLAIN_MOST + 1) * sizeof *plain->up_to);
    if (!plain->up_to) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    for (size_t i = 0; i < n; i++) {
        int c = count_plain(&list[i]);
        if (c > 0 && c <= COP_PLAIN_MOST)
            plain->up_to[(size_t)c * plain->words + (size_t)list[i].token / 64] |= (uint64_t)1 << (list[i].token % 64);
    }
    for (size_t i = plain->words; i < (COP_PLAIN_MOST + 1) * plain->words; i++) plain->up_to[i] |= plain->up_to[i - plain->words];
    cop_status st = make_nodes(v, list, n, plain->up_to + COP_PLAIN_MOST * plain->words, &rest);
    plain->rest = rest.v;
    if (st) return st;
    plain->node = cop_alloc_array(rest.n, sizeof *plain->node);
    if (!plain->node) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    uint32_t whole[COP_TRIE_MAX_DEPTH + 2] = {COP_TRIE_ROOT};
    for (size_t p = 1; p < rest.n; p++) {
        uint32_t depth = cop_trie_depth(rest.v[p]);
        plain->node[p] = whole[depth + 1] = cop_vocab_trie_child(v, whole[depth], cop_trie_byte(rest.v[p]));
    }
    return COP_OK;
}

const cop_trie_plain *cop_vocab_trie_plain(const cop_vocab_trie *v) { return &v->plain; }

// A few states, and what was found out about their bytes.
typedef struct few {
    uint32_t v[COP_PLAIN_NEXT];
    int n;
    bool any_dead, too_many;
} few;

static void step_all(uint32_t (*step)(void *, uint32_t, uint8_t), void *user, const few *from, int low, int high, few *to) {
    for (int i = 0; i < from->n && !to->too_many; i++)
        for (int b = low; b <= high; b++) {
            if (b == '"' || b == '\\') continue;
            uint32_t s = step(user, from->v[i], (uint8_t)b);
            int k = 0;
            if (!s) {
                to->any_dead = true;
                if (to->n) return;
                continue;
            }
            while (k < to->n && to->v[k] != s) k++;
            to->too_many |= k == COP_PLAIN_NEXT;
            if (to->too_many) return;
            to->v[k] = s;
            if (k == to->n) to->n++;
        }
}

int cop_plain_next(uint32_t (*step)(void *user, uint32_t s, uint8_t byte), void *user, uint32_t s, uint32_t next[COP_PLAIN_NEXT]) {
    // Well-formed UTF-8: the first two bytes' ranges and how many more follow.
    static const uint8_t forms[][5] = {{0xC2, 0xDF, 0x80, 0xBF, 0}, {0xE0, 0xE0, 0xA0, 0xBF, 1}, {0xE1, 0xEC, 0x80, 0xBF, 1},
                                       {0xED, 0xED, 0x80, 0x9F, 1}, {0xEE, 0xEF, 0x80, 0xBF, 1}, {0xF0, 0xF0, 0x90, 0xBF, 2},
                                       {0xF1, 0xF3, 0x80, 0xBF, 2}, {0xF4, 0xF4, 0x80, 0x8F, 2}};
    few from = {{s}, 1, false, false}, out = {.n = 0};
    step_all(step, user, &from, ' ', '~', &out);
    for (size_t i = 0; i < sizeof forms / sizeof *forms && !out.too_many; i++) {
        few a = {.n = 0}, b;
        step_all(step, user, &from, forms[i][0], forms[i][1], &a);
        out.any_dead |= a.any_dead;
        if (a.too_many || (a.any_dead && a.n)) return -1;
        for (int more = forms[i][4], low = forms[i][2], high = forms[i][3]; a.n > 0 && more >= 0; more--, low = 0x80, high = 0xBF) {
            b = (few){.n = 0};
            step_all(step, user, &a, low, high, more ? &b : &out);
            if (more && (b.too_many || b.any_dead)) return -1;
            if (more) a = b;
        }
        if (out.any_dead && out.n) return -1;
    }
    if (out.too_many || (out.any_dead && out.n)) return -1;
    if (out.n > 0) memcpy(next, out.v, (size_t)out.n * sizeof *next);
    return out.n;
}

// A state on the way, and those behind it; found out once.
typedef struct plain_state {
    uint32_t s;
    bool known, reached;
    int n, next[COP_PLAIN_NEXT];
} plain_state;

typedef struct plain_walk {
    plain_state of[COP_PLAIN_STATES];
    int n;
} plain_walk;

// The place of a state; -1: there are too many.
static int place_of(plain_walk *w, uint32_t s) {
    int i = 0;
    while (i < w->n && w->of[i].s != s) i++;
    if (i == COP_PLAIN_STATES) return -1;
    if (i == w->n) w->of[w->n++] = (plain_state){.s = s};
    return i;
}

// Find out about one state; false: what follows depends on the character.
static bool look_behind_plain(plain_walk *w, int at, int (*next)(void *, uint32_t, uint32_t[COP_PLAIN_NEXT]), void *user) {
    uint32_t out[COP_PLAIN_NEXT];
    if (w->of[at].known) return true;
    int n = next(user, w->of[at].s, out), place = 0;
    for (int k = 0; k < n && place >= 0; k++) w->of[at].next[k] = place = place_of(w, out[k]);
    w->of[at].n = n;
    w->of[at].known = true;
    return n >= 0 && place >= 0;
}

int cop_plain_length(int (*next)(void *user, uint32_t s, uint32_t out[COP_PLAIN_NEXT]), void *user, uint32_t s,
                     uint32_t states[COP_PLAIN_STATES], int *n_states) {
    plain_walk w = {.n = 0};
    int front[8] = {place_of(&w, s)}, n_front = 1, length = 0;
    for (; length < COP_PLAIN_MOST; length++) {
        int after[8], n_after = 0, ended = 0;
        for (int i = 0; i < n_front; i++) {
            if (!look_behind_plain(&w, front[i], next, user)) return -1;
            ended += w.of[front[i]].n == 0;
            for (int k = 0; k < w.of[front[i]].n; k++) {
                int to = w.of[front[i]].next[k], j = 0;
                while (j < n_after && after[j] != to) j++;
                if (j == 8) return -1;
                after[j] = to;
                if (j == n_after) n_after++;
                w.of[to].reached = true;
            }
        }
        if (ended && ended < n_front) return -1;
        if (ended) break;
        memcpy(front, after, sizeof front);
        n_front = n_after;
    }
    *n_states = 0;
    for (int i = 0; i < w.n; i++)
        if (w.of[i].reached) states[(*n_states)++] = w.of[i].s;
    return length;
}

cop_status cop_vocab_trie_new(cop_vocab_trie **out, const cop_vocab_trie_source *source) {
    static atomic_uint_fast64_t identities;
    *out = NULL;
    if (source->V < 1 || source->V >= (int32_t)COP_TRIE_NO_TOKEN)
        return cop_fail(COP_ERR_LIMIT, "vocabulary: %d tokens, must be 1 to %u", source->V, COP_TRIE_NO_TOKEN - 1);
    cop_vocab_trie *v = cop_alloc(sizeof *v);
    if (!v) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    v->source = *source;
    v->identity = atomic_fetch_add(&identities, 1) + 1;
    v->twins.most = (size_t)source->V;
    sorted_token *list = NULL;
    size_t n = 0;
    cop_status st = sort_tokens(source, &list, &n);
    if (!st) st = make_trie(v, list, n);
    if (!st) st = make_plain(v, list, n);
    cop_free(list);
    if (st) {
        cop_vocab_trie_free(v);
        return st;
    }
    *out = v;
    return COP_OK;
}

void cop_vocab_trie_free(cop_vocab_trie *v) {
    if (!v) return;
    cop_array_fini(&v->nodes);
    cop_array_fini(&v->twins);
    cop_free(v->plain.up_to);
    cop_free(v->plain.rest);
    cop_free(v->plain.node);
    cop_free(v);
}

const cop_vocab_trie_source *cop_vocab_trie_get_source(const cop_vocab_trie *v) { return &v->source; }
int cop_vocab_trie_longest(const cop_vocab_trie *v) { return v->longest; }
const cop_trie_node *cop_vocab_trie_nodes(const cop_vocab_trie *v) { return v->nodes.v; }
uint64_t cop_vocab_trie_identity(const cop_vocab_trie *v) { return v->identity; }

uint32_t cop_vocab_trie_child(const cop_vocab_trie *v, uint32_t node, uint8_t byte) {
    if (node == COP_TRIE_ROOT) return v->first[byte];
    uint32_t end = node + cop_trie_size(v->nodes.v[node]);
    for (uint32_t p = node + 1; p < end; p += cop_trie_size(v->nodes.v[p]))
        if (cop_trie_byte(v->nodes.v[p]) >= byte) return cop_trie_byte(v->nodes.v[p]) == byte ? p : COP_TRIE_ROOT;
    return COP_TRIE_ROOT;
}

void cop_vocab_trie_add_twins(const cop_vocab_trie *v, uint64_t *bits) {
    for (size_t i = 0; i < v->twins.n; i++) {
        twin t = v->twins.v[i];
        if (bits[t.of / 64] >> (t.of % 64) & 1) bits[t.token / 64] |= (uint64_t)1 << (t.token % 64);
    }
}

void cop_vocab_trie_visit(const cop_vocab_trie *v, bool without_plain, cop_language *l, cop_guide_state s,
                          bool (*go_on)(void *user, int32_t token, cop_guide_state behind), void *user) {
    cop_guide_state behind[COP_TRIE_MAX_DEPTH + 2];
    const cop_trie_node *nodes = without_plain ? v->plain.rest : v->nodes.v;
    cop_guide_state (*step)(cop_language *, cop_guide_state, int32_t) = l->type->step;
    behind[0] = s;
    for (uint32_t p = 1, end = cop_trie_size(nodes[0]); p < end;) {
        cop_trie_node node = nodes[p];
        uint32_t depth = cop_trie_depth(node), token = cop_trie_token(node);
        cop_guide_state next = step(l, behind[depth], cop_trie_byte(node));
        if (next == COP_GUIDE_DEAD) {
            p += cop_trie_size(node);
            continue;
        }
        if (token != COP_TRIE_NO_TOKEN && !go_on(user, (int32_t)token, next)) return;
        behind[depth + 1] = next;
        p++;
    }
    const int32_t *ids;
    int n = l->type->named ? l->type->named(l, &ids) : 0;
    for (int i = 0; i < n; i++) {
        cop_guide_state next = ids[i] < v->source.V ? step(l, s, COP_GUIDE_TOKEN + ids[i]) : COP_GUIDE_DEAD;
        if (next != COP_GUIDE_DEAD && !go_on(user, ids[i], next)) return;
    }
}

static bool set_bit(void *user, int32_t token, cop_guide_state behind) {
    (void)behind;
    ((uint64_t *)user)[token / 64] |= (uint64_t)1 << (token % 64);
    return true;
}

void cop_vocab_trie_walk(const cop_vocab_trie *v, cop_language *l, cop_guide_state s, uint64_t *bits) {
    memset(bits, 0, ((size_t)v->source.V + 63) / 64 * sizeof *bits);
    cop_vocab_trie_visit(v, false, l, s, set_bit, bits);
    cop_vocab_trie_add_twins(v, bits);
}

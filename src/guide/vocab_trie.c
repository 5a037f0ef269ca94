// The trie is made by sorting the tokens by their bytes: neighbours share a prefix, and what differs are new nodes.
// Cost: a sort of the vocabulary (some 50 ms for 128,000 tokens), two nodes of 8 bytes per token; a walk takes about
// 2 ns per node that is looked at, plus the language's step.
#include "guide/vocab_trie.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define MAX_NODES ((size_t)1 << 22)

typedef struct twin {
    int32_t token, of;
} twin;

struct cop_vocab_trie {
    cop_vocab_trie_source source;
    uint64_t identity;
    COP_ARRAY(cop_trie_node) nodes;
    COP_ARRAY(twin) twins;
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
static void close_nodes(cop_vocab_trie *v, uint32_t *open, size_t from, size_t to) {
    for (size_t d = to; d > from; d--) {
        uint32_t i = open[d - 1];
        v->nodes.v[i].size_depth = (uint32_t)(v->nodes.n - i) << 10 | (uint32_t)(d - 1);
    }
}

static cop_status add_tokens(cop_vocab_trie *v, const sorted_token *list, size_t n) {
    uint32_t open[COP_TRIE_MAX_DEPTH + 1];  // nodes on the way to the last token
    size_t depth = 0;
    COP_TRY(cop_array_push(&v->nodes, ((cop_trie_node){COP_TRIE_NO_TOKEN << 8, 0})));
    for (size_t i = 0; i < n; i++) {
        const sorted_token *t = &list[i];
        size_t same = 0;
        while (i && same < t->bytes && same < t[-1].bytes && t->text[same] == t[-1].text[same]) same++;
        if (i && same == t->bytes && same == t[-1].bytes) {
            int32_t of = (int32_t)cop_trie_token(v->nodes.v[open[depth - 1]]);
            COP_TRY(cop_array_push(&v->twins, ((twin){t->token, of})));
            continue;
        }
        close_nodes(v, open, same, depth);
        for (depth = same; depth < t->bytes; depth++) {
            open[depth] = (uint32_t)v->nodes.n;
            uint32_t token = depth + 1 == t->bytes ? (uint32_t)t->token : COP_TRIE_NO_TOKEN;
            COP_TRY(cop_array_push(&v->nodes, ((cop_trie_node){token << 8 | (uint8_t)t->text[depth], 0})));
        }
        if ((int)t->bytes > v->longest) v->longest = (int)t->bytes;
    }
    close_nodes(v, open, 0, depth);
    v->nodes.v[0].size_depth = (uint32_t)v->nodes.n << 10;
    for (uint32_t p = 1; p < v->nodes.n; p += cop_trie_size(v->nodes.v[p])) v->first[cop_trie_byte(v->nodes.v[p])] = p;
    return COP_OK;
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
    v->nodes.most = MAX_NODES - 1;
    v->twins.most = (size_t)source->V;
    sorted_token *list = NULL;
    size_t n = 0;
    cop_status st = sort_tokens(source, &list, &n);
    if (!st) st = add_tokens(v, list, n);
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

void cop_vocab_trie_visit(const cop_vocab_trie *v, cop_language *l, cop_guide_state s,
                          bool (*go_on)(void *user, int32_t token, cop_guide_state behind), void *user) {
    cop_guide_state behind[COP_TRIE_MAX_DEPTH + 2];
    const cop_trie_node *nodes = v->nodes.v;
    cop_guide_state (*step)(cop_language *, cop_guide_state, int32_t) = l->type->step;
    behind[0] = s;
    for (uint32_t p = 1, end = (uint32_t)v->nodes.n; p < end;) {
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
    cop_vocab_trie_visit(v, l, s, set_bit, bits);
    cop_vocab_trie_add_twins(v, bits);
}

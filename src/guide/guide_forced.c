// Text without an alternative, as tokens. What the tokenizer makes of the forced bytes is what the model knows them as,
// but for the end: a token that begins in the forced text and goes on behind it, as the language allows, might be
// what the tokenizer takes when it sees the whole. So tokens are taken back as long as there is such a one.
#include <string.h>

#include "base/alloc.h"
#include "guide/guide_private.h"

#define MAX_BYTES 1024     // of one forced text
#define MAX_BRANCH 256     // bytes of one branch
#define MAX_BRANCHES 256
#define OPEN_TOKENS 4      // how many at the end may be taken back

typedef struct stretch {
    char text[MAX_BYTES];
    int bytes;
    bool whole;             // of a branch: it is not split any more
    cop_guide_state end;
} stretch;

// The only symbol that leads on from s; -1: none or several, or the text may end here.
static int32_t only_symbol(cop_guide *g, cop_guide_state s, cop_guide_state *next) {
    int32_t found = -1;
    const int32_t *ids;
    if (cop_guide_accepting(g, s)) return -1;
    int n = g->language->type->named ? g->language->type->named(g->language, &ids) : 0;
    for (int i = 0; i < 256 + n; i++) {
        int32_t symbol = i < 256 ? g->byte_order[i] : COP_GUIDE_TOKEN + ids[i - 256];
        cop_guide_state to = cop_guide_step(g, s, symbol);
        if (to == COP_GUIDE_DEAD) continue;
        if (found >= 0) return -1;
        found = symbol;
        *next = to;
    }
    return found;
}

// Append the bytes behind f->end that have no alternative.
static void follow(cop_guide *g, stretch *f, int most) {
    cop_guide_state next;
    while (f->bytes < most) {
        int32_t symbol = only_symbol(g, f->end, &next);
        if (symbol < 0 || symbol >= COP_GUIDE_TOKEN) return;
        f->text[f->bytes++] = (char)symbol;
        f->end = next;
    }
}

// Is there a token that begins with text and goes on as the language allows behind s?
static bool may_be_joined(cop_guide *g, const char *text, int bytes, cop_guide_state s) {
    const cop_trie_node *nodes = cop_vocab_trie_nodes(g->vocab);
    cop_guide_state behind[COP_TRIE_MAX_DEPTH + 2];
    uint32_t node = COP_TRIE_ROOT;
    for (int i = 0; i < bytes; i++)
        if ((node = cop_vocab_trie_child(g->vocab, node, (uint8_t)text[i])) == COP_TRIE_ROOT) return false;
    behind[bytes] = s;
    for (uint32_t p = node + 1, end = node + cop_trie_size(nodes[node]); p < end;) {
        uint32_t depth = cop_trie_depth(nodes[p]);
        cop_guide_state next = cop_guide_step(g, behind[depth], cop_trie_byte(nodes[p]));
        if (next == COP_GUIDE_DEAD) {
            p += cop_trie_size(nodes[p]);
            continue;
        }
        if (cop_trie_token(nodes[p]) != COP_TRIE_NO_TOKEN) return true;
        behind[depth + 1] = next;
        p++;
    }
    return false;
}

// How many of the n tokens of the text stand whatever follows.
static int drop_open_tokens(cop_guide *g, const stretch *f, const int *starts, int n) {
    int first = n > OPEN_TOKENS ? n - OPEN_TOKENS : 0;
    for (int t = first; t < n; t++) {
        int end = t + 1 < n ? starts[t + 1] : f->bytes;
        for (int at = starts[t]; at < end; at++)
            if (may_be_joined(g, f->text + at, f->bytes - at, f->end)) return t;
    }
    return n;
}

// The canonical tokens of f; 0 when the tokenizer does not write the text as it is.
static int write_tokens(cop_guide *g, const stretch *f, int32_t *tokens, int max) {
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(g->vocab);
    int32_t all[MAX_BYTES];
    int starts[MAX_BYTES], at = 0;
    if (!f->bytes || max < 1) return 0;
    int n = source->encode(source->user, f->text, (size_t)f->bytes, all, MAX_BYTES);
    for (int i = 0; i < n; i++) {
        size_t bytes = 0;
        const char *piece = source->piece(source->user, all[i], &bytes);
        if (!bytes || bytes > (size_t)(f->bytes - at) || memcmp(piece, f->text + at, bytes) != 0) return 0;
        starts[i] = at;
        at += (int)bytes;
    }
    if (n < 1 || at != f->bytes) return 0;
    n = drop_open_tokens(g, f, starts, n);
    if (n > max) n = max;
    memcpy(tokens, all, (size_t)n * sizeof *tokens);
    return n;
}

int cop_guide_forced(cop_guide *g, cop_guide_state s, int32_t *tokens, int max) {
    if (s == COP_GUIDE_DEAD || s == COP_GUIDE_ENDED || max < 1) return 0;
    stretch f = {.bytes = 0, .end = s};
    cop_guide_state next;
    int32_t symbol = only_symbol(g, s, &next);
    if (symbol >= COP_GUIDE_TOKEN) return tokens[0] = symbol - COP_GUIDE_TOKEN, 1;
    if (symbol < 0) return 0;
    follow(g, &f, MAX_BYTES);
    return write_tokens(g, &f, tokens, max);
}

// ---- branches ----

typedef struct branches {
    stretch *list;
    int n, max;
} branches;

// Replace branch i by one branch per byte that may come next; false when they become too many, or it must not be.
static bool split(cop_guide *g, branches *b, int i) {
    stretch from = b->list[i];
    int32_t symbols[MAX_BRANCHES];
    cop_guide_state to[MAX_BRANCHES];
    int n = 0;
    if (cop_guide_accepting(g, from.end) || from.bytes >= MAX_BRANCH) return false;
    for (int byte = 0; byte < 256; byte++) {
        cop_guide_state next = cop_guide_step(g, from.end, byte);
        if (next == COP_GUIDE_DEAD) continue;
        if (b->n - 1 + n + 1 > b->max) return false;
        symbols[n] = byte;
        to[n++] = next;
    }
    if (!n) return false;
    for (int k = 0; k < n; k++) {
        stretch *f = &b->list[k ? b->n++ : i];
        *f = from;
        f->text[f->bytes++] = (char)symbols[k];
        f->end = to[k];
        follow(g, f, MAX_BRANCH);
    }
    return true;
}

static int shortest(const branches *b) {
    int best = -1;
    for (int i = 0; i < b->n; i++)
        if (!b->list[i].whole && (best < 0 || b->list[i].bytes < b->list[best].bytes)) best = i;
    return best;
}

static bool is_listed(const int32_t *tokens, int n_tokens, const int32_t *one, int n) {
    for (int at = 0; at < n_tokens;) {
        int end = at;
        while (tokens[end] >= 0) end++;
        if (end - at == n && !memcmp(tokens + at, one, (size_t)n * sizeof *one)) return true;
        at = end + 1;
    }
    return false;
}

int cop_guide_branches(cop_guide *g, cop_guide_state s, int max, int32_t *tokens, int max_tokens) {
    if (s == COP_GUIDE_DEAD || s == COP_GUIDE_ENDED || max < 1) return 0;
    branches b = {.n = 1, .max = max < MAX_BRANCHES ? max : MAX_BRANCHES};
    b.list = cop_alloc_array((size_t)b.max, sizeof *b.list);
    if (!b.list) return g->failed = COP_ERR_NOMEM, 0;
    b.list[0].end = s;
    follow(g, &b.list[0], MAX_BRANCH);
    bool any = b.list[0].bytes > 0;
    for (int i; (i = shortest(&b)) >= 0;) {
        if (split(g, &b, i)) any = true;
        else b.list[i].whole = true;
    }
    int found = 0, used = 0;
    for (int i = 0; any && i < b.n; i++) {
        int32_t one[MAX_BRANCH];
        int n = write_tokens(g, &b.list[i], one, MAX_BRANCH);
        if (!n || is_listed(tokens, used, one, n)) continue;
        if (used + n + 1 > max_tokens) {
            found = 0;
            break;
        }
        memcpy(tokens + used, one, (size_t)n * sizeof *one);
        tokens[used + n] = -1;
        used += n + 1;
        found++;
    }
    cop_free(b.list);
    return found;
}

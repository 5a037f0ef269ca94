#include "cache/prefix.h"

#include <string.h>

#include "base/alloc.h"
#include "cache/cache_private.h"

#define NONE (-1)

typedef struct node {
    int32_t tokens[COP_PAGE];
    int n;               // of them; below COP_PAGE only in leaves
    int page;
    int parent, first_child, next;  // next: sibling, or the next unused node
    uint64_t salt;       // of the children of the root
    uint64_t used;       // time of the last use
} node;

struct cop_prefix {
    cop_cache *cache;
    node *nodes;         // [max_nodes]
    int max_nodes;
    int first, unused;   // children of the root; unused nodes
    uint64_t now;
};

cop_status cop_prefix_new(cop_prefix **out, cop_cache *cache, int max_pages) {
    *out = NULL;
    cop_prefix *p = cop_alloc(sizeof *p);
    node *nodes = cop_alloc_array((size_t)max_pages, sizeof *nodes);
    if (!p || !nodes) {
        cop_free(p);
        cop_free(nodes);
        return cop_fail(COP_ERR_NOMEM, "prefixes of %d pages: cannot allocate", max_pages);
    }
    *p = (cop_prefix){.cache = cache, .nodes = nodes, .max_nodes = max_pages, .first = NONE};
    for (int i = 0; i < max_pages; i++) nodes[i].next = i + 1 < max_pages ? i + 1 : NONE;
    *out = p;
    return COP_OK;
}

static int *children(cop_prefix *p, int parent) { return parent == NONE ? &p->first : &p->nodes[parent].first_child; }

static void remove_leaf(cop_prefix *p, int i) {
    int *link = children(p, p->nodes[i].parent);
    while (*link != i) link = &p->nodes[*link].next;
    *link = p->nodes[i].next;
    cop_cache_drop_page(p->cache, p->nodes[i].page);
    p->nodes[i].n = 0;
    p->nodes[i].next = p->unused;
    p->unused = i;
}

void cop_prefix_free(cop_prefix *p) {
    if (!p) return;
    for (int i = 0; i < p->max_nodes; i++)
        if (p->nodes[i].n) cop_cache_drop_page(p->cache, p->nodes[i].page);
    cop_free(p->nodes);
    cop_free(p);
}

static int common(const node *a, const int32_t *tokens, int n) {
    int most = n < a->n ? n : a->n, i = 0;
    while (i < most && a->tokens[i] == tokens[i]) i++;
    return i;
}

// The child that shares most with tokens; *same is how many.
static int best_child(const cop_prefix *p, int parent, uint64_t salt, const int32_t *tokens, int n, int *same) {
    int best = NONE;
    *same = 0;
    for (int i = parent == NONE ? p->first : p->nodes[parent].first_child; i != NONE; i = p->nodes[i].next) {
        if (parent == NONE && p->nodes[i].salt != salt) continue;
        int k = common(&p->nodes[i], tokens, n);
        if (k <= *same) continue;
        *same = k;
        best = i;
    }
    return best;
}

int cop_prefix_match(const cop_prefix *p, uint64_t salt, const int32_t *tokens, int n) {
    int done = 0, same = COP_PAGE;
    for (int i = NONE; done < n && same == COP_PAGE; done += same) {
        i = best_child(p, i, salt, tokens + done, n - done, &same);
        if (i == NONE) break;
    }
    return done;
}

int cop_prefix_take(cop_prefix *p, uint64_t salt, const int32_t *tokens, int n, cop_seq *seq) {
    int done = 0, same = COP_PAGE;
    p->now++;
    if (n > cop_seq_capacity(seq)) n = cop_seq_capacity(seq);
    for (int i = NONE; done < n && same == COP_PAGE; done += same) {
        i = best_child(p, i, salt, tokens + done, n - done, &same);
        if (i == NONE) break;
        cop_seq_append_page(seq, p->nodes[i].page, same);
        p->nodes[i].used = p->now;
    }
    return done;
}

// Least recently used leaf, one that gives a page back before one that does not; NONE when the tree is empty.
static int next_to_go(const cop_prefix *p) {
    int best = NONE;
    for (int i = 0; i < p->max_nodes; i++) {
        const node *a = &p->nodes[i];
        if (!a->n || a->first_child != NONE) continue;
        if (best == NONE) {
            best = i;
            continue;
        }
        bool gives = p->cache->refs[a->page] == 1, best_gives = p->cache->refs[p->nodes[best].page] == 1;
        if (gives != best_gives ? gives : a->used < p->nodes[best].used) best = i;
    }
    return best;
}

void cop_prefix_release(cop_prefix *p, int n_free) {
    for (int i; p->cache->n_free < n_free && (i = next_to_go(p)) != NONE;) remove_leaf(p, i);
}

int cop_prefix_spare(const cop_prefix *p) {
    int n = 0;
    for (int i = 0; i < p->max_nodes; i++) n += p->nodes[i].n && p->cache->refs[p->nodes[i].page] == 1;
    return n;
}

// A node for one page of tokens below parent. NONE when all nodes are in use by this very path.
static int add(cop_prefix *p, int parent, uint64_t salt, const int32_t *tokens, int n, int page) {
    if (p->unused == NONE) {
        int old = next_to_go(p);
        if (old == NONE || old == parent || p->nodes[old].used == p->now) return NONE;
        remove_leaf(p, old);
    }
    int i = p->unused;
    node *a = &p->nodes[i];
    p->unused = a->next;
    int *link = children(p, parent);
    *a = (node){.n = n, .page = page, .parent = parent, .first_child = NONE, .next = *link, .salt = salt, .used = p->now};
    memcpy(a->tokens, tokens, (size_t)n * sizeof *tokens);
    *link = i;
    p->cache->refs[page]++;
    return i;
}

void cop_prefix_keep(cop_prefix *p, uint64_t salt, const int32_t *tokens, const cop_seq *seq) {
    int parent = NONE, n_tokens = cop_seq_length(seq);
    p->now++;
    for (int done = 0; done < n_tokens; done += COP_PAGE) {
        int n = n_tokens - done < COP_PAGE ? n_tokens - done : COP_PAGE, same, page = seq->pages[done / COP_PAGE];
        int i = best_child(p, parent, salt, tokens + done, n, &same);
        if (i != NONE && same == n) {  // there, perhaps as the beginning of a longer one
            p->nodes[i].used = p->now;
            parent = i;
            continue;
        }
        if (i != NONE && same == p->nodes[i].n) {  // a leaf that this one goes on from: it takes its place
            node *a = &p->nodes[i];
            p->cache->refs[page]++;
            cop_cache_drop_page(p->cache, a->page);
            a->page = page;
            memcpy(a->tokens, tokens + done, (size_t)n * sizeof *tokens);
            a->n = n;
            a->used = p->now;
            parent = i;
            continue;
        }
        parent = add(p, parent, salt, tokens + done, n, page);
        if (parent == NONE) return;
    }
}

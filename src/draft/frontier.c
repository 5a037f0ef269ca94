#include "draft/frontier.h"

#include "base/alloc.h"
#include "base/maths.h"

cop_status cop_frontier_init(cop_frontier *f, int most) {
    *f = (cop_frontier){.v = cop_alloc_array((size_t)most, sizeof *f->v), .most = most};
    return f->v ? COP_OK : cop_fail(COP_ERR_NOMEM, "cannot allocate for %d guesses", most);
}

void cop_frontier_fini(cop_frontier *f) {
    cop_free(f->v);
    *f = (cop_frontier){0};
}

static bool before(const cop_guess *a, const cop_guess *b) {
    return a->path > b->path || (a->path == b->path && a->order < b->order);
}

void cop_frontier_push(cop_frontier *f, const cop_guess *guess) {
    if (f->n == f->most) return;
    cop_guess g = *guess;
    g.order = f->pushed++;
    int at = f->n++;
    for (int up; at > 0 && before(&g, &f->v[up = (at - 1) / 2]); at = up) f->v[at] = f->v[up];
    f->v[at] = g;
}

bool cop_frontier_pop(cop_frontier *f, cop_guess *out) {
    if (!f->n) return false;
    *out = f->v[0];
    cop_guess last = f->v[--f->n];
    int at = 0;
    for (int child; (child = 2 * at + 1) < f->n; at = child) {
        if (child + 1 < f->n && before(&f->v[child + 1], &f->v[child])) child++;
        if (!before(&f->v[child], &last)) break;
        f->v[at] = f->v[child];
    }
    if (f->n) f->v[at] = last;
    return true;
}

int cop_guess_add(const cop_guess *guess, cop_tree *tree) {
    int n = tree->n_nodes, node = cop_tree_add(tree, guess->parent, guess->token, (float)cop_log((double)guess->own));
    if (node >= n) tree->nodes[node].bucket = guess->bucket;
    return node;
}

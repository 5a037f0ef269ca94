#include "drafting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"

#define NODES 64

cop_status drafting_try(drafting *d, const char *name, const char *options, int V) {
    *d = (drafting){0};
    assert_int_equal(cop_drafter_find(&d->type, name, strlen(name)), COP_OK);
    d->state = cop_alloc(d->type->state_size);
    cop_options_init(d->type->options, d->state);
    cop_status st = cop_options_parse(d->type->options, d->state, name, options);
    const cop_draft_setup setup = {.max_nodes = NODES, .max_tokens = DRAFTING_TOKENS, .V = V};
    if (!st && d->type->start) st = d->type->start(d->state, &setup);
    if (st) {
        cop_free(d->state);
        return st;
    }
    d->logits = cop_alloc_array((size_t)NODES * DRAFTING_V, sizeof *d->logits);
    assert_non_null(d->logits);
    assert_int_equal(cop_tree_init(&d->tree, NODES, 0, 0), COP_OK);
    return COP_OK;
}

void drafting_open(drafting *d, const char *name, const char *options) {
    if (drafting_try(d, name, options, DRAFTING_V)) fail_msg("%s", cop_error_text());
}

void drafting_close(drafting *d) {
    if (d->type->stop) d->type->stop(d->state);
    cop_free(d->state);
    cop_free(d->logits);
    cop_tree_fini(&d->tree);
}

void drafting_propose(drafting *d, const int32_t *tokens, int n) {
    const cop_view view = {.tokens = tokens, .n_tokens = n, .n_prompt = d->n_prompt, .max_tokens = DRAFTING_TOKENS};
    cop_tree_reset(&d->tree, tokens[n - 1]);
    cop_alloc_forbid(true);
    d->type->propose(d->state, &view, &d->tree);
    cop_alloc_forbid(false);
    assert_int_equal(cop_alloc_breaches(), 0);
}

static const float *row_of(void *engine, int node) { return ((drafting *)engine)->logits + (size_t)node * DRAFTING_V; }

void drafting_observe(drafting *d, const int32_t *tokens, int n, int32_t (*next)(int32_t token), int rank) {
    const cop_view view = {.tokens = tokens, .n_tokens = n, .n_prompt = d->n_prompt, .max_tokens = DRAFTING_TOKENS};
    const cop_rows_view rows = {row_of, d, DRAFTING_V};
    int path[NODES], n_path = 0;
    int32_t got[NODES + 1];
    memset(d->logits, 0, (size_t)NODES * DRAFTING_V * sizeof *d->logits);
    for (int i = 0; i < d->tree.n_nodes; i++)
        for (int k = 0; k < 8; k++) d->logits[i * DRAFTING_V + (next(d->tree.nodes[i].token) + k) % DRAFTING_V] = (float)(20 - 2 * k);
    got[0] = (next(tokens[n - 1]) + rank) % DRAFTING_V;
    for (int node = COP_TREE_ROOT; (node = cop_tree_child(&d->tree, node, got[n_path])) >= 0;) {
        path[n_path++] = node;
        got[n_path] = (next(got[n_path - 1]) + rank) % DRAFTING_V;
    }
    const cop_accepted accepted = {path, n_path, got, n_path + 1};
    cop_alloc_forbid(true);
    d->type->observe(d->state, &view, &d->tree, &rows, &accepted);
    cop_alloc_forbid(false);
    assert_int_equal(cop_alloc_breaches(), 0);
}

static size_t show_children(const cop_tree *tree, int node, char *out, size_t room) {
    size_t n = 0;
    for (int c = tree->nodes[node].first_child; c >= 0; c = tree->nodes[c].next_sibling) {
        if (n + 32 > room) return n;
        n += (size_t)snprintf(out + n, room - n, "%s%d", n ? " " : "", tree->nodes[c].token);
        if (tree->nodes[c].first_child < 0) continue;
        out[n++] = '(';
        n += show_children(tree, c, out + n, room - n - 1);
        out[n++] = ')';
    }
    out[n] = 0;
    return n;
}

const char *drafting_show(const drafting *d) {
    static char text[4096];
    text[0] = 0;
    show_children(&d->tree, COP_TREE_ROOT, text, sizeof text);
    return text;
}

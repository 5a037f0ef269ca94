// A second model that follows a text: its own cache, a workspace, and the logits behind the last token.
#ifndef COP_DRAFT_FOLLOWER_H
#define COP_DRAFT_FOLLOWER_H

#include "model/model.h"

typedef struct cop_follower {
    const cop_model *model;
    cop_cache *cache;
    cop_seq *seq;         // holds the text
    cop_workspace *ws;
    cop_row *rows;        // [max_rows] of the forward that runs; a caller's own rows stand behind the text
    int max_rows, max_tokens;
    int32_t *text;        // [max_tokens] what the cache holds
    float *logits;        // [V] behind the text
} cop_follower;

/* max_nodes: rows that the caller computes behind the text, all of them with logits; group: that of their forwards,
 * 0 for none (cop_forward_options). */
cop_status cop_follower_open(cop_follower *f, const cop_model *model, cop_kv_type type, int max_tokens, int max_nodes, int group);
void cop_follower_close(cop_follower *f);  // accepts a zeroed one

/* Read what it has not read of tokens[0 … n_tokens), keeping a common prefix. False when it cannot: a token is
 * beyond its vocabulary, or the text is longer than it was opened for. Allocates nothing. */
bool cop_follower_read(cop_follower *f, const int32_t *tokens, int n_tokens);

/* Compute rows[computed … n_rows) behind the text; nothing is committed. Logits of row i: cop_workspace_logits(ws,
 * i - computed). */
bool cop_follower_compute(cop_follower *f, int n_rows, int computed, const cop_forward_options *options);

#endif

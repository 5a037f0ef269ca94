// What the files of a forward share: the workspace, the plan of one forward, a worker's own scratch.
#ifndef COP_FORWARD_PRIVATE_H
#define COP_FORWARD_PRIVATE_H

#include <stdatomic.h>

#include "model/model_private.h"

#define COP_SERIAL_ROWS 2  // up to so many rows, row work is done inside the barrier
#define COP_QUERY_TILE 16  // queries (row, head) of one key/value head that share a read of keys and values

// Which slots a row sees: 0 … lin-1, then the tail slots in order of their positions, itself last.
typedef struct cop_visible {
    int lin;
    int n_tail;
    const int *tail;
} cop_visible;

// Rows of one sequence inside a forward.
typedef struct cop_row_group {
    cop_seq *seq;
    int first, n_rows;
    int base;     // committed tokens
} cop_row_group;

typedef struct cop_worker {
    float *scores;   // [COP_QUERY_TILE][score_stride]
    float *queries;  // [COP_QUERY_TILE][K]
    float *mixed;    // [COP_QUERY_TILE][K]
    float *tiles;    // [2][max_rows][32]
    float *gathered; // [max_rows] scores of a tail
} cop_worker;

// Neighbouring rows with one set of adapters.
typedef struct cop_adapter_run {
    const cop_adapter_set *set;
    int first, n;                // rows
    int first_logit, n_logits;   // the same of those with logits
} cop_adapter_run;

// Who goes to which expert. A column is one row at one expert; the columns of an expert stand together, in order
// of rows, and N rows have N * used of them.
typedef struct cop_routing {
    float *scores;      // [N][score_stride]
    int *chosen;        // [N][used] experts, ascending
    float *shares;      // [N][used]
    int *column_rows;   // [columns]
    float *column_shares;
    int *first;         // [E + 1] first column of each expert
    int *active;        // [n_active] experts that have columns, ascending
    atomic_int n_active;  // a worker that is behind may look while the next layer counts
    size_t score_stride;
    cop_act *panel;     // the inputs of each expert's columns, gathered; its panels follow one another
    float *rows;        // [columns][x_stride], for 16- and 32-bit weights
    cop_act *mlp_panel; // inputs of the down products
    float *mlp;         // [columns][mlp_stride]
} cop_routing;

struct cop_workspace {
    const cop_model *model;
    int max_rows, max_logits, max_tokens;
    size_t x_stride, heads_stride, mlp_stride, qkv_stride, y_stride, logit_stride, score_stride;
    size_t k_offset, v_offset;   // of keys and values in a row of qkv
    float *x;        // [N][x_stride] hidden states
    float *normed;   // [N][x_stride]
    float *qkv;      // [N][qkv_stride]
    float *heads;    // [N][heads_stride] what attention read
    float *mlp;      // [N][mlp_stride], for 16- and 32-bit weights
    float *y;        // [N][y_stride] output of a sublayer that has a norm behind it
    float *angles;   // [COP_MAX_ROPES][N][K] cos and sin
    float *freqs;    // [COP_MAX_ROPES][2][K / 2] near and far
    float *finals;   // [max_logits][x_stride]
    float *logits;   // [max_logits][logit_stride]
    cop_act *panel, *heads_panel, *mlp_panel;
    cop_routing routing;
    cop_adapter_run *runs;  // [N]
    float *lora;            // [N][COP_ADAPTED_MOST][lora_rank] A x of up to three matrices with one input
    size_t lora_bytes;
    int lora_rank;
    cop_worker *workers;
    cop_visible *visible;   // [N]
    int *tails;             // [N][N]
    cop_row_group *groups;  // [N]
    cop_workspace *lanes;   // [n_lanes] this one with other normed, panel, qkv, heads, heads_panel and y
    int n_lanes;
    int *logit_of;          // [N] row -> index of its logits, -1: none
    uint8_t *arena;
    size_t arena_bytes;
};

// One running forward; const for the workers.
typedef struct cop_forward {
    const cop_model *model;
    cop_workspace *ws;
    const cop_row *rows;
    int n_rows, n_groups, n_logits;
    int n_runs;  // of rows with adapters
    cop_forward_options options;
} cop_forward;

static inline bool cop_is_quantised(const cop_linear *l) {
    return l->w.data && l->w.type != COP_F32 && l->w.type != COP_F16 && l->w.type != COP_BF16;
}

static inline bool cop_bit(const uint64_t *set, int i) { return set && (set[i / 64] >> (i % 64) & 1); }

#define COP_ADAPTED_MOST 3

// Products with one input that adapters may change.
typedef struct cop_adapted {
    const cop_forward *f;
    const cop_linear *linears[COP_ADAPTED_MOST];
    int n;
    bool logits;  // the input is that of the rows with logits
} cop_adapted;

// The input of a product in both forms; each matrix takes the one of its type, adapters take rows.
typedef struct cop_input {
    const cop_act *panel;
    const float *rows;
    size_t stride;
    int n;
    const cop_adapted *adapted;  // NULL: no row has adapters for the matrix
} cop_input;

/* Cut rows with adapters into runs; after rows have their logits' numbers. */
cop_status cop_plan_adapters(cop_forward *f);
/* All workers, behind a barrier: A x for the runs, and a barrier; NULL at once when no run adapts any of them. */
const cop_adapted *cop_adapt(cop_adapted *a, const cop_input *in);
/* Add the runs' part to tile `tile` of y, a product of linear. */
void cop_adapt_tile(const cop_adapted *a, const cop_linear *linear, int tile, float *y, size_t y_stride);

/* y[c * y_stride + r] = rows `tile` of l times column c of the input, and the bias. */
void cop_product_tile(const cop_model *m, const cop_linear *l, int tile, const cop_input *in, float *y, size_t y_stride);
/* Tiles taken at once: a dozen turns per worker keeps them level, long runs keep the prefetcher going. */
int64_t cop_grain(const cop_model *m, int n_tiles);

// The whole feed-forward, or one expert: width, its first tile in gate and up, where the hidden values go.
typedef struct cop_mlp_part {
    int F, first_tile;
    cop_act *panel;
    float *rows;
} cop_mlp_part;

/* 32 rows of gate and up become one block of the down product's input. */
void cop_mlp_block(const cop_forward *f, int worker, const cop_layer *l, int block, const cop_input *in, const cop_mlp_part *p);
/* All workers: the feed-forward of a layer of experts from ws->normed and ws->panel, added to x, or left in
 * ws->y. Ends without a barrier. */
void cop_experts(const cop_forward *f, int worker, int layer, bool to_y);

/* All workers: attention of layer `layer` over the cache into ws->heads, or, when the output matrix is
 * quantised and heads are whole blocks, straight into ws->heads_panel. Ends without a barrier. */
void cop_attention(const cop_forward *f, int worker, int layer);
/* The same for n neighbouring layers, each with the workspace of its own forward, as one phase. */
void cop_attention_group(const cop_forward *lanes, int n, int worker, int first);
/* One row: head norms, rotation, and the row's key and value into the cache. */
void cop_attention_store(const cop_forward *f, int layer, int row);
/* All workers: the short convolution of a layer, from ws->qkv through the cache into ws->heads or
 * ws->heads_panel, as the output matrix wants it. Ends without a barrier. */
void cop_convolution(const cop_forward *f, int worker, int layer);
/* Cos and sin of one row's position, for every rope. */
void cop_rope_angles(const cop_forward *f, int row);
void cop_rope_freqs(const cop_desc *d, float *freqs);

static inline bool cop_heads_are_blocks(const cop_forward *f, int layer) {
    return cop_is_quantised(&f->model->layers[layer].o) && f->model->desc.K % COP_BLOCK == 0;
}

#endif

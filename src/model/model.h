// A model: its description, its packed weights, and one forward over rows.
//
// Shape letters, used everywhere, row-major: N rows, L layers, D model width, H query heads, G key/value
// heads, K head size, F feed-forward width, V vocabulary: [N][H][K].
//
// A family is a description: everything about the computation is in cop_desc and its layers, and the
// forward pass (forward.c) executes it. The trainer builds its graph from the same description.
#ifndef COP_MODEL_MODEL_H
#define COP_MODEL_MODEL_H

#include "base/status.h"
#include "base/threads.h"
#include "cache/cache.h"
#include "format/gguf.h"
#include "kernel/kernel.h"

// ---- description ------------------------------------------------------------------------------

typedef enum cop_norm_kind { COP_NORM_RMS, COP_NORM_LAYER } cop_norm_kind;

// Where the norms of a sublayer f stand.
typedef enum cop_block_order {
    COP_ORDER_PRE,      // y = x + post(f(norm(x))); both are norms where the layer has them, else nothing
    COP_ORDER_POST,     // y = post(x + f(x))
    COP_ORDER_PARALLEL  // y = x + attention(norm(x)) + mlp(norm'(x))
} cop_block_order;

typedef enum cop_position_kind {
    COP_POSITION_NONE,
    COP_POSITION_ROPE,     // rotary, per layer one of desc.rope[]
    COP_POSITION_LEARNED,  // a table of embeddings is added to the input; max_positions is its end
    COP_POSITION_BIAS      // an additive bias on the scores (relative buckets, ALiBi): layer.bias
} cop_position_kind;

typedef enum cop_mask_kind { COP_MASK_CAUSAL, COP_MASK_FULL, COP_MASK_PREFIX } cop_mask_kind;

typedef struct cop_rope_desc {
    float base;             // angle of pair i at position p: p * factor * base^(-2i / n_rot) / divisor[i]
    float factor;           // 1 / linear scaling
    const float *divisors;  // [n_rot / 2] or NULL; in the model's memory
    const float *far_divisors;  // longrope: of sequences whose context limit is above `near`
    int near;               // 0: no longrope
    float yarn, low, high;  // yarn: the factor, 1: none; pair i is slowed by it from `high` on, and not before `low`
    float magnitude;        // multiplies cos and sin
    int n_rot;              // rotated elements, the first ones of a head
    bool half_split;        // pairs (i, i + n_rot/2), else (2i, 2i + 1)
} cop_rope_desc;

typedef struct cop_layer_desc {
    int window;          // keys seen by a position: itself and window - 1 before; 0: all
    int rope;            // index into desc.rope, or -1
    cop_mask_kind mask;
    bool cross;          // a cross-attention sublayer follows self-attention (encoder-decoders)
    bool convolution;    // a short convolution in place of attention
    int cache;           // its number among the layers of its kind, attending or convolving, in the cache
    bool experts;        // the feed-forward is a mixture of experts
} cop_layer_desc;

// A mixture of experts: a row's feed-forward is the sum of its `used` most probable experts, weighted.
typedef struct cop_experts_desc {
    int n, used;         // 0: the model has none
    int F;               // width of one expert
    bool normalise;      // the weights are divided by their sum
    float scale;         // of the weights
} cop_experts_desc;

#define COP_MAX_EXPERTS 1024

#define COP_MAX_ROPES 2

typedef struct cop_desc {
    const char *family;      // "llama"
    int L, D, H, G, K, F, V;
    int max_positions;       // that the model was trained for
    cop_norm_kind norm;
    float norm_eps;
    cop_block_order order;
    cop_act_kind act;
    bool gated;              // down(act(gate) * up), else down(act(up))
    cop_position_kind positions;
    int position_offset;     // row of the table of positions that belongs to position 0
    int n_ropes;
    cop_rope_desc rope[COP_MAX_ROPES];
    float embed_scale;       // of the token embeddings (not of injected rows); 1
    float attn_scale;        // of the scores
    float attn_softcap;      // 0: none
    bool wide_qk_norm;       // the norms of q and k run over all heads at once
    float residual_scale;    // of what a sublayer adds; 1
    float logit_scale;       // 1
    float logit_softcap;     // 0: none
    cop_experts_desc experts;
    int taps;                // of a short convolution, the token itself included; 0: no layer has one
    cop_layer_desc *layers;  // [L]
} cop_desc;

/* What a file's metadata says, without its weights; rope divisors stay NULL. Fini it after a success. */
cop_status cop_model_describe(const cop_gguf *file, cop_desc *desc);
void cop_desc_fini(cop_desc *desc);

// ---- weights ----------------------------------------------------------------------------------

typedef struct cop_linear {
    cop_matrix w;         // [out][in]; w.data NULL: absent
    const float *bias;    // [out] or NULL
    int number;           // among the matrices that adapters can change, from 1; 0: not one of them
} cop_linear;

typedef struct cop_norm {
    const float *w, *b;   // [n]; w NULL: absent, the identity; b NULL: no bias
} cop_norm;

typedef struct cop_layer {
    cop_norm attn_norm, attn_post_norm, mlp_norm, mlp_post_norm;
    cop_norm q_norm, k_norm;                 // per head, [K]; wide: [H K], [G K]
    cop_linear q, k, v, o, gate, up, down;   // of experts: shape and tiles of one, data of all in turn
    cop_linear conv_in, conv_out;            // [3 D][D]: B, C, x; [D][D]
    const float *conv, *conv_bias;           // [D][taps], the oldest first; [D] or NULL
    cop_linear router;                       // [E][D], 16 or 32 bits
} cop_layer;

typedef struct cop_model {
    cop_desc desc;
    cop_gguf *file;            // stays open: metadata, and rows of the embedding
    const cop_gguf_tensor *embedding;  // [V][D] in file layout; rows are dequantised as they are needed
    const cop_gguf_tensor *position_embedding, *type_embedding;  // [..][D] or NULL, likewise; of the types row 0 is used
    cop_norm embed_norm;       // of the sum of the embeddings
    cop_norm final_norm;
    cop_cache_shape cache_shape;       // see cop_model_cache_shape
    cop_linear output;         // [V][D]; the embedding itself when the file has no output matrix; absent in encoders
    cop_layer *layers;         // [L]
    int n_linears;             // numbers of linears are below it
    uint8_t *memory;           // packed weights and vectors, one block
    size_t memory_bytes;
    size_t step_bytes;         // bytes of weights that one row's forward reads: of the experts those in use
    cop_pool *pool;            // borrowed
    cop_kernels kernels;
    double load_seconds;
    bool from_packed;          // loaded from the packed file
} cop_model;

typedef struct cop_model_options {
    const char *level;         // CPU level or NULL: COPPICE_CPU, else the best
    const char *packed_folder; // where packed files are kept; NULL: do not keep any
    void (*progress)(void *user, double done);  // 0 … 1 while packing; may be NULL
    void *user;
} cop_model_options;

/* Longrope has one set of divisors for sequences that may grow beyond the length of the first training, and one for
 * the others; a sequence's capacity (cop_seq_capacity) decides, once and for all its positions. Sequences of which
 * this differs must not share tokens. */
static inline bool cop_model_far_rope(const cop_model *m, int capacity) {
    return m->desc.rope[0].near && capacity > m->desc.rope[0].near;
}

/* The shape of a cache that this model's sequences need. */
cop_cache_shape cop_model_cache_shape(const cop_model *model, cop_kv_type type);

/* Open a GGUF model file and pack its weights. `pool` is borrowed until cop_model_close. */
cop_status cop_model_open(cop_model **out, const char *path, cop_pool *pool, const cop_model_options *options);
void cop_model_close(cop_model *model);  // accepts NULL and half-built

// ---- families ---------------------------------------------------------------------------------

typedef struct cop_family {
    const char *name;     // the file's general.architecture
    const char *summary;
    unsigned weights;     // COP_W_*: what a layer has beyond the common ones
    /* Fill *desc from the file's metadata; desc->layers has been allocated with L entries and common
     * fields are filled by cop_desc_common before. Every value is checked. */
    cop_status (*describe)(const cop_gguf *file, cop_desc *desc);
} cop_family;

enum {
    COP_W_QKV_BIAS = 1,    // biases of q, k, v are required (elsewhere optional)
    COP_W_QK_NORM = 2,     // q and k norms
    COP_W_POST_NORMS = 4,  // norms after attention and after the feed-forward
    COP_W_NO_PRE_NORMS = 8,  // none before them
    COP_W_EMBED_NORM_LAST = 16,  // the final norm is called token_embd_norm
    COP_W_BIASES = 32,     // every matrix and norm has a bias
    COP_W_FUSED = 64,      // q, k and v may be one matrix, attn_qkv, and gate and up one, ffn_up
    COP_W_ENCODER = 128    // a norm of the embeddings, token types; neither final norm nor output matrix
};

extern const cop_family *const cop_families[];  // model.c, ends with NULL
extern const cop_family cop_family_llama, cop_family_qwen2, cop_family_qwen3, cop_family_qwen3moe, cop_family_gemma2,
    cop_family_gemma3, cop_family_granite, cop_family_lfm2, cop_family_olmo2, cop_family_smollm3, cop_family_gpt2,
    cop_family_starcoder, cop_family_starcoder2, cop_family_phi3, cop_family_bert;

// ---- forward ----------------------------------------------------------------------------------

typedef struct cop_adapter_set cop_adapter_set;  // adapter.h

/* One token inside a forward. Rows of one sequence stand together, parents before children; the row's
 * index among them is its slot behind the committed tokens. */
typedef struct cop_row {
    cop_seq *seq;
    int32_t token;            // ignored when embedding is given
    const float *embedding;   // [D] instead of a token, or NULL
    const cop_adapter_set *adapters;  // in force for this row, or NULL; borrowed
    int parent;               // index in the batch of the row before it on its path; -1: the committed tokens
    bool want_logits;
} cop_row;

/* Copy a hidden state out. layer -1: the input of the first layer; layer i: the output of layer i;
 * layer L: after the final norm. out: [N][D]. */
typedef struct cop_tap {
    int layer;
    float *out;
} cop_tap;

typedef struct cop_forward_options {
    int first_layer, end_layer;       // layers to run; 0, 0 means all
    const uint64_t *skip_attention;   // bit sets over layers; NULL: none
    const uint64_t *skip_mlp;
    const uint64_t *full_mask;        // layers where every row sees all rows of its sequence
    int computed;                     // leading rows that an earlier forward computed since the last commit: they
                                      // only stand in their slots, and rows count from the first one behind
                                      // them. One sequence; 0: none
    int group;                        // attention of so many neighbouring layers reads one input: approximate, for
                                      // drafts; the workspace was made for it (cop_workspace_new_grouped). 0: none
    const float *inject;              // [N][D] hidden states that enter first_layer instead of embeddings
    const cop_tap *taps;
    int n_taps;
} cop_forward_options;

typedef struct cop_workspace cop_workspace;

/* Every buffer that a forward of up to max_rows rows, max_logits of them with logits, over contexts of up
 * to max_tokens slots needs. */
cop_status cop_workspace_new(cop_workspace **out, const cop_model *model, int max_rows, int max_logits, int max_tokens);
/* The same with the buffers for groups of `group` layers, 1 … COP_MOST_GROUP. */
#define COP_MOST_GROUP 16
cop_status cop_workspace_new_grouped(cop_workspace **out, const cop_model *model, int max_rows, int max_logits, int max_tokens, int group);
void cop_workspace_free(cop_workspace *ws);
int cop_workspace_max_rows(const cop_workspace *ws);
int cop_workspace_max_logits(const cop_workspace *ws);
size_t cop_workspace_bytes(const cop_workspace *ws);

/* Compute n_rows rows. Slots must have been reserved (cop_seq_reserve). Fills the cache's slots and the
 * logits; commits nothing. options NULL: all layers, no taps. Allocates nothing.
 * Row bits depend on the row's own path only. */
cop_status cop_model_forward(const cop_model *model, cop_workspace *ws, const cop_row *rows, int n_rows,
                             const cop_forward_options *options);

/* Logits [V] of row i of the last forward (it had want_logits), valid until the next forward. The caller
 * may change them. */
float *cop_workspace_logits(cop_workspace *ws, int row);

#endif

// The table of families that a Hugging Face folder may hold: how its configuration and its tensors are
// called, and what GGUF's writers change in them. A family whose files look like llama's is one row.
#include <math.h>
#include <string.h>

#include "format/folder_private.h"

#define JSON(...) #__VA_ARGS__

const cop_folder_rule cop_folder_common_rules[] = {
    {"model.embed_tokens", "token_embd", COP_FOLDER_AS_IS},
    {"model.norm", "output_norm", COP_FOLDER_AS_IS},
    {"lm_head", "output", COP_FOLDER_AS_IS},
    {"model.layers.#.input_layernorm", "blk.#.attn_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.v_proj", "blk.#.attn_v", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.o_proj", "blk.#.attn_output", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.rotary_emb.inv_freq", NULL, COP_FOLDER_DROP},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.mlp.gate_proj", "blk.#.ffn_gate", COP_FOLDER_AS_IS},
    {"model.layers.#.mlp.up_proj", "blk.#.ffn_up", COP_FOLDER_AS_IS},
    {"model.layers.#.mlp.down_proj", "blk.#.ffn_down", COP_FOLDER_AS_IS},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

// ---- llama, mistral, smollm3, granite: q and k are permuted ------------------------------------

static const cop_folder_rule llama_rules[] = {
    {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", COP_FOLDER_PERMUTE_Q},
    {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", COP_FOLDER_PERMUTE_K},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

static cop_status llama_keys(cop_folder_config *c) { return cop_folder_add_rope(c, NULL); }

static cop_status mistral_keys(cop_folder_config *c) {
    int64_t window;
    COP_TRY(cop_json_int(c->values, "sliding_window", 0, 1, 1 << 30, &window));
    COP_TRY(cop_folder_add_window(c, window, 0, 0));
    return cop_folder_add_rope(c, NULL);
}

static cop_status smollm3_keys(cop_folder_config *c) {
    const json_t *list = cop_json_member(c->values, "no_rope_layers");
    uint8_t rotated[COP_FOLDER_MOST_LAYERS];
    bool on;
    int64_t window, interval;
    COP_TRY(cop_json_int(c->values, "no_rope_layer_interval", 4, 1, 1 << 20, &interval));
    COP_TRY(cop_json_bool(c->values, "use_sliding_window", false, &on));
    COP_TRY(cop_json_int(c->values, "sliding_window", 0, 0, 1 << 30, &window));
    if (list && json_array_size(list) != (size_t)c->L)
        return cop_fail(COP_ERR_FORMAT, "no_rope_layers: %zu entries for %lld layers", json_array_size(list), (long long)c->L);
    for (int64_t i = 0; i < c->L; i++) {  // the list says 1 where there is rotation
        const json_t *one = json_array_get(list, (size_t)i);
        if (list && !json_is_integer(one)) return cop_fail(COP_ERR_FORMAT, "no_rope_layers must hold integers");
        rotated[i] = list ? json_integer_value(one) != 0 : (i + 1) % interval != 0;
    }
    COP_TRY(cop_gguf_add_array(c->keys, "smollm3.rope.pattern", COP_GGUF_BOOL, rotated, (size_t)c->L));
    COP_TRY(cop_folder_add_window(c, on ? window : 0, 0, 0));
    return cop_folder_add_rope(c, NULL);
}

static cop_status granite_keys(cop_folder_config *c) {
    COP_TRY(cop_folder_copy_number(c, "attention_multiplier", "attention.scale"));
    COP_TRY(cop_folder_copy_number(c, "embedding_multiplier", "embedding_scale"));
    COP_TRY(cop_folder_copy_number(c, "residual_multiplier", "residual_scale"));
    COP_TRY(cop_folder_copy_number(c, "logits_scaling", "logit_scale"));
    return cop_folder_add_rope(c, NULL);
}

// ---- olmo2: norms after the sublayers ----------------------------------------------------------

static const cop_folder_rule olmo2_rules[] = {
    {"model.layers.#.post_attention_layernorm", "blk.#.post_attention_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.post_feedforward_layernorm", "blk.#.post_ffw_norm", COP_FOLDER_AS_IS},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

// OLMo 3: a window except on every fourth layer, and the scaling of the rope on those alone.
static cop_status olmo3_keys(cop_folder_config *c) {
    int64_t window;
    COP_TRY(cop_json_int(c->values, "sliding_window", 0, 1, 1 << 30, &window));
    COP_TRY(cop_folder_add_window(c, window, 0, 4));
    return cop_folder_add_rope(c, "full_attention");
}

// ---- mixtures of experts -----------------------------------------------------------------------

static const cop_folder_rule mixtral_rules[] = {
    {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", COP_FOLDER_PERMUTE_Q},
    {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", COP_FOLDER_PERMUTE_K},
    {"model.layers.#.block_sparse_moe.gate", "blk.#.ffn_gate_inp", COP_FOLDER_AS_IS},
    {"model.layers.#.block_sparse_moe.experts.@.w1", "blk.#.ffn_gate_exps", COP_FOLDER_STACK},
    {"model.layers.#.block_sparse_moe.experts.@.w2", "blk.#.ffn_down_exps", COP_FOLDER_STACK},
    {"model.layers.#.block_sparse_moe.experts.@.w3", "blk.#.ffn_up_exps", COP_FOLDER_STACK},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

static const cop_folder_rule qwen3moe_rules[] = {
    {"model.layers.#.mlp.gate", "blk.#.ffn_gate_inp", COP_FOLDER_AS_IS},
    {"model.layers.#.mlp.experts.@.gate_proj", "blk.#.ffn_gate_exps", COP_FOLDER_STACK},
    {"model.layers.#.mlp.experts.@.up_proj", "blk.#.ffn_up_exps", COP_FOLDER_STACK},
    {"model.layers.#.mlp.experts.@.down_proj", "blk.#.ffn_down_exps", COP_FOLDER_STACK},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

static cop_status add_experts(cop_folder_config *c) {
    COP_TRY(cop_folder_copy_int(c, "num_local_experts", "expert_count"));
    return cop_folder_copy_int(c, "num_experts_per_tok", "expert_used_count");
}

static cop_status mixtral_keys(cop_folder_config *c) {
    COP_TRY(add_experts(c));
    return mistral_keys(c);
}

// ---- lfm2: convolutions in most layers ----------------------------------------------------------

static const cop_folder_rule lfm2_rules[] = {
    {"model.embedding_norm", "token_embd_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.operator_norm", "blk.#.attn_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.out_proj", "blk.#.attn_output", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.q_layernorm", "blk.#.attn_q_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.self_attn.k_layernorm", "blk.#.attn_k_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.conv.in_proj", "blk.#.shortconv.in_proj", COP_FOLDER_AS_IS},
    {"model.layers.#.conv.conv", "blk.#.shortconv.conv", COP_FOLDER_SQUEEZE},
    {"model.layers.#.conv.out_proj", "blk.#.shortconv.out_proj", COP_FOLDER_AS_IS},
    {"model.layers.#.ffn_norm", "blk.#.ffn_norm", COP_FOLDER_AS_IS},
    {"model.layers.#.feed_forward.w1", "blk.#.ffn_gate", COP_FOLDER_AS_IS},
    {"model.layers.#.feed_forward.w2", "blk.#.ffn_down", COP_FOLDER_AS_IS},
    {"model.layers.#.feed_forward.w3", "blk.#.ffn_up", COP_FOLDER_AS_IS},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

// The width of the feed-forward is said in a roundabout way.
static cop_status lfm2_prepare(cop_folder_config *c) {
    bool adjust;
    int64_t width, multiple;
    double factor;
    COP_TRY(cop_json_bool(c->values, "block_auto_adjust_ff_dim", true, &adjust));
    if (!adjust) return COP_OK;
    COP_TRY(cop_json_int(c->values, "intermediate_size", 0, 1, 1 << 24, &width));
    COP_TRY(cop_json_int(c->values, "block_multiple_of", 256, 1, 1 << 20, &multiple));
    COP_TRY(cop_json_number(c->values, "block_ffn_dim_multiplier", 1, &factor));
    if (!(factor > 0 && factor < 1e3)) return cop_fail(COP_ERR_FORMAT, "block_ffn_dim_multiplier: %g, need a positive number", factor);
    width = (int64_t)(factor * (double)(2 * width / 3));
    width = (width + multiple - 1) / multiple * multiple;
    if (json_object_set_new(c->values, "intermediate_size", json_integer(width))) return cop_fail(COP_ERR_NOMEM, "configuration: cannot allocate");
    return COP_OK;
}

// GGUF has one number of key heads per layer, 0 where a convolution is.
static cop_status lfm2_keys(cop_folder_config *c) {
    const json_t *types = cop_json_member(c->values, "layer_types"), *full = cop_json_member(c->values, "full_attn_idxs");
    uint32_t heads[COP_FOLDER_MOST_LAYERS] = {0};
    if (types && json_array_size(types) != (size_t)c->L)
        return cop_fail(COP_ERR_FORMAT, "layer_types: %zu entries for %lld layers", json_array_size(types), (long long)c->L);
    for (size_t i = 0; types && i < (size_t)c->L; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type) return cop_fail(COP_ERR_FORMAT, "layer_types must hold texts");
        heads[i] = strcmp(type, "conv") ? (uint32_t)c->G : 0;
    }
    for (size_t i = 0; !types && i < json_array_size(full); i++) {
        json_int_t layer = json_is_integer(json_array_get(full, i)) ? json_integer_value(json_array_get(full, i)) : -1;
        if (layer < 0 || layer >= c->L) return cop_fail(COP_ERR_FORMAT, "full_attn_idxs: entry %zu is no layer", i);
        heads[layer] = (uint32_t)c->G;
    }
    if (!types && !full)
        for (int64_t i = 0; i < c->L; i++) heads[i] = (uint32_t)c->G;
    COP_TRY(cop_gguf_add_array(c->keys, "lfm2.attention.head_count_kv", COP_GGUF_U32, heads, (size_t)c->L));
    COP_TRY(cop_folder_copy_int(c, "conv_L_cache", "shortconv.l_cache"));
    return cop_folder_add_rope(c, NULL);
}

// ---- gpt2, gpt_bigcode, starcoder2: LayerNorm and biases ----------------------------------------

static const char *const gpt_renames[] = {"n_embd", "hidden_size", "n_layer", "num_hidden_layers", "n_head", "num_attention_heads",
                                          "n_positions", "max_position_embeddings", "n_inner", "intermediate_size",
                                          "layer_norm_epsilon", "layer_norm_eps", "activation_function", "hidden_act", NULL};

#define GPT_RULES(op)                                      \
    {"wte", "token_embd", COP_FOLDER_AS_IS},               \
    {"wpe", "position_embd", COP_FOLDER_AS_IS},            \
    {"ln_f", "output_norm", COP_FOLDER_AS_IS},             \
    {"h.#.ln_1", "blk.#.attn_norm", COP_FOLDER_AS_IS},     \
    {"h.#.ln_2", "blk.#.ffn_norm", COP_FOLDER_AS_IS},      \
    {"h.#.attn.c_attn", "blk.#.attn_qkv", op},             \
    {"h.#.attn.c_proj", "blk.#.attn_output", op},          \
    {"h.#.mlp.c_fc", "blk.#.ffn_up", op},                  \
    {"h.#.mlp.c_proj", "blk.#.ffn_down", op},              \
    {"h.#.attn.bias", NULL, COP_FOLDER_DROP},              \
    {"h.#.attn.masked_bias", NULL, COP_FOLDER_DROP},       \
    {NULL, NULL, COP_FOLDER_AS_IS}

static const cop_folder_rule gpt2_rules[] = {GPT_RULES(COP_FOLDER_TRANSPOSE)};
static const cop_folder_rule bigcode_rules[] = {GPT_RULES(COP_FOLDER_AS_IS)};

// Switches of the library that change the scores, at values that nothing here computes.
static cop_status gpt_prepare(cop_folder_config *c) {
    bool scaled, by_layer, crossed;
    COP_TRY(cop_json_bool(c->values, "scale_attn_weights", true, &scaled));
    COP_TRY(cop_json_bool(c->values, "scale_attn_by_inverse_layer_idx", false, &by_layer));
    COP_TRY(cop_json_bool(c->values, "add_cross_attention", false, &crossed));
    if (!scaled || by_layer || crossed)
        return cop_fail(COP_ERR_UNSUPPORTED, "%s", !scaled ? "scale_attn_weights: false, need true" : by_layer ? "scale_attn_by_inverse_layer_idx: true, need false" : "add_cross_attention: true, need false");
    return COP_OK;
}

static cop_status bigcode_prepare(cop_folder_config *c) {
    bool one;
    COP_TRY(gpt_prepare(c));
    COP_TRY(cop_json_bool(c->values, "multi_query", true, &one));
    if (!one) return cop_fail(COP_ERR_UNSUPPORTED, "multi_query: false, need true");
    if (json_object_set_new(c->values, "num_key_value_heads", json_integer(1))) return cop_fail(COP_ERR_NOMEM, "configuration: cannot allocate");
    return COP_OK;
}

static const cop_folder_rule starcoder2_rules[] = {
    {"model.layers.#.mlp.c_fc", "blk.#.ffn_up", COP_FOLDER_AS_IS},
    {"model.layers.#.mlp.c_proj", "blk.#.ffn_down", COP_FOLDER_AS_IS},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

// ---- phi3: fused matrices as in GGUF -----------------------------------------------------------

static const cop_folder_rule phi3_rules[] = {
    {"model.layers.#.self_attn.qkv_proj", "blk.#.attn_qkv", COP_FOLDER_AS_IS},
    {"model.layers.#.mlp.gate_up_proj", "blk.#.ffn_up", COP_FOLDER_AS_IS},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

static cop_status phi3_keys(cop_folder_config *c) {
    int64_t window;
    COP_TRY(cop_json_int(c->values, "sliding_window", 0, 1, 1 << 30, &window));
    if (window) COP_TRY(cop_folder_add_window(c, window, 0, 0));
    else COP_TRY(cop_folder_add_int(c, "attention.sliding_window", 0));  // GGUF takes 2047 for granted at 4096 positions
    return cop_folder_add_rope(c, NULL);
}

// ---- qwen2, qwen3: a window, switched on and off, from a layer on ------------------------------

static cop_status qwen_keys(cop_folder_config *c) {
    bool on;
    int64_t window, first;
    COP_TRY(cop_json_bool(c->values, "use_sliding_window", false, &on));
    COP_TRY(cop_json_int(c->values, "sliding_window", 0, 0, 1 << 30, &window));
    COP_TRY(cop_json_int(c->values, "max_window_layers", c->L, 0, 1 << 20, &first));
    COP_TRY(cop_folder_add_window(c, on ? window : 0, first, 0));
    return cop_folder_add_rope(c, NULL);
}

static cop_status qwen3moe_keys(cop_folder_config *c) {
    bool norm;
    COP_TRY(add_experts(c));
    COP_TRY(cop_folder_copy_int(c, "moe_intermediate_size", "expert_feed_forward_length"));
    COP_TRY(cop_json_bool(c->values, "norm_topk_prob", false, &norm));
    COP_TRY(cop_gguf_add_bool(c->keys, "qwen3moe.expert_weights_norm", norm));
    return qwen_keys(c);
}

// ---- gemma: norms are stored without their 1 ---------------------------------------------------

static const cop_folder_rule gemma_rules[] = {
    {"model.norm", "output_norm", COP_FOLDER_PLUS_ONE},
    {"model.layers.#.input_layernorm", "blk.#.attn_norm", COP_FOLDER_PLUS_ONE},
    {"model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", COP_FOLDER_PLUS_ONE},
    {"model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", COP_FOLDER_PLUS_ONE},
    {"model.layers.#.post_attention_layernorm", "blk.#.post_attention_norm", COP_FOLDER_PLUS_ONE},
    {"model.layers.#.pre_feedforward_layernorm", "blk.#.ffn_norm", COP_FOLDER_PLUS_ONE},
    {"model.layers.#.post_feedforward_layernorm", "blk.#.post_ffw_norm", COP_FOLDER_PLUS_ONE},
    {"vision_tower.", NULL, COP_FOLDER_DROP},
    {"multi_modal_projector.", NULL, COP_FOLDER_DROP},
    {"model.vision_tower.", NULL, COP_FOLDER_DROP},
    {"model.multi_modal_projector.", NULL, COP_FOLDER_DROP},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

// GGUF takes 1/sqrt(head size) for granted.
static cop_status add_gemma_scale(cop_folder_config *c) {
    double scalar;
    COP_TRY(cop_json_number(c->values, "query_pre_attn_scalar", 256, &scalar));
    if (!(scalar > 0)) return cop_fail(COP_ERR_FORMAT, "query_pre_attn_scalar: %g, need a positive number", scalar);
    return scalar == (double)c->K ? COP_OK : cop_folder_add_number(c, "attention.scale", 1 / sqrt(scalar));
}

static cop_status gemma2_keys(cop_folder_config *c) {
    int64_t window;
    double scores, logits;
    COP_TRY(cop_json_int(c->values, "sliding_window", 0, 0, 1 << 30, &window));
    COP_TRY(cop_folder_add_window(c, window, 0, 2));
    if (!window) COP_TRY(cop_folder_add_int(c, "attention.sliding_window", 0));  // GGUF takes 4096 and the caps for granted
    COP_TRY(cop_json_number(c->values, "attn_logit_softcapping", 0, &scores));
    COP_TRY(cop_json_number(c->values, "final_logit_softcapping", 0, &logits));
    COP_TRY(cop_folder_add_number(c, "attn_logit_softcapping", scores));
    COP_TRY(cop_folder_add_number(c, "final_logit_softcapping", logits));
    COP_TRY(add_gemma_scale(c));
    return cop_folder_add_rope(c, NULL);
}

static cop_status gemma3_keys(cop_folder_config *c) {
    int64_t window, period;
    double local, cap;
    COP_TRY(cop_json_int(c->values, "sliding_window", 0, 0, 1 << 30, &window));
    COP_TRY(cop_json_int(c->values, "_sliding_window_pattern", 6, 1, 1 << 20, &period));  // one version wrote it so
    COP_TRY(cop_json_int(c->values, "sliding_window_pattern", period, 1, 1 << 20, &period));
    COP_TRY(cop_folder_add_window(c, window, 0, period));
    COP_TRY(add_gemma_scale(c));
    COP_TRY(cop_json_number(c->values, "attn_logit_softcapping", 0, &cap));
    if (cap != 0) return cop_fail(COP_ERR_UNSUPPORTED, "attn_logit_softcapping %g: gemma3 has none here", cap);
    COP_TRY(cop_folder_copy_number(c, "final_logit_softcapping", "final_logit_softcapping"));
    const json_t *ropes = cop_json_member(c->values, "rope_parameters");
    COP_TRY(cop_json_number(c->values, "rope_local_base_freq", 10000, &local));
    COP_TRY(cop_json_number(cop_json_member(ropes, "sliding_attention"), "rope_theta", local, &local));
    COP_TRY(cop_folder_add_number(c, "rope.freq_base_swa", local));
    return cop_folder_add_rope(c, "full_attention");
}

// ---- bert, roberta, xlm-roberta: encoders -------------------------------------------------------

#define NORM_RULES(from, to)                           \
    {from, to, COP_FOLDER_AS_IS},                      \
    {from ".gamma", to ".weight", COP_FOLDER_AS_IS},   \
    {from ".beta", to ".bias", COP_FOLDER_AS_IS}

static const cop_folder_rule bert_rules[] = {
    {"embeddings.word_embeddings", "token_embd", COP_FOLDER_AS_IS},
    {"embeddings.position_embeddings", "position_embd", COP_FOLDER_AS_IS},
    {"embeddings.token_type_embeddings", "token_types", COP_FOLDER_AS_IS},
    NORM_RULES("embeddings.LayerNorm", "token_embd_norm"),
    {"encoder.layer.#.attention.self.query", "blk.#.attn_q", COP_FOLDER_AS_IS},
    {"encoder.layer.#.attention.self.key", "blk.#.attn_k", COP_FOLDER_AS_IS},
    {"encoder.layer.#.attention.self.value", "blk.#.attn_v", COP_FOLDER_AS_IS},
    {"encoder.layer.#.attention.output.dense", "blk.#.attn_output", COP_FOLDER_AS_IS},
    NORM_RULES("encoder.layer.#.attention.output.LayerNorm", "blk.#.attn_output_norm"),
    {"encoder.layer.#.intermediate.dense", "blk.#.ffn_up", COP_FOLDER_AS_IS},
    {"encoder.layer.#.output.dense", "blk.#.ffn_down", COP_FOLDER_AS_IS},
    NORM_RULES("encoder.layer.#.output.LayerNorm", "blk.#.layer_output_norm"),
    {"embeddings.position_ids", NULL, COP_FOLDER_DROP},
    {"embeddings.token_type_ids", NULL, COP_FOLDER_DROP},
    {"pooler.", NULL, COP_FOLDER_DROP},  // what stands on the encoder: not asked for here
    {"cls.", NULL, COP_FOLDER_DROP},
    {"lm_head.", NULL, COP_FOLDER_DROP},
    {NULL, NULL, COP_FOLDER_AS_IS},
};

static cop_status bert_prepare(cop_folder_config *c) {
    const char *positions;
    bool decoder;
    COP_TRY(cop_json_text(c->values, "position_embedding_type", "absolute", &positions));
    COP_TRY(cop_json_bool(c->values, "is_decoder", false, &decoder));
    c->tied = true;  // no output matrix is expected
    if (strcmp(positions, "absolute")) return cop_fail(COP_ERR_UNSUPPORTED, "position_embedding_type: %.40s, need absolute", positions);
    return decoder ? cop_fail(COP_ERR_UNSUPPORTED, "is_decoder: true, need false") : COP_OK;
}

static cop_status bert_keys(cop_folder_config *c) { return cop_gguf_add_bool(c->keys, "bert.attention.causal", false); }

// Positions begin behind the row of the padding token.
static cop_status read_first_position(const cop_folder_config *c, int64_t *first) {
    COP_TRY(cop_json_int(c->values, "pad_token_id", 1, 0, 1 << 16, first));
    ++*first;
    return COP_OK;
}

static cop_status roberta_prepare(cop_folder_config *c) {
    int64_t first, rows;
    COP_TRY(bert_prepare(c));
    COP_TRY(read_first_position(c, &first));
    COP_TRY(cop_json_int(c->values, "max_position_embeddings", 0, 1, 1 << 27, &rows));
    if (rows <= first) return cop_fail(COP_ERR_FORMAT, "max_position_embeddings: %lld, the first %lld are none", (long long)rows, (long long)first);
    if (json_object_set_new(c->values, "max_position_embeddings", json_integer(rows - first))) return cop_fail(COP_ERR_NOMEM, "configuration: cannot allocate");
    return COP_OK;
}

static cop_status roberta_keys(cop_folder_config *c) {
    int64_t first;
    COP_TRY(read_first_position(c, &first));
    COP_TRY(cop_folder_add_int(c, "position_offset", first));
    return bert_keys(c);
}

// ---- the table ------------------------------------------------------------------------------

const cop_folder_family cop_folder_families[] = {
    {.model_type = "llama", .arch = "llama", .acts = "silu swish", .rules = llama_rules, .keys = llama_keys,
     .defaults = JSON({"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6})},
    {.model_type = "mistral", .arch = "llama", .acts = "silu swish", .rules = llama_rules, .keys = mistral_keys,
     .defaults = JSON({"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072,
                       "rms_norm_eps": 1e-6, "sliding_window": 4096})},
    {.model_type = "qwen2", .arch = "qwen2", .acts = "silu swish", .keys = qwen_keys,
     .defaults = JSON({"vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 32768,
                       "rms_norm_eps": 1e-6, "sliding_window": 4096, "max_window_layers": 28})},
    {.model_type = "qwen3", .arch = "qwen3", .acts = "silu swish", .keys = qwen_keys,
     .defaults = JSON({"vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128, "max_position_embeddings": 32768,
                       "rms_norm_eps": 1e-6, "sliding_window": 4096, "max_window_layers": 28})},
    {.model_type = "mixtral", .arch = "llama", .acts = "silu swish", .rules = mixtral_rules, .keys = mixtral_keys,
     .defaults = JSON({"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072,
                       "rms_norm_eps": 1e-5, "rope_theta": 1e6, "num_local_experts": 8, "num_experts_per_tok": 2})},
    {.model_type = "smollm3", .arch = "smollm3", .acts = "silu swish", .rules = llama_rules, .keys = smollm3_keys,
     .defaults = JSON({"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36,
                       "num_attention_heads": 16, "num_key_value_heads": 4, "max_position_embeddings": 32768,
                       "rms_norm_eps": 1e-6, "rope_theta": 2e6, "tie_word_embeddings": true})},
    {.model_type = "granite", .arch = "granite", .acts = "silu swish", .rules = llama_rules, .keys = granite_keys,
     .defaults = JSON({"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
                       "embedding_multiplier": 1, "logits_scaling": 1, "residual_multiplier": 1, "attention_multiplier": 1})},
    {.model_type = "olmo2", .arch = "olmo2", .acts = "silu swish", .rules = olmo2_rules, .keys = llama_keys,
     .defaults = JSON({"vocab_size": 50304, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5})},
    {.model_type = "olmo3", .arch = "olmo2", .acts = "silu swish", .rules = olmo2_rules, .keys = olmo3_keys,
     .defaults = JSON({"vocab_size": 50304, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 5e5,
                       "sliding_window": 4096})},
    {.model_type = "lfm2", .arch = "lfm2", .acts = "silu swish", .rules = lfm2_rules, .prepare = lfm2_prepare, .keys = lfm2_keys, .own_kv_heads = true,
     .renames = (const char *const[]){"norm_eps", "rms_norm_eps", "block_ff_dim", "intermediate_size", "tie_embedding", "tie_word_embeddings", NULL},
     .defaults = JSON({"vocab_size": 65536, "hidden_size": 2560, "intermediate_size": 12288, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 128000,
                       "rms_norm_eps": 1e-5, "rope_theta": 1e6, "conv_L_cache": 3, "tie_word_embeddings": true})},
    {.model_type = "gpt2", .arch = "gpt2", .acts = "gelu_new gelu_pytorch_tanh", .rules = gpt2_rules, .renames = gpt_renames, .prepare = gpt_prepare,
     .defaults = JSON({"vocab_size": 50257, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                       "max_position_embeddings": 1024, "layer_norm_eps": 1e-5, "tie_word_embeddings": true})},
    {.model_type = "gpt_bigcode", .arch = "starcoder", .acts = "gelu_pytorch_tanh gelu_new", .rules = bigcode_rules, .renames = gpt_renames,
     .prepare = bigcode_prepare,
     .defaults = JSON({"vocab_size": 50257, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                       "max_position_embeddings": 1024, "layer_norm_eps": 1e-5, "tie_word_embeddings": true})},
    {.model_type = "starcoder2", .arch = "starcoder2", .acts = "gelu_pytorch_tanh", .rules = starcoder2_rules, .keys = mistral_keys,
     .renames = (const char *const[]){"norm_epsilon", "layer_norm_eps", NULL},
     .defaults = JSON({"vocab_size": 49152, "hidden_size": 3072, "intermediate_size": 12288, "num_hidden_layers": 30,
                       "num_attention_heads": 24, "num_key_value_heads": 2, "max_position_embeddings": 4096,
                       "layer_norm_eps": 1e-5, "tie_word_embeddings": true})},
    {.model_type = "phi3", .arch = "phi3", .acts = "silu swish", .rules = phi3_rules, .keys = phi3_keys,
     .defaults = JSON({"vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
                       "num_attention_heads": 32, "max_position_embeddings": 4096, "original_max_position_embeddings": 4096,
                       "rms_norm_eps": 1e-5})},
    {.model_type = "qwen3_moe", .arch = "qwen3moe", .acts = "silu swish", .rules = qwen3moe_rules, .keys = qwen3moe_keys,
     .renames = (const char *const[]){"num_experts", "num_local_experts", NULL},
     .defaults = JSON({"vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 24,
                       "num_attention_heads": 32, "num_key_value_heads": 4, "max_position_embeddings": 32768,
                       "rms_norm_eps": 1e-6, "sliding_window": 4096, "max_window_layers": 0, "moe_intermediate_size": 768,
                       "num_experts_per_tok": 8, "num_local_experts": 128})},
    {.model_type = "gemma2", .arch = "gemma2", .acts = "gelu_pytorch_tanh", .rules = gemma_rules, .keys = gemma2_keys,
     .defaults = JSON({"vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
                       "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 8192,
                       "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 256, "sliding_window": 4096,
                       "final_logit_softcapping": 30, "attn_logit_softcapping": 50, "tie_word_embeddings": true})},
#define GEMMA3                                                                                                            \
    JSON({"vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,                  \
          "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131072,         \
          "rms_norm_eps": 1e-6, "rope_theta": 1e6, "query_pre_attn_scalar": 256, "sliding_window": 4096,                  \
          "tie_word_embeddings": true})
    {.model_type = "gemma3_text", .arch = "gemma3", .acts = "gelu_pytorch_tanh", .rules = gemma_rules, .keys = gemma3_keys, .defaults = GEMMA3},
    {.model_type = "gemma3", .arch = "gemma3", .acts = "gelu_pytorch_tanh", .rules = gemma_rules, .keys = gemma3_keys, .defaults = GEMMA3},
    {.model_type = "bert", .arch = "bert", .acts = "gelu", .rules = bert_rules, .prepare = bert_prepare, .keys = bert_keys,
     .defaults = JSON({"vocab_size": 30522, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                       "num_attention_heads": 12, "max_position_embeddings": 512, "layer_norm_eps": 1e-12})},
#define ROBERTA                                                                                             \
    JSON({"vocab_size": 50265, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,      \
          "num_attention_heads": 12, "max_position_embeddings": 512, "layer_norm_eps": 1e-12})
    {.model_type = "roberta", .arch = "bert", .acts = "gelu", .rules = bert_rules, .prepare = roberta_prepare, .keys = roberta_keys, .defaults = ROBERTA},
    {.model_type = "xlm-roberta", .arch = "bert", .acts = "gelu", .rules = bert_rules, .prepare = roberta_prepare, .keys = roberta_keys, .defaults = ROBERTA},
    {.model_type = NULL},
};

// The table of families that a Hugging Face folder may hold: how its configuration and its tensors are
// called, and what GGUF's writers change in them. A family whose files look like llama's is one row.
#include <math.h>

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
    {.model_type = NULL},
};

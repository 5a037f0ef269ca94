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

// ---- llama, mistral -------------------------------------------------------------------------

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

static cop_status gemma3_keys(cop_folder_config *c) {
    int64_t window, period;
    double scalar, local, cap;
    COP_TRY(cop_json_int(c->values, "sliding_window", 0, 0, 1 << 30, &window));
    COP_TRY(cop_json_int(c->values, "_sliding_window_pattern", 6, 1, 1 << 20, &period));  // one version wrote it so
    COP_TRY(cop_json_int(c->values, "sliding_window_pattern", period, 1, 1 << 20, &period));
    COP_TRY(cop_folder_add_window(c, window, 0, period));
    COP_TRY(cop_json_number(c->values, "query_pre_attn_scalar", 256, &scalar));
    if (!(scalar > 0)) return cop_fail(COP_ERR_FORMAT, "query_pre_attn_scalar: %g, need a positive number", scalar);
    if (scalar != (double)c->K) COP_TRY(cop_folder_add_number(c, "attention.scale", 1 / sqrt(scalar)));
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
#define GEMMA3                                                                                                            \
    JSON({"vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,                  \
          "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131072,         \
          "rms_norm_eps": 1e-6, "rope_theta": 1e6, "query_pre_attn_scalar": 256, "sliding_window": 4096,                  \
          "tie_word_embeddings": true})
    {.model_type = "gemma3_text", .arch = "gemma3", .acts = "gelu_pytorch_tanh", .rules = gemma_rules, .keys = gemma3_keys, .defaults = GEMMA3},
    {.model_type = "gemma3", .arch = "gemma3", .acts = "gelu_pytorch_tanh", .rules = gemma_rules, .keys = gemma3_keys, .defaults = GEMMA3},
    {.model_type = NULL},
};

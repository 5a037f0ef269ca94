// Hugging Face folders: what config.json and the names of tensors may say, and that lies about either are
// refused by name. That right folders give right bits is in tests/golden/folders.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "base/map.h"
#include "format/folder.h"
#include "format/registry.h"
#include "format/safetensors_write.h"

// ---- configurations -------------------------------------------------------------------------

#define LLAMA "\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"vocab_size\":4,\"tie_word_embeddings\":true"

static cop_gguf *keys_of(const char *config) {
    cop_gguf *g;
    if (cop_folder_keys(&g, config, strlen(config), NULL, 0, "config.json")) fail_msg("%s: %s", config, cop_error_text());
    return g;
}

static void refused(const char *config, cop_status want, const char *part) {
    cop_gguf *g;
    cop_status st = cop_folder_keys(&g, config, strlen(config), NULL, 0, "config.json");
    if (st != want || g || !strstr(cop_error_text(), part) || !strstr(cop_error_text(), "config.json") || strchr(cop_error_text(), '\n'))
        fail_msg("%.300s\nexpected %d with \"%s\", got %d: %s", config, want, part, st, cop_error_text());
}

static void has_u32(const cop_gguf *g, const char *key, uint32_t want) {
    uint32_t v;
    if (cop_gguf_get_u32(g, key, &v)) fail_msg("%s", cop_error_text());
    if (v != want) fail_msg("%s: %u, expected %u", key, v, want);
}

static void has_f32(const cop_gguf *g, const char *key, double want) {
    float v;
    if (cop_gguf_get_f32(g, key, &v)) fail_msg("%s", cop_error_text());
    if (v != (float)want) fail_msg("%s: %g, expected %g", key, (double)v, want);
}

static void missing_values_are_those_of_the_class(void **state) {
    (void)state;
    cop_gguf *g = keys_of("{\"model_type\":\"gemma3_text\"}");
    has_u32(g, "gemma3.embedding_length", 2304);
    has_u32(g, "gemma3.attention.key_length", 256);
    has_u32(g, "gemma3.attention.sliding_window", 4096);
    has_f32(g, "gemma3.rope.freq_base", 1e6);
    has_f32(g, "gemma3.rope.freq_base_swa", 1e4);
    cop_gguf_close(g);
    g = keys_of("{\"model_type\":\"llama\"}");
    has_u32(g, "llama.context_length", 2048);
    has_u32(g, "llama.attention.head_count_kv", 32);
    has_f32(g, "llama.rope.freq_base", 1e4);
    has_f32(g, "llama.attention.layer_norm_rms_epsilon", 1e-6);
    cop_gguf_close(g);
    g = keys_of("{\"model_type\":\"lfm2\",\"block_ff_dim\":6656,\"num_hidden_layers\":3,\"full_attn_idxs\":[2]}");  // as the published 350M
    has_u32(g, "lfm2.feed_forward_length", 4608);
    cop_gguf_array heads;
    assert_int_equal(cop_gguf_get_array(g, "lfm2.attention.head_count_kv", COP_GGUF_INTS, &heads), COP_OK);
    assert_int_equal(cop_gguf_int(&heads, 1), 0);
    assert_int_equal(cop_gguf_int(&heads, 2), 8);
    cop_gguf_close(g);
}

static void both_layouts_of_rope_give_the_same_keys(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{" LLAMA ",\"rope_theta\":5e5,\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}",
        "{" LLAMA ",\"rope_theta\":5e5,\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":4.0}}",
        "{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":4.0,\"rope_theta\":500000}}",
        "{" LLAMA ",\"rope_scaling\":null,\"rope_theta\":7,\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":4,\"rope_theta\":5e5}}"};
    for (int i = 0; i < 4; i++) {
        cop_gguf *g = keys_of(texts[i]);
        has_f32(g, "llama.rope.freq_base", 5e5);
        has_f32(g, "llama.rope.scaling.factor", 4);
        cop_gguf_close(g);
    }
}

static void a_window_that_is_switched_off_is_none(void **state) {
    (void)state;
    static const struct { const char *text, *key; bool there; } cases[] = {
        {"{\"model_type\":\"qwen2\",\"sliding_window\":8}", "qwen2.attention.sliding_window", false},
        {"{\"model_type\":\"qwen2\",\"sliding_window\":8,\"use_sliding_window\":true,\"max_window_layers\":2}", "qwen2.attention.sliding_window", true},
        {"{\"model_type\":\"qwen2\",\"sliding_window\":8,\"use_sliding_window\":true,\"max_window_layers\":32}", "qwen2.attention.sliding_window", false},
        {"{\"model_type\":\"mistral\",\"sliding_window\":null}", "llama.attention.sliding_window", false},
        {"{\"model_type\":\"mistral\"}", "llama.attention.sliding_window", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cop_gguf *g = keys_of(cases[i].text);
        if (cop_gguf_has(g, cases[i].key) != cases[i].there) fail_msg("%s", cases[i].text);
        cop_gguf_close(g);
    }
}

static void the_text_part_of_a_multimodal_file_counts(void **state) {
    (void)state;
    cop_gguf *g = keys_of("{\"model_type\":\"gemma3\",\"hidden_size\":1,\"text_config\":{\"hidden_size\":640,\"num_hidden_layers\":18}}");
    has_u32(g, "gemma3.embedding_length", 640);
    has_u32(g, "gemma3.block_count", 18);
    cop_gguf_close(g);
}

static void special_tokens_come_from_the_generation_file_first(void **state) {
    (void)state;
    const char *config = "{" LLAMA ",\"bos_token_id\":1,\"eos_token_id\":2}", *generation = "{\"eos_token_id\":[7,8],\"pad_token_id\":-1}";
    cop_gguf *g;
    assert_int_equal(cop_folder_keys(&g, config, strlen(config), generation, strlen(generation), "config.json"), COP_OK);
    has_u32(g, "tokenizer.ggml.bos_token_id", 1);
    has_u32(g, "tokenizer.ggml.eos_token_id", 7);
    assert_false(cop_gguf_has(g, "tokenizer.ggml.padding_token_id"));
    cop_gguf_close(g);
    assert_int_equal(cop_folder_keys(&g, config, strlen(config), "{", 1, "config.json"), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "generation_config.json"));
}

static void a_configuration_that_is_not_computed_here_is_refused_by_name(void **state) {
    (void)state;
    refused("{\"model_type\":\"mamba\"}", COP_ERR_UNSUPPORTED, "model_type mamba is not known here: llama, mistral");
    refused("{\"model_type\":\"a\\nb\\u00e9\"}", COP_ERR_UNSUPPORTED, "model_type a?b??");
    refused("{}", COP_ERR_FORMAT, "model_type is missing");
    refused("{" LLAMA ",\"hidden_act\":\"relu\"}", COP_ERR_UNSUPPORTED, "activation relu: llama computes silu");
    refused("{" LLAMA ",\"hidden_act\":\"sil\"}", COP_ERR_UNSUPPORTED, "activation sil");
    refused("{" LLAMA ",\"hidden_act\":\"\"}", COP_ERR_UNSUPPORTED, "activation ");
    refused("{" LLAMA ",\"quantization_config\":{\"quant_method\":\"awq\\n\"}}", COP_ERR_UNSUPPORTED, "quantised by awq?");
    refused("{" LLAMA ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}", COP_ERR_UNSUPPORTED, "rope scaling dynamic");
    refused("{" LLAMA ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":0.5}}", COP_ERR_FORMAT, "yarn: factor 0.5");
    refused("{" LLAMA ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"mscale\":1}}", COP_ERR_UNSUPPORTED, "mscale");
    refused("{\"model_type\":\"gpt2\",\"scale_attn_weights\":false}", COP_ERR_UNSUPPORTED, "scale_attn_weights");
    refused("{\"model_type\":\"gpt2\",\"scale_attn_by_inverse_layer_idx\":true}", COP_ERR_UNSUPPORTED, "scale_attn_by_inverse");
    refused("{\"model_type\":\"gpt_bigcode\",\"multi_query\":false}", COP_ERR_UNSUPPORTED, "multi_query: false");
    refused("{\"model_type\":\"gemma3_text\",\"attn_logit_softcapping\":50}", COP_ERR_UNSUPPORTED, "attn_logit_softcapping 50");
}

static void numbers_out_of_range_are_refused_by_name(void **state) {
    (void)state;
    static const char *const names[] = {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
                                        "max_position_embeddings", "head_dim"};
    static const char *const values[] = {"0", "-1", "2147483648", "4294967297", "9223372036854775807", "1e300", "0.5", "\"1\"", "true", "[1]", "{}"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            char text[256];
            snprintf(text, sizeof text, "{\"model_type\":\"llama\",\"%s\":%s}", names[i], values[k]);
            refused(text, COP_ERR_FORMAT, names[i]);
        }
    refused("{\"model_type\":\"llama\",\"hidden_size\":18446744073709551616}", COP_ERR_FORMAT, "JSON");
    refused("{\"model_type\":\"llama\",\"hidden_size\":null}", COP_ERR_FORMAT, "hidden_size is missing");
    refused("{\"model_type\":\"llama\",\"hidden_size\":8,\"num_attention_heads\":16}", COP_ERR_FORMAT, "16 heads for a width of 8");
    refused("{" LLAMA ",\"rms_norm_eps\":1e300}", COP_ERR_FORMAT, "layer_norm_rms_epsilon");
    refused("{" LLAMA ",\"rms_norm_eps\":\"x\"}", COP_ERR_FORMAT, "rms_norm_eps");
    refused("{" LLAMA ",\"rope_theta\":0}", COP_ERR_FORMAT, "rope_theta");
    refused("{" LLAMA ",\"rope_theta\":-1e4}", COP_ERR_FORMAT, "rope_theta");
    refused("{" LLAMA ",\"rope_scaling\":[]}", COP_ERR_FORMAT, "rope_scaling must be an object");
    refused("{" LLAMA ",\"partial_rotary_factor\":2}", COP_ERR_FORMAT, "partial_rotary_factor");
    refused("{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":0}}", COP_ERR_FORMAT, "llama3");
    refused("{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"low_freq_factor\":4,\"high_freq_factor\":4}}", COP_ERR_FORMAT, "llama3");
    refused("{\"model_type\":\"phi3\",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1]}}", COP_ERR_FORMAT, "short_factor: 1 entries, need 48");
    refused("{\"model_type\":\"phi3\",\"hidden_size\":8,\"num_attention_heads\":2,\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,0],\"long_factor\":[1,1]}}", COP_ERR_FORMAT, "short_factor: entry 1");
}

static void lists_per_layer_fit_the_layers(void **state) {
    (void)state;
    refused("{\"model_type\":\"gemma3_text\",\"layer_types\":[\"full_attention\"]}", COP_ERR_FORMAT, "layer_types: 1 entries for 26 layers");
    refused("{\"model_type\":\"gemma3_text\",\"num_hidden_layers\":1,\"layer_types\":[1]}", COP_ERR_FORMAT, "layer_types must hold texts");
    refused("{\"model_type\":\"gemma3_text\",\"layer_types\":\"x\"}", COP_ERR_FORMAT, "layer_types");
    refused("{\"model_type\":\"smollm3\",\"no_rope_layers\":[1]}", COP_ERR_FORMAT, "no_rope_layers: 1 entries");
    refused("{\"model_type\":\"smollm3\",\"num_hidden_layers\":1,\"no_rope_layers\":[\"a\"]}", COP_ERR_FORMAT, "no_rope_layers must hold integers");
    refused("{\"model_type\":\"lfm2\",\"layer_types\":[\"conv\"]}", COP_ERR_FORMAT, "layer_types: 1 entries");
    refused("{\"model_type\":\"lfm2\",\"full_attn_idxs\":[32]}", COP_ERR_FORMAT, "full_attn_idxs: entry 0 is no layer");
    refused("{\"model_type\":\"lfm2\",\"full_attn_idxs\":[-1]}", COP_ERR_FORMAT, "full_attn_idxs");
    refused("{\"model_type\":\"lfm2\",\"full_attn_idxs\":[\"0\"]}", COP_ERR_FORMAT, "full_attn_idxs");
}

// ---- folders --------------------------------------------------------------------------------

static char folder[64];

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/coppice-folder-XXXXXX");
    return !mkdtemp(folder);
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void put_text(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(cop_file_write(path, text, strlen(text)), COP_OK);
}

typedef struct part {
    const char *name;
    uint64_t rows, cols;  // cols 0: a vector
} part;

static cop_status numbers(void *user, size_t i, cop_gguf_put *put, void *sink) {
    const part *p = (const part *)user + i;
    for (uint64_t k = 0; k < p->rows * (p->cols ? p->cols : 1); k++) {
        float v = (float)k + 100.0f * (float)i;
        COP_TRY(put(sink, &v, sizeof v));
    }
    return COP_OK;
}

static void put_weights(const part *parts, size_t n) {
    char path[128];
    cop_safetensors_writer *w;
    assert_int_equal(cop_safetensors_writer_new(&w), COP_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(cop_safetensors_add(w, parts[i].name, COP_F32, parts[i].cols ? 2 : 1, (const uint64_t[]){parts[i].rows, parts[i].cols}), COP_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(cop_safetensors_writer_save(w, path, numbers, (void *)(uintptr_t)parts), COP_OK);
    cop_safetensors_writer_free(w);
}

static cop_gguf *open_parts(const char *config, const part *parts, size_t n) {
    cop_gguf *g;
    put_text("config.json", config);
    put_weights(parts, n);
    if (cop_gguf_open(&g, folder)) fail_msg("%s", cop_error_text());
    return g;
}

static void parts_refused(const char *config, const part *parts, size_t n, cop_status want, const char *message) {
    cop_gguf *g;
    put_text("config.json", config);
    put_weights(parts, n);
    cop_status st = cop_gguf_open(&g, folder);
    if (st != want || g || !strstr(cop_error_text(), message) || !strstr(cop_error_text(), folder))
        fail_msg("expected %d with \"%s\", got %d: %s", want, message, st, cop_error_text());
}
#define REFUSED(config, want, message, ...)                                                            \
    do {                                                                                               \
        const part parts_[] = {__VA_ARGS__};                                                           \
        parts_refused((config), parts_, sizeof parts_ / sizeof *parts_, (want), (message));            \
    } while (0)

static float value(const cop_gguf *g, const char *name, size_t i) {
    const cop_gguf_tensor *t = cop_gguf_find_tensor(g, name);
    const uint8_t *data;
    float v;
    if (!t) fail_msg("no tensor %s", name);
    assert_int_equal(cop_gguf_read(g, t, &data), COP_OK);
    memcpy(&v, data + 4 * i, 4);
    cop_gguf_release(g, t, data);
    return v;
}

static void bytes_that_differ_from_gguf_are_made(void **state) {
    (void)state;
    const part llama[] = {{"model.embed_tokens.weight", 4, 8}, {"model.layers.0.self_attn.q_proj.weight", 8, 8}, {"model.layers.0.self_attn.q_proj.bias", 8, 0}};
    cop_gguf *g = open_parts("{" LLAMA "}", llama, 3);
    assert_null(cop_gguf_find_tensor(g, "blk.0.attn_q.weight")->data);
    for (int row = 0; row < 8; row++) {  // two heads of four rows: 0 2 1 3
        static const int from[] = {0, 2, 1, 3, 4, 6, 5, 7};
        assert_true(value(g, "blk.0.attn_q.weight", (size_t)row * 8 + 3) == 100 + 8.0f * (float)from[row] + 3);
        assert_true(value(g, "blk.0.attn_q.bias", (size_t)row) == 200 + (float)from[row]);
    }
    assert_true(value(g, "token_embd.weight", 9) == 9);
    cop_gguf_close(g);

    const part gpt2[] = {{"wte.weight", 4, 8}, {"transformer.h.0.attn.c_attn.weight", 8, 24}, {"h.0.attn.c_attn.bias", 24, 0}, {"h.0.attn.bias", 1, 4}};
    g = open_parts("{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_head\":2,\"n_layer\":1}", gpt2, 4);
    assert_int_equal(cop_gguf_n_tensors(g), 3);
    assert_int_equal(cop_gguf_find_tensor(g, "blk.0.attn_qkv.weight")->dims[0], 8);
    assert_int_equal(cop_gguf_find_tensor(g, "blk.0.attn_qkv.weight")->dims[1], 24);
    for (int r = 0; r < 24; r++)
        for (int c = 0; c < 8; c++) assert_true(value(g, "blk.0.attn_qkv.weight", (size_t)(r * 8 + c)) == 100 + (float)(c * 24 + r));
    assert_true(value(g, "blk.0.attn_qkv.bias", 5) == 205);
    cop_gguf_close(g);

    const part gemma[] = {{"model.embed_tokens.weight", 4, 8}, {"model.norm.weight", 8, 0}, {"vision_tower.x", 3, 0}};
    g = open_parts("{\"model_type\":\"gemma3_text\",\"hidden_size\":8}", gemma, 3);
    assert_int_equal(cop_gguf_n_tensors(g), 2);
    assert_true(value(g, "output_norm.weight", 3) == 104);
    cop_gguf_close(g);

    const part experts[] = {{"model.embed_tokens.weight", 4, 8}, {"model.layers.0.mlp.experts.1.up_proj.weight", 2, 8}, {"model.layers.0.mlp.experts.0.up_proj.weight", 2, 8}};
    g = open_parts("{\"model_type\":\"qwen3_moe\",\"hidden_size\":8,\"num_attention_heads\":2,\"num_key_value_heads\":1,\"tie_word_embeddings\":true}", experts, 3);
    assert_int_equal(cop_gguf_find_tensor(g, "blk.0.ffn_up_exps.weight")->dims[2], 2);
    assert_true(value(g, "blk.0.ffn_up_exps.weight", 0) == 200 && value(g, "blk.0.ffn_up_exps.weight", 16) == 100);
    cop_gguf_close(g);
}

static void a_tensor_without_a_place_is_refused(void **state) {
    (void)state;
    const char *c = "{" LLAMA "}";
    REFUSED(c, COP_ERR_UNSUPPORTED, "tensor model.layers.0.self_attn.z_proj.weight has no place in the family llama", {"model.layers.0.self_attn.z_proj.weight", 8, 8});
    REFUSED(c, COP_ERR_UNSUPPORTED, "has no place", {"model.layers.00.self_attn.q_proj.weight", 8, 8});
    REFUSED(c, COP_ERR_UNSUPPORTED, "has no place", {"model.layers.-1.self_attn.q_proj.weight", 8, 8});
    REFUSED(c, COP_ERR_UNSUPPORTED, "has no place", {"model.layers.4294967296.self_attn.q_proj.weight", 8, 8});
    REFUSED(c, COP_ERR_UNSUPPORTED, "has no place", {"model.layers.0.self_attn.q_proj.weight.weight", 8, 8});
    REFUSED(c, COP_ERR_UNSUPPORTED, "has no place", {"model.layers.0.self_attn.q_proj.qweight", 8, 8});
    REFUSED(c, COP_ERR_FORMAT, "layer 1 of a model of 1 layers", {"model.layers.1.self_attn.q_proj.weight", 8, 8});
    REFUSED(c, COP_ERR_FORMAT, "layer 99999", {"model.layers.99999.self_attn.q_proj.weight", 8, 8});
}

static void shapes_that_do_not_fit_their_use_are_refused(void **state) {
    (void)state;
    const char *c = "{" LLAMA "}", *moe = "{\"model_type\":\"qwen3_moe\",\"hidden_size\":8,\"num_attention_heads\":2,\"num_key_value_heads\":1}";
    REFUSED(c, COP_ERR_FORMAT, "6 rows for 2 heads", {"model.layers.0.self_attn.q_proj.weight", 6, 8});
    REFUSED(c, COP_ERR_FORMAT, "both token_embd.weight", {"model.embed_tokens.weight", 4, 8}, {"language_model.model.embed_tokens.weight", 4, 8});
    REFUSED("{\"model_type\":\"llama\"}", COP_ERR_FORMAT, "lm_head.weight is missing", {"model.embed_tokens.weight", 4, 8});
    REFUSED(moe, COP_ERR_FORMAT, "expert 0 is missing", {"model.layers.0.mlp.experts.1.up_proj.weight", 2, 8});
    REFUSED(moe, COP_ERR_FORMAT, "expert 1 is missing", {"model.layers.0.mlp.experts.0.up_proj.weight", 2, 8}, {"model.layers.0.mlp.experts.2.up_proj.weight", 2, 8});
    REFUSED(moe, COP_ERR_FORMAT, "differ in shape", {"model.layers.0.mlp.experts.0.up_proj.weight", 2, 8}, {"model.layers.0.mlp.experts.1.up_proj.weight", 3, 8});
    REFUSED(moe, COP_ERR_FORMAT, "an expert has 2", {"model.layers.0.mlp.experts.0.up_proj.weight", 8, 0});
}

static void a_tied_model_needs_no_copy_of_its_embedding(void **state) {
    (void)state;
    const part parts[] = {{"model.embed_tokens.weight", 4, 8}, {"lm_head.weight", 4, 8}};
    cop_gguf *g = open_parts("{" LLAMA "}", parts, 2);
    assert_int_equal(cop_gguf_n_tensors(g), 1);
    cop_gguf_close(g);
    g = open_parts("{\"model_type\":\"llama\",\"hidden_size\":8,\"num_attention_heads\":2}", parts, 2);
    assert_int_equal(cop_gguf_n_tensors(g), 2);
    cop_gguf_close(g);
}

static void data_on_no_boundary_is_moved_to_one(void **state) {
    (void)state;
    // The header is as long as it likes: here the data begins at an odd byte.
    const char *config = "{" LLAMA "}", *header = "{\"model.embed_tokens.weight\":{\"dtype\":\"BF16\",\"shape\":[4,8],\"data_offsets\":[0,64]}} ";
    char bytes[400], path[128];
    uint64_t n = strlen(header) | 1;
    memset(bytes, ' ', sizeof bytes);
    memcpy(bytes, &n, 8);
    memcpy(bytes + 8, header, strlen(header));
    for (int i = 0; i < 64; i++) bytes[8 + n + (uint64_t)i] = (char)i;
    put_text("config.json", config);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(cop_file_write(path, bytes, 8 + n + 64), COP_OK);
    cop_gguf *g;
    if (cop_gguf_open(&g, folder)) fail_msg("%s", cop_error_text());
    const cop_gguf_tensor *t = cop_gguf_find_tensor(g, "token_embd.weight");
    assert_int_equal((uintptr_t)t->data % 8, 0);
    assert_int_equal(t->data[63], 63);
    cop_gguf_close(g);
}

static void a_folder_is_one_only_with_both_files(void **state) {
    (void)state;
    char path[COP_PATH_MAX];
    const part parts[] = {{"model.embed_tokens.weight", 4, 8}};
    assert_false(cop_folder_is_model(folder));
    put_weights(parts, 1);
    assert_false(cop_folder_is_model(folder));
    assert_int_equal(cop_model_locate(path, folder), COP_ERR_NOT_FOUND);
    put_text("config.json", "{}");
    assert_true(cop_folder_is_model(folder));
    assert_int_equal(cop_model_locate(path, folder), COP_OK);
    assert_string_equal(path, folder);
    assert_false(cop_folder_is_model("/dev/null"));
    assert_false(cop_folder_is_model(""));
}

static void each_allocation_that_fails_is_reported(void **state) {
    (void)state;
    json_set_alloc_funcs(cop_alloc, cop_free);  // so that jansson's fail too
    long n = 0;
    for (bool failed = true; failed && n < 5000;) {
        cop_gguf *g;
        cop_alloc_fail_at(++n);
        cop_status st = cop_gguf_open(&g, "tests/data/tiny-llama-a");
        failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        bool right = !failed ? st == COP_OK : st == COP_OK || st == COP_ERR_NOMEM || st == COP_ERR_FORMAT;  // jansson calls some of its own a syntax error
        if (!right || (g != NULL) != (st == COP_OK)) fail_msg("allocation %ld: %d %s", n, st, cop_error_text());
        if (g) assert_int_equal(cop_gguf_n_tensors(g), 21);  // what opens is whole
        cop_gguf_close(g);
    }
    assert_in_range(n, 100, 5000);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_values_are_those_of_the_class),
        cmocka_unit_test(both_layouts_of_rope_give_the_same_keys),
        cmocka_unit_test(a_window_that_is_switched_off_is_none),
        cmocka_unit_test(the_text_part_of_a_multimodal_file_counts),
        cmocka_unit_test(special_tokens_come_from_the_generation_file_first),
        cmocka_unit_test(a_configuration_that_is_not_computed_here_is_refused_by_name),
        cmocka_unit_test(numbers_out_of_range_are_refused_by_name),
        cmocka_unit_test(lists_per_layer_fit_the_layers),
        IN_FOLDER(bytes_that_differ_from_gguf_are_made),
        IN_FOLDER(a_tensor_without_a_place_is_refused),
        IN_FOLDER(shapes_that_do_not_fit_their_use_are_refused),
        IN_FOLDER(a_tied_model_needs_no_copy_of_its_embedding),
        IN_FOLDER(data_on_no_boundary_is_moved_to_one),
        IN_FOLDER(a_folder_is_one_only_with_both_files),
        cmocka_unit_test(each_allocation_that_fails_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// Opening models of every family: what is missing or makes no sense is refused with the name of the tensor or key.
// Each case is a tiny model with some of its bytes replaced.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/map.h"
#include "support/model.h"

static char path[] = "/tmp/coppice-families-XXXXXX";
static cop_pool *pool;

static int set_up(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) || cop_pool_new(&pool, 2);
}

static int tear_down(void **state) {
    (void)state;
    cop_pool_free(pool);
    return unlink(path);
}

// tests/data/NAME.gguf with `bytes` of data at `skip` behind the first place of `at`.
static void patch(const char *name, const char *at, size_t skip, const void *data, size_t bytes) {
    char from[128], *file;
    size_t n;
    snprintf(from, sizeof from, "tests/data/%s.gguf", name);
    assert_int_equal(cop_file_read(from, 1 << 24, &file, &n), COP_OK);
    char *found = memmem(file, n, at, strlen(at));
    if (!found) fail_msg("%s has no %s", name, at);
    memcpy(found + skip, data, bytes);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    cop_free(file);
}

static void refused(cop_status want, const char *part) {
    cop_model *m;
    const cop_model_options o = {0};
    cop_status st = cop_model_open(&m, path, pool, &o);
    if (st != want || !strstr(cop_error_text(), part)) fail_msg("status %d, \"%s\", expected %d and \"%s\"", st, st ? cop_error_text() : "", want, part);
    assert_non_null(strstr(cop_error_text(), path));
    assert_null(m);
}

// The key's value, 4 bytes behind its name and type.
static void with_float(const char *name, const char *key, float value) { patch(name, key, strlen(key) + 4, &value, 4); }
static void with_u32(const char *name, const char *key, uint32_t value) { patch(name, key, strlen(key) + 4, &value, 4); }
static void with_text(const char *name, const char *old, const char *text) { patch(name, old, 0, text, strlen(text)); }

static void an_unknown_family_is_refused_with_the_list_of_the_known(void **state) {
    (void)state;
    with_text("tiny-llama-b", "llama", "mamba");
    refused(COP_ERR_UNSUPPORTED, "family mamba is not known here: ");
    for (int i = 0; cop_families[i]; i++) refused(COP_ERR_UNSUPPORTED, cop_families[i]->name);
}

static void a_missing_weight_is_named(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"tiny-llama-a", "blk.1.attn_norm", "blk.1.attn_nrom"},         {"tiny-qwen2-a", "blk.0.attn_q.bias", "blk.0.attn_q.bios"},
        {"tiny-qwen3-a", "blk.1.attn_k_norm", "blk.1.attn_k_nrom"},     {"tiny-gemma2-a", "blk.2.post_ffw_norm", "blk.2.post_ffw_nrom"},
        {"tiny-olmo2-a", "blk.0.attn_q_norm", "blk.0.attn_q_nrom"},     {"tiny-olmo2-b", "blk.2.post_attention_norm", "blk.2.post_attention_nrom"},
        {"tiny-granite-a", "blk.0.ffn_norm", "blk.0.ffn_nrom"},         {"tiny-smollm3-a", "output_norm", "output_nrom"},
        {"tiny-gpt2-a", "blk.0.attn_qkv.bias", "blk.0.attn_qkv.bios"},  {"tiny-gpt2-b", "blk.2.attn_qkv.weight", "blk.2.attn_qkv.wieght"},
        {"tiny-gpt2-b", "blk.0.attn_norm.bias", "blk.0.attn_norm.bios"}, {"tiny-gpt2-a", "position_embd", "position_emdb"},
        {"tiny-starcoder-a", "output_norm.bias", "output_norm.bios"},   {"tiny-starcoder2-a", "blk.1.ffn_down.bias", "blk.1.ffn_down.bios"},
        {"tiny-starcoder2-b", "blk.0.attn_k.bias", "blk.0.attn_k.bios"},
        {"tiny-lfm2-a", "blk.2.shortconv.conv", "blk.2.shortconv.covn"}, {"tiny-lfm2-b", "token_embd_norm", "token_embd_nrom"},
        {"tiny-qwen3moe-a", "blk.2.ffn_up_exps", "blk.2.ffn_up_exsp"},  {"tiny-mixtral-a", "blk.0.ffn_down_exps", "blk.0.ffn_down_exsp"},
        {"tiny-phi3-a", "rope_factors_short", "rope_factors_shrot"},    {"tiny-phi3-b", "blk.2.ffn_up.weight", "blk.2.ffn_up.wieght"},
        {"tiny-bert", "token_embd_norm.weight", "token_embd_nrom.weight"}, {"tiny-bert", "position_embd", "position_emdb"},
        {"tiny-bert", "blk.2.attn_output_norm.bias", "blk.2.attn_output_norm.bios"}, {"tiny-roberta", "blk.1.layer_output_norm", "blk.1.layer_output_nrom"},
        {"tiny-phi3-b", "phi3.rope.scaling.original_context_length", "phi3.rope.scaling.original_context_lenght"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        with_text(cases[i][0], cases[i][1], cases[i][2]);
        refused(COP_ERR_FORMAT, cases[i][1]);
        refused(COP_ERR_FORMAT, "is missing");
    }
}

static void a_scale_that_is_no_number_is_refused(void **state) {
    (void)state;
    with_float("tiny-granite-a", "granite.logit_scale", 0);
    refused(COP_ERR_FORMAT, "a scale is not a sensible number");
    with_float("tiny-granite-b", "granite.attention.scale", -1);
    refused(COP_ERR_FORMAT, "a scale is not a sensible number");
    with_float("tiny-gemma2-b", "gemma2.attn_logit_softcapping", -50);
    refused(COP_ERR_FORMAT, "a scale is not a sensible number");
}

static void a_rope_magnitude_of_no_sense_is_refused(void **state) {
    (void)state;
    with_float("tiny-phi3-b", "phi3.rope.scaling.attn_factor", 0);
    refused(COP_ERR_FORMAT, "rope magnitude 0");
}

static void a_scaling_of_the_rotation_that_makes_no_sense_is_refused(void **state) {
    (void)state;
    with_float("tiny-olmo3", "olmo2.rope.scaling.factor", 0.5f);
    refused(COP_ERR_FORMAT, "yarn of 0.5 from 32 tokens");
    with_float("tiny-olmo3", "olmo2.rope.scaling.yarn_beta_slow", 5);
    refused(COP_ERR_FORMAT, "betas 4 and 5");
    with_u32("tiny-olmo3", "olmo2.rope.scaling.original_context_length", 0);
    refused(COP_ERR_FORMAT, "from 0 tokens");
    with_text("tiny-olmo3", "yarn", "fish");
    refused(COP_ERR_UNSUPPORTED, "rope scaling fish: linear, longrope and yarn are known here");
}

static void a_pattern_of_another_length_is_refused(void **state) {
    (void)state;
    with_u32("tiny-smollm3-b", "smollm3.block_count", 2);
    refused(COP_ERR_FORMAT, "key smollm3.rope.pattern: 3 entries for 2 layers");
}

static void a_fused_matrix_of_another_height_is_refused(void **state) {
    (void)state;
    with_u32("tiny-starcoder-a", "starcoder.attention.head_count_kv", 2);
    refused(COP_ERR_FORMAT, "tensor blk.0.attn_qkv.weight: 1 x 48 x 32, need 1 x 64 x 32");
}

// tiny-lfm2-a attends in layers 1 and 4 of 5, with two key heads; the array's elements lie behind its type and length.
static void with_heads(int layer, uint32_t heads) {
    static const char key[] = "lfm2.attention.head_count_kv";
    patch("tiny-lfm2-a", key, sizeof key - 1 + 4 + 12 + 4 * (size_t)layer, &heads, 4);
}

static void convolutions_of_no_sense_are_refused(void **state) {
    (void)state;
    with_u32("tiny-lfm2-a", "lfm2.shortconv.l_cache", 0);
    refused(COP_ERR_FORMAT, "convolution over 0 tokens");
    with_u32("tiny-lfm2-a", "lfm2.shortconv.l_cache", 65);
    refused(COP_ERR_FORMAT, "convolution over 65 tokens");
    with_u32("tiny-lfm2-a", "lfm2.shortconv.l_cache", 4);
    refused(COP_ERR_FORMAT, "tensor blk.0.shortconv.conv.weight: 64 x 3 elements, need 64 x 4");
    with_u32("tiny-lfm2-a", "lfm2.block_count", 4);
    refused(COP_ERR_FORMAT, "key lfm2.attention.head_count_kv: 5 entries for 4 layers");
    with_heads(0, 2);
    refused(COP_ERR_FORMAT, "tensor blk.0.attn_q.weight is missing");
    with_heads(1, 0);
    refused(COP_ERR_FORMAT, "tensor blk.1.shortconv.in_proj.weight is missing");
    with_heads(1, 4);
    refused(COP_ERR_UNSUPPORTED, "layers with 4 and with 2 heads");
    with_heads(1, 0xffffffff);
    refused(COP_ERR_UNSUPPORTED, "heads");
}

// The context that the file states may be longer than its table; the table decides.
static void a_position_behind_the_table_is_refused(void **state) {
    (void)state;
    with_u32("tiny-gpt2-a", "gpt2.context_length", 1000);
    cop_test_model t;
    cop_seq *seq;
    cop_test_open(&t, path, 1, NULL, COP_KV_F32, 4, 16);
    assert_int_equal(t.model->desc.max_positions, 144);
    assert_int_equal(cop_seq_new(&seq, t.cache, 200), COP_OK);
    const int32_t tokens[144] = {0};
    cop_test_chain(&t, seq, tokens, 144, 16, NULL);
    const cop_row row = {.seq = seq, .parent = -1};
    assert_int_equal(cop_seq_reserve(seq, 1), COP_OK);
    assert_int_equal(cop_model_forward(t.model, t.ws, &row, 1, NULL), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "position 144: the model has 144"));
    cop_seq_free(seq);
    cop_test_close(&t);
}

static void last_logits(cop_test_model *t, cop_seq *seq, float *out) {
    static const int32_t tokens[9] = {1, 20, 33, 4, 51, 68, 7, 80, 9};
    float *all = cop_alloc_array(9 * (size_t)t->model->desc.V, sizeof *all);
    cop_test_chain(t, seq, tokens, 9, 9, all);
    memcpy(out, all + 8 * t->model->desc.V, (size_t)t->model->desc.V * sizeof *out);
    cop_free(all);
}

// Two sequences in one forward, one on either side of the border at 32, are as they are alone.
static void longrope_is_settled_by_the_limit_of_each_sequence(void **state) {
    (void)state;
    enum { V = 264 };
    float alone[2][V];
    cop_test_model t;
    cop_seq *seqs[4];
    cop_test_open(&t, "tests/data/tiny-phi3-a.gguf", 1, NULL, COP_KV_F32, 8, 16);
    assert_int_equal(t.model->desc.V, V);
    for (int i = 0; i < 4; i++) assert_int_equal(cop_seq_new(&seqs[i], t.cache, i % 2 ? 33 : 32), COP_OK);
    for (int i = 0; i < 2; i++) last_logits(&t, seqs[i], alone[i]);
    assert_memory_not_equal(alone[0], alone[1], sizeof alone[0]);
    static const int32_t tokens[8] = {1, 20, 33, 4, 51, 68, 7, 80};
    for (int i = 2; i < 4; i++) cop_test_chain(&t, seqs[i], tokens, 8, 8, NULL);
    const cop_row rows[2] = {{.seq = seqs[2], .token = 9, .parent = -1, .want_logits = true}, {.seq = seqs[3], .token = 9, .parent = -1, .want_logits = true}};
    for (int i = 0; i < 2; i++) assert_int_equal(cop_seq_reserve(seqs[2 + i], 1), COP_OK);
    assert_int_equal(cop_model_forward(t.model, t.ws, rows, 2, NULL), COP_OK);
    for (int i = 0; i < 2; i++) assert_memory_equal(cop_workspace_logits(t.ws, i), alone[i], sizeof alone[i]);
    for (int i = 0; i < 4; i++) cop_seq_free(seqs[i]);
    cop_test_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_family_is_refused_with_the_list_of_the_known),
        cmocka_unit_test(a_missing_weight_is_named),
        cmocka_unit_test(a_scale_that_is_no_number_is_refused),
        cmocka_unit_test(a_rope_magnitude_of_no_sense_is_refused),
        cmocka_unit_test(a_scaling_of_the_rotation_that_makes_no_sense_is_refused),
        cmocka_unit_test(a_pattern_of_another_length_is_refused),
        cmocka_unit_test(a_fused_matrix_of_another_height_is_refused),
        cmocka_unit_test(convolutions_of_no_sense_are_refused),
        cmocka_unit_test(a_position_behind_the_table_is_refused),
        cmocka_unit_test(longrope_is_settled_by_the_limit_of_each_sequence),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

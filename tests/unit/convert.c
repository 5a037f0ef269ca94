// Conversions: the same bits where nothing changes, near weights where the type does, the mixes as they are
// written down, and after any failure what was there before.
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include <jansson.h>

#include "format/gguf_write.h"
#include "kernel/quantise_file.h"
#include "support/model.h"
#include "surgery/conversion.h"

#define N_TOKENS 40

static char folder[64], path[128];
static cop_pool *pool;
static uint64_t shard_bytes;
static bool no_tokenizer;

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/coppice-convert-XXXXXX");
    return !mkdtemp(folder) || cop_pool_new(&pool, 2);
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    cop_pool_free(pool);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static cop_gguf *open_model(const char *name) {
    cop_gguf *g;
    if (cop_gguf_open(&g, name)) fail_msg("%s", cop_error_text());
    return g;
}

static cop_status convert(const char *from, const char *to, cop_dtype type, bool replace) {
    cop_gguf *g = open_model(from);
    const cop_convert_options o = {.type = type, .pool = pool, .replace = replace, .shard_bytes = shard_bytes, .no_tokenizer = no_tokenizer};
    snprintf(path, sizeof path, "%s/%s", folder, to);
    cop_status st = cop_convert(g, path, &o);
    cop_gguf_close(g);
    return st;
}

static void must_convert(const char *from, const char *to, cop_dtype type) {
    if (convert(from, to, type, false)) fail_msg("%s to %s: %s", from, to, cop_error_text());
}

static float *logits_of(const char *model, size_t *n) {
    cop_test_model t;
    cop_seq *seq;
    int32_t tokens[N_TOKENS];
    cop_test_open(&t, model, 2, NULL, COP_KV_F32, 2, N_TOKENS);
    for (int i = 0; i < N_TOKENS; i++) tokens[i] = (int32_t)((i * 7919 + 13) % t.model->desc.V);
    *n = N_TOKENS * (size_t)t.model->desc.V;
    float *logits = cop_alloc_array(*n, sizeof *logits);
    assert_int_equal(cop_seq_new(&seq, t.cache, N_TOKENS), COP_OK);
    cop_test_chain(&t, seq, tokens, N_TOKENS, 32, logits);
    cop_seq_free(seq);
    cop_test_close(&t);
    return logits;
}

static void same_logits(const char *a, const char *b) {
    size_t n, m;
    float *x = logits_of(a, &n), *y = logits_of(b, &m);
    assert_int_equal(n, m);
    if (memcmp(x, y, n * sizeof *x)) fail_msg("%s and %s give other bits", a, b);
    cop_free(x);
    cop_free(y);
}

static void a_folder_as_a_file_gives_the_same_bits(void **state) {
    (void)state;
    static const char *const names[] = {"tiny-llama-a", "tiny-gemma3-b", "tiny-qwen3moe-b", "tiny-granite-b"};
    for (size_t i = 0; i < 4; i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "tests/data/%s", names[i]);
        snprintf(to, sizeof to, "%s.gguf", names[i]);
        must_convert(from, to, COP_N_DTYPES);
        same_logits(from, path);
    }
}

static void sixteen_bits_give_the_same_bits_in_folder_and_file(void **state) {
    (void)state;
    static const cop_dtype types[] = {COP_BF16, COP_F16};
    for (int i = 0; i < 2; i++) {
        char half[128], file[128];
        snprintf(half, sizeof half, "half-%d", i);
        must_convert("tests/data/tiny-llama-a", half, types[i]);
        snprintf(half, sizeof half, "%s/half-%d", folder, i);
        snprintf(file, sizeof file, "half-%d.gguf", i);
        must_convert(half, file, COP_N_DTYPES);
        same_logits(half, path);
        cop_gguf *g = open_model(path);
        assert_int_equal(cop_gguf_find_tensor(g, "blk.0.attn_q.weight")->type, types[i]);
        assert_int_equal(cop_gguf_find_tensor(g, "blk.0.attn_norm.weight")->type, COP_F32);
        cop_gguf_close(g);
    }
}

static void a_file_as_a_file_keeps_every_key_and_tensor(void **state) {
    (void)state;
    must_convert("tests/data/tiny-q4_k.gguf", "copy.gguf", COP_N_DTYPES);
    cop_gguf *a = open_model("tests/data/tiny-q4_k.gguf"), *b = open_model(path);
    assert_int_equal(cop_gguf_n_keys(a), cop_gguf_n_keys(b));
    assert_int_equal(cop_gguf_n_tensors(a), cop_gguf_n_tensors(b));
    for (size_t i = 0; i < cop_gguf_n_keys(a); i++) {
        char x[400], y[400];
        cop_gguf_print(a, i, x, sizeof x);
        cop_gguf_print(b, i, y, sizeof y);
        assert_string_equal(x, y);
    }
    cop_gguf_array x, y;
    assert_int_equal(cop_gguf_get_array(a, "tokenizer.ggml.tokens", COP_GGUF_TEXTS, &x), COP_OK);
    assert_int_equal(cop_gguf_get_array(b, "tokenizer.ggml.tokens", COP_GGUF_TEXTS, &y), COP_OK);
    for (size_t i = 0; i < x.n; i++) {
        size_t n, m;
        const char *s = cop_gguf_text(&x, i, &n), *t = cop_gguf_text(&y, i, &m);
        assert_int_equal(n, m);
        assert_memory_equal(s, t, n);
    }
    for (size_t i = 0; i < cop_gguf_n_tensors(a); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(a, i), *u = cop_gguf_tensor_at(b, i);
        assert_string_equal(t->name, u->name);
        assert_int_equal(t->bytes, u->bytes);
        assert_memory_equal(t->data, u->data, t->bytes);
    }
    cop_gguf_close(a);
    cop_gguf_close(b);
}

// Root mean square of what a conversion changed, over that of the weights.
static double change(const cop_gguf *a, const cop_gguf *b) {
    double error = 0, sum = 0;
    for (size_t i = 0; i < cop_gguf_n_tensors(a); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(a, i), *u = cop_gguf_find_tensor(b, t->name);
        const uint8_t *x, *y;
        assert_non_null(u);
        assert_memory_equal(t->dims, u->dims, sizeof t->dims);
        assert_int_equal(cop_gguf_read(a, t, &x), COP_OK);
        assert_int_equal(cop_gguf_read(b, u, &y), COP_OK);
        int64_t n = (int64_t)(t->dims[0] * t->dims[1] * t->dims[2]);
        float *p = cop_alloc_array((size_t)n, sizeof *p), *q = cop_alloc_array((size_t)n, sizeof *q);
        cop_dequantise(p, t->type, x, n);
        cop_dequantise(q, u->type, y, n);
        for (int64_t k = 0; k < n; k++) error += (double)(p[k] - q[k]) * (double)(p[k] - q[k]), sum += (double)p[k] * (double)p[k];
        cop_free(p);
        cop_free(q);
        cop_gguf_release(a, t, x);
        cop_gguf_release(b, u, y);
    }
    return sqrt(error / sum);
}

static void every_type_can_be_made_and_is_near(void **state) {
    (void)state;
    cop_gguf *a = open_model("tests/data/tiny-llama-a");
    for (int id = 0; id < COP_N_DTYPES; id++) {
        if (!cop_dtype_get((uint32_t)id) || !cop_can_quantise((cop_dtype)id)) continue;
        char to[64];
        snprintf(to, sizeof to, "type-%d.gguf", id);
        must_convert("tests/data/tiny-llama-a", to, (cop_dtype)id);
        cop_gguf *b = open_model(path);
        double d = change(a, b);
        print_message("%s: changed by %.2g\n", cop_dtype_name((uint32_t)id), d);
        assert_true(d < (id == COP_F32 ? 1e-30 : id == COP_F16 ? 5e-4 : id == COP_BF16 ? 4e-3 : id == COP_Q8_0 ? 1e-2 : id == COP_MXFP4 ? 0.2 : 0.12));
        cop_gguf_close(b);
        size_t n;
        float *x = logits_of(path, &n);
        for (size_t i = 0; i < n; i++) assert_true(isfinite(x[i]));
        cop_free(x);
    }
    cop_gguf_close(a);
}

static void a_file_as_a_folder_gives_the_same_bits(void **state) {
    (void)state;
    static const char *const names[] = {"llama-a", "llama-b", "mistral", "mixtral-b", "qwen2-a", "qwen2-b", "qwen3-b", "qwen3moe-b", "gemma2-a", "gemma2-b", "gemma3-a",
                                        "gemma3-b", "smollm3-b", "granite-b", "olmo2-b", "olmo3", "gpt2-b", "starcoder-b", "starcoder2-b", "phi3-a", "phi3-b",
                                        "lfm2-b", "f16", "bf16"};
    no_tokenizer = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char from[64];
        snprintf(from, sizeof from, "tests/data/tiny-%s.gguf", names[i]);
        shard_bytes = i % 2 ? 30000 : 0;
        must_convert(from, names[i], COP_N_DTYPES);
        same_logits(from, path);
        char index[200];
        snprintf(index, sizeof index, "%s/model.safetensors.index.json", path);
        if (i % 2 != !access(index, F_OK)) fail_msg("%s: in the wrong number of files", path);
    }
    no_tokenizer = false;
    shard_bytes = 0;
}

static void quantised_weights_become_the_floats_that_they_stand_for(void **state) {
    (void)state;
    static const char *const names[] = {"q4_k", "q2_k", "mxfp4", "gpt2-q8_0", "moe-q8_0", "lfm2-q8_0"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char from[64], to[64], as_file[128];
        snprintf(from, sizeof from, "tests/data/tiny-%s.gguf", names[i]);
        snprintf(to, sizeof to, "%s.gguf", names[i]);
        must_convert(from, to, COP_F32);
        snprintf(as_file, sizeof as_file, "%s", path);
        must_convert(from, names[i], COP_F32);
        same_logits(as_file, path);
        snprintf(to, sizeof to, "%s-half", names[i]);
        must_convert(from, to, COP_N_DTYPES);
        cop_gguf *g = open_model(path);
        assert_int_equal(cop_gguf_find_tensor(g, "token_embd.weight")->type, COP_F16);
        cop_gguf_close(g);
    }
}

// A copy of a model with one key more or one tensor's values changed.
static void change_model(const char *from, const char *to, const char *key, float value, const char *tensor) {
    cop_gguf *g = open_model(from);
    cop_gguf_writer *w;
    float values[64];
    for (int i = 0; i < 64; i++) values[i] = 1 + (float)i;
    assert_int_equal(cop_gguf_writer_new(&w, 0), COP_OK);
    for (size_t i = 0; i < cop_gguf_n_keys(g); i++) cop_gguf_add_copy(w, g, i);
    if (key) cop_gguf_add_f32(w, key, value);
    for (size_t i = 0; i < cop_gguf_n_tensors(g); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(g, i);
        cop_gguf_add_tensor(w, t->name, t->type, t->n_dims, t->dims, tensor && !strcmp(t->name, tensor) ? (const void *)values : t->data);
    }
    snprintf(path, sizeof path, "%s/%s", folder, to);
    if (cop_gguf_writer_save(w, path)) fail_msg("%s", cop_error_text());
    cop_gguf_writer_free(w);
    cop_gguf_close(g);
}

static int n_entries(void);

static void what_a_folder_cannot_say_is_refused_by_name(void **state) {
    (void)state;
    static const struct { const char *from, *key, *tensor, *want; } cases[] = {
        {"tests/data/tiny-llama-a.gguf", "llama.attention.scale", NULL, "attention.scale: config.json of this family has no place"},
        {"tests/data/tiny-llama-a.gguf", NULL, "rope_freqs.weight", "tensor rope_freqs.weight: divisors that no scaling"},
        {"tests/data/tiny-bert.gguf", NULL, NULL, "family bert: no folder is made of it, but of llama, qwen2"},
        {"tests/data/tiny-llama-b.gguf", NULL, NULL, "a character that is no token; --no-tokenizer leaves the tokenizer out"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char from[128];
        change_model(cases[i].from, "changed.gguf", cases[i].key, 0.77f, cases[i].tensor);
        snprintf(from, sizeof from, "%s", path);
        assert_int_equal(convert(from, "refused", COP_N_DTYPES, false), COP_ERR_UNSUPPORTED);
        if (!strstr(cop_error_text(), cases[i].want)) fail_msg("%s", cop_error_text());
        assert_int_equal(n_entries(), 1);
    }
}

// Rows of whole blocks of 256, so that every type is written as itself.
static void the_bytes_written_are_those_of_the_quantiser(void **state) {
    (void)state;
    static const cop_dtype types[] = {COP_Q2_K, COP_Q3_K, COP_IQ4_XS, COP_MXFP4, COP_Q4_K, COP_IQ4_NL};
    must_convert("tests/data/tiny-q2_k.gguf", "floats.gguf", COP_F32);
    char floats[128];
    snprintf(floats, sizeof floats, "%s", path);
    cop_gguf *a = open_model(floats);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char to[64];
        int n_found = 0;
        size_t n;
        snprintf(to, sizeof to, "bytes-%d.gguf", types[i]);
        must_convert(floats, to, types[i]);
        cop_gguf *b = open_model(path);
        for (size_t k = 0; k < cop_gguf_n_tensors(a); k++) {
            const cop_gguf_tensor *t = cop_gguf_tensor_at(a, k), *u = cop_gguf_find_tensor(b, t->name);
            const size_t rows = (size_t)(t->dims[1] * t->dims[2]), row_bytes = (size_t)u->bytes / rows;
            uint8_t row[4096];
            n_found += u->type == types[i];
            for (size_t r = 0; u->type != COP_F32 && r < rows; r++) {
                assert_int_equal(cop_quantise_row(row, u->type, (const float *)(const void *)t->data + r * t->dims[0], (int64_t)t->dims[0]), COP_OK);
                if (memcmp(row, u->data + r * row_bytes, row_bytes)) fail_msg("%s as %s: row %zu", t->name, cop_dtype_name(u->type), r);
            }
        }
        assert_in_range(n_found, 7, 8);  // the output may have another
        cop_gguf_close(b);
        cop_free(logits_of(path, &n));
    }
    cop_gguf_close(a);
}

static void the_mix_is_what_is_written_down(void **state) {
    (void)state;
    static const struct { const char *name; uint64_t cols; cop_dtype wanted, tied, untied; } cases[] = {
        {"blk.0.ffn_up.weight", 256, COP_Q4_K, COP_Q4_K, COP_Q4_K},    {"blk.0.ffn_up.weight", 96, COP_Q4_K, COP_Q5_0, COP_Q5_0},
        {"blk.0.ffn_up.weight", 96, COP_Q5_K, COP_Q5_1, COP_Q5_1},     {"blk.0.ffn_up.weight", 96, COP_Q6_K, COP_Q8_0, COP_Q8_0},
        {"blk.0.ffn_up.weight", 96, COP_Q3_K, COP_IQ4_NL, COP_IQ4_NL}, {"blk.0.ffn_up.weight", 48, COP_Q4_0, COP_F16, COP_F16},
        {"token_embd.weight", 256, COP_Q4_K, COP_Q6_K, COP_Q4_K},      {"token_embd.weight", 64, COP_Q4_0, COP_Q8_0, COP_Q4_0},
        {"token_embd.weight", 64, COP_MXFP4, COP_Q8_0, COP_MXFP4},     {"token_embd.weight", 64, COP_Q8_0, COP_Q8_0, COP_Q8_0},
        {"blk.0.attn_norm.weight", 64, COP_Q4_0, COP_F32, COP_F32},    {"blk.0.ffn_gate_inp.weight", 64, COP_Q4_0, COP_F32, COP_F32},
        {"position_embd.weight", 64, COP_F16, COP_F32, COP_F32},       {"blk.0.ffn_up.weight", 48, COP_BF16, COP_BF16, COP_BF16},
    };
    cop_gguf *files[] = {open_model("tests/data/tiny-llama-a.gguf"), open_model("tests/data/tiny-llama-b.gguf")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int untied = 0; untied < 2; untied++) {
            cop_gguf_tensor t = {.n_dims = 2, .dims = {cases[i].cols, 8, 1, 1}, .type = COP_BF16};
            cop_dtype got;
            snprintf(t.name, sizeof t.name, "%s", cases[i].name);
            assert_int_equal(cop_convert_choose(files[untied], &t, cases[i].wanted, false, &got), COP_OK);
            if (got != (untied ? cases[i].untied : cases[i].tied)) fail_msg("%s %d: %s", cases[i].name, untied, cop_dtype_name(got));
        }
    cop_gguf_close(files[0]);
    cop_gguf_close(files[1]);
}

static void weights_are_not_quantised_twice(void **state) {
    (void)state;
    assert_int_equal(convert("tests/data/tiny-q8_0.gguf", "twice.gguf", COP_Q4_0, false), COP_ERR_UNSUPPORTED);
    assert_non_null(strstr(cop_error_text(), "is Q8_0 already"));
    assert_int_equal(access(path, F_OK), -1);
    must_convert("tests/data/tiny-q8_0.gguf", "twice.gguf", COP_F16);  // but they can be read back
    must_convert("tests/data/tiny-q8_0.gguf", "same.gguf", COP_Q8_0);
}

static void what_is_there_is_replaced_only_when_asked(void **state) {
    (void)state;
    must_convert("tests/data/tiny-llama-a", "m.gguf", COP_Q8_0);
    assert_int_equal(convert("tests/data/tiny-llama-a", "m.gguf", COP_F16, false), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "is there already; --force replaces it"));
    assert_int_equal(convert("tests/data/tiny-llama-a", "m.gguf", COP_F16, true), COP_OK);
    must_convert("tests/data/tiny-llama-a", "m", COP_BF16);
    assert_int_equal(convert("tests/data/tiny-llama-a", "m", COP_F16, false), COP_ERR_ARG);
    assert_int_equal(convert("tests/data/tiny-llama-a", "m", COP_F16, true), COP_OK);
    assert_int_equal(convert("tests/data/tiny-llama-a", "m/", COP_F32, true), COP_OK);
    assert_int_equal(convert("tests/data/tiny-llama-a", "n", COP_Q8_0, true), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "a folder holds F32, F16 or BF16"));
    cop_gguf *g = open_model("tests/data/tiny-llama-a");
    const cop_convert_options o = {.type = COP_F16, .pool = pool, .replace = true};
    assert_int_equal(cop_convert(g, "tests/data/tiny-llama-a", &o), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "is the model itself"));
    cop_gguf_close(g);
}

static int n_entries(void) {
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static bool stop_half_way(void *user, uint64_t done, uint64_t total) {
    (void)user;
    return done < total / 2;
}

static void a_stopped_conversion_leaves_what_was_there(void **state) {
    (void)state;
    static const char *const names[] = {"m.gguf", "m"};
    cop_gguf *g = open_model("tests/data/tiny-llama-a");
    for (int i = 0; i < 2; i++) {
        must_convert("tests/data/tiny-llama-a", names[i], COP_F32);
        size_t n, m;
        float *before = logits_of(path, &n);
        const cop_convert_options o = {.type = COP_F16, .pool = pool, .replace = true, .progress = stop_half_way};
        assert_int_equal(cop_convert(g, path, &o), COP_ERR_CANCELLED);
        float *after = logits_of(path, &m);
        assert_memory_equal(before, after, n * sizeof *before);
        assert_int_equal(n_entries(), i + 1);
        cop_free(before);
        cop_free(after);
    }
    cop_gguf_close(g);
}

static void each_allocation_that_fails_leaves_no_folder_of_a_file(void **state) {
    (void)state;
    cop_gguf *g = open_model("tests/data/tiny-qwen2-a.gguf");
    json_set_alloc_funcs(cop_alloc, cop_free);
    snprintf(path, sizeof path, "%s/m", folder);
    bool failed = true;
    long n = 0;
    while (failed && n < 20000) {
        const cop_convert_options o = {.type = COP_F16, .pool = pool, .replace = true, .shard_bytes = 30000};
        n += 1 + n / 20;
        cop_alloc_fail_at(n);
        cop_status st = cop_convert(g, path, &o);
        failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        if (st && !failed) fail_msg("allocation %ld: %d, %s", n, st, cop_error_text());
        if (!st) {  // jansson does without some, and so may a number; never without a name or a token
            cop_gguf *now = open_model(path);
            assert_int_equal(cop_gguf_find_tensor(now, "token_embd.weight")->type, COP_F16);
            cop_gguf_close(now);
        }
        assert_true(n_entries() <= 1);
    }
    assert_in_range(n, 30, 20000);
    cop_gguf_close(g);
}

static void each_allocation_that_fails_leaves_what_was_there(void **state) {
    (void)state;
    static const char *const names[] = {"m.gguf", "m"};
    cop_gguf *g = open_model("tests/data/tiny-llama-a");
    json_set_alloc_funcs(cop_alloc, cop_free);
    for (int i = 0; i < 2; i++) {
        bool failed = true;
        cop_dtype there = COP_F32;
        long n = 0;
        must_convert("tests/data/tiny-llama-a", names[i], COP_F32);
        while (failed && n < 5000) {
            const cop_convert_options o = {.type = COP_F16, .pool = pool, .replace = true};
            n += 1 + n / 20;  // all of the first, and a sample of the rest
            cop_alloc_fail_at(n);
            cop_status st = cop_convert(g, path, &o);
            failed = cop_alloc_failed();
            cop_alloc_fail_at(0);
            if (st && !failed) fail_msg("allocation %ld: %d, %s", n, st, cop_error_text());  // jansson does without some
            if (!st) there = COP_F16;
            assert_int_equal(n_entries(), i + 1);
            cop_gguf *now = open_model(path);
            assert_int_equal(cop_gguf_find_tensor(now, "token_embd.weight")->type, there);
            cop_gguf_close(now);
        }
        assert_in_range(n, 30, 5000);
    }
    cop_gguf_close(g);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_folder_as_a_file_gives_the_same_bits),
        IN_FOLDER(sixteen_bits_give_the_same_bits_in_folder_and_file),
        IN_FOLDER(a_file_as_a_file_keeps_every_key_and_tensor),
        IN_FOLDER(every_type_can_be_made_and_is_near),
        IN_FOLDER(a_file_as_a_folder_gives_the_same_bits),
        IN_FOLDER(quantised_weights_become_the_floats_that_they_stand_for),
        IN_FOLDER(what_a_folder_cannot_say_is_refused_by_name),
        IN_FOLDER(the_bytes_written_are_those_of_the_quantiser),
        IN_FOLDER(the_mix_is_what_is_written_down),
        IN_FOLDER(weights_are_not_quantised_twice),
        IN_FOLDER(what_is_there_is_replaced_only_when_asked),
        IN_FOLDER(a_stopped_conversion_leaves_what_was_there),
        IN_FOLDER(each_allocation_that_fails_leaves_what_was_there),
        IN_FOLDER(each_allocation_that_fails_leaves_no_folder_of_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// Encoders and embeddings against the reference library: tokens of texts, hidden states, pooled vectors.
// The format: tests/golden/README.md.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "../support/model.h"
#include "../support/places.h"
#include "engine/embedder.h"

#define MOST 512
#define TOLERANCE 2e-5

typedef struct reader {
    cop_engine *engine;
    int D, L, T;
    char text[4096];
    size_t bytes;
    int32_t ids[MOST];
    int n_checked;
    double worst;
    const cop_adapter_set *adapters;
} reader;

static int numbers(const char *text, double *out, int most) {
    int n = 0;
    for (char *end; n < most; n++) {
        out[n] = strtod(text, &end);
        if (end == text) break;
        text = end;
    }
    return n;
}

static void near(reader *r, double got, double want, const char *what) {
    double error = fabs(got - want);
    if (error > r->worst) r->worst = error;
    if (!(error <= TOLERANCE * (1 + fabs(want)))) fail_msg("'%s': %s: %.8g, expected %.8g", r->text, what, got, want);
    r->n_checked++;
}

static void open_path(reader *r, const char *path) {
    cop_engine_options o = cop_engine_defaults();
    cop_engine_close(r->engine);
    o.threads = 2;
    o.keep_packed = 0;
    if (cop_engine_open(&r->engine, path, &o)) fail_msg("%s", cop_error_text());
}

static void open_model(reader *r, const char *line) {
    char path[256], file[64];
    assert_int_equal(sscanf(line, "model %63s %d %d", file, &r->D, &r->L), 3);
    snprintf(path, sizeof path, "tests/data/%s", file);
    open_path(r, path);
}

static void read_text(reader *r, const char *line) {
    json_t *text = json_loads(line + strlen("text "), JSON_DECODE_ANY, NULL);
    r->bytes = json_string_length(text);
    assert_true(r->bytes < sizeof r->text);
    memcpy(r->text, json_string_value(text), r->bytes + 1);
    json_decref(text);
}

static void check_ids(reader *r, const char *line) {
    double v[MOST];
    cop_token_array ids = {0};
    r->T = numbers(line + strlen("ids "), v, MOST);
    assert_int_equal(cop_tokenizer_encode(r->engine->tokenizer, r->text, r->bytes, true, false, &ids), COP_OK);
    if ((int)ids.n != r->T) fail_msg("'%s': %zu tokens, recorded are %d", r->text, ids.n, r->T);
    for (int i = 0; i < r->T; i++) {
        r->ids[i] = (int32_t)v[i];
        assert_int_equal(ids.v[i], r->ids[i]);
    }
    cop_array_fini(&ids);
}

// The state behind `layer`, -1: the input, of every row; out: [T][D].
static void compute(const reader *r, int layer, float *out) {
    const cop_model *m = r->engine->model;
    cop_cache_shape shape = cop_model_cache_shape(m, COP_KV_F32);
    cop_cache *cache;
    cop_seq *seq;
    cop_workspace *ws;
    cop_row rows[MOST];
    const cop_tap tap = {layer, out};
    const cop_forward_options options = {.taps = &tap, .n_taps = 1};
    assert_int_equal(cop_cache_new(&cache, &shape, MOST / COP_PAGE), COP_OK);
    assert_int_equal(cop_seq_new(&seq, cache, r->T), COP_OK);
    assert_int_equal(cop_workspace_new(&ws, m, r->T, 1, r->T), COP_OK);
    assert_int_equal(cop_workspace_reserve_adapters(ws, r->adapters), COP_OK);
    for (int i = 0; i < r->T; i++) rows[i] = (cop_row){.seq = seq, .token = r->ids[i], .adapters = r->adapters, .parent = i - 1};
    assert_int_equal(cop_seq_reserve(seq, r->T), COP_OK);
    if (cop_model_forward(m, ws, rows, r->T, &options)) fail_msg("%s", cop_error_text());
    cop_workspace_free(ws);
    cop_seq_free(seq);
    cop_cache_free(cache);
}

// hidden I POSITION ...: as compute's layer I - 1.
static void check_hidden(reader *r, const char *line) {
    double v[MOST];
    assert_int_equal(numbers(line + strlen("hidden "), v, MOST), r->D + 2);
    float *out = cop_alloc_array((size_t)r->T * (size_t)r->D, sizeof *out);
    compute(r, (int)v[0] - 1, out);
    for (int i = 0; i < r->D; i++) near(r, (double)out[(int)v[1] * r->D + i], v[i + 2], "hidden");
    cop_free(out);
}

static void check_embedding(reader *r, const char *line) {
    double v[MOST];
    char how[16];
    int n_tokens;
    float out[MOST];
    cop_embedder *e;
    cop_embedder_options o = {0};
    assert_int_equal(sscanf(line, "embedding %15s", how), 1);
    assert_int_equal(cop_pooling_parse(&o.pooling, how), COP_OK);
    assert_int_equal(numbers(line + strlen("embedding ") + strlen(how), v, MOST), r->D);
    if (cop_embedder_open(&e, r->engine, &o)) fail_msg("%s", cop_error_text());
    if (cop_embedder_text(e, r->text, r->bytes, out, &n_tokens)) fail_msg("%s", cop_error_text());
    assert_int_equal(n_tokens, r->T);
    for (int i = 0; i < r->D; i++) near(r, (double)out[i], v[i], how);
    cop_embedder_close(e);
}

// `model`: the folder of the one model of the file, or NULL: in tests/data.
static void check_file(const char *path, const char *model) {
    static char line[1 << 14];
    reader r = {0};
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "model ", 6) && model) open_path(&r, model), sscanf(line, "model %*s %d %d", &r.D, &r.L);
        else if (!strncmp(line, "model ", 6)) open_model(&r, line);
        else if (!strncmp(line, "text ", 5)) read_text(&r, line);
        else if (!strncmp(line, "ids ", 4)) check_ids(&r, line);
        else if (!strncmp(line, "hidden ", 7)) check_hidden(&r, line);
        else if (!strncmp(line, "embedding ", 10)) check_embedding(&r, line);
    }
    fclose(f);
    cop_engine_close(r.engine);
    print_message("%d values, largest error %.2g\n", r.n_checked, r.worst);
    assert_in_range(r.n_checked, 1000, 100000);
}

static void encoders_give_the_references_vectors(void **state) {
    (void)state;
    check_file("tests/golden/encoders.txt", NULL);
}

// The folder of the published model, by the name all-minilm-l6-v2 in COPPICE_MODELS.
static void a_published_encoder_gives_the_references_vectors(void **state) {
    (void)state;
    const char *models = getenv("COPPICE_MODELS");
    char path[PLACE_BYTES];
    snprintf(path, sizeof path, "%s/all-minilm-l6-v2", models ? models : "");
    if (!models || access(path, R_OK)) {
        print_message("skipped: the folder all-minilm-l6-v2 is absent\n");
        skip();
    }
    check_file("tests/golden/encoder-real.txt", path);
}

// Rows of one sequence see each other, so only levels and threads can vary here.
static void every_level_and_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    static const char *const files[] = {"tiny-bert", "tiny-roberta"};
    const char *levels[4], text[] = "the cat sat on the mat. Unable to run? the cat sat on the mat, and on and on and on";
    int n = cop_test_levels(levels);
    for (int k = 0; k < 2; k++) {
        float want[MOST], got[MOST];
        char path[64];
        snprintf(path, sizeof path, "tests/data/%s.gguf", files[k]);
        for (int i = 0; i < 2 * n; i++) {
            cop_engine_options o = cop_engine_defaults();
            cop_engine *engine;
            cop_embedder *e;
            o.cpu_level = levels[i / 2];
            o.threads = i % 2 ? 3 : 1;
            o.keep_packed = 0;
            if (cop_engine_open(&engine, path, &o)) fail_msg("%s", cop_error_text());
            assert_int_equal(cop_embedder_open(&e, engine, &(cop_embedder_options){.pooling = COP_POOL_MEAN, .truncate = true}), COP_OK);
            assert_int_equal(cop_embedder_text(e, text, strlen(text), i ? got : want, NULL), COP_OK);
            if (i && memcmp(got, want, (size_t)cop_embedder_width(e) * sizeof *got)) fail_msg("%s: %s with %d threads", path, o.cpu_level, (int)o.threads);
            cop_embedder_close(e);
            cop_engine_close(engine);
        }
    }
}

// ---- decoders, whose states other goldens hold ----

static void tokens_of(reader *r, const char *text) {
    cop_token_array ids = {0};
    r->bytes = strlen(text);
    memcpy(r->text, text, r->bytes + 1);
    assert_int_equal(cop_tokenizer_encode(r->engine->tokenizer, text, r->bytes, true, false, &ids), COP_OK);
    r->T = (int)ids.n;
    for (int i = 0; i < r->T; i++) r->ids[i] = ids.v[i];
    cop_array_fini(&ids);
}

static void embed(const reader *r, const cop_embedder_options *o, float *out) {
    cop_embedder *e;
    if (cop_embedder_open(&e, r->engine, o)) fail_msg("%s", cop_error_text());
    if (cop_embedder_text(e, r->text, r->bytes, out, NULL)) fail_msg("%s", cop_error_text());
    cop_embedder_close(e);
}

static void a_decoders_vector_is_its_state_behind_the_last_norm(void **state) {
    (void)state;
    static float all[MOST * MOST], out[MOST];
    reader r = {0};
    open_model(&r, "model tiny-llama-a.gguf 64 2");
    r.D = r.engine->model->desc.D;
    r.L = r.engine->model->desc.L;
    tokens_of(&r, "the cat sat on the mat");
    compute(&r, r.L, all);
    embed(&r, &(cop_embedder_options){.raw = true}, out);  // the last token, where the file says nothing
    assert_memory_equal(out, all + (r.T - 1) * r.D, (size_t)r.D * sizeof *out);
    embed(&r, &(cop_embedder_options){.raw = true, .pooling = COP_POOL_CLASS}, out);
    assert_memory_equal(out, all, (size_t)r.D * sizeof *out);
    embed(&r, &(cop_embedder_options){.raw = true, .pooling = COP_POOL_MEAN}, out);
    for (int d = 0; d < r.D; d++) {
        double sum = 0;
        for (int i = 0; i < r.T; i++) sum += (double)all[i * r.D + d];
        near(&r, (double)out[d], sum / r.T, "mean");
    }
    embed(&r, &(cop_embedder_options){0}, out);
    double length = 0;
    for (int d = 0; d < r.D; d++) length += (double)out[d] * (double)out[d];
    near(&r, length, 1, "length");
    cop_engine_close(r.engine);
}

// The states under adapters are golden elsewhere (tests/property/lora.c compares them with the reference).
static void adapters_are_in_force_for_every_text(void **state) {
    (void)state;
    static const char *const lora[] = {"tests/data/adapters/llama-a-all.gguf:0.75", "tests/data/adapters/llama-a-some:-1.25"};
    static float all[MOST * MOST], plain[MOST], out[MOST];
    reader r = {0};
    cop_adapter_set set;
    open_model(&r, "model tiny-llama-a.gguf 64 2");
    r.D = r.engine->model->desc.D;
    r.L = r.engine->model->desc.L;
    tokens_of(&r, "the cat sat on the mat");
    embed(&r, &(cop_embedder_options){.raw = true}, plain);
    assert_int_equal(cop_engine_take_adapters(r.engine, lora, 2, &set), COP_OK);
    r.adapters = &set;
    compute(&r, r.L, all);
    embed(&r, &(cop_embedder_options){.raw = true, .adapters = &set}, out);
    assert_memory_equal(out, all + (r.T - 1) * r.D, (size_t)r.D * sizeof *out);
    assert_memory_not_equal(out, plain, (size_t)r.D * sizeof *out);
    cop_engine_give_adapters(r.engine, &set);
    embed(&r, &(cop_embedder_options){.raw = true}, out);
    assert_memory_equal(out, plain, (size_t)r.D * sizeof *out);
    cop_engine_close(r.engine);
}

static void a_long_text_is_refused_or_cut(void **state) {
    (void)state;
    static float out[MOST], cut[MOST];
    cop_embedder *e;
    cop_embedder_options o = {.context = 9};
    reader r = {0};
    int n;
    open_model(&r, "model tiny-bert.gguf 32 3");
    tokens_of(&r, "the cat sat on the mat and on and on");
    assert_int_equal(cop_embedder_open(&e, r.engine, &o), COP_OK);
    assert_int_equal(cop_embedder_pooling(e), COP_POOL_CLASS);  // as the file says
    assert_int_equal(cop_embedder_text(e, r.text, r.bytes, out, &n), COP_ERR_LIMIT);
    assert_true(n > 9);
    cop_embedder_close(e);
    open_model(&r, "model tiny-bert 32 3");
    assert_int_equal(cop_embedder_open(&e, r.engine, &o), COP_OK);
    assert_int_equal(cop_embedder_pooling(e), COP_POOL_CLASS);  // as the folder says
    cop_embedder_close(e);
    o.truncate = true;
    embed(&r, &o, cut);
    tokens_of(&r, "the cat sat on the mat a");  // [CLS], seven words, [SEP]
    assert_int_equal(r.T, 9);
    embed(&r, &o, out);
    assert_memory_equal(out, cut, (size_t)r.D * sizeof *out);
    cop_engine_close(r.engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoders_give_the_references_vectors),
        cmocka_unit_test(a_published_encoder_gives_the_references_vectors),
        cmocka_unit_test(every_level_and_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(a_decoders_vector_is_its_state_behind_the_last_norm),
        cmocka_unit_test(adapters_are_in_force_for_every_text),
        cmocka_unit_test(a_long_text_is_refused_or_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

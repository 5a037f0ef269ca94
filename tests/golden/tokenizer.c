// Token ids against other programs': the recorded vocabularies of the data sets, and the named models
// against what tools/tokenizer_golden.py recorded of the reference libraries.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "base/map.h"
#include "model/vocab.h"

#define MOST_FILE ((size_t)64 << 20)

static cop_tokenizer *open_vocabulary(const char *path) {
    cop_gguf *file;
    cop_tokenizer *tok;
    if (cop_gguf_open(&file, path)) fail_msg("%s", cop_error_text());
    if (cop_vocab_open(&tok, file)) fail_msg("%s", cop_error_text());
    cop_gguf_close(file);
    return tok;
}

static void encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool special, cop_token_array *out) {
    out->n = 0;
    if (cop_tokenizer_encode(tok, text, bytes, false, special, out)) fail_msg("%s", cop_error_text());
}

static void read_file(const char *path, char **data, size_t *bytes) {
    if (cop_file_read(path, MOST_FILE, data, bytes)) fail_msg("%s", cop_error_text());
}

// ids of the line at *at, compared one by one; *at moves behind the line.
static void compare_ids(const char **at, const cop_token_array *got, const char *name, const char *text, size_t bytes) {
    size_t n = 0;
    while (**at && **at != '\n') {
        char *end;
        long want = strtol(*at, &end, 10);
        if (end == *at) break;
        if (n >= got->n || got->v[n] != want)
            fail_msg("%s: '%.*s': token %zu is %d, recorded is %ld", name, (int)bytes, text, n,
                     n < got->n ? got->v[n] : -1, want);
        n++;
        *at = end;
        while (**at == ' ') ++*at;
    }
    if (n != got->n) fail_msg("%s: '%.*s': %zu tokens, recorded are %zu", name, (int)bytes, text, got->n, n);
    if (**at) ++*at;
}

// ---- the data folder's vocabularies ----

static void recorded_vocabulary(const char *name) {
    static const char between[] = "\n__ggml_vocab_test__\n";
    char path[PLACE_BYTES], part[PLACE_BYTES], *texts, *ids;
    size_t bytes, unused;
    cop_token_array got = {0};
    snprintf(part, sizeof part, "tokenizers/ggml-vocab-%s.gguf", name);
    if (!place_data(path, part)) {
        print_message("skipped: data set tokenizers is absent\n");
        skip();
    }
    cop_tokenizer *tok = open_vocabulary(path);
    snprintf(part, sizeof part, "tokenizers/ggml-vocab-%s.gguf.inp", name);
    place_data(path, part);
    read_file(path, &texts, &bytes);
    snprintf(part, sizeof part, "tokenizers/ggml-vocab-%s.gguf.out", name);
    place_data(path, part);
    read_file(path, &ids, &unused);
    const char *at = ids;
    int n = 0;
    for (char *text = texts, *end; (end = strstr(text, between)); text = end + strlen(between), n++) {
        encode(tok, text, (size_t)(end - text), false, &got);
        while (*at == ' ') at++;
        compare_ids(&at, &got, name, text, (size_t)(end - text));
    }
    assert_true(n > 40);
    cop_array_fini(&got);
    cop_free(texts);
    cop_free(ids);
    cop_tokenizer_free(tok);
}

static void gpt_2_gives_the_recorded_ids(void **state) { (void)state; recorded_vocabulary("gpt-2"); }
static void starcoder_gives_the_recorded_ids(void **state) { (void)state; recorded_vocabulary("starcoder"); }
static void deepseek_coder_gives_the_recorded_ids(void **state) { (void)state; recorded_vocabulary("deepseek-coder"); }
static void bert_bge_gives_the_recorded_ids(void **state) { (void)state; recorded_vocabulary("bert-bge"); }
static void llama_spm_gives_the_recorded_ids(void **state) { (void)state; recorded_vocabulary("llama-spm"); }

// ---- the named models ----

typedef struct check {
    const cop_tokenizer *tok;
    const char *name;  // of the model
    const char *at;    // in the golden file
    cop_token_array got;
    int n_texts, n_wrong;
    // one set
    char file[200], how[16], field[40];
    size_t step, n, i;
} check;

static uint64_t hash_ids(const cop_token_array *ids) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < ids->n; i++)
        for (int b = 0; b < 4; b++) h = (h ^ (uint8_t)((uint32_t)ids->v[i] >> 8 * b)) * 0x100000001B3u;
    return h;
}

// Text i of a set's source; only every step-th has a hash.
static void check_hash(check *c, const char *text, size_t bytes) {
    size_t i = c->i++;
    if (i % c->step || i / c->step >= c->n) return;
    char *end;
    while (*c->at == ' ' || *c->at == '\n') c->at++;
    if (*c->at == '-') {
        c->at++;
        return;
    }
    uint64_t want = strtoull(c->at, &end, 16);
    c->at = end;
    encode(c->tok, text, bytes, false, &c->got);
    c->n_texts++;
    if (hash_ids(&c->got) == want) return;
    if (c->n_wrong++ < 10) print_error("%s: %s, text %zu: '%.*s'\n", c->name, c->file, i, (int)bytes, text);
}

static void check_lines(check *c, const char *data, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        const char *end = memchr(data + at, '\n', bytes - at);
        size_t length = end ? (size_t)(end - data) - at : bytes - at;
        check_hash(c, data + at, length);
        at += length + 1;
    }
}

static void check_json(check *c, const json_t *text) {
    assert_true(json_is_string(text));
    check_hash(c, json_string_value(text), json_string_length(text));
}

static void check_records(check *c, const char *data, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        const char *end = memchr(data + at, '\n', bytes - at);
        size_t length = end ? (size_t)(end - data) - at : bytes - at;
        json_t *record = json_loadb(data + at, length, JSON_ALLOW_NUL, NULL);
        check_json(c, json_object_get(record, c->field));
        json_decref(record);
        at += length + 1;
    }
}

static void check_array(check *c, const char *data, size_t bytes) {
    json_t *texts = json_loadb(data, bytes, JSON_ALLOW_NUL, NULL), *text;
    size_t i;
    json_array_foreach(texts, i, text) check_json(c, text);
    json_decref(texts);
}

static void check_set(check *c) {
    char path[PLACE_BYTES], *data;
    size_t bytes;
    int read = 0;
    *c->field = 0;
    if (sscanf(c->at, "set %199s %zu %zu %15s%n", c->file, &c->step, &c->n, c->how, &read) != 4) fail();
    c->at += read;
    if (!strcmp(c->how, "field") && (sscanf(c->at, "%39s%n", c->field, &read) != 1 || !(c->at += read))) fail();
    c->i = 0;
    if (!place_data(path, c->file)) {
        print_message("skipped: data set %s is absent\n", c->file);
        while (*c->at && strncmp(c->at, "\nset ", 5) != 0 && strncmp(c->at, "\ntext ", 6) != 0) c->at++;
        return;
    }
    read_file(path, &data, &bytes);
    if (!strcmp(c->how, "lines")) check_lines(c, data, bytes);
    else if (!strcmp(c->how, "array")) check_array(c, data, bytes);
    else check_records(c, data, bytes);
    cop_free(data);
}

static void check_text(check *c) {
    bool special = c->at[5] == '1';
    const char *end = strchr(c->at, '\n');
    json_t *text = json_loadb(c->at + 7, (size_t)(end - c->at) - 7, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_true(json_is_string(text));
    encode(c->tok, json_string_value(text), json_string_length(text), special, &c->got);
    c->at = end + 1;
    c->n_texts++;
    compare_ids(&c->at, &c->got, c->name, json_string_value(text), json_string_length(text));
    json_decref(text);
}

static void recorded_model(const char *name, const char *golden_name) {
    char path[PLACE_BYTES], *golden;
    size_t bytes;
    if (!place_model(path, name)) {
        print_message("skipped: model %s is absent\n", name);
        skip();
    }
    cop_tokenizer *tok = open_vocabulary(path);
    snprintf(path, sizeof path, "tests/golden/tokenizer-%s.txt", golden_name);
    read_file(path, &golden, &bytes);
    check c = {.tok = tok, .name = name, .at = golden};
    while (*c.at) {
        if (!strncmp(c.at, "set ", 4)) {
            check_set(&c);
        } else if (!strncmp(c.at, "text ", 5)) {
            check_text(&c);
        } else {
            const char *end = strchr(c.at, '\n');
            c.at = end ? end + 1 : c.at + strlen(c.at);
        }
    }
    print_message("%s: %d texts, %d differ\n", name, c.n_texts, c.n_wrong);
    assert_int_equal(c.n_wrong, 0);
    assert_true(c.n_texts > 100);
    cop_array_fini(&c.got);
    cop_free(golden);
    cop_tokenizer_free(tok);
}

static void smollm2_gives_the_references_ids(void **state) {
    (void)state;
    recorded_model("smollm2-135m", "smollm2-135m");
}
static void qwen_coder_half_gives_the_references_ids(void **state) {
    (void)state;
    recorded_model("qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b");
}
static void qwen_coder_gives_the_ids_of_the_smaller_one(void **state) {
    (void)state;
    recorded_model("qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b");
}
static void gemma3_gives_the_references_ids(void **state) {
    (void)state;
    recorded_model("gemma3-270m", "gemma3-270m");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt_2_gives_the_recorded_ids),
        cmocka_unit_test(starcoder_gives_the_recorded_ids),
        cmocka_unit_test(deepseek_coder_gives_the_recorded_ids),
        cmocka_unit_test(llama_spm_gives_the_recorded_ids),
        cmocka_unit_test(bert_bge_gives_the_recorded_ids),
        cmocka_unit_test(smollm2_gives_the_references_ids),
        cmocka_unit_test(qwen_coder_half_gives_the_references_ids),
        cmocka_unit_test(qwen_coder_gives_the_ids_of_the_smaller_one),
        cmocka_unit_test(gemma3_gives_the_references_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

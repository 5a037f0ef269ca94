// tokenizer.model files against the sentencepiece library's ids (tools/sentencepiece_golden.py), what tokenizer_config.json adds,
// and hostile ones.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "base/alloc.h"
#include "base/map.h"
#include "model/vocab.h"
#include "text/sentencepiece.h"

static char *model;
static size_t model_bytes;

static void read_model(const char *name) {
    char path[128];
    cop_free(model);
    snprintf(path, sizeof path, "tests/data/sentencepiece/%s.model", name);
    if (cop_file_read(path, 1 << 24, &model, &model_bytes)) fail_msg("%s", cop_error_text());
}

static cop_status make(cop_tokenizer **out, const char *data, size_t bytes, const char *config) {
    cop_tokenizer_files files = {.sentencepiece = {data, bytes}};
    if (config) files.config = (cop_span){config, strlen(config)};
    return cop_tokenizer_from_sentencepiece(out, &files);
}

static void open_model(cop_tokenizer **out, const char *name) {
    read_model(name);
    if (make(out, model, model_bytes, NULL)) fail_msg("%s", cop_error_text());
}

static void check_line(const cop_tokenizer *tok, const char *name, char *line) {
    char *tab = strchr(line, '\t'), *at = tab + 1;
    cop_token_array ids = {.most = 1 << 16};
    *tab = 0;
    json_t *text = json_loads(line, JSON_DECODE_ANY, NULL);
    assert_non_null(text);
    if (cop_tokenizer_encode(tok, json_string_value(text), json_string_length(text), false, false, &ids)) fail_msg("%s", cop_error_text());
    size_t n = 0;
    for (char *end;; n++) {
        long want = strtol(at, &end, 10);
        if (end == at) break;
        if (n >= ids.n || ids.v[n] != want) fail_msg("%s: %s: token %zu of %zu is %d, need %ld", name, line, n, ids.n, n < ids.n ? ids.v[n] : -1, want);
        at = end;
    }
    if (n != ids.n) fail_msg("%s: %s: %zu tokens, need %zu", name, line, ids.n, n);
    cop_array_fini(&ids);
    json_decref(text);
}

static void the_librarys_ids_come_out(void **state) {
    (void)state;
    static char line[1 << 14];
    cop_tokenizer *tok = NULL;
    char name[64] = "";
    int n = 0;
    FILE *f = fopen("tests/golden/sentencepiece.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "model %63s", name) == 1) {
            cop_tokenizer_free(tok);
            open_model(&tok, name);
            continue;
        }
        check_line(tok, name, line);
        n++;
    }
    fclose(f);
    cop_tokenizer_free(tok);
    assert_in_range(n, 60, 200);
}

static void the_configuration_adds_tokens_and_names(void **state) {
    (void)state;
    static const char config[] = "{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"<|end|>\"}, \"add_bos_token\": true,"
                                 "\"chat_template\": \"{{ bos_token }}\", \"added_tokens_decoder\": {\"1\": {\"content\": \"<s>\", \"special\": true},"
                                 "\"521\": {\"content\": \"<|end|>\", \"special\": true}, \"520\": {\"content\": \"<more>\", \"special\": false}}}";
    cop_tokenizer *tok;
    cop_token_array ids = {.most = 100};
    read_model("llama-like");
    if (make(&tok, model, model_bytes, config)) fail_msg("%s", cop_error_text());
    assert_int_equal(cop_tokenizer_n_tokens(tok), 522);
    assert_int_equal(cop_tokenizer_bos(tok), 1);
    assert_int_equal(cop_tokenizer_eos(tok), 521);
    assert_string_equal(cop_tokenizer_template(tok), "{{ bos_token }}");
    assert_int_equal(cop_tokenizer_encode(tok, "<more><|end|>", 13, true, true, &ids), COP_OK);
    assert_int_equal(ids.v[0], 1);
    assert_int_equal(ids.v[ids.n - 1], 521);
    assert_int_equal(ids.v[ids.n - 2], 520);
    cop_array_fini(&ids);
    cop_tokenizer_free(tok);
}

static void a_folder_without_tokenizer_json_has_its_words(void **state) {
    (void)state;
    char folder[] = "/tmp/coppice-spm-XXXXXX", path[64], command[80];
    cop_tokenizer *tok;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(cop_vocab_open_folder(&tok, folder), COP_ERR_NOT_FOUND);
    read_model("gemma-like");
    snprintf(path, sizeof path, "%s/tokenizer.model", folder);
    assert_int_equal(cop_file_write(path, model, model_bytes), COP_OK);
    if (cop_vocab_open_folder(&tok, folder)) fail_msg("%s", cop_error_text());
    assert_int_equal(cop_tokenizer_bos(tok), 2);
    assert_true(cop_tokenizer_adds_bos(tok));
    cop_tokenizer_free(tok);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void refused(const char *data, size_t bytes, const char *config, cop_status want, const char *text) {
    cop_tokenizer *tok;
    cop_status st = make(&tok, data, bytes, config);
    if (st != want || !strstr(cop_error_text(), text)) fail_msg("%d, '%s', need '%s'", st, st ? cop_error_text() : "made", text);
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    read_model("llama-like");
    refused("", 0, NULL, COP_ERR_FORMAT, "0 pieces");
    refused("\x0a\x05" "a", 3, NULL, COP_ERR_FORMAT, "a field of 5 bytes, 1 are left; tokenizer.model");
    refused("\x0f", 1, NULL, COP_ERR_FORMAT, "a field of the kind 7");
    refused("\x00", 1, NULL, COP_ERR_FORMAT, "field number 0");
    refused("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, NULL, COP_ERR_FORMAT, "more than 64 bits");
    refused("\x0a\x05\x0a\x01" "a\x18\x09", 7, NULL, COP_ERR_FORMAT, "piece 0: kind 9");
    refused("\x0a\x03\x0a\x01" "a\x12\x02\x18\x03", 9, NULL, COP_ERR_UNSUPPORTED, "a model of words: BPE and Unigram");
    refused("\x0a\x03\x0a\x01" "a\x12\x02\x18\x02", 9, NULL, COP_ERR_UNSUPPORTED, "a BPE model without byte pieces");
    refused("\x0a\x05\x0a\x01" "a\x18\x04\x12\x02\x18\x01", 11, NULL, COP_ERR_UNSUPPORTED, "a Unigram model with user-defined pieces");
    refused(model, model_bytes, "{\"tokenizer_class\": \"XLMRobertaTokenizer\"}", COP_ERR_UNSUPPORTED, "tokenizer_class XLMRobertaTokenizer");
    refused(model, model_bytes, "{\"added_tokens_decoder\": {\"5\": {\"content\": \"no\"}}}", COP_ERR_UNSUPPORTED, "added token 5: the model has another piece");
    refused(model, model_bytes, "{\"added_tokens_decoder\": {\"521\": {\"content\": \"a\"}, \"522\": {\"content\": \"b\"}}}", COP_ERR_FORMAT, "id 522, but 522 tokens");
    refused(model, model_bytes, "{\"added_tokens_decoder\": {\"521\": {\"content\": \"a\"}, \"1\": {\"content\": \"<s>\"}}}", COP_ERR_UNSUPPORTED, "there is none with the id 520");
    refused(model, model_bytes, "{\"added_tokens_decoder\": {\"520\": {\"content\": \"a\", \"rstrip\": true}}}", COP_ERR_UNSUPPORTED, "it takes spaces");
    refused(model, model_bytes, "{\"added_tokens_decoder\": {\"-1\": {\"content\": \"a\"}}}", COP_ERR_FORMAT, "is no id with a content");
}

// Each input ends where its memory does, so that a sanitizer sees a byte read too many.
static void damaged_files_do_no_harm(void **state) {
    (void)state;
    static const char *const names[] = {"llama-like", "t5-like"};
    for (int k = 0; k < 2; k++) {
        read_model(names[k]);
        for (size_t n = 0; n < model_bytes; n += 1 + n / 200) {
            cop_tokenizer *tok;
            char *cut = malloc(n + !n);
            memcpy(cut, model, n);
            if (make(&tok, cut, n, NULL)) assert_true(*cop_error_text());
            else cop_tokenizer_free(tok);
            free(cut);
        }
        for (size_t n = 0; n < 3000; n++) {
            cop_tokenizer *tok;
            size_t at = n * 2654435761u % model_bytes;
            char was = model[at];
            model[at] = (char)(n * 167 + 13);
            if (!make(&tok, model, model_bytes, NULL)) cop_tokenizer_free(tok);
            model[at] = was;
        }
    }
}

static void each_allocation_that_fails_is_an_error(void **state) {
    (void)state;
    bool failed = true;
    long n = 0;
    read_model("gemma-like");
    json_set_alloc_funcs(cop_alloc, cop_free);
    while (failed && ++n < 2000) {
        cop_tokenizer *tok;
        cop_alloc_fail_at(n);
        cop_status st = make(&tok, model, model_bytes, "{\"bos_token\": \"<bos>\"}");
        failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        if (st) assert_true(failed);
        cop_tokenizer_free(tok);
    }
    assert_in_range(n, 10, 2000);
    cop_free(model);
    model = NULL;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_librarys_ids_come_out),
        cmocka_unit_test(the_configuration_adds_tokens_and_names),
        cmocka_unit_test(a_folder_without_tokenizer_json_has_its_words),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(each_allocation_that_fails_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

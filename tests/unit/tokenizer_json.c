// text/tokenizer_json: what is refused and how, added tokens and their flags, what the configuration adds.
#include <stdio.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "text/tokenizer_json.h"

#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<s>\":3,\" \":4,\"c\":5},\"merges\":[\"a b\"]"
#define MODEL "\"model\":{\"type\":\"BPE\"," VOCAB "}"

static cop_status read_json(cop_tokenizer **tok, const char *json, const char *config) {
    cop_tokenizer_files files = {.tokenizer = {json, strlen(json)}};
    if (config) files.config = (cop_span){config, strlen(config)};
    return cop_tokenizer_from_json(tok, &files);
}

static cop_tokenizer *open_json(const char *json, const char *config) {
    cop_tokenizer *tok;
    if (read_json(&tok, json, config)) fail_msg("%s: %s", json, cop_error_text());
    return tok;
}

static void refuse(const char *json, cop_status want, const char *text) {
    cop_tokenizer *tok;
    cop_status st = read_json(&tok, json, NULL);
    if (st != want || !strstr(cop_error_text(), text)) fail_msg("%s: %s: %s", json, cop_status_name(st), cop_error_text());
    assert_null(tok);
    assert_non_null(strstr(cop_error_text(), "tokenizer.json"));
}

// Frees tok.
static void expect(cop_tokenizer *tok, const char *text, bool special, bool around, const char *want) {
    char got[400] = "";
    size_t n = 0;
    cop_token_array ids = {0};
    assert_int_equal(cop_tokenizer_encode(tok, text, strlen(text), around, special, &ids), COP_OK);
    for (size_t i = 0; i < ids.n && n < sizeof got - 12; i++) n += (size_t)snprintf(got + n, 12, i ? " %d" : "%d", ids.v[i]);
    cop_array_fini(&ids);
    cop_tokenizer_free(tok);
    assert_string_equal(got, want);
}

// ---- refused ----

static void what_is_not_known_is_refused_by_name(void **state) {
    (void)state;
    refuse("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", COP_ERR_UNSUPPORTED, "\"WordLevel\" is not known; known are BPE");
    refuse("{" MODEL ",\"normalizer\":{\"type\":\"Magic\"}}", COP_ERR_UNSUPPORTED, "\"Magic\" is not known");
    refuse("{" MODEL ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", COP_ERR_UNSUPPORTED, "pre_tokenizer");
    refuse("{" MODEL ",\"decoder\":{\"type\":\"CTC\"}}", COP_ERR_UNSUPPORTED, "\"CTC\" is not known");
    refuse("{" MODEL ",\"post_processor\":{\"type\":\"Odd\"}}", COP_ERR_UNSUPPORTED, "post_processor");
    refuse("{\"model\":{\"type\":\"BPE\",\"dropout\":0.1," VOCAB "}}", COP_ERR_UNSUPPORTED, "dropout");
    refuse("{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Eaten\",\"pattern\":{\"String\":\"a\"}}}",
           COP_ERR_UNSUPPORTED, "\"Eaten\"");
}

static void patterns_of_another_dialect_are_refused_by_name(void **state) {
    (void)state;
    static const char *const patterns[] = {"(?m:a)", "[a&&b]", "[[:alpha:]]", "a{1,2}+", "\\\\G", "(?<n>a)", "[\\\\S]", "(a", "\\\\p{No Name}"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        char json[400];
        snprintf(json, sizeof json, "{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"%s\"}}}",
                 patterns[i]);
        refuse(json, COP_ERR_UNSUPPORTED, "pattern \"");
    }
}

static void a_vocabulary_that_lies_is_refused(void **state) {
    (void)state;
    refuse("{}", COP_ERR_FORMAT, "no \"model\"");
    refuse("{\"model\":[]}", COP_ERR_FORMAT, "no \"model\"");
    refuse("[]", COP_ERR_FORMAT, "not an object");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", COP_ERR_FORMAT, "no tokens");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}}", COP_ERR_FORMAT, "vocab");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", COP_ERR_FORMAT, "merges");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", COP_ERR_FORMAT, "\"a\": its id");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":16777215},\"merges\":[]}}", COP_ERR_FORMAT, "1 tokens");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999999},\"merges\":[]}}", COP_ERR_FORMAT, "its id");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"0\"},\"merges\":[]}}", COP_ERR_FORMAT, "its id");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", COP_ERR_FORMAT, "twice");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", COP_ERR_FORMAT, "merges: entry 0");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", COP_ERR_FORMAT, "merges: entry 0");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}", COP_ERR_FORMAT, "merge 0: its result");
    refuse("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", COP_ERR_FORMAT, "vocab: entry 0");
    refuse("{\"model\":{\"type\":\"Unigram\",\"unk_id\":5,\"vocab\":[[\"a\",0.0]]}}", COP_ERR_FORMAT, "unk_id: 5");
    refuse("{" MODEL ",\"added_tokens\":[{\"id\":0,\"content\":\"b\"}]}", COP_ERR_FORMAT, "another text");
    refuse("{" MODEL ",\"added_tokens\":[7]}", COP_ERR_FORMAT, "its id");
    refuse("{" MODEL ",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",70],\"sep\":[\"b\",1]}}", COP_ERR_FORMAT,
           "id 70, the vocabulary has 6");
    refuse("{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}}", COP_ERR_FORMAT, "precompiled");
    refuse("{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"A*\"}}", COP_ERR_FORMAT, "base64");
}

static void sequences_and_lists_have_a_limit(void **state) {
    (void)state;
    char json[4000] = "{" MODEL ",\"normalizer\":";
    for (int i = 0; i < 12; i++) snprintf(json + strlen(json), 60, "{\"type\":\"Sequence\",\"normalizers\":[");
    refuse(json, COP_ERR_FORMAT, "JSON");
    for (int i = 0; i < 12; i++) snprintf(json + strlen(json), 60, "]}");
    snprintf(json + strlen(json), 60, "}");
    refuse(json, COP_ERR_LIMIT, "deeper than 8");
    snprintf(json, sizeof json, "{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}");
    for (int i = 0; i < 20; i++) snprintf(json + strlen(json), 60, ",{\"type\":\"NFC\"}");
    snprintf(json + strlen(json), 60, "]}}");
    refuse(json, COP_ERR_LIMIT, "more than 16 steps");
    memset(json, '[', 2000);
    json[2000] = 0;
    refuse(json, COP_ERR_LIMIT, "nested deeper");
}

// Each step multiplies the text by fifty; sixteen of them would fill any memory.
static void a_text_that_grows_without_end_is_stopped(void **state) {
    (void)state;
    char json[4000] = "{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[";
    for (int i = 0; i < 16; i++) {
        snprintf(json + strlen(json), 120, "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"%.50s\"}", i ? "," : "",
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    }
    snprintf(json + strlen(json), 60, "]}}");
    cop_tokenizer *tok = open_json(json, NULL);
    cop_token_array ids = {0};
    assert_int_equal(cop_tokenizer_encode(tok, "ba", 2, false, false, &ids), COP_ERR_LIMIT);
    assert_int_equal(ids.n, 0);
    cop_array_fini(&ids);
    cop_tokenizer_free(tok);
    refuse("{" MODEL ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{\"type\":\"ByteLevel\"}]}}",
           COP_ERR_LIMIT, "there twice");
    refuse("{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"12345\"}}", COP_ERR_FORMAT, "one character");
}

static void a_pattern_that_backtracks_without_end_gives_up(void **state) {
    (void)state;
    char text[60];
    memset(text, 'a', sizeof text);
    cop_tokenizer *tok = open_json("{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":"
                                   "{\"Regex\":\"(a|aa)+(?<=c)\"}}}", NULL);
    cop_token_array ids = {0};
    assert_int_equal(cop_tokenizer_encode(tok, text, sizeof text, false, false, &ids), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "gave up"));
    cop_array_fini(&ids);
    cop_tokenizer_free(tok);
}

static void texts_of_no_bytes_and_of_too_many_are_handled(void **state) {
    (void)state;
    char json[4000] = "{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"\":0,\"a\":1,\"";
    expect(open_json("{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"\":0,\"a\":1}}}", NULL), "aa", false, false, "1 1");
    memset(json + strlen(json), 'b', 1100);
    snprintf(json + strlen(json), 60, "\":2}}}");
    refuse(json, COP_ERR_FORMAT, "token 2: 1100 bytes, at most 1024");
    expect(open_json("{" MODEL ",\"added_tokens\":[{\"id\":6,\"content\":\"\"}]}", NULL), "ab", true, false, "2");
}

// ---- added tokens ----

#define ADDED(flags) "{" MODEL ",\"added_tokens\":[{\"id\":6,\"content\":\"<x>\"," flags "}]}"

// The model drops what it does not know before it merges, so "a<x>b" is "ab" to it.
static void special_tokens_are_plain_text_unless_parsed(void **state) {
    (void)state;
    expect(open_json(ADDED("\"special\":true"), NULL), "a<x>b", true, false, "0 6 1");
    expect(open_json(ADDED("\"special\":true"), NULL), "a<x>b", false, false, "2");
    expect(open_json(ADDED("\"special\":false"), NULL), "a<x>b", false, false, "0 6 1");
}

static void added_tokens_take_spaces_as_their_flags_say(void **state) {
    (void)state;
    expect(open_json(ADDED("\"special\":true"), NULL), "a <x> b", true, false, "0 4 6 4 1");
    expect(open_json(ADDED("\"special\":true,\"lstrip\":true"), NULL), "a  <x>  b", true, false, "0 6 4 4 1");
    expect(open_json(ADDED("\"special\":true,\"rstrip\":true"), NULL), "a <x>  b", true, false, "0 4 6 1");
    expect(open_json(ADDED("\"special\":true,\"lstrip\":true,\"rstrip\":true"), NULL), " <x>  <x> ", true, false, "6 6");
}

static void a_single_word_stands_alone(void **state) {
    (void)state;
    expect(open_json(ADDED("\"single_word\":true"), NULL), "a<x>b", true, false, "2");
    expect(open_json(ADDED("\"single_word\":true"), NULL), "a <x> b", true, false, "0 4 6 4 1");
    expect(open_json(ADDED("\"single_word\":true"), NULL), "<x>", true, false, "6");
}

static void normalized_tokens_are_found_after_rewriting(void **state) {
    (void)state;
    const char *json = "{" MODEL ",\"normalizer\":{\"type\":\"Lowercase\"},\"added_tokens\":["
                       "{\"id\":6,\"content\":\"CC\",\"normalized\":true},{\"id\":7,\"content\":\"BB\",\"normalized\":false}]}";
    expect(open_json(json, NULL), "aCcA", true, false, "0 6 0");
    expect(open_json(json, NULL), "Bb BB", true, false, "1 1 4 7");
}

// ---- configuration ----

static void the_configuration_says_what_begins_and_ends_a_text(void **state) {
    (void)state;
    const char *config = "{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"b\",\"add_bos_token\":true,\"add_eos_token\":true,"
                         "\"chat_template\":[{\"name\":\"default\",\"template\":\"T\"}]}";
    cop_tokenizer *tok = open_json("{" MODEL "}", config);
    assert_int_equal(cop_tokenizer_bos(tok), 3);
    assert_int_equal(cop_tokenizer_eos(tok), 1);
    assert_true(cop_tokenizer_adds_bos(tok));
    assert_true(cop_tokenizer_is_end(tok, 1));
    assert_string_equal(cop_tokenizer_template(tok), "T");
    expect(tok, "ab", false, true, "3 2 1");
}

static void a_template_goes_before_the_configuration(void **state) {
    (void)state;
    const char *json = "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"c\"}},"
                       "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"c\":{\"ids\":[5,5]}}}}";
    expect(open_json(json, "{\"bos_token\":\"<s>\",\"add_bos_token\":true}"), "ab", false, true, "5 5 2");
    expect(open_json(json, NULL), "ab", false, false, "2");
}

static void a_broken_configuration_is_named(void **state) {
    (void)state;
    cop_tokenizer *tok;
    assert_int_equal(read_json(&tok, "{" MODEL "}", "{"), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "tokenizer_config.json"));
}

static void bytes_that_are_no_utf8_do_no_harm(void **state) {
    (void)state;
    expect(open_json("{" MODEL "}", NULL), "a\xFF\xC3" "b\xE2\x82", true, false, "0 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_refused_by_name),
        cmocka_unit_test(patterns_of_another_dialect_are_refused_by_name),
        cmocka_unit_test(a_vocabulary_that_lies_is_refused),
        cmocka_unit_test(sequences_and_lists_have_a_limit),
        cmocka_unit_test(a_text_that_grows_without_end_is_stopped),
        cmocka_unit_test(a_pattern_that_backtracks_without_end_gives_up),
        cmocka_unit_test(texts_of_no_bytes_and_of_too_many_are_handled),
        cmocka_unit_test(special_tokens_are_plain_text_unless_parsed),
        cmocka_unit_test(added_tokens_take_spaces_as_their_flags_say),
        cmocka_unit_test(a_single_word_stands_alone),
        cmocka_unit_test(normalized_tokens_are_found_after_rewriting),
        cmocka_unit_test(the_configuration_says_what_begins_and_ends_a_text),
        cmocka_unit_test(a_template_goes_before_the_configuration),
        cmocka_unit_test(a_broken_configuration_is_named),
        cmocka_unit_test(bytes_that_are_no_utf8_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

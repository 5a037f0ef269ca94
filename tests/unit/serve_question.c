// Questions of all families: what is read, what is refused and by which name.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/vocabularies.h"
#include "serve/exchange.h"
#include "serve/question.h"

static vocabulary words;
static cop_tokenizer *tok;
static cop_served served;
static const cop_served_adapter adapters[] = {{"/x/one.gguf", "one", 1}, {"/x/two.gguf", "two", 0.5}};
static const char template[] = "{% for m in messages %}{{ m.role }}:{{ m.content }}|{% endfor %}{% if tools %}{{ tools | length }} tools|{% endif %}"
                               "{% if add_generation_prompt %}answer:{% endif %}";

static int open_words(void **state) {
    (void)state;
    vocabulary_gpt2(&words);
    if (cop_tokenizer_new(&tok, &words.source)) return -1;
    served = (cop_served){.tokenizer = tok, .name = "m", .max_tokens = -1, .template = template, .template_bytes = sizeof template - 1,
                          .chat_template = template, .adapters = adapters, .n_adapters = 2};
    served.defaults = (cop_session_options){.temp = 0.8f, .top_k = 40, .typical_p = 1, .top_p = 0.95f, .repeat_penalty = 1, .penalty_window = 64};
    served.format = cop_tool_format_find(template);
    return 0;
}

static int close_words(void **state) {
    (void)state;
    cop_tokenizer_free(tok);
    return 0;
}

static cop_question *read_by(cop_status (*read)(cop_question *), const char *body) {
    cop_question *q;
    if (cop_question_new(&q, &served, body, strlen(body), 1 << 20)) fail_msg("%s: %s", body, cop_error_text());
    if (read(q)) fail_msg("%s: %s", body, cop_error_text());
    return q;
}

// Refused, with this field and a text that holds `part`.
static void refused_by(cop_status (*read)(cop_question *), const char *body, const char *field, const char *part) {
    cop_question *q;
    if (cop_question_new(&q, &served, body, strlen(body), 1 << 20)) fail_msg("%s: %s", body, cop_error_text());
    assert_int_not_equal(read(q), COP_OK);
    if (!strstr(cop_error_text(), part)) fail_msg("%s: %s", body, cop_error_text());
    assert_string_equal(q->field, field);
    cop_question_free(q);
}

static void nothing_said_means_the_servers_defaults(void **state) {
    (void)state;
    cop_question *q = read_by(cop_question_text, "{\"prompt\": \"the\"}");
    assert_int_equal(q->n_prompts, 1);
    assert_string_equal(q->texts[0], "the");
    assert_int_equal(q->max_tokens, 16);
    assert_int_equal(q->logprobs, -1);
    assert_int_equal(q->slot, -1);
    assert_true(q->session.temp == 0.8f && q->session.top_k == 40);
    assert_int_equal(q->session.n_lora, 2);  // as at the start
    assert_string_equal(q->session.lora[1], "/x/two.gguf:0.5");
    cop_question_free(q);
}

static void every_field_arrives(void **state) {
    (void)state;
    cop_question *q = read_by(cop_question_chat,
                              "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"temperature\": 0.5, \"top_p\": 0.25, \"top_k\": -1, \"min_p\": 0.125,"
                              " \"typical_p\": 0.75, \"repeat_penalty\": 2, \"frequency_penalty\": -1, \"presence_penalty\": 1.5, \"repeat_last_n\": 9,"
                              " \"seed\": 42, \"n\": 3, \"stop\": [\"x\", \"\", \"yz\"], \"logit_bias\": {\"97\": 2, \"98\": -100}, \"max_completion_tokens\": 5,"
                              " \"logprobs\": true, \"top_logprobs\": 4, \"stream\": true, \"stream_options\": {\"include_usage\": true}, \"ignore_eos\": true,"
                              " \"id_slot\": 2, \"samplers\": [\"penalties\", \"top_p\", \"temperature\"], \"lora\": [{\"id\": 1, \"scale\": 2}],"
                              " \"coppice\": {\"draft\": \"copy\", \"verify\": \"coupled\", \"control\": \"fixed\"}, \"unknown\": {\"a\": 1}}");
    const cop_session_options *s = &q->session;
    assert_true(s->temp == 0.5f && s->top_p == 0.25f && s->min_p == 0.125f && s->typical_p == 0.75f && s->repeat_penalty == 2);
    assert_true(s->frequency_penalty == -1 && s->presence_penalty == 1.5f);
    assert_int_equal(s->top_k, 0);
    assert_int_equal(s->penalty_window, 9);
    assert_int_equal(q->seed, 42);
    assert_int_equal(q->n, 3);
    assert_int_equal(s->n_stop, 2);
    assert_string_equal(s->stop[1], "yz");
    assert_int_equal(s->n_bias, 2);
    assert_true(s->bias_tokens[1] == 98 && s->bias_values[1] < -1e8f);  // never
    assert_int_equal(q->max_tokens, 5);
    assert_int_equal(q->logprobs, 4);
    assert_true(q->stream && q->usage && q->ignore_end);
    assert_int_equal(q->slot, 2);
    assert_string_equal(s->samplers, "top_p,temp");
    assert_int_equal(s->n_lora, 1);
    assert_string_equal(s->lora[0], "/x/two.gguf:2");
    assert_string_equal(s->draft, "copy");
    assert_string_equal(s->control, "fixed");
    cop_question_free(q);
}

static void a_model_that_is_an_adapter_is_that_one_alone(void **state) {
    (void)state;
    cop_question *q = read_by(cop_question_text, "{\"prompt\": \"a\", \"model\": \"two\"}");
    assert_int_equal(q->session.n_lora, 1);
    assert_string_equal(q->session.lora[0], "/x/two.gguf:0.5");
    cop_question_free(q);
    q = read_by(cop_question_text, "{\"prompt\": \"a\", \"model\": \"two\", \"lora\": []}");
    assert_int_equal(q->session.n_lora, 0);
    cop_question_free(q);
}

static void null_is_as_good_as_absent(void **state) {
    (void)state;
    cop_question *q = read_by(cop_question_chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"temperature\": null, \"stop\": null, \"tools\": null,"
                                                 " \"tool_choice\": null, \"response_format\": null, \"logit_bias\": null, \"stream_options\": null}");
    assert_true(q->session.temp == 0.8f);
    assert_int_equal(q->structure.kind, COP_FREE_TEXT);
    cop_question_free(q);
}

static void a_conversation_becomes_the_templates_text(void **state) {
    (void)state;
    cop_question *q = read_by(cop_question_chat, "{\"messages\": [{\"role\": \"developer\", \"content\": \"s\"}, {\"role\": \"user\", \"content\":"
                                                 " [{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"text\", \"text\": \"b\"}]}]}");
    assert_string_equal(q->texts[0], "system:s|user:ab|answer:");
    cop_question_free(q);
    q = read_by(cop_question_chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"It is\"}]}");
    assert_string_equal(q->texts[0], "user:a|answer:It is");  // goes on from there
    cop_question_free(q);
}

static void families_say_the_same_in_their_words(void **state) {
    (void)state;
    static const char want[] = "system:s|user:a|assistant:b|user:c|answer:";
    cop_question *q = read_by(cop_question_chat, "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", \"content\": \"a\"},"
                                                 " {\"role\": \"assistant\", \"content\": \"b\"}, {\"role\": \"user\", \"content\": \"c\"}]}");
    assert_string_equal(q->texts[0], want);
    cop_question_free(q);
    q = read_by(cop_question_messages, "{\"system\": \"s\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\":"
                                       " [{\"type\": \"text\", \"text\": \"b\"}]}, {\"role\": \"user\", \"content\": \"c\"}], \"stop_sequences\": [\"z\"]}");
    assert_string_equal(q->texts[0], want);
    assert_int_equal(q->session.n_stop, 1);
    cop_question_free(q);
    q = read_by(cop_question_responses, "{\"instructions\": \"s\", \"input\": [{\"role\": \"user\", \"content\": \"a\"}, {\"type\": \"message\", \"role\": \"assistant\","
                                        " \"content\": [{\"type\": \"output_text\", \"text\": \"b\"}]}, {\"role\": \"user\", \"content\":"
                                        " [{\"type\": \"input_text\", \"text\": \"c\"}]}], \"max_output_tokens\": 3}");
    assert_string_equal(q->texts[0], want);
    assert_int_equal(q->max_tokens, 3);
    cop_question_free(q);
}

static void tools_of_all_families_become_the_same(void **state) {
    (void)state;
    cop_question *q[3] = {
        read_by(cop_question_chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\","
                                   " \"parameters\": {\"type\": \"object\"}}}], \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"f\"}},"
                                   " \"parallel_tool_calls\": false}"),
        read_by(cop_question_messages, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"tools\": [{\"name\": \"f\", \"input_schema\": {\"type\": \"object\"}}],"
                                       " \"tool_choice\": {\"type\": \"tool\", \"name\": \"f\", \"disable_parallel_tool_use\": true}}"),
        read_by(cop_question_responses, "{\"input\": \"a\", \"tools\": [{\"type\": \"function\", \"name\": \"f\", \"parameters\": {\"type\": \"object\"}}],"
                                        " \"tool_choice\": {\"type\": \"function\", \"name\": \"f\"}, \"parallel_tool_calls\": false}"),
    };
    for (int i = 0; i < 3; i++) {
        assert_true(json_equal(q[i]->tools, q[0]->tools));
        assert_int_equal(q[i]->tool_choice, COP_TOOLS_REQUIRED);
        assert_string_equal(q[i]->tool_only, "f");
        assert_true(q[i]->one_call);
        assert_string_equal(q[i]->texts[0], q[0]->texts[0]);
    }
    for (int i = 0; i < 3; i++) cop_question_free(q[i]);
}

static void prompts_are_texts_or_tokens_or_both(void **state) {
    (void)state;
    cop_question *q = read_by(cop_question_text, "{\"prompt\": [\"the\", [97, \"b\", 99], [97]], \"n\": 2}");
    assert_int_equal(q->n_prompts, 3);
    assert_int_equal(q->prompts[1].n, 3);
    assert_string_equal(q->texts[1], "abc");
    cop_question_free(q);
    q = read_by(cop_question_completion, "{\"prompt\": [97, 98], \"n_predict\": 4, \"n_probs\": 2}");
    assert_int_equal(q->n_prompts, 1);
    assert_int_equal(q->prompts[0].n, 2);
    assert_int_equal(q->max_tokens, 4);
    assert_int_equal(q->logprobs, 2);
    cop_question_free(q);
}

static void structure_is_read_in_every_way(void **state) {
    (void)state;
    static const struct { const char *field; cop_structure_kind kind; const char *text; } ways[] = {
        {"\"response_format\": {\"type\": \"text\"}", COP_FREE_TEXT, NULL},
        {"\"response_format\": {\"type\": \"json_object\"}", COP_JSON_OBJECT, NULL},
        {"\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"b\": 1.5, \"a\": 2}}}", COP_JSON_SCHEMA, "{\"b\":1.5,\"a\":2}"},
        {"\"response_format\": {\"type\": \"json_object\", \"schema\": {}}", COP_JSON_SCHEMA, "{}"},
        {"\"json_schema\": {\"type\": \"string\"}", COP_JSON_SCHEMA, "{\"type\":\"string\"}"},
        {"\"grammar\": \"root ::= \\\"a\\\"\"", COP_GRAMMAR, "root ::= \"a\""},
        {"\"grammar\": \"\"", COP_FREE_TEXT, NULL},
        {"\"guided_json\": \"{}\"", COP_JSON_SCHEMA, "{}"},
        {"\"guided_regex\": \"a+\"", COP_REGEX, "a+"},
        {"\"guided_choice\": [\"a\"]", COP_CHOICES, NULL},
        {"\"structured_outputs\": {\"regex\": \"b\"}", COP_REGEX, "b"},
        {"\"structured_outputs\": {\"json_object\": true}", COP_JSON_OBJECT, NULL},
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char body[400];
        snprintf(body, sizeof body, "{\"prompt\": \"a\", %s}", ways[i].field);
        cop_question *q = read_by(cop_question_text, body);
        assert_int_equal(q->structure.kind, ways[i].kind);
        if (ways[i].text) assert_string_equal(q->structure.text, ways[i].text);
        cop_question_free(q);
    }
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const struct { const char *fields, *field, *part; } wrong[] = {
        {"\"temperature\": 101", "temperature", "must be 0 to 100"},
        {"\"top_p\": \"x\"", "top_p", "top_p"},
        {"\"n\": 129", "n", "1 to 128"},
        {"\"stop\": {}", "stop", "stop"},
        {"\"stop\": [1,2]", "stop", "stop"},
        {"\"logit_bias\": {\"999999\": 1}", "logit_bias", "must be 0 to"},
        {"\"logit_bias\": [[1]]", "logit_bias", "[token, bias]"},
        {"\"lora\": [\"three\"]", "lora", "no such adapter"},
        {"\"samplers\": [\"mirostat\"]", "samplers", "mirostat"},
        {"\"response_format\": {\"type\": \"json_schema\"}", "response_format", "without a schema"},
        {"\"guided_regex\": \"a\", \"guided_json\": {}", "guided_regex", "more than once"},
        {"\"logprobs\": 21", "logprobs", "0 to 20"},
        {"\"echo\": true, \"logprobs\": 1", "best_of", "echo"},
        {"\"suffix\": \"x\"", "suffix", "/infill"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char body[400];
        snprintf(body, sizeof body, "{\"prompt\": \"a\", %s}", wrong[i].fields);
        refused_by(cop_question_text, body, wrong[i].field, wrong[i].part);
    }
    refused_by(cop_question_text, "{\"prompt\": [97, 99999]}", "prompt", "prompt[1]: token 99999");
    refused_by(cop_question_text, "{\"prompt\": [\"a\",\"b\"], \"n\": 100}", "prompt", "more than 128");
    refused_by(cop_question_chat, "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}", "messages", "image_url");
    refused_by(cop_question_chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"tool_choice\": \"required\"}", "tool_choice", "without tools");
    refused_by(cop_question_messages, "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}", "messages", "image");
    refused_by(cop_question_responses, "{\"input\": \"a\", \"previous_response_id\": \"r\"}", "previous_response_id", "not kept");
}

static void bytes_that_are_no_text_become_a_replacement(void **state) {
    (void)state;
    json_t *v = cop_clean_json("a\xff\xc3\xa9\xe4", 5);
    assert_string_equal(json_string_value(v), "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
    json_decref(v);
}

static void errors_have_the_form_of_their_family(void **state) {
    (void)state;
    static const struct { cop_dialect dialect; const char *want; } forms[] = {
        {COP_DIALECT_OPENAI, "{\"error\":{\"message\":\"no\",\"type\":\"rate_limit_error\",\"param\":\"p\",\"code\":\"queue_full\"}}"},
        {COP_DIALECT_ANTHROPIC, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"no\"}}"},
        {COP_DIALECT_LLAMA, "{\"error\":{\"code\":429,\"message\":\"no\",\"type\":\"unavailable_error\"}}"},
    };
    for (int i = 0; i < 3; i++) {
        cop_char_array out = {.most = 1000};
        assert_int_equal(cop_append_json(&out, cop_error_json(forms[i].dialect, 429, "p", "no")), COP_OK);
        assert_int_equal(out.n, strlen(forms[i].want));
        assert_memory_equal(out.v, forms[i].want, out.n);
        cop_array_fini(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_means_the_servers_defaults), cmocka_unit_test(every_field_arrives),
        cmocka_unit_test(a_model_that_is_an_adapter_is_that_one_alone), cmocka_unit_test(null_is_as_good_as_absent), cmocka_unit_test(a_conversation_becomes_the_templates_text),
        cmocka_unit_test(families_say_the_same_in_their_words), cmocka_unit_test(tools_of_all_families_become_the_same),
        cmocka_unit_test(prompts_are_texts_or_tokens_or_both), cmocka_unit_test(structure_is_read_in_every_way),
        cmocka_unit_test(what_is_wrong_is_named), cmocka_unit_test(bytes_that_are_no_text_become_a_replacement),
        cmocka_unit_test(errors_have_the_form_of_their_family),
    };
    return cmocka_run_group_tests(tests, open_words, close_words);
}

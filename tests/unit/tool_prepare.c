// Conversations with tools, made what templates expect.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "serve/tools.h"

static const char conversation[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"Paris?\"}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\":"
    " [{\"id\": \"abcdefgh0\", \"type\": \"function\", \"function\": {\"name\": \"w\", \"arguments\": \"{\\\"city\\\": \\\"Paris\\\"}\"}},"
    " {\"id\": \"abcdefgh1\", \"type\": \"function\", \"function\": {\"name\": \"w\", \"arguments\": \"not JSON\"}}]},"
    " {\"role\": \"tool\", \"tool_call_id\": \"abcdefgh0\", \"content\": \"rain\"}, {\"role\": \"tool\", \"content\": \"sun\"}],"
    " \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"w\", \"parameters\": {\"type\": \"object\"}}}]}";

static void assert_prepared(const char *template, const char *text, const char *want) {
    json_t *c = json_loads(text, 0, NULL), *w = json_loads(want, 0, NULL);
    assert_non_null(c);
    assert_non_null(w);
    assert_int_equal(cop_tool_prepare(c, template, cop_tool_format_find(template)), COP_OK);
    json_t *got = json_object_get(c, "messages");
    char line[8192];
    size_t n = json_dumpb(got, line, sizeof line - 1, 0);
    line[n < sizeof line ? n : 0] = 0;
    if (!json_equal(got, w)) fail_msg("%s", line);
    json_decref(c);
    json_decref(w);
}

static void arguments_that_are_texts_become_objects(void **state) {
    (void)state;
    assert_prepared("tools tool_calls", conversation,
                    "[{\"role\": \"user\", \"content\": \"Paris?\"}, {\"role\": \"assistant\", \"content\": \"\", \"tool_calls\":"
                    " [{\"id\": \"abcdefgh0\", \"type\": \"function\", \"function\": {\"name\": \"w\", \"arguments\": {\"city\": \"Paris\"}}},"
                    " {\"id\": \"abcdefgh1\", \"type\": \"function\", \"function\": {\"name\": \"w\", \"arguments\": \"not JSON\"}}]},"
                    " {\"role\": \"tool\", \"tool_call_id\": \"abcdefgh0\", \"content\": \"rain\"}, {\"role\": \"tool\", \"content\": \"sun\"}]");
}

#define TOLD                                                                                                               \
    "You can call these functions, one JSON object in each line:\\n{\\\"name\\\": \\\"w\\\", \\\"parameters\\\": {\\\"type\\\": "   \
    "\\\"object\\\"}}\\nTo call a function, write its name and its arguments, a JSON object, exactly in this form:\\n<tool_call>" \
    "\\n{\\\"name\\\": \\\"NAME\\\", \\\"arguments\\\": {\\\"ARGUMENT\\\": VALUE}}\\n</tool_call>\\nThe result comes in the next "  \
    "message. Call a function only when it helps; otherwise answer in words."

static void a_template_that_knows_no_tools_is_told_in_words(void **state) {
    (void)state;
    assert_prepared("<|im_start|>", conversation,
                    "[{\"role\": \"system\", \"content\": \"" TOLD "\"}, {\"role\": \"user\", \"content\": \"Paris?\"},"
                    " {\"role\": \"assistant\", \"content\": \"<tool_call>\\n{\\\"name\\\": \\\"w\\\", \\\"arguments\\\": {\\\"city\\\":"
                    " \\\"Paris\\\"}}\\n</tool_call>\\n<tool_call>\\n{\\\"name\\\": \\\"w\\\", \\\"arguments\\\": \\\"not JSON\\\"}\\n</tool_call>\"},"
                    " {\"role\": \"user\", \"content\": \"<tool_response>\\nrain\\n</tool_response>\\n<tool_response>\\nsun\\n</tool_response>\","
                    " \"tool_call_id\": \"abcdefgh0\"}]");
    assert_prepared(NULL, "{\"messages\": [{\"role\": \"system\", \"content\": [{\"type\": \"text\", \"text\": \"Be brief.\"}]}],"
                    " \"tools\": [{\"name\": \"w\", \"parameters\": {\"type\": \"object\"}}]}",
                    "[{\"role\": \"system\", \"content\": \"Be brief.\\n\\n" TOLD "\"}]");
    assert_prepared(NULL, "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"tools\": []}", "[{\"role\": \"user\", \"content\": \"x\"}]");
}

static void a_template_with_tools_in_the_system_message_gets_them_there(void **state) {
    (void)state;
    assert_prepared("<|tool|> 'tools' in message tool_calls",
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"tools\": [{\"name\": \"w\"}]}",
                    "[{\"role\": \"system\", \"content\": \"You are a helpful assistant with some tools.\", \"tools\": \"[{\\\"name\\\": \\\"w\\\"}]\"},"
                    " {\"role\": \"user\", \"content\": \"x\"}]");
}

#define ASSISTANT(content, id) "{\"role\": \"assistant\", \"content\": \"" content "\", \"tool_calls\": [{\"id\": \"" id "\", \"function\": {\"name\": \"w\"}}]}"
#define RESULT(id, text) "{\"role\": \"tool\", \"tool_call_id\": \"" id "\", \"content\": \"" text "\"}"

static void calls_of_one_message_are_parted_where_a_template_wants_it(void **state) {
    (void)state;
    assert_prepared("This model only supports single tool-calls at once! tools tool_calls",
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": \"y\", \"tool_calls\":"
                    " [{\"id\": \"a\", \"function\": {\"name\": \"w\"}}, {\"id\": \"b\", \"function\": {\"name\": \"w\"}}]}, "
                    RESULT("b", "2") ", " RESULT("a", "1") ", {\"role\": \"user\", \"content\": \"z\"}]}",
                    "[{\"role\": \"user\", \"content\": \"x\"}, " ASSISTANT("y", "a") ", " RESULT("a", "1") ", " ASSISTANT("", "b") ", " RESULT("b", "2")
                    ", {\"role\": \"user\", \"content\": \"z\"}]");
}

static void a_template_without_a_system_is_told_in_the_first_message(void **state) {
    (void)state;
    assert_prepared("System role not supported",
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"tools\": [{\"name\": \"w\", \"parameters\": {\"type\": \"object\"}}]}",
                    "[{\"role\": \"user\", \"content\": \"" TOLD "\\n\\nx\"}]");
}

static void wrong_tools_are_named(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"{}", "tools: a list"}, {"[3]", "tools[0]: an object"}, {"[{\"type\": \"retrieval\"}]", "tools[0]: type \"retrieval\""},
        {"[{\"type\": \"function\", \"function\": {}}]", "tools[0]: function.name"},
        {"[{\"name\": \"a b\"}]", "tools[0]: function.name"}, {"[{\"name\": \"a\"}, {\"name\": \"a\"}]", "tools[1]: a second function a"},
        {"[{\"name\": \"a\", \"parameters\": 3}]", "tools[0] (a): function.parameters"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *c = json_pack("{s:[], s:o}", "messages", "tools", json_loads(rows[i][0], 0, NULL));
        assert_int_equal(cop_tool_prepare(c, NULL, cop_tool_format_find(NULL)), COP_ERR_ARG);
        if (!strstr(cop_error_text(), rows[i][1])) fail_msg("%s: %s", rows[i][0], cop_error_text());
        json_decref(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_that_are_texts_become_objects),
        cmocka_unit_test(a_template_that_knows_no_tools_is_told_in_words),
        cmocka_unit_test(a_template_with_tools_in_the_system_message_gets_them_there),
        cmocka_unit_test(calls_of_one_message_are_parted_where_a_template_wants_it),
        cmocka_unit_test(a_template_without_a_system_is_told_in_the_first_message),
        cmocka_unit_test(wrong_tools_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

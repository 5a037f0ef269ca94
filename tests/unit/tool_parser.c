// Tool calls and reasoning in streamed text: each format as its template writes it, cut at every character, broken
// in the ways that models break them.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "serve/tools.h"
#include "text/utf8.h"

static const char tools_text[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"parameters\": {\"type\": \"object\", \"properties\":"
    " {\"city\": {\"type\": \"string\"}, \"days\": {\"type\": \"integer\"}, \"unit\": {\"enum\": [\"C\", \"F\"]}}}}},"
    " {\"type\": \"function\", \"function\": {\"name\": \"f\"}}]";

// What came, as one text: content as it is, reasoning in ~ ~, calls as <name:arguments> or <name:arguments! when cut.
typedef struct said {
    char text[8192];
    size_t n;
    cop_tool_event_kind last;
    int calls;
    char id[10];
} said;

static void add(said *s, const char *text, size_t bytes) {
    assert_true(s->n + bytes < sizeof s->text);
    memcpy(s->text + s->n, text, bytes);
    s->text[s->n += bytes] = 0;
}

static void on_event(void *user, const cop_tool_event *e) {
    said *s = user;
    if (s->last == COP_TOOL_REASONING && e->kind != COP_TOOL_REASONING) add(s, "~", 1);
    if (e->kind == COP_TOOL_REASONING && s->last != COP_TOOL_REASONING) add(s, "~", 1);
    s->last = e->kind;
    if (e->kind == COP_TOOL_CALL) {
        assert_int_equal(strlen(e->id), 9);
        memcpy(s->id, e->id, 10);
        assert_int_equal(e->call, s->calls++);
        add(s, "<", 1);
        add(s, e->text, e->bytes);
        add(s, ":", 1);
    } else if (e->kind == COP_TOOL_CALL_END) {
        add(s, e->complete ? ">" : "!", 1);
    } else {
        assert_true(e->bytes > 0);
        assert_int_equal(e->text[e->bytes], 0);
        for (size_t i = 0; i < e->bytes;) {
            int n = cop_utf8_length(e->text + i, e->bytes - i);
            assert_true(n > 0);
            i += (size_t)n;
        }
        add(s, e->text, e->bytes);
    }
}

typedef struct setting {
    const char *format, *think;
    bool opened;
} setting;

// Pieces end at `cut`, or everywhere when it is 0; SIZE_MAX: one piece.
static void parse(const setting *how, const char *text, size_t cut, said *s) {
    *s = (said){.last = COP_TOOL_CONTENT};
    json_t *tools = json_loads(tools_text, 0, NULL);
    cop_tool_parser_options o = {.format = how->format ? cop_tool_format_named(how->format) : NULL,
                                 .reasoning = how->think ? cop_reasoning_find(how->think) : NULL,
                                 .reasoning_opened = how->opened, .tools = tools, .event = on_event, .user = s};
    if (how->format) assert_non_null(o.format);
    cop_tool_parser *p;
    assert_int_equal(cop_tool_parser_new(&p, &o), COP_OK);
    size_t all = strlen(text);
    for (size_t i = 0; i < all;) {
        size_t n = cut == SIZE_MAX ? all : cut && i < cut ? cut - i : cut ? all - i : (size_t)cop_utf8_length(text + i, all - i);
        assert_int_equal(cop_tool_parser_push(p, text + i, n), COP_OK);
        i += n;
    }
    assert_int_equal(cop_tool_parser_finish(p), COP_OK);
    assert_int_equal(cop_tool_parser_calls(p), s->calls);
    if (s->last == COP_TOOL_REASONING) add(s, "~", 1);
    cop_tool_parser_free(p);
    json_decref(tools);
}

static void check(const setting *how, const char *text, const char *want) {
    said s;
    parse(how, text, SIZE_MAX, &s);
    if (strcmp(s.text, want)) fail_msg("%s: %s\ngot:  %s\nwant: %s", how->format, text, s.text, want);
    parse(how, text, 0, &s);
    if (strcmp(s.text, want)) fail_msg("%s, in single characters: %s\ngot:  %s\nwant: %s", how->format, text, s.text, want);
    for (size_t cut = 1; cut < strlen(text); cut++) {
        if (((unsigned char)text[cut] & 0xC0) == 0x80) continue;
        parse(how, text, cut, &s);
        if (strcmp(s.text, want)) fail_msg("%s, cut at %zu: %s\ngot:  %s\nwant: %s", how->format, cut, text, s.text, want);
    }
}

#define ARGS "{\"city\": \"Paris \\\"x\\\"\\nb\", \"days\": 3, \"opt\": {\"a\": [1, true]}}"
#define CALL "<get_weather:" ARGS ">"

typedef struct row {
    const char *format, *text, *want;
} row;

// As the published templates write two calls, or one where a template writes only one.
static void each_format_is_read_as_its_template_writes_it(void **state) {
    (void)state;
    static const row rows[] = {
        {"hermes", "\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": " ARGS "}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": " ARGS "}\n</tool_call>", CALL CALL},
        {"qwen3-coder", "\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis \"x\"\nb\n</parameter>\n<parameter=days>\n3\n</parameter>\n<parameter=opt>\n{\"a\": [1, true]}\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis \"x\"\nb\n</parameter>\n<parameter=days>\n3\n</parameter>\n<parameter=opt>\n{\"a\": [1, true]}\n</parameter>\n</function>\n</tool_call>", CALL CALL},
        {"seed-oss", "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris \"x\"\nb</parameter>\n<parameter=days>3</parameter>\n<parameter=opt>{'a': [1, True]}</parameter>\n</function>\n</seed:tool_call>", CALL},
        {"minimax-m2", "\n<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Paris \"x\"\nb</parameter>\n<parameter name=\"days\">3</parameter>\n<parameter name=\"opt\">{\"a\": [1, true]}</parameter>\n</invoke>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Paris \"x\"\nb</parameter>\n<parameter name=\"days\">3</parameter>\n<parameter name=\"opt\">{\"a\": [1, true]}</parameter>\n</invoke>\n</minimax:tool_call>", CALL CALL},
        {"glm", "\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris \"x\"\nb</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n<arg_key>opt</arg_key>\n<arg_value>{\"a\": [1, true]}</arg_value>\n</tool_call>\n<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris \"x\"\nb</arg_value><arg_key>days</arg_key><arg_value>3</arg_value><arg_key>opt</arg_key><arg_value>{\"a\": [1, true]}</arg_value></tool_call>", CALL CALL},
        {"functionary", "<function=get_weather>" ARGS "</function><function=get_weather>" ARGS "</function>", CALL CALL},
        {"mistral-args", "[TOOL_CALLS]get_weather[CALL_ID]abcdefgh0[ARGS]" ARGS "[TOOL_CALLS]get_weather[ARGS]" ARGS, CALL CALL},
        {"mistral", "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": " ARGS ", \"id\": \"abcdefgh0\"}, {\"name\": \"get_weather\", \"arguments\": " ARGS ", \"id\": \"abcdefgh1\"}]", CALL CALL},
        {"deepseek-r1", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n" ARGS "\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n" ARGS "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", CALL CALL},
        {"deepseek-v3.1", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>" ARGS "<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>" ARGS "<｜tool▁call▁end｜><｜tool▁calls▁end｜>", CALL CALL},
        {"kimi-k2", "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>" ARGS "<|tool_call_end|><|tool_call_begin|>functions.get_weather:1<|tool_call_argument_begin|>" ARGS "<|tool_call_end|><|tool_calls_section_end|>", CALL CALL},
        {"lfm2", "<|tool_call_start|>[get_weather(city='Paris \"x\"\nb', days=3, opt={\"a\": [1, true]}), get_weather(city=\"Paris \\\"x\\\"\\nb\", days=3, opt={'a': [1, True]})]<|tool_call_end|>", CALL CALL},
        {"phi4-mini", "<|tool_call|>[{\"name\": \"get_weather\", \"arguments\": " ARGS "}, {\"name\": \"get_weather\", \"arguments\": " ARGS "}]<|/tool_call|>", CALL CALL},
        {"phi4-mini", "functools[{\"name\": \"get_weather\", \"arguments\": " ARGS "}]", CALL},
        {"granite", "<|tool_call|>[{\"name\": \"get_weather\", \"arguments\": " ARGS "}]", CALL},
        {"nemotron", "<TOOLCALL>[{\"name\": \"get_weather\", \"arguments\": " ARGS "}, {\"name\": \"get_weather\", \"arguments\": " ARGS "}]</TOOLCALL>", CALL CALL},
        {"apriel", "\n<tool_calls>[{\"name\": \"get_weather\", \"arguments\": " ARGS "}]</tool_calls>", CALL},
        {"minimax-m1", "<tool_calls>\n{\"name\": \"get_weather\", \"arguments\": " ARGS "}\n{\"name\": \"get_weather\", \"arguments\": " ARGS "}\n</tool_calls>", CALL CALL},
        {"command-r7b", "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", \"parameters\": " ARGS "},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"get_weather\", \"parameters\": " ARGS "}\n]<|END_ACTION|>", CALL CALL},
        {"firefunction", " functools[{\"name\": \"get_weather\", \"arguments\": " ARGS "}]", CALL},
        {"llama3", "{\"name\": \"get_weather\", \"parameters\": " ARGS "}", CALL},
        {"llama3", "{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": " ARGS "}; {\"name\": \"get_weather\", \"parameters\": " ARGS "}", CALL CALL},
        {"llama3", "<|python_tag|>{\"name\": \"get_weather\", \"parameters\": " ARGS "}", CALL},
        {"llama3", "<|python_tag|>brave_search.call(query=\"a (b), c\")", "<brave_search:{\"query\": \"a (b), c\"}>"},
        {"generic", "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "<f:{}>"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setting how = {.format = rows[i].format};
        check(&how, rows[i].text, rows[i].want);
        char text[4096], want[4096];
        snprintf(text, sizeof text, "Let me see.\n\n%s\n\nDone é.", rows[i].text);
        snprintf(want, sizeof want, "Let me see.%sDone é.", rows[i].want);
        if (!strcmp(rows[i].format, "llama3") && rows[i].text[0] == '{') continue;  // only at the beginning
        check(&how, text, want);
    }
}

static void what_only_looks_like_a_call_is_content(void **state) {
    (void)state;
    static const row rows[] = {
        {"hermes", "a < b and <tool_ and <tool_call", NULL},
        {"hermes", "<tool_call> is a tag", NULL},
        {"hermes", "  <tool_call>\n{\"name\": 3, \"arguments\": {}}\n</tool_call> x", NULL},
        {"hermes", "<tool_call>{\"arguments\": {\"a\": 1}}</tool_call>", NULL},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>", NULL},
        {"hermes", "<tool_call>{\"name\": \"a b\", \"arguments\": {}}</tool_call>", NULL},
        {"hermes", "x <tool_call>{\"nam", NULL},
        {"hermes", "</tool_call>\n", NULL},
        {"hermes", "{\"city\": \"Paris\"}", NULL},
        {"hermes", "{\"name\": \"Bob\", \"arguments\": {}}", NULL},
        {"hermes", "[1, 2] {\"name\": \"f\", \"arguments\": {}}", NULL},
        {"hermes", "x {\"name\": \"f\", \"arguments\": {}}", NULL},
        {"hermes", "```json\n[1]\n```", NULL},
        {"llama3", "{\"name\": \"f\"}", NULL},
        {"llama3", "{\"name\": \"f\", \"param", NULL},
        {"llama3", "<|python_tag|>print(1)", "<print:{!1)"},
        {"qwen3-coder", "<tool_call> <function= <tool_call>\nx", NULL},
        {"mistral", "[TOOL_CALLS] x", NULL},
        {"mistral", "[TOOL_CALLS]x y[ARGS]{", NULL},
        {"lfm2", "<|tool_call_start|>[f", NULL},
        {"deepseek-v3.1", "<｜tool▁calls▁begin｜> é", NULL},
        {"phi4-mini", "functools are fun, functoo", NULL},
        {NULL, "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setting how = {.format = rows[i].format};
        check(&how, rows[i].text, rows[i].want ? rows[i].want : rows[i].text);
    }
}

static void a_call_that_is_cut_or_breaks_is_told_as_such(void **state) {
    (void)state;
    static const row rows[] = {
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b", "<f:{\"a\": \"b!"},
        {"hermes", "<tool_call>{\"name\": \"f\", ", "<f:!"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": ]} x", "<f:{\"a\": !]} x"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}", "<f:{\"a\": 1}!"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}", "<f:{\"a\": 1}>"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}} and more", "<f:{\"a\": 1}>and more"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>x<tool_call>{\"name\": \"f\", \"arguments\": {", "<f:{}>x<f:{!"},
        {"hermes", "<tool_call><tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "<tool_call><f:{}>"},
        {"qwen3-coder", "<function=f>\n<parameter=city>\nPa", "<f:{\"city\": !"},
        {"qwen3-coder", "<function=get_weather>\n<parameter=city>\nPa", "<get_weather:{\"city\": \"Pa!"},
        {"qwen3-coder", "<function=f>\nnonsense", "<f:{!nonsense"},
        {"mistral-args", "[TOOL_CALLS]f[ARGS]{\"a\"", "<f:{\"a\"!"},
        {"lfm2", "<|tool_call_start|>[f(a=1, b=", "<f:{\"a\": 1, \"b\": !"},
        {"lfm2", "<|tool_call_start|>[f(1)]<|tool_call_end|>", "<f:{!1)]<|tool_call_end|>"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setting how = {.format = rows[i].format};
        check(&how, rows[i].text, rows[i].want);
    }
}

static void spellings_that_models_use_become_the_same_call(void **state) {
    (void)state;
    static const row rows[] = {
        {"hermes", "<tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"f\"}</tool_call>", "<f:{\"a\": 1}>"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": \\\"\\u00e9\\\\n\\ud83d\\ude00\\\"}\"}</tool_call>", "<f:{\"a\": \"é\\n😀\"}>"},
        {"hermes", "<tool_call>{\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": {}}}</tool_call>", "<f:{}>"},
        {"hermes", "<tool_call>{\"name\": \"f\"}</tool_call>", "<f:{}>"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>", "<f:{}>"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"two\nlines\"}}</tool_call>", "<f:{\"a\": \"two\\nlines\"}>"},
        {"hermes", "<tool_call>[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"f\", \"arguments\": {}}]</tool_call>", "<f:{}><f:{}>"},
        {"hermes", "{\"name\": \"f\", \"arguments\": {}}", "<f:{}>"},
        {"hermes", "```json\n{\"name\": \"f\", \"arguments\": {}}\n```", "<f:{}>"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {}, \"n\": 1.5e3}</tool_call>", "<f:{}>"},
        {"qwen3-coder", "<function=f>\n</function>", "<f:{}>"},
        {"qwen3-coder", "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", "<f:{}>"},
        {"qwen3-coder", "<function=get_weather><parameter=city>\n42\n\n</parameter><parameter=days>None</parameter><parameter=unit>C</parameter></function>",
         "<get_weather:{\"city\": \"42\\n\", \"days\": null, \"unit\": \"C\"}>"},
        {"qwen3-coder", "<function=f><parameter=a>x < y </par</parameter><parameter=b>\n</parameter></function>", "<f:{\"a\": \"x < y </par\", \"b\": \"\"}>"},
        {"mistral", "[TOOL_CALLS]f{\"a\": 1}", "<f:{\"a\": 1}>"},
        {"lfm2", "<|tool_call_start|>f(a=-1.5, b=None, c=('x', \"y\"), d='it\\'s', e=bare word)<|tool_call_end|>",
         "<f:{\"a\": -1.5, \"b\": null, \"c\": [\"x\", \"y\"], \"d\": \"it's\", \"e\": \"bare word\"}>"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setting how = {.format = rows[i].format};
        check(&how, rows[i].text, rows[i].want);
    }
}

static void reasoning_is_told_apart(void **state) {
    (void)state;
    setting plain = {.think = "</think>"}, opened = {.think = "</think>", .opened = true}, both = {.format = "hermes", .think = "</think>"};
    check(&plain, "<think>\nHm, 1 < 2.\n</think>\n\nYes.", "~Hm, 1 < 2.~Yes.");
    check(&plain, "Yes, <think> is a tag.</think>", "Yes, <think> is a tag.</think>");
    check(&plain, "<think>\n\n</think>\n\nYes.", "Yes.");
    check(&plain, "<think>cut </thi", "~cut </thi~");
    check(&opened, "\nHm.\n</think>\n\nYes.", "~Hm.~Yes.");
    check(&opened, "Hm.", "~Hm.~");
    check(&both, "<think>a <tool_call> perhaps</think>\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "~a <tool_call> perhaps~<f:{}>");
    setting mistral = {.format = "mistral-args", .think = "[/THINK]"};
    check(&mistral, "[THINK]a[/THINK]b[TOOL_CALLS]f[ARGS]{}", "~a~b<f:{}>");
}

static void a_template_tells_its_format(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"{{ '\\n<tool_call>\\n{\"name\": \"' }}", "hermes"}, {"<tool_call> <function= <parameter=", "qwen3-coder"},
        {"[TOOL_CALLS] [ARGS]", "mistral-args"}, {"[TOOL_CALLS]", "mistral"}, {"<|tool|>", "phi4-mini"},
        {"<|start_header_id|> \"parameters\": ", "llama3"}, {"<|im_start|>", "generic"}, {"<|tool_list_start|>[", "lfm2"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_string_equal(cop_tool_format_name(cop_tool_format_find(pairs[i][0])), pairs[i][1]);
    assert_string_equal(cop_tool_format_name(cop_tool_format_find(NULL)), "generic");
    assert_null(cop_tool_format_named("no such"));
    assert_null(cop_reasoning_find("nothing"));
    const cop_reasoning *r = cop_reasoning_find("x</think>");
    assert_true(cop_reasoning_opened(r, "a<think>\n", 9));
    assert_false(cop_reasoning_opened(r, "a<think>\n\n</think>\n\n", 20));
}

static void id_of(uint64_t seed, const char *text, char id[10]) {
    said s = {.last = COP_TOOL_CONTENT};
    cop_tool_parser_options o = {.format = cop_tool_format_named("mistral"), .seed = seed, .event = on_event, .user = &s};
    cop_tool_parser *p;
    assert_int_equal(cop_tool_parser_new(&p, &o), COP_OK);
    assert_int_equal(cop_tool_parser_push(p, text, strlen(text)), COP_OK);
    assert_int_equal(cop_tool_parser_finish(p), COP_OK);
    memcpy(id, s.id, 10);
    cop_tool_parser_free(p);
}

static void ids_are_those_of_the_seed_or_the_models_own(void **state) {
    (void)state;
    static const char text[] = "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}]";
    char a[10], b[10], c[10];
    id_of(1, text, a);
    id_of(1, text, b);
    id_of(2, text, c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    id_of(1, "[TOOL_CALLS]f[CALL_ID]abcdefgh0[ARGS]{}", a);
    assert_string_equal(a, "abcdefgh0");
    id_of(1, "[TOOL_CALLS]f[CALL_ID]no/good!![ARGS]{}", a);
    assert_string_equal(a, b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_is_read_as_its_template_writes_it),
        cmocka_unit_test(what_only_looks_like_a_call_is_content),
        cmocka_unit_test(a_call_that_is_cut_or_breaks_is_told_as_such),
        cmocka_unit_test(spellings_that_models_use_become_the_same_call),
        cmocka_unit_test(reasoning_is_told_apart),
        cmocka_unit_test(a_template_tells_its_format),
        cmocka_unit_test(ids_are_those_of_the_seed_or_the_models_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

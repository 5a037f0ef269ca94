// Fuzzer of the template interpreter.  The input is a template, and behind a zero byte, when there is one, the
// variables as JSON.  Whatever it is, rendering ends within small ceilings, twice in the same way; the output is
// UTF-8, and a failure is one line that leaves the output as it was.
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "text/chat.h"
#include "text/utf8.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char usual[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be <brief>.\"}, {\"role\": \"user\", \"content\": \" h\\u00e9 \\u4e2d\\n\"},"
    " {\"role\": \"assistant\", \"content\": \"<think>x</think>y\", \"tool_calls\": [{\"id\": \"call12345\", \"type\": \"function\","
    " \"function\": {\"name\": \"f\", \"arguments\": {\"a\": [1, 2.5, null, true], \"b\": \"{}\"}}}]}, {\"role\": \"tool\", \"content\": \"1\"}],"
    " \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\":"
    " {\"type\": \"array\"}}, \"required\": [\"a\"]}}}], \"add_generation_prompt\": true, \"bos_token\": \"<s>\", \"eos_token\": \"</s>\","
    " \"n\": 7, \"f\": 2.5, \"s\": \"Hello, World\", \"list\": [3, 1, 2], \"d\": {\"b\": 1, \"a\": [1, {\"x\": null}], \"items\": \"own\"},"
    " \"people\": [{\"name\": \"ann\", \"age\": 31}, {\"name\": \"Bob\", \"age\": 25}], \"empty\": []}";

static void check_text(const cop_char_array *out) {
    for (size_t i = 0; i < out->n;) {
        int n = cop_utf8_length(out->v + i, out->n - i);
        must(n > 0);
        i += (size_t)n;
    }
}

static void check_failure(cop_status st, const cop_char_array *out) {
    must(st == COP_ERR_FORMAT || st == COP_ERR_ARG || st == COP_ERR_LIMIT || st == COP_ERR_UNSUPPORTED);
    must(out->n == 0);
    const char *text = cop_error_text();
    must(*text && !strpbrk(text, "\n\r\t"));
    must(strstr(text, "chat") != NULL);
}

static void render(const char *template, size_t bytes, const json_t *variables) {
    static const struct tm now = {.tm_year = 126, .tm_mon = 6, .tm_mday = 4};
    cop_jinja_options o = {.max_steps = 50000, .max_memory = (size_t)2 << 20, .max_output = 1 << 16, .now = &now};
    cop_char_array out = {.most = 1 << 20}, again = {.most = 1 << 20};
    cop_status st = cop_chat_render_template(NULL, template, bytes, variables, &o, &out);
    if (st) {
        check_failure(st, &out);
    } else {
        must(out.n <= o.max_output);
        check_text(&out);
        must(!cop_chat_render_template(NULL, template, bytes, variables, &o, &again));
        must(again.n == out.n && (!out.n || !memcmp(again.v, out.v, out.n)));
    }
    cop_array_fini(&again);
    cop_array_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *text = (const char *)data, *zero = bytes ? memchr(text, 0, bytes) : NULL;
    size_t n = zero ? (size_t)(zero - text) : bytes;
    json_t *variables = zero ? json_loadb(zero + 1, bytes - n - 1, 0, NULL) : json_loadb(usual, sizeof usual - 1, 0, NULL);
    if (!json_is_object(variables)) {
        json_decref(variables);
        variables = json_loadb(usual, sizeof usual - 1, 0, NULL);
    }
    render(text, n, variables);
    json_decref(variables);
    return 0;
}

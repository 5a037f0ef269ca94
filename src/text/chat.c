// Chat formatting for the templates of the named models.
// A template is recognised by its own text, never by a model's name: the loop of plain ChatML is
// compared letter by letter and its default system text read out of it; the longer templates are
// known by the lines that decide what a conversation without tools becomes.
#include "text/chat.h"

#include <string.h>

#include "text/utf8.h"

#define LOOP "{% for message in messages %}"
#define DEFAULT_BEGIN "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n"
#define DEFAULT_END "<|im_end|>\\n' }}{% endif %}"
#define TURN "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
#define ANSWER "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

typedef enum chat_kind { CHAT_NONE, CHAT_CHATML, CHAT_QWEN, CHAT_GEMMA } chat_kind;

typedef struct chat_form {
    chat_kind kind;
    const char *name;
    cop_span system;  // what stands there when the conversation brings none; .text NULL: nothing
} chat_form;

// Is `what` next?  Where it has \n, files have either these two letters or a line end.
static bool take(const char **at, const char *what) {
    const char *text = *at;
    for (; *what; what++, text++) {
        if (what[0] == '\\' && what[1] == 'n' && *text == '\n') what++;
        else if (*what != *text) return false;
    }
    *at = text;
    return true;
}

// LOOP [default system] TURN ANSWER, exactly.
static bool read_chatml(const char *text, chat_form *form) {
    cop_span system = {0};
    if (!take(&text, LOOP)) return false;
    if (take(&text, DEFAULT_BEGIN)) {
        const char *end = strstr(text, "<|im_end|>");
        if (!end) return false;
        system = (cop_span){text, (size_t)(end - text)};
        if (memchr(text, '\\', system.bytes) || memchr(text, '\'', system.bytes)) return false;
        text = end;
        if (!take(&text, DEFAULT_END)) return false;
    }
    if (!take(&text, TURN) || !take(&text, ANSWER)) return false;
    if (*text == '\n') text++;  // one line end at the end is not part of a template
    if (*text) return false;
    *form = (chat_form){CHAT_CHATML, "chatml", system};
    return true;
}

static bool has(const char *text, const char *part) {
    for (; *text; text++) {
        const char *at = text;
        if (take(&at, part)) return true;
    }
    return false;
}

static bool has_all(const char *text, const char *const *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!has(text, parts[i])) return false;
    return true;
}

static bool read_qwen(const char *text, chat_form *form) {
    static const char system[] = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
    static const char *const parts[] = {
        "{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}",
        "{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}",
        "{%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) or ",
        " or (message.role == \"assistant\" and not message.tool_calls) %}",
        "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}",
        "{{- '<|im_start|>assistant\\n' }}",
    };
    if (!has_all(text, parts, sizeof parts / sizeof parts[0]) || strstr(text, "<think>")) return false;
    *form = (chat_form){CHAT_QWEN, "qwen2.5", {system, sizeof system - 1}};
    return true;
}

static bool read_gemma(const char *text, chat_form *form) {
    static const char *const parts[] = {
        "first_user_prefix", "loop_messages", "set role = \"model\"", "message['content'] | trim",
        "'<start_of_turn>' + role + '\\n'", "'<end_of_turn>\\n'", "'<start_of_turn>model\\n'",
    };
    if (!has_all(text, parts, sizeof parts / sizeof parts[0])) return false;
    *form = (chat_form){CHAT_GEMMA, "gemma", {0}};
    return true;
}

static bool has_control(const cop_tokenizer *tok, const char *name) {
    return cop_tokenizer_is_control(tok, cop_tokenizer_find(tok, name, strlen(name)));
}

static chat_form recognise(const cop_tokenizer *tok) {
    chat_form form = {CHAT_NONE, NULL, {0}};
    const char *text = cop_tokenizer_template(tok);
    if (!text) {
        if (has_control(tok, "<start_of_turn>") && has_control(tok, "<end_of_turn>"))
            form = (chat_form){CHAT_GEMMA, "gemma", {0}};
        return form;
    }
    if (read_chatml(text, &form) || read_qwen(text, &form)) return form;
    read_gemma(text, &form);
    return form;
}

const char *cop_chat_format(const cop_tokenizer *tok) { return recognise(tok).name; }

// ---- rendering ----

static cop_status put(cop_char_array *out, const char *text, size_t bytes) {
    COP_TRY(cop_array_reserve(out, bytes));
    if (bytes) memcpy(out->v + out->n, text, bytes);
    out->n += bytes;
    return COP_OK;
}

static cop_status put_text(cop_char_array *out, const char *text) { return put(out, text, strlen(text)); }

static cop_status put_chatml_turn(cop_char_array *out, const char *role, const char *content, size_t bytes) {
    COP_TRY(put_text(out, "<|im_start|>"));
    COP_TRY(put_text(out, role));
    COP_TRY(put_text(out, "\n"));
    COP_TRY(put(out, content, bytes));
    return put_text(out, "<|im_end|>\n");
}

static cop_status render_chatml(const chat_form *form, const cop_chat_message *messages, size_t n, bool answer,
                                cop_char_array *out) {
    if (form->system.text && strcmp(messages[0].role, "system") != 0)
        COP_TRY(put_chatml_turn(out, "system", form->system.text, form->system.bytes));
    for (size_t i = 0; i < n; i++)
        COP_TRY(put_chatml_turn(out, messages[i].role, messages[i].content, strlen(messages[i].content)));
    return answer ? put_text(out, "<|im_start|>assistant\n") : COP_OK;
}

// What Python's str.strip takes off, which is what the template's trim is.
static bool is_blank(uint32_t c) {
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static cop_span trim(const char *text) {
    size_t begin = 0, end = strlen(text), keep;
    for (int n; begin < end && (n = cop_utf8_length(text + begin, end - begin)); begin += (size_t)n)
        if (!is_blank(cop_utf8_decode(text + begin, n))) break;
    keep = begin;
    for (size_t i = begin; i < end;) {
        int n = cop_utf8_length(text + i, end - i);
        bool blank = n && is_blank(cop_utf8_decode(text + i, n));
        i += n ? (size_t)n : 1;
        if (!blank) keep = i;
    }
    return (cop_span){text + begin, keep - begin};
}

// A system text goes before the first user's, which is how this family was trained.
static cop_status render_gemma(const cop_tokenizer *tok, const cop_chat_message *messages, size_t n, bool answer,
                               cop_char_array *out) {
    size_t first = !strcmp(messages[0].role, "system"), bytes;
    if (cop_tokenizer_bos(tok) >= 0) {
        const char *bos = cop_tokenizer_piece(tok, cop_tokenizer_bos(tok), true, &bytes);
        COP_TRY(put(out, bos, bytes));
    }
    for (size_t i = first; i < n; i++) {
        bool user = !strcmp(messages[i].role, "user");
        if (user != ((i - first) % 2 == 0))
            return cop_fail(COP_ERR_ARG, "message %zu: role %.40s; this model wants user and assistant in turn", i,
                            messages[i].role);
        cop_span content = trim(messages[i].content);
        COP_TRY(put_text(out, "<start_of_turn>"));
        COP_TRY(put_text(out, !strcmp(messages[i].role, "assistant") ? "model" : messages[i].role));
        COP_TRY(put_text(out, "\n"));
        if (first && i == first) {
            COP_TRY(put_text(out, messages[0].content));
            COP_TRY(put_text(out, "\n\n"));
        }
        COP_TRY(put(out, content.text, content.bytes));
        COP_TRY(put_text(out, "<end_of_turn>\n"));
    }
    return answer ? put_text(out, "<start_of_turn>model\n") : COP_OK;
}

static cop_status check_roles(const cop_chat_message *messages, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *role = messages[i].role;
        if (strcmp(role, "system") != 0 && strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
            return cop_fail(COP_ERR_ARG, "message %zu: role %.40s, one of system, user and assistant is possible", i, role);
    }
    return COP_OK;
}

static cop_status render(const chat_form *form, const cop_tokenizer *tok, const cop_chat_message *messages, size_t n,
                         bool answer, cop_char_array *out) {
    if (form->kind == CHAT_GEMMA) return render_gemma(tok, messages, n, answer, out);
    return render_chatml(form, messages, n, answer, out);
}

cop_status cop_chat_render(const cop_tokenizer *tok, const cop_chat_message *messages, size_t n_messages, bool answer,
                           cop_char_array *out) {
    chat_form form = recognise(tok);
    if (!form.kind && !cop_tokenizer_template(tok))
        return cop_fail(COP_ERR_UNSUPPORTED, "chat: the model has no chat template; give the text as it is (--raw)");
    if (!form.kind)
        return cop_fail(COP_ERR_UNSUPPORTED, "chat: the model's template is not one of chatml, qwen2.5 and gemma; "
                                             "give the text as it is (--raw)");
    if (!n_messages) return cop_fail(COP_ERR_ARG, "chat: no messages, at least one is needed");
    COP_TRY(check_roles(messages, n_messages));
    size_t before = out->n;
    cop_status st = render(&form, tok, messages, n_messages, answer, out);
    if (st) out->n = before;
    return st;
}

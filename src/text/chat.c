// Conversations through templates: the variables that a template sees, and the built-in templates.
#include "text/chat.h"

#include <string.h>

#include "text/utf8.h"

typedef struct built_in {
    const char *name, *tokens[2];  // control tokens that tell the family
    const char *template;
} built_in;

static const built_in built_ins[] = {
    {"gemma", {"<start_of_turn>", "<end_of_turn>"},  // a system text stands before the first user's
     "{{ bos_token }}{% set system = '' %}{% set turns = messages %}"
     "{% if messages[0].role == 'system' %}{% set system = messages[0].content + '\\n\\n' %}{% set turns = messages[1:] %}{% endif %}"
     "{% for m in turns %}"
     "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and assistant must take turns') }}{% endif %}"
     "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + (system if loop.first else '') }}"
     "{{ m.content | trim }}{{ '<end_of_turn>\\n' }}{% endfor %}"
     "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"},
    {"chatml", {"<|im_start|>", "<|im_end|>"},
     "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"},
};

static bool has_control(const cop_tokenizer *tok, const char *name) {
    return cop_tokenizer_is_control(tok, cop_tokenizer_find(tok, name, strlen(name)));
}

const char *cop_chat_template(const cop_tokenizer *tok, const char **form) {
    const char *own = cop_tokenizer_template(tok), *name = own ? "template" : NULL;
    for (size_t i = 0; !own && i < sizeof built_ins / sizeof built_ins[0]; i++) {
        if (!has_control(tok, built_ins[i].tokens[0]) || !has_control(tok, built_ins[i].tokens[1])) continue;
        own = built_ins[i].template;
        name = built_ins[i].name;
    }
    if (form) *form = name;
    return own;
}

// ---- variables ----

static cop_status no_memory(void) { return cop_fail(COP_ERR_NOMEM, "chat: cannot allocate"); }

// Put `value`, which is taken, under `key`, unless there is something already.
static cop_status set_default(json_t *object, const char *key, json_t *value) {
    if (json_object_get(object, key)) {
        json_decref(value);
        return COP_OK;
    }
    return value && !json_object_set_new(object, key, value) ? COP_OK : no_memory();
}

static json_t *clean_text(const char *text, size_t bytes) {
    json_t *plain = json_stringn(text, bytes);
    if (plain) return plain;
    cop_char_array clean = {.most = SIZE_MAX / 8};
    for (size_t i = 0; i < bytes;) {
        int n = cop_utf8_length(text + i, bytes - i);
        if (cop_array_reserve(&clean, 4)) break;
        memcpy(clean.v + clean.n, n ? text + i : "\xef\xbf\xbd", n ? (size_t)n : 3);
        clean.n += n ? (size_t)n : 3;
        i += n ? (size_t)n : 1;
    }
    plain = json_stringn(clean.v ? clean.v : "", clean.n);
    cop_array_fini(&clean);
    return plain;
}

static cop_status set_token(json_t *variables, const cop_tokenizer *tok, const char *name, int32_t id) {
    size_t bytes;
    if (id < 0) return COP_OK;
    const char *text = cop_tokenizer_piece(tok, id, true, &bytes);
    return set_default(variables, name, clean_text(text, bytes));
}

// A message without its null members, its reasoning under all the names that templates read it by.
static json_t *copy_message(const json_t *message) {
    static const char *const reasoning[] = {"reasoning_content", "thinking", "reasoning"};
    json_t *copy = json_object(), *source = (json_t *)(uintptr_t)message, *value, *found = NULL;
    const char *key;
    bool failed = !copy;
    json_object_foreach(source, key, value)
        if (!json_is_null(value)) failed = failed || json_object_set(copy, key, value);
    for (int i = 0; i < 3 && !found && copy; i++) found = json_object_get(copy, reasoning[i]);
    if (found) {
        json_incref(found);
        if (!json_object_get(copy, "thinking")) failed = failed || json_object_set(copy, "thinking", found);
        failed = failed || json_object_set_new(copy, "reasoning_content", found);
    }
    if (!failed) return copy;
    json_decref(copy);
    return NULL;
}

static cop_status set_messages(json_t *variables) {
    const json_t *messages = json_object_get(variables, "messages"), *message;
    json_t *copy = json_array();
    size_t i;
    cop_status st = copy ? COP_OK : no_memory();
    if (!json_is_array(messages)) st = cop_fail(COP_ERR_ARG, "chat: \"messages\" must be a list");
    else json_array_foreach(messages, i, message) {
        if (st) break;
        if (!json_is_object(message)) st = cop_fail(COP_ERR_ARG, "chat: message %zu must be an object", i);
        else if (!json_is_string(json_object_get(message, "role"))) st = cop_fail(COP_ERR_ARG, "chat: message %zu has no \"role\"", i);
        else if (json_array_append_new(copy, copy_message(message))) st = no_memory();
    }
    if (!st && json_object_set(variables, "messages", copy)) st = no_memory();
    json_decref(copy);
    return st;
}

static cop_status set_variables(json_t *variables, const cop_tokenizer *tok) {
    COP_TRY(set_messages(variables));
    COP_TRY(set_default(variables, "tools", json_null()));
    COP_TRY(set_default(variables, "documents", json_null()));
    COP_TRY(set_default(variables, "add_generation_prompt", json_false()));
    if (!tok) return COP_OK;
    COP_TRY(set_token(variables, tok, "bos_token", cop_tokenizer_bos(tok)));
    COP_TRY(set_token(variables, tok, "eos_token", cop_tokenizer_eos(tok)));
    COP_TRY(set_token(variables, tok, "unk_token", cop_tokenizer_unk(tok)));
    return set_token(variables, tok, "pad_token", cop_tokenizer_pad(tok));
}

cop_status cop_chat_render_template(const cop_tokenizer *tok, const char *template, size_t bytes, const json_t *conversation,
                                    const cop_jinja_options *options, cop_char_array *out) {
    cop_jinja *parsed;
    if (!json_is_object(conversation)) return cop_fail(COP_ERR_ARG, "chat: a conversation must be an object with \"messages\"");
    COP_TRY(cop_jinja_parse(&parsed, template, bytes));
    json_t *variables = json_object();  // json_copy would not say what it could not copy
    bool copied = variables && !json_object_update(variables, (json_t *)(uintptr_t)conversation);
    cop_status st = copied ? set_variables(variables, tok) : no_memory();
    if (!st) st = cop_jinja_render(parsed, variables, options, out);
    json_decref(variables);
    cop_jinja_free(parsed);
    return st;
}

cop_status cop_chat_render_json(const cop_tokenizer *tok, const json_t *conversation, const cop_jinja_options *options,
                                cop_char_array *out) {
    const char *template = cop_chat_template(tok, NULL);
    if (!template) return cop_fail(COP_ERR_UNSUPPORTED, "chat: the model has no chat template; give the text as it is (--raw)");
    return cop_chat_render_template(tok, template, strlen(template), conversation, options, out);
}

cop_status cop_chat_parse(json_t **out, const char *text, size_t bytes) {
    json_error_t error;
    json_t *v = json_loadb(text, bytes, JSON_ALLOW_NUL, &error);
    if (json_is_array(v)) v = json_pack("{s:o, s:b}", "messages", v, "add_generation_prompt", 1);
    else if (!v && (json_error_code(&error) == json_error_out_of_memory || !error.text[0])) return no_memory();
    else if (!v) return cop_fail(COP_ERR_FORMAT, "conversation: line %d: %s", error.line, error.text);
    *out = v;
    return v ? COP_OK : no_memory();
}

cop_status cop_chat_render(const cop_tokenizer *tok, const cop_chat_message *messages, size_t n_messages, bool answer,
                           cop_char_array *out) {
    if (!n_messages) return cop_fail(COP_ERR_ARG, "chat: no messages, at least one is needed");
    json_t *list = json_array(), *conversation = json_pack("{s:O?, s:b}", "messages", list, "add_generation_prompt", answer);
    cop_status st = list && conversation ? COP_OK : no_memory();
    for (size_t i = 0; i < n_messages && !st; i++) {
        const char *role = messages[i].role, *content = messages[i].content;
        json_t *message = json_pack("{s:o, s:o}", "role", clean_text(role, strlen(role)), "content", clean_text(content, strlen(content)));
        if (json_array_append_new(list, message)) st = no_memory();
    }
    if (!st) st = cop_chat_render_json(tok, conversation, NULL, out);
    json_decref(conversation);
    json_decref(list);
    return st;
}

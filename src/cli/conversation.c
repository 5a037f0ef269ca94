#include "cli/conversation.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "cli/cli.h"

#define MOST_FILE ((size_t)64 << 20)

static cop_status no_memory(void) { return cop_fail(COP_ERR_NOMEM, "conversation: cannot allocate"); }

cop_status cop_conversation_init(cop_conversation *c) {
    *c = (cop_conversation){.messages = json_array()};
    return c->messages ? COP_OK : no_memory();
}

void cop_conversation_fini(cop_conversation *c) {
    json_decref(c->system);
    json_decref(c->messages);
    json_decref(c->more);
    *c = (cop_conversation){0};
}

cop_status cop_conversation_add(cop_conversation *c, const char *role, const char *text, size_t bytes) {
    json_t *message = json_pack("{s:s, s:o}", "role", role, "content", cop_cli_json_text(text, bytes));
    return json_array_append_new(c->messages, message) ? no_memory() : COP_OK;
}

cop_status cop_conversation_set_system(cop_conversation *c, const char *text) {
    json_t *system = *text ? cop_cli_json_text(text, strlen(text)) : NULL;
    if (*text && !system) return no_memory();
    json_decref(c->system);
    c->system = system;
    return COP_OK;
}

static bool is_user(const json_t *messages, size_t i) {
    const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));
    return role && !strcmp(role, "user");
}

size_t cop_conversation_undo(cop_conversation *c) {
    size_t n = json_array_size(c->messages), at = n;
    while (at && !is_user(c->messages, at - 1)) at--;
    if (at) at--;
    for (size_t i = n; i-- > at;) json_array_remove(c->messages, i);
    if (c->hidden > at) c->hidden = at;
    return n - at;
}

void cop_conversation_clear(cop_conversation *c) {
    json_array_clear(c->messages);
    c->hidden = 0;
}

// {"messages": [system, messages from `from` on], further variables}; a new reference.
static json_t *to_json(const cop_conversation *c, size_t from) {
    json_t *all = json_object(), *list = json_array(), *message;
    bool failed = !all || !list || (c->more && json_object_update(all, c->more));
    if (c->system) failed = failed || json_array_append_new(list, json_pack("{s:s, s:O}", "role", "system", "content", c->system));
    for (size_t i = from; !failed && i < json_array_size(c->messages); i++) {
        message = json_array_get(c->messages, i);
        failed = json_array_append(list, message);
    }
    if (!failed && !json_object_set(all, "messages", list)) {
        json_decref(list);
        return all;
    }
    json_decref(list);
    json_decref(all);
    return NULL;
}

cop_status cop_conversation_save(const cop_conversation *c, const char *path) {
    json_t *all = to_json(c, 0);
    if (!all) return no_memory();
    errno = 0;
    int failed = json_dump_file(all, path, JSON_INDENT(1));
    json_decref(all);
    return failed ? cop_fail(COP_ERR_IO, "%s: %s", path, errno ? strerror(errno) : "cannot write") : COP_OK;
}

// Take the messages of a parsed file.
static cop_status adopt(cop_conversation *c, json_t *all) {
    json_t *messages = json_object_get(all, "messages"), *first = json_array_get(messages, 0), *m;
    size_t i;
    if (!json_is_array(messages)) return cop_fail(COP_ERR_FORMAT, "\"messages\" must be a list");
    json_array_foreach(messages, i, m)
        if (!json_is_string(json_object_get(m, "role"))) return cop_fail(COP_ERR_FORMAT, "message %zu has no \"role\"", i);
    json_t *system = NULL, *list = json_array();
    if (!list || json_array_extend(list, (json_t *)(uintptr_t)messages)) {
        json_decref(list);
        return no_memory();
    }
    if (first && !strcmp(json_string_value(json_object_get(first, "role")), "system")) {
        system = json_incref(json_object_get(first, "content"));
        json_array_remove(list, 0);
    }
    const char *template = c->template;
    cop_conversation_fini(c);
    json_object_del(all, "messages");
    json_object_del(all, "add_generation_prompt");
    *c = (cop_conversation){.system = system, .messages = list, .more = json_object_size(all) ? json_incref(all) : NULL, .template = template};
    return COP_OK;
}

cop_status cop_conversation_load(cop_conversation *c, const char *path) {
    char *text;
    size_t bytes;
    json_t *all;
    COP_TRY(cop_file_read(path, MOST_FILE, &text, &bytes));
    cop_status st = cop_chat_parse(&all, text, bytes);
    cop_free(text);
    if (!st) {
        st = adopt(c, all);
        json_decref(all);
    }
    if (st) cop_fail_note("%s", path);
    return st;
}

static cop_status render(const cop_conversation *c, const cop_tokenizer *tok, cop_char_array *out) {
    json_t *all = to_json(c, c->hidden);
    cop_status st = !all || json_object_set_new(all, "add_generation_prompt", json_true()) ? no_memory() : COP_OK;
    if (!st && c->template) st = cop_chat_render_template(tok, c->template, strlen(c->template), all, NULL, out);
    else if (!st) st = cop_chat_render_json(tok, all, NULL, out);
    json_decref(all);
    return st;
}

// The next message that begins a turn behind `from`.
static size_t next_turn(const cop_conversation *c, size_t from) {
    size_t n = json_array_size(c->messages);
    for (from++; from < n && !is_user(c->messages, from);) from++;
    return from;
}

cop_status cop_conversation_fit(cop_conversation *c, const cop_tokenizer *tok, size_t most, cop_token_array *out, size_t *n_hidden) {
    size_t before = c->hidden;
    for (;;) {
        cop_char_array text = {.most = SIZE_MAX / 8};
        out->n = 0;
        cop_status st = render(c, tok, &text);
        if (!st) st = cop_tokenizer_encode(tok, text.v, text.n, true, true, out);
        cop_array_fini(&text);
        *n_hidden = c->hidden - before;
        if (st || out->n <= most) return st;
        size_t next = next_turn(c, c->hidden);
        if (next >= json_array_size(c->messages)) {
            c->hidden = before;
            return cop_fail(COP_ERR_LIMIT, "the message does not fit: %zu tokens with all that must be before it, room for %zu", out->n, most);
        }
        c->hidden = next;
    }
}

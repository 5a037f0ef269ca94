// Conversations of the public interface: JSON in, text or a session's sequence out.
#include <string.h>

#include "engine/session.h"
#include "text/chat.h"

static cop_status render(const cop_engine *e, const char *conversation, size_t bytes, cop_char_array *out) {
    json_t *parsed;
    COP_TRY(cop_chat_parse(&parsed, conversation, bytes));
    cop_status st = cop_chat_render_json(e->tokenizer, parsed, NULL, out);
    json_decref(parsed);
    return st;
}

cop_status cop_engine_render_chat(const cop_engine *e, const char *conversation, size_t conversation_bytes, char *text, size_t max_bytes,
                                  size_t *bytes) {
    cop_char_array out = {.most = SIZE_MAX / 8};
    *bytes = 0;
    cop_status st = render(e, conversation, conversation_bytes, &out);
    if (!st) {
        *bytes = out.n;
        if (out.n && max_bytes) memcpy(text, out.v, out.n < max_bytes ? out.n : max_bytes);
    }
    cop_array_fini(&out);
    return st;
}

cop_status cop_session_set_chat(cop_session *s, const char *conversation, size_t conversation_bytes) {
    cop_char_array text = {.most = SIZE_MAX / 8};
    cop_token_array tokens = {.most = SIZE_MAX / 8};
    cop_status st = render(s->engine, conversation, conversation_bytes, &text);
    if (!st) st = cop_tokenizer_encode(s->engine->tokenizer, text.v, text.n, true, true, &tokens);
    if (!st) st = cop_session_set_tokens(s, tokens.v, tokens.n);
    cop_array_fini(&tokens);
    cop_array_fini(&text);
    return st;
}

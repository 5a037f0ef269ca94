// Chat formatting: messages to the text that a model was trained to continue.
// The templates of the named models, recognised by what their text contains, rendered to the same
// bytes as the template itself.  Not here: an interpreter for arbitrary templates.
#ifndef COP_TEXT_CHAT_H
#define COP_TEXT_CHAT_H

#include "text/tokenizer.h"

typedef struct cop_chat_message {
    const char *role;     // "system", "user", "assistant"
    const char *content;
} cop_chat_message;

typedef COP_ARRAY(char) cop_char_array;

/* Append the rendered conversation to *out (no NUL).  Encode it with add_special and parse_special:
 * where the text begins with bos, encoding adds no second one.
 *
 *   answer  end with the beginning of the assistant's turn
 *
 * COP_ERR_UNSUPPORTED when the model's template is not one of those known here, or it has none.
 * COP_ERR_ARG when a role, or the order of roles, is not what the template takes. */
cop_status cop_chat_render(const cop_tokenizer *tok, const cop_chat_message *messages, size_t n_messages, bool answer,
                           cop_char_array *out);

/* Name of the format that cop_chat_render would use ("chatml", "qwen2.5", ...), or NULL. */
const char *cop_chat_format(const cop_tokenizer *tok);

#endif

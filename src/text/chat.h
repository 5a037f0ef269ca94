// Chat formatting: a conversation to the text that a model was trained to continue.
// The template is the model's own, run by text/jinja.h; a model that carries none gets one that is built in
// when its special tokens tell which family it is of.  The variables are those of the transformers library.
#ifndef COP_TEXT_CHAT_H
#define COP_TEXT_CHAT_H

#include "text/jinja.h"
#include "text/tokenizer.h"

typedef struct cop_chat_message {
    const char *role;     // "system", "user", "assistant"
    const char *content;
} cop_chat_message;

/* Append the rendered conversation to *out (no NUL).  Encode it with add_special and parse_special:
 * where the text begins with bos, encoding adds no second one.
 *
 *   answer  end with the beginning of the assistant's turn
 *
 * COP_ERR_UNSUPPORTED when the model has no template.  COP_ERR_FORMAT when it is not one.  COP_ERR_ARG when it
 * refuses the messages: their order, a role.  Bytes that are not UTF-8 become U+FFFD. */
cop_status cop_chat_render(const cop_tokenizer *tok, const cop_chat_message *messages, size_t n_messages, bool answer,
                           cop_char_array *out);

/* The same for a conversation as JSON: {"messages": [...], "tools": [...], "documents": [...],
 * "add_generation_prompt": false, ...}.  A message is an object with "role" and whatever its template
 * understands; its members that are null count as absent.  Further members are further variables.
 * options: NULL, or the limits and the clock of the rendering. */
cop_status cop_chat_render_json(const cop_tokenizer *tok, const json_t *conversation, const cop_jinja_options *options,
                                cop_char_array *out);

/* As cop_chat_render_json with template[0..bytes) instead of the model's.  tok may be NULL: no special tokens. */
cop_status cop_chat_render_template(const cop_tokenizer *tok, const char *template, size_t bytes, const json_t *conversation,
                                    const cop_jinja_options *options, cop_char_array *out);

/* A conversation from JSON text: an object as above, or the list of messages alone, to which the model is to answer
 * (add_generation_prompt).  A new reference. */
cop_status cop_chat_parse(json_t **out, const char *text, size_t bytes);

/* The template that a model's conversations are rendered with, or NULL.  *form (may be NULL): "template" for its
 * own, or the name of the built-in one. */
const char *cop_chat_template(const cop_tokenizer *tok, const char **form);

#endif

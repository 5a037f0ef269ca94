// A conversation that grows: its messages, what of them fits into a context, its file.
#ifndef COP_CLI_CONVERSATION_H
#define COP_CLI_CONVERSATION_H

#include <jansson.h>

#include "text/chat.h"

typedef struct cop_conversation {
    json_t *system;        // text of the system message, or NULL
    json_t *messages;      // the others, oldest first
    json_t *more;          // further variables of its file, such as tools, or NULL
    size_t hidden;         // oldest messages that the model sees no more
    const char *template;  // borrowed; instead of the model's, or NULL
} cop_conversation;

cop_status cop_conversation_init(cop_conversation *c);
void cop_conversation_fini(cop_conversation *c);

/* Append a message.  Text that is not UTF-8 is mended. */
cop_status cop_conversation_add(cop_conversation *c, const char *role, const char *text, size_t bytes);
/* Replace the system message; an empty text removes it. */
cop_status cop_conversation_set_system(cop_conversation *c, const char *text);
/* Take back the last message of the user and what followed; how many messages that were. */
size_t cop_conversation_undo(cop_conversation *c);
void cop_conversation_clear(cop_conversation *c);  // keeps the system message

/* As JSON that `coppice template` and cop_conversation_load take. */
cop_status cop_conversation_save(const cop_conversation *c, const char *path);
/* On failure the conversation is as it was. */
cop_status cop_conversation_load(cop_conversation *c, const char *path);

/* The tokens of the conversation up to the beginning of an answer, at most `most` of them: the oldest turns are
 * hidden until it fits, *n_hidden messages now.  COP_ERR_LIMIT when the last turn alone does not fit. */
cop_status cop_conversation_fit(cop_conversation *c, const cop_tokenizer *tok, size_t most, cop_token_array *out, size_t *n_hidden);

#endif

// The common part of OpenAI's chat and text forms. object: what the reply or chunk is called, "chat.completion.chunk".
// A json_t that is NULL stands for memory that is gone: what takes it says so.
#ifndef COP_SERVE_OPENAI_H
#define COP_SERVE_OPENAI_H

#include "serve/generation.h"

json_t *cop_openai_whole(cop_generation *g, const char *object, json_t *(*choice)(const cop_choice *c));
json_t *cop_openai_chunk(const cop_generation *g, const char *object, json_t *choices);  // takes choices
/* The last chunk of a choice, which it takes, and the end of the stream. */
cop_status cop_openai_finish(json_t *chunk, const cop_choice *c, cop_char_array *out);
cop_status cop_openai_end(const cop_generation *g, const char *object, cop_char_array *out);

#endif

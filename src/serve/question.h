// Questions: the fields of all families, checked, in one form. Pure functions of the body and of what is served, so
// that they can be tested and fuzzed without an engine.
//
// A field that is not known is ignored, one that is known is checked: type, range, and names it in the error.
// `null` is as good as absent.
#ifndef COP_SERVE_QUESTION_H
#define COP_SERVE_QUESTION_H

#include <jansson.h>

#include "base/json.h"
#include "engine/scheduler.h"
#include "serve/tools.h"

#define COP_MOST_CHOICES 128     // replies to one question
#define COP_MOST_ADAPTERS 8      // of one request
#define COP_MOST_FIELD_BIAS 1024

typedef struct cop_served_adapter {
    const char *path;
    char name[64];
    double scale;
} cop_served_adapter;

/* What questions are read against. */
typedef struct cop_served {
    const cop_tokenizer *tokenizer;
    const char *name;               // of the model
    cop_session_options defaults;   // sampling
    bool seeded;
    int max_tokens;
    const char *template;           // a chat template instead of the model's, or NULL
    size_t template_bytes;
    const char *chat_template;      // the one in force; NULL: the model has none
    const cop_tool_format *format;
    const cop_reasoning *reasoning;
    const cop_served_adapter *adapters;
    int n_adapters;
} cop_served;

typedef enum cop_structure_kind { COP_FREE_TEXT, COP_JSON_OBJECT, COP_JSON_SCHEMA, COP_GRAMMAR, COP_REGEX, COP_CHOICES } cop_structure_kind;

typedef struct cop_structure {
    cop_structure_kind kind;
    char *text;              // owned: the schema, the grammar, the pattern
    size_t bytes;
    const json_t *choices;   // list of texts, of the body
    bool lazy;               // "strict": false: the schema is a wish
} cop_structure;

typedef struct cop_question {
    const cop_served *served;
    json_t *body;                // owned
    const char *field;           // read last: the one an error is about
    bool chat;                   // a conversation, else a text to continue
    cop_session_options session;
    cop_token_array *prompts;    // [n_prompts]
    char **texts;                // [n_prompts] what the prompts were made of, NUL-terminated
    size_t n_prompts;
    int n;                       // replies to each prompt
    uint64_t seed;
    int max_tokens, logprobs, slot;
    bool stream, usage, ignore_end, echo, tell_tokens, timings, show_trees;
    const char *stops[COP_MAX_STOPS];
    int32_t bias_tokens[COP_MOST_FIELD_BIAS];
    float bias_values[COP_MOST_FIELD_BIAS];
    char *lora_texts[COP_MOST_ADAPTERS];
    const char *lora[COP_MOST_ADAPTERS];
    char samplers[128];
    cop_structure structure;
    json_t *tools;               // owned, in OpenAI's nested form, or NULL
    cop_tool_choice tool_choice;
    const char *tool_only;       // the function that must be called, or NULL
    bool one_call, reasoning_opened;
} cop_question;

/* A question from its body; the caller frees it. */
cop_status cop_question_new(cop_question **out, const cop_served *served, const char *body, size_t bytes, size_t most);
void cop_question_free(cop_question *q);  // accepts NULL

/* The fields that families share: sampling, stop, seed, n, drafting, adapters, slot, structure. */
cop_status cop_question_common(cop_question *q);
/* Each family's further fields and its prompt. They call cop_question_common. */
cop_status cop_question_chat(cop_question *q);        // /v1/chat/completions
cop_status cop_question_text(cop_question *q);        // /v1/completions
cop_status cop_question_completion(cop_question *q);  // /completion
cop_status cop_question_infill(cop_question *q);      // /infill
cop_status cop_question_responses(cop_question *q);   // /v1/responses
cop_status cop_question_messages(cop_question *q);    // /v1/messages

/* Helpers of those; each names its field. A number that is absent leaves *out as it is. */
cop_status cop_read_number(cop_question *q, const json_t *object, const char *key, double low, double high, float *out);
cop_status cop_read_int(cop_question *q, const json_t *object, const char *key, int64_t low, int64_t high, int *out);
cop_status cop_read_bool(cop_question *q, const json_t *object, const char *key, bool *out);
cop_status cop_read_text(cop_question *q, const json_t *object, const char *key, const char **out);
cop_status cop_read_stop(cop_question *q, const char *key);
cop_status cop_read_structure(cop_question *q);  // structure.c
cop_status cop_structure_set(cop_question *q, cop_structure_kind kind, const json_t *value);  // a schema, or a text
cop_status cop_response_format(cop_question *q, const json_t *format);  // {"type": "json_schema", ...}
cop_status cop_read_tools(cop_question *q);      // messages.c: OpenAI's tools and tool_choice

/* Add a prompt: text that is tokenised, or tokens. `text` is copied. */
cop_status cop_question_add_text(cop_question *q, const char *text, size_t bytes);
cop_status cop_question_add_tokens(cop_question *q, const json_t *list);
cop_status cop_question_take_tokens(cop_question *q, cop_token_array *tokens);  // leaves the array empty
cop_status cop_question_prompts(cop_question *q, const json_t *prompt);  // a text, or lists of texts and tokens
/* The prompt of a conversation: a list of messages in OpenAI's form, whose parts are joined; the last one is continued
 * when it is the assistant's. extras: further variables of the template. The text is what was rendered. */
cop_status cop_question_add_chat(cop_question *q, const json_t *messages, const json_t *extras);
/* The text alone, for /apply-template. */
cop_status cop_chat_text(cop_question *q, const json_t *messages, const json_t *extras, cop_char_array *out);

#endif

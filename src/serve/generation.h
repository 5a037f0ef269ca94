// What a question sets going: its requests, their text taken apart into content, reasoning and calls, and the form in
// which a family tells them, whole or as a stream.
#ifndef COP_SERVE_GENERATION_H
#define COP_SERVE_GENERATION_H

#include "serve/exchange.h"
#include "serve/question.h"
#include "serve/server_private.h"

typedef struct cop_generation cop_generation;

typedef struct cop_written_call {
    char *id, *name;
    cop_char_array arguments;
} cop_written_call;

typedef struct cop_choice {
    cop_generation *generation;
    int index;
    size_t prompt;                      // number of its prompt
    cop_request *request;               // NULL: it has ended
    cop_tool_parser *parser;            // NULL: all of the text is content
    cop_char_array text, reasoning;     // so far
    COP_ARRAY(cop_written_call) calls;
    COP_ARRAY(cop_event_token) tokens;  // kept when they are told
    size_t told;                        // of the tokens, those that the stream has told
    int n_tokens;
    cop_finish finish;
    int stop;                           // number of the stop string, or -1
    cop_request_stats stats;
    // for forms that tell a reply as a list of parts
    int part, kind;                     // number and kind of the open one
    size_t part_start;
    bool open;
} cop_choice;

typedef struct cop_form {
    cop_dialect dialect;
    const char *prefix;  // of ids
    cop_status (*begin)(cop_generation *g, cop_char_array *out);  // of a stream; may be NULL
    cop_status (*piece)(cop_generation *g, cop_choice *c, const cop_tool_event *piece, cop_char_array *out);
    cop_status (*tree)(cop_generation *g, cop_choice *c, const cop_tree_event *tree, cop_char_array *out);  // of a step; may be NULL
    cop_status (*finish)(cop_generation *g, cop_choice *c, cop_char_array *out);
    cop_status (*end)(cop_generation *g, cop_char_array *out);
    cop_status (*failed)(cop_generation *g, cop_char_array *out);  // in the middle of a stream; NULL: the family's error
    json_t *(*whole)(cop_generation *g);
} cop_form;

struct cop_generation {
    cop_server *server;
    const cop_form *form;
    cop_question *question;   // owned
    struct cop_kept_guide *guide;  // NULL: any text
    cop_choice *choices;      // [n]
    int n, n_ended;
    char id[48];
    time_t created;
    cop_char_array *out;      // of a stream, else NULL
    cop_status status;        // what failed in a callback or a request
    char error[480];
    bool begun;
    int64_t sequence;         // of events that are numbered
    bool (*gone)(void *connection);
    void *connection;
};

/* Answer with what the question asks for, which is taken: the whole reply, or a stream. */
void cop_answer(cop_exchange *x, cop_question *question, const cop_form *form);

// ---- for forms ----
json_t *cop_usage_json(const cop_generation *g);      // OpenAI's
json_t *cop_timings_json(const cop_choice *c);        // llama-server's
json_t *cop_drafting_json(const cop_choice *c);       // the object `coppice`
int cop_prompt_tokens(const cop_generation *g, int *cached);
int cop_written_tokens(const cop_generation *g);
/* Logprobs of the tokens [from, to) of a choice in OpenAI's chat form, and of one token. */
json_t *cop_logprobs_json(const cop_choice *c, size_t from, size_t to, bool with_ids);
json_t *cop_piece_json(const cop_tokenizer *tok, int32_t token);
json_t *cop_calls_json(const cop_choice *c);          // OpenAI's tool_calls
const char *cop_finish_word(const cop_choice *c);      // OpenAI's finish_reason
const char *cop_stop_text(const cop_choice *c);       // NULL: no stop string ended it

#endif

// One question and its reply, without the HTTP library: what routes and their handlers see.
#ifndef COP_SERVE_EXCHANGE_H
#define COP_SERVE_EXCHANGE_H

#include <jansson.h>

#include "base/status.h"
#include "text/chat.h"

struct cop_server;

typedef enum cop_dialect { COP_DIALECT_OPENAI, COP_DIALECT_ANTHROPIC, COP_DIALECT_LLAMA } cop_dialect;  // form of errors

/* A reply that comes in pieces. pull appends to *out, waiting for what comes; *ended: that was the last of it.
 * A failure cuts the connection. close also when it has not ended. */
typedef struct cop_stream_type {
    cop_status (*pull)(void *state, cop_char_array *out, bool *ended);
    void (*close)(void *state);
} cop_stream_type;

typedef struct cop_exchange {
    struct cop_server *server;
    const char *method, *path;    // without the query
    const char *body;             // [body_bytes]
    size_t body_bytes;
    const char *(*query)(const struct cop_exchange *x, const char *name);   // NULL: absent
    const char *(*header)(const struct cop_exchange *x, const char *name);
    bool (*gone)(void *connection);  // has the client hung up
    void *connection;
    cop_dialect dialect;
    // the reply
    int code;
    const char *type;             // of the content
    cop_char_array reply;
    const cop_stream_type *stream;   // NULL: the reply is whole
    void *stream_state;
    int retry_after;              // seconds, 0: none
    const char *allow;            // methods, with 405
    const char *said;             // for the log: what went wrong in a word, or NULL
} cop_exchange;

#define COP_TEXT_JSON "application/json; charset=utf-8"
#define COP_TEXT_EVENTS "text/event-stream; charset=utf-8"

/* Reply with a JSON value, which is taken; NULL: memory is gone. */
void cop_reply_json(cop_exchange *x, int code, json_t *value);
void cop_reply_text(cop_exchange *x, int code, const char *type, const char *text, size_t bytes);
/* Reply with an error in the form of the family. param (may be NULL): the field that is wrong. */
void cop_reply_error(cop_exchange *x, int code, const char *param, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The reply for a failure: what the caller did wrong is 400 or 404, what went wrong here is 500. */
void cop_reply_failure(cop_exchange *x, cop_status status, const char *param);
int cop_http_code(cop_status status);
/* The object that an error is in a reply or in the middle of a stream; a new reference. */
json_t *cop_error_json(cop_dialect dialect, int code, const char *param, const char *message);

/* Text as a JSON string; bytes that are not UTF-8 become U+FFFD. A new reference. */
json_t *cop_clean_json(const char *text, size_t bytes);
cop_status cop_append(cop_char_array *out, const char *text, size_t bytes);
cop_status cop_append_json(cop_char_array *out, json_t *value);  // takes the value; NULL: memory is gone
/* One server-sent event; name NULL: only data. Takes the value. */
cop_status cop_append_event(cop_char_array *out, const char *name, json_t *value);
/* "PREFIX-" and random letters. */
void cop_make_id(char id[48], const char *prefix);
uint64_t cop_random(void);
json_t *cop_reals(double v);  // a number, or null when it is not finite

#endif

// The server: one model behind HTTP, in the forms of OpenAI, Anthropic and llama-server. docs/serve.md lists what it
// answers. One thread per connection; the scheduler (engine/scheduler.h) runs what they ask for side by side.
#ifndef COP_SERVE_SERVER_H
#define COP_SERVE_SERVER_H

#include "engine/scheduler.h"

typedef struct cop_server cop_server;

#define COP_MAX_KEYS 256
#define COP_MAX_SERVED_ADAPTERS 32

/* Texts are borrowed as long as the server lives. */
typedef struct cop_server_options {
    const char *model, *alias;          // as the command line names it; how replies name it, NULL: made from it
    const char *host;
    int port;                           // 0: any that is free
    const char *unix_path;              // instead of host and port
    const char *tls_cert, *tls_key;     // files, both or none
    const char *const *keys;            // [n_keys] API keys; none: everybody may ask
    int n_keys;
    const char *key_file;               // more of them, one a line
    const char *const *cors;            // [n_cors] origins that pages may ask from, "*" for all
    int n_cors;
    int connections;                    // at once
    double timeout;                     // seconds without a byte, and of the whole question, before a connection is closed
    size_t max_body;                    // bytes of a question
    cop_scheduler_options scheduler;
    cop_session_options session;        // sampling where a request does not say otherwise
    bool seeded;                        // session.seed holds for requests without one; else each draws its own
    int max_tokens;                     // of a reply where a request does not say; -1: what the context holds
    const char *const *lora;            // [n_lora] "FILE[:SCALE]"
    int n_lora;
    const char *slot_folder;            // for POST /slots; NULL: refused
    const char *template;               // file of a chat template instead of the model's
    bool metrics, hide_slots;
    const char *page;                   // HTML of "/", NULL: none
    void (*log)(void *user, const char *line);  // a line for each request; NULL: none
    void *user;
} cop_server_options;

cop_server_options cop_server_defaults(void);

/* Binds and begins to answer. A socket that the service manager hands over (LISTEN_FDS) is taken instead of host and
 * port. The engine is borrowed. */
cop_status cop_server_open(cop_server **out, cop_engine *engine, const cop_server_options *options);
const char *cop_server_address(const cop_server *server);  // "http://127.0.0.1:8080", "unix:PATH"
/* A line of curl that works as printed; false when it does not fit. */
bool cop_server_curl(const cop_server *server, char *line, size_t bytes);
void cop_server_tend(cop_server *server);  // to be called about once a second: closes connections that say too little
/* Take no more connections; give running replies `seconds` to end while keep_on(user) is true, then cut them. */
void cop_server_stop(cop_server *server, double seconds, bool (*keep_on)(void *user), void *user);
void cop_server_close(cop_server *server);  // accepts NULL

#endif

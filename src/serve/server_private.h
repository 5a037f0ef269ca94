// The inside of the server, for its own files.
#ifndef COP_SERVE_SERVER_PRIVATE_H
#define COP_SERVE_SERVER_PRIVATE_H

#include <stdatomic.h>
#include <time.h>

#include "base/threads.h"
#include "engine/embedder.h"
#include "serve/exchange.h"
#include "serve/question.h"
#include "serve/server.h"

typedef struct cop_keys cop_keys;
struct MHD_Daemon;

typedef struct cop_connection {
    struct cop_connection *next, *before;
    int fd;
    double since;        // when its question began; 0: it is being answered
} cop_connection;

struct cop_server {
    cop_engine *engine;
    cop_scheduler *scheduler;     // NULL: the model only embeds
    cop_server_options options;
    cop_served served;
    cop_served_adapter *adapters;
    char *adapter_paths[COP_MAX_SERVED_ADAPTERS];
    char name[128];               // of the model
    char *template;
    int32_t shown[COP_TOOL_MOST_TOKENS];
    int n_shown;
    cop_keys *keys;
    struct MHD_Daemon *daemon;
    int listener;
    char address[256], unix_path[128];
    time_t started;
    atomic_int running;           // questions being answered
    atomic_bool stopping, cut;    // no new ones; end those that run
    cop_lock *lock;               // of the connections and of the embedder
    cop_connection *connections;
    cop_lock *guiding;            // of the guides that are kept
    struct cop_kept_guide *guides;
    cop_lock *embedding;
    cop_embedder *embedder;       // opened when it is first asked for
    bool embedder_raw;
};

// ---- listener.c ----
/* A listening socket, from the service manager or as the options say; *address and server->unix_path are filled. */
cop_status cop_listener_open(cop_server *s);
void cop_listener_close(cop_server *s);

// ---- keys.c ----
cop_status cop_keys_new(cop_keys **out, const cop_server_options *options);
void cop_keys_free(cop_keys *keys);
int cop_keys_count(const cop_keys *keys);
/* Is it one of the keys? Takes the same time wherever they differ. */
bool cop_keys_accept(const cop_keys *keys, const char *key, size_t bytes);

// ---- routes.c ----
/* Answer: finds the route, checks method, key and origin, calls the handler. Always leaves a reply. */
void cop_route(cop_exchange *x);
bool cop_origin_allowed(const cop_server *s, const char *origin);

// ---- handlers, by file ----
typedef void cop_handler(cop_exchange *x);
cop_handler cop_serve_chat, cop_serve_text;                                // openai_chat.c, openai_text.c
cop_handler cop_serve_responses;                                           // responses.c
cop_handler cop_serve_messages, cop_serve_count_tokens;                    // anthropic.c
cop_handler cop_serve_completion, cop_serve_infill;                        // llama_forms.c
cop_handler cop_serve_tokenize, cop_serve_detokenize, cop_serve_template;  // words.c
cop_handler cop_serve_embeddings, cop_serve_embedding;                     // embeddings.c
cop_handler cop_serve_health, cop_serve_models, cop_serve_model, cop_serve_props, cop_serve_adapters, cop_serve_page;  // listing.c
cop_handler cop_serve_slots, cop_serve_slot_action;                        // slots.c
cop_handler cop_serve_metrics;                                             // metrics.c

/* Read the body as a question; on failure the reply is there and NULL comes back. */
cop_question *cop_read_question(cop_exchange *x, cop_status (*read)(cop_question *q));

#endif

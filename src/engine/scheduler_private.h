// The inside of the scheduler. Who may touch what: the lock guards the queue, slot descriptions, counters and what a
// request shows to its reader; everything else belongs to the scheduler's thread.
#ifndef COP_ENGINE_SCHEDULER_PRIVATE_H
#define COP_ENGINE_SCHEDULER_PRIVATE_H

#include <stdatomic.h>

#include "base/array.h"
#include "cache/prefix.h"
#include "control/learn.h"
#include "engine/scheduler.h"
#include "engine/stream.h"

#define COP_PROBED 9        // logits that are kept of one step for log-probabilities
#define COP_MOST_TREES 64   // trees that wait for a reader; older ones are dropped

typedef enum cop_request_state { COP_REQUEST_WAITING, COP_REQUEST_READING, COP_REQUEST_WRITING, COP_REQUEST_DONE } cop_request_state;

/* What a request shows: one copy is filled while the reader looks at the other. */
typedef struct cop_pending {
    COP_ARRAY(cop_event_token) tokens;
    COP_ARRAY(char) text;
    COP_ARRAY(cop_tree_event) trees;   // their arrays lie in tree_memory, as offsets until they are shown
    COP_ARRAY(int32_t) tree_memory;    // tokens, parents and fates of all trees
} cop_pending;

struct cop_request {
    cop_scheduler *scheduler;
    cop_request_options options;       // deep copy
    char *key;                         // what a session must have been opened with to serve it
    int32_t *tokens;                   // [n_tokens]
    int n_tokens, max_tokens;
    _Atomic cop_request_state state;
    atomic_bool cancelled;
    cop_request *next;                 // in the queue

    // The scheduler thread's.
    cop_session *s;
    int slot;
    cop_stream stream;
    float *probed;                     // [COP_PROBED][V] or NULL
    int n_probed;
    double rows_seen, tokens_seen;     // of a step, moving
    cop_step_stats counted;            // of the session, when they were last added up
    bool waits;                        // for another request that reads the same beginning
    double submitted, started, read;
    int n_out;

    // Under the lock.
    cop_signal *signal;
    cop_pending pending;
    cop_request_stats stats;
    bool done, told;
    cop_finish finish;
    cop_status status;
    char error[512];
    int stop;

    // The reader's.
    cop_pending shown;
};

typedef struct cop_slot {
    cop_request *request;              // or NULL
    cop_session *session;              // stays for the next request that fits
    char *key;
    int32_t *tokens;                   // [context] of the last request
    int n_tokens, n_prompt;
    cop_request_stats stats;
} cop_slot;

/* Work for the scheduler's thread that somebody waits for. */
typedef struct cop_errand {
    cop_status (*run)(cop_scheduler *k, int slot, const char *path);
    int slot;
    const char *path;
    cop_status status;
    char error[512];
    bool done;
    struct cop_errand *next;
} cop_errand;

struct cop_scheduler {
    cop_engine *engine;
    cop_scheduler_options options;
    char draft[256], verify[256], control[256], cache_type[16];
    cop_cache *cache;
    cop_workspace *ws;
    cop_prefix *prefix;
    int n_pages;
    int max_rows, max_nodes, max_trees;  // of a forward, of a tree, nodes of all trees of a forward
    cop_row *rows;
    cop_cost cost;
    double plain_seconds;                // a forward without prompts, moving; 0: not known
    double row_seconds;                  // one more row of a prompt in a forward
    cop_task *task;

    cop_lock *lock;
    cop_signal *signal;                  // for the scheduler's thread
    cop_signal *errand_done;
    cop_request *first, **last;          // the queue
    cop_errand *errands;
    cop_slot slots[COP_MAX_SLOTS];
    bool closing;
    cop_scheduler_info info;
    double service_seconds;              // of a request, moving
    _Atomic int n_requests;              // not freed
};

/* One forward for everybody (batch.c). */
void cop_batch_step(cop_scheduler *k);

/* request.c */
cop_status cop_request_begin(cop_request *r);               // its session is open: the text begins
void cop_request_deliver(cop_request *r, bool ended);       // what s->verdict emitted
void cop_request_finish(cop_request *r, cop_finish finish, cop_status status);  // status: its text is cop_error_text()

/* scheduler.c: a request that ended leaves its slot. */
void cop_scheduler_leave(cop_scheduler *k, cop_request *r);
uint64_t cop_scheduler_salt(const cop_session *s);

#endif

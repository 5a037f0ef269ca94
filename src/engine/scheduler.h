// The scheduler: many requests, one forward at a time. Each forward holds rows of all of them: chunks of prompts
// that are read, plain rows, and trees. A request's text is what it would be alone, whatever runs beside it.
//
// One thread of its own runs the forwards. Requests are submitted, read and cancelled from any other thread.
// Prefixes that were computed before are shared (cache/prefix.h). Sources: Yu et al. 2022 (Orca) for batching by
// steps; Agrawal et al. 2023 (arXiv:2308.16369) for chunks of prompts beside running streams; Zheng et al. 2023
// (arXiv:2312.07104) for the radix tree of prefixes.
#ifndef COP_ENGINE_SCHEDULER_H
#define COP_ENGINE_SCHEDULER_H

#include "engine/session.h"

typedef struct cop_scheduler cop_scheduler;
typedef struct cop_request cop_request;

typedef struct cop_scheduler_options {
    int slots;              // requests that run at once, 1 … COP_MAX_SLOTS
    int context;            // tokens that each can hold; 0: the model's own, at most 4096
    int cache_tokens;       // tokens of the cache, of running requests and of kept prefixes; 0: slots x context
    int queue;              // requests that may wait; more are refused with COP_ERR_LIMIT
    double gap;             // while a prompt is read, a forward takes at most so many times a forward without it
    const char *cache_type;
    const char *draft, *verify, *control;  // where a request does not say otherwise
} cop_scheduler_options;

#define COP_MAX_SLOTS 64
cop_scheduler_options cop_scheduler_defaults(void);

/* The engine is borrowed. close: running requests end as cancelled; all requests must be freed before. */
cop_status cop_scheduler_open(cop_scheduler **out, cop_engine *engine, const cop_scheduler_options *options);
void cop_scheduler_close(cop_scheduler *scheduler);

typedef struct cop_request_options {
    cop_session_options session;  // sampling, stops, drafting, adapters; context and cache_type are the scheduler's
    const int32_t *tokens;        // [n_tokens] the prompt
    size_t n_tokens;
    int max_tokens;               // < 0: as many as the context holds
    int logprobs;                 // most probable tokens told of each token, 0 … COP_MAX_LOGPROBS; -1: none, not even its own
    bool ignore_end;              // an end token is a token like others
    int slot;                     // -1: any; else only in this one
    int32_t visible[16];          // [n_visible] control tokens whose names are part of the text
    int n_visible;
    bool show_trees;              // events say what each step proposed (cop_event.trees)
} cop_request_options;

#define COP_MAX_LOGPROBS 20

/* Copies what it needs. COP_ERR_ARG: out of range, or the prompt is empty or longer than the context;
 * COP_ERR_LIMIT: the queue is full. The error text is for people. */
cop_status cop_request_submit(cop_request **out, cop_scheduler *scheduler, const cop_request_options *options);

typedef struct cop_logprob {
    int32_t token;
    float logprob;  // natural logarithm, of the model's distribution before penalties and temperature
} cop_logprob;

typedef struct cop_event_token {
    int32_t token;
    size_t text_end;                        // text[0 … text_end) of the event is ready with this token
    float logprob;                          // of this token
    int n_top;
    cop_logprob top[COP_MAX_LOGPROBS];      // most probable first
} cop_event_token;

typedef struct cop_request_stats {
    int prompt_tokens, cached_tokens, tokens;  // cached: of the prompt, not computed now
    int64_t steps, drafted, accepted, rows;    // of drafted tokens, those accepted
    int64_t by_depth[COP_DEPTHS];
    double queue_seconds, prefill_seconds, decode_seconds, draft_seconds;
    int slot;
} cop_request_stats;

typedef struct cop_tree_event {
    int n;                      // nodes, the root first
    const int32_t *tokens, *parents;
    const int32_t *fates;       // cop_fate
} cop_tree_event;

/* What happened since the last event: some tokens, or the end. */
typedef struct cop_event {
    int n_tokens;
    const cop_event_token *tokens;
    const char *text;           // whole UTF-8 characters, may be empty though tokens came
    size_t bytes;
    int n_trees;                // of the steps since the last event, when asked for
    const cop_tree_event *trees;
    bool done;                  // the last event
    cop_finish finish;          // when done
    int stop;                   // number of the stop string that ended it, or -1
    cop_status status;          // when done: COP_OK, or what failed
    const char *error;          // then the sentence for people
} cop_event;

/* Wait for the next event, at most `seconds` (< 0: as long as it takes); the event is valid until the next call.
 * COP_ERR_NOT_FOUND: none came in that time. After the event that is done: COP_ERR_ARG. */
cop_status cop_request_next(cop_request *request, double seconds, cop_event *event);
void cop_request_cancel(cop_request *request);  // ends within one forward; its last event says so
cop_request_stats cop_request_get_stats(const cop_request *request);
void cop_request_free(cop_request *request);    // cancels when it still runs; accepts NULL

typedef struct cop_slot_info {
    bool busy;
    int n_tokens, prompt_tokens;  // in the slot: those of the last request stay until the next one
    cop_request_stats stats;
} cop_slot_info;

typedef struct cop_scheduler_info {
    int slots, running, waiting, context;
    int cache_tokens, cache_tokens_used;      // used: not free, kept prefixes included
    int64_t requests, finished, refused, cancelled;
    int64_t prompt_tokens, cached_tokens, tokens;   // sums of all requests
    int64_t forwards, rows, steps, drafted, accepted, drafts;  // drafts: steps that had a tree
    int64_t by_depth[COP_DEPTHS];
    double prefill_seconds, decode_seconds;
    double wait_seconds;                      // that a request that came now would likely wait; for Retry-After
} cop_scheduler_info;
void cop_scheduler_get_info(const cop_scheduler *scheduler, cop_scheduler_info *info);
cop_status cop_scheduler_get_slot(const cop_scheduler *scheduler, int slot, cop_slot_info *info);

/* Keep the sequence of an idle slot in a file, and bring it back; clear forgets it. COP_ERR_LIMIT: the slot is busy. */
cop_status cop_scheduler_save_slot(cop_scheduler *scheduler, int slot, const char *path);
cop_status cop_scheduler_load_slot(cop_scheduler *scheduler, int slot, const char *path);
cop_status cop_scheduler_clear_slot(cop_scheduler *scheduler, int slot);

#endif

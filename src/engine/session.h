// The engine's own objects, for its files and for the floors above that need the inside (command line,
// benches, server). Users of the library see include/coppice.h only.
//
// A session is one timeline: tokens[0 … n_tokens), of which the cache holds the first `computed`. Between
// steps computed is at most n_tokens - 1: the last token is the next tree's root.
#ifndef COP_ENGINE_SESSION_H
#define COP_ENGINE_SESSION_H

#include "cache/cache.h"
#include "control/control.h"
#include "coppice.h"
#include "draft/draft.h"
#include "draft/follower.h"
#include "guide/guide.h"
#include "model/adapter.h"
#include "model/model.h"
#include "text/tokenizer.h"
#include "verify/verify.h"

#define COP_DEPTHS 32         // depths that are counted apart
#define COP_SESSION_FORKS 8  // contexts that the pages of a session and its forks can hold together
#define COP_MAX_STOPS 16
#define COP_MAX_STOP_BYTES 256

typedef struct cop_loaded_adapter cop_loaded_adapter;  // adapters.c
#define COP_MOST_LORA_SCALE 1000.0

struct cop_engine {
    cop_pool *pool;
    cop_model *model;
    cop_tokenizer *tokenizer;
    cop_model *draft_model;  // a second model, or NULL
    cop_tokenizer *draft_tokenizer;
    char *draft_differs;     // why its tokens are not the model's; NULL: they are
    cop_lock *lock;          // of the list of adapters and of the trie
    cop_vocab_trie *trie;    // of the vocabulary, made when the first guide wants it
    cop_loaded_adapter *adapters;
    bool keep_learnt;        // may write what controllers and drafters learnt into the cache folder
};

typedef struct cop_drafter {
    const cop_drafter_type *type;
    void *state;
    bool started;
} cop_drafter;

typedef struct cop_stop {
    char text[COP_MAX_STOP_BYTES];
    size_t bytes;
} cop_stop;

typedef struct cop_step_stats {
    int64_t steps, rows, proposed, drafted, accepted;  // forwards; their rows; nodes proposed; computed; accepted
    int64_t off_steps;                       // steps in which no drafter was asked
    int64_t by_depth[COP_DEPTHS];            // accepted nodes of depth i + 1
    double draft_seconds, verify_seconds;
} cop_step_stats;

/* What one step did, for those who watch. The tree is the proposed one; fate says what became of each node. */
typedef enum cop_fate { COP_PRUNED, COP_REJECTED, COP_ACCEPTED } cop_fate;
typedef struct cop_watch {
    void (*step)(void *user, const cop_session *session, const cop_tree *proposed, const cop_fate *fates);
    void *user;
} cop_watch;

/* Sees the logits by which each token is decided, in the order of the tokens, before anything changes them. */
typedef struct cop_probe {
    void (*see)(void *user, const float *logits);
    void *user;
} cop_probe;

/* Two models that take turns (engine/switch.c). */
typedef struct cop_switch cop_switch;
typedef struct cop_switch_stats {
    int64_t small_tokens, large_tokens, switches;
} cop_switch_stats;
cop_status cop_switch_open(cop_switch **out, const cop_session *s, const char *text);  // "entropy[:option=value,...]"
void cop_switch_close(cop_switch *w);  // accepts NULL
const cop_option *cop_switch_options(void);
const cop_switch_stats *cop_switch_get_stats(const cop_switch *w);
/* The logits by which the large model decided a token. */
void cop_switch_see(cop_switch *w, const cop_model *large, const float *logits);
/* Is it the small model's turn: then the next token is in s->verdict. */
bool cop_switch_write(cop_switch *w, cop_session *s);

/* A guide at work (engine/guided.c). */
typedef struct cop_guiding cop_guiding;
cop_status cop_guiding_open(cop_guiding **out, cop_guide *guide, int max_nodes, int V);  // guide is borrowed: a fork is kept
void cop_guiding_close(cop_guiding *g);  // accepts NULL
cop_status cop_guiding_begin(cop_session *s);               // before a step: where the text stands
void cop_guiding_propose(cop_session *s);                   // forced text and whole choices
void cop_guiding_prune(cop_session *s, bool *keep);
void cop_guiding_settle(cop_session *s, const int *renamed, int n_before);  // after the tree was pruned
int32_t cop_guiding_decided(const cop_session *s, int node);                // -1: the model decides what follows it
void cop_guiding_mask(cop_session *s, int node, float *logits);
cop_status cop_guiding_end(cop_session *s, const int32_t *tokens, int n);   // what the step emits
bool cop_guiding_complete(const cop_session *s);            // the text so far may end here

struct cop_session {
    cop_engine *engine;
    cop_cache *cache;        // shared by forks
    int *cache_users;        // counts them; NULL: the cache and the workspace belong to the scheduler
    cop_seq *seq;
    cop_workspace *ws;
    int first_row;           // of the tree, in the forward
    int share;               // nodes that a tree may have in this step, 0: max_nodes
    cop_others others;       // that are in the forward, too
    cop_adapter_set adapters;  // in force for all rows
    cop_tree tree;
    cop_row *rows;           // [max_rows]
    bool *keep;              // [max_nodes]
    int *committed;          // [max_nodes + 1] rows of the accepted path
    cop_verdict verdict;
    cop_sampler *sampler;
    const cop_verifier_type *verifier;
    void *verifier_state;
    bool verifier_started;
    bool draws;              // drafters may draw: the verifier knows their distributions
    cop_drafter drafters[COP_MAX_DRAFTERS];
    int n_drafters;
    const cop_controller_type *controller;
    void *controller_state;
    bool controller_started;
    struct cop_cost *cost;   // the scheduler's measurements, or NULL
    cop_step_report report;  // of the step that runs
    bool remember;           // keep what was learnt when the session closes
    cop_guiding *guiding;    // NULL: any text
    cop_switch *turns;       // NULL: the model writes alone
    cop_watch watch;         // step NULL: nobody
    cop_probe probe;         // see NULL: nobody
    bool ignore_end;         // an end token is a token like others
    cop_tree proposed;       // copy for the watcher; empty without one
    cop_fate *fates;         // [max_nodes] or NULL
    int *renamed;            // [max_nodes] node of the proposed tree -> node of the computed one, or -1
    int32_t *tokens;         // [context]
    int n_tokens, n_prompt, context;
    int room;                // tokens that a step may emit, 0: no limit but the context's
    int max_rows, max_nodes; // rows of a prefill chunk; nodes of a tree
    cop_stop stops[COP_MAX_STOPS];
    int n_stops;
    bool hash_logits;
    uint64_t logits_hash;
    cop_step_stats stats;
    cop_session_options options;  // scalars only; its pointers are not kept
};

/* Open and close what --draft, --verify and --control name (engine/plugins.c). */
cop_status cop_session_open_plugins(cop_session *s, const cop_session_options *options);
void cop_session_close_plugins(cop_session *s);
/* Are they there, and are their options in range? */
cop_status cop_session_check_plugins(const cop_engine *engine, const cop_session_options *options);

/* The adapters that specs ("FILE[:SCALE]") name, each read when no session has it yet. give: when they are no longer
 * used, before the engine closes; the set is empty afterwards. share: the same ones for one more user. */
cop_status cop_engine_take_adapters(cop_engine *engine, const char *const *specs, int n, cop_adapter_set *set);
void cop_engine_share_adapters(cop_engine *engine, const cop_adapter_set *from, cop_adapter_set *set);
void cop_engine_give_adapters(cop_engine *engine, cop_adapter_set *set);

/* A guide over the vocabulary of the engine; takes the language, also on failure. */
cop_status cop_engine_guide(cop_guide **out, cop_engine *engine, cop_language *language);

/* Open a session that begins with the sequence of `from` and shares the memory of what is computed of it, like a
 * fork, but with options of its own; context and cache type are those of `from`. */
cop_status cop_session_open_beside(cop_session **out, const cop_session *from, const cop_session_options *options);

/* What sessions of a scheduler share. */
typedef struct cop_session_home {
    cop_cache *cache;
    cop_workspace *ws;
    int max_nodes;           // of a tree
    struct cop_cost *cost;   // measured for all of them, or NULL: each controller measures for itself
} cop_session_home;
cop_status cop_session_open_in(cop_session **out, cop_engine *engine, const cop_session_options *options, const cop_session_home *home);

/* Are these options in range, and are the plug-ins that they name there? What only opening finds out is not checked. */
cop_status cop_session_check(const cop_engine *engine, const cop_session_options *options);

/* An open session for another text: the same options but seed and stop strings. */
cop_status cop_session_restart(cop_session *s, const cop_session_options *options);

/* Drop what a step emitted beyond n_tokens, so that the sequence is what was shown. */
void cop_session_cut(cop_session *s, int n_tokens);

#define COP_GUIDE_SOURCE (COP_MAX_DRAFTERS - 1)  // of nodes that the guide added
/* Who added a node: the drafter's name, or "guide". */
static inline const char *cop_session_source(const cop_session *s, int source) {
    return source < s->n_drafters ? s->drafters[source].type->name : "guide";
}

/* Have every step shown to `watch`; takes memory. */
cop_status cop_session_watch(cop_session *s, cop_watch watch);

/* cop_session_load of a file's bytes (data aligned to 8); drafters keep what they know. */
cop_status cop_session_load_data(cop_session *s, const uint8_t *data, size_t bytes);

/* Tokens that the cache holds. */
static inline int cop_session_computed(const cop_session *s) { return cop_seq_length(s->seq); }

/* Compute what is not yet in the cache, all but the last token: a step with a long known path. `on_chunk`
 * (may be NULL) is called between chunks and may ask to stop (COP_ERR_CANCELLED). */
cop_status cop_session_prefill(cop_session *s, bool (*on_chunk)(void *user, int done, int total), void *user);

/* One turn of the loop: propose, verify, commit. The emitted tokens are s->verdict.tokens[0 … n_tokens)
 * and have joined s->tokens. COP_ERR_LIMIT, nothing changed, when the context is full. Allocates nothing. */
cop_status cop_step(cop_session *s, bool *ended);

/* A step in parts, for a forward that other sessions have rows in. begin: the tree is proposed and its *n_rows rows stand
 * in rows[first_row ...], their slots reserved; on failure nothing changed. end: after the forward, which had
 * n_forward rows (0: its time says nothing, a prompt was read in it) and took `seconds`; it fails, with nothing
 * emitted, when the guide does. */
cop_status cop_step_begin(cop_session *s, cop_row *rows, int first_row, int *n_rows);
cop_status cop_step_end(cop_session *s, int n_forward, double seconds, bool *ended);

/* The next n tokens that the cache lacks as rows[first_row ...]; after the forward cop_seq_commit(s->seq, NULL, n). */
cop_status cop_prefill_begin(cop_session *s, cop_row *rows, int first_row, int n);

#endif

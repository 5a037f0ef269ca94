// The scheduler: its thread, the queue, the slots. A forward is batch.c's, a request's own side request.c's.
#include "engine/scheduler.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/scheduler_private.h"

#define FORWARD_ROWS 256   // rows of a forward
#define TREE_NODES 64      // of one request
#define PROMPT_ROWS 32     // of a prompt, that are measured
#define LEAST_TREES 96     // nodes of all trees of a forward, at least; their logits are kept

cop_scheduler_options cop_scheduler_defaults(void) {
    return (cop_scheduler_options){.slots = 8, .queue = 128, .gap = 2.5, .draft = "auto"};
}

uint64_t cop_scheduler_salt(const cop_session *s) { return cop_adapter_set_hash(&s->adapters); }

// ---- opening --------------------------------------------------------------------------------------

static cop_status check(const cop_engine *e, cop_scheduler_options *o) {
    if (o->slots < 1 || o->slots > COP_MAX_SLOTS) return cop_fail(COP_ERR_ARG, "parallel requests: %d, must be 1 to %d", o->slots, COP_MAX_SLOTS);
    if (!o->context) o->context = e->model->desc.max_positions < 4096 ? e->model->desc.max_positions : 4096;
    if (o->context < 2 || o->context > 1 << 22) return cop_fail(COP_ERR_ARG, "context: %d, must be 2 to %d", o->context, 1 << 22);
    if (e->model->desc.positions == COP_POSITION_LEARNED && o->context > e->model->desc.max_positions)
        return cop_fail(COP_ERR_ARG, "context: %d, this model has %d positions", o->context, e->model->desc.max_positions);
    if (o->queue < 0 || o->queue > 1 << 20) return cop_fail(COP_ERR_ARG, "queue: %d, must be 0 to %d", o->queue, 1 << 20);
    if (!(o->gap >= 1 && o->gap <= 1000)) return cop_fail(COP_ERR_ARG, "gap: %g, must be 1 to 1000", o->gap);
    int64_t least = o->context + COP_PAGE, most = (int64_t)1 << 30, tokens = o->cache_tokens;
    if (!tokens) tokens = (int64_t)o->slots * o->context < most ? (int64_t)o->slots * o->context : most;
    if (tokens < o->context || tokens > most)
        return cop_fail(COP_ERR_ARG, "cache: %lld tokens, must be %d to %lld", (long long)tokens, o->context, (long long)most);
    o->cache_tokens = (int)(tokens > least ? tokens : least);
    return COP_OK;
}

static cop_status copy_text(char *to, size_t size, const char **text, const char *what) {
    if (!*text) return COP_OK;
    if (strlen(*text) >= size) return cop_fail(COP_ERR_ARG, "%s of %zu letters, at most %zu", what, strlen(*text), size - 1);
    memcpy(to, *text, strlen(*text) + 1);
    *text = to;
    return COP_OK;
}

static cop_status copy_texts(cop_scheduler *k) {
    cop_scheduler_options *o = &k->options;
    COP_TRY(copy_text(k->draft, sizeof k->draft, &o->draft, "drafter"));
    COP_TRY(copy_text(k->verify, sizeof k->verify, &o->verify, "verifier"));
    COP_TRY(copy_text(k->control, sizeof k->control, &o->control, "controller"));
    COP_TRY(copy_text(k->cache_type, sizeof k->cache_type, &o->cache_type, "cache type"));
    const cop_session_options plugins = {.draft = o->draft, .verify = o->verify, .control = o->control};
    return cop_session_check_plugins(k->engine, &plugins);
}

static cop_status open_memory(cop_scheduler *k) {
    const cop_scheduler_options *o = &k->options;
    cop_cache_shape shape = cop_model_cache_shape(k->engine->model, COP_KV_F16);
    if (o->cache_type) COP_TRY(cop_kv_type_parse(&shape.type, o->cache_type));
    // Trees stand behind the committed tokens for the time of a forward: two pages for each request.
    k->n_pages = (o->cache_tokens + COP_PAGE - 1) / COP_PAGE + 3 * o->slots;
    COP_TRY(cop_cache_new(&k->cache, &shape, k->n_pages));
    COP_TRY(cop_prefix_new(&k->prefix, k->cache, k->n_pages));
    k->max_nodes = TREE_NODES;
    k->max_trees = LEAST_TREES > o->slots ? LEAST_TREES : o->slots;
    k->max_rows = FORWARD_ROWS;
    COP_TRY(cop_workspace_new(&k->ws, k->engine->model, k->max_rows, k->max_trees, o->context + k->max_rows));
    k->rows = cop_alloc_array((size_t)k->max_rows, sizeof *k->rows);
    if (!k->rows) return cop_fail(COP_ERR_NOMEM, "scheduler: cannot allocate");
    for (int i = 0; i < o->slots; i++) {
        k->slots[i].tokens = cop_alloc_array((size_t)o->context, sizeof(int32_t));
        if (!k->slots[i].tokens) return cop_fail(COP_ERR_NOMEM, "scheduler: cannot allocate");
    }
    return COP_OK;
}

// Seconds of a forward of n rows behind nothing; logits: of all, or of none, as when a prompt is read.
static cop_status time_forward(cop_scheduler *k, cop_seq *seq, int n, bool logits, double *seconds) {
    for (int i = 0; i < n; i++) k->rows[i] = (cop_row){.seq = seq, .token = 0, .parent = i - 1, .want_logits = logits};
    COP_TRY(cop_seq_reserve(seq, n));
    double start = cop_clock();
    cop_status st = cop_model_forward(k->engine->model, k->ws, k->rows, n, NULL);
    *seconds = cop_clock() - start;
    cop_seq_truncate(seq, 0);
    return st;
}

// What a forward costs by its rows, measured once: prompts and drafts are sized by it from the first request on. The
// first forward of a size also touches the memory that it needs.
static cop_status measure_widths(cop_scheduler *k, cop_seq *seq) {
    static const int widths[] = {1, 1, 1, 1, 2, 4, 8, 16, 32, 64};
    bool drafts = k->options.draft && strcmp(k->options.draft, "none");
    int most = k->options.context < PROMPT_ROWS ? k->options.context : PROMPT_ROWS;
    double seconds, plain = 0;
    for (size_t w = 0; w < (drafts ? sizeof widths / sizeof *widths : 4); w++) {
        int n = widths[w] < k->options.context ? widths[w] : k->options.context;
        COP_TRY(time_forward(k, seq, n, true, &seconds));
        if (w) cop_cost_add(&k->cost, n, seconds);  // the first one warms up
        if (w && n == 1) plain = plain > 0 && plain < seconds ? plain : seconds;
    }
    for (int i = 0; i < 2; i++) COP_TRY(time_forward(k, seq, most, false, &seconds));
    k->plain_seconds = plain;
    if (most > 1 && seconds > plain) k->row_seconds = (seconds - plain) / (most - 1);
    return COP_OK;
}

static cop_status measure_cost(cop_scheduler *k) {
    cop_seq *seq;
    cop_cost_init(&k->cost);
    COP_TRY(cop_seq_new(&seq, k->cache, k->options.context));
    cop_status st = measure_widths(k, seq);
    cop_seq_free(seq);
    return st;
}

static void run(void *arg);

static cop_status open_scheduler(cop_scheduler *k) {
    COP_TRY(check(k->engine, &k->options));
    COP_TRY(copy_texts(k));
    COP_TRY(open_memory(k));
    COP_TRY(measure_cost(k));
    COP_TRY(cop_lock_new(&k->lock));
    COP_TRY(cop_signal_new(&k->signal));
    COP_TRY(cop_signal_new(&k->errand_done));
    k->info.slots = k->options.slots;
    k->info.context = k->options.context;
    k->info.cache_tokens = k->n_pages * COP_PAGE;
    COP_TRY(cop_task_new(&k->task));
    cop_task_start(k->task, run, k);
    return COP_OK;
}

cop_status cop_scheduler_open(cop_scheduler **out, cop_engine *engine, const cop_scheduler_options *options) {
    *out = NULL;
    cop_scheduler *k = cop_alloc(sizeof *k);
    if (!k) return cop_fail(COP_ERR_NOMEM, "scheduler: cannot allocate");
    k->engine = engine;
    k->options = options ? *options : cop_scheduler_defaults();
    k->last = &k->first;
    cop_status st = open_scheduler(k);
    if (st) {
        cop_scheduler_close(k);
        return st;
    }
    *out = k;
    return COP_OK;
}

void cop_scheduler_close(cop_scheduler *k) {
    if (!k) return;
    if (k->task) {
        cop_lock_take(k->lock);
        k->closing = true;
        cop_signal_raise(k->signal);
        cop_lock_give(k->lock);
        cop_task_free(k->task);
    }
    for (int i = 0; i < COP_MAX_SLOTS; i++) {
        cop_session_close(k->slots[i].session);
        cop_free(k->slots[i].key);
        cop_free(k->slots[i].tokens);
    }
    cop_prefix_free(k->prefix);
    cop_workspace_free(k->ws);
    cop_cache_free(k->cache);
    cop_free(k->rows);
    cop_signal_free(k->signal);
    cop_signal_free(k->errand_done);
    cop_lock_free(k->lock);
    cop_free(k);
}

// ---- slots ----------------------------------------------------------------------------------------

static int pages_of(int n_tokens) { return (n_tokens + COP_PAGE - 1) / COP_PAGE; }

// Pages that running requests may still take.
static int promised(const cop_scheduler *k) {
    int n = 0;
    for (int i = 0; i < k->options.slots; i++) {
        const cop_request *r = k->slots[i].request;
        if (r) n += pages_of(r->n_tokens + r->max_tokens) - pages_of(cop_session_computed(r->s)) + 1;
    }
    return n;
}

static bool fits(const cop_scheduler *k, const cop_request *r) {
    int running = 0;
    for (int i = 0; i < k->options.slots; i++) running += k->slots[i].request != NULL;
    if (!running) return true;  // alone it may have everything
    return promised(k) + pages_of(r->n_tokens + r->max_tokens) + 1 <= cop_cache_pages_free(k->cache) + cop_prefix_spare(k->prefix) - 2 * k->options.slots;
}

// A free slot for it: the one it asks for, one whose session fits, any; -1.
static int free_slot(const cop_scheduler *k, const cop_request *r) {
    if (r->options.slot >= 0) return k->slots[r->options.slot].request ? -1 : r->options.slot;
    int any = -1;
    for (int i = 0; i < k->options.slots; i++) {
        const cop_slot *slot = &k->slots[i];
        if (slot->request) continue;
        if (slot->key && !strcmp(slot->key, r->key)) return i;
        if (any < 0 || (k->slots[any].session && !slot->session)) any = i;
    }
    return any;
}

static cop_status open_session(cop_scheduler *k, cop_slot *slot, const cop_request *r) {
    const cop_session_options *o = &r->options.session;
    if (slot->session && slot->key && !strcmp(slot->key, r->key) && !o->n_bias) return cop_session_restart(slot->session, o);
    cop_session_close(slot->session);
    cop_free(slot->key);
    slot->session = NULL;
    slot->key = NULL;
    cop_session_options options = *o;
    options.context = k->options.context;
    const cop_session_home home = {k->cache, k->ws, k->max_nodes, k->cost.n_plain ? &k->cost : NULL};
    COP_TRY(cop_session_open_in(&slot->session, k->engine, &options, &home));
    if (!o->n_bias) slot->key = cop_text_copy(r->key, strlen(r->key));
    return COP_OK;
}

// A request gets its slot. Not under the lock: opening a session may take a while.
static void enter(cop_scheduler *k, cop_request *r, int at) {
    cop_slot *slot = &k->slots[at];
    r->started = cop_clock();
    cop_status st = open_session(k, slot, r);
    cop_session *s = slot->session;
    if (!st) st = cop_session_add_tokens(s, r->tokens, (size_t)r->n_tokens);
    r->s = st ? NULL : s;
    if (!st) st = cop_request_begin(r);
    if (st) {
        r->s = NULL;
        cop_request_finish(r, COP_FINISH_CANCELLED, st);
        return;
    }
    int cached = cop_prefix_take(k->prefix, cop_scheduler_salt(s), r->tokens, r->n_tokens - 1, s->seq);
    cop_lock_take(k->lock);
    slot->request = r;
    r->slot = r->stats.slot = at;
    r->stats.queue_seconds = r->started - r->submitted;
    r->stats.cached_tokens = cached;
    k->info.running++;
    k->info.prompt_tokens += r->n_tokens;
    cop_lock_give(k->lock);
    r->state = COP_REQUEST_READING;
}

void cop_scheduler_leave(cop_scheduler *k, cop_request *r) {
    cop_slot *slot = &k->slots[r->slot];
    cop_session *s = r->s;
    cop_prefix_keep(k->prefix, cop_scheduler_salt(s), s->tokens, s->seq);
    cop_lock_take(k->lock);
    slot->n_tokens = s->n_tokens;
    slot->n_prompt = r->n_tokens;
    memcpy(slot->tokens, s->tokens, (size_t)s->n_tokens * sizeof *slot->tokens);
    slot->request = NULL;
    slot->stats = r->stats;
    k->info.cached_tokens += r->stats.cached_tokens;
    k->info.running--;
    double took = cop_clock() - r->started;
    k->service_seconds += (took - k->service_seconds) * (k->service_seconds > 0 ? 0.1 : 1);
    cop_lock_give(k->lock);
    cop_seq_truncate(s->seq, 0);
    s->watch = (cop_watch){0};
    s->probe = (cop_probe){0};
    r->s = NULL;
}

// ---- the thread -----------------------------------------------------------------------------------

// Take the first request of the queue that can run now; with the lock taken. *slot < 0: it was cancelled.
static cop_request *take_next(cop_scheduler *k, int *slot) {
    for (cop_request **link = &k->first; *link; link = &(*link)->next) {
        cop_request *r = *link;
        *slot = -1;
        bool gone = atomic_load(&r->cancelled) || k->closing;
        if (!gone) {
            *slot = free_slot(k, r);
            if (*slot < 0 && r->options.slot >= 0) continue;  // its own slot is busy: others may pass
            if (*slot < 0 || !fits(k, r)) return NULL;
        }
        *link = r->next;
        if (!*link) k->last = link;
        k->info.waiting--;
        return r;
    }
    return NULL;
}

static void admit(cop_scheduler *k) {
    for (;;) {
        int slot;
        cop_lock_take(k->lock);
        cop_request *r = take_next(k, &slot);
        cop_lock_give(k->lock);
        if (!r) return;
        if (slot < 0) cop_request_finish(r, COP_FINISH_CANCELLED, COP_OK);
        else enter(k, r, slot);
    }
}

static void do_errands(cop_scheduler *k) {
    for (;;) {
        cop_lock_take(k->lock);
        cop_errand *e = k->errands;
        if (e) k->errands = e->next;
        cop_lock_give(k->lock);
        if (!e) return;
        e->status = e->run(k, e->slot, e->path);
        if (e->status) snprintf(e->error, sizeof e->error, "%s", cop_error_text());
        cop_lock_take(k->lock);
        e->done = true;
        cop_signal_raise(k->errand_done);
        cop_lock_give(k->lock);
    }
}

static bool wait_for_work(cop_scheduler *k) {
    cop_lock_take(k->lock);
    while (!k->closing && !k->info.running && !k->first && !k->errands) cop_signal_wait(k->signal, k->lock, -1);
    bool go_on = !k->closing;
    cop_lock_give(k->lock);
    return go_on;
}

static void run(void *arg) {
    cop_scheduler *k = arg;
    while (wait_for_work(k)) {
        do_errands(k);
        admit(k);
        cop_batch_step(k);
        cop_lock_take(k->lock);
        k->info.cache_tokens_used = (k->n_pages - cop_cache_pages_free(k->cache)) * COP_PAGE;
        cop_lock_give(k->lock);
    }
    for (int i = 0; i < k->options.slots; i++)
        if (k->slots[i].request) cop_request_finish(k->slots[i].request, COP_FINISH_CANCELLED, COP_OK);
    admit(k);  // those that wait end as cancelled
    do_errands(k);
}

// ---- looking and errands --------------------------------------------------------------------------

void cop_scheduler_get_info(const cop_scheduler *scheduler, cop_scheduler_info *info) {
    cop_lock_take(scheduler->lock);
    *info = scheduler->info;
    info->wait_seconds = scheduler->service_seconds * (info->waiting + 1) / scheduler->options.slots;
    cop_lock_give(scheduler->lock);
}

cop_status cop_scheduler_get_slot(const cop_scheduler *k, int slot, cop_slot_info *info) {
    if (slot < 0 || slot >= k->options.slots) return cop_fail(COP_ERR_ARG, "slot %d, there are 0 to %d", slot, k->options.slots - 1);
    const cop_slot *s = &k->slots[slot];
    cop_lock_take(k->lock);
    *info = (cop_slot_info){.busy = s->request != NULL, .n_tokens = s->n_tokens, .prompt_tokens = s->n_prompt, .stats = s->stats};
    if (s->request) {
        info->stats = s->request->stats;
        info->prompt_tokens = s->request->n_tokens;
        info->n_tokens = s->request->n_tokens + info->stats.tokens;
    }
    cop_lock_give(k->lock);
    return COP_OK;
}

static cop_status send(cop_scheduler *k, cop_status (*work)(cop_scheduler *, int, const char *), int slot, const char *path) {
    if (slot < 0 || slot >= k->options.slots) return cop_fail(COP_ERR_ARG, "slot %d, there are 0 to %d", slot, k->options.slots - 1);
    cop_errand e = {.run = work, .slot = slot, .path = path};
    cop_lock_take(k->lock);
    if (k->closing) {
        cop_lock_give(k->lock);
        return cop_fail(COP_ERR_CANCELLED, "slot %d: the server is stopping", slot);
    }
    cop_errand **last = &k->errands;
    while (*last) last = &(*last)->next;
    *last = &e;
    cop_signal_raise(k->signal);
    while (!e.done) cop_signal_wait(k->errand_done, k->lock, -1);
    cop_lock_give(k->lock);
    return e.status ? cop_fail(e.status, "%s", e.error) : COP_OK;
}

// An idle slot's session, opened when it has none yet.
static cop_status idle_session(cop_scheduler *k, int slot, cop_session **out) {
    cop_slot *s = &k->slots[slot];
    if (s->request) return cop_fail(COP_ERR_LIMIT, "slot %d is busy", slot);
    if (!s->session) {
        cop_session_options o = cop_session_defaults();
        o.context = k->options.context;
        o.remember = 0;
        const cop_session_home home = {k->cache, k->ws, k->max_nodes, NULL};
        COP_TRY(cop_session_open_in(&s->session, k->engine, &o, &home));
    }
    *out = s->session;
    return COP_OK;
}

static void empty(cop_session *s) {
    cop_seq_truncate(s->seq, 0);
    s->n_tokens = s->n_prompt = 0;
}

static cop_status save_slot(cop_scheduler *k, int slot, const char *path) {
    cop_session *s;
    COP_TRY(idle_session(k, slot, &s));
    const cop_slot *from = &k->slots[slot];
    empty(s);
    if (!from->n_tokens) return cop_fail(COP_ERR_ARG, "slot %d is empty", slot);
    COP_TRY(cop_session_add_tokens(s, from->tokens, (size_t)from->n_tokens));
    // What of it is no longer kept is computed again when the slot is used.
    cop_prefix_take(k->prefix, cop_scheduler_salt(s), s->tokens, s->n_tokens - 1, s->seq);
    cop_status st = cop_session_save(s, path);
    empty(s);
    return st;
}

static cop_status load_slot(cop_scheduler *k, int slot, const char *path) {
    cop_session *s;
    COP_TRY(idle_session(k, slot, &s));
    cop_slot *to = &k->slots[slot];
    empty(s);
    cop_prefix_release(k->prefix, pages_of(k->options.context));
    cop_status st = cop_session_load(s, path);
    if (!st) {
        cop_prefix_keep(k->prefix, cop_scheduler_salt(s), s->tokens, s->seq);
        cop_lock_take(k->lock);
        memcpy(to->tokens, s->tokens, (size_t)s->n_tokens * sizeof *to->tokens);
        to->n_tokens = s->n_tokens;
        to->n_prompt = s->n_prompt;
        cop_lock_give(k->lock);
    }
    empty(s);
    return st;
}

static cop_status clear_slot(cop_scheduler *k, int slot, const char *path) {
    (void)path;
    if (k->slots[slot].request) return cop_fail(COP_ERR_LIMIT, "slot %d is busy", slot);
    cop_lock_take(k->lock);
    k->slots[slot].n_tokens = k->slots[slot].n_prompt = 0;
    cop_lock_give(k->lock);
    return COP_OK;
}

cop_status cop_scheduler_save_slot(cop_scheduler *k, int slot, const char *path) { return send(k, save_slot, slot, path); }
cop_status cop_scheduler_load_slot(cop_scheduler *k, int slot, const char *path) { return send(k, load_slot, slot, path); }
cop_status cop_scheduler_clear_slot(cop_scheduler *k, int slot) { return send(k, clear_slot, slot, NULL); }

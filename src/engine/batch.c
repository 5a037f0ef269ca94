// One forward for all requests: their trees, and as much of the prompts that wait as the streams beside them allow.
#include <string.h>

#include "base/clock.h"
#include "engine/scheduler_private.h"

#define LEAST_CHUNK 8    // rows of a prompt in a forward, however slow it is
#define STEP_RATE 0.1

typedef struct part {
    cop_request *r;
    int first, n;
    bool prompt;
} part;

typedef struct batch {
    part parts[COP_MAX_SLOTS];
    int n_parts, n_rows, n_trees, n_prompt_rows;
} batch;

static void fail_request(cop_request *r, cop_status status) { cop_request_finish(r, COP_FINISH_CANCELLED, status); }

static void drop_cancelled(cop_scheduler *k) {
    for (int i = 0; i < k->options.slots; i++) {
        cop_request *r = k->slots[i].request;
        if (r && atomic_load(&r->cancelled)) cop_request_finish(r, COP_FINISH_CANCELLED, COP_OK);
    }
}

// Pages for n more rows of every part, taken from kept beginnings when the cache is full.
static void make_room(cop_scheduler *k, int n_rows) {
    int most = n_rows / COP_PAGE + 2 * k->options.slots;
    if (cop_cache_pages_free(k->cache) < most) cop_prefix_release(k->prefix, most);
}

// ---- trees ----------------------------------------------------------------------------------------

static void tell_of_others(cop_scheduler *k, int n_writing) {
    cop_others all = {0};
    for (int i = 0; i < k->options.slots; i++) {
        const cop_request *r = k->slots[i].request;
        if (r && r->state == COP_REQUEST_WRITING) {
            all.rows += r->rows_seen;
            all.tokens += r->tokens_seen;
        }
    }
    for (int i = 0; i < k->options.slots && n_writing; i++) {
        cop_request *r = k->slots[i].request;
        if (r && r->state == COP_REQUEST_WRITING)
            r->s->others = n_writing < 2 ? (cop_others){0, 0} : (cop_others){all.rows - r->rows_seen, all.tokens - r->tokens_seen};
    }
}

static void add_trees(cop_scheduler *k, batch *b) {
    int n = 0;
    for (int i = 0; i < k->options.slots; i++) n += k->slots[i].request && k->slots[i].request->state == COP_REQUEST_WRITING;
    tell_of_others(k, n);
    int left = n;
    for (int i = 0; i < k->options.slots; i++) {
        cop_request *r = k->slots[i].request;
        if (!r || r->state != COP_REQUEST_WRITING) continue;
        int share = (k->max_trees - b->n_trees) / left--, rows;
        r->s->share = r->probed && share > COP_PROBED - 1 ? COP_PROBED - 1 : share;
        r->s->room = r->max_tokens - r->n_out;
        r->n_probed = 0;
        cop_status st = cop_step_begin(r->s, k->rows, b->n_rows, &rows);
        if (st) {
            fail_request(r, st);
            continue;
        }
        b->parts[b->n_parts++] = (part){.r = r, .first = b->n_rows, .n = rows};
        b->n_rows += rows;
        b->n_trees += rows;
    }
}

// ---- prompts --------------------------------------------------------------------------------------

static int unread(const cop_request *r) { return r->s->n_tokens - 1 - cop_session_computed(r->s); }

static int same_beginning(const cop_request *a, const cop_request *b) {
    int n = a->s->n_tokens < b->s->n_tokens ? a->s->n_tokens : b->s->n_tokens, i = 0;
    while (i < n && a->s->tokens[i] == b->s->tokens[i]) i++;
    return i;
}

// Of two prompts that begin alike one is read; the other waits for it and shares what it computed.
static void see_who_waits(cop_scheduler *k) {
    for (int i = 0; i < k->options.slots; i++) {
        cop_request *r = k->slots[i].request;
        if (!r || r->state != COP_REQUEST_READING) continue;
        r->waits = false;
        for (int j = 0; j < k->options.slots && !r->waits; j++) {
            const cop_request *o = k->slots[j].request;
            if (!o || o == r || o->state != COP_REQUEST_READING || o->waits || o->started > r->started || (o->started == r->started && j > i)) continue;
            r->waits = cop_scheduler_salt(o->s) == cop_scheduler_salt(r->s) && same_beginning(o, r) >= cop_session_computed(r->s) + COP_PAGE;
        }
    }
}

// Rows of prompts that keep this forward within `gap` forwards without them.
static int prompt_rows(const cop_scheduler *k, const batch *b) {
    int most = k->max_rows - b->n_rows;
    if (!b->n_parts || k->plain_seconds <= 0) return b->n_parts && most > LEAST_CHUNK ? LEAST_CHUNK : most;
    double n = k->row_seconds > 0 ? (k->options.gap - 1) * k->plain_seconds / k->row_seconds : LEAST_CHUNK;
    return n < LEAST_CHUNK ? LEAST_CHUNK : n < most ? (int)n : most;
}

static cop_request *next_prompt(const cop_scheduler *k, const batch *b, bool shortest) {
    cop_request *best = NULL;
    for (int i = 0; i < k->options.slots; i++) {
        cop_request *r = k->slots[i].request;
        bool taken = false;
        for (int j = 0; j < b->n_parts && !taken; j++) taken = b->parts[j].r == r;
        if (!r || r->state != COP_REQUEST_READING || r->waits || taken || unread(r) < 1) continue;
        if (!best || (shortest ? unread(r) < unread(best) : r->started < best->started)) best = r;
    }
    return best;
}

static void add_prompts(cop_scheduler *k, batch *b) {
    see_who_waits(k);
    int left = prompt_rows(k, b);
    // The oldest first, with half of the room when there are others; then short ones, so that none waits behind a long one.
    cop_request *r = next_prompt(k, b, false);
    for (bool first = true; r && left > 0; first = false) {
        int n = unread(r);
        int most = first && left >= 2 * LEAST_CHUNK && n > left / 2 ? left - left / 2 : left;
        cop_request *oldest = r;
        int index = b->n_parts;
        b->parts[b->n_parts++] = (part){.r = r, .first = b->n_rows, .prompt = true};
        r = next_prompt(k, b, true);
        if (!r) most = left;
        if (n > most) n = most;
        cop_status st = cop_prefill_begin(oldest->s, k->rows, b->n_rows, n);
        if (st) {
            b->n_parts--;
            fail_request(oldest, st);
            continue;
        }
        b->parts[index].n = n;
        b->n_rows += n;
        b->n_prompt_rows += n;
        left -= n;
    }
}

// ---- the forward ----------------------------------------------------------------------------------

static void learn(cop_scheduler *k, const batch *b, double seconds) {
    if (!b->n_prompt_rows) {
        k->plain_seconds += (seconds - k->plain_seconds) * (k->plain_seconds > 0 ? STEP_RATE : 1);
        cop_cost_add(&k->cost, b->n_rows, seconds);
        return;
    }
    double beside = b->n_trees ? k->plain_seconds : 0, row = (seconds - beside) / b->n_prompt_rows;
    // Rows get dearer as the context grows, and a gap that was too long is what users see: more is believed at once.
    if (row > 0 && b->n_prompt_rows >= LEAST_CHUNK) k->row_seconds += (row - k->row_seconds) * (row > k->row_seconds ? 0.4 : STEP_RATE);
}

static void end_tree(const batch *b, part *p, double seconds) {
    cop_request *r = p->r;
    bool ended;
    cop_status st = cop_step_end(r->s, b->n_prompt_rows ? 0 : b->n_rows, seconds, &ended);
    if (st) {
        fail_request(r, st);
        return;
    }
    r->rows_seen += (p->n - r->rows_seen) * STEP_RATE;
    r->tokens_seen += (r->s->verdict.n_tokens - r->tokens_seen) * STEP_RATE;
    cop_request_deliver(r, ended);
}

static void end_prompt(cop_scheduler *k, part *p) {
    cop_request *r = p->r;
    cop_seq_commit(r->s->seq, NULL, p->n);
    bool wanted = unread(r) <= 0;  // or somebody waits for this beginning, and can go on from here
    for (int i = 0; i < k->options.slots && !wanted; i++) wanted = k->slots[i].request && k->slots[i].request->waits;
    if (wanted) cop_prefix_keep(k->prefix, cop_scheduler_salt(r->s), r->s->tokens, r->s->seq);
}

// What another request has read meanwhile of the same beginning; how many tokens of it, 0: no more than it had.
static int take_beginning(cop_scheduler *k, cop_request *r) {
    int most = r->s->n_tokens - 1;
    uint64_t salt = cop_scheduler_salt(r->s);
    if (cop_prefix_match(k->prefix, salt, r->s->tokens, most) <= cop_session_computed(r->s)) return 0;
    cop_seq_truncate(r->s->seq, 0);
    return cop_prefix_take(k->prefix, salt, r->s->tokens, most, r->s->seq);
}

// Prompts that are read, or whose beginning another one has read meanwhile.
static void advance_readers(cop_scheduler *k) {
    for (int i = 0; i < k->options.slots; i++) {
        cop_request *r = k->slots[i].request;
        if (!r || r->state != COP_REQUEST_READING) continue;
        int taken = r->waits ? take_beginning(k, r) : 0;
        bool done = unread(r) <= 0;
        if (!taken && !done) continue;
        r->read = cop_clock();
        cop_lock_take(k->lock);  // readers look at the figures
        if (taken) r->stats.cached_tokens = taken;
        if (done) r->stats.prefill_seconds = r->read - r->started;
        cop_lock_give(k->lock);
        if (!done) continue;
        r->waits = false;
        r->state = COP_REQUEST_WRITING;
    }
}

static void count(cop_scheduler *k, const batch *b, double seconds) {
    cop_lock_take(k->lock);
    k->info.forwards++;
    k->info.rows += b->n_rows;
    if (b->n_prompt_rows) k->info.prefill_seconds += seconds;
    else k->info.decode_seconds += seconds;
    cop_lock_give(k->lock);
}

void cop_batch_step(cop_scheduler *k) {
    batch b = {0};
    drop_cancelled(k);
    advance_readers(k);
    make_room(k, k->max_rows);
    add_trees(k, &b);
    add_prompts(k, &b);
    if (!b.n_parts) return;
    double start = cop_clock();
    cop_status st = cop_model_forward(k->engine->model, k->ws, k->rows, b.n_rows, NULL);
    double seconds = cop_clock() - start;
    if (st) {
        for (int i = 0; i < b.n_parts; i++) fail_request(b.parts[i].r, st);
        return;
    }
    learn(k, &b, seconds);
    count(k, &b, seconds);
    for (int i = 0; i < b.n_parts; i++) {
        if (b.parts[i].prompt) end_prompt(k, &b.parts[i]);
        else end_tree(&b, &b.parts[i], seconds);
    }
}

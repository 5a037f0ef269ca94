// Requests: what is asked for, and what is told of it. The scheduler's thread fills `pending`, the reader takes it.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/maths.h"
#include "engine/scheduler_private.h"

#define MOST_TEXT ((size_t)1 << 28)  // bytes that wait for one reader

// ---- submitting -----------------------------------------------------------------------------------

// What a session was opened with, the seed and the stop strings aside, as text: equal texts, equal sessions.
static char *key_of(const cop_session_options *o) {
    COP_ARRAY(char) key = {.most = 1 << 16};
    char line[512];
    snprintf(line, sizeof line, "%a %d %a %a %a %.200s %a %a %a %d %d %d", (double)o->temp, o->top_k, (double)o->typical_p, (double)o->top_p,
             (double)o->min_p, o->samplers ? o->samplers : "-", (double)o->repeat_penalty, (double)o->frequency_penalty,
             (double)o->presence_penalty, o->penalty_window, o->remember, o->guide != NULL);
    const char *parts[4 + COP_MAX_ADAPTERS] = {line, o->draft ? o->draft : "-", o->verify ? o->verify : "-", o->control ? o->control : "-"};
    int n = 4;
    for (int i = 0; i < o->n_lora; i++) parts[n++] = o->lora[i];
    for (int i = 0; i < n; i++) {
        size_t bytes = strlen(parts[i]) + 1;
        if (cop_array_reserve(&key, bytes + 1)) {
            cop_array_fini(&key);
            return NULL;
        }
        memcpy(key.v + key.n, parts[i], bytes);
        key.n += bytes;
        key.v[key.n - 1] = '\n';
    }
    key.v[key.n] = 0;
    return key.v;
}

static cop_status copy_text(const char **text) {
    if (!*text) return COP_OK;
    *text = cop_text_copy(*text, strlen(*text));
    return *text ? COP_OK : cop_fail(COP_ERR_NOMEM, "request: cannot allocate");
}

// The options keep nothing borrowed. Fields are cleared first, so that a failure half-way can be freed.
static cop_status copy_options(cop_request *r, const cop_session_options *from) {
    cop_session_options *o = &r->options.session;
    o->stop = o->lora = NULL;
    o->bias_tokens = NULL;
    o->bias_values = NULL;
    o->cache_type = NULL;
    o->note = NULL;
    o->guide = NULL;
    o->samplers = o->draft = o->verify = o->control = NULL;
    o->n_stop = o->n_lora = o->n_bias = 0;
    const char **texts[] = {&o->samplers, &o->draft, &o->verify, &o->control};
    const char *given[] = {from->samplers, from->draft ? from->draft : r->scheduler->options.draft,
                           from->verify ? from->verify : r->scheduler->options.verify,
                           from->control ? from->control : r->scheduler->options.control};
    for (int i = 0; i < 4; i++) {
        const char *text = given[i];
        COP_TRY(copy_text(&text));
        *texts[i] = text;
    }
    if (from->guide) COP_TRY(cop_guide_fork(&o->guide, from->guide));
    const char **stop = cop_alloc_array((size_t)from->n_stop + 1, sizeof *stop), **lora = cop_alloc_array((size_t)from->n_lora + 1, sizeof *lora);
    int32_t *tokens = cop_alloc_array((size_t)from->n_bias + 1, sizeof *tokens);
    float *values = cop_alloc_array((size_t)from->n_bias + 1, sizeof *values);
    o->stop = stop;
    o->lora = lora;
    o->bias_tokens = tokens;
    o->bias_values = values;
    if (!stop || !lora || !tokens || !values) return cop_fail(COP_ERR_NOMEM, "request: cannot allocate");
    for (; o->n_stop < from->n_stop; o->n_stop++) {
        stop[o->n_stop] = from->stop[o->n_stop];
        COP_TRY(copy_text(&stop[o->n_stop]));
    }
    for (; o->n_lora < from->n_lora; o->n_lora++) {
        lora[o->n_lora] = from->lora[o->n_lora];
        COP_TRY(copy_text(&lora[o->n_lora]));
    }
    for (; o->n_bias < from->n_bias; o->n_bias++) {
        tokens[o->n_bias] = from->bias_tokens[o->n_bias];
        values[o->n_bias] = from->bias_values[o->n_bias];
    }
    return COP_OK;
}

static void free_options(cop_session_options *o) {
    for (int i = 0; i < o->n_stop; i++) cop_free((void *)o->stop[i]);
    for (int i = 0; i < o->n_lora; i++) cop_free((void *)o->lora[i]);
    cop_guide_free(o->guide);
    cop_free((void *)o->stop);
    cop_free((void *)o->lora);
    cop_free((void *)o->bias_tokens);
    cop_free((void *)o->bias_values);
    cop_free((void *)o->samplers);
    cop_free((void *)o->draft);
    cop_free((void *)o->verify);
    cop_free((void *)o->control);
}

static cop_status check(const cop_scheduler *k, const cop_request_options *o) {
    int V = k->engine->model->desc.V, context = k->options.context;
    if (o->n_tokens < 1) return cop_fail(COP_ERR_ARG, "the prompt is empty");
    if (o->n_tokens >= (size_t)context) return cop_fail(COP_ERR_ARG, "the prompt has %zu tokens, the context holds %d", o->n_tokens, context);
    for (size_t i = 0; i < o->n_tokens; i++)
        if (o->tokens[i] < 0 || o->tokens[i] >= V) return cop_fail(COP_ERR_ARG, "prompt token %zu is %d, must be 0 to %d", i, o->tokens[i], V - 1);
    for (int i = 0; i < o->session.n_bias; i++)
        if (o->session.bias_tokens[i] < 0 || o->session.bias_tokens[i] >= V)
            return cop_fail(COP_ERR_ARG, "logit bias of token %d, must be 0 to %d", o->session.bias_tokens[i], V - 1);
    if (o->logprobs < -1 || o->logprobs > COP_MAX_LOGPROBS) return cop_fail(COP_ERR_ARG, "logprobs: %d, must be 0 to %d", o->logprobs, COP_MAX_LOGPROBS);
    if (o->slot < -1 || o->slot >= k->options.slots) return cop_fail(COP_ERR_ARG, "slot %d, there are 0 to %d", o->slot, k->options.slots - 1);
    if (o->n_visible < 0 || o->n_visible > (int)(sizeof o->visible / sizeof *o->visible)) return cop_fail(COP_ERR_ARG, "%d visible tokens", o->n_visible);
    if (o->session.switch_models) return cop_fail(COP_ERR_UNSUPPORTED, "switch: two models take turns in a session of its own only");
    return cop_session_check(k->engine, &o->session);
}

static cop_status fill(cop_request *r, const cop_request_options *o) {
    const cop_scheduler *k = r->scheduler;
    r->pending.tokens.most = r->shown.tokens.most = r->pending.trees.most = r->shown.trees.most = SIZE_MAX / 64;
    r->pending.text.most = r->shown.text.most = MOST_TEXT;
    r->pending.tree_memory.most = r->shown.tree_memory.most = SIZE_MAX / 64;
    r->options = *o;
    r->options.tokens = NULL;
    r->stop = -1;
    r->slot = -1;
    r->rows_seen = r->tokens_seen = 1;
    r->stats.slot = -1;
    r->n_tokens = (int)o->n_tokens;
    int most = k->options.context - r->n_tokens;
    r->max_tokens = o->max_tokens < 0 || o->max_tokens > most ? most : o->max_tokens;
    COP_TRY(copy_options(r, &o->session));
    r->tokens = cop_alloc_array(o->n_tokens, sizeof *r->tokens);
    r->key = key_of(&r->options.session);
    if (o->logprobs >= 0) r->probed = cop_alloc_array((size_t)k->engine->model->desc.V, sizeof(float) * COP_PROBED);
    if (!r->tokens || !r->key || (o->logprobs >= 0 && !r->probed)) return cop_fail(COP_ERR_NOMEM, "request: cannot allocate");
    memcpy(r->tokens, o->tokens, o->n_tokens * sizeof *r->tokens);
    r->stats.prompt_tokens = r->n_tokens;
    return cop_signal_new(&r->signal);
}

static void destroy(cop_request *r) {
    cop_pending *both[] = {&r->pending, &r->shown};
    for (int i = 0; i < 2; i++) {
        cop_array_fini(&both[i]->tokens);
        cop_array_fini(&both[i]->text);
        cop_array_fini(&both[i]->trees);
        cop_array_fini(&both[i]->tree_memory);
    }
    free_options(&r->options.session);
    cop_signal_free(r->signal);
    cop_free(r->tokens);
    cop_free(r->key);
    cop_free(r->probed);
    cop_free(r);
}

cop_status cop_request_submit(cop_request **out, cop_scheduler *k, const cop_request_options *o) {
    *out = NULL;
    COP_TRY(check(k, o));
    cop_request *r = cop_alloc(sizeof *r);
    if (!r) return cop_fail(COP_ERR_NOMEM, "request: cannot allocate");
    r->scheduler = k;
    cop_status st = fill(r, o);
    if (st) {
        destroy(r);
        return st;
    }
    r->submitted = cop_clock();
    cop_lock_take(k->lock);
    int busy = k->info.waiting;
    bool full = k->closing || (busy >= k->options.queue && k->info.running + busy >= k->options.slots);
    if (full) {
        k->info.refused++;
    } else {
        *k->last = r;
        k->last = &r->next;
        k->info.waiting++;
        k->info.requests++;
        k->n_requests++;
        cop_signal_raise(k->signal);
    }
    cop_lock_give(k->lock);
    if (full) {
        destroy(r);
        return cop_fail(COP_ERR_LIMIT, "%d requests wait already: try again later", busy);
    }
    *out = r;
    return COP_OK;
}

void cop_request_cancel(cop_request *r) {
    atomic_store(&r->cancelled, true);
    cop_lock_take(r->scheduler->lock);
    cop_signal_raise(r->scheduler->signal);
    cop_lock_give(r->scheduler->lock);
}

void cop_request_free(cop_request *r) {
    if (!r) return;
    cop_scheduler *k = r->scheduler;
    cop_request_cancel(r);
    cop_lock_take(k->lock);
    while (!r->done) cop_signal_wait(r->signal, k->lock, -1);
    k->n_requests--;
    cop_lock_give(k->lock);
    destroy(r);
}

cop_request_stats cop_request_get_stats(const cop_request *r) {
    cop_lock_take(r->scheduler->lock);
    cop_request_stats stats = r->stats;
    cop_lock_give(r->scheduler->lock);
    return stats;
}

// ---- telling --------------------------------------------------------------------------------------

static int on_text(void *user, const char *text, size_t bytes) {
    cop_request *r = user;
    if (cop_array_reserve(&r->pending.text, bytes)) return 1;
    memcpy(r->pending.text.v + r->pending.text.n, text, bytes);
    r->pending.text.n += bytes;
    return 0;
}

static void see_logits(void *user, const float *logits) {
    cop_request *r = user;
    size_t V = (size_t)r->scheduler->engine->model->desc.V;
    if (r->n_probed < COP_PROBED) memcpy(r->probed + (size_t)r->n_probed++ * V, logits, V * sizeof(float));
}

static void see_tree(void *user, const cop_session *s, const cop_tree *tree, const cop_fate *fates) {
    cop_request *r = user;
    cop_pending *p = &r->pending;
    size_t n = (size_t)tree->n_nodes;
    (void)s;
    cop_lock_take(r->scheduler->lock);
    if (p->trees.n >= COP_MOST_TREES || cop_array_reserve(&p->trees, 1) || cop_array_reserve(&p->tree_memory, 3 * n)) {
        cop_lock_give(r->scheduler->lock);
        return;  // nobody reads fast enough: this step is not shown
    }
    int32_t *to = p->tree_memory.v + p->tree_memory.n;
    for (size_t i = 0; i < n; i++) {
        to[i] = tree->nodes[i].token;
        to[n + i] = tree->nodes[i].parent;
        to[2 * n + i] = (int32_t)fates[i];
    }
    p->tree_memory.n += 3 * n;
    p->trees.v[p->trees.n++] = (cop_tree_event){.n = tree->n_nodes};
    cop_lock_give(r->scheduler->lock);
}

cop_status cop_request_begin(cop_request *r) {
    cop_session *s = r->s;
    s->ignore_end = r->options.ignore_end;
    s->probe = (cop_probe){r->probed ? see_logits : NULL, r};
    r->counted = s->stats;
    cop_stream_start(&r->stream, s->engine->tokenizer, s->stops, s->n_stops, false, on_text, r);
    r->stream.visible = r->options.visible;
    r->stream.n_visible = r->options.n_visible;
    if (r->options.show_trees) return cop_session_watch(s, (cop_watch){see_tree, r});
    s->watch = (cop_watch){0};
    return COP_OK;
}

// ---- log-probabilities ----------------------------------------------------------------------------

static void tell_logprobs(const cop_request *r, int i, cop_event_token *t) {
    int V = r->scheduler->engine->model->desc.V, most = r->options.logprobs;
    if (i >= r->n_probed) return;
    const float *logits = r->probed + (size_t)i * (size_t)V;
    float top = logits[0];
    for (int v = 1; v < V; v++) top = logits[v] > top ? logits[v] : top;
    double sum = 0;
    for (int v = 0; v < V; v++) sum += cop_exp((double)(logits[v] - top));
    double all = (double)top + cop_log(sum);
    t->logprob = (float)((double)logits[t->token] - all);
    for (int v = 0; v < V; v++) {
        if (t->n_top == most && (!most || logits[v] <= t->top[most - 1].logprob)) continue;
        int at = t->n_top < most ? t->n_top++ : most - 1;
        for (; at > 0 && t->top[at - 1].logprob < logits[v]; at--) t->top[at] = t->top[at - 1];
        t->top[at] = (cop_logprob){v, logits[v]};
    }
    for (int n = 0; n < t->n_top; n++) t->top[n].logprob = (float)((double)t->top[n].logprob - all);
}

// ---- delivering -----------------------------------------------------------------------------------

// With the lock taken: what the session did since it was last looked at.
static void add_stats(cop_request *r) {
    cop_scheduler_info *all = &r->scheduler->info;
    const cop_step_stats *now = &r->s->stats, *had = &r->counted;
    int64_t accepted = now->accepted - had->accepted, drafted = now->drafted - had->drafted;
    r->stats.steps += now->steps - had->steps;
    r->stats.rows += now->rows - had->rows;
    r->stats.drafted += drafted;
    r->stats.accepted += accepted;
    r->stats.draft_seconds += now->draft_seconds - had->draft_seconds;
    all->steps += now->steps - had->steps;
    all->drafted += drafted;
    all->accepted += accepted;
    all->drafts += drafted > 0;
    for (int i = 0; i < COP_DEPTHS; i++) {
        r->stats.by_depth[i] += now->by_depth[i] - had->by_depth[i];
        all->by_depth[i] += now->by_depth[i] - had->by_depth[i];
    }
    r->stats.decode_seconds = cop_clock() - r->read;
    r->counted = *now;
}

static bool push_token(cop_request *r, int32_t token, int i) {
    cop_event_token t = {.token = token};
    if (r->probed) tell_logprobs(r, i, &t);
    bool more = cop_stream_push(&r->stream, token);
    t.text_end = r->pending.text.n;
    if (cop_array_push(&r->pending.tokens, t)) return false;
    r->n_out++;
    r->stats.tokens = r->n_out;
    r->scheduler->info.tokens++;
    return more;
}

void cop_request_deliver(cop_request *r, bool ended) {
    cop_session *s = r->s;
    int n = s->verdict.n_tokens, before = s->n_tokens - n, room = r->max_tokens - r->n_out, shown = 0;
    if (s->context - before < room) room = s->context - before;
    ended = ended && n <= room;
    if (n > room) n = room;
    cop_lock_take(r->scheduler->lock);
    add_stats(r);
    bool more = true;
    while (more && shown < n) {
        more = push_token(r, s->tokens[before + shown], shown);
        shown++;
    }
    cop_signal_raise(r->signal);
    cop_lock_give(r->scheduler->lock);
    if (before + shown < s->n_tokens) {
        cop_session_cut(s, before + shown);
        ended = false;
    }
    if (r->stream.stopped >= 0) cop_request_finish(r, COP_FINISH_STOP, COP_OK);
    else if (!more) cop_request_finish(r, COP_FINISH_CANCELLED, cop_fail(COP_ERR_NOMEM, "request: cannot keep its text"));
    else if (ended || (r->n_out >= r->max_tokens && s->guiding && cop_guiding_complete(s))) cop_request_finish(r, COP_FINISH_STOP, COP_OK);
    else if (r->n_out >= r->max_tokens) cop_request_finish(r, s->n_tokens >= s->context ? COP_FINISH_CONTEXT : COP_FINISH_LENGTH, COP_OK);
}

void cop_request_finish(cop_request *r, cop_finish finish, cop_status status) {
    cop_scheduler *k = r->scheduler;
    if (r->s) cop_scheduler_leave(k, r);
    cop_lock_take(k->lock);
    if (r->state == COP_REQUEST_WRITING) cop_stream_finish(&r->stream);
    r->state = COP_REQUEST_DONE;
    r->finish = finish;
    r->status = status;
    r->stop = r->stream.stopped;
    if (status) snprintf(r->error, sizeof r->error, "%s", cop_error_text());
    k->info.finished++;
    k->info.cancelled += finish == COP_FINISH_CANCELLED;
    r->done = true;
    cop_signal_raise(r->signal);
    cop_lock_give(k->lock);
}

// ---- reading --------------------------------------------------------------------------------------

// Offsets become pointers, now that the memory does not move any more.
static void place_trees(cop_pending *p) {
    int32_t *at = p->tree_memory.v;
    for (size_t i = 0; i < p->trees.n; i++) {
        cop_tree_event *t = &p->trees.v[i];
        t->tokens = at;
        t->parents = at + t->n;
        t->fates = at + 2 * t->n;
        at += 3 * t->n;
    }
}

static void swap_pending(cop_request *r) {
    cop_pending shown = r->shown;
    r->shown = r->pending;
    shown.tokens.n = shown.text.n = shown.trees.n = shown.tree_memory.n = 0;
    r->pending = shown;
}

cop_status cop_request_next(cop_request *r, double seconds, cop_event *event) {
    cop_scheduler *k = r->scheduler;
    double until = seconds < 0 ? 0 : cop_clock() + seconds;
    *event = (cop_event){.stop = -1};
    if (r->told) return cop_fail(COP_ERR_ARG, "request: its last event was told");
    cop_lock_take(k->lock);
    while (!r->done && !r->pending.tokens.n && !r->pending.text.n && !r->pending.trees.n) {
        double left = seconds < 0 ? -1 : until - cop_clock();
        if (seconds >= 0 && left <= 0) break;
        cop_signal_wait(r->signal, k->lock, left);
    }
    swap_pending(r);
    event->done = r->done;
    event->finish = r->finish;
    event->stop = r->done ? r->stop : -1;
    event->status = r->done ? r->status : COP_OK;
    cop_lock_give(k->lock);
    if (event->done) event->error = r->status ? r->error : NULL;
    r->told = event->done;
    place_trees(&r->shown);
    event->n_tokens = (int)r->shown.tokens.n;
    event->tokens = r->shown.tokens.v;
    event->text = r->shown.text.v ? r->shown.text.v : "";
    event->bytes = r->shown.text.n;
    event->n_trees = (int)r->shown.trees.n;
    event->trees = r->shown.trees.v;
    if (!event->done && !event->n_tokens && !event->bytes && !event->n_trees) return cop_fail(COP_ERR_NOT_FOUND, "request: nothing came in %g s", seconds);
    return COP_OK;
}

// Sessions: opening, the timeline, forking.
#include "engine/session.h"

#include <string.h>

#include "base/alloc.h"

#define PREFILL_ROWS 256  // rows of a prefill chunk: beyond it prefill gains nothing (bench prefill)
#define TREE_NODES 64     // nodes of a tree, the root included

cop_session_options cop_session_defaults(void) {
    return (cop_session_options){.typical_p = 1, .top_p = 1, .repeat_penalty = 1, .penalty_window = 64, .remember = 1};
}

static cop_status check_number(const char *name, double v) {
    for (const cop_option *o = cop_sampling_options; o->name; o++)
        if (!strcmp(o->name, name) && !(v >= o->low && v <= o->high))
            return cop_fail(COP_ERR_ARG, "%s: %g, must be %g to %g", name, v, o->low, o->high);
    return COP_OK;
}

static cop_status check_sampling(const cop_session_options *o) {
    COP_TRY(check_number("temp", (double)o->temp));
    COP_TRY(check_number("top_k", o->top_k));
    COP_TRY(check_number("typical_p", (double)o->typical_p));
    COP_TRY(check_number("top_p", (double)o->top_p));
    COP_TRY(check_number("min_p", (double)o->min_p));
    COP_TRY(check_number("repeat_penalty", (double)o->repeat_penalty));
    COP_TRY(check_number("frequency_penalty", (double)o->frequency_penalty));
    COP_TRY(check_number("presence_penalty", (double)o->presence_penalty));
    return check_number("penalty_window", o->penalty_window);
}

static cop_status sampling_of(const cop_session_options *o, cop_sampling *sampling) {
    *sampling = (cop_sampling){.temp = o->temp, .top_k = o->top_k, .typical_p = o->typical_p, .top_p = o->top_p, .min_p = o->min_p,
                               .repeat_penalty = o->repeat_penalty, .frequency_penalty = o->frequency_penalty,
                               .presence_penalty = o->presence_penalty, .penalty_window = o->penalty_window,
                               .seed = o->seed, .n_bias = o->n_bias};
    COP_TRY(check_sampling(o));
    if (o->n_bias < 0 || o->n_bias > COP_MAX_BIAS) return cop_fail(COP_ERR_ARG, "%d logit biases, at most %d", o->n_bias, COP_MAX_BIAS);
    return o->samplers ? cop_sampling_parse_chain(sampling, o->samplers) : COP_OK;
}

static cop_status open_sampler(cop_session *s, const cop_session_options *o) {
    cop_sampling sampling;
    COP_TRY(sampling_of(o, &sampling));
    cop_logit_bias *bias = cop_alloc_array((size_t)o->n_bias, sizeof *bias);
    if (!bias) return cop_fail(COP_ERR_NOMEM, "session: cannot allocate");
    for (int i = 0; i < o->n_bias; i++) bias[i] = (cop_logit_bias){o->bias_tokens[i], o->bias_values[i]};
    sampling.bias = bias;
    cop_status st = cop_sampler_new(&s->sampler, &sampling, s->engine->model->desc.V);
    cop_free(bias);
    return st;
}

static cop_status check_stops(const cop_session_options *o) {
    if (o->n_stop < 0 || o->n_stop > COP_MAX_STOPS) return cop_fail(COP_ERR_ARG, "%d stop strings, at most %d", o->n_stop, COP_MAX_STOPS);
    for (int i = 0; i < o->n_stop; i++) {
        size_t n = strlen(o->stop[i]);
        if (n < 1 || n >= COP_MAX_STOP_BYTES)
            return cop_fail(COP_ERR_ARG, "stop string of %zu bytes, must be 1 to %d", n, COP_MAX_STOP_BYTES - 1);
    }
    return COP_OK;
}

static cop_status open_stops(cop_session *s, const cop_session_options *o) {
    COP_TRY(check_stops(o));
    for (int i = 0; i < o->n_stop; i++) {
        s->stops[i].bytes = strlen(o->stop[i]);
        memcpy(s->stops[i].text, o->stop[i], s->stops[i].bytes);
    }
    s->n_stops = o->n_stop;
    return COP_OK;
}

cop_status cop_session_check(const cop_engine *engine, const cop_session_options *options) {
    cop_sampling sampling;
    COP_TRY(sampling_of(options, &sampling));
    COP_TRY(check_stops(options));
    return cop_session_check_plugins(engine, options);
}

static int default_context(const cop_engine *e) {
    return e->model->desc.max_positions < 4096 ? e->model->desc.max_positions : 4096;
}

static cop_status open_cache(cop_session *s, const cop_session_options *o, const cop_session *from, const cop_session_home *home) {
    if (home) {
        s->cache = home->cache;
    } else if (from) {
        s->cache = from->cache;
        s->cache_users = from->cache_users;
        ++*s->cache_users;
    } else {
        cop_cache_shape shape = cop_model_cache_shape(s->engine->model, COP_KV_F16);
        if (o->cache_type) COP_TRY(cop_kv_type_parse(&shape.type, o->cache_type));
        s->cache_users = cop_alloc(sizeof *s->cache_users);
        if (!s->cache_users) return cop_fail(COP_ERR_NOMEM, "session: cannot allocate");
        *s->cache_users = 1;
        // Pages are touched as they are used, so room for forks costs nothing until they write.
        int pages = (s->context + COP_PAGE - 1) / COP_PAGE;
        COP_TRY(cop_cache_new(&s->cache, &shape, pages * COP_SESSION_FORKS));
    }
    return cop_seq_new(&s->seq, s->cache, s->context);
}

static cop_status open_buffers(cop_session *s, const cop_session_home *home) {
    size_t nodes = (size_t)s->max_nodes;
    if (home) s->ws = home->ws;
    else COP_TRY(cop_workspace_new(&s->ws, s->engine->model, s->max_rows, s->max_nodes, s->context + s->max_rows));
    COP_TRY(cop_tree_init(&s->tree, s->max_nodes, 0, 0));
    s->rows = cop_alloc_array((size_t)s->max_rows, sizeof *s->rows);
    s->keep = cop_alloc_array(nodes, sizeof *s->keep);
    s->renamed = cop_alloc_array(nodes, sizeof *s->renamed);
    s->committed = cop_alloc_array(nodes + 1, sizeof *s->committed);
    s->verdict.path = cop_alloc_array(nodes, sizeof *s->verdict.path);
    s->verdict.tokens = cop_alloc_array(nodes + 1, sizeof *s->verdict.tokens);
    s->tokens = cop_alloc_array((size_t)s->context + nodes, sizeof *s->tokens);
    if (!s->rows || !s->keep || !s->committed || !s->verdict.path || !s->verdict.tokens || !s->renamed || !s->tokens)
        return cop_fail(COP_ERR_NOMEM, "session of %d tokens: cannot allocate", s->context);
    return COP_OK;
}

static cop_status open_session(cop_session *s, const cop_session_options *o, const cop_session *from, const cop_session_home *home) {
    s->options = *o;
    s->context = o->context ? o->context : default_context(s->engine);
    if (s->context < 2 || s->context > 1 << 22) return cop_fail(COP_ERR_ARG, "context: %d, must be 2 to %d", s->context, 1 << 22);
    const cop_desc *d = &s->engine->model->desc;
    if (d->positions == COP_POSITION_LEARNED && s->context > d->max_positions)
        return cop_fail(COP_ERR_ARG, "context: %d, this model has %d positions", s->context, d->max_positions);
    s->max_rows = PREFILL_ROWS;
    s->max_nodes = home ? home->max_nodes : TREE_NODES;
    s->cost = home ? home->cost : NULL;
    s->hash_logits = o->hash_logits;
    COP_TRY(open_stops(s, o));
    COP_TRY(open_cache(s, o, from, home));
    COP_TRY(open_buffers(s, home));
    COP_TRY(cop_engine_take_adapters(s->engine, o->lora, o->n_lora, &s->adapters));
    COP_TRY(cop_workspace_reserve_adapters(s->ws, &s->adapters));
    COP_TRY(open_sampler(s, o));
    if (o->guide) COP_TRY(cop_guiding_open(&s->guiding, o->guide, s->max_nodes, s->engine->model->desc.V));
    COP_TRY(cop_session_open_plugins(s, o));
    if (o->switch_models) COP_TRY(cop_switch_open(&s->turns, s, o->switch_models));
    s->options.switch_models = NULL;
    s->options.draft = s->options.verify = s->options.control = NULL;  // borrowed
    s->options.stop = s->options.lora = NULL;
    s->options.guide = NULL;
    s->options.bias_tokens = NULL;
    s->options.bias_values = NULL;
    s->options.cache_type = NULL;
    return COP_OK;
}

static cop_status new_session(cop_session **out, cop_engine *engine, const cop_session_options *options, const cop_session *from,
                              const cop_session_home *home) {
    *out = NULL;
    cop_session *s = cop_alloc(sizeof *s);
    if (!s) return cop_fail(COP_ERR_NOMEM, "session: cannot allocate");
    s->engine = engine;
    cop_status st = open_session(s, options, from, home);
    if (st) {
        cop_session_close(s);
        return st;
    }
    *out = s;
    return COP_OK;
}

cop_status cop_session_open(cop_session **out, cop_engine *engine, const cop_session_options *options) {
    cop_session_options defaults = cop_session_defaults();
    return new_session(out, engine, options ? options : &defaults, NULL, NULL);
}

cop_status cop_session_open_in(cop_session **out, cop_engine *engine, const cop_session_options *options, const cop_session_home *home) {
    if (options->switch_models) return cop_fail(COP_ERR_UNSUPPORTED, "switch: two models take turns in a session of its own only");
    return new_session(out, engine, options, NULL, home);
}

void cop_session_close(cop_session *s) {
    if (!s) return;
    cop_session_close_plugins(s);
    cop_switch_close(s->turns);
    cop_guiding_close(s->guiding);
    cop_sampler_free(s->sampler);
    cop_tree_fini(&s->tree);
    cop_tree_fini(&s->proposed);
    if (s->cache_users) cop_workspace_free(s->ws);
    cop_engine_give_adapters(s->engine, &s->adapters);
    cop_seq_free(s->seq);
    if (s->cache_users && --*s->cache_users == 0) {
        cop_cache_free(s->cache);
        cop_free(s->cache_users);
    }
    cop_free(s->rows);
    cop_free(s->keep);
    cop_free(s->committed);
    cop_free(s->verdict.path);
    cop_free(s->verdict.tokens);
    cop_free(s->renamed);
    cop_free(s->fates);
    cop_free(s->tokens);
    cop_free(s);
}

static void reset_drafters(cop_session *s) {
    for (int i = 0; i < s->n_drafters; i++)
        if (s->drafters[i].type->reset) s->drafters[i].type->reset(s->drafters[i].state);
}

cop_status cop_session_add_tokens(cop_session *s, const int32_t *tokens, size_t n_tokens) {
    if (n_tokens > (size_t)(s->context - s->n_tokens))
        return cop_fail(COP_ERR_LIMIT, "context is full: %d tokens and %zu more, at most %d", s->n_tokens, n_tokens, s->context);
    for (size_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || tokens[i] >= s->engine->model->desc.V)
            return cop_fail(COP_ERR_ARG, "token %d: the vocabulary has 0 to %d", tokens[i], s->engine->model->desc.V - 1);
    if (n_tokens) memcpy(s->tokens + s->n_tokens, tokens, n_tokens * sizeof *tokens);
    s->n_tokens += (int)n_tokens;
    s->n_prompt = s->n_tokens;
    return COP_OK;
}

cop_status cop_session_set_tokens(cop_session *s, const int32_t *tokens, size_t n_tokens) {
    size_t same = 0;
    while (same < n_tokens && same < (size_t)s->n_tokens && tokens[same] == s->tokens[same]) same++;
    int had = s->n_tokens;
    s->n_tokens = (int)same;
    cop_status st = cop_session_add_tokens(s, tokens + same, n_tokens - same);
    if (st) {
        s->n_tokens = had;
        return st;
    }
    // The last token has to be computed again even when it is known: its logits are wanted.
    int keep = n_tokens && same >= n_tokens ? (int)n_tokens - 1 : (int)same;
    if (cop_seq_length(s->seq) > keep) cop_seq_truncate(s->seq, keep);
    reset_drafters(s);
    return COP_OK;
}

cop_status cop_session_restart(cop_session *s, const cop_session_options *o) {
    COP_TRY(open_stops(s, o));
    cop_guiding_close(s->guiding);
    s->guiding = NULL;
    if (o->guide) COP_TRY(cop_guiding_open(&s->guiding, o->guide, s->max_nodes, s->engine->model->desc.V));
    s->options.seed = o->seed;
    cop_sampler_reseed(s->sampler, o->seed);
    s->n_tokens = s->n_prompt = 0;
    cop_seq_truncate(s->seq, 0);
    reset_drafters(s);
    return COP_OK;
}

const int32_t *cop_session_tokens(const cop_session *s, size_t *n_tokens) {
    *n_tokens = (size_t)s->n_tokens;
    return s->tokens;
}

// The sequence of `from`, with the memory of what is computed of it.
static cop_status take_sequence(cop_session *s, const cop_session *from) {
    bool same = cop_adapter_set_hash(&s->adapters) == cop_adapter_set_hash(&from->adapters);  // else it is computed anew
    COP_TRY(cop_seq_share(s->seq, from->seq, same ? cop_seq_length(from->seq) : 0));
    memcpy(s->tokens, from->tokens, (size_t)from->n_tokens * sizeof *s->tokens);
    s->n_tokens = from->n_tokens;
    s->n_prompt = from->n_prompt;
    return COP_OK;
}

cop_status cop_session_open_beside(cop_session **out, const cop_session *from, const cop_session_options *options) {
    cop_session_options o = *options;
    o.context = from->context;
    COP_TRY(new_session(out, from->engine, &o, from, NULL));
    cop_status st = take_sequence(*out, from);
    if (!st) return COP_OK;
    cop_session_close(*out);
    *out = NULL;
    return st;
}

cop_status cop_session_fork(cop_session **out, const cop_session *from) {
    *out = NULL;
    cop_session_options o = from->options;
    const cop_sampling *sampling = cop_sampler_get(from->sampler);
    o.n_bias = 0;
    o.n_stop = 0;
    o.n_lora = 0;
    o.samplers = NULL;
    cop_session *s = NULL;
    COP_TRY(new_session(&s, from->engine, &o, from, NULL));
    cop_engine_share_adapters(from->engine, &from->adapters, &s->adapters);
    memcpy(s->stops, from->stops, sizeof s->stops);
    s->n_stops = from->n_stops;
    cop_sampler_free(s->sampler);
    s->sampler = NULL;
    cop_status st = cop_sampler_new(&s->sampler, sampling, from->engine->model->desc.V);
    if (!st) st = cop_workspace_reserve_adapters(s->ws, &s->adapters);
    if (!st) st = take_sequence(s, from);
    if (st) {
        cop_session_close(s);
        return st;
    }
    s->logits_hash = from->logits_hash;
    *out = s;
    return COP_OK;
}

cop_status cop_session_watch(cop_session *s, cop_watch watch) {
    if (!s->proposed.nodes) COP_TRY(cop_tree_init(&s->proposed, s->max_nodes, 0, 0));
    if (!s->fates) s->fates = cop_alloc_array((size_t)s->max_nodes, sizeof *s->fates);
    if (!s->fates) return cop_fail(COP_ERR_NOMEM, "watcher: cannot allocate");
    s->watch = watch;
    return COP_OK;
}

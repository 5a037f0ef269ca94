// What --draft, --verify and --control name: found in the tables, given their options, started.
//
// A controller that remembers keeps two kinds of files in the cache folder, per model, CPU level and number of
// threads: what it learnt, and what each drafter that can save learnt. They only change speed.
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "engine/session.h"
#include "format/registry.h"

#define MOST_TEXT 512       // letters of one plug-in with its options
#define LEAST_STEPS 32      // a shorter session taught nothing worth keeping
#define TRIES 64

// "NAME:options" into a copy; *options is behind the colon, or NULL.
static cop_status split(const char *what, const char *text, size_t bytes, char copy[MOST_TEXT], size_t *name, const char **options) {
    if (bytes >= MOST_TEXT) return cop_fail(COP_ERR_ARG, "%s of %zu letters, at most %d", what, bytes, MOST_TEXT - 1);
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    *name = strcspn(copy, ":");
    *options = copy[*name] ? copy + *name + 1 : NULL;
    return COP_OK;
}

// ---- drafters -----------------------------------------------------------------------------------

// A token to begin guesses with: of the text, whatever the draw.
static int32_t any_token(void *engine, uint64_t draw) {
    const cop_session *s = engine;
    for (uint64_t i = 0; i < TRIES; i++) {
        int32_t t = s->tokens[cop_noise_bits(draw, COP_NOISE_DRAFT, i, 0) % (uint64_t)(s->n_tokens > 0 ? s->n_tokens : 1)];
        if (!cop_tokenizer_is_end(s->engine->tokenizer, t)) return t;
    }
    return s->tokens[0];
}

// A second model that is there, and speaks the drafter's language.
static cop_status check_second_model(const cop_engine *e, const cop_drafter_type *type) {
    if (!(type->needs & COP_NEEDS_SECOND_MODEL)) return COP_OK;
    if (!e->draft_model) return cop_fail(COP_ERR_ARG, "drafter %s: needs a second model (--draft-model M)", type->name);
    if (e->draft_differs && !(type->needs & COP_TRANSLATES))
        return cop_fail(COP_ERR_UNSUPPORTED, "drafter %s: %s; drafter translate goes by way of the text", type->name, e->draft_differs);
    return COP_OK;
}

static cop_status start_drafter(cop_session *s, cop_drafter *d) {
    const cop_engine *e = s->engine;
    COP_TRY(check_second_model(e, d->type));
    const cop_draft_setup setup = {.max_nodes = s->max_nodes, .max_tokens = s->context, .V = e->model->desc.V, .target = e->model,
                                   .target_seq = s->seq, .target_ws = s->ws, .target_adapters = &s->adapters, .draft = e->draft_model,
                                   .tokenizer = e->tokenizer, .draft_tokenizer = e->draft_tokenizer,
                                   .cache_type = cop_cache_get_shape(s->cache)->type, .sampling = cop_sampler_get(s->sampler), .draws = s->draws,
                                   .any_token = any_token, .engine = s};
    if (d->type->start) COP_TRY(d->type->start(d->state, &setup));
    d->started = true;
    return COP_OK;
}

static cop_status add_drafter(cop_session *s, const cop_drafter_type *type, const char *options) {
    int most = s->guiding ? COP_GUIDE_SOURCE : COP_MAX_DRAFTERS;  // the guide drafts, too
    if (s->n_drafters == most) return cop_fail(COP_ERR_ARG, "more than %d drafters", most);
    cop_drafter *d = &s->drafters[s->n_drafters];
    *d = (cop_drafter){.type = type, .state = cop_alloc(type->state_size)};
    if (!d->state) return cop_fail(COP_ERR_NOMEM, "drafter %s: cannot allocate", type->name);
    s->n_drafters++;
    cop_options_init(type->options, d->state);
    if (options) COP_TRY(cop_options_parse(type->options, d->state, type->name, options));
    return start_drafter(s, d);
}

static cop_status open_drafter(cop_session *s, const char *text, size_t bytes) {
    char copy[MOST_TEXT];
    size_t name;
    const char *options;
    const cop_drafter_type *type;
    COP_TRY(split("drafter", text, bytes, copy, &name, &options));
    COP_TRY(cop_drafter_find(&type, copy, name));
    return add_drafter(s, type, options);
}

// A model that was named to draft with is not left out in silence.
static cop_status check_auto(const cop_engine *e) {
    return e->draft_differs ? cop_fail(COP_ERR_UNSUPPORTED, "%s; drafter translate goes by way of the text", e->draft_differs) : COP_OK;
}

static cop_status open_auto(cop_session *s) {
    COP_TRY(check_auto(s->engine));
    for (int i = 0; cop_drafters[i]; i++) {
        const cop_drafter_type *type = cop_drafters[i];
        if (!(type->needs & COP_IN_AUTO) || check_second_model(s->engine, type)) continue;
        COP_TRY(add_drafter(s, type, type->auto_options));
    }
    return COP_OK;
}

static cop_status open_drafters(cop_session *s, const char *text) {
    if (!text || !*text || !strcmp(text, "none")) return COP_OK;
    if (!strcmp(text, "auto")) return open_auto(s);
    while (*text) {
        size_t n = strcspn(text, "+");
        COP_TRY(open_drafter(s, text, n));
        text += n + (text[n] == '+');
    }
    return COP_OK;
}

// ---- verifier and controller --------------------------------------------------------------------

static cop_status open_verifier(cop_session *s, const char *text) {
    char copy[MOST_TEXT];
    size_t name;
    const char *options;
    if (!text) text = cop_verifiers[0]->name;
    COP_TRY(split("verifier", text, strlen(text), copy, &name, &options));
    COP_TRY(cop_verifier_find(&s->verifier, copy, name));
    s->verifier_state = cop_alloc(s->verifier->state_size);
    if (!s->verifier_state) return cop_fail(COP_ERR_NOMEM, "verifier %s: cannot allocate", s->verifier->name);
    cop_options_init(s->verifier->options, s->verifier_state);
    if (options) COP_TRY(cop_options_parse(s->verifier->options, s->verifier_state, s->verifier->name, options));
    if (s->verifier->start) COP_TRY(s->verifier->start(s->verifier_state, s->engine->model->desc.V));
    s->verifier_started = true;
    // Draws need a store for the distributions that they are from; without noise there is nothing to draw.
    // Under a guide drafts are points: a draw that the guide cuts off would bias the text.
    s->draws = s->verifier->takes_draws && s->options.temp > 0 && !s->guiding;
    if (!s->draws) return COP_OK;
    cop_tree_fini(&s->tree);
    return cop_tree_init(&s->tree, s->max_nodes, s->max_nodes, s->engine->model->desc.V);
}

static cop_status open_controller(cop_session *s, const char *text, const cop_session_options *o) {
    char copy[MOST_TEXT];
    size_t name;
    const char *options;
    if (!text) text = o->draft && !strcmp(o->draft, "auto") ? "auto" : cop_controllers[0]->name;
    COP_TRY(split("controller", text, strlen(text), copy, &name, &options));
    COP_TRY(cop_controller_find(&s->controller, copy, name));
    s->controller_state = cop_alloc(s->controller->state_size);
    if (!s->controller_state) return cop_fail(COP_ERR_NOMEM, "controller %s: cannot allocate", s->controller->name);
    cop_options_init(s->controller->options, s->controller_state);
    if (options) COP_TRY(cop_options_parse(s->controller->options, s->controller_state, s->controller->name, options));
    cop_control_setup setup = {.n_drafters = s->n_drafters, .max_nodes = s->max_nodes, .max_tokens = s->context, .cost = s->cost, .note = o->note, .user = o->note_user};
    for (int i = 0; i < s->n_drafters; i++) {
        setup.costly[i] = s->drafters[i].type->needs & COP_COSTLY;
        setup.reads[i] = s->drafters[i].type->needs & COP_NEEDS_SECOND_MODEL;
        setup.names[i] = s->drafters[i].type->name;
    }
    if (s->controller->start) COP_TRY(s->controller->start(s->controller_state, &setup));
    s->controller_started = true;
    return COP_OK;
}

// ---- checking without opening ---------------------------------------------------------------------

static cop_status check_options(const cop_option *options, size_t state_size, const char *name, const char *text) {
    if (!text) return COP_OK;
    void *state = cop_alloc(state_size ? state_size : 1);
    if (!state) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", name);
    cop_options_init(options, state);
    cop_status st = cop_options_parse(options, state, name, text);
    cop_free(state);
    return st;
}

static cop_status check_drafter(const cop_engine *e, const char *text, size_t bytes) {
    char copy[MOST_TEXT];
    size_t name;
    const char *options;
    const cop_drafter_type *type;
    COP_TRY(split("drafter", text, bytes, copy, &name, &options));
    COP_TRY(cop_drafter_find(&type, copy, name));
    COP_TRY(check_second_model(e, type));
    return check_options(type->options, type->state_size, type->name, options);
}

static cop_status check_drafters(const cop_engine *e, const char *text) {
    if (!text || !*text || !strcmp(text, "none")) return COP_OK;
    if (!strcmp(text, "auto")) return check_auto(e);
    for (size_t n; *text; text += n + (text[n] == '+')) {
        n = strcspn(text, "+");
        COP_TRY(check_drafter(e, text, n));
    }
    return COP_OK;
}

cop_status cop_session_check_plugins(const cop_engine *e, const cop_session_options *o) {
    char copy[MOST_TEXT];
    size_t name;
    const char *options;
    const cop_verifier_type *verifier;
    const cop_controller_type *controller;
    COP_TRY(check_drafters(e, o->draft));
    if (o->verify) {
        COP_TRY(split("verifier", o->verify, strlen(o->verify), copy, &name, &options));
        COP_TRY(cop_verifier_find(&verifier, copy, name));
        COP_TRY(check_options(verifier->options, verifier->state_size, verifier->name, options));
    }
    if (!o->control) return COP_OK;
    COP_TRY(split("controller", o->control, strlen(o->control), copy, &name, &options));
    COP_TRY(cop_controller_find(&controller, copy, name));
    return check_options(controller->options, controller->state_size, controller->name, options);
}

// ---- what was learnt ----------------------------------------------------------------------------

// FOLDER/learnt/MODEL-HASH-LEVEL-THREADS.WHAT; false when there is no home or no room.
static bool learnt_path(const cop_session *s, const char *what, bool make, char path[COP_PATH_MAX]) {
    char folder[COP_PATH_MAX], learnt[COP_PATH_MAX];
    if (cop_registry_folder(folder)) return false;
    int n = snprintf(learnt, sizeof learnt, "%s/learnt", folder);
    if (n < 0 || (size_t)n >= sizeof learnt) return false;
    if (make && cop_folders_make(learnt)) return false;
    const char *name = cop_gguf_name(s->engine->model->file), *base = strrchr(name, '/');
    n = snprintf(path, COP_PATH_MAX, "%s/%.64s-%08x-%s-%d.%s", learnt, base ? base + 1 : name, (unsigned)XXH3_64bits(name, strlen(name)),
                 s->engine->model->kernels.level, cop_pool_threads(s->engine->pool), what);
    return n > 0 && n < COP_PATH_MAX;
}

// A file that is absent, damaged or of another model changes nothing: drafting begins from scratch.
static void recall(cop_session *s) {
    char path[COP_PATH_MAX];
    if (s->controller->load && learnt_path(s, s->controller->name, false, path)) (void)s->controller->load(s->controller_state, path);
    for (int i = 0; i < s->n_drafters; i++) {
        const cop_drafter *d = &s->drafters[i];
        if (d->type->load && learnt_path(s, d->type->name, false, path)) (void)d->type->load(d->state, path);
    }
}

static void keep_learnt(const cop_session *s) {
    char path[COP_PATH_MAX];
    if (s->stats.steps < LEAST_STEPS) return;
    if (s->controller->save && learnt_path(s, s->controller->name, true, path)) (void)s->controller->save(s->controller_state, path);
    for (int i = 0; i < s->n_drafters; i++) {
        const cop_drafter *d = &s->drafters[i];
        if (d->type->save && learnt_path(s, d->type->name, true, path)) (void)d->type->save(d->state, path);
    }
}

cop_status cop_session_open_plugins(cop_session *s, const cop_session_options *o) {
    COP_TRY(open_verifier(s, o->verify));
    COP_TRY(open_drafters(s, o->draft));
    COP_TRY(open_controller(s, o->control, o));
    s->remember = o->remember && s->engine->keep_learnt && o->draft && !strcmp(o->draft, "auto");
    if (s->remember) recall(s);
    return COP_OK;
}

void cop_session_close_plugins(cop_session *s) {
    if (s->remember) keep_learnt(s);
    for (int i = 0; i < s->n_drafters; i++) {
        if (s->drafters[i].started && s->drafters[i].type->stop) s->drafters[i].type->stop(s->drafters[i].state);
        cop_free(s->drafters[i].state);
    }
    if (s->controller_started && s->controller->stop) s->controller->stop(s->controller_state);
    cop_free(s->controller_state);
    if (s->verifier_started && s->verifier->stop) s->verifier->stop(s->verifier_state);
    cop_free(s->verifier_state);
}

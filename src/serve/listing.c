// What there is: health, models, properties, adapters, the page.
#include <string.h>

#include "serve/server_private.h"

void cop_serve_page(cop_exchange *x) {
    const char *page = x->server->options.page;
    if (!page) cop_reply_error(x, 404, NULL, "this build has no page");
    else cop_reply_text(x, 200, "text/html; charset=utf-8", page, strlen(page));
}

void cop_serve_health(cop_exchange *x) { cop_reply_json(x, 200, json_pack("{s:s}", "status", "ok")); }

// ---- models ----

static json_t *model_json(const cop_server *s) {
    const cop_model *m = s->engine->model;
    json_t *meta = json_pack("{s:i, s:i, s:i}", "n_vocab", m->desc.V, "n_ctx_train", m->desc.max_positions, "n_embd", m->desc.D);
    return json_pack("{s:s, s:s, s:I, s:s, s:i, s:o}", "id", s->name, "object", "model", "created", (json_int_t)s->started, "owned_by", "coppice",
                     "max_model_len", s->scheduler ? s->options.scheduler.context : m->desc.max_positions, "meta", meta);
}

static json_t *adapter_model(const cop_server *s, int i) {
    return json_pack("{s:s, s:s, s:I, s:s, s:s}", "id", s->adapters[i].name, "object", "model", "created", (json_int_t)s->started, "owned_by",
                     "coppice", "parent", s->name);
}

void cop_serve_models(cop_exchange *x) {
    const cop_server *s = x->server;
    json_t *list = json_pack("[o]", model_json(s));
    for (int i = 0; i < s->served.n_adapters; i++) json_array_append_new(list, adapter_model(s, i));
    cop_reply_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
}

void cop_serve_model(cop_exchange *x) {
    const cop_server *s = x->server;
    const char *id = x->path + strlen("/v1/models/");
    if (!strcmp(id, s->name)) {
        cop_reply_json(x, 200, model_json(s));
        return;
    }
    for (int i = 0; i < s->served.n_adapters; i++)
        if (!strcmp(id, s->adapters[i].name)) {
            cop_reply_json(x, 200, adapter_model(s, i));
            return;
        }
    cop_reply_error(x, 404, "model", "no model %.100s; there is %s", id, s->name);
}

void cop_serve_adapters(cop_exchange *x) {
    const cop_server *s = x->server;
    json_t *list = json_array();
    for (int i = 0; i < s->served.n_adapters; i++)
        json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:f}", "id", i, "name", s->adapters[i].name, "path", s->adapters[i].path, "scale",
                                              s->adapters[i].scale));
    cop_reply_json(x, 200, list);
}

// ---- properties ----

static json_t *settings_json(const cop_server *s) {
    const cop_session_options *o = &s->options.session;
    return json_pack("{s:i, s:f, s:i, s:f, s:f, s:f, s:i, s:f, s:f, s:f, s:i}", "n_predict", s->options.max_tokens, "temperature", (double)o->temp,
                     "top_k", o->top_k, "top_p", (double)o->top_p, "min_p", (double)o->min_p, "typical_p", (double)o->typical_p, "repeat_last_n",
                     o->penalty_window, "repeat_penalty", (double)o->repeat_penalty, "presence_penalty", (double)o->presence_penalty,
                     "frequency_penalty", (double)o->frequency_penalty, "max_tokens", s->options.max_tokens);
}

static json_t *special_text(const cop_tokenizer *tok, int32_t id) {
    size_t bytes;
    const char *text = cop_tokenizer_piece(tok, id, true, &bytes);
    return cop_clean_json(text, id < 0 ? 0 : bytes);
}

static void add_method(json_t *list, const char *name, const char *summary) {
    json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "summary", summary));
}

// What a request may choose from, in its object `coppice`.
static json_t *methods_json(void) {
    json_t *draft = json_array(), *verify = json_array(), *control = json_array();
    for (int i = 0; cop_drafters[i]; i++) add_method(draft, cop_drafters[i]->name, cop_drafters[i]->summary);
    for (int i = 0; cop_verifiers[i]; i++) add_method(verify, cop_verifiers[i]->name, cop_verifiers[i]->summary);
    for (int i = 0; cop_controllers[i]; i++) add_method(control, cop_controllers[i]->name, cop_controllers[i]->summary);
    return json_pack("{s:o, s:o, s:o}", "draft", draft, "verify", verify, "control", control);
}

void cop_serve_props(cop_exchange *x) {
    const cop_server *s = x->server;
    const cop_tokenizer *tok = s->engine->tokenizer;
    json_t *settings = json_pack("{s:i, s:o}", "n_ctx", s->options.scheduler.context, "params", settings_json(s));
    json_t *v = json_pack("{s:o, s:i, s:s, s:s, s:s, s:o, s:o, s:{s:b, s:b}, s:s}", "default_generation_settings", settings, "total_slots",
                          s->scheduler ? s->options.scheduler.slots : 0, "model_path", s->options.model, "model_alias", s->name, "chat_template",
                          s->served.chat_template ? s->served.chat_template : "", "bos_token", special_text(tok, cop_tokenizer_bos(tok)),
                          "eos_token", special_text(tok, cop_tokenizer_eos(tok)), "modalities", "vision", 0, "audio", 0, "build_info",
                          cop_version());
    json_t *drafting = json_pack("{s:s?, s:s?, s:s?}", "draft", s->options.session.draft, "verify", s->options.session.verify, "control",
                                 s->options.session.control);
    if (v) json_object_set_new(v, "coppice", drafting);
    if (v) json_object_set_new(v, "methods", methods_json());
    cop_reply_json(x, 200, v);
}

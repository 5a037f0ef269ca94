// What OpenAI's chat and text forms have in common: the head of a reply, its chunks, and how both end.
#include "serve/openai.h"

const char *cop_finish_word(const cop_choice *c) {
    if (c->calls.n) return c->finish == COP_FINISH_STOP ? "tool_calls" : "length";
    return c->finish == COP_FINISH_STOP ? "stop" : "length";
}

static json_t *reply(const cop_generation *g, const char *object, json_t *choices) {
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", g->id, "object", object, "created", (json_int_t)g->created, "model", g->server->name,
                     "system_fingerprint", cop_version(), "choices", choices);
}

static void add_timings(json_t *v, const cop_choice *c) {
    json_object_set_new(v, "timings", cop_timings_json(c));
    json_object_set_new(v, "coppice", cop_drafting_json(c));
}

json_t *cop_openai_whole(cop_generation *g, const char *object, json_t *(*choice)(const cop_choice *c)) {
    json_t *choices = json_array();
    for (int i = 0; i < g->n; i++) json_array_append_new(choices, choice(&g->choices[i]));
    json_t *v = reply(g, object, choices);
    if (!v) return NULL;
    json_object_set_new(v, "usage", cop_usage_json(g));
    add_timings(v, &g->choices[0]);
    return v;
}

json_t *cop_openai_chunk(const cop_generation *g, const char *object, json_t *choices) {
    json_t *v = reply(g, object, choices);
    if (v && g->question->usage) json_object_set_new(v, "usage", json_null());
    return v;
}

cop_status cop_openai_finish(json_t *chunk, const cop_choice *c, cop_char_array *out) {
    if (chunk) add_timings(chunk, c);
    return cop_append_event(out, NULL, chunk);
}

cop_status cop_openai_end(const cop_generation *g, const char *object, cop_char_array *out) {
    if (g->question->usage) {
        json_t *v = cop_openai_chunk(g, object, json_array());
        if (v) json_object_set_new(v, "usage", cop_usage_json(g));
        COP_TRY(cop_append_event(out, NULL, v));
    }
    return cop_append(out, "data: [DONE]\n\n", 14);
}

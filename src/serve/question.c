// The fields that all families share.
#include "serve/question.h"

#include <stdio.h>
#include <string.h>

#include "serve/exchange.h"

#define MOST_VALUES ((size_t)1 << 18)
#define MOST_DEPTH 64
#define MOST_TOKENS (1 << 22)

cop_status cop_question_new(cop_question **out, const cop_served *served, const char *body, size_t bytes, size_t most) {
    *out = NULL;
    cop_question *q = cop_alloc(sizeof *q);
    if (!q) return cop_fail(COP_ERR_NOMEM, "request: cannot allocate");
    q->served = served;
    q->session = served->defaults;
    q->n = 1;
    q->max_tokens = served->max_tokens;
    q->logprobs = q->slot = -1;
    const cop_json_limits limits = {.bytes = most, .values = MOST_VALUES, .depth = MOST_DEPTH};
    cop_status st = cop_json_parse(&q->body, bytes ? body : "", bytes, &limits);
    if (st) {
        cop_question_free(q);
        return st;
    }
    *out = q;
    return COP_OK;
}

void cop_question_free(cop_question *q) {
    if (!q) return;
    for (size_t i = 0; i < q->n_prompts; i++) {
        cop_array_fini(&q->prompts[i]);
        cop_free(q->texts[i]);
    }
    cop_free(q->prompts);
    cop_free(q->texts);
    for (int i = 0; i < COP_MOST_ADAPTERS; i++) cop_free(q->lora_texts[i]);
    cop_free(q->structure.text);
    json_decref(q->tools);
    json_decref(q->body);
    cop_free(q);
}

// ---- single fields ----

cop_status cop_read_number(cop_question *q, const json_t *object, const char *key, double low, double high, float *out) {
    double v;
    q->field = key;
    COP_TRY(cop_json_number(object, key, (double)*out, &v));
    if (!cop_json_member(object, key)) return COP_OK;
    if (!(v >= low && v <= high)) return cop_fail(COP_ERR_ARG, "%s: %g, must be %g to %g", key, v, low, high);
    *out = (float)v;
    return COP_OK;
}

cop_status cop_read_int(cop_question *q, const json_t *object, const char *key, int64_t low, int64_t high, int *out) {
    int64_t v;
    q->field = key;
    if (!cop_json_member(object, key)) return COP_OK;
    COP_TRY(cop_json_int(object, key, low, low, high, &v));
    *out = (int)v;
    return COP_OK;
}

cop_status cop_read_bool(cop_question *q, const json_t *object, const char *key, bool *out) {
    q->field = key;
    return cop_json_bool(object, key, *out, out);
}

cop_status cop_read_text(cop_question *q, const json_t *object, const char *key, const char **out) {
    q->field = key;
    return cop_json_text(object, key, *out, out);
}

static cop_status add_stop(cop_question *q, const char *key, const json_t *v) {
    if (!json_is_string(v)) return cop_fail(COP_ERR_ARG, "%s: must be a text or a list of texts", key);
    size_t bytes = json_string_length(v);
    if (!bytes) return COP_OK;
    if (bytes >= COP_MAX_STOP_BYTES) return cop_fail(COP_ERR_ARG, "%s: a text of %zu bytes, at most %d", key, bytes, COP_MAX_STOP_BYTES - 1);
    if (q->session.n_stop == COP_MAX_STOPS) return cop_fail(COP_ERR_ARG, "%s: more than %d texts", key, COP_MAX_STOPS);
    q->stops[q->session.n_stop++] = json_string_value(v);
    q->session.stop = q->stops;
    return COP_OK;
}

cop_status cop_read_stop(cop_question *q, const char *key) {
    const json_t *v = cop_json_member(q->body, key);
    q->field = key;
    if (!v) return COP_OK;
    q->session.n_stop = 0;
    if (!json_is_array(v)) return add_stop(q, key, v);
    for (size_t i = 0; i < json_array_size(v); i++) COP_TRY(add_stop(q, key, json_array_get(v, i)));
    return COP_OK;
}

// -1 and 2^32 - 1 ask for any seed.
static cop_status read_seed(cop_question *q) {
    int64_t seed = -1;
    q->field = "seed";
    const json_t *v = cop_json_member(q->body, "seed");
    if (v) COP_TRY(cop_json_int(q->body, "seed", -1, INT64_MIN, INT64_MAX, &seed));
    if (v && seed != -1 && seed != UINT32_MAX) q->seed = (uint64_t)seed;
    else q->seed = q->served->seeded ? q->served->defaults.seed : cop_random() >> 1;
    return COP_OK;
}

// ---- logit bias ----

static cop_status add_bias(cop_question *q, int64_t token, double bias) {
    int32_t V = cop_tokenizer_n_tokens(q->served->tokenizer);
    if (token < 0 || token >= V) return cop_fail(COP_ERR_ARG, "logit_bias: token %lld, must be 0 to %d", (long long)token, V - 1);
    if (q->session.n_bias == COP_MOST_FIELD_BIAS) return cop_fail(COP_ERR_ARG, "logit_bias: more than %d tokens", COP_MOST_FIELD_BIAS);
    q->bias_tokens[q->session.n_bias] = (int32_t)token;
    q->bias_values[q->session.n_bias++] = (float)bias;
    q->session.bias_tokens = q->bias_tokens;
    q->session.bias_values = q->bias_values;
    return COP_OK;
}

// A number is a token, anything else a text whose tokens are all meant.
static cop_status add_bias_text(cop_question *q, const char *text, double bias) {
    size_t digits = strspn(text, "0123456789"), n = strlen(text);
    if (n && digits == n && n < 10) {
        int64_t token = 0;
        for (size_t i = 0; i < n; i++) token = token * 10 + (text[i] - '0');
        return add_bias(q, token, bias);
    }
    cop_token_array tokens = {.most = COP_MOST_FIELD_BIAS};
    cop_status st = cop_tokenizer_encode(q->served->tokenizer, text, n, false, true, &tokens);
    for (size_t i = 0; !st && i < tokens.n; i++) st = add_bias(q, tokens.v[i], bias);
    cop_array_fini(&tokens);
    return st;
}

#define NEVER (-1e9)  // as good as minus infinity

static cop_status bias_value(const json_t *v, double *out) {
    if (json_is_false(v)) *out = NEVER;
    else if (json_is_number(v)) *out = json_number_value(v);
    else return cop_fail(COP_ERR_ARG, "logit_bias: a bias must be a number");
    if (!json_is_false(v) && !(*out >= -1e6 && *out <= 1e6)) return cop_fail(COP_ERR_ARG, "logit_bias: %g, must be -1e6 to 1e6", *out);
    if (*out <= -100) *out = NEVER;
    return COP_OK;
}

static cop_status read_bias(cop_question *q) {
    json_t *v = cop_json_member(q->body, "logit_bias"), *bias;
    const char *key;
    double value;
    q->field = "logit_bias";
    if (!v) return COP_OK;
    if (json_is_object(v)) {
        json_object_foreach(v, key, bias) {
            COP_TRY(bias_value(bias, &value));
            COP_TRY(add_bias_text(q, key, value));
        }
        return COP_OK;
    }
    if (!json_is_array(v)) return cop_fail(COP_ERR_ARG, "logit_bias: must be an object or a list of pairs");
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *pair = json_array_get(v, i), *what = json_array_get(pair, 0);
        if (json_array_size(pair) != 2) return cop_fail(COP_ERR_ARG, "logit_bias[%zu]: must be [token, bias]", i);
        COP_TRY(bias_value(json_array_get(pair, 1), &value));
        if (json_is_integer(what)) COP_TRY(add_bias(q, json_integer_value(what), value));
        else if (json_is_string(what)) COP_TRY(add_bias_text(q, json_string_value(what), value));
        else return cop_fail(COP_ERR_ARG, "logit_bias[%zu]: must be [token, bias]", i);
    }
    return COP_OK;
}

// ---- sampling ----

static cop_status add_sampler(cop_question *q, const char *name) {
    static const struct { const char *theirs, *ours; } names[] = {
        {"temperature", "temp"}, {"temp", "temp"}, {"typ_p", "typical_p"}, {"typical_p", "typical_p"},
        {"top_k", "top_k"}, {"top_p", "top_p"}, {"min_p", "min_p"},
        {"penalties", ""}, {"dry", ""}, {"xtc", ""}, {"top_n_sigma", ""},  // first here, or not here
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].theirs, name) != 0) continue;
        size_t n = strlen(q->samplers);
        if (names[i].ours[0]) snprintf(q->samplers + n, sizeof q->samplers - n, "%s%s", n ? "," : "", names[i].ours);
        return COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "samplers: no sampler %.40s", name);
}

static cop_status read_samplers(cop_question *q) {
    const json_t *v = cop_json_member(q->body, "samplers");
    q->field = "samplers";
    if (!v) return COP_OK;
    if (!json_is_array(v) || json_array_size(v) > 12) return cop_fail(COP_ERR_ARG, "samplers: must be a list of at most 12 names");
    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *name = json_string_value(json_array_get(v, i));
        if (!name) return cop_fail(COP_ERR_ARG, "samplers[%zu]: must be a name", i);
        COP_TRY(add_sampler(q, name));
    }
    if (*q->samplers) q->session.samplers = q->samplers;
    return COP_OK;
}

// -1 and 0 switch top_k off.
static cop_status read_sampling(cop_question *q) {
    const json_t *b = q->body;
    cop_session_options *s = &q->session;
    COP_TRY(cop_read_number(q, b, "temperature", 0, 100, &s->temp));
    COP_TRY(cop_read_int(q, b, "top_k", -1, 1 << 24, &s->top_k));
    if (s->top_k < 0) s->top_k = 0;
    COP_TRY(cop_read_number(q, b, "top_p", 0, 1, &s->top_p));
    COP_TRY(cop_read_number(q, b, "min_p", 0, 1, &s->min_p));
    COP_TRY(cop_read_number(q, b, "typical_p", 0, 1, &s->typical_p));
    COP_TRY(cop_read_number(q, b, "repetition_penalty", 0.01, 100, &s->repeat_penalty));
    COP_TRY(cop_read_number(q, b, "repeat_penalty", 0.01, 100, &s->repeat_penalty));
    COP_TRY(cop_read_number(q, b, "frequency_penalty", -100, 100, &s->frequency_penalty));
    COP_TRY(cop_read_number(q, b, "presence_penalty", -100, 100, &s->presence_penalty));
    COP_TRY(cop_read_int(q, b, "repeat_last_n", -1, 1 << 20, &s->penalty_window));
    if (s->penalty_window < 0) s->penalty_window = 1 << 20;
    COP_TRY(read_samplers(q));
    COP_TRY(read_seed(q));
    return read_bias(q);
}

// ---- drafting, adapters ----

static cop_status read_drafting(cop_question *q) {
    json_t *v = cop_json_member(q->body, "coppice");
    q->field = "coppice";
    if (!v) return COP_OK;
    if (!json_is_object(v)) return cop_fail(COP_ERR_ARG, "coppice: must be an object");
    COP_TRY(cop_read_text(q, v, "draft", &q->session.draft));
    COP_TRY(cop_read_text(q, v, "verify", &q->session.verify));
    COP_TRY(cop_read_text(q, v, "control", &q->session.control));
    COP_TRY(cop_read_bool(q, v, "trees", &q->show_trees));
    return COP_OK;
}

static int find_adapter(const cop_served *s, const json_t *id) {
    if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < s->n_adapters) return (int)json_integer_value(id);
    for (int i = 0; json_is_string(id) && i < s->n_adapters; i++)
        if (!strcmp(s->adapters[i].name, json_string_value(id))) return i;
    return -1;
}

static cop_status add_adapter(cop_question *q, int i, double scale) {
    const cop_served_adapter *a = &q->served->adapters[i];
    char text[4096 + 32];
    if (scale == 0) return COP_OK;
    if (q->session.n_lora == COP_MOST_ADAPTERS) return cop_fail(COP_ERR_ARG, "lora: more than %d adapters", COP_MOST_ADAPTERS);
    int n = snprintf(text, sizeof text, "%s:%.9g", a->path, scale);
    if (n < 0 || (size_t)n >= sizeof text) return cop_fail(COP_ERR_ARG, "lora: the path of adapter %s is too long", a->name);
    char *copy = cop_text_copy(text, (size_t)n);
    if (!copy) return cop_fail(COP_ERR_NOMEM, "lora: cannot allocate");
    q->lora_texts[q->session.n_lora] = copy;
    q->lora[q->session.n_lora++] = copy;
    q->session.lora = q->lora;
    return COP_OK;
}

// Without the field all adapters are in force as at the start, or the one that `model` names; with it those that it names.
static cop_status read_adapters(cop_question *q) {
    const cop_served *s = q->served;
    json_t *v = cop_json_member(q->body, "lora"), *model = cop_json_member(q->body, "model");
    int named = json_is_string(model) ? find_adapter(s, model) : -1;
    q->session.n_lora = 0;
    q->session.lora = NULL;
    q->field = "lora";
    if (!v && named >= 0) return add_adapter(q, named, s->adapters[named].scale);
    for (int i = 0; !v && i < s->n_adapters; i++) COP_TRY(add_adapter(q, i, s->adapters[i].scale));
    if (!v) return COP_OK;
    if (!json_is_array(v)) return cop_fail(COP_ERR_ARG, "lora: must be a list of {\"id\", \"scale\"}");
    for (size_t i = 0; i < json_array_size(v); i++) {
        json_t *one = json_array_get(v, i);
        const json_t *id = json_is_object(one) ? cop_json_member(one, "id") : one;
        int at = find_adapter(s, id);
        if (at < 0) return cop_fail(COP_ERR_ARG, "lora[%zu]: no such adapter; there are %d, see GET /lora-adapters", i, s->n_adapters);
        float scale = json_is_object(one) ? 1 : (float)s->adapters[at].scale;
        if (json_is_object(one)) COP_TRY(cop_read_number(q, one, "scale", -COP_MOST_LORA_SCALE, COP_MOST_LORA_SCALE, &scale));
        COP_TRY(add_adapter(q, at, (double)scale));
    }
    return COP_OK;
}

cop_status cop_question_common(cop_question *q) {
    json_t *b = q->body, *stream;
    COP_TRY(read_sampling(q));
    COP_TRY(cop_read_stop(q, "stop"));
    COP_TRY(cop_read_int(q, b, "n", 1, COP_MOST_CHOICES, &q->n));
    COP_TRY(cop_read_bool(q, b, "stream", &q->stream));
    COP_TRY(cop_read_bool(q, b, "ignore_eos", &q->ignore_end));
    COP_TRY(cop_read_bool(q, b, "return_tokens", &q->tell_tokens));
    COP_TRY(cop_read_bool(q, b, "timings_per_token", &q->timings));
    COP_TRY(cop_read_int(q, b, "id_slot", -1, COP_MAX_SLOTS - 1, &q->slot));
    COP_TRY(cop_read_int(q, b, "n_predict", -1, MOST_TOKENS, &q->max_tokens));
    COP_TRY(cop_read_int(q, b, "max_tokens", -1, MOST_TOKENS, &q->max_tokens));
    COP_TRY(cop_read_int(q, b, "max_completion_tokens", -1, MOST_TOKENS, &q->max_tokens));
    q->field = "stream_options";
    stream = cop_json_member(b, "stream_options");
    if (stream && !json_is_object(stream)) return cop_fail(COP_ERR_ARG, "stream_options: must be an object");
    COP_TRY(cop_read_bool(q, stream, "include_usage", &q->usage));
    COP_TRY(read_drafting(q));
    COP_TRY(read_adapters(q));
    return cop_read_structure(q);
}

// ---- prompts ----

static cop_status add_prompt(cop_question *q, cop_token_array *tokens, char *text) {
    size_t n = q->n_prompts;
    if ((n + 1) * (size_t)q->n > COP_MOST_CHOICES) return cop_fail(COP_ERR_ARG, "prompt: more than %d replies to one request", COP_MOST_CHOICES);
    cop_token_array *prompts = cop_realloc(q->prompts, n * sizeof *prompts, (n + 1) * sizeof *prompts);
    if (prompts) q->prompts = prompts;
    char **texts = prompts ? cop_realloc(q->texts, n * sizeof *texts, (n + 1) * sizeof *texts) : NULL;
    if (!texts) return cop_fail(COP_ERR_NOMEM, "prompt: cannot allocate");
    q->texts = texts;
    q->prompts[n] = *tokens;
    q->texts[n] = text;
    q->n_prompts++;
    *tokens = (cop_token_array){0};
    return COP_OK;
}

cop_status cop_question_add_text(cop_question *q, const char *text, size_t bytes) {
    cop_token_array tokens = {.most = SIZE_MAX / 8};
    char *copy = cop_text_copy(text, bytes);
    cop_status st = copy ? COP_OK : cop_fail(COP_ERR_NOMEM, "prompt: cannot allocate");
    if (!st) st = cop_tokenizer_encode(q->served->tokenizer, text, bytes, true, true, &tokens);
    if (!st) st = add_prompt(q, &tokens, copy);
    if (st) cop_free(copy);
    cop_array_fini(&tokens);
    return st;
}

// Bytes of the tokens as text, for those who want the prompt back.
static char *spell(const cop_tokenizer *tok, const cop_token_array *tokens) {
    cop_char_array text = {.most = SIZE_MAX / 8};
    size_t bytes;
    bool failed = false;
    for (size_t i = 0; i < tokens->n && !failed; i++) {
        const char *piece = cop_tokenizer_piece(tok, tokens->v[i], true, &bytes);
        failed = cop_append(&text, piece, bytes) != COP_OK;
    }
    char *copy = failed ? NULL : cop_text_copy(text.v ? text.v : "", text.n);
    cop_array_fini(&text);
    return copy;
}

// Tokens, and texts among them; only a text at the beginning gets the model's special tokens.
static cop_status add_part(cop_question *q, const json_t *v, size_t i, cop_token_array *tokens) {
    int32_t V = cop_tokenizer_n_tokens(q->served->tokenizer);
    if (json_is_string(v)) return cop_tokenizer_encode(q->served->tokenizer, json_string_value(v), json_string_length(v), i == 0, true, tokens);
    if (!json_is_integer(v)) return cop_fail(COP_ERR_ARG, "prompt[%zu]: must be a token or a text", i);
    if (json_integer_value(v) < 0 || json_integer_value(v) >= V)
        return cop_fail(COP_ERR_ARG, "prompt[%zu]: token %lld, must be 0 to %d", i, (long long)json_integer_value(v), V - 1);
    return cop_array_push(tokens, (int32_t)json_integer_value(v));
}

cop_status cop_question_take_tokens(cop_question *q, cop_token_array *tokens) {
    char *text = spell(q->served->tokenizer, tokens);
    if (!text) return cop_fail(COP_ERR_NOMEM, "prompt: cannot allocate");
    cop_status st = add_prompt(q, tokens, text);
    if (st) cop_free(text);
    return st;
}

cop_status cop_question_add_tokens(cop_question *q, const json_t *list) {
    cop_token_array tokens = {.most = SIZE_MAX / 8};
    cop_status st = COP_OK;
    for (size_t i = 0; !st && i < json_array_size(list); i++) st = add_part(q, json_array_get(list, i), i, &tokens);
    if (!st) st = cop_question_take_tokens(q, &tokens);
    cop_array_fini(&tokens);
    return st;
}

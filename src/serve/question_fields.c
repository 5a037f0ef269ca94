// The fields of OpenAI's chat and text forms and of llama-server's.
#include <stdio.h>
#include <string.h>

#include "serve/exchange.h"
#include "serve/question.h"

// ---- OpenAI ----

cop_status cop_question_chat(cop_question *q) {
    json_t *b = q->body;
    bool logprobs = false;
    int top = 0;
    COP_TRY(cop_question_common(q));
    COP_TRY(cop_read_bool(q, b, "logprobs", &logprobs));
    COP_TRY(cop_read_int(q, b, "top_logprobs", 0, COP_MAX_LOGPROBS, &top));
    if (top && !logprobs) return cop_fail(COP_ERR_ARG, "top_logprobs: needs logprobs");
    if (logprobs) q->logprobs = top;
    COP_TRY(cop_read_tools(q));
    return cop_question_add_chat(q, cop_json_member(b, "messages"), cop_json_member(b, "chat_template_kwargs"));
}

// One text, several, one list of tokens, or several of those.
cop_status cop_question_prompts(cop_question *q, const json_t *prompt) {
    q->field = "prompt";
    if (json_is_string(prompt)) return cop_question_add_text(q, json_string_value(prompt), json_string_length(prompt));
    if (!json_is_array(prompt) || !json_array_size(prompt)) return cop_fail(COP_ERR_ARG, "prompt: must be a text, a list of texts or of tokens");
    bool tokens = json_is_integer(json_array_get(prompt, 0));
    if (tokens) return cop_question_add_tokens(q, prompt);
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        const json_t *one = json_array_get(prompt, i);
        if (json_is_string(one)) COP_TRY(cop_question_add_text(q, json_string_value(one), json_string_length(one)));
        else if (json_is_array(one) && json_array_size(one)) COP_TRY(cop_question_add_tokens(q, one));
        else return cop_fail(COP_ERR_ARG, "prompt[%zu]: must be a text or a list of tokens", i);
    }
    return COP_OK;
}

cop_status cop_question_text(cop_question *q) {
    json_t *b = q->body;
    int best_of = 0;
    q->max_tokens = 16;
    COP_TRY(cop_question_common(q));
    COP_TRY(cop_read_int(q, b, "logprobs", 0, COP_MAX_LOGPROBS, &q->logprobs));
    COP_TRY(cop_read_bool(q, b, "echo", &q->echo));
    COP_TRY(cop_read_int(q, b, "best_of", 1, COP_MOST_CHOICES, &best_of));
    if (best_of && best_of != q->n) return cop_fail(COP_ERR_ARG, "best_of: %d, only n (%d) is supported", best_of, q->n);
    if (q->echo && q->logprobs >= 0) return cop_fail(COP_ERR_ARG, "echo: not together with logprobs");
    const json_t *suffix = cop_json_member(b, "suffix");
    q->field = "suffix";
    if (suffix && json_string_length(suffix)) return cop_fail(COP_ERR_ARG, "suffix: not supported here; use /infill");
    return cop_question_prompts(q, cop_json_member(b, "prompt"));
}

// ---- llama-server ----

cop_status cop_question_completion(cop_question *q) {
    json_t *b = q->body;
    int probs = 0;
    COP_TRY(cop_question_common(q));
    COP_TRY(cop_read_int(q, b, "n_cmpl", 1, COP_MOST_CHOICES, &q->n));
    COP_TRY(cop_read_int(q, b, "n_probs", 0, COP_MAX_LOGPROBS, &probs));
    if (probs) q->logprobs = probs;
    if (q->stream) q->tell_tokens = true;
    return cop_question_prompts(q, cop_json_member(b, "prompt"));
}

// A token by any of its spellings, or -1.
static int32_t find_token(const cop_tokenizer *tok, const char *const *names) {
    for (int i = 0; names[i]; i++) {
        int32_t id = cop_tokenizer_find(tok, names[i], strlen(names[i]));
        if (id >= 0) return id;
    }
    return -1;
}

typedef struct fill_tokens {
    int32_t before, behind, middle, repository, file;
} fill_tokens;

static fill_tokens find_fill(const cop_tokenizer *tok) {
    static const char *const before[] = {"<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>", "<PRE>", "\xe2\x96\x81<PRE>", "[PREFIX]", NULL};
    static const char *const behind[] = {"<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>", "<SUF>", "\xe2\x96\x81<SUF>", "[SUFFIX]", NULL};
    static const char *const middle[] = {"<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<MID>", "\xe2\x96\x81<MID>", "[MIDDLE]", NULL};
    static const char *const repository[] = {"<|repo_name|>", "<reponame>", "<repo_name>", NULL};
    static const char *const file[] = {"<|file_sep|>", "<file_sep>", NULL};
    return (fill_tokens){find_token(tok, before), find_token(tok, behind), find_token(tok, middle), find_token(tok, repository), find_token(tok, file)};
}

static cop_status add_plain(cop_question *q, const char *text, cop_token_array *out) {
    return cop_tokenizer_encode(q->served->tokenizer, text, strlen(text), false, false, out);
}

// Files beside the one that is filled in: each behind a separator with its name, where the model has one.
static cop_status add_extra(cop_question *q, const fill_tokens *f, cop_token_array *out) {
    const json_t *list = cop_json_member(q->body, "input_extra");
    q->field = "input_extra";
    if (!list) return COP_OK;
    if (!json_is_array(list)) return cop_fail(COP_ERR_ARG, "input_extra: must be a list of {\"filename\", \"text\"}");
    if (f->repository >= 0 && f->file >= 0) {
        COP_TRY(cop_array_push(out, f->repository));
        COP_TRY(add_plain(q, "project\n", out));
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = json_string_value(cop_json_member(one, "filename")), *text = json_string_value(cop_json_member(one, "text"));
        if (!text) return cop_fail(COP_ERR_ARG, "input_extra[%zu]: has no text", i);
        if (f->file >= 0) {
            COP_TRY(cop_array_push(out, f->file));
            COP_TRY(add_plain(q, name ? name : "file", out));
            COP_TRY(add_plain(q, "\n", out));
        }
        COP_TRY(add_plain(q, text, out));
        COP_TRY(add_plain(q, "\n", out));
    }
    return f->file < 0 ? COP_OK : cop_array_push(out, f->file);
}

static cop_status build_infill(cop_question *q, const fill_tokens *f, cop_token_array *out) {
    const cop_tokenizer *tok = q->served->tokenizer;
    const char *before = "", *behind = "", *begun = "";
    COP_TRY(cop_read_text(q, q->body, "input_prefix", &before));
    COP_TRY(cop_read_text(q, q->body, "input_suffix", &behind));
    COP_TRY(cop_read_text(q, q->body, "prompt", &begun));
    if (cop_tokenizer_adds_bos(tok) && cop_tokenizer_bos(tok) >= 0) COP_TRY(cop_array_push(out, cop_tokenizer_bos(tok)));
    COP_TRY(add_extra(q, f, out));
    COP_TRY(cop_array_push(out, f->before));
    COP_TRY(add_plain(q, before, out));
    COP_TRY(cop_array_push(out, f->behind));
    COP_TRY(add_plain(q, behind, out));
    COP_TRY(cop_array_push(out, f->middle));
    return add_plain(q, begun, out);
}

cop_status cop_question_infill(cop_question *q) {
    fill_tokens f = find_fill(q->served->tokenizer);
    int probs = 0;
    COP_TRY(cop_question_common(q));
    COP_TRY(cop_read_int(q, q->body, "n_probs", 0, COP_MAX_LOGPROBS, &probs));
    if (probs) q->logprobs = probs;
    q->field = NULL;
    if (f.before < 0 || f.behind < 0 || f.middle < 0) return cop_fail(COP_ERR_UNSUPPORTED, "infill: the model has no tokens for it");
    cop_token_array tokens = {.most = SIZE_MAX / 8};
    cop_status st = build_infill(q, &f, &tokens);
    if (!st) st = cop_question_take_tokens(q, &tokens);
    cop_array_fini(&tokens);
    return st;
}

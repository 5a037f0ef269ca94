// Fuzzer of the questions that the server reads.  The first byte says in which form, the rest is the body.  Whatever it
// is, it is read twice in the same way; what is accepted keeps to the ranges of docs/serve.md, what is refused has a
// sentence that says why.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "serve/question.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define N_TOKENS 264

static const char template[] =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}"
    "{% endfor %}{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% if add_generation_prompt %}[assistant]<think>{% endif %}";

// Bytes, and tokens for filling in.
static cop_tokenizer *make_tokenizer(void) {
    static const char *const named[] = {"<unk>", "<s>", "</s>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"};
    static char texts[256][8];
    static cop_span tokens[N_TOKENS];
    static int32_t types[N_TOKENS];
    static float scores[N_TOKENS];
    for (int i = 0; i < N_TOKENS; i++) {
        int byte = i - 8;
        if (byte >= 0) snprintf(texts[byte], sizeof texts[byte], "<0x%02X>", (unsigned)byte);
        const char *text = byte >= 0 ? texts[byte] : named[i];
        tokens[i] = (cop_span){text, strlen(text)};
        types[i] = byte >= 0 ? COP_TOKEN_BYTE : i ? COP_TOKEN_CONTROL : COP_TOKEN_UNKNOWN;
    }
    const cop_vocab_source source = {.model = "llama", .n_tokens = N_TOKENS, .tokens = tokens, .scores = scores, .types = types, .bos = 1, .eos = 2,
                                     .eot = -1, .unk = 0, .pad = -1, .add_bos = true};
    cop_tokenizer *tok;
    must(!cop_tokenizer_new(&tok, &source));
    return tok;
}

static const cop_served *get_served(void) {
    static const cop_served_adapter adapters[] = {{"/adapters/a.gguf", "a", 1}, {"/adapters/b.gguf", "b", 0.5}};
    static cop_served served;
    if (served.tokenizer) return &served;
    served = (cop_served){.tokenizer = make_tokenizer(), .name = "model", .seeded = true, .max_tokens = -1, .template = template,
                          .template_bytes = sizeof template - 1, .chat_template = template, .adapters = adapters, .n_adapters = 2};
    served.defaults = (cop_session_options){.typical_p = 1, .top_p = 1, .repeat_penalty = 1, .penalty_window = 64};
    served.format = cop_tool_format_find(template);
    served.reasoning = cop_reasoning_find(template);
    return &served;
}

static int in(double v, double low, double high) { return v >= low && v <= high; }

static void check(const cop_question *q) {
    const cop_session_options *s = &q->session;
    size_t replies = q->n_prompts * (size_t)q->n;
    must(in(q->n, 1, COP_MOST_CHOICES) && replies >= 1 && replies <= COP_MOST_CHOICES);
    must(in(q->max_tokens, -1, 1 << 22) && in(q->logprobs, -1, COP_MAX_LOGPROBS) && in(q->slot, -1, COP_MAX_SLOTS - 1));
    must(in((double)s->temp, 0, 100) && in(s->top_k, 0, 1 << 24) && in((double)s->top_p, 0, 1) && in((double)s->min_p, 0, 1) && in((double)s->typical_p, 0, 1));
    must(in((double)s->repeat_penalty, 0.0099, 100) && in((double)s->frequency_penalty, -100, 100) && in((double)s->presence_penalty, -100, 100));
    must(in(s->penalty_window, 0, 1 << 20) && in(s->n_stop, 0, COP_MAX_STOPS) && in(s->n_bias, 0, COP_MOST_FIELD_BIAS) && in(s->n_lora, 0, COP_MOST_ADAPTERS));
    for (int i = 0; i < s->n_stop; i++) must(s->stop[i][0] && strlen(s->stop[i]) < COP_MAX_STOP_BYTES);
    for (int i = 0; i < s->n_bias; i++) must(in(s->bias_tokens[i], 0, N_TOKENS - 1) && in((double)s->bias_values[i], -1e9, 1e6));
    for (int i = 0; i < s->n_lora; i++) must(!strncmp(s->lora[i], "/adapters/", 10));
    for (size_t p = 0; p < q->n_prompts; p++)
        for (size_t i = 0; i < q->prompts[p].n; i++) must(in(q->prompts[p].v[i], 0, N_TOKENS - 1));
    must(q->tool_choice != COP_TOOLS_REQUIRED || json_array_size(q->tools));
    must((q->structure.kind == COP_CHOICES) == (q->structure.choices != NULL));
    must(!(q->structure.kind >= COP_JSON_SCHEMA && q->structure.kind <= COP_REGEX) || q->structure.text);
}

static cop_status read_one(cop_question **q, int form, const char *body, size_t bytes) {
    static cop_status (*const readers[])(cop_question *) = {cop_question_chat, cop_question_text, cop_question_completion,
                                                            cop_question_infill, cop_question_responses, cop_question_messages};
    COP_TRY(cop_question_new(q, get_served(), body, bytes, 1 << 20));
    cop_status st = readers[form % 6](*q);
    if (!st) return COP_OK;
    must(st != COP_ERR_NOMEM);
    cop_question_free(*q);
    *q = NULL;
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    cop_question *q = NULL, *again = NULL;
    if (!bytes) return 0;
    cop_status st = read_one(&q, data[0], (const char *)data + 1, bytes - 1);
    must(st == read_one(&again, data[0], (const char *)data + 1, bytes - 1));
    if (st) {
        must(*cop_error_text() != 0);
        return 0;
    }
    check(q);
    must(again->n_prompts == q->n_prompts && again->prompts[0].n == q->prompts[0].n);
    cop_question_free(q);
    cop_question_free(again);
    return 0;
}

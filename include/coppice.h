/* coppice: a language-model decoding engine. The public interface, all of it.
 *
 *   cop_engine *engine;
 *   if (cop_engine_open(&engine, "smollm2-135m", NULL)) fputs(cop_error_text(), stderr);
 *   cop_session *session;
 *   cop_session_open(&session, engine, NULL);
 *   cop_session_add_text(session, "Once upon a time", 16, 0);
 *   cop_session_generate(session, 64, print_piece, NULL, NULL);
 *
 * Every function that can fail returns cop_status; the sentence for people is cop_error_text().
 * Arguments are borrowed until the call returns. An engine may be used from any thread, a session from
 * one at a time. Nothing here prints or exits. */
#ifndef COPPICE_H
#define COPPICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COP_API __attribute__((visibility("default")))

typedef enum cop_status {
    COP_OK = 0,
    COP_ERR_ARG,         /* the caller asked for something out of range */
    COP_ERR_IO,          /* reading, writing or the network failed */
    COP_ERR_FORMAT,      /* a file or message is not what it says */
    COP_ERR_NOMEM,       /* memory is gone */
    COP_ERR_LIMIT,       /* a stated limit was reached */
    COP_ERR_UNSUPPORTED, /* well-formed, but this build or model cannot do it */
    COP_ERR_NOT_FOUND,   /* no such file, name or tensor */
    COP_ERR_CANCELLED    /* the caller asked to stop */
} cop_status;

/* What went wrong last in this thread, where, and what would be right; valid until its next failure. */
COP_API const char *cop_error_text(void);
COP_API const char *cop_status_name(cop_status status);
COP_API const char *cop_version(void); /* "0.1.0" */

/* ---- engine: a model, its tokenizer, the threads ---- */

typedef struct cop_engine cop_engine;

typedef struct cop_engine_options {
    int threads;                /* 0: one per usable core */
    const char *cpu_level;      /* "scalar", "avx2", "avx512", "neon"; NULL: COPPICE_CPU, else the best */
    int keep_packed;            /* 1: keep packed weights in the cache folder, so that the next start is fast */
    const char *draft_model;    /* a smaller model of the same vocabulary for drafters that want one; NULL: none */
    void (*progress)(void *user, double done); /* while weights are packed, 0 ... 1; may be NULL */
    void *user;
} cop_engine_options;

COP_API cop_engine_options cop_engine_defaults(void);

/* model: a name of the table (`coppice models`), a GGUF file, or a folder that holds one.
 * options NULL: the defaults. */
COP_API cop_status cop_engine_open(cop_engine **out, const char *model, const cop_engine_options *options);
COP_API void cop_engine_close(cop_engine *engine); /* after its sessions; accepts NULL */

COP_API int cop_engine_vocabulary(const cop_engine *engine);  /* number of tokens */
COP_API int cop_engine_max_context(const cop_engine *engine); /* positions the model was trained for */

/* Tokens of text[0..bytes), at most max_tokens of them into tokens; *n_tokens is the full count.
 * parse_special: texts such as <|im_end|> become control tokens; never set it for text from strangers.
 * add_special: the tokens that the model wants at the beginning. */
COP_API cop_status cop_engine_tokenize(const cop_engine *engine, const char *text, size_t bytes, int add_special,
                                       int parse_special, int32_t *tokens, size_t max_tokens, size_t *n_tokens);

/* Bytes that a token stands for, into text[max_bytes]; returns their number, which may be larger. Control
 * tokens are empty. */
COP_API size_t cop_engine_piece(const cop_engine *engine, int32_t token, char *text, size_t max_bytes);

/* A conversation as the text that the model was trained to continue, by the template of its file. conversation:
 * JSON, {"messages": [{"role": "user", "content": "..."}, ...], "tools": [...], "add_generation_prompt": true, ...},
 * of which a template sees every member; or the list of messages alone, to which the model is to answer. At most
 * max_bytes bytes go to text; *bytes is the full length. Tokenise it with add_special and parse_special.
 * COP_ERR_UNSUPPORTED when the model has no template, COP_ERR_ARG when its template refuses the messages. */
COP_API cop_status cop_engine_render_chat(const cop_engine *engine, const char *conversation, size_t conversation_bytes, char *text,
                                          size_t max_bytes, size_t *bytes);

/* ---- guide: the language that a text has to be in ---- */

typedef struct cop_guide cop_guide;

/* Text that a session writes under a guide is in the guide's language when it ends, and it ends within the limit; what cannot be
 * kept so (a limit that is too small, a language that costs too much) makes the call fail.
 * kind: "json-schema" (a JSON Schema, drafts 4 to 2020-12), "json" (any JSON value; text is ignored), "regex" (the whole text matches),
 * "grammar" (GBNF or Lark), "choice" (a JSON list of texts, one of them). COP_ERR_FORMAT, COP_ERR_UNSUPPORTED or COP_ERR_LIMIT says what
 * in the text is wrong or cannot be kept; nothing is ignored in silence. May be used by any number of sessions, in any thread, until
 * it is closed, and must be closed before its engine. */
COP_API cop_status cop_guide_open(cop_guide **out, cop_engine *engine, const char *kind, const char *text, size_t bytes);
COP_API cop_status cop_guide_json_schema(cop_guide **out, cop_engine *engine, const char *schema, size_t bytes);
COP_API cop_status cop_guide_regex(cop_guide **out, cop_engine *engine, const char *pattern, size_t bytes);
COP_API cop_status cop_guide_grammar(cop_guide **out, cop_engine *engine, const char *grammar, size_t bytes);
COP_API cop_status cop_guide_choice(cop_guide **out, cop_engine *engine, const char *const *texts, int n_texts);
COP_API void cop_guide_close(cop_guide *guide); /* accepts NULL */

/* ---- session: one growing sequence ---- */

typedef struct cop_session cop_session;

typedef struct cop_session_options {
    int context;              /* tokens the session can hold; 0: the model's own, at most 4096 */
    const char *cache_type;   /* "f16", "bf16", "q8_0", "f32"; NULL: f16 */
    float temp;               /* 0: greedy */
    int top_k;                /* 0: off */
    float typical_p;          /* 0, 1: off */
    float top_p, min_p;       /* 1, 0: off */
    const char *samplers;     /* their order, "top_k,typical_p,top_p,min_p,temp" when NULL; penalties come first */
    float repeat_penalty;     /* 1: off */
    float frequency_penalty, presence_penalty; /* 0: off */
    int penalty_window;       /* last tokens that count as seen */
    uint64_t seed;            /* same seed, same text */
    const int32_t *bias_tokens; /* [n_bias] logit bias: token and what is added to its logit */
    const float *bias_values;
    int n_bias;
    const char *const *stop;  /* [n_stop] strings that end the text; not part of it */
    int n_stop;
    const char *draft;        /* drafters: "none", "auto", or NAME[:option=value,...][+NAME...]; NULL: none */
    const char *verify;       /* verifier, NAME[:option=value,...]; NULL: coupled */
    const char *control;      /* controller, NAME[:option=value,...]; NULL: auto with draft auto, else fixed */
    const char *switch_models; /* "entropy[:option=value,...]": the draft model writes while it is sure; lossy. NULL: never */
    int remember;             /* 1: with draft auto, begin with what was learnt about this model on this
                                 machine, and keep what this session learns, in a file of the cache folder */
    void (*note)(void *user, const char *line); /* the controller's decisions in words; may be NULL */
    void *note_user;
    const char *const *lora;  /* [n_lora] adapters, at most 8: "FILE[:SCALE]", a GGUF file or a PEFT folder */
    int n_lora;
    cop_guide *guide;         /* what is generated is in its language; NULL: any text. Borrowed during the call */
    int hash_logits;          /* 1: keep a hash of the logits of every generated token */
} cop_session_options;

COP_API cop_session_options cop_session_defaults(void);
COP_API cop_status cop_session_open(cop_session **out, cop_engine *engine, const cop_session_options *options);
COP_API void cop_session_close(cop_session *session); /* accepts NULL */

/* Append to the sequence. Text is tokenised on its own; the first of a sequence gets the model's special
 * tokens. parse_special as in cop_engine_tokenize. */
COP_API cop_status cop_session_add_text(cop_session *session, const char *text, size_t bytes, int parse_special);
COP_API cop_status cop_session_add_tokens(cop_session *session, const int32_t *tokens, size_t n_tokens);

/* Make the sequence exactly these tokens, keeping what is already computed of a common prefix. */
COP_API cop_status cop_session_set_tokens(cop_session *session, const int32_t *tokens, size_t n_tokens);

/* Make the sequence a conversation, as cop_engine_render_chat has it, keeping what is already computed of a common
 * prefix: call it again with the answer and the next message added. */
COP_API cop_status cop_session_set_chat(cop_session *session, const char *conversation, size_t conversation_bytes);

/* The sequence so far; valid until the next call with this session. */
COP_API const int32_t *cop_session_tokens(const cop_session *session, size_t *n_tokens);

/* Give session `to` the first n_tokens of `from`, sharing the memory of what is computed. Both were opened
 * on the same engine; `to` was opened with cop_session_fork. */
COP_API cop_status cop_session_fork(cop_session **out, const cop_session *from);

/* Save the sequence with what is computed of it, and load it into a session of the same model and cache
 * type, with the same adapters. Loading changes nothing that follows. */
COP_API cop_status cop_session_save(const cop_session *session, const char *path);
COP_API cop_status cop_session_load(cop_session *session, const char *path);

typedef enum cop_finish {
    COP_FINISH_LENGTH = 0, /* max_tokens generated */
    COP_FINISH_STOP,       /* the model ended its text, or a stop string came */
    COP_FINISH_CONTEXT,    /* the context is full */
    COP_FINISH_CANCELLED   /* the callback asked to stop */
} cop_finish;

typedef struct cop_result {
    int prompt_tokens;     /* in the sequence when generation began */
    int computed_tokens;   /* of them computed now, not reused */
    int tokens;            /* generated */
    cop_finish finish;
    double prefill_seconds, decode_seconds;
    uint64_t logits_hash;  /* of all generated tokens so far in this call; 0 when not asked for */
    int64_t steps, drafted, accepted; /* forwards while decoding, drafted nodes computed, and accepted */
} cop_result;

/* Text as it comes: whole UTF-8 characters. Return 0 to go on, anything else to stop. */
typedef int cop_text_fn(void *user, const char *text, size_t bytes);

/* Generate up to max_tokens tokens, calling `on_text` (may be NULL) as text becomes ready. The tokens
 * join the sequence. result may be NULL. A finish of any kind is COP_OK. */
COP_API cop_status cop_session_generate(cop_session *session, int max_tokens, cop_text_fn *on_text, void *user,
                                        cop_result *result);

/* One step: at least one token is decided and joins the sequence. tokens: [max_tokens], *n_tokens of them
 * are written; *ended: the last one ends the text. COP_ERR_LIMIT when the context is full. */
COP_API cop_status cop_session_step(cop_session *session, int32_t *tokens, size_t max_tokens, size_t *n_tokens, int *ended);

#ifdef __cplusplus
}
#endif

#endif

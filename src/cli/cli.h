// What the subcommands share. One file per subcommand, one row in the table of main.c.
//
// Results go to standard output; progress goes to standard error, and only when it is a terminal.
// Exit codes: see cop_exit_code.
#ifndef COP_CLI_CLI_H
#define COP_CLI_CLI_H

#include <jansson.h>

#include "cli/args.h"
#include "engine/session.h"

typedef struct cop_command {
    const char *name;
    const char *summary;
    const char *usage;      // the forms, one per line, without "coppice"
    const cop_arg *options;
    /* argv: the words behind the subcommand. Failures are printed by main. */
    cop_status (*run)(int argc, char **argv);
} cop_command;

extern const cop_command *const cop_commands[];  // main.c, ends with NULL

/* 0 done, 1 other failure, 2 wrong use, 3 not found, 4 bad file, 5 input/output, 6 no memory, 7 a limit,
 * 8 unsupported, 130 cancelled. */
int cop_exit_code(cop_status status);

/* Options that every command with a model has. */
typedef struct cop_model_args {
    const char *model;
    int32_t threads, context;
    const char *level, *cache_type;
    cop_texts lora;
    const char *draft_model;
    bool no_packed, json;
} cop_model_args;
#define COP_MODEL_ARGS(type, field)                                                                                       \
    {'m', "model", COP_ARG_TEXT, offsetof(type, field.model), 0, 0, "M", "model: a name (`coppice models`), a file or a folder"}, \
    {'t', "threads", COP_ARG_INT, offsetof(type, field.threads), 0, COP_MAX_THREADS, "N", "threads; 0: one per usable core"},     \
    {0, "cpu", COP_ARG_TEXT, offsetof(type, field.level), 0, 0, "LEVEL", "scalar, avx2, avx512 or neon; also COPPICE_CPU"},        \
    {0, "no-packed", COP_ARG_FLAG, offsetof(type, field.no_packed), 0, 0, NULL, "neither read nor write packed weights"},          \
    {0, "json", COP_ARG_FLAG, offsetof(type, field.json), 0, 0, NULL, "one JSON object on standard output"}
#define COP_CONTEXT_ARGS(type, field)                                                                                     \
    {'c', "ctx", COP_ARG_INT, offsetof(type, field.context), 2, 1 << 22, "N", "context: tokens held; default the model's, at most 4096"}, \
    {0, "cache", COP_ARG_TEXT, offsetof(type, field.cache_type), 0, 0, "TYPE", "cache elements: f16, bf16, q8_0, f32"}

/* Options of the commands that decode: how they draft. `model` is the field of the cop_model_args. */
typedef struct cop_draft_args {
    const char *draft, *verify, *control, *switch_models, *parallel;
    int32_t layers_parallel;
    char drafters[64];  // made from the two
    bool verbose;
} cop_draft_args;
#define COP_DRAFT_ARGS(type, field, model)                                                                                            \
    {0, "draft", COP_ARG_TEXT, offsetof(type, field.draft), 0, 0, "NAMES",                                                            \
     "drafters: auto (default), none, or NAME[:option=value,...][+NAME...]; `coppice methods`"},                                      \
    {0, "draft-model", COP_ARG_TEXT, offsetof(type, model.draft_model), 0, 0, "M", "a smaller model to draft with, of the same vocabulary unless --draft translate"}, \
    {0, "verify", COP_ARG_TEXT, offsetof(type, field.verify), 0, 0, "NAME", "verifier; default coupled, which changes no text"},      \
    {0, "control", COP_ARG_TEXT, offsetof(type, field.control), 0, 0, "NAME",                                                         \
     "controller, NAME[:option=value,...]; default auto with --draft auto, else fixed"},                                              \
    {0, "parallel", COP_ARG_TEXT, offsetof(type, field.parallel), 0, 0, "NAME",                                                       \
     "pearl: the draft model writes while the model verifies"},                                                                       \
    {0, "draft-layers-parallel", COP_ARG_INT, offsetof(type, field.layers_parallel), 0, 16, "N",                                     \
     "attention of N layers of the draft model from one input"},                                                                      \
    {0, "switch", COP_ARG_TEXT, offsetof(type, field.switch_models), 0, 0, "NAME",                                                    \
     "entropy[:theta=BITS,...]: the draft model writes while it is sure; lossy"},                                                     \
    {0, "verbose", COP_ARG_FLAG, offsetof(type, field.verbose), 0, 0, NULL, "what the controller decides, on standard error"}

/* Options of the commands that write text: what ends it and how tokens are chosen. */
typedef struct cop_sampling_args {
    cop_texts stop;
    const char *samplers;
    int32_t top_k, penalty_window;
    double temp, typical_p, top_p, min_p, repeat_penalty, frequency_penalty, presence_penalty;
    uint64_t seed;
} cop_sampling_args;
#define COP_SAMPLING_ARGS(type, field)                                                                                                \
    {0, "stop", COP_ARG_TEXTS, offsetof(type, field.stop), 0, 0, "TEXT", "end before this text; may be given several times"},         \
    {0, "temp", COP_ARG_NUMBER, offsetof(type, field.temp), 0, 100, "T", "temperature; 0, the default, takes the most probable token"}, \
    {0, "top-k", COP_ARG_INT, offsetof(type, field.top_k), 0, 1 << 24, "K", "keep the K most probable tokens; 0: all"},               \
    {0, "typical-p", COP_ARG_NUMBER, offsetof(type, field.typical_p), 0, 1, "P",                                                      \
     "keep the tokens of nearly average surprise, of probability P; 1: all"},                                                         \
    {0, "top-p", COP_ARG_NUMBER, offsetof(type, field.top_p), 0, 1, "P", "keep the smallest set of probability P; 1: all"},           \
    {0, "min-p", COP_ARG_NUMBER, offsetof(type, field.min_p), 0, 1, "P", "drop tokens below P times the most probable one"},          \
    {0, "samplers", COP_ARG_TEXT, offsetof(type, field.samplers), 0, 0, "LIST",                                                       \
     "their order after the penalties; default top_k,typical_p,top_p,min_p,temp"},                                                    \
    {0, "repeat-penalty", COP_ARG_NUMBER, offsetof(type, field.repeat_penalty), 0.01, 100, "X", "divide the logits of seen tokens; 1: off"}, \
    {0, "frequency-penalty", COP_ARG_NUMBER, offsetof(type, field.frequency_penalty), -100, 100, "X", "subtract per occurrence"},      \
    {0, "presence-penalty", COP_ARG_NUMBER, offsetof(type, field.presence_penalty), -100, 100, "X", "subtract once from seen tokens"}, \
    {0, "penalty-window", COP_ARG_INT, offsetof(type, field.penalty_window), 0, 1 << 20, "N", "last tokens that count as seen; default 64"}, \
    {'s', "seed", COP_ARG_SEED, offsetof(type, field.seed), 0, 0, "S", "same seed, same text; default 0"}

cop_sampling_args cop_cli_sampling_defaults(void);
void cop_cli_sampling_options(cop_session_options *out, const cop_sampling_args *args);

/* Options that say which language the text has to be in; at most one of them. */
typedef struct cop_guide_args {
    const char *schema, *grammar, *regex, *choice;
} cop_guide_args;
#define COP_GUIDE_ARGS(type, field)                                                                                                  \
    {0, "json-schema", COP_ARG_TEXT, offsetof(type, field.schema), 0, 0, "FILE", "write JSON that this JSON Schema accepts"},        \
    {0, "grammar", COP_ARG_TEXT, offsetof(type, field.grammar), 0, 0, "FILE", "write what this grammar (GBNF or Lark) has"},         \
    {0, "regex", COP_ARG_TEXT, offsetof(type, field.regex), 0, 0, "TEXT", "write what this regular expression matches as a whole"},  \
    {0, "choice", COP_ARG_TEXT, offsetof(type, field.choice), 0, 0, "A|B|...", "write one of these texts"}

/* The guide that they name, NULL when none is named; cop_guide_close. */
cop_status cop_cli_guide_open(cop_guide **out, cop_engine *engine, const cop_guide_args *args);

/* Set a session's options from them; nothing said means auto. They may point into args. */
cop_status cop_cli_draft_options(cop_session_options *out, cop_draft_args *args);
/* What drafting did, as the object `draft` of a reply; a new reference. */
json_t *cop_cli_draft_json(const cop_session *session);

#define COP_LORA_ARG(type, field) \
    {0, "lora", COP_ARG_TEXTS, offsetof(type, field.lora), 0, 0, "FILE[:S]", "adapter (GGUF file or PEFT folder) with scale S, default 1; several add up"}

/* Open the model of -m, with a progress line while weights are packed. */
cop_status cop_cli_open(cop_engine **out, const cop_model_args *args);

/* The prompt of -p TEXT, -f FILE or -p - (standard input). Caller frees *text. */
cop_status cop_cli_prompt(const char *text_or_dash, const char *file, char **text, size_t *bytes);
/* All of standard input, at most `most` bytes. Caller frees. */
cop_status cop_cli_read_stdin(size_t most, char **text, size_t *bytes);

/* Print a JSON value and a newline; takes the value. Fails when memory is gone or output is closed. */
cop_status cop_cli_print_json(json_t *value);
/* Text as a JSON string: bytes that are not UTF-8 become U+FFFD. */
json_t *cop_cli_json_text(const char *text, size_t bytes);

/* What a generation did, one line on standard error: speeds, and the hash of the logits when it was kept. */
void cop_cli_print_stats(const cop_session *session, const cop_result *result);
double cop_cli_rate(double n, double seconds);  // per second; 0 for no time

/* Write to standard output; COP_ERR_IO when it is closed. */
cop_status cop_cli_write(const char *text, size_t bytes);
bool cop_cli_progress_wanted(void);  // is standard error a terminal
/* A progress bar on standard error, drawn at most ten times a second; done >= 1 removes it. */
void cop_cli_progress(const char *what, double done);

/* Interrupts (Ctrl-C, termination) since cop_cli_catch_interrupts. */
void cop_cli_catch_interrupts(void);
bool cop_cli_interrupted(void);

#endif

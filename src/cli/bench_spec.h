// What the files of `bench spec` share: prompts, methods, and what was measured of them.
#ifndef COP_CLI_BENCH_SPEC_H
#define COP_CLI_BENCH_SPEC_H

#include <stdio.h>

#include "base/array.h"
#include "cli/bench.h"

#define COP_SPEC_TURNS 8
#define COP_SPEC_METHODS 25  // plain and 24 others
#define COP_SPEC_TASKS 64
#define COP_SPEC_NAME 64     // bytes of a task's name
#define COP_SPEC_METHOD 512  // bytes of a method's text

// ---- prompts (bench_data.c) ----

typedef struct cop_prompt {
    char *turns[COP_SPEC_TURNS];  // what the user says, owned
    int n_turns, task;
    bool chat;                    // wants the chat template
} cop_prompt;

typedef struct cop_prompts {
    COP_ARRAY(cop_prompt) list;
    char tasks[COP_SPEC_TASKS][COP_SPEC_NAME];
    int n_tasks;
    uint64_t hash;  // of every byte read
} cop_prompts;

/* Add the prompts of [NAME=]FILE. FILE ending in .jsonl or .json holds an object a line: Spec-Bench's and
 * MT-Bench's `turns`, GSM8K's `question`, HumanEval's `prompt` with `entry_point`, or a `prompt`; any other
 * file is text, a prompt a paragraph. NAME: the task of all of them. */
cop_status cop_prompts_read(cop_prompts *p, const char *data);
/* Keep at most `limit` of each task and `total` in all, of each task as many as of the others while it has them,
 * evenly spread over its file; 0: no limit. */
void cop_prompts_limit(cop_prompts *p, int limit, int total);
void cop_prompts_fini(cop_prompts *p);

// ---- methods and measurements ----

/* DRAFT[@CONTROL[@VERIFY]]; the parts are what --draft, --control and --verify take. */
typedef struct cop_spec_method {
    char text[COP_SPEC_METHOD];
    char parts[COP_SPEC_METHOD];  // the same with zeros between the parts
    const char *draft, *control, *verify;  // inside parts, or NULL
    const char *names[COP_MAX_DRAFTERS];   // of its drafters
    int n_drafters;
    bool exact;                   // its text must be plain's
} cop_spec_method;

/* One turn of one prompt with one method; of several rounds the fastest. Prefill is in none of its times, nor is
 * what a drafter needed in the first step beyond what it needs in others: reading the prompt. */
typedef struct cop_spec_turn {
    cop_step_stats stats;
    int64_t tokens;
    int64_t proposed_by[COP_MAX_DRAFTERS], accepted_by[COP_MAX_DRAFTERS];  // nodes of each drafter
    double seconds, reading_seconds;
    bool equal;  // the text was plain's in every round
} cop_spec_turn;

typedef struct cop_spec {
    cop_bench *bench;
    cop_engine *engine;
    cop_prompts prompts;
    cop_spec_method methods[COP_SPEC_METHODS];  // the first is plain
    int n_methods;
    json_t *left_out;         // [{method, reason}] of --methods all
    cop_spec_turn **results;  // [prompts] of [n_methods][n_turns], or NULL: not measured
    int n_skipped;            // prompts longer than the context
    FILE *state;              // --resume, or NULL
} cop_spec;

/* Memory for prompt i's results, zeroed; NULL when there is none. */
cop_spec_turn *cop_spec_results_new(const cop_spec *s, size_t prompt);

// ---- what was measured so far (bench_resume.c) ----

/* Read what FILE holds and go on writing there: fills s->results and done[prompts]. A last line that was cut off
 * is dropped;
 * a file of another model, data or options is refused. */
cop_status cop_spec_resume(cop_spec *s, const char *path, bool *done);
/* Append prompt i, with the tokens that plain decoding began from in each turn; results NULL: it was skipped. */
cop_status cop_spec_keep(cop_spec *s, size_t prompt, const cop_spec_turn *results, const cop_token_array *asked);

// ---- rows (bench_rows.c) and plot (bench_plot.c) ----

/* Rows per task and method, then their means over tasks, into bench->rows; how many texts differ that must not. */
int cop_spec_rows(cop_spec *s);
void cop_spec_table(const cop_bench *b, const json_t *rows);
/* Grouped bars of the ratios as one SVG file. */
cop_status cop_spec_plot(const char *path, const json_t *rows, const char *title, const char *subtitle);

#endif

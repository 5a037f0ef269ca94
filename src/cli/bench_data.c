// Files of prompts, in the forms that benchmarks of drafting are published in.
//
// Spec-Bench (Xia et al. 2024, arXiv:2401.07851) and MT-Bench, whose eight categories are one task as Spec-Bench
// counts them; MT-Redundant, GSM8K, HumanEval, and other lines with a `prompt`; plain text.
#include <ctype.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/map.h"
#include "cli/bench_spec.h"

#define MOST_BYTES ((size_t)256 << 20)
#define MOST_PROMPTS ((size_t)1 << 20)

static const cop_json_limits line_limits = {.bytes = 4 << 20, .values = 4096, .depth = 16};

// What is printed and plotted later has no control characters.
static cop_status find_task(cop_prompts *p, const char *name, size_t bytes, int *out) {
    char clean[COP_SPEC_NAME];
    if (!bytes || bytes >= sizeof clean) return cop_fail(COP_ERR_FORMAT, "a task's name of %zu bytes, must be 1 to %d", bytes, COP_SPEC_NAME - 1);
    for (size_t i = 0; i < bytes; i++) clean[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
    clean[bytes] = 0;
    for (*out = 0; *out < p->n_tasks; ++*out)
        if (!strcmp(p->tasks[*out], clean)) return COP_OK;
    if (p->n_tasks == COP_SPEC_TASKS) return cop_fail(COP_ERR_LIMIT, "more than %d tasks", COP_SPEC_TASKS);
    memcpy(p->tasks[p->n_tasks++], clean, bytes + 1);
    return COP_OK;
}

static cop_status add_turn(cop_prompt *q, const char *text, size_t bytes) {
    if (q->n_turns == COP_SPEC_TURNS) return cop_fail(COP_ERR_LIMIT, "more than %d turns", COP_SPEC_TURNS);
    if (!bytes) return cop_fail(COP_ERR_FORMAT, "an empty prompt");
    q->turns[q->n_turns] = cop_text_copy(text, bytes);
    if (!q->turns[q->n_turns]) return cop_fail(COP_ERR_NOMEM, "prompt: cannot allocate %zu bytes", bytes);
    q->n_turns++;
    return COP_OK;
}

static void free_prompt(cop_prompt *q) {
    for (int i = 0; i < q->n_turns; i++) cop_free(q->turns[i]);
    q->n_turns = 0;
}

// Takes the turns of *q.
static cop_status push(cop_prompts *p, cop_prompt *q) {
    cop_status st = cop_array_push(&p->list, *q);
    if (st) free_prompt(q);
    return st;
}

// ---- lines of JSON ------------------------------------------------------------------------------

static bool is_conversation(const char *category) {
    static const char *const names[] = {"writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(category, names[i])) return true;
    return false;
}

static cop_status read_turns(cop_prompt *q, const json_t *turns) {
    if (!json_is_array(turns) || !json_array_size(turns)) return cop_fail(COP_ERR_FORMAT, "turns: need an array of texts");
    for (size_t i = 0; i < json_array_size(turns); i++) {
        const json_t *t = json_array_get(turns, i);
        if (!json_is_string(t)) return cop_fail(COP_ERR_FORMAT, "turns: need an array of texts");
        COP_TRY(add_turn(q, json_string_value(t), json_string_length(t)));
    }
    return COP_OK;
}

// The prompt of one object, and the task that its form or its category names.
static cop_status read_object(cop_prompt *q, const json_t *o, const char **task) {
    const char *question, *prompt, *category;
    COP_TRY(cop_json_text(o, "question", NULL, &question));
    COP_TRY(cop_json_text(o, "prompt", NULL, &prompt));
    COP_TRY(cop_json_text(o, "category", NULL, &category));
    const json_t *turns = cop_json_member(o, "turns");
    q->chat = true;
    if (turns) {
        *task = category && is_conversation(category) ? "multi-turn" : category;
        return read_turns(q, turns);
    }
    *task = category;
    if (question) {
        if (!category && cop_json_member(o, "answer")) *task = "gsm8k";
        return add_turn(q, question, strlen(question));
    }
    if (!prompt) return cop_fail(COP_ERR_FORMAT, "none of turns, question and prompt is there");
    if (cop_json_member(o, "entry_point")) {
        q->chat = false;
        if (!category) *task = "humaneval";
    }
    return add_turn(q, prompt, strlen(prompt));
}

static cop_status read_line(cop_prompts *p, const char *line, size_t bytes, const char *given, const char *stem) {
    json_t *o;
    cop_prompt q = {0};
    const char *task = NULL;
    COP_TRY(cop_json_parse(&o, line, bytes, &line_limits));
    cop_status st = read_object(&q, o, &task);
    if (given) task = given;
    if (!task) task = stem;
    if (!st) st = find_task(p, task, strlen(task), &q.task);
    json_decref(o);
    if (!st) return push(p, &q);
    free_prompt(&q);
    return st;
}

static cop_status read_lines(cop_prompts *p, const char *text, size_t bytes, const char *given, const char *stem) {
    int number = 1;
    for (size_t at = 0; at < bytes; number++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t n = end ? (size_t)(end - text) - at : bytes - at;
        cop_status st = n && strspn(text + at, " \t\r") < n ? read_line(p, text + at, n, given, stem) : COP_OK;
        if (st) {
            cop_fail_note("line %d", number);
            return st;
        }
        at += n + 1;
    }
    return COP_OK;
}

// ---- text ---------------------------------------------------------------------------------------

static bool is_blank_line(const char *line, size_t n) {
    while (n && isspace((unsigned char)line[n - 1])) n--;
    return !n;
}

static cop_status push_paragraph(cop_prompts *p, const char *text, size_t bytes, int task) {
    cop_prompt q = {.task = task};
    while (bytes && isspace((unsigned char)text[bytes - 1])) bytes--;
    if (!bytes) return COP_OK;
    COP_TRY(add_turn(&q, text, bytes));
    return push(p, &q);
}

static cop_status read_paragraphs(cop_prompts *p, const char *text, size_t bytes, const char *task_name) {
    int task;
    size_t begin = 0;
    if (memchr(text, 0, bytes)) return cop_fail(COP_ERR_FORMAT, "not text: a zero byte");
    COP_TRY(find_task(p, task_name, strlen(task_name), &task));
    for (size_t at = 0; at < bytes;) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t n = end ? (size_t)(end - text) - at : bytes - at;
        if (is_blank_line(text + at, n)) {
            COP_TRY(push_paragraph(p, text + begin, at - begin, task));
            begin = at + n + 1;
        }
        at += n + 1;
    }
    return begin < bytes ? push_paragraph(p, text + begin, bytes - begin, task) : COP_OK;
}

// ---- files --------------------------------------------------------------------------------------

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static cop_status read_file(cop_prompts *p, const char *path, const char *given) {
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strrchr(base, '.');
    char *text, stem[COP_SPEC_NAME] = "";
    size_t bytes, n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    memcpy(stem, base, n < sizeof stem ? n : sizeof stem - 1);
    COP_TRY(cop_file_read(path, MOST_BYTES, &text, &bytes));
    p->hash = XXH3_64bits_withSeed(text, bytes, p->hash);
    size_t had = p->list.n;
    bool json = ends_with(path, ".jsonl") || ends_with(path, ".json");
    cop_status st = json ? read_lines(p, text, bytes, given, stem) : read_paragraphs(p, text, bytes, given ? given : stem);
    if (!st && p->list.n == had) st = cop_fail(COP_ERR_FORMAT, "no prompt in it");
    if (st) cop_fail_note("%s", path);
    cop_free(text);
    return st;
}

cop_status cop_prompts_read(cop_prompts *p, const char *data) {
    size_t n = strcspn(data, "=/");
    char given[COP_SPEC_NAME];
    p->list.most = MOST_PROMPTS;
    if (data[n] != '=') return read_file(p, data, NULL);
    if (!n || n >= sizeof given) return cop_fail(COP_ERR_ARG, "--data %.80s: a task's name has 1 to %d bytes", data, COP_SPEC_NAME - 1);
    memcpy(given, data, n);
    given[n] = 0;
    return read_file(p, data + n + 1, given);
}

// How many of each task may stay: the same for all, and the rest for those that have more, in their order.
static void allot(const cop_prompts *p, const int64_t *count, int64_t limit, int64_t total, int64_t *most) {
    int64_t sum = 0;
    for (int t = 0; t < p->n_tasks; t++) most[t] = 0;
    for (int64_t level = 1, grew = 1; grew; level++) {
        grew = 0;
        for (int t = 0; t < p->n_tasks; t++)
            if (count[t] >= level && (!limit || level <= limit) && (!total || sum < total)) most[t]++, sum++, grew = 1;
    }
}

void cop_prompts_limit(cop_prompts *p, int limit, int total) {
    int64_t count[COP_SPEC_TASKS] = {0}, seen[COP_SPEC_TASKS] = {0}, most[COP_SPEC_TASKS];
    size_t kept = 0;
    for (size_t i = 0; i < p->list.n; i++) count[p->list.v[i].task]++;
    allot(p, count, limit, total, most);
    for (size_t i = 0; i < p->list.n; i++) {
        int task = p->list.v[i].task;
        int64_t k = seen[task]++, n = most[task], m = count[task];
        if (((k + 1) * n + m - 1) / m > (k * n + m - 1) / m) p->list.v[kept++] = p->list.v[i];
        else free_prompt(&p->list.v[i]);
    }
    p->list.n = kept;
}

void cop_prompts_fini(cop_prompts *p) {
    for (size_t i = 0; i < p->list.n; i++) free_prompt(&p->list.v[i]);
    cop_array_fini(&p->list);
}

#include "control/learn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/map.h"

#define MAGIC "coppice learnt 1"
#define MOST_BYTES ((size_t)1 << 20)
#define MOST_RATIO 200

// What the curve of a memory-bound forward looks like before it was measured: rows, ratio.
static float prior_ratio(int rows) {
    static const float at[][2] = {{1, 1}, {4, 1.15f}, {8, 1.9f}, {16, 3.2f}, {32, 5.6f}, {64, 10.5f}};
    for (int i = 1; i < 6; i++)
        if ((float)rows <= at[i][0])
            return at[i - 1][1] + (at[i][1] - at[i - 1][1]) * ((float)rows - at[i - 1][0]) / (at[i][0] - at[i - 1][0]);
    return at[5][1];
}

// The nearest class of context in which anything was measured, or -1.
static int measured_class(const cop_cost *c) {
    for (int distance = 0; distance < COP_COST_CONTEXTS; distance++)
        for (int side = -1; side <= 1; side += 2) {
            int i = c->context + side * distance;
            for (int m = 2; i >= 0 && i < COP_COST_CONTEXTS && m <= COP_COST_ROWS; m++)
                if (c->seen[i][m]) return i;
        }
    return -1;
}

static float between(const cop_cost *c, int class, int rows) {
    int low = rows, high = rows;
    while (low > 1 && !c->seen[class][low]) low--;
    while (high <= COP_COST_ROWS && !c->seen[class][high]) high++;
    float below = low > 1 ? c->measured[class][low] : 1;
    if (high == low) return below;
    if (high > COP_COST_ROWS) return below + prior_ratio(rows) - prior_ratio(low);
    float above = c->measured[class][high];
    if (low > 1) return below + (above - below) * (float)(rows - low) / (float)(high - low);
    return 1 + (prior_ratio(rows) - 1) * (above - 1) / (prior_ratio(high) - 1);
}

// A forward of more rows is not cheaper: the running maximum takes out what noise says against it.
static void refresh(cop_cost *c) {
    int class = measured_class(c);
    c->ratio[0] = c->ratio[1] = 1;
    for (int m = 2; m <= COP_COST_ROWS; m++) {
        float r = class < 0 ? prior_ratio(m) : between(c, class, m);
        c->ratio[m] = r > c->ratio[m - 1] ? r : c->ratio[m - 1];
    }
}

void cop_cost_init(cop_cost *cost) {
    memset(cost, 0, sizeof *cost);
    refresh(cost);
}

void cop_cost_set_context(cop_cost *cost, int n_tokens) {
    int context = 0;
    while (context < COP_COST_CONTEXTS - 1 && n_tokens >= 512 << context) context++;
    if (context == cost->context) return;
    cost->context = context;
    refresh(cost);
}

double cop_cost_ratio(const cop_cost *c, double rows) {
    const int last = COP_COST_ROWS, half = last / 2;
    if (rows <= 1) return (double)c->ratio[1];
    if (rows >= last) return (double)c->ratio[last] + (rows - last) * (double)(c->ratio[last] - c->ratio[half]) / (last - half);
    int below = (int)rows;
    double part = rows - below;
    return (double)c->ratio[below] * (1 - part) + (double)c->ratio[below + 1] * part;
}

static double rate(int n, double least) { return 1.0 / (n + 1) > least ? 1.0 / (n + 1) : least; }

void cop_cost_add(cop_cost *c, int rows, double seconds) {
    if (!(seconds > 0) || rows < 1 || rows > COP_COST_ROWS) return;
    c->since_plain++;
    double expected_ratio = cop_cost_ratio(c, rows), most = 3 * c->plain * expected_ratio;
    if (c->n_plain > 4 && seconds > most) seconds = most;  // somebody else had the core
    if (rows == 1) {
        c->plain += (seconds - c->plain) * rate(c->n_plain, 0.06);
        if (c->n_plain < 1 << 20) c->n_plain++;
        c->since_plain = 0;
        return;
    }
    if (!c->n_plain) return;
    float *ratio = &c->measured[c->context][rows];
    uint16_t *seen = &c->seen[c->context][rows];
    double now = seconds / c->plain;
    now = now < 1 ? 1 : now > MOST_RATIO ? MOST_RATIO : now;
    if (!*seen) *ratio = (float)expected_ratio;
    *ratio += ((float)now - *ratio) * (float)rate(*seen + 1, 0.06);
    if (*seen < UINT16_MAX) ++*seen;
    refresh(c);
}

void cop_odds_add(cop_odds *odds, bool hit) {
    const float fade = 1 - 1.0f / 128;
    odds->tried = odds->tried * fade + 1;
    odds->hit = odds->hit * fade + (hit ? 1.0f : 0.0f);
}

float cop_odds_of(const cop_odds *odds, float prior) {
    const float weight = 3;
    return (odds->hit + weight * prior) / (odds->tried + weight);
}

void cop_ballot_take(cop_ballot *ballot, const cop_tree *tree) {
    ballot->n = tree->n_nodes < COP_COST_ROWS ? tree->n_nodes : COP_COST_ROWS;
    for (int i = 0; i < ballot->n; i++) {
        const cop_node *node = &tree->nodes[i];
        ballot->node[i].parent = node->parent;
        ballot->node[i].token = node->token;
        ballot->node[i].source = node->source;
        ballot->node[i].bucket = node->bucket;
    }
}

void cop_ballot_judge(const cop_ballot *ballot, const cop_accepted *got, cop_odds odds[][COP_BUCKETS]) {
    int depth_of[COP_COST_ROWS];  // tokens of the text that the node's path holds; -1: the text went elsewhere
    depth_of[0] = 0;
    for (int i = 1; i < ballot->n; i++) {
        int above = depth_of[ballot->node[i].parent];
        depth_of[i] = -1;
        if (above < 0 || above >= got->n_tokens) continue;
        bool hit = ballot->node[i].token == got->tokens[above];
        cop_odds_add(&odds[ballot->node[i].source][ballot->node[i].bucket], hit);
        if (hit) depth_of[i] = above + 1;
    }
}

// ---- the file: lines of words, numbers in decimal ------------------------------------------------

typedef COP_ARRAY(char) text_array;

static cop_status add_line(text_array *text, const char *format, ...) {
    char line[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line) return cop_fail(COP_ERR_LIMIT, "a line of %d letters", n);
    COP_TRY(cop_array_reserve(text, (size_t)n));
    memcpy(text->v + text->n, line, (size_t)n);
    text->n += (size_t)n;
    return COP_OK;
}

static cop_status write_costly(text_array *text, const cop_learnt *l, int d) {
    if (!l->survive[d] || !(*l->survive_n[d] > 0)) return COP_OK;
    COP_TRY(add_line(text, "costly %.31s %.5g %.5g", l->setup->names[d], (double)*l->survive_n[d], (double)*l->per_node[d]));
    for (int i = 0; i < COP_SURVIVAL; i++) COP_TRY(add_line(text, " %.4g", (double)l->survive[d][i]));
    return add_line(text, "\n");
}

static cop_status write_learnt(text_array *text, const cop_learnt *l) {
    const cop_cost *cost = l->cost;
    COP_TRY(add_line(text, MAGIC "\n"));
    for (int i = 0; i < COP_COST_CONTEXTS; i++)
        for (int m = 2; m <= COP_COST_ROWS; m++)
            if (cost->seen[i][m]) COP_TRY(add_line(text, "cost %d %d %.5g %d\n", i, m, (double)cost->measured[i][m], cost->seen[i][m]));
    for (int d = 0; d < l->setup->n_drafters; d++) {
        for (int b = 0; b < COP_BUCKETS; b++) {
            const cop_odds *o = &l->odds[d][b];
            if (o->tried > 0) COP_TRY(add_line(text, "odds %.31s %d %.5g %.5g\n", l->setup->names[d], b, (double)o->tried, (double)o->hit));
        }
        COP_TRY(write_costly(text, l, d));
    }
    return COP_OK;
}

cop_status cop_learnt_save(const char *path, const cop_learnt *learnt) {
    text_array text = {.most = MOST_BYTES};
    cop_status st = write_learnt(&text, learnt);
    if (!st) st = cop_file_write(path, text.v, text.n);
    cop_array_fini(&text);
    return st;
}

// What a file says, before any of it is taken.
typedef struct reading {
    cop_cost cost;
    cop_odds odds[COP_MAX_DRAFTERS][COP_BUCKETS];
    float survive[COP_MAX_DRAFTERS][COP_SURVIVAL], survive_n[COP_MAX_DRAFTERS], per_node[COP_MAX_DRAFTERS];
} reading;

static bool read_cost(const char *line, reading *r) {
    int context, rows, seen;
    float ratio;
    if (sscanf(line, "cost %d %d %f %d", &context, &rows, &ratio, &seen) != 4) return false;
    if (context < 0 || context >= COP_COST_CONTEXTS || rows < 2 || rows > COP_COST_ROWS || !(ratio >= 1 && ratio <= MOST_RATIO) || seen < 1)
        return false;
    r->cost.measured[context][rows] = ratio;
    r->cost.seen[context][rows] = (uint16_t)(seen < 8 ? seen : 8);  // a new start measures anew soon
    return true;
}

static int drafter_of(const cop_control_setup *setup, const char *name) {
    for (int d = 0; d < setup->n_drafters; d++)
        if (!strcmp(setup->names[d], name)) return d;
    return -1;
}

static bool read_odds(const char *line, reading *r, const cop_control_setup *setup) {
    char name[32];
    int bucket;
    float tried, hit;
    if (sscanf(line, "odds %31s %d %f %f", name, &bucket, &tried, &hit) != 4) return false;
    if (bucket < 0 || bucket >= COP_BUCKETS || !(tried > 0 && tried < 1e4f) || !(hit >= 0 && hit <= tried)) return false;
    float keep = tried > 32 ? 32 / tried : 1;  // what another text taught is only where to begin
    int d = drafter_of(setup, name);
    if (d >= 0) r->odds[d][bucket] = (cop_odds){tried * keep, hit * keep};
    return true;
}

static bool read_costly(const char *line, reading *r, const cop_control_setup *setup) {
    char name[32];
    float n, per_node, survive[COP_SURVIVAL];
    int at = 0, used;
    if (sscanf(line, "costly %31s %f %f%n", name, &n, &per_node, &at) != 3) return false;
    if (!(n > 0 && n < 1e9f) || !(per_node >= 0 && per_node < 1e4f)) return false;
    for (int i = 0; i < COP_SURVIVAL; i++, at += used)
        if (sscanf(line + at, "%f%n", &survive[i], &used) != 1 || !(survive[i] >= 0 && survive[i] <= 1)) return false;
    int d = drafter_of(setup, name);
    if (d < 0) return true;
    memcpy(r->survive[d], survive, sizeof survive);
    r->survive_n[d] = n < 24 ? n : 24;
    r->per_node[d] = per_node;
    return true;
}

static bool read_line(const char *line, int number, reading *r, const cop_control_setup *setup) {
    if (number == 1) return !strcmp(line, MAGIC);
    if (!strncmp(line, "costly ", 7)) return read_costly(line, r, setup);
    return line[0] == 'c' ? read_cost(line, r) : read_odds(line, r, setup);
}

static bool read_text(char *text, reading *r, const cop_control_setup *setup, int *number) {
    *number = 1;
    for (char *line = text, *next; *line; line = next, ++*number) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        else next = line + strlen(line);
        if (!read_line(line, *number, r, setup)) return false;
    }
    return *number > 1;
}

static void take(const cop_learnt *l, const reading *r) {
    *l->cost = r->cost;
    refresh(l->cost);
    memcpy(l->odds, r->odds, sizeof r->odds);
    for (int d = 0; d < COP_MAX_DRAFTERS; d++) {
        if (!l->survive[d] || !(r->survive_n[d] > 0)) continue;
        memcpy(l->survive[d], r->survive[d], sizeof r->survive[d]);
        *l->survive_n[d] = r->survive_n[d];
        *l->per_node[d] = r->per_node[d];
    }
}

// A file is taken as a whole or not at all.
cop_status cop_learnt_load(const char *path, const cop_learnt *learnt) {
    char *text;
    size_t bytes;
    int number = 1;
    COP_TRY(cop_file_read(path, MOST_BYTES, &text, &bytes));
    reading *r = cop_alloc(sizeof *r);
    if (!r) {
        cop_free(text);
        return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    }
    r->cost = *learnt->cost;
    memcpy(r->odds, learnt->odds, sizeof r->odds);
    bool fine = bytes && strlen(text) == bytes && read_text(text, r, learnt->setup, &number);
    if (fine) take(learnt, r);
    cop_free(r);
    cop_free(text);
    return fine ? COP_OK : cop_fail(COP_ERR_FORMAT, "%s: line %d is not what a controller writes", path, number);
}

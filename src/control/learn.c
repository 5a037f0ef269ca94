#include "control/learn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"

#define MAGIC "coppice learnt 1"
#define MOST_BYTES ((size_t)1 << 20)

// What the curve of a memory-bound forward looks like before it was measured: rows, ratio.
static float prior_ratio(int rows) {
    static const float at[][2] = {{1, 1}, {4, 1.15f}, {8, 1.9f}, {16, 3.2f}, {32, 5.6f}, {64, 10.5f}};
    for (int i = 1; i < 6; i++)
        if ((float)rows <= at[i][0])
            return at[i - 1][1] + (at[i][1] - at[i - 1][1]) * ((float)rows - at[i - 1][0]) / (at[i][0] - at[i - 1][0]);
    return at[5][1];
}

// The factor of the nearest place that was measured: contexts count for more than rows.
static float nearest_factor(const cop_cost *c, int rows) {
    int best = 1 << 20;
    float factor = 1;
    for (int i = 0; i < COP_COST_CONTEXTS; i++)
        for (int m = 2; m <= COP_COST_ROWS; m++) {
            if (!c->seen[i][m]) continue;
            int distance = 16 * (i > c->context ? i - c->context : c->context - i) + (m > rows ? m - rows : rows - m);
            if (distance >= best) continue;
            best = distance;
            factor = c->factor[i][m];
        }
    return factor;
}

// A forward of more rows is not cheaper: the running maximum takes out what noise says against it.
static void refresh(cop_cost *c) {
    c->ratio[0] = c->ratio[1] = 1;
    for (int m = 2; m <= COP_COST_ROWS; m++) {
        float f = c->seen[c->context][m] ? c->factor[c->context][m] : nearest_factor(c, m);
        float r = 1 + f * (prior_ratio(m) - 1);
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

static double rate(int n, double least) { return 1.0 / (n + 1) > least ? 1.0 / (n + 1) : least; }

void cop_cost_add(cop_cost *c, int rows, double seconds) {
    if (!(seconds > 0) || rows < 1 || rows > COP_COST_ROWS) return;
    c->since_plain++;
    double expected = c->plain * cop_cost_ratio(c, rows);
    if (c->n_plain > 4 && seconds > 3 * expected) seconds = 3 * expected;  // somebody else had the core
    if (rows == 1) {
        c->plain += (seconds - c->plain) * rate(c->n_plain, 0.06);
        if (c->n_plain < 1 << 20) c->n_plain++;
        c->since_plain = 0;
        return;
    }
    if (!c->n_plain) return;
    float *f = &c->factor[c->context][rows];
    uint16_t *seen = &c->seen[c->context][rows];
    float factor = (float)((seconds / c->plain - 1) / ((double)prior_ratio(rows) - 1));
    if (factor < 0) factor = 0;
    if (factor > 20) factor = 20;
    if (!*seen) *f = nearest_factor(c, rows);
    *f += (factor - *f) * (float)rate(*seen + 1, 0.06);
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

static cop_status write_learnt(FILE *f, const cop_cost *cost, cop_odds odds[][COP_BUCKETS], const cop_control_setup *setup) {
    fprintf(f, MAGIC "\n");
    for (int i = 0; i < COP_COST_CONTEXTS; i++)
        for (int m = 2; m <= COP_COST_ROWS; m++)
            if (cost->seen[i][m]) fprintf(f, "cost %d %d %.5g %d\n", i, m, (double)cost->factor[i][m], cost->seen[i][m]);
    for (int d = 0; d < setup->n_drafters; d++)
        for (int b = 0; b < COP_BUCKETS; b++)
            if (odds[d][b].tried > 0) fprintf(f, "odds %s %d %.5g %.5g\n", setup->names[d], b, (double)odds[d][b].tried, (double)odds[d][b].hit);
    return ferror(f) ? COP_ERR_IO : COP_OK;
}

cop_status cop_learnt_save(const char *path, const cop_cost *cost, cop_odds odds[][COP_BUCKETS], const cop_control_setup *setup) {
    char part[4096];
    int n = snprintf(part, sizeof part, "%s.part", path);
    if (n < 0 || (size_t)n >= sizeof part) return cop_fail(COP_ERR_LIMIT, "%s: path is too long", path);
    FILE *f = fopen(part, "w");
    if (!f) return cop_fail(COP_ERR_IO, "%s: cannot be written", part);
    cop_status st = write_learnt(f, cost, odds, setup);
    if (fclose(f)) st = COP_ERR_IO;
    if (!st && rename(part, path)) st = COP_ERR_IO;
    if (!st) return COP_OK;
    remove(part);
    return cop_fail(COP_ERR_IO, "%s: cannot be written", path);
}

static bool read_cost(const char *line, cop_cost *cost) {
    int context, rows, seen;
    float factor;
    if (sscanf(line, "cost %d %d %f %d", &context, &rows, &factor, &seen) != 4) return false;
    if (context < 0 || context >= COP_COST_CONTEXTS || rows < 2 || rows > COP_COST_ROWS || !(factor >= 0 && factor <= 20) || seen < 1)
        return false;
    cost->factor[context][rows] = factor;
    cost->seen[context][rows] = (uint16_t)(seen < 8 ? seen : 8);  // a new start measures anew soon
    return true;
}

static bool read_odds(const char *line, cop_odds odds[][COP_BUCKETS], const cop_control_setup *setup) {
    char name[32];
    int bucket;
    float tried, hit;
    if (sscanf(line, "odds %31s %d %f %f", name, &bucket, &tried, &hit) != 4) return false;
    if (bucket < 0 || bucket >= COP_BUCKETS || !(tried > 0 && tried < 1e4f) || !(hit >= 0 && hit <= tried)) return false;
    float keep = tried > 32 ? 32 / tried : 1;  // what another text taught is only where to begin
    for (int d = 0; d < setup->n_drafters; d++)
        if (!strcmp(setup->names[d], name)) odds[d][bucket] = (cop_odds){tried * keep, hit * keep};
    return true;
}

cop_status cop_learnt_load(const char *path, cop_cost *cost, cop_odds odds[][COP_BUCKETS], const cop_control_setup *setup) {
    char *text;
    size_t bytes;
    COP_TRY(cop_file_read(path, MOST_BYTES, &text, &bytes));
    bool fine = true;
    int number = 0;
    for (char *line = text, *next; fine && *line; line = next, number++) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        else next = line + strlen(line);
        if (number == 0) fine = !strcmp(line, MAGIC);
        else fine = line[0] == 'c' ? read_cost(line, cost) : read_odds(line, odds, setup);
    }
    if (!number) fine = false;
    cop_free(text);
    refresh(cost);
    return fine ? COP_OK : cop_fail(COP_ERR_FORMAT, "%s: line %d is not what a controller writes", path, number);
}

// Auto: draft what pays on this machine, in this text, now.
//
// Every node gets the probability that it is computed for something: the learnt odds of its class times those
// of its ancestors. Nodes are taken in that order while the expected tokens per second grow: the best of
// (1 + sum of probabilities) / (drafting + cost of so many rows). A drafter that costs forwards is asked only
// when its expected gain beats what the cheap ones have proposed already. When a window of steps was slower than plain decoding
// all drafting pauses, for twice as long each time, and is probed again.
// In a batch the other requests' rows and tokens are in both: what one draws out is measured by what all of them get.
// Sources: SmartSpec, Liu et al. 2024 (arXiv:2406.14066) for goodput; the marginal rule is that of fractional
//          programming (Dinkelbach 1967).
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "control/learn.h"

#define WINDOW 24          // steps after which drafting is judged
#define MOST_LOST 4        // or as soon as it has cost so many plain steps
#define FIRST_PAUSE 32     // steps without drafting, doubled up to
#define LONGEST_PAUSE 1024
#define PLAIN_EVERY 128    // a plain step at least so often: what all costs are measured against
#define EXPLORE_EVERY 48   // trees, of which one is larger than it should be
#define PROBE_DEPTH 3      // of a costly drafter that was not asked for long
#define READING 0.05       // plain steps that a second model needs to read a token: a third of the model, eight at once
#define EXPECTED_TOKENS 64 // that a text goes on for

typedef struct costly {
    float per_node;          // cost of one of its nodes, in plain steps
    float survive[COP_SURVIVAL];  // share of its proposals at depth i + 1 that came true, all ancestors too
    float survive_n;         // steps behind these
    bool asked;              // in this session: it has read the text
    int silent, patience;    // steps since it was asked; after so many it is asked anyway
} costly;

typedef struct automatic {
    float margin;            // option
    cop_control_setup setup;
    cop_cost own, *cost;     // *cost: the scheduler's, or own
    cop_odds (*odds)[COP_BUCKETS];  // [n_drafters]
    costly dear[COP_MAX_DRAFTERS];
    cop_ballot ballot;
    double cheap_seconds;    // of the cheap drafters of a step, decayed
    double window_seconds, window_plain, window_tokens, window_plain_tokens;  // plain: of the same steps without trees
    int window_steps, pause, pause_left;
    bool off;                // this step is plain
    bool plain_probe;
    unsigned wide;           // trees computed
    int depth[COP_MAX_DRAFTERS];
} automatic;

static cop_status start(void *state, const cop_control_setup *setup) {
    automatic *a = state;
    a->setup = *setup;
    a->odds = cop_alloc_array(COP_MAX_DRAFTERS, sizeof *a->odds);
    if (!a->odds) return cop_fail(COP_ERR_NOMEM, "controller auto: cannot allocate");
    cop_cost_init(&a->own);
    a->cost = setup->cost ? setup->cost : &a->own;
    a->pause = FIRST_PAUSE;
    for (int i = 0; i < COP_MAX_DRAFTERS; i++) a->dear[i].patience = 8;
    return COP_OK;
}

static void stop(void *state) { cop_free(((automatic *)state)->odds); }

static void say(const automatic *a, const char *line) {
    if (a->setup.note) a->setup.note(a->setup.user, line);
}

static float own_belief(const cop_node *node) {
    if (node->logp > 0) return 0.4f;
    return node->logp < -20 ? 0.0f : (float)cop_exp((double)node->logp);
}

// Probability of each node, given its parent, times its parent's.
static void rate_nodes(const automatic *a, const cop_tree *tree, float *path) {
    float left[COP_COST_ROWS];  // one child at most is what comes: what its elder siblings left over
    path[0] = left[0] = 1;
    for (int i = 1; i < tree->n_nodes && i < COP_COST_ROWS; i++) {
        const cop_node *node = &tree->nodes[i];
        float p = cop_odds_of(&a->odds[node->source][node->bucket], own_belief(node));
        if (p > left[node->parent]) p = left[node->parent];
        left[node->parent] -= p;
        path[i] = path[node->parent] * p;
        left[i] = 1;
    }
}

// Nodes by falling probability into order[]; parents never come behind their children. Returns their number.
static int sort_nodes(const float *path, int n_nodes, int *order) {
    int n = 0;
    for (int i = 1; i < n_nodes && i < COP_COST_ROWS; i++) {
        int at = n++;
        for (; at > 0 && path[order[at - 1]] < path[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    return n;
}

// The number of nodes that gives most tokens per second, and that rate in units of plain decoding's.
static int best_count(const automatic *a, const cop_others *o, const float *path, const int *order, int n, double *goodput) {
    double drafting = a->cost->plain > 0 ? a->cheap_seconds / a->cost->plain : 0;
    double tokens = 1 + o->tokens, best = tokens / (cop_cost_ratio(a->cost, 1 + o->rows) + drafting);
    int count = 0;
    for (int k = 1; k <= n; k++) {
        tokens += (double)path[order[k - 1]];
        double g = tokens / (cop_cost_ratio(a->cost, k + 1 + o->rows) + drafting);
        if (g <= best * (1 + (count ? 0 : (double)a->margin))) continue;
        best = g;
        count = k;
    }
    *goodput = best;
    return count;
}

static double cheap_goodput(const automatic *a, const cop_others *o, const cop_tree *tree) {
    float path[COP_COST_ROWS];
    int order[COP_COST_ROWS];
    double goodput;
    rate_nodes(a, tree, path);
    best_count(a, o, path, order, sort_nodes(path, tree->n_nodes, order), &goodput);
    return goodput;
}

// Before its first proposal a second model reads the text. What that costs must be small beside what was written
// already, or be won back within the next tokens by what is known of its gain.
static bool reading_pays(const automatic *a, const cop_view *view, int drafter, double gain) {
    if (!a->setup.reads[drafter] || a->dear[drafter].asked) return true;
    double reading = READING * view->n_tokens, written = view->n_tokens - view->n_prompt;
    return reading <= 0.03 * written || gain * EXPECTED_TOKENS > reading;
}

// How deep a costly drafter should go, 0: not at all.
static int costly_depth(automatic *a, const cop_view *view, const cop_tree *tree, int drafter) {
    costly *d = &a->dear[drafter];
    const cop_others *o = &view->others;
    if (a->cost->plain <= 0) return 0;
    if (d->survive_n < 4) return reading_pays(a, view, drafter, 0) ? PROBE_DEPTH : 0;
    double tokens = 1 + o->tokens, cheap = cheap_goodput(a, o, tree), best = cheap * (1 + (double)a->margin);
    int depth = 0;
    for (int k = 1; k <= COP_SURVIVAL; k++) {
        tokens += (double)d->survive[k - 1];
        double g = tokens / (cop_cost_ratio(a->cost, k + 1 + o->rows) + (double)d->per_node * k);
        if (g <= best) continue;
        best = g;
        depth = k;
    }
    if (!reading_pays(a, view, drafter, depth ? best / cheap - 1 : 0)) return 0;
    return depth || d->silent < d->patience ? depth : PROBE_DEPTH;
}

// Once a step, before the first drafter is asked.
static void begin_step(automatic *a, const cop_view *view) {
    cop_cost_set_context(a->cost, view->n_tokens);
    a->plain_probe = a->cost->n_plain < 3 || (a->cost == &a->own && a->cost->since_plain >= PLAIN_EVERY);
    a->off = a->pause_left > 0;
    a->ballot.n = 0;
    if (a->pause_left > 0 && --a->pause_left == 0) say(a, "draft: probing again");
}

static cop_admission admit(void *state, const cop_view *view, const cop_tree *tree, int drafter) {
    automatic *a = state;
    if (drafter == 0) begin_step(a, view);
    a->depth[drafter] = 0;
    if (a->off) return (cop_admission){0, 0};
    int depth = a->setup.max_nodes;
    if (a->setup.costly[drafter]) {
        depth = a->plain_probe ? 0 : costly_depth(a, view, tree, drafter);
        a->dear[drafter].silent = depth ? 0 : a->dear[drafter].silent + 1;
    }
    a->depth[drafter] = depth;
    return (cop_admission){depth ? a->setup.max_nodes : 0, depth};
}

static void prune(void *state, const cop_view *view, const cop_tree *tree, bool *keep) {
    automatic *a = state;
    float path[COP_COST_ROWS];
    int order[COP_COST_ROWS];
    double goodput;
    cop_ballot_take(&a->ballot, tree);
    rate_nodes(a, tree, path);
    int n = sort_nodes(path, tree->n_nodes, order);
    int count = a->plain_probe ? 0 : best_count(a, &view->others, path, order, n, &goodput);
    // Widths that are never computed have no cost: now and then a tree that pays is made half as large again.
    if (count && ++a->wide % EXPLORE_EVERY == 0) count = count + 1 + count / 2 < n ? count + 1 + count / 2 : n;
    for (int i = count; i < n; i++) keep[order[i]] = false;
}

// Shares of the costly drafter's spine that came true, by depth.
static void judge_costly(automatic *a, int drafter, const cop_step_report *r) {
    costly *d = &a->dear[drafter];
    float alive[COP_SURVIVAL + 1] = {0};
    int depth_of[COP_COST_ROWS] = {0}, n_nodes = 0;
    for (int i = 1; i < a->ballot.n; i++) {
        int above = depth_of[a->ballot.node[i].parent];
        depth_of[i] = -1;
        if (a->ballot.node[i].source == drafter) n_nodes++;
        if (above < 0 || above >= r->got->n_tokens) continue;
        if (a->ballot.node[i].token != r->got->tokens[above]) continue;
        depth_of[i] = above + 1;
        if (above < COP_SURVIVAL) alive[above + 1] = 1;
    }
    int deepest = a->depth[drafter] < COP_SURVIVAL ? a->depth[drafter] : COP_SURVIVAL;
    double step = 1 / (d->survive_n + 1) > 0.04f ? 1 / ((double)d->survive_n + 1) : 0.04;
    for (int i = 0; i < COP_SURVIVAL; i++) {
        // Depths that were not tried follow the ratio of the last ones.
        float seen = i < deepest ? alive[i + 1] : i > 0 ? d->survive[i - 1] * (i > 1 && d->survive[i - 2] > 0 ? d->survive[i - 1] / d->survive[i - 2] : 0.7f) : 0;
        d->survive[i] += (seen - d->survive[i]) * (float)step;
    }
    d->survive_n += 1;
    if (n_nodes && a->cost->plain > 0 && d->asked) {
        float each = (float)(r->draft_seconds[drafter] / n_nodes / a->cost->plain);
        d->per_node += (each - d->per_node) * (d->per_node > 0 ? 0.1f : 1);
    }
    d->asked = true;
    bool good = r->got->n_tokens > 1;
    d->patience = good ? 16 : d->patience * 2 < 512 ? d->patience * 2 : 512;
}

static void judge_window(automatic *a) {
    double goodput = a->window_tokens / a->window_plain_tokens * a->window_plain / a->window_seconds;
    char line[160];
    a->window_steps = 0;
    a->window_tokens = a->window_seconds = a->window_plain = a->window_plain_tokens = 0;
    if (goodput >= 0.99) {
        a->pause = FIRST_PAUSE;
        return;
    }
    a->pause_left = a->pause;
    snprintf(line, sizeof line, "draft: off for %d steps, %.2f of plain decoding's speed", a->pause, goodput);
    a->pause = a->pause * 2 < LONGEST_PAUSE ? a->pause * 2 : LONGEST_PAUSE;
    say(a, line);
}

static void account(void *state, const cop_view *view, const cop_step_report *r) {
    automatic *a = state;
    const cop_others *o = &view->others;
    if (a->cost == &a->own) cop_cost_add(a->cost, r->n_rows, r->verify_seconds);
    if (a->off) return;
    double cheap = 0, all = r->verify_seconds;
    for (int i = 0; i < a->setup.n_drafters; i++) {
        bool reads = a->setup.reads[i] && r->asked[i] && !a->dear[i].asked;  // once, and not to be judged by
        all += reads ? 0 : r->draft_seconds[i];
        if (!a->setup.costly[i]) cheap += r->draft_seconds[i];
        else if (r->asked[i]) judge_costly(a, i, r);
    }
    a->cheap_seconds += (cheap - a->cheap_seconds) * 0.1;
    cop_ballot_judge(&a->ballot, r->got, a->odds);
    if (a->plain_probe || r->n_rows < 1) return;
    a->window_seconds += all;
    a->window_tokens += r->got->n_tokens + o->tokens;
    a->window_plain += a->cost->plain * cop_cost_ratio(a->cost, 1 + o->rows);
    a->window_plain_tokens += 1 + o->tokens;
    // Plain steps.
    double lost = a->window_seconds / (a->window_plain / (a->window_steps + 1)) - a->window_tokens / (a->window_plain_tokens / (a->window_steps + 1));
    if (++a->window_steps >= WINDOW || lost > MOST_LOST) judge_window(a);
}

static cop_learnt learnt(automatic *a) {
    cop_learnt l = {.cost = &a->own, .odds = a->odds, .setup = &a->setup};
    for (int i = 0; i < COP_MAX_DRAFTERS; i++) {
        l.survive[i] = a->dear[i].survive;
        l.survive_n[i] = &a->dear[i].survive_n;
        l.per_node[i] = &a->dear[i].per_node;
    }
    return l;
}

static cop_status save(const void *state, const char *path) {
    automatic copy = *(const automatic *)state;
    copy.own = *copy.cost;
    cop_learnt l = learnt(&copy);
    return cop_learnt_save(path, &l);
}

static cop_status load(void *state, const char *path) {
    cop_learnt l = learnt(state);
    return cop_learnt_load(path, &l);
}

static const cop_option options[] = {
    COP_OPTION_FLOAT(automatic, margin, 0.01, 0, 1, "expected gain below which a step stays plain"),
    COP_OPTION_END,
};

const cop_controller_type cop_controller_auto = {
    .name = "auto", .summary = "most tokens per second by measured cost and odds, or none at all", .source = "Liu 2024; Dinkelbach 1967",
    .state_size = sizeof(automatic), .options = options, .start = start, .admit = admit, .prune = prune,
    .account = account, .save = save, .load = load, .stop = stop,
};

// Controllers on a simulated machine: a clock that is a cost curve, a text that is a coin.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/noise.h"
#include "control/learn.h"

#define NODES 64

typedef struct machine {
    double slope;          // cost of each row beyond the first, in plain steps
    double noise;          // relative
    double right;          // probability that the drafted token comes
    double draft_seconds;  // a step
    bool costly;
    int chain;             // length of what is proposed
    int others;            // rows of other requests in each forward, a token each; cost is then measured for all
    int free_rows;         // rows that are nearly free, 0: none
    // what came of it
    double seconds, tokens;
    int64_t rows, steps, asked;
    char note[256];
    int n_notes;
} machine;

static void note(void *user, const char *line) {
    machine *m = user;
    snprintf(m->note, sizeof m->note, "%s", line);
    m->n_notes++;
}

static double jitter(const machine *m, uint64_t i) { return 1 + m->noise * (2 * cop_noise_uniform(5, COP_NOISE_DRAFT, i, 1) - 1); }

// Plain steps that a forward of so many rows takes.
static double forward_cost(const machine *m, int rows) {
    int cheap = rows < m->free_rows ? rows : m->free_rows;
    return 1 + 0.02 * (cheap > 0 ? cheap - 1 : 0) + m->slope * (rows - (cheap > 0 ? cheap : 1));
}

static void step(machine *m, const cop_controller_type *c, void *state, cop_tree *tree, uint64_t i) {
    static bool keep[NODES];
    int32_t emitted[NODES + 1];
    int path[NODES], n_path = 0;
    const cop_view view = {.n_tokens = 100 + (int)(i % 1000), .max_tokens = 4096, .others = {m->others, m->others}};
    cop_tree_reset(tree, 0);
    cop_admission may = c->admit ? c->admit(state, &view, tree, 0) : (cop_admission){NODES, NODES};
    cop_step_report r = {.asked = {may.limit > 0}};
    if (may.limit > 0) {
        tree->limit = may.limit;
        tree->max_depth = may.max_depth;
        for (int d = 0, node = 0; d < m->chain && node >= 0; d++) {
            node = cop_tree_add(tree, node, 1, COP_LOGP_NONE);
            if (node > 0) tree->nodes[node].bucket = 7;
        }
        r.draft_seconds[0] = m->costly ? m->draft_seconds * (tree->n_nodes - 1) : m->draft_seconds;
        m->asked++;
    }
    for (int k = 0; k < tree->n_nodes; k++) keep[k] = true;
    if (c->prune) c->prune(state, &view, tree, keep);
    cop_tree_prune(tree, keep, NULL);
    for (int node = 0;;) {  // token 1 is what is drafted, 2 is something else
        int32_t token = cop_noise_uniform(9, COP_NOISE_SAMPLE, i * 100 + (uint64_t)n_path, 0) < m->right ? 1 : 2;
        emitted[n_path] = token;
        node = cop_tree_child(tree, node, token);
        if (node < 0) break;
        path[n_path++] = node;
    }
    const cop_accepted got = {path, n_path, emitted, n_path + 1};
    r.got = &got;
    r.n_tree = tree->n_nodes;
    r.n_rows = tree->n_nodes + m->others;
    r.verify_seconds = 0.01 * forward_cost(m, r.n_rows) * jitter(m, i);
    if (c->account) c->account(state, &view, &r);
    m->seconds += r.verify_seconds + r.draft_seconds[0];
    m->tokens += n_path + 1;
    m->rows += tree->n_nodes;
    m->steps++;
}

// Tokens per second in units of plain decoding's, over `steps` steps.
static double run(machine *m, const char *name, int steps) {
    const cop_controller_type *c;
    cop_tree tree;
    assert_int_equal(cop_controller_find(&c, name, strlen(name)), COP_OK);
    assert_int_equal(cop_tree_init(&tree, NODES, 0, 0), COP_OK);
    void *state = cop_alloc(c->state_size);
    cop_options_init(c->options, state);
    cop_cost cost;
    cop_cost_init(&cost);
    for (int n = 1; n <= COP_COST_ROWS; n = n < 4 ? n + 1 : n + n / 2)
        for (int i = 0; i < 3; i++) cop_cost_add(&cost, n, 0.01 * forward_cost(m, n));
    const cop_control_setup setup = {.cost = m->free_rows ? &cost : NULL, .n_drafters = 1, .max_nodes = NODES, .max_tokens = 4096, .costly = {m->costly}, .names = {"copy"},
                                     .note = note, .user = m};
    if (c->start) assert_int_equal(c->start(state, &setup), COP_OK);
    for (int i = 0; i < steps; i++) step(m, c, state, &tree, (uint64_t)i);
    if (c->stop) c->stop(state);
    cop_free(state);
    cop_tree_fini(&tree);
    return m->tokens / m->seconds * 0.01;
}

static void auto_is_never_slower_than_plain_decoding(void **state) {
    (void)state;
    static const double slopes[] = {0.02, 0.1, 0.3, 1.0}, rights[] = {0, 0.05, 0.3, 0.7, 0.97}, drafting[] = {0, 0.0002, 0.002, 0.008};
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 5; b++)
            for (int c = 0; c < 4; c++)
                for (int costly = 0; costly < 2; costly++) {
                    machine m = {.slope = slopes[a], .right = rights[b], .draft_seconds = drafting[c], .costly = costly, .chain = 16, .noise = 0.05};
                    double speed = run(&m, "auto", 4000);
                    if (speed < 0.97) fail_msg("row %g, right %g, drafting %g%s: %.3f of plain", slopes[a], rights[b], drafting[c], costly ? " a node" : "", speed);
                }
}

static void auto_takes_most_of_what_is_there(void **state) {
    (void)state;
    // Best fixed chain length, by trying all.
    static const double slopes[] = {0.03, 0.2}, rights[] = {0.5, 0.9};
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++) {
            double best = 1;
            for (int k = 1; k <= 24; k++) {
                double tokens = 1, power = 1;
                for (int i = 0; i < k; i++) tokens += power *= rights[b];
                double speed = tokens / (1 + slopes[a] * k);
                if (speed > best) best = speed;
            }
            machine m = {.slope = slopes[a], .right = rights[b], .chain = 24, .noise = 0.05};
            double speed = run(&m, "auto", 4000);
            if (speed < 0.93 * best) fail_msg("row %g, right %g: %.2f, the best fixed length gives %.2f", slopes[a], rights[b], speed, best);
        }
}

static void goodput_finds_the_length_and_none_at_all(void **state) {
    (void)state;
    machine good = {.slope = 0.05, .right = 0.9, .chain = 24, .noise = 0.05}, bad = {.slope = 0.5, .right = 0.1, .chain = 24, .noise = 0.05};
    assert_true(run(&good, "goodput", 2000) > 3);
    assert_true(run(&bad, "goodput", 2000) > 0.95);
    assert_true(bad.rows < 1.2 * (double)bad.steps);
}

// SmartSpec's point: what pays alone does not pay in a full batch.
static void drafting_goes_with_load_and_comes_back(void **state) {
    (void)state;
    static const char *const names[] = {"auto", "goodput"};
    for (int i = 0; i < 2; i++) {
        machine alone = {.slope = 0.25, .free_rows = 8, .right = 0.7, .chain = 12, .noise = 0.05}, loaded = alone;
        loaded.others = 24;
        assert_true(run(&alone, names[i], 3000) > 1.5);
        run(&loaded, names[i], 3000);
        if (alone.rows < 2 * alone.steps) fail_msg("%s alone: %lld rows in %lld steps", names[i], (long long)alone.rows, (long long)alone.steps);
        if (loaded.rows > 1.1 * (double)loaded.steps) fail_msg("%s, loaded: %lld rows in %lld steps", names[i], (long long)loaded.rows, (long long)loaded.steps);
    }
}

static void a_pause_is_said(void **state) {
    (void)state;
    machine m = {.slope = 0.5, .right = 0, .draft_seconds = 0.004, .chain = 8};
    run(&m, "auto", 400);
    assert_true(m.n_notes > 0);
    assert_non_null(strstr(m.note, "draft: "));
    assert_true(m.asked < m.steps / 2);
}

static void fixed_does_what_it_was_told(void **state) {
    (void)state;
    machine m = {.slope = 0.1, .right = 0, .chain = 9};
    run(&m, "fixed", 100);
    assert_int_equal(m.rows, 100 * 10);
}

// ---- the file ---------------------------------------------------------------------------------------

static const cop_control_setup two = {.n_drafters = 2, .max_nodes = NODES, .names = {"copy", "recycle"}};

static void what_was_learnt_comes_back(void **state) {
    (void)state;
    static cop_odds odds[COP_MAX_DRAFTERS][COP_BUCKETS], back[COP_MAX_DRAFTERS][COP_BUCKETS];
    cop_cost cost, again;
    float survive[COP_SURVIVAL] = {0.75f, 0.5f}, n = 20, each = 0.25f, survive_back[COP_SURVIVAL] = {0}, n_back = 0, each_back = 0;
    char path[] = "/tmp/coppice-learnt-XXXXXX";
    close(mkstemp(path));
    cop_cost_init(&cost);
    for (int i = 0; i < 20; i++) cop_cost_add(&cost, 1, 0.01), cop_cost_add(&cost, 8, 0.03);
    for (int i = 0; i < 20; i++) cop_odds_add(&odds[1][5], i % 4 == 0);
    assert_int_equal(cop_learnt_save(path, &(cop_learnt){.cost = &cost, .odds = odds, .setup = &two, .survive = {[1] = survive}, .survive_n = {[1] = &n}, .per_node = {[1] = &each}}), COP_OK);
    cop_cost_init(&again);
    assert_int_equal(cop_learnt_load(path, &(cop_learnt){.cost = &again, .odds = back, .setup = &two, .survive = {[1] = survive_back}, .survive_n = {[1] = &n_back}, .per_node = {[1] = &each_back}}), COP_OK);
    assert_true(cop_cost_ratio(&again, 8) > 2.5 && cop_cost_ratio(&again, 8) < 3.5);
    assert_true(back[1][5].tried > 15 && back[1][5].hit > 3);
    assert_true(back[0][5].tried == 0);
    assert_memory_equal(survive, survive_back, sizeof survive);
    assert_true(n_back == n && each_back == each);
    unlink(path);
}

static void a_damaged_file_changes_nothing(void **state) {
    (void)state;
    static const char *const bad[] = {"", "x\n", "coppice learnt 1\ncost 6 4 1 1\n", "coppice learnt 1\ncost 0 1 1 1\n", "coppice learnt 1\ncost 0 4 nan 1\n",
                                      "coppice learnt 1\ncost 0 4 1\n", "coppice learnt 1\nodds copy 2 5 3\nodds copy 64 2 1\n",
                                      "coppice learnt 1\nodds copy 1 1 2\n", "coppice learnt 1\nodds copy 1 inf 2\n", "coppice learnt 1\nwords\n", "coppice learnt 1\ncostly copy 9 0.3 1 1 1\n",
                                      "coppice learnt 1\ncostly copy 9 0.3 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        static cop_odds odds[COP_MAX_DRAFTERS][COP_BUCKETS], none[COP_MAX_DRAFTERS][COP_BUCKETS];
        cop_cost cost, before;
        char path[] = "/tmp/coppice-learnt-XXXXXX";
        close(mkstemp(path));
        assert_int_equal(cop_file_write(path, bad[i], strlen(bad[i])), COP_OK);
        cop_cost_init(&cost);
        before = cost;
        if (cop_learnt_load(path, &(cop_learnt){.cost = &cost, .odds = odds, .setup = &two}) != COP_ERR_FORMAT) fail_msg("file %d was taken", (int)i);
        assert_non_null(strstr(cop_error_text(), path));
        assert_memory_equal(odds, none, sizeof odds);
        assert_memory_equal(&cost, &before, sizeof cost);
        unlink(path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_is_never_slower_than_plain_decoding),
        cmocka_unit_test(auto_takes_most_of_what_is_there),
        cmocka_unit_test(goodput_finds_the_length_and_none_at_all),
        cmocka_unit_test(drafting_goes_with_load_and_comes_back),
        cmocka_unit_test(a_pause_is_said),
        cmocka_unit_test(fixed_does_what_it_was_told),
        cmocka_unit_test(what_was_learnt_comes_back),
        cmocka_unit_test(a_damaged_file_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

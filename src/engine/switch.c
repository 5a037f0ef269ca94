// Entropy-adaptive decoding: the small model writes while it is sure, the large one while it is not. Lossy: what
// the small model writes nobody verifies.
// Source: Simonds 2025 (arXiv:2502.06833). Entropy is that of the active model before temperature, in bits, its
// mean over the last `window` tokens; at least `dwell` tokens lie between two switches.
// The large model reads what it has missed in one pass when its turn comes.
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "engine/session.h"

#define MOST_WINDOW 64

struct cop_switch {
    float theta;
    int32_t window, dwell;
    cop_follower small;
    float *p;               // [V]
    float ring[MOST_WINDOW];
    int n_ring, since;
    bool small_writes;
    cop_switch_stats stats;
};

static const cop_option options[] = {
    COP_OPTION_FLOAT(cop_switch, theta, 1, 0, 20, "bits of mean entropy above which the large model writes"),
    COP_OPTION_INT(cop_switch, window, 5, 1, MOST_WINDOW, "tokens of the mean"),
    COP_OPTION_INT(cop_switch, dwell, 8, 0, 10000, "tokens between two switches at least"),
    COP_OPTION_END,
};

const cop_option *cop_switch_options(void) { return options; }

cop_status cop_switch_open(cop_switch **out, const cop_session *s, const char *text) {
    *out = NULL;
    size_t name = strcspn(text, ":");
    const cop_engine *e = s->engine;
    if (name != 7 || memcmp(text, "entropy", 7)) return cop_fail(COP_ERR_ARG, "switch %.*s: must be entropy[:option=value,...]", (int)(name < 40 ? name : 40), text);
    if (!e->draft_model) return cop_fail(COP_ERR_ARG, "switch entropy: needs a second model (--draft-model M)");
    if (e->draft_differs) return cop_fail(COP_ERR_UNSUPPORTED, "switch entropy: %s", e->draft_differs);
    cop_switch *w = cop_alloc(sizeof *w);
    if (!w) return cop_fail(COP_ERR_NOMEM, "switch: cannot allocate");
    cop_options_init(options, w);
    w->small_writes = true;
    cop_status st = text[name] ? cop_options_parse(options, w, "switch entropy", text + name + 1) : COP_OK;
    if (!st) st = cop_follower_open(&w->small, e->draft_model, cop_cache_get_shape(s->cache)->type, s->context, 1, 0);
    if (!st && !(w->p = cop_alloc_array((size_t)(e->model->desc.V > e->draft_model->desc.V ? e->model->desc.V : e->draft_model->desc.V), sizeof *w->p)))
        st = cop_fail(COP_ERR_NOMEM, "switch: cannot allocate");
    if (st) {
        cop_switch_close(w);
        return st;
    }
    *out = w;
    return COP_OK;
}

void cop_switch_close(cop_switch *w) {
    if (!w) return;
    cop_follower_close(&w->small);
    cop_free(w->p);
    cop_free(w);
}

const cop_switch_stats *cop_switch_get_stats(const cop_switch *w) { return &w->stats; }

// In bits: log2 of the sum of exponentials, less the mean logit.
static float entropy(cop_switch *w, const cop_model *m, const float *logits) {
    int V = m->desc.V;
    float max = logits[0];
    for (int i = 1; i < V; i++) max = logits[i] > max ? logits[i] : max;
    memcpy(w->p, logits, (size_t)V * sizeof *w->p);
    float sum = m->kernels.softmax(w->p, V);
    double mean = 0;
    for (int i = 0; i < V; i++)
        if (w->p[i] > 0) mean += (double)w->p[i] * (double)(logits[i] - max);
    return (float)((cop_log((double)sum) - mean / (double)sum) / 0.6931471805599453);
}

static void push(cop_switch *w, float bits) {
    w->ring[w->n_ring++ % w->window] = bits;
    if (++w->since < w->dwell) return;
    float mean = 0;
    int n = w->n_ring < w->window ? w->n_ring : w->window;
    for (int i = 0; i < n; i++) mean += w->ring[i] / (float)n;
    if (w->small_writes == (mean <= w->theta)) return;
    w->small_writes = !w->small_writes;
    w->since = 0;
    w->stats.switches++;
}

void cop_switch_see(cop_switch *w, const cop_model *large, const float *logits) {
    w->stats.large_tokens++;
    push(w, entropy(w, large, logits));
}

bool cop_switch_write(cop_switch *w, cop_session *s) {
    if (!w->small_writes || !cop_follower_read(&w->small, s->tokens, s->n_tokens)) return false;
    float bits = entropy(w, w->small.model, w->small.logits);
    int V = s->engine->model->desc.V, v = w->small.model->desc.V;
    float *x = w->p;  // of the larger vocabulary; the sampler may change it
    memcpy(x, w->small.logits, (size_t)(v < V ? v : V) * sizeof *x);
    for (int i = v; i < V; i++) x[i] = -INFINITY;
    s->verdict.tokens[0] = cop_sampler_pick(s->sampler, x, s->n_tokens, s->tokens, s->n_tokens, NULL, 0);
    s->verdict.n_tokens = 1;
    s->verdict.n_path = 0;
    w->stats.small_tokens++;
    push(w, bits);
    return true;
}

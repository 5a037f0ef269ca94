#include "tree/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "base/nearest.h"
#include "base/noise.h"

const cop_option cop_sampling_options[] = {
    COP_OPTION_FLOAT(cop_sampling, temp, 0, 0, 100, "temperature; 0 takes the most probable token"),
    COP_OPTION_INT(cop_sampling, top_k, 0, 0, 1 << 24, "keep the k most probable tokens; 0: all"),
    COP_OPTION_FLOAT(cop_sampling, typical_p, 1, 0, 1, "keep the tokens of nearly average surprise, of this probability; 1: all"),
    COP_OPTION_FLOAT(cop_sampling, top_p, 1, 0, 1, "keep the smallest set of this probability; 1: all"),
    COP_OPTION_FLOAT(cop_sampling, min_p, 0, 0, 1, "drop tokens below this share of the most probable one; 0: none"),
    COP_OPTION_FLOAT(cop_sampling, repeat_penalty, 1, 0.01, 100, "divide the logits of seen tokens; 1: off"),
    COP_OPTION_FLOAT(cop_sampling, frequency_penalty, 0, -100, 100, "subtract per occurrence of a seen token"),
    COP_OPTION_FLOAT(cop_sampling, presence_penalty, 0, -100, 100, "subtract once from seen tokens"),
    COP_OPTION_INT(cop_sampling, penalty_window, 64, 0, 1 << 20, "how many of the last tokens count as seen"),
    COP_OPTION_END,
};

typedef struct candidate {
    float logit;
    int32_t token;
    float key;  // what a filter sorts by, the least first
} candidate;

struct cop_sampler {
    cop_sampling sampling;
    int V;
    candidate *kept;       // [V]
    float divisor;         // what the draw still has to divide logits by: a temperature that ends the chain
    int32_t *counts;       // [V] occurrences in the window, zero between calls
    cop_logit_bias *bias;  // own copy
};

// ---- the chain ----------------------------------------------------------------------------------

static const char *const filters[COP_N_FILTERS + 1] = {NULL, "top_k", "typical_p", "top_p", "min_p", "temp"};

static cop_status unknown_filter(const char *name) {
    for (int f = 1; f <= COP_N_FILTERS; f++)
        if (cop_word_is_near(name, filters[f])) return cop_fail(COP_ERR_ARG, "samplers: no %s; the nearest is %s", name, filters[f]);
    return cop_fail(COP_ERR_ARG, "samplers: no %s; there are top_k, typical_p, top_p, min_p, temp", name);
}

cop_status cop_sampling_parse_chain(cop_sampling *sampling, const char *text) {
    int n = 0;
    memset(sampling->chain, 0, sizeof sampling->chain);
    for (const char *at = text;; at++) {
        char name[16];
        const size_t bytes = strcspn(at, ",");
        memcpy(name, at, bytes < sizeof name ? bytes : sizeof name - 1);
        name[bytes < sizeof name ? bytes : sizeof name - 1] = 0;
        int f = 1;
        while (f <= COP_N_FILTERS && strcmp(name, filters[f])) f++;
        if (f > COP_N_FILTERS) return unknown_filter(name);
        if (memchr(sampling->chain, f, sizeof sampling->chain)) return cop_fail(COP_ERR_ARG, "samplers: %s is named twice", name);
        sampling->chain[n++] = (uint8_t)f;
        at += bytes;
        if (!*at) return COP_OK;
    }
}

// The filters that do something, in order.
static bool is_on(const cop_sampling *o, int filter) {
    switch (filter) {
    case COP_FILTER_TOP_K: return o->top_k > 0;
    case COP_FILTER_TYPICAL_P: return o->typical_p > 0 && o->typical_p < 1;
    case COP_FILTER_TOP_P: return o->top_p < 1;
    case COP_FILTER_MIN_P: return o->min_p > 0;
    default: return o->temp != 0 && o->temp != 1;
    }
}

static cop_status plan_chain(cop_sampling *o) {
    uint8_t order[COP_N_FILTERS] = {1, 2, 3, 4, 5};
    int n = 0;
    if (o->chain[0]) memcpy(order, o->chain, sizeof order);
    for (int f = 1; f <= COP_N_FILTERS; f++)
        if (is_on(o, f) && !memchr(order, f, sizeof order))
            return cop_fail(COP_ERR_ARG, "samplers: %s is set, but the order does not name it", filters[f]);
    memset(o->chain, 0, sizeof o->chain);
    for (int i = 0; i < COP_N_FILTERS; i++)
        if (order[i] && is_on(o, order[i])) o->chain[n++] = order[i];
    return COP_OK;
}

cop_status cop_sampler_new(cop_sampler **out, const cop_sampling *sampling, int V) {
    *out = NULL;
    if (V < 1 || sampling->n_bias < 0 || sampling->n_bias > COP_MAX_BIAS)
        return cop_fail(COP_ERR_ARG, "sampler: %d biases over %d tokens, at most %d", sampling->n_bias, V, COP_MAX_BIAS);
    for (int i = 0; i < sampling->n_bias; i++)
        if (sampling->bias[i].token < 0 || sampling->bias[i].token >= V || isnan(sampling->bias[i].bias))
            return cop_fail(COP_ERR_ARG, "logit bias of token %d: the vocabulary has 0 to %d", sampling->bias[i].token, V - 1);
    cop_sampler *s = cop_alloc(sizeof *s);
    if (!s) return cop_fail(COP_ERR_NOMEM, "sampler: cannot allocate");
    s->sampling = *sampling;
    s->V = V;
    s->kept = cop_alloc_array((size_t)V, sizeof *s->kept);
    s->counts = cop_alloc_array((size_t)V, sizeof *s->counts);
    s->bias = cop_alloc_array((size_t)sampling->n_bias, sizeof *s->bias);
    if (!s->kept || !s->counts || !s->bias) {
        cop_sampler_free(s);
        return cop_fail(COP_ERR_NOMEM, "sampler: cannot allocate for %d tokens", V);
    }
    cop_status st = plan_chain(&s->sampling);
    if (st) {
        cop_sampler_free(s);
        return st;
    }
    if (sampling->n_bias) memcpy(s->bias, sampling->bias, (size_t)sampling->n_bias * sizeof *s->bias);
    s->sampling.bias = s->bias;
    *out = s;
    return COP_OK;
}

void cop_sampler_free(cop_sampler *s) {
    if (!s) return;
    cop_free(s->kept);
    cop_free(s->counts);
    cop_free(s->bias);
    cop_free(s);
}

const cop_sampling *cop_sampler_get(const cop_sampler *s) { return &s->sampling; }
void cop_sampler_reseed(cop_sampler *sampler, uint64_t seed) { sampler->sampling.seed = seed; }

// Token j from the end of history + path.
static int32_t token_back(const int32_t *history, int n_history, const int32_t *path, int n_path, int j) {
    return j < n_path ? path[n_path - 1 - j] : history[n_history - 1 - (j - n_path)];
}

static void penalise_token(const cop_sampling *o, float *logit, int32_t count) {
    *logit = *logit > 0 ? *logit / o->repeat_penalty : *logit * o->repeat_penalty;
    *logit -= (float)count * o->frequency_penalty;
    *logit -= o->presence_penalty;
}

static void penalise(cop_sampler *s, float *logits, const int32_t *history, int n_history, const int32_t *path, int n_path) {
    const cop_sampling *o = &s->sampling;
    for (int i = 0; i < o->n_bias; i++) logits[s->bias[i].token] += s->bias[i].bias;
    if (o->repeat_penalty == 1.0f && o->frequency_penalty == 0.0f && o->presence_penalty == 0.0f) return;
    int seen = n_history + n_path < o->penalty_window ? n_history + n_path : o->penalty_window;
    for (int j = 0; j < seen; j++) {
        int32_t t = token_back(history, n_history, path, n_path, j);
        if (t >= 0 && t < s->V) s->counts[t]++;
    }
    for (int j = 0; j < seen; j++) {
        int32_t t = token_back(history, n_history, path, n_path, j);
        if (t < 0 || t >= s->V || !s->counts[t]) continue;
        penalise_token(o, &logits[t], s->counts[t]);
        s->counts[t] = 0;
    }
}

static int32_t argmax(const float *x, int n) {
    int32_t best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best] || x[best] != x[best]) best = i;
    return best;
}

// a comes before b: larger logit, then smaller token.
static bool before(candidate a, candidate b) { return a.logit > b.logit || (a.logit == b.logit && a.token < b.token); }

static int compare_keys(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    return x->key < y->key || (x->key == y->key && x->token < y->token) ? -1 : 1;
}

// kept[0 … k) is a heap with the last in order on top.
static void sink(candidate *heap, int n, int i) {
    for (;;) {
        int child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && before(heap[child], heap[child + 1])) child++;
        if (!before(heap[i], heap[child])) return;
        candidate t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
        i = child;
    }
}

static void offer(candidate *heap, int k, candidate c) {
    if (!before(c, heap[0])) return;
    heap[0] = c;
    sink(heap, k, 0);
}

// The k candidates that come first.
static int keep_top_k(candidate *c, int n, int k) {
    if (k >= n) return n;
    for (int i = k / 2; i-- > 0;) sink(c, k, i);
    for (int i = k; i < n; i++) offer(c, k, c[i]);
    return k;
}

// The same of the whole vocabulary, which is not copied.
static int take_top_k(cop_sampler *s, const float *logits, int k) {
    if (k > s->V) k = s->V;
    for (int i = 0; i < k; i++) s->kept[i] = (candidate){logits[i], i, 0};
    for (int i = k / 2; i-- > 0;) sink(s->kept, k, i);
    for (int i = k; i < s->V; i++) offer(s->kept, k, (candidate){logits[i], i, 0});
    return k;
}

static float largest(const candidate *c, int n) {
    float max = c[0].logit;
    for (int i = 1; i < n; i++) max = c[i].logit > max ? c[i].logit : max;
    return max;
}

// Puts the candidates with a key of at most `most` in front, sorted; returns their number.
static int sort_within(candidate *c, int n, float most) {
    int m = 0;
    for (int i = 0; i < n; i++) {
        if (!(c[i].key <= most)) continue;
        candidate t = c[m];
        c[m++] = c[i];
        c[i] = t;
    }
    qsort(c, (size_t)m, sizeof *c, compare_keys);
    return m;
}

// The smallest set of the share p of the probability, by rising key from `least`. Only the head has to be
// sorted: of a whole vocabulary few tokens lie within a small span.
static int keep_share(candidate *c, int n, float p, float least) {
    const float max = largest(c, n);
    double total = 0;
    for (int i = 0; i < n; i++) total += cop_exp((double)(c[i].logit - max));
    for (float span = 4;; span *= 2) {
        const int m = sort_within(c, n, least + span);
        double sum = 0;
        for (int i = 0; i < m; i++) {
            sum += cop_exp((double)(c[i].logit - max));
            if (sum >= (double)p * total) return i + 1;
        }
        if (span > 1000) return m > 0 ? m : n;
    }
}

static int keep_top_p(candidate *c, int n, float p) {
    for (int i = 0; i < n; i++) c[i].key = -c[i].logit;
    return keep_share(c, n, p, -largest(c, n));
}

// By distance of the surprise -log p from its mean, the entropy. With gaps g to the best logit that is
// |g - mean g|: the logarithm of the total cancels.
static int keep_typical(candidate *c, int n, float p) {
    const float max = largest(c, n);
    double total = 0, sum = 0;
    for (int i = 0; i < n; i++) {
        const double weight = cop_exp((double)(c[i].logit - max));
        total += weight;
        if (weight > 0) sum += weight * (double)(max - c[i].logit);
    }
    for (int i = 0; i < n; i++) c[i].key = fabsf(max - c[i].logit - (float)(sum / total));
    return keep_share(c, n, p, 0);
}

static int keep_min_p(candidate *c, int n, float min_p) {
    const float low = largest(c, n) + (float)cop_log((double)min_p);
    int m = 0;
    for (int i = 0; i < n; i++)
        if (c[i].logit >= low) c[m++] = c[i];
    return m;
}

static int apply_filter(cop_sampler *s, int filter, bool last, int n) {
    const cop_sampling *o = &s->sampling;
    switch (filter) {
    case COP_FILTER_TOP_K: return keep_top_k(s->kept, n, o->top_k);
    case COP_FILTER_TYPICAL_P: return keep_typical(s->kept, n, o->typical_p);
    case COP_FILTER_TOP_P: return keep_top_p(s->kept, n, o->top_p);
    case COP_FILTER_MIN_P: return keep_min_p(s->kept, n, o->min_p);
    default:
        s->divisor = last ? o->temp : 1;
        for (int i = 0; !last && i < n; i++) s->kept[i].logit /= o->temp;
        return n;
    }
}

// What the chain leaves of the vocabulary, in s->kept; 0 when no logit is a number.
static int keep(cop_sampler *s, const float *logits) {
    const uint8_t *chain = s->sampling.chain;
    int n = 0, first = chain[0] == COP_FILTER_TOP_K;
    if (first) n = take_top_k(s, logits, s->sampling.top_k);
    for (int i = 0; !first && i < s->V; i++)
        if (logits[i] >= -INFINITY) s->kept[n++] = (candidate){logits[i], i, 0};
    s->divisor = 1;
    for (int i = first; i < COP_N_FILTERS && chain[i] && n; i++) n = apply_filter(s, chain[i], i + 1 == COP_N_FILTERS || !chain[i + 1], n);
    return n;
}

// An upper bound of gumbel(u) = -log(-log u) from the bits behind u: -log u >= 1 - u, so gumbel is at most
// -log(1 - u), and 1 - u is at least 2^-(zeros + 1) when the complement of its 52 bits has `zeros`
// leading zeros. (0.693148 is above log 2 by more than float rounding.)
static float gumbel_bound(uint64_t bits) {
    uint64_t complement = ~bits & 0xfffffffffffff000u;
    return complement ? 0.693148f * (float)(__builtin_clzll(complement) + 1) : 37.0f;
}

static int32_t draw(const cop_sampler *s, int n, uint64_t position) {
    const cop_sampling *o = &s->sampling;
    float best = -INFINITY;
    int32_t token = s->kept[0].token;
    for (int i = 0; i < n; i++) {
        candidate c = s->kept[i];
        float scaled = c.logit / s->divisor;
        uint64_t bits = cop_noise_bits(o->seed, COP_NOISE_SAMPLE, position, (uint64_t)c.token);
        if (scaled + gumbel_bound(bits) < best) continue;  // cannot win: saves two logarithms
        float score = scaled + cop_noise_gumbel(o->seed, COP_NOISE_SAMPLE, position, (uint64_t)c.token);
        if (score > best || (score == best && c.token < token)) {
            best = score;
            token = c.token;
        }
    }
    return token;
}

int32_t cop_sampler_pick(cop_sampler *s, float *logits, int64_t position, const int32_t *history, int n_history,
                         const int32_t *path, int n_path) {
    penalise(s, logits, history, n_history, path, n_path);
    if (s->sampling.temp == 0) return argmax(logits, s->V);
    int n = keep(s, logits);
    if (n == 0) return argmax(logits, s->V);  // every logit is -inf or NaN
    return draw(s, n, (uint64_t)position);
}

int cop_sampler_rank(cop_sampler *s, float *logits, int64_t position, const int32_t *history, int n_history,
                     const int32_t *path, int n_path, int k, int32_t *tokens) {
    const cop_sampling *o = &s->sampling;
    penalise(s, logits, history, n_history, path, n_path);
    if (k > s->V) k = s->V;
    int n = o->temp == 0 ? take_top_k(s, logits, k) : keep(s, logits);
    if (n == 0) return tokens[0] = argmax(logits, s->V), 1;
    int m = 0;  // the best so far, in order, at the front
    for (int i = 0; i < n; i++) {
        candidate c = s->kept[i];
        if (o->temp != 0) {
            c.logit /= s->divisor;
            uint64_t bits = cop_noise_bits(o->seed, COP_NOISE_SAMPLE, (uint64_t)position, (uint64_t)c.token);
            if (m == k && c.logit + gumbel_bound(bits) < s->kept[k - 1].logit) continue;
            c.logit += cop_noise_gumbel(o->seed, COP_NOISE_SAMPLE, (uint64_t)position, (uint64_t)c.token);
        }
        if (m == k && !before(c, s->kept[k - 1])) continue;
        int at = m < k ? m++ : k - 1;
        for (; at > 0 && before(c, s->kept[at - 1]); at--) s->kept[at] = s->kept[at - 1];
        s->kept[at] = c;
    }
    for (int i = 0; i < m; i++) tokens[i] = s->kept[i].token;
    return m;
}

void cop_sampler_probabilities(cop_sampler *s, float *logits, const int32_t *history, int n_history,
                               const int32_t *path, int n_path, float *probabilities) {
    penalise(s, logits, history, n_history, path, n_path);
    for (int i = 0; i < s->V; i++) probabilities[i] = 0;
    int n = s->sampling.temp == 0 ? 0 : keep(s, logits);
    if (n == 0) {
        probabilities[argmax(logits, s->V)] = 1;
        return;
    }
    float max = s->kept[0].logit;
    double sum = 0;
    for (int i = 1; i < n; i++) max = s->kept[i].logit > max ? s->kept[i].logit : max;
    for (int i = 0; i < n; i++) sum += cop_exp((double)((s->kept[i].logit - max) / s->divisor));
    for (int i = 0; i < n; i++)
        probabilities[s->kept[i].token] = (float)(cop_exp((double)((s->kept[i].logit - max) / s->divisor)) / sum);
}

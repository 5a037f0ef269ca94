#include "tree/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "base/noise.h"

const cop_option cop_sampling_options[] = {
    COP_OPTION_FLOAT(cop_sampling, temp, 0, 0, 100, "temperature; 0 takes the most probable token"),
    COP_OPTION_INT(cop_sampling, top_k, 0, 0, 1 << 24, "keep the k most probable tokens; 0: all"),
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
} candidate;

struct cop_sampler {
    cop_sampling sampling;
    int V;
    candidate *kept;       // [V]
    int32_t *counts;       // [V] occurrences in the window, zero between calls
    cop_logit_bias *bias;  // own copy
};

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

static int compare(const void *a, const void *b) {
    return before(*(const candidate *)a, *(const candidate *)b) ? -1 : 1;
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

static int keep_top_k(cop_sampler *s, const float *logits, int k) {
    candidate *heap = s->kept;
    for (int i = 0; i < k; i++) heap[i] = (candidate){logits[i], i};
    for (int i = k / 2; i-- > 0;) sink(heap, k, i);
    for (int i = k; i < s->V; i++) {
        candidate c = {logits[i], i};
        if (!before(c, heap[0])) continue;
        heap[0] = c;
        sink(heap, k, 0);
    }
    return k;
}

// The tokens within `span` of the maximum, in order; more of them as span grows.
static int keep_span(cop_sampler *s, const float *logits, float max, float span) {
    int n = 0;
    for (int i = 0; i < s->V; i++)
        if (logits[i] >= max - span) s->kept[n++] = (candidate){logits[i], i};
    return n;
}

// Smallest prefix of the sorted candidates whose share of `total` reaches top_p; 0 when all fall short.
static int cut_top_p(const cop_sampler *s, int n, float max, double total) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += cop_exp((double)(s->kept[i].logit - max));
        if (sum >= (double)s->sampling.top_p * total) return i + 1;
    }
    return 0;
}

// Without top-k the whole vocabulary counts towards the total, but only the head has to be sorted.
static int keep_top_p(cop_sampler *s, const float *logits, float max) {
    double total = 0;
    for (int i = 0; i < s->V; i++) total += cop_exp((double)(logits[i] - max));
    for (float span = 4;; span *= 2) {
        int n = keep_span(s, logits, max, span);
        qsort(s->kept, (size_t)n, sizeof *s->kept, compare);
        int cut = cut_top_p(s, n, max, total);
        if (cut) return cut;
        if (span > 1000) return n;
    }
}

static int keep(cop_sampler *s, const float *logits) {
    const cop_sampling *o = &s->sampling;
    float max = logits[argmax(logits, s->V)];
    int n;
    if (o->top_k > 0 && o->top_k < s->V) {
        n = keep_top_k(s, logits, o->top_k);
        if (o->top_p < 1) {
            qsort(s->kept, (size_t)n, sizeof *s->kept, compare);
            double total = 0;
            for (int i = 0; i < n; i++) total += cop_exp((double)(s->kept[i].logit - max));
            int cut = cut_top_p(s, n, max, total);
            n = cut ? cut : n;
        }
    } else if (o->top_p < 1) {
        n = keep_top_p(s, logits, max);
    } else {
        n = keep_span(s, logits, max, INFINITY);
    }
    if (o->min_p > 0) {
        float low = max + (float)cop_log((double)o->min_p);
        int m = 0;
        for (int i = 0; i < n; i++)
            if (s->kept[i].logit >= low) s->kept[m++] = s->kept[i];
        n = m;
    }
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
        float scaled = c.logit / o->temp;
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
    int n = o->temp == 0 ? keep_top_k(s, logits, k) : keep(s, logits);
    if (n == 0) return tokens[0] = argmax(logits, s->V), 1;
    int m = 0;  // the best so far, in order, at the front
    for (int i = 0; i < n; i++) {
        candidate c = s->kept[i];
        if (o->temp != 0) {
            c.logit /= o->temp;
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
    for (int i = 0; i < n; i++) sum += cop_exp((double)((s->kept[i].logit - max) / s->sampling.temp));
    for (int i = 0; i < n; i++)
        probabilities[s->kept[i].token] = (float)(cop_exp((double)((s->kept[i].logit - max) / s->sampling.temp)) / sum);
}

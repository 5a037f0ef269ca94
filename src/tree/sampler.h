// From logits to a token: bias and penalties, then a chain of filters (top-k, typical-p, top-p, min-p,
// temperature, in this order or in a given one), then the keyed draw.
//
// The draw is the Gumbel-max sample: argmax of logit / temperature + gumbel(seed, position, token), so it
// is a function of the logits and of (seed, position) and of nothing else. Temperature 0 is the argmax;
// ties go to the smaller token. Gumbel 1954; Kool et al. 2019 (arXiv:1903.06059). Typical-p: Meister et al.
// 2023 (arXiv:2202.00666).
#ifndef COP_TREE_SAMPLER_H
#define COP_TREE_SAMPLER_H

#include "base/option.h"

#define COP_MAX_BIAS 1024

typedef struct cop_logit_bias {
    int32_t token;
    float bias;  // added; -inf forbids
} cop_logit_bias;

// What a chain is made of; what a chain does not name is not applied.
typedef enum cop_filter { COP_FILTER_TOP_K = 1, COP_FILTER_TYPICAL_P, COP_FILTER_TOP_P, COP_FILTER_MIN_P, COP_FILTER_TEMP } cop_filter;
#define COP_N_FILTERS 5

typedef struct cop_sampling {
    float temp;               // 0: greedy
    int32_t top_k;            // 0: off
    float typical_p;          // 0, 1: off
    float top_p;              // 1: off
    float min_p;              // 0: off
    float repeat_penalty;     // 1: off; divides positive and multiplies negative logits of seen tokens
    float frequency_penalty;  // subtracted per occurrence
    float presence_penalty;   // subtracted once
    int32_t penalty_window;   // last tokens that count as seen
    uint64_t seed;
    const cop_logit_bias *bias;
    int n_bias;
    uint8_t chain[COP_N_FILTERS];  // cop_filter in order, 0 ends it; empty: in the order of the enum
} cop_sampling;

extern const cop_option cop_sampling_options[];  // the numbers above, without seed and bias

/* Fill chain from "top_k,temp,min_p". COP_ERR_ARG: an unknown name, with the nearest one, or one given twice. */
cop_status cop_sampling_parse_chain(cop_sampling *sampling, const char *text);

typedef struct cop_sampler cop_sampler;

/* Scratch for vocabularies of V tokens; the sampling is copied, its bias list too. COP_ERR_ARG: among others for
 * a number that is set and would have no effect because the chain does not name it. */
cop_status cop_sampler_new(cop_sampler **out, const cop_sampling *sampling, int V);
void cop_sampler_free(cop_sampler *sampler);
void cop_sampler_reseed(cop_sampler *sampler, uint64_t seed);
const cop_sampling *cop_sampler_get(const cop_sampler *sampler);

/* The token at `position` (its index in the sequence). logits: [V], may be changed.
 *   history [n_history]  the committed sequence; path [n_path] the tokens of the node's own path behind it
 * Allocates nothing. O(V), and O(kept log kept) with top-k, typical-p or top-p. */
int32_t cop_sampler_pick(cop_sampler *sampler, float *logits, int64_t position, const int32_t *history, int n_history,
                         const int32_t *path, int n_path);

/* The k tokens that come first in the order in which pick would take them (its choice is the first one): a draft
 * that proposes them is coupled to the target's noise. Arguments as for pick. Returns how many there are. */
int cop_sampler_rank(cop_sampler *sampler, float *logits, int64_t position, const int32_t *history, int n_history,
                     const int32_t *path, int n_path, int k, int32_t *tokens);

/* The distribution that pick draws from, as float32 probabilities [V] that sum to 1; temperature 0: all on one. */
void cop_sampler_probabilities(cop_sampler *sampler, float *logits, const int32_t *history, int n_history,
                               const int32_t *path, int n_path, float *probabilities);

#endif

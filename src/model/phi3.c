// phi3 (Phi 3, 3.5, Phi 4): llama with q, k, v in one matrix and gate and up in one, gate first; a part of each head
// may be rotated. Longrope is settled by a sequence's context limit, for all its positions: the reference decides
// by the present length and computes everything again when that crosses the border. Ding et al. 2024
// (arXiv:2402.13753). Files of 4096 positions that carry no window are of a time when 2047 went without saying.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    return cop_desc_windows(file, d, d->max_positions == 4096 ? 2047 : 0, 0);
}

const cop_family cop_family_phi3 = {
    .name = "phi3", .summary = "Phi 3, 3.5, 4", .weights = COP_W_FUSED, .describe = describe,
};

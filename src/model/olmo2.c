// olmo2: norms stand after the sublayers only, before the residual is added; q and k are normalised over their
// whole width, all heads at once. With a window (OLMo 3) every fourth layer is global.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    d->wide_qk_norm = true;
    return cop_desc_windows(file, d, 0, 4);
}

const cop_family cop_family_olmo2 = {
    .name = "olmo2", .summary = "OLMo 2", .weights = COP_W_QK_NORM | COP_W_POST_NORMS | COP_W_NO_PRE_NORMS, .describe = describe,
};

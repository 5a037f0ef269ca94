// olmo2: norms stand after the sublayers only, before the residual is added; q and k are normalised over their
// whole width, all heads at once. With a window (OLMo 3) every fourth layer is global,
// and only those have the scaling of the rotation.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    d->wide_qk_norm = true;
    cop_desc_plain_rope(d);
    COP_TRY(cop_desc_windows(file, d, 0, 4));
    for (int i = 0; i < d->L; i++) d->layers[i].rope = d->layers[i].window ? 1 : 0;
    return COP_OK;
}

const cop_family cop_family_olmo2 = {
    .name = "olmo2", .summary = "OLMo 2, 3", .weights = COP_W_QK_NORM | COP_W_POST_NORMS | COP_W_NO_PRE_NORMS, .describe = describe,
};

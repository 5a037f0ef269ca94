// smollm3: llama, whose every fourth layer has no rotation. Files say nothing about it; the key rope.pattern (a
// list or a period, as of windows) is honoured. q and k rows are permuted as llama's.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    bool rotated[COP_MAX_LAYERS];
    d->rope[0].half_split = false;
    COP_TRY(cop_desc_windows(file, d, 0, 0));
    COP_TRY(cop_desc_pattern(file, d, "rope.pattern", 4, rotated));
    for (int i = 0; i < d->L; i++) d->layers[i].rope = rotated[i] ? 0 : -1;
    return COP_OK;
}

const cop_family cop_family_smollm3 = {
    .name = "smollm3", .summary = "SmolLM 3", .weights = 0, .describe = describe,
};

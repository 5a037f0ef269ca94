// llama: Llama 1 to 3, Mistral, Mixtral, SmolLM2, Salamandra. GGUF stores q and k rows so that rotary pairs are
// neighbours. Llama 3's rope scaling is the tensor rope_freqs.weight (divisors). A sliding window in the
// metadata is honoured on every layer, as the reference does.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    d->rope[0].half_split = false;
    COP_TRY(cop_desc_windows(file, d, 0, 0));
    return cop_desc_experts(file, d, d->F);
}

const cop_family cop_family_llama = {
    .name = "llama", .summary = "Llama 1-3, Mistral, Mixtral, SmolLM2", .weights = 0, .describe = describe,
};

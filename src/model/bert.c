// bert: encoders. Every token sees all others; LayerNorm behind each sublayer, learned positions, token types (of
// which the first is used), biases, gelu as it was defined. Devlin et al. 2018. RoBERTa and XLM-RoBERTa are the same
// network: their tables of positions begin with rows that are none, which GGUF files leave out.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    char key[128];
    bool causal;
    uint32_t offset;
    cop_desc_learned_positions(d);
    COP_TRY(cop_desc_gpt(file, d));
    COP_TRY(cop_desc_u32_or(file, "position_offset", 0, &offset));
    if (offset > 1 << 16) return cop_fail(COP_ERR_FORMAT, "positions begin at row %u; %s", offset, cop_gguf_name(file));
    cop_desc_key(file, "attention.causal", key);
    COP_TRY(cop_gguf_get_bool_or(file, key, false, &causal));
    d->position_offset = (int)offset;
    d->order = COP_ORDER_POST;
    d->act = COP_ACT_GELU_ERF;
    for (int i = 0; i < d->L; i++) d->layers[i].mask = causal ? COP_MASK_CAUSAL : COP_MASK_FULL;
    return COP_OK;
}

const cop_family cop_family_bert = {
    .name = "bert", .summary = "encoders: BERT, RoBERTa, XLM-RoBERTa", .describe = describe,
    .weights = COP_W_POST_NORMS | COP_W_NO_PRE_NORMS | COP_W_BIASES | COP_W_ENCODER,
};

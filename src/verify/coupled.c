// Coupled verifier, the default: at every node the target draws its own token, with noise that depends on
// (seed, position, token) only, and the walk goes on while a child holds just that token. So the text is
// plain decoding's, whatever was drafted; greedy is its zero-temperature case.
// Source: Leviathan et al. 2023 (arXiv:2211.17192) for the loop; the coupling by shared Gumbel noise is
// that of Daliri et al. 2024 (arXiv:2408.07978). Cost: one sampler call per visited node.
#include "verify/verify.h"

static void accept(void *state, const cop_verify_input *in, cop_verdict *out) {
    (void)state;
    out->n_path = out->n_tokens = 0;
    for (int node = COP_TREE_ROOT; node >= 0;) {
        int32_t token = in->decided ? in->decided(in->engine, node) : -1;
        if (token < 0)
            token = cop_sampler_pick(in->sampler, in->logits(in->engine, node), in->view->n_tokens + out->n_tokens, in->view->tokens,
                                     in->view->n_tokens, out->tokens, out->n_tokens);
        out->tokens[out->n_tokens++] = token;
        if (in->is_end && in->is_end(in->engine, token)) return;
        node = cop_tree_child(in->tree, node, token);
        if (node >= 0) out->path[out->n_path++] = node;
    }
}

const cop_verifier_type cop_verifier_coupled = {
    .name = "coupled", .summary = "the target's own keyed draw decides", .source = "Leviathan 2023; Daliri 2024",
    .lossless = true, .takes_decided = true, .accept = accept,
};

#!/usr/bin/env python3
"""Makes the tiny models of tests/data and the goldens of tests/golden (formats: tests/golden/README.md).

    python3 tools/golden.py [--llama FOLDER] [NAME ...]     all names when none is given

Every model is random from a fixed seed, with settings that real files seldom have, so that a reader which
assumes instead of reading fails. The reference is transformers, float32, eager attention, on the tensors as
read back from the written file (dequantised by gguf-py). `--llama` also loads each file with llama.cpp from
FOLDER and prints the largest difference of its logits. Needs numpy, torch, transformers and gguf.
"""
import argparse
import math
import os
import sys
import zlib

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Q
from transformers import (GPT2Config, GPT2LMHeadModel, GPTBigCodeConfig, GPTBigCodeForCausalLM, Gemma2Config, Gemma2ForCausalLM,
                          Gemma3ForCausalLM, Gemma3TextConfig, GraniteConfig, GraniteForCausalLM, Lfm2Config, Lfm2ForCausalLM,
                          LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, MixtralConfig, MixtralForCausalLM,
                          Olmo2Config, Olmo2ForCausalLM, Olmo3Config, Olmo3ForCausalLM, Phi3Config, Phi3ForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
                          Qwen3MoeConfig, Qwen3MoeForCausalLM, SmolLM3Config, SmolLM3ForCausalLM, Starcoder2Config,
                          Starcoder2ForCausalLM)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CLASSES = {"llama": (LlamaConfig, LlamaForCausalLM),
           "mistral": (MistralConfig, MistralForCausalLM),
           "mixtral": (MixtralConfig, MixtralForCausalLM),
           "qwen2": (Qwen2Config, Qwen2ForCausalLM),
           "qwen3": (Qwen3Config, Qwen3ForCausalLM),
           "qwen3moe": (Qwen3MoeConfig, Qwen3MoeForCausalLM),
           "gemma2": (Gemma2Config, Gemma2ForCausalLM),
           "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM),
           "granite": (GraniteConfig, GraniteForCausalLM),
           "lfm2": (Lfm2Config, Lfm2ForCausalLM),
           "olmo2": (Olmo2Config, Olmo2ForCausalLM),
           "olmo3": (Olmo3Config, Olmo3ForCausalLM),
           "smollm3": (SmolLM3Config, SmolLM3ForCausalLM),
           "gpt2": (GPT2Config, GPT2LMHeadModel),
           "starcoder": (GPTBigCodeConfig, GPTBigCodeForCausalLM),
           "starcoder2": (Starcoder2Config, Starcoder2ForCausalLM),
           "phi3": (Phi3Config, Phi3ForCausalLM)}
ARCHITECTURE = {"mistral": "llama", "mixtral": "llama", "olmo3": "olmo2"}  # what the file says, where it is another name
PERMUTED = ("llama", "mistral", "mixtral", "granite", "smollm3")
GEMMA = ("gemma2", "gemma3")
GPT = ("gpt2", "starcoder")


# ---- the models -------------------------------------------------------------------------------

def small(**more):
    base = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None, vocab_size=272, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-6, attn_implementation="eager")
    base.update(more)
    return base


def smaller(**more):
    return small(**{**dict(vocab_size=264, hidden_size=32, intermediate_size=48), **more})


def gpt(**more):
    base = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None, vocab_size=264, n_embd=32, n_layer=2, n_head=4, n_positions=144,
                attn_implementation="eager")
    base.update(more)
    return base


def rope(theta, kind="default", **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=theta, **more))


GEMMA_ROPE = {"full_attention": dict(rope_type="default", rope_theta=1e6),
              "sliding_attention": dict(rope_type="default", rope_theta=1e4)}
OLMO_ROPE = {"full_attention": dict(rope_type="yarn", rope_theta=5e2, factor=4.0, original_max_position_embeddings=32, beta_fast=4.0,
                                    beta_slow=0.5),
             "sliding_attention": dict(rope_type="default", rope_theta=5e2)}
GEMMA_ROPE_B = {"full_attention": dict(rope_type="linear", factor=8.0, rope_theta=5e5),
                "sliding_attention": dict(rope_type="default", rope_theta=3e3)}
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=256)
LEGACY = small(hidden_size=64, intermediate_size=64, vocab_size=264, num_attention_heads=2, num_key_value_heads=1,
               head_dim=32, rms_norm_eps=1e-5, tie_word_embeddings=True, **rope(1e4))
KQUANT = small(hidden_size=256, intermediate_size=256, vocab_size=264, num_attention_heads=8, num_key_value_heads=1,
               head_dim=32, num_hidden_layers=1, rms_norm_eps=1e-5, tie_word_embeddings=True, **rope(1e4))

# With 266 tokens rounded activations move no choice of experts, which is a jump.
MOE_Q = small(vocab_size=266, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=64, norm_topk_prob=True, head_dim=32,
              num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True, **rope(1e4))

# name: (architecture, tokenizer, weight type, settings, what is unusual)
MODELS = {
    "tiny-llama-a": ("llama", "smollm", "F32", small(
        head_dim=24, max_position_embeddings=512, rms_norm_eps=1e-5, tie_word_embeddings=True, **rope(5e3, "llama3", **LLAMA3)),
        "grouped heads of 24 (width/heads is 16), tied head, rope base 5000, llama3 divisors in rope_freqs.weight"),
    "tiny-llama-b": ("llama", "spm", "F32", small(
        vocab_size=271, num_key_value_heads=4, intermediate_size=64, tie_word_embeddings=False, attention_bias=True,
        **rope(2e4, "linear", factor=2.5)),
        "one key head per query head, own output matrix, 271 tokens, biases on q, k, v and output, linear rope 2.5"),
    "tiny-qwen2-a": ("qwen2", "qwen2", "F32", small(
        tie_word_embeddings=True, use_sliding_window=False, sliding_window=8, **rope(1e6)),
        "biases on q, k, v; tied head; a window in the configuration that is switched off and so not in the file"),
    "tiny-qwen2-b": ("qwen2", "qwen2", "F32", small(
        vocab_size=265, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=False, use_sliding_window=True, sliding_window=6,
        max_window_layers=2, **rope(1e5)),
        "window 6 on layers 2 and 3 (attention.sliding_window and a bool array attention.sliding_window_pattern)"),
    "tiny-qwen3-a": ("qwen3", "qwen2", "F32", small(
        vocab_size=269, intermediate_size=64, head_dim=40, tie_word_embeddings=True, use_sliding_window=False, **rope(1e6)),
        "heads of 40 at width 64 with 4 heads, norms on q and k heads, tied head"),
    "tiny-qwen3-b": ("qwen3", "qwen2", "F32", small(
        hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=2, head_dim=32,
        tie_word_embeddings=False, use_sliding_window=True, sliding_window=7, max_window_layers=1,
        **rope(3e4, "linear", factor=3.0)),
        "window 7 on layers 1 to 3, one key head per query head, own output matrix, linear rope 3"),
    "tiny-qwen3moe-a": ("qwen3moe", "qwen2", "F32", small(
        vocab_size=266, hidden_size=48, num_hidden_layers=3, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=40,
        mlp_only_layers=[1], norm_topk_prob=True, head_dim=24, tie_word_embeddings=False, **rope(1e6)),
        "six experts of 40, two in use; layer 1 is dense (96) and has no router; heads of 24 at width 48 with 4 heads"),
    "tiny-qwen3moe-b": ("qwen3moe", "qwen2", "F32", small(
        hidden_size=32, intermediate_size=48, num_experts=19, num_experts_per_tok=5, moe_intermediate_size=24,
        decoder_sparse_step=2, norm_topk_prob=False, num_attention_heads=2, num_key_value_heads=2, head_dim=32,
        tie_word_embeddings=True, use_sliding_window=True, sliding_window=9, **rope(3e4, "linear", factor=2.0)),
        "19 experts of 24, five in use, shares not normalised (expert_weights_norm false); layer 0 dense; window 9, linear rope 2"),
    "tiny-mixtral-a": ("mixtral", "spm", "F32", small(
        vocab_size=270, hidden_size=48, intermediate_size=40, num_local_experts=5, num_experts_per_tok=2, sliding_window=7,
        tie_word_embeddings=False, **rope(1e6)),
        "five experts of 40 (feed_forward_length only), two in use; window 7"),
    "tiny-mixtral-b": ("mixtral", "smollm", "F32", small(
        hidden_size=32, intermediate_size=24, num_local_experts=17, num_experts_per_tok=3, num_attention_heads=2, head_dim=20,
        num_hidden_layers=2, num_key_value_heads=1, tie_word_embeddings=True, **rope(2e4)),
        "17 experts of 24, three in use; heads of 20 at width 32 with 2 heads"),
    "tiny-moe-q8_0": ("qwen3moe", "qwen2", "Q8_0", MOE_Q, "all matrices Q8_0, norms and routers F32"),
    "tiny-lfm2-a": ("lfm2", "smollm", "F32", small(
        vocab_size=267, intermediate_size=100, block_multiple_of=24, num_hidden_layers=5, full_attn_idxs=[1, 4], norm_eps=1e-4,
        tie_word_embeddings=True, **rope(1e6)),
        "convolutions in layers 0, 2 and 3; feed-forward width 72 computed from 100; norm epsilon 1e-4"),
    "tiny-lfm2-b": ("lfm2", "smollm", "F32", small(
        hidden_size=52, intermediate_size=40, block_auto_adjust_ff_dim=False, num_hidden_layers=4, full_attn_idxs=[2], conv_L_cache=5,
        num_attention_heads=2, num_key_value_heads=1, head_dim=24, tie_word_embeddings=False, conv_bias=True, **rope(5e4)),
        "five taps with biases, width 52, heads of 24 with 2 heads, own output matrix"),
    "tiny-lfm2-q8_0": ("lfm2", "smollm", "Q8_0", small(
        hidden_size=96, intermediate_size=64, block_auto_adjust_ff_dim=False, num_hidden_layers=3, full_attn_idxs=[1], vocab_size=264,
        num_attention_heads=3, num_key_value_heads=1, head_dim=32, tie_word_embeddings=True, **rope(1e6)),
        "all matrices Q8_0, norms and convolutions F32"),
    "tiny-gemma3-a": ("gemma3", "gemma", "F32", small(
        vocab_size=288, hidden_size=32, intermediate_size=64, num_hidden_layers=7, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, query_pre_attn_scalar=32, sliding_window=8, rope_parameters=GEMMA_ROPE),
        "window 8, every sixth layer global and no key that says so, heads of 32 at width 32, two rope bases"),
    "tiny-gemma3-b": ("gemma3", "gemma", "F32", small(
        vocab_size=285, hidden_size=64, intermediate_size=64, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=20, sliding_window=5, sliding_window_pattern=3,
        rope_parameters=GEMMA_ROPE_B),
        "window 5, pattern 3 as a number, attention.scale 20^-0.5, linear rope 8 on global layers, local base 3000"),
    "tiny-mistral": ("mistral", "spm", "F32", smaller(
        head_dim=12, tie_word_embeddings=False, sliding_window=7, **rope(1e4)),
        "the architecture llama with window 7 on every layer, heads of 12 at width 32 with 4 heads, own output matrix"),
    "tiny-gemma2-a": ("gemma2", "gemma", "F32", smaller(
        vocab_size=288, num_hidden_layers=3, head_dim=16, query_pre_attn_scalar=16, sliding_window=6, attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0, **rope(1e4)),
        "window 6 on layers 0 and 2 and no key that says so, heads of 16 at width 32 with 4 heads; caps 50 and 30 left out of the file"),
    "tiny-gemma2-b": ("gemma2", "gemma", "F32", smaller(
        vocab_size=285, num_hidden_layers=4, num_key_value_heads=4, head_dim=10, query_pre_attn_scalar=24, sliding_window=5,
        attn_logit_softcapping=3.0, final_logit_softcapping=2.5,
        layer_types=["full_attention"] + ["sliding_attention"] * 2 + ["full_attention"], **rope(3e3)),
        "caps 3 and 2.5, window 5 on layers 1 and 2 (a bool array), attention.scale 24^-0.5, heads of 10"),
    "tiny-granite-a": ("granite", "smollm", "F32", smaller(
        tie_word_embeddings=True, embedding_multiplier=6.0, residual_multiplier=0.4, attention_multiplier=0.3, logits_scaling=0.7,
        **rope(1e4)),
        "embeddings times 6, residuals times 0.4, scores times 0.3, logits divided by 0.7"),
    "tiny-granite-b": ("granite", "smollm", "F32", smaller(
        num_key_value_heads=1, tie_word_embeddings=False, embedding_multiplier=0.5, residual_multiplier=1.5, attention_multiplier=0.1,
        logits_scaling=3.0, attention_bias=True, mlp_bias=True, **rope(5e4, "linear", factor=2.0)),
        "one key head, own output matrix, biases on every matrix, other multipliers, linear rope 2"),
    "tiny-olmo2-a": ("olmo2", "smollm", "F32", smaller(tie_word_embeddings=False, **rope(5e5)),
        "norms after the sublayers, of q and k over two and one head widths at once"),
    "tiny-olmo2-b": ("olmo2", "smollm", "F32", smaller(
        num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, hidden_size=36, tie_word_embeddings=True, **rope(2e3)),
        "three heads of 12, one key head, tied head"),
    "tiny-olmo3": ("olmo3", "smollm", "F32", smaller(
        num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1, intermediate_size=32, sliding_window=6,
        max_position_embeddings=128, tie_word_embeddings=False,
        rope_parameters=OLMO_ROPE),
        "the architecture olmo2 with window 6 except on layer 3 and no key that says so; there alone yarn: factor 4, betas 4 and 0.5"),
    "tiny-smollm3-a": ("smollm3", "smollm", "F32", smaller(
        num_hidden_layers=5, intermediate_size=32, tie_word_embeddings=True, **rope(2e6)),
        "layer 3 of 5 without rotation and no key that says so"),
    "tiny-smollm3-b": ("smollm3", "smollm", "F32", smaller(
        num_hidden_layers=3, num_key_value_heads=4, no_rope_layers=[0, 1, 0], tie_word_embeddings=False, attention_bias=True,
        **rope(1e4)),
        "layers 0 and 2 without rotation (a bool array rope.pattern), biases on q, k, v and output"),
    "tiny-gpt2-a": ("gpt2", "smollm", "F32", gpt(n_inner=48), "tied head, a feed-forward of 48 at width 32, 144 positions"),
    "tiny-gpt2-b": ("gpt2", "smollm", "F32", gpt(
        n_embd=36, n_head=3, n_inner=80, n_layer=3, tie_word_embeddings=False, layer_norm_epsilon=1e-2),
        "three heads of 12, own output matrix, epsilon 0.01"),
    "tiny-gpt2-q8_0": ("gpt2", "smollm", "Q8_0", gpt(n_embd=64, n_head=2, n_inner=96), "all matrices Q8_0, positions, norms and biases F32"),
    "tiny-starcoder-a": ("starcoder", "smollm", "F32", gpt(n_inner=48, multi_query=True), "one key head, so attn_qkv has 32 + 2 * 8 rows"),
    "tiny-starcoder-b": ("starcoder", "smollm", "F32", gpt(
        n_embd=40, n_head=2, n_layer=3, n_inner=64, multi_query=True, tie_word_embeddings=False, layer_norm_epsilon=1e-3),
        "two heads of 20, own output matrix, epsilon 0.001"),
    "tiny-starcoder2-a": ("starcoder2", "smollm", "F32", smaller(use_bias=True, norm_epsilon=1e-5, tie_word_embeddings=True, **rope(1e5)),
        "grouped heads of 8, biases, tied head"),
    "tiny-starcoder2-b": ("starcoder2", "smollm", "F32", smaller(
        hidden_size=48, num_attention_heads=3, num_key_value_heads=1, use_bias=True, norm_epsilon=1e-2, sliding_window=6,
        tie_word_embeddings=False, **rope(1e3)),
        "window 6 on every layer, three heads of 16, one key head, own output matrix, epsilon 0.01"),
    "tiny-phi3-a": ("phi3", "smollm", "F32", smaller(
        max_position_embeddings=256, original_max_position_embeddings=32, tie_word_embeddings=True,
        **rope(1e4, "longrope", original_max_position_embeddings=32, short_factor=[1.0, 1.1, 1.3, 1.7],
               long_factor=[1.2, 2.5, 5.0, 9.0])),
        "longrope with a border at 32 tokens, between the two sequences; the magnitude goes without saying"),
    "tiny-phi3-b": ("phi3", "smollm", "F32", smaller(
        hidden_size=48, num_attention_heads=3, num_key_value_heads=1, num_hidden_layers=3, original_max_position_embeddings=40,
        max_position_embeddings=160, sliding_window=9, tie_word_embeddings=False,
        **rope(2e3, "longrope", original_max_position_embeddings=40, partial_rotary_factor=0.75, attention_factor=1.3,
               short_factor=[0.9, 1.0, 1.4, 1.2, 1.5, 2.0], long_factor=[1.0, 3.0, 2.0, 6.0, 9.0, 20.0])),
        "12 of 16 elements rotated, magnitude 1.3, window 9, one key head, own output matrix, border at 40"),
}
for _t in ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "MXFP4"):
    MODELS["tiny-" + _t.lower()] = ("llama", "smollm", _t, LEGACY, f"all matrices {_t}, norms F32")
for _t in ("Q4_K", "Q5_K", "Q6_K", "Q2_K", "Q3_K", "IQ4_XS"):
    MODELS["tiny-" + _t.lower()] = ("llama", "smollm", _t, KQUANT, f"all matrices random {_t} blocks, norms F32")


def make_model(arch, settings):
    """Random weights that hide nothing: norms away from 1, biases away from 0, scores sharp enough to matter."""
    config_class, model_class = CLASSES[arch]
    config = config_class(**settings)
    model = model_class(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.normal_(0, 0.3)
            elif "norm" in name or ".ln_" in name:
                p.normal_(0 if arch in GEMMA else 1, 0.3)
            elif "embed" in name or "lm_head" in name or ".wte" in name or ".wpe" in name:
                p.normal_(0, 2 / math.sqrt(config.hidden_size))
            else:
                p.normal_(0, (1.5 if "q_proj" in name or "k_proj" in name or "c_attn" in name else 1) / math.sqrt(p.shape[0 if arch == "gpt2" else -1]))
    return model, config


# ---- tokenizers -------------------------------------------------------------------------------

def byte_letters():
    """The printable letter of each byte in byte-level BPE vocabularies."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return {**{b: chr(b) for b in keep}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def add_byte_bpe(w, pre, size):
    pairs = ["t h", "Ġ th", "Ġth e", "i n", "a n", "e r"]
    letters = byte_letters()
    tokens = [letters[b] for b in range(256)]
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    room = size - 256 - len(specials)
    pairs = pairs[:room]
    tokens += [p.replace(" ", "") for p in pairs]
    types = [1] * len(tokens) + [5] * (room - len(pairs)) + [3] * len(specials)
    tokens += [f"[PAD{i}]" for i in range(room - len(pairs))] + specials
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(pairs)
    w.add_bos_token_id(size - 3)
    w.add_eos_token_id(size - 1)
    w.add_add_bos_token(False)


def add_pieces(w, size, gemma):
    """SentencePiece BPE: byte pieces, letters, and a few merges by score (higher merges first)."""
    head = ["<pad>", "<eos>", "<bos>", "<unk>"] if gemma else ["<unk>", "<s>", "</s>"]
    types = [3, 3, 3, 2] if gemma else [2, 3, 3]
    merges = ["th", "▁the", "▁th"]
    letters = ["▁"] + list("etaoinsrhldcumfpgwybvkxjqz,.")
    letters = letters[:size - len(head) - 256 - len(merges)]
    tokens = head + [f"<0x{b:02X}>" for b in range(256)] + ["th", "▁th", "▁the"] + letters
    types += [6] * 256 + [1] * (len(merges) + len(letters))
    scores = [0.0] * (len(head) + 256) + [-1.0, -2.0, -3.0] + [-10.0 - i for i in range(len(letters))]
    assert len(tokens) <= size
    while len(tokens) < size:
        tokens.append(f"[PAD{len(tokens)}]"), types.append(5), scores.append(0.0)
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(tokens)
    w.add_token_scores(scores)
    w.add_token_types(types)
    w.add_bos_token_id(2 if gemma else 1)
    w.add_eos_token_id(1 if gemma else 2)
    w.add_unk_token_id(3 if gemma else 0)
    w.add_add_bos_token(True)
    w.add_add_space_prefix(not gemma)


# ---- writing ----------------------------------------------------------------------------------

LAYER_NAMES = {"operator_norm": "attn_norm", "ffn_norm": "ffn_norm", "conv.conv": "shortconv.conv",
               "conv.in_proj": "shortconv.in_proj", "conv.out_proj": "shortconv.out_proj", "self_attn.out_proj": "attn_output",
               "self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm", "feed_forward.w1": "ffn_gate",
               "feed_forward.w2": "ffn_down", "feed_forward.w3": "ffn_up",
               "mlp.gate": "ffn_gate_inp", "mlp.experts.down_proj": "ffn_down_exps",
               "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
               "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
               "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
               "mlp.down_proj": "ffn_down", "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm",
               "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up",
               "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
               "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}


def gguf_names(name, arch):
    """The tensors that hold a parameter: one, or two that lie behind one another on its axis 1."""
    if name.endswith("mlp.experts.gate_up_proj"):
        layer = name.split(".")[2]
        return [f"blk.{layer}.ffn_gate_exps.weight", f"blk.{layer}.ffn_up_exps.weight"]
    return [gguf_name(name, arch)]


def gguf_name(name, arch):
    if name.endswith("mlp.experts.down_proj"):
        name += ".weight"
    top = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
           "model.embedding_norm.weight": "token_embd_norm.weight",
           "lm_head.weight": "output.weight", "model.norm.bias": "output_norm.bias",
           "transformer.wte.weight": "token_embd.weight", "transformer.wpe.weight": "position_embd.weight",
           "transformer.ln_f.weight": "output_norm.weight", "transformer.ln_f.bias": "output_norm.bias"}
    if name in top:
        return top[name]
    _, _, layer, rest = name.split(".", 3)
    stem, kind = rest.rsplit(".", 1)
    if stem == "post_attention_layernorm":
        return f"blk.{layer}." + ("post_attention_norm." if arch in (*GEMMA, "olmo2", "olmo3") else "ffn_norm.") + kind
    return f"blk.{layer}.{LAYER_NAMES[stem]}.{kind}"


def heads_of(name, config):
    return config.num_attention_heads if "attn_q." in name else config.num_key_value_heads


def permute(x, heads):
    """Rows of llama's q and k: per head, from halves to interleaved pairs."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def unpermute(x, heads):
    return x.reshape(heads, x.shape[0] // heads // 2, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def rope_divisors(config):
    p = config.rope_parameters
    n = config.head_dim
    freq = p["rope_theta"] ** -(np.arange(0, n, 2, dtype=np.float64) / n)
    wave = 2 * np.pi / freq
    t0, low, high, factor = (p["original_max_position_embeddings"], p["low_freq_factor"], p["high_freq_factor"],
                             p["factor"])
    s = (t0 / wave - low) / (high - low)
    middle = 1 / ((1 - s) / factor + s)
    return np.where(wave < t0 / high, 1.0, np.where(wave > t0 / low, factor, middle)).astype(np.float32)


def random_low_bits(kind, n, std, rng):
    """n blocks of Q2_K, Q3_K or IQ4_XS."""
    out = rng.integers(0, 256, (n, gguf.GGML_QUANT_SIZES[Q[kind]][1])).astype(np.uint8)
    half = lambda x: x.astype(np.float16).view(np.uint8).reshape(n, 2)
    wobble = rng.uniform(0.8, 1.2, n)
    if kind == "Q2_K":
        scale = rng.integers(3, 16, (n, 16))
        low = np.clip(scale + rng.integers(-2, 3, (n, 16)), 0, 15)
        out[:, 0:16] = scale | low << 4
        d = std / (1.118 * 10) * wobble
        out[:, 80:82], out[:, 82:84] = half(d), half(1.5 * d)
        return out
    scale = 32 + rng.integers(6, 32, (n, 16)) * rng.choice([-1, 1], (n, 16))
    if kind == "Q3_K":
        out[:, 96:104] = (scale[:, :8] & 15) | (scale[:, 8:] & 15) << 4
        high = (scale >> 4).reshape(n, 4, 4)
        out[:, 104:108] = high[:, 0] | high[:, 1] << 2 | high[:, 2] << 4 | high[:, 3] << 6
        out[:, 108:110] = half(std / (2.29 * 20) * wobble)
        return out
    scale = scale[:, :8]
    out[:, 0:2] = half(std / (67.6 * 20) * wobble)
    out[:, 2:4] = ((scale >> 4) << 2 * np.arange(8)).sum(1).astype(np.uint16).view(np.uint8).reshape(n, 2)
    out[:, 4:8] = (scale[:, 0::2] & 15) | (scale[:, 1::2] & 15) << 4
    return out


def random_blocks(kind, shape, std, rng):
    """Valid blocks of a type that gguf-py does not write, with every field used; elements are centred and have about the asked deviation."""
    if kind == "IQ4_NL":
        out = rng.integers(0, 256, (shape[0] * shape[1] // 32, 18)).astype(np.uint8)
        d = std / 67.6 * rng.uniform(0.8, 1.2, len(out)) * rng.choice([-1, 1], len(out))
        out[:, 0:2] = d.astype(np.float16).view(np.uint8).reshape(-1, 2)
        return out.reshape(shape[0], -1)
    if kind == "MXFP4":
        out = rng.integers(0, 256, (shape[0] * shape[1] // 32, 17)).astype(np.uint8)
        out[:, 0] = 127 + round(math.log2(std / 2.93)) + rng.integers(0, 2, len(out)) - rng.integers(0, 2, len(out))
        return out.reshape(shape[0], -1)
    rows, blocks = shape[0], shape[1] // 256
    n = rows * blocks
    if kind in ("Q2_K", "Q3_K", "IQ4_XS"):
        return random_low_bits(kind, n, std, rng).reshape(rows, -1)
    if kind == "Q6_K":
        out = np.zeros((n, 210), np.uint8)
        out[:, :192] = rng.integers(0, 256, (n, 192))
        scales = rng.integers(6, 42, (n, 16)) * rng.choice([-1, 1], (n, 16))
        out[:, 192:208] = scales.astype(np.int8).view(np.uint8)
        d = std / (18.5 * 26) * rng.uniform(0.8, 1.2, n)
        out[:, 208:210] = d.astype(np.float16).view(np.uint8).reshape(n, 2)
        return out.reshape(rows, -1)
    codes, spread, middle = (128, 4.61, 7.5) if kind == "Q4_K" else (160, 9.23, 15.5)
    out = np.zeros((n, 16 + codes), np.uint8)
    scale = rng.integers(10, 64, (n, 8))
    low = np.clip(scale + rng.integers(-3, 4, (n, 8)), 0, 63)
    s = np.zeros((n, 12), np.int64)
    s[:, 0:4] = scale[:, :4] | (scale[:, 4:] >> 4) << 6
    s[:, 4:8] = low[:, :4] | (low[:, 4:] >> 4) << 6
    s[:, 8:12] = (scale[:, 4:] & 15) | (low[:, 4:] & 15) << 4
    out[:, 4:16] = s
    d = std / (spread * 40) * rng.uniform(0.8, 1.2, n)
    out[:, 0:2] = d.astype(np.float16).view(np.uint8).reshape(n, 2)
    out[:, 2:4] = (d * middle).astype(np.float16).view(np.uint8).reshape(n, 2)
    out[:, 16:] = rng.integers(0, 256, (n, codes))
    return out.reshape(rows, -1)


def add_scales(w, arch, config, head):
    if arch == "granite":
        w.add_attention_scale(config.attention_multiplier)
        w.add_embedding_scale(config.embedding_multiplier)
        w.add_residual_scale(config.residual_multiplier)
        w.add_logit_scale(config.logits_scaling)
    if arch in GEMMA and config.query_pre_attn_scalar != head:
        w.add_float32(arch + ".attention.scale", config.query_pre_attn_scalar ** -0.5)
    if arch == "gemma2" and config.attn_logit_softcapping != 50:
        w.add_attn_logit_softcapping(config.attn_logit_softcapping)
        w.add_final_logit_softcapping(config.final_logit_softcapping)


def add_window(w, arch, config):
    if not getattr(config, "sliding_window", None):
        return
    w.add_sliding_window(config.sliding_window)
    if arch in ("mistral", "mixtral", "qwen3moe", "starcoder2", "phi3", "olmo3"):
        return
    windowed = [t == "sliding_attention" for t in config.layer_types]
    if arch == "gemma3":
        if config._sliding_window_pattern != 6:
            w.add_uint32("gemma3.attention.sliding_window_pattern", config._sliding_window_pattern)
    elif arch != "gemma2" or windowed != [i % 2 == 0 for i in range(len(windowed))]:
        w.add_array(arch + ".attention.sliding_window_pattern", windowed)


def add_keys(w, arch, config, model):
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers)
    if arch in GPT:
        w.add_feed_forward_length(config.n_inner)
        w.add_head_count(config.num_attention_heads)
        w.add_layer_norm_eps(config.layer_norm_epsilon)
        if arch == "starcoder":
            w.add_head_count_kv(1)
        return
    w.add_feed_forward_length(model.model.layers[0].feed_forward.w1.out_features if arch == "lfm2" else config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    if arch == "lfm2":
        w.add_head_count_kv([0 if t == "conv" else config.num_key_value_heads for t in config.layer_types])
        w.add_shortconv_l_cache(config.conv_L_cache)
        w.add_vocab_size(config.vocab_size)
    else:
        w.add_head_count_kv(config.num_key_value_heads)
    if arch == "starcoder2":
        w.add_layer_norm_eps(config.norm_epsilon)
    else:
        w.add_layer_norm_rms_eps(config.norm_eps if arch == "lfm2" else config.rms_norm_eps)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if head * config.num_attention_heads != config.hidden_size or arch in GEMMA:
        w.add_key_length(head)
        w.add_value_length(head)
    if arch in PERMUTED:
        w.add_vocab_size(config.vocab_size)
        w.add_rope_dimension_count(head)
    add_scales(w, arch, config, head)
    add_window(w, arch, config)
    p = config.rope_parameters
    if arch == "gemma3":
        local, p = p["sliding_attention"], p["full_attention"]
        if local["rope_theta"] != 1e4:
            w.add_float32("gemma3.rope.freq_base_swa", local["rope_theta"])
    elif arch == "qwen3moe":
        w.add_expert_feed_forward_length(config.moe_intermediate_size)
        if not config.norm_topk_prob:
            w.add_expert_weights_norm(False)
    if arch in ("qwen3moe", "mixtral"):
        w.add_expert_count(config.num_local_experts)
        w.add_expert_used_count(config.num_experts_per_tok)
    if arch == "olmo3":
        p = p["full_attention"]
    if arch == "smollm3" and any(r != (i % 4 != 3) for i, r in enumerate(config.no_rope_layers)):
        w.add_array("smollm3.rope.pattern", [bool(r) for r in config.no_rope_layers])
    if arch == "phi3":
        w.add_rope_dimension_count(int(head * p.get("partial_rotary_factor", 1)))
        w.add_rope_scaling_orig_ctx_len(p["original_max_position_embeddings"])
        if "attention_factor" in p:
            w.add_rope_scaling_attn_factors(p["attention_factor"])
    w.add_rope_freq_base(p["rope_theta"])
    if p["rope_type"] == "yarn":
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(p["factor"])
        w.add_rope_scaling_orig_ctx_len(p["original_max_position_embeddings"])
        w.add_rope_scaling_yarn_beta_fast(p["beta_fast"])
        w.add_rope_scaling_yarn_beta_slow(p["beta_slow"])
    if p["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(p["factor"])


def write_gguf(path, arch, tokenizer, kind, model, config, rng):
    w = gguf.GGUFWriter(path, ARCHITECTURE.get(arch, arch))
    w.add_name(os.path.basename(path)[:-5])
    add_keys(w, arch, config, model)
    if tokenizer in ("gemma", "spm"):
        add_pieces(w, config.vocab_size, tokenizer == "gemma")
    else:
        add_byte_bpe(w, tokenizer, config.vocab_size)
    tensors = []
    for name, p in model.named_parameters():
        names = gguf_names(name, arch)
        tensors += zip(names, np.split(p.detach().numpy(), len(names), axis=1) if len(names) > 1 else [p.detach().numpy()])
    for name, x in tensors:
        if arch in GEMMA and "norm" in name:
            x = x + 1
        if arch in PERMUTED and ("attn_q." in name or "attn_k." in name):
            x = permute(x, heads_of(name, config))
        if "shortconv.conv.weight" in name:
            x = x.squeeze(1)
        if arch == "gpt2" and x.ndim == 2 and name.startswith("blk."):
            x = x.T
        if x.ndim == 1 or kind == "F32" or "ffn_gate_inp" in name or "shortconv.conv." in name or name == "position_embd.weight":
            w.add_tensor(name, np.ascontiguousarray(x, dtype=np.float32))
            continue
        q = Q[kind]
        raw = random_blocks(kind, x.shape, float(x.std()), rng) if kind.endswith(("_K", "_NL", "_XS", "P4")) else gguf.quants.quantize(x, q)
        w.add_tensor(name, raw, raw_dtype=q)
    if arch == "phi3":
        w.add_tensor("rope_factors_short.weight", np.array(config.rope_parameters["short_factor"], np.float32))
        w.add_tensor("rope_factors_long.weight", np.array(config.rope_parameters["long_factor"], np.float32))
    if arch in PERMUTED and config.rope_parameters["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", rope_divisors(config))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def load_back(path, arch, model, config):
    """Puts the file's own (dequantised) tensors into the reference model."""
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    with torch.no_grad():
        for name, p in model.named_parameters():
            names = gguf_names(name, arch)
            name = names[0]
            x = [gguf.quants.dequantize(tensors[n].data, tensors[n].tensor_type).astype(np.float32) for n in names]
            x = np.concatenate(x, axis=1) if len(x) > 1 else x[0]
            if arch in PERMUTED and ("attn_q." in name or "attn_k." in name):
                x = unpermute(x, heads_of(name, config))
            if arch in GEMMA and "norm" in name:
                x = x - 1
            if arch == "gpt2" and x.ndim == 2 and name.startswith("blk."):
                x = x.T
            p.copy_(torch.from_numpy(np.ascontiguousarray(x)).reshape(p.shape))


# ---- the reference ----------------------------------------------------------------------------

def evaluate(model, ids):
    """Logits [T, V]; hidden states: the embeddings as layer 0 sees them, then after each layer, then after the norm."""
    states, hooks = [], []
    body = model.model if hasattr(model, "model") else model.transformer
    layers, last = (body.h, body.ln_f) if hasattr(body, "h") else (body.layers, getattr(body, "embedding_norm", None) or body.norm)

    def before(module, args, kwargs):
        states.append((args[0] if args else kwargs["hidden_states"])[0].clone())

    def after(module, args, output):
        states.append((output[0] if isinstance(output, tuple) else output).reshape(-1, output[0].shape[-1]).clone())

    hooks.append(layers[0].register_forward_pre_hook(before, with_kwargs=True))
    hooks += [m.register_forward_hook(after) for m in [*layers, last]]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].float().numpy()
    for h in hooks:
        h.remove()
    return logits, [s.numpy() for s in states]


def rounded(x, how):
    if how == "F16":
        return x.half().float()
    if how == "BF16":
        return x.bfloat16().float()
    b = x.reshape(-1, 32)
    d = b.abs().amax(1, keepdim=True) / 127
    return (torch.round(b / d.clamp(min=1e-30)) * d).reshape(x.shape)


def with_rounded_activations(model, ids, how):
    hooks = [m.register_forward_pre_hook(lambda m, a: (rounded(a[0], how), *a[1:]))
             for m in model.modules() if isinstance(m, (torch.nn.Linear, transformers.pytorch_utils.Conv1D)) or type(m).__name__.endswith("Experts")]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].float().numpy()
    for h in hooks:
        h.remove()
    return logits


def numbers(row):
    return " ".join("%.9g" % v for v in row)


def write_golden(path, name, model, config, kind, note, sequences):
    """Returns the logits, to be compared with other programs."""
    exact = kind == "F32"
    results = [evaluate(model, ids) for ids in sequences]
    out = [f"# python3 tools/golden.py {name}: transformers {transformers.__version__}, torch "
           f"{torch.__version__.split('+')[0]}, gguf-py {VERSION}, numpy {np.__version__}; float32, eager attention",
           f"# {note}"]
    spread = float(np.std(np.concatenate([r[0] for r in results])))
    out.append(f"# standard deviation of the logits {spread:.3g}")
    tolerance, loose = 1e-4, 0.0
    if not exact:
        how = kind if kind in ("F16", "BF16") else "8-bit blocks of 32, d = amax/127"
        error = [with_rounded_activations(model, ids, kind if kind in ("F16", "BF16") else "8") - r[0]
                 for ids, r in zip(sequences, results)]
        error = np.concatenate(error)
        top = np.concatenate([r[0] for r in results])
        ranked = np.sort(top, 1)
        flips = (top + error).argmax(1) != top.argmax(1)
        margin = float((ranked[:, -1] - ranked[:, -2])[flips].max()) if flips.any() else 0.0
        loose = 2 * float(np.abs(error).max())
        out.append(f"# activations rounded to {how}: largest error {np.abs(error).max():.3g}, rms "
                   f"{np.sqrt((error ** 2).mean()):.3g}; top token changed at {int(flips.sum())} of {len(flips)} "
                   f"positions, largest margin {margin:.3g}; the second tolerance is twice the largest error")
    out.append(f"model {name}.gguf")
    out.append(f"shape {config.vocab_size} {config.hidden_size} {config.num_hidden_layers}")
    out.append(f"tolerance {tolerance:g} {max(loose, tolerance):.3g}")
    for ids, (logits, states) in zip(sequences, results):
        n = len(ids)
        out.append(f"sequence {n}")
        out.append("ids " + " ".join(map(str, ids)))
        ends = 2
        for t in [*range(ends), *range(n - ends, n)]:
            out.append(f"logits {t} {numbers(logits[t])}")
        for t in range(n):
            row = logits[t].astype(np.float64)
            lse = row.max() + math.log(np.exp(row - row.max()).sum())
            best = np.argsort(-row, kind="stable")[:5]
            out.append(f"top {t} {lse:.9g} " + " ".join("%d %.9g" % (i, row[i]) for i in best))
        for t in ([0, n // 2, n - 1] if exact and n < 32 else [n - 1] if exact else []):
            for i, s in enumerate(states):
                out.append(f"hidden {i} {t} {numbers(s[t])}")
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")
    return [r[0] for r in results]


# ---- putting it together ----------------------------------------------------------------------

def check_dequantisation():
    """The vectors of byte blocks b[i] = 37 i + 11 with d = 1 and m = 0.5: first element, sum, weighted sum."""
    expect = {"Q4_0": (-3, -21, -348), "Q4_1": (15.5, 261, 2147.5), "Q5_0": (9, 15, 231), "Q5_1": (19.5, 521, 4263.5),
              "Q8_0": (85, -176, -3779), "Q4_K": (315.5, 54440, 495876), "Q5_K": (811.5, 116216, 1068332),
              "Q6_K": (-1431, 4612, 80705), "IQ4_NL": (-35, -257, -4743), "Q2_K": (33, 2059, 17659),
              "Q3_K": (81, 958, 4578), "IQ4_XS": (65, -11005, -168094), "MXFP4": (0, 25, 264)}
    for kind, (first, total, weighted) in expect.items():
        size, n = gguf.GGML_QUANT_SIZES[Q[kind]][1], gguf.GGML_QUANT_SIZES[Q[kind]][0]
        b = ((37 * np.arange(size) + 11) % 256).astype(np.uint8)
        at = {"Q6_K": 208, "Q2_K": 80, "Q3_K": 108}.get(kind, 0)
        b[at:at + 2] = [128, b[1]] if kind == "MXFP4" else [0x00, 0x3C]
        if kind == "Q2_K":
            b[82:84] = [0x00, 0x38]
        if kind in ("Q4_1", "Q5_1", "Q4_K", "Q5_K"):
            b[2:4] = [0x00, 0x38]
        x = gguf.quants.dequantize(b.reshape(1, -1), Q[kind]).reshape(-1)
        assert (x[0], x.sum(), (x * (np.arange(n) % 17 + 1)).sum()) == (first, total, weighted), kind


def make(name, library):
    arch, tokenizer, kind, settings, note = MODELS[name]
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, config = make_model(arch, settings)
    path = os.path.join(ROOT, "tests/data", name + ".gguf")
    write_gguf(path, arch, tokenizer, kind, model, config, rng)
    load_back(path, arch, model, config)
    sequences = [[int(i) for i in rng.integers(0, config.vocab_size, n)] for n in (24, 48)]
    golden = os.path.join(ROOT, "tests/golden", name + ".txt")
    logits = write_golden(golden, name, model, config, kind, note, sequences)
    line = f"{name}: {os.path.getsize(path)} and {os.path.getsize(golden)} bytes"
    if library:
        other = library.open(path, exact=True)
        error = np.concatenate([np.abs(other.logits(ids) - r).max(1) for ids, r in zip(sequences, logits)])
        line += f"; llama.cpp differs by {error.max():.2g} (first 5 positions {error[:5].max():.2g})"
    print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama", help="folder of libllama.so, to compare with")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODELS))
    args = parser.parse_args()
    library = None
    if args.llama:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        from llamalib import Library
        library = Library(args.llama)
    torch.set_num_threads(1)
    check_dequantisation()
    for name in args.names or MODELS:
        make(name, library)


VERSION = __import__("importlib.metadata", fromlist=["version"]).version("gguf")

if __name__ == "__main__":
    main()

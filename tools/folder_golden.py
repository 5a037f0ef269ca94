#!/usr/bin/env python3
"""Writes tiny models of tools/golden.py as Hugging Face folders: tests/data/NAME (tests/unit/folder.c).

    python3 tools/folder_golden.py [NAME ...]     the models of FOLDERS when none is given

The weights are those of tests/data/NAME.gguf before it was written, in float32, saved by the library itself:
config.json is in the layout of transformers 5. published.json is the same configuration as most repositories
have it: rope_theta, rope_scaling, torch_dtype, no layer_types. Needs what golden.py needs.
"""
import json
import os
import shutil
import sys
import zlib

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import golden

FOLDERS = ["tiny-llama-a", "tiny-mistral", "tiny-smollm3-b", "tiny-granite-b", "tiny-olmo2-b", "tiny-mixtral-b", "tiny-qwen2-b",
           "tiny-qwen3-b", "tiny-qwen3moe-b", "tiny-gemma2-b", "tiny-gemma3-b", "tiny-lfm2-b", "tiny-gpt2-b", "tiny-starcoder-b",
           "tiny-starcoder2-b", "tiny-phi3-a", "tiny-phi3-b", "tiny-olmo3"]
SHARDED = {"tiny-llama-a": "200KB"}


def published(config):
    """The configuration in the layout of transformers 4."""
    c = dict(config)
    if c["model_type"] == "lfm2":
        c["block_ff_dim"] = c.pop("intermediate_size")
        c["tie_embedding"] = c.pop("tie_word_embeddings")
    if c["model_type"] != "gemma2":  # there it could only alternate, which tiny-gemma2-b does not
        c.pop("layer_types", None)
    c["torch_dtype"] = c.pop("dtype", "float32")
    c["transformers_version"] = "4.51.0"
    p = c.pop("rope_parameters", None)
    if p and "full_attention" in p:
        c["rope_local_base_freq"] = p["sliding_attention"]["rope_theta"]
        p = p["full_attention"]
    if p:
        p = dict(p)
        c["rope_theta"] = p.pop("rope_theta")
        kind = p.pop("rope_type", "default")
        c["rope_scaling"] = None if kind == "default" else {**p, ("type" if kind == "linear" else "rope_type"): kind}
        if "partial_rotary_factor" in p:
            c["partial_rotary_factor"] = c["rope_scaling"].pop("partial_rotary_factor") if c["rope_scaling"] else p["partial_rotary_factor"]
    if c["model_type"] == "qwen3_moe":
        c["num_experts"] = c.pop("num_local_experts")
    if "_sliding_window_pattern" in c:
        c["sliding_window_pattern"] = c.pop("_sliding_window_pattern")
    return c


def write_tokenizer(folder, size):
    """The vocabulary that golden.add_byte_bpe gives the GGUF file, as tokenizer.json and tokenizer_config.json."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    pairs = [tuple(p.split()) for p in ["t h", "Ġ th", "Ġth e", "i n", "a n", "e r"]]
    letters = golden.byte_letters()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    pairs = pairs[:size - 256 - len(specials)]
    tokens = [letters[b] for b in range(256)] + ["".join(p) for p in pairs]
    tokens += [f"[PAD{i}]" for i in range(size - 256 - len(specials) - len(pairs))] + specials
    t = Tokenizer(models.BPE({x: i for i, x in enumerate(tokens)}, pairs))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x in specials])
    t.save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"bos_token": specials[0], "eos_token": specials[2], "add_bos_token": False, "tokenizer_class": "GPT2Tokenizer"}, f, indent=2)
        f.write("\n")


def make(name):
    arch, _, _, settings, _ = golden.MODELS[name]
    torch.manual_seed(zlib.crc32(name.encode()))
    model, config = golden.make_model(arch, settings)
    folder = os.path.join(golden.ROOT, "tests/data", name)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **({"max_shard_size": SHARDED[name]} if name in SHARDED else {}))
    with open(os.path.join(folder, "config.json")) as f:
        newest = json.load(f)
    with open(os.path.join(folder, "published.json"), "w") as f:
        json.dump(published(newest), f, indent=2)
        f.write("\n")
    if name in SHARDED:
        write_tokenizer(folder, config.vocab_size)
    print(name, sorted(os.listdir(folder)))


if __name__ == "__main__":
    for one in sys.argv[1:] or FOLDERS:
        make(one)

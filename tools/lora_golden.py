#!/usr/bin/env python3
"""Makes the adapters of tests/data/adapters and their goldens, tests/golden/lora-*.txt (format: tests/golden/README.md).

    python3 tools/lora_golden.py

The reference is the tiny model of tools/golden.py with scale * B A of every adapter added to its float weights. An
adapter is written as a GGUF file, as a PEFT folder, or as both from the same numbers. Needs what golden.py needs, and
safetensors.
"""
import json
import math
import os
import zlib

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

import golden
from golden import ROOT

ALL = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
       "mlp.down_proj"]
# golden: (model, note, [(file, format, scale of the user, sites, rank, alpha, more of the PEFT configuration)])
GOLDENS = {
    "lora-llama-a": ("tiny-llama-a", "all sites at rank 5 with alpha 7, and q, v, down at rank 20 with alpha / sqrt(rank) and another "
                     "alpha for v; rows of q and k are permuted", [
                         ("llama-a-all.gguf", "gguf", 0.75, ALL, 5, 7.0, {}),
                         ("llama-a-some", "peft", -1.25, ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"], 20, 3.0,
                          {"use_rslora": True, "alpha_pattern": {"self_attn.v_proj": 1.5}})]),
    "lora-lfm2-b": ("tiny-lfm2-b", "convolutions, attention, feed-forward and the output matrix; rank 3 in 16 bits", [
        ("lfm2-b.gguf", "gguf", 1.0, ["conv.in_proj", "conv.out_proj", "self_attn.q_proj", "self_attn.out_proj", "feed_forward.w1",
                                      "feed_forward.w2", "feed_forward.w3", "lm_head"], 3, 4.0, {"half": True})]),
    "lora-phi3-a": ("tiny-phi3-a", "matrices that the model's file holds in one", [
        ("phi3-a.gguf", "gguf", 1.0, ["self_attn.qkv_proj", "mlp.gate_up_proj", "self_attn.o_proj"], 3, 4.0, {"half": True})]),
    "lora-gpt2-a": ("tiny-gpt2-a", "GPT-2's names, and weights that the reference has transposed", [
        ("gpt2-a", "peft", 1.0, ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"], 3, 4.0, {"half": True})]),
    "lora-q8_0": ("tiny-q8_0", "quantised weights, whole blocks in a head", [("q8_0.gguf", "gguf", 1.0, ALL, 4, 4.0, {"half": True})]),
    "lora-lfm2-q8_0": ("tiny-lfm2-q8_0", "quantised weights, convolutions", [
        ("lfm2-q8_0.gguf", "gguf", 1.0, ["conv.in_proj", "conv.out_proj", "self_attn.out_proj"], 4, 4.0, {"half": True})]),
}


def pairs_of(model, sites, rank, half, rng):
    """Module name -> (A, B), of a size that matters."""
    out = {}
    for name, module in model.named_modules():
        transposed = type(module).__name__ == "Conv1D"
        if not (transposed or isinstance(module, torch.nn.Linear)) or not any(name == s or name.endswith("." + s) for s in sites):
            continue
        rows, cols = reversed(module.weight.shape) if transposed else module.weight.shape
        a = torch.from_numpy(rng.normal(0, 1 / math.sqrt(cols), (rank, cols)).astype(np.float32))
        b = torch.from_numpy(rng.normal(0, 0.4, (rows, rank)).astype(np.float32))
        out[name] = (a.half().float(), b.half().float()) if half else (a, b)
    return out


def write_gguf(path, arch, config, pairs, alpha, half):
    w = gguf.GGUFWriter(path, golden.ARCHITECTURE.get(arch, arch))
    w.add_type("adapter")
    w.add_string("adapter.type", "lora")
    w.add_float32("adapter.lora.alpha", alpha)
    kind = np.float16 if half else np.float32
    for name, (a, b) in pairs.items():
        stem = golden.gguf_name(name + ".weight", arch)
        b = b.numpy()
        if arch in golden.PERMUTED and ("attn_q." in stem or "attn_k." in stem):
            b = golden.permute(b, golden.heads_of(stem, config))
        w.add_tensor(stem + ".lora_a", a.numpy().astype(kind))
        w.add_tensor(stem + ".lora_b", np.ascontiguousarray(b, dtype=kind))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_peft(path, pairs, rank, alpha, more):
    os.makedirs(path, exist_ok=True)
    tensors = {}
    for name, (a, b) in pairs.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = a.contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = b.contiguous()
    save_file(tensors, os.path.join(path, "adapter_model.safetensors"))
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": None, "bias": "none", "r": rank,
              "lora_alpha": alpha, "lora_dropout": 0.0, "fan_in_fan_out": False, "modules_to_save": None,
              "target_modules": sorted({n.rsplit(".", 1)[1] for n in pairs}), "rank_pattern": {}, "alpha_pattern": {}, **more}
    with open(os.path.join(path, "adapter_config.json"), "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")


def scale_of(name, rank, alpha, more):
    alpha = next((v for k, v in more.get("alpha_pattern", {}).items() if name.endswith("." + k)), alpha)
    return alpha / (math.sqrt(rank) if more.get("use_rslora") else rank)


def make(name):
    base, note, adapters = GOLDENS[name]
    arch, _, kind, settings, _ = golden.MODELS[base]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    model, config = golden.make_model(arch, settings)
    golden.load_back(os.path.join(ROOT, "tests/data", base + ".gguf"), arch, model, config)
    lines = []
    modules = dict(model.named_modules())
    for file, form, user, sites, rank, alpha, more in adapters:
        more = dict(more)
        half = more.pop("half", False)
        pairs = pairs_of(model, sites, rank, half, rng)
        path = os.path.join(ROOT, "tests/data/adapters", file)
        if form == "gguf":
            write_gguf(path, arch, config, pairs, alpha, half)
        else:
            write_peft(path, pairs, rank, alpha, more)
        if file == "llama-a-all.gguf":
            write_peft(path[:-5], pairs, rank, alpha, {})  # the same numbers
        with torch.no_grad():
            for module, (a, b) in pairs.items():
                change = user * scale_of(module, rank, alpha, more) * (b @ a)
                modules[module].weight += change.T if type(modules[module]).__name__ == "Conv1D" else change
        lines.append(f"adapter {file} {user:g}")
    sequences = [[int(i) for i in rng.integers(0, config.vocab_size, n)] for n in (24, 48)]
    path = os.path.join(ROOT, "tests/golden", name + ".txt")
    golden.write_golden(path, name, model, config, kind, note, sequences)
    with open(path) as f:
        text = f.read()
    text = text.replace(f"tools/golden.py {name}", "tools/lora_golden.py").replace(f"model {name}.gguf", f"model {base}.gguf\n" + "\n".join(lines))
    with open(path, "w") as f:
        f.write(text)
    print(f"{name}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.makedirs(os.path.join(ROOT, "tests/data/adapters"), exist_ok=True)
    for each in GOLDENS:
        make(each)

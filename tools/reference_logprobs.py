#!/usr/bin/env python3
"""Records tests/golden/real-NAME.txt: log-probabilities of a named model along fixed tokens (see README.md there).

    nice python3 tools/reference_logprobs.py --models FOLDER --llama FOLDER NAME ...

The reference is transformers in float32 on the dequantised weights of FOLDER/NAME.gguf; `plain_logits`, written
from the format notes and reading the same file, is compared with it on prompt 17. The tokens are each prompt
and the reference's own greedy continuation. llama.cpp (libllama.so in the second folder) evaluates the same
tokens, one call a prompt, with its defaults and 2 threads. Memory: about 5 bytes per weight. Needs what golden.py needs.
"""
import argparse
import hashlib
import math
import os
import platform

import gguf
import numpy as np
import torch
import transformers

from golden import CLASSES, ROOT, VERSION, load_back
from llamalib import Library

TOTAL = 76
CHAT = {"llama": "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n",
        "qwen2": "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n",
        "gemma3": "<start_of_turn>user\n%s<end_of_turn>\n<start_of_turn>model\n"}
PROMPTS = [  # (is it a message of a chat, text)
    (True, "Explain in a few sentences why the sky is blue during the day and red at sunset."),
    (True, "Write a polite email that asks a landlord to repair a leaking kitchen tap."),
    (True, "Give me a recipe for pancakes with numbered steps."),
    (True, "Compare buses and trains for a journey of 300 kilometres."),
    (True, "A shop sells 12 apples for 3 euros. How much do 20 apples cost? Show the steps."),
    (True, "Write a Python function that returns the median of a list of numbers."),
    (True, "Schreibe drei Sätze über den Rhein."),
    (True, "Translate into French: The library opens at nine and closes at six."),
    (False, "def is_prime(n: int) -> bool:\n    \"\"\"True if n is a prime number.\"\"\"\n"),
    (False, "#include <stdio.h>\n\n/* Reverses the string in place. */\nvoid reverse(char *text)\n{\n"),
    (False, "SELECT customers.name, SUM(orders.total)\nFROM customers\n"),
    (False, "{\"name\": \"Ada\", \"born\": 1815, \"languages\": ["),
    (False, "The capital of Australia is"),
    (False, "Photosynthesis is the process by which plants"),
    (False, "Once upon a time, in a village at the edge of a dark forest, there lived"),
    (False, "1, 1, 2, 3, 5, 8, 13,"),
    (False, "En un lugar de la Mancha, de cuyo nombre no quiero acordarme,"),
    (False, "Столица Франции, город Париж, расположена"),
    (False, "水は100度で沸騰し、0度で"),
    (False, "def is_prime(n):\n    pass\n\nclass Stack:\n    def __init__(self):\n        self.items = []\n\n    def push("),
]


# ---- the file -----------------------------------------------------------------------------------

class File:
    def __init__(self, path):
        self.path = path
        self.reader = gguf.GGUFReader(path)
        self.tensors = {t.name: t for t in self.reader.tensors}
        self.arch = self.get("general.architecture")

    def get(self, key, default=None):
        field = self.reader.fields.get(key.replace("A.", self.arch + "." if "A." in key else ""))
        return default if field is None else field.contents()

    def weight(self, name):
        t = self.tensors.get(name)
        return None if t is None else torch.from_numpy(np.array(gguf.quants.dequantize(t.data, t.tensor_type)))

    def sha256(self):
        with open(self.path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()


def reference_model(file):
    """transformers' model with the file's dequantised weights; refuses what these four files do not have."""
    assert not any(k in file.reader.fields for k in (file.arch + ".rope.scaling.type",)) and \
        "rope_freqs.weight" not in file.tensors
    width, heads = file.get("A.embedding_length"), file.get("A.attention.head_count")
    base = file.get("A.rope.freq_base")
    more = dict(head_dim=file.get("A.attention.key_length", width // heads))
    ropes = dict(rope_type="default", rope_theta=base)
    if file.arch == "gemma3":
        more.update(sliding_window=file.get("A.attention.sliding_window"), query_pre_attn_scalar=more["head_dim"])
        ropes = {"full_attention": ropes, "sliding_attention": dict(rope_type="default", rope_theta=1e4)}
    if file.arch == "qwen2":
        more = {}
    config_class, model_class = CLASSES[file.arch]
    config = config_class(
        vocab_size=int(file.tensors["token_embd.weight"].shape[1]), hidden_size=width,
        intermediate_size=file.get("A.feed_forward_length"), num_hidden_layers=file.get("A.block_count"),
        num_attention_heads=heads, num_key_value_heads=file.get("A.attention.head_count_kv"),
        max_position_embeddings=file.get("A.context_length"), rope_parameters=ropes,
        rms_norm_eps=file.get("A.attention.layer_norm_rms_epsilon"), attn_implementation="eager",
        tie_word_embeddings="output.weight" not in file.tensors, pad_token_id=0, **more)
    with transformers.initialization.no_init_weights():
        model = model_class(config).eval()
    model.tie_weights()
    load_back(file.path, file.arch, model, config)
    return model


def plain_logits(file, ids):
    """The same in plain torch on the file's own conventions: interleaved rope for llama, norms as stored."""
    heads, groups = file.get("A.attention.head_count"), file.get("A.attention.head_count_kv")
    width, eps, gemma = file.get("A.embedding_length"), file.get("A.attention.layer_norm_rms_epsilon"), \
        file.arch == "gemma3"
    head = file.get("A.attention.key_length", width // heads)
    window, n = file.get("A.attention.sliding_window", 0), len(ids)

    def norm(x, name):
        w = file.weight(name)
        return x if w is None else x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * w

    def product(x, name):
        y, b = x @ file.weight(name + ".weight").T, file.weight(name + ".bias")
        return y if b is None else y + b

    def rotate(x, base):
        angle = torch.arange(n, dtype=torch.float64)[:, None] * \
            base ** -(torch.arange(0, head, 2, dtype=torch.float64) / head)
        c, s = angle.cos().float()[:, None], angle.sin().float()[:, None]
        if file.arch == "llama":
            a, b = x[..., 0::2], x[..., 1::2]
            return torch.stack((a * c - b * s, a * s + b * c), -1).reshape(x.shape)
        a, b = x[..., :head // 2], x[..., head // 2:]
        return torch.cat((a * c - b * s, a * s + b * c), -1)

    far = torch.arange(n)[:, None] - torch.arange(n)[None]
    embedding = file.weight("token_embd.weight")
    x = embedding[ids] * (math.sqrt(width) if gemma else 1)
    for i in range(file.get("A.block_count")):
        at, local = f"blk.{i}.", gemma and (i + 1) % 6 != 0
        base = 1e4 if local else file.get("A.rope.freq_base")
        y = norm(x, at + "attn_norm.weight")
        q = rotate(norm(product(y, at + "attn_q").view(n, heads, head), at + "attn_q_norm.weight"), base)
        k = rotate(norm(product(y, at + "attn_k").view(n, groups, head), at + "attn_k_norm.weight"), base)
        k, v = (z.view(n, groups, head).repeat_interleave(heads // groups, 1) for z in (k, product(y, at + "attn_v")))
        score = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(head)
        score = score.masked_fill((far < 0) | ((far >= window) if local else (far < 0)), -math.inf).softmax(-1)
        y = product(torch.einsum("hqk,khd->qhd", score, v).reshape(n, -1), at + "attn_output")
        x = x + norm(y, at + "post_attention_norm.weight")
        y = norm(x, at + "ffn_norm.weight")
        gate = product(y, at + "ffn_gate")
        gate = torch.nn.functional.gelu(gate, approximate="tanh") if gemma else torch.nn.functional.silu(gate)
        y = product(gate * product(y, at + "ffn_up"), at + "ffn_down")
        x = x + norm(y, at + "post_ffw_norm.weight")
    output = file.weight("output.weight")
    return norm(x, "output_norm.weight") @ (embedding if output is None else output).T


# ---- recording ----------------------------------------------------------------------------------

@torch.no_grad()
def continue_all(model, prompts, ends):
    """Greedy text for all prompts at once, padded on the left, until TOTAL tokens or the end of the text."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    texts, done, cache, new = [list(p) for p in prompts], set(), None, ids
    while len(done) < len(texts):
        position = (mask.cumsum(1) - 1).clamp(min=0)[:, -new.shape[1]:]
        out = model(new, attention_mask=mask, position_ids=position, past_key_values=cache, use_cache=True,
                    logits_to_keep=1)
        cache, new = out.past_key_values, out.logits[:, -1].argmax(-1, keepdim=True)
        mask = torch.cat((mask, torch.ones_like(new)), 1)
        for i, token in enumerate(new[:, 0].tolist()):
            if i not in done:
                texts[i].append(token)
                if len(texts[i]) >= TOTAL or token in ends:
                    done.add(i)
    return texts


def record(name, folder, library):
    file = File(os.path.join(folder, name + ".gguf"))
    other = library.open(file.path)
    prompts = [other.tokenize(CHAT[file.arch] % text if chat else text) for chat, text in PROMPTS]
    print(f"{name}: prompts of {', '.join(str(len(p)) for p in prompts)} tokens", flush=True)
    ends = {file.get("tokenizer.ggml.eos_token_id")} | set(other.tokenize("<end_of_turn>")[1:] if
                                                           file.arch == "gemma3" else [])
    model = reference_model(file)
    texts = continue_all(model, prompts, ends)
    seen, body, plain = set(), [], 0.0
    target = os.path.join(ROOT, "tests/golden", f"real-{name}.txt")
    for k, (ids, prompt) in enumerate(zip(texts, prompts)):
        with torch.no_grad():
            rows = model(torch.tensor([ids])).logits[0][:-1]
            if k == 17:
                plain = max(plain, float((plain_logits(file, ids)[:-1] - rows).abs().max()))
        logp = rows.double().log_softmax(-1)
        theirs = torch.from_numpy(other.logits(ids)[:-1]).double().log_softmax(-1)
        body += prompt_lines(k, ids, len(prompt), logp, theirs, seen)
        head = [f"# python3 tools/reference_logprobs.py {name}: transformers {transformers.__version__}, torch "
                f"{torch.__version__.split('+')[0]}, gguf-py {VERSION}; float32, eager attention, dequantised weights; "
                f"llama.cpp as of libllama 0.5.0, its defaults, 2 threads, each prompt's tokens in one call, "
                f"{platform.machine()} {processor()}",
                f"# plain_logits, a second implementation, differs by {plain:.2g} at most on prompt 17",
                f"model {name}", f"sha256 {file.sha256() if k + 1 == len(texts) else 'unfinished'}", summary(body)]
        print(f"{name}: prompt {k}, so far {head[-1]}", flush=True)
        with open(target, "w") as f:
            f.write("\n".join(head + body) + "\n")
    print(f"{name}: {os.path.getsize(target)} bytes; {head[1][2:]}; {head[-1]}", flush=True)


def prompt_lines(k, ids, n_prompt, logp, theirs, seen):
    """A prefix that an earlier prompt had is left out; so that a chat's opening does not count eight times."""
    lines = [f"prompt {k} {len(ids)} {n_prompt}", "ids " + " ".join(map(str, ids))]
    for t in range(len(ids) - 1):
        if tuple(ids[:t + 2]) in seen:
            continue
        seen.add(tuple(ids[:t + 2]))
        (a, b), (top, _) = (x.tolist() for x in logp[t].topk(2))
        lines.append("%s %d %.6g %d %.6g %.6g %d" % ("step" if t else "first", t, float(logp[t, ids[t + 1]]), top, a - b,
                                                     float(theirs[t, ids[t + 1]]), int(theirs[t].argmax())))
    return lines


def summary(lines):
    rows = [line.split()[1:] for line in lines if line.startswith("step ")]
    errors = [abs(float(r[1]) - float(r[4])) for r in rows]
    changed = [float(r[3]) for r in rows if r[2] != r[5]]
    n = max(1, len(rows))
    return ("summary steps %d llama_max %.6g llama_mean %.6g llama_rms %.6g llama_top_changes %d "
            "llama_largest_margin_changed %.6g" % (len(rows), max(errors, default=0), sum(errors) / n,
                                                   math.sqrt(sum(e * e for e in errors) / n), len(changed),
                                                   max(changed, default=0)))


def processor():
    with open("/proc/cpuinfo") as f:
        flags = next((line for line in f if line.startswith("flags")), "").split()
    return "AVX-512 VNNI" if "avx512_vnni" in flags else "AVX2" if "avx2" in flags else "without AVX2"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", required=True, help="folder of NAME.gguf")
    parser.add_argument("--llama", required=True, help="folder of libllama.so")
    parser.add_argument("names", nargs="+", metavar="NAME")
    args = parser.parse_args()
    torch.set_num_threads(1)
    library = Library(args.llama)
    for name in args.names:
        record(name, args.models, library)


if __name__ == "__main__":
    main()

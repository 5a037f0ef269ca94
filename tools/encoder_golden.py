#!/usr/bin/env python3
"""Makes the tiny encoders of tests/data, tests/golden/encoders.txt and encoder-real.txt (format: tests/golden/README.md).

    python3 tools/encoder_golden.py [FOLDER]     FOLDER: of all-MiniLM-L6-v2; without it its lines are left as they are

Random weights from a fixed seed; the reference is transformers, float32, eager attention, and for the texts the
tokenizers library. GGUF leaves out the first rows of RoBERTa's table of positions, and so does this.
"""
import json
import os
import sys

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from golden import byte_letters

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
WORDS = ["the", "cat", "sat", "on", "mat", "un", "##able", "##s", "##ing", "##ed", "a", "to", "be", "run", "!", "?", ".", ",",
         "\u4e2d", "\u6587", "caf", "##e", "##t"]
TEXTS = ["the cat sat on the mat.", "A", "Cats running, UNABLE to be caf\u00e9d!", "\u4e2d\u6587 the", "xyzzy the \u00e9\u0301", "  to  be?  ",
         "the cat sat on the mat. " * 3]
REAL = ["A man is eating food.", "Der Zug nach Z\u00fcrich f\u00e4hrt um 7:45 Uhr ab.", "def add(a, b):\n    return a + b", "\u4eca\u5929\u5929\u6c14\u5f88\u597d"]
STEMS = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
         "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
         "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
HEADS = {"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
         "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm"}


def bert_tokenizer(w):
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + WORDS + [c for c in letters if c not in WORDS] + ["##" + c for c in letters]
    tokens = list(dict.fromkeys(tokens))
    t = Tokenizer(models.WordPiece({x: i for i, x in enumerate(tokens)}, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    w.add_tokenizer_model("bert")
    w.add_token_list([x if i < 4 else x[2:] if x.startswith("##") else "\u2581" + x for i, x in enumerate(tokens)])
    w.add_token_types([3] * 4 + [1] * (len(tokens) - 4))
    w.add_unk_token_id(1)
    w.add_uint32("tokenizer.ggml.cls_token_id", 2)
    w.add_sep_token_id(3)
    w.add_pad_token_id(0)
    return t, len(tokens)


def roberta_tokenizer(w):
    letters = byte_letters()
    pairs = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("a", "t"), ("c", "at"), ("\u0120", "cat")]
    tokens = ["<s>", "<pad>", "</s>", "<unk>"] + [letters[b] for b in sorted(letters)] + [a + b for a, b in pairs]
    t = Tokenizer(models.BPE({x: i for i, x in enumerate(tokens)}, pairs))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([3] * 4 + [1] * (len(tokens) - 4))
    w.add_token_merges([" ".join(p) for p in pairs])
    w.add_bos_token_id(0)
    w.add_eos_token_id(2)
    w.add_pad_token_id(1)
    w.add_add_bos_token(True)
    w.add_add_eos_token(True)
    return t, len(tokens)


MODELS = {
    "tiny-bert": (BertConfig, BertModel, bert_tokenizer, gguf.PoolingType.CLS, dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=40, layer_norm_eps=1e-12)),
    "tiny-roberta": (RobertaConfig, RobertaModel, roberta_tokenizer, gguf.PoolingType.MEAN, dict(
        hidden_size=36, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=102, layer_norm_eps=1e-3,
        type_vocab_size=1, pad_token_id=1)),
}


def make(name):
    config_class, model_class, tokenizer, pooling, settings = MODELS[name]
    w = gguf.GGUFWriter(os.path.join(ROOT, "tests/data", name + ".gguf"), "bert")
    t, size = tokenizer(w)
    config = config_class(vocab_size=size, hidden_act="gelu", attn_implementation="eager", **settings)
    torch.manual_seed(7)
    model = model_class(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape) * (0.3 if p.dim() > 1 else 0.5) + (1.0 if p.dim() == 1 else 0.0))
    w.add_block_count(config.num_hidden_layers)
    w.add_context_length(config.max_position_embeddings - (2 if name == "tiny-roberta" else 0))
    w.add_embedding_length(config.hidden_size)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    w.add_layer_norm_eps(config.layer_norm_eps)
    w.add_causal_attention(False)
    w.add_pooling_type(pooling)
    for key, x in model.state_dict().items():
        if key.endswith("_ids"):
            continue
        stem, suffix = key.rsplit(".", 1)
        if key.startswith("encoder.layer."):
            number, rest = stem.split(".", 3)[2:]
            gguf_name = "blk.%s.%s.%s" % (number, STEMS[rest], suffix)
        else:
            gguf_name = HEADS[stem] + "." + suffix
        x = x.numpy()
        if gguf_name == "position_embd.weight" and name == "tiny-roberta":
            x = x[2:]
        w.add_tensor(gguf_name, np.ascontiguousarray(x, dtype=np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    folder = os.path.join(ROOT, "tests/data", name)
    model.save_pretrained(folder)
    t.save(os.path.join(folder, "tokenizer.json"))
    os.makedirs(os.path.join(folder, "1_Pooling"), exist_ok=True)
    with open(os.path.join(folder, "1_Pooling", "config.json"), "w") as f:
        json.dump({"pooling_mode_cls_token": pooling == gguf.PoolingType.CLS, "pooling_mode_mean_tokens": pooling == gguf.PoolingType.MEAN}, f)
    return t, model


def pooled(hidden, how):
    v = {"mean": hidden.mean(0), "class": hidden[0], "last": hidden[-1]}[how]
    return v / v.norm()


def numbers(values):
    return " ".join("%.8g" % v for v in values)


def record_real(folder, out):
    """A published model: vectors only, of the length 1, as its own configuration pools."""
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    out.write("model all-minilm-l6-v2 %d %d\n" % (model.config.hidden_size, model.config.num_hidden_layers))
    for text in REAL:
        ids = tokenizer(text)["input_ids"]
        with torch.no_grad():
            hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        out.write("text %s\nids %s\n" % (json.dumps(text), " ".join(map(str, ids))))
        out.write("embedding auto %s\n" % numbers(pooled(hidden, "mean").tolist()))


def main():
    if len(sys.argv) > 1:
        with open(os.path.join(ROOT, "tests/golden/encoder-real.txt"), "w") as out:
            out.write("# python3 tools/encoder_golden.py FOLDER; transformers %s\n" % transformers.__version__)
            record_real(sys.argv[1], out)
    with open(os.path.join(ROOT, "tests/golden/encoders.txt"), "w") as out:
        out.write("# python3 tools/encoder_golden.py; transformers %s, tokenizers %s\n" % (transformers.__version__, tokenizers.__version__))
        for name in MODELS:
            t, model = make(name)
            for file, text in [(f, t) for f in (name + ".gguf", name) for t in TEXTS]:
                if text == TEXTS[0]:
                    out.write("model %s %d %d\n" % (file, model.config.hidden_size, model.config.num_hidden_layers))
                ids = t.encode(text).ids
                with torch.no_grad():
                    r = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
                out.write("text %s\nids %s\n" % (json.dumps(text), " ".join(map(str, ids))))
                for i, h in enumerate(r.hidden_states):
                    for pos in sorted({0, len(ids) // 2, len(ids) - 1}) if text == TEXTS[2] else []:
                        out.write("hidden %d %d %s\n" % (i, pos, numbers(h[0, pos].tolist())))
                for how in ("mean", "class", "last"):
                    out.write("embedding %s %s\n" % (how, numbers(pooled(r.last_hidden_state[0], how).tolist())))


if __name__ == "__main__":
    main()

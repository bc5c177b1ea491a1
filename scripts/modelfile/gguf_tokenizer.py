"""Tokenizer files from the vocabulary inside a GGUF file."""

import json
import re

from tokenizers import pre_tokenizers
from transformers.integrations.gguf.gguf_tokenizer_mapping import (
    GGUF_PRE_TOKENIZER_SPLITS,
    convert_gguf_tokenizer,
    get_gguf_tokenizer,
)

from .errors import warn
from .sentencepiece_model import CONTROL, write_model

_PREFIX = "tokenizer.ggml."
_ID_KEYS = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
_UNUSED = re.compile(r"<unused\d+>$")  # thousands of places without meaning
_PLAIN_SPLITS = {None, "default", "gpt-2"}  # byte-level BPE with GPT-2's regular expression


def special_ids(metadata):
    """Numbers of bos, eos, pad and unk, as far as the file names them."""
    found = {name: metadata.get(f"{_PREFIX}{key}_token_id") for name, key in _ID_KEYS.items()}
    return {name: number for name, number in found.items() if number is not None}


def tokenizer_files(path, metadata):
    """File name -> content; empty, with a warning, for vocabularies that cannot be rebuilt faithfully."""
    kind = metadata.get(_PREFIX + "model")
    if kind == "llama":
        files = {"tokenizer.model": _sentencepiece(metadata)}
    elif kind == "gpt2" and _split_is_known(metadata):
        files = {"tokenizer.json": _byte_level(path, metadata)}
    else:
        split = metadata.get(_PREFIX + "pre")
        warn(f'tokenizer left out: a GGUF vocabulary of kind "{kind}" (split "{split}") cannot be rebuilt')
        return {}
    return files | {"tokenizer_config.json": json.dumps(tokenizer_config(metadata), ensure_ascii=False)}


def tokenizer_config(metadata):
    """bos, eos, pad and unk, the other control tokens, and what is put around a text."""
    tokens = metadata[_PREFIX + "tokens"]
    config = {f"{name}_token": tokens[number] for name, number in special_ids(metadata).items()}
    for flag in ("add_bos_token", "add_eos_token"):
        default = flag == "add_bos_token" and metadata[_PREFIX + "model"] == "llama"
        config[flag] = metadata.get(_PREFIX + flag, default)
    others = [token for token, kind in zip(tokens, metadata[_PREFIX + "token_type"]) if kind == CONTROL]
    named = set(config.values())
    config["additional_special_tokens"] = [
        each for each in others if each not in named and not _UNUSED.match(each)
    ]
    return config


def _sentencepiece(metadata):
    tokens = metadata[_PREFIX + "tokens"]
    return write_model(
        tokens,
        metadata[_PREFIX + "scores"],
        metadata[_PREFIX + "token_type"],
        special_ids(metadata),
        prefix_space=metadata.get(_PREFIX + "add_space_prefix", True),
    )


def _split_is_known(metadata):
    split = metadata.get(_PREFIX + "pre")
    return split in _PLAIN_SPLITS or split == "smollm" or split in GGUF_PRE_TOKENIZER_SPLITS


def _byte_level(path, metadata):
    architecture, vocabulary, _ = get_gguf_tokenizer(str(path))
    tokenizer, _ = convert_gguf_tokenizer(architecture, vocabulary)
    if metadata.get(_PREFIX + "pre") == "smollm":  # transformers does not know that digits stand alone here
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    return tokenizer.to_str()

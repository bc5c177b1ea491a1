"""Where a model comes from: a Hugging Face folder or a GGUF file."""

import json
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from . import chat, gguf_tokenizer
from .errors import FILE, IO, ExportError, say, warn
from .exporter import Extras
from .gguf_header import is_gguf, read_metadata
from .loading import LOCAL, load
from .metadata import config_ids
from .tracing import short

_EXPECTED = "SOURCE is a Hugging Face folder or a GGUF file"
_TOKENIZER_PATTERNS = ("tokenizer.json", "*.model", "vocab.*")
_SPECIAL_NAMES = ("bos_token", "eos_token", "pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def read_source(source, wish):
    """(Loaded, Extras) of a Hugging Face folder, a GGUF file, or a folder with one GGUF file."""
    path = Path(source)
    if not path.exists():
        raise ExportError(IO, f'"{source}" does not exist', _EXPECTED)
    if path.is_file():
        if not is_gguf(path):
            raise ExportError(
                FILE, f'"{source}" is no GGUF file', "give the folder with config.json, not a file of it"
            )
        return _read_gguf(path, wish)
    if (path / "config.json").is_file():
        return _read_folder(path, wish)
    ggufs = sorted(path.glob("*.gguf"))
    if len(ggufs) == 1:
        return _read_gguf(ggufs[0], wish)
    found = f"{len(ggufs)} GGUF files: name one" if ggufs else "neither config.json nor a GGUF file"
    raise ExportError(FILE, f'folder "{source}" has {found}', _EXPECTED)


def _extras(loaded, **more):
    return Extras(labels=loaded.labels, head_modules=loaded.head_modules, **more)


def _read_gguf(path, wish):
    metadata = read_metadata(path)
    say(f"reading {path.name}: {metadata.get('general.architecture')}, weights become float32")
    loaded = load(path, path.parent, wish, gguf_file=path.name)
    ids = gguf_tokenizer.special_ids(metadata)
    config = gguf_tokenizer.tokenizer_config(metadata)
    specials = {name: config[name] for name in _SPECIAL_NAMES if name in config}
    return loaded, _extras(
        loaded,
        name=metadata.get("general.name", path.stem),
        tokenizer_files=gguf_tokenizer.tokenizer_files(path, metadata),
        special_ids={name: ids.get(name) for name in ("bos", "eos", "pad")},
        chat=reduced_chat(metadata.get("tokenizer.chat_template"), specials),
    )


def _read_folder(path, wish):
    say(f"reading {path}")
    loaded = load(path, path, wish)
    tokenizer = _tokenizer(path)
    if tokenizer is None:
        return loaded, _extras(loaded, name=path.resolve().name)
    specials = {name: str(token) for name in _SPECIAL_NAMES if (token := getattr(tokenizer, name, None))}
    own = config_ids(loaded.model.config)
    ids = {name: getattr(tokenizer, f"{name}_token_id", None) for name in own}
    return loaded, _extras(
        loaded,
        name=path.resolve().name,
        tokenizer_files=_folder_tokenizer_files(path, tokenizer, specials),
        special_ids={name: own[name] if ids[name] is None else ids[name] for name in own},
        chat=reduced_chat(_template(tokenizer), specials),
    )


def _tokenizer(path):
    reason = "no file of one"
    if any(found for pattern in _TOKENIZER_PATTERNS for found in path.glob(pattern)):
        try:
            return AutoTokenizer.from_pretrained(path, **LOCAL)
        except Exception as error:  # damaged, or of a kind that needs further packages
            reason = short(error)
    warn(f"no tokenizer in {path} ({reason}); give the programs one with --tokenizer")
    return None


def _folder_tokenizer_files(path, tokenizer, specials):
    """tokenizer.json as it is or made from older files; the special tokens in tokenizer_config.json."""
    content = _own_json(path / "tokenizer.json", len(tokenizer))
    if content is None and tokenizer.is_fast:
        content = tokenizer.backend_tokenizer.to_str()
    if content is None:
        warn(f"tokenizer left out: {type(tokenizer).__name__} has no tokenizer.json form")
        return {}
    config = {}
    if (path / "tokenizer_config.json").is_file():
        config = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    return {
        "tokenizer.json": content,
        "tokenizer_config.json": json.dumps(config | specials, ensure_ascii=False),
    }


def _own_json(path, size):
    """The file's text; None if there is none, or if transformers adds tokens to it from other files."""
    if not path.is_file():
        return None
    content = path.read_text(encoding="utf-8")
    return content if Tokenizer.from_str(content).get_vocab_size() >= size else None


def _template(tokenizer):
    template = getattr(tokenizer, "chat_template", None)
    return template.get("default") if isinstance(template, dict) else template


def reduced_chat(template, specials):
    """The template as fixed pieces; None, said why, if there is none or it has no such form."""
    if not template:
        return None
    try:
        return chat.reduce(template, specials)
    except chat.Irreducible as error:
        warn(f"chat template left out: {error}; chats will be lines that begin with User: and Assistant:")
        return None

"""Writes SentencePiece `.model` files (protobuf, sentencepiece_model.proto) from the vocabulary of a GGUF file."""

import struct

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_BPE = 2
_VARINT, _BYTES, _FLOAT = 0, 2, 5
SPACE = "\u2581"


def _varint(number):
    number &= (1 << 64) - 1  # negative numbers are written as 64-bit two's complement
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def _integer(field, number):
    return _varint(field << 3 | _VARINT) + _varint(number)


def _bytes(field, content):
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _float(field, number):
    return _varint(field << 3 | _FLOAT) + struct.pack("<f", number)


def _piece(text, score, kind):
    return _bytes(1, _bytes(1, text) + _float(2, score) + _integer(3, kind))


def _trainer(ids, vocab_size, byte_fallback):
    """TrainerSpec: what encoding needs, the model type and the special ids."""
    return _bytes(
        2,
        _integer(3, _BPE)
        + _integer(4, vocab_size)
        + _integer(35, byte_fallback)
        + b"".join(_integer(field, ids.get(name, -1)) for field, name in ((40, "unk"), (41, "bos"), (42, "eos"), (43, "pad"))),
    )


def _normalizer(prefix_space):
    """NormalizerSpec: identity; spaces become U+2581, nothing else changes."""
    return _bytes(3, _bytes(1, "identity") + _integer(3, prefix_space) + _integer(4, 0) + _integer(5, 1))


def piece_kinds(tokens, kinds, ids):
    """The kinds as SentencePiece wants them: one UNKNOWN; CONTROL only for bos, eos and pad.

    Other control tokens (<start_of_turn>) become USER_DEFINED, so that text which spells them is one piece, as in
    transformers.
    """
    keep = {ids.get(name) for name in ("bos", "eos", "pad")}
    for index, (text, kind) in enumerate(zip(tokens, kinds)):
        if index == ids.get("unk") or (ids.get("unk") is None and text == "<unk>"):
            yield UNKNOWN
        elif kind == CONTROL and index not in keep:
            yield USER_DEFINED
        else:
            yield kind


def write_model(tokens, scores, kinds, ids, prefix_space):
    """Bytes of a `.model`. `ids`: numbers of unk, bos, eos, pad; `prefix_space`: a space is put before a text."""
    pieces = []
    for text, score, kind in zip(tokens, scores, piece_kinds(tokens, kinds, ids)):
        if kind == USER_DEFINED:
            text = text.replace(" ", SPACE)
        pieces.append(_piece(text, score, kind))
    return b"".join(pieces) + _trainer(ids, len(tokens), BYTE in kinds) + _normalizer(prefix_space)

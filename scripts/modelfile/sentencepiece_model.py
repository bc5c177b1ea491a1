"""Writes SentencePiece `.model` files (protobuf, sentencepiece_model.proto) from GGUF vocabularies."""

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


def _trainer(tokens, ids, byte_fallback):
    """TrainerSpec: what encoding needs, that is the model type and which pieces are special."""
    spec = _integer(3, _BPE) + _integer(4, len(tokens)) + _integer(35, byte_fallback)
    for place, name in enumerate(("unk", "bos", "eos", "pad")):
        number = ids.get(name, -1)
        spec += _integer(40 + place, number)  # unk_id ... pad_id
        if number >= 0:
            spec += _bytes(45 + place, tokens[number])  # unk_piece ... pad_piece
    return _bytes(2, spec)


def _normalizer(prefix_space):
    """NormalizerSpec: identity; spaces become U+2581, nothing else changes."""
    return _bytes(3, _bytes(1, "identity") + _integer(3, prefix_space) + _integer(4, 0) + _integer(5, 1))


def piece_kinds(tokens, kinds, ids):
    """The kinds as SentencePiece wants them: one UNKNOWN; CONTROL only for bos, eos and pad.

    Other control tokens (<start_of_turn>) become USER_DEFINED, so that text which spells them is one piece,
    as in transformers.
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
    """Bytes of a `.model`. `ids` of unk, bos, eos, pad; `prefix_space`: a space is put before texts."""
    pieces = []
    for text, score, kind in zip(tokens, scores, piece_kinds(tokens, kinds, ids)):
        if kind == USER_DEFINED:
            text = text.replace(" ", SPACE)
        pieces.append(_piece(text, score, kind))
    return b"".join(pieces) + _trainer(tokens, ids, BYTE in kinds) + _normalizer(prefix_space)

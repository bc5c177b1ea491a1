"""Metadata of a GGUF file (versions 2 and 3): https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"""

import mmap
import struct

from .errors import FILE, ExportError

MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def is_gguf(path):
    with open(path, "rb") as file:
        return file.read(4) == MAGIC


def read_metadata(path):
    """All keys with their values; arrays become lists. ExportError if the file is damaged."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data).metadata()
    except (struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
        raise ExportError(FILE, f'"{path}" is no readable GGUF file: {error}', "download it again") from error


class _Reader:
    def __init__(self, data):
        self.data, self.place = data, 0

    def metadata(self):
        if self.data[:4] != MAGIC:
            raise ValueError("it does not begin with the letters GGUF")
        self.place = 4
        version = self.scalar("I")
        if version not in (2, 3):
            raise ValueError(f"version {version} is not known, only 2 and 3")
        self.scalar("Q")  # number of tensors
        return {self.string(): self.value(self.scalar("I")) for _ in range(self.scalar("Q"))}

    def value(self, kind):
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.scalar(_SCALARS[kind])
        kind, count = self.scalar("I"), self.scalar("Q")
        if kind in _SCALARS:
            return list(self.unpack(f"{count}{_SCALARS[kind]}"))
        return [self.value(kind) for _ in range(count)]

    def string(self):
        length = self.scalar("Q")
        text = self.data[self.place : self.place + length]
        if len(text) < length:
            raise ValueError(f"it ends inside a text at byte {self.place}")
        self.place += length
        return text.decode("utf-8")

    def scalar(self, form):
        return self.unpack(form)[0]

    def unpack(self, form):
        values = struct.unpack_from("<" + form, self.data, self.place)
        self.place += struct.calcsize("<" + form)
        return values

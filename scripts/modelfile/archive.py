"""Writing model files: complete under a temporary name, then renamed."""

import json
import os
import zipfile
from pathlib import Path

import torch

from .errors import IO, ExportError

META = "lora_meta.json"


def check_writable(out):
    """ExportError unless a file can be made at `out`; found before the work, not after."""
    folder = out.parent
    if not folder.is_dir():
        raise ExportError(IO, f'folder "{folder}" does not exist', f'mkdir -p "{folder}"')
    if out.is_dir():
        raise ExportError(
            IO, f'"{out}" is a folder; the model file needs a file name', f'try "{out / "model.pt"}"'
        )
    if not os.access(folder, os.W_OK):
        raise ExportError(IO, f'folder "{folder}" is not writable', "choose another output path")


class Draft:
    """A model file in the making, beside its final place; nothing of it is left unless it is published."""

    def __init__(self, out):
        self.out = Path(out)
        self.path = self.out.with_name(f".{self.out.name}.{os.getpid()}.tmp")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.path.unlink(missing_ok=True)

    def write(self, script, files):
        """Serialised in memory first: LibTorch's own file writer aborts the process on a full disk."""
        files = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
        content = script.save_to_buffer(_extra_files=files)
        self._attempt(lambda: self.path.write_bytes(content))

    def load(self):
        return torch.jit.load(str(self.path), map_location="cpu").eval()

    def add_metadata(self, metadata):
        """Puts the metadata behind the checked bytes, which stay as they are."""
        text = json.dumps(metadata, ensure_ascii=False)
        self._attempt(lambda: _append(self.path, META, text))

    def publish(self):
        self._attempt(self._publish)

    def _publish(self):
        with open(self.path, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self.path, self.out)
        folder = os.open(self.out.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _attempt(self, action):
        try:
            action()
        except OSError as error:
            raise ExportError(
                IO,
                f'cannot write "{self.out}": {error.strerror or error}',
                "free some space or choose another path",
            ) from error


def _append(path, name, text):
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        root = archive.namelist()[0].split("/")[0]
        entry = zipfile.ZipInfo(f"{root}/extra/{name}")  # without the time: equal inputs, equal files
        archive.writestr(entry, text)


def read_extra(path, name=META):
    """Text of an extra file of a model file, None if it has none. Reads only that entry."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                if entry.partition("/")[2] == f"extra/{name}":
                    return archive.read(entry).decode()
    except (OSError, zipfile.BadZipFile):
        pass
    return None

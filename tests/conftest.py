"""What the Python-driven tests share: where things are, and how a program is run."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))


def folder(variable, default, missing):
    """The folder named by an environment variable, or the usual one; skips the test if it is not there."""
    path = Path(os.environ.get(variable) or default)
    if not path.is_dir():
        pytest.skip(f"{missing} ({variable}={path} is no folder)")
    return path


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What programs keep for later runs; the user's own is left alone."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def fixtures():
    """Tiny models and data files of tests/fixtures/make_fixtures.py."""
    return folder("LORA_FIXTURES", ROOT / "build/release/fixtures", "run tests/fixtures/make_fixtures.py")


@pytest.fixture(scope="session")
def models():
    """Real models of scripts/fetch_model.py."""
    return folder("LORA_MODELS", ROOT / "models", "run scripts/fetch_model.py")


@pytest.fixture(scope="session")
def shared_data():
    return folder("LORA_SHARED_DATA", "unset", "data sets are elsewhere")


@pytest.fixture(scope="session")
def run():
    """run("lora-train", option, ..., code=0) -> CompletedProcess with text output; asserts the exit code."""
    binaries = folder("LORA_BIN", ROOT / "build/release/bin", "the programs are not built")

    def run_program(name, *options, code=0, **keywords):
        command = [str(binaries / name), *map(str, options)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **keywords.pop("env", {})}
        result = subprocess.run(command, capture_output=True, text=True, env=environment, **keywords)
        said = f"{' '.join(command)}\nexit code {result.returncode}\n{result.stderr}"
        assert code is None or result.returncode == code, said
        return result

    return run_program

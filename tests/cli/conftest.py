"""What the tests of the programs share: a refusal with its code, and a small finished training."""
from types import SimpleNamespace

import pytest

# What would show that an exception or a terminal sequence got through to the user.
NOISE = ("Exception raised from", "terminate called", "frame #", "Traceback", "\x1b")


@pytest.fixture(scope="session")
def refuses(run):
    """refuses(code, [part, ...], "lora-train", option, ...): the message on stderr, which holds every part."""
    def check(code, parts, *command, **keywords):
        result = run(*command, code=code, **keywords)
        assert "error: " in result.stderr
        for part in parts:
            assert part in result.stderr, f"{part!r} is not in\n{result.stderr}"
        for noise in NOISE:
            assert noise not in result.stderr
        assert result.stdout == ""
        return result.stderr

    return check


@pytest.fixture(scope="session")
def base(fixtures):
    return fixtures / "tiny_llama.pt"


@pytest.fixture
def training(base, fixtures, tmp_path):
    """training(option, ...): a short training as a command, into tmp_path/run."""
    def command(*options, model=base, data=fixtures / "train.jsonl", out=tmp_path / "run"):
        return ["lora-train", "--model", model, "--data", data, "--out", out, "--steps", 2, "--batch-size", 4,
                "--threads", 1, *options]

    return command


@pytest.fixture(scope="session")
def trained(run, base, fixtures, tmp_path_factory):
    """A finished LoRA run of the base, and the model it was baked into."""
    folder = tmp_path_factory.mktemp("trained")
    adapter, merged = folder / "run/adapter", folder / "merged.pt"
    run("lora-train", "--model", base, "--data", fixtures / "train.jsonl", "--out", folder / "run", "--steps", 3,
        "--batch-size", 4, "--learning-rate", 1e-2, "--threads", 1)
    run("lora-merge", "bake", "--model", base, "--adapter", adapter, "--out", merged)
    return SimpleNamespace(run=folder / "run", adapter=adapter, merged=merged)

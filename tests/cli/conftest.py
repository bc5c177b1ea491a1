"""What the tests of the programs share: a refusal with its code, and a small finished training."""
import json
import os
import resource
from types import SimpleNamespace

import pytest

# What would show that an exception or a terminal sequence got through to the user.
NOISE = ("Exception raised from", "terminate called", "frame #", "Traceback", "\x1b")


@pytest.fixture(scope="session")
def refuses(run):
    """refuses(code, [part, ...], "lora-train", option, ...): what is on stderr, which holds every part."""
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


@pytest.fixture(scope="session")
def training(base, fixtures):
    """training(out, option, ...): a short training as a command."""
    def command(out, *options, model=base, data=fixtures / "train.jsonl"):
        return ["lora-train", "--model", model, "--data", data, "--out", out, "--steps", 2, "--batch-size", 4,
                "--threads", 1, *options]

    return command


@pytest.fixture
def train(training, tmp_path):
    """train(option, ...): a training into tmp_path/run, or elsewhere by out=FOLDER."""
    return lambda *options, out=tmp_path / "run", **inputs: training(out, *options, **inputs)


@pytest.fixture(scope="session")
def comparison(base, fixtures):
    """comparison(variant, ...): a command that compares them on the validation rows."""
    def command(*variants, model=base):
        return ["lora-eval", "compare", "--model", model, "--data", fixtures / "valid.jsonl",
                "--variant", *variants]

    return command


@pytest.fixture(scope="session")
def baking(base):
    """baking(adapter, out, option, ...): the command that merges an adapter."""
    def command(adapter, out, *options, model=base):
        return ["lora-merge", "bake", "--model", model, "--adapter", adapter, "--out", out, *options]

    return command


@pytest.fixture(scope="session")
def trained(run, training, baking, tmp_path_factory):
    """A finished LoRA run of the base, and the model it was baked into."""
    folder = tmp_path_factory.mktemp("trained")
    adapter, merged = folder / "run/adapter", folder / "merged.pt"
    run(*training(folder / "run", "--learning-rate", 1e-2))
    run(*baking(adapter, merged))
    return SimpleNamespace(run=folder / "run", adapter=adapter, merged=merged)


@pytest.fixture
def little_memory(root):
    """800 MB of address space: enough for a few thousand tokens of the tiny model, too little for 24,000."""
    if list(root.glob(".venv/lib/python3*/site-packages/torch/lib/libtorch_cuda.so")):
        pytest.skip("LibTorch with CUDA takes more address space")
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (800_000_000, 800_000_000))


@pytest.fixture
def figure():
    """figure(name, key=value, ...): what a test measured, for docs/reliability.md (scripts/reliability.py)."""
    def record(name, **values):
        if path := os.environ.get("LORA_FIGURES"):
            with open(path, "a") as file:
                file.write(json.dumps({"name": name, **values}) + "\n")

    return record

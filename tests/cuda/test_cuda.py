"""On a CUDA device the programs do what they do on the CPU, but for the order of sums."""
import json

import pytest


@pytest.fixture(scope="session")
def on_cuda(run, fixtures):
    """on_cuda(program, option, ...): a program on the tiny model and the device; skips where there is none."""
    probe = run("lora-eval", "generate", "--prompt", "a", "--max-new-tokens", 1, "--device", "cuda", "--model",
                fixtures / "tiny_llama.pt", code=None)
    if "LibTorch sees no CUDA device" in probe.stderr:
        pytest.skip("LibTorch sees no CUDA device")
    return lambda program, *options: run(program, *options, "--model", fixtures / "tiny_llama.pt", "--device", "cuda")


def losses(run_folder):
    lines = map(json.loads, (run_folder / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def test_a_training_has_the_losses_of_the_cpu(on_cuda, run, fixtures, tmp_path):
    """Batches come from pinned memory while the device computes: a copy that came late would change the losses."""
    options = ["--data", fixtures / "train.jsonl", "--steps", 20, "--batch-size", 8, "--batch-tokens", 60, "--log-every", 1]
    on_cuda("lora-train", *options, "--out", tmp_path / "cuda")
    run("lora-train", *options, "--out", tmp_path / "cpu", "--model", fixtures / "tiny_llama.pt")
    assert losses(tmp_path / "cuda") == pytest.approx(losses(tmp_path / "cpu"), rel=1e-3)


def test_generation_is_that_of_the_cpu(on_cuda, run, fixtures):
    options = ["generate", "--prompt", "the cat", "--max-new-tokens", 8]
    expected = run("lora-eval", *options, "--model", fixtures / "tiny_llama.pt").stdout
    assert on_cuda("lora-eval", *options).stdout == expected

"""What lora-train trains beside low-rank factors: magnitudes, biases, token rows."""
import json

import pytest
from safetensors.torch import load_file

TOKENS = "16,43"


@pytest.fixture
def lora_train(run, fixtures, tmp_path):
    """lora_train(option, ...) on tiny_llama -> run folder or, with another code, the result."""

    def call(*options, code=0, name="llama"):
        result = run("lora-train", "--model", fixtures / f"tiny_{name}.pt", "--data", fixtures / "train.jsonl",
                     "--out", tmp_path / "run", "--steps", 2, "--overwrite", *options, code=code)
        return result if code else tmp_path / "run"

    return call


def tensors_of(out):
    return load_file(out / "adapter/adapter_model.safetensors")


def config_of(out):
    return json.loads((out / "adapter/adapter_config.json").read_text())


def test_dora_stores_a_magnitude_for_each_module(lora_train):
    out = lora_train("--method", "dora", "--targets", "q_proj", "v_proj")
    leaves = [key.rsplit(".layers.", 1)[1].split(".", 3)[3] for key in tensors_of(out)]
    assert leaves.count("lora_magnitude_vector") == leaves.count("lora_A.weight") == 6
    assert config_of(out)["use_dora"] is True


def test_biases_are_stored_and_chosen(lora_train):
    only = lora_train("--bias", "lora_only", "--targets", "query_key_value", name="neox")
    assert {key for key in tensors_of(only) if key.endswith("bias")} == {
        f"base_model.model.gpt_neox.layers.{n}.attention.query_key_value.base_layer.bias" for n in range(3)}
    assert config_of(only)["bias"] == "lora_only"
    alone = lora_train("--bias", "all", "--targets", "none", name="neox")
    assert all(key.endswith(".bias") for key in tensors_of(alone))
    result = lora_train("--bias", "all", code=2)   # a llama has none
    assert "no such biases" in result.stderr


def test_token_rows_alone_cost_their_rows_only(lora_train):
    out = lora_train("--targets", "none", "--trainable-tokens", TOKENS)
    assert config_of(out)["peft_type"] == "TRAINABLE_TOKENS"
    assert all(tensor.shape == (2, 48) for tensor in tensors_of(out).values())
    report = json.loads((out / "report.json").read_text())
    assert report["trainable_parameters"] == 2 * 48


@pytest.mark.parametrize("options, code, words", [
    (["--trainable-tokens", "5,99999"], 5, ["99999", "which has 384"]),
    (["--trainable-tokens", "5,x"], 2, ['"x" is no token id']),
    (["--trainable-tokens", "5,5"], 2, ["given twice"]),
    (["--trainable-tokens", "5", "--targets", "embed_tokens"], 5, ["a target of its own"]),
    (["--trainable-tokens", "5", "--method", "full"], 2, ["do not go with --method full"]),
    (["--targets", "none"], 2, ["nothing to train"]),
])
def test_what_cannot_be_trained_is_refused(lora_train, options, code, words):
    result = lora_train(*options, code=code)
    assert all(word in result.stderr for word in words), result.stderr

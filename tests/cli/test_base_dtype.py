"""--base-dtype: frozen weights in a narrower type, everything that is trained in float32."""
import json

import pytest
from safetensors import safe_open

NEAR = {"bf16": 2e-2, "fp16": 3e-3}    # of the first losses: 8 and 11 bits of weights and activations


def outcome(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    with safe_open(folder / "adapter/adapter_model.safetensors", "np") as adapter:
        types = {adapter.get_tensor(name).dtype.name for name in adapter.keys()}
        metadata = adapter.metadata()
    return [line["loss"] for line in lines if "loss" in line], json.loads((folder / "report.json").read_text()), types, \
        metadata


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
@pytest.mark.parametrize("options", [[], ["--no-pack", "--checkpoint-activations"], ["--method", "dora"],
                                     ["--rewrites", "none"]])
def test_the_base_takes_half_the_memory_and_the_adapter_names_the_same_base(run, train, tmp_path, dtype, options):
    run(*train("--no-shuffle", *options, out=tmp_path / "wide"))
    run(*train("--no-shuffle", "--base-dtype", dtype, *options, out=tmp_path / "narrow"))
    (wide, wide_report, _, wide_meta), (narrow, report, types, meta) = map(outcome,
                                                                          (tmp_path / "wide", tmp_path / "narrow"))
    assert 0.5 < report["base_bytes"] / wide_report["base_bytes"] < 0.6
    assert types == {"float32"}
    assert report["base_fingerprint"] == wide_report["base_fingerprint"]
    assert {key: value for key, value in meta.items() if "finger" in key} == \
        {key: value for key, value in wide_meta.items() if "finger" in key}
    assert narrow != wide and narrow == pytest.approx(wide, rel=NEAR[dtype])


def test_float16_is_trained_with_a_scaled_loss(run, train, tmp_path):
    def scales(*options):
        out = tmp_path / "-".join(options)
        run(*train(*options, out=out))
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return {line["loss_scale"] for line in lines if "loss_scale" in line}

    assert scales("--base-dtype", "fp16") == scales("--precision", "fp16") == {512}
    assert scales("--base-dtype", "bf16") == scales("--precision", "bf16") == set()


def test_float32_of_a_float32_file_changes_nothing(run, train, tmp_path):
    run(*train("--no-shuffle", out=tmp_path / "plain"))
    run(*train("--no-shuffle", "--base-dtype", "fp32", out=tmp_path / "fp32"))
    assert outcome(tmp_path / "plain")[0] == outcome(tmp_path / "fp32")[0]


def test_what_it_does_not_go_with_is_refused(refuses, train):
    refuses(2, ["--base-dtype", "full", "leave it out"], *train("--base-dtype", "bf16", "--method", "full"))
    refuses(2, ["--base-dtype", "--precision", "give one of them"],
            *train("--base-dtype", "bf16", "--precision", "bf16"))
    refuses(2, ["one of file, fp32, bf16, fp16"], *train("--base-dtype", "fp8"))

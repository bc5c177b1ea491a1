"""lora-eval compare against transformers and PEFT, and what must not change a loss."""
import json

import cases
import pytest
from cases import QV, with_adapter, write_rows
from reference_training import mean_loss

ROUNDING = 1e-6   # relative: float32 logits, sums in double


@pytest.fixture
def llama(fixtures):
    return cases.tiny(fixtures, "llama")


@pytest.fixture
def losses(run, tmp_path):
    """losses(case, "base", "name=adapter:DIR", option=value) -> list of losses."""

    def measure(case, *variants, batch_tokens=4096):
        report, data = tmp_path / "report.json", write_rows(tmp_path / "rows.jsonl", case.rows)
        chosen = [word for variant in variants for word in ("--variant", variant)]
        run("lora-eval", "compare", "--model", case.file, "--data", data, "--threads", 1,
            "--latency-repeats", 0, "--batch-tokens", batch_tokens, "--json", report, *chosen)
        return [variant["loss"] for variant in json.loads(report.read_text())["variants"]]

    return measure


@pytest.mark.parametrize("name", ["llama", "gpt2", "neox", "plain", "bert"])
def test_the_loss_of_a_base_model_is_that_of_pytorch(losses, fixtures, name):
    case = cases.tiny(fixtures, name)
    case.live.eval()
    assert losses(case, "base") == pytest.approx([float(mean_loss(case.live, case.rows))], rel=ROUNDING)


def test_batching_never_changes_a_loss(losses, llama):
    one, few, all_at_once = (losses(llama, "base", batch_tokens=tokens) for tokens in (1, 90, 100_000))
    assert one == pytest.approx(few, rel=ROUNDING)
    assert one == pytest.approx(all_at_once, rel=ROUNDING)


def test_an_untrained_adapter_equals_the_base_exactly(losses, llama, tmp_path):
    with_adapter(llama, tmp_path / "new", **QV)
    base, new = losses(llama, "base", f"new=adapter:{tmp_path / 'new'}")
    assert base == new


def test_an_adapter_and_the_merged_model_evaluate_as_in_peft(losses, llama, run, tmp_path):
    adapter, merged = tmp_path / "adapter", tmp_path / "merged.pt"
    model = with_adapter(llama, adapter, random_b=True, **QV)
    run("lora-merge", "bake", "--model", llama.file, "--adapter", adapter, "--out", merged)
    found = losses(llama, "base", f"live=adapter:{adapter}", f"merged=model:{merged}")
    expected = float(mean_loss(model, llama.rows))
    assert abs(found[0] - expected) > 1e-3 * expected
    assert found[1:] == pytest.approx([expected] * 2, rel=ROUNDING)

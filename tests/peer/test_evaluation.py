"""lora-eval compare against transformers and PEFT, and what must not change a loss."""
import json
from statistics import correlation

import cases
import pytest
import torch
from cases import QV, with_adapter, write_rows
from reference_training import logits_of, mean_loss, padded
from transformers import AutoTokenizer

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


@pytest.mark.parametrize("name", ["llama", "gpt2", "neox", "plain", "bert", "regressor"])
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


def ranks(values):
    """Places in the sorted order, equal values sharing their mean."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def report_of(run, tmp_path, model, data):
    run("lora-eval", "compare", "--model", model, "--data", data, "--threads", 1, "--latency-repeats", 0, "--samples", 0,
        "--json", tmp_path / "report.json", "--variant", "base")
    return json.loads((tmp_path / "report.json").read_text())["variants"][0]


def test_correlations_of_a_regressor_are_those_of_its_outputs(run, fixtures, tmp_path):
    case = cases.tiny(fixtures, "regressor")
    case.live.eval()
    with torch.no_grad():
        outputs = [float(logits_of(case.live, padded([row]))) for row in case.rows]
    labels = [row["value"] for row in case.rows]
    measures = report_of(run, tmp_path, case.file, write_rows(tmp_path / "rows.jsonl", case.rows))["measures"]
    assert measures["pearson"]["value"] == pytest.approx(correlation(outputs, labels), abs=1e-6)
    assert measures["spearman"]["value"] == pytest.approx(correlation(ranks(outputs), ranks(labels)), abs=1e-6)


def test_accuracy_over_choices_is_that_of_scoring_each_with_transformers(run, fixtures, tmp_path):
    case, tokenizer = cases.tiny(fixtures, "llama"), AutoTokenizer.from_pretrained(fixtures / "hf/tiny_llama")
    case.live.eval()

    def score(prompt, choice):
        first, second = (tokenizer(part)["input_ids"] for part in (prompt, choice))
        row = {"input_ids": first + second, "labels": [-100] * len(first) + second}
        with torch.no_grad():
            return -float(mean_loss(case.live, [row])) * len(second)

    rows, right, right_by_byte = cases.read_jsonl(fixtures / "choices.jsonl"), 0, 0
    for row in rows:
        scores = [score(row["prompt"], choice) for choice in row["choices"]]
        by_byte = [value / len(choice.strip().encode()) for value, choice in zip(scores, row["choices"])]
        right += scores.index(max(scores)) == row["answer"]
        right_by_byte += by_byte.index(max(by_byte)) == row["answer"]
    found = report_of(run, tmp_path, case.file, fixtures / "choices.jsonl")
    assert found["accuracy"] == right / len(rows)
    assert found["measures"]["accuracy_by_byte"]["value"] == right_by_byte / len(rows)
    assert right != right_by_byte   # else one could be the other

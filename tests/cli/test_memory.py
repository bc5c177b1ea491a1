"""The plan tells, before the first update, what memory a training will take."""
import json

import pytest

# Where the difference lies: pages that an allocator holds, and what a measured pass of a sample leaves out.
MOST_APART = 0.25
SENTENCE = "The film is a slow and lovely thing that nobody in the hall had asked for, and nobody wanted to end. "


def apart(run):
    report = json.loads((run / "report.json").read_text())
    return report["estimated_peak_bytes"] / report["peak_bytes"] - 1


@pytest.fixture
def reviews(tmp_path):
    """Rows of 15 to 60 tokens, as those of the examples are."""
    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(json.dumps({"prompt": (SENTENCE * 3)[:60 + row * 37 % 180],
                                        "completion": ["negative", "positive"][row % 2]}) + "\n" for row in range(96)))
    return path


@pytest.mark.parametrize("options", [[], ["--method", "full"], ["--batch-size", 64, "--batch-tokens", 1000],
                                     ["--save-every", 1]], ids=["lora", "full", "large", "checkpoints"])
@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2", "tiny_neox"])
def test_of_small_models(run, train, fixtures, tmp_path, model, options):
    run(*train("--steps", 6, "--valid", fixtures / "valid.jsonl", *options, model=fixtures / f"{model}.pt"))
    assert abs(apart(tmp_path / "run")) < MOST_APART


@pytest.mark.parametrize("example", ["quickstart-lora", "quickstart-full"])
def test_of_the_examples(run, root, models, reviews, tmp_path, example):
    model = models / "smollm2-135m-instruct.pt"
    if not model.exists():
        pytest.skip("run scripts/fetch_model.py smollm2-135m-instruct")
    run("lora-train", "--config", root / f"configs/{example}.json", "--model", model, "--data", reviews, "--valid",
        reviews, "--steps", 2, "--threads", 1, "--out", tmp_path / "run")
    assert abs(apart(tmp_path / "run")) < MOST_APART


def test_what_is_not_there_is_said_before_the_run(run, train, tmp_path, little_memory):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": SENTENCE * 4000}) + "\n")
    command = train("--max-length", 2000, "--batch-size", 40, "--batch-tokens", 80000, "--steps", 1, data=rows)
    said = run(*command, preexec_fn=little_memory).stderr
    assert "are needed and" in said and "are there; lower --batch-tokens" in said


def test_the_parts_make_the_whole(run, train):
    said = run(*train("--dry-run", "--json")).stdout
    memory = json.loads(said)["memory"]
    parts = memory["base"] + memory["trained"] + memory["other"]
    assert memory["peak"] == parts + max(memory["update"], memory["validation"], memory["checkpoint"])
    assert 0 < memory["peak"] < memory["available"]

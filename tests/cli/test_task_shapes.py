"""Regressors and rows with choices through the three programs: train, merge, compare, and what is refused."""
import json

import pytest

DATA, MISMATCH, USAGE = 3, 5, 2


@pytest.fixture
def compared(run, tmp_path):
    """compared(model, data, variant, option, ...) -> the report, and the table."""
    def call(model, data, *words):
        variants = [word for spec in words if "=" in spec or spec == "base" for word in ("--variant", spec)]
        options = [word for word in words if not ("=" in word or word == "base")]
        table = run("lora-eval", "compare", "--model", model, "--data", data, *variants, "--threads", 1, "--latency-repeats", 0,
                    "--json", tmp_path / "compare.json", "--report", tmp_path / "report.html", *options).stdout
        return json.loads((tmp_path / "compare.json").read_text()), table

    return call


def test_a_regressor_learns_and_is_measured_by_correlation(run, compared, fixtures, tmp_path):
    model, data = fixtures / "tiny_regressor.pt", fixtures / "values.jsonl"
    run("lora-train", "--model", model, "--data", data, "--valid", data, "--out", tmp_path / "run", "--steps", 60, "--batch-size", 16,
        "--learning-rate", 0.01, "--threads", 1)
    config = json.loads((tmp_path / "run/adapter/adapter_config.json").read_text())
    assert config["task_type"] == "SEQ_CLS" and "classifier" in str(config["modules_to_save"])
    run("lora-merge", "bake", "--model", model, "--adapter", tmp_path / "run/adapter", "--out", tmp_path / "merged.pt")
    report, table = compared(model, data, "base", f"lora=run:{tmp_path / 'run'}", f"merged=model:{tmp_path / 'merged.pt'}")
    base, lora, merged = report["variants"]
    assert base["perplexity"] is None and base["accuracy"] is None
    assert lora["loss"] < 0.5 * base["loss"] and lora["measures"]["pearson"]["value"] > 0.8 > base["measures"]["pearson"]["value"]
    assert merged["loss"] == pytest.approx(lora["loss"], rel=1e-4)
    low, high = lora["measures"]["spearman"]["interval"]
    assert low < lora["measures"]["spearman"]["value"] < high <= 1
    assert "pearson" in table and "squared error/row" in table and "perplexity" not in table
    assert "spearman" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("method", ["lora", "full", "bitfit"])
def test_a_new_head_starts_at_the_mean_label(run, fixtures, tmp_path, method):
    data = fixtures / "values.jsonl"
    labels = [json.loads(line)["label"] for line in data.read_text().splitlines()]
    run("lora-train", "--model", fixtures / "tiny_regressor.pt", "--data", data, "--out", tmp_path / "run", "--steps", 1, "--batch-size",
        len(labels), "--learning-rate", 1e-30, "--warmup", 0, "--threads", 1, "--method", method)
    loss = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[0])["loss"]
    mean = sum(labels) / len(labels)
    spread = sum((label - mean) ** 2 for label in labels) / len(labels)
    assert loss < 1.5 * spread < spread + mean ** 2   # the random head adds little to it


def test_labels_of_a_regressor_are_numbers(refuses, fixtures, tmp_path):
    data = tmp_path / "words.jsonl"
    data.write_text('{"text": "The cat waits.", "label": 1.5}\n{"text": "The cat rests.", "label": "good"}\n')
    refuses(DATA, ["words.jsonl line 2", 'label "good" is no number'], "lora-train", "--model", fixtures / "tiny_regressor.pt",
            "--data", data, "--out", tmp_path / "run")
    refuses(USAGE, ["--label-smoothing", "regressor"], "lora-train", "--model", fixtures / "tiny_regressor.pt", "--data",
            fixtures / "values.jsonl", "--out", tmp_path / "run", "--label-smoothing", 0.1)
    refuses(USAGE, ["regressor, which writes none"], "lora-eval", "compare", "--model", fixtures / "tiny_regressor.pt", "--data",
            fixtures / "values.jsonl", "--variant", "base", "--metrics", "bleu")
    refuses(MISMATCH, ["the row has no label"], "lora-eval", "compare", "--model", fixtures / "tiny_regressor.pt", "--data",
            fixtures / "train.jsonl", "--variant", "base")


def test_rows_with_choices_train_on_the_right_one_and_are_measured_by_choice(run, compared, fixtures, tmp_path):
    model, data = fixtures / "tiny_llama.pt", fixtures / "choices.jsonl"
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    plain = tmp_path / "plain.jsonl"
    plain.write_text("".join(json.dumps({"prompt": row["prompt"], "completion": row["choices"][row["answer"]]}) + "\n" for row in rows))
    losses = []
    for file in (data, plain):
        out = tmp_path / file.stem
        run("lora-train", "--model", model, "--data", file, "--valid", file, "--out", out, "--steps", 30, "--batch-size", 16,
            "--learning-rate", 0.02, "--threads", 1)
        losses.append(json.loads((out / "report.json").read_text())["best_valid_loss"])
    assert losses[0] == losses[1]
    report, table = compared(model, data, "base", f"lora=run:{tmp_path / 'choices'}", "--metrics", "token_f1", "--generate-rows", "8")
    base, lora = report["variants"]
    assert lora["accuracy"] > 0.6 > base["accuracy"]
    assert 0 <= lora["measures"]["accuracy_by_byte"]["value"] <= 1 and "f1_macro" not in lora["measures"]
    assert lora["text_scores"]["token_f1"]["value"] > base["text_scores"]["token_f1"]["value"]
    assert "likeliest of each row's choices" in table


def test_choices_that_leave_the_answer_open_are_refused(refuses, fixtures, tmp_path):
    def compare(row, *options):
        (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
        return ["lora-eval", "compare", "--model", fixtures / "tiny_llama.pt", "--data", tmp_path / "rows.jsonl", "--variant", "base",
                *options]

    row = {"prompt": "The cat", "choices": [" waits", " rests"], "answer": 0}
    refuses(DATA, ["rows.jsonl line 1", '"answer" is 2, but the choices are 0 to 1'], *compare(row | {"answer": 2}))
    refuses(DATA, ['"choices" holds " waits" twice'], *compare(row | {"choices": [" waits", " waits"]}))
    refuses(DATA, ['"choices" holds 1'], *compare(row | {"choices": [" waits"]}))
    refuses(USAGE, ["--label-words", "choices of their own"], *compare(row, "--label-words", "waits"))


def test_label_words_of_a_comparison(run, refuses, fixtures, tmp_path):
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"the cat {i}", "completion": word}) + "\n" for i in range(3) for word in (" sat", " ran")))
    compare = ["lora-eval", "compare", "--model", fixtures / "tiny_llama.pt", "--data", data, "--variant", "base", "--latency-repeats", 0,
               "--samples", 10, "--threads", 1, "--json", tmp_path / "out.json", "--label-words"]
    for words in (["sat,ran"], ["sat", "ran"], [" sat", "--label-words", " ran"]):
        assert "best of 2 words:  sat | ran" in run(*compare, *words).stdout
        assert json.loads((tmp_path / "out.json").read_text())["label_words"] == [" sat", " ran"]
    assert "the answers of 3 of 6 rows" in run(*compare, "sat,sits").stderr
    refuses(DATA, ["--label-words: the answers of 6 of 6 rows", "rows.jsonl", '" yes", " no"', "hint: "], *compare, "yes,no")
    refuses(USAGE, ['--label-words: "sat" alone'], *compare, "sat")
    compare[3], compare[5] = fixtures / "tiny_bert.pt", fixtures / "classes.jsonl"
    refuses(USAGE, ["--label-words: the model is a classifier"], *compare, "yes,no")

"""scripts/study.py on the tiny models: rates, seeds, baked models, parts, and what is kept from one call to the next."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMON = {"steps": 3, "batch_size": 4, "eval_every": 3}


@pytest.fixture
def study(tmp_path, fixtures):
    """study(plan, option, ...) -> what the script printed; data are the fixtures' rows of classes and completions."""
    for name, rows in {"words": "train", "classes": "classes"}.items():
        (tmp_path / name).mkdir()
        for split in ("train", "valid", "test"):
            (tmp_path / name / f"{split}.jsonl").write_bytes((fixtures / f"{rows}.jsonl").read_bytes())

    def call(plan, *options, data=tmp_path):
        (tmp_path / "tiny.json").write_text(plan if isinstance(plan, str) else json.dumps(plan))
        command = [sys.executable, ROOT / "scripts/study.py", tmp_path / "tiny.json", "--data", data, "--threads", 1, "--runs",
                   tmp_path / "runs", "--tables", tmp_path / "tables", *options]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True)

    return call


def table_of(tmp_path):
    file = tmp_path / "tables/study-tiny.json"
    shown = subprocess.run([sys.executable, ROOT / "scripts/show_table.py", file, "--markdown"], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    return json.loads(file.read_text()), shown.stdout


def test_each_variant_is_taken_at_its_best_rate_and_over_all_seeds(study, fixtures, tmp_path):
    plan = {"question": "?", "common": COMMON, "rates": [1e-3, 1e-2], "seeds": [1, 2, 3], "test_rows": 20, "variants": [
        {"name": "full", "options": {"method": "full"}, "rates": [1e-3]}, {"name": "lora r2", "options": {"rank": 2}, "merge": True}],
        "compare": {"latency_repeats": 1, "samples": 10, "latency_shapes": "1x1"}}
    first = study(plan, "--model", fixtures / "tiny_bert.pt", data=tmp_path / "classes")
    assert first.returncode == 0, first.stderr
    result, table = table_of(tmp_path)
    by_name = {each["name"]: each for each in result["variants"]}
    assert list(by_name) == ["base", "full", "lora r2", "lora r2 merged"] and result["rows"] == 20
    sweep = by_name["lora r2"]["sweep"]
    assert [each["rate"] for each in sweep] == [1e-3, 1e-2]
    assert by_name["lora r2"]["rate"] == min(sweep, key=lambda each: each["valid_loss"])["rate"]
    assert by_name["lora r2"]["seeds"]["count"] == 3 and by_name["lora r2"]["cpu_seconds"] > 0
    assert by_name["lora r2 merged"]["loss"] == pytest.approx(by_name["lora r2"]["loss"], rel=1e-4)
    assert "accuracy, 3 seeds" in table and " ± " in table
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/tiny/*/report.json")}
    assert len(stamps) == 7
    assert study(plan, "--model", fixtures / "tiny_bert.pt", data=tmp_path / "classes").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_parts_are_run_one_by_one_into_one_table(study, fixtures, tmp_path):
    variants = [{"name": "lora", "options": {"rank": 2}, "merge": True}, {"name": "bitfit", "options": {"method": "bitfit"}}]
    plan = {"question": "?", "common": COMMON, "rates": {"lora": [1e-3], "bitfit": [1e-3]}, "valid_rows": 8, "test_rows": 8,
            "variants": variants, "compare": {"latency_repeats": 1, "samples": 0}, "parts": {
        "words": {"data": "classes", "model": str(fixtures / "tiny_llama.pt"), "without": ["bitfit"],
                  "rows": {"prompt": "{text}", "completion": " {label}"}},
        "classes": {"data": "classes", "model": str(fixtures / "tiny_bert.pt"), "common": {"steps": 2}}}}
    for part in ("classes", "words"):
        done = study(plan, "--part", part)
        assert done.returncode == 0, done.stderr
    result, table = table_of(tmp_path)
    assert list(result["parts"]) == ["words", "classes"]
    assert result["parts"]["classes"]["common"]["steps"] == 2 and result["parts"]["words"]["common"]["steps"] == 3
    assert "tiny_llama, classes | lora | 0.001 | accuracy" in table and "merged |" not in table.split("\n", 2)[2]


def test_an_unknown_part_and_a_failing_program_are_said(study, fixtures, tmp_path):
    plan = {"question": "?", "common": COMMON, "rates": [1e-3], "variants": [{"name": "x", "options": {"rank": 0}}],
            "parts": {"a": {"data": "words", "model": str(fixtures / "tiny_llama.pt")}}}
    assert "has no part b" in study(plan, "--part", "b").stderr
    failed = study(plan)
    assert failed.returncode == 1 and "--rank" in failed.stderr and not list((tmp_path / "tables").iterdir())


def test_runs_of_other_options_models_or_data_are_trained_again(study, fixtures, tmp_path):
    variant = {"name": "lora", "options": {"rank": 2}, "rates": [1e-3], "merge": True}
    plan = {"question": "?", "common": COMMON, "variants": [variant], "test_rows": 8, "compare": {"latency_repeats": 0, "samples": 0}}
    made = [tmp_path / "runs/tiny/lora-0.001" / name for name in ("report.json", "merged.pt")]
    data = tmp_path / "classes/train.jsonl"

    def is_made_again(model=fixtures / "tiny_bert.pt"):
        before = [file.stat().st_mtime_ns for file in made if file.exists()]
        done = study(plan, "--model", model, data=tmp_path / "classes")
        assert done.returncode == 0, done.stderr
        again = [file.stat().st_mtime_ns for file in made]
        assert all(map(int.__ne__, before, again)) or before == again
        return before != again

    assert is_made_again() and not is_made_again()
    plan["common"] = {**COMMON, "steps": 6}
    assert is_made_again()
    variant["options"]["rank"] = 4
    assert is_made_again()
    updates, size = json.loads(made[0].read_text())["updates"], table_of(tmp_path)[0]["variants"][1]["trainable_parameters"]
    assert updates == 6 and size > 0
    data.write_text("".join(data.read_text().splitlines(keepends=True)[:-1]))
    assert is_made_again() and not is_made_again()
    other = tmp_path / "other.pt"
    other.write_bytes(made[1].read_bytes())
    assert is_made_again(other) and is_made_again()
    (tmp_path / "runs/tiny/lora-0.001/cost.json").write_text('{"cpu_seconds": 1}')
    study(plan, "--model", fixtures / "tiny_bert.pt", data=tmp_path / "classes")
    assert json.loads((tmp_path / "runs/tiny/lora-0.001/cost.json").read_text())["made_of"]["options"]["rank"] == 4


@pytest.mark.parametrize("plan, said", [
    ("{", "is no JSON"), ("[]", "is no object"), ({"variants": []}, 'lacks "question"'),
    ({"question": "?", "variants": [{"name": "x", "optoins": {}}]}, 'variant x has an unknown entry "optoins"; known are options'),
    ({"question": "?", "variants": [], "parts": {"a": {"data": "words"}}}, 'part a lacks "model"'),
    ({"question": "?", "variants": [{"name": "x", "options": {}}]}, "no learning rates for variant x")])
def test_mistakes_in_a_study_file_are_said(study, fixtures, plan, said, tmp_path):
    failed = study(plan, "--model", fixtures / "tiny_bert.pt", data=tmp_path / "classes")
    assert failed.returncode == 1 and said in failed.stderr and "Traceback" not in failed.stderr


def test_what_a_study_lacks_is_said(study, fixtures, tmp_path):
    plan = {"question": "?", "variants": [{"name": "x", "options": {}}]}
    for missing, options, data in (("none.pt", ["--model", tmp_path / "none.pt"], tmp_path / "classes"),
                                   ("train.jsonl", ["--model", fixtures / "tiny_bert.pt"], tmp_path)):
        failed = study(plan, *options, data=data)
        assert failed.returncode == 1 and missing in failed.stderr and "Traceback" not in failed.stderr
    failed = subprocess.run([sys.executable, ROOT / "scripts/study.py", tmp_path / "none.json", "--data", tmp_path],
                            capture_output=True, text=True)
    assert failed.returncode == 1 and "none.json: No such file" in failed.stderr

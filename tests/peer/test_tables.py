"""scripts/show_table.py and make_readme.py: the table of lora-eval compare, for terminals and in Markdown."""
import copy
import json
import subprocess
import sys
from pathlib import Path

import make_readme
import pytest
import show_table

VARIANT = {"name": "lora", "kind": "run", "path": "runs/lora", "loss": 0.31254, "perplexity": 1.36689,
           "accuracy": 0.8612, "trainable_parameters": 460800, "trainable_share": 0.003426,
           "file_bytes": 1855488, "training": {"seconds": 220.4, "peak_bytes": 3 * 2**30},
           "latency": {"median_ms": 81.26, "interleaved": True}}
COMPARISON = {"model": "m.pt", "total_parameters": 134515008, "label_words": [" positive", " negative"],
              "data": {"path": "data/reviews/test.jsonl", "rows": 1000, "tokens": 30000, "labelled": 2000},
              "latency_batch": {"rows": 8, "tokens": 40}, "cpu": "Some CPU (2 cores)", "threads": 2,
              "libtorch": "2.13.0", "variants": [VARIANT]}


def cells(**changes):
    return show_table.cells(copy.deepcopy(VARIANT) | changes)


def test_cells_are_rounded_for_people():
    assert cells() == ["lora", "0.3125", "1.37", "0.861", "460.8k", "0.34 %", "1.8 MiB", "3.0 GiB", "3m40s",
                       "81.3"]


def test_unknown_numbers_are_dashes_and_never_zero():
    names = ("accuracy", "trainable_parameters", "trainable_share", "training", "latency")
    assert cells(**dict.fromkeys(names))[3:] == ["-", "-", "-", "1.8 MiB", "-", "-", "-"]


def test_a_latency_measured_alone_is_starred():
    assert cells(latency={"median_ms": 5, "interleaved": False})[-1] == "5.0*"


@pytest.mark.parametrize("seconds, text", [
    (0, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.6, "1m00s"), (7322, "2h02m")])
def test_durations(seconds, text):
    assert show_table.human_seconds(seconds) == text


def test_markdown_has_a_rule_and_escapes_bars():
    table = show_table.markdown_table([["variant", "loss"], ["a|b", "1"]])
    assert table == "| variant | loss |\n| --- | ---: |\n| a\\|b | 1 |"


def test_the_table_says_on_what_it_was_measured():
    text = show_table.render(COMPARISON, markdown=True)
    for fact in ("Some CPU (2 cores), 2 threads", "LibTorch 2.13.0", "1,000 rows of test.jsonl", "8 x 40"):
        assert fact in text


def show(file):
    script = Path(show_table.__file__)
    return subprocess.run([sys.executable, script, file], capture_output=True, text=True)


def test_a_foreign_file_is_refused(tmp_path):
    file = tmp_path / "x.json"
    for content in ("{}", "[1]", "not json"):
        file.write_text(content)
        result = show(file)
        assert (result.returncode, result.stdout) == (1, "")
        assert f"{file} is no comparison of lora-eval" in result.stderr


def test_the_table_is_the_one_that_lora_eval_prints(run, fixtures, tmp_path):
    report, model = tmp_path / "compare.json", fixtures / "tiny_llama.pt"
    printed = run("lora-eval", "compare", "--model", model, "--data", fixtures / "valid.jsonl",
                  "--variant", "base", "--variant", f"same=model:{model}", "--json", report)
    table = show(report).stdout.split("\n\n")[0]
    assert len(table.splitlines()) == 4
    assert printed.stdout.startswith(table + "\n")


@pytest.fixture
def project(tmp_path):
    (tmp_path / "runs/quick").mkdir(parents=True)
    (tmp_path / "runs/quick/compare.json").write_text(json.dumps(COMPARISON))
    block = "<!-- table:quick begin -->\nold\n<!-- table:quick end -->\n"
    (tmp_path / "README.md").write_text(f"# A\n{block}rest\n")
    return tmp_path


def test_a_marked_block_is_replaced_and_the_rest_stays(project):
    assert make_readme.update(project, check=False) == [project / "README.md"]
    text = (project / "README.md").read_text()
    assert text.startswith("# A\n<!-- table:quick begin -->\n| variant |")
    assert text.endswith("\n<!-- table:quick end -->\nrest\n")
    assert "old" not in text
    assert make_readme.update(project, check=False) == []


def test_check_sees_an_edited_number_without_the_run(project):
    make_readme.update(project, check=False)
    (project / "runs/quick/compare.json").unlink()
    assert make_readme.update(project, check=True) == []
    readme = project / "README.md"
    readme.write_text(readme.read_text().replace("0.861", "0.961"))
    assert make_readme.update(project, check=True) == [readme]
    assert "0.961" in readme.read_text()


@pytest.mark.parametrize("text, said", [
    ("<!-- table:quick begin -->\n", "has no partner"),
    ("<!-- table:slow begin -->\n<!-- table:slow end -->\n", "no numbers for table:slow"),
])
def test_marks_that_cannot_be_filled_are_refused(project, text, said):
    (project / "README.md").write_text(text)
    with pytest.raises(SystemExit, match=said):
        make_readme.update(project, check=False)


def test_the_tables_of_this_project_are_those_of_their_numbers(root):
    assert make_readme.update(root, check=True) == []

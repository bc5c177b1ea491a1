"""lora-eval score: what it reads, compares and refuses."""
import json

import pytest

ROWS = [("the cat sat on the mat", ["the cat sat on the mat"]), ("a dog", ["the dog barked at me", "dogs bark"])] * 20


@pytest.fixture
def file(tmp_path):
    def write(name, rows, **more):
        path = tmp_path / name
        path.write_text("".join(json.dumps({"prediction": text, "references": some, **more}) + "\n" for text, some in rows))
        return path

    return write


def scored(run, *options):
    return json.loads(run("lora-eval", "score", "--json", *options).stdout)["systems"]


def test_systems_side_by_side(run, file):
    good = file("good.jsonl", ROWS)
    bad = file("bad.jsonl", [("cat", some) for _, some in ROWS])
    first, second, same = scored(run, "--predictions", good, bad, good, "--metrics", "bleu,rouge_l")
    assert first["name"] == str(good) and first["texts"] == 40
    assert "p_value" not in first["scores"]["bleu"]
    low, high = first["scores"]["rouge_l"]["interval"]
    assert low < first["scores"]["rouge_l"]["value"] < high
    assert second["scores"]["rouge_l"]["p_value"] < 0.01 and same["scores"]["rouge_l"]["p_value"] == 1
    table = run("lora-eval", "score", "--predictions", good, bad, "--metrics", "bleu,rouge_l").stdout
    assert "good.jsonl" in table and " p 0.0" in table and "40 texts" in table


def test_adapters_of_one_file_are_systems(run, tmp_path):
    path = tmp_path / "both.jsonl"
    path.write_text("".join(json.dumps({"prompt": "p", "adapter": name, "text": name, "references": ["x"]}) + "\n"
                            for name in ("x", "y")))
    systems = scored(run, "--predictions", path, "--metrics", "exact_match")
    assert [(each["name"], each["scores"]["exact_match"]["value"]) for each in systems] == [(f"{path}:x", 1), (f"{path}:y", 0)]


def test_mistakes(refuses, file, tmp_path):
    good = file("good.jsonl", ROWS)
    refuses(2, ["no metric", "bluu"], "lora-eval", "score", "--predictions", good, "--metrics", "bluu")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    refuses(3, ["holds no row"], "lora-eval", "score", "--predictions", empty)
    refuses(3, ["line 1", "references"], "lora-eval", "score", "--predictions", file("none.jsonl", [("a", [])]))
    text = tmp_path / "text.jsonl"
    text.write_text('{"references": "a", "prediction": "a"}\n')
    refuses(3, ["line 1", '"references" must be a list of texts, found string', '"reference": "one text"'], "lora-eval", "score", "--predictions", text)
    bare = tmp_path / "bare.jsonl"
    bare.write_text('{"references": ["a"], "completion": "a"}\n')
    refuses(3, ["line 1", '"prediction"'], "lora-eval", "score", "--predictions", bare)
    refuses(3, ["answers other rows"], "lora-eval", "score", "--predictions", good, file("few.jsonl", ROWS[:2]))
    refuses(3, ["row 1 differs"], "lora-eval", "score", "--predictions", good, file("other.jsonl", ROWS[::-1]))

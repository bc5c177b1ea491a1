"""lora-eval compare: intervals, significance, general text, shapes, and the report page."""
import json
from html.parser import HTMLParser

import pytest

HOSTILE = '<script>alert("x")</script> & \'quoted\' \x07'


class Page(HTMLParser):
    """Tags that are closed as they are opened, and what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.references, self.text = [], [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def compared(run, fixtures, tmp_path_factory):
    """A comparison of the tiny Llama with a trained adapter, as JSON, page and table."""
    folder = tmp_path_factory.mktemp("compare")
    rows = [json.loads(line) for line in (fixtures / "train.jsonl").read_text().splitlines()][:24]
    rows[0]["prompt"] = HOSTILE + rows[0]["prompt"]
    data, general = folder / "data.jsonl", folder / "general.txt"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    general.write_text(" ".join(row["prompt"] for row in rows[1:]) * 3)
    model = fixtures / "tiny_llama.pt"
    run("lora-train", "--model", model, "--data", data, "--out", folder / "run", "--steps", 30, "--learning-rate", 0.01)
    result = run("lora-eval", "compare", "--model", model, "--data", data, "--variant", "base", "--variant",
                 f"<b>=run:{folder / 'run'}", "--general", general, "--latency-shapes", "1x4,2x8", "--latency-repeats", 2,
                 "--report", folder / "report.html", "--json", folder / "report.json")
    return json.loads((folder / "report.json").read_text()), (folder / "report.html").read_text(), result.stdout


def test_figures_have_intervals_and_significance(compared):
    base, tuned = compared[0]["variants"]
    for variant in (base, tuned):
        loss = variant["measures"]["loss"]
        assert loss["value"] == pytest.approx(variant["loss"], rel=1e-12)
        assert loss["interval"][0] < loss["value"] < loss["interval"][1]
    assert "p_value" not in base["measures"]["loss"] and tuned["measures"]["loss"]["p_value"] < 0.01
    assert tuned["loss"] < base["loss"]
    assert base["general_loss"]["interval"][0] <= base["general_loss"]["value"] <= base["general_loss"]["interval"][1]
    assert set(base["latencies"]) == {"1 x 4", "2 x 8"}


def test_the_page_stands_alone_and_escapes(compared):
    json_report, html, _ = compared
    page = Page(html)
    assert page.references == [] and "script" not in page.tags and "link" not in page.tags and "url(" not in html
    assert "<script>" in page.text and '"x"' in page.text   # as text
    assert "b" not in page.tags and "<b>" in page.text      # the variant's name
    assert page.tags.count("svg") >= 4 and len(html) < 1_000_000
    assert json_report["prompts"][0] in page.text.replace("\\u{7}", "\x07") or "alert" in page.text
    assert len(json_report["variants"][1]["answers"]) == 3


def test_the_table_fits_a_terminal(compared):
    assert max(map(len, compared[2].splitlines())) <= 125
    assert "bootstrap" in compared[2] and "forward pass, ms" in compared[2]


def test_a_variant_that_predicts_nan_is_refused_by_name(run, refuses, fixtures, tmp_path):
    from safetensors.torch import load_file, save_file
    model, data = fixtures / "tiny_llama.pt", fixtures / "train.jsonl"
    run("lora-train", "--model", model, "--data", data, "--out", tmp_path / "run", "--steps", 2)
    tensors = load_file(tmp_path / "run/adapter/adapter_model.safetensors")
    (tmp_path / "wild").mkdir()
    save_file({name: tensor * 1e30 for name, tensor in tensors.items()}, tmp_path / "wild/adapter_model.safetensors")
    (tmp_path / "wild/adapter_config.json").write_text((tmp_path / "run/adapter/adapter_config.json").read_text())
    refuses(8, ['"wild"', "NaN or Inf", "line 1"], "lora-eval", "compare", "--model", model, "--data", data,
            "--variant", "base", "--variant", f"wild=adapter:{tmp_path / 'wild'}")


def test_mistakes(refuses, fixtures, tmp_path):
    options = ["lora-eval", "compare", "--model", fixtures / "tiny_llama.pt", "--data", fixtures / "train.jsonl", "--variant", "base"]
    refuses(2, ["is none of the variants"], *options, "--baseline", "other")
    refuses(2, ["no shape", "ROWSxTOKENS"], *options, "--latency-shapes", "3")
    refuses(2, ["no shape"], *options, "--latency-shapes", "1x999999")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    refuses(3, ["empty.jsonl"], *options[:4], "--data", empty, "--variant", "base")
    refuses(6, ["none.txt"], *options, "--general", tmp_path / "none.txt")

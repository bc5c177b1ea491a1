"""lora-eval compare: intervals, significance, general text, shapes, and the report page."""
import json
import math
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


@pytest.fixture(scope="module")
def wild(run, fixtures, tmp_path_factory):
    """An adapter of the tiny Llama with finite tensors whose products overflow."""
    from safetensors.torch import load_file, save_file
    folder = tmp_path_factory.mktemp("wild")
    run("lora-train", "--model", fixtures / "tiny_llama.pt", "--data", fixtures / "train.jsonl", "--out", folder / "run", "--steps", 2)
    tensors = load_file(folder / "run/adapter/adapter_model.safetensors")
    save_file({name: tensor * 1e30 for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text((folder / "run/adapter/adapter_config.json").read_text())
    return folder


def test_a_variant_that_predicts_nan_is_refused_by_name(refuses, fixtures, wild):
    refuses(8, ['"wild"', "NaN or Inf", "line 1"], "lora-eval", "compare", "--model", fixtures / "tiny_llama.pt", "--data",
            fixtures / "train.jsonl", "--variant", "base", "--variant", f"wild=adapter:{wild}")


def test_an_adapter_that_writes_nan_is_refused_by_name(refuses, fixtures, wild):
    model = ["--model", fixtures / "tiny_llama.pt", "--threads", 1, "--adapter", f"wild={wild}"]
    for options in ([], ["--beams", 3], ["--recompute"], ["--temperature", 1]):
        refuses(8, ['adapter "wild" predicts NaN or Inf after', "hint: "], "lora-eval", "generate", *model, "--prompt", "the cat", *options)
    refuses(8, ['adapter "wild" predicts NaN or Inf after'], "lora-eval", "chat", *model, input="hello\n")


def test_mistakes(refuses, fixtures, tmp_path):
    options = ["lora-eval", "compare", "--model", fixtures / "tiny_llama.pt", "--data", fixtures / "train.jsonl", "--variant", "base"]
    refuses(2, ["is none of the variants"], *options, "--baseline", "other")
    refuses(2, ["no shape", "ROWSxTOKENS"], *options, "--latency-shapes", "3")
    refuses(2, ["no shape"], *options, "--latency-shapes", "1x999999")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    refuses(3, ["empty.jsonl"], *options[:4], "--data", empty, "--variant", "base")
    refuses(6, ["none.txt"], *options, "--general", tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes("déjà".encode("latin-1"))
    refuses(3, ["latin.txt is no valid UTF-8"], *options, "--general", tmp_path / "latin.txt")
    refuses(2, ["--generate-rows: rows are answered for --metrics only"], *options, "--generate-rows", 5)


def test_names_of_variants_cannot_steer_a_terminal(run, comparison, trained):
    result = run(*comparison("base", f"\x1b[31mred=adapter:{trained.adapter}"), "--latency-repeats", 1, "--samples", 10,
                 "--metrics", "chrf", "--generate-rows", 2, "--max-new-tokens", 2)
    assert "\x1b" not in result.stdout + result.stderr and "red" in result.stdout


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def report_of(run, folder, model, data, *options):
    file = folder / "out.json"
    run("lora-eval", "compare", "--model", model, "--data", data, "--variant", "base", "--samples", 0, "--latency-repeats", 0, "--threads", 1,
        "--json", file, *options)
    return json.loads(file.read_text())


def test_perplexity_by_byte_is_that_of_the_completions_bytes(compared):
    report, html, table = compared
    labelled, size = report["data"]["labelled"], report["data"]["labelled_bytes"]
    for variant in report["variants"]:
        nats = variant["loss"] * labelled
        assert variant["measures"]["perplexity_per_byte"]["value"] == pytest.approx(math.exp(nats / size), rel=1e-12)
        assert variant["measures"]["bits_per_byte"]["value"] == pytest.approx(nats / size / math.log(2), rel=1e-12)
        assert variant["measures"]["perplexity_per_token"]["value"] == pytest.approx(variant["perplexity"], rel=1e-12)
        assert variant["measures"]["bits_per_byte"]["interval"][0] < variant["measures"]["bits_per_byte"]["value"]
    assert "perplexity per byte" in table and "perplexity_per_byte" in html


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2"])
def test_bytes_are_those_of_the_labelled_text(run, fixtures, tmp_path, model):
    rows = [json.loads(line) for line in (fixtures / "train.jsonl").read_text().splitlines()][:20]
    rows[3]["completion"] = " déjà vu — 日本語 🙂"
    file = fixtures / f"{model}.pt"
    completions = report_of(run, tmp_path, file, jsonl(tmp_path / "rows.jsonl", rows))
    assert completions["data"]["labelled_bytes"] == sum(len(row["completion"].encode()) for row in rows)
    text = "".join(row["prompt"] + row["completion"] for row in rows) + " 🙂日本語é" * 30
    texts = jsonl(tmp_path / "text.jsonl", [{"text": text}, {"text": "short — one"}])
    sizes = {report_of(run, tmp_path, file, texts, "--max-length", length)["data"]["labelled_bytes"] for length in (5, 16, 128)}
    whole = len((text + "short — one").encode())
    assert len(sizes) == 1 and whole - 8 <= sizes.pop() <= whole   # at most the first token of each is not predicted


def test_perplexity_does_not_depend_on_the_batch(run, fixtures, tmp_path):
    found = [report_of(run, tmp_path, fixtures / "tiny_llama.pt", fixtures / "train.jsonl", "--batch-tokens", size)["variants"][0]
             for size in (1, 200, 5000)]
    for other in found[1:]:
        for name in ("perplexity_per_byte", "perplexity_per_token", "bits_per_byte"):
            assert other["measures"][name]["value"] == pytest.approx(found[0]["measures"][name]["value"], rel=1e-6)


@pytest.mark.parametrize("model, rows", [("tiny_bert", "classes"), ("tiny_plain", "ids")])
def test_classifiers_and_bare_ids_have_no_bytes(run, fixtures, tmp_path, model, rows):
    report = report_of(run, tmp_path, fixtures / f"{model}.pt", fixtures / f"{rows}.jsonl")
    assert report["data"]["labelled_bytes"] == 0 and "bits_per_byte" not in report["variants"][0]["measures"]


def test_a_shape_beyond_an_untold_context_is_left_out(run, fixtures):
    result = run("lora-eval", "compare", "--model", fixtures / "tiny_plain.pt", "--data", fixtures / "ids.jsonl", "--variant", "base",
                 "--variant", f"same=model:{fixtures / 'tiny_plain.pt'}", "--latency-repeats", 1)
    assert "1 x 128 is left out" in result.stderr and "forward pass, ms" in result.stdout and "128" not in result.stdout


def test_time_to_the_first_token_and_per_further_one(compared):
    report, html, table = compared
    assert "first token" in table and "further token" in table and "Time per token" in html
    for variant in report["variants"]:
        assert set(variant["decode_latencies"]) == {"1 x 32", "8 x 32"}
        for times in variant["decode_latencies"].values():
            for part in ("first_token", "further_token"):
                assert 0 < times[part]["least_ms"] <= times[part]["median_ms"] <= times[part]["most_ms"]


@pytest.fixture(scope="module")
def scored(run, fixtures, tmp_path_factory):
    """Text metrics of the base and a trained adapter, in a comparison, and by generate and score."""
    folder = tmp_path_factory.mktemp("texts")
    rows = [json.loads(line) for line in (fixtures / "train.jsonl").read_text().splitlines()][:20]
    rows = [{**row, "references": [row["completion"].strip(), "another"]} for row in rows]
    data, model = jsonl(folder / "data.jsonl", rows), fixtures / "tiny_llama.pt"
    run("lora-train", "--model", model, "--data", data, "--out", folder / "run", "--steps", 60, "--learning-rate", 0.01)
    run("lora-eval", "compare", "--model", model, "--data", data, "--variant", "base", "--variant", f"tuned=run:{folder / 'run'}",
        "--metrics", "bleu,rouge_l", "--generate-rows", 15, "--max-new-tokens", 12, "--latency-repeats", 0,
        "--report", folder / "report.html", "--json", folder / "report.json")
    few = jsonl(folder / "few.jsonl", rows[:15])
    for name, beside in (("base", []), ("tuned", ["--adapter", f"it={folder / 'run/adapter'}"])):
        run("lora-eval", "generate", "--model", model, *beside, "--data", few, "--max-new-tokens", 12, "--out", folder / f"{name}.jsonl")
    systems = json.loads(run("lora-eval", "score", "--predictions", folder / "base.jsonl", folder / "tuned.jsonl", "--metrics",
                             "bleu,rouge_l", "--json").stdout)
    return json.loads((folder / "report.json").read_text()), (folder / "report.html").read_text(), systems


def test_texts_in_a_comparison_score_as_generate_and_score_do(scored):
    report, html, systems = scored
    assert report["texts"] == {"rows": 15, "max_new_tokens": 12, "definitions": systems["definitions"]}
    for variant, system in zip(report["variants"], systems["systems"]):
        assert variant["text_scores"] == system["scores"]
    base, tuned = (variant["text_scores"]["rouge_l"] for variant in report["variants"])
    assert tuned["value"] > base["value"] and tuned["p_value"] < 0.05
    assert [len(variant["answers"]) for variant in report["variants"]] == [15, 15]
    text = Page(html).text
    assert "Generated texts" in text and "rouge_l" in text and "15 prompts" in text


def test_text_metrics_read_arrays_and_named_fields(run, fixtures, tmp_path):
    rows = [json.loads(line) for line in (fixtures / "train.jsonl").read_text().splitlines()][:6]
    plain = jsonl(tmp_path / "rows.jsonl", rows)
    named = tmp_path / "named.json"
    named.write_text(json.dumps([{"question": row["prompt"], "answer": row["completion"]} for row in rows]))
    options = ["--metrics", "chrf", "--max-new-tokens", 5, "--generate-rows", 4]
    first, second = (report_of(run, tmp_path, fixtures / "tiny_llama.pt", *data, *options)
                     for data in ([plain], [named, "--fields", "prompt=question", "completion=answer"]))
    assert first["variants"][0]["text_scores"] == second["variants"][0]["text_scores"]
    assert first["variants"][0]["text_scores"]["chrf"]["value"] > 0 and first["texts"]["rows"] == 4
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"prompt": 7, "completion": "x"}\n' + plain.read_text())
    third = report_of(run, tmp_path, fixtures / "tiny_llama.pt", broken, "--skip-bad", 1, *options)
    assert third["variants"][0]["text_scores"] == first["variants"][0]["text_scores"]
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps(rows))
    lines = [run("lora-eval", "generate", "--model", fixtures / "tiny_llama.pt", "--data", file, "--max-new-tokens", 5,
                 "--json").stdout for file in (plain, prompts)]
    assert lines[0] == lines[1] and len(lines[0].splitlines()) == 6


def test_rows_of_every_shape_are_answered_in_the_report(run, fixtures, tmp_path):
    chat = [{"messages": [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": f"answer {i}"}]} for i in range(3)]
    instructions = [{"instruction": f"question {i}", "input": "", "output": f" answer {i}"} for i in range(3)]
    for model in ("tiny_llama", "tiny_gpt2"):   # with and without a chat template
        for rows in (chat, instructions):
            data = jsonl(tmp_path / "rows.jsonl", rows)
            report = report_of(run, tmp_path, fixtures / f"{model}.pt", data, "--report", tmp_path / "page.html", "--max-new-tokens", 4)
            assert report["expected"] == ["answer 0", "answer 1", "answer 2"]
            assert [text[-10:] for text in report["prompts"]] == ["question 0", "question 1", "question 2"]
            assert len(report["variants"][0]["answers"]) == 3
            measured = report_of(run, tmp_path, fixtures / f"{model}.pt", data, "--metrics", "chrf", "--max-new-tokens", 4)
            lines = run("lora-eval", "generate", "--model", fixtures / f"{model}.pt", "--data", data, "--max-new-tokens", 4, "--json").stdout
            written = [json.loads(line) for line in lines.splitlines()]
            assert [row["text"] for row in written] == measured["variants"][0]["answers"] == report["variants"][0]["answers"]
            assert [row["references"] for row in written] == [["answer 0"], ["answer 1"], ["answer 2"]]


def test_models_without_a_cache_have_no_times_per_token(run, fixtures, tmp_path):
    report = report_of(run, tmp_path, fixtures / "tiny_bert.pt", fixtures / "classes.jsonl", "--latency-repeats", 1)
    assert report["variants"][0]["decode_latencies"] == {} and set(report["variants"][0]["latencies"]) == {"1 x 1", "1 x 128"}
    alone = report_of(run, tmp_path, fixtures / "tiny_llama.pt", fixtures / "valid.jsonl", "--latency-repeats", 1,
                      "--decode-shapes", "2x7")
    assert set(alone["variants"][0]["decode_latencies"]) == {"2 x 7"}


def test_text_metrics_refuse_what_has_no_texts(refuses, fixtures, tmp_path):
    options = ["lora-eval", "compare", "--variant", "base", "--metrics", "bleu"]
    refuses(2, ["classifier, which writes none"], *options, "--model", fixtures / "tiny_bert.pt", "--data", fixtures / "classes.jsonl")
    refuses(2, ['no metric is called "bluu"'], *options[:-1], "bluu", "--model", fixtures / "tiny_llama.pt", "--data",
            fixtures / "train.jsonl")
    messages = jsonl(tmp_path / "open.jsonl", [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"},
                                                             {"role": "user", "content": "hey"}]}])
    refuses(3, ["open.jsonl line 1", "--metrics has nothing to compare"], *options, "--model", fixtures / "tiny_llama.pt", "--data", messages)
    refuses(2, ["--decode-shapes", "8 more are written"], *options[:4], "--model", fixtures / "tiny_llama.pt", "--data",
            fixtures / "train.jsonl", "--decode-shapes", "1x125")


def test_every_kind_of_variant_writes_what_generate_writes(run, fixtures, tmp_path):
    model = fixtures / "tiny_gpt2.pt"
    data = jsonl(tmp_path / "rows.jsonl", [json.loads(line) for line in (fixtures / "train.jsonl").read_text().splitlines()[:10]])
    for name, options in (("lora", []), ("bias", ["--method", "bitfit"]), ("full", ["--method", "full"])):
        run("lora-train", "--model", model, "--data", data, "--out", tmp_path / name, "--steps", 20, "--learning-rate", 0.01, "--threads", 1, *options)
    run("lora-merge", "bake", "--model", model, "--adapter", tmp_path / "lora/adapter", "--out", tmp_path / "merged.pt")
    report = report_of(run, tmp_path, model, data, "--variant", *(f"{name}=run:{tmp_path / name}" for name in ("lora", "bias", "full")),
                       f"merged=model:{tmp_path / 'merged.pt'}", "--metrics", "chrf", "--max-new-tokens", 8)
    sources = [[model], [model, "--adapter", f"x={tmp_path / 'lora/adapter'}"], [model, "--adapter", f"x={tmp_path / 'bias/adapter'}"],
               [tmp_path / "full/model.pt"], [tmp_path / "merged.pt"]]
    expected = []
    for source in sources:
        lines = run("lora-eval", "generate", "--model", *source, "--data", data, "--max-new-tokens", 8, "--json", "--threads", 1).stdout
        expected.append([json.loads(line)["text"] for line in lines.splitlines()])
    assert [variant["answers"] for variant in report["variants"]] == expected
    assert len({tuple(texts) for texts in expected}) >= 4

"""Rewrites of the graph, packing and precision against the plain graph: the same training, told by its losses."""
import json

import pytest
import tiny_models
from cases import tiny, write_rows
from modelfile import CLASSIFICATION, export, exporter
from modelfile.loading import Wish
from modelfile.source import read_source
from reference_training import LOSS, trace_of_run

OPTIONS = ["--steps", 12, "--batch-size", 4, "--learning-rate", 3e-3, "--warmup", 0, "--threads", 1, "--no-shuffle"]


@pytest.fixture
def losses(fixtures, run, tmp_path):
    """losses(name, option, ...) -> nats of each update of a short training."""

    def call(name, *options, file=None):
        case = tiny(fixtures, name)
        data, out = write_rows(tmp_path / "rows.jsonl", case.rows), tmp_path / "run"
        run("lora-train", "--model", file or case.file, "--data", data, "--out", out, "--overwrite", *OPTIONS, *options)
        return trace_of_run(out).losses

    return call


@pytest.fixture
def plan(fixtures, run, tmp_path):
    def call(name, *options, file=None):
        case = tiny(fixtures, name)
        data = write_rows(tmp_path / "rows.jsonl", case.rows)
        return json.loads(run("lora-train", "--model", file or case.file, "--data", data, "--dry-run", "--json",
                              "--threads", 1, *options).stdout)

    return call


@pytest.fixture
def eager(fixtures, tmp_path, monkeypatch):
    """eager(name) -> a file of the same network, traced with attention written out."""

    def call(name):
        monkeypatch.setattr(exporter, "_attentions", lambda model: ["eager"])
        loaded, extras = read_source(fixtures / f"hf/tiny_{name}", Wish())
        extras.head_modules = ["classifier"] if loaded.task == CLASSIFICATION else []   # as the fixture
        export(loaded.model, tmp_path / f"{name}.pt", loaded.task, extras)
        return tmp_path / f"{name}.pt"

    return call


def test_the_plan_tells_what_is_rewritten(plan):
    llama = plan("llama")
    layers = llama["rewrites"]["attention"]
    assert llama["rewrites"] == {"norm": 2 * layers + 1, "mlp": layers, "rotary": 2 * layers, "attention": layers,
                                 "rows": 1, "shared": 2 * layers}
    assert llama["packed"] and llama["padding_share"] == 0
    assert set(plan("bert")["rewrites"]) == {"attention", "shared"}
    assert set(plan("gpt2")["rewrites"]) == {"gelu", "attention", "rows"}    # whose last view takes sizes from the ids
    plain = plan("llama", "--rewrites", "none")
    assert plain["rewrites"] == {} and not plain["packed"] and plain["padding_share"] > 0
    assert plan("llama", "--rewrites", "norm,mlp")["rewrites"] == {"norm": 2 * layers + 1, "mlp": layers}


@pytest.mark.parametrize("name", ["llama", "gpt2", "neox", "bert", "plain"])
@pytest.mark.parametrize("options", [[], ["--method", "full", "--learning-rate", 3e-4], ["--method", "dora"],
                                     ["--batch-tokens", 40]], ids=["lora", "full", "dora", "micro-batches"])
def test_training_is_the_plain_graphs(losses, name, options):
    plain = losses(name, "--rewrites", "none", "--no-pack", *options)
    assert len(set(plain)) == len(plain)
    assert losses(name, *options) == pytest.approx(plain, rel=LOSS)
    assert losses(name, "--no-pack", *options) == pytest.approx(plain, rel=LOSS)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_attention_written_out_is_rewritten_like_the_fused_one(losses, plan, eager, name):
    file = eager(name)
    assert plan(name, file=file)["rewrites"] == plan(name)["rewrites"]
    assert plan(name, file=file)["rewrites_left_plain"] == {}
    plain = losses(name, "--rewrites", "none", "--no-pack", file=file)
    assert losses(name, file=file) == pytest.approx(plain, rel=LOSS)
    assert losses(name, "--no-pack", file=file) == pytest.approx(plain, rel=LOSS)
    assert losses(name) == pytest.approx(plain, rel=LOSS)


@pytest.mark.parametrize("name", ["bloom", "falcon_alibi"])
def test_attention_with_a_bias_stays_plain_and_the_plan_says_so(run, tmp_path, name):
    export(tiny_models.language_model(name), tmp_path / "biased.pt")
    ids = [[1 + (start + i) % 9 for i in range(6 + start)] for start in range(3)]
    rows = [{"input_ids": row, "labels": row} for row in ids]
    command = ["lora-train", "--model", tmp_path / "biased.pt", "--data", write_rows(tmp_path / "rows.jsonl", rows),
               "--dry-run", "--threads", 1]
    plan = json.loads(run(*command, "--json").stdout)
    assert "attention" not in plan["rewrites"] and plan["rewrites_left_plain"] == {"attention": 2}
    assert "attention 0 (2 plain)" in run(*command).stdout


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
@pytest.mark.parametrize(("precision", "first", "distance"), [("bf16", 0.01, 0.03), ("fp16", 0.002, 0.004)])
def test_narrow_products_stay_near(losses, name, precision, first, distance):
    exact = losses(name)
    near = losses(name, "--precision", precision)
    assert near != exact
    assert near[0] == pytest.approx(exact[0], rel=first)    # the products alone
    # Adam divides gradients by their own size: the classifier's, of few labels, change sign with each processor's sums.
    assert near == pytest.approx(exact, rel=0.03 if name == "bert" else distance)


def test_an_unknown_rewrite_is_refused(fixtures, run, tmp_path):
    case = tiny(fixtures, "llama")
    data = write_rows(tmp_path / "rows.jsonl", case.rows)
    result = run("lora-train", "--model", case.file, "--data", data, "--dry-run", "--rewrites", "norms", code=2)
    assert 'no rewrite is called "norms"' in result.stderr
    assert "give all, none, or some of norm, gelu, mlp, rotary, attention, rows, shared" in result.stderr

"""Rewrites of the graph, packing and precision against the plain graph: the same training, told by its losses."""
import json

import pytest
from cases import tiny, write_rows
from reference_training import LOSS, trace_of_run

OPTIONS = ["--steps", 12, "--batch-size", 4, "--learning-rate", 3e-3, "--warmup", 0, "--threads", 1, "--no-shuffle"]


@pytest.fixture
def losses(fixtures, run, tmp_path):
    """losses(name, option, ...) -> nats of each update of a short training."""

    def call(name, *options):
        case = tiny(fixtures, name)
        data, out = write_rows(tmp_path / "rows.jsonl", case.rows), tmp_path / "run"
        run("lora-train", "--model", case.file, "--data", data, "--out", out, "--overwrite", *OPTIONS, *options)
        return trace_of_run(out).losses

    return call


@pytest.fixture
def plan(fixtures, run, tmp_path):
    def call(name, *options):
        case = tiny(fixtures, name)
        data = write_rows(tmp_path / "rows.jsonl", case.rows)
        return json.loads(run("lora-train", "--model", case.file, "--data", data, "--dry-run", "--json", "--threads", 1,
                              *options).stdout)

    return call


def test_the_plan_tells_what_is_rewritten(plan):
    llama = plan("llama")
    layers = llama["rewrites"]["attention"]
    assert llama["rewrites"] == {"norm": 2 * layers + 1, "mlp": layers, "rotary": 2 * layers, "attention": layers}
    assert llama["packed"] and llama["padding_share"] == 0
    assert set(plan("bert")["rewrites"]) == {"attention"}
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
def test_bfloat16_products_stay_near(losses, name):
    exact = losses(name)
    near = losses(name, "--precision", "bf16")
    assert near != exact
    assert near == pytest.approx(exact, rel=0.03)


def test_an_unknown_rewrite_is_refused(fixtures, run, tmp_path):
    case = tiny(fixtures, "llama")
    data = write_rows(tmp_path / "rows.jsonl", case.rows)
    result = run("lora-train", "--model", case.file, "--data", data, "--dry-run", "--rewrites", "norms", code=2)
    assert 'no rewrite is called "norms"' in result.stderr
    assert "give all, none, or some of norm, mlp, rotary, attention" in result.stderr

"""What is kept for later runs: tokens, facts about model files, activations below what is trained. None of it changes a
result, and damage is noticed."""
import json
import shutil

import pytest

LOSS = 1e-5    # relative: products of other shapes round otherwise


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "kept"


def entries(cache, kind):
    return sorted(cache.glob(f"{kind}-*"))


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def adapter(folder):
    return (folder / "adapter/adapter_model.safetensors").read_bytes()


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("options", [[], ["--loss-on", "all", "--max-length", 60], ["--limit", 9, "--threads", 2]])
def test_runs_with_kept_tokens_are_those_without(run, train, tmp_path, cache, options):
    run(*train(*options, "--cache", "none", out=tmp_path / "plain"))
    first = run(*train(*options, "--cache", cache, out=tmp_path / "first"))
    kept = entries(cache, "tokens")
    second = run(*train(*options, "--cache", cache, out=tmp_path / "second"))
    assert len(kept) == 1 and entries(cache, "tokens") == kept
    assert losses(tmp_path / "first") == losses(tmp_path / "second") == losses(tmp_path / "plain")
    assert "damaged" not in first.stderr + second.stderr
    summary = [line for line in first.stderr.splitlines() if "rows," in line]
    assert summary and summary == [line for line in second.stderr.splitlines() if "rows," in line]


def test_other_options_and_other_content_are_other_tokens(run, train, tmp_path, cache, fixtures):
    data = tmp_path / "rows.jsonl"
    shutil.copy(fixtures / "train.jsonl", data)
    for options in [[], ["--loss-on", "all"], ["--limit", 8], ["--max-length", 60]]:
        run(*train("--cache", cache, "--overwrite", *options, data=data))
    assert len(entries(cache, "tokens")) == 4
    data.write_text(data.read_text().replace("e", "a", 1))
    run(*train("--cache", cache, "--overwrite", data=data))
    assert len(entries(cache, "tokens")) == 5


@pytest.mark.parametrize("kind", ["tokens", "model"])
def test_damaged_entries_are_made_again(run, train, tmp_path, cache, kind):
    run(*train("--cache", cache, out=tmp_path / "first"))
    for entry in entries(cache, kind):
        flip_a_bit(entry)
    second = run(*train("--cache", cache, out=tmp_path / "second"))
    assert "damaged" in second.stderr
    assert losses(tmp_path / "first") == losses(tmp_path / "second")
    assert "damaged" not in run(*train("--cache", cache, out=tmp_path / "third")).stderr


def test_a_model_file_that_changed_is_looked_at_again(run, refuses, train, tmp_path, cache, base):
    model = tmp_path / "model.pt"
    shutil.copy(base, model)
    run(*train("--cache", cache, model=model))
    run(*train("--cache", cache, "--overwrite", model=model))
    flip_a_bit(model)
    refuses(4, ["is damaged"], *train("--cache", cache, "--overwrite", model=model))


def test_a_full_cache_keeps_the_newest(run, train, tmp_path, cache):
    run(*train("--cache", cache, "--cache-gib", 1e-5, "--overwrite"))
    run(*train("--cache", cache, "--cache-gib", 1e-5, "--overwrite", "--limit", 4))
    assert sum(entry.stat().st_size for entry in cache.iterdir()) <= 1e-5 * 2**30


def test_layers_below_the_adapters_are_computed_once(run, train, tmp_path, cache):
    options = ["--layers", "last:1", "--steps", 40, "--batch-size", 16, "--profile"]
    run(*train(*options, "--no-cache-activations", out=tmp_path / "plain"))
    first = run(*train(*options, "--cache", cache, out=tmp_path / "first"))
    again = run(*train(*options, "--cache", cache, out=tmp_path / "again"))
    assert "what enters the first trained layer is kept" in first.stderr
    plain = losses(tmp_path / "plain")
    assert losses(tmp_path / "first") == pytest.approx(plain, rel=LOSS)
    assert losses(tmp_path / "again") == pytest.approx(plain, rel=LOSS)
    products = {run: json.loads((tmp_path / run / "report.json").read_text())["profile"]["phases"]["forward"]["gemm_flops"]
                for run in ("plain", "first", "again")}
    assert products["again"] < products["first"] < products["plain"]
    [kept] = entries(cache, "activations")
    flip_a_bit(kept)
    damaged = run(*train(*options, "--cache", cache, out=tmp_path / "damaged"))
    assert "damaged, and computed again" in damaged.stderr
    assert losses(tmp_path / "damaged") == pytest.approx(plain, rel=LOSS)


def test_one_epoch_keeps_no_activations(run, train, cache):
    result = run(*train("--layers", "last:1", "--epochs", 1, "--cache", cache))
    assert "what enters" not in result.stderr and not entries(cache, "activations")

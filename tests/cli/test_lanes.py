"""lora-train --lanes: threads that share the rows of an update train what one alone trains."""
import json
import re

import pytest

LENGTHS = [90, 70, 80, 60, 75, 85]


@pytest.fixture
def train(run, base, tmp_path):
    """train(name, option, ...): losses of four updates on two threads, the trained values, and in how many lanes."""
    data = tmp_path / "rows.jsonl"
    rows = [[3 + (7 * row + 5 * i) % 60 for i in range(length)] for row, length in enumerate(LENGTHS * 4)]
    data.write_text("".join(json.dumps({"input_ids": ids, "labels": ids}) + "\n" for ids in rows))

    def call(name, *options):
        result = run("lora-train", "--model", base, "--data", data, "--out", tmp_path / name, "--steps", 4,
                     "--batch-size", len(LENGTHS), "--threads", 2, "--learning-rate", "1e-2", "--rank", 2, "--targets", "qv",
                     *options)
        lines = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        adapter = tmp_path / name / "adapter/adapter_model.safetensors"
        values = adapter.read_bytes() if adapter.exists() else b""
        lanes = re.search(r", in (\d+) lanes$", result.stderr, re.MULTILINE)
        return [line["loss"] for line in lines], values[8 + int.from_bytes(values[:8], "little"):], int(lanes[1]) if lanes else 1

    return call


@pytest.mark.parametrize("options", [[], ["--no-pack"], ["--method", "dora"], ["--freeze-a"]])
def test_the_losses_are_those_of_one_lane(train, options):
    shared, _, lanes = train("shared", *options)
    alone, _, one = train("alone", "--lanes", 1, *options)
    assert (lanes, one) == (2, 1)
    assert shared == pytest.approx(alone, rel=2e-5)
    assert len(set(alone)) == 4


@pytest.mark.parametrize("options", [[], ["--dropout", "0.2"]])
def test_every_run_has_the_same_bits(train, options):
    first, second = train("first", *options), train("second", *options)
    assert first == second and first[2] == 2


def test_more_lanes_than_rows(train):
    losses, _, lanes = train("many", "--lanes", 9)
    assert lanes == 9 and losses == pytest.approx(train("one", "--lanes", 1)[0], rel=2e-5)


@pytest.mark.parametrize("options", [["--method", "full"], ["--checkpoint-activations"], ["--batch-size", 1], ["--threads", 1]])
def test_where_lanes_do_not_pay_there_is_one(train, options):
    assert train("run", *options)[2] == 1


def test_lanes_that_cannot_be(refuses, base, fixtures, tmp_path):
    refuses(2, ["--lanes are for CPUs, and not for --checkpoint-activations"], "lora-train", "--model", base, "--data",
            fixtures / "train.jsonl", "--out", tmp_path / "run", "--lanes", 2, "--checkpoint-activations")

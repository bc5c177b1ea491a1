"""combine, resize and extract refuse what does not fit, and leave nothing behind."""
import shutil

import pytest

USAGE, FILE, MISMATCH, IO = 2, 4, 5, 6


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def nothing_in(out):
    return not (out / "adapter_config.json").exists()


def test_malformed_weights_are_listed_with_the_form(refuses, trained, out):
    refuses(USAGE, ["2 of 3", "DIR:WEIGHT", ":half", ":0"], "lora-merge", "combine", trained.adapter,
            f"{trained.adapter}:half", f"{trained.adapter}:0", "--out", out)
    assert nothing_in(out)


def test_an_adapter_that_is_none(refuses, trained, out, tmp_path):
    refuses(IO, ["does not exist"], "lora-merge", "combine", trained.adapter, tmp_path / "none", "--out", out)
    refuses(FILE, ["is a run folder"], "lora-merge", "resize", trained.run, "--rank", 2, "--out", out)
    assert nothing_in(out)


def test_damaged_adapters(refuses, trained, out, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(trained.adapter, damaged)
    file = damaged / "adapter_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    refuses(FILE, ["sha256"], "lora-merge", "combine", trained.adapter, damaged, "--out", out)
    refuses(FILE, ["sha256"], "lora-merge", "resize", damaged, "--rank", 2, "--out", out)
    assert nothing_in(out)


def test_an_output_is_never_an_input_nor_replaced_unasked(run, refuses, trained, out):
    resize = ["lora-merge", "resize", trained.adapter, "--rank", 2, "--out"]
    refuses(USAGE, ["is an input"], *resize, trained.adapter, "--overwrite")
    run(*resize, out)
    before = (out / "adapter_model.safetensors").read_bytes()
    refuses(USAGE, ["holds an adapter", "--overwrite"], "lora-merge", "combine", trained.adapter, "--out", out)
    assert (out / "adapter_model.safetensors").read_bytes() == before


def test_extracting_from_a_model_and_itself(refuses, base, trained, out):
    refuses(MISMATCH, ["targets differs"], "lora-merge", "extract", "--base", base, "--tuned", base,
            "--rank", 2, "--out", out)
    refuses(USAGE, ["exactly one of"], "lora-merge", "extract", "--base", base, "--tuned", trained.merged,
            "--out", out)
    assert nothing_in(out)


def test_extraction_undoes_baking(run, base, trained, out):
    result = run("lora-merge", "extract", "--base", base, "--tuned", trained.merged, "--error", 1e-3, "--out", out)
    assert "relative error of all changes" in result.stdout
    run("lora-merge", "bake", "--model", base, "--adapter", out, "--out", out / "again.pt")

"""Merging into the Hugging Face folder that a model was exported from."""
import json
import resource

import pytest
import torch
import tiny_models
from modelfile import LANGUAGE_MODEL, Extras, export
from peft import PeftModel
from reference_training import logits_of, padded
from transformers import AutoModelForCausalLM

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 5e-2}   # of the largest logit


class Source:
    """A tiny model as a folder in several shards, and exported."""

    def __init__(self, folder, dtype):
        self.live = tiny_models.language_model("llama").to(dtype).eval()
        self.folder, self.file = folder / "hf", folder / "base.pt"
        self.live.save_pretrained(self.folder, max_shard_size="20KB")
        (self.folder / "tokenizer.json").write_text("{}")
        (self.folder / "pytorch_model.bin").write_text("weights in another format")
        export(AutoModelForCausalLM.from_pretrained(self.folder, dtype=dtype).eval(), self.file, LANGUAGE_MODEL,
               Extras(name="tiny"))
        rows = [{"input_ids": list(range(5, 5 + length)), "labels": []} for length in (9, 6, 3)]
        self.batch = {name: padded(rows)[name] for name in ("input_ids", "attention_mask")}

    @torch.no_grad()
    def logits(self, model):
        return logits_of(model.eval(), self.batch)[self.batch["attention_mask"].bool()].float()


def weight_files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_transformers_reads_the_merged_folder_and_restoring_gives_its_bytes(run, tmp_path, dtype):
    source = Source(tmp_path, dtype)
    assert len(weight_files(source.folder)) > 1
    run("make_adapter", source.file, tmp_path / "adapter", "all-linear", "-", 4, 6)
    out = tmp_path / "merged"
    report = json.loads(run("lora-merge", "bake", "--model", source.file, "--adapter", tmp_path / "adapter",
                            "--hf", source.folder, "--out", out, "--undo", tmp_path / "undo", "--json").stdout)
    before = source.logits(source.live)
    ours = source.logits(AutoModelForCausalLM.from_pretrained(out, dtype=dtype))
    theirs = source.logits(PeftModel.from_pretrained(source.live, tmp_path / "adapter").merge_and_unload())
    scale = theirs.abs().max()
    assert (ours - theirs).abs().max() < TOLERANCE[dtype] * scale
    assert (before - theirs).abs().max() > 0.1 * scale
    assert report["untouched"] == [] and len(report["modules"]) > 5
    assert (out / "tokenizer.json").exists() and not (out / "pytorch_model.bin").exists()
    assert weight_files(out).keys() == weight_files(source.folder).keys()
    run("lora-merge", "restore", out, "--undo", tmp_path / "undo", "--out", tmp_path / "back")
    assert weight_files(tmp_path / "back") == weight_files(source.folder)
    again = run("lora-merge", "bake", "--model", source.file, "--adapter", tmp_path / "adapter", "--hf", out,
                "--out", tmp_path / "twice", code=5)
    assert "already merged" in again.stderr


def test_the_folder_of_another_model_is_refused_with_every_tensor_that_differs(run, tmp_path):
    source = Source(tmp_path, torch.float32)
    run("make_adapter", source.file, tmp_path / "adapter", "qv", "-", 4, 6)
    with torch.no_grad():
        source.live.model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
        source.live.model.norm.weight[1] += 1e-3
    source.live.save_pretrained(tmp_path / "other")
    result = run("lora-merge", "bake", "--model", source.file, "--adapter", tmp_path / "adapter",
                 "--hf", tmp_path / "other", "--out", tmp_path / "merged", code=5)
    assert "2 tensors differ" in result.stderr
    assert "model.layers.0.mlp.up_proj.weight" in result.stderr and "model.norm.weight" in result.stderr
    assert not list((tmp_path / "merged").glob("*.safetensors"))
    result = run("lora-merge", "bake", "--model", source.file, "--adapter", tmp_path / "adapter",
                 "--hf", tmp_path / "adapter", "--out", tmp_path / "merged", code=4)
    assert "config.json" in result.stderr


def test_a_full_disk_leaves_the_older_folder_as_it_was(run, tmp_path):
    source = Source(tmp_path, torch.float32)
    run("make_adapter", source.file, tmp_path / "adapter", "qv", "-", 4, 6)
    out = tmp_path / "out/merged"
    command = ["lora-merge", "bake", "--model", source.file, "--adapter", tmp_path / "adapter", "--hf", source.folder,
               "--out", out]
    run(*command)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    size = max(len(content) for content in before.values()) - 1
    result = run(*command, "--overwrite", code=6,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert f'cannot write "{out}/model-' in result.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in out.parent.iterdir()] == ["merged"]

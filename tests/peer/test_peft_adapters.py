"""Adapter folders in both directions: PEFT loads ours and we load PEFT's, with equal logits. Baking equals
PEFT's merge."""
import json
import warnings
from typing import NamedTuple

import cases
import pytest
import tiny_models
import torch
from modelfile import CLASSIFICATION, LANGUAGE_MODEL, Extras, export
from peft import LoraConfig, PeftModel, TrainableTokensConfig, get_peft_model
from reference_training import logits_of, padded
from safetensors.torch import load_file, save_file

TOLERANCE = 2e-5   # of the largest logit: float32 sums in another order, over three layers


class Base(NamedTuple):
    file: object
    live: torch.nn.Module
    batch: dict


@pytest.fixture
def base(fixtures, tmp_path_factory):
    """base("llama") of the fixtures, or base("roberta", classifier=True) exported from tiny_models."""

    def make(name, classifier=False):
        if (fixtures / f"tiny_{name}.pt").exists() and not classifier:
            case = cases.tiny(fixtures, name)
            return Base(case.file, case.live.eval(), batch_of(case.rows[:4]))
        live = tiny_models.classifier(name) if classifier else tiny_models.language_model(name)
        file = tmp_path_factory.mktemp(name) / f"{name}.pt"
        heads = ["classifier"] if classifier else []
        task = CLASSIFICATION if classifier else LANGUAGE_MODEL
        export(live, file, task, Extras(name=name, head_modules=heads))
        generator = torch.Generator().manual_seed(0)
        rows = [{"input_ids": torch.randint(5, tiny_models.VOCAB, (length,), generator=generator).tolist(),
                 "labels": []} for length in (9, 6, 3)]
        return Base(file, live.eval(), batch_of(rows))

    return make


def batch_of(rows):
    return {name: padded(rows)[name] for name in ("input_ids", "attention_mask")}


@pytest.fixture
def tool(run, tmp_path):
    """tool(base, adapter) -> our logits at the real tokens (of a classifier: all)."""

    def logits(base, adapter):
        out = tmp_path / "logits.safetensors"
        rows = {name: tensor.tolist() for name, tensor in base.batch.items()}
        run("adapter_logits", base.file, adapter, out, input=json.dumps(rows))
        return real(load_file(out)["logits"], base.batch)

    return logits


def real(logits, batch):
    """Positions that are not padding."""
    return logits[batch["attention_mask"].bool()] if logits.dim() == 3 else logits


@torch.no_grad()
def live_logits(model, batch):
    return real(logits_of(model.eval(), batch), batch)


def randomise(model):
    """Every trained tensor is random: zeros would hide mistakes."""
    torch.manual_seed(5)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)


def assert_close(ours, theirs, unlike):
    """Equal to rounding, and not by doing nothing."""
    scale = float(theirs.abs().max())
    assert float((ours - theirs).abs().max()) < TOLERANCE * scale
    assert float((unlike - theirs).abs().max()) > 1e-2 * scale


LLAMA_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Tokens that occur in the batches, not in rising order.
LLAMA_TOKENS, NEOX_TOKENS = [43, 286, 16], [41, 284, 14]
FROM_PEFT = {
    "q and v": ("llama", {"target_modules": ["q_proj", "v_proj"]}),
    "all-linear": ("llama", {"target_modules": "all-linear"}),
    "regular expression": ("llama", {"target_modules": r".*layers\.[02]\..*\.(up|down)_proj"}),
    "some layers": ("llama", {"target_modules": LLAMA_LINEAR, "layers_to_transform": [1, 2]}),
    "exclusions": ("llama", {"target_modules": LLAMA_LINEAR, "exclude_modules": ["down_proj"]}),
    "rank and alpha patterns": ("llama", {
        "target_modules": LLAMA_LINEAR, "r": 4, "lora_alpha": 6,
        "rank_pattern": {r"layers\.0\..*q_proj": 7, "q_proj": 2, "up_proj": 3},
        "alpha_pattern": {"^model.layers.1.mlp.down_proj": 1, "v_proj": 20}}),
    "rank-stabilised scale": ("llama", {"target_modules": ["q_proj"], "use_rslora": True}),
    "embedding": ("llama", {"target_modules": ["embed_tokens", "v_proj"]}),
    "untied head": ("neox", {"target_modules": ["lm_head", "dense"]}),
    "orthogonal start": ("llama", {"target_modules": ["q_proj"], "init_lora_weights": "orthogonal"}),
    "Conv1D": ("gpt2", {"target_modules": ["c_attn"], "fan_in_fan_out": True}),
    "Conv1D everywhere, embeddings": ("gpt2", {
        "target_modules": ["c_attn", "c_proj", "c_fc", "wte", "wpe"], "fan_in_fan_out": True}),
    "fused projection": ("neox", {"target_modules": ["query_key_value", "dense_4h_to_h"]}),
    "classifier": ("bert", {"target_modules": ["query", "value", "word_embeddings"], "task_type": "SEQ_CLS"}),
    "DoRA": ("llama", {"target_modules": ["q_proj", "v_proj"], "use_dora": True}),
    "DoRA, all-linear": ("llama", {"target_modules": "all-linear", "use_dora": True, "use_rslora": True}),
    "DoRA, Conv1D": ("gpt2", {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True,
                              "use_dora": True}),
    "DoRA, embedding": ("llama", {"target_modules": ["embed_tokens", "v_proj"], "use_dora": True}),
    "DoRA, fused projection": ("neox", {"target_modules": ["query_key_value", "dense"], "use_dora": True}),
    "biases of the adapted": ("gpt2", {"target_modules": ["c_attn"], "fan_in_fan_out": True,
                                       "bias": "lora_only"}),
    "all biases": ("neox", {"target_modules": ["query_key_value"], "bias": "all"}),
    "all biases, DoRA": ("gpt2", {"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True, "bias": "all",
                                  "use_dora": True}),
    "all biases, classifier": ("bert", {"target_modules": ["query"], "bias": "all", "task_type": "SEQ_CLS"}),
    "token rows, tied head": ("llama", {"target_modules": ["q_proj"], "trainable_token_indices": LLAMA_TOKENS}),
    "token rows, own head": ("neox", {"target_modules": ["dense"], "trainable_token_indices": {
        "embed_in": NEOX_TOKENS}}),
    "token rows of the own head": ("neox", {"target_modules": ["dense"], "trainable_token_indices": {
        "embed_in": NEOX_TOKENS, "lm_head": [9]}}),
}


@pytest.mark.parametrize("name, options", FROM_PEFT.values(), ids=FROM_PEFT)
def test_we_load_what_peft_writes(base, tool, tmp_path, name, options):
    source = base(name)
    before = live_logits(source.live, source.batch)
    defaults = {"r": 4, "lora_alpha": 6, "task_type": "CAUSAL_LM"}
    model = get_peft_model(source.live, LoraConfig(**defaults | options))
    randomise(model)
    model.save_pretrained(tmp_path / "theirs")
    assert_close(tool(source, tmp_path / "theirs"), live_logits(model, source.batch), before)


@pytest.mark.parametrize("name, module, tokens", [
    ("llama", "embed_tokens", LLAMA_TOKENS), ("neox", "embed_in", NEOX_TOKENS), ("gpt2", "wte", NEOX_TOKENS),
])
def test_we_load_token_rows_alone(base, tool, tmp_path, name, module, tokens):
    source = base(name)
    before = live_logits(source.live, source.batch)
    config = TrainableTokensConfig(token_indices=tokens, target_modules=[module], task_type="CAUSAL_LM")
    model = get_peft_model(source.live, config)
    randomise(model)
    model.save_pretrained(tmp_path / "theirs")
    assert_close(tool(source, tmp_path / "theirs"), live_logits(model, source.batch), before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_we_load_half_precision_factors(base, tool, tmp_path, dtype):
    source, folder = base("llama"), tmp_path / "theirs"
    before = live_logits(source.live, source.batch)
    model = get_peft_model(source.live, LoraConfig(r=4, target_modules=LLAMA_LINEAR))
    randomise(model)
    model.save_pretrained(folder)
    file = folder / "adapter_model.safetensors"
    save_file({key: value.to(dtype) for key, value in load_file(file).items()}, file, {"format": "pt"})
    loaded = PeftModel.from_pretrained(model.unload(), folder)
    assert_close(tool(source, folder), live_logits(loaded, source.batch), before)


def load_in_peft(live, folder):
    """PEFT's model; a tensor that it misses or does not know is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(missing|unexpected|fan_in_fan_out).*")
        return PeftModel.from_pretrained(live, folder)


TO_PEFT = {
    "q and v": ("llama", "qv", "-", 4, 6),
    "all-linear": ("llama", "all-linear", "-", 4, 6),
    "one layer": ("llama", "model.layers.1.mlp.up_proj", "-", 4, 6),
    "rank-stabilised scale": ("llama", "qv", "-", 4, -6),
    "embedding": ("llama", "embed_tokens,v_proj", "-", 4, 6),
    "untied head": ("neox", "lm_head,embed_in", "-", 4, 6),
    "Conv1D": ("gpt2", "c_attn,c_fc,wte", "-", 4, 6),
    "slices of Conv1D": ("gpt2", "qv", "-", 3, 4),
    "slices beside whole modules: rank patterns": ("gpt2", "qv,attn.c_proj,mlp.c_proj,c_fc", "-", 3, 4),
    "interleaved slices": ("neox", "query_key_value:query,query_key_value:value,dense", "-", 3, 4),
    "rank-stabilised slices": ("neox", "qv", "-", 3, -4),
    "classifier": ("bert", "qv", "classifier", 4, 6),
    "DoRA": ("llama", "qv", "-", 4, 6, "dora"),
    "DoRA, all-linear": ("llama", "all-linear", "-", 4, -6, "dora"),
    "DoRA, embedding": ("llama", "embed_tokens,v_proj", "-", 4, 6, "dora"),
    "DoRA, slices of Conv1D": ("gpt2", "qv,c_fc", "-", 3, 4, "dora"),
    "DoRA, interleaved slices": ("neox", "qv,dense", "-", 3, 4, "dora"),
    "biases of the adapted": ("gpt2", "qv,c_fc", "-", 3, 4, "lora", "lora_only"),
    "all biases": ("neox", "dense", "-", 3, 4, "lora", "all"),
    "all biases, classifier": ("bert", "qv", "classifier", 3, 4, "dora", "all"),
    "token rows, tied head": ("llama", "qv", "-", 4, 6, "lora", "none", "43,286,16"),
    "token rows alone": ("gpt2", "-", "-", 4, 6, "lora", "none", "41,284,14"),
    "token rows alone, own head": ("neox", "-", "-", 4, 6, "lora", "none", "41,284,14"),
    "token rows, own head": ("neox", "dense", "-", 4, 6, "dora", "all", "41,284,14"),
}


@pytest.mark.parametrize("name, options", [(each[0], each[1:]) for each in TO_PEFT.values()], ids=TO_PEFT)
def test_peft_loads_what_we_write(run, base, tool, tmp_path, name, options):
    source = base(name)
    before = live_logits(source.live, source.batch)
    run("make_adapter", source.file, tmp_path / "ours", *options)
    ours = tool(source, tmp_path / "ours")
    assert_close(ours, live_logits(load_in_peft(source.live, tmp_path / "ours"), source.batch), before)


@pytest.mark.parametrize("name, targets, rank, classifier", [
    ("roberta", "qv", 3, True), ("albert", "qv,dense", 3, True), ("phi3", "qv", 3, False),
    ("bloom", "qv", 3, False),
    ("qwen2_moe", "q_proj,shared_expert.up_proj,shared_expert_gate", 1, False),   # PEFT knows no routers
])
def test_other_architectures_go_to_peft_and_back(run, base, tool, tmp_path, name, targets, rank, classifier):
    source = base(name, classifier)
    before = live_logits(source.live, source.batch)
    run("make_adapter", source.file, tmp_path / "ours", targets, "classifier" if classifier else "-", rank, 4)
    model = load_in_peft(source.live, tmp_path / "ours")
    theirs = live_logits(model, source.batch)
    assert_close(tool(source, tmp_path / "ours"), theirs, before)
    model.save_pretrained(tmp_path / "back")
    assert_close(tool(source, tmp_path / "back"), theirs, before)


@pytest.mark.parametrize("name, options", [
    ("llama", ("all-linear", "-", 4, 6)), ("gpt2", ("qv,c_fc", "-", 4, 6)), ("neox", ("qv,dense", "-", 4, 6)),
    ("bert", ("qv", "classifier", 4, 6)), ("llama", ("all-linear", "-", 4, 6, "dora")),
    ("gpt2", ("qv,c_fc", "-", 4, 6, "dora", "lora_only")), ("neox", ("dense", "-", 4, 6, "lora", "all")),
    ("neox", ("dense", "-", 4, 6, "lora", "none", "41,14")), ("llama", ("qv", "-", 4, 6, "lora", "none", "43,16")),
])
def test_baking_equals_the_merge_of_peft(run, base, tmp_path, name, options):
    source = base(name)
    run("make_adapter", source.file, tmp_path / "ours", *options)
    run("lora-merge", "bake", "--model", source.file, "--adapter", tmp_path / "ours",
        "--out", tmp_path / "merged.pt")
    ours = cases.weights_of(tmp_path / "merged.pt")
    merged = load_in_peft(source.live, tmp_path / "ours").merge_and_unload()
    changed = 0
    for key, theirs in merged.state_dict().items():
        if key not in ours:   # tied heads, buffers that a trace leaves out
            continue
        # PEFT sums in float32: one rounding more than ours.
        assert torch.allclose(ours[key], theirs, rtol=1e-6, atol=1e-6), key
        changed += not torch.equal(ours[key], cases.weights_of(source.file)[key])
    assert changed >= 2


def test_peft_reads_our_files_without_knowing_them(run, base, tmp_path):
    """Our metadata are beside "format", and the layout is the reference writer's."""
    source = base("gpt2")
    run("make_adapter", source.file, tmp_path / "ours", "qv,c_fc", "-", 4, 6)
    file = tmp_path / "ours/adapter_model.safetensors"
    header, data = parts(file)
    assert header["__metadata__"]["format"] == "pt"
    assert len(header["__metadata__"]["lora.sha256"]) == 64
    save_file(load_file(file), tmp_path / "reference.safetensors", header["__metadata__"])
    assert parts(tmp_path / "reference.safetensors") == (header, data)


def parts(file):
    """(header, data) of a safetensors file."""
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def test_features_that_we_lack_are_refused_by_name(run, base, tmp_path):
    source = base("llama")
    for options, word in [({"lora_bias": True}, "lora_bias"), ({"init_lora_weights": "pissa"}, "pissa")]:
        model = get_peft_model(source.live, LoraConfig(target_modules=["q_proj"], **options))
        model.save_pretrained(tmp_path / word)
        model.unload()
        result = run("lora-merge", "inspect", tmp_path / word, code=4)
        assert word in result.stderr


def test_an_adapter_of_another_architecture_is_refused(run, base, tmp_path):
    model = get_peft_model(base("gpt2").live, LoraConfig(target_modules=["c_attn"], fan_in_fan_out=True))
    randomise(model)
    model.save_pretrained(tmp_path / "theirs")
    result = run("lora-merge", "bake", "--model", base("llama").file, "--adapter", tmp_path / "theirs",
                 "--out", tmp_path / "merged.pt", code=5)
    assert "not in the base" in result.stderr and "transformer.h.0.attn.c_attn" in result.stderr
    assert not (tmp_path / "merged.pt").exists()

"""Adapters in other tools' formats: what those tools read, and what comes back."""
import json

import cases
import gguf
import loralib
import pytest
import torch
from cases import with_adapter
from peft import PeftModel
from reference_training import logits_of, padded
from safetensors.torch import load_file, save_file

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PREFIX = "base_model.model."


@pytest.fixture
def llama(fixtures, tmp_path):
    """(case, adapter folder) of a tiny Llama."""
    case = cases.tiny(fixtures, "llama")
    with_adapter(case, tmp_path / "peft", random_b=True, r=4, lora_alpha=8, target_modules=[*LINEAR, "embed_tokens"],
                 task_type="CAUSAL_LM")
    strip_copies(tmp_path / "peft")
    return case, tmp_path / "peft"


def strip_copies(folder):
    """PEFT stores the frozen embedding beside its adapter; no other format has it."""
    file = folder / "adapter_model.safetensors"
    save_file({key: value for key, value in load_file(file).items() if "base_layer" not in key}, file, {"format": "pt"})


def tensors(folder):
    return load_file(folder / "adapter_model.safetensors")


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


def base_config(fixtures, name):
    return fixtures / f"hf/tiny_{name}/config.json"


def convert(run, source, to, out, *options):
    run("lora-merge", "convert", source, "--to", to, "--out", out, *options)
    return out


@pytest.mark.parametrize("to", ["mlx", "gguf", "loralib"])
def test_round_trips_are_exact(run, fixtures, llama, tmp_path, to):
    _, adapter = llama
    config = ["--base-config", base_config(fixtures, "llama")] if to == "gguf" else []
    numbers = ["--rank", 4, "--alpha", 8] if to == "loralib" else []
    there = convert(run, adapter, to, tmp_path / "there", *config)
    back = convert(run, there, "peft", tmp_path / "back", *config, *numbers)
    assert_equal(tensors(back), tensors(adapter))
    found = json.loads((back / "adapter_config.json").read_text())
    assert (found["r"], found["lora_alpha"], found["use_rslora"]) == (4, 8, False)


@pytest.mark.parametrize("to", ["mlx", "gguf", "loralib"])
def test_ranks_alphas_and_scales_are_folded(run, fixtures, tmp_path, to):
    """One scale or rank for all modules is what these formats have: the updates stay."""
    case = cases.tiny(fixtures, "llama")
    model = with_adapter(case, tmp_path / "peft", random_b=True, r=4, lora_alpha=8, target_modules=LINEAR,
                         rank_pattern={"q_proj": 2, "up_proj": 6}, alpha_pattern={"v_proj": 5}, use_rslora=True)
    config = ["--base-config", base_config(fixtures, "llama")] if to == "gguf" else []
    there = convert(run, tmp_path / "peft", to, tmp_path / "there", *config)
    if to == "loralib":   # it tells no ranks: read as one rank it cannot be
        state = torch.load(there, weights_only=True)
        scale = 8 / 4**0.5
        found = {key[:-7]: scale * state[key[:-7] + ".lora_B"] @ state[key] for key in state if key.endswith("lora_A")}
    else:
        back = convert(run, there, "peft", tmp_path / "back", *config)
        loaded = PeftModel.from_pretrained(cases.tiny(fixtures, "llama").live, back)
        found = deltas(loaded)
    expected = deltas(model)
    assert found.keys() == expected.keys()
    for module, delta in expected.items():
        assert torch.allclose(found[module], delta, rtol=1e-5, atol=1e-7), module


def deltas(model):
    return {name: module.get_delta_weight("default").detach()
            for name, module in model.base_model.model.named_modules() if hasattr(module, "lora_A")}


def gguf_tensors(file):
    reader = gguf.GGUFReader(file)
    # The package shows data in torch's order of dimensions.
    return reader, {each.name: torch.tensor(each.data).float() for each in reader.tensors}


def test_the_gguf_package_reads_ours(run, fixtures, llama, tmp_path):
    case, adapter = llama
    out = convert(run, adapter, "gguf", tmp_path / "a.gguf", "--base-config", base_config(fixtures, "llama"))
    reader, found = gguf_tensors(out)
    assert reader.get_field("general.type").contents() == "adapter"
    assert reader.get_field("adapter.type").contents() == "lora"
    assert reader.get_field("general.architecture").contents() == "llama"
    assert reader.get_field("adapter.lora.alpha").contents() == 8
    theirs = tensors(adapter)
    mlp, embedding = PREFIX + "model.layers.1.mlp.up_proj", PREFIX + "model.embed_tokens"
    assert torch.equal(found["blk.1.ffn_up.weight.lora_a"], theirs[f"{mlp}.lora_A.weight"])
    assert torch.equal(found["blk.1.ffn_up.weight.lora_b"], theirs[f"{mlp}.lora_B.weight"])
    assert torch.equal(found["token_embd.weight.lora_a"], theirs[f"{embedding}.lora_embedding_A"].T)
    assert torch.equal(found["token_embd.weight.lora_b"], theirs[f"{embedding}.lora_embedding_B"])
    # llama.cpp pairs neighbours in rotary embeddings, transformers the two halves of a head.
    heads = case.live.config.num_attention_heads
    query = theirs[PREFIX + "model.layers.0.self_attn.q_proj.lora_B.weight"]
    paired = query.reshape(heads, 2, -1, query.size(1)).transpose(1, 2).reshape(query.shape)
    assert torch.equal(found["blk.0.attn_q.weight.lora_b"], paired)
    assert len(found) == 2 * (7 * len(case.live.model.layers) + 1)


def test_our_names_are_those_of_the_gguf_package(run, fixtures, tmp_path):
    """Every module of every family here, against the package's own map."""
    kinds = {"llama": gguf.MODEL_ARCH.LLAMA, "gpt2": gguf.MODEL_ARCH.GPT2, "neox": gguf.MODEL_ARCH.GPTNEOX}
    for name, arch in kinds.items():
        run("make_adapter", fixtures / f"tiny_{name}.pt", tmp_path / name, "all-linear", "-", 2, 4)
        out = convert(run, tmp_path / name, "gguf", tmp_path / f"{name}.gguf", "--base-config",
                      base_config(fixtures, name))
        names = gguf.get_tensor_name_map(arch, 16)
        modules = {key.removeprefix(PREFIX).removesuffix(".lora_A.weight") for key in tensors(tmp_path / name)
                   if key.endswith(".lora_A.weight")}
        expected = {names.get_name(module) + ".weight.lora_a" for module in modules}
        assert {each for each in gguf_tensors(out)[1] if each.endswith("lora_a")} == expected


@pytest.mark.parametrize("dtype, type", [("f16", torch.float16), ("bf16", torch.bfloat16)])
def test_gguf_in_half_precision_is_rounded_once(run, fixtures, llama, tmp_path, dtype, type):
    _, adapter = llama
    config = ["--base-config", base_config(fixtures, "llama")]
    there = convert(run, adapter, "gguf", tmp_path / "a.gguf", "--dtype", dtype, *config)
    back = tensors(convert(run, there, "peft", tmp_path / "back", *config))
    assert_equal(back, {key: value.to(type) for key, value in tensors(adapter).items()})


class Network(torch.nn.Module):
    """One layer of each kind that loralib has and we convert."""

    def __init__(self):
        super().__init__()
        self.plain = loralib.Linear(6, 10, r=2, lora_alpha=3)
        self.fused = loralib.MergedLinear(6, 12, r=2, lora_alpha=3, enable_lora=[True, False, True])
        self.wte = loralib.Embedding(20, 6, r=2, lora_alpha=3)
        torch.manual_seed(1)
        for name, parameter in self.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter)


def test_loralib_files_become_peft_adapters_with_the_same_updates(run, tmp_path):
    network = Network()
    torch.save(loralib.lora_state_dict(network), tmp_path / "lora.pt")
    peft = convert(run, tmp_path / "lora.pt", "peft", tmp_path / "peft", "--rank", 2, "--alpha", 3, "--mask", "101")
    found = tensors(peft)
    config = json.loads((peft / "adapter_config.json").read_text())

    def delta(module, scale):
        A, B = (found[f"{PREFIX}{module}.lora_{factor}.weight"] for factor in "AB")
        return scale * B @ A

    assert torch.allclose(delta("plain", 1.5), 1.5 * (network.plain.lora_B @ network.plain.lora_A).detach())
    fused = network.fused
    alpha = config["alpha_pattern"].get("fused", config["lora_alpha"]) / config["rank_pattern"].get("fused", config["r"])
    expected = fused.merge_AB().detach() * fused.scaling
    assert torch.allclose(delta("fused", alpha), expected, atol=1e-6)
    assert torch.equal(found[PREFIX + "wte.lora_embedding_A"], network.wte.lora_A.detach())


def test_loralib_loads_what_we_write(run, tmp_path):
    network, other = Network(), Network()
    torch.save(loralib.lora_state_dict(network), tmp_path / "lora.pt")
    peft = convert(run, tmp_path / "lora.pt", "peft", tmp_path / "peft", "--rank", 2, "--alpha", 3, "--mask", "101")
    out = convert(run, peft, "loralib", tmp_path / "ours.pt")
    state = torch.load(out, weights_only=True)
    result = other.load_state_dict({key: value for key, value in state.items() if "fused" not in key}, strict=False)
    assert not result.unexpected_keys
    assert torch.equal(other.plain.lora_B, network.plain.lora_B)
    assert torch.equal(other.wte.lora_A, network.wte.lora_A)
    assert state["fused.lora_A"].shape == (4, 6)   # two parts side by side, as a plain Linear of twice the rank


class Attack:
    def __reduce__(self):
        return __import__("os").system, ("touch stolen",)


def test_a_pickle_that_would_run_code_is_refused(run, tmp_path):
    torch.save({"a.lora_A": torch.ones(2, 3), "a.lora_B": Attack()}, tmp_path / "bad.pt")
    result = run("lora-merge", "convert", tmp_path / "bad.pt", "--to", "peft", "--out", tmp_path / "out", "--rank", 2,
                 "--alpha", 3, code=4)
    assert "system" in result.stderr
    assert not (tmp_path / "stolen").exists() and not (tmp_path / "out/adapter_model.safetensors").exists()


def test_what_a_format_cannot_say_is_refused_by_name(run, fixtures, tmp_path):
    case = cases.tiny(fixtures, "llama")
    with_adapter(case, tmp_path / "dora", random_b=True, target_modules=["q_proj"], use_dora=True)
    config = base_config(fixtures, "llama")
    for to in ("mlx", "gguf", "loralib"):
        result = run("lora-merge", "convert", tmp_path / "dora", "--to", to, "--out", tmp_path / to, "--base-config",
                     config, code=5)
        assert "model.layers.0.self_attn.q_proj" in result.stderr and "dora" in result.stderr
    result = run("lora-merge", "convert", tmp_path / "none", "--to", "mlx", "--out", tmp_path / "x", code=6)
    assert "does not exist" in result.stderr

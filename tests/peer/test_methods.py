"""Methods that lora-train compares with, against plain PyTorch: sequential adapters, biases, norms, heads."""
import json

import cases
import pytest
import torch
from cases import write_rows
from reference_training import LOSS, MOVED, NORM, Recipe, distance, trace_of_run, train
from safetensors.torch import load_file, save_file
from torch import nn

RECIPE = Recipe(steps=6, warmup_steps=1)
ENDS = {"llama": {"houlsby": ["o_proj", "down_proj"], "pfeiffer": ["down_proj"]},
        "bert": {"houlsby": ["attention.output.dense", "output.dense"], "pfeiffer": ["output.dense"]},
        "gpt2": {"houlsby": ["attn.c_proj", "mlp.c_proj"], "pfeiffer": ["mlp.c_proj"]}}


@pytest.fixture
def lora_train(run, tmp_path):
    def call(case, *options, code=0):
        data = write_rows(tmp_path / "rows.jsonl", case.rows)
        result = run("lora-train", "--model", case.file, "--data", data, "--out", tmp_path / "run", "--threads", 1, "--no-bucket",
                     "--overwrite", *RECIPE.options(), *options, code=code)
        return result if code else tmp_path / "run"

    return call


def few(case):
    return case._replace(rows=case.rows[:8])


def stands_at(path, ends):
    """BERT's output.dense is the MLP's, unless it is the attention's."""
    end = next((end for end in sorted(ends, key=len, reverse=True) if path.endswith("." + end)), None)
    return end is not None and not (end == "output.dense" and ".attention." in path)


class Bottleneck(nn.Module):
    def __init__(self, width, size):
        super().__init__()
        self.bottleneck_down, self.bottleneck_up = nn.Linear(width, size), nn.Linear(size, width)
        nn.init.normal_(self.bottleneck_up.weight, std=0.05)

    def forward(self, y):
        return y + self.bottleneck_up(torch.relu(self.bottleneck_down(y)))


def with_bottlenecks(model, ends, size):
    """The model with adapters behind those modules, and the adapters by module path."""
    model.requires_grad_(False)
    adapters = {}
    for path, module in list(model.named_modules()):
        if not stands_at(path, ends):
            continue
        width = module.nf if hasattr(module, "nf") else module.out_features
        adapters[path] = Bottleneck(width, size)
        module.register_forward_hook(lambda _, __, output, adapter=adapters[path]: adapter(output))
    model.adapters = nn.ModuleList(adapters.values())
    return adapters


def adapter_tensors(adapters):
    return {f"base_model.model.{path}.{name}": value.detach().clone()
            for path, adapter in adapters.items() for name, value in adapter.state_dict().items()}


def write_start(folder, adapters, size, task):
    folder.mkdir()
    save_file(adapter_tensors(adapters), folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "BOTTLENECK", "r": size, "lora_alpha": 1, "task_type": task, "target_modules": list(adapters)}))


@pytest.mark.parametrize("name, placement", [("llama", "houlsby"), ("gpt2", "houlsby"), ("bert", "pfeiffer")])
def test_bottleneck_adapters_train_as_in_pytorch(fixtures, run, lora_train, tmp_path, name, placement):
    torch.manual_seed(5)
    case = few(cases.tiny(fixtures, name))
    adapters = with_bottlenecks(case.live, ENDS[name][placement], 6)
    write_start(tmp_path / "start", adapters, 6, "SEQ_CLS" if name == "bert" else "CAUSAL_LM")
    start = adapter_tensors(adapters)
    out = lora_train(case, "--init-adapter", tmp_path / "start")
    expected = train(case.live, [case.rows] * RECIPE.steps, RECIPE)
    found = trace_of_run(out)
    assert found.losses == pytest.approx(expected.losses, rel=LOSS)
    assert found.norms == pytest.approx(expected.norms, rel=NORM)
    assert distance(load_file(out / "adapter/adapter_model.safetensors"), adapter_tensors(adapters), start) < MOVED


@pytest.mark.parametrize("name", ENDS)
def test_bottleneck_adapters_stand_at_the_ends_of_the_branches(fixtures, run, lora_train, tmp_path, name):
    case = few(cases.tiny(fixtures, name))
    for placement, ends in ENDS[name].items():
        out = lora_train(case, "--method", "bottleneck", "--placement", placement, "--rank", 4)
        modules = {key.removeprefix("base_model.model.").split(".bottleneck_")[0]
                   for key in load_file(out / "adapter/adapter_model.safetensors") if ".bottleneck_" in key}
        assert modules == {path for path, _ in case.live.named_modules() if stands_at(path, ends)}
    losses = trace_of_run(out).losses
    assert losses[-1] < losses[0]


def test_a_bottleneck_adapter_goes_everywhere_but_into_weights(fixtures, run, lora_train, tmp_path):
    case = few(cases.tiny(fixtures, "llama"))
    out = lora_train(case, "--method", "bottleneck", "--rank", 4)
    table = run("lora-eval", "compare", "--model", case.file, "--data", tmp_path / "rows.jsonl", "--variant", "base",
                "--variant", f"a=adapter:{out / 'adapter'}", "--variant", f"r=run:{out}", "--json", "-").stdout
    base, adapter, same = json.loads(table)["variants"]
    assert adapter["loss"] == same["loss"] < base["loss"]
    for options in (["bake", "--model", case.file, "--adapter", out / "adapter", "--out", tmp_path / "m.pt"],
                    ["convert", out / "adapter", "--to", "mlx", "--out", tmp_path / "m"]):
        assert "bottleneck" in run("lora-merge", *options, code=5).stderr
    from peft import PeftConfig
    with pytest.raises(Exception):   # PEFT must not take it for something else
        PeftConfig.from_pretrained(out / "adapter")


@pytest.mark.parametrize("name, method, chosen", [
    ("gpt2", "bitfit", lambda path: path.endswith(".bias")),
    ("bert", "bitfit", lambda path: path.endswith(".bias") or path.startswith("classifier.")),
    ("llama", "layernorm", lambda path: "norm" in path),
    ("gpt2", "layernorm", lambda path: ".ln_" in path),
    ("bert", "head", lambda path: path.startswith("classifier.")),
])
def test_chosen_weights_train_as_in_pytorch(fixtures, run, lora_train, tmp_path, name, method, chosen):
    case = few(cases.tiny(fixtures, name))
    for path, parameter in case.live.named_parameters():
        parameter.requires_grad_(chosen(path))
    start = {path: value.detach().clone() for path, value in case.live.named_parameters() if value.requires_grad}
    if method == "layernorm" and name == "bert":
        pytest.skip("its head is trained too")
    out = lora_train(case, "--method", method)
    expected = train(case.live, [case.rows] * RECIPE.steps, RECIPE)
    found = trace_of_run(out)
    assert found.losses == pytest.approx(expected.losses, rel=LOSS)
    trained = {key.removeprefix("base_model.model."): value
               for key, value in load_file(out / "adapter/adapter_model.safetensors").items()}
    final = {path: value.detach() for path, value in case.live.named_parameters() if value.requires_grad}
    assert distance(trained, final, start) < MOVED
    merged = tmp_path / "merged.pt"
    run("lora-merge", "bake", "--model", case.file, "--adapter", out / "adapter", "--out", merged)


def test_top_layers_are_trained_whole(fixtures, lora_train):
    case = few(cases.tiny(fixtures, "llama"))
    out = lora_train(case, "--method", "head", "--layers", "last:1")
    keys = {key.removeprefix("base_model.model.") for key in load_file(out / "adapter/adapter_model.safetensors")}
    last = max(int(path.split(".")[2]) for path, _ in case.live.named_parameters() if path.startswith("model.layers."))
    assert keys == {path for path, _ in case.live.named_parameters() if path.startswith(f"model.layers.{last}.")}


def test_mistakes(fixtures, lora_train):
    llama = few(cases.tiny(fixtures, "llama"))
    for options, parts in ((["--method", "bitfit"], ["--method bitfit", "no such biases"]),
                           (["--method", "head"], ["no classification head", "--layers"]),
                           (["--method", "bottleneck", "--targets", "qv", "--init", "pissa"], ["--targets, --init", "no meaning"])):
        message = lora_train(llama, *options, code=2).stderr
        assert all(part in message for part in parts), message

"""Combining, resizing and extracting adapters, against PEFT: its weighted adapters and its merge functions."""
import copy
import json

import cases
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import merge_utils
from reference_training import logits_of, padded
from safetensors.torch import load_file

TOLERANCE = 2e-5   # of the largest logit: float32 sums in another order, over three layers
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FIRST = {"r": 4, "lora_alpha": 6, "target_modules": LINEAR}
SECOND = {"r": 3, "lora_alpha": 5, "target_modules": LINEAR, "use_rslora": True}
WEIGHTS = {"first": 1.5, "second": 0.5}


def randomise(model, seed):
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.copy_(torch.randn_like(parameter) * 0.1)


class Pair:
    """Two adapters of one live model, also as folders."""

    def __init__(self, case, folder):
        self.file, self.folder = case.file, folder
        self.batch = {name: padded(case.rows[:4])[name] for name in ("input_ids", "attention_mask")}
        self.model = get_peft_model(case.live.eval(), LoraConfig(task_type="CAUSAL_LM", **FIRST), "first")
        randomise(self.model, 5)
        self.model.add_adapter("second", LoraConfig(task_type="CAUSAL_LM", **SECOND))
        self.model.set_adapter("second")
        randomise(self.model, 6)
        self.model.save_pretrained(folder)

    def weighted(self, weights=WEIGHTS):
        return [f"{self.folder / name}:{weight}" for name, weight in weights.items()]

    @torch.no_grad()
    def logits(self, adapter):
        self.model.set_adapter(adapter)
        return self.real(logits_of(self.model.eval(), self.batch))

    def real(self, logits):
        return logits[self.batch["attention_mask"].bool()]

    def deltas(self):
        """module -> the two dense updates"""
        return {name: [module.get_delta_weight(adapter).detach() for adapter in WEIGHTS]
                for name, module in self.model.base_model.model.named_modules() if hasattr(module, "lora_A")}


@pytest.fixture
def pair(fixtures, tmp_path):
    return Pair(cases.tiny(fixtures, "llama"), tmp_path)


@pytest.fixture
def tool(run, pair, tmp_path):
    def logits(adapter):
        out = tmp_path / "logits.safetensors"
        rows = {name: tensor.tolist() for name, tensor in pair.batch.items()}
        run("adapter_logits", pair.file, adapter, out, input=json.dumps(rows))
        return pair.real(load_file(out)["logits"])

    return logits


def update_of(folder):
    """module -> dense update of a folder of ours, as its configuration defines it"""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    updates = {}
    for key, A in tensors.items():
        if not key.endswith(".lora_A.weight"):
            continue
        module = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        rank = config["rank_pattern"].get(module, config["r"])
        scale = config["alpha_pattern"].get(module, config["lora_alpha"]) / rank
        updates[module] = scale * (tensors[key.replace("lora_A", "lora_B")].double() @ A.double())
    return updates


def assert_close(ours, theirs, unlike):
    scale = float(theirs.abs().max())
    assert float((ours - theirs).abs().max()) < TOLERANCE * scale
    assert float((unlike - theirs).abs().max()) > 1e-2 * scale


@pytest.mark.parametrize("weights", [WEIGHTS, {"first": 1.0, "second": -0.5}])
def test_the_sum_computes_what_cat_computes(run, pair, tool, tmp_path, weights):
    run("lora-merge", "combine", *pair.weighted(weights), "--out", tmp_path / "ours")
    pair.model.add_weighted_adapter(list(weights), list(weights.values()), "cat", combination_type="cat")
    theirs = pair.logits("cat")
    assert_close(tool(tmp_path / "ours"), theirs, pair.logits("first"))
    # and PEFT computes the same with our folder
    live = PeftModel.from_pretrained(pair.model.unload(), tmp_path / "ours").eval()
    with torch.no_grad():
        assert_close(pair.real(logits_of(live, pair.batch)), theirs, tool("-"))


def test_a_rank_computes_what_svd_computes(run, pair, tool, tmp_path):
    result = run("lora-merge", "combine", *pair.weighted(), "--rank", 4, "--out", tmp_path / "ours", "--json")
    pair.model.add_weighted_adapter(list(WEIGHTS), list(WEIGHTS.values()), "svd", combination_type="svd", svd_rank=4)
    assert_close(tool(tmp_path / "ours"), pair.logits("svd"), pair.logits("first"))
    assert 0.01 < json.loads(result.stdout)["relative_error"] < 1


METHODS = {
    "ties": lambda deltas, weights: merge_utils.ties(deltas, weights, 0.3),
    "magnitude_prune": lambda deltas, weights: merge_utils.magnitude_prune(deltas, weights, 0.3),
}


@pytest.mark.parametrize("method", METHODS)
def test_merges_of_dense_updates_equal_those_of_peft(run, pair, tmp_path, method):
    run("lora-merge", "combine", *pair.weighted(), "--method", method, "--density", 0.3, "--rank", 10000,
        "--out", tmp_path / "ours")
    ours, deltas = update_of(tmp_path / "ours"), pair.deltas()
    assert ours.keys() == deltas.keys()
    for module, updates in deltas.items():
        theirs = METHODS[method](updates, torch.tensor(list(WEIGHTS.values())))
        assert float((ours[module] - theirs).norm()) < 1e-5 * float(theirs.norm()), module
        assert float((updates[0] - theirs).norm()) > 0.1 * float(theirs.norm())


def test_ties_of_a_rank_computes_what_ties_svd_computes(run, pair, tool, tmp_path):
    run("lora-merge", "combine", *pair.weighted(), "--method", "ties", "--density", 0.3, "--rank", 4, "--exact",
        "--out", tmp_path / "ours")
    pair.model.add_weighted_adapter(list(WEIGHTS), list(WEIGHTS.values()), "ties", combination_type="ties_svd",
                                    svd_rank=4, density=0.3)
    theirs = pair.logits("ties")
    scale = float(theirs.abs().max())
    assert float((tool(tmp_path / "ours") - theirs).abs().max()) < 2e-3 * scale   # close singular values


def test_dare_drops_and_rescales_each_update(run, pair, tmp_path):
    run("lora-merge", "combine", pair.folder / "first", "--method", "dare_linear", "--density", 0.25,
        "--rank", 10000, "--out", tmp_path / "ours")
    kept = total = 0
    for module, update in update_of(tmp_path / "ours").items():
        before = pair.deltas()[module][0].double()
        share = update / before
        large = before.abs() > 1e-2 * before.abs().max()   # not where rounding is all there is
        is_kept = (share - 4).abs() < 0.05
        assert bool((is_kept | (share.abs() < 0.05))[large].all()), module
        kept += int(is_kept[large].sum())
        total += int(large.sum())
    assert abs(kept / total - 0.25) < 0.02


def test_peft_loads_resized_adapters_of_any_ranks(run, pair, tool, tmp_path):
    run("lora-merge", "resize", tmp_path / "second", "--error", 0.5, "--out", tmp_path / "small")
    config = json.loads((tmp_path / "small/adapter_config.json").read_text())
    assert config["use_rslora"] and config["rank_pattern"]
    base = tool("-")
    live = PeftModel.from_pretrained(pair.model.unload(), tmp_path / "small").eval()
    with torch.no_grad():
        assert_close(tool(tmp_path / "small"), pair.real(logits_of(live, pair.batch)), base)


def test_peft_computes_the_tuned_model_with_the_extracted_adapter(run, pair, tool, tmp_path):
    merged = tmp_path / "merged.pt"
    before = tool("-")
    run("lora-merge", "bake", "--model", pair.file, "--adapter", tmp_path / "first", "--out", merged)
    run("lora-merge", "extract", "--base", pair.file, "--tuned", merged, "--rank", 4, "--out", tmp_path / "ours")
    theirs = pair.logits("first")
    assert_close(tool(tmp_path / "ours"), theirs, before)
    live = PeftModel.from_pretrained(pair.model.unload(), tmp_path / "ours").eval()
    with torch.no_grad():
        assert_close(pair.real(logits_of(live, pair.batch)), theirs, before)


def test_adapters_of_different_bases_are_refused_with_all_mismatches(run, fixtures, pair, tmp_path):
    gpt2 = cases.tiny(fixtures, "gpt2")
    for name, file in [("one", pair.file), ("two", gpt2.file)]:
        run("make_adapter", file, tmp_path / name, "all-linear", "-", 2, 4)
    result = run("lora-merge", "combine", tmp_path / "one", tmp_path / "two", "--out", tmp_path / "out", code=5)
    assert "base: " in result.stderr
    result = run("lora-merge", "extract", "--base", pair.file, "--tuned", gpt2.file, "--rank", 2,
                 "--out", tmp_path / "out", code=5)
    assert "only in the base" in result.stderr and "only in the tuned model" in result.stderr
    assert not (tmp_path / "out/adapter_config.json").exists()


@pytest.mark.parametrize("name, targets", [
    ("llama", "all-linear,embed_tokens"), ("gpt2", "all-linear,wte,wpe")])
def test_extraction_from_folders_gives_peft_the_tuned_model(run, fixtures, tmp_path, name, targets):
    case = cases.tiny(fixtures, name)
    batch = {key: padded(case.rows[:4])[key] for key in ("input_ids", "attention_mask")}
    case.live.config.tie_word_embeddings = False   # an adapter of a tied embedding leaves the head alone
    case.live.lm_head.weight = torch.nn.Parameter(case.live.lm_head.weight.detach().clone())
    tuned = copy.deepcopy(case.live).eval()
    torch.manual_seed(4)
    for parameter in tuned.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05 * parameter.abs().mean())
    case.live.save_pretrained(tmp_path / "base")
    tuned.save_pretrained(tmp_path / "tuned", max_shard_size="50KB")
    assert len(list((tmp_path / "tuned").glob("model-*.safetensors"))) > 1
    result = run("lora-merge", "extract", "--base", tmp_path / "base", "--tuned", tmp_path / "tuned", "--rank", 1000,
                 "--targets", targets, "--whole", "--out", tmp_path / "ours", "--json")
    left = [change["weight"] for change in json.loads(result.stdout)["changed_outside_targets"]
            if not change["stored_whole"]]
    with torch.no_grad():
        before, after = (logits_of(model.eval(), batch)[batch["attention_mask"].bool()] for model in (case.live, tuned))
        biases = dict(case.live.named_parameters())
        for weight in left:   # biases of adapted modules: what a plain adapter cannot hold
            assert weight.endswith(".bias")
            biases[weight].data.copy_(tuned.get_parameter(weight))
        live = PeftModel.from_pretrained(case.live, tmp_path / "ours").eval()
        assert_close(logits_of(live, batch)[batch["attention_mask"].bool()], after, before)

"""Variants of LoRA against PEFT's: their starts, their optimizers and what they save."""
import cases
import pytest
import torch
from cases import QV, with_adapter, write_rows
from peft import LoraConfig, PeftModel, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from peft.tuners.lora import EvaConfig
from peft.tuners.lora.eva import get_eva_state_dict
from reference_training import LOSS, Recipe, logits_of, padded, trace_of_run, train
from safetensors.torch import load_file

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
RECIPE = Recipe(steps=5, batch_size=32, warmup_steps=1)


@pytest.fixture
def case(fixtures):
    tiny = cases.tiny(fixtures, "llama")
    return tiny._replace(rows=tiny.rows[:32])   # one update sees all rows: their order does not matter


@pytest.fixture
def lora_train(run, tmp_path):
    """lora_train(case, option, ...) -> run folder."""

    def call(case, *options, recipe=RECIPE):
        data = write_rows(tmp_path / "rows.jsonl", case.rows)
        run("lora-train", "--model", case.file, "--data", data, "--out", tmp_path / "run", "--threads", 1,
            *recipe.options(), *options)
        return tmp_path / "run"

    return call


@torch.no_grad()
def logits(model, case):
    batch = padded(case.rows)
    return logits_of(model.eval(), batch)[batch["attention_mask"].bool()]


def lora_plus(model, ratio):
    return create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=RECIPE.learning_rate, loraplus_lr_ratio=ratio,
        loraplus_weight_decay=RECIPE.weight_decay, eps=RECIPE.epsilon, betas=(RECIPE.beta1, RECIPE.beta2))


def test_lora_plus_takes_the_steps_of_peft(case, lora_train, tmp_path):
    start = tmp_path / "start"
    model = with_adapter(case, start, **QV)
    out = lora_train(case, "--init-adapter", start, "--lora-plus-ratio", 8)
    expected = train(model, [case.rows] * RECIPE.steps, RECIPE, lora_plus(model, 8))
    assert trace_of_run(out).losses == pytest.approx(expected.losses, rel=LOSS)
    plain = lora_train(case, "--init-adapter", start, "--overwrite")
    assert trace_of_run(plain).losses[-1] != pytest.approx(expected.losses[-1], rel=1e-3)


def test_a_frozen_a_takes_the_steps_of_peft(case, lora_train, tmp_path):
    start = tmp_path / "start"
    model = with_adapter(case, start, random_b=True, **QV)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_B" in name)
    out = lora_train(case, "--init-adapter", start, "--freeze-a")
    expected = train(model, [case.rows] * RECIPE.steps, RECIPE)
    assert trace_of_run(out).losses == pytest.approx(expected.losses, rel=LOSS)
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (start, out / "adapter"))
    for key in before:
        assert torch.equal(before[key], after[key]) == ("lora_A" in key)


@pytest.mark.parametrize("init, stabilised", [("pissa", False), ("pissa", True), ("olora", False)])
def test_starts_from_the_weights_train_as_in_peft_and_are_saved_as_plain_lora(case, lora_train, init, stabilised):
    before = logits(case.live, case)
    flag = ["--rank-stabilised"] if stabilised else []
    out = lora_train(case, "--init", init, "--rank", 6, "--alpha", 9, "--targets", *ATTENTION, *flag)
    original = {key: value.clone() for key, value in case.live.state_dict().items()}
    model = get_peft_model(case.live, LoraConfig(r=6, lora_alpha=9, target_modules=ATTENTION,
                                                 init_lora_weights=init, use_rslora=stabilised))
    assert float((logits(model, case) - before).abs().max()) < 1e-5 * float(before.abs().max())
    expected = train(model, [case.rows] * RECIPE.steps, RECIPE)
    assert trace_of_run(out).losses == pytest.approx(expected.losses, rel=1e-4)
    theirs = logits(model, case)
    base = model.unload()
    base.load_state_dict(original)   # PEFT changed it, we did not
    ours = logits(PeftModel.from_pretrained(base, out / "adapter"), case)
    scale = float(theirs.abs().max())
    assert float((ours - theirs).abs().max()) < 1e-3 * scale
    assert float((before - theirs).abs().max()) > 1e-2 * scale


def eva_of_peft(case, rho):
    """module -> components"""
    config = LoraConfig(r=4, target_modules=ATTENTION, init_lora_weights="eva", eva_config=EvaConfig(rho=rho))
    # The last token of a row is never an input to a training: nothing follows it.
    batch = padded([{name: values[:-1] for name, values in row.items()} for row in case.rows])
    loader = [{name: batch[name] for name in ("input_ids", "attention_mask")}] * 3
    return get_eva_state_dict(case.live.eval(), loader, config, show_progress_bar=False)


def eva_of_ours(case, lora_train, rho):
    """module -> A, of a training that goes nowhere."""
    standstill = Recipe(steps=1, batch_size=32, learning_rate=1e-30, warmup_steps=0)
    out = lora_train(case, "--init", "eva", "--eva-rho", rho, "--rank", 4, "--targets", *ATTENTION,
                     recipe=standstill)
    tensors = load_file(out / "adapter/adapter_model.safetensors")
    mark = ".lora_A.weight"
    return {key.removeprefix("base_model.model.").removesuffix(mark): value
            for key, value in tensors.items() if key.endswith(mark)}


def test_eva_finds_the_directions_that_peft_finds(case, lora_train):
    ours, theirs = eva_of_ours(case, lora_train, 1), eva_of_peft(case, 1)
    assert ours.keys() == theirs.keys()
    for module, components in theirs.items():
        overlap = (ours[module].double() @ components.double().T).square().sum() / len(components)
        assert overlap > 0.99, module   # 1 for one span, 4 / 48 for random ones; both SVDs are randomised ones


def test_eva_shares_ranks_out_as_peft_does(case, lora_train):
    ours, theirs = eva_of_ours(case, lora_train, 2), eva_of_peft(case, 2)

    def ranks(found):
        """Sums over modules that see one input: how these share theirs is arbitrary."""
        sums = {}
        for module, components in found.items():
            seen = module.rsplit(".", 1)[0] + (".o_proj" if module.endswith("o_proj") else ".qkv")
            sums[seen] = sums.get(seen, 0) + len(components)
        return {seen: count for seen, count in sums.items() if count}

    assert ranks(ours) == ranks(theirs)
    assert sum(ranks(ours).values()) == 4 * 12
    assert len(set(ranks(ours).values())) > 1


def test_patterns_give_modules_ranks_and_alphas_of_their_own(case, lora_train):
    out = lora_train(case, "--rank", 4, "--alpha", 6, "--targets", *ATTENTION,
                     "--rank-pattern", r"layers\.0\..*q_proj=7", "q_proj=2", "--alpha-pattern", "v_proj=20")
    model = PeftModel.from_pretrained(case.live, out / "adapter")
    found = {name: (module.r["default"], module.scaling["default"] * module.r["default"])
             for name, module in model.base_model.model.named_modules() if hasattr(module, "lora_A")}
    assert found["model.layers.0.self_attn.q_proj"] == (7, pytest.approx(6))
    assert found["model.layers.1.self_attn.q_proj"] == (2, pytest.approx(6))
    assert found["model.layers.1.self_attn.v_proj"] == (4, pytest.approx(20))
    assert found["model.layers.2.self_attn.o_proj"] == (4, pytest.approx(6))

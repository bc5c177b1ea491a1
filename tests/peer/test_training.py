"""lora-train against PEFT and a plain PyTorch loop: same base, A, B and batches, update by update."""
import cases
import pytest
import torch
from cases import QV, with_adapter, write_rows
from peft import get_peft_model_state_dict
from reference_training import LOSS, MOVED, NORM, Recipe, distance, mean_loss, trace_of_run, train
from safetensors.torch import load_file

RECIPE = Recipe()
ALL = QV | {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]}
CONV1D = QV | {"target_modules": ["c_attn", "mlp.c_proj"], "fan_in_fan_out": True}
FUSED = QV | {"target_modules": ["query_key_value", "dense_4h_to_h"]}
PLAIN = {"target_modules": ["query", "value", "widen"]}


@pytest.fixture
def lora_train(run, tmp_path):
    """lora_train(case, recipe, option, ...) -> run folder."""
    count = 0

    def call(case, recipe, *options):
        nonlocal count
        count += 1
        data, out = write_rows(tmp_path / f"rows-{count}.jsonl", case.rows), tmp_path / f"run-{count}"
        run("lora-train", "--model", case.file, "--data", data, "--out", out, "--threads", 1,
            "--no-bucket", *recipe.options(), *options)
        return out

    return call


@pytest.fixture
def in_training_order(lora_train):
    """The case's rows in the order in which lora-train takes them, told by their losses: updates of one row
    each that change nothing. Without buckets an update of n rows takes the next n of the same order."""

    def find(case, epochs):
        count = len(case.rows)
        standstill = Recipe(steps=epochs * count, batch_size=1, learning_rate=1e-30, warmup_steps=0)
        seen = torch.tensor(trace_of_run(lora_train(case, standstill)).losses).double()
        with torch.no_grad():
            losses = torch.tensor([float(mean_loss(case.live, [row])) for row in case.rows]).double()
        nearest = (seen[:, None] - losses).abs().min(1)
        assert float(nearest.values.max()) < 1e-5
        order = nearest.indices.reshape(epochs, count).tolist()
        assert all(sorted(epoch) == list(range(count)) for epoch in order)
        return [case.rows[number] for epoch in order for number in epoch]

    return find


def batches_of(rows, recipe):
    size = recipe.batch_size
    return [rows[number * size : (number + 1) * size] for number in range(recipe.steps)]


def tensors_of(adapter):
    return load_file(adapter / "adapter_model.safetensors")


def assert_same_steps(found, expected, recipe):
    assert len(found.losses) == len(expected.losses) == recipe.steps
    assert found.losses == pytest.approx(expected.losses, rel=LOSS)
    assert found.norms == pytest.approx(expected.norms, rel=NORM)


def assert_same_training(out, start, model, expected, recipe):
    """The run folder `out` against a PEFT model that was trained from the same `start`."""
    assert_same_steps(trace_of_run(out), expected, recipe)
    final = {name: tensor.detach() for name, tensor in get_peft_model_state_dict(model).items()}
    assert distance(tensors_of(out / "adapter"), final, tensors_of(start)) < MOVED


@pytest.mark.parametrize("name, options", [
    ("llama", QV), ("llama", ALL), ("gpt2", CONV1D), ("neox", FUSED), ("plain", PLAIN),
], ids=["llama-qv", "llama-all", "gpt2-conv1d", "neox-fused", "plain"])
def test_twenty_updates_equal_those_of_peft(fixtures, lora_train, in_training_order, tmp_path, name, options):
    case, start = cases.tiny(fixtures, name), tmp_path / "start"
    case = case._replace(rows=case.rows[:32])
    batches = batches_of(in_training_order(case, epochs=5), RECIPE)
    model = with_adapter(case, start, random_b=options is not QV, **options)
    out = lora_train(case, RECIPE, "--init-adapter", start)
    assert_same_training(out, start, model, train(model, batches, RECIPE), RECIPE)


@pytest.mark.parametrize("name, options", [
    ("llama", ALL | {"use_dora": True}), ("gpt2", CONV1D | {"use_dora": True, "bias": "lora_only"}),
    ("neox", FUSED | {"bias": "all"}), ("llama", QV | {"trainable_token_indices": [16, 43, 286]}),
    ("neox", FUSED | {"use_dora": True, "trainable_token_indices": [14, 41, 284]}),
], ids=["dora", "dora-conv1d-biases", "all-biases", "token-rows-tied", "token-rows-dora"])
def test_variants_train_as_in_peft(fixtures, lora_train, tmp_path, name, options):
    case, start, recipe = cases.tiny(fixtures, name), tmp_path / "start", Recipe(steps=5, warmup_steps=1)
    case = case._replace(rows=case.rows[:8])
    model = with_adapter(case, start, random_b=True, **options)
    out = lora_train(case, recipe, "--init-adapter", start)
    assert_same_training(out, start, model, train(model, [case.rows] * recipe.steps, recipe), recipe)
    moved = {key for key, value in tensors_of(out / "adapter").items() if not value.equal(tensors_of(start)[key])}
    assert moved == tensors_of(start).keys()


@pytest.mark.parametrize("name", ["bert", "regressor"])
def test_a_text_head_that_is_trained_too_equals_peft(fixtures, lora_train, tmp_path, name):
    case, start, recipe = cases.tiny(fixtures, name), tmp_path / "start", Recipe(batch_size=48)
    model = with_adapter(case, start, target_modules=["query", "value"], task_type="SEQ_CLS",
                         modules_to_save=["classifier"])
    out = lora_train(case, recipe, "--init-adapter", start)
    expected = train(model, [case.rows] * recipe.steps, recipe)
    assert expected.losses[-1] < 0.9 * expected.losses[0]
    assert_same_training(out, start, model, expected, recipe)


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_label_smoothing_equals_that_of_pytorch(fixtures, lora_train, tmp_path, name):
    case, start, recipe = cases.tiny(fixtures, name), tmp_path / "start", Recipe(batch_size=16, label_smoothing=0.1)
    case = case._replace(rows=case.rows[:16])
    model = with_adapter(case, start, **(QV if name == "llama" else {"target_modules": ["query", "value"], "task_type": "SEQ_CLS"}))
    out = lora_train(case, recipe, "--init-adapter", start)
    expected = train(model, [case.rows] * recipe.steps, recipe)
    assert_same_training(out, start, model, expected, recipe)


@pytest.mark.parametrize("name", ["llama", "plain"])
def test_full_fine_tuning_equals_a_plain_loop(fixtures, lora_train, name):
    case, recipe = cases.tiny(fixtures, name), Recipe(batch_size=16, learning_rate=2e-3)
    case = case._replace(rows=case.rows[:16])
    start = {key: value.clone() for key, value in case.live.state_dict().items()}
    out = lora_train(case, recipe, "--method", "full")
    expected = train(case.live, [case.rows] * recipe.steps, recipe)
    assert expected.losses[-1] < 0.9 * expected.losses[0]
    assert_same_steps(trace_of_run(out), expected, recipe)
    saved = cases.weights_of(out / "model.pt")
    assert distance({key: saved[key] for key in start}, case.live.state_dict(), start) < MOVED


def test_splitting_an_update_into_small_parts_changes_nothing(fixtures, lora_train, tmp_path):
    case, start = cases.tiny(fixtures, "llama"), tmp_path / "start"
    with_adapter(case, start, **QV)
    whole, parts = (lora_train(case, RECIPE, "--init-adapter", start, "--batch-tokens", tokens)
                    for tokens in (100_000, 60))
    assert_same_steps(trace_of_run(parts), trace_of_run(whole), RECIPE)
    assert distance(tensors_of(parts / "adapter"), tensors_of(whole / "adapter"), tensors_of(start)) < MOVED


def test_updates_of_smollm2_equal_those_of_peft(models, lora_train, tmp_path):
    file = models / "smollm2-135m-instruct.pt"
    if not file.exists():
        pytest.skip(f"{file} is not there: scripts/fetch_model.py smollm2-135m-instruct")
    recipe, start = Recipe(steps=5, batch_size=4, warmup_steps=1, learning_rate=1e-3), tmp_path / "start"
    case = cases.smollm2(file)
    model = with_adapter(case, start, **QV)
    out = lora_train(case, recipe, "--init-adapter", start)
    assert_same_training(out, start, model, train(model, [case.rows] * recipe.steps, recipe), recipe)

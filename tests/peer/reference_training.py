"""Training as PyTorch and PEFT do it, step by step: the oracle of test_training.py."""
import inspect
import json
from dataclasses import dataclass, field

import torch
from peft import PeftModel
from torch.nn import functional
from transformers import get_scheduler

torch.set_num_threads(1)

# Tolerances. Float32 sums in another order differ by about 1e-7, and twenty updates carry that on.
LOSS = 1e-5    # relative
NORM = 1e-4    # relative; a norm sums the differences of all elements
MOVED = 1e-3   # of the distance moved, see distance()


@dataclass
class Recipe:
    """Hyper-parameters of both sides, all unlike their defaults, and such that a tenth less of any changes a
    loss by more than LOSS: with a small epsilon Adam would hide what clipping does."""

    steps: int = 20
    batch_size: int = 8
    learning_rate: float = 5e-3
    schedule: str = "cosine"
    warmup_steps: int = 3
    weight_decay: float = 0.1
    beta1: float = 0.85
    beta2: float = 0.98
    epsilon: float = 1e-4
    clip: float = 0.45
    label_smoothing: float = 0.0

    def options(self) -> list:
        """As options of lora-train."""
        names = {"steps": self.steps, "batch-size": self.batch_size, "learning-rate": self.learning_rate,
                 "schedule": self.schedule, "warmup": self.warmup_steps, "weight-decay": self.weight_decay,
                 "beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon, "clip": self.clip, "label-smoothing": self.label_smoothing}
        return [word for name, value in names.items() for word in (f"--{name}", value)]


@dataclass
class Trace:
    """What a training went through."""

    losses: list = field(default_factory=list)   # nats per label, before each update
    norms: list = field(default_factory=list)    # of the mean loss's gradient, before clipping


def padded(rows: list[dict]) -> dict:
    """input_ids, attention_mask and labels [B,T], padded on the right; labels [B] if rows have a class or a value."""
    time = max(len(row["input_ids"]) for row in rows)

    def fill(sequences, value):
        return torch.tensor([sequence + [value] * (time - len(sequence)) for sequence in sequences])

    kind = next((name for name in ("class", "value") if name in rows[0]), None)
    return {"input_ids": fill([row["input_ids"] for row in rows], 0),
            "attention_mask": fill([[1] * len(row["input_ids"]) for row in rows], 0),
            "labels": torch.tensor([row[kind] for row in rows]) if kind else
                      fill([row["labels"] for row in rows], -100)}


def logits_of(model, batch: dict) -> torch.Tensor:
    network = model.get_base_model() if isinstance(model, PeftModel) else model   # adapted in place
    accepted = inspect.signature(network.forward).parameters
    output = network(**{name: batch[name] for name in ("input_ids", "attention_mask") if name in accepted})
    return getattr(output, "logits", output)


def mean_loss(model, rows: list[dict], label_smoothing: float = 0.0) -> torch.Tensor:
    """Mean nats over all labels of all rows, or the mean squared error of values."""
    batch = padded(rows)
    logits, labels = logits_of(model, batch), batch["labels"]
    if labels.is_floating_point():
        return functional.mse_loss(logits.squeeze(1).float(), labels)
    if labels.dim() == 2:
        logits, labels = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    return functional.cross_entropy(logits.float(), labels, ignore_index=-100, label_smoothing=label_smoothing)


def optimizer_of(model, recipe: Recipe) -> torch.optim.AdamW:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = {"params": [each for each in trained if each.dim() >= 2], "weight_decay": recipe.weight_decay}
    vectors = {"params": [each for each in trained if each.dim() < 2], "weight_decay": 0.0}
    return torch.optim.AdamW([matrices, vectors], lr=recipe.learning_rate, eps=recipe.epsilon,
                             betas=(recipe.beta1, recipe.beta2))


def train(model, batches: list[list[dict]], recipe: Recipe, optimizer=None) -> Trace:
    """One update for each batch; by AdamW unless another optimizer is given."""
    model.eval()   # no dropout
    optimizer, trace = optimizer or optimizer_of(model, recipe), Trace()
    scheduler = get_scheduler(recipe.schedule, optimizer, recipe.warmup_steps, recipe.steps)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for rows in batches:
        loss = mean_loss(model, rows, recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        trace.norms.append(float(torch.nn.utils.clip_grad_norm_(trained, recipe.clip)))
        optimizer.step()
        scheduler.step()
        trace.losses.append(float(loss))
    return trace


def trace_of_run(run) -> Trace:
    """The same from a run folder's metrics.jsonl."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "gradient_norm" in line]
    assert [line["step"] for line in steps] == list(range(1, len(steps) + 1))
    return Trace([line["loss"] for line in steps], [line["gradient_norm"] for line in steps])


def distance(found: dict, expected: dict, start: dict) -> float:
    """L2 distance of two sets of tensors, relative to how far the expected one moved. Adam turns gradients
    near zero into differences of single elements, so that a largest difference would say nothing."""
    assert found.keys() == expected.keys()

    def norm(a, b):
        return sum(float((a[name].double() - b[name].double()).square().sum()) for name in b) ** 0.5

    return norm(found, expected) / norm(start, expected)

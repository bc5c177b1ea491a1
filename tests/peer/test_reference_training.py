"""The oracle itself: the losses that test_training.py compares tell every hyper-parameter apart."""
from dataclasses import replace

import cases
import pytest
from cases import QV, with_adapter
from reference_training import LOSS, Recipe, train

RECIPE = Recipe()
NUMBERS = ["learning_rate", "weight_decay", "beta1", "beta2", "epsilon", "clip"]


@pytest.fixture
def losses(fixtures, tmp_path):
    def of(recipe):
        case = cases.tiny(fixtures, "llama")
        model = with_adapter(case, tmp_path / "adapter", **QV)
        batches = [case.rows[8 * (number % 4) :][:8] for number in range(recipe.steps)]
        return train(model, batches, recipe).losses

    return of


@pytest.mark.parametrize("change", [
    *({name: getattr(RECIPE, name) * 0.9} for name in NUMBERS), {"schedule": "linear"}, {"warmup_steps": 2},
], ids=lambda change: next(iter(change)))
def test_another_hyper_parameter_gives_other_losses(losses, change):
    assert losses(replace(RECIPE, **change)) != pytest.approx(losses(RECIPE), rel=2 * LOSS)

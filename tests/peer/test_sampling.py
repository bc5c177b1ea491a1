"""What lora-eval generate draws from, against the logits processors that transformers' generate puts together."""
import json
import math
import os
import random
import subprocess
from pathlib import Path

import cases
import pytest
import torch
from transformers import GenerationConfig
from transformers.generation import LogitsProcessorList

NAMES = {"no_repeat_ngram": "no_repeat_ngram_size"}   # ours -> theirs, where they differ
SHARE = 1e-6     # of probabilities: both sides add up in double
NOBODY = 1e-14   # a probability that rounding takes out of a sum
OPTIONS = {
    "temperature": [0.01, 0.3, 0.7, 1.0, 1.5, 8.0],
    "top_k": [1, 2, 5, 30, 1000],
    "top_p": [0.0, 0.0507, 0.503, 0.9007, 0.99907],   # no sum of equal shares comes near
    "min_p": [0.001, 0.05, 0.5, 1.0],
    "repetition_penalty": [0.5, 1.1, 1.3, 10.0],
    "no_repeat_ngram": [1, 2, 3, 4],
}


@pytest.fixture(scope="module")
def model(fixtures):
    return cases.tiny(fixtures, "llama").live


@pytest.fixture
def drawn():
    """drawn(question, ...) -> answers of the program drawn_tokens, which see."""
    folder = Path(os.environ.get("LORA_BIN") or Path(__file__).parents[2] / "build/release/bin")

    def ask(questions):
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        result = subprocess.run([folder / "drawn_tokens"], input=lines, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in result.stdout.splitlines()]

    return ask


def processors(model, options):
    """Those of generate, in its order: penalties, and what comes behind them."""
    theirs = {NAMES.get(name, name): value for name, value in options.items()}
    config = GenerationConfig(**{"do_sample": True, "top_k": 0, "top_p": 1.0, **theirs})
    every = model._get_logits_processor(config, input_ids_seq_length=1, logits_processor=LogitsProcessorList(), device="cpu")
    changes = [type(each).__name__ in ("RepetitionPenaltyLogitsProcessor", "NoRepeatNGramLogitsProcessor") for each in every]
    count = sum(changes)
    assert changes == sorted(changes, reverse=True)
    return LogitsProcessorList(every[:count]), LogitsProcessorList(every[count:])


def expectation(model, question):
    """(scores after the penalties in float32, probabilities of all tokens in float64)"""
    penalties, warpers = processors(model, question["options"])
    row = torch.tensor([question["row"]], dtype=torch.long)
    scores = torch.tensor([[-math.inf if score is None else score for score in question["scores"]]])
    scores = penalties(row, scores)
    return scores[0], warpers(row, scores.double())[0].softmax(-1)


def check(model, question, answer):
    scores, shares = expectation(model, question)
    penalised = torch.tensor([-math.inf if score is None else score for score in answer["scores"]])
    assert torch.allclose(penalised, scores, rtol=SHARE, atol=0)
    found = torch.zeros_like(shares)
    found[answer["ids"]] = torch.tensor(answer["shares"], dtype=found.dtype)
    assert torch.allclose(found.sort().values, shares.sort().values, rtol=SHARE, atol=SHARE)
    missing, extra = (((one > NOBODY) & (other < NOBODY / 10)).nonzero()[:, 0] for one, other in ((shares, found), (found, shares)))
    # Which of equal ones is the last within top_p depends on an order that transformers leaves open.
    assert len(missing) == len(extra) and len(set(scores[missing].tolist() + scores[extra].tolist())) <= 1
    assert len(missing) == 0 or "top_p" in question["options"]


def question(chance, options, kind):
    size = chance.choice([8, 50, 400])
    spread = chance.choice([0.5, 3, 20])
    scores = [round(chance.gauss(0, spread), 4) for _ in range(size)]
    if kind == "ties":
        scores = [float(round(score)) for score in scores]
    elif kind == "banned":
        scores = [None if chance.random() < 0.6 else score for score in scores[:-1]] + scores[-1:]
    elif kind == "flat":
        scores = [1.25] * size
    elif kind == "peaked":
        scores[chance.randrange(size)] = 80.0
    row = [chance.randrange(size) for _ in range(chance.choice([0, 1, 2, 10, 200]))]
    if "no_repeat_ngram" in options:   # something must be left to draw
        row = [token for token in row if token != size - 1]
    return {"scores": scores, "row": row, "options": options}


@pytest.mark.parametrize("kind", ["plain", "ties", "banned", "flat", "peaked"])
def test_single_options(model, drawn, kind):
    chance = random.Random(kind)
    questions = [question(chance, {name: value}, kind) for name, values in OPTIONS.items() for value in values for _ in range(6)]
    for asked, answer in zip(questions, drawn(questions), strict=True):
        check(model, asked, answer)


@pytest.mark.parametrize("kind", ["plain", "ties", "banned", "flat", "peaked"])
def test_options_together(model, drawn, kind):
    """In the order of transformers: had they another, some of these would differ."""
    chance = random.Random(kind + " together")
    questions = [question(chance, {name: chance.choice(values) for name, values in OPTIONS.items() if chance.random() < 0.6}, kind)
                 for _ in range(400)]
    for asked, answer in zip(questions, drawn(questions), strict=True):
        check(model, asked, answer)


def test_the_order_matters(model, drawn):
    """One question for each pair that gives something else in the other order."""
    scores = [4.0, 3.5, 3.0, 2.0, 1.0, 0.0, -1.0, -2.0]
    pairs = [{"temperature": 4.0, "top_p": 0.6}, {"temperature": 4.0, "min_p": 0.3}, {"top_k": 3, "top_p": 0.9}, {"top_p": 0.5, "top_k": 4},
             {"repetition_penalty": 3.0, "temperature": 2.0, "top_k": 2}, {"no_repeat_ngram": 1, "top_k": 2}]
    questions = [{"scores": scores, "row": [0, 1], "options": options} for options in pairs]
    for asked, answer in zip(questions, drawn(questions), strict=True):
        check(model, asked, answer)


def test_tokens_behind_the_head(drawn):
    """An embedding of more rows than the head: what was read may have no score."""
    answer, = drawn([{"scores": [1.0, 2.0], "row": [7, 1, 7, 1], "options": {"repetition_penalty": 2.0, "no_repeat_ngram": 2}}])
    assert answer["scores"] == [1.0, 1.0]

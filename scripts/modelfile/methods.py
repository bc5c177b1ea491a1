"""The methods of a model file: what each is traced with, and how it is checked against the live model."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .probes import Probes, pack


class Comparison:
    """Largest difference of logits, relative to the largest logit of the live model."""

    def __init__(self):
        self.difference = 0.0
        self.shapes = []

    def add(self, shape, found, expected):
        difference = (found - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
        self.difference = max(self.difference, float(difference.nan_to_num(float("inf"))))
        self.shapes.append(list(shape))


def empty_past(wrapper, batch):
    """Cache [2L,B,H,0,D] of no tokens, in the sizes that the live model uses."""
    layers = _live_cache(wrapper).layers
    return torch.zeros(2 * len(layers), batch, layers[0].keys.size(1), 0, layers[0].keys.size(3))


def _live_cache(wrapper):
    ids = torch.ones(1, 2, dtype=torch.long)
    return wrapper.network(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True).past_key_values


def _positions(mask):
    return (mask.cumsum(1) - 1).clamp_min(0)


def _forward_inputs(inputs, ids, mask):
    """In the order of forward's inputs; the second half of each row is a second text."""
    types = (torch.arange(ids.size(1)) >= ids.size(1) // 2).long() * mask
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return {name: values[name] for name in inputs}


def _trace_forward(wrapper, inputs, probes):
    return tuple(_forward_inputs(inputs, *probes.batch(probes.texts(8, 5))).values())


def _check_forward(script, wrapper, inputs, probes):
    comparison = Comparison()
    batches = [probes.batch(probes.texts(13, 9, 2)), probes.batch(probes.texts(5, 3), left=True)]
    if probes.window:
        batches.append(probes.batch(probes.texts(probes.window + 9)))
    for ids, mask in batches:
        values = _forward_inputs(inputs, ids, mask)
        expected = wrapper.network(**values).logits
        found = script.forward(*values.values())
        if expected.dim() == 3:
            expected, found = expected[mask.bool()], found[mask.bool()]
        comparison.add(ids.shape, found, expected)
    return comparison


def _alone(wrapper, text):
    """Live logits [T,V] of one text without padding."""
    return wrapper.network(input_ids=text[None]).logits[0]


def _trace_packed(wrapper, inputs, probes):
    return pack(probes.texts(3, 5))


def _check_packed(script, wrapper, inputs, probes):
    comparison = Comparison()
    rows = [probes.texts(7, 4, 9), probes.texts(1, 5)]
    if probes.window:
        rows.append(probes.texts(3, probes.window + 9))
    for texts in rows:
        found = script.packed(*pack(texts))[0]
        comparison.add((1, len(found)), found, torch.cat([_alone(wrapper, text) for text in texts]))
    return comparison


def _trace_decode(wrapper, inputs, probes):
    ids, mask = probes.batch(probes.texts(7, 5), left=True)
    past = empty_past(wrapper, 2)
    old = torch.randn(*past.shape[:3], 4, past.size(4), generator=probes.random)
    return ids[:, 4:], mask, _positions(mask)[:, 4:], old


def _check_decode(script, wrapper, inputs, probes):
    """Texts fed in pieces (a prompt, then 1 and 3 tokens) against the same texts at once."""
    comparison = Comparison()
    runs = [(probes.texts(9, 6, 7), (5, 1, 3)), (probes.texts(12), (8, 1, 3))]
    if probes.window:
        runs.append((probes.texts(probes.window + 9), (probes.window + 5, 1, 3)))
    for texts, pieces in runs:
        ids, mask = probes.batch(texts, left=True)
        found = _decode_in_pieces(script, wrapper, ids, mask, pieces)
        expected = torch.cat([_alone(wrapper, text) for text in texts])
        comparison.add(ids.shape, found[mask.bool()], expected)
    return comparison


def _decode_in_pieces(script, wrapper, ids, mask, pieces):
    past, logits, start = empty_past(wrapper, len(ids)), [], 0
    for length in pieces:
        end = start + length
        new, past = script.decode(ids[:, start:end], mask[:, :end], _positions(mask)[:, start:end], past)
        logits.append(new)
        start = end
    return torch.cat(logits, 1)


@dataclass
class Method:
    trace_inputs: Callable  # (wrapper, names of forward's inputs, probes) -> inputs to trace with
    check: Callable  # (script, wrapper, names of forward's inputs, probes) -> Comparison


METHODS = {
    "forward": Method(_trace_forward, _check_forward),
    "packed": Method(_trace_packed, _check_packed),
    "decode": Method(_trace_decode, _check_decode),
}


def check(name, script, wrapper, inputs):
    """Comparison of a script's method with the live model at shapes other than the traced one."""
    # each shape is run once: to compile it would be a waste
    with torch.no_grad(), torch.jit.optimized_execution(False):
        return METHODS[name].check(script, wrapper, inputs, Probes(wrapper.network, seed=1))


def trace_inputs(name, wrapper, inputs):
    with torch.no_grad():
        return METHODS[name].trace_inputs(wrapper, inputs, Probes(wrapper.network, seed=0))

"""From a live model to a TorchScript module whose methods were checked."""

import inspect
import warnings
from contextlib import contextmanager

import torch

from .methods import METHODS, check, trace_inputs
from .wrapper import wrap

TOLERANCE = 1e-4  # relative; traces of whole models differ by rounding only, 1e-5 and less


class Untraceable(Exception):
    """A model whose forward cannot be traced, saved or loaded; the text says why."""


def input_names(wrapper):
    return list(inspect.signature(wrapper.forward).parameters)


def offered_methods(wrapper):
    return [name for name in METHODS if hasattr(wrapper, name)]


def short(error):
    """The telling line of an exception, without traces and addresses."""
    text = str(error).rpartition("\nRuntimeError: ")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


class _NoContext:
    """Stands for the context of an autograd function whose backward is not used."""

    def save_for_backward(self, *tensors):
        pass


@contextmanager
def plain_functions(model):
    """Autograd functions written in Python run as the operations of their forward, which a file can hold.

    Gradients are then those of these operations, by LibTorch.
    """
    modules = {type(each).__module__ for each in model.modules()}
    functions = [each for each in torch.autograd.Function.__subclasses__() if each.__module__ in modules]
    for function in functions:
        function.apply = lambda *values, _forward=function.forward: _forward(_NoContext(), *values)
    try:
        yield
    finally:
        for function in functions:
            del function.apply


class Tracer:
    """Traces the methods of one wrapped model; `refused` collects what did not work and why."""

    def __init__(self, model, task):
        self.wrapper = wrap(model.eval(), task)
        self.wrapper.requires_grad_(False)
        self.inputs = input_names(self.wrapper)
        self.refused = {}

    def trace(self, names):
        """One module with these methods over shared weights."""
        examples = {name: trace_inputs(name, self.wrapper, self.inputs) for name in names}
        with torch.no_grad(), plain_functions(self.wrapper), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every shape that it turns into a constant
            return torch.jit.trace_module(self.wrapper, examples, check_trace=False, strict=False)

    def traceable(self):
        """(methods that can be traced, their module). Untraceable if forward is not among them."""
        names = offered_methods(self.wrapper)
        try:
            return names, self.trace(names)
        except Exception:
            pass  # one of them fails: find out which
        kept = [name for name in names if self._can_trace(name)]
        if "forward" not in kept:
            raise Untraceable(f"forward cannot be traced: {self.refused['forward']}")
        return kept, self.trace(kept)

    def _can_trace(self, name):
        try:
            self.trace([name])
            return True
        except Exception as error:  # whatever the model's code raises
            self.refused[name] = short(error)
            return False

    def verify(self, script, names):
        """Comparison of each method that passes; the others are noted as refused."""
        passed = {}
        for name in names:
            try:
                comparison = check(name, script, self.wrapper, self.inputs)
            except Exception as error:
                self.refused[name] = short(error)
                continue
            if comparison.difference <= TOLERANCE:
                passed[name] = comparison
            else:
                self.refused[name] = f"differs from the live model by {comparison.difference:.1e} (relative)"
        return passed

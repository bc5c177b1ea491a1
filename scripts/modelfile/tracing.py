"""From a live model to a TorchScript module whose methods were checked."""

import inspect
import warnings

import torch

from .errors import FILE, ExportError
from .methods import METHODS, check, trace_inputs
from .wrapper import wrap

TOLERANCE = 1e-4  # relative; traces of whole models differ by rounding only, 1e-6 and less


def input_names(wrapper):
    return list(inspect.signature(wrapper.forward).parameters)


def offered_methods(wrapper):
    return [name for name in METHODS if hasattr(wrapper, name)]


def short(error):
    """First line of an exception's text, without the addresses and traces that follow."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


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
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every shape that it turns into a constant
            return torch.jit.trace_module(self.wrapper, examples, check_trace=False, strict=False)

    def traceable(self):
        """(methods that can be traced, their module). ExportError if forward is not among them."""
        names = offered_methods(self.wrapper)
        try:
            return names, self.trace(names)
        except Exception:
            pass  # one of them fails: find out which
        kept = [name for name in names if self._can_trace(name)]
        if "forward" not in kept:
            raise ExportError(FILE, f"forward cannot be traced: {self.refused['forward']}")
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

"""The exporter: trace, write, load again, compare, publish."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from .archive import Draft, check_writable
from .errors import FILE, ExportError, say
from .metadata import describe
from .tracing import Tracer, Untraceable, short

LANGUAGE_MODEL, CLASSIFICATION, REGRESSION = "language_model", "classification", "regression"


@dataclass
class Extras:
    """What goes into a model file beside the traced weights."""

    name: str = ""
    tokenizer_files: dict = field(default_factory=dict)  # tokenizer.json, tokenizer.model ... -> content
    special_ids: dict = field(default_factory=dict)  # bos, eos, pad; default: the config's
    labels: list = field(default_factory=list)  # names of the classes, in logit order
    head_modules: list = field(default_factory=list)  # module paths that start untrained
    chat: dict | None = None  # reduced chat template, as ChatTemplate::parse reads it
    more: dict = field(default_factory=dict)  # further metadata


def export(model, out, task=LANGUAGE_MODEL, extras=None):
    """Writes `model` (a transformers model) as the model file `out` and returns its metadata.

    Every method of the written file was loaded back and compared with the live model at shapes it was not
    traced with. Methods that fail are left out and said; if forward fails, ExportError and no file. `model`
    is in evaluation mode, frozen and in float32 afterwards.
    """
    out, extras = Path(out), extras or Extras()
    extras = replace(extras, name=extras.name or out.stem)
    check_writable(out)
    model = model.float().eval()
    with Draft(out) as draft:
        tracer, passed = _write_checked(model, task, draft, extras.tokenizer_files)
        metadata = describe(tracer.wrapper, tracer.inputs, passed, task, extras)
        draft.add_metadata(metadata)
        draft.publish()
    for method, comparison in passed.items():
        say(f"{method}: checked, relative difference to the live model at most {comparison.difference:.1e}")
    for method, reason in tracer.refused.items():
        say(f"{method}: left out, {reason}")
    return metadata


def _write_checked(model, task, draft, files):
    """(tracer, Comparison of each method of the draft), with sdpa if it works, else with eager attention."""
    reason = ""
    for attention in _attentions(model):
        model.set_attn_implementation(attention)
        tracer = Tracer(model, task)
        try:
            passed = _attempt(tracer, draft, files)
        except Untraceable as error:
            reason = str(error)
            continue
        if "forward" in passed:
            return tracer, passed
        reason = f"forward {tracer.refused['forward']}"
    raise ExportError(
        FILE,
        f"{type(model).__name__} cannot be exported: {reason}",
        "the architecture's code cannot be traced faithfully; nothing was written",
    )


def _attentions(model):
    current = model.config._attn_implementation
    return [current] if current == "eager" else [current, "eager"]


def _attempt(tracer, draft, files):
    """Comparison of each method of the draft, which holds no other; empty if forward fails."""
    names, script = tracer.traceable()
    while True:
        passed = _write_and_verify(tracer, draft, files, names, script)
        if "forward" not in passed:
            return {}
        if list(passed) == names:
            return passed
        names = list(passed)
        script = tracer.trace(names)


def _write_and_verify(tracer, draft, files, names, script):
    try:
        draft.write(script, files)
        loaded = draft.load()
    except ExportError:
        raise
    except Exception as error:  # no archive can hold the trace: try without the further methods
        if names == ["forward"]:
            raise Untraceable(f"forward cannot be saved and loaded: {short(error)}") from error
        tracer.refused |= {name: f"cannot be saved: {short(error)}" for name in names if name != "forward"}
        return _write_and_verify(tracer, draft, files, ["forward"], tracer.trace(["forward"]))
    return tracer.verify(loaded, names)

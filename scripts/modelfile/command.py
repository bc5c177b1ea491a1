"""What export_model.py and fetch_model.py have in common: source -> model file, quietly."""

import transformers

from .exporter import CLASSIFICATION, LANGUAGE_MODEL, REGRESSION, export
from .loading import Wish, parse_labels
from .source import read_source

_TASKS = {None: None, "lm": LANGUAGE_MODEL, "classify": CLASSIFICATION, "regress": REGRESSION}


def export_source(source, out, task=None, labels=None, name=None, seed=42, more=None):
    """Exports a folder or GGUF file to `out`; options as on the command line. Returns the metadata."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    wish = Wish(_TASKS[task], parse_labels(labels) if labels else [], seed)
    loaded, extras = read_source(source, wish)
    extras.name = name or extras.name
    extras.more = more or {}
    return export(loaded.model, out, loaded.task, extras)

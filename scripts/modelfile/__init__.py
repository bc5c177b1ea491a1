"""Model files for the LoRA programs: TorchScript archives with metadata and tokenizer."""

from . import environment  # first of all
from .errors import ExportError
from .exporter import CLASSIFICATION, LANGUAGE_MODEL, Extras, export

__all__ = ["CLASSIFICATION", "LANGUAGE_MODEL", "ExportError", "Extras", "environment", "export"]

"""Model files for the LoRA programs: TorchScript archives with metadata and tokenizer."""

from .errors import ExportError
from .exporter import CLASSIFICATION, LANGUAGE_MODEL, Extras, export

__all__ = ["CLASSIFICATION", "LANGUAGE_MODEL", "ExportError", "Extras", "export"]

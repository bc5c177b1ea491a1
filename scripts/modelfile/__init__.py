"""Model files for the LoRA programs: TorchScript archives with metadata and tokenizer, made from transformers models."""

from .errors import ExportError
from .export import CLASSIFICATION, LANGUAGE_MODEL, Extras, export

__all__ = ["CLASSIFICATION", "LANGUAGE_MODEL", "ExportError", "Extras", "export"]

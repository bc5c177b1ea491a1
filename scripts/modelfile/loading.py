"""Loads the transformers model of a source for a task."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from unittest.mock import patch

import gguf
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from .errors import FILE, USAGE, ExportError
from .exporter import CLASSIFICATION, LANGUAGE_MODEL, REGRESSION
from .metadata import config_ids
from .tracing import short

MOST_LABELS = 10_000
LOCAL = {"local_files_only": True, "trust_remote_code": False}  # no download, no code from the source


@dataclass
class Wish:
    """What the user asked for; task None: what the source was made for."""

    task: str | None = None
    labels: list = field(default_factory=list)
    seed: int = 42


@dataclass
class Loaded:
    model: torch.nn.Module
    task: str
    labels: list
    head_modules: list  # module paths without weights in the source


def parse_labels(text):
    """`3` -> ["0", "1", "2"]; `bad,good` -> ["bad", "good"]."""
    is_number = text.isdecimal() and int(text) <= MOST_LABELS
    labels = map(str, range(int(text))) if is_number else text.split(",")
    labels = [label.strip() for label in labels]
    if len(labels) < 2 or len(set(labels)) < len(labels) or "" in labels:
        expected = (
            f"a number from 2 to {MOST_LABELS} or at least two different names, as in negative,positive"
        )
        raise ExportError(USAGE, f'--labels "{text}": expected {expected}')
    return labels


def load(source, folder, wish, **gguf_file):
    """Loaded model of a folder; `gguf_file`: which GGUF file in it."""
    with _gguf_parsed_once():
        config = _attempt(source, lambda: AutoConfig.from_pretrained(folder, **LOCAL, **gguf_file))
        task = choose_task(source, config, wish)
        torch.manual_seed(wish.seed)
        read = partial(_from_pretrained, source, folder=folder, config=config, gguf_file=gguf_file)
        if task == LANGUAGE_MODEL:
            return _language_model(source, read)
        if task == REGRESSION:
            return _regressor(source, config, read)
        return _classifier(source, config, wish, read)


@contextmanager
def _gguf_parsed_once():
    """transformers parses a GGUF file for the config and again for the weights, and makes the table of tensor
    names anew for every module; here both happen once, which halves the time."""
    with patch.object(gguf, "GGUFReader", cache(gguf.GGUFReader)):
        with patch.object(gguf, "get_tensor_name_map", cache(gguf.get_tensor_name_map)):
            yield


def choose_task(source, config, wish):
    """The task, or a usage error if the architecture cannot do it."""
    kind = config.model_type
    made_for = " ".join(config.architectures or [])
    has_head = "ForSequenceClassification" in made_for
    own_task = REGRESSION if has_head and config.num_labels == 1 and not wish.labels else CLASSIFICATION
    task = wish.task or (own_task if has_head or wish.labels else LANGUAGE_MODEL)
    if config.is_encoder_decoder:
        raise ExportError(
            USAGE, f'"{source}": {kind} is an encoder-decoder; only decoders and encoders are exported'
        )
    is_encoder = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
    if task == LANGUAGE_MODEL and (is_encoder or kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        raise ExportError(
            USAGE,
            f'"{source}": {kind} is no causal language model',
            "use --task classify --labels negative,positive, or --task regress",
        )
    if task != CLASSIFICATION and wish.labels:
        raise ExportError(USAGE, "--labels only goes with --task classify")
    if task != LANGUAGE_MODEL and kind not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        raise ExportError(USAGE, f'"{source}": transformers has no sequence classification with {kind}')
    return task


def _language_model(source, read):
    model, info = read(AutoModelForCausalLM)
    missing = _missing(info)
    if missing:
        raise ExportError(
            FILE,
            f'"{source}": {len(missing)} weights of {type(model).__name__} are missing: '
            + ", ".join(missing[:5]),
            "the source was made for another task or is incomplete",
        )
    return Loaded(model, LANGUAGE_MODEL, [], [])


def _classifier(source, config, wish, read):
    labels = wish.labels or _own_labels(config)
    if not labels:
        raise ExportError(
            USAGE, f'"{source}" has no classification head', "name the classes: --labels negative,positive"
        )
    model, head_modules = _with_head(source, config, labels, read)
    return Loaded(model, CLASSIFICATION, labels, head_modules)


def _regressor(source, config, read):
    """One output that is no class: transformers' problem_type "regression"."""
    config.problem_type = "regression"
    model, head_modules = _with_head(source, config, ["value"], read)
    return Loaded(model, REGRESSION, [], head_modules)


def _with_head(source, config, labels, read):
    """(model with one output for each label, modules that start untrained)"""
    config.id2label = dict(enumerate(labels))  # the number of outputs follows from it
    config.label2id = {label: i for i, label in enumerate(labels)}
    if getattr(config, "pad_token_id", None) is None:  # decoders without one refuse batches
        eos = config_ids(config)["eos"]
        config.pad_token_id = eos if eos is not None and eos < config.vocab_size else 0
    model, info = read(AutoModelForSequenceClassification, ignore_mismatched_sizes=True)
    return model, _head_modules(source, model, _missing(info))


def _own_labels(config):
    if "ForSequenceClassification" not in " ".join(config.architectures or []):
        return []
    return [str(config.id2label[i]) for i in range(config.num_labels)]


def _missing(info):
    return sorted({*info["missing_keys"], *(each[0] for each in info["mismatched_keys"])})


def _head_modules(source, model, missing):
    """Modules that start with random weights: heads, and the pooler of encoders saved without one."""
    base = model.base_model_prefix
    modules = []
    for key in missing:
        parts = key.split(".")
        depth = 2 if parts[0] == base else 1
        if depth == 2 and "pooler" not in parts[1]:
            raise ExportError(FILE, f'"{source}" is incomplete: weight {key} is missing', "download it again")
        modules.append(".".join(parts[:depth]))
    return list(dict.fromkeys(modules))


def _from_pretrained(source, auto_class, folder, config, gguf_file, **settings):
    """(model with float32 weights, loading info), with fused attention where the architecture has it."""
    settings |= {"dtype": torch.float32, "output_loading_info": True, **LOCAL, **gguf_file}

    def load_any():
        try:
            return auto_class.from_pretrained(folder, config=config, attn_implementation="sdpa", **settings)
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error):
                raise
            return auto_class.from_pretrained(folder, config=config, attn_implementation="eager", **settings)

    model, info = _attempt(source, load_any)
    if gguf_file:
        _forget_quantization(model)
    return model, info


def _forget_quantization(model):
    """The weights are float32 by now; transformers would still refuse to cast or save them."""
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _attempt(source, action):
    try:
        return action()
    except ExportError:
        raise
    except Exception as error:  # transformers raises nearly everything
        message = f'"{source}" cannot be loaded: {short(error)}'
        raise ExportError(FILE, message, _advice(str(error))) from error


def _advice(text):
    if "GGUF" in text and "architecture" in text.lower():
        return "transformers cannot read this architecture from GGUF; export the model's Hugging Face folder"
    if "trust_remote_code" in text:
        return "models that bring their own Python code are not exported"
    return "expected a folder with config.json and safetensors weights, or a GGUF file"

"""`lora_meta.json`: what a model file says about itself. Read by src/model/model_info.cpp."""

import torch
import transformers

from .methods import empty_past
from .wrapper import PREFIX

FORMAT, VERSION = "lora-model", 1


def describe(wrapper, inputs, passed, task, extras):
    """The metadata of a verified module; `passed`: Comparison of each method; `extras`: the exporter's."""
    model = wrapper.network
    embedding = model.get_input_embeddings().weight
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "task": task,
        "family": model.config.model_type,
        "name": extras.name,
        "inputs": inputs,
        "methods": {method: _facts(method, comparison, wrapper) for method, comparison in passed.items()},
        "vocab_size": embedding.size(0),
        "hidden_size": embedding.size(1),
        "context_length": context_length(model),
        **(extras.special_ids or config_ids(model.config)),
        "labels": extras.labels,
        "head_modules": extras.head_modules,
        "wrapper_prefix": PREFIX,
        "tied": tied_weights(model),
        "attention": model.config.get_text_config()._attn_implementation,
        "torch_version": torch.__version__,
        "transformers_version": transformers.__version__,
    }
    return metadata | ({"chat": extras.chat} if extras.chat else {}) | extras.more


def config_ids(config):
    """bos, eos and pad of a config; the first where there are several ends."""
    config = config.get_text_config()

    def single(value):
        value = value[0] if isinstance(value, (list, tuple)) and value else value
        return value if isinstance(value, int) and value >= 0 else None

    return {name: single(getattr(config, f"{name}_token_id", None)) for name in ("bos", "eos", "pad")}


def _facts(method, comparison, wrapper):
    facts = {"max_relative_difference": comparison.difference, "checked_shapes": comparison.shapes}
    if method == "decode":
        with torch.no_grad():
            layers, _, heads, _, size = empty_past(wrapper, 1).shape
        facts["past"] = {"tensors": layers, "heads": heads, "head_size": size}
    return facts


def context_length(model):
    """Longest sequence in tokens; 0 if the architecture has no limit (ALiBi)."""
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len"):
        length = getattr(config, name, None)
        if isinstance(length, int) and length > 0:
            return length - _positions_before_first(model)
    return 0


def _positions_before_first(model):
    """RoBERTa-like tables number positions from padding_idx + 1 on."""
    for path, module in model.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


def tied_weights(model):
    """Groups of parameter paths that are one tensor."""
    groups = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(parameter.data_ptr(), []).append(path)
    return [paths for paths in groups.values() if len(paths) > 1]

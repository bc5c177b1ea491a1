"""The modules that are traced: a transformers model behind tensors-only methods."""

import inspect

import torch
from torch import nn
from transformers import DynamicCache

PREFIX = "network"  # attribute that holds the transformers model: the prefix of every weight's path
FULL, SLIDING = "full_attention", "sliding_attention"


def accepts(model, name):
    return name in inspect.signature(model.forward).parameters


def attention_windows(config):
    """Window of each kind of attention layer (None: unlimited); ValueError for kinds that no mask fits."""
    config = config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return {FULL: window}
    unknown = set(kinds) - {FULL, SLIDING}
    if unknown:
        raise ValueError(f"layers of kind {', '.join(sorted(unknown))}")
    return {kind: window if kind == SLIDING else None for kind in sorted(set(kinds))}


class Classifier(nn.Module):
    """forward(input_ids [B,T], attention_mask [B,T][, token_type_ids [B,T]]) -> logits [B, labels]."""

    def __init__(self, model):
        super().__init__()
        self.network = model

    def forward(self, input_ids, attention_mask):
        return self.network(input_ids=input_ids, attention_mask=attention_mask).logits


class PairClassifier(Classifier):
    """The same for models that tell two texts apart by token types."""

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.network(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).logits


class LastTokenClassifier(Classifier):
    """Decoders with a `score` head read it at the last attended token.

    transformers looks for the last id that is not the padding id, which hides an end-of-text that doubles as
    padding; here the mask decides.
    """

    def forward(self, input_ids, attention_mask):
        hidden = self.network.base_model(input_ids=input_ids, attention_mask=attention_mask)[0]
        scores = self.network.score(hidden)
        positions = torch.cumsum(torch.ones_like(attention_mask), 1) * attention_mask
        last = positions.argmax(1)[:, None, None].expand(-1, 1, scores.size(-1))
        return scores.gather(1, last).squeeze(1)


class LanguageModel(nn.Module):
    """Causal language model; logits [B,T,V] for every method."""

    def __init__(self, model):
        super().__init__()
        self.network = model
        self.has_positions = accepts(model, "position_ids")

    def forward(self, input_ids, attention_mask):
        return self.network(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits

    def packed(self, input_ids, mask, position_ids):
        """Several documents in one row.

        input_ids [1,T], mask bool [1,1,T,T] (True: query row may see key column), position_ids [1,T]
        restarting with each document -> logits [1,T,V], equal to those of the documents alone.
        """
        return self.network(
            input_ids=input_ids,
            attention_mask=self._masks_of_layers(mask),
            use_cache=False,
            **self._positions(position_ids),
        ).logits

    def decode(self, input_ids, attention_mask, position_ids, past):
        """New tokens after cached ones.

        input_ids [B,t], attention_mask [B,P+t], position_ids [B,t], past [2L,B,H,P,D] (key and value of each
        layer in turn; P may be 0) -> (logits [B,t,V], past [2L,B,H,P+t,D]).
        """
        cache = DynamicCache()
        for layer in range(past.size(0) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        logits = self.network(
            input_ids=input_ids,
            attention_mask=attention_mask,
            past_key_values=cache,
            use_cache=True,
            **self._positions(position_ids),
        ).logits
        return logits, torch.stack([each for layer in cache.layers for each in (layer.keys, layer.values)])

    def _positions(self, position_ids):
        return {"position_ids": position_ids} if self.has_positions else {}

    def _masks_of_layers(self, mask):
        """The mask as layers want it: windows applied, additive for eager attention, one per kind."""
        config = self.network.config.get_text_config()
        masks = {
            kind: self._styled(_within(mask, window)) for kind, window in attention_windows(config).items()
        }
        return masks if getattr(config, "layer_types", None) else masks[FULL]

    def _styled(self, mask):
        if self.network.config.get_text_config()._attn_implementation != "eager":
            return mask
        dtype = self.network.dtype
        return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def _within(mask, window):
    """Only keys less than `window` places before the query."""
    if window is None:
        return mask
    places = torch.arange(mask.size(-1), device=mask.device)
    return mask & (places[:, None] - places[None, :] < window)


def wrap(model, task):
    """The wrapper that fits the model and the task."""
    if task == "language_model":
        return LanguageModel(model)
    if hasattr(model, "score") and hasattr(model, "base_model") and accepts(model.base_model, "use_cache"):
        return LastTokenClassifier(model)
    if accepts(model, "token_type_ids") and getattr(model.config, "type_vocab_size", 0) > 1:
        return PairClassifier(model)
    return Classifier(model)

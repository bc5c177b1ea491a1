"""Random texts to trace and check with."""

import torch

from .wrapper import attention_windows

LONGEST_WINDOW = 1024  # sliding windows up to this length are overrun by a probe of their own


class Probes:
    """Draws ids that are no special ones, so that neither padding nor end ids occur inside a text."""

    def __init__(self, model, seed=0):
        config = model.config.get_text_config()
        special = set(range(4))
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            ids = getattr(config, name, None)
            special.update(ids if isinstance(ids, list) else [ids])
        vocab = model.get_input_embeddings().weight.size(0)
        self.usable = torch.tensor([i for i in range(min(vocab, 1000)) if i not in special])
        self.pad = getattr(config, "pad_token_id", None) or 0
        self.window = short_window(config)
        self.random = torch.Generator().manual_seed(seed)

    def text(self, length):
        """Ids [length]."""
        return self.usable[torch.randint(len(self.usable), (length,), generator=self.random)]

    def texts(self, *lengths):
        return [self.text(length) for length in lengths]

    def batch(self, texts, left=False):
        """Ids [B,T] padded on one side, and their mask."""
        time = max(len(text) for text in texts)
        ids = torch.full((len(texts), time), self.pad)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(texts):
            place = slice(time - len(text), time) if left else slice(0, len(text))
            ids[row, place], mask[row, place] = text, 1
        return ids, mask


def short_window(config):
    """Length of the sliding window, if there is one that a probe can overrun, else None."""
    try:
        windows = [each for each in attention_windows(config).values() if each]
    except ValueError:
        return None
    return min(windows) if windows and min(windows) <= LONGEST_WINDOW else None


def pack(texts):
    """One row of several documents: ids [1,T], block-diagonal causal mask bool [1,1,T,T], positions [1,T]."""
    number = torch.cat([torch.full((len(text),), i) for i, text in enumerate(texts)])
    places = torch.arange(len(number))
    mask = (number[:, None] == number[None, :]) & (places[:, None] >= places[None, :])
    positions = torch.cat([torch.arange(len(text)) for text in texts])
    return torch.cat(texts)[None], mask[None, None], positions[None]

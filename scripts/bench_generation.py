#!/usr/bin/env python3
"""Tokens per second of lora-eval generate and of transformers' generate on one model, interleaved.

Needs torch, transformers and tokenizers (tests/requirements.txt has them). Both write the same number of greedy tokens for
the same prompts, float32, the same threads; loading is not counted.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "Write a short story about a town between two mountains, its people, and the winter of the great snow. "


def ours(arguments, prompts, batch):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
        file.flush()
        result = subprocess.run(
            [ROOT / "build/release/bin/lora-eval", "generate", "--model", arguments.model, "--data", file.name, "--json",
             "--max-new-tokens", str(arguments.tokens), "--batch-size", str(batch), "--threads", str(arguments.threads)],
            capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    seconds = re.search(r"([\d.]+) tokens/s", result.stderr)
    return float(seconds[1]), [line["ids"] for line in lines]


def theirs(model, ids, mask, tokens):
    start = time.perf_counter()
    output = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False, pad_token_id=2)
    new = output[:, ids.size(1):].tolist()
    answers = [row[:row.index(2)] if 2 in row else row for row in new]
    return sum(map(len, answers)) / (time.perf_counter() - start), answers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=ROOT / "models/smollm2-135m-instruct.pt", type=Path)
    parser.add_argument("--tokens", default=64, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--repeats", default=3, type=int)
    arguments = parser.parse_args()
    import torch
    from tokenizers import Tokenizer

    sys.path.insert(0, str(ROOT / "tests/peer"))
    import cases

    torch.set_num_threads(arguments.threads)
    extra = {"tokenizer.json": ""}
    torch.jit.load(str(arguments.model), _extra_files=extra)
    tokenizer = Tokenizer.from_str(extra["tokenizer.json"].decode())
    model = cases.smollm2(arguments.model).live.eval()
    print(f"{'rows':>4} {'ours':>8} {'theirs':>8} {'ratio':>6}   tokens/s, medians of {arguments.repeats}, "
          f"{arguments.tokens} new tokens, {arguments.threads} threads")
    for batch in (1, 8):
        prompts = [PROMPT + f"Part {number}:" for number in range(batch)]
        ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False).ids for prompt in prompts])
        mask = torch.ones_like(ids)
        speeds = ([], [])
        for _ in range(arguments.repeats):
            speed, texts = ours(arguments, prompts, batch)
            speeds[0].append(speed)
            speed, expected = theirs(model, ids, mask, arguments.tokens)
            speeds[1].append(speed)
            assert texts == expected, "the texts differ"
        first, second = map(statistics.median, speeds)
        print(f"{batch:>4} {first:>8.1f} {second:>8.1f} {first / second:>6.2f}", flush=True)


if __name__ == "__main__":
    main()

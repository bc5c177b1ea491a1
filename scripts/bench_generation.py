#!/usr/bin/env python3
"""Tokens per second of lora-eval generate and of transformers' generate on one model, interleaved.

Needs torch, transformers and tokenizers (tests/requirements.txt has them). Both write the same number of greedy tokens for
the same prompts with the same threads, in float32 and in bfloat16 (where rounding lets texts differ); loading is not counted.
Writes docs/tables/generation.json, which scripts/make_readme.py shows in docs/generation.md.
"""

import argparse
import copy
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import show_table
from bench import cpu_name

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "Write a short story about a town between two mountains, its people, and the winter of the great snow. "


def ours(arguments, prompts, batch, precision):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
        file.flush()
        result = subprocess.run(
            [ROOT / "build/release/bin/lora-eval", "generate", "--model", arguments.model, "--data", file.name, "--json",
             "--max-new-tokens", str(arguments.tokens), "--batch-size", str(batch), "--threads", str(arguments.threads),
             "--precision", precision],
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
    parser.add_argument("--repeats", default=5, type=int)
    parser.add_argument("--out", default=ROOT / "docs/tables/generation.json", type=Path)
    arguments = parser.parse_args()
    import torch
    import transformers
    from tokenizers import Tokenizer

    sys.path.insert(0, str(ROOT / "tests/peer"))
    import cases

    torch.set_num_threads(arguments.threads)
    extra = {"tokenizer.json": ""}
    torch.jit.load(str(arguments.model), _extra_files=extra)
    tokenizer = Tokenizer.from_str(extra["tokenizer.json"].decode())
    live = cases.smollm2(arguments.model).live.eval()
    models = {"fp32": live, "bf16": copy.deepcopy(live).to(torch.bfloat16)}
    lines = []
    for precision, batch in itertools.product(models, (1, 8)):
        prompts = [PROMPT + f"Part {number}:" for number in range(batch)]
        ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False).ids for prompt in prompts])
        mask = torch.ones_like(ids)
        speeds = ([], [])
        for _ in range(arguments.repeats):
            speed, texts = ours(arguments, prompts, batch, precision)
            speeds[0].append(speed)
            speed, expected = theirs(models[precision], ids, mask, arguments.tokens)
            speeds[1].append(speed)
            assert precision != "fp32" or texts == expected, "the texts differ"
        ratios = [our / their for our, their in zip(*speeds)]
        lines.append({"type": precision, "rows": batch, "ours": statistics.median(speeds[0]), "theirs": statistics.median(speeds[1]),
                      "ratio": statistics.median(ratios), "ratio_range": [min(ratios), max(ratios)]})
    table = {"generation": lines, "model": arguments.model.stem, "tokens": arguments.tokens, "repeats": arguments.repeats,
             "threads": arguments.threads, "cpu": cpu_name(), "transformers": transformers.__version__}
    arguments.out.write_text(json.dumps(table, indent=1) + "\n")
    print(show_table.render(table, markdown=False))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes a model file (TorchScript, .pt) from a Hugging Face folder or a GGUF file.

  scripts/export_model.py ~/models/SmolLM2-135M  smollm2.pt
  scripts/export_model.py model.Q4_1.gguf        model.pt
  scripts/export_model.py ~/models/bert-base     reviews.pt --task classify --labels negative,positive

Any architecture of transformers is traced, and what was written is loaded back and compared with the live
model. The tokenizer and a description go into the same file, so that lora-train needs nothing else.
"""

import argparse
import sys
import time
from pathlib import Path

from modelfile.archive import check_writable
from modelfile.command import export_source
from modelfile.errors import IO, ExportError, run


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="folder with config.json and weights, or a GGUF file"
    )
    parser.add_argument("out", metavar="OUT.pt", type=Path, help="model file to write")
    parser.add_argument(
        "--task",
        choices=("lm", "classify", "regress"),
        help="language model, text classification, or one number for a text; default: what SOURCE is for",
    )
    parser.add_argument(
        "--labels", metavar="N|a,b,c", help="classes of --task classify: how many, or their names in order"
    )
    parser.add_argument("--name", help="name of the base model in adapter folders; default: SOURCE's")
    parser.add_argument("--seed", type=int, default=42, help="seed of a new classification head (default 42)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.pt if it exists")
    return parser.parse_args(arguments)


def main():
    started = time.monotonic()
    options = parse(sys.argv[1:])
    if options.out.exists() and not options.overwrite:
        raise ExportError(IO, f'"{options.out}" exists already', "pass --overwrite, or choose another name")
    check_writable(options.out)
    metadata = export_source(
        options.source, options.out, options.task, options.labels, options.name, options.seed
    )
    size = options.out.stat().st_size / 1e6
    print(f"{options.out}  {metadata['family']}  {size:.0f} MB  {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    sys.exit(run(main))

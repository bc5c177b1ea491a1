#!/usr/bin/env python3
"""What keeping the frozen weights in another type (lora-train --base-dtype) changes, as a table:

  scripts/base_dtype_error.py MODEL.pt ROWS.jsonl

The first update of the same training in each type: its loss is the base's own, since updates start at zero. Printed
are its distance from float32's, the distance of the gradient norms, and the bytes of the base's weights.
"""
import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

BIN = Path(os.environ.get("LORA_BIN") or Path(__file__).resolve().parents[1] / "build/release/bin")
TYPES = ("fp32", "bf16", "fp16")


def first_update(options, dtype):
    """(loss, gradient norm, bytes of the base's weights)."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [BIN / "lora-train", "--model", options.model, "--data", options.data, "--out", out, "--steps", 1,
                   "--batch-size", options.rows, "--max-length", options.max_length, "--no-shuffle",
                   "--base-dtype", dtype]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        update = json.loads((out / "metrics.jsonl").read_text().splitlines()[0])
        report = json.loads((out / "report.json").read_text())
    return update["loss"], update["gradient_norm"], report["base_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL.pt")
    parser.add_argument("data", metavar="ROWS.jsonl")
    parser.add_argument("--rows", type=int, default=8, help="rows of the update (default 8)")
    parser.add_argument("--max-length", type=int, default=256, help="tokens per row (default 256)")
    options = parser.parse_args()
    exact = first_update(options, "fp32")
    print("| base | loss | relative error | gradient norm, relative error | weights MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for dtype in TYPES:
        loss, norm, size = exact if dtype == "fp32" else first_update(options, dtype)
        print(f"| {dtype} | {loss:.5f} | {abs(loss / exact[0] - 1):.1e} | {abs(norm / exact[1] - 1):.1e} "
              f"| {size / 1e6:.0f} |")


if __name__ == "__main__":
    main()

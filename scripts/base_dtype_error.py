#!/usr/bin/env python3
"""What other types than float32 change in a training (lora-train --precision and --base-dtype), as a table:

  scripts/base_dtype_error.py MODEL.pt ROWS.jsonl [--write docs/speed.md]

Trains the same updates in each type, from the same adapter on the same rows. Printed are the largest and the last
relative distance of a loss from float32's; the cosine and the distance, relative to its length, of a gradient from
float32's, both taken at the adapter that float32 trained; and the bytes of the base's weights. --write puts the table
between the marks in a document.
"""
import argparse
import json
import os
import re
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy

from fetching import write_atomically

BIN = Path(os.environ.get("LORA_BIN") or Path(__file__).resolve().parents[1] / "build/release/bin")
KINDS = {"fp32": [], "`--precision bf16`": ["--precision", "bf16"], "`--precision fp16`": ["--precision", "fp16"],
         "`--base-dtype bf16`": ["--base-dtype", "bf16"], "`--base-dtype fp16`": ["--base-dtype", "fp16"]}
MARKS = re.compile(r"(<!-- base_dtype_error begin -->\n).*?(<!-- base_dtype_error end -->)", re.DOTALL)
STOPPED = 75


def lora_train(options, out, *more, code=0):
    command = [BIN / "lora-train", "--model", options.model, "--data", options.data, "--out", out, "--batch-size",
               options.rows, "--max-length", options.max_length, "--seed", 7, "--quiet", *more]
    result = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if result.returncode != code:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {result.returncode}\n{result.stderr}")


def tensor(path, name):
    """A float32 tensor of a safetensors file, or None."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    if name not in header:
        return None
    begin, end = header[name]["data_offsets"]
    return numpy.frombuffer(content[8 + size + begin:8 + size + end], "<f4").astype(numpy.float64)


def training(options, out, kind):
    """(losses, bytes of the base's weights)."""
    lora_train(options, out, "--steps", options.updates, *kind)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["loss"] for line in lines if "loss" in line}
    return losses, json.loads((out / "report.json").read_text())["base_bytes"]


def gradient(options, out, adapter, kind):
    """Of the first update that does not overflow, which the first moment in its checkpoint is a multiple of. Every update
    sees the same rows."""
    lora_train(options, out, "--init-adapter", adapter, "--steps", 20, "--limit", options.rows, "--no-shuffle",
               "--max-minutes", 1e-6, *kind, code=STOPPED)
    for step in range(1, 20):
        moment = tensor(out / f"checkpoints/step-{step:06}/training.safetensors", "first_moment")
        if moment is not None:
            return moment
        lora_train(options, out, "--resume", out, code=STOPPED)
    raise SystemExit(f"{out}: no update without an overflow")


def rows_of_table(options, folder):
    exact, adapter = None, folder / "fp32/adapter"
    for number, (name, kind) in enumerate(KINDS.items()):
        run = folder / ("fp32" if number == 0 else str(number))
        losses, size = training(options, run, kind)
        slope = gradient(options, folder / f"gradient-{number}", adapter, kind)
        if exact is None:
            exact = losses, slope
        gaps = [abs(loss / exact[0][step] - 1) for step, loss in sorted(losses.items())]
        cosine = slope @ exact[1] / numpy.linalg.norm(slope) / numpy.linalg.norm(exact[1])
        # The length of a moment is that of the clipped gradient: directions are what can be compared.
        unit = [each / numpy.linalg.norm(each) for each in (slope, exact[1])]
        yield (f"| {name} | {max(gaps):.1e} | {gaps[-1]:.1e} | {cosine:.6f} | {numpy.linalg.norm(unit[0] - unit[1]):.1e} "
               f"| {size / 1e6:.0f} |")


def table(options):
    head = [f"{Path(options.model).stem}, {Path(options.data).parent.name}, {options.updates} updates of {options.rows} "
            "rows:", "",
            "| type | largest loss gap | last loss gap | gradient cosine | gradient distance | weights MB |",
            "| --- | ---: | ---: | ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory() as folder:
        return "\n".join([*head, *rows_of_table(options, Path(folder))]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL.pt")
    parser.add_argument("data", metavar="ROWS.jsonl")
    parser.add_argument("--updates", type=int, default=30, help="of the trainings that are compared (default 30)")
    parser.add_argument("--rows", type=int, default=8, help="rows of an update (default 8)")
    parser.add_argument("--max-length", type=int, default=256, help="tokens per row (default 256)")
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="put the table between the marks there")
    options = parser.parse_args()
    text = table(options)
    print(text, end="")
    if options.write:
        document = options.write.read_text()
        if not MARKS.search(document):
            raise SystemExit(f"{options.write} has no marks <!-- base_dtype_error begin --> and end")
        write_atomically(options.write, MARKS.sub(lambda marks: marks[1] + text + marks[2], document).encode())


if __name__ == "__main__":
    main()

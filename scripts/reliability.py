#!/usr/bin/env python3
"""Runs the long forms of the reliability tests and writes docs/reliability.md.

  scripts/reliability.py            runs them (about half an hour), keeps their figures in docs/tables/reliability.json
  scripts/reliability.py --short    runs the forms that continuous integration runs
  scripts/reliability.py --part P   runs crash_matrix, sweeps, programs or fuzz, and keeps the figures of the others
  scripts/reliability.py --write    writes the document from those figures and tests/catalogue.json
  scripts/reliability.py --check    fails if the document is another

Needs a build and tests/requirements.txt.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT, FIGURES = ROOT / "docs/reliability.md", ROOT / "docs/tables/reliability.json"
MOMENTS = 200
# Sweeps over bits, bytes and lengths of a file: (what is damaged, program, filter of Catch2).
SWEEPS = (
    ("adapter folder", "test_checkpoint", "corruption:*"),
    ("model file", "test_model", "archive: a flipped bit*"),
    ("checkpoint of a run", "test_checkpoint", "training state: every flipped*"),
    ("ZIP directory", "test_base", "zip: every truncation*"),
    ("GGUF adapter", "test_merge", "gguf: every flipped*"),
    ("PyTorch state file", "test_merge", "torch state: every flipped*"),
    ("undo file of a merge", "test_merge", "restore: every flipped*"),
    ("tokenizer.json", "test_tokenizer", "tokenizer.json: a file cut off*"),
    ("SentencePiece model", "test_tokenizer", "sentencepiece: a file cut off*"),
    ("data file", "test_data", "read data: a damaged file*"),
)


def run(words, **environment):
    """stdout of a command that must succeed."""
    print("+", *words, file=sys.stderr, flush=True)
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=ROOT,
                            env={**os.environ, "OMP_NUM_THREADS": "1", **environment})
    if result.returncode:
        sys.exit(f"{result.stdout}\n{result.stderr}")
    return result.stdout


def crash_matrix(binaries):
    """Calls and cases of each scenario, as the test prints them."""
    rows, before = [], 0
    for name, calls, total in re.findall(r"crash matrix: (.*): (\d+) calls, (\d+) cases so far",
                                         run([binaries / "test_crash_matrix"])):
        rows.append({"name": name, "calls": int(calls), "cases": int(total) - before})
        before = int(total)
    return rows


def sweep(binaries, program, pattern):
    """Assertions of a sweep."""
    out = run([binaries / program, pattern], LORA_FIXTURES=str(ROOT / "build/release/fixtures"))
    return int(re.search(r"All tests passed \((\d+) assertions?", out).group(1))


def program_tests(binaries, is_short):
    """What the tests of the programs record."""
    form = {} if is_short else {"LORA_LONG": "1", "LORA_SIGNAL_MOMENTS": str(MOMENTS)}
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/cli/test_long_runs.py",
             "tests/cli/test_resume.py", "-k", "long_runs or random_moments"],
            LORA_BIN=str(binaries), LORA_FIGURES=str(figures), **form)
        return {row.pop("name"): row for row in map(json.loads, figures.read_text().splitlines())}


def fuzz(is_short):
    """What scripts/fuzz.sh notes of each target. It ends with an error where it finds something; the figures say so, too."""
    seconds = "5" if is_short else "60"
    subprocess.run([ROOT / "scripts/fuzz.sh", seconds], stdout=sys.stderr)
    return [json.loads(line) for line in (ROOT / "build/fuzz/figures.jsonl").read_text().splitlines()]


def measure(binaries, part, is_short):
    parts = {"crash_matrix": lambda: {"crash_matrix": crash_matrix(binaries)},
             "sweeps": lambda: {"sweeps": [{"file": name, "checks": sweep(binaries, program, pattern)}
                                           for name, program, pattern in SWEEPS]},
             "programs": lambda: program_tests(binaries, is_short),
             "fuzz": lambda: {"fuzz": fuzz(is_short)}}
    figures = json.loads(FIGURES.read_text()) if part else {}
    for name in [part] if part else parts:
        figures |= parts[name]()
    return figures


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def catalogue():
    parts = []
    for group, rows in groupby(sorted(json.loads((ROOT / "tests/catalogue.json").read_text()), key=lambda row: row[0]),
                               key=lambda row: row[0]):
        cells = [(failure, code or "goes on", "<br>".join(f"`{test}`" for test in tests) or "not tested yet")
                 for _, failure, code, tests in rows]
        parts.append(f"### {group}\n{table(['failure', 'exit code', 'tests'], cells)}")
    return "\n\n".join(parts)


def document():
    figures = json.loads(FIGURES.read_text())
    matrix, signals, kills = figures["crash_matrix"], figures["signals"], figures["kills"]
    cases = sum(row["cases"] for row in matrix)
    long_rows = [(name, figures[name]["updates"], f"{figures[name]['growth']:+.2%}", figures[name]["open_files"])
                 for name in ("updates of varied length", "save cycles")]
    return f"""# Reliability

Written by `scripts/reliability.py`: the figures are those of its last run, the list of failures is `tests/catalogue.json`, and
a test checks that every test named here exists.

## Crashes
Every call of ours that changes a disk (open, write, fsync, ftruncate, fchmod, rename, exchange, link, unlink, mkdir, rmdir) goes
through `src/base/disk.h`. The crash matrix puts another disk in its place, numbers the calls of a piece of work, and for each
of them tries: the process killed before it, after it, in the middle of a write; a write cut short; EINTR; EIO once and for
good; ENOSPC once and for good. Each is tried with no loss of power, with the loss of what was not synced of files, and
also of folders. Afterwards exactly the old or exactly the new must be found, and the same work must succeed.

{table(["piece of work", "calls", "cases"], [(row["name"], row["calls"], f"{row['cases']:,}") for row in matrix])}

{cases:,} cases, all of them old or new.

Real processes: {signals["sent"]} times a training was sent SIGTERM or SIGINT at a random moment, and {signals["stopped"]} times it
stopped with 75 (else it had just finished); {kills["killed"]} times one that saved after every update was killed with -9. Each
was resumed until it was finished ({signals["runs"]} and {kills["runs"]} runs): losses and trained bytes are those of a run that
was never disturbed.

## Damaged files
Bits or bytes flipped and files cut, at the places that the test of each file names: every bit of an adapter's tensors, every
byte of a checkpoint's members, a sample of places where a file is larger. Each result is refused with its exit code or reads
as a file that is whole, as that test says.

{table(["file", "checks"], [(row["file"], f"{row['checks']:,}") for row in figures["sweeps"]])}

## Fuzzing
libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer, one process for each parser (`scripts/fuzz.sh`). What it
found before is mended and has a unit test.

{table(["parser", "seconds", "inputs", "findings"], [(row["target"], row["seconds"], f"{row['executions']:,}", row["findings"])
                                                     for row in figures["fuzz"]])}

## Long runs
Resident memory in the last quarter of a run against the second one, and open files.

{table(["run", "updates", "memory", "open files"], long_rows)}

## Every failure and its tests
{catalogue()}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--part", choices=["crash_matrix", "sweeps", "programs", "fuzz"])
    parser.add_argument("--write", action="store_true", help="write the document only")
    parser.add_argument("--check", action="store_true", help="compare the document only")
    arguments = parser.parse_args()
    if not arguments.write and not arguments.check:
        FIGURES.write_text(json.dumps(measure(arguments.bin.resolve(), arguments.part, arguments.short), indent=1) + "\n")
    if not arguments.check:
        DOCUMENT.write_text(document())
    elif DOCUMENT.read_text() != document():
        sys.exit(f"{DOCUMENT.relative_to(ROOT)} is not what tests/catalogue.json and {FIGURES.relative_to(ROOT)} say: run "
                 "scripts/reliability.py --write")


if __name__ == "__main__":
    main()

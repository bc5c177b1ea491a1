#!/usr/bin/env python3
"""Writes docs/command-line.md from the programs' --help and from the exit codes in include/lora/base/error.h.

With --check nothing is written; the exit code is 1 if the document is not what the programs say.
"""
import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from fetching import write_atomically

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ["lora-train", "lora-merge", "lora-eval"]
COLUMNS = 100
HEAD = """# Command line

<!-- written by scripts/make_cli_docs.py -->

Flags and config keys are the same names: `--learning-rate 1e-3` is `{"learning_rate": 1e-3}` in a file given
with `--config`. A flag wins over the file, and the file over the default. `--print-config` prints the resolved
options as such a file; a run folder's `config.json` is one, too. The last of repeated flags counts, except that
lists grow: `--targets q_proj v_proj`, `--targets q_proj,v_proj` and `--targets q_proj --targets v_proj` are the
same. Only lists of names, words and shapes are split at commas; texts and paths (`--prompt`, `--stop`, `--adapter`,
`--variant`, `--predictions`) are not, and a label word that holds a comma is given in a file of options. Yes/no options are written `--bucket`, `--no-bucket` or `--bucket=false`.

Results go to stdout, everything else to stderr.
"""


def help_of(folder: Path, *command: str) -> str:
    result = subprocess.run([folder / command[0], *command[1:], "--help"], capture_output=True, text=True,
                            env={**os.environ, "COLUMNS": str(COLUMNS)})
    if result.returncode != 0:
        sys.exit(f"error: {' '.join(command)} --help failed: {result.stderr}")
    return result.stdout


def commands(overview: str) -> list[str]:
    """The words below "Commands" in a program's help; none for a program that does one thing."""
    listed = re.search(r"^Commands\n((?:  .*\n)+)", overview, re.MULTILINE)
    return re.findall(r"^  (\S+)", listed[1], re.MULTILINE) if listed else []


def help_section(folder: Path, *command: str) -> str:
    return f"\n## {' '.join(command)}\n```\n{help_of(folder, *command)}```\n"


def exit_codes(header: str) -> str:
    rows = re.findall(r"^  \w+ = (\d+),[ ]*(?:///< (.*))?$", header, re.MULTILINE)
    lines = [f"| {code} | {meaning or 'done'} |" for code, meaning in rows]
    return "\n".join(["\n## Exit codes", "| code | meaning |", "| ---: | --- |", *lines]) + "\n"


def document(folder: Path) -> str:
    text = HEAD + exit_codes((ROOT / "include/lora/base/error.h").read_text())
    for program in PROGRAMS:
        words = [[word] for word in commands(help_of(folder, program))]
        text += "".join(help_section(folder, program, *word) for word in words or [[]])
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, report a difference")
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin", help="folder of the programs")
    options = parser.parse_args()
    path, text = ROOT / "docs/command-line.md", document(options.bin)
    if path.exists() and path.read_text() == text:
        return
    if options.check:
        sys.exit(f"{path} differs from what the programs say; run scripts/make_cli_docs.py")
    write_atomically(path, text.encode())


if __name__ == "__main__":
    main()

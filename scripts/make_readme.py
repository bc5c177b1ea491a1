#!/usr/bin/env python3
"""Writes the measured tables into README.md and docs/.

The text between <!-- table:NAME begin --> and <!-- table:NAME end --> becomes the comparison in
docs/tables/NAME.json. Where runs/NAME/compare.json exists, it is copied there first: measure, run this
script, commit. With --check nothing is written; the exit code is 1 if a table differs from its numbers.
"""
import argparse
import json
import re
import sys
from pathlib import Path

from fetching import write_atomically
from show_table import render

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- table:([\w-]+) begin -->\n).*?(<!-- table:\2 end -->)", re.DOTALL)
MARK = re.compile(r"<!-- table:")


class TableError(Exception):
    """A marked block that cannot be filled."""


def fill(text: str, numbers) -> str:
    """`text` with every marked block rendered from numbers(NAME)."""
    def rendered(block):
        return block[1] + render(numbers(block[2]), markdown=True) + block[3]

    filled, blocks = BLOCK.subn(rendered, text)
    if len(MARK.findall(text)) != 2 * blocks:
        raise TableError("a begin or end mark of a table has no partner")
    return filled


def numbers_of(root: Path, name: str, take_new: bool) -> dict:
    """The committed numbers of a table, after taking over those of a newer run if so wished."""
    measured, kept = root / "runs" / name / "compare.json", root / "docs/tables" / f"{name}.json"
    if take_new and measured.exists():
        write_atomically(kept, measured.read_bytes())
    if not kept.exists():
        raise TableError(f"no numbers for table:{name}: {kept} is missing; measure, then run make_readme.py")
    return json.loads(kept.read_text())


def update(root: Path, check: bool) -> list[Path]:
    """Documents whose tables were not those of their numbers; they are rewritten unless `check`."""
    stale = []
    for path in [root / "README.md", *sorted(root.glob("docs/*.md"))]:
        text = path.read_text() if path.exists() else ""
        try:
            filled = fill(text, lambda name: numbers_of(root, name, take_new=not check))
        except TableError as error:
            sys.exit(f"error: {path}: {error}")
        if filled != text:
            stale.append(path)
            if not check:
                write_atomically(path, filled.encode())
    return stale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, report tables that differ")
    parser.add_argument("--root", type=Path, default=ROOT, help="project folder (default: this one)")
    options = parser.parse_args()
    stale = update(options.root, options.check)
    for path in stale:
        print(f"{path}: tables {'differ from their numbers' if options.check else 'written'}")
    sys.exit(1 if stale and options.check else 0)


if __name__ == "__main__":
    main()

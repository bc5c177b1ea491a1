#!/usr/bin/env python3
"""Prints what `lora-eval compare --json FILE` or scripts/study.py wrote as a table for the terminal or in Markdown."""
import argparse
import json
import sys
from pathlib import Path

UNKNOWN = "-"
HEADER = ["variant", "loss", "perplexity", "accuracy", "trainable", "share", "file", "train peak",
          "train time", "latency ms"]


def scaled(value: float, step: float, units: list[str]) -> str:
    """1536 with step 1024 -> "1.5 KiB"."""
    number = 0
    while value >= step - 0.05 and number + 1 < len(units):
        value /= step
        number += 1
    return f"{value:.{1 if number else 0}f}{units[number]}"


def human_bytes(count: float) -> str:
    return scaled(count, 1024, [" B", " KiB", " MiB", " GiB", " TiB"])


def human_count(count: float) -> str:
    return scaled(count, 1000, ["", "k", "M", "G", "T"])


def human_seconds(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole // 60 % 60:02}m"


def percent(share: float) -> str:
    return f"{share * 100:.{3 if share < 0.001 else 2}f} %"


def cells(variant: dict) -> list[str]:
    """One row of the table; a number that is unknown (null) stays so."""
    training, latency = variant["training"] or {}, variant["latency"] or {}
    mark = "" if latency.get("interleaved", True) else "*"

    def show(value, form):
        return UNKNOWN if value is None else form(value)

    return [variant["name"],
            f"{variant['loss']:.4f}",
            f"{variant['perplexity']:.{2 if variant['perplexity'] < 1000 else 0}f}",
            show(variant["accuracy"], "{:.3f}".format),
            show(variant["trainable_parameters"], human_count),
            show(variant["trainable_share"], percent),
            human_bytes(variant["file_bytes"]),
            show(training.get("peak_bytes"), human_bytes),
            show(training.get("seconds"), human_seconds),
            show(latency.get("median_ms"), "{:.1f}".format) + mark]


def rows(comparison: dict) -> list[list[str]]:
    return [HEADER] + [cells(variant) for variant in comparison["variants"]]


def plain_table(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines)]

    def text(line):
        aligned = [cell.rjust(width) for cell, width in zip(line, widths)]
        return "  ".join([line[0].ljust(widths[0])] + aligned[1:]).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([text(lines[0]), rule, *map(text, lines[1:])])


def markdown_table(lines: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(lines[0]) - 1)
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in [lines[0], rule, *lines[1:]]]
    return "\n".join("| " + " | ".join(line) + " |" for line in escaped)


def measured_on(comparison: dict) -> list[str]:
    """What the numbers are about."""
    data, batch = comparison["data"], comparison["latency_batch"]
    words = " or ".join(f"`{word.strip()}`" for word in comparison["label_words"])
    parts = [f"{data['rows']:,} rows of {Path(data['path']).name}",
             f"loss in nats over {data['labelled']:,} labels",
             f"accuracy: the likelier of {words}" if words else "",
             f"latency: median forward pass of {batch['rows']} x {batch['tokens']} tokens",
             f"{comparison['cpu']}, {comparison['threads']} threads, LibTorch {comparison['libtorch']}"]
    return list(filter(None, parts))


MEASURES = {"accuracy": "accuracy", "f1_macro": "macro F1", "matthews": "Matthews"}


def study_rows(study: dict) -> list[list[str]]:
    """The variants of scripts/study.py, each at its best rate."""
    first = study["variants"][0]
    measures = [name for name in MEASURES if name in first["measures"]]
    metrics = list(study["variants"][-1]["texts"])
    shapes = list(first["latencies"])

    def cells_of(variant):
        training = variant["training"] or {}
        texts = [variant["texts"][name] for name in metrics]
        latencies = [variant["latencies"][shape]["median_ms"] / first["latencies"][shape]["median_ms"] for shape in shapes]
        return [variant["name"],
                "-" if variant["rate"] is None else f"{variant['rate']:g}",
                f"{variant['loss']:.4f}",
                *(f"{variant['measures'][name]['value']:.3f}" for name in measures),
                *(f"{text['value']:.{2 if text['value'] > 1 else 4}f}" for text in texts),
                "-" if variant["trainable_parameters"] is None else human_count(variant["trainable_parameters"]),
                "-" if variant["trainable_share"] is None else percent(variant["trainable_share"]),
                human_bytes(variant["file_bytes"]),
                human_bytes(training["peak_bytes"]) if training else UNKNOWN,
                human_seconds(training["seconds"]) if training else UNKNOWN,
                *(f"{ratio:.2f}" for ratio in latencies)]

    header = ["variant", "rate", "test loss", *(MEASURES[name] for name in measures), *metrics, "trainable", "share", "file",
              "train peak", "train time", *(f"latency {shape}" for shape in shapes)]
    return [header] + [cells_of(variant) for variant in study["variants"]]


def swept(study: dict) -> list[str]:
    """Validation losses by learning rate."""
    return [f"{variant['name']}: " + ", ".join(f"{each['rate']:g} {each['valid_loss']:.4f}" for each in variant["sweep"])
            for variant in study["variants"] if variant["sweep"]]


def render_study(study: dict, markdown: bool) -> str:
    common = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in study["common"].items())
    facts = [f"{study['model']} on {study['data']}, {study['rows']:,} test rows", common,
             "latency: ratio to the base", f"{study['cpu']}, {study['threads']} threads"]
    lines, sweeps = study_rows(study), swept(study)
    if markdown:
        listed = "\n".join(f"* {line}" for line in sweeps)
        return f"{markdown_table(lines)}\n\n{'; '.join(facts)}.\n\nValidation loss by learning rate:\n\n{listed}\n"
    return "\n".join([plain_table(lines), "", *facts, *sweeps]) + "\n"


def render(comparison: dict, markdown: bool) -> str:
    if "question" in comparison:
        return render_study(comparison, markdown)
    lines, facts = rows(comparison), measured_on(comparison)
    if markdown:
        return f"{markdown_table(lines)}\n\n{'; '.join(facts)}.\n"
    return "\n".join([plain_table(lines), "", *facts]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE.json")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    try:
        sys.stdout.write(render(json.loads(options.file.read_text()), options.markdown))
    except OSError as error:
        sys.exit(f"error: {error}")
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"error: {options.file} is no comparison of lora-eval: {type(error).__name__} {error}")


if __name__ == "__main__":
    main()

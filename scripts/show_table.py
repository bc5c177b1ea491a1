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


def known(value, form) -> str:
    return UNKNOWN if value is None else form(value)


def cells(variant: dict) -> list[str]:
    """One row of the table; a number that is unknown (null) stays so."""
    training, latency = variant["training"] or {}, variant["latency"] or {}
    mark = "" if latency.get("interleaved", True) else "*"

    return [variant["name"],
            f"{variant['loss']:.4f}",
            known(variant["perplexity"], lambda value: f"{value:.{2 if value < 1000 else 0}f}"),
            known(variant["accuracy"], "{:.3f}".format),
            known(variant["trainable_parameters"], human_count),
            known(variant["trainable_share"], percent),
            human_bytes(variant["file_bytes"]),
            known(training.get("peak_bytes"), human_bytes),
            known(training.get("seconds"), human_seconds),
            known(latency.get("median_ms"), "{:.1f}".format) + mark]


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


MEASURES = {"accuracy": "accuracy", "f1_macro": "macro F1", "matthews": "Matthews", "pearson": "Pearson", "spearman": "Spearman"}
TEXT_MEASURES = {"e2e_bleu": "BLEU", "nist": "NIST", "meteor_stem": "METEOR", "rouge_l_coco": "ROUGE-L", "cider": "CIDEr"}
SIGNIFICANT = 0.05


def figure(estimate: dict) -> str:
    """A measure; a star if its difference from the first variant is no chance."""
    digits = 2 if estimate["value"] > 1 else 3
    star = "*" if estimate.get("p_value", 1) < SIGNIFICANT else ""
    return f"{estimate['value']:.{digits}f}{star}"


def cost_cells(variant: dict) -> list[str]:
    training = variant["training"] or {}
    return [known(variant["trainable_parameters"], human_count),
            known(variant["trainable_share"], percent),
            human_bytes(variant["file_bytes"]),
            known(training.get("peak_bytes"), human_bytes),
            known(variant.get("cpu_seconds", training.get("seconds")), human_seconds)]


def cost_header(variants: list[dict]) -> list[str]:
    """Older studies know the time by the clock only."""
    return ["trainable", "share", "file", "train peak", "CPU time" if "cpu_seconds" in variants[0] else "train time"]


def ratio(time: dict | None, base: dict) -> str:
    return known(time, lambda known_time: f"{known_time['median_ms'] / base['median_ms']:.2f}")


def latency_ratio(variant: dict, base: dict, shape: str) -> str:
    return ratio(variant["latencies"].get(shape), base["latencies"][shape])


def decode_times(variant: dict) -> dict:
    """{"1 x 32, first token": times}"""
    return {f"{shape}, {name.replace('_', ' ')}": times for shape, each in variant.get("decode_latencies", {}).items()
            for name, times in each.items()}


def seed_count(variants: list[dict]) -> int:
    return next((variant["seeds"]["count"] for variant in variants if variant.get("seeds")), 0)


def over_seeds(variant: dict, name: str) -> str:
    spread = variant.get("seeds") and variant["seeds"]["measures"][name]
    return f"{spread['mean']:.3f} ± {spread['deviation']:.3f}" if spread else UNKNOWN


def study_rows(study: dict) -> list[list[str]]:
    """The variants of scripts/study.py, each at its best rate."""
    base, last = study["variants"][0], study["variants"][-1]
    measures = [name for name in MEASURES if name in base["measures"]]
    count = seed_count(study["variants"])
    seeds = measures[:1] if count else []

    def times_of(variant):
        return {f"latency {shape}": time for shape, time in variant["latencies"].items()} | decode_times(variant)

    times = times_of(base)

    def cells_of(variant):
        return [variant["name"],
                known(variant["rate"], "{:g}".format),
                f"{variant['loss']:.4f}",
                *(figure(variant["measures"][name]) for name in measures),
                *(over_seeds(variant, name) for name in seeds),
                *(figure(variant["texts"][name]) for name in last["texts"]),
                *cost_cells(variant),
                *(ratio(times_of(variant).get(name), time) for name, time in times.items())]

    header = ["variant", "rate", "test loss", *(MEASURES[name] for name in measures),
              *(f"{MEASURES[name]}, {count} seeds" for name in seeds), *(TEXT_MEASURES.get(name, name) for name in last["texts"]),
              *cost_header(study["variants"]), *(f"{name} (base {time['median_ms']:.1f} ms)" for name, time in times.items())]
    return [header] + [cells_of(variant) for variant in study["variants"]]


def main_measures(variant: dict) -> list[str]:
    return [name for name in ("pearson", "spearman", "accuracy", "matthews") if name in variant["measures"]]


def main_scores(variant: dict) -> list[str]:
    """At most two, with their names: those of texts, else of values or classes."""
    scores = [(TEXT_MEASURES.get(name, name), score) for name, score in variant["texts"].items()]
    scores = scores or [(MEASURES[name], variant["measures"][name]) for name in main_measures(variant)]
    shown = [f"{name} {figure(score)}" for name, score in scores[:2]]
    return shown + [UNKNOWN] * (2 - len(shown))


def part_rows(parts: dict) -> list[list[str]]:
    """Variants on several models and data sets; baked models show their latency beside the adapter's."""
    count = max(seed_count(part["variants"]) for part in parts.values())
    seeds = [f"score, {count} seeds"] if count else []
    lines = [["model, data", "variant", "rate", "score", *seeds, "second score", "test loss",
              *cost_header([variant for part in parts.values() for variant in part["variants"]]), "latency", "merged"]]
    for part in parts.values():
        base, by_name = part["variants"][0], {variant["name"]: variant for variant in part["variants"]}
        shape = next((shape for shape in ("1 x 128",) if shape in base["latencies"]), None)
        for variant in part["variants"]:
            if variant["name"].endswith(" merged"):
                continue
            merged = by_name.get(f"{variant['name']} merged")
            score, second = main_scores(variant)
            spread = [over_seeds(variant, main_measures(variant)[0])] if seeds else []
            lines.append([f"{part['model']}, {part['data']}", variant["name"], known(variant["rate"], "{:g}".format),
                          score, *spread, second, f"{variant['loss']:.4f}", *cost_cells(variant),
                          latency_ratio(variant, base, shape), latency_ratio(merged, base, shape) if merged else UNKNOWN])
    return lines


def swept(study: dict) -> list[str]:
    """Validation losses by learning rate."""
    return [f"{variant['name']}: " + ", ".join(f"{each['rate']:g} {each['valid_loss']:.4f}" for each in variant["sweep"])
            for variant in study["variants"] if variant["sweep"]]


def options_text(options: dict) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in options.items())


STUDY_NOTE = ("*: differs from the first trained variant on the same rows (p < 0.05, paired randomisation); CPU time: processor "
              "time of the whole training program; latency: forward pass of ROWS x TOKENS, ratio to the base")


def render_study(study: dict, markdown: bool) -> str:
    facts = [f"{study['model']} on {study['data']}, {study['rows']:,} test rows", options_text(study["common"]), STUDY_NOTE,
             f"{study['cpu']}, {study['threads']} threads"]
    lines, sweeps = study_rows(study), swept(study)
    if markdown:
        listed = "\n".join(f"* {line}" for line in sweeps)
        return f"{markdown_table(lines)}\n\n{'; '.join(facts)}.\n\nValidation loss by learning rate:\n\n{listed}\n"
    return "\n".join([plain_table(lines), "", *facts, *sweeps]) + "\n"


def render_parts(parts: dict, markdown: bool) -> str:
    lines = part_rows(parts)
    facts = [f"{part['model']} on {part['data']}: {part['rows']:,} test rows, {options_text(part['common'])}; {part['cpu']}, "
             f"{part['threads']} threads. " + "; ".join(swept(part)) for part in parts.values()]
    if markdown:
        listed = "\n".join(f"* {fact}" for fact in facts)
        return f"{markdown_table(lines)}\n\n{STUDY_NOTE} (1 x 128 tokens).\n\nRuns, and their validation losses by learning rate:\n\n{listed}\n"
    return "\n".join([plain_table(lines), "", STUDY_NOTE, *facts]) + "\n"


def render_generation(table: dict, markdown: bool) -> str:
    """The speeds of scripts/bench_generation.py."""
    lines = [["type", "rows", "lora-eval, tokens/s", "transformers, tokens/s", "ratio"],
             *([each["type"], str(each["rows"]), f"{each['ours']:.1f}", f"{each['theirs']:.1f}",
                f"{each['ratio']:.2f} ({each['ratio_range'][0]:.2f}-{each['ratio_range'][1]:.2f})"] for each in table["generation"])]
    facts = (f"{table['model']}, {table['tokens']} greedy tokens a row, the same texts in fp32; medians of {table['repeats']} runs in turn, with the "
             f"smallest and largest ratio; {table['cpu']}, {table['threads']} threads, transformers {table['transformers']}.")
    return f"{(markdown_table if markdown else plain_table)(lines)}\n\n{facts}\n"


def render(comparison: dict, markdown: bool) -> str:
    if "generation" in comparison:
        return render_generation(comparison, markdown)
    if "parts" in comparison:
        return render_parts(comparison["parts"], markdown)
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

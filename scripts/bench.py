#!/usr/bin/env python3
"""Training speed and memory of lora-train beside PEFT on the same pre-tokenised batches: docs/benchmarks.md.

Needs scripts/bench-requirements.txt. Every measurement is a process of its own; peers run in turn, several times, from the
same initial A and B; losses are compared step by step. Workloads are files of the user's:

  scripts/bench.py --text FILE.txt --instruction FILE.jsonl --sentences FILE.jsonl

Peers of PyTorch are those of scripts/bench_peers.py; NAME-tcmalloc is the same with that allocator, where it is installed. Ours:
ours, ours-bf16 (--precision bf16), ours-full (--method full), ours-1-thread.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
QV, ALL = ["q_proj", "v_proj"], ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TCMALLOC = ["/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4", "/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/smollm2-135m-instruct.pt")
    parser.add_argument("--text", type=Path, help="plain text: workloads dense, long and all-linear")
    parser.add_argument("--instruction", type=Path, help="JSONL of prompt and completion: workload instruction")
    parser.add_argument("--sentences", type=Path, help="JSONL of short prompts and completions: workload sentences")
    parser.add_argument("--peers", default="ours,ours-1-thread,ours-full,ours-bf16,peft,peft-tcmalloc,peft-compile,peft-bf16,trl,"
                        "trl-packed,litgpt,full")
    parser.add_argument("--only", default="", help="names of workloads, if not all")
    parser.add_argument("--steps", type=int, default=4, help="measured updates, after one to warm up")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/tables/benchmarks.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/benchmarks.md")
    return parser.parse_args()


# --- what is run ---------------------------------------------------------------------------------------------------

def tokenizer_of(model: Path):
    import torch
    from tokenizers import Tokenizer

    extra = {"tokenizer.json": ""}
    torch.jit.load(str(model), _extra_files=extra)
    return Tokenizer.from_str(extra["tokenizer.json"].decode())


def text_batches(tokenizer, file: Path, batch: int, time_: int, count: int):
    ids = tokenizer.encode(file.read_text()[:8 * batch * time_ * count]).ids
    rows = [ids[begin:begin + time_ + 1] for begin in range(0, batch * count * (time_ + 1), time_ + 1)]
    rows = [{"input_ids": row, "labels": row} for row in rows]
    return [rows[begin:begin + batch] for begin in range(0, batch * count, batch)]


def completion_batches(tokenizer, file: Path, batch: int, count: int):
    rows = []
    for line in file.read_text().splitlines()[:batch * count]:
        row = json.loads(line)
        prompt = tokenizer.encode(row["prompt"]).ids
        answer = tokenizer.encode(" " + row["completion"].strip()).ids
        rows.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    return [rows[begin:begin + batch] for begin in range(0, batch * count, batch)]


def workloads(arguments):
    tokenizer, count = tokenizer_of(arguments.model), arguments.steps + 1
    found = {}
    if arguments.text:
        found["dense 4x256"] = (text_batches(tokenizer, arguments.text, 4, 256, count), QV, 8)
        found["all-linear r 16"] = (text_batches(tokenizer, arguments.text, 4, 256, count), ALL, 16)
        found["long 2x1024"] = (text_batches(tokenizer, arguments.text, 2, 1024, count), QV, 8)
    if arguments.instruction:
        found["instruction 8"] = (completion_batches(tokenizer, arguments.instruction, 8, count), QV, 8)
    if arguments.sentences:
        found["sentences 8"] = (completion_batches(tokenizer, arguments.sentences, 8, count), QV, 8)
    wanted = [name for name in arguments.only.split(",") if name]
    return {name: each for name, each in found.items() if not wanted or name in wanted}


# --- one measurement ----------------------------------------------------------------------------------------------

# A process begins with the peak of the one that started it, and this one holds PyTorch: a small one stands between.
LAUNCHER = """import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(f"{status} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}")"""


def run_process(command, **options):
    """Its standard output, wall seconds and peak resident bytes."""
    with tempfile.TemporaryDirectory() as folder:
        usage, words = Path(folder) / "usage", [str(word) for word in command]
        start = time.time()
        out = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, usage, *words], stdout=subprocess.PIPE, text=True, **options).stdout
        wall = time.time() - start
        status, peak = map(int, usage.read_text().split())
    if status:
        sys.exit(f"{words} ended with status {status}")
    return out, start, wall, peak * 1024


def run_ours(arguments, folder: Path, spec: dict, kind: str):
    data, out = folder / "rows.jsonl", folder / "run"
    data.write_text("".join(json.dumps(row) + "\n" for rows in spec["batches"] for row in rows))
    options = ["--method", "full"] if kind == "ours-full" else ["--init-adapter", spec["adapter"]]
    options += {"ours-bf16": ["--precision", "bf16"], "ours-profile": ["--profile"]}.get(kind, [])
    threads = 1 if kind == "ours-1-thread" else spec["threads"]
    _, _, wall, peak = run_process(
        [arguments.bin / "lora-train", "--model", spec["model"], "--data", data, "--out", out, "--overwrite",
         "--batch-size", len(spec["batches"][0]), "--steps", len(spec["batches"]), "--learning-rate", spec["rate"],
         "--schedule", "constant", "--warmup", 0, "--weight-decay", 0, "--threads", threads,
         "--no-shuffle", *options], stderr=subprocess.DEVNULL)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    ends = [line["seconds"] for line in lines if "loss" in line]
    return {"losses": [line["loss"] for line in lines if "loss" in line],
            "seconds": [end - begin for begin, end in zip([0] + ends, ends)],
            "first": wall - (ends[-1] - ends[0]), "peak": peak,
            "profile": json.loads((out / "report.json").read_text()).get("profile")}


def measure(arguments, peer: str, folder: Path, spec: dict):
    if peer.startswith("ours"):
        return run_ours(arguments, folder, spec, peer)
    file = folder / "spec.json"
    file.write_text(json.dumps(spec))
    environment = dict(os.environ)
    if peer.endswith("-tcmalloc"):
        library = next((each for each in TCMALLOC if Path(each).exists()), None)
        if not library:
            return None
        environment["LD_PRELOAD"] = library
    text, start, _, peak = run_process([sys.executable, ROOT / "scripts/bench_peers.py", peer.removesuffix("-tcmalloc"), file],
                                       env=environment, stderr=subprocess.DEVNULL)
    result = json.loads(text.splitlines()[-1])
    return {**result, "first": result["first"] - start, "peak": peak}


# --- the table -----------------------------------------------------------------------------------------------------

def real_tokens(rows):
    return sum(len(row["input_ids"]) - 1 for row in rows)


def make_adapter(model: Path, folder: Path, targets, rank: int):
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    sys.path.insert(0, str(ROOT / "tests/peer"))
    import cases

    get_peft_model(cases.smollm2(model).live, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets)).save_pretrained(folder)


def compare(arguments, name, batches, targets, rank):
    peers = arguments.peers.split(",")
    tokens = [real_tokens(rows) for rows in batches]
    results = {peer: [] for peer in peers}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_adapter(arguments.model, folder / "adapter", targets, rank)
        spec = {"model": str(arguments.model), "adapter": str(folder / "adapter"), "batches": batches, "rate": 1e-4,
                "threads": arguments.threads, "folder": str(folder)}
        for _ in range(arguments.repeats):
            for peer in peers:
                measured = measure(arguments, peer, folder, spec)
                if not measured:
                    continue
                measured["speed"] = sum(tokens[1:]) / sum(measured["seconds"][1:])
                results[peer].append(measured)
                print(f"{name:16} {peer:14} {measured['speed']:7.1f} tokens/s, first update after "
                      f"{measured['first']:.1f} s, peak {measured['peak'] / 2**20:.0f} MiB", flush=True)
        profile = run_ours(arguments, folder, spec, "ours-profile")["profile"]
    rows = {}
    for peer, runs in results.items():
        if not runs:
            continue
        ratios = [ours["speed"] / theirs["speed"] for ours, theirs in zip(results[peers[0]], runs)]
        gap = max(abs(a - b) / b for a, b in zip(runs[0]["losses"], results[peers[0]][0]["losses"]))
        rows[peer] = {"tokens_per_second": statistics.median(run["speed"] for run in runs),
                      "ratio": statistics.median(ratios), "ratio_range": [min(ratios), max(ratios)],
                      "first_update_seconds": statistics.median(run["first"] for run in runs),
                      "peak_bytes": statistics.median(run["peak"] for run in runs), "loss_gap": gap}
    return {"steps": arguments.steps, "repeats": arguments.repeats, "tokens": sum(tokens), "labelled": sum(label != -100 for rows_ in batches for row in rows_
                                                   for label in row["labels"][1:]),
            "padded": sum(len(rows_) * max(len(row["input_ids"]) - 1 for row in rows_) for rows_ in batches),
            "share_of_roof": profile["share_of_roof"], "peers": rows}


PAGE = """# Benchmarks

Written by `scripts/bench.py`. {model}, {cpu}, {threads} threads; runs in turn, each of some
updates after one to warm up. Every run is a process of its own on the same pre-tokenised batches from the same adapter. Speed counts real
tokens, padding not; the ratio is `ours` (float32) to each, the median of pairs run one after the other, with the smallest and
largest; the gap is the largest relative difference of a loss from `ours` where the same is trained. First update: from the start of the process until the
first update is done; the first run of `ours` fills its cache.

| | |
| --- | --- |
| `ours`, `ours-1-thread` | `lora-train`, defaults; the same on one thread |
| `ours-full`, `full` | every weight trained: `lora-train --method full`; transformers, eager |
| `ours-bf16` | `lora-train --precision bf16` |
| `peft`, `peft-tcmalloc` | PEFT, eager, float32; the same with the allocator tcmalloc |
| `peft-compile` | the same with each layer through `torch.compile`, compiled before in the machine's cache |
| `peft-bf16` | PEFT with all weights in bfloat16 |
| `trl`, `trl-packed` | TRL's SFTTrainer, its default loss, float32, no recomputation; the same with `padding_free` |
| `litgpt` | LitGPT's model and LoRA, its loss in chunks |

"""


def page(table: dict) -> str:
    text = PAGE.format(**table)
    for name, each in table["workloads"].items():
        text += (f"## {name}\n{each['repeats']} runs of {each['steps']} updates; {each['tokens']:,} tokens, "
                 f"{each['labelled'] / each['tokens']:.0%} labelled, {1 - each['tokens'] / each['padded']:.0%} padding if padded; "
                 f"`ours` reaches {each['share_of_roof']:.0%} of the rate of a large product\n\n"
                 "| | tokens/s | ours is faster by | first update after | peak memory | loss gap |\n"
                 "| --- | ---: | ---: | ---: | ---: | ---: |\n")
        for peer, row in each["peers"].items():
            low, high = row["ratio_range"]
            text += (f"| {peer} | {row['tokens_per_second']:.0f} | {row['ratio']:.2f} ({low:.2f}-{high:.2f}) | "
                     f"{row['first_update_seconds']:.1f} s | {row['peak_bytes'] / 2**20:,.0f} MiB | "
                     f"{'-' if 'full' in peer else format(row['loss_gap'], '.0e')} |\n")
        text += "\n"
    return text.rstrip() + "\n"


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def main():
    arguments = parse()
    chosen = workloads(arguments)
    if not chosen:
        sys.exit("no workload: give --text, --instruction or --sentences")
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    table = known if known.get("cpu") == cpu_name() and known.get("threads") == arguments.threads else {
        "cpu": cpu_name(), "threads": arguments.threads, "workloads": {}}
    table["model"] = arguments.model.stem
    for name, (batches, targets, rank) in chosen.items():
        table["workloads"][name] = compare(arguments, name, batches, targets, rank)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(table, indent=1) + "\n")
        arguments.page.write_text(page(table))


if __name__ == "__main__":
    main()

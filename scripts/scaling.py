#!/usr/bin/env python3
"""Measures trainings of one and of several processes and writes docs/scaling.md.

  scripts/scaling.py              measures (about twenty minutes, on a quiet machine), keeps docs/tables/scaling.json
  scripts/scaling.py --steps 2 --pairs 1 --longest 32      tries everything in short
  scripts/scaling.py --write      writes the document from those numbers
  scripts/scaling.py --check      fails if the document is another

Needs a build with MPI (scripts/setup.sh --tests) and the model of scripts/fetch_model.py smollm2-135m-instruct.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from show_table import human_bytes

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT, FIGURES = ROOT / "docs/scaling.md", ROOT / "docs/tables/scaling.json"
ROWS, BATCH = 64, 8
# (name, ranks, threads of each)
VARIANTS = (("1 process, 1 thread", 1, 1), ("2 processes, 1 thread each", 2, 1), ("1 process, 2 threads", 1, 2))
METHODS = (("LoRA, all linear layers, rank 16", []), ("full fine-tuning", ["--method", "full", "--learning-rate", "1e-5"]))
SIZES = (8, 64, 512)
# What links are sold as: seconds until a message is there, bytes a second in each direction.
LINKS = (("10 Gbit/s Ethernet", 30e-6, 1.25e9), ("100 Gbit/s Ethernet", 10e-6, 12.5e9), ("200 Gbit/s InfiniBand", 2e-6, 25e9))


# --- measuring -----------------------------------------------------------------------------------------------------

def launched(ranks, *options):
    """The launcher's words, with which more ranks than cores get on."""
    root = ["--allow-run-as-root"] if os.getuid() == 0 else []
    usual = ["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
    return ["mpirun", *root, *usual, *options, "-n", str(ranks)]


def write_rows(path, longest):
    """Tokens at random: what is computed does not depend on which they are."""
    chance = random.Random(1)
    with open(path, "w") as file:
        for _ in range(ROWS):
            ids = [chance.randrange(10, 200) for _ in range(chance.randint(longest // 2, longest))]
            file.write(json.dumps({"input_ids": ids, "labels": ids}) + "\n")


def training(arguments, folder, ranks, threads, *options):
    launcher = launched(ranks) if ranks > 1 else []
    return [*launcher, arguments.bin / "lora-train", "--model", arguments.model, "--data", folder / "rows.jsonl", "--out",
            folder / "run", "--overwrite", "--batch-size", BATCH, "--threads", threads, "--save-every", 0, *options]


def start(words, **keywords):
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords)


def finish(process):
    out, said = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(process.args)}\n{said}")
    return out


def busy_seconds():
    """Of all cores, by anyone."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def one_run(arguments, folder, ranks, threads, options):
    before, begin = busy_seconds(), os.times()
    finish(start(training(arguments, folder, ranks, threads, "--steps", arguments.steps, *options)))
    end = os.times()
    own = end.children_user + end.children_system - begin.children_user - begin.children_system
    report = json.loads((folder / "run/report.json").read_text())
    losses = [json.loads(line)["loss"] for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    return {"seconds": report["median_step_seconds"], "losses": losses, "trained": report["trainable_parameters"],
            "peak_bytes": report["peak_bytes"], "others": max(0.0, busy_seconds() - before - own)}


def compare(arguments, folder):
    """Every variant in turn, again and again; ratios are those of neighbours in time."""
    methods = []
    for method, options in METHODS:
        runs = {name: [] for name, _, _ in VARIANTS}
        for _ in range(arguments.pairs):
            for name, ranks, threads in VARIANTS:
                runs[name].append(one_run(arguments, folder, ranks, threads, options))
                print(f"{method}, {name}: {runs[name][-1]['seconds']:.2f} s", file=sys.stderr)
        first = runs[VARIANTS[0][0]]
        rows = []
        for name, ranks, threads in VARIANTS:
            ratios = [one["seconds"] / other["seconds"] for one, other in zip(first, runs[name])]
            apart = max(abs(a - b) / a for a, b in zip(first[0]["losses"], runs[name][0]["losses"]))
            rows.append({"name": name, "ranks": ranks, "seconds": statistics.median(run["seconds"] for run in runs[name]),
                         "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios), "apart": apart,
                         "peak_bytes": max(run["peak_bytes"] for run in runs[name]),
                         "others": sum(run["others"] for run in runs[name])})
        methods.append({"name": method, "trained": first[0]["trained"], "rows": rows})
    return methods


def fit_line(points):
    """(a, b) of y = a + b x, by relative least squares, so that short calls count as long ones do."""
    weights = [1 / y ** 2 for _, y in points]
    total = sum(weights)
    x_mean = sum(w * x for w, (x, _) in zip(weights, points)) / total
    y_mean = sum(w * y for w, (_, y) in zip(weights, points)) / total
    slope = (sum(w * (x - x_mean) * (y - y_mean) for w, (x, y) in zip(weights, points))
             / sum(w * (x - x_mean) ** 2 for w, (x, _) in zip(weights, points)))
    return max(0.0, y_mean - slope * x_mean), slope


def sums(arguments):
    calls = json.loads(finish(start([*launched(2), arguments.bin / "time_sums", arguments.repeats])))["calls"]
    start_up, per_byte = fit_line([(call["bytes"], call["least"]) for call in calls[1:]])
    return {"calls": calls, "start": start_up, "per_byte": per_byte}


def proportional(pid):
    """Resident, shared by proportion, and the mapped part of that, in bytes."""
    values = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name: int(values[name].split()[0]) * 1024 for name in ("Rss", "Pss", "Pss_File", "Pss_Anon")}


def ranks_of(process):
    """Process ids of the ranks that a launcher started."""
    if process.args[0] != "mpirun":
        return [process.pid]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if "lora-train" in Path(f"/proc/{pid}/cmdline").read_text()]


def shared_pages(arguments, folder):
    rows = []
    for ranks in (1, 2, 4):
        process = start(training(arguments, folder, ranks, 1, "--steps", 100000, "--batch-tokens", arguments.longest))
        metrics = folder / "run/metrics.jsonl"
        metrics.unlink(missing_ok=True)
        while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 2):
            time.sleep(0.2)
        each = [proportional(pid) for pid in ranks_of(process)]
        process.terminate()
        process.communicate()
        rows.append({"ranks": ranks, **{key: statistics.mean(one[key] for one in each) for key in each[0]},
                     "sum": sum(one["Pss"] for one in each)})
        print(rows[-1], file=sys.stderr)
    return rows


def measure(arguments):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.jsonl", arguments.longest)
        return {"cpu": cpu_name(), "steps": arguments.steps, "longest": arguments.longest, "pairs": arguments.pairs, "model": arguments.model.stem,
                "model_bytes": arguments.model.stat().st_size, "compared": compare(arguments, folder),
                "sums": sums(arguments), "pages": shared_pages(arguments, folder)}


def cpu_name():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{name} ({len(os.sched_getaffinity(0))} cores)"


# --- calculating ---------------------------------------------------------------------------------------------------

def sum_seconds(ranks, size, latency, rate):
    """Every rank sends a slice to each other one and receives as much, twice; and gathers two small messages."""
    return 2 * (ranks - 1) * latency + 2 * size * (ranks - 1) / ranks / rate + 2 * (ranks - 1).bit_length() * latency


def forecasts(figures):
    """Share of an update that ranks wait for each other, each with as many rows as one process had above."""
    # Between two ranks a sum takes four latencies, and sends its bytes once.
    here = ("as measured here", figures["sums"]["start"] / 4, 1 / figures["sums"]["per_byte"])
    for method in figures["compared"]:
        size, work = 4 * method["trained"], method["rows"][0]["seconds"]
        for link, latency, rate in (here, *LINKS):
            seconds = [sum_seconds(ranks, size, latency, rate) for ranks in SIZES]
            yield (method["name"], link, *(f"{1e3 * each:,.1f} ms, {work / (work + each):.1%}" for each in seconds))


# --- writing -------------------------------------------------------------------------------------------------------

def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def compared_rows(figures):
    for method in figures["compared"]:
        for row in method["rows"]:
            spread = "" if row is method["rows"][0] else f"{row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f})"
            apart = "" if row is method["rows"][0] else f"{row['apart']:.1e}"
            yield (method["name"], row["name"], f"{row['seconds']:.2f}", spread, apart, human_bytes(row["peak_bytes"]),
                   f"{row['others']:.0f} s")


def document(figures):
    constants, calls = figures["sums"], figures["sums"]["calls"]
    pages = [(row["ranks"], human_bytes(row["Rss"]), human_bytes(row["Pss"]), human_bytes(row["Pss_File"]), human_bytes(row["Pss_Anon"]),
              human_bytes(row["sum"])) for row in figures["pages"]]
    return f"""# Several processes

Written by `scripts/scaling.py`; the numbers are those of its last run on {figures["cpu"]}.

```
mpirun -n 4 lora-train --model model.pt --data train.jsonl --out runs/first
srun -n 64 --mpi=pmix lora-train --resume auto --model model.pt --data train.jsonl --out runs/first
```
`lora-train` that was built where MPI is installed (`-DLORA_WITH_MPI=ON`, `OFF`, or `AUTO`, the default) notices that a launcher
started it and shares every update with the other processes, its ranks. Options mean what they mean for one process:
`--batch-size` is the rows of an update in all, of which each rank takes its part, and `--batch-tokens` what runs at once in
each. Model, data and run folder must be where every rank sees them; contents are compared by their hashes (5). Rank 0 writes
the run folder and speaks. `--threads 0` divides the cores of a machine among its ranks, `--device cuda` gives each rank of a
machine a GPU of its own.

## What is the same
* **The plan.** Every rank knows the whole order of rows. The rows of an update are given out from the longest on,
  each to the rank with the fewest tokens so far.
* **The maths.** Losses, label counts and gradients are summed over ranks before the division by the labels of the whole
  update: but for the order of float32 sums, and for dropout, N ranks do what one process does.
* **The bits.** Gradients lie in one buffer and are summed once per update. MPI only moves bytes: every rank gets one slice of
  all ranks' gradients, adds them up in float64 in the order of the ranks, rounds once and sends the slice to all. MPI's own
  reductions choose their order by the number of ranks, their places and the version; this one is the same wherever it runs, all
  ranks hold the same bits, and it moves no more bytes than a ring would.
* **Validation** is shared by batches; the rows' losses are put together and added in the order of the rows, bit for bit what one
  process finds. Best checkpoint and early stopping are decided alike everywhere.

## When something ends
| event | what happens |
| --- | --- |
| SIGTERM, SIGINT or SIGUSR1 to any rank, `--max-minutes` | all ranks learn it after the update: they save and stop (75), or save and go on |
| an error on one rank | it says so, the others end with the same exit code |
| a rank is dead, stuck or cut off | the others wait `--rank-timeout` seconds; then rank 0 saves the state after the last whole update, and all end with 75 |
| a launcher that ends all when one has died, as mpirun does | nothing more is saved; the newest checkpoint is whole, as after any kill |
| `--resume` with another number of ranks | refused (5); `--allow-change ranks` goes on with the same plan of rows, other rounding and other dropout |

## One process and two
{figures["model"]}, updates of {BATCH} rows of {figures["longest"] // 2} to {figures["longest"]} tokens, median of {figures["steps"]} updates, {figures["pairs"]}
runs of each in turn; the ratio is that of runs next to each other, with the least and the most. `losses` is the largest relative
difference from one process within a run, `others` the processor time that other programs took meanwhile.

{table(["training", "processes", "s/update", "times as fast", "losses", "peak of one", "others"], compared_rows(figures))}

## The sum alone
Two processes on this machine, through shared memory; the least of many calls.

{table(["bytes", "least", "median"], [(f"{call['bytes']:,}" if call["bytes"] else "a message of all to all", f"{1e6 * call['least']:,.0f} us", f"{1e6 * call['median']:,.0f} us") for call in calls])}

That is {1e6 * constants["start"]:.0f} us and {1e9 * constants["per_byte"]:.2f} ns a byte ({1e-9 / constants["per_byte"]:.1f} GB/s), additions included.

## More ranks, calculated
A sum of n bytes over N ranks takes 2 (N - 1) messages of n / N bytes out of each rank: 2 (N - 1) L + 2 n (N - 1) / N / R with
the latency L and the rate R of a link, and two small messages of all to all. The first row of each training has the L and R that
were measured between two processes, the others those that such links are sold with. Each rank has the work of the one process
above, so that the update grows with the ranks; the second number is the share of an update in which ranks compute.

{table(["training", "link", *(f"{size} ranks" for size in SIZES)], forecasts(figures))}

Two things are left out: ranks wait for the slowest of them, and validation and saving are of their own. One machine per rank is
assumed; ranks of one machine share its link.

## One base for all processes of a machine
The model file ({human_bytes(figures["model_bytes"])}) is mapped, and its pages are in memory once. `proportional` counts a page that k processes
hold as 1/k for each: the mapped part falls with their number, what each has for itself (gradients, moments, activations,
LibTorch) stays.

{table(["processes", "resident, each", "proportional, each", "of it mapped", "of it own", "in all"], pages)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--model", type=Path, default=ROOT / "models/smollm2-135m-instruct.pt")
    parser.add_argument("--steps", type=int, default=4, help="updates of a run")
    parser.add_argument("--longest", type=int, default=256, help="tokens of the longest row")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each variant")
    parser.add_argument("--repeats", type=int, default=100, help="sums of each length")
    parser.add_argument("--write", action="store_true", help="write the document only")
    parser.add_argument("--check", action="store_true", help="compare the document only")
    arguments = parser.parse_args()
    if not arguments.write and not arguments.check:
        FIGURES.write_text(json.dumps(measure(arguments), indent=1) + "\n")
    text = document(json.loads(FIGURES.read_text()))
    if not arguments.check:
        DOCUMENT.write_text(text)
    elif DOCUMENT.read_text() != text:
        sys.exit(f"{DOCUMENT.relative_to(ROOT)} is not what {FIGURES.relative_to(ROOT)} says: run scripts/scaling.py --write")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Runs a study: trains variants, each at several learning rates, chooses each variant's rate on validation data, and compares
the chosen ones on test data.

  scripts/study.py configs/studies/methods.json --model models/minilm-l6.pt --data FOLDER
  scripts/study.py configs/studies/glue.json --data FOLDER_OF_DATA_SETS --part cola

A data set is a folder with train.jsonl, valid.jsonl and test.jsonl. Runs are kept in --runs/NAME; what is there already is not
run again, if it was made with the same options, model and data (cost.json, merged.json). Results go to --tables/study-NAME.json, from which scripts/make_readme.py writes the tables in
docs/results.md. A study file:

  {"question": "...", "common": {options of all}, "rates": [learning rates], "seeds": [42, 43, 44], "valid_rows": 200, "test_rows": 500,
   "variants": [{"name": "lora r8", "options": {"method": "lora", "rank": 8}, "rates": [1e-3], "merge": true, "train_rows": 100}],
   "compare": {options of lora-eval compare}}

Every rate is tried with the first seed, the best one is trained with the others too. "merge" also times the baked model. A study
of several models or data sets has parts, each of which may replace what stands above it:

  "parts": {"cola": {"data": "cola", "model": "models/minilm-cola.pt", "fetch": ["minilm-l6", "--labels", "wrong,right"],
                     "rates": {"full": [1e-4]}, "rows": {"prompt": "Review: {text}", "completion": " {label}"}}}

"fetch" makes a missing model with scripts/fetch_model.py; "without" names variants to leave out; "rows" turns the fields of the data into prompts and completions.
"""

import argparse
import difflib
import hashlib
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / "build/release/bin"
SPLITS = ("train", "valid", "test")
PLAN = {"question", "common", "rates", "seeds", "valid_rows", "test_rows", "variants", "compare"}
PART = PLAN | {"data", "model", "fetch", "without", "rows"}
VARIANT = {"name", "options", "rates", "merge", "train_rows"}


def flags(options):
    """{"batch_size": 8, "bucket": false} as words of a command line."""
    words = []
    for key, value in options.items():
        name = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words += [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return words


def program(*words):
    """Runs a program to its end; returns the processor seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{result.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def read_json(file):
    try:
        return json.loads(file.read_text())
    except OSError as error:
        sys.exit(f"error: {file}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"error: {file} is no JSON: {error}")


def check_keys(place, found, known, needed=()):
    """Ends with a message unless `found` is an object with all that is needed and nothing unknown."""
    if not isinstance(found, dict):
        sys.exit(f"error: {place} is no object")
    for key in found:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, 1) or sorted(known)
            sys.exit(f'error: {place} has an unknown entry "{key}"; known are {", ".join(nearest)}')
    for key in needed:
        if key not in found:
            sys.exit(f'error: {place} lacks "{key}"')


def read_plan(file):
    """A study file, checked."""
    plan = read_json(file)
    check_keys(file, plan, PLAN | {"parts"}, ("question", "variants"))
    for name, part in plan.get("parts", {}).items():
        check_keys(f"{file}: part {name}", part, PART, ("data", "model"))
    for variant in [each for one in (plan, *plan.get("parts", {}).values()) for each in one.get("variants", [])]:
        check_keys(f"{file}: variant {variant.get('name', '') if isinstance(variant, dict) else variant}", variant, VARIANT,
                   ("name", "options"))
    return plan


def digest(file):
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def is_made_of(record, origin):
    """True if the file beside a result says that it was made of this."""
    return record.exists() and read_json(record).get("made_of") == origin


def with_part(plan, part):
    """The plan with a part's entries over it; options of all are merged."""
    merged = {**plan, **part}
    for key in ("common", "compare"):
        merged[key] = {**plan.get(key, {}), **part.get(key, {})}
    merged["variants"] = [each for each in plan["variants"] if each["name"] not in merged.get("without", [])]
    return merged


class Study:
    """One model on one data set."""

    def __init__(self, plan, name, model, data, arguments):
        for split in SPLITS:
            if not (data / f"{split}.jsonl").exists():
                sys.exit(f"error: there is no {data / split}.jsonl; a data set is a folder with {', '.join(SPLITS)}.jsonl")
        self.plan, self.name, self.model, self.threads = plan, name, model, ["--threads", arguments.threads]
        self.folder = arguments.runs / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data_name, self.data = data.name, self.converted(data) if "rows" in plan else data
        self.seeds = plan.get("seeds", [42])
        if not model.exists() and "fetch" in plan:
            program(sys.executable, ROOT / "scripts/fetch_model.py", *plan["fetch"], "--out", model)
        if not model.exists():
            sys.exit(f"error: there is no model {model}")
        self.model_digest = digest(model)

    def converted(self, data):
        """The data set with rows of prompt and completion."""
        form = self.plan["rows"]
        for split in SPLITS:
            rows = map(json.loads, (data / f"{split}.jsonl").read_text().splitlines())
            (self.folder / f"{split}.rows.jsonl").write_text("".join(
                json.dumps({key: text.format(**row) for key, text in form.items()}) + "\n" for row in rows))
        return self.folder

    def file(self, split, rows=None):
        """A split of the data set, or its first rows."""
        whole = self.data / (f"{split}.rows.jsonl" if "rows" in self.plan else f"{split}.jsonl")
        if not rows:
            return whole
        head = self.folder / f"{split}.first-{rows}.jsonl"
        head.write_text("".join(whole.read_text().splitlines(keepends=True)[:rows]))
        return head

    def train(self, variant, rate, seed):
        """The run of a variant, trained if it is not there."""
        run = self.folder / (f"{variant['name'].replace(' ', '-')}-{rate:g}" + (f"-seed{seed}" if seed != self.seeds[0] else ""))
        options = {**self.plan["common"], **variant["options"], "learning_rate": rate, "seed": seed}
        train, valid = self.file("train", variant.get("train_rows")), self.file("valid", self.plan.get("valid_rows"))
        origin = {"options": options, "model": self.model_digest, "train": digest(train), "valid": digest(valid)}
        if not (run / "report.json").exists() or not is_made_of(run / "cost.json", origin):
            (run / "cost.json").unlink(missing_ok=True)
            seconds = program(BIN / "lora-train", "--model", self.model, "--data", train, "--valid", valid, "--out", run,
                              "--overwrite", *self.threads, *flags(options))
            (run / "cost.json").write_text(json.dumps({"cpu_seconds": seconds, "made_of": origin}))
        report = read_json(run / "report.json")
        cost = {"cpu_seconds": read_json(run / "cost.json")["cpu_seconds"]}
        print(f"{self.name}: {variant['name']} at {rate:g}, seed {seed}: valid loss {report['best_valid_loss']:.4f}, "
              f"{cost['cpu_seconds']:.0f} s of a processor", flush=True)
        return {"rate": rate, "valid_loss": report["best_valid_loss"], "run": run, **cost}

    def rates_of(self, variant):
        rates = self.plan.get("rates", [])
        named = rates.get(variant["name"]) if isinstance(rates, dict) else rates
        found = variant.get("rates", named)
        if not found:
            sys.exit(f"error: no learning rates for variant {variant['name']} of {self.name}")
        return found

    def best(self, variant):
        runs = [self.train(variant, rate, self.seeds[0]) for rate in self.rates_of(variant)]
        best = min(runs, key=lambda each: each["valid_loss"])
        others = [self.train(variant, best["rate"], seed)["run"] for seed in self.seeds[1:]]
        return {**variant, **best, "others": others,
                "sweep": [{key: each[key] for key in ("rate", "valid_loss")} for each in runs]}

    def merged(self, variant):
        out, record, adapter = (variant["run"] / name for name in ("merged.pt", "merged.json", "adapter"))
        origin = {"model": self.model_digest, "adapter": digest(adapter / "adapter_model.safetensors")}
        if not out.exists() or not is_made_of(record, origin):
            record.unlink(missing_ok=True)
            out.unlink(missing_ok=True)
            program(BIN / "lora-merge", "bake", "--model", self.model, "--adapter", adapter, "--out", out)
            record.write_text(json.dumps({"made_of": origin}))
        return out

    def compare(self, variants, out, options):
        words = [word for name, source in variants for word in ("--variant", f"{name}={source}" if source else name)]
        program(BIN / "lora-eval", "compare", "--model", self.model, "--data",
                self.file("test", self.plan.get("test_rows")), *words,
                "--json", self.folder / out, *self.threads, *flags(options))
        return json.loads((self.folder / out).read_text())

    def compare_seeds(self, chosen):
        """Figures of the runs with further seeds: {variant: [{measure: value}]}."""
        runs = [(f"{each['name']} {number}", f"run:{run}") for each in chosen for number, run in enumerate(each["others"])]
        if not runs:
            return {}
        cheap = {"samples": 0, "latency_repeats": 0, "examples": 0}
        measured = iter(self.compare(runs, "compare-seeds.json", cheap)["variants"])
        return {each["name"]: [values_of(next(measured)) for _ in each["others"]] for each in chosen}

    def result(self):
        chosen = [self.best(variant) for variant in self.plan["variants"]]
        merged = [(f"{each['name']} merged", f"model:{self.merged(each)}") for each in chosen if each.get("merge")]
        comparison = self.compare([("base", ""), *((each["name"], f"run:{each['run']}") for each in chosen), *merged],
                                  "compare.json", {"baseline": chosen[0]["name"], "report": self.folder / "report.html",
                                                   **self.plan["compare"]})
        seeds, by_name = self.compare_seeds(chosen), {each["name"]: each for each in chosen}
        variants = []
        for variant in comparison["variants"]:
            own = by_name.get(variant["name"], {})
            kept = {key: variant[key] for key in ("name", "loss", "trainable_parameters", "trainable_share", "file_bytes",
                                                  "training", "measures", "latencies", "decode_latencies")}
            values = [values_of(variant), *seeds.get(variant["name"], [])]
            variants.append({**kept, "rate": own.get("rate"), "sweep": own.get("sweep"), "cpu_seconds": own.get("cpu_seconds"),
                             "texts": variant["text_scores"] or {}, "seeds": spread(values) if len(values) > 1 else None})
        return {"name": self.name, "question": self.plan["question"], "model": self.model.stem, "data": self.data_name,
                "common": self.plan["common"], "rows": comparison["data"]["rows"], "cpu": comparison["cpu"],
                "threads": comparison["threads"], "variants": variants}


def values_of(variant):
    return {"loss": variant["loss"], **{name: measure["value"] for name, measure in variant["measures"].items()}}


def spread(values):
    """{measure: {"mean", "deviation"}} of the same figures with several seeds."""
    return {"count": len(values), "measures": {
        name: {"mean": statistics.fmean(each[name] for each in values), "deviation": statistics.stdev(each[name] for each in values)}
        for name in values[0]}}


def run_parts(plan, name, arguments):
    """Each part's result goes into the same file as soon as it is there."""
    out = arguments.tables / f"study-{name}.json"
    for part in arguments.part or list(plan["parts"]):
        own = with_part(plan, plan["parts"][part])
        result = Study(own, f"{name}-{part}", ROOT / own["model"], arguments.data / own["data"], arguments).result()
        known = read_json(out)["parts"] if out.exists() else {}
        parts = {**known, part: result}
        keep(out, {"question": plan["question"], "parts": {each: parts[each] for each in plan["parts"] if each in parts}})


def keep(out, result):
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(out, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--model", type=Path, help="model file; parts name their own")
    parser.add_argument("--data", required=True, type=Path, help="folder with train.jsonl, valid.jsonl, test.jsonl, or with the "
                        "folders that parts name")
    parser.add_argument("--part", action="append", help="only this part; give one or more")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the programs; default: all")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/studies", help="folder of the runs (default runs/studies)")
    parser.add_argument("--tables", type=Path, default=ROOT / "docs/tables", help="folder of the result (default docs/tables)")
    parser.add_argument("--name", help="of the result; default: the study file's")
    arguments = parser.parse_args()
    plan, name = read_plan(arguments.study), arguments.name or arguments.study.stem
    unknown = set(arguments.part or []) - set(plan.get("parts", {}))
    if unknown:
        parser.error(f"{arguments.study} has no part {', '.join(sorted(unknown))}")
    arguments.tables.mkdir(parents=True, exist_ok=True)
    if "parts" in plan:
        run_parts(plan, name, arguments)
    elif not arguments.model:
        parser.error("--model is missing")
    else:
        keep(arguments.tables / f"study-{name}.json",
             Study(with_part(plan, {}), name, arguments.model, arguments.data, arguments).result())


if __name__ == "__main__":
    main()

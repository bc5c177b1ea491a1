#!/usr/bin/env python3
"""Runs a study: trains variants, each at several learning rates, chooses each variant's rate on validation data, and compares
the chosen ones on test data.

  scripts/study.py configs/studies/methods.json --model models/minilm-l6.pt --data FOLDER

FOLDER holds train.jsonl, valid.jsonl and test.jsonl. Runs are kept in runs/studies/NAME; what is there already is not run
again. The result goes to docs/tables/study-NAME.json (--name gives another), from which scripts/make_readme.py writes the
tables in docs/results.md. A study file:

  {"question": "...", "common": {options of all}, "rates": [default learning rates], "test_rows": 500,
   "variants": [{"name": "lora r8", "options": {"method": "lora", "rank": 8}, "rates": [1e-3]}],
   "text": {"rows": 100, "options": {options of lora-eval generate}, "metrics": ["e2e_bleu"]}}
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / "build/release/bin"


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
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{result.stderr}")
    return result.stdout


def head_of(file, rows, out):
    out.write_text("".join(file.read_text().splitlines(keepends=True)[:rows]))
    return out


class Study:
    def __init__(self, arguments):
        self.plan = json.loads(arguments.study.read_text())
        self.name = arguments.name or arguments.study.stem
        self.model, self.data = arguments.model, arguments.data
        self.folder = ROOT / "runs/studies" / self.name
        self.folder.mkdir(parents=True, exist_ok=True)

    def train(self, variant, rate):
        """The report of the variant's run at this rate, trained if it is not there."""
        run = self.folder / f"{variant['name'].replace(' ', '-')}-{rate:g}"
        if not (run / "report.json").exists():
            options = {**self.plan.get("common", {}), **variant["options"], "learning_rate": rate}
            program(BIN / "lora-train", "--model", self.model, "--data", self.data / "train.jsonl", "--valid",
                    self.data / "valid.jsonl", "--out", run, "--overwrite", *flags(options))
        report = json.loads((run / "report.json").read_text())
        print(f"{self.name}: {variant['name']} at {rate:g}: valid loss {report['best_valid_loss']:.4f}, "
              f"{report['train_seconds']:.0f} s", flush=True)
        return run, report

    def best_run(self, variant):
        runs = [(rate, *self.train(variant, rate)) for rate in variant.get("rates", self.plan.get("rates"))]
        sweep = [{"rate": rate, "valid_loss": report["best_valid_loss"]} for rate, _, report in runs]
        rate, run, report = min(runs, key=lambda each: each[2]["best_valid_loss"])
        return {"name": variant["name"], "rate": rate, "sweep": sweep, "run": run, "report": report}

    def compare(self, chosen):
        test = head_of(self.data / "test.jsonl", self.plan.get("test_rows", 1000), self.folder / "test.jsonl")
        variants = [word for each in chosen for word in ("--variant", f"{each['name']}=run:{each['run']}")]
        out = self.folder / "compare.json"
        program(BIN / "lora-eval", "compare", "--model", self.model, "--data", test, "--variant", "base", *variants,
                "--baseline", chosen[0]["name"], "--json", out, "--report", self.folder / "report.html",
                *flags(self.plan.get("compare", {})))
        return json.loads(out.read_text())

    def texts(self, chosen):
        """Measures of the texts that each chosen run writes; {} if the study asks for none."""
        wish = self.plan.get("text")
        if not wish:
            return {}
        prompts = head_of(self.data / "test.jsonl", wish["rows"], self.folder / "prompts.jsonl")
        files = []
        for each in [{"name": "base", "run": None}, *chosen]:
            out = self.folder / f"{each['name'].replace(' ', '-')}.answers.jsonl"
            adapter = each["run"] and each["run"] / "adapter"
            model = each["run"] / "model.pt" if adapter and not adapter.exists() else self.model
            beside = ["--adapter", f"it={adapter}"] if adapter and adapter.exists() else []
            program(BIN / "lora-eval", "generate", "--model", model, *beside, "--data", prompts, "--out", out,
                    *flags(wish.get("options", {})))
            files.append(out)
        scored = json.loads(program(BIN / "lora-eval", "score", "--predictions", *files, "--metrics",
                                    ",".join(wish["metrics"]), "--json"))
        return {name: system["scores"] for name, system in zip(["base", *(each["name"] for each in chosen)], scored["systems"])}

    def run(self):
        chosen = [self.best_run(variant) for variant in self.plan["variants"]]
        comparison, texts = self.compare(chosen), self.texts(chosen)
        by_name = {each["name"]: each for each in chosen}
        variants = []
        for variant in comparison["variants"]:
            own = by_name.get(variant["name"])
            variants.append({**{key: variant[key] for key in ("name", "loss", "trainable_parameters", "trainable_share",
                                                              "file_bytes", "training", "measures", "latencies")},
                             "rate": own and own["rate"], "sweep": own and own["sweep"],
                             "texts": texts.get(variant["name"], {})})
        result = {"name": self.name, "question": self.plan["question"], "model": self.model.stem, "data": self.data.name,
                  "common": self.plan.get("common", {}), "rows": comparison["data"]["rows"], "cpu": comparison["cpu"],
                  "threads": comparison["threads"], "variants": variants}
        out = ROOT / f"docs/tables/study-{self.name}.json"
        out.write_text(json.dumps(result, indent=1) + "\n")
        print(f"{out.relative_to(ROOT)}, {self.folder.relative_to(ROOT)}/report.html")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--data", required=True, type=Path, help="folder with train.jsonl, valid.jsonl, test.jsonl")
    parser.add_argument("--name", help="of the result; default: the study file's")
    Study(parser.parse_args()).run()


if __name__ == "__main__":
    main()

"""Adapters of classifiers and the order of the classes: the weights of a base say nothing of it."""
import json
import struct
import zipfile
from types import SimpleNamespace

import pytest

MISMATCH = 5
NAMES = ["animal", "plant", "tool"]


@pytest.fixture(scope="module")
def turned(fixtures, tmp_path_factory):
    """tiny_bert with the classes in another order."""
    out = tmp_path_factory.mktemp("turned") / "turned.pt"
    with zipfile.ZipFile(fixtures / "tiny_bert.pt") as old, zipfile.ZipFile(out, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename.endswith("/lora_meta.json"):
                meta = json.loads(content)
                assert meta["labels"] == NAMES
                content = json.dumps(meta | {"labels": NAMES[::-1]})
            new.writestr(item.filename, content)
    return out


@pytest.fixture(scope="module")
def training(fixtures):
    """training(model, out, option, ...): a short training of a classifier as a command."""
    def command(model, out, *options):
        return ["lora-train", "--model", model, "--data", fixtures / "classes.jsonl", "--out", out, "--steps", 2, "--batch-size", 4,
                "--learning-rate", 0.01, "--threads", 1, *options]

    return command


@pytest.fixture(scope="module")
def trained(run, training, fixtures, turned, tmp_path_factory):
    """Runs of the two bases."""
    folder = tmp_path_factory.mktemp("trained")
    run(*training(fixtures / "tiny_bert.pt", folder / "run"))
    run(*training(turned, folder / "turned"))
    return SimpleNamespace(run=folder / "run", adapter=folder / "run/adapter", turned=folder / "turned/adapter")


def header(adapter):
    content = (adapter / "adapter_model.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + size]), content[8 + size:]


@pytest.fixture
def comparing(fixtures):
    """comparing(model, variant): a command that compares it with the base."""
    return lambda model, variant: ["lora-eval", "compare", "--model", model, "--data", fixtures / "classes.jsonl", "--variant", "base",
                                   "--variant", variant, "--latency-repeats", 0, "--threads", 1]


def test_an_adapter_says_the_order_of_its_classes(run, trained):
    assert json.loads(header(trained.adapter)[0]["__metadata__"]["lora.labels"]) == NAMES
    said = run("lora-merge", "inspect", trained.adapter).stdout
    assert "classes      animal, plant, tool\n" in said
    said = json.loads(run("lora-merge", "diff", trained.adapter, trained.turned, "--json").stdout)
    assert "classes animal, plant, tool and tool, plant, animal" in str(said)


def test_a_base_of_another_order_is_refused(refuses, training, comparing, trained, turned, tmp_path):
    parts = ["does not fit base", "classes  adapter animal, plant, tool; base tool, plant, animal", "hint: ",
             "--labels animal,plant,tool"]
    refuses(MISMATCH, parts, *comparing(turned, f"x=adapter:{trained.adapter}"))
    refuses(MISMATCH, parts, *comparing(turned, f"x=run:{trained.run}"))
    refuses(MISMATCH, parts, *training(turned, tmp_path / "run", "--init-adapter", trained.adapter))
    refuses(MISMATCH, parts, "lora-merge", "bake", "--model", turned, "--adapter", trained.adapter, "--out", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists() and not (tmp_path / "run/adapter").exists()


def test_a_run_does_not_go_on_with_another_order(run, refuses, training, fixtures, turned, tmp_path):
    run(*training(fixtures / "tiny_bert.pt", tmp_path / "run", "--max-minutes", 1e-9), code=75)
    refuses(MISMATCH, ['changed: model: ["animal","plant","tool"] -> ["tool","plant","animal"]', "--allow-change model"],
            *training(turned, tmp_path / "run", "--resume", "auto"))


def test_adapters_of_two_orders_are_not_combined(run, refuses, trained, tmp_path):
    combine = ["lora-merge", "combine", "--whole", "average", "--out", tmp_path / "sum", trained.adapter]
    parts = ["do not belong together: 1 mismatches", "classes: animal, plant, tool in ", "tool, plant, animal in "]
    refuses(MISMATCH, parts, *combine, trained.turned)
    run(*combine, f"{trained.adapter}:0.5")
    assert json.loads(header(tmp_path / "sum")[0]["__metadata__"]["lora.labels"]) == NAMES


def test_models_of_two_orders_have_no_difference(run, refuses, fixtures, trained, turned, tmp_path):
    run("lora-merge", "bake", "--model", turned, "--adapter", trained.turned, "--out", tmp_path / "tuned.pt")
    extract = ["lora-merge", "extract", "--tuned", tmp_path / "tuned.pt", "--out", tmp_path / "found", "--rank", 4, "--base"]
    refuses(MISMATCH, ["different models: 1 mismatches", "classes: animal, plant, tool in the base, tool, plant, animal in the tuned"],
            *extract, fixtures / "tiny_bert.pt")
    run(*extract, turned)
    assert json.loads(header(tmp_path / "found")[0]["__metadata__"]["lora.labels"]) == NAMES[::-1]


def test_adapters_that_do_not_say_it_fit(run, comparing, trained, turned, fixtures):
    """As those of other tools, and of before."""
    head, tensors = header(trained.turned)
    head["__metadata__"] = {"format": "pt"}
    text = json.dumps(head).encode()
    (trained.turned / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    for model in (turned, fixtures / "tiny_bert.pt"):
        run(*comparing(model, f"x=adapter:{trained.turned}"))

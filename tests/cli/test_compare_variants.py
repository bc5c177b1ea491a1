"""lora-eval compare: which variants may stand beside each other; all are looked at before the first is measured."""
import json

import pytest

MISMATCH = 5
META = "lora_meta.json"


@pytest.fixture
def edited(fixtures, tmp_path):
    """edited(name, key=value, ...): a model of the fixtures that says something else about itself."""
    torch = pytest.importorskip("torch")

    def write(name, **changes):
        kept = {META: ""}
        model = torch.jit.load(fixtures / f"{name}.pt", _extra_files=kept)
        meta = json.loads(kept[META]) | changes
        out = tmp_path / f"edited_{name}.pt"
        model.save(str(out), _extra_files={META: json.dumps(meta)})
        return out

    return write


@pytest.fixture
def refused(refuses, fixtures, tmp_path):
    """refused(code, parts, model, rows, kind): what is said of the variant "x" beside the base; nothing is measured."""
    def check(code, parts, model, rows, spec):
        said = refuses(code, ['variant "x": ', *parts], "lora-eval", "compare", "--model", fixtures / f"{model}.pt", "--data",
                       fixtures / f"{rows}.jsonl", "--variant", "base", "--variant", f"x={spec}", "--threads", 1)
        assert "[eval] base " not in said
        return said

    return check


def test_a_model_of_other_classes(refused, edited):
    names = ["animal", "plant", "tool"]
    turned = edited("tiny_bert", labels=names[::-1])
    refused(MISMATCH, [f"the classes {', '.join(names[::-1])}, ", f"the classes {', '.join(names)}"], "tiny_bert", "classes",
            f"model:{turned}")


def test_a_model_of_another_task_or_vocabulary(refused, fixtures):
    said = refused(MISMATCH, ["is a regressor, ", "a classifier"], "tiny_bert", "classes", f"model:{fixtures / 'tiny_regressor.pt'}")
    assert "vocabulary" not in said
    refused(MISMATCH, ["has a vocabulary of ", "one of "], "tiny_llama", "train", f"model:{fixtures / 'tiny_plain.pt'}")


def test_a_model_of_a_shorter_context(refused, edited):
    refused(MISMATCH, ["has a context of 32 tokens", "one of 128", "hint: "], "tiny_llama", "train",
            f"model:{edited('tiny_llama', context_length=32)}")


def test_a_model_of_another_tokenizer(refused, fixtures):
    refused(MISMATCH, ["another tokenizer"], "tiny_gpt2", "train", f"model:{fixtures / 'tiny_llama.pt'}")

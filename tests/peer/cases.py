"""Base models on both sides: a file for our programs, a live model for PEFT and PyTorch, rows for both."""
import json
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
from sentences import LABELS  # noqa: E402
from tiny_networks import PlainTransformer  # noqa: E402

WRAPPER = "network."   # what scripts/modelfile puts before the paths of the live model
QV = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}   # the paper's choice


class Case(NamedTuple):
    file: Path
    live: torch.nn.Module
    rows: list   # {"input_ids", "labels"}, {"input_ids", "label", "class"} or {"input_ids", "label", "value"}: the same tokens


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_rows(path: Path, rows: list[dict]) -> Path:
    """Rows as our programs read them: "class" and "value" are the oracle's."""
    kept = [{name: value for name, value in row.items() if name not in ("class", "value")} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return path


def tiny(fixtures: Path, name: str) -> Case:
    """tiny_NAME of the fixtures."""
    if name == "plain":
        return plain_model(fixtures)
    return text_head(fixtures, name) if name in ("bert", "regressor") else language_model(fixtures, name)


def plain_model(fixtures: Path) -> Case:
    """The network that is no transformers model, with counting sequences."""
    live = PlainTransformer()
    live.load_state_dict(torch.load(fixtures / "hf/tiny_plain.pth"))
    return Case(fixtures / "tiny_plain.pt", live, read_jsonl(fixtures / "ids.jsonl"))


def language_model(fixtures: Path, name: str) -> Case:
    folder = fixtures / f"hf/tiny_{name}"
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def tokenised(row):
        prompt, answer = (tokenizer(row[part])["input_ids"] for part in ("prompt", "completion"))
        return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}

    rows = [tokenised(row) for row in read_jsonl(fixtures / "train.jsonl")]
    return Case(fixtures / f"tiny_{name}.pt", AutoModelForCausalLM.from_pretrained(folder), rows)


def text_head(fixtures: Path, name: str) -> Case:
    folder = fixtures / f"hf/tiny_{name}"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    data = read_jsonl(fixtures / ("values.jsonl" if name == "regressor" else "classes.jsonl"))
    meant = (lambda label: {"value": label}) if name == "regressor" else (lambda label: {"class": LABELS.index(label)})
    rows = [{"input_ids": tokenizer(row["text"])["input_ids"], "label": row["label"], **meant(row["label"])} for row in data]
    live = AutoModelForSequenceClassification.from_pretrained(folder)
    return Case(fixtures / f"tiny_{name}.pt", live, rows)


def smollm2(file: Path) -> Case:
    """The real model, live with the weights of the file, and four rows of random ids."""
    live = LlamaForCausalLM(LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, vocab_size=49152, rope_theta=100_000.0, rms_norm_eps=1e-5,
        tie_word_embeddings=True, max_position_embeddings=8192))
    live.load_state_dict(weights_of(file), strict=False)   # lm_head.weight is the embedding
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(1000, 40000, (length,), generator=generator).tolist() for length in (12, 20, 7, 16)]
    return Case(file, live, [{"input_ids": row, "labels": [-100] * 3 + row[3:]} for row in ids])


def weights_of(file: Path) -> dict:
    """The tensors of a model file by the paths of the live model."""
    return {name.removeprefix(WRAPPER): value for name, value in torch.jit.load(file).state_dict().items()}


def with_adapter(case: Case, folder: Path, random_b: bool = False, **options):
    """The live model with a PEFT adapter, which is also saved as a folder for our programs to start from."""
    torch.manual_seed(3)
    model = get_peft_model(case.live, LoraConfig(**{"r": 8, "lora_alpha": 12, **options}))
    for name, parameter in model.named_parameters():
        if random_b and "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder)
    return model

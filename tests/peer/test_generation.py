"""lora-eval generate against transformers: greedy texts, and several adapters in one batch."""
import json

import cases
import pytest
import torch
from cases import with_adapter
from peft import PeftModel
from transformers import GenerationConfig

TARGETS = {"first": ["q_proj", "v_proj"], "second": ["up_proj", "down_proj", "o_proj"]}


def write_prompts(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(run, file, *options):
    """The lines of lora-eval generate --json."""
    result = run("lora-eval", "generate", "--model", file, "--json", "--threads", 1, *options)
    return [json.loads(line) for line in result.stdout.splitlines()]


@torch.no_grad()
def greedy(model, ids, count, stop):
    """transformers' greedy answer to one prompt."""
    config = GenerationConfig(max_new_tokens=count, do_sample=False, eos_token_id=stop, pad_token_id=0, use_cache=True)
    output = model.generate(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                            generation_config=config)[0, len(ids):].tolist()
    return output[:-1] if stop is not None and output and output[-1] == stop else output


@pytest.fixture
def tiny(fixtures):
    case = cases.tiny(fixtures, "llama")
    prompts = [row["prompt"] for row in cases.read_jsonl(fixtures / "train.jsonl")][:12]
    from transformers import AutoTokenizer
    return case, AutoTokenizer.from_pretrained(fixtures / "hf/tiny_llama"), prompts


def test_greedy_texts_equal_those_of_transformers_in_any_batch(run, tiny, tmp_path):
    case, tokenizer, prompts = tiny
    data = write_prompts(tmp_path / "prompts.jsonl", [{"prompt": text} for text in prompts])
    stop = tokenizer.eos_token_id
    expected = [greedy(case.live.eval(), tokenizer(text)["input_ids"], 16, stop) for text in prompts]
    for size in (1, 5):
        found = answers(run, case.file, "--data", data, "--max-new-tokens", 16, "--batch-size", size)
        assert [line["ids"] for line in found] == expected
    assert len({tuple(ids) for ids in expected}) > 1


def test_rows_of_one_batch_use_their_own_adapters(run, fixtures, tiny, tmp_path):
    case, tokenizer, prompts = tiny
    for number, (name, targets) in enumerate(TARGETS.items()):
        fresh = cases.tiny(fixtures, "llama")
        model = with_adapter(fresh, tmp_path / name, random_b=True, r=4, lora_alpha=64, target_modules=targets,
                             task_type="CAUSAL_LM")
        del model
    names = [["first", "second", ""][number % 3] for number in range(len(prompts))]
    data = write_prompts(tmp_path / "prompts.jsonl",
                         [{"prompt": text, "adapter": name} for text, name in zip(prompts, names)])
    options = [word for name in TARGETS for word in ("--adapter", f"{name}={tmp_path / name}")]
    found = answers(run, case.file, "--data", data, "--max-new-tokens", 10, "--batch-size", 12, *options)
    by_prompt = {line["prompt"]: line for line in found}
    distinct = set()
    for text, name in zip(prompts, names):
        live = cases.tiny(fixtures, "llama").live
        model = PeftModel.from_pretrained(live, tmp_path / name) if name else live
        expected = greedy(model.eval(), tokenizer(text)["input_ids"], 10, tokenizer.eos_token_id)
        assert by_prompt[text]["ids"] == expected, name
        assert by_prompt[text]["adapter"] == name
        distinct.add(tuple(expected))
    assert len(distinct) > 3


def test_adapters_side_by_side_and_mistakes(run, tiny, tmp_path):
    case, _, prompts = tiny
    found = answers(run, case.file, "--prompt", prompts[0], "--prompt", prompts[1], "--max-new-tokens", 3)
    assert [line["prompt"] for line in found] == prompts[:2]
    bad = write_prompts(tmp_path / "bad.jsonl", [{"prompt": "a"}, {"text": "b"}])
    result = run("lora-eval", "generate", "--model", case.file, "--data", bad, code=3)
    assert "line 2" in result.stderr
    result = run("lora-eval", "generate", "--model", case.file, code=2)
    assert "--prompt TEXT or --data FILE" in result.stderr
    result = run("lora-eval", "generate", "--model", case.file, "--prompt", "a", "--adapter", "x", code=2)
    assert "NAME=DIR" in result.stderr
    row = write_prompts(tmp_path / "row.jsonl", [{"prompt": "a", "adapter": "nobody"}])
    result = run("lora-eval", "generate", "--model", case.file, "--data", row, code=2)
    assert "nobody" in result.stderr


def test_draws_depend_on_the_seed_and_not_on_the_batch(run, tiny, tmp_path):
    case, _, prompts = tiny
    data = write_prompts(tmp_path / "prompts.jsonl", [{"prompt": text} for text in prompts])
    options = ["--data", data, "--max-new-tokens", 8, "--temperature", 1.5, "--top-k", 40, "--top-p", 0.95]
    texts = [[line["ids"] for line in answers(run, case.file, *options, *more)]
             for more in (["--batch-size", 1], ["--batch-size", 7], ["--seed", 7])]
    assert texts[0] == texts[1] != texts[2]

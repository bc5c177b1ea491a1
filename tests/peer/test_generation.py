"""lora-eval generate against transformers: greedy texts, and several adapters in one batch."""
import json

import cases
import pytest
import torch
from cases import with_adapter
from peft import PeftModel
from tokenizers import Tokenizer
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
def greedy(model, ids, count, stop, **options):
    """transformers' likeliest answer to one prompt."""
    config = GenerationConfig(max_new_tokens=count, do_sample=False, eos_token_id=stop, pad_token_id=0, use_cache=True,
                              **options)
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


@pytest.mark.parametrize("ours, theirs", [
    (["--repetition-penalty", 1.3], {"repetition_penalty": 1.3}),
    (["--no-repeat-ngram", 2], {"no_repeat_ngram_size": 2}),
    (["--beams", 4], {"num_beams": 4}),
    (["--beams", 3, "--length-penalty", 0.2], {"num_beams": 3, "length_penalty": 0.2}),
    (["--beams", 10, "--length-penalty", 0.9, "--no-repeat-ngram", 4],
     {"num_beams": 10, "length_penalty": 0.9, "no_repeat_ngram_size": 4}),
])
def test_beams_and_penalties_equal_those_of_transformers(run, tiny, tmp_path, ours, theirs):
    case, tokenizer, prompts = tiny
    data = write_prompts(tmp_path / "prompts.jsonl", [{"prompt": text} for text in prompts])
    stop = tokenizer.eos_token_id
    model = case.live.eval()
    expected = [greedy(model, tokenizer(text)["input_ids"], 12, stop, **theirs) for text in prompts]
    plain = [greedy(model, tokenizer(text)["input_ids"], 12, stop) for text in prompts]
    assert expected != plain
    for more in (["--batch-size", 5], ["--recompute"]):
        found = answers(run, case.file, "--data", data, "--max-new-tokens", 12, *ours, *more)
        assert [line["ids"] for line in found] == expected


def test_the_cache_changes_no_text_and_is_said_to_be_missing_where_it_is(run, fixtures, tiny, tmp_path):
    case, _, prompts = tiny
    data = write_prompts(tmp_path / "prompts.jsonl", [{"prompt": text} for text in prompts])
    texts = [[line["ids"] for line in answers(run, case.file, "--data", data, "--max-new-tokens", 24, *more)]
             for more in ([], ["--recompute"])]
    assert texts[0] == texts[1]
    result = run("lora-eval", "generate", "--model", case.file, "--prompt", "a")
    assert "no cache" not in result.stderr

    class Forward(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits

    ids = torch.randint(5, 50, (2, 6))
    with torch.no_grad():
        traced = torch.jit.trace(Forward(case.live.eval()), (ids, torch.ones_like(ids)), check_trace=False)
    traced.save(str(tmp_path / "plain.pt"))
    result = run("lora-eval", "generate", "--model", tmp_path / "plain.pt", "--tokenizer", fixtures / "hf/tiny_llama", "--prompt", prompts[0])
    assert "no cache of keys and values" in result.stderr


def test_stop_texts_end_an_answer(run, tiny, tmp_path):
    case, _, prompts = tiny
    data = write_prompts(tmp_path / "prompts.jsonl", [{"prompt": text} for text in prompts])
    free = answers(run, case.file, "--data", data, "--max-new-tokens", 24)
    text = max((line["text"] for line in free), key=len)
    stop = text[len(text) // 2:len(text) // 2 + 3]
    for line, whole in zip(answers(run, case.file, "--data", data, "--max-new-tokens", 24, "--stop", stop), free):
        assert line["text"] == whole["text"].split(stop)[0]


def test_streamed_text_is_the_text(run, tiny):
    case, _, prompts = tiny
    options = ["--model", case.file, "--prompt", prompts[0], "--prompt", prompts[1], "--max-new-tokens", 20]
    whole, streamed = (run("lora-eval", "generate", *options, *more).stdout for more in ([], ["--stream"]))
    assert streamed.rstrip() == whole.rstrip()


@torch.no_grad()
def batched(model, rows, count, stop, **options):
    """transformers' likeliest answers to many prompts, ten at a time, up to the first stop token."""
    config = GenerationConfig(max_new_tokens=count, do_sample=False, eos_token_id=stop, pad_token_id=stop, **options)
    found = []
    for begin in range(0, len(rows), 10):
        part = rows[begin:begin + 10]
        longest = max(map(len, part))
        ids = torch.tensor([[stop] * (longest - len(row)) + row for row in part])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in part])
        output = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)[:, longest:].tolist()
        found += [row[:row.index(stop)] if stop in row else row for row in output]
    return found


def test_real_prompts_give_the_texts_of_transformers(run, models, shared_data, tmp_path):
    """50 E2E prompts by SmolLM2, token by token, and 10 by beam search as in the paper."""
    file = models / "smollm2-135m-instruct.pt"
    if not file.exists():
        pytest.skip(f"{file} is not there: scripts/quickstart.sh makes it")
    archive = {"tokenizer.json": ""}
    torch.jit.load(str(file), _extra_files=archive)
    tokenizer = Tokenizer.from_str(archive["tokenizer.json"].decode())
    rows = cases.read_jsonl(shared_data / "e2e_nlg/test.jsonl")[:500:10]
    ids = [tokenizer.encode(row["prompt"], add_special_tokens=False).ids for row in rows]
    data = write_prompts(tmp_path / "prompts.jsonl", rows)
    model, stop = cases.smollm2(file).live.eval(), 2
    found = answers(run, file, "--data", data, "--max-new-tokens", 16, "--batch-size", 10)
    assert [line["ids"] for line in found] == batched(model, ids, 16, stop)
    assert [line["references"] for line in found] == [row["references"] for row in rows]
    few = write_prompts(tmp_path / "few.jsonl", rows[:10])
    found = answers(run, file, "--data", few, "--max-new-tokens", 12, "--batch-size", 10, "--beams", 4,
                    "--length-penalty", 0.9, "--no-repeat-ngram", 4)
    expected = batched(model, ids[:10], 12, stop, num_beams=4, length_penalty=0.9, no_repeat_ngram_size=4)
    assert [line["ids"] for line in found] == expected

"""Rows of text against the same rows tokenised by transformers: equal counts and equal losses of a random model
mean equal ids, labels and classes."""
import json

import pytest
from cases import read_jsonl, write_rows
from transformers import AutoTokenizer

ROUNDING = 1e-6   # relative: batches may be made up differently
FIRST = 12        # rows; enough to show a difference

INSTRUCTIONS = [
    {"instruction": "Say what it is.", "input": "The old cat waits.", "output": "animal"},
    {"instruction": "Name a plant.", "input": "", "output": "The fern"},
    {"instruction": "Name a tool.", "output": "The axe"},
]
MARKUP = [{"prompt": "<|im_start|>user\nhi<|im_end|>", "completion": " <|endoftext|><|im_end|>"}]


@pytest.fixture
def measured(run, tmp_path):
    """measured(model file, rows, option, ...) -> counts and loss of lora-eval."""

    def measure(model, rows, *options):
        report, data = tmp_path / "report.json", write_rows(tmp_path / "rows.jsonl", rows)
        run("lora-eval", "compare", "--model", model, "--data", data, "--variant", "base", "--threads", 1,
            "--latency-repeats", 0, "--json", report, *options)
        found = json.loads(report.read_text())
        return {**found["data"], "loss": found["variants"][0]["loss"]}

    return measure


@pytest.fixture
def equal(measured, fixtures):
    """equal(name, rows, tokenised, option, ...): asserts that tiny_NAME sees the same in both."""

    def check(name, rows, tokenised, *options):
        model = fixtures / f"tiny_{name}.pt"
        found, expected = measured(model, rows, *options), measured(model, tokenised)
        for count in ("rows", "tokens", "labelled"):
            assert found[count] == expected[count], count
        assert found["loss"] == pytest.approx(expected["loss"], rel=ROUNDING)

    return check


def tokenizer_of(fixtures, name):
    return AutoTokenizer.from_pretrained(fixtures / f"hf/tiny_{name}")


def plain_ids(tokenizer, text):
    return tokenizer(text, split_special_tokens=True, add_special_tokens=False)["input_ids"]


def pieces(tokenizer, *parts):
    """A row of (text or ids, is it learnt?)."""
    row = {"input_ids": [], "labels": []}
    for part, learnt in parts:
        ids = plain_ids(tokenizer, part) if isinstance(part, str) else part
        row["input_ids"] += ids
        row["labels"] += ids if learnt else [-100] * len(ids)
    return row


def answered(tokenizer, row, learn_prompt=False):
    return pieces(tokenizer, (row["prompt"], learn_prompt), (row["completion"], True),
                  ([tokenizer.eos_token_id], True))


def templated(tokenizer, messages):
    """A chat by the live template: what comes with each assistant message is its answer."""
    def ids(count, **options):
        return tokenizer.apply_chat_template(messages[:count], return_dict=False, **options)

    parts, done = [], 0
    for number, message in enumerate(messages):
        learnt = message["role"] == "assistant"
        if learnt:
            opened = ids(number, add_generation_prompt=True)
            parts.append((opened[done:], False))
            done = len(opened)
        whole = ids(number + 1)
        parts.append((whole[done:], learnt))
        done = len(whole)
    return pieces(tokenizer, *parts)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("loss_on", ["completion", "all"])
def test_prompts_and_completions(equal, fixtures, name, loss_on):
    rows, tokenizer = read_jsonl(fixtures / "train.jsonl")[:FIRST], tokenizer_of(fixtures, name)
    expected = [answered(tokenizer, row, loss_on == "all") for row in rows]
    equal(name, rows, expected, "--loss-on", loss_on)


def test_content_that_spells_control_tokens_stays_text(equal, fixtures):
    tokenizer = tokenizer_of(fixtures, "llama")
    expected = [answered(tokenizer, row) for row in MARKUP]
    assert tokenizer.convert_tokens_to_ids("<|im_start|>") not in expected[0]["input_ids"]
    equal("llama", MARKUP, expected)


def test_overlong_prompts_lose_their_left(equal, fixtures):
    rows, tokenizer = read_jsonl(fixtures / "train.jsonl")[:FIRST], tokenizer_of(fixtures, "llama")
    whole = [answered(tokenizer, row) for row in rows]
    length = max(len(row["input_ids"]) for row in whole) - 5
    cut = [{name: values[-length:] for name, values in row.items()} for row in whole]
    assert cut != whole
    equal("llama", rows, cut, "--max-length", length)


def test_chats_follow_the_live_template(equal, fixtures):
    rows, tokenizer = read_jsonl(fixtures / "chat.jsonl"), tokenizer_of(fixtures, "llama")
    equal("llama", rows, [templated(tokenizer, row["messages"]) for row in rows])


def test_instructions_follow_the_live_template(equal, fixtures):
    tokenizer = tokenizer_of(fixtures, "llama")
    asked = ["\n\n".join(filter(None, (row["instruction"], row.get("input")))) for row in INSTRUCTIONS]
    chats = [[{"role": "user", "content": question}, {"role": "assistant", "content": row["output"]}]
             for question, row in zip(asked, INSTRUCTIONS)]
    equal("llama", INSTRUCTIONS, [templated(tokenizer, chat) for chat in chats])


def test_long_texts_become_windows(equal, fixtures):
    rows, tokenizer, length = read_jsonl(fixtures / "texts.jsonl")[:FIRST], tokenizer_of(fixtures, "gpt2"), 16
    expected = []
    for row in rows:
        ids = plain_ids(tokenizer, row["text"]) + [tokenizer.eos_token_id]
        starts = range(0, len(ids) - 1, length - 1)
        expected += [{"input_ids": ids[i : i + length], "labels": ids[i : i + length]} for i in starts]
    assert len(expected) > len(rows)
    equal("gpt2", rows, expected, "--max-length", length)


@pytest.mark.parametrize("length", [None, 8])
def test_texts_of_classifiers_are_framed_and_cut_at_their_right(equal, fixtures, length):
    rows, tokenizer = read_jsonl(fixtures / "classes.jsonl")[:FIRST], tokenizer_of(fixtures, "bert")
    framed = [tokenizer(row["text"], truncation=length is not None, max_length=length) for row in rows]
    expected = [{"input_ids": text["input_ids"], "label": row["label"]} for text, row in zip(framed, rows)]
    equal("bert", rows, expected, *(("--max-length", length) if length else ()))

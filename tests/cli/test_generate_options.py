"""lora-eval generate: options that do not go together, and what several adapters in one batch or stream write."""
import json

import pytest

HINT = "hint: lora-eval generate --help explains every option\n"
STREAM = f"error: --stream prints text as it is drawn: it does not go with --json or --beams\n{HINT}"
BEAMS = f"error: --beams looks for the likeliest text: it does not go with --temperature\n{HINT}"


@pytest.fixture(scope="module")
def generate(base):
    return ["lora-eval", "generate", "--model", base, "--threads", 1, "--max-new-tokens", 6]


@pytest.fixture(scope="module")
def adapters(run, training, tmp_path_factory):
    """NAME=DIR of two adapters that write different texts."""
    folder = tmp_path_factory.mktemp("adapters")
    for name, rate in (("a", 0.02), ("b", 0.05)):
        run(*training(folder / name, "--learning-rate", rate, "--steps", 20))
    return [word for name in "ab" for word in ("--adapter", f"{name}={folder / name / 'adapter'}")]


@pytest.mark.parametrize("options, message", [
    (["--stream", "--json"], STREAM),
    (["--stream", "--beams", 2], STREAM),
    (["--stream", "--beams", 2, "--json", "--temperature", 1], STREAM),
    (["--beams", 2, "--temperature", 0.7], BEAMS),
    (["--beams", 64, "--temperature", 0.01, "--top-k", 5], BEAMS),
])
def test_options_that_contradict_each_other(refuses, generate, options, message):
    assert refuses(2, [message], *generate, "--prompt", "a", *options) == message


@pytest.mark.parametrize("option, value, rule", [
    ("--beams", 0, "between 1 and 64"), ("--beams", 65, "between 1 and 64"), ("--batch-size", 0, "at least 1"),
    ("--max-new-tokens", 0, "at least 1"), ("--top-p", 1.5, "between 0 and 1"), ("--temperature", -1, "at least 0"),
    ("--repetition-penalty", 0, "above 0"), ("--no-repeat-ngram", -1, "at least 0")])
def test_numbers_out_of_range(refuses, generate, option, value, rule):
    message = f'error: {option} must be {rule}, found "{value}"\n{HINT}'
    assert refuses(2, [message], *generate, "--prompt", "a", option, value) == message


def test_several_adapters_are_streamed_one_after_the_other(run, generate, adapters):
    options = [*generate, *adapters, "--prompt", "one", "--prompt", "two"]
    streamed, whole = run(*options, "--stream").stdout, run(*options).stdout
    assert streamed.rstrip() == whole.rstrip()
    heads = [line[:5] if line[0] == ">" else line[:3] for line in whole.splitlines() if line.startswith((">", "[a]", "[b]"))]
    assert heads == ["> one", "[a]", "[b]", "> two", "[a]", "[b]"]


def test_rows_of_several_adapters_that_end_at_different_steps(run, generate, adapters, fixtures, tmp_path):
    """Rows that met their end leave the batch; the others keep their adapters."""
    prompts = [json.loads(line)["prompt"] for line in (fixtures / "train.jsonl").read_text().splitlines()][:9]
    data = tmp_path / "prompts.jsonl"
    data.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in prompts))
    options = [*generate, *adapters, "--data", data, "--max-new-tokens", 20, "--stop", ".", "--stop", "Itt", "--stop", "tool", "--stop", "   ", "--json"]
    lengths, texts = set(), set()
    for more in ([], ["--recompute"], ["--beams", 3]):
        alone, together = (run(*options, "--batch-size", size, *more).stdout for size in (1, 18))
        assert alone == together
        rows = [json.loads(line) for line in together.splitlines()]
        lengths |= {len(row["ids"]) for row in rows}
        texts |= {tuple(row["ids"]) for row in rows}
    assert len(lengths) > 2 and len(texts) > 6


def written(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_prompt_that_fills_the_context_loses_its_beginning(run, generate):
    """128 tokens of context, 6 of them for the answer: as if the rest had been left out, bos apart."""
    long_text = " ".join(["the cat sat on the mat."] * 60)
    whole = run(*generate, "--prompt", long_text, "--json")
    assert "1 of 2 prompts lose their beginning" in run(*generate, "--prompt", long_text, "--prompt", "a").stderr
    assert "lose their beginning" not in run(*generate, "--prompt", "a").stderr
    row, = written(whole)
    assert 0 < len(row["ids"]) <= 6
    shifted, = written(run(*generate, "--prompt", "never seen. " + long_text, "--json"))
    assert shifted["ids"] == row["ids"]


def test_options_without_what_they_need(refuses, generate, fixtures):
    prompt = [*generate, "--prompt", "a"]
    for option, value in (("--top-k", 5), ("--top-p", 0.5), ("--min-p", 0.1)):
        refuses(2, [f"{option}: at temperature 0", "hint: give a --temperature"], *prompt, option, value)
    refuses(2, ["--length-penalty is of beams"], *prompt, "--length-penalty", 0.5)
    refuses(2, ['no adapter is called "zz"', "hint: no adapter is loaded: give --adapter NAME=DIR"], *generate[:1], "chat", "--model",
            fixtures / "tiny_llama.pt", input="/adapter zz\n")
    refuses(4, ["holds no tokenizer, and a prompt holds text"], *generate[:2], "--model", fixtures / "tiny_plain.pt", "--prompt", "a")


def test_prompts_that_are_none(refuses, generate, tmp_path):
    assert "--prompt is empty" in refuses(2, ["--prompt is empty"], *generate, "--prompt", "")
    data = tmp_path / "rows.jsonl"
    for row, parts in ({"messages": [{"role": "user", "content": "a"}, {"role": "wizard", "content": "b"}]}, ['no role "wizard"']), \
            ({"text": "a"}, ['"prompt", "messages" or "instruction"']), ({"prompt": "a", "references": "b"}, ['"references" is no list']):
        data.write_text(json.dumps({"prompt": "fine"}) + "\n" + json.dumps(row) + "\n")
        refuses(3, ["rows.jsonl line 2", *parts], *generate, "--data", data)


def test_a_chat_without_a_template_is_lines_as_in_training(run, fixtures):
    model = ["--model", fixtures / "tiny_gpt2.pt", "--threads", 1, "--max-new-tokens", 6]
    chat, = written(run("lora-eval", "generate", *model, "--chat", "--prompt", "the cat", "--json"))
    text, = written(run("lora-eval", "generate", *model, "--prompt", "User: the cat\nAssistant:", "--json"))
    assert chat["ids"] == text["ids"] and chat["ids"]
    assert run("lora-eval", "chat", *model, input="the cat\n").stdout.strip() == text["text"].split("\nUser:")[0].strip()

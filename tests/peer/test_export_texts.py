"""Tokenizer files and chat templates inside model files, against SentencePiece, tokenizers and Jinja."""

import pytest
import torch
from modelfile import archive, chat
from modelfile.sentencepiece_model import write_model


def test_written_sentencepiece_model_encodes_as_the_one_it_was_read_from(root, tmp_path):
    import sentencepiece

    text = tmp_path / "text.txt"
    text.write_text((root / "LICENSE").read_text())
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "m"), vocab_size=400, model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
        user_defined_symbols=["<turn>"], pad_id=3, minloglevel=2,
    )  # fmt: skip
    first = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    count = range(first.vocab_size())
    kinds = [piece_kind(first, i) for i in count]
    ids = {"unk": 0, "bos": 1, "eos": 2, "pad": 3}
    tokens, scores = [first.IdToPiece(i) for i in count], [first.GetScore(i) for i in count]
    again = sentencepiece.SentencePieceProcessor(model_proto=write_model(tokens, scores, kinds, ids, False))
    for line in [*text.read_text().splitlines(), "<turn>a  b<turn>", "日本 é", "", " ", "<s>"]:
        assert again.Encode(line) == first.Encode(line)
    assert [again.unk_id(), again.bos_id(), again.eos_id(), again.pad_id()] == [0, 1, 2, 3]


def piece_kind(processor, i):
    if processor.IsUnknown(i):
        return 2
    if processor.IsControl(i):
        return 3
    if processor.IsByte(i):
        return 6
    return 4 if processor.IdToPiece(i) == "<turn>" else 1


def test_control_tokens_of_a_gguf_vocabulary_are_single_pieces_with_plain_spaces():
    import sentencepiece

    tokens = ["<unk>", "<s>", "</s>", "<turn>", "  ", "▁", "a", "▁a"]
    kinds = [2, 3, 3, 3, 4, 1, 1, 1]
    model = write_model(tokens, [0, 0, 0, 0, 0, -3, -2, -1], kinds, {"unk": 0, "bos": 1, "eos": 2}, False)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert processor.EncodeAsPieces("<turn>a a  a") == ["<turn>", "a", "▁a", "▁▁", "a"]


CHATML = (
    "{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WITH_DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe good.<|im_end|>\n' }}{% endif %}"
    + CHATML
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set rest = messages[1:] %}{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('order') }}{% endif %}"
    "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + (first if loop.first else '') + m['content'] | trim }}"
    "{{ '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
LLAMA3 = (
    "{% for m in messages %}{{ (bos_token if loop.first else '') + '<|start|>' + m['role'] + '<|end|>\n\n'"
    " + m['content'] | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\n\n' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CHATML, {"begin": "", "default_system": "", "system_in_first_user": False}),
        (WITH_DEFAULT_SYSTEM, {"begin": "", "default_system": "Be good."}),
        (GEMMA, {"begin": "<s>", "system_in_first_user": True, "generation": "<start_of_turn>model\n"}),
        (LLAMA3, {"begin": "<s>", "default_system": ""}),
    ],
    ids=["chatml", "default system", "system in first user", "bos before the first role"],
)
def test_chat_template_is_reduced_to_pieces_that_say_the_same(template, expected):
    pieces = chat.reduce(template, {"bos_token": "<s>", "eos_token": "</s>"})
    assert {key: pieces[key] for key in expected} == expected
    trims = "trim" in template
    assert all(role["trim"] == trims for role in pieces["roles"].values())


@pytest.mark.parametrize(
    "template",
    [
        "{{ strftime_now('%d %b %Y') }}" + CHATML,
        CHATML.replace("m['content']", "m['content'] | upper"),
        CHATML.replace("m['content']", "(m['content'] if loop.last else m['content'].split('\n')[-1])"),
        CHATML.replace("'<|im_start|>'", "('<|im_start|>' if loop.index < 4 else '<|later|>')"),
        "{{ raise_exception('never') }}",
    ],
    ids=["date", "changes content", "shortens earlier turns", "counts turns", "refuses everything"],
)
def test_chat_templates_without_fixed_pieces_are_left_out(template):
    with pytest.raises(chat.Irreducible):
        chat.reduce(template, {"bos_token": "<s>"})


@torch.no_grad()
def test_smollm2_has_the_likelihood_that_its_publishers_weights_have(models, shared_data):
    import tokenizers

    path = models / "smollm2-135m-instruct.pt"
    if not path.exists():
        pytest.skip("scripts/fetch_model.py smollm2-135m-instruct was not run")
    tokenizer = tokenizers.Tokenizer.from_str(archive.read_extra(path, "tokenizer.json"))
    text = (shared_data / "tinyshakespeare/test.txt").read_text()
    ids = torch.tensor(tokenizer.encode(text).ids[:1024])[None]
    logits = torch.jit.load(path)(ids, torch.ones_like(ids))[0, :-1]
    assert torch.nn.functional.cross_entropy(logits, ids[0, 1:]).item() == pytest.approx(3.307, abs=2e-3)
    assert tokenizer.encode("in 2024").tokens == ["in", "Ġ", "2", "0", "2", "4"]

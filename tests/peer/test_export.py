"""Model files against the live models they were made from, and the sites that the programs find."""

import json
import resource
import zipfile

import pytest
import tiny_models
import torch
from modelfile import CLASSIFICATION, ExportError, export, wrapper
from modelfile.errors import FILE, IO

UNTRACEABLE = {"mamba", "funnel"}  # loops over time steps; pools by the traced length
NOT_PACKED = {"bloom", "falcon_alibi"}  # ALiBi is computed from a 2-D mask
CLASSIFYING_DECODERS = ("gpt2", "llama")
CLOSE = 1e-5  # relative; other shapes sum in another order


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Exports a tiny model once: files("gpt2") -> (path, metadata, live model)."""
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def make(name, task="lm"):
        if (name, task) not in made:
            classify = task == "classify"
            model = tiny_models.classifier(name) if classify else tiny_models.language_model(name)
            out = folder / f"{name}-{task}.pt"
            metadata = export(model, out, CLASSIFICATION) if classify else export(model, out)
            made[name, task] = out, metadata, model
        return made[name, task]

    return make


def ids_and_mask(lengths, left=False):
    """Random ids 10..199, padded with 0."""
    time = max(lengths)
    mask = torch.stack([(torch.arange(time) < length).long() for length in lengths])
    mask = mask.flip(1) if left else mask
    return torch.randint(10, tiny_models.VOCAB, mask.shape) * mask, mask


def assert_close(found, expected):
    difference = (found - expected).abs().max() / expected.abs().max()
    assert difference < CLOSE, f"relative difference {difference:.2e}"


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(set(tiny_models.DECODERS) - UNTRACEABLE))
def test_language_model_equals_the_live_one_at_other_shapes(files, name):
    out, metadata, model = files(name)
    script = torch.jit.load(out)
    for lengths in ((11, 4, 9, 2), (1,), (17,)):
        ids, mask = ids_and_mask(lengths)
        expected = model(input_ids=ids, attention_mask=mask).logits
        assert_close(script(ids, mask)[mask.bool()], expected[mask.bool()])
    assert metadata["inputs"] == ["input_ids", "attention_mask"]
    assert (metadata["vocab_size"], metadata["hidden_size"]) == (tiny_models.VOCAB, 32)


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(set(tiny_models.ENCODERS) - UNTRACEABLE) + list(CLASSIFYING_DECODERS))
def test_classifier_equals_the_live_one_at_other_shapes(files, name):
    out, metadata, model = files(name, "classify")
    script = torch.jit.load(out)
    ids, mask = ids_and_mask((11, 4, 9, 2))
    pad = model.config.pad_token_id or 0
    ids = torch.where(mask.bool(), ids, pad)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in metadata["inputs"]:
        inputs["token_type_ids"] = (torch.arange(11) > 5).long().expand_as(ids)
    logits = script(*inputs.values())
    assert logits.shape == (4, 3)
    assert_close(logits, model(**inputs).logits)


@torch.no_grad()
def test_decoder_classifier_reads_the_last_attended_token_even_if_it_is_the_padding_id(files):
    out, _, model = files("gpt2", "classify")
    ids, mask = ids_and_mask((6,))
    ids[0, -1] = 0
    alone = model.score(model.transformer(ids)[0])[:, -1]
    padded = torch.jit.load(out)(torch.nn.functional.pad(ids, (0, 3)), torch.nn.functional.pad(mask, (0, 3)))
    assert_close(padded, alone)


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(set(tiny_models.DECODERS) - UNTRACEABLE - NOT_PACKED))
def test_packed_documents_equal_documents_alone(files, name):
    out, _, model = files(name)
    texts = [torch.randint(10, tiny_models.VOCAB, (length,)) for length in (8, 1, 14)]
    number = torch.repeat_interleave(torch.arange(3), torch.tensor([8, 1, 14]))
    mask = (number[:, None] == number) & torch.ones(23, 23, dtype=torch.bool).tril()
    positions = torch.cat([torch.arange(len(text)) for text in texts])
    logits = torch.jit.load(out).packed(torch.cat(texts)[None], mask[None, None], positions[None])
    assert_close(logits[0], torch.cat([model(input_ids=text[None]).logits[0] for text in texts]))


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(set(tiny_models.DECODERS) - UNTRACEABLE))
def test_decoding_token_by_token_equals_the_whole_text(files, name):
    out, metadata, model = files(name)
    script, past = torch.jit.load(out), metadata["methods"]["decode"]["past"]
    ids, mask = ids_and_mask((12, 7), left=True)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache, logits = torch.zeros(past["tensors"], 2, past["heads"], 0, past["head_size"]), []
    for start, end in ((0, 6), *((at, at + 1) for at in range(6, 12))):
        new, cache = script.decode(ids[:, start:end], mask[:, :end], positions[:, start:end], cache)
        logits.append(new)
    rows = zip(torch.cat(logits, 1), ids, mask.bool())
    for found, row, attended in rows:
        assert_close(found[attended], model(input_ids=row[attended][None]).logits[0])


@pytest.mark.parametrize("name", sorted(UNTRACEABLE))
def test_architectures_whose_trace_is_wrong_are_refused_and_leave_no_file(tmp_path, name):
    classify = name in tiny_models.ENCODERS
    model = tiny_models.classifier(name) if classify else tiny_models.language_model(name)
    with pytest.raises(ExportError, match="cannot be exported: forward") as error:
        export(model, tmp_path / "m.pt", CLASSIFICATION if classify else "language_model")
    assert error.value.code == FILE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mistral", "gemma3"])
def test_packing_without_the_sliding_window_would_be_noticed_and_left_out(tmp_path, monkeypatch, name):
    monkeypatch.setattr(wrapper, "_within", lambda mask, window: mask)
    metadata = export(tiny_models.language_model(name), tmp_path / "m.pt")
    assert set(metadata["methods"]) == {"forward", "decode"}
    assert not hasattr(torch.jit.load(tmp_path / "m.pt"), "packed")


def test_methods_that_cannot_be_traced_are_said_and_left_out(files, capsys, tmp_path):
    metadata = export(tiny_models.language_model("bloom"), tmp_path / "m.pt")
    assert set(metadata["methods"]) == {"forward", "decode"}
    assert "packed: left out" in capsys.readouterr().err


def test_a_full_disk_is_an_error_and_leaves_the_old_file(tmp_path):
    out = tmp_path / "m.pt"
    out.write_text("old")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, usual[1]))
    try:
        with pytest.raises(ExportError, match="cannot write") as error:
            export(tiny_models.language_model("llama"), out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert error.value.code == IO
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"] and out.read_text() == "old"


def test_tied_head_is_stored_once(files):
    out, metadata, model = files("gpt2")
    assert metadata["tied"] == [["transformer.wte.weight", "lm_head.weight"]]
    weights = 4 * sum(p.numel() for p in model.parameters())
    with zipfile.ZipFile(out) as content:
        stored = sum(entry.file_size for entry in content.infolist() if "/data/" in entry.filename)
    assert stored < weights + 4 * 64 * 64 * 2  # and GPT-2's causal mask buffers


def test_equal_models_make_equal_weights_and_metadata(tmp_path):
    first, second = (export(tiny_models.language_model("llama"), tmp_path / f"{i}.pt") for i in range(2))
    assert first | {"name": ""} == second | {"name": ""}


@pytest.mark.parametrize(
    ("name", "length"), [("gpt2", 64), ("roberta", 62), ("bert", 64), ("bloom", 0), ("opt", 64), ("mpt", 64)]
)
def test_context_length_is_the_longest_sequence_that_runs(files, name, length):
    _, metadata, model = files(name, "classify" if name in tiny_models.ENCODERS else "lm")
    assert metadata["context_length"] == length
    if length:
        ids = torch.full((1, length), 20)
        assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all()


@pytest.mark.parametrize("name", sorted(set(tiny_models.DECODERS) - UNTRACEABLE))
def test_sites_of_language_models_are_the_modules_with_a_matrix(files, run, name):
    out, _, model = files(name)
    assert listed(run, out) == tiny_models.matrix_modules(model)


@pytest.mark.parametrize("name", sorted(set(tiny_models.ENCODERS) - UNTRACEABLE))
def test_sites_of_classifiers_are_the_modules_with_a_matrix(files, run, name):
    out, _, model = files(name, "classify")
    assert listed(run, out) == tiny_models.matrix_modules(model)


def listed(run, out):
    sites = json.loads(run("lora-train", "--model", out, "--list-targets", "--json").stdout)
    return {site["path"] for site in sites if site["kind"] != "embedding"}

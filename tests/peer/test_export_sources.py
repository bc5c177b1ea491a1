"""From folders and GGUF files to model files: what is read, what is chosen, and what can be wrong."""

import json
import os
import struct
import subprocess
import sys

import export_model
import pytest
import tiny_models
import tokenizers
import torch
import transformers
from modelfile import ExportError, archive, gguf_header
from modelfile.errors import FILE, IO, USAGE
from modelfile.loading import parse_labels

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def test_script_runs_on_its_own_and_prints_one_line_of_result(llama_folder, tmp_path):
    command = [sys.executable, export_model.__file__, llama_folder, tmp_path / "m.pt"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'm.pt'}  llama  ") and done.stdout.count("\n") == 1
    assert "packed: checked, relative difference" in done.stderr


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    """A bare encoder with a WordPiece tokenizer in its old form, vocab.txt."""
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(tiny_models.VOCAB - 5))]
    (folder / "vocab.txt").write_text("\n".join(words))
    config_class, settings = tiny_models.ENCODERS["bert"]
    transformers.BertModel(config_class(**settings), add_pooling_layer=False).save_pretrained(folder)
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    (folder / "tokenizer.json").unlink(missing_ok=True)
    return folder


def test_classifier_from_a_bare_encoder_names_what_starts_untrained(bert_folder, tmp_path, call):
    out = tmp_path / "m.pt"
    options = ("--task", "classify", "--labels", "bad,good", "--name", "x/y")
    assert call(export_model, bert_folder, out, *options) == 0
    metadata = json.loads(archive.read_extra(out))
    assert metadata["labels"] == ["bad", "good"]
    assert sorted(metadata["head_modules"]) == ["bert.pooler", "classifier"]
    assert (metadata["name"], metadata["pad"], metadata["bos"]) == ("x/y", 0, None)
    config = json.loads(archive.read_extra(out, "tokenizer_config.json"))
    assert (config["cls_token"], config["pad_token"]) == ("[CLS]", "[PAD]")
    assert json.loads(archive.read_extra(out, "tokenizer.json"))["model"]["type"] == "WordPiece"


def test_classifier_from_a_decoder_without_padding_id_pads_with_its_end(tmp_path, call):
    model = tiny_models.language_model("gpt2")
    model.config.eos_token_id = 1
    model.save_pretrained(tmp_path / "gpt2")
    assert call(export_model, tmp_path / "gpt2", tmp_path / "m.pt", "--labels", "a,b") == 0
    metadata = json.loads(archive.read_extra(tmp_path / "m.pt"))
    assert (metadata["pad"], metadata["head_modules"]) == (1, ["score"])


def test_a_new_head_follows_the_seed(bert_folder, tmp_path, call):
    def head(seed, name):
        assert call(export_model, bert_folder, tmp_path / name, "--labels", "3", "--seed", seed) == 0
        return dict(torch.jit.load(tmp_path / name).named_parameters())["network.classifier.weight"]

    assert torch.equal(head(1, "a.pt"), head(1, "b.pt"))
    assert not torch.equal(head(1, "c.pt"), head(2, "d.pt"))


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory):
    """A language model without tokenizer."""
    folder = tmp_path_factory.mktemp("llama")
    tiny_models.language_model("llama").save_pretrained(folder)
    return folder


def test_missing_tokenizer_is_a_warning(llama_folder, tmp_path, call, capsys):
    assert call(export_model, llama_folder, tmp_path / "m.pt") == 0
    assert "warning: no tokenizer" in capsys.readouterr().err
    assert archive.read_extra(tmp_path / "m.pt", "tokenizer.json") is None


def test_an_encoder_folder_without_vocabulary_has_no_tokenizer_either(bert_folder, tmp_path, call, capsys):
    source = tmp_path / "bare"
    source.mkdir()
    for name in ("config.json", "model.safetensors"):
        os.link(bert_folder / name, source / name)
    assert call(export_model, source, tmp_path / "m.pt", "--labels", "2") == 0
    assert "warning: no tokenizer" in capsys.readouterr().err
    assert archive.read_extra(tmp_path / "m.pt", "tokenizer.json") is None


def test_tokens_that_transformers_adds_to_a_tokenizer_are_in_the_file(bert_folder, tmp_path, call):
    source = tmp_path / "more"
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.save_pretrained(source)
    config = json.loads((source / "tokenizer_config.json").read_text())
    extra = {"content": "<new>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    config["added_tokens_decoder"] = {str(len(tokenizer)): extra | {"special": True}}
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    for name in ("config.json", "model.safetensors"):
        os.link(bert_folder / name, source / name)
    assert call(export_model, source, tmp_path / "m.pt", "--labels", "2") == 0
    written = tokenizers.Tokenizer.from_str(archive.read_extra(tmp_path / "m.pt", "tokenizer.json"))
    assert written.encode("w1 <new>", add_special_tokens=False).tokens == ["w1", "<new>"]


def test_half_precision_weights_become_float32(tmp_path, call):
    tiny_models.language_model("llama").bfloat16().save_pretrained(tmp_path / "half")
    assert call(export_model, tmp_path / "half", tmp_path / "m.pt") == 0
    assert {p.dtype for p in torch.jit.load(tmp_path / "m.pt").parameters()} == {torch.float32}


GGUF_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def interleaved(weight, heads):
    """Rows of a query or key projection in GGUF's order for rotary pairs: (0, 1) instead of (0, half)."""
    return weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(weight.shape)


def write_llama_gguf(model, path):
    """A float32 GGUF file of a Llama model with a byte-level vocabulary that splits as SmolLM's."""
    import gguf

    config, weights = model.config, model.state_dict()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    add_vocabulary(writer, config.vocab_size)
    for layer in range(config.num_hidden_layers):
        for module, name in GGUF_NAMES.items():
            weight = weights[f"model.layers.{layer}.{module}.weight"]
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name)
            weight = interleaved(weight, heads) if heads else weight
            writer.add_tensor(f"blk.{layer}.{name}.weight", weight.numpy())
    for module, name in {
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "lm_head": "output",
    }.items():
        writer.add_tensor(f"{name}.weight", weights[f"{module}.weight"].numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(writer, size):
    letters = [*"0123456789abcdefghij\u0120", "12", "ab"]  # \u0120: a space in byte-level BPE
    tokens = ["<unk>", "<s>", "</s>", *letters, *(f"<extra{i}>" for i in range(size - 3 - len(letters)))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + (size - 3) * [1])
    writer.add_token_merges(["1 2", "a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(
        "{% for m in messages %}{{ '<s>' + m['role'] + ':' + m['content'] + '</s>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<s>assistant:' }}{% endif %}"
    )


@torch.no_grad()
def test_gguf_file_gives_the_model_it_was_written_from_with_tokenizer_and_chat(tmp_path, call):
    model, out = tiny_models.language_model("llama"), tmp_path / "m.pt"
    write_llama_gguf(model, tmp_path / "tiny.gguf")
    assert call(export_model, tmp_path / "tiny.gguf", out) == 0
    ids = torch.arange(3, 13)[None]
    found = torch.jit.load(out)(ids, torch.ones_like(ids))
    assert torch.allclose(found, model(input_ids=ids).logits, atol=1e-6)
    metadata = json.loads(archive.read_extra(out))
    assert [metadata[key] for key in ("name", "bos", "eos", "pad", "context_length")] == [
        "Tiny",
        1,
        2,
        None,
        64,
    ]
    assert metadata["chat"]["generation"] == "<s>assistant:"
    tokenizer = tokenizers.Tokenizer.from_str(archive.read_extra(out, "tokenizer.json"))
    assert tokenizer.encode("ab 12</s>").tokens == ["ab", "\u0120", "1", "2", "</s>"]


FAILURES = {
    "missing": (["no/such/folder", "m.pt"], IO, "does not exist"),
    "empty folder": (["{empty}", "m.pt"], FILE, "neither config.json nor a GGUF file"),
    "file of another kind": (["{text}", "m.pt"], FILE, "is no GGUF file"),
    "unknown GGUF architecture": (["{strange}", "m.pt"], FILE, "transformers cannot read this architecture"),
    "truncated GGUF": (["{truncated}", "m.pt"], FILE, "is no readable GGUF file"),
    "no weights": (["{weightless}", "m.pt"], FILE, "cannot be loaded"),
    "incomplete weights": (["{incomplete}", "m.pt"], FILE, "weights of LlamaForCausalLM are missing"),
    "encoder as language model": (
        ["{bert}", "m.pt", "--task", "lm"],
        USAGE,
        "bert is no causal language model",
    ),
    "no labels": (["{bert}", "m.pt", "--task", "classify"], USAGE, "name the classes"),
    "one label": (["{bert}", "m.pt", "--labels", "1"], USAGE, "at least two different names"),
    "equal labels": (["{bert}", "m.pt", "--labels", "a,a"], USAGE, "at least two different names"),
    "labels of a language model": (
        ["{llama}", "m.pt", "--task", "lm", "--labels", "2"],
        USAGE,
        "--labels only goes",
    ),
    "no such output folder": (["{llama}", "no/such/m.pt"], IO, 'folder "no/such" does not exist'),
    "output is a folder": (["{llama}", "."], IO, "exists already"),
    "output exists": (["{llama}", "{text}"], IO, "exists already"),
    "encoder-decoder": (["{t5}", "m.pt"], USAGE, "encoder-decoder"),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory, bert_folder, llama_folder):
    """Good and bad sources by name."""
    root = tmp_path_factory.mktemp("sources")
    for name in ("empty", "weightless", "incomplete", "t5"):
        (root / name).mkdir()
    (root / "text").write_text("no model")
    write_gguf_header(root / "strange", {"general.architecture": "hovercraft", "general.name": "eels"})
    (root / "truncated").write_bytes((root / "strange").read_bytes()[:-3])
    config = (llama_folder / "config.json").read_text()
    (root / "weightless/config.json").write_text(config)
    deeper = json.loads(config) | {"num_hidden_layers": 3}
    (root / "incomplete/config.json").write_text(json.dumps(deeper))
    os.link(llama_folder / "model.safetensors", root / "incomplete/model.safetensors")
    transformers.T5Config(d_model=8, num_layers=1).save_pretrained(root / "t5")
    return {path.name: path for path in root.iterdir()} | {"bert": bert_folder, "llama": llama_folder}


def write_gguf_header(path, texts):
    """A GGUF file of version 3 with text metadata and no tensor."""

    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = b"".join(text(key) + struct.pack("<I", 8) + text(value) for key, value in texts.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(texts)) + pairs)


@pytest.mark.parametrize("case", FAILURES)
def test_failures_say_what_and_what_to_do_and_write_nothing(
    sources, tmp_path, monkeypatch, call, capsys, case
):
    arguments, code, message = FAILURES[case]
    monkeypatch.chdir(tmp_path)
    assert call(export_model, *(each.format_map(sources) for each in arguments)) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_gguf_metadata_is_read_with_all_its_types(tmp_path):
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    values = {"x.a": "ü", "x.b": [1.5, -2.0], "x.c": ["", "b c"], "x.d": True, "x.e": -7, "x.f": [1, 2, 3]}
    writer.add_string("x.a", values["x.a"])
    for key in ("x.b", "x.c", "x.f"):
        writer.add_array(key, values[key])
    writer.add_bool("x.d", True)
    writer.add_int32("x.e", -7)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert gguf_header.read_metadata(tmp_path / "m.gguf") == values | {"general.architecture": "llama"}


@pytest.mark.parametrize("text", ["0", "1", "x", "a,,b", "a, a", "99999999"])
def test_labels_out_of_range_are_refused(text):
    with pytest.raises(ExportError, match="expected"):
        parse_labels(text)


def test_labels_are_numbers_or_names():
    assert parse_labels("3") == ["0", "1", "2"]
    assert parse_labels("bad, good") == ["bad", "good"]

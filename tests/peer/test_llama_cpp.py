"""llama.cpp runs a base with an adapter of ours. Needs the package xllamacpp, which ships it; skipped without."""
import json

import cases
import gguf
import numpy as np
import pytest
import torch
from cases import with_adapter
from peft import PeftModel
from transformers import AutoModelForCausalLM

try:
    import xllamacpp
except ImportError:
    xllamacpp = None

PROMPTS = [[1, 5, 90, 200, 33, 7], [90], [301, 12, 12, 77]]
ANSWER = 6
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def rotary_pairs(weight, heads):
    """Rows as llama.cpp has them in q and k: neighbours rotate together, not the halves of a head."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def write_base(file, live):
    """The live model as GGUF, with words for tokens."""
    config, writer = live.config, gguf.GGUFWriter(file, "llama")
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>"] + [f"w{number} " for number in range(3, config.vocab_size)])
    writer.add_token_scores([0.0] * config.vocab_size)
    writer.add_token_types([2, 3, 3] + [1] * (config.vocab_size - 3))
    writer.add_add_bos_token(False)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for key, value in live.state_dict().items():
        if key == "lm_head.weight":   # tied
            continue
        weight = value.numpy()
        for name, count in heads.items():
            weight = rotary_pairs(weight, count) if name in key else weight
        writer.add_tensor(names.get_name(key, try_suffixes=(".weight",)), np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def answers_of_llama_cpp(base, adapter=None):
    """For each prompt (token, log-probability) of a greedy answer."""
    params = xllamacpp.CommonParams()
    params.model.path = str(base)
    params.n_ctx, params.warmup, params.n_gpu_layers, params.cpuparams.n_threads = 128, False, 0, 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    if adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    server = xllamacpp.Server(params)
    answers = []
    for prompt in PROMPTS:
        reply = server.handle_completions({"prompt": prompt, "n_predict": ANSWER, "top_k": 1, "samplers": ["top_k"],
                                           "n_probs": 1, "ignore_eos": True, "cache_prompt": False})
        reply = json.loads(reply) if isinstance(reply, str) else reply
        answers.append([(token["id"], token["logprob"]) for token in reply["choices"][0]["logprobs"]["content"]])
    return answers


@torch.no_grad()
def answers_of_transformers(model):
    answers = []
    for prompt in PROMPTS:
        ids, answer = list(prompt), []
        for _ in range(ANSWER):
            scores = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            allowed = scores.clone()
            allowed[2] = -torch.inf   # no end of text
            ids.append(int(allowed.argmax()))
            answer.append((ids[-1], float(scores[ids[-1]])))
        answers.append(answer)
    return answers


def assert_same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert [token for token, _ in ours] == [token for token, _ in theirs]
        assert [value for _, value in ours] == pytest.approx([value for _, value in theirs], abs=1e-2)   # parts of llama.cpp compute in float16


@pytest.mark.skipif(xllamacpp is None, reason="xllamacpp is not installed")
def test_llama_cpp_runs_our_adapter(run, fixtures, tmp_path):
    live = AutoModelForCausalLM.from_pretrained(fixtures / "hf/tiny_llama").eval()
    write_base(tmp_path / "base.gguf", live)
    before = answers_of_transformers(live)
    assert_same(answers_of_llama_cpp(tmp_path / "base.gguf"), before)
    with_adapter(cases.tiny(fixtures, "llama"), tmp_path / "peft", random_b=True, r=4, lora_alpha=64,
                 target_modules=LINEAR, task_type="CAUSAL_LM")
    run("lora-merge", "convert", tmp_path / "peft", "--to", "gguf", "--out", tmp_path / "a.gguf", "--base-config",
        fixtures / "hf/tiny_llama/config.json")
    expected = answers_of_transformers(PeftModel.from_pretrained(live, tmp_path / "peft").eval())
    assert expected != before
    assert_same(answers_of_llama_cpp(tmp_path / "base.gguf", tmp_path / "a.gguf"), expected)

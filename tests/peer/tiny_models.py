"""Tiny transformers models with random weights, one per kind of architecture."""

import torch
import transformers as hf

VOCAB = 200
SPREAD = 0.2  # standard deviation of weight matrices
_SIZES = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_DECODER = _SIZES | {"intermediate_size": 48, "max_position_embeddings": 64}
_GROUPED = _DECODER | {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
_ENCODER = _DECODER | {"pad_token_id": 0}

# name -> (configuration class, settings)
DECODERS = {
    "gpt2": (
        hf.GPT2Config,
        {"vocab_size": VOCAB, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    ),
    "gpt_neo": (
        hf.GPTNeoConfig,
        {
            "vocab_size": VOCAB,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "max_position_embeddings": 64,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 6,
        },
    ),
    "gptj": (
        hf.GPTJConfig,
        {"vocab_size": VOCAB, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "rotary_dim": 4},
    ),
    "gpt_neox": (hf.GPTNeoXConfig, _DECODER),
    "gpt_bigcode": (
        hf.GPTBigCodeConfig,
        {"vocab_size": VOCAB, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    ),
    "bloom": (hf.BloomConfig, {"vocab_size": VOCAB, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "mpt": (
        hf.MptConfig,
        {"vocab_size": VOCAB, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64},
    ),
    "falcon": (hf.FalconConfig, _SIZES | {"max_position_embeddings": 64}),
    "falcon_alibi": (hf.FalconConfig, _SIZES | {"alibi": True}),
    "opt": (
        hf.OPTConfig,
        _SIZES | {"ffn_dim": 48, "max_position_embeddings": 64, "word_embed_proj_dim": 32},
    ),
    "llama": (hf.LlamaConfig, _GROUPED),
    "mistral": (hf.MistralConfig, _GROUPED | {"sliding_window": 6}),
    "qwen2": (hf.Qwen2Config, _GROUPED),
    "qwen3": (hf.Qwen3Config, _GROUPED),
    "phi": (hf.PhiConfig, _DECODER),
    "phi3": (hf.Phi3Config, _GROUPED | {"sliding_window": 6}),
    "gemma2": (hf.Gemma2Config, _GROUPED | {"sliding_window": 6}),
    "gemma3": (
        hf.Gemma3TextConfig,
        _GROUPED | {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "cohere": (hf.CohereConfig, _GROUPED),
    "stablelm": (hf.StableLmConfig, _GROUPED),
    "starcoder2": (hf.Starcoder2Config, _GROUPED | {"sliding_window": 6}),
    "olmo2": (hf.Olmo2Config, _GROUPED),
    "mixtral": (hf.MixtralConfig, _GROUPED | {"num_local_experts": 4, "sliding_window": None}),
    "qwen2_moe": (
        hf.Qwen2MoeConfig,
        _GROUPED
        | {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    "deepseek_v3": (
        hf.DeepseekV3Config,
        _DECODER
        | {
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "n_group": 1,
            "topk_group": 1,
            "kv_lora_rank": 8,
            "q_lora_rank": 8,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 8,
            "v_head_dim": 8,
            "first_k_dense_replace": 1,
        },
    ),
    "gpt_oss": (
        hf.GptOssConfig,
        _GROUPED
        | {
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 6,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "mamba": (
        hf.MambaConfig,
        {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    ),
}

ENCODERS = {
    "bert": (hf.BertConfig, _ENCODER),
    "roberta": (hf.RobertaConfig, _ENCODER | {"pad_token_id": 1, "type_vocab_size": 1}),
    "xlm_roberta": (hf.XLMRobertaConfig, _ENCODER | {"pad_token_id": 1, "type_vocab_size": 1}),
    "distilbert": (
        hf.DistilBertConfig,
        {
            "vocab_size": VOCAB,
            "dim": 32,
            "n_layers": 2,
            "n_heads": 4,
            "hidden_dim": 48,
            "max_position_embeddings": 64,
        },
    ),
    "albert": (hf.AlbertConfig, _ENCODER | {"embedding_size": 16}),
    "electra": (hf.ElectraConfig, _ENCODER | {"embedding_size": 16}),
    "deberta": (hf.DebertaConfig, _ENCODER | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "deberta_v2": (
        hf.DebertaV2Config,
        _ENCODER | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    ),
    "mpnet": (hf.MPNetConfig, _ENCODER | {"pad_token_id": 1}),
    "modernbert": (
        hf.ModernBertConfig,
        _ENCODER | {"cls_token_id": 3, "sep_token_id": 2, "bos_token_id": 2, "eos_token_id": 3},
    ),
    "funnel": (
        hf.FunnelConfig,
        {"vocab_size": VOCAB, "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 48, "block_sizes": [1, 1]},
    ),
}


def language_model(name, seed=0):
    """A tiny causal language model in evaluation mode."""
    return _build(hf.AutoModelForCausalLM, DECODERS[name], seed)


def classifier(name, labels=3, seed=0):
    """A tiny text classifier: an encoder with a head, or a decoder with a score layer."""
    config_class, settings = (ENCODERS | DECODERS)[name]
    settings = {"pad_token_id": 0} | settings  # decoders without one refuse batches
    return _build(hf.AutoModelForSequenceClassification, (config_class, settings), seed, num_labels=labels)


def matrix_modules(model):
    """Paths of the modules that multiply by a matrix of their own: Linear, Conv1D, routers of experts."""
    modules = {
        path: module for path, module in model.named_modules() if not isinstance(module, torch.nn.Embedding)
    }
    return {path for path, module in modules.items() if getattr(module, "weight", torch.empty(0)).dim() == 2}


def _build(auto_class, kind, seed, **more):
    config_class, settings = kind
    torch.manual_seed(seed)
    model = auto_class.from_config(config_class(**settings, **more)).eval()
    for weight in model.parameters():
        if weight.dim() > 1:  # spread enough for attention to matter: the logits must depend on every mask
            torch.nn.init.normal_(weight, std=SPREAD)
    return model

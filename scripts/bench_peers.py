#!/usr/bin/env python3
"""One training by PyTorch for scripts/bench.py: prints losses, seconds of each update and the time when the first was done.

  scripts/bench_peers.py PEER SPEC.json
"""
import json
import os
import re
import sys
import time
from pathlib import Path

import torch

QKV = ("q_proj", "k_proj", "v_proj")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/peer"))
import cases  # noqa: E402


def live_model(file):
    return cases.smollm2(Path(file)).live


def padded(rows, mask=True):
    length = max(len(row["input_ids"]) for row in rows)

    def fill(key, value):
        return torch.tensor([row[key] + [value] * (length - len(row[key])) for row in rows])

    batch = {"input_ids": fill("input_ids", 0), "labels": fill("labels", -100)}
    # A batch without padding needs no mask: the faster way, as a user's collator would have it.
    if mask and any(len(row["input_ids"]) < length for row in rows):
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        batch["attention_mask"] = (torch.arange(length) < lengths[:, None]).long()
    return batch


def with_adapter(spec):
    from peft import PeftModel

    return PeftModel.from_pretrained(live_model(spec["model"]), spec["adapter"], is_trainable=True)


def train(model, loss_of, spec):
    """AdamW with clipped gradients, as lora-train does it."""
    model.train()
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=spec["rate"], weight_decay=0.0)
    losses, ends = [], []
    for rows in spec["batches"]:
        loss = loss_of(rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        ends.append(time.time())
    return losses, ends


def peft(spec):
    model = with_adapter(spec)
    return train(model, lambda rows: model(**padded(rows)).loss, spec)


def peft_bf16(spec):
    model = with_adapter(spec).to(torch.bfloat16)
    return train(model, lambda rows: model(**padded(rows)).loss, spec)


def peft_compile(spec):
    model = with_adapter(spec)
    for layer in model.base_model.model.model.layers:
        layer.compile(dynamic=True)
    return train(model, lambda rows: model(**padded(rows)).loss, spec)


def full(spec):
    model = live_model(spec["model"])
    return train(model, lambda rows: model(**padded(rows)).loss, spec)


def trl(spec, **options):
    """SFTTrainer with its loss, in float32 and without recomputation; the other defaults are its own."""
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from tokenizers import Tokenizer
    from trl import SFTConfig, SFTTrainer

    extra = {"tokenizer.json": ""}
    torch.jit.load(spec["model"], _extra_files=extra)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(extra["tokenizer.json"].decode()),
                                        eos_token="<|im_end|>", pad_token="<|im_end|>")
    ends, losses = [], []

    class Times(TrainerCallback):
        def on_step_end(self, *_, **__):
            ends.append(time.time())

        def on_log(self, _, state, control, logs, **__):
            losses.extend([logs["loss"]] if "loss" in logs else [])

    rows = [row for batch in spec["batches"] for row in batch]
    masked = any(-100 in row["labels"] for row in rows)
    data = Dataset.from_list([{"input_ids": row["input_ids"]} | ({"completion_mask": [int(label != -100) for label in row["labels"]]}
                                                                 if masked else {}) for row in rows])
    config = SFTConfig(output_dir=str(Path(spec["folder"]) / "trl"), max_steps=len(spec["batches"]),
                       per_device_train_batch_size=len(spec["batches"][0]), learning_rate=spec["rate"],
                       lr_scheduler_type="constant", warmup_steps=0, weight_decay=0.0, max_grad_norm=1.0, bf16=False,
                       gradient_checkpointing=False, logging_steps=1, report_to="none", save_strategy="no", use_cpu=True,
                       train_sampling_strategy="sequential", max_length=None, completion_only_loss=masked, disable_tqdm=True, **options)
    SFTTrainer(model=with_adapter(spec), args=config, train_dataset=data, processing_class=tokenizer,
               callbacks=[Times()]).train()
    return losses, ends


def trl_packed(spec):
    """The batch's rows one after the other, without padding."""
    return trl(spec, padding_free=True)


def litgpt(spec):
    from litgpt.lora import GPT, Config, mark_only_lora_as_trainable
    from litgpt.scripts.convert_hf_checkpoint import copy_weights_hf_llama
    from litgpt.utils import chunked_cross_entropy
    from safetensors.torch import load_file

    options = json.loads((Path(spec["adapter"]) / "adapter_config.json").read_text())
    targets, rank = options["target_modules"], options["r"]
    adapter = load_file(Path(spec["adapter"]) / "adapter_model.safetensors")
    config = Config.from_name("SmolLM2-135M-Instruct", lora_r=rank, lora_alpha=options["lora_alpha"], lora_dropout=0.0,
                              lora_query="q_proj" in targets, lora_key="k_proj" in targets, lora_value="v_proj" in targets,
                              lora_projection="o_proj" in targets, lora_mlp="up_proj" in targets)
    with torch.device("meta"):
        model = GPT(config)
    state = {}
    copy_weights_hf_llama(config, {}, state, live_model(spec["model"]).state_dict())
    state = {next(own for own in (name.replace(".weight", ".linear.weight"), name) if own in model.state_dict()): weight
             for name, weight in state.items()}
    names = {"attn.proj": "self_attn.o_proj", "mlp.fc_1": "mlp.gate_proj", "mlp.fc_2": "mlp.up_proj", "mlp.proj": "mlp.down_proj"}
    for name in model.state_dict():
        if place := re.fullmatch(r"transformer\.h\.(\d+)\.(.+)\.(lora_[AB])", name):
            layer, module, factor = place.groups()
            modules = [f"self_attn.{each}" for each in QKV if each in targets] if module == "attn.qkv" else [names[module]]
            state[name] = torch.cat([adapter[f"base_model.model.model.layers.{layer}.{each}.{factor}.weight"]
                                     for each in modules])
    model.load_state_dict(state, strict=True, assign=True)
    mark_only_lora_as_trainable(model)
    model.cos, model.sin = model.rope_cache()

    def loss_of(rows):
        batch = padded(rows, mask=False)
        logits = model(batch["input_ids"], lm_head_chunk_size=128)
        logits[-1] = logits[-1][..., :-1, :]
        return chunked_cross_entropy(logits, batch["labels"][..., 1:])

    return train(model, loss_of, spec)


PEERS = {"peft": peft, "peft-bf16": peft_bf16, "peft-compile": peft_compile, "full": full, "trl": trl, "trl-packed": trl_packed,
         "litgpt": litgpt}


def main():
    name, spec = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(spec["threads"])
    begin = time.time()
    losses, ends = PEERS[name](spec)
    seconds = [end - start for start, end in zip([begin] + ends, ends)]
    print(json.dumps({"losses": losses, "seconds": seconds, "first": ends[0]}))


if __name__ == "__main__":
    main()

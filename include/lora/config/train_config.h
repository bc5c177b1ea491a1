#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lora/config/common_config.h"
#include "lora/config/option.h"

namespace lora {

/// Options of lora-train.
struct TrainConfig {
  ModelConfig model;
  DataConfig data;
  std::string valid, out, base_dtype = "file";

  std::string method = "lora", placement = "houlsby";
  std::vector<std::string> targets = {"all-linear"};
  std::vector<std::string> exclude;
  std::string layers;
  double min_coverage = 0;
  std::vector<std::string> modules_to_save;
  std::string bias = "none";
  std::vector<std::string> trainable_tokens;
  std::string init_adapter;
  std::int64_t rank = 16;
  double alpha = 32, dropout = 0;
  bool rank_stabilised = false;
  std::vector<std::string> rank_pattern, alpha_pattern;
  std::string init = "default";
  double eva_rho = 1;
  std::int64_t eva_batches = 8;
  bool freeze_a = false;
  double lora_plus_ratio = 1;

  std::int64_t epochs = 3;
  std::optional<std::int64_t> steps;
  std::optional<double> learning_rate;
  std::string schedule = "linear";
  double warmup = 0.03;
  std::int64_t batch_size = 16, batch_tokens = 4096, lanes = 0;
  double weight_decay = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, clip = 1.0, label_smoothing = 0;
  bool shuffle = true, pack = true, bucket = true;
  std::int64_t seed = 42;

  std::string resume;
  std::vector<std::string> allow_change;
  std::optional<std::int64_t> save_every;
  std::int64_t keep_checkpoints = 2;
  double max_minutes = 0, rank_timeout = 600;
  std::optional<std::int64_t> eval_every;
  std::int64_t patience = 0;
  std::int64_t log_every = 1;

  bool list_targets = false, checkpoint_activations = false, cache_activations = true, dry_run = false,
       overwrite = false, profile = false, json = false;

  template <class V>
  void visit(V& v) {
    model.visit(v);
    v("base_dtype", base_dtype,
      "type in which frozen weights of linear and embedding layers are kept and multiplied (as in the file "
      "by default): half the memory, rounded weights",
      OneOf{{"file", "fp32", "bf16", "fp16"}});
    v.section("Data");
    v("data", data.path, "training rows: JSONL or a JSON array (docs/data.md)", Placeholder{"FILE"},
      Required{{"list_targets"}});
    v("valid", valid, "validation rows, to choose the best checkpoint", Placeholder{"FILE"});
    data.visit(v);
    v.section("Adapter");
    v("method", method,
      "what is trained: low-rank updates (lora, dora with magnitudes), or for comparison sequential adapters "
      "(bottleneck), all biases, all norms, the head and chosen --layers, every weight",
      OneOf{{"lora", "dora", "bottleneck", "bitfit", "layernorm", "head", "full"}});
    v("placement", placement, "bottleneck adapters behind attention and MLP, or behind the MLP alone",
      OneOf{{"houlsby", "pfeiffer"}});
    v("targets", targets,
      "sites to adapt: all-linear, attention, qv, mlp, a module name or suffix, NAME:query, /regex/, or none",
      Placeholder{"NAME"}, CommaSeparated{});
    v("exclude", exclude, "sites to leave out, in the same forms", Placeholder{"NAME"}, CommaSeparated{});
    v("layers", layers, "only these layers: 0-5,8 or first:4 or last:8", Placeholder{"RANGE"});
    v("min_coverage", min_coverage,
      "share of the model's layers in which a target must be found, or nothing is trained", between(0, 1));
    v("modules_to_save", modules_to_save,
      "modules trained whole and stored beside the adapter (classification heads)", Placeholder{"NAME"},
      CommaSeparated{});
    v("bias", bias, "biases trained whole: none, all, or those of the adapted sites",
      OneOf{{"none", "all", "lora_only"}});
    v("trainable_tokens", trainable_tokens, "ids of tokens whose embedding rows are trained",
      Placeholder{"ID"}, CommaSeparated{});
    v("init_adapter", init_adapter,
      "adapter folder to start from; its targets, rank and alpha are used instead of the options",
      Placeholder{"DIR"});
    v("rank", rank, "inner dimension r, also of bottleneck adapters; adapter size grows linearly with it",
      at_least(1));
    v("alpha", alpha, "the update is multiplied by alpha / rank (LoRA paper, section 4.1)", above(0));
    v("dropout", dropout, "dropout before A, in training only", between(0, 0.999));
    v("rank_stabilised", rank_stabilised, "multiply by alpha / sqrt(rank) instead (rsLoRA), for high ranks");
    v("rank_pattern", rank_pattern,
      "other ranks for modules whose path ends so: q_proj=4 layers.0.mlp.up_proj=32",
      Placeholder{"NAME=RANK"}, CommaSeparated{});
    v("alpha_pattern", alpha_pattern, "other alphas, in the same form", Placeholder{"NAME=ALPHA"},
      CommaSeparated{});
    v("init", init, "how A and B start: from the base's weights (pissa, olora), the data (eva), or at random",
      OneOf{{"default", "gaussian", "orthogonal", "pissa", "olora", "eva"}});
    v("eva_rho", eva_rho, "with --init eva: how many times its rank a module may get of the common budget",
      at_least(1));
    v("eva_batches", eva_batches, "with --init eva: updates' worth of rows to look at", at_least(1));
    v("freeze_a", freeze_a, "train B alone (LoRA-FA): half the parameters, and A's inputs need not be kept");
    v("lora_plus_ratio", lora_plus_ratio, "learning rate of B as a multiple of A's (LoRA+)", above(0));
    v.section("Training");
    v("epochs", epochs, "passes over the data", at_least(1));
    v("steps", steps, "number of updates, instead of epochs", at_least(1));
    v("learning_rate", learning_rate,
      "peak rate; default by hidden size h: 5e-4 (2000/h)^0.78 within [1e-4, 2e-3], a tenth of it for full",
      above(0));
    v("schedule", schedule, "rate after warm-up", OneOf{{"constant", "linear", "cosine"}});
    v("warmup", warmup,
      "share of the updates (below 1) or number of updates with rising rate; a single update has none",
      at_least(0));
    v("batch_size", batch_size, "rows per update", at_least(1));
    v("batch_tokens", batch_tokens,
      "tokens, padding included, that run at once; an update is split accordingly", at_least(1));
    v("lanes", lanes,
      "groups of threads that share the rows of an update and meet once in it; 0 = as many as have tokens "
      "enough, "
      "on CPUs, 1 = all threads share each operation",
      at_least(0));
    v("weight_decay", weight_decay, "decoupled decay of matrices (none for norms and biases)", at_least(0));
    v("beta1", beta1, "AdamW's first decay", between(0, 0.9999999));
    v("beta2", beta2, "AdamW's second decay", between(0, 0.9999999));
    v("epsilon", epsilon, "AdamW's denominator floor", above(0));
    v("label_smoothing", label_smoothing,
      "share of each target's probability that is spread over all classes or tokens, in training only",
      between(0, 0.999));
    v("clip", clip, "largest gradient norm of an update; 0 = none", at_least(0));
    v("shuffle", shuffle, "a new order of the rows in every epoch; otherwise the file's order");
    v("checkpoint_activations", checkpoint_activations,
      "keep what enters each layer only and compute the rest again for the backward pass: less memory, more "
      "time");
    v("cache_activations", cache_activations,
      "with adapters in the upper layers only: keep what enters the first of them in the --cache, and "
      "compute the layers below in the first epoch only");
    v("pack", pack, "rows follow each other without padding, where the model file has the method \"packed\"");
    v("bucket", bucket, "rows of similar length train together (less padding), where rows are not packed");
    v("seed", seed, "initial values, order of rows, dropout", at_least(0));
    v.section("Validation and output");
    v("out", out, "run folder: adapter/, config.json, metrics.jsonl, report.json", Placeholder{"DIR"},
      Required{{"list_targets", "dry_run"}});
    v("overwrite", overwrite, "replace a finished run in the same folder");
    v("resume", resume,
      "go on with an unfinished run, whose options need not be given again; auto: go on in --out or start "
      "there",
      Placeholder{"RUN"}, OptionsOfRun{});
    v("allow_change", allow_change,
      "options (or model, tokenizer, data, valid, ranks) that may differ from the resumed run's",
      Placeholder{"NAME"}, CommaSeparated{});
    v("save_every", save_every,
      "updates between checkpoints to resume from; default at each validation, 0 = only when it is stopped",
      at_least(0));
    v("keep_checkpoints", keep_checkpoints, "how many of them remain until the run is finished", at_least(2));
    v("max_minutes", max_minutes, "save, stop and exit with 75 after so long; 0 = no limit", at_least(0));
    v("rank_timeout", rank_timeout,
      "seconds that processes started together (mpirun, srun) wait for each other before all save and exit "
      "with "
      "75; longer than an update, a validation or a save takes",
      above(0));
    v("eval_every", eval_every, "updates between validations; default once per epoch", at_least(1));
    v("patience", patience, "stop after so many validations without a better loss; 0 = never", at_least(0));
    v("log_every", log_every, "updates between lines of metrics.jsonl", at_least(1));
    v("list_targets", list_targets, "print the model's sites and stop");
    v("dry_run", dry_run, "print the plan with memory and time estimates and stop");
    v("profile", profile,
      "print time, memory and products of each phase at the end; they are in report.json, too");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora

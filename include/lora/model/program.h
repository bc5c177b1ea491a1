#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lora/base/cache.h"
#include "lora/base/files.h"
#include "lora/kernels/low_rank_linear.h"
#include "lora/model/model_info.h"
#include "lora/model/site.h"

namespace lora {

/// One tensor attribute of the model file. Tied attributes are one weight with several aliases.
struct Weight {
  std::string path;                  ///< path in the file
  std::vector<std::string> aliases;  ///< further paths of the same tensor
  at::Tensor value;
  bool is_parameter = false;  ///< a parameter (not a buffer) of the module
};

/// Integer inputs [batch, time], right-padded. Undefined tensors are filled in where the model wants them
/// (mask of ones, token types of zeros).
struct ModelInputs {
  at::Tensor input_ids;
  at::Tensor attention_mask;  ///< 1 for real tokens, 0 for padding
  at::Tensor token_type_ids;

  /// Lengths of documents that follow each other in the only row, each with positions and attention of its
  /// own; empty if rows are rows. Only for programs that pack; attention_mask is then not looked at.
  std::vector<std::int64_t> documents = {};

  /// Executable::boundary() of these inputs, if it is known: what lies below is then not computed.
  at::Tensor boundary = {};
};

/// What a hook sees at one use of a site's weight.
struct SiteValues {
  const at::Tensor& output;  ///< what the frozen site computed, bias included, [..., out]; undefined for
                             ///< hooks that compute it themselves
  const at::Tensor& input;   ///< [..., in] features, or ids for an embedding
  const at::Tensor& weight;  ///< as stored, see SiteKind
  at::Tensor bias = {};      ///< what the output includes beside W0 x; undefined if nothing
};

/// Replaces a site's output. Plain ATen with autograd; called once per use and forward pass.
using SiteHook = std::function<at::Tensor(const SiteValues&)>;

/// What a hook that computes its site would return, as a projection that may be computed together with others
/// of the same input; nothing if it is none at this pass.
using SiteProjection = std::function<std::optional<Projection>(const SiteValues&)>;

struct HookedSite {
  const Site* site;
  SiteHook hook;
  bool computes_site = false;  ///< the site's own operation is left out; for the only hook of a site
  bool tells_rows = false;  ///< the hook tells the batch's rows apart, so that every position must be there
  SiteProjection projection = {};
};

/// A rewrite of the graph (docs/speed.md), at how many places it is made, and how many others it knows of are
/// left plain (attention with a bias that is no mask).
struct RewriteCount {
  std::string name;
  int places = 0, plain = 0;
};

/// A graph with hooks in place, sharing its program's weights. Cheap to make; swapping adapters is hooks that
/// look at another adapter. The program must outlive it.
class Executable {
 public:
  Executable(Executable&&) noexcept;
  ~Executable();

  /// Logits: [batch, time, vocabulary] of a language model, [batch, labels] of a classifier.
  at::Tensor logits(const ModelInputs& inputs) const;

  /// Logits of a language model at flat positions b*time+t only: positions int64 [n] -> [n, vocabulary]. The
  /// head is not computed elsewhere if the graph allows it (splits_at_head).
  at::Tensor logits_at(const ModelInputs& inputs, const at::Tensor& positions) const;

  /// True if the graph can be cut in front of the head, so that only chosen positions go through it.
  bool splits_at_head() const;

  /// logits_at in two steps, where it splits: what enters the head [n, d], and the head's logits [n,
  /// vocabulary] of any rows of that.
  at::Tensor before_head(const ModelInputs& inputs, const at::Tensor& positions) const;
  at::Tensor head(const at::Tensor& rows) const;

  /// The activation [batch, time, d] below which there is neither a hook nor a trained weight, so that it is
  /// the same in every epoch; logits are those of the whole bit by bit. Where has_boundary().
  at::Tensor boundary(const ModelInputs& inputs) const;
  bool has_boundary() const;

 private:
  friend class Program;
  struct Impl;
  explicit Executable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class CachedExecutable;  // cached_executable.h

/// A lowered model: `forward` as one graph whose weights are inputs, its sites, and its metadata. Weights are
/// frozen (requires_grad false) when loaded; replacing one through set_weight affects every Executable.
class Program {
 public:
  /// Loads a TorchScript file, whose weights are mapped: read when they are used, shared between processes.
  /// file error: damaged, foreign, frozen, or using what lowering refuses (named). Of a file that has not
  /// changed since (file_identity), `cache` tells that it is whole, its fingerprint and which rewrites it has
  /// places for. A program that no cached_executable() is asked of does without compiling what it takes.
  static Program load(const std::filesystem::path& path, const Cache& cache = {}, bool decodes = true);

  /// Only what it takes to run it without hooks: no sites, no look at the weights' values. Errors as load().
  static Program load_to_run(const std::filesystem::path& path);

  Program(Program&&) noexcept;
  ~Program();

  const std::filesystem::path& path() const;
  const ModelInfo& info() const;
  const std::vector<Weight>& weights() const;
  const std::vector<Site>& sites() const;

  /// Parameters with two or more dimensions that no site uses (stacked experts, convolutions): they cannot be
  /// adapted.
  const std::vector<std::string>& weights_without_site() const;

  /// The weight at a path or alias; internal error if absent.
  const Weight& weight(const std::string& path) const;
  /// Same shape required. The new tensor may require gradients (full fine-tuning).
  void set_weight(const std::string& path, at::Tensor value);

  /// Moves the weights and the graph's device constants.
  void to(at::Device device);
  at::Device device() const;

  /// SHA-256 over sorted name, dtype, shape and content of all weights as loaded: what an adapter is tied to.
  /// Computed in the background from load() on.
  const std::string& fingerprint() const;

  /// SHA-256 of the file's code and constants: what it computes with those weights.
  const std::string& code_hash() const;

  /// Which faster operations may replace patterns of the graph: names, "all" or "none" (the default). usage
  /// error for others. For executables made afterwards.
  void use_rewrites(const std::vector<std::string>& names);

  /// Those of them that the graph has a place for and whose logits on a small probe are the plain graph's.
  const std::vector<RewriteCount>& rewrites() const;

  /// In which type linear sites multiply frozen weights and, with their activations cast, compute gradients:
  /// float32 (the default), bfloat16 or float16. Everything between them stays float32. For executables made
  /// afterwards.
  void use_precision(at::ScalarType type);
  at::ScalarType precision() const;

  /// Keeps the weights of linear and embedding sites in float16 or bfloat16: products are computed in that
  /// type, activations cast where they enter and back behind, everything else stays float32. For executables
  /// made afterwards; fingerprint and file stay those of the weights as loaded. file error if the graph uses
  /// such a weight otherwise.
  void use_base_type(at::ScalarType type);

  /// Lets executables made afterwards keep, for the backward pass, what enters each layer only, and compute
  /// the rest again: less memory, the same gradients, a second forward pass. Making one is a file error if
  /// the graph cannot be cut.
  void checkpoint_activations(bool on);

  /// Lets executables made afterwards have a boundary() where a layer or more lie below what is trained.
  void split_at_boundary(bool on);

  /// True if executables made from now on take ModelInputs::documents: the file has the method `packed`,
  /// whose logits on a probe are those of the documents apart, and attention skips what other documents hold.
  bool packs() const;

  Executable executable(std::vector<HookedSite> hooks = {}) const;

  /// The file's `decode` method with the same hooks: one token costs one token. Nothing if the file has none,
  /// or if its logits on a small probe are not those of forward.
  std::optional<CachedExecutable> cached_executable(std::vector<HookedSite> hooks = {}) const;

  /// Writes a copy of the file, as it was loaded, with some weights replaced (by path in the file), keeping
  /// structure, methods, types and extra files. `provenance_json`, unless empty, is stored as extra file
  /// `lora_provenance.json`. A path that shares its tensor with others gets one of its own.
  void save(PendingFile& out, const std::map<std::string, at::Tensor>& weights,
            const std::string& provenance_json) const;
  /// The same, under its name at once.
  void save(const std::filesystem::path& out, const std::map<std::string, at::Tensor>& weights,
            const std::string& provenance_json) const;

  struct Impl;

 private:
  explicit Program(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// `lora_provenance.json` of a file that Program::save wrote; empty otherwise.
std::string read_provenance(const std::filesystem::path& path);

}  // namespace lora

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "adapter/merge.h"
#include "adapter/saved_modules.h"
#include "checkpoint/peft_config.h"
#include "checkpoint/peft_keys.h"
#include "checkpoint/peft_modules.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kShownMismatches = 50;

std::string shape_text(const at::Tensor& tensor) { return cat("[", join(tensor.sizes(), ", "), "]"); }

/// Puts one folder's tensors at one program's sites and weights, and collects what does not fit.
class Fitter {
 public:
  Fitter(const AdapterFolder& folder, const Program& program)
      : folder_(folder), program_(program), tensors_(split_keys(folder.tensors, folder.path.string())) {
    for (const Weight& weight : program.weights()) {
      add_parameter(weight.path, weight);
      for (const std::string& alias : weight.aliases) add_parameter(alias, weight);
    }
  }

  Adapter run() {
    std::set<std::string> left;
    for (const auto& [module, factors] : tensors_.modules) left.insert(module);
    for (const Site& site : program_.sites()) {
      const auto found = tensors_.modules.find(site.path);
      if (found != tensors_.modules.end() && left.erase(site.path))
        fit_module(site, found->second);
      else if (is_missing(site) && !tensors_.modules.count(site.path))
        add_mismatch(site.path, "a target of adapter_config.json, has no tensors in the adapter");
    }
    for (const std::string& module : left) report_unknown(module, site_paths());
    for (const auto& [key, value] : tensors_.whole) fit_whole(key, value);
    check_saved_complete();
    for (const auto& [module, values] : tensors_.token_rows) fit_token_rows(module, values);
    adapter_.bias = folder_.config.bias;
    for (const auto& [module, value] : tensors_.embedding_copies) check_copy(module, value);
    check_labels();
    report();
    refuse_non_finite(adapter_);
    return std::move(adapter_);
  }

 private:
  void add_parameter(const std::string& path, const Weight& weight) {
    parameters_[plain_path(program_, path)] = &weight;
  }

  void add_mismatch(const std::string& name, const std::string& what) {
    mismatches_.push_back(cat("  ", printable(name), "  ", what));
  }

  void report_unknown(const std::string& name, const std::vector<std::string>& known) {
    const auto nearest = nearest_names(name, known, 1);
    add_mismatch(name, cat("not in the base", nearest.empty() ? "" : "; nearest: " + nearest.front()));
  }

  std::vector<std::string> site_paths() const {
    std::vector<std::string> paths;
    for (const Site& site : program_.sites()) paths.push_back(site.path);
    return paths;
  }

  at::Tensor on_device(const at::Tensor& tensor, at::ScalarType type) const {
    return tensor.to(type).to(program_.device());
  }

  void fit_module(const Site& site, const SiteTensors& factors) {
    PeftModule module{&site, folder_.config.of(site.path), {}, {}};
    const Method& method = find_method(module.config.method);
    for (const auto& [leaf, shape] : method.shapes({&site, nullptr}, module.config)) {
      const std::string name = cat(site.path, ".", leaf);
      const auto found = factors.find(leaf);
      if (found == factors.end()) {
        add_mismatch(name, cat("missing: the base has ", to_string(site.kind), " here"));
      } else if (found->second.sizes() != at::IntArrayRef(shape)) {
        add_mismatch(name,
                     cat("adapter ", shape_text(found->second), ", base needs [", join(shape, ", "), "]"));
      } else {
        module.tensors[leaf] = on_device(found->second, at::kFloat);
      }
    }
    if (!mismatches_.empty()) return;
    const auto blocks = folder_.blocks.find(site.path);
    if (blocks != folder_.blocks.end()) module.blocks = blocks->second;
    for (AdaptedTarget& target : targets_of(module)) adapter_.targets.push_back(std::move(target));
  }

  bool is_saved(const std::string& parameter) const {
    const auto& modules = folder_.config.modules_to_save;
    return std::any_of(modules.begin(), modules.end(),
                       [&](const std::string& module) { return is_inside_module(parameter, module); });
  }

  bool is_missing(const Site& site) const {
    return !folder_.config.narrowed && is_targeted(folder_.config, site.path) &&
           !is_saved(plain_path(program_, site.weight));
  }

  void fit_whole(const std::string& key, const at::Tensor& value) {
    const auto found = parameters_.find(key);
    if (found == parameters_.end()) {
      std::vector<std::string> known;
      for (const auto& [path, weight] : parameters_) known.push_back(path);
      return report_unknown(key, known);
    }
    const Weight& weight = *found->second;
    if (!is_saved(key) && !is_trained_bias(key))
      return add_mismatch(key, "is in no module of modules_to_save");
    if (value.sizes() != weight.value.sizes()) {
      return add_mismatch(key, cat("adapter ", shape_text(value), ", base ", shape_text(weight.value)));
    }
    refuse_tied(program_, weight);
    adapter_.saved_weights[weight.path] = on_device(value, weight.value.scalar_type());
  }

  void check_saved_complete() {
    for (const auto& [path, weight] : parameters_) {
      if (weight->is_parameter && is_saved(path) && !tensors_.whole.count(path)) {
        add_mismatch(path, "in a module of modules_to_save, has no tensor in the adapter");
      }
    }
    for (const Weight* bias : trained_biases()) {
      const std::string path = plain_path(program_, bias->path);
      if (tensors_.whole.count(path)) continue;
      add_mismatch(path, cat("has no tensor in the adapter, whose bias is ", folder_.config.bias));
    }
  }

  /// The biases that the adapter has by its config.
  std::vector<const Weight*> trained_biases() const {
    std::set<std::string> modules;
    for (const auto& [module, factors] : tensors_.modules) modules.insert(module);
    return biases_of(program_, folder_.config.bias, modules);
  }

  bool is_trained_bias(const std::string& parameter) const {
    const auto biases = trained_biases();
    return std::any_of(biases.begin(), biases.end(),
                       [&](const Weight* bias) { return plain_path(program_, bias->path) == parameter; });
  }

  void fit_token_rows(const std::string& module, const at::Tensor& values) {
    const Site* site = site_of(module);
    if (!site) return report_unknown(module, site_paths());
    const std::vector<std::int64_t>& ids = *folder_.config.token_ids(module);
    const at::Tensor order = at::tensor(ids, at::kLong).argsort();  // rising, as in TokenRows
    const at::Tensor sorted = on_device(values.index_select(0, order), at::kFloat);
    for (const TokenRows& known : adapter_.token_rows) {
      if (known.module != site->path) continue;  // else the rows of a module that is tied to it
      if (!at::equal(known.values, sorted))
        add_mismatch(module, "its token rows differ from those it is tied to");
      return;
    }
    add_token_rows(program_, adapter_, site->path, ids);
    at::Tensor& rows = adapter_.token_rows.back().values;
    if (rows.sizes() != values.sizes()) {
      return add_mismatch(module,
                          cat("adapter's token rows ", shape_text(values), ", base ", shape_text(rows)));
    }
    rows = sorted;
  }

  /// The site, embedding first, of the weight of the module, which may be one tied to it; null if there is
  /// none.
  const Site* site_of(const std::string& module) const {
    const auto parameter = parameters_.find(module + ".weight");
    const Site* found = nullptr;
    for (const Site& site : program_.sites()) {
      const bool same = parameter != parameters_.end() ? &program_.weight(site.weight) == parameter->second
                                                       : site.path == module;
      if (same && (!found || site.kind == SiteKind::embedding)) found = &site;
    }
    return found;
  }

  /// PEFT stores the frozen embedding beside its adapter: it must be the base's.
  void check_copy(const std::string& module, const at::Tensor& value) {
    const std::string path = module + ".weight";
    const auto found = parameters_.find(path);
    if (found == parameters_.end()) return report_unknown(path, site_paths());
    const at::Tensor& base = found->second->value;
    if (value.sizes() != base.sizes() || !at::equal(on_device(value, base.scalar_type()), base)) {
      add_mismatch(path, "the adapter's copy of this frozen weight differs from the base's");
    }
  }

  /// The outputs of a head are classes by their order.
  void check_labels() {
    if (has_other_labels())
      add_mismatch("classes", printable(cat("adapter ", join(folder_.provenance.labels, ", "), "; base ",
                                            join(class_names(program_.info()), ", "))));
  }

  bool has_other_labels() const {
    const auto theirs = folder_.provenance.labels, ours = class_names(program_.info());
    return !theirs.empty() && !ours.empty() && theirs != ours;
  }

  std::string hint() const {
    const std::string &theirs = folder_.provenance.base_fingerprint, &ours = program_.fingerprint();
    if (!theirs.empty() && theirs != ours)
      return cat("trained on base ", printable(folder_.provenance.base_name), " sha256 ",
                 printable(theirs.substr(0, 12)), ", this one is ", ours.substr(0, 12));
    if (has_other_labels())
      return cat("export the base with --labels ", printable(join(folder_.provenance.labels, ",")),
                 ", in the order in which the adapter was trained");
    return "give the base model that the adapter was trained on";
  }

  void report() {
    const std::string &theirs = folder_.provenance.base_fingerprint, &ours = program_.fingerprint();
    if (theirs.empty() && mismatches_.empty()) {
      log_info("adapter", folder_.path.string(), " does not say which base it was trained on; its ",
               folder_.tensors.size(), " tensors fit ", program_.path().string());
    }
    const bool foreign = !theirs.empty() && theirs != ours;
    if (!foreign && mismatches_.empty()) return;
    std::string message =
        cat("adapter \"", folder_.path.string(), "\" does not fit base \"", program_.path().string(), "\": ");
    message += mismatches_.empty()
                   ? "it was trained on another base whose tensors have the same names and shapes"
                   : cat(mismatches_.size(), " mismatches, ", folder_.tensors.size(), " tensors");
    if (mismatches_.size() > kShownMismatches) {
      const std::string more = cat("  and ", mismatches_.size() - kShownMismatches, " more");
      mismatches_.resize(kShownMismatches);
      mismatches_.push_back(more);
    }
    for (const std::string& line : mismatches_) message += "\n" + line;
    throw Error(ExitCode::mismatch, message, hint());
  }

  const AdapterFolder& folder_;
  const Program& program_;
  PeftTensors tensors_;
  std::map<std::string, const Weight*> parameters_;  ///< by plain path
  std::vector<std::string> mismatches_;
  Adapter adapter_;
};

}  // namespace

Adapter fit_adapter(const AdapterFolder& folder, const Program& program) {
  return Fitter(folder, program).run();
}

}  // namespace lora

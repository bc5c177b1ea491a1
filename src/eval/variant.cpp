#include "eval/variant.h"

#include <ATen/ATen.h>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/eval/evaluate.h"

namespace lora {
namespace {

/// Hooks read it at every pass: evaluation never drops out.
constexpr bool kTraining = false;

/// Outputs that mean the same, and room for the same rows. mismatch error that names both sides.
void check_comparable(const std::filesystem::path& file, const ModelInfo& info, const LoadedModel& base) {
  const ModelInfo& expected = base.program.info();
  const auto differ = [&](const std::string& its, const std::string& other, const std::string& hint) {
    throw Error(ExitCode::mismatch,
                cat("model ", file.string(), " ", its, ", ", base.program.path().string(), " ", other), hint);
  };
  const auto classes = class_names(info), expected_classes = class_names(expected);
  const auto listed = [](const std::vector<std::string>& names) {
    return cat("the classes ", printable(join(names, ", ")));
  };
  if (info.task != expected.task)
    differ(cat("is ", described(info.task)), described(expected.task), "variants are compared in one task");
  if (info.vocab_size != expected.vocab_size)
    differ(cat("has a vocabulary of ", info.vocab_size), cat("one of ", expected.vocab_size),
           "variants are compared on the tokens of one tokenizer");
  if (!classes.empty() && !expected_classes.empty() && classes != expected_classes)
    differ(cat("has ", listed(classes)), listed(expected_classes),
           "variants are compared on the same classes in the same order");
  const std::int64_t room = info.context_length, needed = expected.context_length;
  if (room > 0 && needed > 0 && room < needed)
    differ(cat("has a context of ", room, " tokens"), cat("one of ", needed),
           "make the model of the shortest context the --model of the comparison");
}

/// A model file that is comparable with the base.
Program load_comparable(const std::filesystem::path& file, const LoadedModel& base) {
  Program program = Program::load(file, base.cache);
  const ModelInfo& info = program.info();
  check_comparable(file, info, base);
  if (!info.tokenizer_files.empty())
    base.check_tokenizer(cat("model ", file.string()), tokenizer_hash(info.tokenizer_files));
  return program;
}

std::optional<RunReport> report_of(const VariantSpec& spec) {
  if (spec.kind != VariantSpec::Kind::run) return std::nullopt;
  return read_run_report(spec.path);
}

/// The model file that a variant brings; empty for one on the base.
std::filesystem::path model_file(const VariantSpec& spec, const std::optional<RunReport>& training) {
  if (spec.kind == VariantSpec::Kind::model) return spec.path;
  return training && training->method == "full" ? spec.path / "model.pt" : std::filesystem::path();
}

}  // namespace

Variant::Variant(VariantSpec spec, LoadedModel& base)
    : spec_(std::move(spec)),
      program_(&base.program),
      adapter_(std::make_unique<Adapter>()),
      training_(report_of(spec_)) {
  const std::filesystem::path model = model_file(spec_, training_);
  if (!model.empty())
    use_model(model, base);
  else if (spec_.kind == VariantSpec::Kind::base)
    file_bytes_ = std::filesystem::file_size(base.program.path());
  else
    use_adapter(training_ ? spec_.path / "adapter" : spec_.path, base);
  executable_.emplace(program_->executable(make_hooks(*adapter_, kTraining)));
}

void Variant::use_adapter(const std::filesystem::path& folder, const LoadedModel& base) {
  const AdapterFolder files = read_adapter_folder(folder);
  base.check_tokenizer(cat("adapter ", folder.string()), files.provenance.tokenizer_hash);
  *adapter_ = fit_adapter(files, base.program);
  file_bytes_ = std::filesystem::file_size(folder / "adapter_model.safetensors");
}

void Variant::use_model(const std::filesystem::path& file, const LoadedModel& base) {
  own_ = std::make_unique<Program>(load_comparable(file, base));
  program_ = own_.get();
  std::vector<std::string> rewrites;
  for (const RewriteCount& each : base.program.rewrites()) rewrites.push_back(each.name);
  own_->use_rewrites(rewrites);
  own_->use_precision(base.program.precision());
  if (base.program.device() != own_->device()) own_->to(base.program.device());
  file_bytes_ = std::filesystem::file_size(file);
}

const std::optional<CachedExecutable>& Variant::cached() const {
  if (!cached_) cached_.emplace(program_->cached_executable(make_hooks(*adapter_, kTraining)));
  return *cached_;
}

std::optional<std::int64_t> Variant::trainable_parameters() const {
  if (training_) return training_->trainable_parameters;
  if (spec_.kind == VariantSpec::Kind::model) return std::nullopt;
  return adapter_->parameter_count();
}

void check_variant(const VariantSpec& spec, LoadedModel& base) {
  try {
    const std::filesystem::path model = model_file(spec, report_of(spec));
    if (!model.empty())
      load_comparable(model, base);
    else
      Variant(spec, base);
  } catch (const Error& error) {
    throw Error(error.code(), cat("variant \"", printable(spec.name), "\": ", error.what()), error.hint());
  }
}

std::int64_t parameter_count(const Program& program) {
  std::int64_t count = 0;
  for (const Weight& weight : program.weights()) {
    if (weight.is_parameter) count += weight.value.numel();
  }
  return count;
}

}  // namespace lora

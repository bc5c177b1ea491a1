#include "eval/variant.h"

#include <ATen/ATen.h>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"

namespace lora {
namespace {

/// Hooks read it at every pass: evaluation never drops out.
constexpr bool kTraining = false;

}  // namespace

Variant::Variant(VariantSpec spec, LoadedModel& base)
    : spec_(std::move(spec)), program_(&base.program), adapter_(std::make_unique<Adapter>()) {
  if (spec_.kind == VariantSpec::Kind::run) training_ = read_run_report(spec_.path);
  const bool full = training_ && training_->method == "full";
  switch (spec_.kind) {
    case VariantSpec::Kind::base:
      file_bytes_ = std::filesystem::file_size(base.program.path());
      break;
    case VariantSpec::Kind::adapter:
      use_adapter(spec_.path, base);
      break;
    case VariantSpec::Kind::model:
      use_model(spec_.path, base);
      break;
    case VariantSpec::Kind::run:
      full ? use_model(spec_.path / "model.pt", base) : use_adapter(spec_.path / "adapter", base);
  }
  executable_.emplace(program_->executable(make_hooks(*adapter_, kTraining)));
}

void Variant::use_adapter(const std::filesystem::path& folder, const LoadedModel& base) {
  const AdapterFolder files = read_adapter_folder(folder);
  base.check_tokenizer(cat("adapter ", folder.string()), files.provenance.tokenizer_hash);
  *adapter_ = fit_adapter(files, base.program);
  file_bytes_ = std::filesystem::file_size(folder / "adapter_model.safetensors");
}

void Variant::use_model(const std::filesystem::path& file, const LoadedModel& base) {
  own_ = std::make_unique<Program>(Program::load(file));
  program_ = own_.get();
  std::vector<std::string> rewrites;
  for (const RewriteCount& each : base.program.rewrites()) rewrites.push_back(each.name);
  own_->use_rewrites(rewrites);
  own_->use_precision(base.program.precision());
  const ModelInfo &info = own_->info(), &expected = base.program.info();
  if (info.vocab_size != expected.vocab_size || info.task != expected.task) {
    throw Error(ExitCode::mismatch,
                cat("model ", file.string(), " has a vocabulary of ", info.vocab_size, " and ",
                    base.program.path().string(), " one of ", expected.vocab_size,
                    ", or their tasks differ; a comparison needs one tokenizer and one task"));
  }
  if (!info.tokenizer_files.empty())
    base.check_tokenizer(cat("model ", file.string()), tokenizer_hash(info.tokenizer_files));
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

std::int64_t parameter_count(const Program& program) {
  std::int64_t count = 0;
  for (const Weight& weight : program.weights()) {
    if (weight.is_parameter) count += weight.value.numel();
  }
  return count;
}

}  // namespace lora

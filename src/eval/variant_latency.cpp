#include "eval/variant_latency.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "eval/decode_latency.h"
#include "eval/device_batch.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Rows of the timed batch: enough for matrix products, few enough for any machine.
constexpr std::size_t kLatencyRows = 8;

Batch first_rows(const EncodedSet& set, const LoadedModel& base) {
  std::vector<const EncodedRow*> rows;
  for (const EncodedRow& row : set.rows) {
    if (rows.size() < kLatencyRows) rows.push_back(&row);
  }
  return to_device(make_batch(rows, base.pad_id(), base.program.info().task), base.program.device());
}

/// Without those that a model which does not tell its context length cannot run.
std::vector<BatchShape> forward_shapes(const CompareConfig& config, const LoadedModel& base) {
  std::vector<BatchShape> shapes = parse_shapes("--latency-shapes", config.latency_shapes, base);
  if (base.program.info().context_length > 0 || config.latency_repeats == 0) return shapes;
  const at::NoGradGuard no_grad;
  const Executable executable = base.program.executable();
  std::erase_if(shapes, [&](const BatchShape& shape) {
    try {
      executable.logits(inputs_of_shape(shape, base));
      return false;
    } catch (const Error& error) {
      log_warn("eval", "--latency-shapes: ", shape.text(), " is left out: ", error.what());
      return true;
    }
  });
  return shapes;
}

/// None for a text head, which writes nothing.
std::vector<BatchShape> decode_shapes(const CompareConfig& config, const LoadedModel& base) {
  if (has_text_head(base.program.info().task)) return {};
  return parse_shapes("--decode-shapes", config.decode_shapes, base, kFurtherTokens);
}

}  // namespace

VariantLatency::VariantLatency(const CompareConfig& config, const EncodedSet& rows, const LoadedModel& base)
    : base_(base),
      repeats_(config.latency_repeats),
      batch_(first_rows(rows, base)),
      forward_shapes_(forward_shapes(config, base)),
      decode_shapes_(decode_shapes(config, base)) {}

void VariantLatency::describe(Comparison& comparison) const {
  comparison.latency_rows = batch_.rows;
  comparison.latency_tokens = batch_.time;
  for (const BatchShape& shape : forward_shapes_) comparison.latency_shapes.push_back(shape.text());
  for (const BatchShape& shape : decode_shapes_) comparison.decode_shapes.push_back(shape.text());
}

void VariantLatency::time_batch(const TimedVariants& group) const {
  if (repeats_ == 0) return;
  const auto latencies = forward_passes(group, batch_.inputs);
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].second->latency = latencies[i];
    group[i].second->interleaved = group.size() > 1;
  }
}

void VariantLatency::time_shapes(const TimedVariants& group) const {
  if (repeats_ == 0) return;
  for (const BatchShape& shape : forward_shapes_) {
    const auto each = forward_passes(group, inputs_of_shape(shape, base_));
    for (std::size_t i = 0; i < group.size(); ++i) group[i].second->latencies.push_back(each[i]);
  }
  time_decoding(group);
}

std::vector<Latency> VariantLatency::forward_passes(const TimedVariants& group,
                                                    const ModelInputs& inputs) const {
  const at::NoGradGuard no_grad;
  std::vector<std::function<void()>> calls;
  for (const auto& [variant, result] : group) {
    calls.push_back([&inputs, variant = variant] {
      variant->run([&](const Executable& executable) {
        // Reading a value waits for the device.
        return executable.logits(inputs).flatten()[0].item<float>();
      });
    });
  }
  return interleaved_latencies(calls, repeats_, monotonic_seconds);
}

void VariantLatency::time_decoding(const TimedVariants& group) const {
  TimedVariants cached;
  for (const auto& each : group) {
    if (each.first->has_cache()) cached.push_back(each);
  }
  std::vector<WithFeed> models;
  for (const auto& each : cached) {
    models.emplace_back([this, variant = each.first](const std::function<void(RowFeed&)>& work) {
      variant->write(base_.pad_id(), work);
    });
  }
  for (const BatchShape& shape : decode_shapes_) {
    const auto each = decode_latencies(models, rows_of_shape(shape, base_), repeats_);
    for (std::size_t i = 0; i < each.size(); ++i) cached[i].second->decode_latencies.push_back(each[i]);
  }
}

}  // namespace lora

#include "train/memory_estimate.h"

#include <ATen/ATen.h>
#include <malloc.h>

#include <algorithm>

#include "base/arena.h"
#include "lora/base/process.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::pair<const char*, std::uint64_t MemoryEstimate::*> kParts[] = {
    {"base", &MemoryEstimate::base},
    {"trained", &MemoryEstimate::trained},
    {"other", &MemoryEstimate::other},
    {"update", &MemoryEstimate::update},
    {"validation", &MemoryEstimate::validation},
    {"checkpoint", &MemoryEstimate::checkpoint},
    {"available", &MemoryEstimate::available}};

std::uint64_t weight_bytes(const Program& program) {
  std::uint64_t bytes = 0;
  for (const Weight& weight : program.weights()) bytes += weight.value.nbytes();
  return bytes;
}

/// What is resident without what earlier work has freed: the heap gives that back, the arena keeps it.
std::uint64_t held_bytes() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
  const std::uint64_t resident = resident_bytes(), idle = process_arena().idle_bytes();
  return resident > idle ? resident - idle : 0;
}

}  // namespace

std::uint64_t MemoryEstimate::peak() const {
  return base + trained + other + std::max({update, validation, checkpoint});
}

MemoryEstimate estimate_memory(const Session& session, Trainee& trainee, const Probe& update, int lanes) {
  const std::uint64_t values = trainee.optimizer().flat_values().nbytes(), held = held_bytes();
  MemoryEstimate memory;
  memory.trained = (3 + static_cast<std::uint64_t>(lanes)) * values;  // each lane has its gradients
  memory.base = trainee.is_full() ? 0 : weight_bytes(session.model.program);
  const std::uint64_t known = memory.base + 2 * values;  // the moments come with the first update
  memory.other = held > known ? held - known : 0;
  memory.update = static_cast<std::uint64_t>(lanes) * update.peak_bytes;
  if (!session.valid.rows.empty()) memory.validation = validation_bytes(session, trainee);
  return memory;
}

void add_circumstances(MemoryEstimate& memory, Trainee& trainee, bool saves) {
  memory.checkpoint = saves ? 3 * trainee.optimizer().flat_values().nbytes() : 0;
  const std::uint64_t available = available_bytes();
  memory.available = available ? resident_bytes() + available : 0;
}

std::string memory_text(const MemoryEstimate& memory) {
  std::string text =
      cat("about ", human_bytes(memory.peak()), " at peak: base ", human_bytes(memory.base), ", trained ",
          human_bytes(memory.trained), ", an update ", human_bytes(memory.update));
  if (memory.validation > memory.update) text += cat(", a validation ", human_bytes(memory.validation));
  if (memory.checkpoint > memory.update) text += cat(", a checkpoint ", human_bytes(memory.checkpoint));
  text += cat(", other ", human_bytes(memory.other));
  if (memory.available) text += cat(" (", human_bytes(memory.available), " available)");
  return text;
}

Json memory_json(const MemoryEstimate& memory) {
  Json json = {{"peak", memory.peak()}};
  for (const auto& [name, part] : kParts) json[name] = memory.*part;
  return json;
}

MemoryEstimate memory_of(const Json& json) {
  MemoryEstimate memory;
  for (const auto& [name, part] : kParts) json.at(name).get_to(memory.*part);
  return memory;
}

}  // namespace lora

#include "train/loop_state.h"

#include <concepts>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char *kStepSeconds = "step_seconds", *kBest = "best";

/// visit(name, member, least value) for each plain member of a state.
template <class State, class Visitor>
void visit_members(State& state, const Visitor& visit) {
  visit("tokens", state.tokens, 0);
  visit("skipped", state.skipped, 0);
  visit("seconds", state.seconds, 0);
  visit("final_train_loss", state.final_train_loss, std::nullopt);
  visit("saved_step", state.saved_step, 0);
  visit("checkpoint_bytes", state.checkpoint_bytes, 0);
  visit("activation_bytes", state.activation_bytes, 0);
  visit("interval_loss", state.interval_loss, std::nullopt);
  visit("interval_labelled", state.interval_labelled, 0);
  visit("bad_in_a_row", state.bad_in_a_row, 0);
  visit("rolled_back_to", state.rolled_back_to, 0);
  visit("parts", state.parts, 1);
  visit("worse_in_a_row", state.worse_in_a_row, 0);
  visit("validation_due", state.validation_due, std::nullopt);
  visit("metrics_bytes", state.metrics_bytes, 0);
}

class Reader {
 public:
  explicit Reader(std::int64_t step)
      : origin_{cat("progress of the checkpoint of update ", step), ExitCode::file} {}

  const JsonOrigin& origin() const { return origin_; }

  template <class Value>
  void read(const Json& from, const char* name, Value& value, std::optional<int> least) const {
    const Json& found = json_at(from, name, origin_);
    if constexpr (std::same_as<Value, bool>) {
      value = json_bool(found, name, origin_);
    } else {
      if constexpr (std::integral<Value>)
        value = static_cast<Value>(at_least(json_int(found, name, origin_), name, least));
      else
        value = at_least(json_number(found, name, origin_), name, least);
    }
  }

 private:
  template <class Number>
  Number at_least(Number value, const char* name, std::optional<int> least) const {
    if (!least || value >= static_cast<Number>(*least)) return value;
    throw Error(origin_.code, cat(origin_.place, ": \"", name, "\" is ", value, ", less than ", *least));
  }

  JsonOrigin origin_;
};

Validation read_best(const Reader& reader, const Json& json) {
  Validation best;
  reader.read(json, "step", best.step, 0);
  reader.read(json, "loss", best.loss, std::nullopt);
  if (!json_at(json, "accuracy", reader.origin()).is_null())
    reader.read(json, "accuracy", best.accuracy.emplace(), 0);
  return best;
}

}  // namespace

std::string progress_json(const LoopState& state) {
  Json json;
  visit_members(state, [&](const char* name, const auto& value, auto) { json[name] = value; });
  json[kStepSeconds] = state.step_times.newest();
  if (state.best)
    json[kBest] = {{"step", state.best->step},
                   {"loss", state.best->loss},
                   {"accuracy", state.best->accuracy ? Json(*state.best->accuracy) : Json()}};
  return json.dump();
}

LoopState read_loop_state(const TrainingState& saved) {
  const Reader reader(saved.step);
  const Json json = parse_json(saved.progress, reader.origin());
  LoopState state;
  state.updates = saved.step;
  visit_members(state, [&](const char* name, auto& value, std::optional<int> least) {
    reader.read(json, name, value, least);
  });
  for (const Json& seconds : json_at(json, kStepSeconds, reader.origin()))
    state.step_times.add(json_number(seconds, kStepSeconds, reader.origin()));
  if (json.contains(kBest)) state.best = read_best(reader, json[kBest]);
  return state;
}

}  // namespace lora

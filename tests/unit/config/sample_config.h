#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "lora/base/error.h"
#include "lora/config/option.h"

namespace lora {

/// One option of every kind.
struct SampleConfig {
  std::string input, method = "lora";
  std::vector<std::string> targets = {"qv"}, words;
  std::int64_t rank = 16, seed = 42;
  double alpha = 32, dropout = 0.25;
  std::optional<std::int64_t> steps;
  std::optional<double> learning_rate;
  std::optional<std::string> note;
  std::optional<bool> cache;
  bool bucket = true, list_only = false;

  template <class V>
  void visit(V& v) {
    v.section("Files");
    v("input", input, "rows", Placeholder{"FILE"}, Positional{}, Required{{"list_only"}});
    v("list_only", list_only, "list and stop");
    v.section("Adapter");
    v("method", method, "what is trained", OneOf{{"lora", "full"}});
    v("targets", targets, "sites", Placeholder{"NAME"}, CommaSeparated{});
    v("words", words, "label words");
    v("rank", rank, "inner dimension", at_least(1));
    v("seed", seed, "of everything random", at_least(0));
    v("alpha", alpha, "scale", above(0));
    v("dropout", dropout, "before A", between(0, 0.999));
    v("steps", steps, "updates", at_least(1));
    v("learning_rate", learning_rate, "peak rate", above(0));
    v("note", note, "free text");
    v("cache", cache, "keep");
    v("bucket", bucket, "similar lengths together");
  }
};

/// The error that `function` throws, as "code: message"; "" if it throws none.
inline std::string failure_of(const std::function<void()>& function) {
  try {
    function();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + ": " + error.what();
  }
  return "";
}

}  // namespace lora

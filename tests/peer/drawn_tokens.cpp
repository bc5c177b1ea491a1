// drawn_tokens: one JSON value a line in, one a line out, for comparison with transformers.
//
//   {"scores": [s, ...], "row": [id, ...], "options": {"temperature": t, ...}}, null for minus infinity
//   -> {"scores": [after the penalties], "ids": [what can be drawn], "shares": [their probabilities]}
#include <ATen/ATen.h>

#include <cmath>
#include <iostream>
#include <limits>

#include "base/json.h"
#include "eval/sampler.h"

namespace {

using lora::Json;

at::Tensor scores_of(const Json& json) {
  std::vector<float> scores;
  for (const Json& score : json)
    scores.push_back(score.is_null() ? -std::numeric_limits<float>::infinity() : score.get<float>());
  return at::tensor(scores, at::kFloat);
}

Json json_of(const at::Tensor& scores) {
  Json json = Json::array();
  for (std::int64_t i = 0; i < scores.numel(); ++i) {
    const auto score = scores.const_data_ptr<float>()[i];
    json.push_back(std::isinf(score) ? Json() : Json(score));
  }
  return json;
}

lora::SamplingOptions options_of(const Json& json) {
  lora::SamplingOptions options;
  options.temperature = json.value("temperature", 1.0);
  options.top_k = json.value("top_k", options.top_k);
  options.top_p = json.value("top_p", options.top_p);
  options.min_p = json.value("min_p", options.min_p);
  options.repetition_penalty = json.value("repetition_penalty", options.repetition_penalty);
  options.no_repeat_ngram = json.value("no_repeat_ngram", options.no_repeat_ngram);
  return options;
}

Json answer(const Json& question) {
  const at::Tensor scores = scores_of(question["scores"]);
  const lora::SamplingOptions options = options_of(question["options"]);
  lora::penalise_repetition(scores, question["row"].get<lora::TokenIds>(), options);
  const lora::DrawnTokens drawn = lora::drawn_tokens(scores, options);
  std::vector<double> shares;
  for (const double weight : drawn.weights) shares.push_back(weight / drawn.total);
  return {{"scores", json_of(scores)}, {"ids", drawn.ids}, {"shares", shares}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << answer(lora::parse_json(line, {"stdin"})).dump() << "\n";
    } catch (const std::exception& error) {
      std::cerr << error.what() << "\n";
      return 1;
    }
  }
}

#include "eval/loss_curve.h"

#include <algorithm>

#include "base/json.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {

constexpr std::size_t kCurvePoints = 200;

std::vector<std::pair<double, double>> loss_curve(const VariantSpec& spec) {
  const std::filesystem::path path = spec.path / "metrics.jsonl";
  std::error_code ignored;
  if (spec.kind != VariantSpec::Kind::run || !std::filesystem::exists(path, ignored)) return {};
  std::vector<std::pair<double, double>> all;
  for (const std::string& line : split(read_file(path), '\n')) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("loss") || !json["loss"].is_number() || !json.contains("tokens"))
      continue;
    all.emplace_back(json["tokens"].get<double>(), json["loss"].get<double>());
  }
  const std::size_t width = all.size() / kCurvePoints + 1;
  std::vector<std::pair<double, double>> curve;
  for (std::size_t begin = 0; begin < all.size(); begin += width) {
    const std::size_t end = std::min(all.size(), begin + width);
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += all[i].second;
    curve.emplace_back(all[end - 1].first, sum / static_cast<double>(end - begin));
  }
  return curve;
}

}  // namespace lora

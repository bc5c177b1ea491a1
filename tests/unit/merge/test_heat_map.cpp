#include <cmath>

#include "merge/heat_map.h"
#include "support/catch.h"

using namespace lora;

TEST_CASE("heat map: a row per path without its layer, a shade per layer, the largest value is full") {
  const std::string text = heat_map(
      "norm", {{"model.layers.0.q", 8}, {"model.layers.2.q", 4}, {"model.layers.1.v.5", 1}, {"lm_head", 0}});
  CHECK(text.find("norm, layers 0 to 2\n") == 0);
  CHECK(text.find("model.layers.*.q    █·▄\n") != std::string::npos);
  CHECK(text.find("model.layers.*.v.5  ·▁·\n") != std::string::npos);
  CHECK(text.find("lm_head              \n") != std::string::npos);
  CHECK(text.find("█ 8;") != std::string::npos);
}

TEST_CASE("heat map: values that are not finite are marked and do not scale the others") {
  const std::string text = heat_map("norm", {{"h.0.q", std::nan("")}, {"h.1.q", 2}});
  CHECK(text.find("h.*.q  ?█\n") != std::string::npos);
  CHECK(heat_map("norm", {}).empty());
}

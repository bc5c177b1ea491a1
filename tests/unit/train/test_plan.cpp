#include "train/plan.h"

#include "support/catch.h"

using namespace lora;

TEST_CASE("plan: numbers are shown as ranges") {
  CHECK(number_ranges({}).empty());
  CHECK(number_ranges({3}) == "3");
  CHECK(number_ranges({0, 1, 2, 5, 7, 8}) == "0-2,5,7-8");
}

TEST_CASE("plan: targets that differ in the layer only are one group, in order of appearance") {
  std::vector<Site> sites(5);
  const char* paths[] = {"m.0.q", "m.0.v", "m.1.q", "m.1.v", "score"};
  const int layers[] = {0, 0, 1, 1, -1};
  std::vector<Target> targets;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    sites[i].path = paths[i];
    sites[i].layer = layers[i];
    targets.push_back({&sites[i], nullptr});
  }
  const auto groups = group_targets(targets);
  REQUIRE(groups.size() == 3);
  CHECK((groups[0].name == "m.*.q" && groups[0].count == 2 && groups[0].layers == "0-1"));
  CHECK((groups[1].name == "m.*.v" && groups[1].count == 2));
  CHECK((groups[2].name == "score" && groups[2].count == 1 && groups[2].layers.empty()));
}

#include "lora/base/error.h"
#include "lora/model/site.h"
#include "support/catch.h"

using namespace lora;

namespace {

Site site(const std::string& path, SiteRole role, int layer, SiteKind kind = SiteKind::linear) {
  Site made;
  made.path = path;
  made.weight = path + ".weight";
  made.role = role;
  made.layer = layer;
  made.kind = kind;
  return made;
}

/// Two layers with separate q, v, o and one with a fused projection, an embedding and a head.
std::vector<Site> sites() {
  std::vector<Site> all{site("model.embed", SiteRole::embedding, -1, SiteKind::embedding)};
  for (int layer : {0, 1}) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    all.push_back(site(prefix + "attn.q_proj", SiteRole::query, layer));
    all.push_back(site(prefix + "attn.v_proj", SiteRole::value, layer));
    all.push_back(site(prefix + "attn.o_proj", SiteRole::attention_output, layer));
    all.push_back(site(prefix + "mlp.up_proj", SiteRole::mlp, layer));
  }
  Site fused = site("model.layers.2.attn.c_attn", SiteRole::fused_attention, 2, SiteKind::conv1d);
  fused.slices = {{SiteRole::query, {0, 1}}, {SiteRole::key, {2, 3}}, {SiteRole::value, {4, 5}}};
  all.push_back(fused);
  all.push_back(site("lm_head", SiteRole::head, -1));
  return all;
}

std::vector<std::string> names(const std::vector<std::string>& patterns, const std::vector<std::string>& exclude = {},
                               const std::string& layers = "") {
  static const std::vector<Site> all = sites();
  std::vector<std::string> result;
  for (const Target& target : resolve_targets(all, {patterns, exclude, layers})) result.push_back(target.name());
  return result;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("targets: all-linear takes every matrix but the head") {
  CHECK(names({"all-linear"}).size() == 9);
  for (const std::string& name : names({"all-linear"})) CHECK(name != "lm_head");
}

TEST_CASE("targets: qv takes queries and values, as sites and as slices of a fused projection") {
  CHECK(names({"qv"}) == Names{"model.layers.0.attn.q_proj", "model.layers.0.attn.v_proj", "model.layers.1.attn.q_proj",
                               "model.layers.1.attn.v_proj", "model.layers.2.attn.c_attn:query",
                               "model.layers.2.attn.c_attn:value"});
}

TEST_CASE("targets: a suffix matches whole path segments only") {
  CHECK(names({"q_proj"}).size() == 2);
  CHECK(names({"attn.q_proj"}).size() == 2);
  CHECK_THROWS_AS(names({"_proj"}), Error);
  CHECK(names({"lm_head"}) == Names{"lm_head"});
}

TEST_CASE("targets: words, slices and regular expressions") {
  CHECK(names({"mlp"}).size() == 2);
  CHECK(names({"attention"}).size() == 7);
  CHECK(names({"c_attn:key"}) == Names{"model.layers.2.attn.c_attn:key"});
  CHECK(names({"/.*layers\\.[01]\\.attn\\..*/"}).size() == 6);
  CHECK_THROWS_AS(names({"/(/"}), Error);
}

TEST_CASE("targets: layers and exclusions narrow the choice") {
  CHECK(names({"all-linear"}, {}, "last:1") == Names{"model.layers.2.attn.c_attn"});
  CHECK(names({"all-linear"}, {}, "first:1").size() == 4);
  CHECK(names({"all-linear"}, {}, "0,2").size() == 5);
  CHECK(names({"all-linear"}, {}, "0-1").size() == 8);
  CHECK(names({"all-linear"}, {"o_proj", "mlp"}).size() == 5);
  CHECK(names({"qv"}, {"c_attn"}).size() == 4);
  for (const char* bad : {"5", "1-0", "x", "last:", "first:0", "-1"}) CHECK_THROWS_AS(names({"qv"}, {}, bad), Error);
}

TEST_CASE("targets: one of several patterns unmatched is an error that lists the nearest names") {
  try {
    names({"q_proj", "v_porj"});
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::usage);
    CHECK(std::string(error.what()).find("v_porj") != std::string::npos);
    CHECK(error.hint().find("v_proj") != std::string::npos);
  }
}

TEST_CASE("targets: a choice that leaves nothing is an error") {
  CHECK_THROWS_AS(names({"q_proj"}, {"q_proj"}), Error);
  CHECK_THROWS_AS(names({"c_attn"}, {}, "0"), Error);
}

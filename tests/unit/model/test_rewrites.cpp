#include <ATen/ATen.h>

#include "lora/model/program.h"
#include "support/catch.h"
#include "support/script_models.h"

using namespace lora;
using lora::test::ScriptModels;

namespace {

/// Two heads of four features over an embedding that is every projection, too: `attend` makes `a` of q, k, v
/// [batch, 2, time, 4] and attention_mask; `inner` may change h, which then goes into the head.
std::string forward(const std::string& attend, const std::string& inner = "") {
  return R"(
    def forward(self, input_ids, attention_mask):
        h = torch.embedding(self.w, input_ids)
        q = torch.linear(h, self.w).unflatten(-1, [2, 4]).transpose(1, 2)
        k = torch.linear(h, self.w * 0.5).unflatten(-1, [2, 4]).transpose(1, 2)
        v = torch.linear(h, self.w).unflatten(-1, [2, 4]).transpose(1, 2)
)" + attend +
         R"(
        h = h + torch.linear(a.transpose(1, 2).flatten(2), self.w)
)" + inner +
         R"(
        return torch.linear(h, self.w)
)";
}

ModelInputs padded_inputs() {
  ModelInputs inputs;
  inputs.input_ids = at::arange(3 * 9, at::kLong).remainder(8).view({3, 9});
  inputs.attention_mask = at::ones({3, 9}, at::kLong);
  inputs.attention_mask.narrow(0, 1, 1).narrow(1, 6, 3).zero_();
  return inputs;
}

struct Outcome {
  std::vector<RewriteCount> counts;
  at::Tensor logits;
  std::vector<at::Tensor> gradients;  ///< of a factor behind each site
};

Outcome outcome_of(const std::filesystem::path& path, const std::string& rewrites) {
  Program program = Program::load(path);
  program.use_rewrites({rewrites});
  std::vector<at::Tensor> factors;
  for (const Site& site : program.sites()) factors.push_back(at::ones({site.out}).set_requires_grad(true));
  std::vector<HookedSite> hooks;
  for (std::size_t i = 0; i < factors.size(); ++i)
    hooks.push_back({&program.sites()[i], [&, i](const SiteValues& at) { return at.output * factors[i]; }});
  Outcome outcome{program.rewrites(), program.executable(hooks).logits(padded_inputs()), {}};
  at::manual_seed(4);
  (outcome.logits * at::randn(outcome.logits.sizes())).sum().backward();
  for (const at::Tensor& factor : factors) outcome.gradients.push_back(factor.grad());
  return outcome;
}

void check_close(const at::Tensor& found, const at::Tensor& expected) {
  // Float32 sums in another order.
  CHECK((found - expected).abs().max().item<double>() <= 1e-5 * expected.abs().max().item<double>());
}

/// The rewritten graph's logits and gradients are the plain one's; the counts of what was rewritten.
std::vector<RewriteCount> checked(const std::filesystem::path& path) {
  const Outcome plain = outcome_of(path, "none"), rewritten = outcome_of(path, "all");
  CHECK(plain.counts.empty());
  check_close(rewritten.logits, plain.logits);
  REQUIRE(plain.gradients.size() > 0);
  for (std::size_t i = 0; i < plain.gradients.size(); ++i)
    check_close(rewritten.gradients[i], plain.gradients[i]);
  return rewritten.counts;
}

/// Without those that have a place in every model here.
std::vector<RewriteCount> fused(std::vector<RewriteCount> counts) {
  std::erase_if(counts,
                [](const RewriteCount& each) { return each.name == "rows" || each.name == "shared"; });
  return counts;
}

/// Groups of linears of one input.
int shared(const std::vector<RewriteCount>& counts) {
  for (const RewriteCount& each : counts)
    if (each.name == "shared") return each.places;
  return 0;
}

void check_counts(const std::vector<RewriteCount>& all, const std::string& name, int places, int plain) {
  const std::vector<RewriteCount> counts = fused(all);
  REQUIRE(counts.size() == 1);
  CHECK(counts[0].name == name);
  CHECK(counts[0].places == places);
  CHECK(counts[0].plain == plain);
}

const char* const kAttentions[] = {
    // shapes of the scores, a finite number for what is hidden
    R"(
        scores = torch.matmul(q, k.transpose(2, 3)) * 0.5
        scores = scores.masked_fill(torch.ones_like(scores).tril() == 0, -1e9)
        scores = scores.masked_fill(attention_mask[:, None, None, :] == 0, -1e9)
        a = torch.matmul(torch.softmax(scores, -1), v))",
    // an encoder's mask, which broadcasts over queries
    R"(
        scores = torch.matmul(q, k.transpose(-1, -2)) / 2.0
        scores = scores + (1.0 - attention_mask[:, None, None, :].float()) * -10000.0
        a = torch.matmul(torch.softmax(scores, -1), v))",
    // no mask, scaled queries, keys transposed together with the heads, dropout that is off
    R"(
        kt = k.transpose(1, 2).permute(0, 2, 3, 1)
        weights = torch.dropout(torch.softmax(torch.matmul(q * 0.5, kt), 3, 6), 0.1, False)
        a = torch.matmul(weights.float(), v))",
    // where, infinity, a scale that is computed
    R"(
        time = input_ids.size(1)
        causal = torch.ones([time, time]).tril() == 1
        scores = torch.matmul(q, k.transpose(2, 3)) / float(q.size(3))
        scores = torch.where(causal, scores, torch.full([], -float('inf')))
        a = torch.matmul(torch.softmax(scores, -1), v))",
    // heads within the batch
    R"(
        scores = torch.bmm(q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2)) * 0.5
        scores = scores + torch.full_like(scores, -3e38).triu(1)
        a = torch.bmm(torch.softmax(scores, -1), v.flatten(0, 1)).unflatten(0, [input_ids.size(0), 2]))",
};

const char* const kBias = R"(
        scores = torch.matmul(q, k.transpose(2, 3)) * 0.5
        slope = torch.arange(1, 3)[:, None, None] * torch.arange(input_ids.size(1))[None, None, :]
        scores = scores + slope * -0.1
        a = torch.matmul(torch.softmax(scores, -1), v))";

/// Is attention, but of no form that is known.
const char* const kLeft[] = {
    // dropout that is on in every run would differ from run to run: it has none to drop, but says it trains
    R"(
        weights = torch.dropout(torch.softmax(torch.matmul(q, k.transpose(2, 3)), -1), 1e-30, True)
        a = torch.matmul(weights, v))",
    // a mask in front of the scale
    R"(
        scores = (torch.matmul(q, k.transpose(2, 3)) + torch.ones([9])[:input_ids.size(1)]) * 0.5
        a = torch.matmul(torch.softmax(scores, -1), v))",
    // scores that are looked at
    R"(
        scores = torch.matmul(q, k.transpose(2, 3))
        a = torch.matmul(torch.softmax(scores, -1), v) + scores.sum())",
    // another dimension
    R"(
        a = torch.matmul(torch.softmax(torch.matmul(q, k.transpose(2, 3)), 2), v))",
};

const char* const kOther[] = {
    // weights that are looked at
    R"(
        weights = torch.softmax(torch.matmul(q, k.transpose(2, 3)), -1)
        a = torch.matmul(weights, v) + weights.sum())",
};

}  // namespace

TEST_CASE("rewrites: attention written out in single operations is fused, with the plain graph's gradients") {
  ScriptModels models;
  for (const char* attend : kAttentions) {
    INFO(attend);
    check_counts(checked(models.with_forward("Attention", forward(attend))), "attention", 1, 0);
  }
}

TEST_CASE("rewrites: attention of one head without a dimension for it is fused") {
  ScriptModels models;
  const auto path = models.transformer();
  const Outcome plain = outcome_of(path, "none"), rewritten = outcome_of(path, "all");
  check_counts(rewritten.counts, "attention", 1, 0);
  check_close(rewritten.logits, plain.logits);
  for (std::size_t i = 0; i < plain.gradients.size(); ++i)
    check_close(rewritten.gradients[i], plain.gradients[i]);
}

TEST_CASE("rewrites: attention with a bias stays plain, and the counts tell") {
  ScriptModels models;
  check_counts(checked(models.with_forward("Bias", forward(kBias))), "attention", 0, 1);
}

TEST_CASE("rewrites: attention of other forms stays plain, and the counts tell") {
  ScriptModels models;
  for (const char* attend : kLeft) {
    INFO(attend);
    check_counts(checked(models.with_forward("Left", forward(attend))), "attention", 0, 1);
  }
}

TEST_CASE("rewrites: a softmax that is looked at elsewhere is no attention") {
  ScriptModels models;
  for (const char* attend : kOther) {
    INFO(attend);
    CHECK(fused(checked(models.with_forward("Other", forward(attend)))).empty());
  }
}

TEST_CASE("rewrites: GELU written out by its tanh form is one operation") {
  ScriptModels models;
  for (const char* cube : {"torch.pow(h, 3.0)", "(h * h * h)"}) {
    const std::string gelu =
        std::string("        h = 0.5 * h * (1.0 + torch.tanh(0.7978845608028654 * (h + 0.044715 * ") + cube +
        ")))\n";
    check_counts(checked(models.with_forward("Gelu", forward("        a = v", gelu))), "gelu", 1, 0);
  }
  const std::string other =
      "        h = 0.5 * h * (1.0 + torch.tanh(0.79 * (h + 0.044715 * torch.pow(h, 3.0))))\n";
  CHECK(fused(checked(models.with_forward("NoGelu", forward("        a = v", other)))).empty());
}

const char* const kAll = "        a = q * k + v";

TEST_CASE("rewrites: linears of one input are one operation") {
  ScriptModels models;
  const auto count = [&](const std::string& name, const std::string& code) {
    return shared(checked(models.with_forward(name, code)));
  };
  CHECK(count("Three", forward(kAll)) == 1);
  CHECK(count("Two", forward(kAll, "        h = torch.linear(h, self.w) * torch.linear(h, self.w)\n")) ==
        2);
  CHECK(count("Apart",
              forward(kAll, "        h = torch.linear(h, self.w) * torch.linear(h * 2, self.w)\n")) == 1);
  // A weight that comes of what another one computed.
  CHECK(count("After", forward(kAll,
                               "        u = torch.linear(h, self.w)\n"
                               "        h = u * torch.linear(h, self.w * u.mean())\n")) == 1);
}

namespace {

struct Adapted {
  at::Tensor logits, A, B;  ///< the factors with their gradients
};

/// A low-rank hook that computes each use of `w`; `projects`: it lets itself be computed together with
/// others.
Adapted adapted(const std::filesystem::path& path, const std::string& rewrites, bool projects) {
  Program program = Program::load(path);
  program.use_rewrites({rewrites});
  REQUIRE(program.sites().size() == 1);
  at::manual_seed(9);
  Adapted result{{}, at::randn({2, 8}).set_requires_grad(true), at::randn({8, 2}).set_requires_grad(true)};
  const auto projection = [&](const SiteValues& values) {
    CHECK_FALSE(values.output.defined());
    return Projection{values.weight, values.bias, result.A, result.B, 0.5};
  };
  const auto hook = [&](const SiteValues& values) {
    return low_rank_linear_reference(values.input, projection(values));
  };
  HookedSite hooked{&program.sites()[0], hook, /*computes_site=*/true};
  if (projects) hooked.projection = projection;
  result.logits = program.executable({hooked}).logits(padded_inputs());
  (result.logits * at::randn(result.logits.sizes())).sum().backward();
  return result;
}

}  // namespace

TEST_CASE("rewrites: hooks that are projections are computed together, others alone") {
  ScriptModels models;
  // h comes from another table than the weight, which has the linear uses only.
  const auto path = models.with_forward("Hooked", R"(
    def forward(self, input_ids, attention_mask):
        h = (torch.arange(8) == input_ids.unsqueeze(-1)).float()
        h = torch.linear(h, self.w) * torch.linear(h, self.w) + torch.linear(h, self.w)
        return torch.linear(h, self.w)
)");
  const Adapted plain = adapted(path, "none", false);
  for (const bool projects : {true, false}) {
    const Adapted joined = adapted(path, "shared", projects);
    check_close(joined.logits, plain.logits);
    check_close(joined.A.grad(), plain.A.grad());
    check_close(joined.B.grad(), plain.B.grad());
  }
}

TEST_CASE("rewrites: a trained weight has its gradient where its linears are shared") {
  ScriptModels models;
  const auto path = models.with_forward("Trained", forward(kAll));
  const auto gradient = [&](const std::string& rewrites) {
    Program program = Program::load(path);
    program.use_rewrites({rewrites});
    const at::Tensor w = program.weight("w").value.clone().set_requires_grad(true);
    program.set_weight("w", w);
    const at::Tensor logits = program.executable().logits(padded_inputs());
    (logits * at::arange(8)).sum().backward();
    return w.grad();
  };
  check_close(gradient("shared"), gradient("none"));
}

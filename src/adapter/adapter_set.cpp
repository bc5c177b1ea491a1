#include "lora/adapter/adapter_set.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "adapter/adapted_output.h"
#include "adapter/weights_in_place.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Rows of a batch that one adapter serves.
struct RowGroup {
  const Adapter* adapter = nullptr;
  at::Tensor rows;  ///< int64, rising

  /// The group's part of a tensor whose first dimension are the rows: a view if they follow each other.
  at::Tensor of(const at::Tensor& all) const {
    const std::int64_t first = rows[0].item<std::int64_t>(), count = rows.size(0);
    if (rows[count - 1].item<std::int64_t>() - first + 1 == count) return all.narrow(0, first, count);
    return all.index_select(0, rows.to(all.device()));
  }
};

/// [rows * k, ...] as [rows, k, ...]: some models flatten batch and time before a projection. internal error
/// if the rows cannot be told apart.
at::Tensor by_row(const at::Tensor& tensor, std::int64_t rows, const Site& site) {
  if (tensor.dim() > 0 && tensor.size(0) == rows) return tensor;
  if (tensor.dim() == 0 || tensor.size(0) % rows != 0) {
    throw Error(ExitCode::mismatch, cat("the rows of a batch cannot be told apart at \"", site.path, "\""),
                "run one adapter at a time");
  }
  std::vector<std::int64_t> sizes = tensor.sizes().vec();
  sizes[0] /= rows;
  sizes.insert(sizes.begin(), rows);
  return tensor.reshape(sizes);
}

at::Tensor routed_output(const std::vector<RowGroup>& groups, std::int64_t rows, const Site* site,
                         const SiteValues& values) {
  const at::Tensor input = by_row(values.input, rows, *site), output = by_row(values.output, rows, *site);
  at::Tensor result = output.clone();
  for (const RowGroup& group : groups) {
    const at::Tensor part = group.of(output), from = group.of(input);
    const at::Tensor adapted = adapted_output(*group.adapter, site, {part, from, values.weight, values.bias});
    if (!adapted.is_same(part)) result.index_copy_(0, group.rows.to(result.device()), adapted);
  }
  return result.reshape(values.output.sizes());
}

}  // namespace

struct AdapterSet::Member {
  std::string name;
  Adapter adapter;
};

/// What the hooks look at.
struct AdapterSet::Routing {
  const Adapter* everywhere = nullptr;  ///< null: the base, or groups
  std::vector<RowGroup> groups;         ///< rows of the base are in none
  std::int64_t rows = 0;                ///< 0: one adapter for every row
};

AdapterSet::AdapterSet(Program& program) : program_(program), routing_(std::make_shared<Routing>()) {}

AdapterSet::~AdapterSet() = default;

void AdapterSet::add(const std::string& name, Adapter adapter) {
  const auto known = names();
  if (name.empty() || std::find(known.begin(), known.end(), name) != known.end())
    throw Error(ExitCode::usage,
                cat("adapter name \"", printable(name), "\" is ", name.empty() ? "empty" : "taken"));
  program_.fingerprint();  // of the weights as loaded, not in the middle of a switch
  members_.push_back(std::make_unique<Member>(Member{name, std::move(adapter)}));
  routable_ = false;
}

std::vector<std::string> AdapterSet::names() const {
  std::vector<std::string> names;
  for (const auto& member : members_) names.push_back(member->name);
  return names;
}

std::string AdapterSet::described(const std::string& name) {
  return name.empty() ? "the base" : cat("adapter \"", printable(name), "\"");
}

std::size_t AdapterSet::index_of(const std::string& name) const {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i]->name == name) return i;
  }
  const auto known = names(), nearest = nearest_names(name, known);
  throw Error(ExitCode::usage, cat("no adapter is called \"", printable(name), "\""),
              known.empty() ? "no adapter is loaded: give --adapter NAME=DIR"
                            : cat("use ", printable(join(nearest.empty() ? known : nearest, " or "))));
}

const Adapter& AdapterSet::adapter(const std::string& name) const {
  return members_[index_of(name)]->adapter;
}

std::vector<HookedSite> AdapterSet::hooks() const {
  std::vector<const Adapter*> adapters;
  for (const auto& member : members_) adapters.push_back(&member->adapter);
  std::vector<HookedSite> hooks;
  for (const Site* site : adapted_sites(adapters)) {
    const auto hook = [site, routing = routing_](const SiteValues& values) {
      if (routing->rows > 0) return routed_output(routing->groups, routing->rows, site, values);
      return routing->everywhere ? adapted_output(*routing->everywhere, site, values) : values.output;
    };
    hooks.push_back({site, hook, /*computes_site=*/false, /*tells_rows=*/true});
  }
  return hooks;
}

void AdapterSet::put_weights(const Adapter* adapter) {
  whole_.reset();  // the base's come back first
  if (adapter) whole_ = std::make_unique<WeightsInPlace>(program_, adapter->saved_weights);
}

void AdapterSet::use(const std::string& name) {
  const Adapter* adapter = name.empty() ? nullptr : &this->adapter(name);
  put_weights(adapter);
  *routing_ = {adapter, {}, 0};
}

void AdapterSet::use_rows(const std::vector<std::string>& names) {
  std::vector<std::vector<std::int64_t>> rows(members_.size());
  for (std::size_t row = 0; row < names.size(); ++row) {
    if (!names[row].empty()) rows[index_of(names[row])].push_back(static_cast<std::int64_t>(row));
  }
  Routing routing;
  routing.rows = static_cast<std::int64_t>(names.size());
  std::vector<std::string> whole;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (rows[i].empty()) continue;
    if (!members_[i]->adapter.saved_weights.empty()) whole.push_back(members_[i]->name);
    routing.groups.push_back({&members_[i]->adapter, at::tensor(rows[i], at::kLong)});
  }
  if (!whole.empty()) {
    throw Error(
        ExitCode::mismatch,
        cat("adapters that hold whole weights (modules_to_save, biases) cannot share a batch with others: ",
            printable(join(whole, ", "))),
        "run them one at a time");
  }
  put_weights(nullptr);
  if (routing.groups.size() == 1 && routing.groups[0].rows.size(0) == routing.rows)
    routing = {routing.groups[0].adapter, {}, 0};
  else if (!routable_)
    check_routable();
  *routing_ = std::move(routing);
}

void AdapterSet::check_routable() {
  const at::NoGradGuard no_grad;
  const Routing before = *routing_;
  const Executable executable = program_.executable(hooks());
  const std::int64_t vocabulary = std::max<std::int64_t>(program_.info().vocab_size, 2);
  const at::Tensor ids =
      at::arange(1, 11, at::kLong).reshape({2, 5}).remainder(vocabulary).to(program_.device());
  const ModelInputs inputs{ids, at::ones_like(ids), {}};
  for (const auto& member : members_) {
    if (!member->adapter.saved_weights.empty()) continue;
    *routing_ = {&member->adapter, {}, 0};
    const at::Tensor alone = executable.logits(inputs)[1];
    *routing_ = {nullptr, {{&member->adapter, at::tensor({1}, at::kLong)}}, 2};
    const at::Tensor routed = executable.logits(inputs)[1];
    const double scale = alone.abs().max().item<double>();
    if ((alone - routed).abs().max().item<double>() <= 1e-4 * scale) continue;
    *routing_ = before;
    throw Error(
        ExitCode::mismatch,
        cat("the model mixes the rows of a batch where adapter \"", printable(member->name), "\" acts"),
        "run one adapter at a time");
  }
  *routing_ = before;
  routable_ = true;
}

}  // namespace lora

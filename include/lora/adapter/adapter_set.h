#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lora/adapter/adapter.h"

namespace lora {

class WeightsInPlace;

/// Several adapters on one resident base. Which one acts is looked up at every pass, so that switching
/// changes a pointer and no tensor; a batch may also have rows of different adapters.
///
///   AdapterSet set(program);
///   set.add("summaries", fit_adapter(read_adapter_folder("a"), program));
///   const Executable model = program.executable(set.hooks());
///   set.use("summaries");                       // every row
///   set.use_rows({"summaries", "", "code"});    // row by row; "" is the base
///
/// The program must outlive the set, and the set the hooks.
class AdapterSet {
 public:
  explicit AdapterSet(Program& program);
  ~AdapterSet();
  AdapterSet(const AdapterSet&) = delete;
  AdapterSet& operator=(const AdapterSet&) = delete;

  /// usage error if the name is empty or taken. Hooks that were made before do not know it.
  void add(const std::string& name, Adapter adapter);
  std::vector<std::string> names() const;
  /// For messages: adapter "summaries"; the base for an empty name.
  static std::string described(const std::string& name);
  const Adapter& adapter(const std::string& name) const;

  /// Hooks over all sites that any adapter changes.
  std::vector<HookedSite> hooks() const;

  /// One adapter for every row; "" for the base. Puts its whole weights (modules_to_save) into the program,
  /// by pointer, and the base's back.
  void use(const std::string& name);

  /// One name per row of the next batches, which must have as many rows. mismatch error for adapters that
  /// hold whole weights, and for a model whose sites mix the rows of a batch: tried on a small batch at the
  /// first call.
  void use_rows(const std::vector<std::string>& names);

 private:
  struct Member;
  struct Routing;
  std::size_t index_of(const std::string& name) const;
  void put_weights(const Adapter* adapter);
  void check_routable();

  Program& program_;
  std::vector<std::unique_ptr<Member>> members_;
  std::shared_ptr<Routing> routing_;
  std::unique_ptr<WeightsInPlace> whole_;  ///< of the adapter in use
  bool routable_ = false;
};

}  // namespace lora

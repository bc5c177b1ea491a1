#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "lora/base/error.h"
#include "train/transport.h"

namespace lora {

/// The processes that train together, each on its share of every update. Calls of gather() and sum() wait for
/// all of them; for a process alone they do nothing.
///
/// Whoever ends by an error says so by farewell(); the others learn it at their next gather(). Therefore a
/// sum() follows a gather() directly, with nothing between that could fail on one rank alone.
class Ranks {
 public:
  /// Some numbers of one rank.
  using Numbers = std::array<double, 6>;

  /// Of the processes that were started together (open_transport()).
  explicit Ranks(double timeout_seconds) : Ranks(open_transport(timeout_seconds)) {}
  /// null: a process alone.
  explicit Ranks(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

  int rank() const { return transport_ ? transport_->rank() : 0; }
  int count() const { return transport_ ? transport_->count() : 1; }
  /// True for the one that writes files and speaks.
  bool is_first() const { return rank() == 0; }

  /// What every rank gives, in the order of the ranks. FailedElsewhere error if one said farewell instead.
  std::vector<Numbers> gather(const Numbers& mine);

  /// Whether all ranks gave the same number; the same answer everywhere.
  bool agree(double mine);

  /// Each value becomes its sum over the ranks: added in float64 in the order of the ranks and rounded once,
  /// so that all ranks have the same bits, and each run of so many ranks. Every rank adds up one slice, so
  /// that it sends and receives twice the values in all.
  void sum(std::span<float> values);
  void sum(std::span<double> values);

  /// Tells the other ranks that this one ends with an error, unless all know already that one does. True if
  /// none of the ranks before it ends now, too.
  bool farewell(ExitCode code) noexcept;

 private:
  struct Message {
    double code;  ///< with which the sender ends; 0 if it goes on
    Numbers numbers;
  };
  std::vector<Message> exchange(const Message& mine);
  template <class Call>
  void together(Call call);
  template <class Value>
  void sum_slices(Transport& transport, std::span<Value> values);

  std::unique_ptr<Transport> transport_;
  std::vector<std::byte> received_;  ///< scratch of sums, kept since fresh pages cost more than the additions
  std::vector<double> sums_;
  bool ended_ = false;  ///< an error of one is known to all, or nobody can be told
};

}  // namespace lora

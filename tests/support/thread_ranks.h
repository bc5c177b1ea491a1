#pragma once

#include <algorithm>
#include <barrier>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "train/ranks.h"

namespace lora::test {

/// Where the threads of a process meet as if they were ranks.
class ThreadRanks {
 public:
  explicit ThreadRanks(int count) : places_(static_cast<std::size_t>(count)), barrier_(count) {}

  /// Runs `work` on every rank, each a thread; ends when all have.
  static void run(int count, const std::function<void(Ranks&)>& work) {
    ThreadRanks world(count);
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < count; ++rank) {
      threads.emplace_back([&world, &work, rank] {
        Ranks ranks(std::make_unique<Seat>(world, rank));
        work(ranks);
      });
    }
  }

 private:
  class Seat : public Transport {
   public:
    Seat(ThreadRanks& world, int rank) : world_(world), rank_(rank) {}
    int rank() const override { return rank_; }
    int count() const override { return static_cast<int>(world_.places_.size()); }

    void share(std::byte* values, Cuts cuts) override {
      meet(values, [&](std::size_t each, const std::byte* theirs) {
        if (each != own()) std::copy(theirs + cuts[each], theirs + cuts[each + 1], values + cuts[each]);
      });
    }

    void scatter(const std::byte* values, Cuts cuts, std::byte* received) override {
      const std::size_t begin = cuts[own()], size = cuts[own() + 1] - begin;
      meet(values, [&](std::size_t each, const std::byte* theirs) {
        std::copy(theirs + begin, theirs + begin + size, received + each * size);
      });
    }

   private:
    std::size_t own() const { return static_cast<std::size_t>(rank_); }

    /// Shows `mine` to all and looks at what each of them shows.
    template <class Look>
    void meet(const std::byte* mine, Look look) {
      world_.places_[own()] = mine;
      world_.barrier_.arrive_and_wait();
      for (std::size_t each = 0; each < world_.places_.size(); ++each) look(each, world_.places_[each]);
      world_.barrier_.arrive_and_wait();
    }

    ThreadRanks& world_;
    int rank_;
  };

  std::vector<const std::byte*> places_;
  std::barrier<> barrier_;
};

}  // namespace lora::test

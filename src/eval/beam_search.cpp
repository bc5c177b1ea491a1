#include "eval/beam_search.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lora {
namespace {

struct Beam {
  TokenIds answer;
  double score = 0;  ///< log-likelihood; divided by the length's power once it is finished
};

struct Continuation {
  std::size_t beam;
  std::int32_t token;
  double score;
  bool ends;
};

/// The search of one row.
class BeamSearch {
 public:
  BeamSearch(GeneratedRow& row, const GenerationOptions& options, const BeamOptions& beams)
      : row_(row),
        options_(options),
        beams_(beams),
        room_(options.room(row)),
        done_(row.finished || room_ <= 0) {
    running_.resize(count());
    for (std::size_t i = 1; i < count(); ++i) running_[i].score = -std::numeric_limits<double>::infinity();
  }

  bool done() const { return done_; }
  const GeneratedRow& row() const { return row_; }

  /// One step on log-probabilities [beams, vocabulary]; afterwards beam i continues what was beam
  /// parents()[i].
  void advance(const at::Tensor& log_probabilities) {
    const std::vector<Continuation> best = best_continuations(log_probabilities);
    ++length_;
    keep_finished(best);
    continue_running(best);
    const bool all_end = std::all_of(best.begin(), best.end(), [](const auto& each) { return each.ends; });
    done_ = all_end || !can_improve();
    if (done_) finish();
  }

  std::vector<std::size_t> parents() const { return parents_; }
  TokenIds last_token(std::size_t beam) const {
    return running_[beam].answer.empty() ? TokenIds() : TokenIds{running_[beam].answer.back()};
  }

 private:
  std::size_t count() const { return static_cast<std::size_t>(beams_.beams); }
  double normalised(double score) const {
    return score / std::pow(static_cast<double>(length_), beams_.length_penalty);
  }

  std::vector<Continuation> best_continuations(const at::Tensor& log_probabilities) const {
    const std::size_t kept = std::max<std::size_t>(2, 1 + options_.stop.size()) * count();
    std::vector<Continuation> all;
    for (std::size_t beam = 0; beam < count(); ++beam) {
      if (std::isinf(running_[beam].score)) continue;
      const at::Tensor scores = log_probabilities[static_cast<std::int64_t>(beam)].contiguous();
      TokenIds ids = row_.ids;
      ids.insert(ids.end(), running_[beam].answer.begin(), running_[beam].answer.end());
      penalise_repetition(scores, ids, options_.sampling);
      const auto [values, indices] =
          scores.topk(std::min<std::int64_t>(static_cast<std::int64_t>(kept), scores.numel()));
      for (std::int64_t i = 0; i < values.numel(); ++i) {
        const auto token = static_cast<std::int32_t>(indices[i].item<std::int64_t>());
        all.push_back(
            {beam, token, running_[beam].score + values[i].item<double>(), ends(running_[beam], token)});
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
    if (all.size() > kept) all.resize(kept);
    return all;
  }

  bool ends(const Beam& beam, std::int32_t token) const {
    if (options_.stop.count(token) || static_cast<std::int64_t>(beam.answer.size()) + 1 >= room_) return true;
    if (!options_.ends) return false;
    TokenIds answer = beam.answer;
    answer.push_back(token);
    return options_.ends(answer);
  }

  Beam continued(const Continuation& by) const {
    Beam beam{running_[by.beam].answer, by.score};
    beam.answer.push_back(by.token);
    return beam;
  }

  void keep_finished(const std::vector<Continuation>& best) {
    for (std::size_t i = 0; i < std::min(count(), best.size()); ++i) {
      if (!best[i].ends) continue;
      finished_.push_back(continued(best[i]));
      finished_.back().score = normalised(best[i].score);
    }
    std::stable_sort(finished_.begin(), finished_.end(),
                     [](const Beam& a, const Beam& b) { return a.score > b.score; });
    if (finished_.size() > count()) finished_.resize(count());
  }

  void continue_running(const std::vector<Continuation>& best) {
    std::vector<Beam> next;
    parents_.clear();
    for (const Continuation& each : best) {
      if (each.ends || next.size() == count()) continue;
      next.push_back(continued(each));
      parents_.push_back(each.beam);
    }
    while (next.size() < count()) {  // nothing else can go on: places that nothing follows
      next.push_back(
          {next.empty() ? running_[0].answer : next[0].answer, -std::numeric_limits<double>::infinity()});
      parents_.push_back(parents_.empty() ? 0 : parents_[0]);
    }
    running_ = std::move(next);
  }

  bool can_improve() const {
    return finished_.size() < count() || normalised(running_[0].score) > finished_.back().score;
  }

  void finish() {
    const Beam& best = finished_.empty() ? running_[0] : finished_[0];
    row_.ids.insert(row_.ids.end(), best.answer.begin(), best.answer.end());
    if (!best.answer.empty() && options_.stop.count(best.answer.back())) row_.ids.pop_back();
    row_.finished = true;
  }

  GeneratedRow& row_;
  const GenerationOptions& options_;
  const BeamOptions& beams_;
  std::int64_t room_, length_ = 0;
  bool done_;
  std::vector<Beam> running_, finished_;
  std::vector<std::size_t> parents_;
};

}  // namespace

void search_beams(RowFeed& feed, std::vector<GeneratedRow>& rows, const GenerationOptions& options,
                  const BeamOptions& beams) {
  const at::NoGradGuard no_grad;
  const auto count = static_cast<std::size_t>(beams.beams);
  std::vector<BeamSearch> searches;
  for (GeneratedRow& row : rows) searches.emplace_back(row, options, beams);
  std::vector<BeamSearch*> running;  ///< each has `beams` rows of the feed; those that are done have left
  std::vector<TokenIds> added;
  std::vector<std::int64_t> places;
  for (std::size_t i = 0; i < searches.size(); ++i) {
    if (searches[i].done()) continue;
    running.push_back(&searches[i]);
    added.insert(added.end(), count, rows[i].ids);
    for (std::size_t beam = 0; beam < count; ++beam)
      places.push_back(static_cast<std::int64_t>(i * count + beam));
  }
  while (!running.empty()) {
    feed.select(places);
    const at::Tensor logits = feed.feed(added);
    std::vector<const GeneratedRow*> searched;
    for (const BeamSearch* search : running) searched.push_back(&search->row());
    check_finite(logits, searched);
    const at::Tensor log_probabilities = logits.log_softmax(-1);
    added.clear();
    places.clear();
    std::vector<BeamSearch*> left;
    for (std::size_t i = 0; i < running.size(); ++i) {
      BeamSearch& search = *running[i];
      search.advance(log_probabilities.narrow(0, static_cast<std::int64_t>(i * count), beams.beams));
      if (search.done()) continue;
      left.push_back(&search);
      for (std::size_t beam = 0; beam < count; ++beam) {
        places.push_back(static_cast<std::int64_t>(i * count + search.parents()[beam]));
        added.push_back(search.last_token(beam));
      }
    }
    running = std::move(left);
  }
}

}  // namespace lora

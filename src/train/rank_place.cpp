#include "train/rank_place.h"

#include <sched.h>
#include <unistd.h>

#include "lora/base/sha256.h"

namespace lora {
namespace {

std::string machine_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

/// The set of cores that this process may use, as text.
std::string core_set() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  return {reinterpret_cast<const char*>(&set), sizeof set};
}

}  // namespace

double hash_number(const std::string& text) {
  constexpr std::size_t kDigits = 13;  // 52 bits, which a double holds exactly
  return static_cast<double>(std::stoull(sha256(text).substr(0, kDigits), nullptr, 16));
}

RankPlace find_place(Ranks& ranks) {
  const std::string machine = machine_name();
  const Ranks::Numbers mine = {hash_number(machine), hash_number(machine + core_set())};
  RankPlace place{0, 0};
  int rank = 0;
  for (const Ranks::Numbers& theirs : ranks.gather(mine)) {
    if (theirs[0] == mine[0] && rank < ranks.rank()) ++place.number;
    if (theirs[1] == mine[1]) ++place.sharers;
    ++rank;
  }
  return place;
}

}  // namespace lora

// Runs the fuzz targets on deterministic mutations of their seeds, without libFuzzer:
//
//   fuzz_driver [--target NAME] [--runs N | --seconds N] [--number N]
//   fuzz_driver --target NAME FILE ...      reads these inputs
//   fuzz_driver --write-seeds DIR           DIR/NAME/0, 1, ... for libFuzzer
//
// The input at work is in the file fuzz-input-NAME, which stays behind if it ends the process. Exit code 1:
// an exception that is no error of the input, or more memory than the target may take.

#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "allocation_meter.h"
#include "fuzz_target.h"
#include "lora/base/log.h"
#include "mutation.h"

namespace lora::fuzz {
namespace {

constexpr std::size_t kRoom = 16 << 20;

struct Request {
  std::string target, seeds_folder;
  std::uint64_t runs = 2000, number = 1;
  double seconds = 0;
  std::vector<std::string> files;
};

Request parse(int count, char** words) {
  Request request;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (!word.starts_with("--")) {
      request.files.push_back(word);
      continue;
    }
    if (++i == count) throw std::runtime_error(word + " needs a value");
    if (word == "--target")
      request.target = words[i];
    else if (word == "--runs")
      request.runs = std::strtoull(words[i], nullptr, 10);
    else if (word == "--seconds")
      request.seconds = std::strtod(words[i], nullptr);
    else if (word == "--number")
      request.number = std::strtoull(words[i], nullptr, 10);
    else if (word == "--write-seeds")
      request.seeds_folder = words[i];
    else
      throw std::runtime_error("unknown option " + word);
  }
  return request;
}

class Run {
 public:
  explicit Run(const FuzzTarget& target) : target_(target), kept_("fuzz-input-" + target.name) {}
  ~Run() {
    std::error_code ignored;
    if (!failed_) std::filesystem::remove(kept_, ignored);
  }

  /// `announce`: the input may end the process.
  void read(std::string_view input, bool announce) {
    if (announce) keep(input);
    const std::size_t before = AllocationMeter::now();
    AllocationMeter::restart();
    try {
      try_input(target_, input);
    } catch (const std::exception& error) {
      fail(input, error.what());
    }
    const std::size_t taken = AllocationMeter::peak() - before;
    const double allowed = target_.memory_factor * static_cast<double>(input.size()) + kRoom;
    most_ = std::max(most_, taken);
    if (AllocationMeter::works() && static_cast<double>(taken) > allowed)
      fail(input, std::to_string(taken) + " bytes taken for an input of " + std::to_string(input.size()));
  }

  bool failed() const { return failed_; }
  std::size_t most() const { return most_; }

 private:
  void keep(std::string_view input) { std::ofstream(kept_, std::ios::binary) << input; }
  void fail(std::string_view input, const std::string& what) {
    keep(input);
    std::cerr << target_.name << ": " << what << " (the input is in " << kept_ << ")\n";
    failed_ = true;
  }

  const FuzzTarget& target_;
  std::string kept_;
  std::size_t most_ = 0;
  bool failed_ = false;
};

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool run_target(const FuzzTarget& target, const Request& request) {
  Run run(target);
  for (const std::string& file : request.files) run.read(content(file), false);
  if (!request.files.empty()) return !run.failed();
  const std::vector<std::string> seeds = target.seeds();
  for (const std::string& seed : seeds) target.read(seed);  // a seed is a good input
  if (target.large) {
    for (const std::string& input : target.large()) run.read(input, true);
  }
  Mutator mutator(seeds, request.number);
  const auto start = std::chrono::steady_clock::now();
  const auto enough = [&](std::uint64_t done) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    return request.seconds > 0 ? passed.count() >= request.seconds : done >= request.runs;
  };
  std::uint64_t done = 0;
  for (; !enough(done) && !run.failed(); ++done) run.read(mutator.next(), true);
  std::cout << target.name << ": " << done << " inputs, at most " << run.most() / 1024 << " KiB taken\n";
  return !run.failed();
}

void write_seeds(const std::filesystem::path& folder) {
  for (const FuzzTarget& target : fuzz_targets()) {
    std::filesystem::create_directories(folder / target.name);
    int number = 0;
    for (const std::string& seed : target.seeds())
      std::ofstream(folder / target.name / std::to_string(number++), std::ios::binary) << seed;
  }
}

int run(const Request& request) {
  if (!request.seeds_folder.empty()) {
    write_seeds(request.seeds_folder);
    return 0;
  }
  bool known = false, good = true;
  for (const FuzzTarget& target : fuzz_targets()) {
    if (!request.target.empty() && request.target != target.name) continue;
    known = true;
    good &= run_target(target, request);
  }
  if (!known) throw std::runtime_error("no target is called " + request.target);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace lora::fuzz

int main(int count, char** words) {
  lora::set_log_level(lora::LogLevel::off);
  try {
    return lora::fuzz::run(lora::fuzz::parse(count, words));
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  }
}

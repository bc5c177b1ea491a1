#include "lora/base/process.h"

#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>

#include "lora/base/text.h"

namespace lora {

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

namespace {

const double process_start = monotonic_seconds();

}  // namespace

double process_seconds() { return monotonic_seconds() - process_start; }

std::string utc_timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return cores > 0 ? static_cast<int>(cores) : 1;
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line, name = "unknown CPU";
  while (std::getline(info, line)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || !line.starts_with("model name")) continue;
    name = trim(std::string_view(line).substr(colon + 1));
    break;
  }
  const int cores = usable_cores();
  return cat(name, " (", cores, cores == 1 ? " core)" : " cores)");
}

bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }
bool stdout_is_terminal() { return isatty(STDOUT_FILENO) == 1; }

}  // namespace lora

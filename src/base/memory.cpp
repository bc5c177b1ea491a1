#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <new>
#include <sstream>
#include <string>
#include <string_view>

#include "lora/base/error.h"
#include "lora/base/process.h"

namespace lora {
namespace {

/// "VmHWM:   1234 kB" of a /proc file, in bytes; 0 if absent.
std::uint64_t proc_bytes(const char* file, const std::string& key) {
  std::ifstream lines(file);
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.starts_with(key + ":")) continue;
    std::uint64_t kibibytes = 0;
    std::istringstream(line.substr(key.size() + 1)) >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

/// A number in a file of its own; `otherwise` if absent or "max".
std::uint64_t number_in(const char* file, std::uint64_t otherwise) {
  std::uint64_t value = 0;
  std::ifstream in(file);
  return in >> value ? value : otherwise;
}

/// What the memory control group of this process still gives, as a container sees it (version 2, then 1).
std::uint64_t left_in_control_group() {
  constexpr std::uint64_t kNone = UINT64_MAX;
  const std::pair<const char*, const char*> places[] = {
      {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};
  for (const auto& [limit_file, usage_file] : places) {
    const std::uint64_t limit = number_in(limit_file, kNone), usage = number_in(usage_file, 0);
    if (limit != kNone) return limit > usage ? limit - usage : 0;
  }
  return kNone;
}

/// What a limit of the address space (ulimit -v) leaves.
std::uint64_t left_in_address_space() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  const std::uint64_t used = proc_bytes("/proc/self/status", "VmSize");
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

}  // namespace

std::uint64_t resident_bytes() { return proc_bytes("/proc/self/status", "VmRSS"); }
std::uint64_t peak_resident_bytes() { return proc_bytes("/proc/self/status", "VmHWM"); }

bool reset_peak_resident() {
  std::ofstream out("/proc/self/clear_refs");
  out << 5 << std::flush;
  return static_cast<bool>(out);
}

std::uint64_t available_bytes() {
  const std::uint64_t machine = proc_bytes("/proc/meminfo", "MemAvailable");
  return machine == 0 ? 0 : std::min({machine, left_in_control_group(), left_in_address_space()});
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error)) return true;
  if (const auto* own = dynamic_cast<const Error*>(&error)) return own->code() == ExitCode::memory;
  std::string_view message = error.what();
  message = message.substr(0, message.find("\nframe #0"));  // function names say nothing about it
  for (const char* words : {"not enough memory", "out of memory", "can't allocate memory"}) {
    if (message.find(words) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace lora

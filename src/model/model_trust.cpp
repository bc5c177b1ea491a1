#include "model/model_trust.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kHashDigits = 64, kMostShown = 5;
constexpr std::uint64_t kMostListBytes = 1 << 20;

std::atomic<bool> trusts_every_model = false;

using FileNumber = std::pair<dev_t, ino_t>;
std::mutex own_files_mutex;
std::set<FileNumber> own_files;

std::optional<FileNumber> number_of(const std::filesystem::path& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileNumber(status.st_dev, status.st_ino);
}

bool is_hash(std::string_view word) {
  return word.size() == kHashDigits && std::all_of(word.begin(), word.end(), [](unsigned char c) {
           return std::isdigit(c) || (std::tolower(c) >= 'a' && std::tolower(c) <= 'f');
         });
}

std::string lower_case(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string list_text(const std::vector<CodeFinding>& findings) {
  std::string text;
  for (std::size_t i = 0; i < std::min(findings.size(), kMostShown); ++i) {
    const CodeFinding& finding = findings[i];
    text += cat("\n  ", finding.member, finding.line ? cat(" line ", finding.line) : std::string(), ": ",
                finding.what);
  }
  if (findings.size() > kMostShown) text += cat("\n  and ", findings.size() - kMostShown, " more");
  return text;
}

bool is_listed(const std::filesystem::path& list, const std::string& hash) {
  std::error_code ignored;
  if (list.empty() || !std::filesystem::exists(list, ignored)) return false;
  return parse_trusted_models(read_file(list, kMostListBytes), cat("\"", list.string(), "\"")).count(hash) >
         0;
}

}  // namespace

void trust_every_model() { trusts_every_model = true; }
bool every_model_is_trusted() { return trusts_every_model; }

void remember_own_file(const std::filesystem::path& path) {
  const std::lock_guard lock(own_files_mutex);
  if (const auto number = number_of(path)) own_files.insert(*number);
}

bool is_own_file(const std::filesystem::path& path) {
  const std::lock_guard lock(own_files_mutex);
  const auto number = number_of(path);
  return number && own_files.count(*number) > 0;
}

std::set<std::string> parse_trusted_models(std::string_view text, const std::string& place) {
  std::set<std::string> hashes;
  std::size_t number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    const std::string_view entry = trim(line), word = entry.substr(0, entry.find_first_of(" \t"));
    if (entry.empty() || entry.starts_with('#')) continue;
    if (!is_hash(word)) {
      throw Error(ExitCode::usage,
                  cat(place, " line ", number, ": found \"", printable(word),
                      "\", expected the SHA-256 of a model file (", kHashDigits, " hexadecimal digits)"),
                  "correct the line, or put # before it");
    }
    hashes.insert(lower_case(word));
  }
  return hashes;
}

std::filesystem::path trusted_models_path() {
  const auto folder = [](const char* variable) {
    const char* value = std::getenv(variable);
    return std::filesystem::path(value ? value : "");
  };
  const std::filesystem::path name = "lora/trusted-models";
  if (const auto config = folder("XDG_CONFIG_HOME"); config.is_absolute()) return config / name;
  const auto home = folder("HOME");
  return home.empty() ? home : home / ".config" / name;
}

void require_trust(const std::filesystem::path& path, std::string_view bytes,
                   const std::vector<CodeFinding>& findings) {
  const std::string hash = sha256(bytes), shown = cat("\"", path.string(), "\""), found = list_text(findings);
  const std::filesystem::path list = trusted_models_path();
  if (every_model_is_trusted() || is_listed(list, hash)) {
    log(LogLevel::warn, "model",
        cat(shown, " is trusted (SHA-256 ", hash, "); its code does more than calculate:", found));
    return;
  }
  const std::string lasting = list.empty() ? ""
                                           : cat(", or add its SHA-256 to ", list.string(), ": ", hash, " ",
                                                 path.filename().string());
  throw Error(ExitCode::untrusted, cat(shown, " was not loaded: its code does more than calculate", found),
              cat("such code can change your files: if you know where the model comes from, give "
                  "--trust-model",
                  lasting));
}

}  // namespace lora

#include <chrono>

#include "lora/base/cache.h"
#include "lora/base/files.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace lora;
using lora::test::TemporaryFolder;

namespace {

constexpr std::uint64_t kMuch = 1 << 20;

/// The only file there is.
std::filesystem::path only_file(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& each : std::filesystem::directory_iterator(folder)) files.push_back(each.path());
  REQUIRE(files.size() == 1);
  return files[0];
}

void set_age(const std::filesystem::path& file, std::chrono::hours age) {
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - age);
}

}  // namespace

TEST_CASE("cache: what was written is read under its kind and key alone") {
  const TemporaryFolder folder;
  const Cache cache(folder / "made/here", kMuch);
  const std::string bytes("tokens\0and more", 15);
  cache.write("tokens", "abc", bytes);
  CHECK(cache.read("tokens", "abc") == bytes);
  CHECK(Cache(folder / "made/here", kMuch).read("tokens", "abc") == bytes);
  CHECK_FALSE(cache.read("tokens", "abd"));
  CHECK_FALSE(cache.read("model", "abc"));
}

TEST_CASE("cache: a damaged entry is not there, and can be made again") {
  const TemporaryFolder folder;
  const Cache cache(folder.path(), kMuch);
  cache.write("tokens", "abc", "some content");
  const auto file = only_file(folder.path());
  const std::string whole = read_file(file);
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, whole.size() - 1}) {
    write_file_atomically(file, whole.substr(0, size));
    CHECK_FALSE(cache.read("tokens", "abc"));
  }
  for (std::size_t i = 0; i < whole.size(); i += 7) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    write_file_atomically(file, flipped);
    CHECK_FALSE(cache.read("tokens", "abc"));
  }
  cache.write("tokens", "abc", "some content");
  CHECK(cache.read("tokens", "abc") == "some content");
}

TEST_CASE("cache: what was used longest ago gives way") {
  const TemporaryFolder folder;
  const std::string bytes(100000, 'x');
  const Cache cache(folder.path(), 250000);
  cache.write("a", "1", bytes);
  cache.write("a", "2", bytes);
  set_age(folder / "a-1", std::chrono::hours(2));
  set_age(folder / "a-2", std::chrono::hours(1));
  CHECK(cache.read("a", "1"));  // now the younger one
  cache.write("a", "3", bytes);
  CHECK(cache.read("a", "1"));
  CHECK_FALSE(cache.read("a", "2"));
  CHECK(cache.read("a", "3"));
  cache.write("a", "4", std::string(300000, 'x'));
  CHECK_FALSE(cache.read("a", "4"));
  CHECK(cache.read("a", "3"));
  CHECK_FALSE(cache.place_for("a", "5", 300000));
  CHECK(cache.place_for("a", "5", 200000));
  CHECK_FALSE(cache.read("a", "1"));
}

TEST_CASE("cache: one that is off or cannot be written keeps nothing and stops nobody") {
  const TemporaryFolder folder;
  Cache().write("a", "1", "bytes");
  CHECK_FALSE(Cache().read("a", "1"));
  CHECK_FALSE(Cache().place_for("a", "1", 10));
  write_file_atomically(folder / "file", "");
  const Cache cache(folder / "file/below", kMuch);
  cache.write("a", "1", "bytes");
  CHECK_FALSE(cache.read("a", "1"));
  CHECK_FALSE(cache.place_for("a", "1", 10));
}

TEST_CASE("cache: a file is another one when it was written to, replaced or copied") {
  const TemporaryFolder folder;
  const auto file = folder / "model.pt";
  write_file_atomically(file, "weights");
  const std::string before = file_identity(file);
  CHECK(file_identity(file) == before);
  CHECK(file_identity(folder / "none").empty());
  const auto time = std::filesystem::last_write_time(file);
  write_file_atomically(file, "Weights");
  std::filesystem::last_write_time(file, time);
  CHECK(file_identity(file) != before);
  std::filesystem::copy_file(file, folder / "copy.pt");
  CHECK(file_identity(folder / "copy.pt") != file_identity(file));
  CHECK_FALSE(program_identity().empty());
}

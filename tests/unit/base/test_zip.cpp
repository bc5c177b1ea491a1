#include <sys/mman.h>
#include <unistd.h>

#include <fstream>

#include "base/zip_archive.h"
#include "base/zip_writer.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/temporary_folder.h"
#include "support/zip_of.h"

using namespace lora;
using lora::test::require_error;
using lora::test::TemporaryFolder;
using lora::test::zip_of;

TEST_CASE("zip: entries come back in order, aligned to 64, with their checksums") {
  const std::string zip = zip_of({{"b/one", "first"}, {"a/empty", ""}, {"c", std::string(1000, 'x')}});
  const auto entries = list_zip(zip, "z");
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].name == "b/one");
  CHECK(entries[0].bytes == "first");
  CHECK(entries[0].checksum == zip_checksum("first"));
  CHECK(zip_checksum("123456789") == 0xcbf43926);  // CRC-32's published check value
  CHECK(entries[1].bytes.empty());
  CHECK(entries[2].bytes == std::string(1000, 'x'));
  for (const ZipEntry& entry : entries) CHECK((entry.bytes.data() - zip.data()) % 64 == 0);
}

TEST_CASE("zip: more entries than 16 bits can count") {
  std::vector<std::pair<std::string, std::string>> contents;
  for (int i = 0; i < 70000; ++i) contents.emplace_back(std::to_string(i), "");
  const std::string zip = zip_of(contents);
  CHECK(list_zip(zip, "z").size() == 70000);
}

TEST_CASE("zip: entries beyond 4 GB are found again") {
  const std::size_t size = (std::size_t{1} << 32) + 4096;
  void* zeros = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(zeros != MAP_FAILED);
  const TemporaryFolder folder;
  const auto path = folder / "large.zip";
  {
    std::ofstream file(path, std::ios::binary);
    ZipWriter writer([&](std::string_view part) {
      if (part.size() > 1'000'000)
        file.seekp(static_cast<std::streamoff>(part.size()), std::ios::cur);  // a hole reads as zeros
      else
        file << part;
    });
    writer.copy({"large", ZipEntry::kStored, 7, size, {static_cast<const char*>(zeros), size}});
    writer.add("after", "small");
    writer.finish();
  }
  ::munmap(zeros, size);
  const MappedFile mapped(path);
  const auto entries = list_zip(mapped.bytes(), "z");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].size == size);
  CHECK(entries[0].bytes.size() == size);
  CHECK(entries[0].checksum == 7);
  CHECK(entries[1].bytes == "small");
}

TEST_CASE("zip: every truncation is refused, and no flipped bit of the directory reads outside the file") {
  const std::string good = zip_of({{"a", "first"}, {"b", "second"}});
  for (std::size_t size = 0; size < good.size(); ++size)
    require_error([&] { list_zip(good.substr(0, size), "z"); }, ExitCode::file, {"z: no ZIP archive"});
  const std::size_t directory = good.find("PK\1\2");
  REQUIRE(directory != std::string::npos);
  for (std::size_t bit = 8 * directory; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    try {
      for (const ZipEntry& entry : list_zip(bad, "z")) {
        CHECK(entry.bytes.data() >= bad.data());
        CHECK(entry.bytes.data() + entry.bytes.size() <= bad.data() + bad.size());
      }
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::file);
    }
  }
}

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "lora/base/files.h"
#include "lora/base/sha256.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

using namespace lora;
using lora::test::require_error;
using lora::test::TemporaryFolder;

namespace {

std::size_t entries(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

/// Runs `action` in a child process and returns how it ended, as waitpid tells.
template <class Action>
int in_child(Action action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("files: an atomic write replaces the whole file and leaves no temporary") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "first, longer");
  write_file_atomically(folder / "a", "second");
  CHECK(read_file(folder / "a") == "second");
  CHECK(entries(folder.path()) == 1);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  CHECK((std::filesystem::status(folder / "a").permissions() ==
         static_cast<std::filesystem::perms>(0666 & ~mask)));
}

TEST_CASE("files: a full disk is an io error, the old file stays and no temporary is left") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  const int status = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomically(folder / "a", std::string(100000, 'x'));
    } catch (const Error& error) {
      return static_cast<int>(error.code());
    }
    return 0;
  });
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == static_cast<int>(ExitCode::io));
  CHECK(read_file(folder / "a") == "old");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("files: behind a link the file is replaced and the link stays") {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("real", folder / "link");
  for (const char* text : {"first", "second"}) {
    write_file_atomically(folder / "link", text);
    CHECK(std::filesystem::is_symlink(folder / "link"));
    CHECK(read_file(folder / "real") == text);
  }
  CHECK(entries(folder.path()) == 2);
}

TEST_CASE("files: devices are written to, never replaced") {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("/dev/null", folder / "null");
  write_file_atomically(folder / "null", "text");
  CHECK(std::filesystem::is_character_file(folder / "null"));
  require_error([&] { PendingFile file(folder / "null"); }, ExitCode::io, {"is no regular file"});
  if (!std::filesystem::exists("/dev/full")) return;
  require_error([] { write_file_atomically("/dev/full", "text"); }, ExitCode::io,
                {"/dev/full", "No space left"});
  CHECK(std::filesystem::is_character_file("/dev/full"));
}

TEST_CASE("files: missing folders, missing files and too large files are named") {
  const TemporaryFolder folder;
  require_error([&] { write_file_atomically(folder / "no" / "a", "x"); }, ExitCode::io, {"no/a"});
  require_error([&] { read_file(folder / "none"); }, ExitCode::io, {"none", "No such file"});
  require_error([&] { read_file(folder.path()); }, ExitCode::io, {"Is a directory"});
  require_error([&] { MappedFile mapped(folder.path()); }, ExitCode::io, {"it is a folder"});
  write_file_atomically(folder / "a", "12345");
  require_error([&] { read_file(folder / "a", 4); }, ExitCode::file, {"larger than"});
  CHECK(read_file(folder / "a", 5) == "12345");
}

TEST_CASE("files: a writable folder is made and proved, a file in its place is refused") {
  const TemporaryFolder folder;
  ensure_writable_folder(folder / "a/b");
  CHECK(entries(folder / "a/b") == 0);
  write_file_atomically(folder / "file", "x");
  require_error([&] { ensure_writable_folder(folder / "file"); }, ExitCode::io, {"file"});
}

TEST_CASE("files: lines are appended whole and survive a new appender") {
  const TemporaryFolder folder;
  LineAppender(folder / "log").append("one");
  LineAppender(folder / "log").append("two");
  CHECK(read_file(folder / "log") == "one\ntwo\n");
}

TEST_CASE("files: a folder is locked by one holder, whose pid the other learns") {
  const TemporaryFolder folder;
  {
    const FolderLock lock(folder.path());
    require_error([&] { FolderLock second(folder.path()); }, ExitCode::locked, {std::to_string(::getpid())});
  }
  CHECK_NOTHROW(FolderLock(folder.path()));
}

TEST_CASE("files: a lock dies with its process") {
  const TemporaryFolder folder;
  in_child([&] {
    new FolderLock(folder.path());
    return 0;
  });
  CHECK_NOTHROW(FolderLock(folder.path()));
}

TEST_CASE("files: mapped bytes are the file's, an empty file maps to nothing") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "content");
  write_file_atomically(folder / "empty", "");
  CHECK(MappedFile(folder / "a").bytes() == "content");
  CHECK(MappedFile(folder / "empty").bytes().empty());
}

TEST_CASE("sha256: equals the standard's examples, whole and in parts") {
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(Sha256().update("a").update("bc").hex() == sha256("abc"));
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "abc");
  CHECK(sha256_file(folder / "a") == sha256("abc"));
}

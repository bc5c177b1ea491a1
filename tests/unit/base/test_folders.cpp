#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "lora/base/files.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

using namespace lora;
using lora::test::require_error;
using lora::test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

std::ptrdiff_t entries(const fs::path& folder) { return std::distance(fs::directory_iterator(folder), {}); }

void write_pair(const fs::path& folder, const std::string& text) {
  PendingFolder draft(folder);
  draft.write("a", text);
  draft.write("b", text);
  draft.accept();
}

/// Works in another folder while it lives.
class WorkingFolder {
 public:
  explicit WorkingFolder(const fs::path& folder) : before_(fs::current_path()) { fs::current_path(folder); }
  ~WorkingFolder() { fs::current_path(before_); }

 private:
  fs::path before_;
};

}  // namespace

TEST_CASE("folders: a pending folder appears when it is accepted, and leaves nothing if it is not") {
  const TemporaryFolder folder;
  {
    PendingFolder draft(folder / "x/y/new");
    draft.write("a", "1");
    CHECK_FALSE(fs::exists(folder / "x/y/new"));
    CHECK(read_file(draft.path() / "a") == "1");
  }
  CHECK(entries(folder / "x/y") == 0);
  write_pair(folder / "x/y/new", "2");
  CHECK(read_file(folder / "x/y/new/b") == "2");
  CHECK(entries(folder / "x/y") == 1);
}

TEST_CASE("folders: a file that is begun in it is named by the place that it will have") {
  const TemporaryFolder folder;
  PendingFolder draft(folder / "new");
  const auto file = draft.begin("a");
  file->write("1");
  file->accept();
  require_error([&] { draft.begin("b", UINT64_MAX / 2); }, ExitCode::io, {"no room for", "/new/b\""});
  draft.accept();
  CHECK(read_file(folder / "new/a") == "1");
  CHECK(entries(folder / "new") == 1);
}

TEST_CASE("folders: an older folder is replaced, what others put there and its mode are kept") {
  const TemporaryFolder folder;
  write_pair(folder / "new", "1");
  fs::permissions(folder / "new", fs::perms::owner_all);
  std::ofstream(folder / "new/notes") << "mine";
  fs::create_symlink("nowhere", folder / "new/link");
  std::ofstream(folder / "new/.a.1.2.tmp") << "left by a killed process";
  write_pair(folder / "new", "2");
  CHECK(read_file(folder / "new/a") == "2");
  CHECK(read_file(folder / "new/notes") == "mine");
  CHECK(fs::read_symlink(folder / "new/link") == "nowhere");
  CHECK(entries(folder / "new") == 4);
  CHECK(entries(folder.path()) == 1);
  CHECK(fs::status(folder / "new").permissions() == fs::perms::owner_all);
}

TEST_CASE("folders: a folder that holds folders of others stays, and gets its files one by one") {
  const TemporaryFolder folder;
  write_pair(folder / "new", "1");
  fs::create_directory(folder / "new/theirs");
  std::ofstream(folder / "new/theirs/notes") << "mine";
  write_pair(folder / "new", "2");
  CHECK(read_file(folder / "new/b") == "2");
  CHECK(fs::hard_link_count(folder / "new/theirs/notes") == 1);
  CHECK(entries(folder / "new") == 3);
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("folders: through a link the folder behind it is replaced") {
  const TemporaryFolder folder;
  write_pair(folder / "real", "1");
  fs::create_directory_symlink("real", folder / "link");
  write_pair(folder / "link", "2");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "real/a") == "2");
}

TEST_CASE("folders: the folder that a process works in gets its files one by one") {
  const TemporaryFolder folder;
  write_pair(folder / "new", "1");
  const WorkingFolder working(folder / "new");
  for (const char* name : {".", "../new"}) {
    write_pair(name, std::string("2") + name);
    CHECK(read_file("a") == std::string("2") + name);
    CHECK(entries(".") == 2);
  }
}

TEST_CASE("folders: what cannot be written is named") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  require_error([&] { write_pair(folder / "file/new", "1"); }, ExitCode::io, {"file"});
  if (::geteuid() == 0) return;  // may write everywhere
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  require_error([&] { write_pair(folder / "new", "1"); }, ExitCode::io, {"Permission denied"});
  fs::permissions(folder.path(), fs::perms::owner_all);
}

TEST_CASE("folders: temporaries of processes that are no more are removed, and nothing else") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    new PendingFile(folder / "file");
    (new PendingFolder(folder / "folder"))->write("a", "1");
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const PendingFile mine(folder / "mine");
  for (const char* name : {"plain", ".hidden", ".not-ours.tmp"}) std::ofstream(folder / name) << "x";
  CHECK(entries(folder.path()) == 6);
  remove_temporaries_in(folder.path());
  CHECK(entries(folder.path()) == 4);
  CHECK(fs::exists(mine.path()));
}

TEST_CASE("folders: a tree is removed with links, not through them") {
  const TemporaryFolder folder;
  make_folders(folder / "tree/a/b");
  std::ofstream(folder / "kept") << "x";
  fs::create_symlink(folder / "kept", folder / "tree/a/link");
  fs::create_directory_symlink(folder.path(), folder / "tree/a/b/up");
  remove_tree(folder / "tree");
  remove_tree(folder / "tree");
  CHECK(fs::exists(folder / "kept"));
  CHECK(entries(folder.path()) == 1);
}

#include "support/crashing_disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "base/disk.h"

namespace lora::test {
namespace {

namespace fs = std::filesystem;

/// A file or folder, now and on the disk.
struct Node {
  bool is_folder = false;
  std::string content, safe_content;
  std::map<std::string, std::shared_ptr<Node>> names, safe_names;
};
using NodePtr = std::shared_ptr<Node>;

struct OpenFile {
  NodePtr node;
  bool appends = false;
  std::size_t position = 0;
};

struct Disk {
  fs::path root;
  NodePtr tree;
  std::map<int, OpenFile> files;
  std::vector<DiskCall> calls;
  Fault fault = Fault::none;
  std::size_t at = 0;
  Loss loss = Loss::none;
};
std::optional<Disk> state;

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

/// Everything as it is, and all of it safe.
NodePtr scan(const fs::path& path) {
  auto node = std::make_shared<Node>();
  node->is_folder = fs::is_directory(path);
  if (!node->is_folder) {
    node->content = node->safe_content = bytes_of(path);
    return node;
  }
  for (const auto& entry : fs::directory_iterator(path))
    node->names[entry.path().filename()] = scan(entry.path());
  node->safe_names = node->names;
  return node;
}

void put(const Node& node, const fs::path& path, Loss loss) {
  if (!node.is_folder) {
    std::ofstream(path, std::ios::binary) << node.safe_content;
    return;
  }
  fs::create_directories(path);
  for (const auto& [name, child] : loss == Loss::data ? node.names : node.safe_names)
    if (child) put(*child, path / name, loss);
}

NodePtr& entry(const fs::path& path) {
  Node* folder = state->tree.get();
  const fs::path inside = fs::absolute(path).lexically_normal().lexically_relative(state->root);
  NodePtr* found = &state->tree;
  for (const fs::path& name : inside) {
    if (name == "." || name.empty()) continue;
    found = &folder->names[name];
    folder = found->get() ? found->get() : folder;
  }
  return *found;
}

void erase(const fs::path& path) { entry(path.parent_path())->names.erase(path.filename()); }

[[noreturn]] void die() {
  lose_power();
  ::_exit(kKilled);
}

/// Makes a call with its fault.
template <class Call>
auto meet(const char* name, bool needs_space, bool can_be_interrupted, Call call) -> decltype(call()) {
  if (!state) return call();
  const std::size_t number = state->calls.size();
  state->calls.push_back({name, needs_space, can_be_interrupted});
  const Fault fault = state->fault;
  const auto fail = [](int error) {
    errno = error;
    return decltype(call())(-1);
  };
  if (number > state->at && fault == Fault::broken) return fail(EIO);
  if (number > state->at && fault == Fault::full && needs_space) return fail(ENOSPC);
  if (number != state->at) return call();
  switch (fault) {
    case Fault::kill_before:
      die();
    case Fault::kill_after:
      call();
      die();
    case Fault::interrupted:
      return fail(EINTR);
    case Fault::broken:
    case Fault::broken_once:
      return fail(EIO);
    case Fault::full:
    case Fault::full_once:
      return fail(ENOSPC);
    default:
      return call();
  }
}

}  // namespace

void start_crashing_disk(const fs::path& root, Fault fault, std::size_t at, Loss loss) {
  state.emplace();
  state->root = root;
  state->tree = scan(root);
  state->fault = fault;
  state->at = at;
  state->loss = loss;
}

std::vector<DiskCall> stop_crashing_disk() {
  std::vector<DiskCall> calls = std::move(state->calls);
  state.reset();
  return calls;
}

void lose_power() {
  if (state->loss == Loss::none) return;
  for (const auto& each : fs::directory_iterator(state->root)) fs::remove_all(each.path());
  put(*state->tree, state->root, state->loss);
}

}  // namespace lora::test

namespace lora::disk {

using test::entry;
using test::meet;
using test::Node;
using test::state;

int open(const Path& path, int flags, mode_t mode) {
  return meet("open", (flags & O_CREAT) != 0, true, [&] {
    const int file = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (!state || file < 0) return file;
    test::NodePtr& node = entry(path);
    if (!node) node = std::make_shared<Node>();
    state->files[file] = {node, (flags & O_APPEND) != 0, 0};
    return file;
  });
}

ssize_t write(int file, const char* bytes, std::size_t count) {
  const auto put = [&](std::size_t size) {
    const ssize_t written = ::write(file, bytes, size);
    if (!state || written < 0) return written;
    test::OpenFile& open = state->files.at(file);
    std::string& content = open.node->content;
    if (open.appends) open.position = content.size();
    content.resize(std::max(content.size(), open.position + static_cast<std::size_t>(written)));
    content.replace(open.position, static_cast<std::size_t>(written), bytes,
                    static_cast<std::size_t>(written));
    open.position += static_cast<std::size_t>(written);
    return written;
  };
  return meet("write", true, true, [&] {
    const bool here = state && state->calls.size() == state->at + 1;
    if (here && state->fault == test::Fault::torn_write) {
      put(count / 2);
      test::die();
    }
    return put(here && state->fault == test::Fault::short_write ? (count + 1) / 2 : count);
  });
}

/// Of the model alone: the real disk need not be waited for.
int fsync(int file) {
  return meet("fsync", true, true, [&] {
    if (!state) return 0;
    Node& node = *state->files.at(file).node;
    node.safe_content = node.content;
    node.safe_names = node.names;
    return 0;
  });
}

int ftruncate(int file, off_t size) {
  return meet("ftruncate", false, true, [&] {
    const int result = ::ftruncate(file, size);
    if (state && result == 0) state->files.at(file).node->content.resize(static_cast<std::size_t>(size));
    return result;
  });
}

int fchmod(int file, mode_t mode) {
  return meet("fchmod", false, false, [&] { return ::fchmod(file, mode); });
}

int rename(const Path& from, const Path& to) {
  return meet("rename", true, false, [&] {
    const int result = ::rename(from.c_str(), to.c_str());
    if (!state || result != 0) return result;
    const auto node = entry(from);
    test::erase(from);
    entry(to) = node;
    return result;
  });
}

int exchange(const Path& a, const Path& b) {
  return meet("exchange", true, false, [&] {
    const auto result =
        static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE));
    if (state && result == 0) std::swap(entry(a), entry(b));
    return result;
  });
}

int link(const Path& from, const Path& to) {
  return meet("link", true, false, [&] {
    const int result = ::link(from.c_str(), to.c_str());
    if (state && result == 0) entry(to) = entry(from);
    return result;
  });
}

int unlink(const Path& path) {
  return meet("unlink", false, false, [&] {
    const int result = ::unlink(path.c_str());
    if (state && result == 0) test::erase(path);
    return result;
  });
}

int mkdir(const Path& path) {
  return meet("mkdir", true, false, [&] {
    const int result = ::mkdir(path.c_str(), 0777);
    if (!state || result != 0) return result;
    entry(path) = std::make_shared<Node>();
    entry(path)->is_folder = true;
    return result;
  });
}

int rmdir(const Path& path) {
  return meet("rmdir", false, false, [&] {
    const int result = ::rmdir(path.c_str());
    if (state && result == 0) test::erase(path);
    return result;
  });
}

}  // namespace lora::disk

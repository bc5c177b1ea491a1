#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace lora {

class TemporaryName;

/// The whole file; io error if it cannot be read, file error if it is larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = UINT64_MAX);

/// A file that takes its name only when it is complete: until accept() it is a temporary in the same folder
/// (O_EXCL, 0600), removed by the destructor and by signals that end the process. Every failure is an io
/// error that names the target, and leaves an older file.
class PendingFile {
 public:
  /// Checks first that `bytes` fit, if they are known.
  explicit PendingFile(std::filesystem::path target, std::uint64_t bytes = 0);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  /// The temporary, to read what was written.
  const std::filesystem::path& path() const { return path_; }
  void write(std::string_view bytes);
  /// Usual mode, fsync, rename to the target, fsync of the folder.
  void accept();

 private:
  std::filesystem::path target_, path_;
  std::unique_ptr<TemporaryName> name_;
  int descriptor_;
  std::uint64_t unsent_ = 0;  ///< bytes that the disk was not yet asked to write
};

/// Replaces `path` by `bytes` so that a reader sees the old or the new content and nothing between, by a
/// PendingFile.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Creates the folder (and parents) and proves that a file can be written in it; io error otherwise.
void ensure_writable_folder(const std::filesystem::path& folder);

/// Gives a complete folder its name, in place of an older one, and syncs its parent.
void publish_folder(const std::filesystem::path& draft, const std::filesystem::path& target);

/// Appends whole lines to a log file (metrics.jsonl), flushed a line at a time.
class LineAppender {
 public:
  explicit LineAppender(const std::filesystem::path& path);
  ~LineAppender();
  LineAppender(const LineAppender&) = delete;
  LineAppender& operator=(const LineAppender&) = delete;
  void append(std::string_view line);
  std::uint64_t size() const;
  /// Forgets what stands behind `size`.
  void truncate(std::uint64_t size);

 private:
  int descriptor_;
  std::filesystem::path path_;
};

/// An advisory lock on a folder (flock on FOLDER/.lock); `locked` error with the holder's pid if taken.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

/// A private memory mapping of a whole file: pages are read when they are touched and shared with other
/// processes until they are written to, which never changes the file.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::string_view bytes() const { return {data_, size_}; }
  char* data() { return data_; }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace lora

#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lora {

class TemporaryName;

/// io error "WHAT "PATH" does not exist", with a hint, unless something is there: the same for every input.
void require_exists(const std::filesystem::path& path, const std::string& what, const std::string& hint = {});

/// Proves that a file can be written at `path` when the work is done; io error otherwise. An older one stays.
void require_writable(const std::filesystem::path& path);

/// The whole file; io error if it cannot be read, file error if it is larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = UINT64_MAX);

/// A file that takes its name only when it is complete: until accept() it is a temporary in the same folder
/// (O_EXCL, 0600), removed by the destructor and by signals that end the process. Every failure is an io
/// error that names the target, and leaves an older file.
class PendingFile {
 public:
  /// Checks first that `bytes` fit, if they are known. Errors name `shown`, where it is given: the place that
  /// a file in a PendingFolder will have.
  explicit PendingFile(const std::filesystem::path& target, std::uint64_t bytes = 0,
                       const std::filesystem::path& shown = {});
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  /// The temporary, to read what was written.
  const std::filesystem::path& path() const { return path_; }
  void write(std::string_view bytes);
  /// Usual mode, fsync, rename to the target, fsync of the folder.
  void accept();

 private:
  std::filesystem::path target_, path_, shown_;
  std::unique_ptr<TemporaryName> name_;
  int descriptor_;
  std::uint64_t unsent_ = 0;  ///< bytes that the disk was not yet asked to write
};

/// Replaces `path` by `bytes` so that a reader sees the old or the new content and nothing between, by a
/// PendingFile. A device or pipe (/dev/stdout) is written to.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// A folder that takes its name only when it is complete, in place of an older one: until accept() it is a
/// temporary beside that, removed by the destructor. Other files in the older folder are kept. Where a folder
/// cannot be exchanged at once (a mount point, folders of others in it, a file system without that operation)
/// its files are, one after the other. Every failure is an io error, and leaves the older folder.
class PendingFolder {
 public:
  explicit PendingFolder(const std::filesystem::path& target);
  ~PendingFolder();
  PendingFolder(const PendingFolder&) = delete;
  PendingFolder& operator=(const PendingFolder&) = delete;

  /// The temporary, to read what was written.
  const std::filesystem::path& path() const { return path_; }
  /// A new file in it.
  void write(const std::string& name, std::string_view bytes);
  /// The same, written by the caller and accepted before the folder is.
  std::unique_ptr<PendingFile> begin(const std::string& name, std::uint64_t bytes = 0) const;
  void accept();

 private:
  void keep_others();
  /// What is in the older folder only.
  std::vector<std::filesystem::path> others() const;
  void discard();

  std::filesystem::path target_, path_;
  std::vector<std::unique_ptr<TemporaryName>> names_;
  bool exchanged_;  ///< not file by file
};

/// Creates the folder and its parents, and makes that permanent.
void make_folders(const std::filesystem::path& folder);

/// make_folders(), and proves that a file can be written in it.
void ensure_writable_folder(const std::filesystem::path& folder);

/// Removes a file, or a folder with all that is in it, if it exists.
void remove_tree(const std::filesystem::path& path);

/// Removes what killed processes left in the folder: temporaries of PendingFile and PendingFolder whose
/// process is no more.
void remove_temporaries_in(const std::filesystem::path& folder);

/// Appends whole lines to a log file (metrics.jsonl), each by one write.
class LineAppender {
 public:
  explicit LineAppender(const std::filesystem::path& path);
  ~LineAppender();
  LineAppender(const LineAppender&) = delete;
  LineAppender& operator=(const LineAppender&) = delete;
  /// All of the line or, after an io error, nothing.
  void append(std::string_view line);
  std::uint64_t size() const;
  /// Makes the lines so far permanent.
  void sync();
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

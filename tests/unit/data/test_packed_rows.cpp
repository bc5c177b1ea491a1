#include "data/packed_rows.h"
#include "support/errors.h"

using namespace lora;
using lora::test::require_error;

namespace {

EncodedSet sample_set() {
  EncodedSet set;
  EncodedRow text{{5, 6, 7}, {-100, 6, 7}, {}, -1, 0, 3};
  EncodedRow typed{{1, 2}, {}, {0, 1}, 4, 2.5, 9};
  set.rows = {text, typed};
  set.report = {Task::classification, 2, 5, 2, 1, 11, 1, 3, 4};
  return set;
}

}  // namespace

TEST_CASE("packed rows: everything about rows and report comes back") {
  const EncodedSet before = sample_set(), after = unpack_rows(pack_rows(before));
  REQUIRE(after.rows.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(after.rows[i].ids == before.rows[i].ids);
    CHECK(after.rows[i].labels == before.rows[i].labels);
    CHECK(after.rows[i].types == before.rows[i].types);
    CHECK(after.rows[i].target == before.rows[i].target);
    CHECK(after.rows[i].value == before.rows[i].value);
    CHECK(after.rows[i].line == before.rows[i].line);
  }
  CHECK(after.report.task == Task::classification);
  CHECK(after.report.summary() == before.report.summary());
  CHECK(pack_rows(after) == pack_rows(before));
}

TEST_CASE("packed rows: bytes that end too early or too late are refused") {
  const std::string bytes = pack_rows(sample_set());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    require_error([&] { unpack_rows(bytes.substr(0, size)); }, ExitCode::internal);
  require_error([&] { unpack_rows(bytes + "x"); }, ExitCode::internal);
}

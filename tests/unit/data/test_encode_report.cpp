#include "lora/data/encode.h"
#include "support/catch.h"

using lora::EncodeReport;

TEST_CASE("encode report: one line with rows, tokens and what was cut or dropped") {
  CHECK(EncodeReport{.rows = 8572, .tokens = 301220, .labelled = 12049}.summary() ==
        "8,572 rows, 301,220 tokens (4.0 % labelled), 0 cut, 0 dropped");
  CHECK(EncodeReport{.rows = 999, .tokens = 1000, .labelled = 990}.summary() ==
        "999 rows, 1,000 tokens (99 % labelled), 0 cut, 0 dropped");
}

TEST_CASE("encode report: reasons are given where there is something to explain") {
  const EncodeReport report{.rows = 1,
                            .tokens = 2000000,
                            .labelled = 20,
                            .cut = 3,
                            .cut_tokens = 1204,
                            .split = 2,
                            .dropped_long = 4,
                            .dropped_empty = 1};
  CHECK(report.summary() ==
        "1 rows, 2,000,000 tokens (0.0 % labelled), 3 cut (1,204 tokens removed), 2 split into windows, "
        "5 dropped (4 too long, 1 without a labelled token)");
}

TEST_CASE("encode report: a classifier has no labelled tokens") {
  CHECK(EncodeReport{.task = lora::Task::classification, .rows = 2, .tokens = 10, .labelled = 2}.summary() ==
        "2 rows, 10 tokens, 0 cut, 0 dropped");
}

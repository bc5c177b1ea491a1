#include "train/progress.h"

#include "support/catch.h"

using namespace lora;

TEST_CASE("progress: a line tells step, loss, speed, peak and what is left") {
  const ProgressState state{40, 200, 2.1134, "nats/token", 612.4, 1181116006, 20};
  CHECK(progress_text(state) == "step 40/200  loss 2.113 nats/token  612 tok/s  peak 1.1 GiB  1m20s left");
}

TEST_CASE("progress: no estimate from the first updates, none at the end") {
  CHECK(progress_text({2, 200, 1, "nats/token", 1, 0, 10}).find("left") == std::string::npos);
  CHECK(progress_text({200, 200, 1, "nats/token", 1, 0, 10}).find("left") == std::string::npos);
}

TEST_CASE("progress: the bar fills with the steps and never overflows") {
  CHECK(progress_bar(0, 4, 8) == "[........]");
  CHECK(progress_bar(1, 4, 8) == "[##......]");
  CHECK(progress_bar(4, 4, 8) == "[########]");
  CHECK(progress_bar(9, 4, 8) == "[########]");
}

#include "data/sequence.h"
#include "support/catch.h"

using lora::cut_before_answer;
using lora::last_run;
using lora::merge_front;
using lora::Sequence;
using lora::TokenIds;
using lora::windows;

namespace {

/// [0] 1 2 .. (prompt) 11 12 .. (answer); bos 0 if `head`.
Sequence sequence_of(std::size_t head, std::int32_t prompt, std::int32_t answer) {
  Sequence sequence;
  sequence.head = head;
  if (head) sequence.append({0}, false);
  for (std::int32_t i = 1; i <= prompt; ++i) sequence.append({i}, false);
  sequence.answer = sequence.size();
  for (std::int32_t i = 11; i <= 10 + answer; ++i) sequence.append({i}, true);
  return sequence;
}

Sequence text_of(std::size_t head, std::int32_t length) {
  Sequence sequence = sequence_of(head, 0, length);
  sequence.labels = sequence.ids;
  return sequence;
}

}  // namespace

TEST_CASE("sequence: cutting removes the prompt's left and keeps bos and answer") {
  Sequence sequence = sequence_of(1, 4, 2);
  REQUIRE(cut_before_answer(sequence, 5));
  CHECK(sequence.ids == TokenIds{0, 3, 4, 11, 12});
  CHECK(sequence.labels == TokenIds{-100, -100, -100, 11, 12});
  CHECK(sequence.answer == 3);
}

TEST_CASE("sequence: every cut that is possible keeps the whole answer predictable") {
  for (std::size_t head : {0u, 1u}) {
    for (std::int32_t prompt = 0; prompt <= 5; ++prompt) {
      for (std::int32_t answer = 1; answer <= 4; ++answer) {
        for (std::size_t max_length = 2; max_length <= 12; ++max_length) {
          const Sequence whole = sequence_of(head, prompt, answer);
          Sequence cut = whole;
          const bool fits = cut_before_answer(cut, max_length);
          const std::size_t before = std::min<std::size_t>(1, head + static_cast<std::size_t>(prompt));
          CHECK(fits == (whole.size() <= max_length ||
                         (before == 1 && static_cast<std::size_t>(answer) + 1 <= max_length)));
          if (!fits) {
            CHECK(cut.ids == whole.ids);
            continue;
          }
          CHECK(cut.size() == std::min(whole.size(), max_length));
          CHECK(TokenIds(cut.ids.end() - answer, cut.ids.end()) ==
                TokenIds(whole.ids.end() - answer, whole.ids.end()));
          CHECK(cut.ids.front() == (head ? 0 : cut.ids.front()));
          CHECK(cut.answer + static_cast<std::size_t>(answer) == cut.size());
        }
      }
    }
  }
}

TEST_CASE("sequence: windows hold each id once behind bos") {
  const auto pieces = windows(text_of(1, 5), 3);
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[0].ids == TokenIds{0, 11, 12});
  CHECK(pieces[1].ids == TokenIds{0, 13, 14});
  CHECK(pieces[2].ids == TokenIds{0, 15});
}

TEST_CASE("sequence: windows without bos overlap by the one id that predicts the next") {
  const auto pieces = windows(text_of(0, 5), 3);
  REQUIRE(pieces.size() == 2);
  CHECK(pieces[0].ids == TokenIds{11, 12, 13});
  CHECK(pieces[1].ids == TokenIds{13, 14, 15});
  CHECK(pieces[1].labels == TokenIds{-100, 14, 15});
}

TEST_CASE("sequence: windows of any size predict every id of the text exactly once") {
  for (std::size_t head : {0u, 1u}) {
    for (std::int32_t length = 1; length <= 9; ++length) {
      for (std::size_t max_length = 2; max_length <= 11; ++max_length) {
        const Sequence text = text_of(head, length);
        TokenIds predicted;
        for (const Sequence& piece : windows(text, max_length)) {
          CHECK(piece.size() <= max_length);
          for (std::size_t i = 1; i < piece.size(); ++i) {
            CHECK(piece.labels[i] == piece.ids[i]);
            predicted.push_back(piece.ids[i]);
          }
        }
        CHECK(predicted == TokenIds(text.ids.begin() + 1, text.ids.end()));
      }
    }
  }
}

TEST_CASE("sequence: equal ids at the front become one head") {
  Sequence sequence;
  sequence.append({0, 0, 0, 7}, true);
  sequence.answer = 3;
  merge_front(sequence, 3);
  CHECK(sequence.ids == TokenIds{0, 7});
  CHECK(sequence.labels == TokenIds{0, 7});
  CHECK(sequence.head == 1);
  CHECK(sequence.answer == 1);
  merge_front(sequence, 0);
  CHECK(sequence.head == 0);
}

TEST_CASE("sequence: the last run of true values is found") {
  CHECK(last_run({false, true, false, true, true, false}) == 3);
  CHECK(last_run({true, true}) == 0);
  CHECK(last_run({false, false}) == 2);
  CHECK(last_run({}) == 0);
}

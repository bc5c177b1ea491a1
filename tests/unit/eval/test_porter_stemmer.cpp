#include "eval/metrics/porter_stemmer.h"
#include "support/catch.h"

using lora::porter_stem;

TEST_CASE("porter stemmer: the examples of the paper's steps") {
  struct Example {
    const char *word, *stem;
  };
  // Each through all steps, so that a later step may shorten what the paper shows of an earlier one.
  const Example examples[] = {{"caresses", "caress"},
                              {"ponies", "poni"},
                              {"ties", "ti"},
                              {"cats", "cat"},
                              {"feed", "feed"},
                              {"agreed", "agre"},
                              {"plastered", "plaster"},
                              {"bled", "bled"},
                              {"motoring", "motor"},
                              {"sing", "sing"},
                              {"conflated", "conflat"},
                              {"troubled", "troubl"},
                              {"sized", "size"},
                              {"hopping", "hop"},
                              {"tanned", "tan"},
                              {"falling", "fall"},
                              {"hissing", "hiss"},
                              {"fizzed", "fizz"},
                              {"failing", "fail"},
                              {"filing", "file"},
                              {"happy", "happi"},
                              {"sky", "sky"},
                              {"relational", "relat"},
                              {"rational", "ration"},
                              {"triplicate", "triplic"},
                              {"formative", "form"},
                              {"hopeful", "hope"},
                              {"goodness", "good"},
                              {"revival", "reviv"},
                              {"allowance", "allow"},
                              {"adoption", "adopt"},
                              {"replacement", "replac"},
                              {"probate", "probat"},
                              {"rate", "rate"},
                              {"cease", "ceas"},
                              {"controlling", "control"},
                              {"roll", "roll"},
                              {"generalizations", "gener"},
                              {"oscillators", "oscil"}};
  for (const Example& example : examples) {
    INFO(example.word);
    CHECK(porter_stem(example.word) == example.stem);
  }
}

TEST_CASE("porter stemmer: short words and what is no letter stay") {
  CHECK(porter_stem("is") == "is");
  CHECK(porter_stem("").empty());
  CHECK(porter_stem("3.5") == "3.5");
  CHECK(porter_stem("caf\xC3\xA9s") == "caf\xC3\xA9");
}

TEST_CASE("porter stemmer: the author's changes to the paper") {
  CHECK(porter_stem("possibly") == "possibl");
  CHECK(porter_stem("archaeology") == "archaeolog");
}

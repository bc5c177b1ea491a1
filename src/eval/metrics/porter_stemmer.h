#pragma once

#include <string>

namespace lora {

/// Stem of a word in lower case by the algorithm of Porter (1980), "An algorithm for suffix stripping", with
/// the three changes of its author's own program: words of up to two letters stay, BLI becomes BLE (the
/// paper: ABLI, ABLE), LOGI becomes LOG. nltk calls this MARTIN_EXTENSIONS; its default changes more.
std::string porter_stem(const std::string& word);

}  // namespace lora

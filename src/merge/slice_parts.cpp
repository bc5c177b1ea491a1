#include "merge/slice_parts.h"

#include <ATen/ATen.h>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

std::vector<SlicePart> parts_of(const ModuleUpdate& update, const AdapterFolder& folder) {
  const auto found = folder.blocks.find(update.module);
  if (found == folder.blocks.end()) return {{"", update.A, update.B}};
  std::vector<SlicePart> parts;
  std::int64_t begin = 0;
  for (const RankBlock& block : found->second) {
    if (block.rank > update.A.size(0) - begin) break;
    parts.push_back(
        {block.slice, update.A.narrow(0, begin, block.rank), update.B.narrow(1, begin, block.rank)});
    begin += block.rank;
  }
  if (begin == update.A.size(0) && parts.size() == found->second.size()) return parts;
  throw Error(ExitCode::file,
              cat(folder.path.string(), ": the ranks of lora.blocks for ", printable(update.module),
                  " do not add up to its rank ", update.A.size(0)),
              "the file is damaged or was edited: take a good copy");
}

ModuleUpdate join_parts(ModuleUpdate like, const std::vector<SlicePart>& parts, double scale) {
  std::vector<at::Tensor> down, up;
  for (const SlicePart& part : parts) {
    down.push_back(part.A);
    up.push_back(part.B);
  }
  like.A = at::cat(down, 0).to(at::kFloat).contiguous();
  like.B = at::cat(up, 1).to(at::kFloat).contiguous();
  like.config.rank = like.A.size(0);
  like.config.set_scale(scale);
  return like;
}

std::vector<RankBlock> blocks_of(const std::vector<SlicePart>& parts) {
  if (parts.size() == 1 && parts.front().slice.empty()) return {};
  std::vector<RankBlock> blocks;
  for (const SlicePart& part : parts) blocks.push_back({part.slice, part.A.size(0)});
  return blocks;
}

}  // namespace lora

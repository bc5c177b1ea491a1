#include "lora/merge/convert.h"

#include <ATen/ATen.h>

#include <iostream>

#include "base/json.h"
#include "base/report_text.h"
#include "lora/base/text.h"
#include "lora/config/check.h"
#include "merge/adapter_format.h"
#include "merge/output_path.h"

namespace lora {
namespace {

Json conversion_json(const ConvertConfig& config, const AdapterFormat& from, const AdapterFolder& adapter) {
  const auto updates = module_updates(adapter);
  Json modules = Json::array();
  for (const ModuleUpdate& update : updates)
    modules.push_back({{"module", update.module}, {"rank", update.config.rank}, {"scale", update.scale()}});
  return {{"input", config.input},
          {"from", from.name},
          {"to", config.to},
          {"out", config.out},
          {"modules", modules}};
}

std::string conversion_text(const ConvertConfig& config, const AdapterFormat& from,
                            const AdapterFolder& adapter) {
  const MethodConfig& usual = adapter.config.defaults;
  std::string text = cat("converted ", printable(config.input), " (", from.name, ") to ",
                         printable(config.out), " (", config.to, "): ", module_updates(adapter).size(),
                         " modules, rank ", usual.rank, ", scale ", significant(usual.scale(), 6), "\n");
  if (config.to == "loralib")
    text += cat("loralib does not store them: load it with lora_alpha / r = ", significant(usual.scale(), 6),
                "\n");
  return text;
}

}  // namespace

int convert(const ConvertConfig& config) {
  check_config(config);
  const AdapterFormat &from = find_format(config.from, config.input),
                      &to = find_format(config.to, config.out);
  const OutputKind kind = !to.is_folder         ? OutputKind::file
                          : config.to == "peft" ? OutputKind::adapter
                                                : OutputKind::folder;
  check_output({config.out, kind}, {config.input}, config.overwrite);
  AdapterFolder adapter = from.read(config.input, config);
  if (!config.base_name.empty()) adapter.provenance.base_name = config.base_name;
  to.write(config.out, adapter, config);
  std::cout << (config.json ? conversion_json(config, from, adapter).dump(2) + "\n"
                            : conversion_text(config, from, adapter))
            << std::flush;
  return 0;
}

}  // namespace lora

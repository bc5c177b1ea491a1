#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/adapter/adapter.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/checkpoint/safetensors.h"
#include "lora/config/train_config.h"
#include "lora/model/program.h"
#include "lora/train/optimizer.h"
#include "train/loss_scale.h"

namespace lora {

class BoundaryStore;

/// What a training changes: an adapter on a frozen program, or every floating-point parameter of it. The
/// trained tensors live in the optimizer's flat buffer and in no second place.
class Trainee {
 public:
  /// Chooses targets and creates the adapter; `prepare` may give it other initial values and ranks. `program`
  /// must outlive the trainee.
  Trainee(const TrainConfig& config, Program& program, const std::function<void(Adapter&)>& prepare = {});
  ~Trainee();
  Trainee(const Trainee&) = delete;
  Trainee& operator=(const Trainee&) = delete;

  const Executable& executable() const { return *executable_; }
  AdamW& optimizer() { return *optimizer_; }
  LossScale& loss_scale() { return loss_scale_; }
  bool is_full() const { return full_; }
  const Adapter& adapter() const { return adapter_; }
  std::int64_t parameter_count() const;

  /// Lets the outputs of a regressor whose head starts untrained begin around `value`, by the head's bias, if
  /// it has one that is trained. From zero, Adam first moves everything that is trained in the direction of
  /// larger outputs, and adapters end up with outputs that do not depend on the text.
  void start_outputs_at(double value);

  /// Where activations are kept; null if nowhere.
  BoundaryStore* boundary_store() const { return boundary_store_.get(); }
  void use_boundary_store(std::unique_ptr<BoundaryStore> store);

  /// Switches dropout.
  void set_training(bool training) { training_ = training; }

  /// Everything that training changes or drew at random: the optimizer's state, initial factors that are
  /// subtracted, the loss scale.
  TensorMap state() const;
  /// mismatch error if another set of tensors was trained.
  void restore(const TensorMap& state);

  /// Writes the adapter folder, or the model file, atomically; returns the bytes of its tensors.
  std::uint64_t save(const std::filesystem::path& adapter_folder, const std::filesystem::path& model_file,
                     const AdapterProvenance& provenance, const std::string& card) const;

 private:
  void create_adapter_for(const TrainConfig& config);
  void start_from(const TrainConfig& config);
  void collect_weights();
  void write_model(const std::filesystem::path& file, const AdapterProvenance& provenance) const;

  struct FullWeight {
    std::string path;
    at::ScalarType dtype;  ///< in the file; trained in float32
    at::Tensor value;
  };

  Program& program_;
  bool full_ = false;
  bool training_ = false;
  Adapter adapter_;
  std::vector<FullWeight> weights_;
  std::unique_ptr<AdamW> optimizer_;
  LossScale loss_scale_;
  std::optional<Executable> executable_;
  std::unique_ptr<BoundaryStore> boundary_store_;
};

}  // namespace lora

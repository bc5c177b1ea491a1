#pragma once

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace lora {

/// The node that makes `value` if it is one of these; null otherwise.
torch::jit::Node* made_by(const torch::jit::Value* value, std::initializer_list<std::string_view> kinds);

/// What a chain of casts starts from.
torch::jit::Value* before_casts(torch::jit::Value* value);

/// The only user of a value if it is one of these; null otherwise.
torch::jit::Node* only_user(const torch::jit::Value* value, std::initializer_list<std::string_view> kinds);

/// The other operand of a commutative node of two tensors.
torch::jit::Value* other_operand(const torch::jit::Node* node, const torch::jit::Value* value);

/// A constant number, whole or not.
std::optional<double> constant_number(const torch::jit::Value* value);

std::vector<torch::jit::Value*> list_elements(const torch::jit::Value* list);

/// Nodes of the top block of this kind, in order; safe against changes of the graph.
std::vector<torch::jit::Node*> nodes_of_kind(torch::jit::Graph& graph, std::string_view kind);

/// Registers an operation; call it once, from a static initialiser. Functional: neither writes nor aliases.
c10::Symbol register_operation(const char* schema, torch::jit::Operation operation);

/// A node in front of `place`; its output is a tensor.
torch::jit::Node* insert_before(torch::jit::Node* place, c10::Symbol symbol,
                                const std::vector<torch::jit::Value*>& inputs);

}  // namespace lora

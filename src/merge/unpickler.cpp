#include "merge/unpickler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/pickle_cursor.h"
#include "lora/base/text.h"

namespace lora {
namespace {

using Value = PickledValue;
using Values = PickledValues;

constexpr std::string_view kRebuildTensor = "torch._utils _rebuild_tensor_v2",
                           kRebuildParameter = "torch._utils _rebuild_parameter",
                           kDictionary = "collections OrderedDict";

/// A tensor's storage, offset, shape and stride.
using TensorPlace =
    std::tuple<std::string_view, std::int64_t, std::vector<std::int64_t>, std::vector<std::int64_t>>;

/// Values are views of the pickle, and live no longer than the machine.
class Unpickler {
 public:
  Unpickler(std::string_view code, const std::map<std::string, std::string_view>& entries,
            const std::string& prefix, const std::string& place)
      : cursor_(
            code, cat(place, ": its pickle is refused"),
            "only dictionaries of tensors are read: save them with torch.save(lora_state_dict(model), path)"),
        entries_(entries),
        prefix_(prefix) {
    for (const auto& [name, bytes] : entries) room_ += bytes.size();
  }
  /// Containers may hold themselves.
  ~Unpickler() {
    for (const auto& items : containers_) items->clear();
  }
  Unpickler(const Unpickler&) = delete;
  Unpickler& operator=(const Unpickler&) = delete;

  Value run() {
    for (;;) {
      const auto opcode = static_cast<unsigned char>(cursor_.take(1)[0]);
      if (opcode == '.') break;
      step(opcode);
      if (++steps_ > kMostPickledValues) fail(cat("it has more than ", kMostPickledValues, " operations"));
    }
    return pop();
  }

 private:
  using Kind = Value::Kind;

  [[noreturn]] void fail(const std::string& what) const { cursor_.fail(what); }

  Value pop() {
    if (stack_.empty() || stack_.back().kind == Kind::mark) fail("its stack is empty");
    Value value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }
  Value& top() {
    if (stack_.empty() || stack_.back().kind == Kind::mark) fail("its stack is empty");
    return stack_.back();
  }
  void push(Value value) { stack_.push_back(std::move(value)); }
  void push_integer(std::int64_t value) { push({Kind::integer, value, {}}); }
  void push_text(std::string_view text) { push({Kind::text, 0, text}); }
  void push_items(Kind kind, Values items) {
    containers_.push_back(std::make_shared<Values>(std::move(items)));
    push({kind, 0, {}, containers_.back()});
  }

  /// What was pushed since the last mark.
  Values since_mark() {
    const auto mark = std::find_if(stack_.rbegin(), stack_.rend(),
                                   [](const Value& value) { return value.kind == Kind::mark; });
    if (mark == stack_.rend()) fail("it has no mark");
    Values values(std::make_move_iterator(mark.base()), std::make_move_iterator(stack_.end()));
    stack_.erase(mark.base() - 1, stack_.end());
    return values;
  }
  void tuple(std::size_t size) {
    Values values(size);
    for (std::size_t i = size; i-- > 0;) values[i] = pop();
    push_items(Kind::sequence, std::move(values));
  }
  void remember(std::uint32_t number) { memo_[number] = top(); }
  void recall(std::uint32_t number) {
    const auto found = memo_.find(number);
    if (found == memo_.end()) fail("it recalls what it has not stored");
    push(found->second);
  }

  void step(unsigned char opcode) {
    switch (opcode) {
      case 0x80:
        cursor_.take(1);
        return;  // PROTO
      case '}':
        return push_items(Kind::dictionary, {});  // EMPTY_DICT
      case ']':
      case ')':
        return push_items(Kind::sequence, {});  // EMPTY_LIST, EMPTY_TUPLE
      case '(':
        return push({Kind::mark, 0, {}});  // MARK
      case 't':
      case 'l':
        return push_items(Kind::sequence, since_mark());  // TUPLE, LIST
      case 0x85:
        return tuple(1);
      case 0x86:
        return tuple(2);
      case 0x87:
        return tuple(3);
      case 'X':
        return push_text(cursor_.take(cursor_.number<std::uint32_t>()));  // BINUNICODE
      case 0x8c:
        return push_text(cursor_.take(cursor_.number<std::uint8_t>()));  // SHORT_BINUNICODE
      case 'J':
        return push_integer(cursor_.number<std::int32_t>());  // BININT
      case 'K':
        return push_integer(cursor_.number<std::uint8_t>());
      case 'M':
        return push_integer(cursor_.number<std::uint16_t>());
      case 0x8a:
        return long_integer();
      case 'G':
        cursor_.take(8);
        return push({});  // BINFLOAT: no number that is needed
      case 'N':
        return push({});  // NONE
      case 0x88:
        return push_integer(1);
      case 0x89:
        return push_integer(0);
      case 'q':
        return remember(cursor_.number<std::uint8_t>());  // BINPUT
      case 'r':
        return remember(cursor_.number<std::uint32_t>());
      case 'h':
        return recall(cursor_.number<std::uint8_t>());  // BINGET
      case 'j':
        return recall(cursor_.number<std::uint32_t>());
      case 'c':
        return global();
      case 'Q':
        return persistent();
      case 'R':
        return reduce();
      case 'b':
        return build();
      case 's':
        return set_items(2);
      case 'u':
        return put_items(since_mark());
      case 'a':
        return append({pop()});
      case 'e':
        return append(since_mark());
      default:
        fail(cat("operation ", static_cast<int>(opcode), " is not needed for tensors"));
    }
  }

  void long_integer() {
    const auto size = cursor_.number<std::uint8_t>();
    if (size > 8) fail("a number is too long");
    const std::string_view bytes = cursor_.take(size);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    const bool negative = size > 0 && (bytes.back() & 0x80) != 0;
    if (negative && size < 8) value |= ~std::uint64_t{0} << (8 * size);
    push_integer(static_cast<std::int64_t>(value));
  }

  void global() {
    const std::string_view module = cursor_.line(), name = cursor_.line();
    const std::string both = cat(module, " ", name);
    for (const StorageKind& kind : kStorages) {
      if (both == cat("torch ", kind.name)) return push({Kind::global, 0, kind.name, {}, &kind});
    }
    for (std::string_view known : {kRebuildTensor, kRebuildParameter, kDictionary}) {
      if (both == known) return push({Kind::global, 0, known});
    }
    fail(cat("it asks for \"", printable(module), ".", printable(name), "\""));
  }

  /// ("storage", class, key, device, elements)
  void persistent() {
    const Value id = pop();
    if (id.kind != Kind::sequence || id.items->size() != 5) fail("a storage has another form");
    const Values& parts = *id.items;
    if (parts[0].text != "storage" || !parts[1].storage || parts[2].kind != Kind::text)
      fail("a storage has another form");
    push({Kind::storage, 0, parts[2].text, {}, parts[1].storage});
  }

  void reduce() {
    const Value arguments = pop(), function = pop();
    if (function.kind != Kind::global || arguments.kind != Kind::sequence)
      fail("it calls what is no known function");
    if (function.text == kDictionary) {
      if (!arguments.items->empty()) fail("a dictionary has another form");
      return push_items(Kind::dictionary, {});
    }
    if (function.text == kRebuildParameter) {
      if (arguments.items->empty() || arguments.items->front().kind != Kind::tensor)
        fail("a parameter has another form");
      return push(arguments.items->front());
    }
    if (function.text != kRebuildTensor) fail("it calls what is no known function");
    rebuild_tensor(*arguments.items);
  }

  /// An object's state ("_metadata" of a state dict) says nothing about tensors.
  void build() {
    pop();
    if (top().kind != Kind::dictionary) fail("it sets the state of something else than a dictionary");
  }

  std::vector<std::int64_t> integers(const Value& value) const {
    if (value.kind != Kind::sequence) fail("a shape has another form");
    std::vector<std::int64_t> numbers;
    for (const Value& item : *value.items) {
      if (item.kind != Kind::integer || item.integer < 0) fail("a shape has another form");
      numbers.push_back(item.integer);
    }
    return numbers;
  }

  /// (storage, offset, size, stride, requires_grad, hooks)
  void rebuild_tensor(const Values& arguments) {
    if (arguments.size() < 4 || arguments[0].kind != Kind::storage || arguments[1].kind != Kind::integer)
      fail("a tensor has another form");
    const auto entry = entries_.find(cat(prefix_, "data/", arguments[0].text));
    if (entry == entries_.end()) fail(cat("storage \"", printable(arguments[0].text), "\" is missing"));
    const at::ScalarType type = arguments[0].storage->type;
    const std::vector<std::int64_t> shape = integers(arguments[2]), stride = integers(arguments[3]);
    const auto width = static_cast<std::int64_t>(at::elementSize(type));
    const std::int64_t stored = static_cast<std::int64_t>(entry->second.size()) / width;
    if (shape.size() != stride.size() || !fits(shape, stride, arguments[1].integer, stored))
      fail("a tensor leaves its storage");
    const at::Tensor view =
        storage(entry->first, entry->second, type).as_strided(shape, stride, arguments[1].integer);
    push({Kind::tensor, 0, {}, {}, nullptr, own(view, {entry->first, arguments[1].integer, shape, stride})});
  }

  /// The archive's bytes are only borrowed, and may be anywhere.
  const at::Tensor& storage(const std::string& name, std::string_view bytes, at::ScalarType type) {
    at::Tensor& copy = storages_[name];
    if (!copy.defined()) {
      copy = at::empty({static_cast<std::int64_t>(bytes.size() / at::elementSize(type))}, at::dtype(type));
      if (copy.numel() > 0) std::memcpy(copy.data_ptr(), bytes.data(), copy.nbytes());
    }
    if (copy.scalar_type() != type) fail("a storage has two types");
    return copy;
  }

  /// A tensor that keeps no larger storage alive; the same for the same place. All tensors that are parts
  /// take no more than the archive, unless it is made to do harm.
  at::Tensor own(const at::Tensor& view, TensorPlace place) {
    if (view.is_contiguous() && view.nbytes() == view.storage().nbytes()) return view;
    at::Tensor& part = parts_[std::move(place)];
    if (part.defined()) return part;
    if (view.nbytes() > room_) fail("its tensors are larger than the file");
    room_ -= view.nbytes();
    return part = view.clone(at::MemoryFormat::Contiguous);
  }

  /// The last element lies within the storage, and there are no more elements than it has.
  static bool fits(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& stride,
                   std::int64_t offset, std::int64_t stored) {
    if (offset < 0 || offset > stored) return false;
    std::int64_t last = offset, count = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 0) return true;
      std::int64_t reach = 0;
      if (__builtin_mul_overflow(shape[i] - 1, stride[i], &reach) ||
          __builtin_add_overflow(last, reach, &last) || __builtin_mul_overflow(count, shape[i], &count))
        return false;
    }
    return last < stored && count <= stored;
  }

  void set_items(std::size_t count) {
    Values values(count);
    for (std::size_t i = count; i-- > 0;) values[i] = pop();
    put_items(std::move(values));
  }
  void put_items(Values values) {
    Value& target = top();
    if (target.kind != Kind::dictionary || values.size() % 2 != 0)
      fail("items are set in something else than a dictionary");
    target.items->insert(target.items->end(), std::make_move_iterator(values.begin()),
                         std::make_move_iterator(values.end()));
  }
  void append(Values values) {
    Value& target = top();
    if (target.kind != Kind::sequence) fail("items are appended to something else than a list");
    target.items->insert(target.items->end(), std::make_move_iterator(values.begin()),
                         std::make_move_iterator(values.end()));
  }

  PickleCursor cursor_;
  const std::map<std::string, std::string_view>& entries_;
  std::string prefix_;
  std::uint64_t room_ = 0;  ///< bytes that parts of storages may still take
  std::size_t steps_ = 0;
  Values stack_;
  std::map<std::uint32_t, Value> memo_;
  std::vector<std::shared_ptr<Values>> containers_;
  std::map<std::string, at::Tensor> storages_;
  std::map<TensorPlace, at::Tensor> parts_;
};

}  // namespace

void unpickle(std::string_view code, const std::map<std::string, std::string_view>& entries,
              const std::string& prefix, const std::string& place,
              const std::function<void(const PickledValue&)>& use) {
  Unpickler unpickler(code, entries, prefix, place);
  use(unpickler.run());
}

}  // namespace lora

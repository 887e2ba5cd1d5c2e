// The TVM runtime module: programs by symbol, called by the Relax VM as f(inputs..., outputs...).
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/reflection/registry.h>

#include <cstring>
#include <map>
#include <mutex>

#include "runtime/session.h"

namespace tvm_aie {
namespace {

namespace ffi = tvm::ffi;

struct Entry {
  std::string symbol;
  std::shared_ptr<const Program> program;
};

// Results of the last call of every symbol in this process, and the options of further calls.
class Profile {
 public:
  static Profile& Global() {
    // Never destroyed: modules may be called while the process shuts down.
    static Profile* const profile = new Profile;
    return *profile;
  }
  RunOptions options() {
    const std::lock_guard lock(mutex_);
    return options_;
  }
  void set_options(const RunOptions& options) {
    const std::lock_guard lock(mutex_);
    options_ = options;
  }
  void Store(const std::string& symbol, const std::shared_ptr<const SessionResult>& result) {
    const std::lock_guard lock(mutex_);
    results_[symbol] = result;
  }
  std::map<std::string, std::shared_ptr<const SessionResult>> results() {
    const std::lock_guard lock(mutex_);
    return results_;
  }
  void Clear() {
    const std::lock_guard lock(mutex_);
    results_.clear();
  }

 private:
  std::mutex mutex_;
  RunOptions options_;
  std::map<std::string, std::shared_ptr<const SessionResult>> results_;
};

// Last results of one module; shared with the functions that it hands out.
struct ModuleState {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const SessionResult>> last;
};

void Call(const Entry& entry, ModuleState& state, ffi::PackedArgs args) {
  std::vector<const DLTensor*> tensors;
  for (int i = 0; i < args.size(); ++i) {
    auto tensor = args[i].try_cast<DLTensor*>();
    if (!tensor.has_value()) {
      TVM_FFI_THROW(TypeError) << entry.symbol << ": argument " << i << " is no tensor but " << args[i].GetTypeKey();
    }
    tensors.push_back(*tensor);
  }
  RunOptions options = Profile::Global().options();
  options.functional = true;  // the VM needs the outputs
  auto result = std::make_shared<const SessionResult>(
      Guarded([&] { return RunOnTensors(*entry.program, tensors, options); }));
  Profile::Global().Store(entry.symbol, result);
  const std::lock_guard lock(state.mutex);
  state.last[entry.symbol] = std::move(result);
}

class Aie2Module : public ffi::ModuleObj {
 public:
  explicit Aie2Module(std::vector<Entry> entries)
      : entries_(std::move(entries)), state_(std::make_shared<ModuleState>()) {}

  const char* kind() const final { return "aie2"; }
  int GetPropertyMask() const final { return ffi::Module::kBinarySerializable | ffi::Module::kRunnable; }

  ffi::Optional<ffi::Function> GetFunction(const ffi::String& name) final {
    const std::string_view wanted(name.data(), name.size());
    const auto state = state_;
    for (const Entry& entry : entries_) {
      if (entry.symbol != wanted) continue;
      return ffi::Function::FromPacked(
          [entry, state](ffi::PackedArgs args, ffi::Any*) { Call(entry, *state, args); });
    }
    if (wanted == "get_symbols") {
      ffi::Array<ffi::String> symbols;
      for (const Entry& entry : entries_) symbols.push_back(ffi::String(entry.symbol));
      return ffi::Function::FromTyped([symbols]() { return symbols; });
    }
    if (wanted == "get_program") {
      const auto entries = entries_;
      return ffi::Function::FromTyped([entries](ffi::String symbol) { return ProgramOf(entries, symbol); });
    }
    if (wanted == "get_last_stats") {
      return ffi::Function::FromTyped([state]() {
        const std::lock_guard lock(state->mutex);
        Dictionary all;
        for (const auto& [symbol, result] : state->last) all.Set(ffi::String(symbol), ToDictionary(*result));
        return all;
      });
    }
    if (wanted == "last_cycles") {
      return ffi::Function::FromTyped([state]() {
        const std::lock_guard lock(state->mutex);
        int64_t cycles = 0;
        for (const auto& [symbol, result] : state->last) cycles += result->cycles;
        return cycles;
      });
    }
    return std::nullopt;
  }

  // u64 count, then {u64 length, symbol, u64 length, program}.
  ffi::Bytes SaveToBytes() const final {
    std::string out;
    const auto number = [&out](uint64_t v) { out.append(reinterpret_cast<const char*>(&v), sizeof v); };
    number(entries_.size());
    for (const Entry& e : entries_) {
      number(e.symbol.size());
      out += e.symbol;
      number(e.program->bytes.size());
      out.append(reinterpret_cast<const char*>(e.program->bytes.data()), e.program->bytes.size());
    }
    return ffi::Bytes(std::move(out));
  }

  static ffi::Module Create(std::vector<Entry> entries) {
    return ffi::Module(ffi::make_object<Aie2Module>(std::move(entries)));
  }

 private:
  static ffi::Bytes ProgramOf(const std::vector<Entry>& entries, const ffi::String& symbol) {
    for (const Entry& e : entries) {
      if (e.symbol != std::string_view(symbol.data(), symbol.size())) continue;
      return ffi::Bytes(reinterpret_cast<const char*>(e.program->bytes.data()), e.program->bytes.size());
    }
    TVM_FFI_THROW(ValueError) << "the module has no program " << std::string(symbol);
    TVM_FFI_UNREACHABLE();
  }

  std::vector<Entry> entries_;
  std::shared_ptr<ModuleState> state_;
};

void AddEntry(std::vector<Entry>& entries, std::string symbol, std::shared_ptr<const Program> program) {
  for (const Entry& e : entries) {
    if (e.symbol == symbol) TVM_FFI_THROW(ValueError) << "symbol " << symbol << " appears twice";
  }
  entries.push_back({std::move(symbol), std::move(program)});
}

ffi::Module CreateModule(const ffi::Array<ffi::String>& symbols, const ffi::Array<ffi::Bytes>& programs) {
  if (symbols.size() != programs.size()) {
    TVM_FFI_THROW(ValueError) << symbols.size() << " symbols, but " << programs.size() << " programs";
  }
  std::vector<Entry> entries;
  for (size_t i = 0; i < symbols.size(); ++i) {
    const ffi::Bytes bytes = programs[static_cast<int64_t>(i)];
    AddEntry(entries, std::string(symbols[static_cast<int64_t>(i)]), Guarded([&] { return Parse(bytes); }));
  }
  return Aie2Module::Create(std::move(entries));
}

// Reads what SaveToBytes writes; the bytes come from a file and are untrusted.
class ModuleReader {
 public:
  explicit ModuleReader(const ffi::Bytes& bytes) : data_(bytes.data()), left_(bytes.size()) {}
  uint64_t Number() {
    uint64_t v;
    std::memcpy(&v, Take(sizeof v), sizeof v);
    return v;
  }
  const char* Take(uint64_t n) {
    if (n > left_) TVM_FFI_THROW(ValueError) << "truncated aie2 module: " << n << " bytes needed, " << left_ << " left";
    const char* at = data_;
    data_ += n;
    left_ -= n;
    return at;
  }
  bool done() const { return left_ == 0; }

 private:
  const char* data_;
  uint64_t left_;
};

ffi::Module LoadModule(const ffi::Bytes& bytes) {
  ModuleReader reader(bytes);
  std::vector<Entry> entries;
  for (uint64_t n = reader.Number(); n > 0; --n) {
    const uint64_t name_size = reader.Number();
    std::string symbol(reader.Take(name_size), name_size);
    const uint64_t size = reader.Number();
    const auto* data = reinterpret_cast<const uint8_t*>(reader.Take(size));
    AddEntry(entries, std::move(symbol), Guarded([&] {
               return std::make_shared<const Program>(LoadProgram(std::vector<uint8_t>(data, data + size)));
             }));
  }
  if (!reader.done()) TVM_FFI_THROW(ValueError) << "aie2 module: bytes after the last program";
  return Aie2Module::Create(std::move(entries));
}

Dictionary LastProfile() {
  Dictionary all;
  for (const auto& [symbol, result] : Profile::Global().results()) {
    all.Set(ffi::String(symbol), ToDictionary(*result));
  }
  return all;
}

}  // namespace

TVM_FFI_STATIC_INIT_BLOCK() {
  namespace refl = tvm::ffi::reflection;
  refl::GlobalDef()
      .def("tvm_aie.runtime.create", CreateModule)
      .def("ffi.Module.load_from_bytes.aie2", LoadModule)
      .def("tvm_aie.runtime.last_profile", LastProfile)
      .def("tvm_aie.runtime.clear_profile", []() { Profile::Global().Clear(); })
      .def("tvm_aie.runtime.set_options",
           [](const Dictionary& options) { Profile::Global().set_options(ParseOptions(options)); });
}

}  // namespace tvm_aie

// The replay of a command stream as a TVM-FFI function: tvm_aie.cost.replay.
#include <tvm/ffi/reflection/registry.h>

#include <map>

#include "runtime/cursor.h"
#include "runtime/session.h"
#include "tvm_aie/replay.h"

namespace tvm_aie {
namespace {

namespace ffi = tvm::ffi;

constexpr int64_t kMost = int64_t{1} << 24;

ReplayMachine Machine(Cursor<int64_t>* ints, Cursor<double>* reals) {
  ReplayMachine m;
  for (int64_t* field : {&m.cols, &m.rows, &m.a_slots, &m.o_slots, &m.w_slots, &m.w_slot_bytes, &m.memtile_slot_bytes,
                         &m.memtile_slots}) {
    *field = ints->Next();
    if (*field < 1 || *field > kMost) TVM_FFI_THROW(ValueError) << "replay: a size of " << *field;
  }
  for (double* field : {&m.a_slot, &m.o_slot, &m.w_slot, &m.load_slot, &m.lock_word, &m.opcode, &m.push_idle,
                        &m.push_queued, &m.bd_write, &m.lock_write, &m.load_words, &m.load_task, &m.load_first}) {
    *field = reals->Next();
  }
  m.ddr_words = reals->Take(m.cols);
  for (int64_t c = 0; c < m.cols; ++c) {
    if (!(m.ddr_words[c] > 0 && m.load_words > 0)) TVM_FFI_THROW(ValueError) << "replay: DDR without words";
  }
  m.w_column = ints->Take(m.rows);
  for (int64_t r = 0; r < m.rows; ++r) {
    if (m.w_column[r] < 0 || m.w_column[r] >= m.cols) TVM_FFI_THROW(ValueError) << "replay: weights of no column";
  }
  return m;
}

ReplayColumn Column(const ReplayMachine& m, int64_t messages, Cursor<int64_t>* ints, Cursor<double>* reals) {
  ReplayColumn column;
  column.events.resize(static_cast<size_t>(ints->Count(kMost)));
  std::map<int64_t, int64_t> count;
  for (ReplayEvent& event : column.events) {
    event.op = ints->Count(ReplayEvent::kSkipO);
    event.opcodes = ints->Count(kMost);
    ++count[event.op];
  }
  if (column.events.empty() || column.events.back().op != ReplayEvent::kEnd || count[ReplayEvent::kEnd] != 1) {
    TVM_FFI_THROW(ValueError) << "replay: opcodes without an end";
  }
  if (count[ReplayEvent::kAcqW] != messages || count[ReplayEvent::kRelW] != messages) {
    TVM_FFI_THROW(ValueError) << "replay: opcodes take " << count[ReplayEvent::kAcqW] << " of " << messages
                              << " weight messages";
  }
  column.kernels = count[ReplayEvent::kKernel];
  column.outputs = count[ReplayEvent::kRelO];
  column.inputs = count[ReplayEvent::kAcqA];
  column.o_size = ints->Take(column.outputs * m.rows);
  for (int64_t i = 0; i < column.outputs * m.rows; ++i) {
    if (column.o_size[i] < 0 || column.o_size[i] > m.o_slots) TVM_FFI_THROW(ValueError) << "replay: output of no ring";
  }
  column.a_size = ints->Take(column.inputs);
  for (int64_t i = 0; i < column.inputs; ++i) {
    if (column.a_size[i] < 1 || column.a_size[i] > m.a_slots) TVM_FFI_THROW(ValueError) << "replay: activations of no ring";
  }
  column.kernel = reals->Take(column.kernels * m.rows);
  column.a_extra = reals->Take(column.inputs);
  column.o_extra = reals->Take(column.outputs * m.rows);
  column.o_tail = reals->Take(m.rows);
  return column;
}

ReplayLoad Load(const ReplayMachine& m, Cursor<int64_t>* ints, Cursor<double>* reals) {
  ReplayLoad load;
  load.messages = ints->Count(kMost);
  load.a_slots = ints->Next();
  if (load.a_slots < 1 || load.a_slots > m.a_slots) TVM_FFI_THROW(ValueError) << "replay: activations of no ring";
  load.w_size = ints->Take(m.rows * load.messages);
  for (int64_t i = 0; i < m.rows * load.messages; ++i) {
    if (load.w_size[i] < 1 || load.w_size[i] > m.w_slots) TVM_FFI_THROW(ValueError) << "replay: weights of no ring";
  }
  for (int64_t c = 0; c < m.cols; ++c) load.columns.push_back(Column(m, load.messages, ints, reals));
  return load;
}

// ints: machine, loads, items, tasks per channel, commands; reals: machine, loads. Returns rows (end, pushes, idle
// pushes, descriptors written, cycles waited) of all items, or nothing where a command waits forever.
ffi::Tensor ReplayFfi(const ffi::Tensor& int_tensor, const ffi::Tensor& real_tensor) {
  return Guarded([&] {
    Cursor<int64_t> ints(int_tensor, kDLInt, "replay");
    Cursor<double> reals(real_tensor, kDLFloat, "replay");
    const ReplayMachine machine = Machine(&ints, &reals);
    std::vector<ReplayLoad> loads(static_cast<size_t>(ints.Count(kMost)));
    for (ReplayLoad& load : loads) load = Load(machine, &ints, &reals);
    std::vector<ReplayItem> items(static_cast<size_t>(ints.Count(kMost)));
    for (ReplayItem& item : items) {
      item.load = ints.Count(static_cast<int64_t>(loads.size()) - 1);
      item.head = ints.Take(machine.cols);
      item.ride = ints.Take(machine.cols);
    }
    std::vector<std::vector<ReplayTask>> tasks(static_cast<size_t>(ints.Count(kMost)));
    if (static_cast<int64_t>(tasks.size()) < machine.cols * (2 + machine.rows)) {
      TVM_FFI_THROW(ValueError) << "replay: " << tasks.size() << " channels";
    }
    const int64_t loading = machine.cols * (1 + machine.rows);
    for (size_t i = 0; i < tasks.size(); ++i) {
      tasks[i].resize(static_cast<size_t>(ints.Count(kMost)));
      const auto number = static_cast<int64_t>(i);
      const bool loads_first = number >= loading && number < loading + machine.cols;
      for (ReplayTask& task : tasks[i]) {
        task.upto = ints.Count(kMost);
        task.kind = ints.Next();
        task.item = ints.Next();
        if ((task.kind == ReplayTask::kFirstLoad && !loads_first) ||
            (task.kind == ReplayTask::kWeights && task.upto >= machine.rows) ||
            (task.kind == ReplayTask::kRearm && task.upto >= machine.cols)) {
          TVM_FFI_THROW(ValueError) << "replay: channel " << number << " loads what it cannot";
        }
      }
    }
    std::vector<ReplayCommand> commands(static_cast<size_t>(ints.Count(kMost)));
    for (ReplayCommand& command : commands) {
      command.op = ints.Count(ReplayCommand::kLock);
      command.channel = ints.Count(static_cast<int64_t>(tasks.size()) - 1);
      const auto count = static_cast<int64_t>(tasks[static_cast<size_t>(command.channel)].size());
      const bool alone = command.op == ReplayCommand::kWrite || command.op == ReplayCommand::kLock;
      command.task = alone ? ints.Next() : ints.Count(count - 1);
    }
    const std::vector<ReplayItemStats> stats = Replay(machine, loads, items, tasks, commands);
    ffi::Tensor out = HostTensor({static_cast<int64_t>(stats.size()), 5}, {kDLFloat, 64, 1});
    auto* row = static_cast<double*>(out.data_ptr());
    for (const ReplayItemStats& s : stats) {
      for (const double value : {s.end, s.pushes, s.idle, s.writes, s.waited}) *row++ = value;
    }
    return out;
  });
}

}  // namespace

TVM_FFI_STATIC_INIT_BLOCK() {
  namespace refl = tvm::ffi::reflection;
  refl::GlobalDef().def("tvm_aie.cost.replay", ReplayFfi);
}

}  // namespace tvm_aie

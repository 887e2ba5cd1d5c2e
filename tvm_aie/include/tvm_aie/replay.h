// A command stream replayed against a recurrence over messages: an estimate of a program that needs no program.
//
// The command processor on one side; on the other the rings of every core and memtile, advanced message by message as
// far as what has been pushed allows (docs/program.md section 4 has the timing rules). Nothing is moved and no event
// queue exists: times of slots and messages follow from those of earlier ones in (max, +). Cycles are estimated.
#ifndef TVM_AIE_REPLAY_H_
#define TVM_AIE_REPLAY_H_

#include <cstdint>
#include <vector>

namespace tvm_aie {

struct ReplayMachine {
  int64_t cols, rows;
  int64_t a_slots, o_slots, w_slots;        // of the core rings
  int64_t w_slot_bytes, memtile_slot_bytes, memtile_slots;
  double a_slot, o_slot, w_slot;            // cycles of a slot
  double load_slot;                         // cycles in which DDR fills a slot of a memtile's weight ring
  double lock_word, opcode;                 // cycles of a descriptor of the barrier, of an opcode
  double push_idle, push_queued, bd_write, lock_write;  // cycles of commands
  double load_words;                        // words per cycle of one flow from DDR at most
  double load_task, load_first;             // cycles of a task of a shim, and on top of its first
  const double* ddr_words;                  // [cols]: words per cycle that DDR has for flows of 1, 2, ... columns
  const int64_t* w_column;                  // [rows]: column through which a row's weights come
};

// What the cores of a column do with an opcode message, loops unrolled: opcodes as in docs/program.md section 2.
struct ReplayEvent {
  enum Op : int64_t {
    kEnd = 0, kAcqA = 3, kRelA = 4, kAcqW = 5, kRelW = 6, kAcqO = 7, kRelO = 8, kKernel = 9, kSkipO = 11
  };
  int64_t op, opcodes;  // opcodes up to it, itself included
};

struct ReplayColumn {
  std::vector<ReplayEvent> events;
  const double* kernel;    // [kernels][rows]: cycles
  const int64_t* o_size;   // [outputs][rows]: slots of each output message; 0: this row has none
  const int64_t* a_size = nullptr;  // [inputs]: slots of each activation message; null: a_slots
  const double* a_extra;   // [inputs]: cycles of an activation message on top of its slots
  const double* o_extra;   // [outputs][rows]
  const double* o_tail;    // [rows]: cycles of what follows the data in the last output message
  int64_t kernels, outputs, inputs;
};

// What an item puts on the machine; one may serve several items.
struct ReplayLoad {
  int64_t messages, a_slots;  // weight messages of a row; slots of an activation message
  const int64_t* w_size;      // [rows][messages]: slots
  std::vector<ReplayColumn> columns;
};

struct ReplayItem {
  int64_t load;
  const int64_t* head;  // [cols]: slots of the opcode message
  const int64_t* ride;  // [cols]: whether the first activation message carries the barrier's last acquire
};

// Channels: activations of column c: c; outputs of (c, r): cols + c * rows + r; then what loads activations from DDR,
// cols of them, and others. Of these only the weight streams and what is loaded for the first item take time.
struct ReplayTask {
  // kRearm: one end of a column's loads is made ready for the next inference.
  enum Kind : int64_t { kPlain = -1, kFirstLoad = -2, kWeights = -3, kRearm = -4 };
  // Messages of its channel up to the end of the task; words of a first load, row of a weight stream, column of what is
  // armed again.
  int64_t upto;
  int64_t kind;
  int64_t item;  // to which the reports attribute it
};

struct ReplayCommand {
  // kArmed: a task with which the program is loaded, begins. A weight stream has filled its rings by then.
  enum Op : int64_t { kWrite = 0, kPush = 1, kWait = 2, kArmed = 3, kLock = 4 };
  int64_t op, channel, task;
};

struct ReplayItemStats {
  double end = 0;  // of its last kernel or task
  double pushes = 0, idle = 0, writes = 0, waited = 0;
};

// Statistics per item; empty where a command waits for what never ends.
std::vector<ReplayItemStats> Replay(const ReplayMachine& machine, const std::vector<ReplayLoad>& loads,
                                    const std::vector<ReplayItem>& items,
                                    const std::vector<std::vector<ReplayTask>>& tasks,
                                    const std::vector<ReplayCommand>& commands);

}  // namespace tvm_aie

#endif  // TVM_AIE_REPLAY_H_

// The replay of a command stream on machines small enough to be computed by hand; random ones under the sanitizers.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "check.h"
#include "tvm_aie/replay.h"

using namespace tvm_aie;

namespace {

constexpr int64_t kCols = 1, kRows = 1;
const int64_t kOne[] = {1}, kZero[] = {0};

ReplayMachine Small() {
  ReplayMachine m{};
  m.cols = kCols;
  m.rows = kRows;
  m.a_slots = m.o_slots = m.w_slots = 2;
  m.w_slot_bytes = m.memtile_slot_bytes = 512;
  m.memtile_slots = 2;
  m.a_slot = 10;
  m.o_slot = 7;
  m.w_slot = 5;
  m.load_slot = 0;
  m.lock_word = 1;
  m.opcode = 2;
  m.push_idle = 1000;
  m.push_queued = 100;
  m.bd_write = 50;
  static const double one = 1;
  m.load_words = one;
  m.ddr_words = &one;
  m.w_column = kZero;
  return m;
}

// An item that takes `calls` activation messages, one weight message, and sends one output message per call.
struct Item {
  std::vector<double> kernel, extra;
  std::vector<int64_t> sizes;
  int64_t weights = 1;
  ReplayLoad load;

  Item(int64_t calls, double cycles) : kernel(static_cast<size_t>(calls), cycles), extra(kernel.size(), 0.0) {
    sizes.assign(kernel.size(), 1);
    ReplayColumn column;
    column.events.push_back({ReplayEvent::kAcqW, 1});
    for (int64_t k = 0; k < calls; ++k) {
      for (const auto op : {ReplayEvent::kAcqA, ReplayEvent::kAcqO, ReplayEvent::kKernel, ReplayEvent::kRelA,
                            ReplayEvent::kRelO}) {
        column.events.push_back({op, 1});
      }
    }
    column.events.push_back({ReplayEvent::kRelW, 1});
    column.events.push_back({ReplayEvent::kEnd, 1});
    column.kernel = kernel.data();
    column.o_size = sizes.data();
    column.a_extra = column.o_extra = column.o_tail = extra.data();
    column.kernels = column.outputs = column.inputs = calls;
    load.messages = 1;
    load.a_slots = 1;
    load.w_size = &weights;
    load.columns.push_back(column);
  }
};

// Everything pushed at once: opcodes at 1050 and 10 cycles long, then messages of 10 cycles, kernels of 100.
void TestOneItem() {
  const Item item(3, 100.0);
  const std::vector<std::vector<ReplayTask>> tasks = {{{4, -1, 0}}, {{3, -1, 0}}, {}};
  const std::vector<ReplayCommand> commands = {{ReplayCommand::kWrite, 0, 0}, {ReplayCommand::kPush, 1, 0},
                                               {ReplayCommand::kWrite, 0, 0}, {ReplayCommand::kPush, 0, 0}};
  const auto stats = Replay(Small(), {item.load}, {{0, kOne, kZero}}, tasks, commands);
  CHECK(stats.size() == 1, "%zu items", stats.size());
  // Pushes end at 1050 and 2100. Opcodes there at 2110, ACQ_W at 2112; the first message at 2120 and ACQ_A, ACQ_O,
  // KERNEL: 2124 + 100; REL_A, REL_O, then two more calls whose messages wait: 3 x (5 opcodes + 100), from ACQ_O on.
  const double first = 2120 + 4 + 100, last = first + 2 * (10 + 100), sent = last + 4 + 7;
  CHECK(stats[0].end == sent, "end %f, not %f", stats[0].end, sent);
  CHECK(stats[0].pushes == 2 && stats[0].idle == 2 && stats[0].writes == 2, "%f pushes", stats[0].pushes);
}

// An output channel that is pushed late holds the core up as soon as the ring of two slots is full.
void TestLatePush() {
  const Item item(3, 100.0);
  const std::vector<std::vector<ReplayTask>> tasks = {{{4, -1, 0}}, {{3, -1, 0}}, {}};
  std::vector<ReplayCommand> commands = {{ReplayCommand::kPush, 0, 0}};
  for (int i = 0; i < 100; ++i) commands.push_back({ReplayCommand::kWrite, 0, 0});
  commands.push_back({ReplayCommand::kPush, 1, 0});
  const auto stats = Replay(Small(), {item.load}, {{0, kOne, kZero}}, tasks, commands);
  // Pushed at 1000 + 5000 + 1000; the first message is gone at 7007, then KERNEL and the last call.
  const double sent = 7007 + 2 + 100 + 4 + 7;
  CHECK(stats[0].end == sent, "end %f, not %f", stats[0].end, sent);
}

// A wait for what is never pushed has no answer, and no endless loop.
void TestNoAnswer() {
  const Item item(2, 10.0);
  const std::vector<std::vector<ReplayTask>> tasks = {{{3, -1, 0}}, {{2, -1, 0}}, {}};
  const auto stats = Replay(Small(), {item.load}, {{0, kOne, kZero}}, tasks,
                            {{ReplayCommand::kPush, 0, 0}, {ReplayCommand::kWait, 1, 0}});
  CHECK(stats.empty(), "%zu items", stats.size());
}

// What arms a channel of loads again finds it busy while the first loads run. The first opcodes wait for these.
void TestFirstLoads() {
  const Item item(3, 100.0);
  const int64_t words = 500;  // from 1000 to 1500
  const std::vector<std::vector<ReplayTask>> tasks = {
      {{4, -1, 0}}, {{3, -1, 0}}, {{words, ReplayTask::kFirstLoad, 0}, {0, ReplayTask::kRearm, 0}}};
  for (const int writes : {0, 9, 10}) {
    std::vector<ReplayCommand> commands = {{ReplayCommand::kPush, 2, 0}};
    for (int i = 0; i < writes; ++i) commands.push_back({ReplayCommand::kWrite, 0, 0});
    for (const int64_t channel : {2, 1, 0}) commands.push_back({ReplayCommand::kPush, channel, channel == 2});
    const auto stats = Replay(Small(), {item.load}, {{0, kOne, kZero}}, tasks, commands);
    CHECK(stats.size() == 1, "%zu items", stats.size());
    const bool idle = writes * 50 >= words;
    CHECK(stats[0].idle == 3 + idle, "%f idle pushes after %d writes", stats[0].idle, writes);
    // As in TestOneItem, from the push of the activations on.
    const double pushed = 1000 + writes * 50 + (idle ? 1000 : 100) + 2000;
    const double end = pushed + 10 + 10 + 4 + 100 + 2 * (10 + 100) + 4 + 7;
    CHECK(stats[0].end == end, "end %f, not %f", stats[0].end, end);
  }
  // With the activations armed, the opcodes wait for the load.
  const auto late = Replay(Small(), {item.load}, {{0, kOne, kZero}}, tasks,
                           {{ReplayCommand::kArmed, 0, 0}, {ReplayCommand::kArmed, 1, 0}, {ReplayCommand::kPush, 2, 0}});
  const double end = 1500 + 10 + 10 + 4 + 100 + 2 * (10 + 100) + 4 + 7;
  CHECK(late.size() == 1 && late[0].end == end, "end %f, not %f", late[0].end, end);
}

// A load with which the program is loaded has paid for its task, is in front of those that are pushed before it is let
// go, and SET_LOCK has a price of its own.
void TestArmedLoad() {
  ReplayMachine machine = Small();
  machine.load_task = 30;
  machine.load_first = 60;
  machine.lock_write = 7;
  const Item item(1, 100.0);
  const std::vector<std::vector<ReplayTask>> tasks = {
      {{2, -1, 0}}, {{1, -1, 0}}, {{200, ReplayTask::kFirstLoad, 0}, {400, ReplayTask::kFirstLoad, 0}}};
  const auto stats = Replay(machine, {item.load}, {{0, kOne, kZero}}, tasks,
                            {{ReplayCommand::kArmed, 0, 0}, {ReplayCommand::kArmed, 1, 0}, {ReplayCommand::kPush, 2, 1},
                             {ReplayCommand::kLock, 0, 0}, {ReplayCommand::kArmed, 2, 0}});
  // Behind a task of the same item: queued, 100. Let go at 107: 200 words; 30 + 60 for the next, 400 words.
  const double end = 107 + 200 + 90 + 400 + 10 + 10 + 4 + 100 + 4 + 7;
  CHECK(stats.size() == 1 && stats[0].end == end, "end %f, not %f", stats[0].end, end);
  CHECK(stats[0].writes == 0, "%f descriptors", stats[0].writes);
}

// A weight stream with which the program is loaded has filled its rings: two slots of the core, two of the memtile.
void TestWeightsAhead() {
  ReplayMachine machine = Small();
  machine.load_slot = 10000;
  const Item item(1, 100.0);
  for (int64_t items = 1; items <= 5; ++items) {
    const std::vector<std::vector<ReplayTask>> tasks = {
        {{2 * items, -1, 0}}, {{items, -1, 0}}, {}, {{0, ReplayTask::kWeights, -1}}};
    const std::vector<ReplayItem> order(static_cast<size_t>(items), {0, kOne, kZero});
    double ends[2];
    for (const bool armed : {false, true}) {
      const auto stream = armed ? ReplayCommand::kArmed : ReplayCommand::kPush;
      const auto stats = Replay(machine, {item.load}, order, tasks,
                                {{stream, 3, 0}, {ReplayCommand::kArmed, 1, 0}, {ReplayCommand::kArmed, 0, 0}});
      CHECK(stats.size() == order.size(), "%zu items", stats.size());
      ends[armed] = stats.back().end;
    }
    CHECK(ends[false] > 10000 * static_cast<double>(items), "%ld items end at %f", static_cast<long>(items), ends[false]);
    CHECK((ends[true] < 10000) == (items <= 4), "%ld items end at %f", static_cast<long>(items), ends[true]);
  }
}

// Random items: slower kernels never make the end earlier, where a push costs the same on idle and busy channels.
void TestMonotone(std::mt19937& rng, int rounds) {
  ReplayMachine machine = Small();
  machine.push_idle = machine.push_queued;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Item> items;
    std::vector<ReplayItem> order;
    std::vector<ReplayTask> a, o;
    std::vector<ReplayCommand> commands;
    int64_t in = 0, out = 0;
    const int n = 1 + static_cast<int>(rng() % 5);
    for (int i = 0; i < n; ++i) {
      const auto calls = static_cast<int64_t>(1 + rng() % 9);
      items.emplace_back(calls, static_cast<double>(rng() % 300));
      order.push_back({i, kOne, kZero});
      a.push_back({in += calls + 1, -1, i});
      o.push_back({out += calls, -1, i});
      commands.push_back({ReplayCommand::kPush, 1, i});
      commands.push_back({ReplayCommand::kPush, 0, i});
    }
    double before = 0;
    for (int pass = 0; pass < 2; ++pass) {
      std::vector<ReplayLoad> loads;
      for (Item& item : items) {
        for (double& cycles : item.kernel) cycles += 50.0 * pass;
        item.load.columns[0].kernel = item.kernel.data();
        item.load.columns[0].o_size = item.sizes.data();
        ReplayColumn& column = item.load.columns[0];
        column.a_extra = column.o_extra = column.o_tail = item.extra.data();
        item.load.w_size = &item.weights;
        loads.push_back(item.load);
      }
      const auto stats = Replay(machine, loads, order, {a, o, {}}, commands);
      CHECK(stats.size() == items.size(), "%zu of %zu items", stats.size(), items.size());
      CHECK(stats.back().end >= before, "%f after %f", stats.back().end, before);
      before = stats.back().end;
    }
  }
}

}  // namespace

int main() {
  std::mt19937 rng(1);
  TestOneItem();
  TestLatePush();
  TestNoAnswer();
  TestFirstLoads();
  TestArmedLoad();
  TestWeightsAhead();
  TestMonotone(rng, 300);
  std::printf("test_replay: ok\n");
  return 0;
}

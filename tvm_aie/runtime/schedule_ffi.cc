// The command scheduler as a TVM-FFI function: tvm_aie.emit.schedule.
#include <tvm/ffi/reflection/registry.h>

#include <algorithm>

#include "runtime/cursor.h"
#include "runtime/session.h"
#include "tvm_aie/schedule.h"

namespace tvm_aie {
namespace {

namespace ffi = tvm::ffi;

constexpr int64_t kMost = int64_t{1} << 24;

class Reader {
 public:
  Reader(const ffi::Tensor& ints, const ffi::Tensor& reals)
      : ints_(ints, kDLInt, "schedule"), reals_(reals, kDLFloat, "schedule") {}

  ScheduleInput Input() {
    ScheduleInput in;
    in.standing = ints_.Count(kMost);
    in.queue_depth = std::max<int64_t>(1, ints_.Count(kMost));
    in.late = ints_.Count(kMost);
    for (double* field : {&in.margin, &in.late_cycles, &in.last_task_cycles, &in.bd_write, &in.push_idle,
                          &in.push_queued, &in.lock_write}) {
      *field = reals_.Next();
    }
    in.body.resize(Size());
    for (double& cycles : in.body) cycles = reals_.Next();
    for (size_t n = Size(); n > 0; --n) in.lags.push_back(ints_.Count(1) != 0);
    in.pools.resize(Size());
    for (std::vector<int64_t>& numbers : in.pools) {
      numbers.resize(Size());
      for (int64_t& number : numbers) number = ints_.Count(kMost);
    }
    in.locks.resize(Size());
    for (ScheduleLock& lock : in.locks) lock = {ints_.Next(), ints_.Next(), ints_.Next()};
    in.unset.resize(Size());
    for (int64_t& lock : in.unset) lock = Index(in.locks.size());
    in.endless.resize(Size());
    for (ScheduleChannel& channel : in.endless) channel = Channel(in, 0);
    in.channels.resize(Size());
    for (ScheduleChannel& channel : in.channels) channel = Channel(in, in.channels.size());
    in.last = Awaited(in.channels.size());
    return in;
  }

 private:
  size_t Size() { return static_cast<size_t>(ints_.Count(kMost)); }

  int64_t Index(size_t size) {
    const int64_t index = ints_.Next();
    if (index < 0 || index >= static_cast<int64_t>(size)) {
      TVM_FFI_THROW(ValueError) << "schedule: " << index << " is not in 0.." << size;
    }
    return index;
  }

  std::vector<AwaitedTask> Awaited(size_t channels) {
    std::vector<AwaitedTask> out(Size());
    for (AwaitedTask& task : out) task = {Index(channels), ints_.Next()};
    return out;
  }

  ScheduleChannel Channel(const ScheduleInput& in, size_t channels) {
    ScheduleChannel channel{ints_.Next(), ints_.Next(), ints_.Next(), Index(in.pools.size()), ints_.Count(1) != 0,
                            ints_.Count(1) != 0, {}};
    channel.tasks.resize(Size());
    for (ScheduleTask& task : channel.tasks) {
      for (Position* position : {&task.start, &task.end, &task.key}) *position = {ints_.Next(), reals_.Next()};
      task.repeat = ints_.Count(kMost);
      task.item = ints_.Next();
      task.arms = ints_.Count(1) != 0;
      task.sets = ints_.Next();
      if (task.sets >= static_cast<int64_t>(in.locks.size())) TVM_FFI_THROW(ValueError) << "schedule: no such lock";
      task.after = Awaited(channels);
      task.chain.resize(Size());
      for (ScheduleBd& bd : task.chain) {
        bd = {ints_.Next(), ints_.Next()};
        if (bd.wrap < 1) TVM_FFI_THROW(ValueError) << "schedule: an iteration over nothing";
      }
    }
    Check(channel, channels > 0);
    return channel;
  }

  // What the scheduler relies on.
  static void Check(const ScheduleChannel& channel, bool pushed) {
    const auto holds = [](const ScheduleTask& task) { return !task.chain.empty() && (task.repeat > 0); };
    const bool armed = channel.armed || std::none_of(channel.tasks.begin(), channel.tasks.end(),
                                                     [](const ScheduleTask& task) { return task.arms; });
    const bool first = !channel.armed || (!channel.tasks.empty() && channel.tasks.front().chain.size() == 1);
    const bool all = std::all_of(channel.tasks.begin(), channel.tasks.end(), holds);
    if (!armed || !first || !all || (!pushed && channel.tasks.size() != 1)) {
      TVM_FFI_THROW(ValueError) << "schedule: a channel's tasks are incomplete";
    }
  }

  Cursor<int64_t> ints_;
  Cursor<double> reals_;
};

template <size_t N>
ffi::Tensor Table(const std::vector<std::array<int64_t, N>>& rows) {
  ffi::Tensor out = HostTensor({static_cast<int64_t>(rows.size()), static_cast<int64_t>(N)}, {kDLInt, 64, 1});
  auto* at = static_cast<int64_t*>(out.data_ptr());
  for (const std::array<int64_t, N>& row : rows) at = std::copy(row.begin(), row.end(), at);
  return out;
}

// ints, reals: machine, clock, items, pools, locks, channels with their tasks, last waits (`CommandBuilder.flat`); up to which
// estimated cycle. Returns whether it is done, its end, commands, descriptors written, descriptors and tasks loaded.
ffi::Array<ffi::Any> ScheduleFfi(const ffi::Tensor& ints, const ffi::Tensor& reals, double limit) {
  return Guarded([&] {
    const ScheduleOutput out = Schedule(Reader(ints, reals).Input(), limit);
    return ffi::Array<ffi::Any>{out.done, out.end, Table(out.commands), Table(out.rows), Table(out.static_rows),
                                Table(out.static_tasks)};
  });
}

}  // namespace

TVM_FFI_STATIC_INIT_BLOCK() {
  namespace refl = tvm::ffi::reflection;
  refl::GlobalDef().def("tvm_aie.emit.schedule", ScheduleFfi);
}

}  // namespace tvm_aie

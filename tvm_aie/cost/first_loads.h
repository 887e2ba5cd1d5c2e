// DDR while the operands of the first item are loaded, for the recurrence of tvm_aie/replay.h.
#ifndef TVM_AIE_COST_FIRST_LOADS_H_
#define TVM_AIE_COST_FIRST_LOADS_H_

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tvm_aie/replay.h"

namespace tvm_aie {

// Equal shares for all flows, as in the emulator. A weight stream stops when its rings are full, since nothing computes
// yet; one with which the program is loaded has filled them before.
class FirstLoads {
 public:
  explicit FirstLoads(const ReplayMachine& machine);

  // `armed`: the task has started before the commands, and only waits to be let go.
  void Push(int64_t channel, int64_t kind, int64_t words, double t, bool armed);

  // Loads of a channel so far.
  int64_t Pushed(int64_t channel) const;

  // When what each channel loads is there. Call it when all has been pushed.
  std::map<int64_t, double> Finish();

  // The earliest time by which the weight stream of a row can have brought so many words.
  double Brought(int64_t row, double words) const;

 private:
  struct Task {
    double start, words;
    int64_t column;
    bool armed = false;
  };

  // Words per cycle of each flow from `t` on, and until when that holds.
  double Share(double t, std::initializer_list<const std::map<int64_t, Task>*> flows, double* until) const;
  // The share of a flow up to a time, or, inverse, the time by which a flow has that share. Beyond the last first load
  // the weight streams have DDR for themselves.
  double Interpolated(double at, bool inverse) const;
  void Next(int64_t channel, double t, std::map<int64_t, Task>* running);

  const ReplayMachine& m_;
  const double rings_;                            // words that the rings of a weight stream hold
  std::map<int64_t, double> streams_;             // start by row
  std::map<int64_t, std::deque<Task>> queues_;
  std::set<int64_t> begun_;                       // channels that have paid for the first task that commands begin
  std::vector<std::pair<double, double>> curve_;  // time, words that a flow has had until then, had it run always
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_FIRST_LOADS_H_

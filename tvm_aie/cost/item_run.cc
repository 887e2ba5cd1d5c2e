// An item's kernel calls (cost/item_run.h).
#include "cost/item_run.h"

#include <algorithm>
#include <stdexcept>

namespace tvm_aie {

ItemRun::ItemRun(const FlowLoad& load, const FlowRings& rings, const ItemPlan& plan, const ItemState& state)
    : load_(load),
      rings_(rings),
      plan_(plan),
      state_(state),
      cores_(static_cast<size_t>(load.cols * load.rows)),
      left_(cores_.size()),
      arrived_(static_cast<size_t>(load.inputs * load.cols)),
      inputs_(static_cast<size_t>(load.cols), 0),
      releases_(arrived_.size(), 0) {
  int64_t counts[FlowLoad::kLocks] = {};
  const auto number = [&](int64_t step, FlowLoad::Lock lock) { return load.Has(step, lock) ? counts[lock]++ : -1; };
  for (int64_t s = 0; s < load.steps; ++s) {
    if (load.Has(s, FlowLoad::kAcquireA)) a_steps_.push_back(s);
    steps_.push_back({number(s, FlowLoad::kAcquireA), number(s, FlowLoad::kAcquireW),
                      load.Has(s, FlowLoad::kAcquireO) ? counts[FlowLoad::kReleaseO] : -1,
                      number(s, FlowLoad::kReleaseA), number(s, FlowLoad::kReleaseW), number(s, FlowLoad::kReleaseO)});
  }
}

void ItemRun::Run() {
  for (size_t core = 0; core < cores_.size(); ++core) ready_.push_back(core);
  do {
    for (; next_ < ready_.size(); ++next_) Advance(ready_[next_]);
    ready_.clear();
    next_ = 0;
  } while (StepLinks());
  for (int64_t c = 0; load_.inputs > 0 && c < load_.cols; ++c) {
    (*state_.a_free)[static_cast<size_t>(c)] = arrived_[static_cast<size_t>((load_.inputs - 1) * load_.cols + c)];
  }
}

// Simulates the links until a core may go on; false: all are done.
bool ItemRun::StepLinks() {
  if (left_ == 0) return false;
  while (ready_.empty()) {
    const auto [first, last] = state_.out->Step();
    if (first == last) throw std::logic_error("message flow: the cores of an item wait for each other");
    for (size_t core = first; core < last; ++core) {
      const Core& waits = cores_[core];
      if (waits.wait == kOutput && state_.out->Known(core, static_cast<double>(waits.slots))) ready_.push_back(core);
    }
  }
  return true;
}

void ItemRun::Advance(size_t at) {
  Core& core = cores_[at];
  double& t = (*state_.core)[at];
  core.wait = kNothing;
  for (; core.step < load_.steps; ++core.step) {
    const Step& step = steps_[static_cast<size_t>(core.step)];
    if (!Take(at, step, &t)) return;
    t += load_.kernel[static_cast<size_t>(core.step) * cores_.size() + at];
    Give(at, step, t);
  }
  --left_;
}

bool ItemRun::Take(size_t at, const Step& step, double* t) {
  Core& core = cores_[at];
  if (step.takes_w >= 0) {
    const auto there = state_.weights->Arrive(static_cast<int64_t>(at) % load_.rows, step.takes_w);
    if (!there) {
      core.wait = kWeights;
      return false;
    }
    *t = std::max(*t, *there);
  }
  if (step.takes_a >= 0) {
    const auto there = Input(ColumnOf(at), step.takes_a);
    if (!there) {
      core.wait = kInput;
      return false;
    }
    *t = std::max(*t, *there);
  }
  return step.takes_o < 0 || TakeOutput(at, step.takes_o, t);
}

// When an activation message of a column has arrived; none: not all its cores have released what it overwrites.
std::optional<double> ItemRun::Input(int64_t column, int64_t message) {
  const auto at = [&](int64_t m) { return static_cast<size_t>(m * load_.cols + column); };
  int64_t& known = inputs_[static_cast<size_t>(column)];
  for (; known <= message; ++known) {
    const RingPlan::Message& place = plan_.a[static_cast<size_t>(column)].messages[static_cast<size_t>(known)];
    double t = known > 0 ? arrived_[at(known - 1)] : (*state_.a_free)[static_cast<size_t>(column)];
    t += static_cast<double>(place.filler) * rings_.a_slot;
    t += load_.a_move[at(a_steps_[static_cast<size_t>(known)])];
    if (place.needs >= 0) {
      const int64_t row = place.needs + 1, mine = row - plan_.first_a;  // row 0: of a message that nothing waits for
      if (mine >= 0 && releases_[at(mine)] < load_.rows) return std::nullopt;
      for (const int64_t back : {0, 1}) {
        const double rest = static_cast<double>(place.late[static_cast<size_t>(back)]) * rings_.a_slot;
        t = std::max(t, (*state_.released)[at(row - back)] + rest);
      }
    }
    arrived_[at(known)] = t;
  }
  return arrived_[at(message)];
}

// A message that does not fit before the ring's end begins at its start; what is between is sent, too, once it is free.
bool ItemRun::TakeOutput(size_t at, int64_t message, double* t) {
  const int64_t size = load_.o_sizes[static_cast<size_t>(message) * cores_.size() + at];
  int64_t& position = (*state_.o_pos)[at];
  if (const int64_t filler = rings_.o_slots - position; filler < size) {
    if (!Room(at, filler, t)) return false;
    state_.out->Send(at, *t, filler, rings_.o_slot, 0);
    position = 0;
  }
  return Room(at, size, t);
}

// Raises `t` to when so many slots of the O ring are free; if that is not known, the core waits.
bool ItemRun::Room(size_t at, int64_t slots, double* t) {
  const int64_t sent = state_.out->slots(at), left = std::min(sent, sent + slots - rings_.o_slots);
  if (left <= 0) return true;
  const auto end = state_.out->Await(at, left);
  if (end) {
    *t = std::max(*t, *end);
  } else {
    cores_[at].wait = kOutput;
    cores_[at].slots = left;
  }
  return end.has_value();
}

void ItemRun::Give(size_t at, const Step& step, double t) {
  const int64_t column = ColumnOf(at), row = static_cast<int64_t>(at) % load_.rows;
  if (step.gives_a >= 0) {
    double& released = (*state_.released)[static_cast<size_t>((plan_.first_a + step.gives_a) * load_.cols + column)];
    released = std::max(released, t);
    const auto rows = static_cast<size_t>(load_.rows), first = static_cast<size_t>(column) * rows;
    const auto message = static_cast<size_t>(step.gives_a * load_.cols + column);
    if (++releases_[message] == load_.rows) Wake(first, first + rows, 1, kInput);
  }
  if (step.gives_w >= 0 && state_.weights->Release(row, step.gives_w, t)) {
    Wake(static_cast<size_t>(row), cores_.size(), static_cast<size_t>(load_.rows), kWeights);
  }
  if (step.gives_o >= 0) {
    const int64_t size = load_.o_sizes[static_cast<size_t>(step.gives_o) * cores_.size() + at];
    int64_t& position = (*state_.o_pos)[at];
    position = (position + size) % rings_.o_slots;
    const double rest = plan_.last[at] == step.gives_o ? load_.o_rest[at] : 0.0;
    if (size > 0) state_.out->Send(at, t, size, rings_.o_slot, rest);
  }
}

void ItemRun::Wake(size_t first, size_t last, size_t stride, Wait what) {
  for (size_t core = first; core < last; core += stride) {
    if (cores_[core].wait != what) continue;
    cores_[core].wait = kNothing;
    ready_.push_back(core);
  }
}

}  // namespace tvm_aie

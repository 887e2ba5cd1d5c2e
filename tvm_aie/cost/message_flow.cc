// The recurrence of cost/message_flow.h.
#include "cost/message_flow.h"

#include <algorithm>

namespace tvm_aie {
namespace {

bool Has(const FlowLoad& load, int64_t step, FlowLoad::Lock lock) {
  return load.locks[step * FlowLoad::kLocks + lock] != 0;
}

void Raise(std::vector<double>* times, const std::vector<double>& to) {
  for (size_t i = 0; i < times->size(); ++i) (*times)[i] = std::max((*times)[i], to[i]);
}

// By core, its last output message that is not empty; -1: it has none.
std::vector<int64_t> LastSent(const FlowLoad& load) {
  const auto cores = static_cast<size_t>(load.cols * load.rows);
  std::vector<int64_t> last(cores, -1);
  for (int64_t q = 0; q < load.outputs; ++q) {
    const int64_t* sizes = load.o_sizes + static_cast<size_t>(q) * cores;
    for (size_t core = 0; core < cores; ++core) {
      if (sizes[core] > 0) last[core] = q;
    }
  }
  return last;
}

// Messages of one lane of an array [count][width].
std::vector<int64_t> Lane(const int64_t* values, int64_t count, int64_t width, int64_t at) {
  std::vector<int64_t> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) out[static_cast<size_t>(i)] = values[i * width + at];
  return out;
}

}  // namespace

MessageFlow::MessageFlow(const FlowMachine& machine, const FlowRings& rings)
    : m_(machine),
      rings_(rings),
      weights_(machine.rows, machine.weights, machine.weights_ahead),
      a_free_(static_cast<size_t>(machine.cols), 0.0),
      core_(static_cast<size_t>(machine.cols * machine.rows), 0.0),
      o_end_(core_),
      a_pos_(a_free_.size(), 0),
      o_pos_(core_.size(), 0),
      head_(a_free_.size(), 0) {}

// ------------------------------------------------------------------ between items

// Of values by core the greatest of each column.
std::vector<double> MessageFlow::MostOf(const std::vector<double>& cores) const {
  std::vector<double> out;
  for (auto first = cores.begin(); first != cores.end(); first += m_.rows) {
    out.push_back(*std::max_element(first, first + m_.rows));
  }
  return out;
}

std::vector<double> MessageFlow::Opcodes(const FlowLoad& load, const double* begin) {
  const std::vector<double> free = MostOf(core_);
  std::vector<double> there;
  for (size_t c = 0; c < a_free_.size(); ++c) {
    // Whole slots and, if aligned, up to a multiple of the item's messages.
    int64_t slots = (load.head[c] * 4 + rings_.a_bytes - 1) / rings_.a_bytes;
    if (load.aligned && load.a_counts[c] > 0) {
      const int64_t beyond = (a_pos_[c] + slots + load.kept[c]) % load.a_slots;
      slots += (load.a_slots - beyond) % load.a_slots;
    }
    a_pos_[c] = (a_pos_[c] + slots) % rings_.a_slots;
    head_[c] = slots;
    const bool beside = a_slots_ + slots <= rings_.a_slots;  // the last of the activations before it
    const double from = begin == nullptr ? a_free_[c] : begin[c];
    there.push_back((beside ? from : std::max(from, free[c])) + static_cast<double>(slots) * rings_.a_slot);
  }
  a_slots_ = load.a_slots;
  return there;
}

// The rings that the item lays out begin behind its opcode message, empty; the others go on.
void MessageFlow::Divide(const FlowLoad& load, const FlowStart& start) {
  if (load.rings) {
    rings_ = *load.rings;
    // The cores hand the slots of the new A ring out when they have released those of the old rings.
    if (!start.keeps_a) Raise(&a_free_, MostOf(core_));
    if (!start.keeps_o) {
      Close();
      Raise(&a_free_, MostOf(o_end_));
    }
    if (!start.keeps_a) std::fill(a_pos_.begin(), a_pos_.end(), 0);
    if (!start.keeps_o) std::fill(o_pos_.begin(), o_pos_.end(), 0);
  }
  if (start.lags && start.keeps_a) {
    const std::vector<double> free = MostOf(core_);  // the cores take opcodes when they are done with the item before
    a_ring_.sizes.insert(a_ring_.sizes.end(), head_.begin(), head_.end());
    a_ring_.gone.insert(a_ring_.gone.end(), free.begin(), free.end());
    a_ring_.Forget(m_.cols, rings_.a_slots);
  } else {  // behind a full barrier the rings are empty
    a_ring_ = {};
  }
  if (!(start.lags && start.keeps_o)) o_ring_ = {};
}

// The output links send all that they have, and nothing comes in between.
void MessageFlow::Close() {
  if (!out_) return;
  o_end_ = out_->Finish();
  for (size_t item = 0; item < out_->items(); ++item) {
    const std::vector<double> all = out_->AllEnd(item);
    closed_.push_back({MostOf(out_->DataEnd(item)), *std::max_element(all.begin(), all.end())});
  }
  out_ = nullptr;
  o_ring_ = {};
}

std::vector<double> MessageFlow::Done(int64_t item) {
  const auto at = static_cast<size_t>(item);
  return at < closed_.size() ? closed_[at].done : MostOf(out_->DataEnd(at - closed_.size()));
}

double MessageFlow::Ended(int64_t item) const {
  const auto at = static_cast<size_t>(item);
  return at < closed_.size() ? closed_[at].ended : 0.0;
}

void MessageFlow::Delay(double t) {
  for (auto* times : {&o_end_, &closed_.back().done}) {
    for (double& end : *times) end = std::max(end, t);
  }
  closed_.back().ended = std::max(closed_.back().ended, t);
}

// Forgets what lies more than `slots` back in a ring of `width` columns or cores.
void MessageFlow::InRing::Forget(int64_t width, int64_t slots) {
  std::vector<int64_t> behind(static_cast<size_t>(width), 0);
  for (int64_t i = count(width) - 1; i > 0; --i) {
    for (size_t at = 0; at < behind.size(); ++at) behind[at] += sizes[static_cast<size_t>(i) * behind.size() + at];
    if (*std::min_element(behind.begin(), behind.end()) >= slots) {
      sizes.erase(sizes.begin(), sizes.begin() + i * width);
      if (!gone.empty()) gone.erase(gone.begin(), gone.begin() + i * width);
      return;
    }
  }
}

// ------------------------------------------------------------------ inside an item

void MessageFlow::Run(const FlowLoad& load, const FlowStart& start) {
  std::copy(start.ready, start.ready + m_.cols, a_free_.begin());
  Divide(load, start);
  for (size_t core = 0; core < core_.size(); ++core) {
    core_[core] = std::max(core_[core], a_free_[core / static_cast<size_t>(m_.rows)]);
  }
  for (double& t : a_free_) t = std::max(t, start.command);
  if (!out_) {
    if (m_.o_shared) {
      out_ = std::make_unique<SharedLinks>(m_.cols, m_.rows, o_end_);
    } else {
      out_ = std::make_unique<OwnLinks>(o_end_);
    }
  }
  if (load.aligned) Align(load);
  weights_.Begin(load.w_bytes, load.weights);
  const Plan plan = Place(load);
  // Row 0 is the time of a message that nothing waits for; then what the ring held before.
  released_.assign(a_free_.size(), 0.0);
  released_.insert(released_.end(), a_ring_.gone.begin(), a_ring_.gone.end());
  released_.resize(released_.size() + static_cast<size_t>(load.inputs * m_.cols), 0.0);
  Steps(load, plan);
  weights_.End();
  std::vector<bool> senders;
  for (const int64_t last : plan.last) senders.push_back(last >= 0);
  out_->EndItem(std::move(senders));
  if (start.lag_follows) {
    Remember(load, plan);
  } else {
    Close();
  }
  released_.clear();
}

// Junk that aligns the output rings at the start of an item.
void MessageFlow::Align(const FlowLoad& load) {
  const std::vector<int64_t> last = LastSent(load);
  std::vector<double> junk(core_.size(), 0.0);
  for (size_t core = 0; core < core_.size(); ++core) {
    if (last[core] < 0) continue;
    const int64_t skip = (load.o_slots - o_pos_[core] % load.o_slots) % load.o_slots;
    o_pos_[core] = (o_pos_[core] + skip) % rings_.o_slots;
    junk[core] = static_cast<double>(skip) * rings_.o_slot;
  }
  out_->Junk(core_.data(), junk.data());
}

// Places the item's messages in the rings, which move on.
MessageFlow::Plan MessageFlow::Place(const FlowLoad& load) {
  Plan plan;
  const auto held = [](const InRing& ring, int64_t width, int64_t at) {
    return Lane(ring.sizes.data(), ring.count(width), width, at);
  };
  for (int64_t c = 0; c < m_.cols; ++c) {
    int64_t& position = a_pos_[static_cast<size_t>(c)];
    const std::vector<int64_t> sizes = Lane(load.a_sizes, load.inputs, m_.cols, c);
    plan.a.push_back(PlanRing(position, sizes, rings_.a_slots, held(a_ring_, m_.cols, c)));
    position = plan.a.back().position;
  }
  const int64_t cores = m_.cols * m_.rows;
  plan.first_o = out_->count() - o_ring_.count(cores);
  plan.o_fills.assign(static_cast<size_t>(load.outputs), false);
  plan.o_waits.assign(static_cast<size_t>(load.outputs), false);
  for (int64_t core = 0; core < cores; ++core) {
    int64_t& position = o_pos_[static_cast<size_t>(core)];
    const std::vector<int64_t> sizes = Lane(load.o_sizes, load.outputs, cores, core);
    plan.o.push_back(PlanRing(position, sizes, rings_.o_slots, held(o_ring_, cores, core)));
    position = plan.o.back().position;
    for (size_t q = 0; q < sizes.size(); ++q) {
      if (plan.o.back().messages[q].filler > 0) plan.o_fills[q] = true;
      if (plan.o.back().messages[q].needs >= 0) plan.o_waits[q] = true;
    }
  }
  plan.last = LastSent(load);
  plan.first_a = static_cast<int64_t>(a_free_.size() + a_ring_.gone.size());
  return plan;
}

// The kernel calls in order.
void MessageFlow::Steps(const FlowLoad& load, const Plan& plan) {
  const auto cores = static_cast<int64_t>(core_.size());
  std::vector<double> by_row(static_cast<size_t>(m_.rows));
  int64_t input = 0, output = 0;
  auto released = released_.begin() + plan.first_a;
  for (int64_t step = 0; step < load.steps; ++step) {
    if (Has(load, step, FlowLoad::kAcquireW)) {
      const double* there = weights_.Arrive();
      for (int64_t core = 0; core < cores; ++core) {
        double& t = core_[static_cast<size_t>(core)];
        t = std::max(t, there[core % m_.rows]);
      }
    }
    if (Has(load, step, FlowLoad::kAcquireA)) TakeInput(load, plan, step, input++);
    if (Has(load, step, FlowLoad::kAcquireO)) TakeOutput(load, plan, output);
    for (int64_t core = 0; core < cores; ++core) core_[static_cast<size_t>(core)] += load.kernel[step * cores + core];
    if (Has(load, step, FlowLoad::kReleaseA)) {
      for (auto first = core_.begin(); first != core_.end(); first += m_.rows) {
        *released++ = *std::max_element(first, first + m_.rows);
      }
    }
    if (Has(load, step, FlowLoad::kReleaseW)) {
      std::copy(core_.begin(), core_.begin() + m_.rows, by_row.begin());
      for (int64_t core = m_.rows; core < cores; ++core) {
        double& t = by_row[static_cast<size_t>(core % m_.rows)];
        t = std::max(t, core_[static_cast<size_t>(core)]);
      }
      weights_.Release(by_row.data());
    }
    if (Has(load, step, FlowLoad::kReleaseO)) GiveOutput(load, plan, output++);
  }
}

void MessageFlow::TakeInput(const FlowLoad& load, const Plan& plan, int64_t step, int64_t message) {
  const auto columns = a_free_.size();
  for (size_t c = 0; c < columns; ++c) {
    const RingPlan::Message& place = plan.a[c].messages[static_cast<size_t>(message)];
    double t = a_free_[c] + static_cast<double>(place.filler) * rings_.a_slot;
    t += load.a_move[static_cast<size_t>(step) * columns + c];
    if (place.needs >= 0) {
      const size_t row = static_cast<size_t>(place.needs) + 1;
      for (const size_t back : {0, 1}) {
        const double rest = static_cast<double>(place.late[back]) * rings_.a_slot;
        t = std::max(t, released_[(row - back) * columns + c] + rest);
      }
    }
    a_free_[c] = t;
    for (int64_t r = 0; r < m_.rows; ++r) {
      double& core = core_[CoreAt(static_cast<int64_t>(c), r)];
      core = std::max(core, t);
    }
  }
}

void MessageFlow::TakeOutput(const FlowLoad& load, const Plan& plan, int64_t message) {
  const auto q = static_cast<size_t>(message);
  if (plan.o_fills[q]) Fill(load, plan, message);
  if (!plan.o_waits[q]) return;
  for (size_t core = 0; core < core_.size(); ++core) {
    const int64_t needs = plan.o[core].messages[q].needs;
    if (needs >= 0) core_[core] = std::max(core_[core], out_->End(core, plan.first_o + needs));
  }
}

// Filler before an output message. One that does not fit beside its own filler waits until enough of that has left.
void MessageFlow::Fill(const FlowLoad& load, const Plan& plan, int64_t message) {
  const auto q = static_cast<size_t>(message), cores = core_.size();
  std::vector<double> first(cores, 0.0), second(cores, 0.0);
  bool waits = false;
  for (size_t core = 0; core < cores; ++core) {
    const int64_t skipped = plan.o[core].messages[q].filler, size = load.o_sizes[q * cores + core];
    const int64_t beyond = skipped > 0 ? std::max<int64_t>(skipped + size - rings_.o_slots, 0) : 0;
    first[core] = static_cast<double>(beyond) * rings_.o_slot;
    second[core] = static_cast<double>(skipped - beyond) * rings_.o_slot;
    waits = waits || beyond > 0;
  }
  if (!waits) {
    out_->Junk(core_.data(), second.data());
    return;
  }
  const std::vector<double> left = out_->JunkInTwo(core_.data(), first.data(), second.data());
  for (size_t core = 0; core < cores; ++core) {
    if (first[core] > 0) core_[core] = std::max(core_[core], left[core]);
  }
}

void MessageFlow::GiveOutput(const FlowLoad& load, const Plan& plan, int64_t message) {
  const auto cores = core_.size();
  std::vector<double> move(cores), rest(cores, 0.0);
  bool ends = false;
  for (size_t core = 0; core < cores; ++core) {
    move[core] = static_cast<double>(load.o_sizes[static_cast<size_t>(message) * cores + core]) * rings_.o_slot;
    if (plan.last[core] != message) continue;
    ends = true;
    rest[core] = load.o_rest[core] * rings_.o_slot;
  }
  out_->Send(core_.data(), move.data(), ends ? rest.data() : nullptr);
}

// What the rings may still hold when the next item begins, whose barrier lags.
void MessageFlow::Remember(const FlowLoad& load, const Plan& plan) {
  const auto append = [](InRing* ring, const int64_t* sizes, int64_t count, const std::vector<RingPlan>& plans) {
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      for (size_t at = 0; at < plans.size(); ++at) {
        ring->sizes.push_back(sizes[i * plans.size() + at] + plans[at].messages[i].filler);
      }
    }
  };
  append(&a_ring_, load.a_sizes, load.inputs, plan.a);
  a_ring_.gone.insert(a_ring_.gone.end(), released_.begin() + plan.first_a, released_.end());
  a_ring_.Forget(m_.cols, rings_.a_slots);
  append(&o_ring_, load.o_sizes, load.outputs, plan.o);
  o_ring_.Forget(m_.cols * m_.rows, rings_.o_slots);
}

}  // namespace tvm_aie

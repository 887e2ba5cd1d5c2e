// The recurrence of cost/message_flow.h.
#include "cost/message_flow.h"

#include <algorithm>

namespace tvm_aie {
namespace {

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
      weights_(machine.cols, machine.rows, machine.weights, machine.weights_ahead),
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
  const ItemPlan plan = Place(load);
  // Row 0 is the time of a message that nothing waits for; then what the ring held before.
  released_.assign(a_free_.size(), 0.0);
  released_.insert(released_.end(), a_ring_.gone.begin(), a_ring_.gone.end());
  released_.resize(released_.size() + static_cast<size_t>(load.inputs * m_.cols), 0.0);
  ItemRun(load, rings_, plan, {&a_free_, &core_, &o_pos_, &released_, &weights_, &*out_}).Run();
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
  for (size_t core = 0; core < core_.size(); ++core) {
    if (last[core] < 0) continue;
    const int64_t skip = (load.o_slots - o_pos_[core] % load.o_slots) % load.o_slots;
    o_pos_[core] = (o_pos_[core] + skip) % rings_.o_slots;
    if (skip > 0) out_->Send(core, core_[core], skip, rings_.o_slot, 0);
  }
}

// Places the item's activation messages in the rings, which move on.
ItemPlan MessageFlow::Place(const FlowLoad& load) {
  ItemPlan plan;
  for (int64_t c = 0; c < m_.cols; ++c) {
    int64_t& position = a_pos_[static_cast<size_t>(c)];
    const std::vector<int64_t> held = Lane(a_ring_.sizes.data(), a_ring_.count(m_.cols), m_.cols, c);
    plan.a.push_back(PlanRing(position, Lane(load.a_sizes, load.inputs, m_.cols, c), rings_.a_slots, held));
    position = plan.a.back().position;
  }
  plan.last = LastSent(load);
  plan.first_a = 1 + a_ring_.count(m_.cols);
  return plan;
}

// What the A rings may still hold when the next item begins, whose barrier lags.
void MessageFlow::Remember(const FlowLoad& load, const ItemPlan& plan) {
  for (size_t i = 0; i < static_cast<size_t>(load.inputs); ++i) {
    for (size_t c = 0; c < plan.a.size(); ++c) {
      a_ring_.sizes.push_back(load.a_sizes[i * plan.a.size() + c] + plan.a[c].messages[i].filler);
    }
  }
  a_ring_.gone.insert(a_ring_.gone.end(), released_.begin() + plan.first_a * m_.cols, released_.end());
  a_ring_.Forget(m_.cols, rings_.a_slots);
}

}  // namespace tvm_aie

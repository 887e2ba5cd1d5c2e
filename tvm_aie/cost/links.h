// When the output messages of items end: each core has a link of its own, or a column's cores share one.
//
// The emulator's link (docs/program.md section 4) works whenever there is work and serves the cores that have some in
// equal shares. So a shared link is simulated event by event, and no further than cores need it: inside an item what
// they send later is ready later (cost/item_run.h). Where barriers lag, a core may have begun the next item earlier;
// so a link remembers when it was idle: a message that was ready then is served then.
#ifndef TVM_AIE_COST_LINKS_H_
#define TVM_AIE_COST_LINKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace tvm_aie {

// One shared link. What a core sends is a row of parts; each core's are served in order, those at the front of the
// queues in equal shares. Parts are measured in slots of the ring that they leave: a core that waits for room in it
// waits for so many slots, which may be some of a part.
class Link {
 public:
  // `before`: by core, the end of what it sent before.
  explicit Link(const std::vector<double>& before);

  // A part of core `r`, ready at `ready`; it takes `work` > 0 cycles alone. `last`: slots of the core up to its end.
  void Push(size_t r, double ready, double work, double last);
  // When the first `slots` of core `r`, not more than are pushed, have left; of a part that has gone whole, its end.
  // None: not yet, as far as the link is simulated.
  std::optional<double> Known(size_t r, double slots) const;
  // The link is simulated up to when these slots have left: when that is.
  double End(size_t r, double slots);
  // When they leave is an event of its own. They have not left yet.
  void Watch(size_t r, double slots);
  // When the next part begins or ends; infinite: there is none.
  double Next() const;
  // Simulates up to there: a part's begin, or the ends of the parts that are done next. There is one.
  void Step();

 private:
  struct Part {
    double ready, work, last;
  };
  using Event = std::pair<double, size_t>;  // when, core
  using Span = std::pair<double, double>;
  struct Core {
    std::vector<Part> parts;  // queued, the front at `front`
    size_t front = 0;
    std::vector<Span> done;  // of each part that is done `last` and its end; first: of what came before
  };

  void Front(size_t r, const Part& part);
  bool Fill(Part* part, double* end);
  double NextEnd() const;
  void Finish(size_t r);

  // `served_`: what each front has got since the link was idle; so a front is done when that is its work more than when
  // it came, and among the fronts the order in which they end never changes.
  double now_ = 0, served_ = 0;   // simulated up to here
  std::vector<Span> idle_;        // spans before `now_`, in order
  std::vector<Event> active_;     // heap of the fronts in service: `served_` at the end
  std::vector<Event> coming_;     // heap of the fronts that are not ready
  std::vector<Core> cores_;
};

// The output links of all cores. They work for one item or, where barriers lag, for several: numbers of slots go on.
class Links {
 public:
  explicit Links(size_t cores) : slots_(cores, 0), sound_(cores, 0) {}
  virtual ~Links() = default;
  virtual std::unique_ptr<Links> Clone() const = 0;

  // `slots` > 0 slots of `slot` cycles that a core sends, ready at `ready`. `rest`: of these slots filler at their end.
  void Send(size_t core, double ready, int64_t slots, double slot, double rest);
  // Slots of a core so far.
  int64_t slots(size_t core) const { return slots_[core]; }
  // When a core's first slots have left (`Link::Known`); none: that will be an event of its own.
  virtual std::optional<double> Await(size_t core, int64_t slots) = 0;
  virtual std::optional<double> Known(size_t core, double slots) const = 0;
  // Simulates the next event of all links; the cores of that link, first and behind the last. Equal: there is none.
  virtual std::pair<size_t, size_t> Step() = 0;

  // An item's last message is sent. `senders`: whether a core sent any in it.
  void EndItem(std::vector<bool> senders);
  size_t items() const { return senders_.size(); }
  // When what each core sent up to the end of an item has ended: the data of those that sent any in it (others: 0), or
  // everything, the filler behind the data of their last messages included.
  std::vector<double> DataEnd(size_t item);
  std::vector<double> AllEnd(size_t item) { return Ended(all_[item]); }
  // When everything has ended.
  std::vector<double> Finish() { return Ended({slots_.begin(), slots_.end()}); }

 protected:
  virtual void Push(size_t core, double ready, double work, double last) = 0;
  virtual double End(size_t core, double slots) = 0;

 private:
  using Marks = std::vector<double>;  // slots, by core

  std::vector<double> Ended(const Marks& marks);

  std::vector<int64_t> slots_;              // by core
  Marks sound_;                             // up to the data of each core's last message
  std::vector<Marks> all_, sounds_;         // by item
  std::vector<std::vector<bool>> senders_;  // by item
};

// The cores of a column share a link.
class SharedLinks : public Links {
 public:
  // `before`: when each core's link is free.
  SharedLinks(int64_t columns, int64_t rows, const std::vector<double>& before);

  std::unique_ptr<Links> Clone() const override { return std::make_unique<SharedLinks>(*this); }
  std::optional<double> Await(size_t core, int64_t slots) override;
  std::optional<double> Known(size_t core, double slots) const override {
    return links_[core / rows_].Known(core % rows_, slots);
  }
  std::pair<size_t, size_t> Step() override;

 protected:
  void Push(size_t core, double ready, double work, double last) override {
    links_[core / rows_].Push(core % rows_, ready, work, last);
  }
  double End(size_t core, double slots) override { return links_[core / rows_].End(core % rows_, slots); }

 private:
  size_t rows_;
  std::vector<Link> links_;  // by column
};

// Each core has a link of its own: parts go one after the other.
class OwnLinks : public Links {
 public:
  explicit OwnLinks(const std::vector<double>& before);

  std::unique_ptr<Links> Clone() const override { return std::make_unique<OwnLinks>(*this); }
  std::optional<double> Await(size_t core, int64_t slots) override { return Known(core, static_cast<double>(slots)); }
  std::optional<double> Known(size_t core, double slots) const override;
  std::pair<size_t, size_t> Step() override { return {0, 0}; }

 protected:
  void Push(size_t core, double ready, double work, double last) override;
  double End(size_t core, double slots) override { return *Known(core, slots); }

 private:
  struct Sent {
    double last, end, slot;  // slots up to its end, when that is, cycles of a slot
  };
  std::vector<std::vector<Sent>> sent_;  // by core; first: what came before
};

// Links that are copied with what holds them.
class LinksCopy {
 public:
  LinksCopy() = default;
  LinksCopy(const LinksCopy& other) : links_(other.links_ ? other.links_->Clone() : nullptr) {}
  LinksCopy& operator=(LinksCopy other) {
    links_ = std::move(other.links_);
    return *this;
  }
  LinksCopy& operator=(std::unique_ptr<Links> links) {
    links_ = std::move(links);
    return *this;
  }

  explicit operator bool() const { return links_ != nullptr; }
  Links* operator->() const { return links_.get(); }
  Links& operator*() const { return *links_; }

 private:
  std::unique_ptr<Links> links_;
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_LINKS_H_

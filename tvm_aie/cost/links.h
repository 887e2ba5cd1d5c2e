// When the output messages of items end: each core has a link of its own, or a column's cores share one.
//
// The emulator's link (docs/program.md section 4) works whenever there is work and serves the cores that have some in
// equal shares. The recurrence hands over one message of all cores at a time, in whatever order these become ready; so
// a shared link is simulated no further than what is asked for needs, and remembers when it was idle: a message that
// was ready then is served then.
#ifndef TVM_AIE_COST_LINKS_H_
#define TVM_AIE_COST_LINKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace tvm_aie {

// One shared link. Each core's parts are served in order, those at the front of the queues in equal shares.
class Link {
 public:
  // `before`: by core, the end of what it sent before.
  explicit Link(const std::vector<double>& before);

  // A part of core `r`, ready at `ready`; it takes `work` > 0 cycles alone.
  void Push(size_t r, double ready, double work);
  // Parts of core `r` so far.
  size_t pushed(size_t r) const { return cores_[r].pushed; }
  // When part number `part` of core `r` (from 1, not more than are pushed; 0: what came before) has ended.
  double End(size_t r, size_t part);

 private:
  struct Part {
    double ready, work;
  };
  struct Core {
    std::vector<Part> parts;   // queued, the front at `front`
    size_t front = 0;
    std::vector<double> done;  // end of each part that is done; first: of what came before
    size_t pushed = 0;

    bool idle() const { return front == parts.size(); }
  };
  using Event = std::pair<double, size_t>;  // when, core
  using Span = std::pair<double, double>;

  void Front(size_t r, const Part& part);
  bool Fill(Part* part, double* end);
  void Step();
  void Finish(size_t r);

  // `served_`: what each front has got since the link was idle; so a front is done when that is its work more than when
  // it came, and among the fronts the order in which they end never changes.
  double now_ = 0, served_ = 0;   // simulated up to here
  std::vector<Span> idle_;        // spans before `now_`, in order
  std::vector<Event> active_;     // heap of the fronts in service: `served_` at the end
  std::vector<Event> coming_;     // heap of the fronts that are not ready
  std::vector<Core> cores_;
};

// The output links of all cores. Arrays are [columns * rows]; a message of 0 cycles is none. They work for one item or,
// where barriers lag, for several: numbers of messages go on.
class Links {
 public:
  virtual ~Links() = default;
  virtual std::unique_ptr<Links> Clone() const = 0;

  // What is ready at `ready` and takes `move` cycles alone; nobody asks for its end.
  virtual void Junk(const double* ready, const double* move) = 0;
  // The same in two parts; returns when everything up to the first one has ended.
  virtual std::vector<double> JunkInTwo(const double* ready, const double* first, const double* second) = 0;
  // The next message of each core, likewise. `rest`: so much of `move` is filler at its end; null: nothing.
  virtual void Send(const double* ready, const double* move, const double* rest) = 0;
  // When message number `message` of a core, which is sent, has ended.
  virtual double End(size_t core, int64_t message) = 0;
  // Messages of each core so far.
  int64_t count() const { return count_; }

  // An item's last message is sent. `senders`: whether a core sent any in it.
  void EndItem(std::vector<bool> senders);
  size_t items() const { return senders_.size(); }
  // When what each core sent up to the end of an item has ended: the data of those that sent any in it (others: 0), or
  // everything, the filler behind the data of their last messages included.
  std::vector<double> DataEnd(size_t item);
  virtual std::vector<double> AllEnd(size_t item) = 0;
  // When everything has ended.
  virtual std::vector<double> Finish() = 0;

 protected:
  virtual void Mark() = 0;
  virtual std::vector<double> SoundEnd(size_t item) = 0;

  int64_t count_ = 0;

 private:
  std::vector<std::vector<bool>> senders_;  // by item
};

// The cores of a column share a link.
class SharedLinks : public Links {
 public:
  // `before`: when each core's link is free.
  SharedLinks(int64_t columns, int64_t rows, const std::vector<double>& before);

  std::unique_ptr<Links> Clone() const override { return std::make_unique<SharedLinks>(*this); }
  void Junk(const double* ready, const double* move) override;
  std::vector<double> JunkInTwo(const double* ready, const double* first, const double* second) override;
  void Send(const double* ready, const double* move, const double* rest) override;
  double End(size_t core, int64_t message) override;
  std::vector<double> AllEnd(size_t item) override { return Ended(all_[item]); }
  std::vector<double> Finish() override { return Ended(Pushed()); }

 protected:
  void Mark() override;
  std::vector<double> SoundEnd(size_t item) override { return Ended(sounds_[item]); }

 private:
  using Parts = std::vector<size_t>;  // by core

  Link& LinkOf(size_t core) { return links_[core / rows_]; }
  Parts Pushed() const;
  std::vector<double> Ended(const Parts& parts);

  size_t rows_;
  std::vector<Link> links_;            // by column
  Parts sound_;                        // up to the data of each core's last message
  std::vector<Parts> sent_;            // of each core, by message: parts up to its own
  std::vector<Parts> all_, sounds_;    // by item
};

// Each core has a link of its own: messages go one after the other.
class OwnLinks : public Links {
 public:
  explicit OwnLinks(const std::vector<double>& before) : now_(before), sound_(before.size(), 0.0) {}

  std::unique_ptr<Links> Clone() const override { return std::make_unique<OwnLinks>(*this); }
  void Junk(const double* ready, const double* move) override;
  std::vector<double> JunkInTwo(const double* ready, const double* first, const double* second) override;
  void Send(const double* ready, const double* move, const double* rest) override;
  double End(size_t core, int64_t message) override { return sent_[static_cast<size_t>(message)][core]; }
  std::vector<double> AllEnd(size_t item) override { return all_[item]; }
  std::vector<double> Finish() override { return now_; }

 protected:
  void Mark() override;
  std::vector<double> SoundEnd(size_t item) override { return sounds_[item]; }

 private:
  using Times = std::vector<double>;  // by core

  Times now_, sound_;                // when all, and the data of its last message, have ended
  std::vector<Times> sent_;          // by message: when it has
  std::vector<Times> all_, sounds_;  // by item
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

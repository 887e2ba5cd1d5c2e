// The recurrence over messages on machines small enough to be computed by hand; random items under the sanitizers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "check.h"
#include "cost/message_flow.h"

using namespace tvm_aie;

namespace {

using Rng = std::mt19937;

constexpr FlowRings kRings{64, 4, 4, 10, 7};  // A slots of 16 words and 10 cycles, O slots of 7; 4 slots each

int64_t Pick(Rng* rng, int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(*rng); }

FlowMachine Machine(int64_t cols, int64_t rows, bool shared) {
  return {cols, rows, shared, {1024, 4096, 2048, 0.01, 0.02}, false};
}

// An item whose calls take an activation message and a weight message each and send an output message each.
struct Item {
  int64_t cols, rows, calls;
  std::vector<uint8_t> locks;
  std::vector<double> kernel, a_move, o_rest;
  std::vector<int64_t> a_sizes, w_bytes, o_sizes, head, a_counts, kept;
  std::optional<FlowRings> rings;
  bool aligned = false;

  Item(int64_t cols_, int64_t rows_, int64_t calls_, double cycles)
      : cols(cols_),
        rows(rows_),
        calls(calls_),
        locks(static_cast<size_t>(calls * FlowLoad::kLocks), 1),
        kernel(static_cast<size_t>(calls * cols * rows), cycles),
        a_move(static_cast<size_t>(calls * cols), 10.0),
        o_rest(static_cast<size_t>(cols * rows), 0.0),
        a_sizes(a_move.size(), 1),
        w_bytes(static_cast<size_t>(calls * rows), 512),
        o_sizes(kernel.size(), 1),
        head(static_cast<size_t>(cols), 16),
        a_counts(head.size(), calls),
        kept(head.size(), 0) {}

  void WithoutWeights() {
    for (size_t at = 0; at < locks.size(); at += FlowLoad::kLocks) {
      locks[at + FlowLoad::kAcquireW] = locks[at + FlowLoad::kReleaseW] = 0;
    }
  }

  FlowLoad load() const {
    return {cols,           rows,           calls,          calls,       calls,           calls,       locks.data(),
            kernel.data(),  a_move.data(),  a_sizes.data(), w_bytes.data(), o_sizes.data(), o_rest.data(), head.data(),
            a_counts.data(), kept.data(),   1,              1,           aligned,         rings};
  }
};

double Last(const std::vector<double>& times) { return *std::max_element(times.begin(), times.end()); }

void Run(MessageFlow* flow, const Item& item, bool lags = false, bool lag_follows = false, bool keeps = true) {
  const FlowLoad load = item.load();
  const std::vector<double> ready = flow->Opcodes(load, nullptr);
  flow->Run(load, {ready.data(), 0.0, lags, keeps, keeps, lag_follows});
}

// Opcodes of a slot until 10, then messages until 20, 30, 40. Weights of 512 bytes: a memtile slot of 2048 is there at
// 40.96, the first message 5.12 later, the others 5.12 each behind it; calls of 100 cycles, outputs of 7.
void TestOneItem() {
  MessageFlow flow(Machine(1, 1, true), kRings);
  Run(&flow, Item(1, 1, 3, 100.0));
  const double first = 2048 * 0.02 + 512 * 0.01;
  CHECK(flow.a_free()[0] == 40, "%f", flow.a_free()[0]);
  CHECK(std::abs(flow.core()[0] - (first + 300)) < 1e-9, "%f", flow.core()[0]);
  CHECK(std::abs(flow.o_end()[0] - (first + 307)) < 1e-9, "%f", flow.o_end()[0]);
  CHECK(flow.Done(0)[0] == flow.o_end()[0] && flow.Ended(0) == flow.o_end()[0], "%f", flow.Done(0)[0]);
  flow.Delay(5000);
  CHECK(flow.Done(0)[0] == 5000 && flow.Ended(0) == 5000 && flow.o_end()[0] == 5000, "%f", flow.Done(0)[0]);
}

// A ring of four messages: the seventh comes behind the release of the third, at three calls.
void TestFullRing() {
  MessageFlow flow(Machine(1, 1, true), kRings);
  Item item(1, 1, 7, 1000.0);
  item.WithoutWeights();
  Run(&flow, item);
  const double third = 10 + 10 + 3 * 1000;
  CHECK(flow.a_free()[0] == third + 10, "%f", flow.a_free()[0]);
  CHECK(flow.core()[0] == 10 + 10 + 7 * 1000, "%f", flow.core()[0]);
}

// What a ring still holds behind a lagging barrier makes the next item's messages wait; a ring laid out anew does not.
void TestLag() {
  double begin[2];
  for (const bool keeps : {false, true}) {
    MessageFlow flow(Machine(1, 1, true), kRings);
    Item item(1, 1, 4, 1000.0);
    item.WithoutWeights();
    Run(&flow, item, false, true);
    CHECK(flow.open() && flow.Ended(0) == 0, "%f", flow.Ended(0));
    item.rings = kRings;
    Run(&flow, item, true, false, keeps);
    CHECK(!flow.open() && flow.items() == 2, "%ld items", static_cast<long>(flow.items()));
    CHECK(flow.Done(0)[0] == 4027 && flow.Ended(0) == 4027, "%f", flow.Done(0)[0]);
    begin[keeps] = flow.core()[0] - 4000;
  }
  CHECK(begin[true] == 4020, "%f", begin[true]);
  CHECK(begin[false] == 4027 + 10, "%f", begin[false]);  // when the old output ring is empty
}

// When the first slots of a core have left; the links are simulated up to there.
double Left(Links* links, size_t core, int64_t slots) {
  links->Await(core, slots);
  while (!links->Known(core, static_cast<double>(slots))) links->Step();
  return *links->Known(core, static_cast<double>(slots));
}

// Row 1 is ready first; both messages are handed over in one round, with row 0's, which are ready much later.
void TestSharedLink() {
  SharedLinks links(1, 2, {0, 0});
  links.Send(0, 100, 1, 10, 0);
  links.Send(1, 0, 1, 10, 0);
  CHECK(Left(&links, 0, 1) == 110 && Left(&links, 1, 1) == 10, "%f %f", Left(&links, 0, 1), Left(&links, 1, 1));
  links.Send(0, 105, 1, 10, 0);
  links.Send(1, 20, 1, 10, 0);
  CHECK(links.Finish() == (std::vector<double>{120, 30}), "%f %f", links.Finish()[0], links.Finish()[1]);
}

// Two cores share the link until the first has sent its slot of data; then three parts are left.
void TestFillerBehindData() {
  SharedLinks links(1, 2, {0, 0});
  links.Send(0, 0, 3, 2, 2);
  links.Send(1, 0, 1, 2, 0);
  links.EndItem({true, true});
  CHECK(links.DataEnd(0) == (std::vector<double>{4, 4}), "%f %f", links.DataEnd(0)[0], links.DataEnd(0)[1]);
  CHECK(links.AllEnd(0) == (std::vector<double>{8, 4}), "%f %f", links.AllEnd(0)[0], links.AllEnd(0)[1]);
}

// Slots leave one by one, whether their message is queued, comes, is being sent or has gone, alone or beside another.
void TestSomeOfTheSlots() {
  for (const bool shared : {false, true}) {
    std::unique_ptr<Links> links;
    if (shared) links = std::make_unique<SharedLinks>(1, 2, std::vector<double>{0, 0});
    if (!shared) links = std::make_unique<OwnLinks>(std::vector<double>{0, 0});
    links->Send(0, 5, 4, 10, 0);
    links->Send(0, 5, 4, 10, 0);
    CHECK(Left(&*links, 0, 6) == 65 && Left(&*links, 0, 4) == 45, "%f %f", Left(&*links, 0, 6), Left(&*links, 0, 4));
    links->Send(1, 65, 2, 10, 0);  // from here on two share the link
    CHECK(Left(&*links, 0, 7) == (shared ? 85 : 75), "%f", Left(&*links, 0, 7));
    CHECK(Left(&*links, 1, 2) == (shared ? 105 : 85), "%f", Left(&*links, 1, 2));
    const double last = shared ? 105 : 85;
    CHECK(links->Finish() == std::vector<double>(2, last), "shared %d", shared);
  }
}

// Two of three slots have left when the other core is done; who asks for the first finds both gone.
void TestMoreThanIsAskedFor() {
  SharedLinks links(1, 2, {0, 0});
  links.Send(0, 0, 3, 2, 0);
  links.Send(1, 0, 2, 2, 0);
  CHECK(Left(&links, 1, 2) == 8 && !links.Known(0, 1), "%f", Left(&links, 1, 2));
  CHECK(Left(&links, 0, 1) == 8 && links.Known(0, 2) == 8.0, "%f", Left(&links, 0, 1));
  CHECK(Left(&links, 0, 3) == 10, "%f", Left(&links, 0, 3));
}

// Two rows of a column send messages of two slots and of one, and compute in no time. They share the link equally, slot
// by slot; so row 1 is done when each has sent its three slots, at 6 of 7 cycles, and row 0 sends its others alone.
void TestRowsAreApart() {
  MessageFlow flow(Machine(1, 2, true), {64, 4, 2, 0.5, 7});
  Item item(1, 2, 3, 0.0);
  item.WithoutWeights();
  for (double& t : item.a_move) t = 0;
  item.o_sizes = {2, 1, 2, 1, 2, 1};
  Run(&flow, item);
  CHECK(flow.o_end() == (std::vector<double>{0.5 + 9 * 7, 0.5 + 6 * 7}), "%f %f", flow.o_end()[0], flow.o_end()[1]);
}

// Two messages of two slots fill the ring. The third, of one, waits for one slot of the first to leave, not for both.
void TestRoomForSome() {
  for (const bool shared : {false, true}) {
    MessageFlow flow(Machine(1, 1, shared), {64, 4, 4, 0.5, 7});
    Item item(1, 1, 3, 0.0);
    item.WithoutWeights();
    for (double& t : item.a_move) t = 0;
    item.o_sizes = {2, 2, 1};
    Run(&flow, item);
    CHECK(flow.core()[0] == 0.5 + 7 && flow.o_end()[0] == 0.5 + 5 * 7, "%f %f", flow.core()[0], flow.o_end()[0]);
  }
}

// Ends by the rule, in small steps of time: every core with a part that is ready gets an equal share of each step.
std::vector<std::vector<double>> Stepped(const std::vector<std::vector<std::pair<double, double>>>& parts) {
  constexpr double kStep = 1.0 / 60;
  std::vector<std::vector<double>> ends(parts.size());
  std::vector<double> left(parts.size(), 0);
  size_t done = 0, all = 0;
  for (const auto& row : parts) all += row.size();
  for (int64_t now = 0; done < all; ++now) {
    std::vector<size_t> active;
    for (size_t r = 0; r < parts.size(); ++r) {
      const size_t part = ends[r].size();
      if (part == parts[r].size() || parts[r][part].first > static_cast<double>(now) * kStep + 1e-9) continue;
      if (left[r] <= 0) left[r] = parts[r][part].second;
      active.push_back(r);
    }
    for (const size_t r : active) {
      left[r] -= kStep / static_cast<double>(active.size());
      if (left[r] > 1e-6) continue;
      left[r] = 0;
      ends[r].push_back(static_cast<double>(now + 1) * kStep);
      ++done;
    }
  }
  return ends;
}

void TestEqualShares(Rng* rng, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::vector<std::pair<double, double>>> parts(static_cast<size_t>(Pick(rng, 1, 4)));
    Link link(std::vector<double>(parts.size(), 0.0));
    for (size_t r = 0; r < parts.size(); ++r) {
      double ready = 0;
      for (int64_t k = Pick(rng, 0, 4); k > 0; --k) {
        ready += static_cast<double>(Pick(rng, 0, 30));
        parts[r].emplace_back(ready, static_cast<double>(Pick(rng, 1, 6)));
        const auto [begin, work] = parts[r].back();
        link.Push(r, begin, work, static_cast<double>(parts[r].size()));
      }
    }
    const auto wanted = Stepped(parts);
    for (size_t r = 0; r < parts.size(); ++r) {
      for (size_t k = 0; k < parts[r].size(); ++k) {
        const double end = link.End(r, static_cast<double>(k + 1));
        CHECK(std::abs(end - wanted[r][k]) <= 1.5, "part %zu of row %zu ends at %f, not %f", k, r, end, wanted[r][k]);
      }
    }
  }
}

// Slots are taken in order; releasing just what `needs` says leaves room, one message less does not.
void TestRingPlan(Rng* rng, int rounds) {
  constexpr int64_t kSlots = 48;
  for (int round = 0; round < rounds; ++round) {
    const int64_t position = Pick(rng, 0, kSlots - 1);
    std::vector<int64_t> sizes, ends;
    for (int64_t n = Pick(rng, 1, 30); n > 0; --n) sizes.push_back(Pick(rng, 0, kSlots));
    const RingPlan plan = PlanRing(position, sizes, kSlots);
    int64_t at = position, end = 0;
    for (size_t m = 0; m < sizes.size(); ++m) {
      const auto& place = plan.messages[m];
      CHECK(place.filler == (at + sizes[m] > kSlots ? kSlots - at : 0), "message %zu", m);
      at = (at + place.filler + sizes[m]) % kSlots;
      ends.push_back(end += place.filler + sizes[m]);
      const auto freed = [&](int64_t last) {
        const auto next = static_cast<size_t>(last + 1);
        return (last >= 0 ? ends[next - 1] : 0) + (next <= m ? plan.messages[next].filler : 0);
      };
      const bool before = place.needs == static_cast<int64_t>(m) - 1;
      CHECK(before || end - freed(place.needs) <= kSlots, "message %zu needs %ld", m, static_cast<long>(place.needs));
      CHECK(place.needs < 0 || end - freed(place.needs - 1) > kSlots, "message %zu", m);
    }
    CHECK(at == plan.position, "position %ld", static_cast<long>(plan.position));
  }
}

// A weight message waits for the bytes in front of it: the core ring holds two of 512, the memtile ring two slots.
void TestWeightsWait() {
  WeightStream stream(1, 1, {1024, 4096, 2048, 0.01, 0.02}, false);
  const std::vector<int64_t> sizes(12, 512);
  stream.Begin(sizes.data(), 12);
  double t = 0;
  CHECK(!stream.Arrive(0, 2), "the third message needs the first one's room");
  for (int64_t k = 0; k < 12; ++k) {
    const std::optional<double> there = stream.Arrive(0, k);
    const double room = t + 512 * 0.01;  // two messages before: released at `t`
    CHECK(there && (k < 2 || *there >= room), "message %d at %f, room at %f", static_cast<int>(k), *there, room);
    const double first = 2048 * 0.02 + 512 * 0.01 * static_cast<double>(k + 1);
    CHECK(k > 1 || std::abs(*there - first) < 1e-9, "message %d at %f", static_cast<int>(k), *there);
    if (k > 0) t += 100;
    CHECK(stream.Release(0, k, t + 100), "one column");
  }
  stream.End();
}

// A message as large as four before it, in a ring of these: behind the release of each the rest of its bytes moves.
// Here the second one's holds it up, though it needs the fourth one's, too: that is given before the stream is there.
void TestLargeWeightsWait() {
  WeightStream stream(2, 1, {2048, 8192, 2048, 0.01, 0.001}, false);
  const std::vector<int64_t> sizes = {512, 512, 512, 512, 2048};
  stream.Begin(sizes.data(), 5);
  const double released[] = {30, 100, 101, 102};
  for (int64_t k = 0; k < 4; ++k) {
    CHECK(!stream.Arrive(0, 4), "message %d is not released", static_cast<int>(k));
    CHECK(!stream.Release(0, k, 20), "the other column holds message %d", static_cast<int>(k));
    CHECK(stream.Release(0, k, released[k]), "message %d", static_cast<int>(k));
  }
  CHECK(std::abs(*stream.Arrive(0, 4) - (100 + 3 * 5.12)) < 1e-9, "at %f", *stream.Arrive(0, 4));
}

Item RandomItem(Rng* rng, int64_t cols, int64_t rows) {
  const int64_t sizes[] = {1, 7, 8, 9, 31, 33};
  Item item(cols, rows, sizes[Pick(rng, 0, 5)], 0.0);
  const FlowRings rings{64, 33 + Pick(rng, 0, 9), 33 + Pick(rng, 0, 9), 3.7, 1.3};
  if (Pick(rng, 0, 2) > 0) item.rings = rings;
  for (double& t : item.kernel) t = static_cast<double>(Pick(rng, 0, 200)) * 1.1;
  for (int64_t& size : item.a_sizes) size = Pick(rng, 0, 3) > 0 ? 31 : sizes[Pick(rng, 0, 5)];
  for (int64_t& size : item.o_sizes) size = Pick(rng, 0, 3) > 0 ? 7 : Pick(rng, 0, 33);
  for (int64_t& bytes : item.w_bytes) bytes = 512 * Pick(rng, 0, 2);
  for (int64_t& words : item.head) words = Pick(rng, 0, 100);
  item.aligned = Pick(rng, 0, 3) == 0;
  return item;
}

// Random items behind barriers of both kinds: copies go their own way, and where links are not shared, slower kernels
// never make an end earlier.
void TestRandom(Rng* rng, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const int64_t cols = Pick(rng, 1, 3), rows = Pick(rng, 1, 4);
    const bool shared = Pick(rng, 0, 1) > 0;
    const FlowRings rings{64, 36, 36, 3.7, 1.3};
    MessageFlow flow(Machine(cols, rows, shared), rings), slower = flow;
    bool lags = false;
    for (int64_t left = Pick(rng, 1, 5); left > 0; --left) {
      Item item = RandomItem(rng, cols, rows);
      const bool lag_follows = left > 1 && Pick(rng, 0, 1) > 0, keeps = Pick(rng, 0, 1) > 0;
      MessageFlow tried = flow;
      Run(&tried, RandomItem(rng, cols, rows), lags, lag_follows, keeps);
      MessageFlow twin = flow;
      Run(&flow, item, lags, lag_follows, keeps);
      Run(&twin, item, lags, lag_follows, keeps);
      CHECK(twin.core() == flow.core() && twin.o_end() == flow.o_end(), "a copy differs in round %d", round);
      for (double& t : item.kernel) t += 30;
      Run(&slower, item, lags, lag_follows, keeps);
      CHECK(shared || Last(slower.core()) >= Last(flow.core()), "earlier in round %d", round);
      const int64_t item_number = Pick(rng, 0, flow.items() - 1);
      CHECK(Last(flow.Done(item_number)) >= 0, "round %d", round);
      lags = lag_follows;
    }
    CHECK(shared || Last(slower.o_end()) >= Last(flow.o_end()), "earlier in round %d", round);
  }
}

}  // namespace

int main() {
  Rng rng(1);
  TestOneItem();
  TestFullRing();
  TestLag();
  TestSharedLink();
  TestFillerBehindData();
  TestSomeOfTheSlots();
  TestMoreThanIsAskedFor();
  TestRowsAreApart();
  TestRoomForSome();
  TestWeightsWait();
  TestLargeWeightsWait();
  TestRingPlan(&rng, 300);
  TestEqualShares(&rng, 200);
  TestRandom(&rng, 400);
  std::printf("test_message_flow: ok\n");
  return 0;
}

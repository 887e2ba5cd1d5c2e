// Rings that messages fill against loops over all rings, and the search over divisions of core memory on random
// candidates under the sanitizers. Its cycles are compared with numpy's in tests/test_rings.py.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <random>
#include <tuple>
#include <vector>

#include "check.h"
#include "cost/grid.h"

using namespace tvm_aie;

namespace {

using Rng = std::mt19937;
using Rank = std::tuple<int64_t, int64_t, int64_t>;

constexpr SlotSizes kA{32, 256, 512, 1024, 63}, kO{16, 112, 512, 0, 63};
constexpr double kNoLimit = std::numeric_limits<double>::infinity();

int64_t Pick(Rng* rng, int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(*rng); }

// The best of all rings of whole messages; `exactly`: of so many, else of at most `most` that `room` holds.
std::optional<Ring> BestRing(const SlotSizes& sizes, int64_t message, int64_t room, int64_t most, bool exactly) {
  std::optional<Ring> best;
  Rank least{};
  for (int64_t slot = sizes.smallest; slot <= sizes.largest; slot += sizes.align) {
    const int64_t slots = (message + slot - 1) / slot, needed = (sizes.least + slots * slot - 1) / (slots * slot);
    for (int64_t count = 1; count * slots <= sizes.most_slots; ++count) {
      const Ring ring{slot, count * slots};
      if (ring.bytes() < sizes.least) continue;
      if (exactly ? count != most : ring.bytes() > room || count > std::max(most, needed)) continue;
      const Rank rank{-count, ring.bytes(), -slot};
      if (!best || rank < least) {
        best = ring;
        least = rank;
      }
    }
  }
  return best;
}

bool Same(const std::optional<Ring>& a, const std::optional<Ring>& b) {
  return a.has_value() == b.has_value() && (!a || (a->slot == b->slot && a->slots == b->slots));
}

void TestRings() {
  Rng rng(7);
  for (int trial = 0; trial < 2000; ++trial) {
    const SlotSizes& sizes = trial % 2 == 0 ? kA : kO;
    const int64_t message = Pick(&rng, 1, trial % 3 == 0 ? 40000 : 900);
    const int64_t room = Pick(&rng, -500, 40000), most = Pick(&rng, 1, 70);
    const Slots slots(sizes, message);
    CHECK(Same(slots.Within(room, most), BestRing(sizes, message, room, most, false)),
          "messages of %ld in %ld", static_cast<long>(message), static_cast<long>(room));
    CHECK(Same(slots.Exactly(most), BestRing(sizes, message, 0, most, true)),
          "%ld messages of %ld", static_cast<long>(most), static_cast<long>(message));
  }
}

// Random candidates, sorted by their bound.
struct Candidates {
  int64_t rows;
  std::vector<int64_t> ints;
  std::vector<double> compute, bound;

  Candidates(Rng* rng, int64_t n) : rows(n), ints(static_cast<size_t>(n * GridColumns::kColumns)) {
    for (int64_t row = 0; row < n; ++row) {
      const auto set = [&](GridColumns::Column column, int64_t low, int64_t high) {
        ints[static_cast<size_t>(column * n + row)] = Pick(rng, low, high);
      };
      for (const auto column : {GridColumns::kNCk, GridColumns::kNob, GridColumns::kNPass, GridColumns::kNX,
                                GridColumns::kNB}) {
        set(column, 1, 5);
      }
      for (const auto column : {GridColumns::kResident, GridColumns::kSingle}) set(column, 0, 1);
      set(GridColumns::kKept, 0, Pick(rng, 0, 1) * 4000);
      for (const auto column : {GridColumns::kABytes, GridColumns::kOBytes}) set(column, 1, 6000);
      for (const auto column : {GridColumns::kOBlock, GridColumns::kAccBytes, GridColumns::kWMessage}) {
        set(column, 1, 9000);
      }
      set(GridColumns::kWTotal, 1, 90000);
      set(GridColumns::kHeader, 1, 2600);
      compute.push_back(static_cast<double>(Pick(rng, 0, 90000)));
      bound.push_back(row * 100.0);
    }
  }

  GridColumns columns() const { return {rows, ints.data(), compute.data(), bound.data()}; }
};

Grid GridOf(const Candidates& candidates) {
  const CoreRoom room{60000, 2560, 64, kA, kO, {2, 3, 4, 1, 6, 8, 12}, 4};
  return {candidates.columns(), {5, 5, 4}, {1.0, 0.7, 0.9, 1.3}, room};
}

void TestBestIsTheFirstOfAll() {
  Rng rng(11);
  for (int trial = 0; trial < 200; ++trial) {
    Candidates candidates(&rng, Pick(&rng, 0, 30));
    for (double& bound : candidates.bound) bound = 0;  // nothing is skipped
    const Grid grid = GridOf(candidates);
    const Ring w{512, Pick(&rng, 8, 63)};
    std::vector<Division> listed;
    for (int64_t k = Pick(&rng, 0, 4); k > 0; --k) {
      listed.push_back({{512, Pick(&rng, 1, 30)}, w, {256, Pick(&rng, 1, 30)}, Pick(&rng, 0, 9000), 2560});
    }
    for (const Divisions& divisions : {Divisions(FittedDivisions{w, std::nullopt}),
                                       Divisions(FittedDivisions{w, Ring{128, 48}}), Divisions(listed)}) {
      for (const bool flowing : {false, true}) {
        const auto all = grid.Within(divisions, kNoLimit, flowing);
        const auto best = grid.Best(divisions, kNoLimit, flowing);
        CHECK(best.has_value() == !all.empty(), "trial %d", trial);
        for (size_t k = 0; k < all.size(); ++k) {
          const auto& pair = all[k];
          CHECK(std::tie(best->cycles, best->number, best->row) <= std::tie(pair.cycles, pair.number, pair.row),
                "trial %d", trial);
          CHECK(k == 0 || std::tie(all[k - 1].number, all[k - 1].row) < std::tie(pair.number, pair.row),
                "trial %d", trial);
          const GridCandidate c = candidates.columns().at(pair.row);
          CHECK(c.a_bytes <= pair.division.a.bytes() && c.o_bytes <= pair.division.o.bytes(), "trial %d", trial);
          CHECK(c.w_message <= pair.division.w.bytes() && c.acc_bytes <= pair.division.acc_bytes, "trial %d", trial);
        }
        if (!best) continue;
        CHECK(grid.Best(divisions, best->cycles, flowing)->row == best->row, "trial %d", trial);
        CHECK(!grid.Best(divisions, best->cycles / 2, flowing), "trial %d", trial);
      }
    }
  }
}

void TestBoundsAbove() {
  Rng rng(13);
  Candidates candidates(&rng, 30);
  const Divisions divisions = FittedDivisions{{512, 40}, std::nullopt};
  for (double& bound : candidates.bound) bound = 0;
  const auto all = GridOf(candidates).Within(divisions, kNoLimit, false).size();
  candidates.bound.assign(candidates.bound.size(), 1e9);
  CHECK(all > 0 && GridOf(candidates).Within(divisions, 1e8, false).empty(), "%zu pairs", all);
  CHECK(!GridOf(candidates).Best(divisions, 1e8, false), "a bound is ignored");
}

}  // namespace

int main() {
  TestRings();
  TestBestIsTheFirstOfAll();
  TestBoundsAbove();
  std::puts("test_grid: ok");
  return EXIT_SUCCESS;
}

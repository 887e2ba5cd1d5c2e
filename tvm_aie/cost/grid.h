// The sub-volume search of a convolution over divisions of core memory: python/tvm_aie/schedule/grid.py.
#ifndef TVM_AIE_COST_GRID_H_
#define TVM_AIE_COST_GRID_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "cost/fitted_rings.h"

namespace tvm_aie {

// A division of core memory: its rings, bytes for partial sums and for the header of a weight message.
struct Division {
  Ring a, w, o;
  int64_t acc_bytes, hdr_bytes;
};

// All divisions with one weight ring whose other rings a candidate's messages fill; `o`: that of outputs, if given.
struct FittedDivisions {
  Ring w;
  std::optional<Ring> o;
};

using Divisions = std::variant<std::vector<Division>, FittedDivisions>;

// What core memory has for a fitted division.
struct CoreRoom {
  int64_t bytes;      // beside what every core has
  int64_t hdr_bytes;  // of that
  int64_t acc_align;
  SlotSizes a, o;
  std::vector<int64_t> few;  // messages of the ring that has few
  int64_t few_chunks;        // of the input channels, up to which a ring has a pass's output blocks
};

// Words per cycle; `o_link`: of the output flows of a column together.
struct GridTerms {
  double a_rate, w_rate, o_rate, o_link;
};

// A way to cut the layer, as `grid.Candidates`.
struct GridCandidate {
  int64_t n_ck, nob, n_pass, n_x, n_b, resident, kept, single;
  int64_t a_bytes, o_bytes, o_block, acc_bytes, w_message, w_total, header;
  double compute;

  int64_t outputs() const { return n_pass * n_x * n_b; }  // messages that a core sends
};

// Columns of `grid.Candidates`, one after the other, sorted by `bound`: cycles that no division can beat.
struct GridColumns {
  enum Column : int64_t {
    kCkb, kNCk, kNob, kNPass, kWidth, kNX, kBand, kNB, kResident, kKept, kSingle,
    kABytes, kOBytes, kOBlock, kAccBytes, kWMessage, kWTotal, kHeader, kColumns
  };

  int64_t rows;
  const int64_t* ints;
  const double* compute;
  const double* bound;

  GridCandidate at(int64_t row) const;
};

class Grid {
 public:
  // A candidate with a division that it fits: its number among the divisions, the candidate's among the grid's.
  struct Pair {
    double cycles;
    int64_t number, row;
    Division division;
  };

  // `blocks`: output blocks of each core row.
  Grid(GridColumns columns, std::vector<int64_t> blocks, const GridTerms& terms, CoreRoom room)
      : columns_(columns), blocks_(std::move(blocks)), terms_(terms), room_(std::move(room)) {}

  // The fastest pair that takes at most `limit`; of equal ones that of the first division, then row. `flowing`: between
  // items that overlap.
  std::optional<Pair> Best(const Divisions& divisions, double limit, bool flowing) const;

  // All that take at most `limit`, by division, then row.
  std::vector<Pair> Within(const Divisions& divisions, double limit, bool flowing) const;

 private:
  struct Messages;

  template <typename Visit>
  void EachPair(const Divisions& divisions, const double& limit, bool flowing, Visit visit) const;
  template <typename Visit>
  void Each(const GridCandidate& c, const Divisions& divisions, Visit visit) const;
  template <typename Visit>
  void EachFitted(const GridCandidate& c, const FittedDivisions& divisions, Visit visit) const;
  Messages MessagesOf(const GridCandidate& c, const Division& division) const;
  double Sent(const GridCandidate& c, int64_t o_slots, int64_t slot) const;
  double Cycles(const GridCandidate& c, const Division& division, bool flowing) const;
  double Alone(const GridCandidate& c, const Division& division, const Messages& m) const;
  double Flowing(const GridCandidate& c, const Division& division, const Messages& m) const;

  GridColumns columns_;
  std::vector<int64_t> blocks_;
  GridTerms terms_;
  CoreRoom room_;
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_GRID_H_

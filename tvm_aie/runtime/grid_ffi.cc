// The search over divisions of core memory as a TVM-FFI object: tvm_aie.schedule.Grid.
#include "cost/grid.h"

#include <tvm/ffi/object.h>
#include <tvm/ffi/reflection/registry.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "runtime/session.h"
#include "runtime/tensors.h"

namespace tvm_aie {
namespace {

namespace ffi = tvm::ffi;

constexpr int64_t kMost = int64_t{1} << 26;       // bytes and slots
constexpr int64_t kMostCalls = int64_t{1} << 36;  // of a candidate, block by block; bytes of all weights
constexpr int64_t kDivision = 8;                  // numbers of a division, as `schedule.rings.RINGS`

template <typename T>
const T* Values(const ffi::Tensor& tensor, uint8_t code, std::initializer_list<int64_t> shape, const char* what) {
  return TensorValues<T>(tensor, code, shape, "grid", what);
}

void Check(bool ok, const char* what) {
  if (!ok) TVM_FFI_THROW(ValueError) << "grid: impossible " << what;
}

bool InRange(int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; }

Ring RingOf(const int64_t* values) {
  Check(InRange(values[0], 1, kMost) && InRange(values[1], 1, kMost), "ring");
  return {values[0], values[1]};
}

SlotSizes SizesOf(const int64_t* values) {
  const SlotSizes sizes{values[0], values[1], values[2], values[3], values[4]};
  const bool ordered = InRange(sizes.align, 1, kMost) && InRange(sizes.smallest, 1, sizes.largest) &&
                       InRange(sizes.largest, sizes.smallest, kMost);
  Check(ordered && sizes.count() <= SlotSizes::kMostSizes, "slots");
  Check(InRange(sizes.least, 0, kMost) && InRange(sizes.most_slots, 1, kMost), "slots");
  return sizes;
}

// `values`: bytes beside what every core has, of the header, that ACC is a multiple of; chunks of the input up to which
// a ring has a pass's outputs; slots of activations and of outputs; messages of the ring that has few.
CoreRoom RoomOf(const ffi::Tensor& values) {
  const int64_t* n = Values<int64_t>(values, kDLInt, {-1}, "core memory");
  constexpr int64_t kHead = 4, kSizes = 5;
  Check(values.size(0) >= kHead + 2 * kSizes, "core memory");
  std::vector<int64_t> few(n + kHead + 2 * kSizes, n + values.size(0));
  for (const int64_t count : few) Check(InRange(count, 1, kMost), "count of messages");
  Check(InRange(n[0], 0, kMost) && InRange(n[1], 0, kMost) && InRange(n[2], 1, kMost), "core memory");
  return {n[0], n[1], n[2], SizesOf(n + kHead), SizesOf(n + kHead + kSizes), std::move(few), n[3]};
}

// Within what the formulas' integers hold.
void CheckCandidate(const GridCandidate& c) {
  int64_t calls = 1;
  for (const int64_t count : {c.n_ck, c.nob, c.n_pass, c.n_x, c.n_b}) {
    Check(InRange(count, 1, kMost), "candidate");
    calls *= count;
    Check(calls <= kMostCalls, "candidate");
  }
  for (const int64_t bytes : {c.kept, c.a_bytes, c.o_block, c.acc_bytes, c.w_message, c.header}) {
    Check(InRange(bytes, 0, kMost), "candidate");
  }
  Check(InRange(c.o_bytes, 1, kMost) && InRange(c.w_total, 0, kMostCalls), "candidate");
  Check(std::isfinite(c.compute) && c.compute >= 0, "candidate");
}

class GridObj : public ffi::Object {
 public:
  // `ints`, `reals`: columns of the candidates, as `GridColumns`; `blocks`: output blocks of each core row.
  GridObj(ffi::Tensor ints, ffi::Tensor reals, const ffi::Tensor& blocks, const ffi::Tensor& terms,
          const ffi::Tensor& room)
      : ints_(std::move(ints)), reals_(std::move(reals)), grid_(Made(ints_, reals_, blocks, terms, room)) {}

  // The best pair, if any, as `within`.
  ffi::Array<ffi::Tensor> Best(const ffi::Tensor& divisions, bool fitted, double limit, bool flowing) const {
    const auto found = grid_.Best(DivisionsOf(divisions, fitted), limit, flowing);
    return Pairs(found ? std::vector<Grid::Pair>{*found} : std::vector<Grid::Pair>());
  }

  // Of each pair the numbers of the division and of the candidate, and the division; cycles.
  ffi::Array<ffi::Tensor> Within(const ffi::Tensor& divisions, bool fitted, double limit, bool flowing) const {
    return Pairs(grid_.Within(DivisionsOf(divisions, fitted), limit, flowing));
  }

  TVM_FFI_DECLARE_OBJECT_INFO_FINAL("tvm_aie.schedule.Grid", GridObj, ffi::Object);

 private:
  static Grid Made(const ffi::Tensor& ints, const ffi::Tensor& reals, const ffi::Tensor& blocks,
                   const ffi::Tensor& terms, const ffi::Tensor& room) {
    const int64_t* columns = Values<int64_t>(ints, kDLInt, {GridColumns::kColumns, -1}, "candidates");
    const int64_t rows = ints.size(1);
    const double* times = Values<double>(reals, kDLFloat, {2, rows}, "candidates");
    const GridColumns found{rows, columns, times, times + rows};
    for (int64_t row = 0; row < rows; ++row) CheckCandidate(found.at(row));
    const int64_t* shares = Values<int64_t>(blocks, kDLInt, {-1}, "blocks");
    std::vector<int64_t> own(shares, shares + blocks.size(0));
    Check(!own.empty(), "blocks");
    for (const int64_t share : own) Check(share >= 0 && share <= kMost, "blocks");
    const double* rates = Values<double>(terms, kDLFloat, {4}, "rates");
    for (int k = 0; k < 4; ++k) Check(rates[k] > 0, "rates");
    return {found, std::move(own), GridTerms{rates[0], rates[1], rates[2], rates[3]}, RoomOf(room)};
  }

  // Listed ones, a row each, or `fitted`: a weight ring and, if it is given, an output ring.
  static Divisions DivisionsOf(const ffi::Tensor& tensor, bool fitted) {
    const int64_t* n = Values<int64_t>(tensor, kDLInt, {-1, fitted ? 2 : kDivision}, "divisions");
    const int64_t rows = tensor.size(0);
    if (fitted) {
      Check(rows == 1 || rows == 2, "divisions");
      return FittedDivisions{RingOf(n), rows == 2 ? std::optional<Ring>(RingOf(n + 2)) : std::nullopt};
    }
    std::vector<Division> listed;
    for (int64_t row = 0; row < rows; ++row, n += kDivision) {
      Check(InRange(n[6], 0, kMost) && InRange(n[7], 0, kMost), "divisions");
      listed.push_back({RingOf(n), RingOf(n + 2), RingOf(n + 4), n[6], n[7]});
    }
    return listed;
  }

  static ffi::Array<ffi::Tensor> Pairs(const std::vector<Grid::Pair>& pairs) {
    const auto rows = static_cast<int64_t>(pairs.size());
    ffi::Tensor numbers = HostTensor({rows, 2 + kDivision}, {kDLInt, 64, 1});
    ffi::Tensor cycles = HostTensor({rows}, {kDLFloat, 64, 1});
    auto* n = static_cast<int64_t*>(numbers.data_ptr());
    auto* t = static_cast<double*>(cycles.data_ptr());
    for (const Grid::Pair& pair : pairs) {
      const Division& d = pair.division;
      for (const int64_t value : {pair.number, pair.row, d.a.slot, d.a.slots, d.w.slot, d.w.slots, d.o.slot, d.o.slots,
                                  d.acc_bytes, d.hdr_bytes}) {
        *n++ = value;
      }
      *t++ = pair.cycles;
    }
    return {std::move(numbers), std::move(cycles)};
  }

  ffi::Tensor ints_, reals_;
  Grid grid_;
};

class GridRef : public ffi::ObjectRef {
 public:
  explicit GridRef(ffi::ObjectPtr<GridObj> grid) : ffi::ObjectRef(std::move(grid)) {}
  TVM_FFI_DEFINE_OBJECT_REF_METHODS_NOTNULLABLE(GridRef, ffi::ObjectRef, GridObj);
};

GridRef MakeGrid(ffi::Tensor ints, ffi::Tensor reals, const ffi::Tensor& blocks, const ffi::Tensor& terms,
                 const ffi::Tensor& room) {
  return GridRef(ffi::make_object<GridObj>(std::move(ints), std::move(reals), blocks, terms, room));
}

// Bytes of a slot and slots of the ring with as many messages as `room` bytes hold, at most `most`; none: empty.
ffi::Array<int64_t> MakeRing(int64_t message, const ffi::Tensor& sizes, int64_t room, int64_t most) {
  Check(InRange(message, 1, kMost), "message");
  const auto ring = Slots(SizesOf(Values<int64_t>(sizes, kDLInt, {5}, "slots")), message).Within(room, most);
  return ring ? ffi::Array<int64_t>{ring->slot, ring->slots} : ffi::Array<int64_t>{};
}

}  // namespace

TVM_FFI_STATIC_INIT_BLOCK() {
  namespace refl = tvm::ffi::reflection;
  refl::ObjectDef<GridObj>(refl::init(false)).def("best", &GridObj::Best).def("within", &GridObj::Within);
  refl::GlobalDef().def("tvm_aie.schedule.grid", MakeGrid).def("tvm_aie.schedule.ring", MakeRing);
}

}  // namespace tvm_aie

#include "kernels/kernel_call.h"

#include <algorithm>
#include <cstring>
#ifndef TVM_AIE_ON_ARRAY
#include <cstdarg>
#include <cstdio>
#include <vector>
#endif

#include "kernels/dispatch.h"

namespace tvm_aie::kernels {

namespace {

// Bounds that keep every product below in int64; the message sizes are checked exactly.
constexpr Wide kMaxDim = 1 << 16, kMaxImage = 1 << 20, kMaxStep = 1 << 12;
constexpr Wide kMaxConvTaps = 256;  // kMaxTaps of conv_host.inc
constexpr Wide kMaxConvStride = 10; // 3 pixels further than the last: 240 B, within the guard of 256 B
constexpr Wide kMaxOutShift = 40, kMaxLeftShift = 31;

struct Call {
  const SuperkernelState& state;
  const CoreConfig& config;
  uint8_t* mem;
  const int32_t* params;
  int n_params;
  bool functional;
  KernelCall* result;
  FaultText* fault;
  const char* name;
  Wide block = -1;  // CONV: of the last input chunk this output block alone; -1: all blocks
  SuperkernelState::Carried* carried = nullptr;  // CONV: of `state`

  Wide blocks() const {
    const auto all = static_cast<Wide>(state.header.n_ocb);
    return block < 0 ? all : std::min<Wide>(all, 1);
  }
  Wide first_block() const { return block < 0 ? 0 : block; }

#ifdef TVM_AIE_ON_ARRAY
  template <typename... Values>
  bool Fail(const char*, Values...) const {
    return false;
  }
  bool Range(const char*, Wide, Wide, Wide) const { return true; }
  bool Params(int) const { return true; }
  void Read(Wide, Wide) const {}
  void Write(Wide, Wide) const {}
#else
  __attribute__((format(printf, 2, 3))) bool Fail(const char* format, ...) const {
    char text[256];
    va_list list;
    va_start(list, format);
    std::vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    *fault = FaultText(name) + ": " + text;
    return false;
  }
  bool Range(const char* what, Wide v, Wide lo, Wide hi) const {
    if (v >= lo && v <= hi) return true;
    return Fail("%s %lld not in %lld..%lld", what, static_cast<long long>(v), static_cast<long long>(lo),
                static_cast<long long>(hi));
  }
  bool Params(int n) const {
    return n_params == n || Fail("%d parameter words, expected %d", n_params, n);
  }
  void Read(Wide begin, Wide bytes) const { Add(result->reads.data(), &result->n_reads, begin, bytes); }
  void Write(Wide begin, Wide bytes) const { Add(result->writes.data(), &result->n_writes, begin, bytes); }

 private:
  static void Add(MemRange* list, int* n, Wide begin, Wide bytes) {
    if (bytes > 0) list[(*n)++] = {static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + bytes)};
  }
#endif
};

// The value of the loop at `level`; -1 is the constant 0.
bool LoopIndex(const Call& c, const char* what, int level, Wide* index) {
  if (!c.Range(what, level, -1, c.state.depth - 1)) return false;
  *index = level < 0 ? 0 : c.state.loops[static_cast<size_t>(level)].index;
  return true;
}

// The message at the A ring position: `bytes` of it are needed.
bool CheckInput(const Call& c, Wide bytes) {
  if (kTrusted) return true;
  const CoreConfig& k = c.config;
  Wide slots = std::min<Wide>(c.state.a_held, k.a_slots - c.state.a_pos);
  Wide held = slots * k.a_slot;
  if (bytes > held) {
    return c.Fail("needs %lld input bytes, the message holds %lld", static_cast<long long>(bytes),
                  static_cast<long long>(held));
  }
  c.Read(c.state.a_msg, bytes);
  return true;
}

bool CheckOutput(const Call& c, Wide bytes) {
  if (kTrusted) return true;
  Wide held = static_cast<Wide>(c.state.o_held) * c.config.o_slot;
  if (bytes > held) {
    return c.Fail("writes %lld output bytes, the message holds %lld", static_cast<long long>(bytes),
                  static_cast<long long>(held));
  }
  c.Write(c.state.o_msg, bytes);
  return true;
}

bool CheckRequant(const Call& c, const Requant& q, int bits = 8) {
  if (kTrusted) return true;
  const Wide low = -(Wide{1} << (bits - 1)), high = -low - 1;
  if (!c.Range("acc_shift", q.acc_shift, 0, 30) || !c.Range("out_shift", q.out_shift, -kMaxLeftShift, kMaxOutShift) ||
      !c.Range("lo", q.lo, low, high) || !c.Range("hi", q.hi, q.lo, high) || !c.Range("neg_mul", q.neg_mul, 0, 511)) {
    return false;
  }
  // int32 << acc_shift, plus the bias, times the leaky multiplier must fit int64.
  int mul_bits = 0;
  for (int m = q.neg_mul == 0 ? 0 : std::max(q.neg_mul, 256); m > 0; m >>= 1) ++mul_bits;
  return q.acc_shift + mul_bits <= 30 ||
         c.Fail("acc_shift %d with neg_mul %d exceeds 64 bits", q.acc_shift, q.neg_mul);
}

// Parameters 0..14, common to CONV and the pools: the window and the band.
struct Window {
  Wide n_cblk, line_px, kh, kw, sy, sx, dy, dx, wo, band, y0, y_rows, pad_top, h_in;
  Wide first_row = 0;  // message row of tap 0 of band row 0
  Wide rows = 0;       // rows of the message
  Wide b = 0;          // index of the band
  Wide elem = 1;       // bytes per element of the message
  Wide y = 0, y_first = 0;  // rows that the window computes: the band's first, the column's first
  Wide lo = 0, top = 0;     // first row of the image in the message; the same if the image had rows above
};

// First output row of the band; the last band overlaps its predecessor.
Wide BandStart(const Window& w) { return w.y0 + std::min(w.b * w.band, w.y_rows - w.band); }

// Input rows of output rows [y, y + band); false where the message has none of them.
bool PlaceBand(Window* w, Wide y) {
  Wide lo = std::clamp<Wide>(y * w->sy - w->pad_top, 0, w->h_in - 1);
  Wide end = (y + w->band - 1) * w->sy - w->pad_top + (w->kh - 1) * w->dy + 1;
  Wide hi = std::clamp<Wide>(end, lo + 1, w->h_in);
  w->first_row = y * w->sy - w->pad_top - lo;
  w->rows = hi - lo;
  w->y = y;
  w->lo = lo;
  w->top = y * w->sy - w->pad_top;
  return w->band > 0;
}

bool ReadWindow(const Call& c, Wide max_taps, Wide max_sx, Window* w) {
  const int32_t* p = c.params;
  *w = {p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13]};
  if (!c.Range("n_cblk", w->n_cblk, 1, kMaxDim) || !c.Range("line_px", w->line_px, 1, kMaxDim) ||
      !c.Range("kh", w->kh, 1, max_taps) || !c.Range("kw", w->kw, 1, max_taps) ||
      !c.Range("sy", w->sy, 1, kMaxStep) || !c.Range("sx", w->sx, 1, max_sx) ||
      !c.Range("dy", w->dy, 1, kMaxStep) || !c.Range("dx", w->dx, 1, kMaxStep) ||
      !c.Range("wo", w->wo, 1, kMaxDim) || !c.Range("band", w->band, 1, kMaxDim) ||
      !c.Range("y0", w->y0, 0, kMaxImage) || !c.Range("y_rows", w->y_rows, w->band, kMaxImage) ||
      !c.Range("pad_top", w->pad_top, -kMaxImage, kMaxImage) || !c.Range("h_in", w->h_in, 1, kMaxImage) ||
      !LoopIndex(c, "band_lvl", p[14], &w->b)) {
    return false;
  }
  w->y_first = w->y0;
  return PlaceBand(w, BandStart(*w));
}

Wide InputBytes(const Window& w) { return w.rows * w.n_cblk * w.line_px * 8 * w.elem; }

// Taps ky of band row r that fall inside the image. As a function of r it rises, then falls.
Wide TapsOfRow(const Window& w, Wide r) {
  Wide begin;
  return ValidTaps(w.first_row + r * w.sy, w.dy, w.kh, w.rows, &begin);
}

// The band's first row in a message with all rows of the column. A message without the others begins with it.
Wide RowsBefore(const Window& w) {
  auto first = [&](Wide y) { return std::clamp<Wide>(y * w.sy - w.pad_top, 0, w.h_in - 1); };
  return first(w.y) - first(w.y_first);
}

bool EveryTapValid(const Window& w) { return TapsOfRow(w, 0) == w.kh && TapsOfRow(w, w.band - 1) == w.kh; }

#ifndef TVM_AIE_ON_ARRAY
Wide SumOfTaps(const Window& w) {
  if (EveryTapValid(w)) return w.kh * w.band;
  Wide sum = 0;
  for (Wide r = 0; r < w.band; ++r) sum += TapsOfRow(w, r);
  return sum;
}
#endif

// The second stage of a fused convolution (docs/program.md): a residual operand or a second bias, and a second
// rounding, on the output message of the first stage.
struct Tail {
  enum Kind : int32_t { kNone = 0, kResidual = 1, kBias = 2 };
  int32_t kind = kNone;
  bool kept = false;  // the input lies in ACC (KEEP), the message holds the residual alone
  Wide res_blocks = 0;
  int x_shift = 0, res_shift = 0;
  Requant requant;
};

constexpr int kConvParams = 22, kTailParams = 8, kPoolTailParams = 13;

// One word more than the convolution has: the loop over its output blocks.
bool HasBlockLoop(const Call& c) {
  return c.n_params == kConvParams + 1 || c.n_params == kConvParams + kTailParams + 1;
}
bool HasPoolStage(const Call& c) { return c.n_params > kConvParams + kTailParams + 1; }

// Where the words of a second stage begin: behind those of the convolution, or of sums behind; 0: there are none.
int TailAt(const Call& c) {
  if (!HasPoolStage(c)) return c.n_params > kConvParams + 1 ? kConvParams : 0;
  constexpr int kSums = 6, kEnd = kConvParams + kPoolTailParams;  // PoolStage::kSum
  return c.params[kConvParams] == kSums && c.n_params > kEnd ? kEnd : 0;
}

bool ReadTail(const Call& c, Tail* t) {
  const int at = TailAt(c);
  if (at == 0) return true;
  if (!kTrusted && c.n_params < at + kTailParams) return c.Fail("%d parameter words of a second stage", c.n_params - at);
  const int32_t* p = c.params + at;
  const SuperkernelState::Header& h = c.state.header;
  *t = {p[0], p[1] != 0, static_cast<Wide>(h.res_blocks), p[2], p[3], Requant{0, p[4], p[5], p[6], p[7]}};
  if (!c.Range("tail kind", t->kind, Tail::kResidual, Tail::kBias) ||
      !c.Range("tail kept", p[1], 0, t->kind == Tail::kResidual ? 1 : 0) || !c.Range("tail x_shift", t->x_shift, 0, 22) ||
      !c.Range("tail res_shift", t->res_shift, 0, 22) || !CheckRequant(c, t->requant)) {
    return false;
  }
  if (t->kind != Tail::kResidual || h.n_ocb == 0) return true;
  return c.Range("res_blocks", t->res_blocks, 1, kMaxDim) &&
         c.Range("residual block", static_cast<Wide>(h.cb0) + h.n_ocb, 0, t->res_blocks);
}

// Bytes of residual rows behind the input rows: [row][block][px][8].
Wide TailBytes(const Tail& t, const Window& w) {
  return t.kind == Tail::kResidual ? w.band * t.res_blocks * w.wo * 8 : 0;
}

#ifdef TVM_AIE_ON_ARRAY
void CountTail(const Tail&, const Window&, Wide, KernelCall*) {}
#else
void CountTail(const Tail& t, const Window& w, Wide n_ocb, KernelCall* call) {
  if (t.kind == Tail::kNone) return;
  call->tail_lines = n_ocb * w.band;
  call->tail_vectors = call->tail_lines * ((w.wo + 3) / 4) * (t.kind == Tail::kResidual ? 2 : 1);
}
#endif

#include "kernels/gamma.inc"

// Bytes per element of a convolution's output.
Wide OutputElement(const Call& c) { return (c.state.header.flags & kWideOutput) != 0 ? 2 : 1; }

// Partial sums between the chunks of input channels, and the output of `out_bytes` after the last one.
bool CheckConvResults(const Call& c, const Window& w, Wide ck, Wide n_ck, Wide out_bytes) {
  if (kTrusted) return true;
  const Wide block_bytes = w.band * ((w.wo + 3) / 4) * 128;
  const Wide acc_bytes = c.blocks() * block_bytes, acc_base = c.config.acc_base + c.first_block() * block_bytes;
  const Wide all_bytes = static_cast<Wide>(c.state.header.n_ocb) * block_bytes;
  if (n_ck > 1 && all_bytes > static_cast<Wide>(c.config.acc_bytes)) {
    return c.Fail("partial sums of %lld bytes exceed ACC of %u", static_cast<long long>(all_bytes), c.config.acc_bytes);
  }
  if (ck > 0) c.Read(acc_base, acc_bytes);
  if (ck < n_ck - 1) {
    c.Write(acc_base, acc_bytes);
    return true;
  }
  return CheckOutput(c, out_bytes);
}

// The window fields that convolutions and pools share.
template <typename Args>
void SetWindow(const Window& w, Args* args) {
  args->first_row = w.first_row;
  args->rows = static_cast<int>(w.rows);
  args->n_cblk = static_cast<int>(w.n_cblk);
  args->line_px = static_cast<int>(w.line_px);
  args->kh = static_cast<int>(w.kh);
  args->kw = static_cast<int>(w.kw);
  args->sy = static_cast<int>(w.sy);
  args->sx = static_cast<int>(w.sx);
  args->dy = static_cast<int>(w.dy);
  args->dx = static_cast<int>(w.dx);
  args->wo = static_cast<int>(w.wo);
  args->band = static_cast<int>(w.band);
}

#ifdef TVM_AIE_ON_ARRAY
bool CheckDivisors(const Call&, const Window&, Wide, const int32_t*, int) { return true; }
#else
bool CheckDivisors(const Call& c, const Window& w, Wide pad_left, const int32_t* div, int n_div) {
  bool any = false;
  for (int i = 0; i < n_div; ++i) {
    any = any || div[3 * i] == 0;
    if (!c.Range("divisor shift", div[3 * i + 2], -kMaxLeftShift, kMaxOutShift)) return false;
  }
  if (any) return true;
  std::vector<Wide> counts_x, counts_y;
  auto insert = [](std::vector<Wide>* list, Wide v) {
    if (std::find(list->begin(), list->end(), v) == list->end()) list->push_back(v);
  };
  Wide begin;
  for (Wide px = 0; px < w.wo; ++px) {
    insert(&counts_x, ValidTaps(px * w.sx - pad_left, w.dx, w.kw, w.line_px, &begin));
  }
  for (Wide r = 0; r < w.band; ++r) insert(&counts_y, TapsOfRow(w, r));
  for (Wide nx : counts_x) {
    for (Wide ny : counts_y) {
      bool found = false;
      for (int i = 0; i < n_div; ++i) found = found || div[3 * i] == nx * ny;
      if (!found) return c.Fail("no divisor for a window of %lld taps", static_cast<long long>(nx * ny));
    }
  }
  return true;
}

#endif

// Sums of int16 keep 32 bits.
bool CheckWidePool(const Call& c, Wide taps) { return c.Range("window of int16", taps, 1, kMaxDim / 2); }

#include "kernels/pool_stage.inc"

#include "kernels/front.inc"

ConvArgs MakeConvArgs(const Call& c, const Tail& tail, const Window& w, const Gamma& gamma, uint32_t w_first) {
  ConvArgs a;
  a.a = c.mem + InputBase(c, InputSource(c, tail), w);
  SetWindow(w, &a);
  a.n_ocb = static_cast<int>(c.blocks());
  a.bias = c.mem + c.config.hdr_base + 64 + c.first_block() * 32;
  a.shift = Pointer(gamma.shift);  // as the bias, only with the last input chunk
  a.row_ptr = Pointer(gamma.row_ptr);
  a.col = Pointer(gamma.col);
  a.a_bytes = static_cast<int>(w.elem);
  a.out_bytes = static_cast<int>(OutputElement(c));
  a.dense_rows = (c.state.header.flags & kDenseRows) != 0;
  a.every_tap = EveryTapValid(w);
  if (gamma.listed) {
    a.tap_ptr = Pointer(gamma.tap_ptr);
    a.tap = Pointer(gamma.tap);
    a.pair_ptr = Pointer(gamma.pair_ptr);
    a.pair = Pointer(gamma.pair);
  }
  a.w_ring = c.mem + c.config.w_base;
  a.w_ring_bytes = c.config.w_slots * c.config.w_slot;
  a.w_first = w_first;
  a.acc = c.mem + c.config.acc_base + c.first_block() * w.band * ((w.wo + 3) / 4) * 128;
  a.out = c.mem + c.state.o_msg;
  return a;
}

// int32 bias2 follows the first bias in HDR.
void ApplyBiasTail(const Call& c, const Tail& t, const Window& w, uint8_t* output) {
  AddArgs a;
  a.n_cblk = a.n_ocb = 1;
  a.line_px = static_cast<int>(w.wo);
  a.band = static_cast<int>(w.band);
  a.x_shift = t.x_shift;
  a.requant = t.requant;
  AttachScratch(&a);
  a.bias = c.mem + c.config.hdr_base + 64 + size_t{c.state.header.n_ocb} * 32 + c.first_block() * 32;
  a.x = a.out = output;
  for (Wide ocb = 0; ocb < c.blocks(); ++ocb, a.bias += 32) {
    BestKernels().add(a);
    a.x = a.out = a.out + w.wo * w.band * 8;
  }
}

void ApplyResidualTail(const Call& c, const Tail& t, const Window& w, uint8_t* line) {
  const SuperkernelState::Header& h = c.state.header;
  const uint8_t* residual = c.mem + c.state.a_msg + (t.kept ? 0 : InputBytes(w));
  AddArgs a;
  a.n_cblk = a.band = a.n_ocb = 1;
  a.line_px = static_cast<int>(w.wo);
  a.x_shift = t.x_shift;
  a.y_shift = t.res_shift;
  a.requant = t.requant;
  AttachScratch(&a);
  for (Wide ocb = 0; ocb < static_cast<Wide>(h.n_ocb); ++ocb) {
    for (Wide row = 0; row < w.band; ++row, line += w.wo * 8) {
      a.x = a.out = line;
      a.y = residual + ((row * t.res_blocks) + h.cb0 + ocb) * w.wo * 8;
      BestKernels().add(a);
    }
  }
}

// Parameters, messages and bounds of a CONV call; false with a fault.
bool CheckConv(Call& c, Window* w, Tail* tail, PoolStage* stage, Requant* q, Wide* ck, Wide* n_ck,
               Gamma* gamma, uint32_t* w_first) {
  const int32_t* p = c.params;
  if (c.n_params < kConvParams + kTailParams && !HasBlockLoop(c) && !c.Params(kConvParams)) return false;
  if (!ReadWindow(c, kMaxConvTaps, kMaxConvStride, w) || !LoopIndex(c, "ck_lvl", p[15], ck)) return false;
  const uint32_t flags = c.state.header.flags;
  w->elem = (flags & kWideInput) != 0 ? 2 : 1;
  if (w->elem == 2 && !c.Range("sx of int16", w->sx, 1, kMaxConvStride / 2)) return false;
  if (!kTrusted && w->elem == 2 && c.state.header.n_pairs != 0) return c.Fail("int4 weights with int16 activations");
  *n_ck = p[16];
  if (HasBlockLoop(c)) {
    if (!c.Range("n_ck of single blocks", *n_ck, 2, kMaxDim) || !LoopIndex(c, "block_lvl", p[c.n_params - 1], &c.block) ||
        !c.Range("output block", c.block, 0, std::max<Wide>(c.state.header.n_ocb, 1) - 1)) {
      return false;
    }
    *ck = *n_ck - 1;
  }
  *q = {p[17], p[18], p[19], p[20], p[21]};
  if (!c.Range("n_ck", *n_ck, 1, kMaxDim) || !c.Range("input chunk", *ck, 0, *n_ck - 1) ||
      !CheckRequant(c, *q, (flags & kWideOutput) != 0 && !HasPoolStage(c) ? 16 : 8) || !ReadTail(c, tail)) {
    return false;
  }
  if (HasPoolStage(c)) {
    if (!c.Range("stage", p[kConvParams], PoolStage::kAfter, PoolStage::kCarried) || !ReadPoolStage(c, stage) ||
        !TakeElements(c, stage, w, (flags & kWideOutput) != 0) || !ApplyPoolStage(c, stage, w)) {
      return false;
    }
  }
  if (!kTrusted && (flags & kPartial) != 0 && *ck == *n_ck - 1) {
    return c.Fail("the last input chunk comes without biases");
  }
  const bool behind_it = stage->kind == PoolStage::kNone || stage->kind == PoolStage::kSum;
  const Source source = InputSource(c, *tail);
  if (!kTrusted && c.state.kept != 0 && source != Source::kFront && (*n_ck > 1 || !behind_it)) {
    return c.Fail("ACC holds the input that KEEP has put there");
  }
  if (!CheckSource(c, *w, *tail, *stage, *n_ck)) return false;
  if (!kTrusted && tail->kind != Tail::kNone && (flags & kWideOutput) != 0 && stage->kind != PoolStage::kSum) return c.Fail("a second stage needs int8 outputs");
  if (!kTrusted && tail->kind == Tail::kResidual && *n_ck != 1) return c.Fail("a residual needs all input channels in one message");
  Wide last_px = (w->wo - 1) * w->sx + (w->kw - 1) * w->dx;
  if (!kTrusted && last_px >= w->line_px) {
    return c.Fail("reads pixel %lld of a line of %lld", static_cast<long long>(last_px),
                  static_cast<long long>(w->line_px));
  }
  if (!kTrusted && c.block >= 0 && c.state.header.n_taps + c.state.header.n_pairs != 0) {
    return c.Fail("single blocks of a message with lists");
  }
  const SuperkernelState::Header& h = c.state.header;
  if (!ReadGamma(c, h, 64, *w, tail->kind == Tail::kBias ? 2 : 1, ScaleBytes(c, *stage, *w), q->out_shift, gamma) ||
      !CheckInput(c, (source == Source::kMessage ? ConvInputBytes(*w, *stage) : 0) + TailBytes(*tail, *w)) ||
      !CheckRows(c, source, *w) || !CheckTiles(c, h, h.hdr_bytes, *w, w_first) ||
      !CheckStage(c, *stage, *w, *n_ck) || !CheckConvResults(c, *w, *ck, *n_ck, ConvOutputBytes(c, *w, *stage))) {
    return false;
  }
  if (!kTrusted && !stage->InFront() && InputBase(c, source, *w) + InputBytes(*w) + 3 * w->sx * 8 * w->elem > c.config.mem_bytes) {
    return c.Fail("no room behind the input for the vector load of the last pixels");
  }
  c.Read(c.config.hdr_base, c.state.header.hdr_bytes);
  return true;
}

// Gamma and the tiles of the call's output block alone.
void TakeBlock(const Call& c, [[maybe_unused]] const Window& w, [[maybe_unused]] SuperkernelState::Header* part,
               Gamma* gamma, [[maybe_unused]] uint32_t* w_first) {
#ifdef TVM_AIE_ON_ARRAY
  gamma->shift += c.block;
  gamma->row_ptr += c.block;
#else
  const auto at = static_cast<size_t>(c.block);
  const uint16_t begin = gamma->row_ptr[at], end = gamma->row_ptr[at + 1];
  gamma->shift = {gamma->shift[at]};
  gamma->row_ptr = {0, static_cast<uint16_t>(end - begin)};
  gamma->col.assign(gamma->col.begin() + begin, gamma->col.begin() + end);
  part->n_ocb = 1;
  part->nnz = end - begin;
  const Wide ring = static_cast<Wide>(c.config.w_slots) * c.config.w_slot;
  *w_first = static_cast<uint32_t>((*w_first + begin * w.kh * w.kw * 64) % ring);
#endif
}

bool RunConv(Call c) {
  Window w;
  Tail tail;
  PoolStage stage;
  Requant q;
  Wide ck = 0, n_ck = 0;
  uint32_t w_first = 0;
#ifdef TVM_AIE_ON_ARRAY
  Gamma gamma;
#else
  static thread_local Gamma gamma;  // keeps its memory
#endif
  if (!CheckConv(c, &w, &tail, &stage, &q, &ck, &n_ck, &gamma, &w_first)) return false;
  const bool carries = kUsedKernels >> kMaxPool & 1 && stage.kind == PoolStage::kCarried && c.state.header.n_ocb != 0;
  if (!carries) c.carried->valid = false;
  if (c.state.header.n_ocb == 0) return true;  // a row of cores may own nothing; then nothing bounds the loops
  const Wide stage_at = StageOffset(c, stage, w, n_ck);
  TakenRows taken;
  if (carries) taken = TakeRows(c, stage, stage_at, &w);
  bool last = ck == n_ck - 1;
  SuperkernelState::Header part = c.state.header;
  if (c.block >= 0) TakeBlock(c, w, &part, &gamma, &w_first);
  if (w.band > 0) CountConv(w, part, gamma, c.result);
  if (last) CountTail(tail, w, c.blocks(), c.result);
  if (stage.InFront()) CountStage(stage, w.n_cblk, c.result);
  if (stage.Behind() && last) CountStage(stage, c.state.header.n_ocb, c.result);
  if (!c.functional) return true;
  uint8_t* between = c.mem + c.config.acc_base + stage_at;
  if (carries) MoveTaken(c, stage, taken, between);
  ConvArgs args = MakeConvArgs(c, tail, w, gamma, w_first);
  args.first = ck == 0;
  args.last = last;
  args.requant = q;
  if (stage.InFront()) {
    if (stage.kind == PoolStage::kBefore) PoolBefore(c, stage, w, between);
    if (kUsedKernels >> kScale & 1 && stage.kind == PoolStage::kScale) ScaleBefore(c, stage, w, between);
    args.a = between;
  }
  if (stage.Behind()) {
    args.out = between + taken.n * w.wo * 8;
    args.out_bytes = 1;
    args.out_stride = stage.block_bytes;
  }
  AttachScratch(&args);
  if (w.band > 0) BestKernels().conv(args);
  if (kUsedKernels >> kAdd & 1 && last && tail.kind == Tail::kResidual) ApplyResidualTail(c, tail, w, args.out);
  if (kUsedKernels >> kAdd & 1 && last && tail.kind == Tail::kBias) ApplyBiasTail(c, tail, w, args.out);
  if (last && stage.Behind()) PoolAfter(c, stage, between);
  return true;
}

#include "kernels/channelwise_call.inc"

}  // namespace

bool KeepInput(const SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int32_t bytes, bool functional,
               [[maybe_unused]] KernelCall* call, [[maybe_unused]] FaultText* fault) {
#ifndef TVM_AIE_ON_ARRAY
  const Call c{state, config, mem, nullptr, 0, functional, call, fault, "KEEP"};
  if (state.a_held == 0) return c.Fail("no activation message is held");
  if (!c.Range("bytes", bytes, 1, config.acc_bytes) || !CheckInput(c, bytes)) return false;
  if (Wide{state.kept} + bytes > static_cast<Wide>(config.acc_bytes)) {
    return c.Fail("%u and %d bytes exceed ACC of %u", state.kept, bytes, config.acc_bytes);
  }
  c.Write(Wide{config.acc_base} + state.kept, bytes);
  // A copy is the loop of UPSAMPLE by 1 x 1 over one line.
  call->id = kUpsample;
  call->chunks = 1;
  call->trips[1] = (bytes + 31) / 32;
#endif
#ifdef TVM_AIE_ON_ARRAY
  if ((kUsedKernels & kKeepPart) == 0) return true;
#endif
  if (!functional) return true;
  CopyBytes(mem + state.a_msg, mem + config.acc_base + state.kept, bytes);
  return true;
}

bool DropKept(const SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int32_t bytes, bool functional,
              [[maybe_unused]] KernelCall* call, [[maybe_unused]] FaultText* fault) {
#ifndef TVM_AIE_ON_ARRAY
  const Call c{state, config, mem, nullptr, 0, functional, call, fault, "DROP"};
  if (!c.Range("bytes", bytes, 1, state.kept)) return false;
  if (bytes % 8 != 0) return c.Fail("%d bytes are no whole pixels", bytes);
  const Wide moved = Wide{state.kept} - bytes;
  c.Read(Wide{config.acc_base} + bytes, moved);
  c.Write(config.acc_base, moved);
  call->id = kUpsample;  // as KEEP
  call->chunks = 1;
  call->trips[1] = (moved + 31) / 32;
#endif
#ifdef TVM_AIE_ON_ARRAY
  if ((kUsedKernels & (kKeepPart | 1u << kFront)) == 0) return true;
#endif
  if (!functional) return true;
  uint8_t* acc = mem + config.acc_base;
  MoveDown(acc + bytes, acc, static_cast<Wide>(state.kept) - bytes);
  return true;
}

bool PerformKernel(SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int id,
                   const int32_t* params, int n_params, bool functional, KernelCall* call, FaultText* fault) {
#ifndef TVM_AIE_ON_ARRAY
  static const char* const kNames[] = {"KERNEL", "CONV", "ADD", "MAXPOOL", "AVGPOOL", "UPSAMPLE", "KERNEL", "FRONT"};
  bool known = (id >= kConv && id <= kUpsample) || id == kFront;
  Call c{state, config, mem, params, n_params, functional, call, fault, kNames[known ? id : 0]};
  call->id = id;
  if (!known) return c.Fail("unknown kernel %d", id);
  if (!state.header.valid) return c.Fail("no weight message header has been read");
  if (state.a_held == 0 && !(id == kConv && ReadsAccAlone(c))) return c.Fail("no activation message is held");
#else
  Call c{state, config, mem, params, n_params, functional, call, fault, nullptr};
#endif
  c.carried = &state.carried;
  // Kernels that the network does not use are not even linked.
  if (kUsedKernels >> kConv & 1 && id == kConv) return RunConv(c);
  if (kUsedKernels >> kAdd & 1 && id == kAdd) return RunAdd(c);
  if (kUsedKernels >> kMaxPool & 1 && id == kMaxPool) return RunPool(c, false);
  if (kUsedKernels >> kAvgPool & 1 && id == kAvgPool) return RunPool(c, true);
  if (kUsedKernels >> kUpsample & 1 && id == kUpsample) return RunUpsample(c);
  if (kUsedKernels >> kFront & 1 && id == kFront) return RunFront(c);
  return c.Fail("kernel %d was not compiled in", id);
}

}  // namespace tvm_aie::kernels

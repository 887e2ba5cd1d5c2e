// The kernels of every instruction set against a naive int64 reference, over random shapes.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/dispatch.h"

using namespace tvm_aie::kernels;

namespace {

using Rng = std::mt19937;

int Uniform(Rng& rng, int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(rng); }

template <typename T, size_t N>
T Pick(Rng& rng, const T (&list)[N]) {
  return list[static_cast<size_t>(Uniform(rng, 0, static_cast<int>(N) - 1))];
}

std::vector<uint8_t> Bytes(Rng& rng, size_t n) {
  std::vector<uint8_t> v(n);
  bool extreme = Uniform(rng, 0, 3) == 0;  // only -128 and 127: the limits of the products
  for (uint8_t& b : v) b = static_cast<uint8_t>(extreme ? (rng() & 1 ? 0x80 : 0x7f) : rng());
  return v;
}

// Round half to even by comparison with the two neighbours, not by the formula under test.
int RefRequant(int64_t acc, int64_t bias, const Requant& q) {
  __int128 v = (static_cast<__int128>(acc) << q.acc_shift) + bias;
  int shift = q.out_shift;
  if (q.neg_mul != 0) {
    v *= v < 0 ? q.neg_mul : 256;
    shift += 8;
  }
  if (shift <= 0) {
    v <<= -shift;
  } else {
    __int128 unit = static_cast<__int128>(1) << shift;
    __int128 floor = v / unit - (v % unit < 0 ? 1 : 0);
    __int128 rest2 = 2 * (v - floor * unit);
    bool up = rest2 > unit || (rest2 == unit && (floor & 1) != 0);
    v = floor + (up ? 1 : 0);
  }
  return static_cast<int>(std::clamp<__int128>(v, q.lo, q.hi));
}

Requant RandomRequant(Rng& rng, bool conv) {
  Requant q;
  q.acc_shift = conv && Uniform(rng, 0, 1) ? Uniform(rng, 0, 6) : 0;
  q.out_shift = Uniform(rng, 0, 9) == 0 ? Uniform(rng, -5, -1) : Uniform(rng, 0, conv ? 14 : 6);
  if (Uniform(rng, 0, 19) == 0) q.out_shift = Uniform(rng, 30, 40);
  if (Uniform(rng, 0, 19) == 0 && conv) q.acc_shift = 20;
  q.lo = Uniform(rng, 0, 2) == 0 ? Uniform(rng, -128, 0) : -128;
  q.hi = Uniform(rng, 0, 2) == 0 ? Uniform(rng, 1, 127) : 127;
  q.neg_mul = Uniform(rng, 0, 2) == 0 ? 26 : 0;
  return q;
}

struct ConvCase {
  ConvArgs args;
  std::vector<uint8_t> a, w, bias, out, acc;
  std::vector<int16_t> shift;
  std::vector<uint16_t> row_ptr, col;
  bool listed = false;
  std::vector<uint16_t> tap_ptr, tap, pair_ptr, pair;
};

void FillGamma(Rng& rng, double density, ConvCase* c) {
  c->row_ptr.push_back(0);
  for (int o = 0; o < c->args.n_ocb; ++o) {
    for (int i = 0; i < c->args.n_cblk; ++i) {
      if (std::uniform_real_distribution<>(0, 1)(rng) < density) c->col.push_back(static_cast<uint16_t>(i));
    }
    c->row_ptr.push_back(static_cast<uint16_t>(c->col.size()));
  }
}

// Random entries of each (ocb, ky): any block, any pixel that leaves room for the output line.
void FillList(Rng& rng, const ConvArgs& a, int per, std::vector<uint16_t>* ptr, std::vector<uint16_t>* list) {
  ptr->push_back(0);
  for (int i = 0; i < a.n_ocb * a.kh; ++i) {
    const int n = Uniform(rng, 0, 1) ? Uniform(rng, 0, 4) : 0;
    for (int e = 0; e < n * per; ++e) {
      const int x = Uniform(rng, 0, a.line_px - 1 - (a.wo - 1) * a.sx);
      const int block = i % a.kh * a.dy * a.n_cblk + Uniform(rng, 0, a.n_cblk - 1);
      list->push_back(static_cast<uint16_t>(block * a.line_px + x));
    }
    ptr->push_back(static_cast<uint16_t>(list->size() / static_cast<size_t>(per)));
  }
}

bool EveryTap(const ConvArgs& a) {
  const int64_t last = a.first_row + static_cast<int64_t>(a.band - 1) * a.sy + static_cast<int64_t>(a.kh - 1) * a.dy;
  return a.first_row >= 0 && last < a.rows;
}

void MakeConv(Rng& rng, ConvCase* c) {
  static constexpr int kWidths[] = {1, 2, 4, 7, 8, 9, 14, 16, 31, 33};
  static constexpr double kDensities[] = {0.0, 0.5, 1.0, 1.0};
  static constexpr int kStrides[] = {1, 1, 2, 3, 4};
  ConvArgs& a = c->args;
  a.wo = Pick(rng, kWidths);
  a.band = Uniform(rng, 1, 5);
  a.kh = Uniform(rng, 0, 1) ? Uniform(rng, 1, 7) : 1;
  a.kw = Uniform(rng, 0, 1) ? Uniform(rng, 1, 7) : 1;
  a.sy = Pick(rng, kStrides);
  a.sx = Pick(rng, kStrides);
  a.dy = Uniform(rng, 1, 3);
  a.dx = Uniform(rng, 1, 3);
  a.n_cblk = Uniform(rng, 1, 4);
  a.n_ocb = Uniform(rng, 0, 3);
  a.rows = Uniform(rng, 1, (a.band - 1) * a.sy + (a.kh - 1) * a.dy + 1);
  a.first_row = Uniform(rng, -4, 2);
  a.line_px = (a.wo - 1) * a.sx + (a.kw - 1) * a.dx + 1 + Uniform(rng, 0, 5);
  a.first = Uniform(rng, 0, 2) != 0;
  a.last = Uniform(rng, 0, 2) != 0;
  a.requant = RandomRequant(rng, true);
  if (Uniform(rng, 0, 1)) {
    for (int o = 0; o < a.n_ocb; ++o) c->shift.push_back(static_cast<int16_t>(Uniform(rng, -3, 4)));
  }
  a.a_bytes = Uniform(rng, 1, 2);
  a.out_bytes = Uniform(rng, 1, 2);
  if (a.out_bytes == 2) a.requant.lo *= 256, a.requant.hi = a.requant.hi * 256 + 255;
  if (Uniform(rng, 0, 3) == 0) {  // no tap outside
    a.first_row = Uniform(rng, 0, 2);
    a.rows = static_cast<int>(a.first_row) + (a.band - 1) * a.sy + (a.kh - 1) * a.dy + 1;
  }
  FillGamma(rng, Pick(rng, kDensities), c);
  a.dense_rows = Uniform(rng, 0, 1) != 0;
  a.every_tap = EveryTap(a);
  c->listed = Uniform(rng, 0, 1) != 0;
  if (c->listed) {
    FillList(rng, a, 1, &c->tap_ptr, &c->tap);
    if (a.a_bytes == 1) FillList(rng, a, 2, &c->pair_ptr, &c->pair);
    else c->pair_ptr.assign(static_cast<size_t>(a.n_ocb * a.kh) + 1, 0);
  }
  c->a = Bytes(rng, static_cast<size_t>(a.rows) * a.n_cblk * a.line_px * 8 * a.a_bytes + 256);
  size_t tiles = c->col.size() * a.kh * a.kw + c->tap.size() + c->pair.size() / 2;
  a.w_ring_bytes = static_cast<uint32_t>((tiles + 1 + Uniform(rng, 0, 3)) * 64);
  a.w_first = static_cast<uint32_t>(Uniform(rng, 0, static_cast<int>(a.w_ring_bytes / 64) - 1) * 64);
  c->w = Bytes(rng, a.w_ring_bytes);
  c->bias.resize(static_cast<size_t>(a.n_ocb) * 32 + 1);
  for (int i = 0; i < a.n_ocb * 8; ++i) {
    int32_t b = Uniform(rng, 0, 9) == 0 ? static_cast<int32_t>(rng()) : Uniform(rng, -5000, 5000);
    std::memcpy(&c->bias[static_cast<size_t>(i) * 4], &b, 4);
  }
  size_t lines = static_cast<size_t>(a.n_ocb) * a.band;
  const int block_bytes = a.band * a.wo * 8 * a.out_bytes, gap = Uniform(rng, 0, 2) * 40;
  a.out_stride = gap != 0 || Uniform(rng, 0, 1) != 0 ? block_bytes + gap : 0;
  c->out.assign(static_cast<size_t>(a.n_ocb) * static_cast<size_t>(block_bytes + gap) + 1, 0xA5);
  c->acc.resize(lines * ((a.wo + 3) / 4) * 128 + 1);
  bool wide = Uniform(rng, 0, 3) == 0;
  for (size_t i = 0; i + 4 <= c->acc.size(); i += 4) {
    int32_t v = static_cast<int32_t>(rng());
    v = wide ? v / 2 : v >> 12;
    std::memcpy(&c->acc[i], &v, 4);
  }
}

void Bind(ConvCase* c) {
  ConvArgs& a = c->args;
  a.a = c->a.data();
  a.w_ring = c->w.data();
  a.bias = c->bias.data();
  if (!c->shift.empty()) a.shift = c->shift.data();
  a.row_ptr = c->row_ptr.data();
  a.col = c->col.data();
  if (c->listed) {
    a.tap_ptr = c->tap_ptr.data();
    a.tap = c->tap.data();
    a.pair_ptr = c->pair_ptr.data();
    a.pair = c->pair.data();
  }
  a.out = c->out.data();
  a.acc = c->acc.data();
  AttachScratch(&a);
}

// Element `i` of A.
int RefInput(const ConvCase& c, size_t i) {
  if (c.args.a_bytes == 1) return static_cast<int8_t>(c.a[i]);
  int16_t v;
  std::memcpy(&v, &c.a[i * 2], 2);
  return v;
}

// Value (k, n) of an int4 tile.
int RefInt4(const ConvCase& c, size_t tile, size_t k, size_t n) {
  const int half = c.w[tile + (k * 8 + n) / 2] >> (n % 2 * 4) & 15;
  return half < 8 ? half : half - 16;
}

// The listed part of one sum: `per` entries share a tile.
int64_t RefList(const ConvCase& c, int ocb, int row, int px, int n, size_t per) {
  const ConvArgs& a = c.args;
  const auto& ptr = per == 1 ? c.tap_ptr : c.pair_ptr;
  const auto& list = per == 1 ? c.tap : c.pair;
  const size_t before = c.col.size() * a.kh * a.kw + (per == 1 ? 0 : c.tap.size());
  int64_t sum = 0;
  for (int ky = 0; ky < a.kh; ++ky) {
    const int64_t m = a.first_row + row * a.sy + ky * a.dy;
    if (m < 0 || m >= a.rows) continue;
    const size_t at = static_cast<size_t>(ocb * a.kh + ky);
    for (size_t e = ptr[at] * per; e < ptr[at + 1] * per; ++e) {
      const size_t tile = (a.w_first + (before + e / per) * 64) % a.w_ring_bytes;
      const int64_t pixel = (a.first_row + row * a.sy) * a.n_cblk * a.line_px + px * a.sx + list[e];
      for (size_t k = 0; k < 8; ++k) {
        const int w = per == 1 ? static_cast<int8_t>(c.w[tile + k * 8 + static_cast<size_t>(n)])
                               : RefInt4(c, tile, e % 2 * 8 + k, static_cast<size_t>(n));
        sum += RefInput(c, static_cast<size_t>(pixel) * 8 + k) * w;
      }
    }
  }
  return sum;
}

int64_t RefSum(const ConvCase& c, int ocb, int row, int px, int n) {
  const ConvArgs& a = c.args;
  int64_t sum = c.listed ? RefList(c, ocb, row, px, n, 1) + RefList(c, ocb, row, px, n, 2) : 0;
  for (int j = c.row_ptr[static_cast<size_t>(ocb)]; j < c.row_ptr[static_cast<size_t>(ocb) + 1]; ++j) {
    for (int ky = 0; ky < a.kh; ++ky) {
      int64_t m = a.first_row + row * a.sy + ky * a.dy;
      if (m < 0 || m >= a.rows) continue;
      for (int kx = 0; kx < a.kw; ++kx) {
        size_t tile = (a.w_first + ((static_cast<size_t>(j) * a.kh + ky) * a.kw + kx) * 64) % a.w_ring_bytes;
        size_t x = ((static_cast<size_t>(m) * a.n_cblk + c.col[static_cast<size_t>(j)]) * a.line_px + px * a.sx + kx * a.dx) * 8;
        for (size_t k = 0; k < 8; ++k) {
          sum += RefInput(c, x + k) * static_cast<int8_t>(c.w[tile + k * 8 + static_cast<size_t>(n)]);
        }
      }
    }
  }
  return sum;
}

void RefConv(ConvCase* c) {
  const ConvArgs& a = c->args;
  for (int ocb = 0; ocb < a.n_ocb; ++ocb) {
    Requant q = a.requant;
    if (!c->shift.empty()) q.out_shift += c->shift[static_cast<size_t>(ocb)];
    for (int row = 0; row < a.band; ++row) {
      size_t line = static_cast<size_t>(ocb) * a.band + row;
      for (int px = 0; px < a.wo; ++px) {
        for (int n = 0; n < 8; ++n) {
          uint8_t* acc = &c->acc[((line * ((a.wo + 3) / 4) * 4 + px) * 8 + n) * 4];
          int32_t before = 0, bias;
          if (!a.first) std::memcpy(&before, acc, 4);
          int32_t sum = static_cast<int32_t>(static_cast<uint32_t>(RefSum(*c, ocb, row, px, n)) + static_cast<uint32_t>(before));
          if (!a.last) {
            std::memcpy(acc, &sum, 4);
            continue;
          }
          std::memcpy(&bias, &c->bias[static_cast<size_t>(ocb * 8 + n) * 4], 4);
          const size_t block = static_cast<size_t>(a.out_stride != 0 ? a.out_stride : int64_t{a.band} * a.wo * 8 * a.out_bytes);
          const size_t at = ocb * block + ((static_cast<size_t>(row) * a.wo + px) * 8 + static_cast<size_t>(n)) * a.out_bytes;
          const int value = RefRequant(sum, bias, q);
          c->out[at] = static_cast<uint8_t>(value);
          if (a.out_bytes == 2) c->out[at + 1] = static_cast<uint8_t>(value >> 8);
        }
      }
    }
  }
}

std::string Describe(const ConvArgs& a) {
  char text[256];
  std::snprintf(text, sizeof(text), "wo %d band %d k %dx%d s %d,%d d %d,%d cblk %d ocb %d first_row %d rows %d first %d last %d",
                a.wo, a.band, a.kh, a.kw, a.sy, a.sx, a.dy, a.dx, a.n_cblk, a.n_ocb, static_cast<int>(a.first_row), a.rows,
                a.first, a.last);
  return text;
}

void TestConv(const std::vector<const KernelTable*>& tables, unsigned seed) {
  Rng rng(seed);
  ConvCase input;
  MakeConv(rng, &input);
  ConvCase expected = input;
  RefConv(&expected);
  for (const KernelTable* table : tables) {
    ConvCase got = input;
    Bind(&got);
    table->conv(got.args);
    CHECK(got.out == expected.out, "seed %u, %s: output: %s", seed, table->name, Describe(input.args).c_str());
    CHECK(got.acc == expected.acc, "seed %u, %s: partial sums: %s", seed, table->name, Describe(input.args).c_str());
  }
}

void TestAdd(const std::vector<const KernelTable*>& tables, unsigned seed) {
  Rng rng(seed);
  AddArgs a;
  a.n_cblk = Uniform(rng, 1, 4);
  a.n_ocb = Uniform(rng, 1, a.n_cblk);
  a.cb0 = Uniform(rng, 0, a.n_cblk - a.n_ocb);
  a.band = Uniform(rng, 1, 3);
  a.line_px = Uniform(rng, 1, 33);
  a.x_shift = Uniform(rng, 0, 22);
  a.y_shift = Uniform(rng, 0, 22);
  a.requant = RandomRequant(rng, false);
  size_t size = static_cast<size_t>(a.band) * a.n_cblk * a.line_px * 8;
  std::vector<uint8_t> x = Bytes(rng, size), y = Bytes(rng, size);
  a.x = x.data();
  a.y = Uniform(rng, 0, 1) ? y.data() : nullptr;
  std::vector<int32_t> bias(static_cast<size_t>(a.n_ocb) * 8);
  for (int32_t& b : bias) b = Uniform(rng, -100000, 100000);
  if (Uniform(rng, 0, 1)) a.bias = reinterpret_cast<const uint8_t*>(bias.data());
  for (const KernelTable* table : tables) {
    std::vector<uint8_t> out(static_cast<size_t>(a.n_ocb) * a.band * a.line_px * 8);
    a.out = out.data();
    AttachScratch(&a);
    table->add(a);
    for (size_t i = 0; i < out.size(); ++i) {
      size_t lane = i % (static_cast<size_t>(a.line_px) * 8), line = i / (static_cast<size_t>(a.line_px) * 8);
      size_t ocb = line / a.band, row = line % a.band;
      size_t at = (row * a.n_cblk + a.cb0 + ocb) * a.line_px * 8 + lane;
      int64_t v = static_cast<int64_t>(static_cast<int8_t>(x[at])) * (1 << a.x_shift);
      if (a.y != nullptr) v += static_cast<int64_t>(static_cast<int8_t>(y[at])) * (1 << a.y_shift);
      int32_t b = a.bias != nullptr ? bias[ocb * 8 + i % 8] : 0;
      CHECK(static_cast<int8_t>(out[i]) == RefRequant(v, b, a.requant), "seed %u, %s: ADD byte %zu", seed, table->name, i);
    }
  }
}

void TestScale(const std::vector<const KernelTable*>& tables, unsigned seed) {
  Rng rng(seed);
  ScaleArgs a;
  a.px = Uniform(rng, 1, 33);
  a.first = {0, Uniform(rng, -2, 12), -128, 127, 0};
  if (Uniform(rng, 0, 1)) a.first = {0, 0, -32768, 32767, 0};
  a.second = RandomRequant(rng, false);
  a.second.acc_shift = Uniform(rng, 0, 15);
  const std::vector<uint8_t> x = Bytes(rng, static_cast<size_t>(a.px) * 8), factor = Bytes(rng, 8);
  std::vector<int32_t> bias(8);
  for (int32_t& b : bias) b = Uniform(rng, 0, 3) ? Uniform(rng, -100000, 100000) : static_cast<int32_t>(rng());
  a.x = x.data();
  a.factor = factor.data();
  a.bias = reinterpret_cast<const uint8_t*>(bias.data());
  for (const KernelTable* table : tables) {
    std::vector<uint8_t> out(x.size());
    a.out = out.data();
    AttachScratch(&a);
    table->scale(a);
    for (size_t i = 0; i < out.size(); ++i) {
      const int product = static_cast<int8_t>(x[i]) * static_cast<int8_t>(factor[i % 8]);
      const int between = RefRequant(product, 0, a.first);
      CHECK(static_cast<int8_t>(out[i]) == RefRequant(between, bias[i % 8], a.second), "seed %u, %s: SCALE byte %zu", seed,
            table->name, i);
    }
  }
}

PoolArgs RandomPool(Rng& rng) {
  PoolArgs a;
  a.n_cblk = Uniform(rng, 1, 3);
  a.n_ocb = Uniform(rng, 1, a.n_cblk);
  a.cb0 = Uniform(rng, 0, a.n_cblk - a.n_ocb);
  a.kh = Uniform(rng, 1, 5);
  a.kw = Uniform(rng, 1, 5);
  a.sy = Uniform(rng, 1, 3);
  a.sx = Uniform(rng, 1, 3);
  a.dy = Uniform(rng, 1, 2);
  a.dx = Uniform(rng, 1, 2);
  a.wo = Uniform(rng, 1, 17);
  a.band = Uniform(rng, 1, 4);
  a.rows = Uniform(rng, 1, 9);
  a.line_px = Uniform(rng, 1, 30);
  a.first_row = Uniform(rng, -3, 1);
  a.pad_left = Uniform(rng, -1, 3);
  a.lo = -100;
  a.hi = 101;
  return a;
}

void RefPool(const PoolArgs& a, bool average, std::vector<uint8_t>* out) {
  size_t i = 0;
  for (int ocb = 0; ocb < a.n_ocb; ++ocb) {
    for (int row = 0; row < a.band; ++row) {
      for (int px = 0; px < a.wo; ++px) {
        for (int n = 0; n < 8; ++n, ++i) {
          int count = 0, best = -128, sum = 0;
          for (int ky = 0; ky < a.kh; ++ky) {
            for (int kx = 0; kx < a.kw; ++kx) {
              int64_t y = a.first_row + row * a.sy + ky * a.dy;
              int x = px * a.sx - a.pad_left + kx * a.dx;
              if (y < 0 || y >= a.rows || x < 0 || x >= a.line_px) continue;
              const int64_t at = ((y * a.n_cblk + a.cb0 + ocb) * a.line_px + x) * 8 + n;
              int v = static_cast<int8_t>(a.a[at]);
              if (a.a_bytes == 2) v = static_cast<int16_t>(a.a[2 * at] | a.a[2 * at + 1] << 8);
              ++count;
              best = std::max(best, v);
              sum += v;
            }
          }
          int value = std::clamp(best, a.lo, a.hi);
          for (int d = 0; average && d < a.n_div; ++d) {
            const int32_t* div = a.div + 3 * d;
            if (div[0] != 0 && div[0] != count) continue;
            value = RefRequant(static_cast<int64_t>(sum) * div[1], 0, Requant{0, div[2], a.lo, a.hi, 0});
            break;
          }
          if (a.out_bytes == 2) value = sum, (*out)[2 * i + 1] = static_cast<uint8_t>(sum >> 8);
          (*out)[i * static_cast<size_t>(a.out_bytes)] = static_cast<uint8_t>(value);
        }
      }
    }
  }
}

// Average pools of int16, and sums of int8 as int16.
void TestWidePools(const std::vector<const KernelTable*>& tables, unsigned seed) {
  Rng rng(seed);
  PoolArgs a = RandomPool(rng);
  (Uniform(rng, 0, 1) != 0 ? a.a_bytes : a.out_bytes) = 2;
  const auto input = Bytes(rng, static_cast<size_t>(a.rows) * a.n_cblk * a.line_px * 8 * a.a_bytes);
  a.a = input.data();
  const int32_t divisors[] = {4, 64, 16, 9, 455, 20, 0, 21, 17};
  a.div = divisors;
  a.n_div = 3;
  std::vector<uint8_t> expected(static_cast<size_t>(a.n_ocb) * a.band * a.wo * 8 * a.out_bytes);
  RefPool(a, true, &expected);
  for (const KernelTable* table : tables) {
    std::vector<uint8_t> out(expected.size(), 0xA5);
    a.out = out.data();
    table->avg_pool(a);
    CHECK(out == expected, "seed %u, %s: AVGPOOL of %d to %d bytes", seed, table->name, a.a_bytes, a.out_bytes);
  }
}

void TestPools(const std::vector<const KernelTable*>& tables, unsigned seed) {
  Rng rng(seed);
  PoolArgs a = RandomPool(rng);
  std::vector<uint8_t> input = Bytes(rng, static_cast<size_t>(a.rows) * a.n_cblk * a.line_px * 8);
  a.a = input.data();
  const int32_t divisors[] = {4, 64, 8, 9, 455, 12, 1, 1, 0, 6, 341, 11, 0, 21, 9};
  a.div = divisors;
  a.n_div = 5;
  size_t size = static_cast<size_t>(a.n_ocb) * a.band * a.wo * 8;
  for (bool average : {false, true}) {
    std::vector<uint8_t> expected(size);
    RefPool(a, average, &expected);
    for (const KernelTable* table : tables) {
      std::vector<uint8_t> out(size);
      a.out = out.data();
      average ? table->avg_pool(a) : table->max_pool(a);
      CHECK(out == expected, "seed %u, %s: %s pool", seed, table->name, average ? "average" : "max");
    }
  }
}

void TestUpsample(const std::vector<const KernelTable*>& tables, unsigned seed) {
  Rng rng(seed);
  UpsampleArgs a;
  a.n_cblk = 3;
  a.cb0 = 1;
  a.n_ocb = 2;
  a.band = Uniform(rng, 1, 3);
  a.line_px = Uniform(rng, 1, 9);
  a.fy = Uniform(rng, 1, 3);
  a.fx = Uniform(rng, 1, 3);
  std::vector<uint8_t> input = Bytes(rng, static_cast<size_t>(a.band) * a.n_cblk * a.line_px * 8);
  a.a = input.data();
  int rows = a.band * a.fy, width = a.line_px * a.fx;
  for (const KernelTable* table : tables) {
    std::vector<uint8_t> out(static_cast<size_t>(a.n_ocb) * rows * width * 8);
    a.out = out.data();
    table->upsample(a);
    for (size_t i = 0; i < out.size(); ++i) {
      size_t n = i % 8, px = i / 8 % width, row = i / 8 / width % rows, ocb = i / 8 / width / rows;
      size_t at = ((row / a.fy * 3 + 1 + ocb) * a.line_px + px / a.fx) * 8 + n;
      CHECK(out[i] == input[at], "seed %u, %s: upsample byte %zu", seed, table->name, i);
    }
  }
}

// Every residue around the ties, both signs.
void TestTies(const std::vector<const KernelTable*>& tables) {
  AddArgs a;
  a.n_cblk = a.n_ocb = a.band = 1;
  a.line_px = 32;
  std::vector<uint8_t> x(256), y(256, 0), out(256);
  for (size_t i = 0; i < 256; ++i) x[i] = static_cast<uint8_t>(i);
  a.x = x.data();
  a.out = out.data();
  for (int shift = -3; shift <= 9; ++shift) {
    a.requant.out_shift = shift;
    for (const KernelTable* table : tables) {
      AttachScratch(&a);
      table->add(a);
      for (size_t i = 0; i < 256; ++i) {
        int v = static_cast<int8_t>(x[i]);
        CHECK(static_cast<int8_t>(out[i]) == RefRequant(v, 0, a.requant), "%s: srs(%d, %d)", table->name, v, shift);
      }
    }
  }
  CHECK(RefRequant(3, 0, Requant{0, 1, -128, 127, 0}) == 2 && RefRequant(1, 0, Requant{0, 1, -128, 127, 0}) == 0 &&
            RefRequant(-3, 0, Requant{0, 1, -128, 127, 0}) == -2,
        "the reference rounds half to even");
}

}  // namespace

int main(int argc, char** argv) {
  unsigned rounds = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 4000;
  std::vector<const KernelTable*> tables;
  for (const char* name : {"portable", "avx2", "vnni"}) {
    if (const KernelTable* table = FindKernels(name)) tables.push_back(table);
    else std::printf("%s: not on this machine\n", name);
  }
  TestTies(tables);
  for (unsigned seed = 1; seed <= rounds; ++seed) {
    TestConv(tables, seed);
    TestAdd(tables, seed);
    TestScale(tables, seed);
    TestPools(tables, seed);
    TestWidePools(tables, seed);
    TestUpsample(tables, seed);
  }
  std::printf("test_kernels: %u rounds on %zu implementations\n", rounds, tables.size());
  return 0;
}

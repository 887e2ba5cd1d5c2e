// What FRONT, DROP and convolutions that read ACC refuse; and no undefined behaviour on any words of opcodes and headers.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>

#include "check.h"
#include "front_item.h"
#include "tvm_aie/superkernel.h"

using namespace tvm_aie;
using namespace tvm_aie::test;

namespace {

// A front of 2 blocks for a window on 8 rows of 6 pixels, in lines of 8 in the messages and in ACC; where its words lie
// in the opcodes.
constexpr size_t kFrontWords = 8, kConvWords = 47;
Item Good(bool front = true, bool pool = false) {
  Rng rng(3);
  Item it;
  it.front = front ? 2 : 0, it.pool = pool, it.dense = true, it.behind = 2;
  if (pool) it.n_bands = 2;
  it.Fill(rng);
  return it;
}

void Expect(const Item& it, const std::string& text) {
  for (bool functional : {true, false}) {
    const Outcome out = it.Run(functional);
    CHECK(out.end == StepKind::kFault && out.fault.rfind(text, 0) == 0, "got '%s', expected '%s'", out.fault.c_str(), text.c_str());
  }
}

Item With(std::initializer_list<std::pair<size_t, int>> words) {
  Item it = Good();
  for (const auto& [at, value] : words) it.PokeA(at, value);
  return it;
}

Item WithHeader(std::initializer_list<std::pair<size_t, int>> words, Item it = Good()) {
  for (const auto& [at, value] : words) it.PokeW(0, at, value);
  return it;
}

Item WithOps(const Words& ops, Item it = Good()) {
  Rng rng(3);
  it.ops = ops;
  it.Again(rng);
  return it;
}

void TestHeaderFaults() {
  const Item good = Good();
  CheckValues(good, good.Run(), "good");
  const int at = good.WordW(11), tiles = good.WordW(12), nnz = good.WordW(14);
  const auto expect = [&](size_t word, int value) {
    const int v[] = {word == 13 ? value : 2, word == 14 ? value : nnz, word == 11 ? value : at, word == 12 ? value : tiles};
    char text[200];
    std::snprintf(text, sizeof(text), "weight message: front of %d blocks, %d stored, at %d, tiles at %d, out of range", v[0], v[1], v[2], v[3]);
    Expect(WithHeader({{word, value}}), text);
  };
  for (int v : {0, 32, -64, at + 4, good.WordW(2) + 64}) expect(11, v);
  for (int v : {-64, tiles + 32}) expect(12, v);
  for (int v : {0, -1, 65536}) expect(13, v);
  for (int v : {-1, 65536}) expect(14, v);
  Expect(WithHeader({{11, 0}, {13, 0}, {14, 0}}), "weight message: front of 0 blocks");
  Expect(WithHeader({{10, 64}}), "weight message: 0 listed taps, 0 pairs, flags 64 out of range");
}

void TestFrontFaults() {
  const Item good = Good();
  const size_t f = kFrontWords;
  const Words front = good.FrontOps(), call(front.begin() + 2, front.end() - 2);
  Expect(With({{f - 1, 8}}), "FRONT: 8 parameter words, expected 10");
  Expect(WithHeader({{11, 0}, {12, 0}, {13, 0}, {14, 0}}), "FRONT: the weight message has none");
  Expect(WithHeader({{10, 2}}), "FRONT: a front is int8");
  Expect(With({{f, 0}}), "FRONT: n_cblk 0 not in 1..65536");
  Expect(With({{f + 1, 65537}}), "FRONT: line_px 65537 not in 1..65536");
  Expect(With({{f + 1, 0}}), "FRONT: line_px 0 not in 1..65536");
  for (int v : {0, -8, 65537}) Expect(With({{f + 9, v}}), "FRONT: acc_px " + std::to_string(v) + " not in 1..65536");
  Expect(With({{f + 9, 0x7fffffff}, {f + 2, 0x7fffffff}}), "FRONT: acc_px 2147483647 not in 1..65536");
  Expect(With({{f + 9, 1}}), "FRONT: left 1 not in 0..0");
  Expect(With({{f + 2, -1}}), "FRONT: left -1 not in 0..7");
  Expect(With({{f + 2, 8}}), "FRONT: left 8 not in 0..7");
  Expect(With({{f + 3, 0}}), "FRONT: live 0 not in 1..7");
  Expect(With({{f + 3, 8}}), "FRONT: live 8 not in 1..7");  // ACC's line ends
  Expect(With({{f + 9, 6}}), "FRONT: live 6 not in 1..5");
  Expect(With({{f + 1, 5}}), "FRONT: live 6 not in 1..5");  // the message's line ends
  Expect(With({{f + 3, 9}, {f + 9, 32}}), "FRONT: live 9 not in 1..8");
  Expect(With({{f + 3, 0x7fffffff}}), "FRONT: live 2147483647 not in 1..7");
  Expect(With({{f + 5, 41}}), "FRONT: out_shift 41 not in -31..40");
  Expect(With({{f + 6, 128}}), "FRONT: lo 128 not in -128..127");
  Expect(With({{f + 8, 512}}), "FRONT: neg_mul 512 not in 0..511");
  Expect(With({{f, 64}}), "FRONT: needs 4096 input bytes, the message holds 128");
  Expect(With({{f + 1, 9}}), "FRONT: needs 144 input bytes, the message holds 128");
  Expect(With({{f, 65536}, {f + 1, 65536}}), "FRONT: needs 34359738368 input bytes, the message holds 128");
  Expect(With({{f + 9, 65536}}), "FRONT: 0 and 1048576 bytes exceed ACC of 512");
  Expect(With({{f + 9, 17}}), "FRONT: 272 and 272 bytes exceed ACC of 512");
  Expect(With({{f + 9, 16}}), "FRONT: 512 and 128 bytes exceed ACC of 512");
  Expect(WithHeader({{11, good.WordW(2)}}), "FRONT: header of");
  Expect(WithHeader({{12, good.WordW(1) * 192 - (good.WordW(14) - 1) * 64}}), "FRONT: weights of");
  const size_t lists = Size(good.WordW(11)) + 64;  // shift[2], row_ptr[3], col
  const auto list = [&](size_t at, int value) {
    Item it = Good();
    it.traffic.w[lists + at * 2] = static_cast<uint8_t>(value), it.traffic.w[lists + at * 2 + 1] = static_cast<uint8_t>(value >> 8);
    return it;
  };
  Expect(list(0, 100), "FRONT: out_shift with its block's 110 not in -31..40");
  Expect(list(2, 1), "FRONT: row_ptr runs from 1");
  Expect(list(3, 9), "FRONT: row_ptr falls");
  Expect(list(5, 2), "FRONT: column 2 of block row");
  Item small = Good();
  small.c.acc_bytes = 255;
  Expect(small, "FRONT: 128 and 128 bytes exceed ACC of 255");
  Item end = Good();
  Rng rng(3);
  end.c.a_slots = static_cast<uint32_t>(end.op_slots + end.message_slots());
  end.Send(rng);
  end.c.mem_bytes = end.c.a_base + end.c.a_slot * end.c.a_slots + 23;
  Expect(end, "FRONT: no room behind the input for the vector load of the last pixels");
  end.c.mem_bytes += 1;
  CheckValues(end, end.Run(), "room behind the input");
  Expect(WithOps(Item::Join({{5}, call})), "FRONT: no activation message is held");
  Expect(WithOps(front), "FRONT: no weight message header has been read");
  Expect(WithOps(Item::Join({{5, 6}, front})), "FRONT: no weight message is held");
  for (int id : {0, 6, 8}) Expect(With({{f - 2, id}}), "KERNEL: unknown kernel " + std::to_string(id));
}

void TestConvFaults() {
  const Item good = Good();
  const Words conv = Item::Join({{5, 1, 1, 7}, good.ConvOps()});
  const size_t p = kConvWords;
  Expect(WithHeader({{10, 32}}), "CONV: an input that is kept, behind a front");
  Expect(With({{p + 16, 2}}), "CONV: an input in ACC has all input channels");
  Expect(With({{p, 3}}), "CONV: reads 3 blocks, the front has 2");
  Expect(WithOps(conv, WithHeader({{10, 2}})), "CONV: a front is int8");
  Expect(WithOps(conv), "CONV: reads rows 1..3, ACC holds 0");
  Expect(With({{p + 9, 3}}), "CONV: reads rows 1..4, ACC holds 4");
  Expect(With({{p + 12, 1 << 20}}), "CONV: reads rows 1048576..1048576, ACC holds 4");
  Expect(With({{p + 1, 6}}), "CONV: reads pixel 7 of a line of 6");
  Item item = Good();
  item.tail = true;
  const auto conv_of = [&] { return WithOps(Item::Join({{5, 1, 1, 7}, item.ConvOps()}), item); };
  Expect(conv_of(), "CONV: a second stage behind a front");
  item = WithHeader({{10, 4}});
  Words sums = Item::Join({good.ConvOps(), {6, 2, 6, 2, 6, 0, 0, 8, 6, -128, 127, 0, -1}});
  sums[2] += 13, sums[3 + 8] = 1, sums[3 + 9] = 1, sums[3 + 11] = 4;
  Expect(WithOps(Item::Join({{5, 1, 1, 7}, sums}), item), "CONV: a front needs its pool behind");
  Item end = Good();
  end.c.acc_base = end.c.mem_bytes, end.c.mem_bytes += end.c.acc_bytes + 23;
  Expect(end, "CONV: no room behind the input for the vector load of the last pixels");
  end.c.mem_bytes += 1;
  CheckValues(end, end.Run(), "room behind the rows in ACC");
  Item pool = Good(true, true);
  CheckValues(pool, pool.Run(), "pool");
  pool.c.acc_bytes -= 200;
  Expect(pool, "CONV: partial sums and pool stage of");
}

void TestKeptFaults() {
  const Item good = Good(false);
  CheckValues(good, good.Run(), "kept");
  const auto alone = [&](Item it) {  // without KEEP
    Rng rng(3);
    it.ops = Item::Join({{5, 1, 1, 7}, it.ConvOps()});
    it.Again(rng);
    return it;
  };
  const int row = good.cin * good.line() * 8;
  Expect(alone(good), "CONV: needs " + std::to_string(3 * row) + " input bytes, KEEP has put 0 into ACC");
  Item it = Good(false);
  it.PokeA(1, it.h - 1);  // rows of the KEEP loop
  Expect(it, "CONV: needs " + std::to_string(8 * row) + " input bytes, KEEP has put " + std::to_string(7 * row) + " into ACC");
  it = alone(good);
  it.PokeA(4 + 3 + 16, 2);
  Expect(it, "CONV: an input in ACC has all input channels");
  it = Good(false);
  it.pool = true;
  Expect(alone(it), "CONV: an input that is kept, with a pool inside or a residual");
  it = Good(false);
  it.tail = true;
  it = alone(it);
  it.PokeA(4 + 3 + 22, 1);
  it.PokeW(0, 7, 2);
  Expect(it, "CONV: an input that is kept, with a pool inside or a residual");
  Item plain = alone(Good(false));
  plain.PokeW(0, 10, 0);
  Expect(plain, "CONV: no activation message is held");
}

void TestDropFaults() {
  const Item good = Good();
  const int row = good.row_bytes();
  const auto drop = [&](const Words& ops) { return WithOps(Item::Join({{5}, good.FrontOps(), ops, {10}})); };
  Expect(drop({14, 0}), "DROP: bytes 0 not in 1.." + std::to_string(row));
  Expect(drop({14, -8}), "DROP: bytes -8 not in 1.." + std::to_string(row));
  Expect(drop({14, row + 8}), "DROP: bytes " + std::to_string(row + 8) + " not in 1.." + std::to_string(row));
  Expect(drop({14, 12}), "DROP: 12 bytes are no whole pixels");
  Expect(drop({14, row, 14, 8}), "DROP: bytes 8 not in 1..0");
  Expect(WithOps({14, 8}), "DROP: bytes 8 not in 1..0");
  Expect(WithOps({14}), "opcode 14 is cut off");
  Expect(WithOps({15}), "unknown opcode 15 at word 6");
  // Pieces that overlap: less than a vector is dropped at a time.
  const Outcome out = drop(Item::Join({{14, 8}, {14, 40}, {14, row - 48}})).Run();
  CHECK(out.end == StepKind::kHalt && out.calls.size() == 4, "%s", out.fault.c_str());
  CHECK(out.calls[1].trips[1] == (row - 8 + 31) / 32 && out.calls[3].trips[1] == 0 && out.calls[3].chunks == 1, "cost of pieces");
}

// A row of cores without output blocks computes the front as the others do, and sends nothing.
void TestNothingOwned() {
  for (bool pool : {false, true}) {
    Item it = WithHeader({{3, 0}, {4, 0}, {5, 0}}, Good(true, pool));
    for (size_t i = 64; i < 68; ++i) it.traffic.w[i] = 0;  // row_ptr, where the biases began
    const Outcome out = it.Run(), good = Good(true, pool).Run();
    CHECK(out.end == StepKind::kHalt && out.output.empty() && out.calls.size() == good.calls.size(), "%s", out.fault.c_str());
  }
}

// Words of opcodes, headers and lists replaced at random: any outcome but a crash.
void TestMutations(int rounds) {
  static constexpr int32_t kValues[] = {0, 1, -1, 2, 3, 7, 14, 32, 48, 64, 128, 65535, 65536, 1 << 20, 0x7fffffff, -0x7fffffff - 1};
  Rng rng(11);
  int faults = 0, halts = 0;
  for (int round = 0; round < rounds; ++round) {
    Item it = round % 4 == 0 ? Good(false) : Good(true, round % 4 == 1);
    const size_t header = Size(it.WordW(2));
    for (int n = Below(rng, 3); n >= 0; --n) {
      const int value = Below(rng, 2) != 0 ? kValues[rng() % std::size(kValues)] : Below(rng, 20);
      const int where = Below(rng, 4);
      if (where < 2) it.PokeA(rng() % it.ops.size(), value);
      if (where == 2) it.PokeW(0, 1 + rng() % 15, value);
      if (where == 3) it.traffic.w[64 + rng() % header] = static_cast<uint8_t>(value);
    }
    const Outcome out = Core(it.c, it.traffic, rng() % 2 != 0).Run(2000);
    CHECK(out.end != StepKind::kFault || !out.fault.empty(), "round %d: a fault without a message", round);
    faults += out.end == StepKind::kFault, halts += out.end == StepKind::kHalt;
  }
  CHECK(faults > rounds / 4 && halts > rounds / 100, "%d faults, %d halts", faults, halts);
}

}  // namespace

int main(int argc, char** argv) {
  TestHeaderFaults();
  TestFrontFaults();
  TestConvFaults();
  TestKeptFaults();
  TestDropFaults();
  TestNothingOwned();
  TestMutations(argc > 1 ? std::atoi(argv[1]) : 6000);
  std::printf("test_front_faults: ok\n");
  return 0;
}

// The sub-volume search over divisions of core memory (cost/grid.h).
#include "cost/grid.h"

#include <algorithm>
#include <tuple>

namespace tvm_aie {
namespace {

constexpr int64_t kWord = 4;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

double Real(int64_t value) { return static_cast<double>(value); }

// Slots per message: what is left before the ring's end is filled.
double WithFiller(int64_t size, int64_t ring, int64_t messages) {
  const int64_t fit = std::max<int64_t>(ring / std::max<int64_t>(size, 1), 1), turns = CeilDiv(messages, fit) - 1;
  return Real(size) + Real(turns * (ring - fit * size)) / Real(messages);
}

bool Fits(const GridCandidate& c, const Division& division) {
  return c.a_bytes <= division.a.bytes() && c.o_bytes <= division.o.bytes() &&
         std::max(c.acc_bytes, c.kept) <= division.acc_bytes && c.header <= division.hdr_bytes &&
         c.w_message <= division.w.bytes();
}

}  // namespace

// Of a candidate: slots of an activation and of an output message, output messages per pass and piece; cycles of an
// activation message with filler and without, and of a call; output slots over the rate of their link or of all.
struct Grid::Messages {
  int64_t a_slots, o_slots, blocks;
  double a, one, call, sent;
  bool single_a, single_o;  // a ring holds one message
};

GridCandidate GridColumns::at(int64_t row) const {
  const auto of = [&](Column column) { return ints[column * rows + row]; };
  return {of(kNCk),   of(kNob),    of(kNPass),  of(kNX),     of(kNB),       of(kResident), of(kKept),
          of(kSingle), of(kABytes), of(kOBytes), of(kOBlock), of(kAccBytes), of(kWMessage), of(kWTotal),
          of(kHeader), compute[row]};
}

// Every pair takes more than its candidate's bound, and an activation slot besides. So none is skipped that matters.
// `limit` may fall on the way.
template <typename Visit>
void Grid::EachPair(const Divisions& divisions, const double& limit, bool flowing, Visit visit) const {
  for (int64_t row = 0; row < columns_.rows && columns_.bound[row] <= limit; ++row) {
    const GridCandidate c = columns_.at(row);
    Each(c, divisions, [&](int64_t number, const Division& division) {
      const double cycles = Cycles(c, division, flowing);
      if (cycles <= limit) visit(Pair{cycles, number, row, division});
    });
  }
}

std::optional<Grid::Pair> Grid::Best(const Divisions& divisions, double limit, bool flowing) const {
  std::optional<Pair> best;
  EachPair(divisions, limit, flowing, [&](const Pair& pair) {
    const auto rank = [](const Pair& p) { return std::make_tuple(p.cycles, p.number, p.row); };
    if (best && rank(pair) >= rank(*best)) return;
    best = pair;
    limit = pair.cycles;
  });
  return best;
}

std::vector<Grid::Pair> Grid::Within(const Divisions& divisions, double limit, bool flowing) const {
  std::vector<Pair> found;
  EachPair(divisions, limit, flowing, [&](const Pair& pair) { found.push_back(pair); });
  std::stable_sort(found.begin(), found.end(), [](const Pair& a, const Pair& b) { return a.number < b.number; });
  return found;
}

template <typename Visit>
void Grid::Each(const GridCandidate& c, const Divisions& divisions, Visit visit) const {
  if (const auto* fitted = std::get_if<FittedDivisions>(&divisions)) {
    EachFitted(c, *fitted, visit);
    return;
  }
  int64_t number = 0;
  for (const Division& division : std::get<std::vector<Division>>(divisions)) {
    if (Fits(c, division)) visit(number, division);
    ++number;
  }
}

template <typename Visit>
void Grid::EachFitted(const GridCandidate& c, const FittedDivisions& divisions, Visit visit) const {
  if (c.w_message > divisions.w.bytes() || c.header > room_.hdr_bytes) return;
  const int64_t acc = CeilDiv(std::max(c.acc_bytes, c.kept), room_.acc_align) * room_.acc_align;
  const int64_t room = room_.bytes - divisions.w.bytes() - acc;
  const auto found = [&](int64_t number, const std::optional<Ring>& a, const std::optional<Ring>& o) {
    if (!a || !o || a->bytes() + o->bytes() > room) return;
    visit(number, Division{*a, divisions.w, *o, acc, room_.hdr_bytes});
  };
  const Slots a(room_.a, c.a_bytes);
  const int64_t inputs = c.resident > 0 ? 1 : c.outputs() * c.n_ck;
  if (divisions.o) {
    if (c.o_bytes <= divisions.o->bytes()) found(0, a.Within(room - divisions.o->bytes(), inputs), divisions.o);
    return;
  }
  const Slots o(room_.o, c.o_bytes);
  const int64_t outputs = c.outputs() * (c.single > 0 ? c.nob : 1);
  const int64_t least = c.single > 0 && c.n_ck <= room_.few_chunks ? std::min(c.nob, outputs) : 1;
  const auto count = static_cast<int64_t>(room_.few.size());
  // Of rings that are equally fast in closed form the first are taken, with most activations: pieces of uneven work
  // wait for each other in a short ring.
  for (int64_t k = 0; k <= count; ++k) {
    const int64_t few = k < count ? room_.few[static_cast<size_t>(k)] : c.nob;
    if (few > outputs || few < least) continue;
    if (const auto ring = o.Exactly(few)) found(k, a.Within(room - ring->bytes(), inputs), ring);
  }
  for (int64_t k = 0; k < count; ++k) {
    const int64_t few = room_.few[static_cast<size_t>(k)];
    if (few > std::max<int64_t>(inputs, 1)) continue;
    const auto ring = a.Exactly(few);
    if (!ring) continue;
    const auto rest = o.Within(room - ring->bytes(), outputs);
    if (rest && rest->slots / CeilDiv(c.o_bytes, rest->slot) >= least) found(count + 1 + k, ring, rest);
  }
}

// Output slots that the cores of a column send.
double Grid::Sent(const GridCandidate& c, int64_t o_slots, int64_t slot) const {
  const int64_t nob = c.single > 0 ? 1 : c.nob;
  double total = 0;
  for (const int64_t blocks : blocks_) {
    total += Real(blocks / nob * o_slots + CeilDiv(blocks % nob * c.o_block, slot));
  }
  return total * Real(c.n_x) * Real(c.n_b);
}

Grid::Messages Grid::MessagesOf(const GridCandidate& c, const Division& division) const {
  const int64_t outputs = c.outputs(), calls = outputs * c.n_ck;
  const int64_t a_slots = CeilDiv(c.a_bytes, division.a.slot), o_slots = CeilDiv(c.o_bytes, division.o.slot);
  const int64_t blocks = c.single > 0 ? c.nob : 1;
  const double slot = Real(division.a.slot) / Real(kWord) / terms_.a_rate;
  const double own = Real(outputs * blocks * o_slots) / terms_.o_rate;
  const double shared = Sent(c, o_slots, division.o.slot) / terms_.o_link;
  return {a_slots,
          o_slots,
          blocks,
          WithFiller(a_slots, division.a.slots, calls) * slot,
          Real(a_slots) * slot,
          c.compute / Real(calls),
          std::max(own, shared),
          2 * a_slots > division.a.slots && c.resident == 0,
          2 * o_slots > division.o.slots && c.single == 0};
}

double Grid::Cycles(const GridCandidate& c, const Division& division, bool flowing) const {
  const Messages m = MessagesOf(c, division);
  double body = flowing ? Flowing(c, division, m) : Alone(c, division, m);
  // The input that is kept, whose copies into ACC cost such cores nothing, weights that the ring does not hold twice,
  // and the opcode message.
  const double slot = Real(division.a.slot) / Real(kWord) / terms_.a_rate;
  body = body + Real(CeilDiv(c.kept, division.a.slot)) * slot;
  const int64_t messages = c.n_ck > 1 ? c.outputs() * c.n_ck : c.n_pass;
  const int64_t excess = std::max<int64_t>(0, 2 * c.w_message - division.w.bytes());
  if (messages > 1) body = body + Real((messages - 1) * excess) / Real(kWord) / terms_.w_rate;
  const int64_t weights = c.w_total * (c.n_ck > 1 ? c.n_x * c.n_b : 1);
  return std::max(body, Real(weights) / Real(kWord) / terms_.w_rate) + slot;
}

// `schedule.estimate.pipeline_cycles`.
double Grid::Alone(const GridCandidate& c, const Division& division, const Messages& m) const {
  const double outputs = Real(c.outputs()), n = Real(c.n_ck), calls = Real(c.outputs() * c.n_ck);
  const double a = m.a, one = m.one, call = m.call, blocks = Real(m.blocks);
  const double junk =
      WithFiller(m.o_slots, division.o.slots, c.outputs()) / Real(std::max<int64_t>(m.o_slots, 1));
  const double outputs_total = Real(division.o.slot) / Real(kWord) * junk * m.sent, o = outputs_total / outputs;
  double body = std::max(a + c.compute + o, a + n * call + outputs_total);
  if (c.single > 0) {
    const double ring = o * Real(division.o.slots) / Real(std::max<int64_t>(m.o_slots * m.blocks, 1));
    const double between = std::max(o, (n - 1) * call + std::max(call, o - ring));
    const double last = std::max(call + o / blocks, call / blocks + o);
    body = a + (outputs - 1) * between + (n - 1) * call + last;
  }
  const double drain = o / blocks;
  if (c.resident == 0) {
    body = std::max(body, calls * a + call + drain);
    // Each pass takes the whole input, and the last one may compute less than it takes to send that.
    const int64_t most = blocks_.front(), full = c.n_pass - 1, rest = most - full * c.nob;
    const double whole = a * calls / Real(c.n_pass), each = c.compute / Real(std::max<int64_t>(most, 1));
    const double passes = Real(full) * std::max(whole, each * Real(c.nob)) + std::max(whole, each * Real(rest));
    body = std::max(body, passes + std::min(a, call) + drain);
  }
  if (m.single_a) body = std::max(body, calls * (one + std::max(call, a - one)) + drain);
  if (m.single_o) {  // each output waits until the one before has left
    const double message = o / junk, between = m.single_a ? std::max(one, message) : message;
    const double inside = m.single_a ? Real(c.outputs() * (c.n_ck - 1)) * one : 0.0;
    const double computes = outputs * std::max(n * call, o - message);
    body = std::max(body, a + computes + inside + (outputs - 1) * between + message);
  }
  return body;
}

// Between items that overlap with it: its input begins when the cores are done with the item before, while that one's
// outputs drain, and it ends when the cores are done.
double Grid::Flowing(const GridCandidate& c, const Division& division, const Messages& m) const {
  const double outputs = Real(c.outputs()), n = Real(c.n_ck), calls = Real(c.outputs() * c.n_ck);
  const double a = m.a, one = m.one, call = m.call;
  const double o = Real(division.o.slot) / Real(kWord) * m.sent / outputs;
  const double ring = o * Real(division.o.slots) / Real(std::max<int64_t>(m.o_slots * m.blocks, 1));
  // A core waits while the ring does not take what it has computed.
  double cores = a + outputs * ((n - 1) * call + std::max(call, o - ring));
  if (m.single_o) cores = std::max(cores, a + outputs * std::max(n * call, o));
  double body = std::max(cores, outputs * o);
  if (c.resident == 0) body = std::max(body, calls * a + call);
  if (m.single_a) body = std::max(body, calls * (one + std::max(call, a - one)));
  return body;
}

}  // namespace tvm_aie

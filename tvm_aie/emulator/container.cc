#include "emulator/container.h"

namespace tvm_aie {
namespace {

constexpr uint64_t kHeaderBytes = 32, kEntryBytes = 24;
constexpr char kMagic[8] = {'T', 'V', 'M', 'A', 'I', 'E', '2', '\0'};
constexpr uint32_t kVersion = 3;

struct SectionType {
  std::string_view name;
  uint32_t elem_bytes;
  int columns;
};

// By section id; docs/program.md section 5.
constexpr std::array<SectionType, kSecEnd> kTypes = {{
    {"", 0, 0},          {"META", 1, 1},      {"DEVICE_KEYS", 1, 1}, {"DEVICE_VALUES", 8, 1}, {"TILES", 8, 6},
    {"LOCK_INIT", 8, 3}, {"FLOWS", 8, 6},     {"FLOW_DSTS", 8, 2},   {"CORES", 8, 17},        {"BDS", 8, 30},
    {"BD_LINKS", 8, 2},  {"STATIC_BDS", 8, 1}, {"STATIC_TASKS", 8, 6}, {"COMMANDS", 8, 7},    {"DDR_SIZES", 8, 4},
    {"CONST", 1, 1},     {"IO", 8, 12},       {"IO_MAP", 8, 1},
}};

template <typename T>
T Read(std::span<const uint8_t> file, uint64_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

// Slicing by eight: the constants of a network are tens of megabytes and are checked at every load.
struct CrcTables {
  std::array<std::array<uint32_t, 256>, 8> t{};
  constexpr CrcTables() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      t[0][i] = c;
    }
    for (size_t s = 1; s < t.size(); ++s) {
      for (size_t i = 0; i < 256; ++i) t[s][i] = t[0][t[s - 1][i] & 0xFF] ^ (t[s - 1][i] >> 8);
    }
  }
};
constexpr CrcTables kCrc;

}  // namespace

uint32_t Crc32(const uint8_t* data, size_t size) {
  const auto& t = kCrc.t;
  uint32_t c = 0xFFFFFFFFu;
  for (; size >= 8; size -= 8, data += 8) {
    uint32_t lo, hi;
    std::memcpy(&lo, data, 4);
    std::memcpy(&hi, data + 4, 4);
    lo ^= c;
    c = t[7][lo & 0xFF] ^ t[6][(lo >> 8) & 0xFF] ^ t[5][(lo >> 16) & 0xFF] ^ t[4][lo >> 24] ^ t[3][hi & 0xFF] ^
        t[2][(hi >> 8) & 0xFF] ^ t[1][(hi >> 16) & 0xFF] ^ t[0][hi >> 24];
  }
  for (; size > 0; --size, ++data) c = t[0][(c ^ *data) & 0xFF] ^ (c >> 8);
  return c ^ 0xFFFFFFFFu;
}

std::string Grouped(int64_t value) {
  std::string digits = std::to_string(value);
  const size_t first = value < 0 ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string_view Container::Name(SectionId id) { return kTypes[id].name; }

Container::Container(std::span<const uint8_t> file) : file_(file) {
  const uint64_t size = file.size();
  if (size < kHeaderBytes || std::memcmp(file.data(), kMagic, sizeof kMagic) != 0) {
    ProgramFail("not a tvm-aie program: ", Grouped(static_cast<int64_t>(size)), " bytes without the TVMAIE2 header");
  }
  if (const auto version = Read<uint32_t>(file, 8); version != kVersion) {
    ProgramFail("program version ", version, "; this library reads version ", kVersion);
  }
  const uint64_t n = Read<uint32_t>(file, 12);
  if (const auto total = Read<uint64_t>(file, 16); total != size) {
    ProgramFail("truncated or padded program: the header says ", total, " bytes, there are ", size);
  }
  if (Read<uint32_t>(file, 24) != Crc32(file.data() + kHeaderBytes, size - kHeaderBytes)) {
    ProgramFail("damaged program: checksum mismatch");
  }
  if (Read<uint32_t>(file, 28) != 0) ProgramFail("program header: the reserved word is not 0");
  if (n != kSecEnd - 1) ProgramFail("program header: ", n, " sections, expected ", kSecEnd - 1);
  if (kHeaderBytes + n * kEntryBytes > size) ProgramFail("truncated program: incomplete section table");
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t at = kHeaderBytes + i * kEntryBytes;
    const auto id = Read<uint32_t>(file, at);
    if (id == 0 || id >= kSecEnd) ProgramFail("unknown section ", id);
    Section s{true, Read<uint32_t>(file, at + 4), Read<uint64_t>(file, at + 8), Read<uint64_t>(file, at + 16)};
    const SectionType& type = kTypes[id];
    if (sections_[id].present) ProgramFail("section ", type.name, " appears twice");
    if (s.elem_bytes != type.elem_bytes) {
      ProgramFail("section ", type.name, ": elements of ", s.elem_bytes, " bytes, expected ", type.elem_bytes);
    }
    if (s.offset % 8 != 0 || s.offset < kHeaderBytes + n * kEntryBytes || s.offset > size ||
        s.count > (size - s.offset) / s.elem_bytes) {
      ProgramFail("section ", type.name, " lies outside the file (offset ", s.offset, ", ", s.count, " elements)");
    }
    if (s.count % static_cast<uint64_t>(type.columns) != 0) {
      ProgramFail("section ", type.name, ": ", s.count, " values are no rows of ", type.columns);
    }
    sections_[id] = s;
  }
}

TableView Container::Table(SectionId id) const {
  const Section& s = sections_[id];
  return {file_.data() + s.offset, static_cast<int64_t>(s.count) / kTypes[id].columns, kTypes[id].columns};
}

std::span<const uint8_t> Container::Bytes(SectionId id) const {
  const Section& s = sections_[id];
  return file_.subspan(s.offset, s.count);
}

}  // namespace tvm_aie

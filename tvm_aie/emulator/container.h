// The serialised container (docs/program.md section 5): header, checksum, typed sections.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <sstream>
#include <string>
#include <string_view>

#include "tvm_aie/program.h"

namespace tvm_aie {

enum SectionId : uint32_t {
  kSecMeta = 1, kSecDeviceKeys, kSecDeviceValues, kSecTiles, kSecLockInit, kSecFlows, kSecFlowDsts, kSecCores,
  kSecBds, kSecBdLinks, kSecStaticBds, kSecStaticTasks, kSecCommands, kSecDdrSizes, kSecConst, kSecIo, kSecIoMap,
  kSecEnd
};

// "65,536": sizes in messages are read by people.
std::string Grouped(int64_t value);

template <typename... Args>
[[noreturn]] void ProgramFail(const Args&... args) {
  std::ostringstream text;
  (text << ... << args);
  throw ProgramError(text.str());
}

// A table of int64 in the file, not necessarily aligned in memory.
class TableView {
 public:
  TableView() = default;
  TableView(const uint8_t* data, int64_t rows, int columns) : data_(data), rows_(rows), columns_(columns) {}
  int64_t rows() const { return rows_; }
  int64_t At(int64_t row, int column) const {
    int64_t value;
    std::memcpy(&value, data_ + (row * columns_ + column) * 8, 8);
    return value;
  }

 private:
  const uint8_t* data_ = nullptr;
  int64_t rows_ = 0;
  int columns_ = 1;
};

class Container {
 public:
  // Checks header, checksum and that every section lies inside the file.
  explicit Container(std::span<const uint8_t> file);

  TableView Table(SectionId id) const;
  std::span<const uint8_t> Bytes(SectionId id) const;
  static std::string_view Name(SectionId id);

 private:
  struct Section {
    bool present = false;
    uint32_t elem_bytes = 0;
    uint64_t offset = 0, count = 0;
  };
  std::span<const uint8_t> file_;
  std::array<Section, kSecEnd> sections_{};
};

}  // namespace tvm_aie

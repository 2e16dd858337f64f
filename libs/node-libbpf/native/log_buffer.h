// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include <cstring>
#include <string>

// Room for a verifier log, which may be large and mostly stays untouched: pages of its own, given back with it.
class LogBuffer {
 public:
  explicit LogBuffer(size_t bytes) : bytes_(bytes) {
    void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped != MAP_FAILED) text_ = static_cast<char*>(mapped);
  }
  LogBuffer(const LogBuffer&) = delete;
  LogBuffer& operator=(const LogBuffer&) = delete;
  ~LogBuffer() {
    if (text_ != nullptr) munmap(text_, bytes_);
  }

  char* text() const { return text_; }
  size_t bytes() const { return bytes_; }

  // The end of the log matters: the verifier's complaint is its last line.
  std::string Tail(size_t bytesMax) const {
    if (text_ == nullptr) return {};
    size_t length = strnlen(text_, bytes_);
    size_t skip = length > bytesMax ? length - bytesMax : 0;
    return std::string(text_ + skip, length - skip);
  }

 private:
  char* text_ = nullptr;
  size_t bytes_;
};

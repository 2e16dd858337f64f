// SPDX-License-Identifier: Apache-2.0
#include "libbpf_log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace {

constexpr size_t kKeptBytesMax = 16 * 1024;
constexpr size_t kLineBytesMax = 2 * 1024;

thread_local std::string kept;

int KeepLine(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[kLineBytesMax];
  int length = vsnprintf(line, sizeof(line), format, arguments);
  if (length <= 0) return 0;
  kept.append(line);
  if (kept.size() > kKeptBytesMax) {
    size_t cut = kept.find('\n', kept.size() - kKeptBytesMax);
    kept.erase(0, cut == std::string::npos ? kept.size() - kKeptBytesMax : cut + 1);
  }
  return length;
}

}  // namespace

void InstallLibbpfLog() {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(KeepLine); });
}

std::string TakeLibbpfLog() {
  std::string taken;
  taken.swap(kept);
  return taken;
}

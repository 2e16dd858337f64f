// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "addon.h"

// A libbpf object and the bytes it was opened from. Shared, because a USDT link points into the object that made it.
struct OpenObject {
  struct bpf_object* object = nullptr;
  // libbpf reads the ELF in place until load() has finished.
  std::vector<uint8_t> elf;
  std::vector<struct bpf_program*> programs;
  std::vector<struct bpf_map*> maps;
  // Descriptors that load() will use: the programs to be replaced or traced.
  std::vector<UniqueFd> targets;

  OpenObject() = default;
  OpenObject(const OpenObject&) = delete;
  OpenObject& operator=(const OpenObject&) = delete;
  ~OpenObject() {
    if (object != nullptr) bpf_object__close(object);
  }
};

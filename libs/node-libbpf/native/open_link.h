// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>

#include "addon.h"
#include "open_object.h"

// A link in one of its shapes: made by libbpf (which may hold a perf event beside it), a bare link descriptor, or an
// attachment from before there were links.
struct OpenLink {
  struct bpf_link* libbpf = nullptr;
  UniqueFd fd;
  // SEC(".struct_ops"): libbpf gives such a link the descriptor of its map, which must not be taken for a link's.
  bool structOpsMap = false;
  // SEC(".struct_ops.link"): made by libbpf, which can put another map into it.
  bool structOpsLink = false;
  // BPF_PROG_ATTACH: the program stays on the target until it is detached by hand.
  UniqueFd legacyTarget;
  UniqueFd legacyProgram;
  uint32_t legacyType = 0;
  // Set where libbpf's link points into its object (USDT).
  std::shared_ptr<OpenObject> keeps;
};

Napi::Value NewLink(Napi::Env env, OpenLink link);

// libbpf's link inside a NativeLink that attachStructOps() made of SEC(".struct_ops.link"), else nullptr: for no other link may
// libbpf be asked to change the map. Throws on values that are no link.
struct bpf_link* StructOpsLinkOf(const Napi::Value& value);

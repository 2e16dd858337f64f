// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>

#include "addon.h"
#include "open_object.h"

// A link in one of its two shapes: made by libbpf (which may hold a perf event beside it), or a bare link descriptor.
struct OpenLink {
  struct bpf_link* libbpf = nullptr;
  UniqueFd fd;
  // Set where libbpf's link points into its object (USDT).
  std::shared_ptr<OpenObject> keeps;
};

Napi::Value NewLink(Napi::Env env, OpenLink link);

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>

#include "open_object.h"

// A loaded program and the object that made it: what libbpf needs where a bare descriptor is not enough.
struct ObjectProgram {
  struct bpf_program* program;
  std::shared_ptr<OpenObject> object;
};

// Each reads its arguments from info[1] on and returns a NativeLink or -errno.
Napi::Value AttachKprobe(const Napi::CallbackInfo& info, const ObjectProgram& from);
Napi::Value AttachKprobeMulti(const Napi::CallbackInfo& info, const ObjectProgram& from);
Napi::Value AttachUprobe(const Napi::CallbackInfo& info, const ObjectProgram& from);
Napi::Value AttachUprobeMulti(const Napi::CallbackInfo& info, const ObjectProgram& from);
Napi::Value AttachUsdt(const Napi::CallbackInfo& info, const ObjectProgram& from);
Napi::Value AttachTracepoint(const Napi::CallbackInfo& info, const ObjectProgram& from);
Napi::Value AttachIterator(const Napi::CallbackInfo& info, const ObjectProgram& from);

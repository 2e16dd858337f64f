// SPDX-License-Identifier: Apache-2.0
// Asking the kernel what it can do, by trying, without leaving anything behind. What an answer means is decided in
// TypeScript (kernel-features.ts); here are the tries, each of which returns what the kernel said.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

#include <cstring>
#include <string>
#include <vector>

#include "addon.h"
#include "libbpf_log.h"

namespace {

constexpr int kNoDescriptor = -1;
// lsm_list_modules(2), kernel ≥ 6.8: the same number on every architecture.
constexpr long kLsmListModules = 461;
constexpr size_t kLsmsMax = 64;

enum bpf_prog_type ProgramTypeByName(const std::string& wanted) {
  for (int type = 1; type < 1024; type++) {
    const char* name = libbpf_bpf_prog_type_str(static_cast<enum bpf_prog_type>(type));
    if (name == nullptr) break;
    if (wanted == name) return static_cast<enum bpf_prog_type>(type);
  }
  return BPF_PROG_TYPE_UNSPEC;
}

enum bpf_attach_type AttachTypeByName(const std::string& wanted) {
  for (int type = 0; type < 1024; type++) {
    const char* name = libbpf_bpf_attach_type_str(static_cast<enum bpf_attach_type>(type));
    if (name == nullptr) break;
    if (wanted == name) return static_cast<enum bpf_attach_type>(type);
  }
  return static_cast<enum bpf_attach_type>(0);
}

// probeLoad(programType, attachType | undefined, instructions, kernelFunction | undefined) → handle | -errno
Napi::Value ProbeLoad(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  enum bpf_prog_type type = ProgramTypeByName(StringArgument(info, 0));
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  if (info[1].IsString()) options.expected_attach_type = AttachTypeByName(StringArgument(info, 1));
  Napi::Buffer<uint8_t> bytes = BufferArgument(info, 2);
  std::vector<struct bpf_insn> instructions(bytes.Length() / sizeof(struct bpf_insn));
  memcpy(instructions.data(), bytes.Data(), instructions.size() * sizeof(struct bpf_insn));
  if (info[3].IsString()) {
    int id = libbpf_find_vmlinux_btf_id(StringArgument(info, 3).c_str(), options.expected_attach_type);
    TakeLibbpfLog();
    if (id < 0) return Failure(env, id);
    options.attach_btf_id = static_cast<uint32_t>(id);
  }
  UniqueFd fd(bpf_prog_load(type, "probe", "GPL", instructions.data(), instructions.size(), &options));
  return fd.open() ? NewHandle(env, std::move(fd)) : Failure(env, errno);
}

// probeLink(programFd, target, attachType, of): creates a link with that target and closes it → 0 | -errno
Napi::Value ProbeLink(const Napi::CallbackInfo& info) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  const char* noFunction = "node_libbpf_no_such_function";
  unsigned long offset = 0;
  std::string of = StringArgument(info, 3);
  if (of == "kprobe_multi") {
    options.kprobe_multi.syms = &noFunction;
    options.kprobe_multi.cnt = 1;
  } else if (of == "uprobe_multi") {
    // A folder has no code.
    options.uprobe_multi.path = "/";
    options.uprobe_multi.offsets = &offset;
    options.uprobe_multi.cnt = 1;
  } else if (of == "netfilter") {
    options.netfilter.pf = 255;
  }
  UniqueFd link(bpf_link_create(Int32Argument(info, 0), Int32Argument(info, 1), AttachTypeByName(StringArgument(info, 2)),
                                &options));
  return Napi::Number::New(info.Env(), link.open() ? 0 : -errno);
}

// probeTracing(programFd): attaches where the program was loaded for, and detaches → 0 | -errno
Napi::Value ProbeTracing(const Napi::CallbackInfo& info) {
  UniqueFd link(bpf_raw_tracepoint_open(nullptr, Int32Argument(info, 0)));
  return Napi::Number::New(info.Env(), link.open() ? 0 : -errno);
}

// probeCommand(name): a bpf(2) command on no descriptor → -EBADF where the kernel has it, -EINVAL where not
Napi::Value ProbeCommand(const Napi::CallbackInfo& info) {
  std::string name = StringArgument(info, 0);
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof(attributes));
  enum bpf_cmd command;
  if (name == "link_create") {
    command = BPF_LINK_CREATE;
    attributes.link_create.prog_fd = static_cast<uint32_t>(kNoDescriptor);
  } else if (name == "link_detach") {
    command = BPF_LINK_DETACH;
    attributes.link_detach.link_fd = static_cast<uint32_t>(kNoDescriptor);
  } else if (name == "iter_create") {
    command = BPF_ITER_CREATE;
    attributes.iter_create.link_fd = static_cast<uint32_t>(kNoDescriptor);
  } else if (name == "map_lookup_batch") {
    command = BPF_MAP_LOOKUP_BATCH;
    attributes.batch.map_fd = static_cast<uint32_t>(kNoDescriptor);
  } else if (name == "map_freeze") {
    command = BPF_MAP_FREEZE;
    attributes.map_fd = static_cast<uint32_t>(kNoDescriptor);
  } else if (name == "token_create") {
    command = BPF_TOKEN_CREATE;
    attributes.token_create.bpffs_fd = static_cast<uint32_t>(kNoDescriptor);
  } else {
    return Failure(info.Env(), ENOSYS);
  }
  long result = syscall(SYS_bpf, command, &attributes, sizeof(attributes));
  return Napi::Number::New(info.Env(), result < 0 ? -errno : static_cast<double>(result));
}

// helperNames() → names by number, as this libbpf's header has them
Napi::Value HelperNames(const Napi::CallbackInfo& info) {
  static const char* const names[] = {
#define HELPER_NAME(name, ...) #name,
      ___BPF_FUNC_MAPPER(HELPER_NAME)
#undef HELPER_NAME
  };
  Napi::Array list = Napi::Array::New(info.Env());
  for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) list[i] = Napi::String::New(info.Env(), names[i]);
  return list;
}

// probeHelper(programType, helper's number) → 1 | 0 | -errno; -EOPNOTSUPP for types of which libbpf cannot tell
Napi::Value ProbeHelper(const Napi::CallbackInfo& info) {
  enum bpf_prog_type type = ProgramTypeByName(StringArgument(info, 0));
  int found = libbpf_probe_bpf_helper(type, static_cast<enum bpf_func_id>(Uint32Argument(info, 1)), nullptr);
  TakeLibbpfLog();
  return Napi::Number::New(info.Env(), found);
}

// probeType('program' | 'map', number) → 1 | 0 | -errno
Napi::Value ProbeType(const Napi::CallbackInfo& info) {
  uint32_t number = Uint32Argument(info, 1);
  int found = StringArgument(info, 0) == "program"
                  ? libbpf_probe_bpf_prog_type(static_cast<enum bpf_prog_type>(number), nullptr)
                  : libbpf_probe_bpf_map_type(static_cast<enum bpf_map_type>(number), nullptr);
  TakeLibbpfLog();
  return Napi::Number::New(info.Env(), found);
}

// lsmIds() → ids of the active security modules (linux/lsm.h), in order | -errno
Napi::Value LsmIds(const Napi::CallbackInfo& info) {
  uint64_t ids[kLsmsMax];
  uint32_t bytes = sizeof(ids);
  long count = syscall(kLsmListModules, ids, &bytes, 0);
  if (count < 0) return Failure(info.Env(), errno);
  Napi::Array list = Napi::Array::New(info.Env());
  for (long i = 0; i < count && i < static_cast<long>(kLsmsMax); i++) {
    list[static_cast<uint32_t>(i)] = Napi::Number::New(info.Env(), static_cast<double>(ids[i]));
  }
  return list;
}

}  // namespace

void InitProbe(Napi::Env env, Napi::Object exports) {
  exports["probeLoad"] = Napi::Function::New(env, ProbeLoad, "probeLoad");
  exports["probeLink"] = Napi::Function::New(env, ProbeLink, "probeLink");
  exports["probeTracing"] = Napi::Function::New(env, ProbeTracing, "probeTracing");
  exports["probeCommand"] = Napi::Function::New(env, ProbeCommand, "probeCommand");
  exports["helperNames"] = Napi::Function::New(env, HelperNames, "helperNames");
  exports["probeHelper"] = Napi::Function::New(env, ProbeHelper, "probeHelper");
  exports["probeType"] = Napi::Function::New(env, ProbeType, "probeType");
  exports["lsmIds"] = Napi::Function::New(env, LsmIds, "lsmIds");
}

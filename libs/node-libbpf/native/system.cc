// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <malloc.h>
#include <sys/syscall.h>

#include <climits>
#include <cstring>

#include "addon.h"
#include "introspect.h"
#include "libbpf_log.h"

namespace {

// A bare descriptor that means something as long as it is open, such as the one that keeps BPF statistics on.
class NativeHandle : public Napi::ObjectWrap<NativeHandle> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeHandle", {
                                                 InstanceMethod<&NativeHandle::Descriptor>("fd"),
                                                 InstanceMethod<&NativeHandle::Read>("read"),
                                                 InstanceMethod<&NativeHandle::Close>("close"),
                                             });
  }

  explicit NativeHandle(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeHandle>(info), fd_(FdArgument(info)), dropped_(AddonOf(info.Env()).dropped) {}

  ~NativeHandle() override {
    if (fd_.open()) dropped_->fetch_add(1);
  }

 private:
  Napi::Value Descriptor(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_.get()); }

  // read(target) → bytes, 0 at the end | -errno
  Napi::Value Read(const Napi::CallbackInfo& info) {
    Napi::Buffer<uint8_t> target = BufferArgument(info, 0);
    ssize_t got = read(fd_.get(), target.Data(), target.Length());
    return got < 0 ? Failure(info.Env(), errno) : Napi::Number::New(info.Env(), static_cast<double>(got));
  }

  void Close(const Napi::CallbackInfo&) { fd_.Reset(); }

  UniqueFd fd_;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

// openPinned(path, kind) → handle of that kind | -errno; -EMEDIUMTYPE when the pin is something else.
Napi::Value OpenPinned(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string kind = StringArgument(info, 1);
  UniqueFd fd(bpf_obj_get(StringArgument(info, 0).c_str()));
  if (!fd.open()) return Failure(env, errno);
  if (KindOf(fd.get()) != kind) return Failure(env, EMEDIUMTYPE);
  if (kind == "map") return NewMap(env, std::move(fd));
  if (kind == "program") return NewProgram(env, std::move(fd));
  return NewLink(env, std::move(fd));
}

// openPidfd(pid) → handle | -errno
Napi::Value OpenPidfd(const Napi::CallbackInfo& info) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, Int32Argument(info, 0), 0)));
  return fd.open() ? NewHandle(info.Env(), std::move(fd)) : Failure(info.Env(), errno);
}

Napi::Value EnableStats(const Napi::CallbackInfo& info) {
  UniqueFd fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
  return fd.open() ? NewHandle(info.Env(), std::move(fd)) : Failure(info.Env(), errno);
}

// probeTypes('program' | 'map') → { name: boolean } over every type that this libbpf knows.
Napi::Value ProbeTypes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bool programs = StringArgument(info, 0) == "program";
  Napi::Object result = Napi::Object::New(env);
  for (int type = 1; type < 1024; type++) {
    const char* name = programs ? libbpf_bpf_prog_type_str(static_cast<enum bpf_prog_type>(type))
                                : libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(type));
    if (name == nullptr) break;
    int found = programs ? libbpf_probe_bpf_prog_type(static_cast<enum bpf_prog_type>(type), nullptr)
                         : libbpf_probe_bpf_map_type(static_cast<enum bpf_map_type>(type), nullptr);
    result[name] = Napi::Boolean::New(env, found == 1);
  }
  TakeLibbpfLog();
  return result;
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), libbpf_num_possible_cpus());
}

Napi::Value LibbpfVersion(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), libbpf_version_string());
}

Napi::Value ErrorText(const Napi::CallbackInfo& info) {
  char text[256];
  libbpf_strerror(static_cast<int>(-int64_t{Int32Argument(info, 0)}), text, sizeof(text));
  return Napi::String::New(info.Env(), text);
}

Napi::Value TakeLog(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), TakeLibbpfLog()); }

// Glibc keeps what was freed below the top of its heap; after the kernel's BTF has been parsed that is megabytes.
void ReturnFreedMemory(const Napi::CallbackInfo&) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

Napi::Value DroppedHandles(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(AddonOf(info.Env()).dropped->load()));
}

}  // namespace

Napi::Value NewHandle(Napi::Env env, UniqueFd fd) {
  return NewOwner(env, AddonOf(env).handle, std::move(fd));
}

void InitSystem(Napi::Env env, Napi::Object exports) {
  AddonOf(env).handle = Napi::Persistent(NativeHandle::Define(env));
  exports["openPinned"] = Napi::Function::New(env, OpenPinned, "openPinned");
  exports["openPidfd"] = Napi::Function::New(env, OpenPidfd, "openPidfd");
  exports["enableStats"] = Napi::Function::New(env, EnableStats, "enableStats");
  exports["probeTypes"] = Napi::Function::New(env, ProbeTypes, "probeTypes");
  exports["possibleCpus"] = Napi::Function::New(env, PossibleCpus, "possibleCpus");
  exports["libbpfVersion"] = Napi::Function::New(env, LibbpfVersion, "libbpfVersion");
  exports["errorText"] = Napi::Function::New(env, ErrorText, "errorText");
  exports["takeLog"] = Napi::Function::New(env, TakeLog, "takeLog");
  exports["returnFreedMemory"] = Napi::Function::New(env, ReturnFreedMemory, "returnFreedMemory");
  exports["droppedHandles"] = Napi::Function::New(env, DroppedHandles, "droppedHandles");
}

// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>

#include <cstdarg>
#include <cstring>

#include "addon.h"
#include "introspect.h"
#include "open_link.h"

namespace {

constexpr int kIteratorRetriesMax = 1000;

// bpf_link__destroy disables the perf event behind a tracepoint, kprobe or uprobe link even when the link is pinned and
// shall live on. libbpf keeps that descriptor to itself, so the one ioctl is held back instead (see __wrap_ioctl).
thread_local bool leavePerfEventEnabled = false;

void Release(OpenLink& link, bool keepAttached) {
  if (link.libbpf != nullptr) {
    leavePerfEventEnabled = keepAttached;
    bpf_link__destroy(link.libbpf);
    leavePerfEventEnabled = false;
    link.libbpf = nullptr;
  }
  link.fd.Reset();
  if (link.legacyTarget.open()) {
    bpf_prog_detach2(link.legacyProgram.get(), link.legacyTarget.get(), static_cast<enum bpf_attach_type>(link.legacyType));
    link.legacyTarget.Reset();
    link.legacyProgram.Reset();
  }
  link.keeps.reset();
}

class NativeLink : public Napi::ObjectWrap<NativeLink> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeLink",
                       {
                           InstanceMethod<&NativeLink::Info>("info"),
                           InstanceMethod<&NativeLink::Pin>("pin"),
                           InstanceMethod<&NativeLink::SetPinned>("setPinned"),
                           InstanceMethod<&NativeLink::Update>("update"),
                           InstanceMethod<&NativeLink::Detach>("detach"),
                           InstanceMethod<&NativeLink::ReadIterator>("readIterator"),
                           InstanceMethod<&NativeLink::OpenIterator>("openIterator"),
                           InstanceMethod<&NativeLink::Close>("close"),
                       });
  }

  explicit NativeLink(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeLink>(info), dropped_(AddonOf(info.Env()).dropped) {
    if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "links are made by attaching");
    link_ = std::move(*info[0].As<Napi::External<OpenLink>>().Data());
    // The moved-from link must not be destroyed twice.
    info[0].As<Napi::External<OpenLink>>().Data()->libbpf = nullptr;
  }

  struct bpf_link* structOpsLink() const { return link_.structOpsLink ? link_.libbpf : nullptr; }

  ~NativeLink() override {
    if (IsOpen()) dropped_->fetch_add(1);
    Release(link_, pinned_);
  }

 private:
  // -1 for what is attached and has no link object: every call with it fails with EBADF, which is not what happened, so
  // those that may meet it ask HasLinkObject() first.
  int Fd() const {
    if (link_.structOpsMap) return -1;
    return link_.libbpf != nullptr ? bpf_link__fd(link_.libbpf) : link_.fd.get();
  }

  bool IsOpen() const { return link_.libbpf != nullptr || link_.fd.open() || link_.legacyTarget.open(); }

  bool HasLinkObject() const { return Fd() >= 0; }

  // info() → as LinkFacts. A perf event without a link (kernels before 5.15) gives -EINVAL.
  Napi::Value Info(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!HasLinkObject()) return Failure(env, EINVAL);
    return LinkFacts(env, Fd());
  }

  Napi::Value Pin(const Napi::CallbackInfo& info) {
    if (!HasLinkObject()) return Failure(info.Env(), EOPNOTSUPP);
    if (bpf_obj_pin(Fd(), StringArgument(info, 0).c_str()) != 0) return Failure(info.Env(), errno);
    pinned_ = true;
    return Napi::Number::New(info.Env(), 0);
  }

  void SetPinned(const Napi::CallbackInfo& info) { pinned_ = info[0].ToBoolean(); }

  // update(programFd, fd of the program that must be there | undefined) → 0 | -errno
  Napi::Value Update(const Napi::CallbackInfo& info) {
    if (!HasLinkObject()) return Failure(info.Env(), EOPNOTSUPP);
    LIBBPF_OPTS(bpf_link_update_opts, options);
    if (info[1].IsNumber()) {
      options.flags = BPF_F_REPLACE;
      options.old_prog_fd = Uint32Argument(info, 1);
    }
    if (bpf_link_update(Fd(), Int32Argument(info, 0), &options) != 0) return Failure(info.Env(), errno);
    return Napi::Number::New(info.Env(), 0);
  }

  Napi::Value Detach(const Napi::CallbackInfo& info) {
    if (!HasLinkObject()) return Failure(info.Env(), EOPNOTSUPP);
    if (bpf_link_detach(Fd()) != 0) return Failure(info.Env(), errno);
    return Napi::Number::New(info.Env(), 0);
  }

  // readIterator(bytesMax) → Buffer of at most bytesMax bytes | -errno; only for links of iter programs.
  Napi::Value ReadIterator(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    std::string text(Uint32Argument(info, 0), '\0');
    UniqueFd fd(bpf_iter_create(Fd()));
    if (!fd.open()) return Failure(env, errno);
    size_t filled = 0;
    int again = 0;
    while (filled < text.size()) {
      ssize_t got = read(fd.get(), text.data() + filled, text.size() - filled);
      // EAGAIN: the program asked for the same object once more, which it may do forever.
      if (got < 0 && (errno == EINTR || errno == EAGAIN) && again++ < kIteratorRetriesMax) continue;
      if (got < 0) return Failure(env, errno);
      if (got == 0) break;
      filled += static_cast<size_t>(got);
    }
    return Napi::Buffer<char>::Copy(env, text.data(), filled);
  }

  // openIterator() → handle that reads one walk in pieces | -errno
  Napi::Value OpenIterator(const Napi::CallbackInfo& info) {
    UniqueFd fd(bpf_iter_create(Fd()));
    return fd.open() ? NewHandle(info.Env(), std::move(fd)) : Failure(info.Env(), errno);
  }

  void Close(const Napi::CallbackInfo&) { Release(link_, pinned_); }

  OpenLink link_;
  bool pinned_ = false;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

}  // namespace

extern "C" int __real_ioctl(int fd, unsigned long request, ...);

// The linker sends libbpf's ioctl calls here (--wrap=ioctl in binding.gyp).
extern "C" int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  if (leavePerfEventEnabled && request == PERF_EVENT_IOC_DISABLE) return 0;
  return __real_ioctl(fd, request, argument);
}

Napi::Value NewLink(Napi::Env env, OpenLink link) {
  return AddonOf(env).link.New({Napi::External<OpenLink>::New(env, &link)});
}

Napi::Value NewLink(Napi::Env env, UniqueFd fd) {
  OpenLink link;
  link.fd = std::move(fd);
  return NewLink(env, std::move(link));
}

struct bpf_link* StructOpsLinkOf(const Napi::Value& value) {
  Napi::Env env = value.Env();
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(AddonOf(env).link.Value())) {
    throw Napi::TypeError::New(env, "expected a link");
  }
  return NativeLink::Unwrap(value.As<Napi::Object>())->structOpsLink();
}

void InitLink(Napi::Env env, Napi::Object) { AddonOf(env).link = Napi::Persistent(NativeLink::Define(env)); }

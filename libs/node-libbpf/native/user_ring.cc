// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>

#include <cstring>

#include "addon.h"

namespace {

// The producer of a BPF_MAP_TYPE_USER_RINGBUF.
class NativeUserRing : public Napi::ObjectWrap<NativeUserRing> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeUserRing",
                       {
                           InstanceMethod<&NativeUserRing::Open>("open"),
                           InstanceMethod<&NativeUserRing::Write>("write"),
                           InstanceMethod<&NativeUserRing::Close>("close"),
                       });
  }

  explicit NativeUserRing(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeUserRing>(info), dropped_(AddonOf(info.Env()).dropped) {}

  ~NativeUserRing() override {
    if (ring_ != nullptr) dropped_->fetch_add(1);
    Free();
  }

 private:
  // open(mapFd) → 0 | -errno. The mappings keep the map alive.
  Napi::Value Open(const Napi::CallbackInfo& info) {
    if (ring_ != nullptr) return Failure(info.Env(), EALREADY);
    ring_ = user_ring_buffer__new(Int32Argument(info, 0), nullptr);
    return Napi::Number::New(info.Env(), ring_ == nullptr ? -errno : 0);
  }

  // write(record) → 0 | -ENOSPC when the ring is full | -E2BIG when it can never fit
  Napi::Value Write(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (ring_ == nullptr) throw Napi::Error::New(env, "the ring is closed");
    Napi::Buffer<uint8_t> record = BufferArgument(info, 0);
    if (record.Length() > UINT32_MAX >> 2) return Failure(env, E2BIG);
    void* sample = user_ring_buffer__reserve(ring_, static_cast<uint32_t>(record.Length()));
    if (sample == nullptr) return Failure(env, errno);
    memcpy(sample, record.Data(), record.Length());
    user_ring_buffer__submit(ring_, sample);
    return Napi::Number::New(env, 0);
  }

  void Close(const Napi::CallbackInfo&) { Free(); }

  void Free() {
    if (ring_ != nullptr) user_ring_buffer__free(ring_);
    ring_ = nullptr;
  }

  struct user_ring_buffer* ring_ = nullptr;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

}  // namespace

void InitUserRing(Napi::Env env, Napi::Object exports) { exports["NativeUserRing"] = NativeUserRing::Define(env); }

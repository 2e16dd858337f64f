// SPDX-License-Identifier: Apache-2.0
// Waking the event loop when the kernel has written into a ring, without a thread and without a call for each record.
//
// The rings' descriptors are in an epoll set of our own, edge-triggered, because a ring stays readable as long as what was
// drained is not committed, and libuv's own watching (uv_poll, level-triggered) would spin on that. libuv watches the set, and
// only while someone waits. Of libuv nothing is used but functions on handles whose size it tells itself, which all of
// libuv 1 has the same (Node 20 to 24).
#include <fcntl.h>
#include <sys/epoll.h>
#include <uv.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "addon.h"

namespace {

constexpr int kEventsAtOnce = 64;

class NativeWaker;

// What must outlive the JavaScript object until libuv has let go of its handle.
struct Watch {
  uv_poll_t* handle = nullptr;
  UniqueFd epoll;
  std::vector<UniqueFd> watched;
  NativeWaker* owner = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
  bool closing = false;
};

class NativeWaker : public Napi::ObjectWrap<NativeWaker> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeWaker",
                       {
                           InstanceMethod<&NativeWaker::Open>("open"),
                           InstanceMethod<&NativeWaker::Arm>("arm"),
                           InstanceMethod<&NativeWaker::Disarm>("disarm"),
                           InstanceMethod<&NativeWaker::Close>("close"),
                       });
  }

  explicit NativeWaker(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeWaker>(info), dropped_(AddonOf(info.Env()).dropped) {}

  ~NativeWaker() override {
    if (watch_ != nullptr) dropped_->fetch_add(1);
    Release();
  }

  // The environment ends: a worker's event loop must not end with an open handle in it.
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* argument) {
    auto* watch = static_cast<Watch*>(argument);
    if (watch->owner != nullptr) watch->owner->watch_ = nullptr;
    BeginClose(watch);
  }

  static void OnReadable(uv_poll_t* handle, int, int) {
    auto* watch = static_cast<Watch*>(uv_handle_get_data(reinterpret_cast<uv_handle_t*>(handle)));
    // Takes the edges off, so that the set is readable again only when something new has happened.
    struct epoll_event events[kEventsAtOnce];
    while (epoll_wait(watch->epoll.get(), events, kEventsAtOnce, 0) == kEventsAtOnce) continue;
    if (watch->owner != nullptr) watch->owner->Call();
  }

 private:
  // open(descriptors) → 0 | -errno. Keeps descriptors of its own.
  Napi::Value Open(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (watch_ != nullptr) return Failure(env, EALREADY);
    if (!info[0].IsArray()) throw Napi::TypeError::New(env, "expected an array");
    Napi::Array descriptors = info[0].As<Napi::Array>();
    auto watch = std::make_unique<Watch>();
    watch->epoll = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
    if (!watch->epoll.open()) return Failure(env, errno);
    for (uint32_t i = 0; i < descriptors.Length(); i++) {
      UniqueFd own(fcntl(descriptors.Get(i).ToNumber().Int32Value(), F_DUPFD_CLOEXEC, 3));
      if (!own.open()) return Failure(env, errno);
      struct epoll_event event = {};
      event.events = EPOLLIN | EPOLLET;
      if (epoll_ctl(watch->epoll.get(), EPOLL_CTL_ADD, own.get(), &event) != 0) return Failure(env, errno);
      watch->watched.push_back(std::move(own));
    }
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) return Failure(env, ENOTSUP);
    watch->handle = static_cast<uv_poll_t*>(malloc(uv_handle_size(UV_POLL)));
    if (watch->handle == nullptr) return Failure(env, ENOMEM);
    int error = uv_poll_init(loop, watch->handle, watch->epoll.get());
    if (error != 0) {
      free(watch->handle);
      return Failure(env, error);
    }
    watch->owner = this;
    watch_ = watch.release();
    uv_handle_set_data(reinterpret_cast<uv_handle_t*>(watch_->handle), watch_);
    napi_add_async_cleanup_hook(env, OnEnvironmentEnd, watch_, &watch_->hook);
    return Napi::Number::New(env, 0);
  }

  // arm(callback): calls it in each turn of the event loop in which something was written, until disarm() → 0 | -errno
  Napi::Value Arm(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (watch_ == nullptr) throw Napi::Error::New(env, "the waker is closed");
    if (!info[0].IsFunction()) throw Napi::TypeError::New(env, "expected a function");
    int error = uv_poll_start(watch_->handle, UV_READABLE, OnReadable);
    if (error != 0) return Failure(env, error);
    // Whoever waits is reached from here only: the object must live until it is told.
    if (callback_.IsEmpty()) Ref();
    callback_ = Napi::Persistent(info[0].As<Napi::Function>());
    return Napi::Number::New(env, 0);
  }

  void Disarm(const Napi::CallbackInfo&) { Stop(); }

  void Close(const Napi::CallbackInfo&) { Release(); }

  // Through the C interface, whose failure is a number: a worker that is being terminated may run no JavaScript any more.
  void Call() {
    napi_env env = Env();
    Napi::HandleScope scope(env);
    if (callback_.IsEmpty()) return;
    napi_value result;
    napi_status status = napi_make_callback(env, nullptr, Value(), callback_.Value(), 0, nullptr, &result);
    napi_value exception;
    if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
      napi_fatal_exception(env, exception);
    }
  }

  void Stop() {
    if (callback_.IsEmpty()) return;
    if (watch_ != nullptr) uv_poll_stop(watch_->handle);
    callback_.Reset();
    Unref();
  }

  void Release() {
    if (watch_ == nullptr) return;
    Stop();
    Watch* watch = watch_;
    watch_ = nullptr;
    BeginClose(watch);
  }

  static void BeginClose(Watch* watch) {
    watch->owner = nullptr;
    if (watch->closing) return;
    watch->closing = true;
    uv_close(reinterpret_cast<uv_handle_t*>(watch->handle), [](uv_handle_t* handle) {
      auto* closed = static_cast<Watch*>(uv_handle_get_data(handle));
      free(closed->handle);
      if (closed->hook != nullptr) napi_remove_async_cleanup_hook(closed->hook);
      delete closed;
    });
    // uv_close has taken the set out of the loop's own; what is left to do is about memory.
    watch->epoll.Reset();
    watch->watched.clear();
  }

  Watch* watch_ = nullptr;
  Napi::FunctionReference callback_;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

}  // namespace

void InitWaker(Napi::Env env, Napi::Object exports) { exports["NativeWaker"] = NativeWaker::Define(env); }

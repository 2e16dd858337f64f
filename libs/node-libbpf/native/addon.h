// SPDX-License-Identifier: Apache-2.0
// What every native file shares. The native side is thin: it reads arguments, calls libbpf or the kernel, and returns a
// value or -errno. TypeScript validates before and throws after; the checks here are the second line, so that no argument
// of a wrong type or size reaches the kernel as a pointer.
#pragma once

// Two of the definitions in binding.gyp matter to every call. NODE_ADDON_API_CPP_EXCEPTIONS_ALL: a std::bad_alloc becomes an error
// in JavaScript. NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS: a worker that is being terminated takes no error any more, and the
// exception that says so would end the whole process.
#include <napi.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

// One per JavaScript environment (main thread or worker), in the environment's instance data.
struct Addon {
  Napi::FunctionReference object;
  Napi::FunctionReference program;
  Napi::FunctionReference map;
  Napi::FunctionReference link;
  Napi::FunctionReference handle;
  // Shared with every handle, because handles can be finalized after the instance data at environment teardown.
  std::shared_ptr<std::atomic<uint64_t>> dropped = std::make_shared<std::atomic<uint64_t>>(0);
};

inline Addon& AddonOf(Napi::Env env) { return *env.GetInstanceData<Addon>(); }

class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void Reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// Argument readers: each throws a TypeError into JavaScript instead of guessing.
inline uint32_t Uint32Argument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) throw Napi::TypeError::New(info.Env(), "expected a number");
  return info[index].As<Napi::Number>().Uint32Value();
}

inline int32_t Int32Argument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) throw Napi::TypeError::New(info.Env(), "expected a number");
  return info[index].As<Napi::Number>().Int32Value();
}

inline uint64_t Uint64Argument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsBigInt()) throw Napi::TypeError::New(info.Env(), "expected a bigint");
  bool lossless = false;
  uint64_t value = info[index].As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) throw Napi::TypeError::New(info.Env(), "expected an unsigned 64-bit bigint");
  return value;
}

inline std::string StringArgument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsString()) throw Napi::TypeError::New(info.Env(), "expected a string");
  return info[index].As<Napi::String>().Utf8Value();
}

inline Napi::Buffer<uint8_t> BufferArgument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsBuffer()) throw Napi::TypeError::New(info.Env(), "expected a Buffer");
  return info[index].As<Napi::Buffer<uint8_t>>();
}

struct TypedView {
  void* data = nullptr;
  size_t length = 0;  // in elements
};

// A typed array of one element type (a Buffer is a Uint8Array), read in one call.
inline TypedView ViewArgument(Napi::Env env, napi_value value, napi_typedarray_type expected) {
  TypedView view;
  napi_typedarray_type type;
  napi_status status = napi_get_typedarray_info(env, value, &type, &view.length, &view.data, nullptr, nullptr);
  if (status != napi_ok || type != expected) throw Napi::TypeError::New(env, "expected a typed array of another type");
  return view;
}

// A descriptor for the constructor of a handle that shall own it. An external, because only native code makes those: no caller
// can have a handle own, and close, a descriptor of somebody else. One that no handle took is closed here.
inline UniqueFd FdArgument(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "handles are made by the library");
  return std::move(*info[0].As<Napi::External<UniqueFd>>().Data());
}

inline Napi::Value NewOwner(Napi::Env env, const Napi::FunctionReference& type, UniqueFd fd) {
  return type.New({Napi::External<UniqueFd>::New(env, &fd)});
}

inline Napi::Value Failure(Napi::Env env, int error) { return Napi::Number::New(env, error < 0 ? error : -error); }

inline Napi::Value BigIntValue(Napi::Env env, uint64_t value) { return Napi::BigInt::New(env, value); }

// Each native file defines its class or functions on the exports.
void InitObject(Napi::Env env, Napi::Object exports);
void InitProgram(Napi::Env env, Napi::Object exports);
void InitMap(Napi::Env env, Napi::Object exports);
void InitCreateMap(Napi::Env env, Napi::Object exports);
void InitLink(Napi::Env env, Napi::Object exports);
void InitRing(Napi::Env env, Napi::Object exports);
void InitUserRing(Napi::Env env, Napi::Object exports);
void InitPerf(Napi::Env env, Napi::Object exports);
void InitTc(Napi::Env env, Napi::Object exports);
void InitSystem(Napi::Env env, Napi::Object exports);
void InitIntrospect(Napi::Env env, Napi::Object exports);
void InitProbe(Napi::Env env, Napi::Object exports);
void InitWaker(Napi::Env env, Napi::Object exports);
void InitKallsyms(Napi::Env env, Napi::Object exports);

// Wraps a file descriptor that the new JavaScript handle owns from here on.
Napi::Value NewProgram(Napi::Env env, UniqueFd fd);
Napi::Value NewMap(Napi::Env env, UniqueFd fd);
Napi::Value NewLink(Napi::Env env, UniqueFd fd);
Napi::Value NewHandle(Napi::Env env, UniqueFd fd);

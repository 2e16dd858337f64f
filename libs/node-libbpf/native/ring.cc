// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/utsname.h>

#include <cstring>

#include "addon.h"
#include "ring_core.h"

namespace {

bool KernelIs64Bit() {
  if (sizeof(void*) == 8) return true;
  struct utsname name;
  if (uname(&name) != 0) return false;
  // A 32-bit personality makes uname lie, and only a 64-bit kernel has one.
  if ((personality(0xffffffff) & PER_MASK) == PER_LINUX32) return true;
  return strstr(name.machine, "64") != nullptr;
}

class NativeRing : public Napi::ObjectWrap<NativeRing> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeRing",
                       {
                           InstanceMethod<&NativeRing::Open>("open"),
                           InstanceMethod<&NativeRing::DataBytes>("dataBytes"),
                           InstanceMethod<&NativeRing::Drain>("drain"),
                           InstanceMethod<&NativeRing::Commit>("commit"),
                           InstanceMethod<&NativeRing::HasFinished>("hasFinished"),
                           InstanceMethod<&NativeRing::ConsumerPosition>("consumerPosition"),
                           InstanceMethod<&NativeRing::ProducerPosition>("producerPosition"),
                           InstanceMethod<&NativeRing::DrainPosition>("drainPosition"),
                           InstanceMethod<&NativeRing::Close>("close"),
                       });
  }

  explicit NativeRing(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeRing>(info), dropped_(AddonOf(info.Env()).dropped) {}

  ~NativeRing() override {
    if (consumer_ != nullptr) dropped_->fetch_add(1);
    Unmap();
  }

 private:
  // open(mapFd) → 0 | -errno. The mappings keep the map alive; the descriptor is not needed afterwards.
  Napi::Value Open(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    int fd = Int32Argument(info, 0);
    if (consumer_ != nullptr) return Failure(env, EALREADY);
    struct bpf_map_info facts;
    memset(&facts, 0, sizeof(facts));
    uint32_t bytes = sizeof(facts);
    if (bpf_obj_get_info_by_fd(fd, &facts, &bytes) != 0) return Failure(env, errno);
    if (facts.type != BPF_MAP_TYPE_RINGBUF) return Failure(env, EINVAL);
    pageBytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    // Mapped twice in a row, which a 32-bit process has no room for: its size_t would wrap to a mapping of one page.
    if (facts.max_entries > SIZE_MAX / 4) return Failure(env, EFBIG);
    producerBytes_ = pageBytes_ + 2 * size_t{facts.max_entries};
    void* consumer = mmap(nullptr, pageBytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (consumer == MAP_FAILED) return Failure(env, errno);
    void* producer = mmap(nullptr, producerBytes_, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(pageBytes_));
    if (producer == MAP_FAILED) {
      int error = errno;
      munmap(consumer, pageBytes_);
      return Failure(env, error);
    }
    consumer_ = static_cast<uint8_t*>(consumer);
    producer_ = static_cast<uint8_t*>(producer);
    RingCore::Memory memory;
    memory.consumer = consumer_;
    memory.producer = producer_;
    memory.data = producer_ + pageBytes_;
    memory.dataBytes = facts.max_entries;
    memory.wide = KernelIs64Bit();
    core_ = RingCore(memory);
    return Napi::Number::New(env, 0);
  }

  void RequireOpen(Napi::Env env) const {
    if (consumer_ == nullptr) throw Napi::Error::New(env, "the ring reader is closed");
  }

  // drain(target, result: BigUint64Array of 4) → 0 | -errno; result becomes bytes, records, cursor, bytes the next record needs.
  Napi::Value Drain(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    RequireOpen(env);
    // Two calls into Node instead of eight: this is the path that every record of every probe takes.
    TypedView target = ViewArgument(env, info[0], napi_uint8_array);
    TypedView out = ViewArgument(env, info[1], napi_biguint64_array);
    if (out.length < 4) throw Napi::TypeError::New(env, "expected a BigUint64Array of 4");
    RingCore::Copied copied = core_.CopyRecords(static_cast<uint8_t*>(target.data), target.length);
    auto* result = static_cast<uint64_t*>(out.data);
    result[0] = copied.bytes;
    result[1] = copied.records;
    result[2] = core_.cursor();
    result[3] = copied.waitingBytes;
    return Napi::Number::New(env, copied.records > 0 ? 0 : copied.error);
  }

  // commit(position) → 0 | -ERANGE outside of what was drained and not yet committed.
  Napi::Value Commit(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    return Napi::Number::New(info.Env(), core_.Commit(Uint64Argument(info, 0)));
  }

  Napi::Value HasFinished(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    return Napi::Boolean::New(info.Env(), core_.HasFinished());
  }

  Napi::Value DataBytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(core_.dataBytes()));
  }

  Napi::Value ConsumerPosition(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    return BigIntValue(info.Env(), core_.committed());
  }

  Napi::Value ProducerPosition(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    return BigIntValue(info.Env(), core_.Produced());
  }

  Napi::Value DrainPosition(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    return BigIntValue(info.Env(), core_.cursor());
  }

  void Close(const Napi::CallbackInfo&) { Unmap(); }

  void Unmap() {
    if (consumer_ == nullptr) return;
    munmap(producer_, producerBytes_);
    munmap(consumer_, pageBytes_);
    consumer_ = producer_ = nullptr;
  }

  uint8_t* consumer_ = nullptr;
  uint8_t* producer_ = nullptr;
  size_t pageBytes_ = 0;
  size_t producerBytes_ = 0;
  RingCore core_;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

}  // namespace

void InitRing(Napi::Env env, Napi::Object exports) { exports["NativeRing"] = NativeRing::Define(env); }

// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/utsname.h>

#include <cstring>

#include "addon.h"

namespace {

// The layout is kernel ABI (kernel/bpf/ringbuf.c): one page that holds the consumer position and that user space may
// write, one read-only page with the producer position, then the data, mapped twice in a row so that a record that wraps
// is contiguous. A record is a header of 8 bytes, `u32 length | flags` and `u32 page offset`, and the payload, rounded to 8.
constexpr uint32_t kBusy = 1u << 31;
constexpr uint32_t kDiscarded = 1u << 30;
constexpr uint32_t kHeaderBytes = 8;

// The positions are the kernel's `unsigned long`. On a 32-bit kernel they wrap at 4 GiB; the reader counts in 64 bits.
bool KernelIs64Bit() {
  if (sizeof(void*) == 8) return true;
  struct utsname name;
  if (uname(&name) != 0) return false;
  // A 32-bit personality makes uname lie, and only a 64-bit kernel has one.
  if ((personality(0xffffffff) & PER_MASK) == PER_LINUX32) return true;
  return strstr(name.machine, "64") != nullptr;
}

uint64_t RoundTo8(uint64_t bytes) { return (bytes + 7) & ~uint64_t{7}; }

class NativeRing : public Napi::ObjectWrap<NativeRing> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeRing",
                       {
                           InstanceMethod<&NativeRing::Open>("open"),
                           InstanceMethod<&NativeRing::DataBytes>("dataBytes"),
                           InstanceMethod<&NativeRing::Drain>("drain"),
                           InstanceMethod<&NativeRing::Commit>("commit"),
                           InstanceMethod<&NativeRing::ConsumerPosition>("consumerPosition"),
                           InstanceMethod<&NativeRing::ProducerPosition>("producerPosition"),
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
    dataBytes_ = facts.max_entries;
    void* consumer = mmap(nullptr, pageBytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (consumer == MAP_FAILED) return Failure(env, errno);
    void* producer = mmap(nullptr, ProducerBytes(), PROT_READ, MAP_SHARED, fd, static_cast<off_t>(pageBytes_));
    if (producer == MAP_FAILED) {
      int error = errno;
      munmap(consumer, pageBytes_);
      return Failure(env, error);
    }
    consumer_ = static_cast<uint8_t*>(consumer);
    producer_ = static_cast<uint8_t*>(producer);
    wide_ = KernelIs64Bit();
    committed_ = cursor_ = LoadPosition(consumer_);
    return Napi::Number::New(env, 0);
  }

  size_t ProducerBytes() const { return pageBytes_ + 2 * dataBytes_; }

  uint64_t LoadPosition(const uint8_t* page) const {
    if (wide_) return __atomic_load_n(reinterpret_cast<const uint64_t*>(page), __ATOMIC_ACQUIRE);
    return __atomic_load_n(reinterpret_cast<const uint32_t*>(page), __ATOMIC_ACQUIRE);
  }

  // In 64 bits: the producer is never more than the size of the ring ahead of the consumer.
  uint64_t Produced() const {
    uint64_t position = LoadPosition(producer_);
    if (wide_) return position;
    return committed_ + static_cast<uint32_t>(static_cast<uint32_t>(position) - static_cast<uint32_t>(committed_));
  }

  void RequireOpen(Napi::Env env) const {
    if (consumer_ == nullptr) throw Napi::Error::New(env, "the ring reader is closed");
  }

  struct Copied {
    size_t bytes = 0;
    uint32_t records = 0;
    uint32_t waitingBytes = 0;  // what the next record needs in the target, when it did not fit
    int error = 0;
  };

  // Copies from the cursor on. Stops at a record that its program has not submitted yet: order is kept.
  Copied CopyRecords(uint8_t* target, size_t targetBytes) {
    Copied copied;
    const uint64_t produced = Produced();
    // In locals: the compiler must assume that a byte written to the target may be a member of this object.
    const uint8_t* const data = producer_ + pageBytes_;
    const uint64_t mask = dataBytes_ - 1;
    uint64_t cursor = cursor_;
    while (cursor < produced) {
      const uint8_t* record = data + (cursor & mask);
      uint32_t header = __atomic_load_n(reinterpret_cast<const uint32_t*>(record), __ATOMIC_ACQUIRE);
      if ((header & kBusy) != 0) break;
      uint32_t length = header & ~kDiscarded;
      uint64_t step = RoundTo8(uint64_t{length} + kHeaderBytes);
      if (step > produced - cursor || step > mask + 1) {
        copied.error = -EBADMSG;
        break;
      }
      if ((header & kDiscarded) == 0) {
        uint64_t needed = RoundTo8(uint64_t{length} + sizeof(uint32_t));
        if (needed > targetBytes - copied.bytes) {
          copied.waitingBytes = static_cast<uint32_t>(needed);
          break;
        }
        uint8_t* to = target + copied.bytes;
        // The padding is zeroed as one word before the bytes come: cheaper than a second call for its few bytes.
        memset(to + needed - sizeof(uint64_t), 0, sizeof(uint64_t));
        const uint8_t prefix[4] = {static_cast<uint8_t>(length), static_cast<uint8_t>(length >> 8),
                                   static_cast<uint8_t>(length >> 16), static_cast<uint8_t>(length >> 24)};
        memcpy(to, prefix, sizeof(prefix));
        memcpy(to + sizeof(prefix), record + kHeaderBytes, length);
        copied.bytes += needed;
        copied.records++;
      }
      cursor += step;
    }
    cursor_ = cursor;
    return copied;
  }

  // drain(target, result: BigUint64Array of 4) → 0 | -errno; result becomes bytes, records, cursor, bytes the next record needs.
  Napi::Value Drain(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    RequireOpen(env);
    // Two calls into Node instead of eight: this is the path that every record of every probe takes.
    TypedView target = ViewArgument(env, info[0], napi_uint8_array);
    TypedView out = ViewArgument(env, info[1], napi_biguint64_array);
    if (out.length < 4) throw Napi::TypeError::New(env, "expected a BigUint64Array of 4");
    Copied copied = CopyRecords(static_cast<uint8_t*>(target.data), target.length);
    auto* result = static_cast<uint64_t*>(out.data);
    result[0] = copied.bytes;
    result[1] = copied.records;
    result[2] = cursor_;
    result[3] = copied.waitingBytes;
    return Napi::Number::New(env, copied.records > 0 ? 0 : copied.error);
  }

  // commit(position) → 0 | -errno; -ERANGE outside of what was drained and not yet committed.
  Napi::Value Commit(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    uint64_t position = Uint64Argument(info, 0);
    if (position < committed_ || position > cursor_ || (position & 7) != 0) return Failure(info.Env(), ERANGE);
    if (wide_) {
      __atomic_store_n(reinterpret_cast<uint64_t*>(consumer_), position, __ATOMIC_RELEASE);
    } else {
      __atomic_store_n(reinterpret_cast<uint32_t*>(consumer_), static_cast<uint32_t>(position), __ATOMIC_RELEASE);
    }
    committed_ = position;
    return Napi::Number::New(info.Env(), 0);
  }

  Napi::Value DataBytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(dataBytes_));
  }

  Napi::Value ConsumerPosition(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    return BigIntValue(info.Env(), committed_);
  }

  Napi::Value ProducerPosition(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    return BigIntValue(info.Env(), Produced());
  }

  void Close(const Napi::CallbackInfo&) { Unmap(); }

  void Unmap() {
    if (consumer_ == nullptr) return;
    munmap(producer_, ProducerBytes());
    munmap(consumer_, pageBytes_);
    consumer_ = producer_ = nullptr;
  }

  uint8_t* consumer_ = nullptr;
  uint8_t* producer_ = nullptr;
  size_t pageBytes_ = 0;
  size_t dataBytes_ = 0;
  bool wide_ = true;
  uint64_t committed_ = 0;
  uint64_t cursor_ = 0;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

}  // namespace

void InitRing(Napi::Env env, Napi::Object exports) { exports["NativeRing"] = NativeRing::Define(env); }

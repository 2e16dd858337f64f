// SPDX-License-Identifier: Apache-2.0
// The reading of a ring buffer's memory, apart from where that memory comes from: fixtures/ring_core_check.cc drives it past
// 4 GiB with a ring of its own.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

// The layout is kernel ABI (kernel/bpf/ringbuf.c): one page that holds the consumer position and that user space may
// write, one read-only page with the producer position, then the data, mapped twice in a row so that a record that wraps
// is contiguous. A record is a header of 8 bytes, `u32 length | flags` and `u32 page offset`, and the payload, rounded to 8.
class RingCore {
 public:
  static constexpr uint32_t kBusy = 1u << 31;
  static constexpr uint32_t kDiscarded = 1u << 30;
  static constexpr uint32_t kHeaderBytes = 8;

  struct Memory {
    uint8_t* consumer = nullptr;
    const uint8_t* producer = nullptr;
    const uint8_t* data = nullptr;
    size_t dataBytes = 0;
    // Positions are the kernel's `unsigned long`. On a 32-bit kernel they wrap at 4 GiB; the reader counts in 64 bits.
    bool wide = true;
  };

  struct Copied {
    size_t bytes = 0;
    uint32_t records = 0;
    uint32_t waitingBytes = 0;  // what the next record needs in the target, when it did not fit
    int error = 0;
  };

  RingCore() = default;
  explicit RingCore(const Memory& memory) : memory_(memory) {
    committed_ = cursor_ = Load(memory_.consumer);
  }

  size_t dataBytes() const { return memory_.dataBytes; }
  uint64_t committed() const { return committed_; }
  uint64_t cursor() const { return cursor_; }

  // In 64 bits: the producer is never more than the size of the ring ahead of the consumer.
  uint64_t Produced() const {
    const uint64_t position = Load(memory_.producer);
    if (memory_.wide) return position;
    return committed_ + static_cast<uint32_t>(static_cast<uint32_t>(position) - static_cast<uint32_t>(committed_));
  }

  // Whether a record stands at the cursor that its program has finished, also by discarding it: until that one is committed
  // the kernel wakes nobody for those behind it.
  bool HasFinished() const {
    // The kernel finishes a record and then looks at the consumer position; this looks the other way round. Without the fence
    // a processor may let the load pass the store of the last commit, and each side would miss what the other did.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (cursor_ >= Produced()) return false;
    return (Header(memory_.data + (cursor_ & (memory_.dataBytes - 1))) & kBusy) == 0;
  }

  // Copies from the cursor on. Stops at a record that its program has not submitted yet: order is kept.
  Copied CopyRecords(uint8_t* target, size_t targetBytes) {
    Copied copied;
    const uint64_t produced = Produced();
    // In locals: the compiler must assume that a byte written to the target may be a member of this object.
    const uint8_t* const data = memory_.data;
    const uint64_t mask = memory_.dataBytes - 1;
    uint64_t cursor = cursor_;
    while (cursor < produced) {
      const uint8_t* record = data + (cursor & mask);
      const uint32_t header = Header(record);
      if ((header & kBusy) != 0) break;
      const uint32_t length = header & ~kDiscarded;
      const uint64_t step = RoundTo8(uint64_t{length} + kHeaderBytes);
      if (step > produced - cursor || step > mask + 1) {
        copied.error = -EBADMSG;
        break;
      }
      if ((header & kDiscarded) == 0) {
        const uint64_t needed = RoundTo8(uint64_t{length} + sizeof(uint32_t));
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

  // 0, or -ERANGE outside of what was drained and not yet committed.
  int Commit(uint64_t position) {
    if (position < committed_ || position > cursor_ || (position & 7) != 0) return -ERANGE;
    if (memory_.wide) {
      __atomic_store_n(reinterpret_cast<uint64_t*>(memory_.consumer), position, __ATOMIC_RELEASE);
    } else {
      __atomic_store_n(reinterpret_cast<uint32_t*>(memory_.consumer), static_cast<uint32_t>(position),
                       __ATOMIC_RELEASE);
    }
    committed_ = position;
    return 0;
  }

 private:
  static uint64_t RoundTo8(uint64_t bytes) { return (bytes + 7) & ~uint64_t{7}; }

  static uint32_t Header(const uint8_t* record) {
    return __atomic_load_n(reinterpret_cast<const uint32_t*>(record), __ATOMIC_ACQUIRE);
  }

  uint64_t Load(const uint8_t* page) const {
    if (memory_.wide) return __atomic_load_n(reinterpret_cast<const uint64_t*>(page), __ATOMIC_ACQUIRE);
    return __atomic_load_n(reinterpret_cast<const uint32_t*>(page), __ATOMIC_ACQUIRE);
  }

  Memory memory_;
  uint64_t committed_ = 0;
  uint64_t cursor_ = 0;
};

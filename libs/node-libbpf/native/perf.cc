// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "addon.h"

namespace {

// One CPU's ring: a page of struct perf_event_mmap_page and a power of two of data pages (linux/perf_event.h).
struct CpuRing {
  UniqueFd event;
  uint8_t* mapped = nullptr;
  uint64_t cursor = 0;

  struct perf_event_mmap_page* page() const { return reinterpret_cast<struct perf_event_mmap_page*>(mapped); }
};

// Reads a BPF_MAP_TYPE_PERF_EVENT_ARRAY with the face of the ring buffer: drain() copies, commit() frees. There is one ring a
// CPU, so a position counts the bytes of all of them in the order in which they were drained, and `drained_` knows whose.
class NativePerf : public Napi::ObjectWrap<NativePerf> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativePerf",
                       {
                           InstanceMethod<&NativePerf::Open>("open"),
                           InstanceMethod<&NativePerf::Drain>("drain"),
                           InstanceMethod<&NativePerf::Commit>("commit"),
                           InstanceMethod<&NativePerf::HasFinished>("hasFinished"),
                           InstanceMethod<&NativePerf::Descriptors>("descriptors"),
                           InstanceMethod<&NativePerf::Close>("close"),
                       });
  }

  explicit NativePerf(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativePerf>(info), dropped_(AddonOf(info.Env()).dropped) {}

  ~NativePerf() override {
    if (!rings_.empty()) dropped_->fetch_add(1);
    Unmap();
  }

 private:
  // open(mapFd, bytes of data a CPU: pages times a power of two) → 0 | -errno
  Napi::Value Open(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!rings_.empty()) return Failure(env, EALREADY);
    int map = Int32Argument(info, 0);
    pageBytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    dataBytes_ = Uint32Argument(info, 1);
    if (dataBytes_ < pageBytes_ || (dataBytes_ & (dataBytes_ - 1)) != 0) return Failure(env, EINVAL);
    struct bpf_map_info facts;
    memset(&facts, 0, sizeof(facts));
    uint32_t bytes = sizeof(facts);
    if (bpf_obj_get_info_by_fd(map, &facts, &bytes) != 0) return Failure(env, errno);
    if (facts.type != BPF_MAP_TYPE_PERF_EVENT_ARRAY) return Failure(env, EINVAL);
    map_ = UniqueFd(fcntl(map, F_DUPFD_CLOEXEC, 3));
    if (!map_.open()) return Failure(env, errno);
    int possible = libbpf_num_possible_cpus();
    if (possible < 0) return Failure(env, possible);
    int cpus = static_cast<int>(std::min(static_cast<uint32_t>(possible), facts.max_entries));
    for (int cpu = 0; cpu < cpus; cpu++) {
      int error = OpenCpu(map, cpu);
      // A CPU that is offline has no events; it gets none later either.
      if (error == -ENODEV) continue;
      if (error != 0) {
        Unmap();
        return Failure(env, error);
      }
    }
    return rings_.empty() ? Failure(env, ENODEV) : Napi::Number::New(env, 0);
  }

  int OpenCpu(int map, int cpu) {
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof(attributes));
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.config = PERF_COUNT_SW_BPF_OUTPUT;
    attributes.sample_type = PERF_SAMPLE_RAW;
    attributes.sample_period = 1;
    attributes.wakeup_events = 1;
    CpuRing ring;
    ring.event = UniqueFd(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!ring.event.open()) return -errno;
    void* mapped = mmap(nullptr, pageBytes_ + dataBytes_, PROT_READ | PROT_WRITE, MAP_SHARED, ring.event.get(), 0);
    if (mapped == MAP_FAILED) return -errno;
    ring.mapped = static_cast<uint8_t*>(mapped);
    rings_.push_back(std::move(ring));
    int event = rings_.back().event.get();
    if (bpf_map_update_elem(map, &cpu, &event, BPF_ANY) != 0) return -errno;
    return ioctl(event, PERF_EVENT_IOC_ENABLE, 0) == 0 ? 0 : -errno;
  }

  void CopyOut(const CpuRing& ring, uint64_t position, void* to, size_t bytes) const {
    const uint8_t* data = ring.mapped + pageBytes_;
    size_t offset = position & (dataBytes_ - 1);
    size_t first = std::min(bytes, dataBytes_ - offset);
    memcpy(to, data + offset, first);
    memcpy(static_cast<uint8_t*>(to) + first, data, bytes - first);
  }

  struct Copied {
    size_t bytes = 0;
    uint64_t records = 0;
    uint64_t waitingBytes = 0;
    int error = 0;
  };

  // A sample's `u32 size, bytes` is padded to 8 by the kernel, which counts the padding into the size: it is already the
  // form in which drain() hands records out.
  void CopyRing(size_t index, uint8_t* target, size_t targetBytes, Copied& copied) {
    CpuRing& ring = rings_[index];
    const uint64_t head = __atomic_load_n(&ring.page()->data_head, __ATOMIC_ACQUIRE);
    const uint64_t begun = ring.cursor;
    while (ring.cursor < head) {
      struct perf_event_header header;
      CopyOut(ring, ring.cursor, &header, sizeof(header));
      if (header.size < sizeof(header) || header.size > head - ring.cursor || header.size > dataBytes_) {
        copied.error = -EBADMSG;
        break;
      }
      const size_t body = header.size - sizeof(header);
      if (header.type == PERF_RECORD_LOST && body >= 2 * sizeof(uint64_t)) {
        uint64_t lost[2];
        CopyOut(ring, ring.cursor + sizeof(header), lost, sizeof(lost));
        lost_ += lost[1];
      } else if (header.type == PERF_RECORD_SAMPLE && body >= sizeof(uint32_t)) {
        if (body > targetBytes - copied.bytes) {
          copied.waitingBytes = body;
          break;
        }
        CopyOut(ring, ring.cursor + sizeof(header), target + copied.bytes, body);
        copied.bytes += body;
        copied.records++;
      }
      ring.cursor += header.size;
    }
    if (ring.cursor == begun) return;
    position_ += ring.cursor - begun;
    if (!drained_.empty() && drained_.back().ring == index) {
      drained_.back().end = position_;
    } else {
      drained_.push_back({index, position_});
    }
  }

  // drain(target, result: BigUint64Array of 5) → 0 | -errno: bytes, records, position, bytes the next record needs, lost so far.
  Napi::Value Drain(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    RequireOpen(env);
    TypedView target = ViewArgument(env, info[0], napi_uint8_array);
    TypedView out = ViewArgument(env, info[1], napi_biguint64_array);
    if (out.length < 5) throw Napi::TypeError::New(env, "expected a BigUint64Array of 5");
    Copied copied;
    // Begins where it last stopped, so that no CPU can starve another.
    for (size_t step = 0; step < rings_.size() && copied.waitingBytes == 0 && copied.error == 0; step++) {
      CopyRing(next_, static_cast<uint8_t*>(target.data), target.length, copied);
      if (copied.waitingBytes == 0) next_ = (next_ + 1) % rings_.size();
    }
    auto* result = static_cast<uint64_t*>(out.data);
    result[0] = copied.bytes;
    result[1] = copied.records;
    result[2] = position_;
    result[3] = copied.waitingBytes;
    result[4] = lost_;
    return Napi::Number::New(env, copied.records > 0 ? 0 : copied.error);
  }

  // commit(position) → 0 | -ERANGE outside of what was drained and not yet committed
  Napi::Value Commit(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    uint64_t position = Uint64Argument(info, 0);
    if (position < committed_ || position > position_ || (position & 7) != 0) return Failure(info.Env(), ERANGE);
    while (committed_ < position) {
      const Segment& segment = drained_.front();
      const uint64_t bytes = std::min(position, segment.end) - committed_;
      uint64_t* tail = reinterpret_cast<uint64_t*>(&rings_[segment.ring].page()->data_tail);
      __atomic_store_n(tail, *tail + bytes, __ATOMIC_RELEASE);
      committed_ += bytes;
      if (committed_ == segment.end) drained_.pop_front();
    }
    return Napi::Number::New(info.Env(), 0);
  }

  // Whether any CPU has written what was not drained yet, be it the number of what it lost.
  Napi::Value HasFinished(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    bool found = std::any_of(rings_.begin(), rings_.end(), [](const CpuRing& ring) {
      return __atomic_load_n(&ring.page()->data_head, __ATOMIC_ACQUIRE) != ring.cursor;
    });
    return Napi::Boolean::New(info.Env(), found);
  }

  // descriptors() → those of the perf events, which stay this reader's
  Napi::Value Descriptors(const Napi::CallbackInfo& info) {
    RequireOpen(info.Env());
    Napi::Array list = Napi::Array::New(info.Env(), rings_.size());
    for (uint32_t i = 0; i < rings_.size(); i++) list[i] = Napi::Number::New(info.Env(), rings_[i].event.get());
    return list;
  }

  void RequireOpen(Napi::Env env) const {
    if (rings_.empty()) throw Napi::Error::New(env, "the reader is closed");
  }

  void Close(const Napi::CallbackInfo&) { Unmap(); }

  void Unmap() {
    for (CpuRing& ring : rings_) {
      if (ring.mapped != nullptr) munmap(ring.mapped, pageBytes_ + dataBytes_);
    }
    rings_.clear();
    drained_.clear();
    map_.Reset();
  }

  struct Segment {
    size_t ring;
    uint64_t end;
  };

  // The kernel takes the events out of the map when the description that put them there is closed.
  UniqueFd map_;
  std::vector<CpuRing> rings_;
  std::deque<Segment> drained_;
  size_t pageBytes_ = 0;
  size_t dataBytes_ = 0;
  size_t next_ = 0;
  uint64_t position_ = 0;
  uint64_t committed_ = 0;
  uint64_t lost_ = 0;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

}  // namespace

void InitPerf(Napi::Env env, Napi::Object exports) { exports["NativePerf"] = NativePerf::Define(env); }

// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "addon.h"

namespace {

constexpr int kEnotsupp = 524;  // the kernel's own "not supported", which errno.h does not name
constexpr uint32_t kBatchEntries = 4096;
constexpr uint64_t kMappedBytesMax = uint64_t{1} << 30;

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

class NativeMap : public Napi::ObjectWrap<NativeMap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeMap",
                       {
                           InstanceMethod<&NativeMap::Descriptor>("fd"),
                           InstanceMethod<&NativeMap::Info>("info"),
                           InstanceMethod<&NativeMap::Lookup>("lookup"),
                           InstanceMethod<&NativeMap::Update>("update"),
                           InstanceMethod<&NativeMap::Delete>("delete"),
                           InstanceMethod<&NativeMap::NextKey>("nextKey"),
                           InstanceMethod<&NativeMap::ReadAll>("readAll"),
                           InstanceMethod<&NativeMap::ReadChunk>("readChunk"),
                           InstanceMethod<&NativeMap::UpdateBatch>("updateBatch"),
                           InstanceMethod<&NativeMap::DeleteBatch>("deleteBatch"),
                           InstanceMethod<&NativeMap::LookupAndDelete>("lookupAndDelete"),
                           InstanceMethod<&NativeMap::Freeze>("freeze"),
                           InstanceMethod<&NativeMap::Mmap>("mmap"),
                           InstanceMethod<&NativeMap::Pin>("pin"),
                           InstanceMethod<&NativeMap::Close>("close"),
                       });
  }

  // Sizes come from the kernel, not from the caller: they bound what the kernel reads and writes through our pointers.
  explicit NativeMap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeMap>(info), fd_(FdArgument(info)), dropped_(AddonOf(info.Env()).dropped) {
    memset(&facts_, 0, sizeof(facts_));
    uint32_t bytes = sizeof(facts_);
    if (bpf_obj_get_info_by_fd(fd_.get(), &facts_, &bytes) != 0) {
      fd_.Reset();
      return;
    }
    valueBufferBytes_ = facts_.value_size;
    if (IsPerCpu(facts_.type)) {
      int cpus = std::max(libbpf_num_possible_cpus(), 1);
      valueBufferBytes_ = (static_cast<size_t>(facts_.value_size) + 7) / 8 * 8 * static_cast<size_t>(cpus);
    }
  }

  ~NativeMap() override {
    if (fd_.open()) dropped_->fetch_add(1);
  }

 private:
  uint8_t* KeyArgument(const Napi::CallbackInfo& info, size_t index) {
    Napi::Buffer<uint8_t> key = BufferArgument(info, index);
    if (key.Length() != facts_.key_size) throw Napi::RangeError::New(info.Env(), "wrong key size");
    return facts_.key_size == 0 ? nullptr : key.Data();
  }

  uint8_t* ValueArgument(const Napi::CallbackInfo& info, size_t index) {
    Napi::Buffer<uint8_t> value = BufferArgument(info, index);
    if (value.Length() != valueBufferBytes_) throw Napi::RangeError::New(info.Env(), "wrong value size");
    return value.Data();
  }

  Napi::Value Outcome(Napi::Env env, int result) { return Napi::Number::New(env, result == 0 ? 0 : -errno); }

  Napi::Value Descriptor(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_.get()); }

  Napi::Value Info(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    const char* type = libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(facts_.type));
    Napi::Object result = Napi::Object::New(env);
    result["id"] = Napi::Number::New(env, facts_.id);
    result["name"] = Napi::String::New(env, facts_.name, strnlen(facts_.name, sizeof(facts_.name)));
    result["type"] = Napi::String::New(env, type != nullptr ? std::string(type) : "type_" + std::to_string(facts_.type));
    result["keyBytes"] = Napi::Number::New(env, facts_.key_size);
    result["valueBytes"] = Napi::Number::New(env, facts_.value_size);
    result["maxEntries"] = Napi::Number::New(env, facts_.max_entries);
    result["flags"] = Napi::Number::New(env, facts_.map_flags);
    result["btfId"] = Napi::Number::New(env, facts_.btf_id);
    result["btfKeyTypeId"] = Napi::Number::New(env, facts_.btf_key_type_id);
    result["btfValueTypeId"] = Napi::Number::New(env, facts_.btf_value_type_id);
    result["perCpu"] = Napi::Boolean::New(env, IsPerCpu(facts_.type));
    result["valueBufferBytes"] = Napi::Number::New(env, static_cast<double>(valueBufferBytes_));
    return result;
  }

  Napi::Value Lookup(const Napi::CallbackInfo& info) {
    return Outcome(info.Env(), bpf_map_lookup_elem(fd_.get(), KeyArgument(info, 0), ValueArgument(info, 1)));
  }

  Napi::Value Update(const Napi::CallbackInfo& info) {
    uint64_t flags = Uint32Argument(info, 2);
    return Outcome(info.Env(), bpf_map_update_elem(fd_.get(), KeyArgument(info, 0), ValueArgument(info, 1), flags));
  }

  Napi::Value Delete(const Napi::CallbackInfo& info) {
    return Outcome(info.Env(), bpf_map_delete_elem(fd_.get(), KeyArgument(info, 0)));
  }

  // nextKey(key | undefined, next)
  Napi::Value NextKey(const Napi::CallbackInfo& info) {
    const uint8_t* key = info[0].IsUndefined() ? nullptr : KeyArgument(info, 0);
    return Outcome(info.Env(), bpf_map_get_next_key(fd_.get(), key, KeyArgument(info, 1)));
  }

  struct Pass {
    uint8_t* keys;
    uint8_t* values;
    size_t capacity;
    size_t count = 0;
    bool ended = false;
  };

  // readAll(keys, values) → { count, ended } | -errno: fills both from the start, in step.
  Napi::Value ReadAll(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Napi::Buffer<uint8_t> keys = BufferArgument(info, 0);
    Napi::Buffer<uint8_t> values = BufferArgument(info, 1);
    if (facts_.key_size == 0 || valueBufferBytes_ == 0) return Failure(env, EOPNOTSUPP);
    size_t capacity = keys.Length() / facts_.key_size;
    if (values.Length() / valueBufferBytes_ < capacity) throw Napi::RangeError::New(env, "values are fewer than keys");
    Pass pass{keys.Data(), values.Data(), capacity};
    int error = ReadBatches(pass);
    if (IsWithoutBatches(error)) {
      pass.count = 0;
      error = ReadKeyByKey(pass);
    }
    if (error != 0) return Failure(env, error);
    Napi::Object result = Napi::Object::New(env);
    result["count"] = Napi::Number::New(env, static_cast<double>(pass.count));
    result["ended"] = Napi::Boolean::New(env, pass.ended);
    return result;
  }

  int ReadBatches(Pass& pass) {
    // Hash maps write a bucket number of 4 bytes into the token, others a key.
    std::vector<uint8_t> in(std::max<size_t>(facts_.key_size, 8));
    std::vector<uint8_t> out(in.size());
    uint32_t chunk = kBatchEntries;
    bool first = true;
    while (pass.count < pass.capacity) {
      uint32_t count = static_cast<uint32_t>(std::min<size_t>(chunk, pass.capacity - pass.count));
      int result = bpf_map_lookup_batch(fd_.get(), first ? nullptr : in.data(), out.data(),
                                        pass.keys + pass.count * facts_.key_size,
                                        pass.values + pass.count * valueBufferBytes_, &count, nullptr);
      int error = result == 0 ? 0 : errno;
      if (error == ENOSPC && chunk < pass.capacity - pass.count) {
        chunk *= 2;  // one bucket holds more than the chunk
        continue;
      }
      if (error == ENOSPC) return ReadPartOfBucket(pass, first ? nullptr : in.data());
      if (error != 0 && error != ENOENT) return -error;
      pass.count += count;
      pass.ended = error == ENOENT;
      if (pass.ended) return 0;
      in.swap(out);
      first = false;
    }
    return 0;
  }

  // The kernel gives whole buckets only. What is left of the capacity is less than the next one, so that one is read aside.
  int ReadPartOfBucket(Pass& pass, const uint8_t* token) {
    std::vector<uint8_t> out(std::max<size_t>(facts_.key_size, 8));
    const size_t left = pass.capacity - pass.count;
    for (uint64_t count = left * 2; count / 2 <= facts_.max_entries; count *= 2) {
      std::vector<uint8_t> keys(count * facts_.key_size);
      std::vector<uint8_t> values(count * valueBufferBytes_);
      auto got = static_cast<uint32_t>(std::min<uint64_t>(count, UINT32_MAX));
      int result = bpf_map_lookup_batch(fd_.get(), const_cast<uint8_t*>(token), out.data(), keys.data(), values.data(),
                                        &got, nullptr);
      int error = result == 0 ? 0 : errno;
      if (error == ENOSPC) continue;
      if (error != 0 && error != ENOENT) return -error;
      size_t taken = std::min<size_t>(got, left);
      memcpy(pass.keys + pass.count * facts_.key_size, keys.data(), taken * facts_.key_size);
      memcpy(pass.values + pass.count * valueBufferBytes_, values.data(), taken * valueBufferBytes_);
      pass.count += taken;
      pass.ended = error == ENOENT && got <= left;
      return 0;
    }
    return 0;
  }

  // How far a walk in chunks has come; the token that goes with it is the caller's.
  enum Walk : uint32_t { kStart = 0, kInBatches = 1, kKeysFromStart = 2, kInKeys = 3 };

  // readChunk(keys, values, token, walk) → { count, ended, walk } | -ENOSPC when one bucket is larger than the chunk | -errno
  Napi::Value ReadChunk(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Napi::Buffer<uint8_t> keys = BufferArgument(info, 0);
    Napi::Buffer<uint8_t> values = BufferArgument(info, 1);
    Napi::Buffer<uint8_t> token = BufferArgument(info, 2);
    uint32_t walk = Uint32Argument(info, 3);
    if (facts_.key_size == 0 || valueBufferBytes_ == 0) return Failure(env, EOPNOTSUPP);
    if (token.Length() < std::max<size_t>(facts_.key_size, 8)) throw Napi::RangeError::New(env, "the token is too small");
    size_t capacity = keys.Length() / facts_.key_size;
    if (values.Length() / valueBufferBytes_ < capacity) throw Napi::RangeError::New(env, "values are fewer than keys");
    Pass pass{keys.Data(), values.Data(), capacity};
    int error = walk < kKeysFromStart ? ReadOneBatch(pass, token.Data(), walk) : 0;
    if (walk == kStart && IsWithoutBatches(error)) walk = kKeysFromStart;
    if (walk >= kKeysFromStart) error = ReadSomeKeys(pass, token.Data(), walk);
    if (error != 0) return Failure(env, error);
    Napi::Object result = Napi::Object::New(env);
    result["count"] = Napi::Number::New(env, static_cast<double>(pass.count));
    result["ended"] = Napi::Boolean::New(env, pass.ended);
    result["walk"] = Napi::Number::New(env, walk);
    return result;
  }

  static bool IsWithoutBatches(int error) {
    return error == -EINVAL || error == -EOPNOTSUPP || error == -kEnotsupp || error == -EPERM;
  }

  int ReadOneBatch(Pass& pass, uint8_t* token, uint32_t& walk) {
    std::vector<uint8_t> out(std::max<size_t>(facts_.key_size, 8));
    auto count = static_cast<uint32_t>(std::min<size_t>(pass.capacity, UINT32_MAX));
    int result = bpf_map_lookup_batch(fd_.get(), walk == kStart ? nullptr : token, out.data(), pass.keys, pass.values,
                                      &count, nullptr);
    int error = result == 0 ? 0 : errno;
    if (error != 0 && error != ENOENT) return -error;
    pass.count = count;
    pass.ended = error == ENOENT;
    memcpy(token, out.data(), out.size());
    walk = kInBatches;
    return 0;
  }

  int ReadSomeKeys(Pass& pass, uint8_t* token, uint32_t& walk) {
    std::vector<uint8_t> next(facts_.key_size);
    // Keys that vanish between the two calls fill no place, so the steps are bounded apart.
    for (size_t steps = 2 * pass.capacity; steps > 0 && pass.count < pass.capacity; steps--) {
      if (bpf_map_get_next_key(fd_.get(), walk == kInKeys ? token : nullptr, next.data()) != 0) {
        pass.ended = errno == ENOENT;
        return pass.ended ? 0 : -errno;
      }
      memcpy(token, next.data(), next.size());
      walk = kInKeys;
      if (bpf_map_lookup_elem(fd_.get(), next.data(), pass.values + pass.count * valueBufferBytes_) == 0) {
        memcpy(pass.keys + pass.count * facts_.key_size, next.data(), next.size());
        pass.count++;
      } else if (errno != ENOENT) {
        return -errno;
      }
    }
    return 0;
  }

  Napi::Value Progress(Napi::Env env, size_t count, int error) {
    Napi::Object result = Napi::Object::New(env);
    result["count"] = Napi::Number::New(env, static_cast<double>(count));
    result["error"] = Napi::Number::New(env, error);
    return result;
  }

  // updateBatch(keys, values, flags) → { count, error: 0 | -errno }: one call where the kernel has it, else one by one.
  Napi::Value UpdateBatch(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Napi::Buffer<uint8_t> keys = BufferArgument(info, 0);
    Napi::Buffer<uint8_t> values = BufferArgument(info, 1);
    uint64_t flags = Uint32Argument(info, 2);
    if (facts_.key_size == 0 || valueBufferBytes_ == 0) return Progress(env, 0, -EOPNOTSUPP);
    const size_t wanted = keys.Length() / facts_.key_size;
    if (values.Length() / valueBufferBytes_ != wanted) throw Napi::RangeError::New(env, "values and keys differ");
    LIBBPF_OPTS(bpf_map_batch_opts, options);
    options.elem_flags = flags;
    auto count = static_cast<uint32_t>(wanted);
    int error = wanted == 0 || bpf_map_update_batch(fd_.get(), keys.Data(), values.Data(), &count, &options) == 0 ? 0 : -errno;
    if (error == 0) return Progress(env, wanted, 0);
    if (!IsWithoutBatches(error)) return Progress(env, count, error);
    // A kernel that refuses the command leaves the count as it was.
    for (size_t done = count == wanted ? 0 : count; done < wanted; done++) {
      const uint8_t* key = keys.Data() + done * facts_.key_size;
      if (bpf_map_update_elem(fd_.get(), key, values.Data() + done * valueBufferBytes_, flags) != 0) {
        return Progress(env, done, -errno);
      }
    }
    return Progress(env, wanted, 0);
  }

  // deleteBatch(keys) → { count: how many there were, error: 0 | -errno }. The kernel's batch stops at a key that is not there.
  Napi::Value DeleteBatch(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Napi::Buffer<uint8_t> keys = BufferArgument(info, 0);
    if (facts_.key_size == 0) return Progress(env, 0, -EOPNOTSUPP);
    const size_t wanted = keys.Length() / facts_.key_size;
    size_t deleted = 0;
    bool batches = true;
    for (size_t at = 0; at < wanted;) {
      const uint8_t* from = keys.Data() + at * facts_.key_size;
      auto count = static_cast<uint32_t>(wanted - at);
      int error = 0;
      if (batches) {
        error = bpf_map_delete_batch(fd_.get(), from, &count, nullptr) == 0 ? 0 : -errno;
        if (IsWithoutBatches(error)) {
          batches = false;
          continue;
        }
      } else {
        error = bpf_map_delete_elem(fd_.get(), from) == 0 ? 0 : -errno;
        count = error == 0 ? 1 : 0;
      }
      deleted += count;
      at += count;
      if (error == -ENOENT) at++;
      else if (error != 0) return Progress(env, deleted, error);
    }
    return Progress(env, deleted, 0);
  }

  // lookupAndDelete(key, value) → 0 | -errno
  Napi::Value LookupAndDelete(const Napi::CallbackInfo& info) {
    return Outcome(info.Env(), bpf_map_lookup_and_delete_elem(fd_.get(), KeyArgument(info, 0), ValueArgument(info, 1)));
  }

  Napi::Value Freeze(const Napi::CallbackInfo& info) { return Outcome(info.Env(), bpf_map_freeze(fd_.get())); }

  // mmap() → Buffer over the array itself | -errno. Always writable: a write through a read-only mapping would be a SIGSEGV.
  Napi::Value Mmap(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (facts_.type != BPF_MAP_TYPE_ARRAY || (facts_.map_flags & BPF_F_MMAPABLE) == 0) return Failure(env, EINVAL);
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const uint64_t whole = (uint64_t{facts_.value_size} + 7) / 8 * 8 * facts_.max_entries;
    // Node refuses a larger Buffer only after the finalizer has run, and node-addon-api would free its data again.
    if (whole > kMappedBytesMax) return Failure(env, EFBIG);
    const auto bytes = static_cast<size_t>(whole);
    const size_t mapped = (bytes + page - 1) / page * page;
    void* data = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (data == MAP_FAILED) return Failure(env, errno);
    return Napi::Buffer<uint8_t>::New(
        env, static_cast<uint8_t*>(data), bytes, [mapped](Napi::Env, uint8_t* at) { munmap(at, mapped); });
  }

  // Below 5.6, and for the types without batches. A key deleted under the walk sends it back to the start, so the number of
  // steps is bounded and an entry can be met twice.
  int ReadKeyByKey(Pass& pass) {
    std::vector<uint8_t> key(facts_.key_size);
    std::vector<uint8_t> next(facts_.key_size);
    bool first = true;
    for (uint64_t steps = 2 * uint64_t{facts_.max_entries} + 1; steps > 0; steps--) {
      if (bpf_map_get_next_key(fd_.get(), first ? nullptr : key.data(), next.data()) != 0) {
        pass.ended = errno == ENOENT;
        return pass.ended ? 0 : -errno;
      }
      if (pass.count == pass.capacity) return 0;
      if (bpf_map_lookup_elem(fd_.get(), next.data(), pass.values + pass.count * valueBufferBytes_) == 0) {
        memcpy(pass.keys + pass.count * facts_.key_size, next.data(), facts_.key_size);
        pass.count++;
      } else if (errno != ENOENT) {
        return -errno;
      }
      key.swap(next);
      first = false;
    }
    return 0;
  }

  Napi::Value Pin(const Napi::CallbackInfo& info) {
    return Outcome(info.Env(), bpf_obj_pin(fd_.get(), StringArgument(info, 0).c_str()));
  }

  void Close(const Napi::CallbackInfo&) { fd_.Reset(); }

  UniqueFd fd_;
  struct bpf_map_info facts_;
  size_t valueBufferBytes_ = 0;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

}  // namespace

Napi::Value NewMap(Napi::Env env, UniqueFd fd) { return NewOwner(env, AddonOf(env).map, std::move(fd)); }

void InitMap(Napi::Env env, Napi::Object exports) {
  AddonOf(env).map = Napi::Persistent(NativeMap::Define(env));
  InitCreateMap(env, exports);
}

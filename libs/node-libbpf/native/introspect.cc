// SPDX-License-Identifier: Apache-2.0
// Reading what the kernel knows about programs, maps, links and BTFs, also those of other processes.
//
// The info structs grow with every kernel, and a header on the build machine may be older than the kernel that answers. So
// they are asked for with room to spare (the kernel takes a longer struct whose tail is zero, and says how much it filled),
// and what this file's header may not know is handed to TypeScript as bytes, which link-info.ts decodes.
#include "introspect.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "addon.h"

namespace {

constexpr size_t kInfoBytes = 512;
// A path or a symbol: the longest that the kernel writes into a link's info is PATH_MAX.
constexpr uint32_t kTextBytes = 4096;
constexpr uint32_t kMapIdsMax = 4096;
constexpr size_t kFdinfoBytes = 4096;
constexpr uint32_t kBtfBytesMax = 256u << 20;

// The ABI of struct bpf_link_info for links whose target is a text: where its pointer, its length, and, for perf events, the
// kind of event are. Checked against the running kernel's BTF by link-info.kernel.test.ts.
constexpr size_t kUnionOffset = 16;
constexpr size_t kPerfEventTargetOffset = 24;
constexpr size_t kUprobeMultiPathBytesOffset = 48;

enum LinkType : uint32_t { kRawTracepoint = 1, kIter = 4, kPerfEvent = 7, kUprobeMulti = 12 };

template <typename T>
T Load(const uint8_t* bytes, size_t offset) {
  T value;
  memcpy(&value, bytes + offset, sizeof(value));
  return value;
}

template <typename T>
void Store(uint8_t* bytes, size_t offset, T value) {
  memcpy(bytes + offset, &value, sizeof(value));
}

// BPF_OBJ_GET_INFO_BY_FD into a struct of kInfoBytes; returns how many the kernel filled, or -errno.
int GetInfo(int fd, uint8_t* info) {
  uint32_t bytes = kInfoBytes;
  return bpf_obj_get_info_by_fd(fd, info, &bytes) != 0 ? -errno : static_cast<int>(bytes);
}

struct TextField {
  size_t pointer;
  size_t length;
};

// Where the link's target is told as a text; pointer 0 where it is not.
TextField TextFieldOf(const uint8_t* info) {
  switch (Load<uint32_t>(info, 0)) {
    case kRawTracepoint:
    case kIter:
      return {kUnionOffset, kUnionOffset + 8};
    case kUprobeMulti:
      return {kUnionOffset, kUprobeMultiPathBytesOffset};
    case kPerfEvent: {
      // uprobe, uretprobe, kprobe, kretprobe, tracepoint; a plain event (6) has no name.
      const uint32_t event = Load<uint32_t>(info, kUnionOffset);
      if (event >= 1 && event <= 5) return {kPerfEventTargetOffset, kPerfEventTargetOffset + 8};
      return {0, 0};
    }
    default:
      return {0, 0};
  }
}

void CopyName(Napi::Object result, const char* field, const char* name, size_t bytes) {
  result[field] = Napi::String::New(result.Env(), name, strnlen(name, bytes));
}

void Number(Napi::Object result, const char* field, double value) {
  result[field] = Napi::Number::New(result.Env(), value);
}

std::string ReadFdinfo(int fd) {
  UniqueFd file(open(("/proc/self/fdinfo/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return {};
  std::string text(kFdinfoBytes, '\0');
  ssize_t got = read(file.get(), text.data(), text.size());
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

Napi::Value MapFacts(Napi::Env env, int fd) {
  struct bpf_map_info facts;
  memset(&facts, 0, sizeof(facts));
  uint32_t bytes = sizeof(facts);
  if (bpf_obj_get_info_by_fd(fd, &facts, &bytes) != 0) return Failure(env, errno);
  const char* type = libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(facts.type));
  Napi::Object result = Napi::Object::New(env);
  Number(result, "id", facts.id);
  CopyName(result, "name", facts.name, sizeof(facts.name));
  result["type"] = Napi::String::New(env, type != nullptr ? std::string(type) : "type_" + std::to_string(facts.type));
  Number(result, "keyBytes", facts.key_size);
  Number(result, "valueBytes", facts.value_size);
  Number(result, "maxEntries", facts.max_entries);
  Number(result, "flags", facts.map_flags);
  Number(result, "btfId", facts.btf_id);
  Number(result, "btfKeyTypeId", facts.btf_key_type_id);
  Number(result, "btfValueTypeId", facts.btf_value_type_id);
  Number(result, "ifindex", facts.ifindex);
  return result;
}

Napi::Value BtfFacts(Napi::Env env, int fd) {
  char name[64] = {};
  struct bpf_btf_info facts;
  memset(&facts, 0, sizeof(facts));
  facts.name = reinterpret_cast<uintptr_t>(name);
  facts.name_len = sizeof(name);
  uint32_t bytes = sizeof(facts);
  // ENOSPC: the name was cut, and all else is there.
  if (bpf_obj_get_info_by_fd(fd, &facts, &bytes) != 0 && errno != ENOSPC) return Failure(env, errno);
  Napi::Object result = Napi::Object::New(env);
  Number(result, "id", facts.id);
  CopyName(result, "name", name, sizeof(name));
  Number(result, "bytes", facts.btf_size);
  result["kernel"] = Napi::Boolean::New(env, facts.kernel_btf != 0);
  return result;
}

// The map ids of a program, at most kMapIdsMax of them (the verifier itself stops at 64 maps).
Napi::Array MapIds(Napi::Env env, int fd, uint32_t count) {
  std::vector<uint32_t> ids(std::min(count, kMapIdsMax));
  struct bpf_prog_info facts;
  memset(&facts, 0, sizeof(facts));
  facts.nr_map_ids = static_cast<uint32_t>(ids.size());
  facts.map_ids = reinterpret_cast<uintptr_t>(ids.data());
  uint32_t bytes = sizeof(facts);
  if (ids.empty() || bpf_obj_get_info_by_fd(fd, &facts, &bytes) != 0) return Napi::Array::New(env);
  const uint32_t filled = std::min(facts.nr_map_ids, static_cast<uint32_t>(ids.size()));
  Napi::Array list = Napi::Array::New(env, filled);
  for (uint32_t i = 0; i < filled; i++) list[i] = Napi::Number::New(env, ids[i]);
  return list;
}

int OpenId(const std::string& kind, uint32_t id) {
  if (kind == "map") return bpf_map_get_fd_by_id(id);
  if (kind == "program") return bpf_prog_get_fd_by_id(id);
  if (kind == "link") return bpf_link_get_fd_by_id(id);
  if (kind == "btf") return bpf_btf_get_fd_by_id(id);
  errno = EINVAL;
  return -1;
}

Napi::Value FactsOf(Napi::Env env, const std::string& kind, int fd) {
  if (kind == "map") return MapFacts(env, fd);
  if (kind == "program") return ProgramFacts(env, fd);
  if (kind == "link") return LinkFacts(env, fd);
  return BtfFacts(env, fd);
}

// describe(kind, id) → { …facts, fdinfo } | -errno: one call for each object of a list, and no handle for any.
Napi::Value Describe(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string kind = StringArgument(info, 0);
  UniqueFd fd(OpenId(kind, Uint32Argument(info, 1)));
  if (!fd.open()) return Failure(env, errno);
  Napi::Value facts = FactsOf(env, kind, fd.get());
  if (facts.IsObject()) {
    facts.As<Napi::Object>()["fdinfo"] = Napi::String::New(env, ReadFdinfo(fd.get()));
  }
  return facts;
}

// describePin(path) → { kind, id } | -errno; kind is empty for what is pinned there and has no id, such as an iterator.
Napi::Value DescribePin(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  LIBBPF_OPTS(bpf_obj_get_opts, options);
  // A pin may be readable only, which is enough to ask it.
  options.file_flags = BPF_F_RDONLY;
  std::string path = StringArgument(info, 0);
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd.open() && errno == EACCES) fd = UniqueFd(bpf_obj_get_opts(path.c_str(), &options));
  if (!fd.open()) return Failure(env, errno);
  std::string kind = KindOf(fd.get());
  Napi::Object result = Napi::Object::New(env);
  result["kind"] = Napi::String::New(env, kind);
  if (kind.empty()) return result;
  Napi::Value facts = FactsOf(env, kind, fd.get());
  if (!facts.IsObject()) return facts;
  result["id"] = facts.As<Napi::Object>().Get("id");
  return result;
}

// readBtf(id) → Buffer of the raw BTF | -errno
Napi::Value ReadBtf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  UniqueFd fd(bpf_btf_get_fd_by_id(Uint32Argument(info, 0)));
  if (!fd.open()) return Failure(env, errno);
  struct bpf_btf_info facts;
  memset(&facts, 0, sizeof(facts));
  uint32_t bytes = sizeof(facts);
  if (bpf_obj_get_info_by_fd(fd.get(), &facts, &bytes) != 0) return Failure(env, errno);
  if (facts.btf_size > kBtfBytesMax) return Failure(env, EFBIG);
  Napi::Buffer<uint8_t> btf = Napi::Buffer<uint8_t>::New(env, facts.btf_size);
  const uint32_t size = facts.btf_size;
  memset(&facts, 0, sizeof(facts));
  facts.btf = reinterpret_cast<uintptr_t>(btf.Data());
  facts.btf_size = size;
  bytes = sizeof(facts);
  if (bpf_obj_get_info_by_fd(fd.get(), &facts, &bytes) != 0) return Failure(env, errno);
  return btf;
}

// nextId(kind, id) → the next id | -ENOENT at the end | -errno
Napi::Value NextId(const Napi::CallbackInfo& info) {
  std::string kind = StringArgument(info, 0);
  uint32_t id = Uint32Argument(info, 1);
  uint32_t next = 0;
  int result = -EINVAL;
  if (kind == "map") result = bpf_map_get_next_id(id, &next);
  if (kind == "program") result = bpf_prog_get_next_id(id, &next);
  if (kind == "link") result = bpf_link_get_next_id(id, &next);
  if (kind == "btf") result = bpf_btf_get_next_id(id, &next);
  return Napi::Number::New(info.Env(), result != 0 ? result : static_cast<double>(next));
}

// openById(kind, id) → handle | -errno
Napi::Value OpenById(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string kind = StringArgument(info, 0);
  UniqueFd fd(OpenId(kind, Uint32Argument(info, 1)));
  if (!fd.open()) return Failure(env, errno);
  if (kind == "map") return NewMap(env, std::move(fd));
  if (kind == "program") return NewProgram(env, std::move(fd));
  return NewLink(env, std::move(fd));
}

// typeName('attach' | 'link' | 'program' | 'map', number) → libbpf's name, `type_N` where it has none
Napi::Value TypeName(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string of = StringArgument(info, 0);
  uint32_t number = Uint32Argument(info, 1);
  if (of == "link") return Napi::String::New(env, LinkTypeName(number));
  const char* name = of == "attach"    ? libbpf_bpf_attach_type_str(static_cast<enum bpf_attach_type>(number))
                     : of == "program" ? libbpf_bpf_prog_type_str(static_cast<enum bpf_prog_type>(number))
                                       : libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(number));
  return Napi::String::New(env, name != nullptr ? std::string(name) : "type_" + std::to_string(number));
}

}  // namespace

std::string LinkTypeName(uint32_t type) {
  const char* known = libbpf_bpf_link_type_str(static_cast<enum bpf_link_type>(type));
  return known != nullptr ? known : "type_" + std::to_string(type);
}

// BPF_OBJ_GET_INFO_BY_FD does not say which of its structs it filled, but the kernel names its descriptors.
std::string KindOf(int fd) {
  char target[64] = {};
  std::string path = "/proc/self/fd/" + std::to_string(fd);
  ssize_t length = readlink(path.c_str(), target, sizeof(target) - 1);
  if (length <= 0) return {};
  std::string name(target, static_cast<size_t>(length));
  if (name.find("bpf-map") != std::string::npos) return "map";
  if (name.find("bpf-prog") != std::string::npos) return "program";
  if (name.find("bpf_link") != std::string::npos || name.find("bpf-link") != std::string::npos) return "link";
  if (name == "anon_inode:btf" || name == "anon_inode:[btf]") return "btf";
  return {};
}

Napi::Value ProgramFacts(Napi::Env env, int fd) {
  struct bpf_prog_info facts;
  memset(&facts, 0, sizeof(facts));
  uint32_t bytes = sizeof(facts);
  if (bpf_obj_get_info_by_fd(fd, &facts, &bytes) != 0) return Failure(env, errno);
  char tag[2 * sizeof(facts.tag) + 1];
  for (size_t i = 0; i < sizeof(facts.tag); i++) snprintf(tag + 2 * i, 3, "%02x", facts.tag[i]);
  const char* type = libbpf_bpf_prog_type_str(static_cast<enum bpf_prog_type>(facts.type));
  Napi::Object result = Napi::Object::New(env);
  Number(result, "id", facts.id);
  CopyName(result, "name", facts.name, sizeof(facts.name));
  result["type"] = Napi::String::New(env, type != nullptr ? std::string(type) : "type_" + std::to_string(facts.type));
  result["tag"] = Napi::String::New(env, tag);
  result["runCount"] = BigIntValue(env, facts.run_cnt);
  result["runTimeNs"] = BigIntValue(env, facts.run_time_ns);
  result["recursionMisses"] = BigIntValue(env, facts.recursion_misses);
  Number(result, "xlatedBytes", facts.xlated_prog_len);
  Number(result, "jitedBytes", facts.jited_prog_len);
  Number(result, "verifiedInsns", facts.verified_insns);
  result["loadedAtBoottimeNs"] = BigIntValue(env, facts.load_time);
  Number(result, "ownerUid", facts.created_by_uid);
  result["gplCompatible"] = Napi::Boolean::New(env, facts.gpl_compatible != 0);
  result["mapIds"] = MapIds(env, fd, facts.nr_map_ids);
  Number(result, "btfId", facts.btf_id);
  Number(result, "attachBtfId", facts.attach_btf_obj_id);
  Number(result, "attachBtfTypeId", facts.attach_btf_id);
  Number(result, "ifindex", facts.ifindex);
  return result;
}

// { id, type, programId, raw, text? } | -errno
Napi::Value LinkFacts(Napi::Env env, int fd) {
  uint8_t info[kInfoBytes] = {};
  int filled = GetInfo(fd, info);
  if (filled < 0) return Failure(env, filled);
  const TextField field = TextFieldOf(info);
  std::vector<char> text;
  if (field.pointer != 0) {
    text.assign(kTextBytes, '\0');
    uint8_t again[kInfoBytes] = {};
    Store<uint64_t>(again, field.pointer, reinterpret_cast<uintptr_t>(text.data()));
    Store<uint32_t>(again, field.length, kTextBytes - 1);
    // A kernel that has the link type and not yet the text in its info leaves the buffer empty, or refuses: both mean none.
    if (GetInfo(fd, again) >= 0) {
      // The addresses that were passed in must not be told to JavaScript.
      Store<uint64_t>(again, field.pointer, 0);
      memcpy(info, again, sizeof(info));
    } else {
      text.clear();
    }
  }
  Napi::Object result = Napi::Object::New(env);
  Number(result, "id", Load<uint32_t>(info, 4));
  result["type"] = Napi::String::New(env, LinkTypeName(Load<uint32_t>(info, 0)));
  Number(result, "programId", Load<uint32_t>(info, 8));
  result["raw"] = Napi::Buffer<uint8_t>::Copy(env, info, static_cast<size_t>(filled));
  if (!text.empty() && text[0] != '\0') result["text"] = Napi::String::New(env, text.data());
  return result;
}

void InitIntrospect(Napi::Env env, Napi::Object exports) {
  exports["describe"] = Napi::Function::New(env, Describe, "describe");
  exports["describePin"] = Napi::Function::New(env, DescribePin, "describePin");
  exports["readBtf"] = Napi::Function::New(env, ReadBtf, "readBtf");
  exports["nextId"] = Napi::Function::New(env, NextId, "nextId");
  exports["openById"] = Napi::Function::New(env, OpenById, "openById");
  exports["typeName"] = Napi::Function::New(env, TypeName, "typeName");
}

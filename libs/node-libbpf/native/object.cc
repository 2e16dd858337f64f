// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>

#include <cstring>

#include "addon.h"
#include "attach.h"
#include "log_buffer.h"
#include "open_link.h"
#include "open_object.h"

namespace {

// The largest log that every kernel accepts (older ones refuse more than UINT_MAX >> 8). Untouched pages cost nothing.
constexpr size_t kRefusalLogBytes = (UINT32_MAX >> 8) & ~size_t{4095};
// BPF_LOG_STATS alone prints a few lines.
constexpr size_t kStatsLogBytes = 64 * 1024;
constexpr uint32_t kLogLevelStats = 4;

// The name by which C source knows a map: `.rodata`, not the kernel's `objname.rodata`.
const char* SourceName(const struct bpf_object* object, const struct bpf_map* map) {
  const char* name = bpf_map__name(map);
  if (!bpf_map__is_internal(map) || name[0] == '.') return name;
  for (const char* section : {".rodata", ".data", ".bss", ".kconfig"}) {
    if (bpf_object__find_map_by_name(object, section) == map) return section;
  }
  return name;
}

// libbpf keeps the content of global data and struct_ops in memory whose size it works out again from the map's type and
// sizes when it maps and unmaps it: other ones would make it write over, or unmap, what lies behind.
bool HasContent(const struct bpf_map* map) {
  size_t bytes = 0;
  return bpf_map__initial_value(map, &bytes) != nullptr;
}

Napi::Value TypeName(Napi::Env env, const char* name, uint32_t number) {
  return Napi::String::New(env, name != nullptr ? std::string(name) : "type_" + std::to_string(number));
}

class NativeObject : public Napi::ObjectWrap<NativeObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeObject",
                       {
                           InstanceMethod<&NativeObject::Programs>("programs"),
                           InstanceMethod<&NativeObject::Maps>("maps"),
                           InstanceMethod<&NativeObject::SetAutoload>("setAutoload"),
                           InstanceMethod<&NativeObject::Btf>("btf"),
                           InstanceMethod<&NativeObject::SetAutocreate>("setAutocreate"),
                           InstanceMethod<&NativeObject::SetMaxEntries>("setMaxEntries"),
                           InstanceMethod<&NativeObject::SetSizes>("setSizes"),
                           InstanceMethod<&NativeObject::SetFlags>("setFlags"),
                           InstanceMethod<&NativeObject::SetMapType>("setMapType"),
                           InstanceMethod<&NativeObject::SetPinPath>("setPinPath"),
                           InstanceMethod<&NativeObject::InitialValue>("initialValue"),
                           InstanceMethod<&NativeObject::SetInitialValue>("setInitialValue"),
                           InstanceMethod<&NativeObject::ReuseFd>("reuseFd"),
                           InstanceMethod<&NativeObject::Load>("load"),
                           InstanceMethod<&NativeObject::OpenProgram>("openProgram"),
                           InstanceMethod<&NativeObject::OpenMap>("openMap"),
                           InstanceMethod<&NativeObject::SetAttachTarget>("setAttachTarget"),
                           InstanceMethod<&NativeObject::Attach>("attach"),
                           InstanceMethod<&NativeObject::AttachBy<AttachKprobe>>("attachKprobe"),
                           InstanceMethod<&NativeObject::AttachBy<AttachKprobeMulti>>("attachKprobeMulti"),
                           InstanceMethod<&NativeObject::AttachBy<AttachUprobe>>("attachUprobe"),
                           InstanceMethod<&NativeObject::AttachBy<AttachUprobeMulti>>("attachUprobeMulti"),
                           InstanceMethod<&NativeObject::AttachBy<AttachUsdt>>("attachUsdt"),
                           InstanceMethod<&NativeObject::AttachBy<AttachTracepoint>>("attachTracepoint"),
                           InstanceMethod<&NativeObject::AttachBy<AttachIterator>>("attachIterator"),
                           InstanceMethod<&NativeObject::AttachStructOps>("attachStructOps"),
                           InstanceMethod<&NativeObject::UpdateStructOps>("updateStructOps"),
                           InstanceMethod<&NativeObject::Close>("close"),
                       });
  }

  explicit NativeObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeObject>(info), dropped_(AddonOf(info.Env()).dropped) {
    if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "objects are made by openObject");
    object_ = *info[0].As<Napi::External<std::shared_ptr<OpenObject>>>().Data();
  }

  ~NativeObject() override {
    if (object_ != nullptr) dropped_->fetch_add(1);
  }

 private:
  OpenObject& Opened(Napi::Env env) {
    if (object_ == nullptr) throw Napi::Error::New(env, "the object is closed");
    return *object_;
  }

  struct bpf_program* ProgramAt(const Napi::CallbackInfo& info) {
    OpenObject& opened = Opened(info.Env());
    uint32_t index = Uint32Argument(info, 0);
    if (index >= opened.programs.size()) throw Napi::RangeError::New(info.Env(), "no such program");
    return opened.programs[index];
  }

  struct bpf_map* MapAt(const Napi::CallbackInfo& info) {
    OpenObject& opened = Opened(info.Env());
    uint32_t index = Uint32Argument(info, 0);
    if (index >= opened.maps.size()) throw Napi::RangeError::New(info.Env(), "no such map");
    return opened.maps[index];
  }

  Napi::Value Programs(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    OpenObject& opened = Opened(env);
    Napi::Array list = Napi::Array::New(env, opened.programs.size());
    for (uint32_t i = 0; i < opened.programs.size(); i++) {
      const struct bpf_program* program = opened.programs[i];
      enum bpf_prog_type type = bpf_program__type(program);
      Napi::Object entry = Napi::Object::New(env);
      entry["name"] = Napi::String::New(env, bpf_program__name(program));
      entry["section"] = Napi::String::New(env, bpf_program__section_name(program));
      entry["type"] = TypeName(env, libbpf_bpf_prog_type_str(type), type);
      entry["attachType"] = Napi::Number::New(env, bpf_program__expected_attach_type(program));
      entry["autoload"] = Napi::Boolean::New(env, bpf_program__autoload(program));
      entry["instructionCount"] = Napi::Number::New(env, static_cast<double>(bpf_program__insn_cnt(program)));
      list[i] = entry;
    }
    return list;
  }

  Napi::Value Maps(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    OpenObject& opened = Opened(env);
    Napi::Array list = Napi::Array::New(env, opened.maps.size());
    for (uint32_t i = 0; i < opened.maps.size(); i++) {
      struct bpf_map* map = opened.maps[i];
      enum bpf_map_type type = bpf_map__type(map);
      const char* pinPath = bpf_map__pin_path(map);
      Napi::Object entry = Napi::Object::New(env);
      entry["name"] = Napi::String::New(env, SourceName(opened.object, map));
      entry["type"] = TypeName(env, libbpf_bpf_map_type_str(type), type);
      entry["keyBytes"] = Napi::Number::New(env, bpf_map__key_size(map));
      entry["valueBytes"] = Napi::Number::New(env, bpf_map__value_size(map));
      entry["maxEntries"] = Napi::Number::New(env, bpf_map__max_entries(map));
      entry["flags"] = Napi::Number::New(env, bpf_map__map_flags(map));
      entry["autocreate"] = Napi::Boolean::New(env, bpf_map__autocreate(map));
      entry["hasContent"] = Napi::Boolean::New(env, HasContent(map));
      entry["globalData"] = Napi::Boolean::New(env, bpf_map__is_internal(map));
      entry["btfKeyTypeId"] = Napi::Number::New(env, bpf_map__btf_key_type_id(map));
      entry["btfValueTypeId"] = Napi::Number::New(env, bpf_map__btf_value_type_id(map));
      if (pinPath != nullptr) entry["pinPath"] = Napi::String::New(env, pinPath);
      list[i] = entry;
    }
    return list;
  }

  Napi::Value SetAutoload(const Napi::CallbackInfo& info) {
    int error = bpf_program__set_autoload(ProgramAt(info), info[1].ToBoolean());
    return Napi::Number::New(info.Env(), error);
  }

  // btf() → raw BTF of the object, with the offsets of variables that libbpf has filled in | undefined | -errno
  Napi::Value Btf(const Napi::CallbackInfo& info) {
    const struct btf* btf = bpf_object__btf(Opened(info.Env()).object);
    if (btf == nullptr) return info.Env().Undefined();
    uint32_t bytes = 0;
    const void* data = btf__raw_data(btf, &bytes);
    if (data == nullptr) return Failure(info.Env(), ENOMEM);
    return Napi::Buffer<uint8_t>::Copy(info.Env(), static_cast<const uint8_t*>(data), bytes);
  }

  Napi::Value SetAutocreate(const Napi::CallbackInfo& info) {
    int error = bpf_map__set_autocreate(MapAt(info), info[1].ToBoolean());
    return Napi::Number::New(info.Env(), error);
  }

  // setSizes(map, keyBytes, valueBytes) → 0 | -errno
  Napi::Value SetSizes(const Napi::CallbackInfo& info) {
    struct bpf_map* map = MapAt(info);
    if (HasContent(map)) return Failure(info.Env(), EINVAL);
    int error = bpf_map__set_key_size(map, Uint32Argument(info, 1));
    if (error == 0) error = bpf_map__set_value_size(map, Uint32Argument(info, 2));
    return Napi::Number::New(info.Env(), error);
  }

  Napi::Value SetFlags(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), bpf_map__set_map_flags(MapAt(info), Uint32Argument(info, 1)));
  }

  Napi::Value SetMaxEntries(const Napi::CallbackInfo& info) {
    struct bpf_map* map = MapAt(info);
    if (HasContent(map)) return Failure(info.Env(), EINVAL);
    int error = bpf_map__set_max_entries(map, Uint32Argument(info, 1));
    return Napi::Number::New(info.Env(), error != 0 ? error : static_cast<double>(bpf_map__max_entries(map)));
  }

  Napi::Value SetMapType(const Napi::CallbackInfo& info) {
    struct bpf_map* map = MapAt(info);
    std::string wanted = StringArgument(info, 1);
    if (HasContent(map) || bpf_map__type(map) == BPF_MAP_TYPE_ARENA) return Failure(info.Env(), EINVAL);
    for (uint32_t type = 1; libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(type)) != nullptr; type++) {
      if (wanted != libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(type))) continue;
      // libbpf would look for what it makes of these when it opens an object.
      if (type == BPF_MAP_TYPE_STRUCT_OPS || type == BPF_MAP_TYPE_ARENA) break;
      return Napi::Number::New(info.Env(), bpf_map__set_type(map, static_cast<enum bpf_map_type>(type)));
    }
    return Failure(info.Env(), EINVAL);
  }

  Napi::Value SetPinPath(const Napi::CallbackInfo& info) {
    struct bpf_map* map = MapAt(info);
    if (info[1].IsUndefined()) return Napi::Number::New(info.Env(), bpf_map__set_pin_path(map, nullptr));
    return Napi::Number::New(info.Env(), bpf_map__set_pin_path(map, StringArgument(info, 1).c_str()));
  }

  Napi::Value InitialValue(const Napi::CallbackInfo& info) {
    size_t bytes = 0;
    const void* value = bpf_map__initial_value(MapAt(info), &bytes);
    if (value == nullptr) return info.Env().Undefined();
    return Napi::Buffer<uint8_t>::Copy(info.Env(), static_cast<const uint8_t*>(value), bytes);
  }

  Napi::Value SetInitialValue(const Napi::CallbackInfo& info) {
    struct bpf_map* map = MapAt(info);
    Napi::Buffer<uint8_t> value = BufferArgument(info, 1);
    return Napi::Number::New(info.Env(), bpf_map__set_initial_value(map, value.Data(), value.Length()));
  }

  Napi::Value ReuseFd(const Napi::CallbackInfo& info) {
    struct bpf_map* map = MapAt(info);
    int32_t fd = Int32Argument(info, 1);
    // libbpf takes over the sizes of what it is given.
    struct bpf_map_info facts;
    memset(&facts, 0, sizeof(facts));
    uint32_t bytes = sizeof(facts);
    if (bpf_obj_get_info_by_fd(fd, &facts, &bytes) != 0) return Failure(info.Env(), errno);
    bool same = facts.type == bpf_map__type(map) && facts.value_size == bpf_map__value_size(map) &&
                facts.max_entries == bpf_map__max_entries(map);
    if (HasContent(map) && !same) return Failure(info.Env(), EINVAL);
    return Napi::Number::New(info.Env(), bpf_map__reuse_fd(map, fd));
  }

  // load(logLevel, logBytesMax) → { error, log, logs }. With level 0 libbpf asks for a log only when a program is refused,
  // and stops there, so one buffer serves all; with another level every program has its own.
  Napi::Value Load(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    OpenObject& opened = Opened(env);
    uint32_t level = Uint32Argument(info, 0);
    uint32_t logBytesMax = Uint32Argument(info, 1);
    size_t bytes = level == kLogLevelStats ? kStatsLogBytes : logBytesMax;
    LogBuffer refusal(level == 0 ? kRefusalLogBytes : 0);
    // By program, not by autoload: bpf_object__load turns the autoload of struct_ops programs on and off by their maps.
    std::vector<std::unique_ptr<LogBuffer>> logs(opened.programs.size());
    for (size_t i = 0; i < opened.programs.size(); i++) {
      struct bpf_program* program = opened.programs[i];
      if (level != 0) logs[i] = std::make_unique<LogBuffer>(bytes);
      LogBuffer& log = level == 0 ? refusal : *logs[i];
      if (log.text() == nullptr) continue;
      bpf_program__set_log_buf(program, log.text(), log.bytes());
      bpf_program__set_log_level(program, level);
    }
    int error = bpf_object__load(opened.object);
    opened.elf = {};
    opened.targets.clear();

    Napi::Object result = Napi::Object::New(env);
    result["error"] = Napi::Number::New(env, error);
    result["log"] = Napi::String::New(env, refusal.Tail(logBytesMax));
    Napi::Object byName = Napi::Object::New(env);
    for (size_t i = 0; level != 0 && i < opened.programs.size(); i++) {
      if (!bpf_program__autoload(opened.programs[i])) continue;
      byName[bpf_program__name(opened.programs[i])] = Napi::String::New(env, logs[i]->Tail(logBytesMax));
    }
    result["logs"] = byName;
    return result;
  }

  // The handle owns a descriptor of its own, so that no handle can meet a number that the kernel has given out again.
  Napi::Value OpenProgram(const Napi::CallbackInfo& info) {
    UniqueFd fd(fcntl(bpf_program__fd(ProgramAt(info)), F_DUPFD_CLOEXEC, 3));
    return fd.open() ? NewProgram(info.Env(), std::move(fd)) : Failure(info.Env(), errno);
  }

  Napi::Value OpenMap(const Napi::CallbackInfo& info) {
    UniqueFd fd(fcntl(bpf_map__fd(MapAt(info)), F_DUPFD_CLOEXEC, 3));
    return fd.open() ? NewMap(info.Env(), std::move(fd)) : Failure(info.Env(), errno);
  }

  Napi::Value Attach(const Napi::CallbackInfo& info) {
    struct bpf_program* program = ProgramAt(info);
    OpenLink link;
    link.libbpf = bpf_program__attach(program);
    if (link.libbpf == nullptr) return Failure(info.Env(), errno);
    if (strncmp(bpf_program__section_name(program), "usdt", 4) == 0) link.keeps = object_;
    return NewLink(info.Env(), std::move(link));
  }

  template <Napi::Value (*attach)(const Napi::CallbackInfo&, const ObjectProgram&)>
  Napi::Value AttachBy(const Napi::CallbackInfo& info) {
    return attach(info, ObjectProgram{ProgramAt(info), object_});
  }

  // setAttachTarget(program, fd of another program | -1 for the kernel, function) → 0 | -errno; before load().
  Napi::Value SetAttachTarget(const Napi::CallbackInfo& info) {
    struct bpf_program* program = ProgramAt(info);
    int32_t target = Int32Argument(info, 1);
    std::string function = StringArgument(info, 2);
    if (target < 0) return Napi::Number::New(info.Env(), bpf_program__set_attach_target(program, 0, function.c_str()));
    UniqueFd held(fcntl(target, F_DUPFD_CLOEXEC, 3));
    if (!held.open()) return Failure(info.Env(), errno);
    int error = bpf_program__set_attach_target(program, held.get(), function.c_str());
    object_->targets.push_back(std::move(held));
    return Napi::Number::New(info.Env(), error);
  }

  // attachStructOps(map) → NativeLink | -errno
  Napi::Value AttachStructOps(const Napi::CallbackInfo& info) {
    struct bpf_map* map = MapAt(info);
    OpenLink link;
    link.libbpf = bpf_map__attach_struct_ops(map);
    if (link.libbpf == nullptr) return Failure(info.Env(), errno);
    link.structOpsLink = IsLinked(map);
    link.structOpsMap = !link.structOpsLink;
    // Detaching goes through the map, which belongs to the object.
    if (link.structOpsMap) link.keeps = object_;
    return NewLink(info.Env(), std::move(link));
  }

  // Whether a struct_ops map is one of SEC(".struct_ops.link"), of which the kernel makes a link.
  static bool IsLinked(const struct bpf_map* map) { return (bpf_map__map_flags(map) & BPF_F_LINK) != 0; }

  // updateStructOps(map, NativeLink) → 0 | -errno. libbpf writes the map's value before it updates the link, which would register
  // a map that is for no link.
  Napi::Value UpdateStructOps(const Napi::CallbackInfo& info) {
    struct bpf_map* map = MapAt(info);
    if (!IsLinked(map)) return Failure(info.Env(), EINVAL);
    struct bpf_link* link = StructOpsLinkOf(info[1]);
    if (link == nullptr) return Failure(info.Env(), EOPNOTSUPP);
    return Napi::Number::New(info.Env(), bpf_link__update_map(link, map));
  }

  void Close(const Napi::CallbackInfo&) { object_.reset(); }

  std::shared_ptr<OpenObject> object_;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

// openObject(path | Buffer, name | undefined, btfCustomPath | undefined) → NativeObject | -errno
Napi::Value OpenObjectFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto opened = std::make_shared<OpenObject>();
  std::string name = info[1].IsString() ? StringArgument(info, 1) : std::string();
  std::string btfPath = info[2].IsString() ? StringArgument(info, 2) : std::string();
  LIBBPF_OPTS(bpf_object_open_opts, options);
  if (!name.empty()) options.object_name = name.c_str();
  if (!btfPath.empty()) options.btf_custom_path = btfPath.c_str();
  if (info[0].IsBuffer()) {
    Napi::Buffer<uint8_t> bytes = BufferArgument(info, 0);
    opened->elf.assign(bytes.Data(), bytes.Data() + bytes.Length());
    opened->object = bpf_object__open_mem(opened->elf.data(), opened->elf.size(), &options);
  } else {
    opened->object = bpf_object__open_file(StringArgument(info, 0).c_str(), &options);
  }
  if (opened->object == nullptr) return Failure(env, errno);
  struct bpf_program* program = nullptr;
  bpf_object__for_each_program(program, opened->object) opened->programs.push_back(program);
  struct bpf_map* map = nullptr;
  bpf_object__for_each_map(map, opened->object) opened->maps.push_back(map);
  return AddonOf(env).object.New({Napi::External<std::shared_ptr<OpenObject>>::New(env, &opened)});
}

}  // namespace

void InitObject(Napi::Env env, Napi::Object exports) {
  AddonOf(env).object = Napi::Persistent(NativeObject::Define(env));
  exports["openObject"] = Napi::Function::New(env, OpenObjectFile, "openObject");
}

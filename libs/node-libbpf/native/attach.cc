// SPDX-License-Identifier: Apache-2.0
// Attaching to a target that the caller names, instead of the one in the ELF section.
#include "attach.h"

#include <bpf/libbpf.h>

#include <string>
#include <vector>

#include "addon.h"
#include "open_link.h"

namespace {

Napi::Value Wrap(Napi::Env env, struct bpf_link* made) {
  if (made == nullptr) return Failure(env, errno);
  OpenLink link;
  link.libbpf = made;
  return NewLink(env, std::move(link));
}

// A pattern, or names: libbpf takes the one as a string and the other as an array, and never both.
class Functions {
 public:
  Functions(const Napi::CallbackInfo& info, size_t index) {
    if (info[index].IsString()) {
      pattern_ = StringArgument(info, index);
      return;
    }
    if (!info[index].IsArray()) throw Napi::TypeError::New(info.Env(), "expected a pattern or an array of functions");
    Napi::Array list = info[index].As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); i++) names_.push_back(list.Get(i).ToString().Utf8Value());
    for (const std::string& name : names_) symbols_.push_back(name.c_str());
  }

  const char* pattern() const { return symbols_.empty() ? pattern_.c_str() : nullptr; }
  const char** symbols() { return symbols_.empty() ? nullptr : symbols_.data(); }
  size_t count() const { return symbols_.size(); }

 private:
  std::string pattern_;
  std::vector<std::string> names_;
  std::vector<const char*> symbols_;
};

}  // namespace

// (function, offset, onReturn)
Napi::Value AttachKprobe(const Napi::CallbackInfo& info, const ObjectProgram& from) {
  std::string function = StringArgument(info, 1);
  LIBBPF_OPTS(bpf_kprobe_opts, options);
  options.offset = static_cast<size_t>(Uint64Argument(info, 2));
  options.retprobe = info[3].ToBoolean();
  return Wrap(info.Env(), bpf_program__attach_kprobe_opts(from.program, function.c_str(), &options));
}

// (pattern | array of functions, onReturn)
Napi::Value AttachKprobeMulti(const Napi::CallbackInfo& info, const ObjectProgram& from) {
  Functions functions(info, 1);
  LIBBPF_OPTS(bpf_kprobe_multi_opts, options);
  options.retprobe = info[2].ToBoolean();
  options.syms = functions.symbols();
  options.cnt = functions.count();
  return Wrap(info.Env(), bpf_program__attach_kprobe_multi_opts(from.program, functions.pattern(), &options));
}

// (path, pattern | array of functions, pid, onReturn)
Napi::Value AttachUprobeMulti(const Napi::CallbackInfo& info, const ObjectProgram& from) {
  std::string path = StringArgument(info, 1);
  Functions functions(info, 2);
  LIBBPF_OPTS(bpf_uprobe_multi_opts, options);
  options.retprobe = info[4].ToBoolean();
  options.syms = functions.symbols();
  options.cnt = functions.count();
  int32_t pid = Int32Argument(info, 3);
  return Wrap(info.Env(),
              bpf_program__attach_uprobe_multi(from.program, pid, path.c_str(), functions.pattern(), &options));
}

// (path, function | undefined, offset, pid, onReturn); without a function the offset is one in the file.
Napi::Value AttachUprobe(const Napi::CallbackInfo& info, const ObjectProgram& from) {
  std::string path = StringArgument(info, 1);
  std::string function = info[2].IsUndefined() ? std::string() : StringArgument(info, 2);
  uint64_t offset = Uint64Argument(info, 3);
  LIBBPF_OPTS(bpf_uprobe_opts, options);
  if (!function.empty()) options.func_name = function.c_str();
  options.retprobe = info[5].ToBoolean();
  int32_t pid = Int32Argument(info, 4);
  return Wrap(info.Env(), bpf_program__attach_uprobe_opts(from.program, pid, path.c_str(), offset, &options));
}

// (path, provider, name, pid)
Napi::Value AttachUsdt(const Napi::CallbackInfo& info, const ObjectProgram& from) {
  std::string path = StringArgument(info, 1);
  std::string provider = StringArgument(info, 2);
  std::string name = StringArgument(info, 3);
  OpenLink link;
  link.libbpf = bpf_program__attach_usdt(from.program, Int32Argument(info, 4), path.c_str(), provider.c_str(),
                                         name.c_str(), nullptr);
  if (link.libbpf == nullptr) return Failure(info.Env(), errno);
  // The link frees the specs that it took from its object's map.
  link.keeps = from.object;
  return NewLink(info.Env(), std::move(link));
}

// (category | undefined, name): without a category a raw tracepoint.
Napi::Value AttachTracepoint(const Napi::CallbackInfo& info, const ObjectProgram& from) {
  std::string name = StringArgument(info, 2);
  if (info[1].IsUndefined()) {
    return Wrap(info.Env(), bpf_program__attach_raw_tracepoint(from.program, name.c_str()));
  }
  std::string category = StringArgument(info, 1);
  return Wrap(info.Env(), bpf_program__attach_tracepoint(from.program, category.c_str(), name.c_str()));
}

// (mapFd): an iterator over the elements of that map.
Napi::Value AttachIterator(const Napi::CallbackInfo& info, const ObjectProgram& from) {
  union bpf_iter_link_info target = {};
  target.map.map_fd = Uint32Argument(info, 1);
  LIBBPF_OPTS(bpf_iter_attach_opts, options);
  options.link_info = &target;
  options.link_info_len = sizeof(target);
  return Wrap(info.Env(), bpf_program__attach_iter(from.program, &options));
}

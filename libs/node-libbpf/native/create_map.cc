// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "addon.h"

namespace {

// createMap(type, name, keyBytes, valueBytes, maxEntries, flags, extra, innerMapFd | -1) → NativeMap | -errno
Napi::Value CreateMap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string wanted = StringArgument(info, 0);
  std::string name = StringArgument(info, 1);
  for (uint32_t number = 1; number < 1024; number++) {
    auto type = static_cast<enum bpf_map_type>(number);
    const char* known = libbpf_bpf_map_type_str(type);
    if (known == nullptr) break;
    if (wanted != known) continue;
    LIBBPF_OPTS(bpf_map_create_opts, options);
    options.map_flags = Uint32Argument(info, 5);
    options.map_extra = Uint32Argument(info, 6);
    int32_t inner = Int32Argument(info, 7);
    if (inner >= 0) options.inner_map_fd = static_cast<uint32_t>(inner);
    UniqueFd fd(bpf_map_create(type, name.c_str(), Uint32Argument(info, 2), Uint32Argument(info, 3),
                               Uint32Argument(info, 4), &options));
    return fd.open() ? NewMap(env, std::move(fd)) : Failure(env, errno);
  }
  return Failure(env, EINVAL);
}

}  // namespace

void InitCreateMap(Napi::Env env, Napi::Object exports) {
  exports["createMap"] = Napi::Function::New(env, CreateMap, "createMap");
}

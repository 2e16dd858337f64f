// SPDX-License-Identifier: Apache-2.0
#include "addon.h"
#include "libbpf_log.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InstallLibbpfLog();
  env.SetInstanceData(new Addon());
  InitObject(env, exports);
  InitProgram(env, exports);
  InitMap(env, exports);
  InitLink(env, exports);
  InitRing(env, exports);
  InitUserRing(env, exports);
  InitPerf(env, exports);
  InitTc(env, exports);
  InitSystem(env, exports);
  InitIntrospect(env, exports);
  InitProbe(env, exports);
  InitWaker(env, exports);
  InitKallsyms(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(bpf, Init)

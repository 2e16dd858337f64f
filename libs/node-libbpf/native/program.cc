// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "addon.h"
#include "introspect.h"
#include "open_link.h"

namespace {

class NativeProgram : public Napi::ObjectWrap<NativeProgram> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NativeProgram",
                       {
                           InstanceMethod<&NativeProgram::Descriptor>("fd"),
                           InstanceMethod<&NativeProgram::Info>("info"),
                           InstanceMethod<&NativeProgram::Pin>("pin"),
                           InstanceMethod<&NativeProgram::TestRun>("testRun"),
                           InstanceMethod<&NativeProgram::AttachInterface>("attachInterface"),
                           InstanceMethod<&NativeProgram::AttachPath>("attachPath"),
                           InstanceMethod<&NativeProgram::AttachPerfEvent>("attachPerfEvent"),
                           InstanceMethod<&NativeProgram::AttachSockmap>("attachSockmap"),
                           InstanceMethod<&NativeProgram::AttachNetfilter>("attachNetfilter"),
                           InstanceMethod<&NativeProgram::Close>("close"),
                       });
  }

  explicit NativeProgram(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeProgram>(info), fd_(FdArgument(info)), dropped_(AddonOf(info.Env()).dropped) {}

  ~NativeProgram() override {
    if (fd_.open()) dropped_->fetch_add(1);
  }

 private:
  Napi::Value Descriptor(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_.get()); }

  Napi::Value Info(const Napi::CallbackInfo& info) { return ProgramFacts(info.Env(), fd_.get()); }

  Napi::Value Pin(const Napi::CallbackInfo& info) {
    if (bpf_obj_pin(fd_.get(), StringArgument(info, 0).c_str()) != 0) return Failure(info.Env(), errno);
    return Napi::Number::New(info.Env(), 0);
  }

  // testRun({ data?, context?, repeat, dataOutBytes, contextOutBytes, contextInPlace, flags, cpu, batchSize })
  // → { returnValue, durationNs, data?, context? } | -errno
  Napi::Value TestRun(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!info[0].IsObject()) throw Napi::TypeError::New(env, "expected an object");
    Napi::Object run = info[0].As<Napi::Object>();
    auto number = [&run](const char* field) { return run.Get(field).ToNumber().Uint32Value(); };
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (run.Get("data").IsBuffer()) {
      auto data = run.Get("data").As<Napi::Buffer<uint8_t>>();
      options.data_in = data.Data();
      options.data_size_in = static_cast<uint32_t>(data.Length());
    }
    // A syscall program writes into its context, which must not be the caller's Buffer.
    std::vector<uint8_t> context;
    if (run.Get("context").IsBuffer()) {
      auto given = run.Get("context").As<Napi::Buffer<uint8_t>>();
      context.assign(given.Data(), given.Data() + given.Length());
      options.ctx_in = context.data();
      options.ctx_size_in = static_cast<uint32_t>(context.size());
    }
    std::vector<uint8_t> dataOut(number("dataOutBytes"));
    if (!dataOut.empty()) {
      options.data_out = dataOut.data();
      options.data_size_out = static_cast<uint32_t>(dataOut.size());
    }
    std::vector<uint8_t> contextOut(number("contextOutBytes"));
    if (!contextOut.empty()) {
      options.ctx_out = contextOut.data();
      options.ctx_size_out = static_cast<uint32_t>(contextOut.size());
    }
    options.repeat = static_cast<int>(number("repeat"));
    options.flags = number("flags");
    options.cpu = number("cpu");
    options.batch_size = number("batchSize");
    if (bpf_prog_test_run_opts(fd_.get(), &options) != 0) return Failure(env, errno);
    Napi::Object result = Napi::Object::New(env);
    result["returnValue"] = Napi::Number::New(env, options.retval);
    result["durationNs"] = Napi::Number::New(env, options.duration);
    if (!dataOut.empty() && options.data_size_out <= dataOut.size()) {
      result["data"] = Napi::Buffer<uint8_t>::Copy(env, dataOut.data(), options.data_size_out);
    }
    if (!contextOut.empty() && options.ctx_size_out <= contextOut.size()) {
      result["context"] = Napi::Buffer<uint8_t>::Copy(env, contextOut.data(), options.ctx_size_out);
    } else if (!context.empty() && run.Get("contextInPlace").ToBoolean()) {
      result["context"] = Napi::Buffer<uint8_t>::Copy(env, context.data(), context.size());
    }
    return result;
  }

  Napi::Value LinkTo(Napi::Env env, int target, uint32_t attachType, uint32_t flags) {
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.flags = flags;
    UniqueFd link(bpf_link_create(fd_.get(), target, static_cast<enum bpf_attach_type>(attachType), &options));
    return link.open() ? NewLink(env, std::move(link)) : Failure(env, errno);
  }

  // attachInterface(ifindex, attachType, flags) → NativeLink | -errno
  Napi::Value AttachInterface(const Napi::CallbackInfo& info) {
    return LinkTo(info.Env(), Int32Argument(info, 0), Uint32Argument(info, 1), Uint32Argument(info, 2));
  }

  // attachPath(path of a cgroup folder or a network namespace, attachType) → NativeLink | -errno
  Napi::Value AttachPath(const Napi::CallbackInfo& info) {
    UniqueFd target(open(StringArgument(info, 0).c_str(), O_RDONLY | O_CLOEXEC));
    if (!target.open()) return Failure(info.Env(), errno);
    return LinkTo(info.Env(), target.get(), Uint32Argument(info, 1), 0);
  }

  // attachSockmap(mapFd, attachType) → NativeLink | -errno. Sockmap links came with 6.10; before, the program hangs on the map.
  Napi::Value AttachSockmap(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    auto type = static_cast<enum bpf_attach_type>(Uint32Argument(info, 1));
    OpenLink link;
    link.fd = UniqueFd(bpf_link_create(fd_.get(), Int32Argument(info, 0), type, nullptr));
    if (link.fd.open()) return NewLink(env, std::move(link));
    if (errno != EINVAL) return Failure(env, errno);
    link.legacyTarget = UniqueFd(fcntl(Int32Argument(info, 0), F_DUPFD_CLOEXEC, 3));
    link.legacyProgram = UniqueFd(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
    if (!link.legacyTarget.open() || !link.legacyProgram.open()) return Failure(env, errno);
    if (bpf_prog_attach(fd_.get(), link.legacyTarget.get(), type, 0) != 0) return Failure(env, errno);
    link.legacyType = type;
    return NewLink(env, std::move(link));
  }

  // attachNetfilter(protocolFamily, hook, priority, defragment) → NativeLink | -errno
  Napi::Value AttachNetfilter(const Napi::CallbackInfo& info) {
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.netfilter.pf = Uint32Argument(info, 0);
    options.netfilter.hooknum = Uint32Argument(info, 1);
    options.netfilter.priority = Int32Argument(info, 2);
    options.netfilter.flags = info[3].ToBoolean() ? BPF_F_NETFILTER_IP_DEFRAG : 0;
    UniqueFd link(bpf_link_create(fd_.get(), 0, BPF_NETFILTER, &options));
    return link.open() ? NewLink(info.Env(), std::move(link)) : Failure(info.Env(), errno);
  }

  // attachPerfEvent(type, config, frequencyHz, period, cpu, pid) → NativeLink | -errno; a frequency of 0 means the period.
  Napi::Value AttachPerfEvent(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof(attributes));
    attributes.size = sizeof(attributes);
    attributes.type = Uint32Argument(info, 0);
    attributes.config = Uint64Argument(info, 1);
    uint32_t frequencyHz = Uint32Argument(info, 2);
    if (frequencyHz > 0) {
      attributes.freq = 1;
      attributes.sample_freq = frequencyHz;
    } else {
      attributes.sample_period = Uint64Argument(info, 3);
    }
    UniqueFd event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, Int32Argument(info, 5),
                                            Int32Argument(info, 4), -1, PERF_FLAG_FD_CLOEXEC)));
    if (!event.open()) return Failure(env, errno);
    int link = bpf_link_create(fd_.get(), event.get(), BPF_PERF_EVENT, nullptr);
    // The link holds the event from here on.
    if (link >= 0) return NewLink(env, UniqueFd(link));
    // Perf links came with 5.15; before, the program hangs on the event itself and cannot be pinned.
    if (ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, fd_.get()) != 0) return Failure(env, errno);
    if (ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0) return Failure(env, errno);
    return NewLink(env, std::move(event));
  }

  void Close(const Napi::CallbackInfo&) { fd_.Reset(); }

  UniqueFd fd_;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

}  // namespace

Napi::Value NewProgram(Napi::Env env, UniqueFd fd) {
  return NewOwner(env, AddonOf(env).program, std::move(fd));
}

void InitProgram(Napi::Env env, Napi::Object) { AddonOf(env).program = Napi::Persistent(NativeProgram::Define(env)); }

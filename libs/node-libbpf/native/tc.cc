// SPDX-License-Identifier: Apache-2.0
// TC filters on a clsact qdisc. They are no links: the kernel keeps them until someone detaches them, by interface,
// direction, priority and handle.
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>

#include "addon.h"

namespace {

struct bpf_tc_hook HookArgument(const Napi::CallbackInfo& info) {
  LIBBPF_OPTS(bpf_tc_hook, hook);
  hook.ifindex = Int32Argument(info, 0);
  hook.attach_point = StringArgument(info, 1) == "ingress" ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return hook;
}

Napi::Value Filter(Napi::Env env, const struct bpf_tc_opts& options) {
  Napi::Object filter = Napi::Object::New(env);
  filter["handle"] = Napi::Number::New(env, options.handle);
  filter["priority"] = Napi::Number::New(env, options.priority);
  filter["programId"] = Napi::Number::New(env, options.prog_id);
  return filter;
}

// clsactCreate(ifindex, direction) → 0 | -EEXIST when there is one | -errno
Napi::Value ClsactCreate(const Napi::CallbackInfo& info) {
  struct bpf_tc_hook hook = HookArgument(info);
  return Napi::Number::New(info.Env(), bpf_tc_hook_create(&hook));
}

// clsactDestroy(ifindex): the qdisc with everything on it.
Napi::Value ClsactDestroy(const Napi::CallbackInfo& info) {
  LIBBPF_OPTS(bpf_tc_hook, hook);
  hook.ifindex = Int32Argument(info, 0);
  hook.attach_point = static_cast<enum bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  return Napi::Number::New(info.Env(), bpf_tc_hook_destroy(&hook));
}

// tcAttach(ifindex, direction, programFd, handle, priority, replace) → filter | -errno; 0 lets the kernel choose.
Napi::Value TcAttach(const Napi::CallbackInfo& info) {
  struct bpf_tc_hook hook = HookArgument(info);
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.prog_fd = Int32Argument(info, 2);
  options.handle = Uint32Argument(info, 3);
  options.priority = Uint32Argument(info, 4);
  if (info[5].ToBoolean()) options.flags = BPF_TC_F_REPLACE;
  int error = bpf_tc_attach(&hook, &options);
  return error != 0 ? Failure(info.Env(), error) : Filter(info.Env(), options);
}

// tcQuery(ifindex, direction, handle, priority) → filter | -ENOENT | -errno
Napi::Value TcQuery(const Napi::CallbackInfo& info) {
  struct bpf_tc_hook hook = HookArgument(info);
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.handle = Uint32Argument(info, 2);
  options.priority = Uint32Argument(info, 3);
  int error = bpf_tc_query(&hook, &options);
  return error != 0 ? Failure(info.Env(), error) : Filter(info.Env(), options);
}

// tcDetach(ifindex, direction, handle, priority) → 0 | -errno
Napi::Value TcDetach(const Napi::CallbackInfo& info) {
  struct bpf_tc_hook hook = HookArgument(info);
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.handle = Uint32Argument(info, 2);
  options.priority = Uint32Argument(info, 3);
  return Napi::Number::New(info.Env(), bpf_tc_detach(&hook, &options));
}

// Reads one dump of filters; libbpf can only ask for a filter whose handle is known.
int CountFilters(int netlink) {
  alignas(struct nlmsghdr) char reply[32 * 1024];
  int count = 0;
  for (;;) {
    ssize_t got = recv(netlink, reply, sizeof(reply), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? -errno : -EIO;
    auto left = static_cast<size_t>(got);
    for (auto* message = reinterpret_cast<struct nlmsghdr*>(reply); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return count;
      if (message->nlmsg_type == NLMSG_ERROR) {
        return static_cast<struct nlmsgerr*>(NLMSG_DATA(message))->error;
      }
      count++;
    }
  }
}

// tcFilterCount(ifindex, direction) → how many filter entries of any kind hang there | -errno
Napi::Value TcFilterCount(const Napi::CallbackInfo& info) {
  struct bpf_tc_hook hook = HookArgument(info);
  struct {
    struct nlmsghdr header;
    struct tcmsg message;
  } request;
  memset(&request, 0, sizeof(request));
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.message));
  request.header.nlmsg_type = RTM_GETTFILTER;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.message.tcm_family = AF_UNSPEC;
  request.message.tcm_ifindex = hook.ifindex;
  uint32_t minor = hook.attach_point == BPF_TC_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS;
  request.message.tcm_parent = TC_H_MAKE(TC_H_CLSACT, minor);
  UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.open()) return Failure(info.Env(), errno);
  if (send(netlink.get(), &request, request.header.nlmsg_len, 0) < 0) return Failure(info.Env(), errno);
  return Napi::Number::New(info.Env(), CountFilters(netlink.get()));
}

}  // namespace

void InitTc(Napi::Env env, Napi::Object exports) {
  exports["clsactCreate"] = Napi::Function::New(env, ClsactCreate, "clsactCreate");
  exports["clsactDestroy"] = Napi::Function::New(env, ClsactDestroy, "clsactDestroy");
  exports["tcAttach"] = Napi::Function::New(env, TcAttach, "tcAttach");
  exports["tcQuery"] = Napi::Function::New(env, TcQuery, "tcQuery");
  exports["tcDetach"] = Napi::Function::New(env, TcDetach, "tcDetach");
  exports["tcFilterCount"] = Napi::Function::New(env, TcFilterCount, "tcFilterCount");
}

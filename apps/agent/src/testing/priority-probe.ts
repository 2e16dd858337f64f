/**
 * A probe for tests: each getpriority(PRIO_PROCESS, n) of one process becomes an event that carries n and a count. A test
 * numbers its calls, so that a lost or a doubled record shows.
 */
export const prioritySource = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct call_event {
  __u64 ts_ns;
  __u32 pid;
  __u32 who;
};
const struct call_event *const bpfleet_event_call_event __attribute__((section(".bpfleet.events"), used)) = 0;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024);
} events SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} bpfleet_drops SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u64);
} calls SEC(".maps");

const volatile __u32 caller = 0;

struct enter {
  __u64 common;
  __s64 id;
  __u64 args[6];
};

SEC("tracepoint/syscalls/sys_enter_getpriority")
int on_getpriority(struct enter *ctx)
{
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  __u64 one = 1, *count;
  struct call_event *e;
  __u32 zero = 0;

  if (caller != 0 && pid != caller)
    return 0;
  count = bpf_map_lookup_elem(&calls, &pid);
  if (count)
    __sync_fetch_and_add(count, 1);
  else
    bpf_map_update_elem(&calls, &pid, &one, BPF_ANY);
  e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
  if (!e) {
    count = bpf_map_lookup_elem(&bpfleet_drops, &zero);
    if (count)
      *count += 1;
    return 0;
  }
  e->ts_ns = bpf_ktime_get_boot_ns();
  e->pid = pid;
  e->who = ctx->args[1];
  bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
`;

export const priorityManifest = `
name: watch_priority
version: 1.0.0
summary: Who asks for priorities
params:
  caller: { default: 0, min: 0, max: 4194304, help: only this process }
metrics:
  - { name: priority_calls_total, type: counter, map: calls, labels: { pid: unsigned } }
events:
  - { name: call, map: events, struct: call_event, time: { field: ts_ns, clock: boottime } }
budget: { cpu_percent: 50, map_bytes: 4MiB, events_per_second: 100000 }
`;

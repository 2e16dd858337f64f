/** Two programs that `SEC()` does not say enough about: one counts packets of an interface, one samples stacks. */
export const samplingSource = `
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} packets SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_STACK_TRACE);
  __uint(max_entries, 1024);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, 127 * sizeof(__u64));
} stacks SEC(".maps");
struct sample_key {
  __s32 kernel_stack_id;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct sample_key);
  __type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int on_packet(struct xdp_md *ctx)
{
  __u32 zero = 0;
  __u64 *count = bpf_map_lookup_elem(&packets, &zero);

  if (count)
    *count += 1;
  return XDP_PASS;
}

SEC("perf_event")
int on_sample(struct bpf_perf_event_data *ctx)
{
  struct sample_key key = { .kernel_stack_id = bpf_get_stackid(ctx, &stacks, 0) };
  __u64 one = 1, *count = bpf_map_lookup_elem(&counts, &key);

  if (count)
    __sync_fetch_and_add(count, 1);
  else
    bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
`;

export const samplingManifest = `
name: sample_both
version: 1.0.0
summary: Packets and stacks
params:
  interface: { type: string, default: lo, help: interface }
  frequency_hz: { default: 99, min: 1, max: 999, help: samples a second }
attach:
  on_packet: { interface: $interface, mode: generic }
  on_sample: { frequency_hz: $frequency_hz }
metrics:
  - { name: packets_total, type: counter, map: packets, labels: { slot: unsigned } }
profiles:
  - { name: cpu, map: counts, stacks: stacks, kernel_stack: kernel_stack_id, frequency_hz: $frequency_hz }
budget: { cpu_percent: 50, map_bytes: 8MiB }
`;

// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Maps that were made, by a raw tracepoint that went with Linux 4.18
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpfleet.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

SEC("raw_tp/bpf_map_create")
int on_call(void *ctx)
{
	bpfleet_add(&calls, 0, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

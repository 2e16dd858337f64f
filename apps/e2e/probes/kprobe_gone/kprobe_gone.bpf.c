// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Tasks that were made, by a kprobe on what became kernel_clone with Linux 5.10
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpfleet.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

SEC("kprobe/_do_fork")
int on_call(void *ctx)
{
	bpfleet_add(&calls, 0, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

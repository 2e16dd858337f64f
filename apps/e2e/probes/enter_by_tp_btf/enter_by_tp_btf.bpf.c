// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Tasks that were made, by a typed tracepoint
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "bpfleet.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");


SEC("tp_btf/sched_process_fork")
int on_call(struct bpf_raw_tracepoint_args *ctx)
{
	bpfleet_add(&calls, 0, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

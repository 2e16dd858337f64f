// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Tasks that were made, beside a map of Linux 6.1
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

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 64 * 1024);
} commands SEC(".maps");

SEC("raw_tp/sched_process_fork")
int on_call(struct bpf_raw_tracepoint_args *ctx)
{
	bpfleet_add(&calls, 0, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

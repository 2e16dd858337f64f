// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Tasks that still could run when they were taken off, by a field that Linux 5.14 renamed
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

struct task_struct___before_5_14 {
	volatile long state;
} __attribute__((preserve_access_index));

SEC("raw_tp/sched_switch")
int on_call(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct___before_5_14 *task = (void *)(unsigned long)ctx->args[1];

	if (BPF_CORE_READ(task, state) == 0)
		bpfleet_add(&calls, 0, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

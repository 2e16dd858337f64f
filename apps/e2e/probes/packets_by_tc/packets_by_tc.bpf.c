// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Packets that arrived on an interface, by tc; each passes on
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpfleet.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

SEC("tc")
int on_call(void *ctx)
{
	bpfleet_add(&calls, 0, 1);
	/* TCX_NEXT: whoever is behind decides. */
	return -1;
}

char LICENSE[] SEC("license") = "GPL";

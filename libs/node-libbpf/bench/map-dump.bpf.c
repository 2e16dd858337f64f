// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 100000);
	__type(key, __u64);
	__type(value, __u64);
} entries SEC(".maps");

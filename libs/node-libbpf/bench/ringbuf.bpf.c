// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Fills a ring with records of 64 bytes and wakes nobody.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define RECORDS_A_RUN 64

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 26);
} records SEC(".maps");

struct record {
	__u64 words[8];
};

SEC("xdp")
int fill(struct xdp_md *ctx)
{
	for (int i = 0; i < RECORDS_A_RUN; i++) {
		struct record *record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);
		if (!record)
			return XDP_DROP;
		for (int word = 0; word < 8; word++)
			record->words[word] = i + word;
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	}
	return XDP_PASS;
}

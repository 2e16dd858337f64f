// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Packets and bytes that arrive on an interface, by protocol. Every packet passes on, whatever it is.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "bpfleet.bpf.h"

/* Macros of the kernel are not in its BTF. */
enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_QINQ = 0x88a8,
	IPV6_HOP_BY_HOP = 0,
	IPV6_ROUTING = 43,
	IPV6_FRAGMENT = 44,
	IPV6_DESTINATION = 60,
	VLAN_TAGS_MAX = 2,
	IPV6_EXTENSIONS_MAX = 4,
};

/* Indices 0 to 255 are IP protocol numbers. */
enum { INDEX_ARP = 256, INDEX_OTHER, INDICES };

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, INDICES);
	__type(key, __u32);
	__type(value, struct traffic);
} traffic SEC(".maps");

struct vlan_tag {
	__be16 control;
	__be16 ethertype;
};

struct ipv6_extension {
	__u8 next;
	__u8 units; /* of 8 bytes, beyond the first */
};

static __always_inline __u32 ipv6_protocol(void *at, void *end)
{
	struct ipv6hdr *ip = at;
	__u8 protocol;

	if ((void *)(ip + 1) > end)
		return INDEX_OTHER;
	protocol = ip->nexthdr;
	at = ip + 1;
#pragma unroll
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		struct ipv6_extension *extension = at;

		if (protocol != IPV6_HOP_BY_HOP && protocol != IPV6_ROUTING && protocol != IPV6_FRAGMENT &&
		    protocol != IPV6_DESTINATION)
			break;
		if ((void *)(extension + 1) > end)
			break;
		/* A fragment header is 8 bytes, and its second byte is reserved. */
		at += protocol == IPV6_FRAGMENT ? 8 : (extension->units + 1) * 8;
		protocol = extension->next;
	}
	return protocol;
}

static __always_inline __u32 index_of(void *data, void *end)
{
	struct ethhdr *ethernet = data;
	__u16 ethertype;
	void *at = ethernet + 1;

	if (at > end)
		return INDEX_OTHER;
	ethertype = bpf_ntohs(ethernet->h_proto);
#pragma unroll
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_tag *tag = at;

		if (ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ)
			break;
		if ((void *)(tag + 1) > end)
			return INDEX_OTHER;
		ethertype = bpf_ntohs(tag->ethertype);
		at = tag + 1;
	}
	if (ethertype == ETHERTYPE_IPV4) {
		struct iphdr *ip = at;

		return (void *)(ip + 1) > end ? INDEX_OTHER : ip->protocol;
	}
	if (ethertype == ETHERTYPE_IPV6)
		return ipv6_protocol(at, end);
	return ethertype == ETHERTYPE_ARP ? INDEX_ARP : INDEX_OTHER;
}

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 index = index_of(data, end);
	struct traffic *t = bpf_map_lookup_elem(&traffic, &index);

	if (t) {
		t->packets += 1;
		t->bytes += end - data;
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

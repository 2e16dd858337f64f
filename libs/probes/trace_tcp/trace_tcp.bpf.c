// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// TCP connections as they open and close: both ends, who opened them, how long that took and how long they lived.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "bpfleet.bpf.h"

#define SOCKETS_MAX 8192

/* Macros of the kernel are not in its BTF. */
enum {
	FAMILY_INET = 2,
	FAMILY_INET6 = 10,
	PROTOCOL_TCP = 6,
};

struct tcp_event {
	__u64 ts_ns;
	__u64 connect_us; /* from SYN_SENT until it was left, in the event that says so; else 0 */
	__u64 open_us;	  /* from ESTABLISHED to CLOSE, in the event of the CLOSE; else 0 */
	__u8 saddr[16];	  /* IPv4 as ::ffff:a.b.c.d */
	__u8 daddr[16];
	__u16 sport;
	__u16 dport;
	__u8 family; /* 4 or 6 */
	__u8 old_state;
	__u8 new_state;
	__u8 outbound; /* 1 when this machine opened it */
	__u32 pid;     /* who opened it; 0 for one that came in, as that happens in no process */
	__u32 uid;
	char comm[16];
};

BPFLEET_EVENT(tcp_event);
BPFLEET_RING(events, 256 * 1024);

struct socket_start {
	__u64 connect_ns;
	__u64 established_ns;
	__u32 pid;
	__u32 uid;
	char comm[16];
};

/* By the socket's address. LRU: a socket whose CLOSE was missed must not hold its entry for ever. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SOCKETS_MAX);
	__type(key, __u64);
	__type(value, struct socket_start);
} starts SEC(".maps");

const volatile bool every_state = false;
const volatile bool loopback = true;
const volatile __u16 port = 0; /* either end; 0 is all */

static __always_inline void map_ipv4(__u8 address[16], __u32 ipv4)
{
	address[10] = 0xff;
	address[11] = 0xff;
	__builtin_memcpy(&address[12], &ipv4, 4);
}

static __always_inline bool read_ends(struct tcp_event *e, struct sock *sk)
{
	struct inet_sock *inet = (void *)sk;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	/* inet_sport and not skc_num, which is already 0 when the state becomes CLOSE. */
	e->sport = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	e->dport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (family == FAMILY_INET) {
		e->family = 4;
		map_ipv4(e->saddr, BPF_CORE_READ(inet, inet_saddr));
		map_ipv4(e->daddr, BPF_CORE_READ(sk, __sk_common.skc_daddr));
		return true;
	}
	/* A kernel built without IPv6 has no such fields. */
	if (family == FAMILY_INET6 && bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
		e->family = 6;
		BPF_CORE_READ_INTO(&e->saddr, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&e->daddr, sk, __sk_common.skc_v6_daddr);
		return true;
	}
	return false;
}

static __always_inline bool is_loopback(const struct tcp_event *e)
{
	const __u8 *a = e->daddr;
	__u8 high = a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7] | a[8] | a[9];

	if (high)
		return false;
	if (a[10] == 0xff && a[11] == 0xff)
		return a[12] == 127;
	return !(a[10] | a[11] | a[12] | a[13] | a[14]) && a[15] == 1;
}

static __always_inline bool is_wanted(const struct tcp_event *e)
{
	if (port != 0 && e->sport != port && e->dport != port)
		return false;
	return loopback || !is_loopback(e);
}

/* The task that calls connect() is current when the SYN goes out, and no longer when the answer comes. */
static __always_inline void begin_connect(__u64 socket, __u64 now)
{
	struct socket_start start = { .connect_ns = now };

	start.pid = bpf_get_current_pid_tgid() >> 32;
	start.uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(start.comm, sizeof(start.comm));
	bpf_map_update_elem(&starts, &socket, &start, BPF_ANY);
}

static __always_inline void remember_established(__u64 socket, __u64 now)
{
	struct socket_start *start = bpf_map_lookup_elem(&starts, &socket);
	struct socket_start inbound = { .established_ns = now };

	if (start)
		start->established_ns = now;
	else
		bpf_map_update_elem(&starts, &socket, &inbound, BPF_ANY);
}

static __always_inline void fill_from_start(struct tcp_event *e, const struct socket_start *start)
{
	e->pid = start->pid;
	e->uid = start->uid;
	e->outbound = start->connect_ns != 0;
	__builtin_memcpy(e->comm, start->comm, sizeof(e->comm));
	if (e->old_state == TCP_SYN_SENT && start->connect_ns)
		e->connect_us = (e->ts_ns - start->connect_ns) / 1000;
	if (e->new_state == TCP_CLOSE && start->established_ns)
		e->open_us = (e->ts_ns - start->established_ns) / 1000;
}

/* inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate) */
SEC("raw_tp/inet_sock_set_state")
int on_set_state(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 socket = ctx->args[0];
	struct sock *sk = (void *)(unsigned long)socket;
	int old_state = ctx->args[1];
	int new_state = ctx->args[2];
	__u64 now = bpf_ktime_get_boot_ns();
	struct socket_start *start;
	struct tcp_event *e;

	/* Also SCTP, DCCP and MPTCP come here. sk_protocol was 8 bits of a bit-field before 5.6 (bf9765145b85). */
	if (bpfleet_read(sk, sk_protocol) != PROTOCOL_TCP)
		return 0;
	if (new_state == TCP_SYN_SENT)
		begin_connect(socket, now);
	if (new_state == TCP_ESTABLISHED)
		remember_established(socket, now);

	start = bpf_map_lookup_elem(&starts, &socket);
	/* A socket that closes without a start listened, or was open before this probe: only the latter was a connection. */
	if (every_state || new_state == TCP_ESTABLISHED || (new_state == TCP_CLOSE && old_state != TCP_LISTEN)) {
		e = bpfleet_reserve(events, struct tcp_event);
		if (e) {
			e->ts_ns = now;
			e->old_state = old_state;
			e->new_state = new_state;
			if (start)
				fill_from_start(e, start);
			if (read_ends(e, sk) && is_wanted(e))
				bpfleet_submit(e);
			else
				bpfleet_discard(e);
		}
	}
	if (new_state == TCP_CLOSE)
		bpf_map_delete_elem(&starts, &socket);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

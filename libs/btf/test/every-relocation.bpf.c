// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Every kind of CO-RE relocation, against types that all kernels have, some have, and none has. It is relocated, never
// loaded: what a verifier would say about it does not matter. preamble.h stands in front of it.

#define FIELD(x, what) __builtin_preserve_field_info(x, what)
#define OFFSET 0
#define SIZE 1
#define EXISTS 2
#define SIGNED 3
#define LSHIFT 4
#define RSHIFT 5
#define TYPE(t, what) __builtin_preserve_type_info(*(typeof(t) *)0, what)
#define TYPE_ID(t, what) __builtin_btf_type_id(*(typeof(t) *)0, what)
#define ENUMVAL(t, value, what) __builtin_preserve_enum_value(*(typeof(t) *)value, what)
#define ALL_OF_FIELD(x)                                                                                                \
	(FIELD(x, OFFSET) + FIELD(x, SIZE) + FIELD(x, EXISTS) + FIELD(x, SIGNED) + FIELD(x, LSHIFT) + FIELD(x, RSHIFT))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef int kernel_pid_t;
struct list_head { struct list_head *next, *prev; };
struct load_weight { unsigned long weight; __u32 inv_weight; };
struct sched_entity { struct load_weight load; __u64 exec_start; };
struct mm_struct { unsigned long start_code; unsigned long saved_auxv[4]; };
struct task_struct {
	kernel_pid_t pid, tgid;
	char comm[16];
	unsigned int flags;
	unsigned long nvcsw;
	int prio;
	void *stack;
	struct sched_entity se;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct list_head tasks;
	unsigned sched_reset_on_fork : 1;
	unsigned in_execve : 1;
	__u64 start_time;
};
struct task_struct___old { volatile long state; };
struct task_struct___new { unsigned int __state; };
struct task_struct___never { int no_such_field; struct { int deep; } no_such_struct; int pid[4]; };

struct sock_common {
	union { __u64 skc_addrpair; struct { __u32 skc_daddr; __u32 skc_rcv_saddr; }; };
	unsigned short skc_family;
	unsigned char skc_reuse : 4, skc_reuseport : 1, skc_ipv6only : 1;
};
struct sock { struct sock_common __sk_common; long sk_rcvtimeo; unsigned int sk_txhash; };
struct sk_buff { unsigned int len, data_len; __u8 pkt_type : 3, ignore_df : 1; __u8 ip_summed : 2; void *head; };
struct iphdr { __u8 ihl : 4, version : 4; __u8 tos; __u32 saddr; };
struct tcp_sock { __u32 snd_cwnd; __u8 nonagle : 4, thin_lto : 1; };
struct bpf_insn { __u8 code; __u8 dst_reg : 4, src_reg : 4; short off; int imm; };
struct bpf_prog { __u32 len; struct bpf_insn insnsi[]; };
struct linux_dirent64 { __u64 d_ino; char d_name[]; };
struct pt_regs;
struct bpf_iter_meta { __u64 session_id; };
struct no_such_type { int a; };
union bpf_attr { __u32 map_type; __u32 prog_type; };
struct trace_event_raw_sys_enter { long id; unsigned long args[6]; };
struct path { void *mnt; void *dentry; };
struct file { struct path f_path; unsigned int f_flags; };
struct inode { __u64 i_ino; unsigned short i_mode; };
struct list_head___same { struct list_head___same *next, *prev; };
struct list_head___other { int next; };
struct rq___vague { int nothing; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct rb_node { unsigned long __rb_parent_color; struct rb_node *rb_right, *rb_left; };
struct callback_head { struct callback_head *next; void (*func)(struct callback_head *head); };
struct callback_head___bad { struct callback_head *next; void (*func)(struct callback_head *head, int more); };
struct in6_addr { union { __u8 u6_addr8[16]; unsigned short u6_addr16[8]; } in6_u; };
struct in6_addr___bad { union { __u8 u6_addr8[15]; } in6_u; };
struct timespec64 { long long tv_sec; long tv_nsec; };
struct timespec64___bad { unsigned long long tv_sec; };
union sigval { int sival_int; void *sival_ptr; };
struct kref { struct refcount_struct { struct { int counter; } refs; } refcount; };
#pragma clang attribute pop

enum bpf_map_type { BPF_MAP_TYPE_HASH = 100, BPF_MAP_TYPE_RINGBUF = 101, BPF_MAP_TYPE_NEVER = 102 };
enum pid_type___ours { PIDTYPE_PID___ours = 7, PIDTYPE_MAX = 8 };
enum no_such_enum { NO_SUCH_VALUE = 3 };
enum hrtimer_restart { HRTIMER_NORESTART = 5, HRTIMER_RESTART = 6 };
typedef __u64 phys_addr_t;
typedef int pid_t;
typedef void (*sighandler_t)(int);
typedef struct list_head no_such_typedef;
typedef int (*initcall_t)(void);
typedef struct { int counter; } atomic_t;

volatile __u64 sink;

/* Loads and stores: the offset of the instruction itself. */
SEC("raw_tp/loads")
int loads(struct task_struct *t)
{
	sink += t->pid + t->tgid + t->comm[3] + t->flags + t->nvcsw + t->prio + (__u64)t->stack;
	sink += t->se.exec_start + t->se.load.weight + t->se.load.inv_weight + t->mm->saved_auxv[3];
	sink += (__u64)t->real_parent->tasks.next + t->start_time;
	t->flags = 7;
	t->prio = sink;
	t->se.exec_start = 9;
	return 0;
}

SEC("raw_tp/sockets")
int sockets(struct sock *sk)
{
	sink += sk->__sk_common.skc_daddr + sk->__sk_common.skc_family + sk->sk_txhash;
	sink += sk->__sk_common.skc_addrpair;
	return 0;
}

/* A signed long: it cannot shrink with the kernel's. */
SEC("raw_tp/signed_long")
int signed_long(struct sock *sk)
{
	sink += sk->sk_rcvtimeo;
	return 0;
}

/* Calculated addresses: relocated immediates. */
SEC("raw_tp/fields")
int fields(struct task_struct *t)
{
	sink += ALL_OF_FIELD(t->pid) + ALL_OF_FIELD(t->nvcsw) + FIELD(t->se, OFFSET) + FIELD(t->se, EXISTS);
	sink += FIELD(t->comm, OFFSET) + FIELD(t->comm, SIZE);
	sink += FIELD(t->comm[5], OFFSET) + FIELD(t->comm[5], SIZE) + FIELD(t->comm[5], EXISTS);
	sink += FIELD(t[1].pid, OFFSET) + FIELD(t->tasks.prev, OFFSET) + FIELD(t->prio, SIGNED);
	sink += FIELD(t->mm->saved_auxv[2], OFFSET) + FIELD(t->mm->saved_auxv, SIZE);
	return 0;
}

SEC("raw_tp/bitfields")
int bitfields(struct task_struct *t, struct sock_common *s, struct sk_buff *skb, struct iphdr *ip, struct tcp_sock *tp)
{
	sink += ALL_OF_FIELD(t->in_execve) + ALL_OF_FIELD(t->sched_reset_on_fork);
	sink += ALL_OF_FIELD(s->skc_reuse) + ALL_OF_FIELD(s->skc_reuseport) + ALL_OF_FIELD(s->skc_ipv6only);
	sink += ALL_OF_FIELD(skb->pkt_type) + ALL_OF_FIELD(skb->ip_summed) + ALL_OF_FIELD(ip->version);
	sink += ALL_OF_FIELD(tp->nonagle) + ALL_OF_FIELD(tp->thin_lto);
	return 0;
}

/* Flexible arrays and elements behind the end of one object. */
SEC("raw_tp/arrays")
int arrays(struct bpf_prog *prog, struct linux_dirent64 *entry, struct trace_event_raw_sys_enter *ctx)
{
	sink += prog->insnsi[7].imm + entry->d_name[20] + ctx->args[4];
	sink += FIELD(prog->insnsi[3], OFFSET) + FIELD(entry->d_name, OFFSET) + FIELD(entry->d_name[9], SIZE);
	sink += FIELD(prog->insnsi[2].code, EXISTS) + FIELD(ctx->args[5], EXISTS);
	return 0;
}

SEC("raw_tp/flavours")
int flavours(void *t)
{
	struct task_struct___old *old = t;
	struct task_struct___new *new = t;
	struct list_head___same *same = t;
	if (FIELD(old->state, EXISTS)) sink += old->state;
	if (FIELD(new->__state, EXISTS)) sink += new->__state;
	sink += FIELD(same->prev, OFFSET) + (__u64)same->next;
	return 0;
}

/* What no kernel has: poison, or 0 where that is an answer. */
SEC("raw_tp/missing")
int missing(void *t)
{
	struct task_struct___never *never = t;
	struct no_such_type *nothing = t;
	struct list_head___other *other = t;
	sink += never->no_such_field + FIELD(never->no_such_struct.deep, EXISTS) + FIELD(never->no_such_field, SIZE);
	sink += nothing->a + FIELD(nothing->a, EXISTS) + FIELD(never->pid[2], OFFSET);
	sink += other->next + FIELD(other->next, EXISTS);
	return 0;
}

SEC("raw_tp/types")
int types(void *t)
{
	sink += TYPE(struct task_struct, 0) + TYPE(struct task_struct, 1) + TYPE(struct no_such_type, 0);
	sink += TYPE(struct no_such_type, 1) + TYPE(phys_addr_t, 0) + TYPE(phys_addr_t, 1) + TYPE(sighandler_t, 0);
	sink += TYPE(no_such_typedef, 0) + TYPE(initcall_t, 0) + TYPE(atomic_t, 1) + TYPE(union bpf_attr, 1);
	sink += TYPE(enum bpf_map_type, 0) + TYPE(enum no_such_enum, 0) + TYPE(enum hrtimer_restart, 1);
	sink += TYPE_ID(struct task_struct, 0) + TYPE_ID(struct task_struct, 1) + TYPE_ID(struct file, 1);
	sink += TYPE_ID(struct no_such_type, 1) + TYPE_ID(pid_t, 1) + TYPE_ID(atomic_t, 0);
	return 0;
}

/* Only clang 15 and later can ask the strict question; a test makes it of the other one. */
#if __clang_major__ >= 15
#define MATCHES 2
#else
#define MATCHES 0
#endif
SEC("raw_tp/matches")
int matches(void *t)
{
	sink += TYPE(struct list_head, MATCHES) + TYPE(struct list_head___same, MATCHES);
	sink += TYPE(struct list_head___other, MATCHES) + TYPE(struct path, MATCHES) + TYPE(struct task_struct, MATCHES);
	sink += TYPE(enum hrtimer_restart, MATCHES) + TYPE(enum bpf_map_type, MATCHES) + TYPE(sighandler_t, MATCHES);
	sink += TYPE(initcall_t, MATCHES) + TYPE(atomic_t, MATCHES) + TYPE(pid_t, MATCHES) + TYPE(struct iphdr, MATCHES);
	sink += TYPE(struct no_such_type, MATCHES) + TYPE(struct hlist_node, MATCHES) + TYPE(struct rb_node, MATCHES);
	sink += TYPE(struct callback_head, MATCHES) + TYPE(struct callback_head___bad, MATCHES);
	sink += TYPE(struct in6_addr, MATCHES) + TYPE(struct in6_addr___bad, MATCHES) + TYPE(union sigval, MATCHES);
	sink += TYPE(struct timespec64, MATCHES) + TYPE(struct timespec64___bad, MATCHES) + TYPE(struct kref, MATCHES);
	sink += TYPE(enum no_such_enum, MATCHES) + TYPE(enum pid_type___ours, MATCHES);
	return 0;
}

SEC("raw_tp/enumerators")
int enumerators(void *t)
{
	sink += ENUMVAL(enum bpf_map_type, BPF_MAP_TYPE_HASH, 0) + ENUMVAL(enum bpf_map_type, BPF_MAP_TYPE_HASH, 1);
	sink += ENUMVAL(enum bpf_map_type, BPF_MAP_TYPE_RINGBUF, 1) + ENUMVAL(enum bpf_map_type, BPF_MAP_TYPE_NEVER, 0);
	sink += ENUMVAL(enum pid_type___ours, PIDTYPE_PID___ours, 1) + ENUMVAL(enum pid_type___ours, PIDTYPE_MAX, 1);
	sink += ENUMVAL(enum hrtimer_restart, HRTIMER_RESTART, 1) + ENUMVAL(enum no_such_enum, NO_SUCH_VALUE, 0);
	if (ENUMVAL(enum no_such_enum, NO_SUCH_VALUE, 0)) sink += ENUMVAL(enum no_such_enum, NO_SUCH_VALUE, 1);
	return 0;
}

/* Relocations inside subprograms. */
__attribute__((noinline)) static __u64 parent_of(struct task_struct *t)
{
	return t->real_parent->pid + FIELD(t->start_time, OFFSET);
}

__attribute__((noinline)) __u64 name_of(struct task_struct *t)
{
	return t->comm[1] + parent_of(t);
}

SEC("raw_tp/subprograms")
int subprograms(struct task_struct *t)
{
	sink += name_of(t) + parent_of(t) + t->prio;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

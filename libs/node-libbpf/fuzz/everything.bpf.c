// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// One object with each thing that an ELF can tell libbpf, as a base for mutations. It is never attached.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/usdt.bpf.h>

char LICENSE[] SEC("license") = "GPL";
__u32 made_for SEC("version") = 0x061200;

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned long CONFIG_HZ __kconfig __weak;
extern char CONFIG_DEFAULT_HOSTNAME[32] __kconfig __weak;
extern enum libbpf_tristate CONFIG_BPF_SYSCALL __kconfig __weak;
extern bool CONFIG_NOWHERE __kconfig __weak;

extern const void init_task_nowhere __ksym __weak;
extern const int bpf_prog_active __ksym __weak;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;

const volatile __u32 knob = 7;
const volatile char text[16] SEC(".rodata.text") = "hello";
__u64 counter = 1;
__u64 other SEC(".data.other") = 2;
__u64 zero;
int (*table[2])(void *);

struct inner_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} inner_one SEC(".maps"), inner_two SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner_map);
} outer SEC(".maps") = { .values = { &inner_one, 0, &inner_two } };

int tail(void *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} calls SEC(".maps") = { .values = { [1] = (void *)&tail } };

struct value {
	struct bpf_spin_lock lock;
	struct bpf_timer timer;
	__u64 sum;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__uint(map_flags, 1);
	__uint(numa_node, 0);
	__type(key, struct { __u32 a; __u8 b[12]; });
	__type(value, struct value);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(map_extra, 0);
	__uint(key_size, 4);
	__uint(value_size, 8);
} pinned SEC(".maps");

struct task_struct___old {
	long state;
	int nowhere;
} __attribute__((preserve_access_index));

enum bpf_map_type___other { BPF_MAP_TYPE_ARRAY___other = 1, BPF_MAP_TYPE_NOWHERE___other = 99 };

static __attribute__((noinline)) int static_sub(int value)
{
	return value * (int)counter + knob;
}

__attribute__((noinline)) int global_sub(struct value *value)
{
	if (!value)
		return 0;
	value->sum++;
	return static_sub((int)value->sum);
}

__weak __attribute__((noinline)) int weak_sub(int value)
{
	return static_sub(value) + text[value & 15];
}

static long each(__u32 index, void *context)
{
	counter += index;
	return 0;
}

SEC("xdp")
int tail(void *ctx)
{
	return 2;
}

SEC("?xdp.frags")
int on_packet(struct xdp_md *ctx)
{
	char format[] = "%d";
	__u32 key = 0;
	bpf_tail_call(ctx, &calls, 1);
	bpf_map_lookup_elem(&outer, &key);
	bpf_loop(3, each, 0, 0);
	return weak_sub(key) + (LINUX_KERNEL_VERSION > 1) + CONFIG_HZ + CONFIG_DEFAULT_HOSTNAME[3] + other + zero;
}

SEC("kprobe/do_nanosleep+0x4")
int BPF_KPROBE(on_kprobe, int nfds)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___old *old = (void *)task;
	__u64 sum = BPF_CORE_READ(task, mm, pgd) != 0;
	if (bpf_core_field_exists(old->state))
		sum += BPF_CORE_READ(old, state);
	if (bpf_core_type_exists(struct bpf_map))
		sum += bpf_core_type_size(struct bpf_map) + bpf_core_type_id_local(struct value);
	sum += bpf_core_enum_value_exists(enum bpf_map_type___other, BPF_MAP_TYPE_NOWHERE___other);
	sum += bpf_core_enum_value(enum bpf_map_type___other, BPF_MAP_TYPE_ARRAY___other);
	sum += BPF_CORE_READ_BITFIELD_PROBED(task, sched_reset_on_fork) + bpf_core_field_size(task->comm);
	sum += bpf_core_type_id_kernel(struct task_struct) + BPF_CORE_READ(task, comm[3]);
	bpf_ringbuf_output(&ring, &sum, sizeof(sum), 0);
	return sum;
}

SEC("uprobe/libc.so.6:getuid")
int on_uprobe(struct pt_regs *ctx)
{
	return static_sub(1);
}

SEC("usdt/libc.so.6:libc:setjmp")
int BPF_USDT(on_usdt, void *first, int second)
{
	return second;
}

SEC("tracepoint/syscalls/sys_enter_getuid")
int on_tracepoint(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (bpf_task_acquire && task)
		return &init_task_nowhere != 0;
	return bpf_prog_active;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_tp_btf, struct pt_regs *regs, long id)
{
	struct task_struct *task = bpf_get_current_task_btf(), *held;
	held = bpf_task_acquire(task);
	if (held)
		bpf_task_release(held);
	return 0;
}

SEC("fentry.s/vfs_read")
int BPF_PROG(on_fentry, struct file *file)
{
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(on_lsm, struct file *file)
{
	return 0;
}

SEC("iter/task")
int on_iterator(struct bpf_iter__task *ctx)
{
	if (ctx->task)
		bpf_seq_write(ctx->meta->seq, &ctx->task->pid, 4);
	return 0;
}

SEC("struct_ops/halve")
__u32 BPF_PROG(halve, struct sock *sk)
{
	return 2;
}

SEC("struct_ops/stay")
void BPF_PROG(stay, struct sock *sk, __u32 ack, __u32 acked)
{
}

SEC(".struct_ops")
struct tcp_congestion_ops steady = {
	.ssthresh = (void *)halve,
	.cong_avoid = (void *)stay,
	.name = "bpfleet_fuzz",
};

SEC(".struct_ops.link")
struct tcp_congestion_ops linked = {
	.ssthresh = (void *)halve,
	.cong_avoid = (void *)stay,
	.name = "bpfleet_fuzz_2",
};

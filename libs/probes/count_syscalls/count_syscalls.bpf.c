// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// How often each system call is made.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpfleet.bpf.h"

#define SYSCALLS_MAX 512

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SYSCALLS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* Calls of 32-bit programs on a 64-bit kernel, whose numbers are those of the 32-bit architecture. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SYSCALLS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} compat_counts SEC(".maps");

/* Calls without a number of the table: -1 (skipped by a tracer), x32's, 32-bit ARM's private ones. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} unnumbered SEC(".maps");

const volatile __u32 pid = 0; /* thread group; 0 is all */

/*
 * Which kind of code made the call, by the register that says it: cs on x86, pstate on arm64. Its place among the registers is
 * that of asm/ptrace.h, which user space relies on, so it needs no BTF.
 */
#if defined(__TARGET_ARCH_x86)
#define MODE_OFFSET 136
#define IS_COMPAT(mode) ((mode) == 0x23) /* __USER32_CS */
#elif defined(__TARGET_ARCH_arm64)
#define MODE_OFFSET 264
#define IS_COMPAT(mode) (((mode) & 0x10) != 0) /* PSR_MODE32_BIT */
#endif

static __always_inline bool is_compat(__u64 registers)
{
#ifdef MODE_OFFSET
	__u64 mode = 0;

	bpf_probe_read_kernel(&mode, sizeof(mode), (void *)(unsigned long)(registers + MODE_OFFSET));
	return IS_COMPAT(mode);
#else
	return false;
#endif
}

/* sys_enter(struct pt_regs *regs, long id): the number comes as an argument, so no register is read. */
SEC("raw_tp/sys_enter")
int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 id = ctx->args[1];

	if (pid != 0 && bpf_get_current_pid_tgid() >> 32 != pid)
		return 0;
	if (id >= SYSCALLS_MAX)
		bpfleet_add(&unnumbered, 0, 1);
	else if (is_compat(ctx->args[0]))
		bpfleet_add(&compat_counts, id, 1);
	else
		bpfleet_add(&counts, id, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// One event for each program that was started: who, from where, and on request with which arguments.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "bpfleet.bpf.h"

#define FILENAME_BYTES 128
#define ARGS_BYTES 256 /* a power of two, for the mask below */

struct exec_event {
	__u64 ts_ns;
	__u32 pid;
	__u32 ppid;
	__u32 uid;
	__u32 args_bytes; /* of the whole command line, also when it was cut or not asked for */
	char comm[16];
	char filename[FILENAME_BYTES];
	char args[ARGS_BYTES];
};

BPFLEET_EVENT(exec_event);
BPFLEET_RING(events, 256 * 1024);

const volatile bool with_args = false;
const volatile __s64 uid = -1; /* -1 is everybody */

/* The kernel keeps the arguments as NUL-terminated strings, one after the other; a column of text ends at its first NUL. */
static __always_inline void read_args(struct exec_event *e, unsigned long start, __u32 bytes)
{
	if (bytes > ARGS_BYTES - 1)
		bytes = ARGS_BYTES - 1;
	/* Keeps the verifier's bound on the register that is really used: 5.10 does not follow it through a copy. */
	asm volatile("%0 &= %1" : "+r"(bytes) : "i"(ARGS_BYTES - 1));
	if (bpf_probe_read_user(e->args, bytes, (const void *)start))
		return;
	for (__u32 i = 0; i < ARGS_BYTES - 1; i++) {
		if (i + 1 >= bytes)
			break;
		if (e->args[i] == 0)
			e->args[i] = ' ';
	}
}

/* sched_process_exec(struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm): the exec has succeeded. */
SEC("raw_tp/sched_process_exec")
int trace_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)(unsigned long)ctx->args[0];
	struct linux_binprm *bprm = (void *)(unsigned long)ctx->args[2];
	__u32 current_uid = (__u32)bpf_get_current_uid_gid();
	struct task_struct *parent;
	struct mm_struct *mm;
	struct exec_event *e;
	unsigned long start, end;

	if (uid >= 0 && current_uid != uid)
		return 0;
	e = bpfleet_reserve(events, struct exec_event);
	if (!e)
		return 0;

	e->ts_ns = bpf_ktime_get_boot_ns();
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->uid = current_uid;
	parent = bpfleet_read_pointer(task, real_parent);
	e->ppid = BPF_CORE_READ(parent, tgid);
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_probe_read_kernel_str(e->filename, sizeof(e->filename), bpfleet_read_pointer(bprm, filename));

	mm = bpfleet_read_pointer(task, mm);
	start = bpfleet_read(mm, arg_start);
	end = bpfleet_read(mm, arg_end);
	e->args_bytes = end - start;
	if (with_args)
		read_args(e, start, e->args_bytes);
	bpfleet_submit(e);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

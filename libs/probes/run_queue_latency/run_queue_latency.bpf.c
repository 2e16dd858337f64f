// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// How long tasks that could run waited for a CPU, as a histogram.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "bpfleet.bpf.h"

#define TASKS_MAX 10240
#define COMMS_MAX 256
#define SLOTS 26 /* the last holds waits of 33 s and more */

/* v5.14 (2f064a59a11f) renamed `state`, a long, to `__state`, an unsigned int. */
struct task_struct___before_5_14 {
	volatile long state;
} __attribute__((preserve_access_index));

struct task_struct___since_5_14 {
	unsigned int __state;
} __attribute__((preserve_access_index));

struct hist_key {
	char comm[16]; /* all zero unless by_comm */
};

struct hist {
	__u64 slots[SLOTS];
	__u64 total_us;
};

/* When each waiting task began to wait. LRU: a task that dies while it waits must not hold its entry for ever. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TASKS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, COMMS_MAX);
	__type(key, struct hist_key);
	__type(value, struct hist);
} hists SEC(".maps");

/* Waits that found no room in `hists`: more names than COMMS_MAX. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

const volatile bool by_comm = false;
const volatile __u32 pid = 0; /* thread group; 0 is all */
const volatile __u64 min_us = 0;

static const struct hist empty_hist;

static __always_inline bool is_runnable(struct task_struct *task)
{
	struct task_struct___since_5_14 *since = (void *)task;
	struct task_struct___before_5_14 *before = (void *)task;

	if (bpf_core_field_exists(since->__state))
		return bpfleet_read(since, __state) == 0;
	return bpfleet_read(before, state) == 0;
}

static __always_inline void begin_wait(struct task_struct *task)
{
	__u32 tid = BPF_CORE_READ(task, pid);
	__u64 now;

	if (tid == 0 || (pid != 0 && BPF_CORE_READ(task, tgid) != pid))
		return;
	now = bpf_ktime_get_ns();
	bpf_map_update_elem(&waiting, &tid, &now, BPF_ANY);
}

static __always_inline void end_wait(struct task_struct *task)
{
	__u32 tid = BPF_CORE_READ(task, pid);
	__u64 now = bpf_ktime_get_ns();
	struct hist_key key = {};
	struct hist *hist;
	__u64 *since, us;
	__u32 slot;

	since = bpf_map_lookup_elem(&waiting, &tid);
	if (!since)
		return;
	us = now > *since ? (now - *since) / 1000 : 0;
	bpf_map_delete_elem(&waiting, &tid);
	if (us < min_us)
		return;

	if (by_comm)
		bpf_probe_read_kernel_str(key.comm, sizeof(key.comm), &task->comm);
	hist = bpf_map_lookup_elem(&hists, &key);
	if (!hist) {
		bpf_map_update_elem(&hists, &key, &empty_hist, BPF_NOEXIST);
		hist = bpf_map_lookup_elem(&hists, &key);
	}
	if (!hist) {
		bpfleet_add(&lost, 0, 1);
		return;
	}
	slot = bpfleet_log2(us);
	if (slot >= SLOTS)
		slot = SLOTS - 1;
	hist->slots[slot] += 1;
	hist->total_us += us;
}

/* sched_wakeup(struct task_struct *task) */
SEC("raw_tp/sched_wakeup")
int on_wakeup(struct bpf_raw_tracepoint_args *ctx)
{
	begin_wait((void *)(unsigned long)ctx->args[0]);
	return 0;
}

/* sched_wakeup_new(struct task_struct *task) */
SEC("raw_tp/sched_wakeup_new")
int on_wakeup_new(struct bpf_raw_tracepoint_args *ctx)
{
	begin_wait((void *)(unsigned long)ctx->args[0]);
	return 0;
}

/* sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next, ...) */
SEC("raw_tp/sched_switch")
int on_switch(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *prev = (void *)(unsigned long)ctx->args[1];
	struct task_struct *next = (void *)(unsigned long)ctx->args[2];

	/* A preempted task stays in the queue whatever its state says: it was about to sleep, and has not. */
	if (ctx->args[0] || is_runnable(prev))
		begin_wait(prev);
	end_wait(next);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

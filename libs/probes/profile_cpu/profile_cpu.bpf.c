// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// What the CPUs are busy with: stacks, sampled on a timer of each CPU, counted by process.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpfleet.bpf.h"

#define FRAMES_MAX 127 /* the kernel's default kernel.perf_event_max_stack */
#define STACKS_MAX 2048
#define COUNTS_MAX 4096

struct count_key {
	__u32 pid;
	__s32 kernel_stack_id; /* -1: none, or it could not be kept */
	__s32 user_stack_id;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, STACKS_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, FRAMES_MAX * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, COUNTS_MAX);
	__type(key, struct count_key);
	__type(value, __u64);
} counts SEC(".maps");

enum lost_reason {
	LOST_COUNT, /* `counts` was full */
	LOST_STACK, /* another stack has the same hash: the sample is counted without its stack */
	LOST_REASONS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOST_REASONS);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

const volatile __u32 pid = 0; /* thread group; 0 is all but the idle task */
const volatile bool kernel_stacks = true;
const volatile bool user_stacks = false;

enum { ERRNO_EEXIST = 17 };

static __always_inline __s32 stack_id(void *ctx, __u64 flags)
{
	long id = bpf_get_stackid(ctx, &stacks, flags);

	if (id == -ERRNO_EEXIST)
		bpfleet_add(&lost, LOST_STACK, 1);
	return id < 0 ? -1 : id;
}

SEC("perf_event")
int on_sample(struct bpf_perf_event_data *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct count_key key = { .pid = tgid, .kernel_stack_id = -1, .user_stack_id = -1 };
	__u64 *count, one = 1;

	if (tgid == 0 || (pid != 0 && tgid != pid))
		return 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	if (kernel_stacks)
		key.kernel_stack_id = stack_id(ctx, 0);
	if (user_stacks)
		key.user_stack_id = stack_id(ctx, BPF_F_USER_STACK);

	count = bpf_map_lookup_elem(&counts, &key);
	if (count)
		*count += 1;
	else if (bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST))
		bpfleet_add(&lost, LOST_COUNT, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
// Stands for a kernel in the fuzz run: its BTF has what everything.bpf.c and the fixtures ask for, and little more.
#include "vmlinux.h"

typedef void (*btf_trace_sys_enter)(void *, struct pt_regs *, long);

#define KEEP(type, name) const type *name __attribute__((section(".keep"), used)) = 0
KEEP(struct task_struct, task);
KEEP(struct mm_struct, memory);
KEEP(struct bpf_map, map);
KEEP(struct sock, sock);
KEEP(struct bpf_iter__task, task_walk);
KEEP(struct bpf_iter__bpf_map, map_walk);
KEEP(struct tcp_congestion_ops, congestion);
KEEP(struct bpf_struct_ops_tcp_congestion_ops, registered_congestion);
KEEP(btf_trace_sys_enter, trace_sys_enter);
enum bpf_map_type a_map_type __attribute__((section(".keep"), used)) = 0;

const int bpf_prog_active __attribute__((section(".data..percpu"), used)) = 1;
long vfs_read(struct file *file) { return 0; }
int bpf_lsm_file_open(struct file *file) { return 0; }
int bpf_iter_task(struct bpf_iter_meta *meta, struct task_struct *task) { return 0; }
struct task_struct *bpf_task_acquire(struct task_struct *p) { return p; }
void bpf_task_release(struct task_struct *p) { }

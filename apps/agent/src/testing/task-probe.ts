import { priorityManifest, prioritySource } from './priority-probe.js';

/**
 * The probe of priority-probe.ts, whose events carry `task_struct.pid` of the caller as CO-RE finds it: a test sees in the
 * number by which types the object was relocated.
 */
export const taskSource = prioritySource
  .replace(
    'struct enter {',
    `struct task_struct {
  int pid;
} __attribute__((preserve_access_index));

struct enter {`,
  )
  .replace(
    'e->who = ctx->args[1];',
    `struct task_struct *task = (void *)bpf_get_current_task();
  bpf_probe_read_kernel(&e->who, sizeof(e->who), &task->pid);`,
  );

export const taskManifest = priorityManifest;

/** The same object, attached by a type id of the running kernel, which nothing can stand in for. */
export const byTypeIdSource = taskSource
  .replace('tracepoint/syscalls/sys_enter_getpriority', 'tp_btf/sys_enter')
  .replace('int on_getpriority(struct enter *ctx)', 'int on_getpriority(void *ctx)');

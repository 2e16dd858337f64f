/** C for kernels/testing/core-object.ts, which real kernels judge. */
const LICENCE = 'char licence[] SEC("license") = "GPL";';

/** Reads a field of the kernel's by CO-RE. */
export const GOOD = `${LICENCE}
static void *(*current_task)(void) = (void *)35;
SEC("raw_tp/sys_enter") int p(void *ctx) {
  struct task_struct *task = current_task();
  int pid = 0;
  probe_read(&pid, sizeof(pid), &task->pid);
  return pid > 1;
}`;

/** Needs a JIT: calls back from a helper. */
export const CALLS_BACK = `${LICENCE}
static long (*loop)(unsigned count, void *callback, void *context, unsigned long long flags) = (void *)181;
static int once(unsigned index, void *context) { return 0; }
SEC("raw_tp/sys_enter") int p(void *ctx) { return loop(10, once, 0, 0); }`;

/** Reads beyond its context. */
export const BAD = `${LICENCE}
SEC("raw_tp/sys_enter") int p(char *ctx) { return *(int *)(ctx + 4000); }`;

/** Reads beyond its context where it is told to: by default no verifier gets there. */
export const BAD_BY_PARAMETER = `${LICENCE}
const volatile int far = 0;
SEC("raw_tp/sys_enter") int p(char *ctx) { return far ? *(int *)(ctx + 4000) : 0; }`;
export const BAD_PARAMETER = 'params: { far: { default: 0 } }';

/**
 * Hooks of Debian's arm64 6.12: one that is there, one that is freed after the boot, one that kprobes forbid, a pattern of nothing, one
 * of a module that a VM loads for its own disk, and one of a module that it does not load.
 */
export const HOOKS = `${LICENCE}
SEC("kprobe/do_unlinkat") int there(void *ctx) { return 0; }
SEC("kprobe/start_kernel") int freed(void *ctx) { return 0; }
SEC("kprobe/user_disable_single_step") int forbidden(void *ctx) { return 0; }
SEC("kprobe.multi/zz_*") int nothing(void *ctx) { return 0; }
SEC("tracepoint/ext4/ext4_sync_file_enter") int of_the_vm(void *ctx) { return 0; }
SEC("fentry/xfs_file_open") int of_a_module(void *ctx) { return 0; }`;

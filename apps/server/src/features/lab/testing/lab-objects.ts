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

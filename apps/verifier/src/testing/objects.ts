import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PRELUDE = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} verifier_test_counts SEC(".maps");
const volatile __u32 divisor = 7;
`;

export const GOOD = `${PRELUDE}
static __attribute__((noinline)) int weigh(__u64 *scratch, __u32 key) { scratch[0] += key; return scratch[0]; }
SEC("tracepoint/raw_syscalls/sys_enter")
int counts(void *ctx)
{
  __u32 key = bpf_ktime_get_ns() % divisor;
  __u64 scratch[4] = { key, key, key, key };
  __u64 *value = bpf_map_lookup_elem(&verifier_test_counts, &key);
  if (value)
    *value += weigh(scratch, key);
  return 0;
}
`;

/** No kernel has this field: only types that are given can say where it is. */
export const RELOCATED = `${PRELUDE}
struct task_struct { int bpfleet_no_such_field; } __attribute__((preserve_access_index));
SEC("raw_tp/sys_enter")
int reads(struct { struct task_struct *task; } *ctx)
{
  int value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), &ctx->task->bpfleet_no_such_field);
  return value;
}
`;
export const TYPES = `
struct task_struct { unsigned long before; int bpfleet_no_such_field; } task;
`;

export const MIXED = `${GOOD}
SEC("xdp")
int out_of_bounds(struct xdp_md *ctx)
{
  char *data = (void *)(long)ctx->data;
  return data[100];
}
SEC("?xdp")
int optional(struct xdp_md *ctx)
{
  return XDP_PASS;
}
`;

/** An object in base64, as a request takes it. Its lines are in it, which clang takes from a file only. */
export function compile(source: string, debug = ['-g']): string {
  const folder = mkdtempSync(join(tmpdir(), 'verifier-object-'));
  try {
    const file = join(folder, 'object.bpf.c');
    writeFileSync(file, source);
    const multiarch = execFileSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
    const flags = ['-target', 'bpf', '-O2', ...debug, '-I', `/usr/include/${multiarch}`, '-c', file, '-o', '-'];
    return execFileSync('clang', flags).toString('base64');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

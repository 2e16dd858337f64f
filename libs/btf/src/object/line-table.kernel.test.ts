import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf } from '../../test/compile-bpf.js';
import { readObject } from './object.js';

const BPFFS = '/sys/fs/bpf';

const SOURCE = `
static long (*loop)(__u32 n, void *cb, void *ctx, __u64 flags) = (void *)181;
__attribute__((noinline)) static int deepest(int a) { volatile int x = a;
	return x * 7; }
__attribute__((noinline)) int middle(int a) { volatile int x = deepest(a);
	return x + 1; }
static long callback(__u32 i, void *ctx) { *(__u64 *)ctx += i;
	return 0; }
__attribute__((noinline)) int other(int a) { volatile int x = a; return deepest(x) + 2; }
SEC("raw_tp/sys_enter")
int first(void *ctx)
{
	__u64 sum = 0;
	volatile int y = other(3);
	loop(4, callback, &sum, 0);
	y += middle(y);
	return y + sum;
}
char LICENSE[] SEC("license") = "GPL";`;

/** Lines in the order of instructions, each run of equal ones once, without those that the compiler made up. */
function runs(lines: readonly (number | undefined)[]): number[] {
  return lines.filter((line): line is number => !!line).filter((line, i, all) => line !== all[i - 1]);
}

describeWithKernel('LineTable', ['root', 'bpf', 'bpffs', 'bpftool', 'clang'], () => {
  it('orders subprograms and callbacks as libbpf does', () => {
    const bytes = compileBpf(SOURCE);
    const folder = mkdtempSync(join(tmpdir(), 'bpfleet-btf-'));
    const pin = join(BPFFS, `bpfleet_btf_test_${process.pid}`);
    try {
      writeFileSync(join(folder, 'test.o'), bytes);
      execFileSync('bpftool', ['prog', 'load', join(folder, 'test.o'), pin], { stdio: 'pipe' });
      const dump = execFileSync('bpftool', ['prog', 'dump', 'xlated', 'pinned', pin, 'linum'], { encoding: 'utf8' });
      const kernel = [...dump.matchAll(/line_num:(\d+)/g)].map((match) => Number(match[1]));
      const object = readObject(bytes);
      const ours = Array.from({ length: 200 }, (_, i) => object.lines.lineAt('first', i)?.line);
      expect(runs(ours)).toEqual(runs(kernel));
      expect(new Set(runs(ours)).size).toBeGreaterThan(10);
    } finally {
      rmSync(pin, { force: true });
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { VmTarget } from '@bpfleet/vm';

/**
 * A cell of the table that `npm run test:vm` prints at its end: what a test saw on a kernel, in a few words. Record what was
 * measured or done, never what was only expected.
 */
export function recordVmFact(target: VmTarget, fact: string, value: string): void {
  const file = process.env['BPFLEET_VM_FACTS'];
  if (file === undefined) return;
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${JSON.stringify({ target, fact, value })}\n`);
}

/** What support-check.mjs of libs/node-libbpf found on a kernel, for `docs/kernel-support.json` (`npm run test:vm -- --write-support`). */
export function recordKernelSupport(target: VmTarget, check: object): void {
  const file = process.env['BPFLEET_VM_SUPPORT'];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ kernel: target, check })}\n`);
}

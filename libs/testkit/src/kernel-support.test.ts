import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { attachTypes, mapTypes } from '@bpfleet/node-libbpf';
import { compareSeries, kernelSeries, OLDEST_TESTED_BY_ARCH, OLDEST_TESTED_KERNEL } from '@bpfleet/probe';
import { VM_TARGETS } from '@bpfleet/vm';

interface SupportRow {
  readonly kernel: string;
  readonly release: string;
  /** `uname -m` */
  readonly machine: string;
  readonly attach: Readonly<Record<string, string>>;
  readonly map: Readonly<Record<string, string>>;
}

const path = (file: string): string => fileURLToPath(new URL(`../../../${file}`, import.meta.url));
const { kernels } = JSON.parse(readFileSync(path('docs/kernel-support.json'), 'utf8')) as {
  kernels: readonly SupportRow[];
};

it('is shown as a page that says what the facts say', () => {
  execFileSync(process.execPath, [path('scripts/kernel-support.mjs'), '--check'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
});

it('has every kernel that a VM boots, and every type of the library on each', () => {
  expect(kernels.map(({ kernel }) => kernel)).toEqual(expect.arrayContaining([...VM_TARGETS]));
  for (const { kernel, attach, map } of kernels) {
    expect([kernel, Object.keys(attach)]).toEqual([kernel, attachTypes.map(({ name }) => name)]);
    expect([kernel, Object.keys(map)]).toEqual([kernel, mapTypes.map(({ name }) => name)]);
  }
});

it('begins with the oldest kernel that probes may be let onto', () => {
  const series = kernels.flatMap(({ release }) => kernelSeries(release) ?? []).sort(compareSeries);
  expect(series[0]).toEqual(OLDEST_TESTED_KERNEL);
});

it.each([
  ['arm64', 'aarch64'],
  ['arm', 'armv7l'],
] as const)('begins on %s with the oldest kernel that pre-flight does not doubt there', (arch, itself) => {
  const there = kernels.filter(({ machine }) => machine === itself);
  const series = there.flatMap(({ release }) => kernelSeries(release) ?? []).sort(compareSeries);
  expect(series[0]).toEqual(OLDEST_TESTED_BY_ARCH[arch]);
});

it('has seen every attach and map type work on some kernel', () => {
  const never = attachTypes.filter(({ name }) => kernels.every(({ attach }) => attach[name] !== 'ok'));
  expect(never.map(({ name }) => name)).toEqual([]);
  const neverMade = mapTypes.filter(({ name }) => kernels.every(({ map }) => map[name] !== 'ok'));
  expect(neverMade).toEqual([]);
});

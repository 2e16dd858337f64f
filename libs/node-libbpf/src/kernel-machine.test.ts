import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { kernelMachine } from './kernel-machine.js';

it.each([
  ['armv8l', 'arm', 'aarch64'],
  ['armv8b', 'arm', 'aarch64'],
  ['aarch64', 'arm', 'aarch64'],
  ['armv7l', 'arm', 'armv7l'],
  ['armv6l', 'arm', 'armv6l'],
  ['armv8l', 'arm64', 'aarch64'],
  ['i686', 'x64', 'x86_64'],
  ['x86_64', 'x64', 'x86_64'],
] as const)('takes %s, told to a program for %s, for %s', (name, arch, expected) => {
  expect(kernelMachine(name, arch)).toBe(expected);
});

it('is not misled by the personality of a process', () => {
  const file = fileURLToPath(new URL('../dist/kernel-machine.js', import.meta.url));
  const script = `import(${JSON.stringify(file)}).then(({ kernelMachine }) => console.log(kernelMachine()))`;
  // Of util-linux, as everywhere.
  const told = execFileSync('setarch', ['linux32', process.execPath, '-e', script], { encoding: 'utf8' });
  expect(told.trim()).toBe(kernelMachine());
});

import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryDir } from '../../control/testing/bench.js';
import { FakeMachines, type FakeAnswer, type FakeMachine } from '../testing/fake-machines.js';
import { machineContract } from '../testing/machine-contract.js';
import { MachineError, type LabMachine } from './lab-machines.js';
import { machineErrorOf } from './vm-failures.js';

const never = new AbortController().signal;

describe('machines of a test', () => {
  const machines = new FakeMachines();
  const object = (name: string, answer: FakeAnswer) => {
    machines.answer(Buffer.from(name), answer);
    return Buffer.from(name);
  };
  const objects = {
    good: object('good', 'accept'),
    refused: object('refused', 'refuse'),
    broken: object('broken', 'object'),
    fatal: object('fatal', 'crash'),
    breaking: object('breaking', 'break'),
  };
  const order = { target: 'arm64-6.12', own: undefined, kernelArgs: [], jit: null };
  const verifier = (machine: LabMachine) => Promise.resolve(String((machine as FakeMachine).verifiers));
  const hooks = {
    crash: () => undefined,
    verifier,
    breakVerifier: <T>(_: LabMachine, prove: () => Promise<T>) => prove(),
  };
  machineContract(() => ({ machines, order, objects, ...hooks }));
});

describe('a failure of a VM', () => {
  const vmError = (code: string, message: string, console: string[] = []) =>
    Object.assign(new Error(message), { name: 'VmError', code, console });

  it('is the kernel’s, the order’s or nobody’s, by when it happens', () => {
    const at = (step: 'boot' | 'prove', code: string) =>
      machineErrorOf(vmError(code, 'it failed'), step, { ownImage: false, signal: never }).failure;
    expect([at('boot', 'VM_MISSING'), at('boot', 'VM_PANIC'), at('boot', 'VM_BOOT')]).toEqual([
      'order',
      'boot',
      'boot',
    ]);
    expect([at('prove', 'VM_PANIC'), at('prove', 'VM_RESET')]).toEqual(['crash', 'crash']);
    expect([at('prove', 'VM_TIMEOUT'), at('prove', 'VM_EXITED')]).toEqual(['timeout', 'lost']);
    const bug = machineErrorOf(new TypeError('a bug'), 'prove', { ownImage: false, signal: never });
    expect(bug).toMatchObject({ failure: 'lost', message: 'a bug' });
    const same = new MachineError('order', 'as it was');
    expect(machineErrorOf(same, 'boot', { ownImage: false, signal: never })).toBe(same);
    const stopped = { ownImage: false, signal: AbortSignal.abort() };
    expect(machineErrorOf(vmError('VM_EXITED', 'x'), 'boot', stopped).failure).toBe('stopped');
  });

  it('says no path of this host, and keeps the console', () => {
    const error = vmError('VM_BOOT', 'arm64-6.12 did not come up (console: /srv/x.log)\nlast lines …', ['[0.1] hello']);
    const told = machineErrorOf(error, 'boot', { ownImage: false, signal: never });
    expect(told).toMatchObject({ message: 'arm64-6.12 did not come up', console: ['[0.1] hello'] });
  });

  it.each([
    ['no disk', 'bpfleet-vm: no disk', /CONFIG_VIRTIO_BLK/],
    ['a module of another build', 'bpfleet-vm: a module does not load', /one of its modules.*same build/],
    ['no channel', 'bpfleet-vm: no virtio console', /CONFIG_VIRTIO_CONSOLE/],
    ['no file system', 'bpfleet-vm: the disk cannot be mounted', /CONFIG_EXT4_FS/],
    [
      'no initramfs',
      'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
      /BLK_DEV_INITRD/,
    ],
    ['nothing', '', /PL011/],
    ['something else', '[    1.0] hello', /docs\/lab-kernel\.config.*last words/],
  ])('of a kernel of one’s own says what it lacks: %s', (_, line, why) => {
    const error = vmError('VM_EXITED', 'the VM has ended', line === '' ? [] : [line]);
    const { message } = machineErrorOf(error, 'boot', { ownImage: true, signal: never });
    expect(message).toMatch(why);
    // What a person is told to build in is in the fragment that they are told to merge.
    const fragment = readFileSync(join(repositoryDir, 'docs/lab-kernel.config'), 'utf8');
    for (const [option] of message.matchAll(/CONFIG_[A-Z0-9_]+/g)) expect(fragment).toContain(`\n${option}=y\n`);
  });
});

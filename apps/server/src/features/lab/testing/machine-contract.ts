import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { LabMachine, LabMachines, MachineOrder } from '../machine/lab-machines.js';

export interface MachineHarness {
  readonly machines: LabMachines;
  readonly order: MachineOrder;
  readonly objects: {
    readonly good: Buffer;
    readonly refused: Buffer;
    readonly broken: Buffer;
    readonly fatal: Buffer;
    readonly breaking: Buffer;
  };
  /** Brings the kernel down while it proves `objects.fatal`. */
  crash(machine: LabMachine): void;
  /** Tells the process that judges from every other of this machine. */
  verifier(machine: LabMachine): Promise<string>;
  /** Carries out `prove`, of `objects.breaking`, and ends the process that judges meanwhile, as a fault of its own would. */
  breakVerifier<T>(machine: LabMachine, prove: () => Promise<T>): Promise<T>;
}

const BOOT_MS = 300_000;
const PROOF_MS = 120_000;

/** What the lab counts on, whatever its VMs are. Called inside a `describe`. */
export function machineContract(harness: () => MachineHarness): void {
  let machine: LabMachine | undefined;
  const never = new AbortController().signal;

  beforeEach(async () => {
    machine = await harness().machines.start(harness().order, BOOT_MS, never);
  }, BOOT_MS);
  afterEach(async () => {
    await machine?.stop();
  });

  const prove = (object: Buffer, signal = never) =>
    (machine as LabMachine).prove({ object, globals: new Map(), btf: undefined }, PROOF_MS, signal);

  it(
    'says what it is, judges one object after the other, goes on after one that is none, and ends when it is to stop',
    async () => {
      const { good, refused, broken } = harness().objects;
      expect(machine?.kernel).toMatchObject({
        kernelRelease: expect.stringMatching(/^\d+\.\d+/),
        kernelBuildId: expect.stringMatching(/^[0-9a-f]{40}$/),
        pageBytes: 4096,
        lsm: expect.arrayContaining(['lockdown']),
      });
      expect(machine?.bootMs).toBeGreaterThan(0);
      const can = await machine?.features(PROOF_MS, never);
      expect(can?.features).toEqual(expect.arrayContaining(['hash', 'ringbuf']));
      expect(can?.lacks).toContain('kprobe_multi');
      const accepted = await prove(good);
      expect(accepted).toMatchObject({ verdict: 'accepted', programs: [{ verdict: 'accepted' }] });
      expect(accepted.programs[0]?.verifiedInstructions).toBeGreaterThan(0);
      expect(await prove(refused)).toMatchObject({ verdict: 'refused', programs: [{ log: expect.any(String) }] });
      await expect(prove(broken)).rejects.toMatchObject({ failure: 'object' });
      expect(await prove(good)).toMatchObject({ verdict: 'accepted' });

      const stop = new AbortController();
      stop.abort(new Error('stop'));
      await expect(prove(good, stop.signal)).rejects.toMatchObject({ failure: 'stopped' });
      await machine?.stop();
      await machine?.stop();
      await expect(prove(good)).rejects.toMatchObject({ name: 'MachineError' });
    },
    PROOF_MS * 3,
  );

  judgesByOneProcess(harness, () => machine as LabMachine, prove);

  it(
    'tells of a crash with the console, and proves nothing after it',
    async () => {
      harness().crash(machine as LabMachine);
      await expect(prove(harness().objects.fatal)).rejects.toMatchObject({
        failure: 'crash',
        console: expect.arrayContaining([expect.stringMatching(/panic/)]),
      });
      await expect(prove(harness().objects.good)).rejects.toMatchObject({ name: 'MachineError' });
    },
    PROOF_MS * 2,
  );
}

function judgesByOneProcess(
  harness: () => MachineHarness,
  machine: () => LabMachine,
  prove: (object: Buffer) => ReturnType<LabMachine['prove']>,
): void {
  it(
    'judges by one process, and by a new one once that has broken down over an object, which gets no verdict',
    async () => {
      const { good, refused, broken, breaking } = harness().objects;
      const up = machine();
      await prove(good);
      const first = await harness().verifier(up);
      expect(await prove(refused)).toMatchObject({ verdict: 'refused' });
      await expect(prove(broken)).rejects.toMatchObject({ failure: 'object' });
      expect(await prove(good)).toMatchObject({ verdict: 'accepted' });
      expect(await harness().verifier(up)).toBe(first);

      const lost = harness().breakVerifier(up, () => prove(breaking));
      await expect(lost).rejects.toMatchObject({
        failure: 'lost',
        message: expect.stringMatching(/broke down \(SIGSEGV\)/),
      });
      expect(await prove(good)).toMatchObject({ verdict: 'accepted' });
      expect(await harness().verifier(up)).not.toBe(first);
    },
    PROOF_MS * 3,
  );
}

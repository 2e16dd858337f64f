import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { join } from 'node:path';
import type { PreflightGroup } from '@bpfleet/api';
import { parseBtf, tailorBtf } from '@bpfleet/btf';
import { globalImages, parseManifest, readObject, resolveParams } from '@bpfleet/probe';
import { digestOf } from '@bpfleet/trust';
import { describeWithVm, recordVmFact } from '@bpfleet/testkit';
import type { Facts } from '@bpfleet/wire';
import type { Config } from '../../config/config.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { BUILT_IN_PROBES, builtInManifest, compileBuiltIn } from '../../verify/testing/compile-for-test.js';
import { repositoryDir } from '../control/testing/bench.js';
import { compileCore, READS_LONG, READS_OLD_STATE, READS_PID } from '../kernels/testing/core-object.js';
import { foreignBtf } from '../kernels/testing/kernel-btf.js';
import type { LabMachine } from '../lab/machine/lab-machines.js';
import { QemuMachines } from '../lab/machine/qemu-machines.js';
import { verdictOfReport } from '../lab/session/verdict-of-report.js';
import { BAD, CALLS_BACK } from '../lab/testing/lab-objects.js';
import { kernelFacts, PaperFleet } from './testing/fleet.js';

const BOOT_TIMEOUT_MS = 300_000;
const PROVE_TIMEOUT_MS = 300_000;
const TEST_TIMEOUT_MS = 900_000;
const config = { verifierMain: join(repositoryDir, 'apps/verifier/dist/main.js') } as Config;
const never = new AbortController().signal;

const licensed = (source: string) => `${source}\nchar LICENSE[] SEC("license") = "GPL";`;
const state = 'struct task_struct___old *t = (void *)((long (*)(void))35)();';
const read = 'long s = 0; probe_read(&s, sizeof(s), &t->state); return s;';
const hook = 'SEC("raw_tp/sys_enter") int p(void *ctx)';

/** Made to be taken by some kernels and refused by others, each for a reason of its own. */
const PURPOSE_MADE: Readonly<Record<string, string>> = {
  reads_pid: READS_PID,
  reads_old_state: READS_OLD_STATE,
  reads_long: READS_LONG,
  calls_back: CALLS_BACK,
  bad_context: BAD,
  by_type: 'SEC("tp_btf/sys_enter") int p(void *ctx) { return 0; }',
  optional: `${hook} { return 0; } SEC("?raw_tp/sys_exit") int q(void *ctx) { ${state} ${read} }`,
  by_version: `extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
    ${hook} { ${state} if (LINUX_KERNEL_VERSION < 0x50e00) { ${read} } return 0; }`,
  by_parameter: `const volatile int old = 0; ${hook} { ${state} if (old) { ${read} } return 0; }`,
  asks_first: `${hook} { ${state} if (EXISTS(t->state)) { ${read} } return 0; }`,
  reads_state: `${hook} { ${state} ${read} }`,
  endless: `${hook} { long n = 1; for (;;) { n += (long)ctx; __asm__ volatile("" : "+r"(n)); } return n; }`,
};

let fleet: PaperFleet;
beforeAll(async () => {
  fleet = await PaperFleet.start();
});
afterAll(() => fleet?.stop());

interface Probe {
  readonly name: string;
  readonly object: Buffer;
  readonly manifest: string;
}

async function probes(): Promise<Probe[]> {
  const made = Object.entries(PURPOSE_MADE).map(([name, source]) => {
    const params = name === 'by_parameter' ? 'params: { old: { default: 0 } }\n' : '';
    return { name, object: compileCore(/license/.test(source) ? source : licensed(source)), manifest: params };
  });
  const builtIn = await Promise.all(
    BUILT_IN_PROBES.map(async (name) => {
      const manifest = builtInManifest(name).replace(/^(name|version|summary):.*\n/gm, '');
      return { name, object: await compileBuiltIn(name), manifest };
    }),
  );
  return [...builtIn, ...made];
}

/** What the machine's kernel makes of it, as a device of that kind would load it. */
async function prove(machine: LabMachine, { object, manifest }: Probe, types: Buffer) {
  const parsed = parseManifest(`name: probe\nversion: 1.0.0\nsummary: x\n${manifest}`);
  const file = readObject(object);
  const globals = globalImages(file, parsed, resolveParams(parsed, {}));
  const tailored = machine.btf === undefined && file.coreRelocations.length > 0;
  const btf = tailored ? Buffer.from(tailorBtf(file, parseBtf(types))) : undefined;
  return machine.prove({ object, globals, btf }, PROVE_TIMEOUT_MS, never);
}

async function answerFor(releaseId: string): Promise<PreflightGroup> {
  const { groups } = await fleet.api.call('preflight', { body: { releaseId, selector: 'all' } });
  expect(groups).toHaveLength(1);
  return groups[0] as PreflightGroup;
}

/** A device that runs the machine's kernel. */
async function enrol(machine: LabMachine, types: Buffer): Promise<Facts> {
  await fleet.get(PrismaService).device.deleteMany();
  const btfDigest = machine.btf === undefined ? null : digestOf(machine.btf);
  const facts = kernelFacts('arm64-6.1', {
    ...machine.kernel,
    btfDigest,
    features: ['ringbuf', 'xdp', ...(machine.btf ? ['btf'] : [])],
    lacks: [],
  });
  await fleet.device(facts);
  if (machine.btf) await fleet.knowBtf(types, 64);
  else await fleet.api.call('addBtf', { query: { buildId: facts.kernelBuildId ?? '' }, body: types });
  return facts;
}

for (const target of ['arm64-5.10', 'arm64-6.1', 'arm64-6.12', 'armv7-6.1'] as const) {
  await describeWithVm(target, 'pre-flight', () => {
    it(
      'agrees with what the kernel does: no wrong “takes it”, no wrong “refuses”',
      async () => {
        const order = { target, image: undefined, kernelArgs: [], jit: null };
        const machine = await new QemuMachines(config).start(order, BOOT_TIMEOUT_MS, never);
        try {
          const types = machine.btf ?? foreignBtf('armhf-6.1');
          const facts = await enrol(machine, types);
          const counts = { takes: 0, refuses: 0, unknown: 0 };
          for (const probe of await probes()) {
            const release = await fleet.release(probe.object, probe.manifest);
            const before = await answerFor(release);
            const report = await prove(machine, probe, types);
            await fleet.prove(release, facts, verdictOfReport(report, probe.object));
            const after = await answerFor(release);
            // It would load, and the server does not let it.
            const misreads = before.reasons.every(({ kind }) => kind === 'read_size');
            const seen = { probe: probe.name, before: before.verdict, kernel: report.verdict, after: after.verdict };
            const taken = report.verdict === 'accepted' && !misreads;
            expect(seen).toEqual({
              ...seen,
              before: before.verdict === 'refuses' && !taken ? 'refuses' : 'unknown',
              after: taken ? 'takes' : 'refuses',
            });
            counts[after.verdict]++;
            if (before.verdict === 'unknown') counts.unknown++;
          }
          const { takes, refuses, unknown } = counts;
          recordVmFact(
            target,
            'pre-flight',
            `${takes} takes, ${refuses} refuses, 0 wrong; ${unknown} unknown before it was asked`,
          );
        } finally {
          await machine.stop();
        }
      },
      TEST_TIMEOUT_MS,
    );
  });
}

import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { parseBtf, readObject, tailorBtf } from '@bpfleet/btf';
import { acceptAddendum, acceptBlob, acceptDesired, digestOf, type DesiredEntry } from '@bpfleet/trust';
import { createTestDatabase, describeWithKernel } from '@bpfleet/testkit';
import { decodeBlobChunk, docErrorSchema, parseMessage } from '@bpfleet/wire';
import { AssignmentsApiModule } from '../../assignments/index.js';
import { ControlModule } from '../../control/index.js';
import { addDevice, addRelease, Bench, benchFacts } from '../../control/testing/bench.js';
import { assign, birth, report, settle, sync } from '../../control/testing/steps.js';
import { DebugRuns } from '../../debug/debug-runs.service.js';
import { kernelGroupOf } from '../groups/index.js';
import { KernelBtfs, KernelVerdicts } from '../index.js';
import { compileCore, READS_ELSEWHERE, READS_LONG, READS_OLD_STATE, READS_PID } from '../testing/core-object.js';
import { foreignBtf } from '../testing/kernel-btf.js';
import { UNTYPED_BUILD, untyped, UntypedFleet } from '../testing/untyped-fleet.js';
import { ResolveWorker } from '../verdicts/resolve-worker.js';

describeWithKernel('a device whose kernel shows no BTF', ['clang'], () => {
  const armhf = foreignBtf('armhf-6.1');
  const arm64 = foreignBtf('arm64-6.1');
  let fleet: UntypedFleet;
  let bench: Bench;

  beforeAll(async () => {
    fleet = await UntypedFleet.start([READS_PID, READS_OLD_STATE, READS_LONG]);
    bench = fleet.bench;
  });
  afterAll(() => fleet?.stop());
  beforeEach(() => fleet.clear());

  /** What the device is to run, as it was last told. */
  async function entriesOf(device: string): Promise<readonly DesiredEntry[]> {
    await settle(bench);
    const row = await bench.prisma.device.findUnique({ where: { id: device }, select: { desiredEnvelope: true } });
    const envelope = Buffer.from(row?.desiredEnvelope ?? Buffer.alloc(0));
    return acceptDesired(bench.keys.root.document, device, undefined, envelope).entries;
  }

  const runsOf = (device: string) =>
    bench.prisma.run.findMany({ where: { deviceId: device }, orderBy: { state: 'asc' } });

  async function get(device: string, question: object): Promise<Buffer> {
    bench.link.clear();
    await bench.say(device, { kind: 'get', rid: 'r1' }, { v: 1, ...question });
    return bench.link.sentTo(device)[0]?.payload as Buffer;
  }

  it('is offered a release with an addendum for its build, which it can check, and the BTF that it names', async () => {
    await fleet.addBtf();
    const device = await fleet.born();
    const release = await fleet.publish(READS_PID);
    await assign(bench, release.id, 'all');
    const [entry] = await entriesOf(device);
    const envelope = await get(device, { kind: 'addendum', digest: entry?.addendum });
    const use = { release: release.digest, object: release.objectDigest, buildId: UNTYPED_BUILD };
    const addendum = acceptAddendum(bench.keys.root.document, entry?.addendum ?? '', envelope, use);
    const { digest, bytes } = addendum.btf;
    const chunk = decodeBlobChunk(await get(device, { kind: 'blob', digest, offset: 0, bytesMax: bytes }));
    const btf = acceptBlob(digest, chunk?.bytes ?? Buffer.alloc(0));
    expect(Buffer.from(btf).equals(Buffer.from(tailorBtf(readObject(release.object), parseBtf(armhf))))).toBe(true);
    expect(btf.length).toBeLessThan(1_000);
    // Another device of that build gets the same; the release's own documents are as they were.
    const [again] = await entriesOf(await fleet.born({ ...untyped, jit: 'off' }));
    expect(again?.addendum).toBe(entry?.addendum);
  });

  it('gives nobody what was not signed: other digests are unknown', async () => {
    const device = await fleet.born();
    const unknown = await get(device, { kind: 'addendum', digest: 'f'.repeat(64) });
    expect(parseMessage(docErrorSchema, unknown).error.code).toBe('DOCUMENT_UNKNOWN');
    await fleet.addBtf();
    expect(await get(device, { kind: 'blob', digest: digestOf(armhf), offset: 0, bytesMax: 100 })).toHaveLength(0);
  });

  it('is asked anew, under a new run, when an administrator gives the BTF that it had missed', async () => {
    const device = await fleet.born();
    const release = await fleet.publish(READS_PID);
    await assign(bench, release.id, 'all');
    const [first] = await entriesOf(device);
    expect(first).not.toHaveProperty('addendum');
    const error = { code: 'BTF_MISSING', message: 'the kernel shows no BTF' };
    await bench.say(
      device,
      { kind: 'run', run: first?.run ?? '' },
      report(first?.run ?? '', release.digest, 'REJECTED', 3, { error }),
    );
    expect((await entriesOf(device)).map(({ run }) => run)).toEqual([first?.run]);
    await fleet.addBtf();
    const [second] = await entriesOf(device);
    expect(second?.run).not.toBe(first?.run);
    expect(second?.addendum).toMatch(/^[0-9a-f]{64}$/);
    expect((await runsOf(device)).map(({ state, wanted }) => [state, wanted])).toEqual([
      ['OFFERED', true],
      ['REJECTED', false],
    ]);
  });

  it.each([
    ['what its kernel has no more', READS_OLD_STATE, /`__state`/],
    ['garbage', READS_LONG, /nvcsw, which has 4 in this kernel, and gets garbage/],
  ])('is not offered what would read %s, and its run says why', async (_, source, why) => {
    await fleet.addBtf();
    const device = await fleet.born();
    const release = await fleet.publish(source);
    await assign(bench, release.id, 'all');
    expect(await entriesOf(device)).toEqual([]);
    await sync(bench, device);
    const [run, ...others] = await runsOf(device);
    expect(others).toEqual([]);
    expect(run).toMatchObject({
      state: 'REJECTED',
      error: { code: 'KERNEL_TYPES', message: expect.stringMatching(why) },
    });
  });

  it('is offered it after all when the BTF was the wrong one', async () => {
    await fleet.addBtf();
    const device = await fleet.born();
    await assign(bench, (await fleet.publish(READS_LONG)).id, 'all');
    expect(await entriesOf(device)).toEqual([]);
    await fleet.addBtf(arm64, 'arm64', true);
    expect(await entriesOf(device)).toMatchObject([{ addendum: expect.any(String) }]);
    expect((await runsOf(device)).map(({ state }) => state)).toEqual(['OFFERED', 'REJECTED']);
  });

  it('tells a debug run at once that it cannot be loaded', async () => {
    await fleet.addBtf();
    const device = await fleet.born();
    const release = await fleet.publish(READS_OLD_STATE);
    const body = { device, releaseId: release.id, params: {}, minutes: 10 };
    const run = await bench.get(DebugRuns).create('kari', body);
    expect(await entriesOf(device)).toEqual([]);
    expect(await bench.prisma.run.findUnique({ where: { id: run.id } })).toMatchObject({ state: 'REJECTED' });
  });

  it('gets no addendum from a BTF that another device gave, whatever build it claims', async () => {
    await bench.get(KernelBtfs).add({
      digest: digestOf(armhf),
      bytes: armhf,
      pointerBits: 32,
      source: 'device',
      addedBy: 'dliar0000001',
    });
    await fleet.born({ ...untyped, btfDigest: digestOf(armhf) });
    const device = await fleet.born();
    await assign(bench, (await fleet.publish(READS_PID)).id, 'all');
    expect((await entriesOf(device))[0]).not.toHaveProperty('addendum');
  });

  it('with an agent that does not know addenda gets none, and still what needs none', async () => {
    await fleet.addBtf();
    const { understands: _, ...old } = untyped;
    const device = await fleet.born(old);
    await assign(bench, (await fleet.publish(READS_PID)).id, 'all');
    const [entry] = await entriesOf(device);
    expect(entry).toBeDefined();
    expect(entry).not.toHaveProperty('addendum');
  });

  it('is asked anew about what an earlier kernel had rejected', async () => {
    const device = await fleet.born();
    const release = await fleet.publish(READS_PID);
    await assign(bench, release.id, 'all');
    const [first] = await entriesOf(device);
    const refusal = report(first?.run ?? '', release.digest, 'REJECTED', 3, { error: { code: 'X', message: 'no' } });
    await bench.say(device, { kind: 'run', run: first?.run ?? '' }, refusal);
    await fleet.birth(device, { ...benchFacts, understands: ['addendum'] });
    const [second] = await entriesOf(device);
    expect([second?.release, second?.run === first?.run]).toEqual([release.digest, false]);
  });

  it('has its verdicts on record for each release and group, anew when the types are others', async () => {
    await fleet.addBtf();
    await fleet.born();
    await fleet.born({ ...benchFacts, btfDigest: null, kernelBuildId: null });
    const good = await fleet.publish(READS_PID);
    const bad = await fleet.publish(READS_LONG);
    const verdictsOf = async (id: string) =>
      (await bench.get(KernelVerdicts).newestOf(id)).map(({ kernelGroupId, stage, verdict, btfDigest, reasons }) => ({
        own: kernelGroupId === kernelGroupOf(untyped).id,
        stage,
        verdict,
        btfDigest,
        kinds: reasons.map(({ kind }) => kind),
      }));
    while (await bench.get(ResolveWorker).resolveOne());
    const resolved = { own: true, stage: 'resolve', btfDigest: digestOf(armhf) };
    expect(await verdictsOf(good.id)).toEqual([{ ...resolved, verdict: 'accepted', kinds: [] }]);
    expect(await verdictsOf(bad.id)).toEqual([{ ...resolved, verdict: 'refused', kinds: ['read_size'] }]);
    const rows = await bench.prisma.kernelVerdict.count();
    await fleet.addBtf(arm64, 'arm64', true);
    while (await bench.get(ResolveWorker).resolveOne());
    expect(await verdictsOf(bad.id)).toMatchObject([{ verdict: 'accepted', btfDigest: digestOf(arm64) }]);
    expect(await bench.prisma.kernelVerdict.count()).toBeGreaterThan(rows);
    expect(await bench.get(ResolveWorker).resolveOne()).toBe(false);
  });
});

describeWithKernel('a device whose kernel shows its BTF', ['clang'], () => {
  // A pid has 4 bytes everywhere; a program that takes it for 8 loads on every kernel.
  const READS_TOO_MUCH = `struct task_struct___wide { long pid; } __attribute__((preserve_access_index));
    SEC("raw_tp/x") int p(struct task_struct___wide *t) { long n; probe_read(&n, sizeof(n), &t->pid); return n; }`;

  it('is not offered what it would load and misread, and is asked about what it may refuse itself', async () => {
    const database = await createTestDatabase();
    const bench = await Bench.start({ databaseUrl: database.url, modules: [ControlModule, AssignmentsApiModule] });
    try {
      bench.link.connect();
      const arm64 = foreignBtf('arm64-6.1');
      const device = await addDevice(bench);
      await birth(bench, device, 1, {
        facts: { ...benchFacts, btfDigest: digestOf(arm64), understands: ['addendum'] },
      });
      const given = { bytes: arm64, pointerBits: 64, source: 'device', addedBy: device } as const;
      await bench.get(KernelBtfs).add({ digest: digestOf(arm64), ...given });
      for (const [probe, source] of Object.entries({
        fits: READS_PID,
        misread: READS_TOO_MUCH,
        gone: READS_OLD_STATE,
      })) {
        const release = await addRelease(bench, { probe, object: compileCore(source) });
        await assign(bench, release.id, 'all');
      }
      await settle(bench);
      const entries = (await sync(bench, device)).desired?.entries ?? [];
      expect(entries.map(({ probe, addendum }) => [probe, addendum])).toEqual([
        ['fits', undefined],
        ['gone', undefined],
      ]);
      const refused = await bench.prisma.run.findFirst({ where: { state: 'REJECTED' } });
      expect(refused?.error).toMatchObject({ code: 'KERNEL_TYPES', message: expect.stringMatching(/pid.*garbage/) });
    } finally {
      await bench.stop();
      await database.drop();
    }
  });
});

describeWithKernel('a fleet that is to spare memory', ['clang'], () => {
  it('gets tailored BTF for what is new, and leaves alone what runs', async () => {
    const database = await createTestDatabase();
    const bench = await Bench.start({
      databaseUrl: database.url,
      modules: [ControlModule, AssignmentsApiModule],
      environment: { BPFLEET_TAILORED_BTF: 'always' },
    });
    try {
      bench.link.connect();
      const arm64 = foreignBtf('arm64-6.1');
      const device = await addDevice(bench);
      const facts = { ...benchFacts, btfDigest: digestOf(arm64), understands: ['addendum'] };
      await birth(bench, device, 1, { facts });
      const entries = async () => {
        await settle(bench);
        return (await sync(bench, device)).desired?.entries ?? [];
      };
      const release = await addRelease(bench, { probe: 'early', object: compileCore(READS_PID) });
      await assign(bench, release.id, 'all');
      expect((await entries())[0]).not.toHaveProperty('addendum');
      const given = { bytes: arm64, pointerBits: 64, source: 'device', addedBy: device } as const;
      await bench.get(KernelBtfs).add({ digest: digestOf(arm64), ...given });
      const late = await addRelease(bench, { probe: 'late', object: compileCore(READS_PID) });
      await assign(bench, late.id, 'all');
      const [early, later] = await entries();
      expect([early?.probe, early?.addendum]).toEqual(['early', undefined]);
      expect([later?.probe, later?.addendum]).toEqual(['late', expect.stringMatching(/^[0-9a-f]{64}$/)]);
      // By types that it is handed libbpf looks in no module, and by the kernel's own it does.
      const modular = await addRelease(bench, { probe: 'modular', object: compileCore(READS_ELSEWHERE) });
      await assign(bench, modular.id, 'all');
      const own = (await entries()).find(({ probe }) => probe === 'modular');
      expect([own?.probe, own?.addendum]).toEqual(['modular', undefined]);
    } finally {
      await bench.stop();
      await database.drop();
    }
  });
});

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { listLinks, listPrograms } from '@bpfleet/node-libbpf';
import { describeWithKernel, missingCapabilities } from '@bpfleet/testkit';
import { AgentProcess } from './testing/agent-process.js';
import { compileBpf } from './testing/compile.js';
import { FleetServer, flipByte, type BrokerKind } from './testing/fleet-server.js';
import { priorityManifest, prioritySource } from './testing/priority-probe.js';

const DEVICE = 'dkernel00001';
const RUN = 'r00000001';
const LEASES = `/run/bpfleet/${DEVICE}.leases`;
const WHO_OFFSET = 12;
/** A name of its own: other tests attach the same probe on the same kernel. */
const PROGRAM = 'on_agent_test';
const named = (text: string): string => text.replaceAll('on_getpriority', PROGRAM);
const source = named(prioritySource);
const manifest = named(priorityManifest);

/** One system call each, numbered; there is no such process, and the kernel says so after it was traced. */
function call(from: number, count: number): void {
  for (let number = from; number < from + count; number++) {
    try {
      getPriority(number);
    } catch {
      // ESRCH is what we wanted.
    }
  }
}

function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

function myPrograms() {
  return listPrograms().filter(({ name }) => PROGRAM.startsWith(name));
}

function linksOf(program: number | undefined): number[] {
  return listLinks()
    .filter(({ programId }) => programId === program)
    .map(({ id }) => id);
}

describeWithKernel('an agent on this kernel', ['root', 'bpf', 'bpffs', 'tracefs', 'clang'], () => {
  let object: Buffer;
  let server: FleetServer;
  let state: string;
  let agents: AgentProcess[] = [];

  beforeAll(() => {
    object = compileBpf(source);
  });

  const startAgent = (): AgentProcess => {
    const agent = new AgentProcess(['run', '--state', state]);
    agents.push(agent);
    return agent;
  };

  const setUp = async (kind: BrokerKind = 'embedded'): Promise<AgentProcess> => {
    server = await FleetServer.start(DEVICE, kind);
    state = await server.enrolledState();
    return startAgent();
  };

  const desirePriority = async (): Promise<void> => {
    const release = server.publish(manifest, object, 'watch_priority');
    await server.desire([server.entry(RUN, release, { params: { caller: process.pid } })]);
  };

  const rateDrops = (): number => Math.max(0, ...server.batches.map(({ header }) => header.drops.rate));

  const received = (): number[] => server.recordValues(WHO_OFFSET).sort((a, b) => a - b);

  afterEach(async () => {
    for (const agent of agents) await agent.signal('SIGKILL');
    agents = [];
    await server.stop();
    rmSync(state, { recursive: true, force: true });
    rmSync(`/sys/fs/bpf/bpfleet/${DEVICE}`, { recursive: true, force: true });
    rmSync(LEASES, { force: true });
  });

  it('attaches what a signed desired state names, and its events arrive as batches', async () => {
    const agent = await setUp();
    await expect(agent.ready).resolves.toEqual({ ready: true, device: DEVICE });
    await desirePriority();
    const report = await server.untilState(RUN, 'ATTACHED');
    // What the reaper goes by, should this agent die.
    expect(readFileSync(LEASES, 'utf8')).toMatch(new RegExp(`^run ${RUN} \\d+$`, 'm'));
    expect(report).toMatchObject({ hold: 'pinned', adopted: false, programs: [{ name: PROGRAM }] });
    call(1_000_000, 1_000);
    await server.until(() => server.recordValues(WHO_OFFSET).length >= 1_000);
    expect(received()).toEqual(numbers(1_000_000, 1_000));
    const batch = server.batches.find(({ header }) => header.source.kind === 'ring');
    expect(batch?.header).toMatchObject({ stream: 'events', run: RUN, drops: { kernel: 0, rate: 0, spool: 0 } });
  });

  it('adopts the run after kill -9: the same link, no gap, nothing twice', async () => {
    const first = await setUp();
    await desirePriority();
    const before = await server.untilState(RUN, 'ATTACHED');
    call(2_000_000, 500);
    await server.until(() => received().length >= 500);
    const [program] = myPrograms();
    const links = linksOf(program?.id);
    expect(links).toHaveLength(1);
    await first.signal('SIGKILL');
    // Nobody drains now: the ring holds these.
    call(2_000_500, 500);
    expect(myPrograms().map(({ id }) => id)).toEqual([program?.id]);
    startAgent();
    const after = await server.untilState(RUN, 'ATTACHED', before.revision + 1);
    expect(after).toMatchObject({ adopted: true, programs: [{ id: program?.id }] });
    call(2_001_000, 500);
    await server.until(() => received().length >= 1_500);
    expect(received()).toEqual(numbers(2_000_000, 1_500));
    expect(linksOf(program?.id)).toEqual(links);
    expect(Math.max(...server.batches.map(({ header }) => header.epoch))).toBe(2);
  });

  it('loses nothing and doubles nothing when it is killed again and again under load', async () => {
    let agent = await setUp();
    await desirePriority();
    let { revision } = await server.untilState(RUN, 'ATTACHED');
    const rounds = 4;
    const perRound = 2_000;
    for (let round = 0; round < rounds; round++) {
      const first = 7_000_000 + round * perRound;
      call(first, perRound / 2);
      // Killed at another point of drain, write, fsync and commit each time: as soon as it has sent something new.
      await server.until(() => received().some((number) => number >= first));
      call(first + perRound / 2, perRound / 2);
      await agent.signal('SIGKILL');
      agent = startAgent();
      ({ revision } = await server.untilState(RUN, 'ATTACHED', revision + 1));
    }
    await server.until(() => received().length >= rounds * perRound);
    expect(received()).toEqual(numbers(7_000_000, rounds * perRound));
  });

  it('sends again after kill -9 what was not acknowledged, under its own epoch', async () => {
    const first = await setUp();
    server.acknowledging = false;
    await desirePriority();
    await server.untilState(RUN, 'ATTACHED');
    call(3_000_000, 300);
    await server.until(() => received().length >= 300);
    await first.signal('SIGKILL');
    server.batches.length = 0;
    server.acknowledging = true;
    startAgent();
    await server.until(() => received().length >= 300);
    expect(received()).toEqual(numbers(3_000_000, 300));
    expect(new Set(server.batches.filter((b) => b.header.source.kind === 'ring').map((b) => b.header.epoch))).toEqual(
      new Set([1]),
    );
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('leaves nothing in the kernel on %s', async (signal) => {
    const agent = await setUp();
    await desirePriority();
    const before = await server.untilState(RUN, 'ATTACHED');
    call(4_000_000, 100);
    await expect(agent.signal(signal)).resolves.toEqual({ code: 0, signal: null });
    expect(myPrograms()).toEqual([]);
    expect(existsSync(`/sys/fs/bpf/bpfleet/${DEVICE}`)).toBe(false);
    expect(existsSync(LEASES)).toBe(false);
    await server.until(() => server.births.find(({ online }) => !online));
    expect(server.births.map(({ online, connection }) => ({ online, connection }))).toEqual([
      { online: true, connection: 1 },
      { online: false, connection: 1 },
    ]);
    // What it saw last is in the spool, for the next start.
    startAgent();
    await server.untilState(RUN, 'ATTACHED', before.revision + 1);
    await server.until(() => received().length >= 100);
    expect(received()).toEqual(numbers(4_000_000, 100));
    expect(myPrograms()).toHaveLength(1);
  });

  it('stops as cleanly when nobody reads its log any more', async () => {
    const agent = await setUp();
    await agent.ready;
    await desirePriority();
    await server.untilState(RUN, 'ATTACHED');
    agent.closeLog();
    await expect(agent.signal('SIGTERM')).resolves.toEqual({ code: 0, signal: null });
    expect(existsSync(`/sys/fs/bpf/bpfleet/${DEVICE}`)).toBe(false);
  });

  it('leaves its runs pinned on SIGUSR2, and the next agent goes on', async () => {
    const agent = await setUp();
    await desirePriority();
    const before = await server.untilState(RUN, 'ATTACHED');
    await expect(agent.signal('SIGUSR2')).resolves.toEqual({ code: 0, signal: null });
    call(5_000_000, 200);
    startAgent();
    await server.untilState(RUN, 'ATTACHED', before.revision + 1);
    await server.until(() => received().length >= 200);
    expect(received()).toEqual(numbers(5_000_000, 200));
  });

  it('takes out what is not wanted any more, and pins that nobody knows', async () => {
    const agent = await setUp();
    await desirePriority();
    await server.untilState(RUN, 'ATTACHED');
    await server.desire([]);
    await server.untilState(RUN, 'REMOVED');
    expect(myPrograms()).toEqual([]);
    expect(existsSync(`/sys/fs/bpf/bpfleet/${DEVICE}`)).toBe(false);
    await agent.signal('SIGKILL');
    mkdirSync(`/sys/fs/bpf/bpfleet/${DEVICE}/r99999999/maps`, { recursive: true });
    await startAgent().ready;
    expect(existsSync(`/sys/fs/bpf/bpfleet/${DEVICE}`)).toBe(false);
  });

  it('refuses a desired state with a flipped byte, says so, and touches nothing', async () => {
    await setUp();
    await desirePriority();
    await server.untilState(RUN, 'ATTACHED');
    server.tamper = (kind, bytes) => (kind === 'desired' ? flipByte(bytes) : bytes);
    await server.desire([]);
    const reported = await server.until(() => server.reported.find(({ refused }) => refused !== undefined));
    expect(reported.refused?.code).toMatch(/^TRUST_(SIGNATURE|ENVELOPE)$/);
    expect(reported).toMatchObject({ generation: 2, runs: [{ run: RUN, state: 'ATTACHED' }] });
    expect(myPrograms()).toHaveLength(1);
  });

  it.each(['doc', 'blob'] as const)('loads nothing from a %s with a flipped byte, and says so', async (bent) => {
    await setUp();
    server.tamper = (kind, bytes) => (kind === bent ? flipByte(bytes) : bytes);
    await desirePriority();
    const report = await server.untilState(RUN, 'FAILED');
    expect(report.error?.code).toBe('TRUST_DIGEST');
    expect(myPrograms()).toEqual([]);
  });

  it('reports the verifier and its log, and does not try again', async () => {
    await setUp();
    const refused = compileBpf(
      source.replace('return 0;\n}\n\nchar', 'return *(int *)(__u64)ctx->args[2];\n}\n\nchar'),
    );
    const release = server.publish(manifest, refused, 'watch_priority');
    await server.desire([server.entry(RUN, release)]);
    const report = await server.untilState(RUN, 'REJECTED');
    expect(report.error).toMatchObject({ code: 'VERIFIER_REFUSED' });
    expect(report.error?.log).toContain('R');
  });

  it('ends a debug run by itself', async () => {
    await setUp();
    const release = server.publish(manifest, object, 'watch_priority');
    const reason = { kind: 'debug' as const, intent: 'x1' };
    await server.desire([server.entry(RUN, release, { endsAfterSeconds: 1, reason })]);
    await server.untilState(RUN, 'ATTACHED');
    await server.untilState(RUN, 'ENDED');
    expect(myPrograms()).toEqual([]);
  });

  it('refuses maps above the budget before it loads anything', async () => {
    await setUp();
    const release = server.publish(manifest, object, 'watch_priority');
    const budget = { cpuPercent: 50, mapBytes: 4096, eventsPerSecond: 100 };
    await server.desire([server.entry(RUN, release, { budget })]);
    const report = await server.untilState(RUN, 'REJECTED');
    expect(report.error?.code).toBe('BUDGET_MAP_BYTES');
  });

  it('counts the events above the budget and sends the others', async () => {
    await setUp();
    const release = server.publish(manifest, object, 'watch_priority');
    const budget = { cpuPercent: 50, mapBytes: 4 << 20, eventsPerSecond: 10 };
    await server.desire([server.entry(RUN, release, { params: { caller: process.pid }, budget })]);
    await server.untilState(RUN, 'ATTACHED');
    call(6_000_000, 1_000);
    // The batch of the map's next snapshot tells the counters that the last records had no batch to tell with.
    await server.until(() =>
      server.batches.find(({ header }) => header.drops.rate > 0 && rateDrops() + received().length === 1_000),
    );
    expect(received().length).toBeLessThan(100);
  });

  describe.each<{ kind: BrokerKind; needs: 'mosquitto'[] }>([
    { kind: 'embedded', needs: [] },
    { kind: 'mosquitto', needs: ['mosquitto'] },
  ])('with the $kind broker', ({ kind, needs }) => {
    const missing = missingCapabilities(needs);
    const test = missing.length === 0 ? it : it.skip;
    const title = 'goes on while the broker is down, and tells everything afterwards';
    test(missing.length === 0 ? title : `${title} [needs ${missing.join(', ')}]`, async () => {
      await setUp(kind);
      await desirePriority();
      await server.untilState(RUN, 'ATTACHED');
      call(8_000_000, 100);
      await server.until(() => received().length >= 100);
      const ports = await server.stopBroker();
      call(8_000_100, 100);
      await server.startBroker(ports.port, ports.serverPort);
      call(8_000_200, 100);
      await server.until(() => received().length >= 300);
      expect(received()).toEqual(numbers(8_000_000, 300));
      expect(myPrograms()).toHaveLength(1);
    });
  });
});

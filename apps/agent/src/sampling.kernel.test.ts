import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { listLinks } from '@bpfleet/node-libbpf';
import { describeWithKernel } from '@bpfleet/testkit';
import type { RunReport } from '@bpfleet/wire';
import { AgentProcess } from './testing/agent-process.js';
import { compileBpf } from './testing/compile.js';
import { FleetServer, type ReceivedBatch } from './testing/fleet-server.js';
import { samplingManifest, samplingSource } from './testing/sampling-probe.js';

const DEVICE = 'dkernel00002';
const RUN = 'r00000002';
const INTERFACE = `bpft${process.pid % 100_000}`;
const PEER = `${INTERFACE}p`;
const SEND = "const s = require('dgram').createSocket('udp4'); s.send('ping', 9, '192.0.2.1', () => s.close())";

describeWithKernel('snapshots on this kernel', ['root', 'bpf', 'bpffs', 'net_admin', 'netns', 'clang'], () => {
  let server: FleetServer;
  let state: string;
  let agents: AgentProcess[] = [];

  beforeEach(() => {
    // An interface of its own: one interface takes one XDP program, and other tests use the loopback.
    ip('link', 'add', INTERFACE, 'type', 'veth', 'peer', 'name', PEER);
    for (const name of [INTERFACE, PEER]) ip('link', 'set', name, 'up');
  });

  afterEach(async () => {
    ip('link', 'del', INTERFACE);
    for (const agent of agents) await agent.signal('SIGKILL');
    agents = [];
    await server.stop();
    rmSync(state, { recursive: true, force: true });
    rmSync(`/sys/fs/bpf/bpfleet/${DEVICE}`, { recursive: true, force: true });
  });

  const startAgent = (): void => {
    agents.push(new AgentProcess(['run', '--state', state]));
  };

  const batchOf = (kind: string, map: string): ReceivedBatch | undefined =>
    server.batches.find(({ header }) => header.source.kind === kind && header.source.map === map && header.count > 0);

  it('attaches XDP and one sampler per CPU, adopts both, and sends maps, stacks and kernel symbols', async () => {
    server = await FleetServer.start(DEVICE);
    state = await server.enrolledState();
    startAgent();
    const release = server.publish(samplingManifest, compileBpf(samplingSource), 'sample_both');
    const budget = { cpuPercent: 50, mapBytes: 8 << 20, eventsPerSecond: 0 };
    await server.desire([
      server.entry(RUN, release, { probe: 'sample_both', params: { interface: INTERFACE }, budget }),
    ]);
    const attached = await server.untilState(RUN, 'ATTACHED');
    expect(attached.hold).toBe('pinned');
    expect(linksOf(attached)).toHaveLength(1 + availableParallelism());
    sendPacket();
    const packets = await server.until(() => batchOf('map', 'packets'));
    expect(packets.header.cpus).toBeGreaterThanOrEqual(1);
    expect(packets.header.sections.map(({ stride }) => stride)).toEqual([4, 8 * (packets.header.cpus ?? 0), 4]);
    const stacks = await server.until(() => batchOf('stacks', 'stacks'));
    expect(stacks.header.sections[0]).toEqual({ stride: 8, items: stacks.header.count });
    const names = await server.until(() => batchOf('names', 'stacks'));
    const list = JSON.parse(Buffer.from(names.sections[0] ?? []).toString()) as {
      kind: string;
      id: string;
      name: string;
    }[];
    expect(list.length).toBe(names.header.count);
    expect(list.every(({ kind, id, name }) => kind === 'ksym' && /^\d+$/.test(id) && name !== '')).toBe(true);

    const [agent] = agents;
    await agent?.signal('SIGKILL');
    startAgent();
    const adopted = await server.untilState(RUN, 'ATTACHED', attached.revision + 1);
    expect(adopted.adopted).toBe(true);
    expect(linksOf(adopted)).toEqual(linksOf(attached));
    expect(linksOf(adopted)).toHaveLength(1 + availableParallelism());
    const again = await server.until(() =>
      server.batches.find((b) => b.header.epoch === 2 && b.header.source.map === 'packets'),
    );
    expect(again.header.keyframe).toBe(true);
  });
});

/** Ids of the links that hold a run's programs; other tests have theirs on this kernel too. */
function linksOf(report: RunReport): number[] {
  const programs = new Set(report.programs?.map(({ id }) => id));
  return listLinks()
    .filter(({ programId }) => programs.has(programId))
    .map(({ id }) => id);
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'ignore', env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' } });
}

/** Asks the other end who has an address: whatever the answer, a packet arrives. */
function sendPacket(): void {
  ip('neigh', 'replace', '192.0.2.1', 'lladdr', '02:00:00:00:00:01', 'dev', PEER);
  ip('route', 'replace', '192.0.2.1/32', 'dev', PEER);
  execFileSync(process.execPath, ['-e', SEND]);
}

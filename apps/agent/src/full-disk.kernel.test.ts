import { cpSync, rmSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { AgentProcess } from './testing/agent-process.js';
import { compileBpf } from './testing/compile.js';
import { FleetServer } from './testing/fleet-server.js';
import { priorityManifest, prioritySource } from './testing/priority-probe.js';
import { SmallDisk } from './testing/small-disk.js';

const DEVICE = 'dfulldisk001';
const FIRST = 'r00000001';
const SECOND = 'r00000002';
const WHO_OFFSET = 12;

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

const named = (text: string): string => text.replaceAll('on_getpriority', 'on_full_disk');
const numbers = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

describeWithKernel('an agent on a full disk', ['root', 'bpf', 'bpffs', 'tracefs', 'clang'], () => {
  let object: Buffer;
  let disk: SmallDisk;
  let server: FleetServer;
  let agents: AgentProcess[];

  beforeAll(() => {
    // A name of its own: other tests count the programs of theirs on the same kernel.
    object = compileBpf(named(prioritySource));
  });
  beforeEach(async () => {
    agents = [];
    disk = new SmallDisk('2m');
    server = await FleetServer.start(DEVICE);
    const enrolled = await server.enrolledState();
    cpSync(enrolled, disk.folder, { recursive: true });
    rmSync(enrolled, { recursive: true });
  });
  afterEach(async () => {
    for (const agent of agents) await agent.signal('SIGTERM');
    await server.stop();
    disk.unmount();
  });

  const startAgent = (): AgentProcess => {
    const agent = new AgentProcess(['run', '--state', disk.folder]);
    agents.push(agent);
    return agent;
  };

  /** Calls from 1 000 000 up belong to these tests. */
  const seen = (): number[] =>
    server
      .recordValues(WHO_OFFSET)
      .filter((who) => who >= 1_000_000)
      .sort((a, b) => a - b);

  it('keeps what runs and attaches nothing new; killed, starts again, adopts, and loses no record', async () => {
    const release = server.publish(named(priorityManifest), object, 'watch_priority');
    const entries = [
      server.entry(FIRST, release, { params: { caller: process.pid } }),
      server.entry(SECOND, release, { params: { caller: process.pid } }),
    ];
    const first = startAgent();
    await first.ready;
    await server.desire(entries.slice(0, 1));
    await server.untilState(FIRST, 'ATTACHED');
    call(1_000_000, 10);
    await server.until(() => seen().length === 10);

    disk.fill();
    call(1_000_010, 10);
    expect(await first.logged('spool.unwritable')).toMatchObject({ code: 'SPOOL_NO_ROOM' });
    // The spool may have given back what nobody needs any more.
    disk.fill();
    await server.desire(entries);
    const refused = await server.untilState(SECOND, 'FAILED');
    expect(refused.error?.code).toBe('STATE_UNWRITABLE');
    expect([first.count('state.unwritable'), first.count('spool.unwritable')]).toEqual([1, 1]);
    await first.signal('SIGKILL');

    const births = server.births.length;
    const second = startAgent();
    await second.ready;
    await server.until(() => server.births.length > births);
    const connections = server.births.filter(({ online }) => online).map(({ connection }) => connection);
    expect(connections).toEqual([...new Set(connections)].sort((a, b) => a - b));
    expect(await server.until(() => server.reports.find((report) => report.adopted))).toMatchObject({ run: FIRST });
    call(1_000_020, 10);
    await second.logged('spool.unwritable');

    disk.empty();
    await second.logged('spool.writable');
    await server.until(() => seen().length === 30);
    expect(seen()).toEqual(numbers(1_000_000, 30));
    await server.desire(entries);
    await server.untilState(SECOND, 'ATTACHED');
    expect(second.count('agent.crashed')).toBe(0);
  });

  it('lives through a file system that turned read-only, and attaches once it can be written again', async () => {
    const agent = startAgent();
    await agent.ready;
    const release = server.publish(named(priorityManifest), object, 'watch_priority');
    disk.remount('ro');
    await server.desire([server.entry(FIRST, release, { params: { caller: process.pid } })]);
    const refused = await server.untilState(FIRST, 'FAILED');
    expect(refused.error?.code).toBe('STATE_UNWRITABLE');
    disk.remount('rw');
    await agent.logged('state.writable');
    await server.untilState(FIRST, 'ATTACHED');
  });
});

import { readFileSync, rmSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterEach, beforeAll, expect, it } from '@jest/globals';
import { gnuBuildId, parseBtf, readObject, tailorBtf, writeBtf } from '@bpfleet/btf';
import { describeWithKernel } from '@bpfleet/testkit';
import type { DesiredEntry } from '@bpfleet/trust';
import type { RunReport } from '@bpfleet/wire';
import { KERNEL_BTF } from './kernel/btf-file.js';
import { AgentProcess } from './testing/agent-process.js';
import { compileBpf } from './testing/compile.js';
import { FleetServer } from './testing/fleet-server.js';
import { byTypeIdSource, taskManifest, taskSource } from './testing/task-probe.js';

const DEVICE = 'dtypes000001';
const RUN = 'r00000001';
const WHO_OFFSET = 12;
/** Of a process that nobody has made nicer. */
const PRIORITY_DEFAULT = 120;

/** A device whose kernel shows no BTF, as far as its agent is told, and the types of that kernel from elsewhere. */
describeWithKernel('an agent without BTF on this kernel', ['root', 'bpf', 'btf', 'bpffs', 'tracefs', 'clang'], () => {
  const buildId = gnuBuildId(readFileSync('/sys/kernel/notes')) ?? '';
  const kernel = parseBtf(readFileSync(KERNEL_BTF));
  let object: Buffer;
  let tailored: Buffer;
  let server: FleetServer;
  let state: string;
  let agents: AgentProcess[] = [];

  beforeAll(() => {
    object = compileBpf(taskSource);
    tailored = Buffer.from(tailorBtf(readObject(object), kernel));
  });
  afterEach(async () => {
    for (const agent of agents) await agent.signal('SIGKILL');
    agents = [];
    await server.stop();
    rmSync(state, { recursive: true, force: true });
    rmSync(`/sys/fs/bpf/bpfleet/${DEVICE}`, { recursive: true, force: true });
  });

  const startAgent = (btf = '/nonexistent/vmlinux'): AgentProcess => {
    const agent = new AgentProcess(['run', '--state', state, '--btf', btf]);
    agents.push(agent);
    return agent;
  };

  /** Offers a run; `bend` may change what the addendum is made of. */
  const offer = async (bytes: Buffer, change: (release: string) => Partial<DesiredEntry>, btf?: string) => {
    server = await FleetServer.start(DEVICE);
    state = await server.enrolledState();
    startAgent(btf);
    const release = server.publish(taskManifest, bytes, 'watch_priority');
    await server.until(() => server.births[0]);
    await server.desire([server.entry(RUN, release, { params: { caller: process.pid }, ...change(release) })]);
  };

  const withAddendum =
    (btf: Buffer, build = buildId) =>
    (release: string) => ({
      addendum: server.addendum(release, object, build, btf),
    });

  const report = (code: string): Promise<RunReport> =>
    server.until(() => server.reports.find(({ error }) => error?.code === code));

  async function numberSeen(): Promise<number | undefined> {
    await server.untilState(RUN, 'ATTACHED');
    getPriority(0);
    return server.until(() => server.recordValues(WHO_OFFSET)[0]);
  }

  it('runs a CO-RE probe with the tailored BTF that was signed for its kernel build', async () => {
    expect(tailored.length).toBeLessThan(1_000);
    await offer(object, withAddendum(tailored));
    expect(server.births[0]?.facts).toMatchObject({ btfDigest: null, understands: ['addendum'] });
    expect(server.births[0]?.facts?.features).not.toContain('btf');
    expect(await numberSeen()).toBe(process.pid);
  });

  it('reads where that BTF says, and not where the kernel’s own would say', async () => {
    const priority = kernel.findByName('struct', 'task_struct')?.members.find(({ name }) => name === 'prio');
    const types = [...parseBtf(tailored).types()].map((type) => {
      if (type.kind !== 'struct' || type.name !== 'task_struct') return type;
      const members = type.members.map((one) =>
        one.name === 'pid' ? { ...one, offsetBits: priority?.offsetBits ?? 0 } : one,
      );
      return { ...type, members };
    });
    await offer(object, withAddendum(Buffer.from(writeBtf(types))));
    expect(await numberSeen()).toBe(PRIORITY_DEFAULT);
  });

  it('loads it again from its disk, without a server', async () => {
    await offer(object, withAddendum(tailored));
    const { revision } = await server.untilState(RUN, 'ATTACHED');
    await agents[0]?.signal('SIGTERM');
    const gets = server.gets.length;
    startAgent();
    await server.untilState(RUN, 'ATTACHED', revision + 1);
    expect(server.gets.length).toBe(gets);
  });

  it('rejects it in words where nobody gave the types of its kernel', async () => {
    await offer(object, () => ({}));
    const rejected = await report('BTF_MISSING');
    expect(rejected.state).toBe('REJECTED');
    expect(rejected.error?.message).toMatch(new RegExp(`build ${buildId} shows no BTF.*bpfleet btf add`));
  });

  it('starts what it had rejected as soon as an addendum comes', async () => {
    await offer(object, () => ({}));
    await report('BTF_MISSING');
    const release = server.publish(taskManifest, object, 'watch_priority');
    const addendum = server.addendum(release, object, buildId, tailored);
    await server.desire([server.entry(RUN, release, { params: { caller: process.pid }, addendum })]);
    expect(await numberSeen()).toBe(process.pid);
  });

  it('rejects what attaches by type ids of the kernel, which nothing replaces', async () => {
    const byTypeId = compileBpf(byTypeIdSource);
    await offer(byTypeId, (release) => ({ addendum: server.addendum(release, byTypeId, buildId, tailored) }));
    const rejected = await report('BTF_MISSING');
    expect(rejected.error?.message).toMatch(/on_getpriority \(tp_btf\/sys_enter\) attaches by it/);
  });

  it('takes no addendum for another kernel build', async () => {
    await offer(object, withAddendum(tailored, 'ab'.repeat(20)));
    const { state: failed, error } = await report('TRUST_KERNEL');
    expect([failed, error?.message]).toEqual(['FAILED', expect.stringContaining(`this is ${buildId}`)]);
  });

  it('takes no BTF but the one that was signed', async () => {
    server = await FleetServer.start(DEVICE);
    state = await server.enrolledState();
    server.tamper = (kind, bytes) => {
      if (kind !== 'blob' || bytes.length > 2_000) return bytes;
      const bent = Buffer.from(bytes);
      bent[bent.length - 1] = 0x41;
      return bent;
    };
    startAgent();
    const release = server.publish(taskManifest, object, 'watch_priority');
    const addendum = server.addendum(release, object, buildId, tailored);
    await server.until(() => server.births[0]);
    await server.desire([server.entry(RUN, release, { addendum })]);
    expect((await report('TRUST_DIGEST')).state).toBe('FAILED');
  });

  it('with BTF of its own goes on with that when the addendum is not for it', async () => {
    await offer(object, withAddendum(tailored, 'ab'.repeat(20)), KERNEL_BTF);
    expect(await numberSeen()).toBe(process.pid);
  });
});

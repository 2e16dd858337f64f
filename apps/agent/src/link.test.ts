import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { missingCapabilities } from '@bpfleet/testkit';
import { digestOf } from '@bpfleet/trust';
import { encodeMessage } from '@bpfleet/wire';
import type { Agent } from './agent.js';
import { FleetServer, flipByte, type BrokerKind } from './testing/fleet-server.js';
import { startInProcess } from './testing/in-process.js';

const DEVICE = 'dlink000001';
const RUN = 'raaaaaaaa';
const RELEASE = 'a'.repeat(64);

const brokers: { name: string; kind: BrokerKind; needs: 'mosquitto'[] }[] = [
  { name: 'the embedded broker', kind: 'embedded', needs: [] },
  { name: 'Mosquitto', kind: 'mosquitto', needs: ['mosquitto'] },
];

describe.each(brokers)('an agent on $name', ({ kind, needs }) => {
  const missing = missingCapabilities(needs);
  const test = missing.length === 0 ? it : it.skip;
  const title = (text: string): string => (missing.length === 0 ? text : `${text} [needs ${missing.join(', ')}]`);

  let server: FleetServer;
  let folder: string;
  let agents: Agent[] = [];

  afterEach(async () => {
    for (const agent of agents) await agent.stop('detach');
    agents = [];
    await server?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const start = async (btfPath?: string): Promise<Agent> => {
    const agent = await startInProcess(folder, btfPath === undefined ? {} : { btfPath });
    agents.push(agent);
    return agent;
  };

  const setUp = async (): Promise<Agent> => {
    server = await FleetServer.start(DEVICE, kind);
    folder = await server.enrolledState();
    return start();
  };

  const withBtf = async (btf: Buffer | undefined): Promise<void> => {
    server = await FleetServer.start(DEVICE, kind);
    folder = await server.enrolledState();
    const path = join(folder, 'kernel.btf');
    if (btf) writeFileSync(path, btf);
    await start(path);
    await untilGeneration(1);
  };

  const untilGeneration = (generation: number) =>
    server.until(() => server.reported.find((reported) => reported.generation === generation));

  test(title('says who it is, asks what it should do, and reports that it has heard'), async () => {
    await setUp();
    const birth = await server.until(() => server.births[0]);
    expect(birth).toMatchObject({ online: true, connection: 1, facts: { userBits: 64 } });
    await untilGeneration(1);
    expect(server.syncs[0]).toMatchObject({
      held: { desired: null, generation: 0 },
      streams: [
        { stream: 'events', epoch: 1, floor: null },
        { stream: 'maps', epoch: 1, floor: null },
        { stream: 'names', epoch: 1, floor: null },
      ],
    });
  });

  test(title('acts on a desired state that comes on its own, asks again, and holds it across a restart'), async () => {
    const agent = await setUp();
    await untilGeneration(1);
    const syncs = server.syncs.length;
    await server.desire([server.entry(RUN, RELEASE)]);
    const report = await server.untilState(RUN, 'FAILED');
    // The server of this test has no such release.
    expect(report.error?.code).toBe('FETCH_REFUSED');
    await server.until(() => server.syncs.length > syncs);
    agents = [];
    await agent.stop('detach');
    await start();
    const sync = await server.until(() => server.syncs.find(({ streams }) => streams[0]?.epoch === 2));
    expect(sync.held.generation).toBe(2);
  });

  test(title('comes back by itself when the broker does, under the next connection number'), async () => {
    const agent = await setUp();
    await untilGeneration(1);
    const syncs = server.syncs.length;
    const ports = await server.stopBroker();
    await server.startBroker(ports.port, ports.serverPort);
    await server.until(() => server.syncs.length > syncs);
    await server.desire([server.entry(RUN, RELEASE)]);
    await untilGeneration(2);
    agents = [];
    await agent.stop('detach');
    const last = await server.until(() => server.births.find(({ online }) => !online));
    expect(last.connection).toBeGreaterThan(1);
  });

  test(title('believes no fresh but the answer to its own question'), async () => {
    await setUp();
    await untilGeneration(1);
    let replayed: Buffer | undefined;
    server.tamper = (what, bytes) => {
      if (what !== 'fresh') return bytes;
      replayed ??= bytes;
      return replayed;
    };
    await server.send({ kind: 'cmd', cid: 'c1' }, command('sync'));
    await server.until(() => replayed !== undefined);
    const syncs = server.syncs.length;
    await server.send({ kind: 'cmd', cid: 'c2' }, command('sync'));
    await server.until(() => server.syncs.length > syncs);
    // The replay left no mark, and the device still listens.
    server.tamper = (_what, bytes) => bytes;
    await server.desire([]);
    await untilGeneration(2);
  });

  test(title('refuses an older generation and a bent one, says which, and keeps what it has'), async () => {
    await setUp();
    const older: Buffer[] = [];
    server.tamper = (what, bytes) => {
      if (what === 'desired') older.push(bytes);
      return bytes;
    };
    await untilGeneration(1);
    await server.desire([]);
    await untilGeneration(2);
    await server.send({ kind: 'desired' }, older[0] as Buffer);
    const rollback = await server.until(() =>
      server.reported.find(({ refused }) => refused?.code === 'TRUST_ROLLBACK'),
    );
    expect(rollback.generation).toBe(2);
    await server.send({ kind: 'desired' }, flipByte(older.at(-1) as Buffer));
    const bent = await server.until(() =>
      server.reported.find(({ refused }) => /^TRUST_(SIGNATURE|ENVELOPE)$/.test(refused?.code ?? '')),
    );
    expect(bent.generation).toBe(2);
    await server.desire([]);
    const healed = await untilGeneration(3);
    expect(healed.refused).toBeUndefined();
  });

  test(title('gives its BTF in chunks from wherever it is asked, and of another says that it has it not'), async () => {
    const btf = randomBytes(300_000);
    await withBtf(btf);
    const digest = digestOf(btf);
    expect((await server.until(() => server.births[0])).facts?.btfDigest).toBe(digest);
    const parts: Uint8Array[] = [];
    for (let offset = 0; offset < btf.length; offset += parts.at(-1)?.length ?? 0) {
      await server.send({ kind: 'cmd', cid: 'c1' }, command('btf', { digest, offset }));
      const chunk = await server.until(() => server.uploads.find((one) => one.offset === offset));
      expect([chunk.digest, chunk.totalBytes]).toEqual([digest, btf.length]);
      parts.push(chunk.bytes);
    }
    expect(Buffer.concat(parts).equals(btf)).toBe(true);
    await server.send({ kind: 'cmd', cid: 'c2' }, command('btf', { digest: 'e'.repeat(64), offset: 0 }));
    await server.send({ kind: 'cmd', cid: 'c3' }, command('btf'));
    await server.until(() => server.results.length === 2);
    expect(server.results.map(({ error }) => error?.code)).toEqual(['BTF_OTHER', 'BTF_OTHER']);
  });

  test(title('says that its kernel shows no BTF when it is asked for it'), async () => {
    await withBtf(undefined);
    expect((await server.until(() => server.births[0])).facts?.btfDigest).toBeNull();
    await server.send({ kind: 'cmd', cid: 'c1' }, command('btf', { digest: 'e'.repeat(64), offset: 0 }));
    await server.until(() => server.results.find(({ error }) => error?.code === 'BTF_MISSING'));
  });

  test(title('renews its lease by nothing but the whole of what the server wants'), async () => {
    server = await FleetServer.start(DEVICE, kind);
    folder = await server.enrolledState();
    const path = join(folder, 'lease.json');
    writeFileSync(path, JSON.stringify({ at: { bootId: 'earlier', seconds: 0 }, elapsedSeconds: 100_000 }));
    const elapsed = () => (JSON.parse(readFileSync(path, 'utf8')) as { elapsedSeconds: number }).elapsedSeconds;
    // Somebody between them lets pass that there is something new, and holds back what it is.
    let withheld: Buffer | undefined;
    server.tamper = (what, bytes) => {
      if (what !== 'desired') return bytes;
      withheld = bytes;
      return Buffer.from('held back');
    };
    await start();
    const asked = () => server.until(() => server.syncs[1]);
    await asked();
    expect(elapsed()).toBeGreaterThan(100_000);
    server.tamper = (_what, bytes) => bytes;
    await server.send({ kind: 'desired' }, withheld as Buffer);
    await untilGeneration(1);
    expect(elapsed()).toBeLessThan(1_000);
  });

  test(title('drops hostile messages and goes on'), async () => {
    await setUp();
    await untilGeneration(1);
    const nonsense = [Buffer.alloc(0), Buffer.from('{'), Buffer.alloc(50_000, 0xff), encodeMessage({ v: 1 })];
    for (const payload of nonsense) {
      for (const topic of ['desired', 'fresh'] as const) await server.send({ kind: topic }, payload);
      await server.send({ kind: 'doc', rid: 'unasked' }, payload);
      await server.send({ kind: 'blob', rid: 'unasked' }, payload);
      await server.send({ kind: 'cmd', cid: 'x' }, payload);
      await server.send({ kind: 'ack', stream: 'events' }, payload);
    }
    await server.desire([]);
    expect((await untilGeneration(2)).refused).toBeUndefined();
  });
});

function command(kind: 'sync' | 'resend' | 'btf', blob?: { digest: string; offset: number }): Buffer {
  return encodeMessage({ v: 1, kind, expiresAt: '2100-01-01T00:00:00.000Z', blob });
}

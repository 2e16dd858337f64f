import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { RunningProbe } from '../testing/running-probe.js';

type Event = Record<string, unknown>;

async function listen(host: string): Promise<net.Server> {
  const server = net.createServer((socket) => socket.end());
  server.listen(0, host);
  await once(server, 'listening');
  return server;
}

/** One connection, opened by this process, closed by both ends. Returns its local port. */
async function connectOnce(port: number, host: string): Promise<number> {
  const socket = net.connect({ port, host });
  await once(socket, 'connect');
  const local = socket.localPort as number;
  socket.resume();
  await once(socket, 'close');
  return local;
}

describeWithKernel('trace_tcp', ['bpf', 'btf', 'clang'], () => {
  describe.each([
    ['IPv4', '127.0.0.1', 4],
    ['IPv6', '::1', 6],
  ])('over %s', (_name, host, family) => {
    let probe: RunningProbe;
    let server: net.Server;
    beforeAll(async () => {
      server = await listen(host);
      probe = await RunningProbe.start('trace_tcp', { port: (server.address() as AddressInfo).port });
    });
    afterAll(() => {
      probe.close();
      server.close();
    });

    it('reports both ends opening and closing, with addresses, process and times', async () => {
      const port = (server.address() as AddressInfo).port;
      const local = await connectOnce(port, host);
      const events = await probe.waitForEvents('connection', (all) =>
        all.filter((event) => event['new_state'] === 'CLOSE').length >= 2 ? all : undefined,
      );
      const find = (outbound: number, state: string) =>
        events.find((event) => event['outbound'] === outbound && event['new_state'] === state) as Event;

      const opened = find(1, 'ESTABLISHED');
      expect(opened).toMatchObject({
        old_state: 'SYN_SENT',
        saddr: host,
        daddr: host,
        sport: local,
        dport: port,
        family,
        pid: process.pid,
        uid: process.getuid?.(),
      });
      expect(opened['comm']).not.toBe('');
      expect(find(0, 'ESTABLISHED')).toMatchObject({
        old_state: 'SYN_RECV',
        sport: port,
        dport: local,
        family,
        pid: 0,
      });
      for (const outbound of [0, 1]) {
        const closed = find(outbound, 'CLOSE');
        expect(closed).toMatchObject(outbound ? { sport: local, dport: port } : { sport: port, dport: local });
        expect(Number(closed['open_us'])).toBeGreaterThan(0);
      }
    });
  });

  it('reports a connection that was refused, with the time until it was', async () => {
    const server = await listen('127.0.0.1');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const probe = await RunningProbe.start('trace_tcp', { port });
    try {
      const socket = net.connect({ port, host: '127.0.0.1' });
      await expect(once(socket, 'connect')).rejects.toThrow('ECONNREFUSED');
      const refused = await probe.waitForEvents('connection', (all) =>
        all.find((event) => event['new_state'] === 'CLOSE'),
      );
      expect(refused).toMatchObject({ old_state: 'SYN_SENT', dport: port, outbound: 1, pid: process.pid, open_us: 0 });
    } finally {
      probe.close();
    }
  });

  it('reports every state on request, from SYN_SENT on', async () => {
    const server = await listen('127.0.0.1');
    const { port } = server.address() as AddressInfo;
    const probe = await RunningProbe.start('trace_tcp', { port, every_state: true });
    try {
      const local = await connectOnce(port, '127.0.0.1');
      const states = await probe.waitForEvents('connection', (all) => {
        const outbound = all.filter((event) => event['sport'] === local || event['new_state'] === 'SYN_SENT');
        return outbound.some((event) => event['new_state'] === 'CLOSE') ? outbound : undefined;
      });
      expect(states.map((event) => event['new_state']).slice(0, 2)).toEqual(['SYN_SENT', 'ESTABLISHED']);
      expect(states.length).toBeGreaterThan(3);
    } finally {
      probe.close();
      server.close();
    }
  });

  it('leaves the loopback out on request', async () => {
    const server = await listen('127.0.0.1');
    const { port } = server.address() as AddressInfo;
    const probe = await RunningProbe.start('trace_tcp', { port, loopback: false });
    try {
      await connectOnce(port, '127.0.0.1');
      expect(probe.takeEvents('connection')).toEqual([]);
    } finally {
      probe.close();
      server.close();
    }
  });
});

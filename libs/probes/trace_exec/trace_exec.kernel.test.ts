import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { RunningProbe } from '../testing/running-probe.js';

describeWithKernel('trace_exec', ['bpf', 'btf', 'clang'], () => {
  let folder: string;
  let program: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'bpfleet-exec-'));
    program = path.join(folder, 'a-program-with-a-long-name');
    copyFileSync(realpathSync('/bin/true'), program);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function start(args: string[]): Promise<number> {
    return new Promise((resolve, reject) => {
      const child = execFile(program, args, (error) => (error ? reject(error) : resolve(child.pid as number)));
    });
  }

  const ours = (events: Record<string, unknown>[]) => events.filter((event) => event['filename'] === program);

  describe('with its default parameters', () => {
    let probe: RunningProbe;
    beforeAll(async () => {
      probe = await RunningProbe.start('trace_exec');
    });
    afterAll(() => probe.close());

    it('reports who started what, without arguments', async () => {
      probe.takeEvents('exec'); // what others start while the tests wait for their turn
      const pid = await start(['secret', 'words']);
      const [event, ...more] = ours(probe.takeEvents('exec'));
      expect(more).toEqual([]);
      expect(event).toMatchObject({
        pid,
        ppid: process.pid,
        uid: process.getuid?.(),
        comm: 'a-program-with-',
        filename: program,
        args: '',
        args_bytes: program.length + 1 + 'secret'.length + 1 + 'words'.length + 1,
      });
    });

    it('stamps events in the order in which they happened', async () => {
      await start([]);
      await start([]);
      const stamps = ours(probe.takeEvents('exec')).map((event) => event['timeNs'] as bigint);
      expect(stamps).toHaveLength(2);
      expect(stamps[1] as bigint).toBeGreaterThan(stamps[0] as bigint);
    });

    it('counts no drop while there is room', () => {
      const drops = probe.object.map('bpfleet_drops').lookup(Buffer.alloc(4));
      expect(drops?.every((byte) => byte === 0)).toBe(true);
    });
  });

  it('reports the command line on request, cut at 255 bytes', async () => {
    const probe = await RunningProbe.start('trace_exec', { with_args: true });
    try {
      await start(['one', 'two words', '']);
      await start(['x'.repeat(1000)]);
      const [short, long] = ours(probe.takeEvents('exec'));
      expect(short?.['args']).toBe(`${program} one two words `);
      expect(long?.['args']).toBe(`${program} ${'x'.repeat(1000)}`.slice(0, 255));
      expect(long?.['args_bytes']).toBe(program.length + 1 + 1001);
    } finally {
      probe.close();
    }
  });

  it('reports only the user that was asked for', async () => {
    const probe = await RunningProbe.start('trace_exec', { uid: 4_000_000_000 });
    try {
      await start([]);
      expect(probe.takeEvents('exec')).toEqual([]);
    } finally {
      probe.close();
    }
  });

  it('counts what found no room in the ring', async () => {
    const probe = await RunningProbe.start('trace_exec');
    try {
      // 256 KiB hold fewer than 620 events, and nobody drains.
      for (let i = 0; i < 14; i++) await Promise.all(Array.from({ length: 50 }, () => start([])));
      const value = probe.object.map('bpfleet_drops').lookup(Buffer.alloc(4)) as Buffer;
      let drops = 0n;
      for (let at = 0; at < value.length; at += 8) drops += value.readBigUInt64LE(at);
      expect(drops).toBeGreaterThan(0n);
    } finally {
      probe.close();
    }
  });
});

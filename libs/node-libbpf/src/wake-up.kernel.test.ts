import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { FixtureCompiler } from '../fixtures/compile.js';
import type { BpfObject, RecordReader } from './index.js';
import { openObject, PerfReader, RingReader } from './index.js';

const library = fileURLToPath(new URL('../dist/index.js', import.meta.url));

describeWithKernel('waiting for records', ['root', 'bpf', 'btf', 'clang'], () => {
  let bytes: { ring: Buffer; views: Buffer };
  let folder: string;
  let object: BpfObject;
  let reader: RingReader;
  const target = Buffer.alloc(64 * 1024);

  beforeAll(() => {
    const compiler = new FixtureCompiler();
    bytes = { ring: compiler.compile('ring'), views: compiler.compile('map_views') };
    compiler.close();
    folder = mkdtempSync(join(tmpdir(), 'node-libbpf-wait-'));
    writeFileSync(join(folder, 'ring.o'), bytes.ring);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    object = openObject(bytes.ring).load();
    reader = new RingReader(object.map('events'), { wakeUps: true });
  });
  afterEach(() => {
    reader.close();
    object.close();
  });

  const write = (kind: 's' | 'l' | 'd', repeat = 1) =>
    object.program('write_record').testRun({ data: Buffer.from(kind.padEnd(64)), repeat });
  const later = (act: () => void) => setImmediate(act);

  function take(from: RecordReader = reader): number {
    const { records, position } = from.drain(target);
    from.commit(position);
    return records;
  }

  it('ends when a program has written a record', async () => {
    const waiting = reader.wait();
    later(() => write('s'));
    expect(await waiting).toBe(true);
    expect(take()).toBe(1);
    later(() => write('l', 3));
    expect(await reader.wait({ timeoutMs: 60_000 })).toBe(true);
    expect(take()).toBe(3);
  });

  it('takes one wait for many records, and gives the event loop its turn when they are there already', async () => {
    let turns = 0;
    const count = () => {
      turns++;
      turn = setImmediate(count);
    };
    let turn = setImmediate(count);
    let [waits, records] = [0, 0];
    for (let batch = 0; batch < 20; batch++) {
      write('s', 50);
      while (records < 50 * (batch + 1)) {
        waits++;
        expect(await reader.wait()).toBe(true);
        records += take();
      }
    }
    clearImmediate(turn);
    expect([waits, records]).toEqual([20, 1000]);
    expect(turns).toBeGreaterThanOrEqual(20);
  });

  it('is woken for discarded records too, which would else keep the kernel from waking for those behind', async () => {
    later(() => write('d'));
    expect(await reader.wait()).toBe(true);
    expect(take()).toBe(0);
    later(() => write('s'));
    expect(await reader.wait()).toBe(true);
    expect(take()).toBe(1);
  });

  it('ends in vain when the time is over, without spinning and without being fooled by what was taken before', async () => {
    write('s');
    expect(take()).toBe(1);
    const before = performance.eventLoopUtilization();
    expect(await reader.wait({ timeoutMs: 100 })).toBe(false);
    expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.5);
    expect(await reader.wait({ timeoutMs: 0 })).toBe(false);
    write('s');
    expect(await reader.wait({ timeoutMs: 0 })).toBe(true);
  });

  it('ends when it is aborted, and can wait again', async () => {
    const stop = new AbortController();
    const waiting = reader.wait({ signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(reader.wait({ signal: stop.signal })).rejects.toThrow('enough');
    later(() => write('s'));
    expect(await reader.wait({ signal: new AbortController().signal })).toBe(true);
  });

  it('ends in vain when the reader is closed, and leaves no descriptor', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    for (let round = 0; round < 20; round++) {
      const other = new RingReader(object.map('events'), { wakeUps: true });
      const waiting = other.wait();
      other.close();
      expect(await waiting).toBe(false);
      await expect(other.wait()).rejects.toMatchObject({ code: 'BPF_CLOSED' });
    }
    expect(descriptors()).toBe(before);
  });

  it('refuses to wait where nothing would wake it', async () => {
    const plain = new RingReader(object.map('events'));
    await expect(plain.wait()).rejects.toThrow('wakeUps');
    plain.close();
    write('s');
    reader.drain(target);
    await expect(reader.wait()).rejects.toThrow('commit');
    reader.commit(16n);
    const first = reader.wait({ timeoutMs: 60_000 });
    await expect(reader.wait()).rejects.toThrow('one at a time');
    later(() => write('s'));
    expect(await first).toBe(true);
    for (const timeoutMs of [-1, 1.5, 2 ** 40]) {
      await expect(reader.wait({ timeoutMs })).rejects.toMatchObject({ code: 'BPF_ARGUMENT' });
    }
  });

  it('waits for perf buffers as well', async () => {
    const views = openObject(bytes.views).load();
    const perf = new PerfReader(views.map('events'), { dataBytesPerCpu: 64 << 10, wakeUps: true });
    expect(await perf.wait({ timeoutMs: 1 })).toBe(false);
    for (let round = 1; round <= 3; round++) {
      later(() => views.program('write_event').testRun({ data: Buffer.alloc(64), repeat: round }));
      let records = 0;
      while (records < round) {
        expect(await perf.wait()).toBe(true);
        // What was drained and not committed keeps no perf buffer from waking.
        records += perf.drain(target).records;
      }
      expect(records).toBe(round);
    }
    const waiting = perf.wait();
    perf.close();
    expect(await waiting).toBe(false);
    views.close();
  });

  const waitForever = (ending: string) => `
    import(${JSON.stringify(library)}).then(({ openObject, RingReader }) => {
      const object = openObject(${JSON.stringify(join(folder ?? '', 'ring.o'))}).load();
      globalThis.reader = new RingReader(object.map('events'), { wakeUps: true });
      const waiting = globalThis.reader.wait();
      ${ending}
    });
  `;

  it('lets a process end while it waits, and keeps it alive until then', () => {
    const run = (ending: string) => {
      const { status, stderr, stdout } = spawnSync(process.execPath, ['-e', waitForever(ending)], { encoding: 'utf8' });
      return [status, stderr, stdout];
    };
    expect(run('setImmediate(() => process.exit(3));')).toEqual([3, '', '']);
    expect(run('waiting.then((ready) => console.log(ready)); setImmediate(() => globalThis.reader.close());')).toEqual([
      0,
      '',
      'false\n',
    ]);
    const write = `object.program('write_record').testRun({ data: Buffer.from('s'.padEnd(64)) })`;
    expect(run(`waiting.then((ready) => console.log(ready)); setTimeout(() => ${write}, 20);`)).toEqual([
      0,
      '',
      'true\n',
    ]);
  });

  it('lets a worker end while it waits', async () => {
    const ready = `require('node:worker_threads').parentPort.postMessage('waiting');`;
    const worker = new Worker(waitForever(ready), { eval: true });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    expect(await worker.terminate()).toBe(1);
    const leaving = new Worker(waitForever('setImmediate(() => process.exit(0));'), { eval: true });
    expect(await new Promise((resolve, reject) => leaving.once('exit', resolve).once('error', reject))).toBe(0);
    later(() => write('s'));
    expect(await reader.wait()).toBe(true);
  });
});

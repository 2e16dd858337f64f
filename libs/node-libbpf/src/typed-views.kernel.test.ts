import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { FixtureCompiler, makePinFolder } from '../fixtures/compile.js';
import type { BpfObject } from './index.js';
import {
  BloomFilter,
  BpfMap,
  MapOfMaps,
  MapQueue,
  openObject,
  possibleCpus,
  StorageMap,
  u32Codec,
  u64Codec,
} from './index.js';

interface Flow {
  addr: [number, number];
  ports: [number, number];
  protocol: number;
  device: string;
}
interface Traffic {
  bytes: bigint;
  balance: number;
  verdict: string | number;
  flags: number;
  peer: { v4?: number; v6?: Uint8Array };
}

/** What `wanted` of the fixture holds. */
const WANTED: Flow = { addr: [1, 2], ports: [80, 443], protocol: 6, device: 'wlan0' };
const TRAFFIC: Traffic = { bytes: 500n, balance: -7, verdict: 'PASSED', flags: 0xabcdef, peer: { v4: 0x0a000001 } };
const flowOf = (index: number): Flow => ({ ...WANTED, addr: [index, 0], device: `eth${index % 10}` });
const failing = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

describeWithKernel('typed views', ['root', 'bpf', 'btf', 'clang'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  let object: BpfObject;
  const run = () => object.program('copy_wanted').testRun({ data: Buffer.alloc(64) }).returnValue;

  beforeAll(() => {
    compiler = new FixtureCompiler();
    bytes = compiler.compile('typed_views');
  });
  afterAll(() => compiler.close());
  beforeEach(() => {
    object = openObject(bytes).load();
  });
  afterEach(() => object.close());

  it('keys and values are those that the program sees, by the types of its object', async () => {
    const flows = object.map('flows').typed<Flow, Traffic>();
    expect(flows.get(WANTED)).toBeUndefined();
    flows.set(WANTED, TRAFFIC);
    expect(run()).toBe(1);
    expect(flows.get(WANTED)).toMatchObject({ ...TRAFFIC, peer: { v4: 0x0a000001 } });
    // What was read is written back as it is, the union with both of its arms.
    const read = flows.get(WANTED) as Traffic;
    read.bytes += 1n;
    flows.set(WANTED, read);
    expect(flows.get(WANTED)).toEqual(read);
    expect(flows.delete(WANTED)).toBe(true);

    flows.setMany(Array.from({ length: 80 }, (_, index) => [flowOf(index), { ...TRAFFIC, balance: index }]));
    const balances = new Map(flows.readAll().map(([flow, traffic]) => [flow.addr[0], traffic.balance]));
    expect([...balances].every(([index, balance]) => index === balance)).toBe(true);
    let walked = 0;
    for await (const [flow, traffic] of flows.entries({ chunkEntries: 7 })) {
      walked += 1;
      expect(flow).toEqual(flowOf(traffic.balance));
    }
    expect([walked, balances.size, flows.deleteMany([flowOf(3), flowOf(200)])]).toEqual([80, 80, 1]);
  });

  it('says where a value does not fit, and changes nothing', () => {
    const flows = object.map('flows').typed<Flow, Traffic>();
    const argument = (message: string) => failing('BPF_ARGUMENT', message);
    const key = { ...WANTED, ports: [80, 70_000] as [number, number] };
    expect(() => flows.get(key)).toThrow(
      argument('encode a key of map flows: key.ports[1] is 70000, expected an integer from 0 to 65535'),
    );
    expect(() => flows.set(WANTED, { ...TRAFFIC, verdict: 'LOST' })).toThrow(argument('expected PASSED, DROPPED, or'));
    expect(() => flows.set(WANTED, { ...TRAFFIC, extra: 1 } as Traffic)).toThrow(
      argument('value has a member "extra"'),
    );
    expect(() => flows.set({ ...WANTED, device: 'ten-letters' }, TRAFFIC)).toThrow(argument('key.device has 11 bytes'));
    expect(flows.readAll()).toEqual([]);
  });

  it('a per-CPU value is an array of one value for each CPU', () => {
    const counts = object.map('per_cpu').typed<number, { count: number }[]>();
    run();
    const values = counts.get(0) ?? [];
    expect([values.length, values.reduce((sum, { count }) => sum + count, 0)]).toEqual([possibleCpus(), 1]);
    counts.set(0, values.map((_, cpu) => ({ count: cpu + 5 }))); // prettier-ignore
    expect(counts.get(0)?.[possibleCpus() - 1]).toEqual({ count: possibleCpus() + 4 });
    expect(() => counts.set(0, [])).toThrow('one a CPU');
    expect(object.map('per_cpu').valueCodec().describe()).toMatch(/^struct \{\n\t__u32 count;\n\}/);
  });

  it('views take the codecs of a map', () => {
    object.map('flows').typed<Flow, Traffic>().set(WANTED, TRAFFIC);
    run();
    const queue = new MapQueue(object.map('waiting'), object.map('waiting').valueCodec<Flow>());
    expect(queue.push(flowOf(7))).toBe(true);
    expect([queue.push(flowOf(8)), queue.peek(), queue.pop(), queue.pop(), queue.pop()]).toEqual([
      false,
      WANTED,
      WANTED,
      flowOf(7),
      undefined,
    ]);
    const seen = new BloomFilter(object.map('seen'), object.map('seen').valueCodec<Flow>());
    seen.add(flowOf(1));
    expect([seen.has(WANTED), seen.has(flowOf(1))]).toEqual([true, true]);
    const ofTask = new StorageMap(object.map('of_task'), object.map('of_task').valueCodec<Traffic>());
    ofTask.set({ pid: process.pid }, TRAFFIC);
    expect(ofTask.get({ pid: process.pid })).toMatchObject({ bytes: 500n, balance: -7 });
    const routes = object.map('routes').typed<{ prefix_bits: number; addr: Uint8Array | number[] }, string>();
    expect(routes.get({ prefix_bits: 32, addr: [10, 1, 2, 77] })).toBe('DROPPED');
    const outer = new MapOfMaps(object.map('by_verdict'), object.map('by_verdict').keyCodec<string>());
    outer.set('DROPPED', object.map('first_inner'));
    const inner = outer.get('DROPPED');
    // Opened by its id, so its types are the kernel's.
    expect(inner?.typed<number, Traffic>().get(1)).toMatchObject({ bytes: 0n, verdict: 'PASSED' });
    inner?.close();
    expect(outer.delete('PASSED')).toBe(false);
    const wrong = () => new MapQueue(object.map('waiting'), u64Codec);
    expect(wrong).toThrow(failing('BPF_ARGUMENT', 'the value codec has 8 bytes, the map 24'));
  });

  it('a pinned map has its types from the kernel', () => {
    const folder = makePinFolder();
    try {
      object.map('flows').typed<Flow, Traffic>().set(WANTED, TRAFFIC);
      object.map('flows').pin(join(folder, 'flows'));
      object.map('per_cpu').pin(join(folder, 'per_cpu'));
      object.close();
      const adopted = BpfMap.openPinned(join(folder, 'flows'));
      expect(adopted.typed<Flow, Traffic>().readAll()).toEqual([[WANTED, expect.objectContaining({ balance: -7 })]]);
      expect(adopted.keyCodec().describe()).toMatch(/^struct flow \{\n\t__u32 addr\[2\];/);
      adopted.close();
      expect(() => adopted.typed()).toThrow(failing('BPF_CLOSED', 'view'));
      const perCpu = BpfMap.openPinned(join(folder, 'per_cpu'));
      expect(perCpu.typed<number, { count: number }[]>().get(0)?.length).toBe(possibleCpus());
      perCpu.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('a map without types says so, and takes codecs, both or one', () => {
    const made = BpfMap.create({ type: 'hash', name: 'made', keyBytes: 4, valueBytes: 8, maxEntries: 1 });
    for (const map of [object.map('untyped'), made]) {
      expect(() => map.typed()).toThrow(
        failing(
          'BPF_BTF',
          `type the keys of map ${map.name}: the map has no BTF for them: declare it with __type(key, …)`,
        ),
      );
      expect(() => map.typed({ key: u32Codec })).toThrow(failing('BPF_BTF', '__type(value, …), or give a codec'));
      const typed = map.typed({ key: u32Codec, value: u64Codec });
      typed.set(1, 2n);
      expect(typed.get(1)).toBe(2n);
    }
    made.close();
    expect(object.map('by_verdict').typed<string, number>({ value: u32Codec }).get('DROPPED')).toBeUndefined();
    expect(() => object.map('waiting').keyCodec()).toThrow(failing('BPF_BTF', 'a queue map has no keys'));
    expect(() => object.map('.data').valueCodec()).toThrow(failing('BPF_BTF', 'BpfObject.globals'));
  });
});

import { describe, expect, it } from '@jest/globals';
import {
  birthSchema,
  decodeBatchBody,
  decodeBatchHeader,
  decodeBlobChunk,
  downTopic,
  encodeBatch,
  encodeBlobChunk,
  encodeMessage,
  limits,
  parseDownTopic,
  parseMessage,
  parseUpTopic,
  ringRecords,
  ringSections,
  shuffle,
  streams,
  unshuffle,
  upTopic,
  WireError,
  type BatchHeader,
  type DownTopic,
  type UpTopic,
} from './index.js';

const device = 'dabcdefgh12';

const header: Omit<BatchHeader, 'v' | 'sections'> = {
  stream: 'events',
  epoch: 3,
  number: 17,
  run: 'rabcdefgh12',
  release: 'a'.repeat(64),
  source: { kind: 'ring', map: 'events' },
  count: 3,
  time: { bootId: 'b', boottimeNs: '1', monotonicNs: '2', realtimeNs: '3', trusted: true },
  floor: 17,
  lost: [[4, 9]],
  drops: { kernel: null, rate: 0, spool: 0 },
};

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
  return 'ok';
}

describe('topics', () => {
  const up: UpTopic[] = [
    { kind: 'birth' },
    { kind: 'sync' },
    { kind: 'reported' },
    { kind: 'get', rid: 'r1' },
    { kind: 'blob', digest: 'ab12' },
    { kind: 'run', run: 'rabcdefgh12' },
    { kind: 'res', cid: 'c1' },
    ...streams.map((stream) => ({ kind: 'telemetry' as const, stream })),
  ];
  const down: DownTopic[] = [
    { kind: 'desired' },
    { kind: 'fresh' },
    { kind: 'doc', rid: 'r1' },
    { kind: 'blob', rid: 'r1' },
    { kind: 'cmd', cid: 'c1' },
    ...streams.map((stream) => ({ kind: 'ack' as const, stream })),
  ];

  it.each(up)('reads back what it writes: up %j', (topic) => {
    expect(parseUpTopic(upTopic(device, topic))).toEqual({ device, topic });
  });

  it.each(down)('reads back what it writes: down %j', (topic) => {
    expect(parseDownTopic(device, downTopic(device, topic))).toEqual(topic);
  });

  it.each([
    'bpfleet/1/dabc/up/birth',
    'bpfleet/1/dabcdefgh12/up/birth/x',
    'bpfleet/1/dabcdefgh12/up/t/constructor',
    'bpfleet/2/dabcdefgh12/up/birth',
    'bpfleet/1/DABCDEFGH12/up/birth',
    'bpfleet/1/dabcdefgh12/dn/desired',
    '$SYS/x',
    '',
  ])('reads nothing into %j', (text) => expect(parseUpTopic(text)).toBeUndefined());

  it.each(['d/+#aaaaaaa', 'd+++++++++', 'd#########', 'dabc', '', 'xabcdefgh12'])(
    'has no topic for device %j',
    (id) => {
      expect(codeOf(() => upTopic(id, { kind: 'birth' }))).toBe('WIRE_DEVICE_ID');
    },
  );
});

describe('messages', () => {
  it('say where they are wrong', () => {
    const bytes = encodeMessage({ v: 1, online: 'yes', connection: 1, bootId: 'b' });
    expect(() => parseMessage(birthSchema, bytes)).toThrow(/^online: /);
  });

  it('of a newer agent with more fields are still read', () => {
    const bytes = encodeMessage({ v: 1, online: true, connection: 1, bootId: 'b', later: 1 });
    expect(parseMessage(birthSchema, bytes)).toEqual({ v: 1, online: true, connection: 1, bootId: 'b' });
  });

  it('are not read above their bound', () => {
    expect(codeOf(() => parseMessage(birthSchema, Buffer.alloc(limits.messageBytesMax + 1)))).toBe('WIRE_SIZE');
  });
});

describe('blob chunks', () => {
  it('come back, and an empty payload means there is no such blob', () => {
    const chunk = { offset: 65_536, totalBytes: 65_540, bytes: Buffer.from('abcd') };
    expect(decodeBlobChunk(encodeBlobChunk(chunk))).toEqual(chunk);
    expect(decodeBlobChunk(Buffer.alloc(0))).toBeUndefined();
  });

  it('that reach beyond the end of their blob are refused', () => {
    const bytes = encodeBlobChunk({ offset: 10, totalBytes: 12, bytes: Buffer.from('abcd') });
    expect(codeOf(() => decodeBlobChunk(bytes))).toBe('WIRE_MESSAGE');
  });
});

/** What node-libbpf's drain leaves behind: u32 length, bytes, padding to 8. */
function drained(records: readonly Buffer[]): Buffer {
  return Buffer.concat(
    records.map((record) => {
      const out = Buffer.alloc((4 + record.length + 7) & ~7);
      out.writeUInt32LE(record.length, 0);
      record.copy(out, 4);
      return out;
    }),
  );
}

describe('batches', () => {
  const sameSize = [Buffer.from('aaaabbbb'), Buffer.from('ccccdddd'), Buffer.from('eeeeffff')];
  const mixedSize = [Buffer.from('a'), Buffer.from('bcd'), Buffer.alloc(0)];

  it.each([
    ['one size', sameSize, 1],
    ['mixed sizes', mixedSize, 2],
  ])('carry ring records of %s unchanged', (_, records, sectionCount) => {
    const { sections, count } = ringSections(drained(records));
    expect([count, sections.length]).toEqual([3, sectionCount]);
    const decoded = decodeBatchHeader(encodeBatch({ ...header, count }, sections));
    const body = ringRecords(decoded.header, decodeBatchBody(decoded.header, decoded.body));
    const read = [...body.offsets].map((offset, i) =>
      Buffer.from(body.bytes.subarray(offset, offset + (body.lengths[i] ?? 0))),
    );
    expect(read).toEqual(records);
  });

  it('shuffle and unshuffle are each other’s inverse', () => {
    const bytes = Uint8Array.from({ length: 12 * 7 }, (_, i) => (i * 31) & 255);
    for (const stride of [1, 2, 3, 4, 6, 7, 12, 84]) expect(unshuffle(shuffle(bytes, stride), stride)).toEqual(bytes);
  });

  it('with a header that is not one are refused as such', () => {
    const good = encodeBatch(header, ringSections(drained(sameSize)).sections);
    const cases = [
      Buffer.alloc(0),
      Buffer.from('nope'),
      good.subarray(0, 40),
      Buffer.concat([Buffer.from('bpf1'), Buffer.from([255, 255])]),
      Buffer.concat([Buffer.from('bpf1'), Buffer.from([2, 0]), Buffer.from('{}')]),
    ];
    for (const bytes of cases) expect(codeOf(() => decodeBatchHeader(bytes))).toBe('WIRE_BATCH_HEADER');
  });

  it('never inflate beyond what the header states', () => {
    const { sections } = ringSections(drained([Buffer.alloc(60_000)]));
    const { header: read, body } = decodeBatchHeader(encodeBatch({ ...header, count: 1 }, sections));
    const lie = { ...read, sections: [{ stride: 8, items: 1 }] };
    expect(codeOf(() => decodeBatchBody(lie, body))).toBe('WIRE_BATCH_BODY');
    const bomb = { ...read, sections: [{ stride: 65_536, items: 1_000_000 }] };
    expect(codeOf(() => decodeBatchBody(bomb, body))).toBe('WIRE_BATCH_BODY');
  });

  it('survive any flipped byte without anything but a WireError', () => {
    const bytes = encodeBatch(header, ringSections(drained(sameSize)).sections);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      codeOf(() => {
        const { header: read, body } = decodeBatchHeader(flipped);
        ringRecords(read, decodeBatchBody(read, body));
      });
    }
  });
});

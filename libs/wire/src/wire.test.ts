import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import {
  birthSchema,
  decodeBatchBody,
  decodeBatchHeader,
  commandSchema,
  decodeBlobChunk,
  decodeUploadChunk,
  downTopic,
  encodeBatch,
  encodeBlobChunk,
  encodeMessage,
  encodeUploadChunk,
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

describe('upload chunks', () => {
  const noise = randomBytes(300_000);

  it('put a blob together again, whether it compresses or not', () => {
    for (const blob of [noise, Buffer.alloc(300_000, 'long unsigned int')]) {
      const parts: Uint8Array[] = [];
      for (let offset = 0; offset < blob.length; offset += parts.at(-1)?.length ?? 0) {
        const payload = encodeUploadChunk(offset, blob.length, blob.subarray(offset));
        expect(payload.length).toBeLessThan(limits.packetBytesMax);
        const chunk = decodeUploadChunk(payload);
        expect([chunk.offset, chunk.totalBytes]).toEqual([offset, blob.length]);
        parts.push(chunk.bytes);
      }
      expect(Buffer.concat(parts).equals(blob)).toBe(true);
    }
  });

  it('are refused when they are a bomb, too large a blob, empty, or beyond the end', () => {
    const header = (offset: number, total: number): Buffer => {
      const bytes = Buffer.alloc(16);
      bytes.writeBigUInt64LE(BigInt(offset), 0);
      bytes.writeBigUInt64LE(BigInt(total), 8);
      return bytes;
    };
    const bad = [
      Buffer.concat([header(0, 1 << 20), deflateRawSync(Buffer.alloc(1 << 20))]),
      encodeUploadChunk(0, limits.uploadBytesMax + 1, Buffer.from('abc')),
      encodeUploadChunk(0, 10, Buffer.alloc(0)),
      encodeUploadChunk(8, 10, Buffer.from('abc')),
      Buffer.concat([header(0, 10), Buffer.from('no deflate')]),
      header(0, 10),
      Buffer.alloc(0),
    ];
    expect(bad.map((payload) => codeOf(() => decodeUploadChunk(payload)))).toEqual(bad.map(() => 'WIRE_MESSAGE'));
  });

  it('survive any flipped byte without anything but a WireError', () => {
    const payload = encodeUploadChunk(0, 2_000, noise.subarray(0, 2_000));
    for (let at = 0; at < payload.length; at++) {
      const flipped = Buffer.from(payload);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      codeOf(() => decodeUploadChunk(flipped));
    }
  });

  it('are asked for by a command that older agents still read', () => {
    const asked = { v: 1, kind: 'btf', expiresAt: '2026-01-01T00:00:00Z', blob: { digest: 'a'.repeat(64), offset: 7 } };
    expect(parseMessage(commandSchema, encodeMessage(asked))).toEqual(asked);
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

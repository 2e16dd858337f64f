import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEmbeddedPostgres } from '@bpfleet/embedded';
import type { EmbeddedPostgres } from '@bpfleet/embedded';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { CopyWriter } from './copy-writer.js';

const COLUMNS = {
  b: 'bool',
  i2: 'int2',
  i4: 'int4',
  i8: 'int8',
  n: 'numeric',
  f4: 'float4',
  f8: 'float8',
  t: 'text',
  y: 'bytea',
  a: 'inet',
  ts: 'timestamptz',
  i4s: 'int4[]',
  ns: 'numeric[]',
} as const;

const NUMERICS = [
  0n,
  1n,
  9999n,
  10_000n,
  100_000_000n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 64n - 1n,
  2n ** 127n,
  -42n,
  -(10n ** 20n),
];

describe('CopyWriter against a real PostgreSQL', () => {
  let folder: string;
  let server: EmbeddedPostgres;
  let client: pg.Client;

  beforeAll(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'bpfleet-copy-')));
    chmodSync(folder, 0o711);
    server = await startEmbeddedPostgres({ dataDir: join(folder, 'data'), port: 0, database: 'copy', durable: false });
    client = new pg.Client({ connectionString: server.url });
    await client.connect();
    const columns = Object.entries(COLUMNS).map(([name, type]) => `${name} ${type}`);
    await client.query(`CREATE TABLE fields (id int4, ${columns.join(', ')})`);
  });

  afterAll(async () => {
    await client?.end();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function copy(rows: readonly ((out: CopyWriter) => void)[]): Promise<Record<string, unknown>[]> {
    const out = new CopyWriter(1);
    out.header();
    rows.forEach((write, id) => {
      out.tuple(1 + Object.keys(COLUMNS).length);
      out.int32(id);
      write(out);
    });
    out.trailer();
    await client.query('TRUNCATE fields');
    await pipeline(Readable.from([Buffer.from(out.take())]), client.query(copyFrom('COPY fields FROM STDIN BINARY')));
    const texts = Object.keys(COLUMNS).map((name) => `${name}::text`);
    return (await client.query(`SELECT ${texts.join(', ')} FROM fields ORDER BY id`)).rows as Record<string, unknown>[];
  }

  it('writes every type so that Postgres reads the same value', async () => {
    const [row, nulls] = await copy([
      (out) => {
        out.bool(true);
        out.int16(-32768);
        out.int32(2 ** 31 - 1);
        out.int64(-(2n ** 63n));
        out.numeric(12_345_678_901_234_567_890n);
        out.float4(0.5);
        out.float8(-1e300);
        out.text('naïve \u{1f41d}\0end');
        out.bytea(new Uint8Array([0, 255, 1]));
        out.inet(new Uint8Array([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
        out.timestamptz(1_700_000_000_123_456n);
        out.array(23, 3, (index) => out.int32(index - 1));
        out.array(1700, 0, () => out.null());
      },
      (out) => Object.keys(COLUMNS).forEach(() => out.null()),
    ]);
    expect(row).toEqual({
      b: 'true',
      i2: '-32768',
      i4: '2147483647',
      i8: '-9223372036854775808',
      n: '12345678901234567890',
      f4: '0.5',
      f8: '-1e+300',
      t: 'naïve \u{1f41d}\ufffdend',
      y: '\\x00ff01',
      a: '2001:db8::1/128',
      ts: expect.stringContaining('.123456'),
      i4s: '{-1,0,1}',
      ns: '{}',
    });
    expect(Object.values(nulls ?? {})).toEqual(Object.keys(COLUMNS).map(() => null));
    const { rows } = await client.query('SELECT extract(epoch FROM ts)::text AS epoch FROM fields WHERE id = 0');
    expect(rows).toEqual([{ epoch: '1700000000.123456' }]);
  });

  it('writes numbers of any size exactly, also from two halves', async () => {
    const fill = (out: CopyWriter, name: string, write: () => void): void =>
      Object.keys(COLUMNS).forEach((column) => (column === name ? write() : out.null()));
    const whole = await copy(NUMERICS.map((value) => (out) => fill(out, 'n', () => out.numeric(value))));
    expect(whole.map((row) => row['n'])).toEqual(NUMERICS.map(String));
    const words = NUMERICS.filter((value) => value >= 0n && value < 2n ** 64n);
    const halves = await copy(
      words.map(
        (value) => (out) =>
          fill(out, 'n', () => out.numericFromHalves(Number(value >> 32n), Number(value & 0xffff_ffffn))),
      ),
    );
    expect(halves.map((row) => row['n'])).toEqual(words.map(String));
  });

  it('cuts text at its NUL, replaces what is no UTF-8, and shows IPv4 inside IPv6 as IPv4', async () => {
    const bytes = new Uint8Array([
      0x61,
      0xc3,
      0xa9,
      0xff,
      0xe2,
      0x82,
      0x00,
      0x62,
      ...new Array<number>(10).fill(0),
      0xff,
      0xff,
      10,
      0,
      0,
      9,
    ]);
    const view = new DataView(bytes.buffer);
    const [row] = await copy([
      (out) =>
        Object.keys(COLUMNS).forEach((name) => {
          if (name === 't') out.textFromView(view, 0, 8);
          else if (name === 'y') out.byteaFromView(view, 6, 8);
          else if (name === 'a') out.inetFromView(view, 8, 24);
          else out.null();
        }),
    ]);
    expect(row).toMatchObject({ t: 'a\u00e9\ufffd\ufffd', y: '\\x0062', a: '10.0.0.9/32' });
  });
});

describe('CopyWriter', () => {
  it('gives up half a tuple', () => {
    const out = new CopyWriter();
    out.int32(1);
    const kept = out.position;
    out.text('never sent');
    out.rewind(kept);
    expect([...out.take()]).toEqual([0, 0, 0, 4, 0, 0, 0, 1]);
    expect(out.position).toBe(0);
  });
});

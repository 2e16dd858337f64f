import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Spool } from '../store/spool.js';
import { spoolLimits } from '../store/spool-limits.js';
import { Sender } from './sender.js';

let folder: string;
let spool: Spool;
let nowMs: number;
let sent: string[];
let sender: Sender;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-sender-'));
  nowMs = 0;
  sent = [];
  spool = new Spool(
    folder,
    spoolLimits,
    () => nowMs,
    () => undefined,
  );
  spool.begin(1);
  sender = new Sender({
    spool,
    publish: async (_stream, payload) => {
      sent.push(payload.toString());
    },
    monotonicMs: () => nowMs,
    random: () => 0,
  });
});
afterEach(() => {
  spool.close();
  rmSync(folder, { recursive: true, force: true });
});

function put(...texts: string[]): void {
  for (const text of texts) {
    const number = spool.nextNumber('events');
    sender.stored(spool.append([{ stream: 'events', number, run: 'r', count: 1, payload: Buffer.from(text) }]));
  }
}

function ack(ranges: [number, number][], window = 32): void {
  sender.acknowledge('events', { v: 1, epoch: 1, ranges, window });
}

const brokerHasIt = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const letters = (count: number): string[] => Array.from({ length: count }, (_, index) => `b${index}`);

describe('sender', () => {
  it('sends nothing without a link, and everything once there is one', () => {
    put('a', 'b');
    expect(sent).toEqual([]);
    sender.connect();
    expect(sent.sort()).toEqual(['a', 'b']);
  });

  it('sends the newest first and lets the oldest in between', () => {
    put(...letters(40));
    sender.connect();
    expect(sent.slice(0, 8)).toEqual(['b39', 'b38', 'b37', 'b0', 'b36', 'b35', 'b34', 'b1']);
  });

  it('never has more on the way than the window, and goes on with each acknowledgement', () => {
    sender.connect();
    put(...letters(50));
    expect(sent).toHaveLength(32);
    ack([[0, 9]], 20);
    expect(sent).toHaveLength(32);
    ack([[10, 31]], 20);
    expect(sent).toHaveLength(50);
    expect(sender.unacknowledged).toBe(18);
  });

  it('stops at a window of 0 and starts again with the next', () => {
    sender.connect();
    ack([], 0);
    put('a');
    nowMs = 1e9;
    sender.tick();
    expect(sent).toEqual([]);
    ack([], 4);
    expect(sent).toEqual(['a']);
  });

  it('sends again what is not acknowledged, later and later, until it is', async () => {
    sender.connect();
    put('a');
    await brokerHasIt();
    const times: number[] = [];
    for (nowMs = 0; nowMs <= 400_000; nowMs += 1_000) {
      const before = sent.length;
      sender.tick();
      await brokerHasIt();
      if (sent.length > before) times.push(nowMs);
    }
    expect(times).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 310_000]);
    ack([[0, 0]]);
    nowMs = 1e9;
    sender.tick();
    expect(sent).toHaveLength(1 + times.length);
    expect(spool.batches).toBe(0);
  });

  it('sends no second copy of what a slow link has not taken yet, and gives it no more than it may hold', async () => {
    let take: () => void = () => undefined;
    const slow = new Sender({
      spool,
      publish: (_stream, payload) => {
        sent.push(payload.toString().slice(0, 2));
        return new Promise((resolve) => (take = resolve));
      },
      monotonicMs: () => nowMs,
      random: () => 0,
    });
    const large = (name: string): string => name.padEnd(300 * 1024, '.');
    put(large('b0'), large('b1'), large('b2'));
    slow.connect();
    expect(sent).toEqual(['b2', 'b1']);
    nowMs = 3_600_000;
    slow.tick();
    expect(sent).toHaveLength(2);
    take();
    await brokerHasIt();
    expect(sent).toHaveLength(3);
    // Its acknowledgement is waited for from the moment the broker had it.
    nowMs += 9_000;
    slow.tick();
    expect(sent).toHaveLength(3);
  });

  it('does not count on a new connection what an old one has swallowed', () => {
    const swallowing = new Sender({
      spool,
      publish: (_stream, payload) => {
        sent.push(payload.toString().slice(0, 2));
        return new Promise(() => undefined);
      },
      monotonicMs: () => nowMs,
      random: () => 0,
    });
    put('b0'.padEnd(600 * 1024, '.'), 'b1');
    for (let connection = 1; connection <= 3; connection++) {
      swallowing.connect();
      expect(sent).toHaveLength(2 * connection);
      swallowing.disconnect();
    }
  });

  it('sends again after a new connection what the old one had taken', () => {
    sender.connect();
    put('a', 'b');
    ack([[0, 0]]);
    sender.disconnect();
    sent.length = 0;
    sender.connect();
    expect(sent).toEqual(['b']);
  });

  it('keeps what another epoch or another stream was acknowledged for', () => {
    sender.connect();
    put('a');
    sender.acknowledge('events', { v: 1, epoch: 2, ranges: [[0, 9]], window: 32 });
    sender.acknowledge('maps', { v: 1, epoch: 1, ranges: [[0, 9]], window: 32 });
    expect(spool.batches).toBe(1);
    expect(sender.ignoredAcks).toBe(2);
  });
});

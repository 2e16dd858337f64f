import { Duplex } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { Control } from './control.js';
import { FRAME, FrameReader, WINDOW_BYTES, frame, jsonFrame } from './frames.js';
import type { Frame } from './frames.js';
import { VmError } from './vm-error.js';

/** The other end of the channel, in memory. */
class Guest extends Duplex {
  readonly received: Frame[] = [];
  readonly #reader = new FrameReader();
  #waiting: (() => void)[] = [];

  override _read(): void {
    // Bytes are pushed when the test says so.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.received.push(...this.#reader.push(chunk));
    done();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  dataBytes(): number {
    const data = this.received.filter((one) => one.kind === FRAME.data);
    return data.reduce((sum, one) => sum + one.payload.byteLength, 0);
  }
}

const credit = (bytes: number): Uint8Array => {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, bytes, true);
  return payload;
};

describe('Control', () => {
  it('sends no more than the window until the guest has taken some', async () => {
    const guest = new Guest();
    const control = new Control(guest);
    const exchange = control.open({ what: 'put', path: '/x', mode: 0o644 }, () => undefined);
    const fed = exchange.feed(new Uint8Array(WINDOW_BYTES + 10));
    await guest.until(() => guest.dataBytes() === WINDOW_BYTES);
    // A turn of the event loop in which more could have come.
    await new Promise((resolve) => setImmediate(resolve));
    expect(guest.dataBytes()).toBe(WINDOW_BYTES);
    guest.push(frame(FRAME.credit, 1, credit(WINDOW_BYTES)));
    await fed;
    expect(guest.dataBytes()).toBe(WINDOW_BYTES + 10);
    expect(guest.received.at(-1)?.kind).toBe(FRAME.end);
  });

  it('stops feeding a process that has ended', async () => {
    const guest = new Guest();
    const exchange = new Control(guest).open({ what: 'exec', argv: ['true'] }, () => undefined);
    const fed = exchange.feed(new Uint8Array(4 * WINDOW_BYTES));
    await guest.until(() => guest.dataBytes() === WINDOW_BYTES);
    guest.push(jsonFrame(FRAME.outcome, 1, { code: 0, signal: null }));
    await fed;
    expect(await exchange.outcome).toEqual({ code: 0, signal: null });
  });

  it('keeps exchanges apart, and fails all of them when the guest goes down', async () => {
    const guest = new Guest();
    const control = new Control(guest);
    const said: string[] = [];
    const first = control.open({ what: 'exec', argv: ['a'] }, (_, chunk) => said.push(`1${Buffer.from(chunk)}`));
    const second = control.open({ what: 'exec', argv: ['b'] }, (_, chunk) => said.push(`2${Buffer.from(chunk)}`));
    guest.push(frame(FRAME.stdout, 2, Buffer.from('x')));
    guest.push(frame(FRAME.stdout, 1, Buffer.from('y')));
    guest.push(jsonFrame(FRAME.outcome, 2, { code: 0, signal: null }));
    await second.outcome;
    expect(said).toEqual(['2x', '1y']);
    control.reset(new VmError('VM_RESET', 'gone'));
    await expect(first.outcome).rejects.toMatchObject({ code: 'VM_RESET' });
  });

  it('hears the guest that comes up after a reset in mid-frame', async () => {
    const guest = new Guest();
    const control = new Control(guest);
    guest.push(frame(FRAME.stdout, 1, Buffer.from('cut short')).subarray(0, 15));
    await new Promise((resolve) => setImmediate(resolve));
    control.reset(new VmError('VM_RESET', 'gone'));
    const hello = control.nextHello();
    guest.push(jsonFrame(FRAME.hello, 0, { bootId: 'b' }));
    expect(await hello).toEqual({ bootId: 'b' });
  });
});

import type { Duplex } from 'node:stream';
import { FRAME, FrameReader, PAYLOAD_BYTES_MAX, WINDOW_BYTES, frame, jsonFrame, readJson } from './frames.js';
import type { Frame, FrameKind, Hello, OpenRequest, Outcome } from './frames.js';
import { VmError } from './vm-error.js';

export type OutputListener = (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;

/** What goes to a process or a file of the guest: bytes, or a source of them. */
export type Input = Uint8Array | AsyncIterable<Uint8Array>;

const NO_SIGNAL = new Uint8Array(0);

/** One thing under way in the guest. */
export class ControlExchange {
  readonly outcome: Promise<Outcome>;
  #resolve: (outcome: Outcome) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;
  #window = WINDOW_BYTES;
  #wake: () => void = () => undefined;
  #over = false;

  constructor(
    private readonly send: (kind: FrameKind, payload: Uint8Array) => Promise<void>,
    private readonly onOutput: OutputListener,
  ) {
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.outcome.catch(() => undefined);
  }

  /** Sends as fast as the guest takes it; stops by itself when the exchange is over. */
  async feed(input: Input): Promise<void> {
    const chunks = input instanceof Uint8Array ? [input] : input;
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.byteLength && !this.#over; at += PAYLOAD_BYTES_MAX)
        await this.#sendPiece(chunk.subarray(at, at + PAYLOAD_BYTES_MAX));
      if (this.#over) return;
    }
    await this.send(FRAME.end, NO_SIGNAL);
  }

  async #sendPiece(piece: Uint8Array): Promise<void> {
    while (this.#window < piece.byteLength && !this.#over) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#over) return;
    this.#window -= piece.byteLength;
    await this.send(FRAME.data, piece);
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#over) void this.send(FRAME.signal, new TextEncoder().encode(name));
  }

  handle(one: Frame): void {
    if (one.kind === FRAME.stdout) this.onOutput('stdout', one.payload);
    else if (one.kind === FRAME.stderr) this.onOutput('stderr', one.payload);
    else if (one.kind === FRAME.outcome) this.#finish(() => this.#resolve(readJson(one) as Outcome));
    else if (one.kind === FRAME.credit) {
      this.#window += new DataView(one.payload.buffer, one.payload.byteOffset).getUint32(0, true);
      this.#wake();
    }
  }

  fail(error: Error): void {
    this.#finish(() => this.#reject(error));
  }

  #finish(settle: () => void): void {
    this.#over = true;
    settle();
    this.#wake();
  }
}

/** The harness's end of the control channel. It lives as long as QEMU does; the guest behind it may start anew. */
export class Control {
  readonly #reader = new FrameReader();
  readonly #exchanges = new Map<number, ControlExchange>();
  readonly #greeted: ((hello: Hello) => void)[] = [];
  #last = 0;

  constructor(private readonly stream: Duplex) {
    stream.on('data', (chunk: Buffer) => {
      for (const one of this.#reader.push(chunk)) this.#handle(one);
    });
    // QEMU's end closes when it ends, which its exit event tells with more to say.
    stream.on('error', () => undefined);
  }

  /** The next greeting of a guest that comes up. */
  nextHello(): Promise<Hello> {
    return new Promise((resolve) => this.#greeted.push(resolve));
  }

  open(request: OpenRequest, onOutput: OutputListener): ControlExchange {
    const id = (this.#last += 1);
    const exchange = new ControlExchange((kind, payload) => this.#send(frame(kind, id, payload)), onOutput);
    this.#exchanges.set(id, exchange);
    const forget = (): boolean => this.#exchanges.delete(id);
    exchange.outcome.then(forget, forget);
    void this.#send(jsonFrame(FRAME.open, id, request));
    return exchange;
  }

  /** The guest behind the channel is another one, or none: what was under way has come to nothing. */
  reset(error: VmError): void {
    this.#reader.reset();
    for (const exchange of this.#exchanges.values()) exchange.fail(error);
    this.#exchanges.clear();
  }

  #handle(one: Frame): void {
    if (one.kind !== FRAME.hello) this.#exchanges.get(one.exchange)?.handle(one);
    else for (const resolve of this.#greeted.splice(0)) resolve(readJson(one) as Hello);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    if (this.stream.writable && !this.stream.write(bytes)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.stream.off('drain', done).off('close', done);
          resolve();
        };
        this.stream.on('drain', done).on('close', done);
      });
    }
  }
}

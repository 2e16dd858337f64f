// The control service of a VM: carries out what the harness asks over a virtio-serial port, which needs no network and so
// survives what a test does to it.
import { execFileSync, spawn } from 'node:child_process';
import { openSync, readFileSync, write } from 'node:fs';
import { arch, release } from 'node:os';
import { FRAME, FrameReader, frame, jsonFrame, readJson } from '../frames.js';
import type { Frame, Hello, OpenRequest } from '../frames.js';
import { openExchange } from './exchange.js';
import type { Exchange, Wire } from './exchange.js';

class Port {
  readonly #fd: number;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#fd = openSync(path, 'r+');
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeAll(bytes));
    return this.#writing;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) {
      at += await new Promise<number>((resolve, reject) =>
        write(this.#fd, bytes, at, bytes.byteLength - at, null, (error, count) =>
          error ? reject(error) : resolve(count),
        ),
      );
    }
  }

  /**
   * A character device is no stream to Node, and this one gives 4 KiB a read(2), one turn of the thread pool each. `cat` reads it
   * instead, into a pipe that Node takes 64 KiB at a time: 10 times as fast under emulation.
   */
  chunks(): AsyncIterable<Uint8Array> {
    const cat = spawn('cat', [], { stdio: [this.#fd, 'pipe', 'inherit'] });
    // Without its input the service is deaf: init starts both anew.
    cat.once('exit', () => process.exit(1));
    return cat.stdout as unknown as AsyncIterable<Uint8Array>;
  }
}

class Service {
  readonly #exchanges = new Map<number, Exchange>();

  constructor(private readonly port: Port) {}

  async run(): Promise<void> {
    await this.port.write(jsonFrame(FRAME.hello, 0, hello()));
    const reader = new FrameReader();
    for await (const chunk of this.port.chunks()) for (const one of reader.push(chunk)) this.#handle(one);
  }

  #handle(one: Frame): void {
    const exchange = this.#exchanges.get(one.exchange);
    if (one.kind === FRAME.open) this.#open(one.exchange, readJson(one) as OpenRequest);
    // Copied: the reader's buffer goes with the next chunk, the process may take its input later.
    else if (one.kind === FRAME.data) exchange?.data(Uint8Array.from(one.payload));
    else if (one.kind === FRAME.end) exchange?.end();
    else if (one.kind === FRAME.signal) exchange?.signal(new TextDecoder().decode(one.payload));
  }

  #open(id: number, request: OpenRequest): void {
    const wire: Wire = {
      send: (kind, payload) => this.port.write(frame(kind, id, payload)),
      credit: (bytes) => {
        const payload = new Uint8Array(4);
        new DataView(payload.buffer).setUint32(0, bytes, true);
        void this.port.write(frame(FRAME.credit, id, payload));
      },
      close: (outcome) => {
        this.#exchanges.delete(id);
        void this.port.write(jsonFrame(FRAME.outcome, id, outcome));
      },
    };
    try {
      this.#exchanges.set(id, openExchange(request, wire));
    } catch (error) {
      wire.close({ code: null, signal: null, error: (error as Error).message });
    }
  }
}

function hello(): Hello {
  return {
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    release: release(),
    // The kernel's word, not Node's: under 32-bit user land they differ.
    machine: execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim() || arch(),
    arch: arch(),
    node: process.version,
    uptimeMs: Math.round(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000),
  };
}

await new Service(new Port(process.argv[2] ?? '/dev/vport0p1')).run();

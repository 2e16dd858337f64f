import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { FRAME, PAYLOAD_BYTES_MAX } from '../frames.js';
import type { FrameKind, OpenRequest, Outcome } from '../frames.js';

/** The guest's side of one exchange: sends what happens, and gets what the host says. */
export interface Wire {
  /** Resolves when the bytes have left the guest, so that a talkative process waits instead of filling memory. */
  send(kind: FrameKind, payload: Uint8Array): Promise<void>;
  credit(bytes: number): void;
  close(outcome: Outcome): void;
}

export interface Exchange {
  data(bytes: Uint8Array): void;
  end(): void;
  signal(name: string): void;
}

export function openExchange(request: OpenRequest, wire: Wire): Exchange {
  if (request.what === 'exec') return execute(request, wire);
  if (request.what === 'put') return new Put(request.path, request.mode, wire);
  void sendFile(request.path, wire);
  return { data: () => undefined, end: () => undefined, signal: () => undefined };
}

// What keeps this service's own Node from spinning in io_uring is not passed on: it would hide that a program under test needs it.
const { UV_USE_IO_URING: _, ...environment } = process.env;

function execute(request: Extract<OpenRequest, { what: 'exec' }>, wire: Wire): Exchange {
  const [program = '', ...args] = request.argv;
  const child = spawn(program, args, {
    cwd: request.cwd ?? '/root',
    env: { ...environment, ...request.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    // A session of its own, so that a signal reaches what it started as well.
    detached: true,
  });
  const failed = new Promise<Outcome>((resolve) =>
    child.once('error', (error) => resolve({ code: null, signal: null, error: error.message })),
  );
  const ended = new Promise<Outcome>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  const flows = Promise.all([pipe(child, 'stdout', wire), pipe(child, 'stderr', wire)]);
  void Promise.race([failed, ended]).then(async (outcome) => {
    // A daemon that the command left behind may keep the pipes open: its end is the command's, not the daemon's.
    await Promise.race([flows, new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref())]);
    wire.close(outcome);
  });
  child.stdin.on('error', () => undefined);
  return {
    data: (bytes) => {
      if (child.stdin.destroyed) return wire.credit(bytes.byteLength);
      child.stdin.write(bytes, () => wire.credit(bytes.byteLength));
    },
    end: () => child.stdin.end(),
    signal: (name) => kill(child, name),
  };
}

const DRAIN_MS = 500;

function kill(child: ChildProcess, name: string): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // It has ended already.
  }
}

async function pipe(child: ChildProcess, name: 'stdout' | 'stderr', wire: Wire): Promise<void> {
  for await (const chunk of child[name] ?? []) await sendAll(wire, FRAME[name], chunk as Buffer);
}

async function sendAll(wire: Wire, kind: FrameKind, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += PAYLOAD_BYTES_MAX)
    await wire.send(kind, bytes.subarray(at, at + PAYLOAD_BYTES_MAX));
}

async function sendFile(path: string, wire: Wire): Promise<void> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: PAYLOAD_BYTES_MAX }))
      await sendAll(wire, FRAME.stdout, chunk as Buffer);
    wire.close({ code: 0, signal: null });
  } catch (error) {
    wire.close({ code: null, signal: null, error: (error as Error).message });
  }
}

/** A file is written beside its place, synced and renamed: a power cut leaves the old one or the new one. */
class Put implements Exchange {
  #file: Promise<FileHandle>;
  #written: Promise<void>;

  constructor(
    private readonly path: string,
    mode: number,
    private readonly wire: Wire,
  ) {
    this.#file = open(`${path}.part`, 'w', mode);
    this.#written = this.#file.then(async (file) => file.chmod(mode));
    this.#written.catch((error: Error) => wire.close({ code: null, signal: null, error: error.message }));
  }

  data(bytes: Uint8Array): void {
    this.#written = this.#written.then(async () => {
      await (await this.#file).writeFile(bytes);
      this.wire.credit(bytes.byteLength);
    });
    this.#written.catch(() => this.wire.credit(bytes.byteLength));
  }

  end(): void {
    void this.#finish();
  }

  signal(): void {
    // A file's exchange ends by itself.
  }

  async #finish(): Promise<void> {
    try {
      await this.#written;
      const file = await this.#file;
      await file.sync();
      await file.close();
      await rename(`${this.path}.part`, this.path);
      this.wire.close({ code: 0, signal: null });
    } catch (error) {
      this.wire.close({ code: null, signal: null, error: (error as Error).message });
    }
  }
}

import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { VmTarget } from './catalogue.js';
import { ConsoleLog } from './console-log.js';
import { Control } from './control.js';
import type { ControlExchange, Input, OutputListener } from './control.js';
import type { Hello, OpenRequest, Outcome } from './frames.js';
import { startQemu } from './qemu.js';
import type { Qemu, QemuOptions } from './qemu.js';
import { Qmp } from './qmp.js';
import { VmError } from './vm-error.js';

/**
 * For Node 20.11, the last one for armv7: its libuv asks io_uring for a kernel thread that polls (IORING_SETUP_SQPOLL), one for each
 * event loop, and under emulation each takes a CPU for itself even when Node is idle. Off by default since Node 20.11.1
 * (CVE-2024-22017).
 */
export const NO_IO_URING = { UV_USE_IO_URING: '0' } as const;

export interface ExecOptions {
  /** Default 60 s. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Input;
  readonly onOutput?: OutputListener;
  /** What is kept of each stream, the beginning first; default 4 MiB. `onOutput` gets everything. */
  readonly outputBytesMax?: number;
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly truncated: boolean;
}

/** How a guest goes down: as `reboot` does it, as if the power failed (nothing is synced), or by a crash of its kernel. */
export type RebootKind = 'clean' | 'power-cut' | 'panic';

const EXEC_TIMEOUT_MS = 60_000;
const FILE_TIMEOUT_MS = 120_000;
const REBOOT_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_MS = 10_000;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
const ERROR_TEXT_CHARS = 2_000;
// `reboot` is systemd's, which cannot tell busybox's init.
const REBOOT_SCRIPT = 'if [ -d /run/systemd/system ]; then exec systemctl reboot; else exec busybox reboot; fi';

/** A VM that runs. `stop` is idempotent; everything else throws VM_EXITED after it. */
export class RunningVm {
  readonly console: ConsoleLog;
  readonly #qemu: Qemu;
  readonly #qmp: Qmp;
  readonly #control: Control;
  readonly #exited: Promise<void>;
  readonly #ports: ReadonlyMap<number, number>;
  #hello: Hello | undefined;
  #bootMs = 0;
  /** Set while a reset is wanted; any other means that the guest crashed. */
  #resetExpected = true;
  #failure: VmError | undefined;
  #onFailure: (error: VmError) => void = () => undefined;
  readonly #failed: Promise<never>;

  constructor(
    readonly target: VmTarget,
    options: QemuOptions,
    consolePath: string,
  ) {
    this.console = new ConsoleLog(consolePath);
    this.#failed = new Promise((_, reject) => (this.#onFailure = reject));
    this.#failed.catch(() => undefined);
    this.#qemu = startQemu(options);
    this.#ports = new Map(options.forward.map((one) => [one.guestPort, one.hostPort]));
    this.#qemu.console.on('data', (chunk: Buffer) => this.console.write(chunk));
    this.#qemu.errors.on('data', (chunk: Buffer) => this.console.write(chunk));
    this.#control = new Control(this.#qemu.control);
    this.#qmp = new Qmp(this.#qemu.qmp);
    this.#qmp.on('RESET', () => this.#onReset());
    this.#exited = new Promise((resolve) => this.#qemu.process.once('close', () => resolve()));
    this.#qemu.process.once('error', (error) => this.#fail(new VmError('VM_EXITED', `QEMU: ${error.message}`)));
    void this.#exited.then(() => this.#fail(this.#error('VM_EXITED', `${this.target}: the VM has ended`)));
    this.#qmp.execute('qmp_capabilities').catch(() => undefined);
  }

  /** QEMU's process on the host. */
  get pid(): number {
    return this.#qemu.process.pid as number;
  }

  /** What the guest said of itself when it last came up. */
  get guest(): Hello {
    if (this.#hello === undefined) throw this.#failure ?? new VmError('VM_BOOT', `${this.target} is not up`);
    return this.#hello;
  }

  /** From the start (or the reset) to the control service's greeting. */
  get bootMs(): number {
    return this.#bootMs;
  }

  /** Where the host reaches a forwarded port of the guest. */
  port(guestPort: number): number {
    const found = this.#ports.get(guestPort);
    if (found === undefined) throw new RangeError(`port ${guestPort} of ${this.target} is not forwarded`);
    return found;
  }

  /** Waits until the guest's control service has greeted. */
  async booted(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const begun = performance.now();
    const hello = this.#control.nextHello();
    const late = (): VmError => this.#error('VM_BOOT', `${this.target} did not come up within ${timeoutMs} ms`);
    this.#hello = await this.#within(hello, timeoutMs, late, signal);
    this.#bootMs = Math.round(performance.now() - begun);
    this.#resetExpected = false;
    this.console.forgetPanic();
  }

  /**
   * Runs a program to its end. A code other than 0 is a result, not an error.
   * @throws VmError VM_TIMEOUT (the program and what it started are killed), VM_REFUSED (no such program), VM_EXITED, VM_PANIC
   */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const limit = options.outputBytesMax ?? OUTPUT_BYTES_MAX;
    const output = { stdout: new Collected(limit), stderr: new Collected(limit) };
    const request: OpenRequest = {
      what: 'exec',
      argv,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    };
    const exchange = this.#open(request, (stream, chunk) => {
      output[stream].add(chunk);
      options.onOutput?.(stream, chunk);
    });
    void exchange.feed(options.input ?? new Uint8Array(0));
    const timeoutMs = options.timeoutMs ?? EXEC_TIMEOUT_MS;
    const late = (): VmError => {
      exchange.signal('SIGKILL');
      const said = `${output.stdout.text()}${output.stderr.text()}`.slice(-ERROR_TEXT_CHARS);
      return this.#error('VM_TIMEOUT', `${argv.join(' ')} took more than ${timeoutMs} ms on ${this.target}: ${said}`);
    };
    const outcome = await this.#settled(exchange, timeoutMs, late, options.signal);
    if (outcome.error !== undefined) throw new VmError('VM_REFUSED', `${argv[0]} on ${this.target}: ${outcome.error}`);
    return {
      code: outcome.code,
      signal: outcome.signal,
      stdout: output.stdout.bytes(),
      stderr: output.stderr.bytes(),
      truncated: output.stdout.truncated || output.stderr.truncated,
    };
  }

  /**
   * What a program wrote to its standard output; anything but success is an error that shows what it said.
   * @throws VmError VM_COMMAND and those of `exec`
   */
  async output(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
    const result = await this.exec(argv, options);
    if (result.code === 0) return result.stdout.toString('utf8');
    const said = `${result.stderr.toString('utf8')}${result.stdout.toString('utf8')}`.slice(-ERROR_TEXT_CHARS);
    const how = result.signal === null ? `code ${result.code}` : result.signal;
    throw new VmError('VM_COMMAND', `${argv.join(' ')} ended with ${how} on ${this.target}: ${said}`);
  }

  /** A shell script, `set -e`, as one would type it on the device. */
  async sh(script: string, options: ExecOptions = {}): Promise<string> {
    return this.output(['sh', '-ec', script], options);
  }

  /** Puts a file in place, synced and whole or not at all. Its folder must exist. */
  async put(path: string, contents: Input | string, options: { readonly mode?: number } = {}): Promise<void> {
    const exchange = this.#open({ what: 'put', path, mode: options.mode ?? 0o644 }, () => undefined);
    void exchange.feed(typeof contents === 'string' ? new TextEncoder().encode(contents) : contents);
    await this.#fileDone(exchange, `writing ${path}`);
  }

  /** Copies a file of the host, or a folder with what is in it, to a path of the guest. Links are followed. */
  async copy(hostPath: string, path: string): Promise<void> {
    const { isDirectory, mode } = await stat(hostPath).then((found) => ({
      isDirectory: found.isDirectory(),
      mode: found.mode,
    }));
    if (!isDirectory) return this.put(path, createReadStream(hostPath), { mode: mode & 0o777 });
    const tar = spawn('tar', ['-C', hostPath, '--dereference', '-cf', '-', '.'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const packed = new Promise<number | null>((resolve) => tar.once('close', resolve));
    const script = `mkdir -p "$0" && tar -x --no-same-owner -C "$0"`;
    await this.output(['sh', '-c', script, path], { input: tar.stdout, timeoutMs: FILE_TIMEOUT_MS });
    if ((await packed) !== 0) throw new Error(`tar could not read all of ${basename(hostPath)}`);
  }

  /** A file of the guest, up to `bytesMax` (default 64 MiB). */
  async get(path: string, bytesMax = 64 * 1024 * 1024): Promise<Buffer> {
    const collected = new Collected(bytesMax);
    const exchange = this.#open({ what: 'get', path }, (_, chunk) => collected.add(chunk));
    await this.#fileDone(exchange, `reading ${path}`);
    if (collected.truncated)
      throw new VmError('VM_REFUSED', `${path} on ${this.target} is larger than ${bytesMax} bytes`);
    return collected.bytes();
  }

  /** Takes the guest down and waits until it is up again. The disk keeps what was synced; of `/run` and `/tmp` nothing stays. */
  async reboot(how: RebootKind = 'clean', timeoutMs = REBOOT_TIMEOUT_MS): Promise<void> {
    this.#assertUp();
    this.#resetExpected = true;
    const up = this.booted(timeoutMs);
    if (how === 'power-cut') await this.#qmp.execute('system_reset');
    else {
      const script = how === 'panic' ? 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger' : REBOOT_SCRIPT;
      // The answer may be lost on the way down.
      this.#open({ what: 'exec', argv: ['sh', '-c', script] }, () => undefined);
    }
    await up;
  }

  /** Ends the VM at once; its disk is gone. Returns when QEMU has. */
  async stop(): Promise<void> {
    this.#fail(new VmError('VM_EXITED', `${this.target} was stopped`));
    const { process: qemu } = this.#qemu;
    if (qemu.exitCode === null && qemu.signalCode === null && qemu.pid !== undefined) {
      qemu.kill('SIGTERM');
      const hard = setTimeout(() => qemu.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await this.#exited;
      clearTimeout(hard);
    }
    await this.console.close();
  }

  #open(request: OpenRequest, onOutput: OutputListener): ControlExchange {
    this.#assertUp();
    return this.#control.open(request, onOutput);
  }

  #assertUp(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #fileDone(exchange: ControlExchange, what: string): Promise<void> {
    const late = (): VmError =>
      this.#error('VM_TIMEOUT', `${what} took more than ${FILE_TIMEOUT_MS} ms on ${this.target}`);
    const outcome = await this.#settled(exchange, FILE_TIMEOUT_MS, late);
    if (outcome.error !== undefined) throw new VmError('VM_REFUSED', `${what} on ${this.target}: ${outcome.error}`);
  }

  #settled(exchange: ControlExchange, timeoutMs: number, late: () => VmError, signal?: AbortSignal): Promise<Outcome> {
    const kill = (): void => exchange.signal('SIGKILL');
    if (signal?.aborted) kill();
    else signal?.addEventListener('abort', kill, { once: true });
    // One signal may outlive thousands of commands.
    return this.#within(exchange.outcome, timeoutMs, late, signal).finally(() =>
      signal?.removeEventListener('abort', kill),
    );
  }

  /** The first of: the work, its deadline, the caller's abort, the end of the VM. */
  async #within<T>(work: Promise<T>, timeoutMs: number, late: () => VmError, signal?: AbortSignal): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    let abort = (): void => undefined;
    const deadline = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(late()), timeoutMs)));
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal?.reason as Error);
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
    try {
      return await Promise.race([work, deadline, aborted, this.#failed]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  #onReset(): void {
    const { panic } = this.console;
    // QEMU resets its machine once before the guest's first instruction.
    if (this.#hello === undefined && panic === undefined) return;
    if (this.#resetExpected && this.#hello !== undefined) {
      this.console.forgetPanic();
      return this.#control.reset(this.#error('VM_RESET', `${this.target} went down`));
    }
    if (panic !== undefined) this.#fail(this.#error('VM_PANIC', `the kernel of ${this.target} panicked: ${panic}`));
    else this.#fail(this.#error('VM_RESET', `${this.target} started again without being asked to`));
    this.#qemu.process.kill('SIGKILL');
  }

  #error(code: VmError['code'], message: string): VmError {
    return new VmError(code, `${message} (console: ${this.console.path})`, this.console.tail());
  }

  #fail(error: VmError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#control.reset(error);
    this.#onFailure(error);
  }
}

/** Output up to a limit: what is beyond is counted as lost, since a runaway program must not fill the host's memory. */
class Collected {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  truncated = false;

  constructor(private readonly bytesMax: number) {}

  add(chunk: Uint8Array): void {
    const room = this.bytesMax - this.#bytes;
    if (chunk.byteLength > room) this.truncated = true;
    const kept = chunk.subarray(0, room);
    if (kept.byteLength === 0) return;
    this.#bytes += kept.byteLength;
    this.#chunks.push(kept);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  text(): string {
    return this.bytes().toString('utf8');
  }
}

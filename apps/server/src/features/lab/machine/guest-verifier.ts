import { PassThrough } from 'node:stream';
import type { ExecResult, RunningVm } from '@bpfleet/vm';
import {
  brokeDown,
  parseServedAnswer,
  parseServedFeatures,
  ProveError,
  type FeaturesReport,
  type VerifierReport,
} from '../../../verify/index.js';
import { MachineError } from './lab-machines.js';
import { SERVE_COMMAND } from './verifier-install.js';

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const OUTPUT_CHARS_MAX = 4_096;
/** Longer than a boot of the lab lasts, which has its own bounds. */
const SERVING_MS_MAX = 24 * 60 * 60_000;
// A fault in the kernel kills the process that met it and may take the kernel down only then: it is told as what it was.
const AFTERMATH = ['sh', '-c', 'sync; sleep 0.2'];
const AFTERMATH_TIMEOUT_MS = 30_000;
const NEWLINE = 0x0a;

type Guest = Pick<RunningVm, 'exec'>;

/**
 * The verifier in a VM: a process that stays, since starting Node takes seconds under emulation and judging mostly much less.
 * When it has ended, whyever, the next request gets a new one.
 */
export class GuestVerifier {
  private serving: ServingProcess | undefined;

  constructor(private readonly vm: Guest) {}

  /** Starts it without waiting for it. What goes wrong then is told to the next request. */
  start(): void {
    this.process();
  }

  /**
   * One request at a time. A request that ends by its time or the signal ends the process too.
   * @throws VmError, ProveError crash, report, request; MachineError timeout; the signal's reason
   */
  async ask(request: object, timeoutMs: number, signal: AbortSignal): Promise<VerifierReport> {
    return this.process().ask(request, parseServedAnswer, timeoutMs, signal);
  }

  /** What the kernel can do. Throws as `ask` does. */
  async features(timeoutMs: number, signal: AbortSignal): Promise<FeaturesReport> {
    return this.process().ask({ features: true }, parseServedFeatures, timeoutMs, signal);
  }

  private process(): ServingProcess {
    if (this.serving === undefined || this.serving.over) this.serving = new ServingProcess(this.vm);
    return this.serving;
  }
}

interface Asked {
  answer(line: Buffer, printed: string): void;
  reject(error: unknown): void;
}

class ServingProcess {
  over = false;
  private readonly input = new PassThrough();
  private readonly killed = new AbortController();
  private asked: Asked | undefined;
  private answer: Uint8Array[] = [];
  private answerBytes = 0;
  /** The end of what it printed beside its answer, since it was asked. */
  private printed = '';

  constructor(private readonly vm: Guest) {
    const options = {
      input: this.input,
      onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => this.hear(stream, chunk),
      outputBytesMax: 0,
      timeoutMs: SERVING_MS_MAX,
      signal: this.killed.signal,
    };
    vm.exec(SERVE_COMMAND, options).then(
      (ended) => this.ended(ended),
      (error: unknown) => this.end(error),
    );
  }

  async ask<T>(
    request: object,
    parse: (line: Buffer, printed: string) => T,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<T> {
    if (this.asked !== undefined) throw new Error('the verifier of a VM is asked one thing at a time');
    signal.throwIfAborted();
    const late = () => this.kill(new MachineError('timeout', `the verifier took more than ${timeoutMs} ms`));
    const timer = setTimeout(late, timeoutMs);
    const stop = () => this.kill(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    this.printed = '';
    try {
      return await new Promise((resolve, reject) => {
        this.asked = { answer: (line, printed) => resolve(parse(line, printed)), reject };
        this.input.write(`${JSON.stringify(request)}\n`);
      });
    } finally {
      this.asked = undefined;
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  private hear(stream: 'stdout' | 'stderr', chunk: Uint8Array): void {
    if (this.over) return;
    if (stream === 'stderr') {
      this.printed = `${this.printed}${Buffer.from(chunk).toString('utf8')}`.slice(-OUTPUT_CHARS_MAX);
      return;
    }
    this.answer.push(chunk);
    this.answerBytes += chunk.byteLength;
    const at = chunk.indexOf(NEWLINE);
    if (at !== -1) this.answered(at === chunk.byteLength - 1);
    else if (this.answerBytes > ANSWER_BYTES_MAX) this.kill(this.noAnswer(`is more than ${ANSWER_BYTES_MAX} bytes`));
  }

  private answered(whole: boolean): void {
    const { asked } = this;
    // Whose answer the next one would be is not certain any more.
    if (asked === undefined || !whole) return this.kill(this.noAnswer('is more than was asked for'));
    this.asked = undefined;
    const line = Buffer.concat(this.answer);
    this.answer = [];
    this.answerBytes = 0;
    try {
      asked.answer(line, this.printed);
    } catch (error) {
      asked.reject(error);
    }
  }

  private noAnswer(what: string): ProveError {
    return new ProveError(`the verifier's answer ${what}`, 'report', this.printed);
  }

  private kill(reason: unknown): void {
    this.end(reason);
    this.killed.abort(reason);
  }

  private ended(how: ExecResult): void {
    const { asked } = this;
    this.over = true;
    this.input.end();
    if (asked === undefined) return;
    this.vm.exec(AFTERMATH, { timeoutMs: AFTERMATH_TIMEOUT_MS }).then(
      () => asked.reject(brokeDown(how, this.printed)),
      (error: unknown) => asked.reject(error),
    );
  }

  private end(error: unknown): void {
    this.over = true;
    this.input.end();
    this.asked?.reject(error);
  }
}

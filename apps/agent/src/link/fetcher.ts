import { randomBytes } from 'node:crypto';
import { documentRules } from '@bpfleet/trust';
import {
  decodeBlobChunk,
  docErrorSchema,
  encodeMessage,
  limits,
  parseMessage,
  WireError,
  type Get,
  type UpTopic,
} from '@bpfleet/wire';
import { AgentError } from '../agent-error.js';

const ANSWER_TIMEOUT_MS = 20_000;
const CHUNK_ATTEMPTS = 3;

interface Waiting {
  readonly rid: string;
  readonly kind: 'doc' | 'blob';
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: AgentError) => void;
}

/** What came of a blob so far, so that a lost link does not cost it. */
export interface PartialStore {
  partialBytes(digest: string): number;
  partial(digest: string, bytesMax: number): Buffer | undefined;
  appendPartial(digest: string, bytes: Uint8Array): void;
  removePartial(digest: string): void;
}

/** Asks the server for documents and blobs, one question on the way at a time. What comes is not yet believed. */
export class Fetcher {
  private waiting: Waiting | undefined;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly publish: (topic: UpTopic, payload: Buffer) => Promise<void>,
    private readonly partials: PartialStore,
    private readonly answerTimeoutMs = ANSWER_TIMEOUT_MS,
  ) {}

  /** The envelope's bytes. @throws AgentError FETCH_REFUSED, FETCH_SIZE, LINK_DOWN, LINK_TIMEOUT, ABORTED */
  async document(what: Extract<Get, { kind: 'release' | 'root' | 'addendum' }>, signal: AbortSignal): Promise<Buffer> {
    const answer = await this.ask('doc', what, signal);
    if (answer.length > documentRules[what.kind].bytesMax) {
      throw new AgentError('FETCH_SIZE', `the ${what.kind} is ${answer.length} bytes`);
    }
    const refusal = refusalIn(answer);
    if (refusal) throw new AgentError('FETCH_REFUSED', `${refusal.code}: ${refusal.message}`);
    return answer;
  }

  /** In chunks, going on where the last attempt stopped. Exactly `totalBytes`, or it throws like `document`. */
  async blob(digest: string, totalBytes: number, signal: AbortSignal): Promise<Buffer> {
    if (this.partials.partialBytes(digest) > totalBytes) this.partials.removePartial(digest);
    for (let offset = this.partials.partialBytes(digest); offset < totalBytes;) {
      const bytes = await this.chunk(digest, offset, totalBytes, signal);
      this.partials.appendPartial(digest, bytes);
      offset += bytes.length;
    }
    const whole = this.partials.partial(digest, totalBytes);
    if (whole?.length !== totalBytes) throw new AgentError('FETCH_SIZE', `blob ${digest} is not whole`);
    return whole;
  }

  /** True when somebody had waited for it. */
  answer(kind: 'doc' | 'blob', rid: string, payload: Buffer): boolean {
    if (this.waiting?.rid !== rid || this.waiting.kind !== kind) return false;
    this.waiting.resolve(payload);
    return true;
  }

  linkLost(): void {
    this.waiting?.reject(new AgentError('LINK_DOWN', 'the link was lost while waiting for an answer'));
  }

  private async chunk(digest: string, offset: number, totalBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const bytesMax = Math.min(limits.blobChunkBytesMax, totalBytes - offset);
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.ask('blob', { v: 1, kind: 'blob', digest, offset, bytesMax }, signal);
        const chunk = decodeBlobChunk(answer);
        if (!chunk) throw new AgentError('FETCH_REFUSED', `the server has no blob ${digest}`);
        if (chunk.totalBytes !== totalBytes || chunk.offset !== offset || chunk.bytes.length === 0) {
          throw new AgentError('FETCH_SIZE', `a chunk of blob ${digest} is not the one that was asked for`);
        }
        return chunk.bytes;
      } catch (error) {
        const { code } = error as { code?: string };
        if (code !== 'LINK_TIMEOUT' || attempt >= CHUNK_ATTEMPTS) throw error;
      }
    }
  }

  private ask(kind: Waiting['kind'], question: Get, signal: AbortSignal): Promise<Buffer> {
    const result = this.queue.then(() => this.askNow(kind, question, signal));
    this.queue = result.catch(() => undefined);
    return result;
  }

  private async askNow(kind: Waiting['kind'], question: Get, signal: AbortSignal): Promise<Buffer> {
    if (signal.aborted) throw new AgentError('ABORTED', 'not wanted any more');
    const rid = randomBytes(8).toString('hex');
    let timer: NodeJS.Timeout | undefined;
    const abort = (): void => this.waiting?.reject(new AgentError('ABORTED', 'not wanted any more'));
    signal.addEventListener('abort', abort, { once: true });
    try {
      const answer = new Promise<Buffer>((resolve, reject) => {
        this.waiting = { rid, kind, resolve, reject };
        timer = setTimeout(
          () => reject(new AgentError('LINK_TIMEOUT', `no answer within ${this.answerTimeoutMs} ms`)),
          this.answerTimeoutMs,
        );
      });
      // Both, so that neither is left without a handler.
      const [payload] = await Promise.all([answer, this.publish({ kind: 'get', rid }, encodeMessage(question))]);
      return payload;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      this.waiting = undefined;
    }
  }
}

function refusalIn(answer: Buffer): { code: string; message: string } | undefined {
  try {
    return parseMessage(docErrorSchema, answer).error;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

import { ApiError, liveEventSchema, type LiveEvent } from '@bpfleet/api';
import { readCredentials } from './config/credentials.js';
import type { Invocation } from './connection.js';

/** The server says at least "alive" every 20 s (its features/live); a link that died silently is noticed by its silence. */
const silenceMsMax = 60_000;
const retryMsMin = 1_000;
const retryMsMax = 30_000;
/** Far more than any event is long. */
const lineCharactersMax = 64 * 1024;

/**
 * Follows `GET /api/live` until the signal is aborted, over links that drop. `onConnected` is called each time that the server
 * listens: what happened before was not sent, so everything is to be read again.
 * @throws ApiError where the server refuses, such as a token that it does not know
 */
export async function followLive(
  invocation: Invocation,
  on: { connected(): void; event(event: LiveEvent): void },
  signal: AbortSignal,
): Promise<void> {
  const { context, printer } = invocation;
  let retryMs = retryMsMin;
  let lost = false;
  while (!signal.aborted) {
    try {
      await readStream(invocation, signal, {
        connected() {
          if (lost) printer.note('The server answers again.');
          lost = false;
          retryMs = retryMsMin;
          on.connected();
        },
        event: on.event,
      });
    } catch (error) {
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) throw error;
    }
    if (signal.aborted) return;
    if (!lost) printer.note('The server does not answer; trying again');
    lost = true;
    await context.sleep(retryMs * (0.5 + Math.random() / 2), signal);
    retryMs = Math.min(retryMs * 2, retryMsMax);
  }
}

async function readStream(
  { context }: Invocation,
  stop: AbortSignal,
  on: { connected(): void; event(event: LiveEvent): void },
): Promise<void> {
  const { server, token } = await readCredentials(context);
  const silence = new Silence(context, stop);
  try {
    const response = await context.fetch(`${server}/api/live`, {
      headers: { accept: 'text/event-stream', authorization: `Bearer ${token}` },
      signal: silence.signal,
    });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new ApiError(response.status, 'LIVE_REFUSED', `${server} lets nobody follow it (HTTP ${response.status})`);
    }
    on.connected();
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      silence.broken();
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = (lines.pop() ?? '').slice(-lineCharactersMax);
      for (const line of lines) {
        const event = line.startsWith('data: ') ? parseLive(line.slice('data: '.length)) : undefined;
        if (event) on.event(event);
      }
    }
  } finally {
    silence.end();
  }
}

/** Undefined for what this version does not know: a newer server may say more. */
function parseLive(data: string): LiveEvent | undefined {
  try {
    return liveEventSchema.safeParse(JSON.parse(data)).data;
  } catch {
    return undefined;
  }
}

/** Aborts when nothing was heard for too long, or when it is to stop. */
class Silence {
  private readonly tooLong = new AbortController();
  private heard = new AbortController();
  readonly signal: AbortSignal;

  constructor(
    private readonly context: Invocation['context'],
    stop: AbortSignal,
  ) {
    this.signal = AbortSignal.any([this.tooLong.signal, stop]);
    this.wait();
  }

  broken(): void {
    this.heard.abort();
    this.heard = new AbortController();
    this.wait();
  }

  end(): void {
    this.heard.abort();
  }

  private wait(): void {
    const { signal } = this.heard;
    void this.context.sleep(silenceMsMax, signal).then(() => {
      if (!signal.aborted) this.tooLong.abort(new Error('the server is silent'));
    });
  }
}

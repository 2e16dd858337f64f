import { ApiError, type ApiClient, type Lab } from '@bpfleet/api';
import type { Invocation } from '../../connection.js';
import { followLive } from '../../live-events.js';
import { changedLines, labLines } from './kernel-text.js';

/** A kernel that proves quick releases says so several times a second; a person reads slower. */
const gatherMs = 500;
const retryMs = 3_000;

/**
 * Shows the lab, then each change of it as the server tells of one, until Ctrl-C. With `--json` the whole lab, a line for each
 * time. Nothing is asked while nothing happens.
 */
export async function watchLab(invocation: Invocation, client: ApiClient): Promise<void> {
  const { context, printer } = invocation;
  const stop = new AbortController();
  const release = context.onInterrupt(() => stop.abort());
  const stale = new Latch();
  stop.signal.addEventListener('abort', () => stale.raise());
  let refused: unknown;
  const following = followLive(
    invocation,
    {
      connected: () => stale.raise(),
      event: ({ type }) => (type === 'lab' || type === 'device' || type === 'dropped' ? stale.raise() : undefined),
    },
    stop.signal,
  ).catch((error: unknown) => {
    refused = error;
    stop.abort();
  });
  try {
    let shown: Lab | undefined;
    for (;;) {
      await stale.lowered();
      if (stop.signal.aborted) break;
      const found = await read(client);
      if (found) {
        const lines = shown === undefined ? labLines(found, context.now()) : changedLines(shown, found);
        if (shown === undefined || lines.length > 0) printer.result(found, () => lines);
        shown = found;
      } else stale.raise();
      await context.sleep(found ? gatherMs : retryMs, stop.signal);
    }
  } finally {
    release();
    stop.abort();
    await following;
  }
  if (refused !== undefined) throw refused;
}

/** Undefined where only the link or the server is in trouble: the lab goes on without this terminal. */
async function read(client: ApiClient): Promise<Lab | undefined> {
  try {
    return await client.call('getLab', {});
  } catch (error) {
    if (error instanceof ApiError && (error.code === 'API_UNREACHABLE' || error.status >= 500)) return undefined;
    throw error;
  }
}

/** However often it was raised meanwhile, who waits goes on once. */
class Latch {
  private raised = false;
  private wake: () => void = () => undefined;

  raise(): void {
    this.raised = true;
    this.wake();
  }

  /** When it has been raised; it is down again then. */
  async lowered(): Promise<void> {
    if (!this.raised) await new Promise<void>((resolve) => (this.wake = resolve));
    this.raised = false;
  }
}

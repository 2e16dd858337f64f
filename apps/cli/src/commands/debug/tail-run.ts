import { ApiError, type ApiClient, type CallResult, type Release } from '@bpfleet/api';
import type { Invocation } from '../../connection.js';
import { eventLine } from './event-line.js';
import { EventFollower } from './event-follower.js';

export type RunDetail = CallResult<'getRun'>;

const pollMs = 1_000;
const pollWhenLostMs = 3_000;
const pageRows = 1_000;
/** How much of one poll's backlog is read before the run's state is looked at again. */
const pagesMax = 20;
/** A device that lost its link says that it has detached when it comes back; nobody waits for that at a terminal. */
const graceMs = 30_000;
const stopGraceMs = 10_000;

export interface TailOptions {
  client: ApiClient;
  run: RunDetail;
  release: Release;
  events: readonly string[];
}

/** Shows events until the run is over, its time has passed, or Ctrl-C has stopped it. Survives a link that drops. */
export async function tailRun(invocation: Invocation, options: TailOptions): Promise<RunDetail> {
  const { context, printer } = invocation;
  const { client, events } = options;
  const followers = new Map(events.map((event) => [event, new EventFollower(options.run.createdAt)]));
  const wake = new AbortController();
  const unhurried = new AbortController().signal;
  let stopAskedMs: number | undefined;
  let run = options.run;
  let lost = false;
  let sawEnd = false;
  const release = context.onInterrupt(() => {
    if (stopAskedMs === undefined) printer.note('Stopping the run. It would also end by itself.');
    stopAskedMs ??= context.now();
    wake.abort();
  });
  let stopSent = false;
  try {
    for (;;) {
      try {
        if (stopAskedMs !== undefined && !stopSent) {
          await client.call('stopDebugRun', { path: { id: run.id } });
          stopSent = true;
        }
        // The state is read before the events, so that none that came before the end is left out.
        const next = await client.call('getRun', { path: { id: run.id } });
        if (next.state !== run.state) printer.note(stateLine(next));
        run = next;
        for (const [event, follower] of followers) await showNew(invocation, options, event, follower);
        if (lost) printer.note('The server answers again.');
        lost = false;
      } catch (error) {
        if (!isPassing(error)) throw error;
        if (!lost) printer.note(`${(error as Error).message}; the run goes on, trying again`);
        lost = true;
      }
      // One more look after the end: the last events, and what the run cost, may be a second behind its state.
      if ((isOver(run) && sawEnd) || isPastWaiting(run, context.now(), stopAskedMs)) return run;
      sawEnd = isOver(run);
      // Once Ctrl-C was pressed nothing may cut the pauses short, or a server that does not answer would be asked all the time.
      await context.sleep(lost ? pollWhenLostMs : pollMs, stopAskedMs === undefined ? wake.signal : unhurried);
    }
  } finally {
    release();
  }
}

async function showNew(
  { printer }: Invocation,
  { client, run, release, events }: TailOptions,
  event: string,
  follower: EventFollower,
): Promise<void> {
  const query = {
    device: run.device,
    run: run.id,
    probe: release.probe,
    event,
    from: follower.from(),
    limit: pageRows,
  };
  let response = await client.call('events', { query });
  const rows = [...response.rows];
  for (let page = 1; response.nextCursor !== null && page < pagesMax; page += 1) {
    response = await client.call('events', { query: { ...query, cursor: response.nextCursor } });
    rows.push(...response.rows);
  }
  if (response.nextCursor !== null)
    printer.note(`more than ${rows.length} events at once: the oldest are not shown here`);
  const columns = release.events.find((one) => one.name === event)?.columns.map((column) => column.name) ?? [];
  for (const row of follower.take(rows)) {
    printer.result({ type: 'event', event, ...row }, () => [
      eventLine(row, columns, events.length > 1 ? event : undefined),
    ]);
  }
}

function stateLine(run: RunDetail): string {
  const last = run.history.at(-1);
  return `${run.state.toLowerCase().replace('_', ' ')}${last?.to === run.state && last.reason ? `: ${last.reason}` : ''}`;
}

/** Only a link or a server in trouble: the run itself does not depend on this terminal. */
function isPassing(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 'API_UNREACHABLE' || error.status >= 500 || error.status === 429);
}

const finalStates: readonly RunDetail['state'][] = [
  'REJECTED',
  'FAILED',
  'TIMED_OUT',
  'SUSPECT_CRASH',
  'ENDED',
  'REMOVED',
  'SUPERSEDED',
  'ROLLED_BACK',
];

export function isOver(run: Pick<RunDetail, 'state' | 'endedAt'>): boolean {
  return run.endedAt !== null || finalStates.includes(run.state);
}

function isPastWaiting(run: RunDetail, nowMs: number, stopAskedMs: number | undefined): boolean {
  if (stopAskedMs !== undefined) return nowMs - stopAskedMs > stopGraceMs;
  return run.endsAt !== null && nowMs - Date.parse(run.endsAt) > graceMs;
}

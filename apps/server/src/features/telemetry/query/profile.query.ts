import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { QueryOf, ResponseOf } from '../../../http/route.js';
import { Clock } from '../../../platform/clock.js';
import { addressId, addressText } from '../name-id.js';
import { SILENCE_SECONDS_MAX } from './counter-rates.js';
import { flameTree, type FoldedStack } from './flame-tree.js';
import { TelemetryReads } from './telemetry-reads.js';
import { timeRange, type TimeRange } from './time-grid.js';

const STACKS_MAX = 20_000;
/**
 * Of all stacks that are read, and of all rows of the tree before those that stand on one another are one: each takes a
 * hundred bytes of this process.
 */
const FRAMES_MAX = 500_000;

/** Stands in the tree for the frames of stacks beyond FRAMES_MAX, which are the lightest. */
const LEFT_OUT = '[left out]';

interface CountRow {
  readonly run: string;
  readonly boot: string;
  readonly stacks: string;
  readonly kernelStack: string | null;
  readonly userStack: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly count: string;
}

/** By `stackKey`; null: beyond FRAMES_MAX. */
type Frames = ReadonlyMap<string, readonly bigint[] | null>;

/** What was on the CPUs (or wherever the probe looked) during a time, as one tree. */
@Injectable()
export class ProfileQuery {
  constructor(
    private readonly reads: TelemetryReads,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError RANGE_INVALID, QUERY_TOO_LARGE */
  async run(query: QueryOf<'profile'>): Promise<ResponseOf<'profile'>> {
    const range = timeRange(query, this.clock.now());
    return this.reads.read(async (client) => {
      const counts = await countsIn(client, query, range);
      const frames = await framesOf(client, counts);
      const names = await kernelNames(client, query.device, counts, frames);
      const root = flameTree(foldAll(counts, frames, names));
      return { profile: query.profile, samples: root.value, root };
    });
  }
}

/**
 * How often each stack was seen within the range: counts are absolute, so differences are taken, and a count that fell
 * began again. A stack that is new while its run was seen before began at zero; so did everything of a run that was
 * attached not long before.
 */
async function countsIn(
  client: pg.ClientBase,
  query: QueryOf<'profile'>,
  { from, to }: TimeRange,
): Promise<CountRow[]> {
  const { rows } = await client.query<CountRow>(
    `WITH known AS (
       SELECT ts, run, boot, stacks, kernel_stack, user_stack, labels, count FROM telemetry.profile
       WHERE device = $1 AND probe = $2 AND profile = $3
         AND ts >= $4::timestamptz - $6 * interval '1 second' AND ts < $5
     ), moved AS (
       SELECT *, min(ts) OVER (PARTITION BY run) AS run_seen_at,
         lag(count) OVER (PARTITION BY run, boot, stacks, kernel_stack, user_stack, labels ORDER BY ts) AS previous
       FROM known
     )
     SELECT m.run, m.boot, m.stacks, m.kernel_stack AS "kernelStack", m.user_stack AS "userStack", m.labels,
       sum(CASE WHEN m.previous IS NULL AND m.ts = m.run_seen_at
                  AND coalesce(r."attachedAt" < $4::timestamptz - $6 * interval '1 second', false) THEN 0
                WHEN m.previous IS NULL OR m.count < m.previous THEN m.count ELSE m.count - m.previous END) AS count
     FROM moved m LEFT JOIN "Run" r ON r.id = m.run
     WHERE m.ts >= $4 GROUP BY 1, 2, 3, 4, 5, 6
     HAVING sum(m.count) > 0 ORDER BY count DESC LIMIT ${STACKS_MAX}`,
    [query.device, query.probe, query.profile, from, to, SILENCE_SECONDS_MAX],
  );
  return rows.filter(({ count }) => count !== '0');
}

/** Frames of the heaviest stacks, `counts` having these first, until they are FRAMES_MAX. */
async function framesOf(client: pg.ClientBase, counts: readonly CountRow[]): Promise<Frames> {
  const wanted = new Map<string, readonly [string, string, string, string]>();
  for (const { run, boot, stacks, kernelStack, userStack } of counts) {
    for (const id of [kernelStack, userStack]) {
      if (id !== null) wanted.set(stackKey(run, boot, stacks, id), [run, boot, stacks, id]);
    }
  }
  const keys = [...wanted.values()];
  const { rows } = await client.query<{ run: string; boot: string; map: string; id: string; frames: string[] | null }>(
    `WITH wanted AS (
       SELECT run, boot, map, id, sum(cardinality(s.frames)) OVER (ORDER BY number) AS total
       FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS w (run, boot, map, id, number)
         JOIN telemetry.stack s USING (run, boot, map, id)
     )
     SELECT run, boot, map, id, CASE WHEN total <= $5 THEN s.frames END AS frames
     FROM wanted JOIN telemetry.stack s USING (run, boot, map, id)`,
    [
      keys.map(([run]) => run),
      keys.map(([, boot]) => boot),
      keys.map(([, , map]) => map),
      keys.map(([, , , id]) => id),
      FRAMES_MAX,
    ],
  );
  return new Map(
    rows.map(({ run, boot, map, id, frames }) => [stackKey(run, boot, map, id), frames?.map(BigInt) ?? null]),
  );
}

/** Names of the kernel's addresses, which hold for one boot. */
async function kernelNames(
  client: pg.ClientBase,
  device: string,
  counts: readonly CountRow[],
  frames: Frames,
): Promise<ReadonlyMap<string, string>> {
  const addresses = new Set<string>();
  for (const stack of frames.values()) for (const frame of stack ?? []) addresses.add(addressId(frame));
  const boots = [...new Set(counts.map(({ boot }) => boot))];
  const { rows } = await client.query<{ boot: string; id: string; name: string }>(
    `SELECT boot, id, name FROM telemetry.name WHERE device = $1 AND kind = 'ksym' AND boot = ANY ($2) AND id = ANY ($3)`,
    [device, boots, [...addresses]],
  );
  return new Map(rows.map(({ boot, id, name }) => [`${boot} ${id}`, name]));
}

/** One at a time, so that only the tree is kept. A stack that many rows share, one for each process, counts for each. */
function* foldAll(
  counts: readonly CountRow[],
  frames: Frames,
  names: ReadonlyMap<string, string>,
): Generator<FoldedStack> {
  let total = 0;
  for (const row of counts) {
    const folded = fold(row, frames, names);
    total += folded.frames.length;
    yield total <= FRAMES_MAX ? folded : { frames: folded.frames.slice(0, 1).concat(LEFT_OUT), count: folded.count };
  }
}

/**
 * Process, then its own frames, then the kernel's: the order in which they called one another. Without either, the sample
 * was taken outside the kernel, or its stack was lost to another with the same hash.
 */
function fold(row: CountRow, frames: Frames, names: ReadonlyMap<string, string>): FoldedStack {
  const { run, boot, stacks, kernelStack, userStack, labels, count } = row;
  const outermostFirst = (id: string | null): string[] => {
    if (id === null) return [];
    const stack = frames.get(stackKey(run, boot, stacks, id));
    if (stack === undefined) return ['[stack not kept]'];
    if (stack === null) return [LEFT_OUT];
    return stack.map((frame) => names.get(`${boot} ${addressId(frame)}`) ?? addressText(frame)).reverse();
  };
  const own = [...outermostFirst(userStack), ...outermostFirst(kernelStack)];
  const owner = labels['comm'] ?? Object.values(labels).join(' ');
  return { frames: [owner || '[unnamed]', ...(own.length > 0 ? own : ['[no kernel stack]'])], count: Number(count) };
}

function stackKey(run: string, boot: string, map: string, id: string): string {
  return `${run} ${boot} ${map} ${id}`;
}

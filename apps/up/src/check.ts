import { spawnSync } from 'node:child_process';
import { release } from 'node:os';
import type { ApiClient, Overview, Release, Run } from '@bpfleet/api';
import { Refusal } from './refusal.js';

/** What `--check` prints, in one line. */
export interface CheckReport {
  readonly ok: boolean;
  readonly error?: string;
  readonly kernel: string;
  readonly devices: number;
  readonly runsAttached: number;
  /** Probes that this kernel or the agent turned down, with the reason. */
  readonly runsNotAttached: readonly { probe: string; state: string; error: string | null }[];
  readonly samples: number;
  readonly events: number;
  /** `accepted` when this kernel's verifier accepted every release. */
  readonly verdict: string;
  /** `signed` when every release is. */
  readonly signature: string;
  readonly releases: number;
  readonly secondsToFirstTelemetry: number | null;
  readonly seconds: number;
}

const LIVE: readonly string[] = ['ATTACHED', 'SOAKED', 'SUCCEEDED'];
const OVER: readonly string[] = ['REJECTED', 'FAILED', 'TIMED_OUT', 'SUSPECT_CRASH'];

const FAILURES: readonly string[] = ['FAILED', 'TIMED_OUT', 'SUSPECT_CRASH'];

/** An interface holds one XDP program: another agent or tool on this machine may have been there first. */
function isHookTaken(run: Run): boolean {
  return /\bEBUSY\b/.test(run.error?.message ?? '');
}

/** The one word for many: itself when all agree, else the worst in the order given. */
function worstOf(words: readonly string[], worstFirst: readonly string[]): string {
  if (words.length === 0) return 'none';
  return worstFirst.find((word) => words.includes(word)) ?? (words[0] as string);
}

export function verdictOf(releases: readonly Release[]): string {
  const words = releases.map((one) =>
    one.verdicts.length === 0
      ? 'unproven'
      : worstOf(
          one.verdicts.map((v) => v.verdict),
          ['refused', 'unproven'],
        ),
  );
  return worstOf(words, ['refused', 'unproven', 'accepted']);
}

export function signatureOf(releases: readonly Release[]): string {
  return worstOf(
    releases.map((one) => one.signature.state),
    ['unsigned', 'signed'],
  );
}

export interface Observation {
  readonly overview: Overview;
  readonly runs: readonly Run[];
  readonly releases: readonly Release[];
}

/** What is still missing, as a clause; undefined when the whole chain has been seen to work. */
export function whatIsMissing({ overview, runs, releases }: Observation): string | undefined {
  if (overview.devicesOnline === 0) return 'no device is online';
  const settled = runs.filter((run) => LIVE.includes(run.state) || OVER.includes(run.state));
  if (settled.length < releases.length) {
    return `${releases.length - settled.length} of ${releases.length} runs are neither attached nor refused`;
  }
  if (overview.samples === 0) return 'no samples from this kernel have reached PostgreSQL';
  if (overview.events === 0) return 'no events from this kernel have reached PostgreSQL';
  return undefined;
}

export function reportOf(seen: Observation, startedAt: Date, now: Date): CheckReport {
  const { overview, runs, releases } = seen;
  const first =
    overview.firstTelemetryAt === null ? null : (Date.parse(overview.firstTelemetryAt) - startedAt.getTime()) / 1000;
  const lost = runs.filter((run) => !LIVE.includes(run.state));
  const failed = lost.find((run) => FAILURES.includes(run.state) && !isHookTaken(run));
  const verdict = verdictOf(releases);
  const error = failed
    ? `The run of ${failed.probe} failed: ${failed.error?.message ?? failed.state}`
    : verdict === 'refused'
      ? 'This kernel refused a built-in probe.'
      : undefined;
  return {
    ok: error === undefined,
    ...(error === undefined ? {} : { error }),
    kernel: release(),
    devices: overview.devices,
    runsAttached: overview.runsAttached,
    runsNotAttached: lost.map(({ probe, state, error: why }) => ({ probe, state, error: why?.message ?? null })),
    samples: overview.samples,
    events: overview.events,
    verdict,
    signature: signatureOf(releases),
    releases: releases.length,
    secondsToFirstTelemetry: first === null ? null : Math.round(first * 10) / 10,
    seconds: Math.round((now.getTime() - startedAt.getTime()) / 100) / 10,
  };
}

async function observe(client: ApiClient, releases: readonly Release[]): Promise<Observation> {
  const [overview, runs] = await Promise.all([
    client.call('overview', {}),
    client.call('listRuns', { query: { kind: 'assignment', limit: 500 } }),
  ]);
  return { overview, runs: runs.items, releases };
}

/** A quiet machine starts no programs; the check is about the chain, not about luck, so it makes the thing happen. */
function makeSomethingHappen(): void {
  spawnSync('true');
}

/** Waits until samples and events of this kernel are stored. @throws Refusal saying what is missing at the deadline */
export async function waitForTelemetry(
  client: ApiClient,
  releases: readonly Release[],
  deadline: Date,
): Promise<Observation> {
  for (;;) {
    makeSomethingHappen();
    const seen = await observe(client, releases);
    const missing = whatIsMissing(seen);
    if (missing === undefined) return seen;
    if (Date.now() > deadline.getTime()) throw new Refusal(`Time is up and ${missing}.`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

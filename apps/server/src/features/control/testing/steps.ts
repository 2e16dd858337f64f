import { randomBytes } from 'node:crypto';
import { acceptDesired, acceptFresh, type DesiredDocument, type FreshDocument } from '@bpfleet/trust';
import type { RunReport } from '@bpfleet/wire';
import type { Assignment } from '@bpfleet/api';
import { Assignments } from '../../assignments/assignments.service.js';
import { DesiredWorker } from '../../desired/desired-worker.js';
import { OutboxSender } from '../../desired/outbox-sender.js';
import { benchFacts, type Bench } from './bench.js';

export function mintNonce(): string {
  return randomBytes(16).toString('hex');
}

/** What the workers do when they are woken, done to its end. */
export async function settle(bench: Bench): Promise<void> {
  while (await bench.get(DesiredWorker).refreshDue());
  while (await bench.get(OutboxSender).sendSome());
}

export async function birth(
  bench: Bench,
  device: string,
  connection: number,
  given: { online?: boolean; facts?: object } = {},
): Promise<void> {
  const { online = true, facts = benchFacts } = given;
  const message = { v: 1, online, connection, bootId: 'boot', ...(online ? { facts } : {}) };
  await bench.say(device, { kind: 'birth' }, message);
}

export interface Answered {
  readonly fresh: FreshDocument;
  readonly envelope: Buffer | undefined;
  readonly desired: DesiredDocument | undefined;
}

/** A device that syncs and checks what it gets, as an agent would. */
export async function sync(
  bench: Bench,
  device: string,
  given: { desired?: string | null; generation?: number } = {},
): Promise<Answered> {
  const held = { root: bench.keys.root.digest, desired: null, generation: 0, ...given };
  const nonce = mintNonce();
  bench.link.clear();
  await bench.say(device, { kind: 'sync' }, { v: 1, nonce, held, streams: [] });
  const sent = bench.link.sentTo(device);
  const answers = sent.filter(({ topic }) => topic.kind === 'fresh');
  if (answers.length !== 1) throw new Error(`${answers.length} fresh documents came for one sync`);
  const root = bench.keys.root.document;
  const fresh = acceptFresh(root, device, [nonce], answers[0]?.payload as Buffer);
  const envelope = sent.find(({ topic }) => topic.kind === 'desired')?.payload;
  return { fresh, envelope, desired: envelope && acceptDesired(root, device, undefined, envelope) };
}

export function assign(bench: Bench, releaseId: string, selector: string, params = {}): Promise<Assignment> {
  return bench.get(Assignments).create('alice', { releaseId, selector, params });
}

export function report(
  run: string,
  release: string,
  state: RunReport['state'],
  revision: number,
  more: Partial<RunReport> = {},
): RunReport {
  return { v: 1, run, release, state, revision, ...more };
}

import { Injectable } from '@nestjs/common';
import type { RunState } from '@bpfleet/api';
import { digestOf, peekDocument, signDocument, type DesiredDocument, type DesiredEntry } from '@bpfleet/trust';
import { downTopic } from '@bpfleet/wire';
import type pg from 'pg';
import { Clock } from '../../platform/clock.js';
import { ServerKeys } from '../../platform/keys/server-keys.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { mintRunId, RunTransitions } from '../runs/index.js';
import { Config } from '../../config/config.js';
import { KernelOffers, type OfferWork } from '../kernels/index.js';
import { ReleaseCatalogue } from '../releases/catalogue/index.js';
import { desired, type AssignmentIntent, type DebugIntent, type DesiredItem } from './desired.js';
import { DesiredStore, type LockedDevice, type SignedDesired, type WantedRunRow } from './desired.store.js';
import { IntentReader } from './intent-reader.js';
import { extraBytes } from './limits.js';
import { canonical, NO_ROOM, planRuns, type OfferedItem, type RunPlan } from './plan-runs.js';
import { lockIntents, notifyWork } from './queue/index.js';

export interface DesiredState extends SignedDesired {
  /** A new generation was written by this call. */
  readonly changed: boolean;
}

/** Each time round something was found out; more often than this, it is found out while others wait. */
const ROUNDS_MAX = 3;

/** A device claims a generation; beyond this it is not believed, since nothing could follow it. */
export const GENERATION_MAX = 2_000_000_000;

/** The only writer of generations: everything happens under the device's row lock, in one transaction. */
@Injectable()
export class DesiredWriter {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly keys: ServerKeys,
    private readonly store: DesiredStore,
    private readonly intents: IntentReader,
    private readonly transitions: RunTransitions,
    private readonly offers: KernelOffers,
    private readonly releases: ReleaseCatalogue,
    private readonly config: Config,
  ) {}

  /**
   * Decides anew and, when the decision differs from the last signed document, signs the next generation. With `above`
   * (a device holds something newer than this server: a restored backup) the next generation is above that, in any case.
   * Undefined when there is no such device. What is not known yet of the device's kernel is found out first, outside of the
   * transaction: types of kernels are megabytes, and nobody waits for them under a lock.
   */
  async refresh(deviceId: string, options: { readonly above?: number } = {}): Promise<DesiredState | undefined> {
    for (let round = 1; ; round++) {
      const done = await this.refreshOnce(deviceId, options.above ?? 0, round === ROUNDS_MAX);
      if (!Array.isArray(done)) return done;
      for (const work of done) await this.offers.prepare(work);
    }
  }

  /** What has to be found out first, unless this is the `last` round: then what is not known is left for later. */
  private async refreshOnce(
    deviceId: string,
    above: number,
    last: boolean,
  ): Promise<DesiredState | undefined | OfferWork[]> {
    return this.sql.withTransaction(async (client) => {
      await lockIntents(client, 'shared');
      const device = await this.store.lockDevice(client, deviceId);
      if (!device) return undefined;
      const now = this.clock.now();
      const wanted = await this.store.wantedRuns(client, deviceId);
      const debug = await this.intents.debugOf(wanted);
      const assignments = await this.assignments(client);
      const decided = desired(device, { assignments, debug }, now, extraBytes(device.facts, this.config.tailoredBtf));
      const { items, pending } = await this.offered(client, device, decided.items);
      if (pending.length > 0 && !last) return pending;
      const refused = decided.overflow.map(({ item, error }) => ({ ...item, offer: { ...NO_ROOM, error } }));
      const plan = planRuns([...items, ...refused], wanted, now, mintRunId);
      await this.store.setDue(client, deviceId, nextEnd(debug, now));
      const held = heldBy(device);
      if (held && above < held.generation && canonical(held.entries) === canonical(plan.entries)) {
        await this.settle(client, device, plan, wanted);
        return { ...held, changed: false };
      }
      const signed = this.sign(device, plan.entries, Math.max(device.generation, above) + 1);
      await this.store.save(client, deviceId, signed);
      await this.settle(client, device, plan, wanted);
      await this.send(client, deviceId, signed.envelope, now);
      return { ...signed, changed: true };
    });
  }

  /** The device has what was decided: runs that waited for it are offered now. */
  async offer(deviceId: string): Promise<void> {
    await this.sql.withTransaction(async (client) => {
      const device = await this.store.lockDevice(client, deviceId);
      if (!device) return;
      for (const run of await this.store.wantedRuns(client, deviceId)) {
        if (run.state !== 'PENDING' && run.state !== 'DEFERRED') continue;
        const move = { id: run.id, deviceId, from: run.state, to: 'OFFERED', reason: 'the device asked' } as const;
        await this.transitions.decide(client, move);
      }
    });
  }

  /** Each item with what is known of its release on this device's kernel. */
  private async offered(
    client: pg.PoolClient,
    device: LockedDevice,
    decided: readonly DesiredItem[],
  ): Promise<{ items: OfferedItem[]; pending: OfferWork[] }> {
    const items: OfferedItem[] = [];
    const pending: OfferWork[] = [];
    for (const item of decided) {
      const release = device.facts && (await this.releases.find(item.release.id));
      if (!device.facts || !release) {
        items.push(item);
        continue;
      }
      const offer = await this.offers.offer(client, device.facts, device.kernelGroupId !== null, release);
      if (offer.kind === 'pending') pending.push(offer.work);
      else items.push({ ...item, offer });
    }
    return { items, pending };
  }

  private assignments(client: pg.PoolClient): Promise<AssignmentIntent[]> {
    return this.store.activeAssignments(client).then((rows) => this.intents.assignmentsOf(rows));
  }

  private sign(device: LockedDevice, entries: readonly DesiredEntry[], generation: number): SignedDesired {
    const document: DesiredDocument = { type: 'desired', device: device.id, generation, entries: [...entries] };
    const envelope = signDocument('desired', document, [this.keys.director]);
    return { generation, envelope, digest: digestOf(envelope) };
  }

  private async settle(
    client: pg.PoolClient,
    device: LockedDevice,
    plan: RunPlan,
    wanted: readonly WantedRunRow[],
  ): Promise<void> {
    for (const { run, to, reason } of plan.retire) {
      await this.transitions.decide(client, { id: run.id, deviceId: device.id, from: run.state, to, reason });
      await this.store.dropRun(client, run.id);
    }
    for (const { id, intent } of plan.adopt) await this.store.adoptRun(client, id, intent);
    const deviceId = device.id;
    for (const { id, item } of plan.create) {
      const { kind, intent, release, params } = item;
      const because = { endsAt: null, reason: 'the device matches the assignment' };
      const run = { id, deviceId, releaseId: release.id, kind, intent, params, ...because };
      await this.transitions.begin(client, run, item.offer?.kind === 'refused' ? undefined : handOver(device));
    }
    for (const { id, basis } of plan.rebase) await this.store.setBasis(client, id, basis);
    const states = new Map(wanted.map(({ id, state }) => [id, state]));
    for (const { id, error } of plan.refuse) {
      const from = states.get(id) ?? 'PENDING';
      await this.transitions.decide(client, { id, deviceId, from, to: 'REJECTED', reason: error.message, error });
    }
    const named = new Set(plan.entries.map(({ run }) => run));
    for (const { id, state } of wanted) {
      if (state !== 'PENDING' || !named.has(id)) continue;
      await this.transitions.decide(client, { id, deviceId, from: 'PENDING', ...handOver(device) });
    }
  }

  private async send(client: pg.PoolClient, deviceId: string, envelope: Buffer, now: Date): Promise<void> {
    await this.store.replaceOutbox(client, deviceId, downTopic(deviceId, { kind: 'desired' }), envelope, now);
    await notifyWork(client, 'outbox');
  }
}

function handOver(device: LockedDevice): { to: RunState; reason: string } {
  return device.online
    ? { to: 'OFFERED', reason: 'sent to the device' }
    : { to: 'DEFERRED', reason: 'the device is offline; it gets this when it comes back' };
}

function heldBy(device: LockedDevice): (SignedDesired & { entries: readonly DesiredEntry[] }) | undefined {
  if (!device.envelope) return undefined;
  const { entries, generation } = peekDocument('desired', device.envelope);
  return { entries, generation, envelope: device.envelope, digest: digestOf(device.envelope) };
}

/** When the device's desired state changes by the passing of time alone. */
function nextEnd(debug: readonly DebugIntent[], now: Date): Date | null {
  const ends = debug.filter(({ over, endsAt }) => !over && endsAt > now).map(({ endsAt }) => endsAt.getTime());
  return ends.length === 0 ? null : new Date(Math.min(...ends));
}

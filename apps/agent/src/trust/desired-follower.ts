import type { DesiredEntry, FreshDocument } from '@bpfleet/trust';
import type { Sync } from '@bpfleet/wire';
import type { Backoff } from '../core/backoff.js';
import type { BootPoint } from '../core/lease.js';
import type { Fetcher } from '../link/fetcher.js';
import { Syncer } from '../link/syncer.js';
import type { Log } from '../log.js';
import { followRoots } from './follow-roots.js';
import type { TrustKeeper } from './trust-keeper.js';

export interface DesiredFollowerOptions {
  readonly trust: TrustKeeper;
  readonly fetcher: Fetcher;
  /** The server's word as of then is what this device goes by. */
  readonly renewLease: (at: BootPoint) => void;
  /** `again`: nobody answered the last question, so whoever listens now may know nothing of this device. */
  readonly ask: (question: Pick<Sync, 'nonce' | 'held'>, again: boolean) => Promise<void>;
  /** Another desired state, or another lease: somebody has to look what there is to do. */
  readonly onChange: () => void;
  /** A desired state came: refused or not, the server wants to know. */
  readonly onDesired: () => void;
  /** What of earlier desired states is still needed. */
  readonly used: () => readonly DesiredEntry[];
  readonly now: () => BootPoint;
  readonly random: () => number;
  /** Ends what is being fetched when the agent stops. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly answer?: Backoff;
}

/** Asks the server what this device should run, and follows what it says: root, then fresh, then the desired state. */
export class DesiredFollower {
  private readonly syncer: Syncer;
  /** What the last fresh named, and when it came. */
  private newest: { readonly fresh: FreshDocument; readonly at: BootPoint } | undefined;

  constructor(private readonly options: DesiredFollowerOptions) {
    const { trust, now, random, ask, answer } = options;
    this.syncer = new Syncer({
      ask: (again) => ask(trust.question(now()), again),
      random,
      ...(answer ? { answer } : {}),
    });
  }

  connect(): void {
    this.syncer.connect();
  }

  disconnect(): void {
    this.syncer.disconnect();
  }

  sync(): void {
    this.syncer.sync();
  }

  /** @throws TrustError; then nothing has changed */
  takeFresh(payload: Buffer): void {
    const at = this.options.now();
    const answer = this.options.trust.takeFresh(payload, at);
    if (!answer) return this.options.log('debug', 'fresh.overtaken');
    const { fresh, wantsRoot, wantsDesired } = answer;
    this.newest = { fresh, at };
    this.renewLease();
    // The other half of the answer is on its way; if it does not come, the question is put again.
    if (!wantsDesired) this.syncer.answered();
    if (wantsRoot) void this.followRoot();
    this.options.onChange();
  }

  /** @throws TrustError; then what was held before still is */
  takeDesired(payload: Buffer): void {
    const { trust, log, onDesired, onChange, used } = this.options;
    let changed: boolean;
    try {
      changed = trust.takeDesired(payload);
    } finally {
      onDesired();
    }
    if (this.isNewest) this.syncer.answered();
    if (!changed) return;
    this.renewLease();
    log('info', 'desired.accepted', {
      generation: trust.desired?.generation,
      entries: trust.desired?.entries.length,
    });
    onChange();
    trust.removeUnused(used());
    // One that came on its own may not be the newest.
    if (!this.isNewest) this.syncer.sync();
  }

  private get isNewest(): boolean {
    return this.newest !== undefined && this.options.trust.desiredDigest === this.newest.fresh.digests.desired;
  }

  /**
   * Only what the server's last word names may stay: whoever lets that word pass and holds back what it names, or names what this
   * agent cannot accept, must not keep what was wanted before in the kernel. From the moment at which the word came.
   */
  private renewLease(): void {
    if (this.newest && this.options.trust.holds(this.newest.fresh)) this.options.renewLease(this.newest.at);
  }

  private async followRoot(): Promise<void> {
    const { trust, fetcher, signal, log } = this.options;
    const followed = await followRoots(trust, fetcher, signal, log);
    // Only a new root is a reason to ask anew: a server that has none would be asked for ever.
    if (followed) this.syncer.sync();
  }
}

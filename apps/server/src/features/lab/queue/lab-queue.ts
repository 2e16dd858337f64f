import { Injectable } from '@nestjs/common';
import type { LiveEvent } from '@bpfleet/api';
import type { Facts } from '@bpfleet/wire';
import { Clock } from '../../../platform/clock.js';
import { LiveBus } from '../../../platform/live/live-bus.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { KernelGroups, type KernelGroup } from '../../kernels/groups/index.js';
import { VERDICT_VERSIONS } from '../../kernels/index.js';
import { LIVE_RELEASES } from '../../releases/catalogue/index.js';
import type { LabModule } from '../kernels/lab-kernels.js';

/** How long a VM may be unheard of before another server takes its kernel over. */
export const LEASE_MS = 60_000;
/** Boots in a row that may fail, and tries of one release that may come to nothing for a reason that is not its own. */
export const FAILURES_MAX = 3;
const RETRY_MS = 30_000;
/** A server of an older version leaves alone what a newer one has queued: what it said of that would not count. */
const VERSION = VERDICT_VERSIONS.prove;
/** Of a kernel, or of several jobs at once. */
const KERNEL_CHANGED: LiveEvent = { type: 'lab', release: null };
const CONSOLE_CHARS_MAX = 8_000;
const REASON_CHARS_MAX = 1_000;

export interface ClaimedKernel {
  readonly id: string;
  readonly name: string;
  readonly target: string;
  readonly imageDigest: string | null;
  readonly configDigest: string | null;
  readonly modules: readonly LabModule[];
  readonly btfDigest: string | null;
  readonly kernelArgs: readonly string[];
  readonly jit: number | null;
  readonly kernelGroupId: string | null;
  /** What it can do; null until it was asked. */
  readonly features: readonly string[] | null;
  readonly lacks: readonly string[] | null;
  readonly failures: number;
  readonly createdBy: string;
}

export interface LabJob {
  readonly id: string;
  readonly releaseId: string;
  /** The parameters, as LabParams names them; empty for the defaults. */
  readonly globals: string;
  /** The types that it is loaded by, of the kernel or of its build; null where nobody has given any. */
  readonly source: string | null;
  readonly alone: boolean;
  readonly attempts: number;
}

/** What came of a boot: nothing said about any release. */
export interface BootFailure {
  readonly reason: string;
  readonly console: readonly string[];
  /** Trying again changes nothing. */
  readonly final: boolean;
}

/**
 * Which kernel of the lab proves what, in Postgres, so that any server with the role lab may do it. Who claims a kernel holds
 * its lease and renews it while its VM runs. When that server dies the lease runs out, the kernel is claimed by another, and
 * what was being proven waits again. Everything that a holder writes is written only while it still holds the lease. What changes
 * is said over LiveBus, so that nobody who watches need ask.
 */
@Injectable()
export class LabQueue {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly groups: KernelGroups,
    private readonly live: LiveBus,
  ) {}

  /**
   * A kernel that has something to do and that nobody runs: one that was never measured or asked, or for which releases wait. What a
   * dead holder was proving waits again, counted as a try.
   */
  async claim(holder: string): Promise<ClaimedKernel | undefined> {
    const now = this.clock.now();
    return this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<ClaimedKernel>(
        `UPDATE "LabKernel" SET holder = $1, "leaseUntil" = $2, state = 'booting', "dueAt" = $3 WHERE id = (
           SELECT k.id FROM "LabKernel" k
           WHERE (k."leaseUntil" IS NULL OR k."leaseUntil" < $3) AND k."dueAt" <= $3 AND k.state <> 'failed'
             AND (k."kernelGroupId" IS NULL OR k.features IS NULL
               OR EXISTS (SELECT FROM "LabJob" j WHERE j."labKernelId" = k.id AND j.state IN ('waiting', 'proving')
                 AND j.version <= $4))
           ORDER BY k."dueAt", k.id LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, name, target, "imageDigest", "configDigest", modules, "btfDigest", "kernelArgs", jit, "kernelGroupId", features, lacks, failures, "createdBy"`,
        [holder, new Date(now.getTime() + LEASE_MS), now, VERSION],
      );
      const kernel = rows[0];
      if (!kernel) return undefined;
      await client.query(RETURN_ABANDONED, [kernel.id, FAILURES_MAX, now]);
      await this.live.publish(KERNEL_CHANGED, client);
      return kernel;
    });
  }

  /** False when the lease is another's by now, or the kernel was removed: the VM is to be stopped. */
  async renew(kernelId: string, holder: string): Promise<boolean> {
    const now = this.clock.now();
    const { rowCount } = await this.sql.pool.query(
      'UPDATE "LabKernel" SET "leaseUntil" = $3, "seenAt" = $4 WHERE id = $1 AND holder = $2',
      [kernelId, holder, new Date(now.getTime() + LEASE_MS), now],
    );
    return rowCount === 1;
  }

  /**
   * The kernel is up, and this is what it is. Another build than at its last boot (a package of the suite was updated) is
   * another kernel group, about which nothing is known yet. Undefined when there is no room for its group; `lost` when the lease is
   * another's by now.
   */
  async booted(
    kernel: ClaimedKernel,
    holder: string,
    facts: Facts,
    bootMs: number,
  ): Promise<KernelGroup | 'lost' | undefined> {
    return this.sql.withTransaction(async (client) => {
      const group = await this.groups.ensure(client, facts);
      if (!group) return undefined;
      const { rowCount } = await client.query(
        `UPDATE "LabKernel" SET state = 'ready', reason = NULL, console = NULL, failures = 0, "kernelGroupId" = $3,
           "bootMs" = $4, "seenAt" = $5, features = $6, lacks = $7 WHERE id = $1 AND holder = $2`,
        [kernel.id, holder, group.id, bootMs, this.clock.now(), facts.features, facts.lacks ?? []],
      );
      if (rowCount !== 1) return 'lost';
      if (kernel.kernelGroupId !== null && kernel.kernelGroupId !== group.id) {
        await client.query(`DELETE FROM "LabJob" WHERE "labKernelId" = $1`, [kernel.id]);
      }
      await this.live.publish(KERNEL_CHANGED, client);
      return group;
    });
  }

  /** Nothing is running any more: it is tried again, later each time, and after a few times no more. */
  async bootFailed(kernel: ClaimedKernel, holder: string, { reason, console, final }: BootFailure): Promise<void> {
    // Counted by the row: that it came up in between began the count anew.
    await this.sql.pool.query(
      `UPDATE "LabKernel" SET state = CASE WHEN $3 OR failures + 1 >= $6 THEN 'failed'::"LabState" ELSE 'waiting' END,
         reason = $4, console = $5, failures = failures + 1, "dueAt" = $7::timestamptz + $8 * 2 ^ failures * interval '1 millisecond',
         holder = NULL, "leaseUntil" = NULL WHERE id = $1 AND holder = $2`,
      [
        kernel.id,
        holder,
        final,
        printable(reason).slice(0, REASON_CHARS_MAX),
        console.length === 0 ? null : printable(console.join('\n')).slice(-CONSOLE_CHARS_MAX),
        FAILURES_MAX,
        this.clock.now(),
        RETRY_MS,
      ],
    );
    await this.live.publish(KERNEL_CHANGED);
  }

  /** The VM is gone, and the kernel may be claimed again. What was under way waits, without counting as a try. */
  async release(kernelId: string, holder: string): Promise<void> {
    await this.sql.withTransaction(async (client) => {
      const { rowCount } = await client.query(
        `UPDATE "LabKernel" SET holder = NULL, "leaseUntil" = NULL,
           state = CASE WHEN state = 'booting' THEN 'waiting' ELSE state END WHERE id = $1 AND holder = $2`,
        [kernelId, holder],
      );
      if (rowCount !== 1) return;
      await client.query(`UPDATE "LabJob" SET state = 'waiting' WHERE "labKernelId" = $1 AND state = 'proving'`, [
        kernelId,
      ]);
      await this.live.publish(KERNEL_CHANGED, client);
    });
  }

  /**
   * Queues what may be offered next for every kernel that is known, with its defaults and with each set of LabParams, unless it
   * was proven with the types that count now, by this version or a newer one; returns how many. What failed for no reason of its own
   * is left until somebody asks.
   */
  async fill(): Promise<number> {
    const { rowCount } = await this.sql.pool.query(
      `INSERT INTO "LabJob" ("labKernelId", "releaseId", globals, source, version, "queuedAt")
       SELECT k.id, r.id, wanted.globals, COALESCE(g."btfDigest", b."btfDigest"), $2, $1
       FROM "LabKernel" k JOIN "KernelGroup" g ON g.id = k."kernelGroupId"
       LEFT JOIN "KernelBuild" b ON b."buildId" = g."kernelBuildId"
       CROSS JOIN (${LIVE_RELEASES}) r JOIN "Release" published ON published.id = r.id
       CROSS JOIN LATERAL (SELECT '' AS globals UNION ALL SELECT p.globals FROM "LabParams" p
         WHERE p."releaseId" = r.id AND p."kernelArch" = g."kernelArch") wanted
       -- Left to ON CONFLICT alone, every look would lock, and so write, every row.
       WHERE NOT EXISTS (SELECT FROM "LabJob" j WHERE j."labKernelId" = k.id AND j."releaseId" = r.id
         AND j.globals = wanted.globals AND j.version >= $2 AND j.source IS NOT DISTINCT FROM COALESCE(g."btfDigest", b."btfDigest"))
       ORDER BY published."createdAt", r.id, wanted.globals
       ON CONFLICT ("labKernelId", "releaseId", globals) DO UPDATE
         SET state = 'waiting', source = EXCLUDED.source, version = GREATEST("LabJob".version, EXCLUDED.version),
           attempts = 0, alone = false, error = NULL, "queuedAt" = $1
         WHERE ("LabJob".source IS DISTINCT FROM EXCLUDED.source OR "LabJob".version < EXCLUDED.version)
           AND "LabJob".state <> 'proving'`,
      [this.clock.now(), VERSION],
    );
    if (rowCount) await this.live.publish(KERNEL_CHANGED);
    return rowCount ?? 0;
  }

  /** What to prove next, now under way: those that need no boot of their own first. Undefined when nothing waits, or the lease is lost. */
  async next(kernelId: string, holder: string, given: { shared: boolean }): Promise<LabJob | undefined> {
    const { rows } = await this.sql.pool.query<LabJob>(
      `UPDATE "LabJob" SET state = 'proving', "startedAt" = $4, "endedAt" = NULL, error = NULL WHERE id = (
         SELECT j.id FROM "LabJob" j JOIN "LabKernel" k ON k.id = j."labKernelId"
         WHERE k.id = $1 AND k.holder = $2 AND j.state = 'waiting' AND NOT (j.alone AND $3) AND j.version <= $5
         ORDER BY j.alone, j."queuedAt", j.id LIMIT 1)
       RETURNING id, "releaseId", globals, source, alone, attempts`,
      [kernelId, holder, given.shared, this.clock.now(), VERSION],
    );
    const job = rows[0];
    if (job) await this.live.publish({ type: 'lab', release: job.releaseId });
    return job;
  }

  async done(job: LabJob, kernelId: string, holder: string): Promise<boolean> {
    return this.change(job, kernelId, holder, `state = 'done', "endedAt" = $4, error = NULL`);
  }

  /** Nobody wants to know it any more. Left waiting, it would have its kernel booted again and again. */
  async drop(job: LabJob, kernelId: string, holder: string): Promise<void> {
    const { rowCount } = await this.sql.pool.query(
      `DELETE FROM "LabJob" WHERE id = $1 AND EXISTS (SELECT FROM "LabKernel" k WHERE k.id = $2 AND k.holder = $3 FOR SHARE)`,
      [job.id, kernelId, holder],
    );
    if (rowCount === 1) await this.live.publish({ type: 'lab', release: job.releaseId });
  }

  /** It came to nothing for a reason that is not its own: tried again, and given up after a few times. */
  async again(job: LabJob, kernelId: string, holder: string, error: string): Promise<void> {
    const given = job.attempts + 1 >= FAILURES_MAX;
    await this.change(
      job,
      kernelId,
      holder,
      `state = $5::"LabJobState", "endedAt" = $4, attempts = attempts + 1, error = $6`,
      [given ? 'failed' : 'waiting', printable(error).slice(0, REASON_CHARS_MAX)],
    );
  }

  /** One of these took the kernel down: each, and what waits beside them, gets a boot that nothing else is loaded in. */
  async separate(kernelId: string, holder: string, jobs: readonly LabJob[]): Promise<void> {
    await this.aside(kernelId, holder, jobs, `OR j.state = 'waiting'`);
  }

  /** It gets a boot of its own; what waits beside it does not. */
  async setAside(job: LabJob, kernelId: string, holder: string): Promise<void> {
    await this.aside(kernelId, holder, [job], '');
  }

  private async aside(kernelId: string, holder: string, jobs: readonly LabJob[], others: string): Promise<void> {
    await this.sql.pool.query(
      `UPDATE "LabJob" j SET state = 'waiting', alone = true FROM "LabKernel" k
       WHERE k.id = $1 AND k.holder = $2 AND j."labKernelId" = k.id AND (j.id = ANY($3::bigint[]) ${others})`,
      [kernelId, holder, jobs.map(({ id }) => id)],
    );
    await this.live.publish(KERNEL_CHANGED);
  }

  private async change(
    job: LabJob,
    kernelId: string,
    holder: string,
    set: string,
    values: readonly unknown[] = [],
  ): Promise<boolean> {
    const { rowCount } = await this.sql.pool.query(
      `UPDATE "LabJob" SET ${set} WHERE id = $1
         AND EXISTS (SELECT FROM "LabKernel" k WHERE k.id = $2 AND k.holder = $3 FOR SHARE)`,
      [job.id, kernelId, holder, this.clock.now(), ...values],
    );
    if (rowCount === 1) await this.live.publish({ type: 'lab', release: job.releaseId });
    return rowCount === 1;
  }
}

const RETURN_ABANDONED = `
  UPDATE "LabJob" SET attempts = attempts + 1,
    state = CASE WHEN attempts + 1 >= $2 THEN 'failed'::"LabJobState" ELSE 'waiting' END,
    error = 'the server that proved it went away', "endedAt" = $3
  WHERE "labKernelId" = $1 AND state = 'proving'`;

/** Consoles and kernels may say anything; Postgres takes no NUL. */
function printable(text: string): string {
  return text.replace(/[^\n\t\x20-\x7e\u00a0-\uffff]/g, '');
}

import { Injectable, Logger } from '@nestjs/common';
import type { Facts } from '@bpfleet/wire';
import type pg from 'pg';
import { Clock } from '../../../platform/clock.js';
import { kernelGroupOf, type KernelGroup } from './kernel-group.js';

/** A device may tell of another kernel at each birth; a fleet has a few dozen. */
export const KERNEL_GROUPS_MAX = 5_000;

/** Which kernels the fleet runs, by what devices say of themselves. */
@Injectable()
export class KernelGroups {
  private readonly log = new Logger('KernelGroups');

  constructor(private readonly clock: Clock) {}

  /**
   * Puts a device into the group of the kernel that it reports, in the caller's transaction, which holds the device's row.
   * Above the limit a group that no device and no kernel of the lab is in makes room; where there is none the device stays without.
   */
  async note(client: pg.PoolClient, deviceId: string, facts: Facts): Promise<KernelGroup | undefined> {
    const group = await this.ensure(client, facts);
    await client.query('UPDATE "Device" SET "kernelGroupId" = $2 WHERE id = $1', [deviceId, group?.id ?? null]);
    return group;
  }

  /** The group of a kernel that no device has to run; locked until the caller's transaction ends. */
  async ensure(client: pg.PoolClient, facts: Facts): Promise<KernelGroup | undefined> {
    const group = kernelGroupOf(facts);
    const there = (await this.exists(client, group.id)) || (await this.create(client, group));
    return there ? group : undefined;
  }

  /** Locked, so that it cannot be removed before the device is in it. */
  private async exists(client: pg.PoolClient, id: string): Promise<boolean> {
    const { rowCount } = await client.query('SELECT FROM "KernelGroup" WHERE id = $1 FOR KEY SHARE', [id]);
    return rowCount === 1;
  }

  private async create(client: pg.PoolClient, group: KernelGroup): Promise<boolean> {
    if (!(await this.makeRoom(client))) {
      this.log.warn(`there are ${KERNEL_GROUPS_MAX} kernel groups, all in use; ${group.kernelRelease} is not counted`);
      return false;
    }
    const { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes, btfDigest } = group;
    await client.query(
      `INSERT INTO "KernelGroup" (id, "kernelRelease", "kernelArch", "kernelBuildId", "userBits", jit, lsm, "pageBytes",
         "btfDigest", "firstSeenAt") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
      [id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes, btfDigest, this.clock.now()],
    );
    return true;
  }

  private async makeRoom(client: pg.PoolClient): Promise<boolean> {
    const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM "KernelGroup"');
    if (Number(rows[0]?.count) < KERNEL_GROUPS_MAX) return true;
    const { rowCount } = await client.query(
      `DELETE FROM "KernelGroup" WHERE id = (
         SELECT g.id FROM "KernelGroup" g WHERE NOT EXISTS (SELECT FROM "Device" d WHERE d."kernelGroupId" = g.id)
           AND NOT EXISTS (SELECT FROM "LabKernel" l WHERE l."kernelGroupId" = g.id)
         ORDER BY g."firstSeenAt", g.id LIMIT 1 FOR UPDATE SKIP LOCKED)`,
    );
    return rowCount === 1;
  }
}

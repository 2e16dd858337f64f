import { Injectable } from '@nestjs/common';
import type { BtfState, Kernel, KernelBtf } from '@bpfleet/api';
import { notFound } from '../../platform/errors.js';
import { ControlSql } from '../../platform/sql/control-sql.js';

const LISTED_MAX = 1_000;

interface KernelRow {
  id: string;
  kernelRelease: string;
  kernelArch: string;
  kernelBuildId: string | null;
  userBits: number;
  jit: string | null;
  lsm: string[];
  pageBytes: number;
  /** What the kernel shows. */
  btfDigest: string | null;
  devices: string;
  known: boolean;
  upload: 'wanted' | 'asking' | 'refused' | null;
  reason: string | null;
  receivedBytes: number | null;
  totalBytes: number | null;
  addedDigest: string | null;
}

interface BtfRow {
  digest: string;
  bytes: number;
  pointerBits: number;
  source: KernelBtf['source'];
  addedBy: string;
  createdAt: Date;
  builds: KernelBtf['builds'];
  devices: string;
}

const KERNELS = `
  SELECT g.*, (SELECT count(*) FROM "Device" d WHERE d."kernelGroupId" = g.id AND d.status = 'active') AS devices,
    b.digest IS NOT NULL AS known, u.state AS upload, u.reason, u."receivedBytes", u."totalBytes", k."btfDigest" AS "addedDigest"
  FROM "KernelGroup" g
  LEFT JOIN "KernelBtf" b ON b.digest = g."btfDigest"
  LEFT JOIN "BtfUpload" u ON u.digest = g."btfDigest"
  LEFT JOIN "KernelBuild" k ON k."buildId" = g."kernelBuildId" AND g."btfDigest" IS NULL`;

/** Reads what is known of the fleet's kernels. */
@Injectable()
export class KernelList {
  constructor(private readonly sql: ControlSql) {}

  /** Kernels that some device runs, the most common first. */
  async kernels(): Promise<Kernel[]> {
    const { rows } = await this.sql.pool.query<KernelRow>(
      `SELECT * FROM (${KERNELS}) listed WHERE devices > 0 ORDER BY devices DESC, "kernelRelease", id LIMIT $1`,
      [LISTED_MAX],
    );
    return rows.map(kernelView);
  }

  /** These groups, whether some device runs them or only a kernel of the lab. Unknown ids are left out. */
  async groups(ids: readonly string[]): Promise<Kernel[]> {
    const { rows } = await this.sql.pool.query<KernelRow>(
      `SELECT * FROM (${KERNELS}) listed WHERE id = ANY($1) ORDER BY id LIMIT $2`,
      [ids, LISTED_MAX],
    );
    return rows.map(kernelView);
  }

  /** Groups whose release begins so, whether some device runs them or only a kernel of the lab; the most common first. */
  async ofRelease(prefix: string): Promise<Kernel[]> {
    const { rows } = await this.sql.pool.query<KernelRow>(
      `SELECT * FROM (${KERNELS}) listed WHERE starts_with("kernelRelease", $1)
       ORDER BY devices DESC, "kernelRelease", id LIMIT $2`,
      [prefix, LISTED_MAX],
    );
    return rows.map(kernelView);
  }

  /** Null until the device has told it. Throws DEVICE_UNKNOWN (404). */
  async kernelOf(deviceId: string): Promise<Kernel | null> {
    const { rows } = await this.sql.pool.query<KernelRow | { id: null }>(
      `SELECT kernel.* FROM "Device" d LEFT JOIN (${KERNELS}) kernel ON kernel.id = d."kernelGroupId" WHERE d.id = $1`,
      [deviceId],
    );
    const row = rows[0];
    if (!row) throw notFound('device', deviceId);
    return row.id === null ? null : kernelView(row);
  }

  /** Newest first. */
  async btfs(): Promise<KernelBtf[]> {
    return this.readBtfs('TRUE', []);
  }

  /** Throws BTF_UNKNOWN (404). */
  async btf(digest: string): Promise<KernelBtf> {
    const [found] = await this.readBtfs('b.digest = $2', [digest]);
    if (!found) throw notFound('btf', digest);
    return found;
  }

  private async readBtfs(where: string, values: readonly string[]): Promise<KernelBtf[]> {
    const { rows } = await this.sql.pool.query<BtfRow>(
      `SELECT b.digest, b.bytes, b."pointerBits", b.source, b."addedBy", b."createdAt",
         COALESCE((SELECT json_agg(json_build_object('buildId', k."buildId", 'kernelRelease', k."kernelRelease",
           'kernelArch', k."kernelArch") ORDER BY k."createdAt", k."buildId") FROM "KernelBuild" k WHERE k."btfDigest" = b.digest), '[]') AS builds,
         (SELECT count(*) FROM "Device" d JOIN "KernelGroup" g ON g.id = d."kernelGroupId" WHERE d.status = 'active'
           AND (g."btfDigest" = b.digest OR (g."btfDigest" IS NULL AND g."kernelBuildId" IN
             (SELECT k."buildId" FROM "KernelBuild" k WHERE k."btfDigest" = b.digest)))) AS devices
       FROM "KernelBtf" b WHERE ${where} ORDER BY b."createdAt" DESC, b.digest LIMIT $1`,
      [LISTED_MAX, ...values],
    );
    return rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString(), devices: Number(row.devices) }));
  }
}

function kernelView(row: KernelRow): Kernel {
  const { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes } = row;
  const group = { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes };
  return { ...group, devices: Number(row.devices), btf: btfStateOf(row) };
}

function btfStateOf(row: KernelRow): BtfState {
  const still = { reason: null, receivedBytes: null, totalBytes: null };
  if (row.btfDigest === null) {
    return { ...still, state: row.addedDigest === null ? 'missing' : 'added', digest: row.addedDigest };
  }
  if (row.known) return { ...still, state: 'known', digest: row.btfDigest };
  const { reason, receivedBytes, totalBytes } = row;
  const state = row.upload === 'asking' ? 'fetching' : (row.upload ?? 'wanted');
  return { state, digest: row.btfDigest, reason, receivedBytes, totalBytes };
}

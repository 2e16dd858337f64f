import { Injectable } from '@nestjs/common';
import { Clock } from '../../../platform/clock.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { VERDICT_VERSIONS } from './verdict-versions.js';

/** `resolve`: against the kernel's types, without the kernel; `prove`: by a kernel like it, in the lab. */
export type VerdictStage = 'resolve' | 'prove';

/** `unknown`: nothing is against it, and only the kernel can tell. */
export type KernelVerdictWord = 'accepted' | 'refused' | 'unknown';

/**
 * Of `resolve`: `refusal` (libbpf refuses the object), `poison` (it uses what is not there), `read_size` (it loads and reads
 * garbage), `type_id` (it attaches by types that the kernel does not show), `type_elsewhere` (it uses a type that the kernel itself
 * has not, and a module may). Other stages have kinds of their own.
 */
export interface VerdictReason {
  readonly kind: string;
  readonly sentence: string;
  readonly program?: string | undefined;
}

export interface NewKernelVerdict {
  readonly releaseId: string;
  readonly kernelGroupId: string;
  readonly stage: VerdictStage;
  /** The parameters that it was proven with, as the lab names them; empty for the defaults, and where none were needed. */
  readonly globals: string;
  readonly verdict: KernelVerdictWord;
  readonly reasons: readonly VerdictReason[];
  /** Numbers and names that the stage found out: relocations, instructions, stack depth … */
  readonly facts: Readonly<Record<string, unknown>>;
  /** The types it was found out with; null where none were needed. */
  readonly btfDigest: string | null;
}

export interface KernelVerdict extends NewKernelVerdict {
  readonly at: Date;
}

const READ_MAX = 10_000;

/**
 * What was found out about releases on the kernels of the fleet: written once, never changed; the newest of a stage counts, if this
 * version of the code has found it out.
 */
@Injectable()
export class KernelVerdicts {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
  ) {}

  async record(verdict: NewKernelVerdict): Promise<void> {
    const { releaseId, kernelGroupId, stage, globals, verdict: word, reasons, facts, btfDigest } = verdict;
    // A group that went in the meantime needs no verdict.
    await this.sql.pool.query(
      `INSERT INTO "KernelVerdict" ("releaseId", "kernelGroupId", stage, verdict, reasons, facts, "btfDigest", at, globals, version)
       SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10 FROM "KernelGroup" WHERE id = $2 FOR KEY SHARE`,
      [
        releaseId,
        kernelGroupId,
        stage,
        word,
        JSON.stringify(reasons),
        JSON.stringify(facts),
        btfDigest,
        this.clock.now(),
        globals,
        VERDICT_VERSIONS[stage],
      ],
    );
  }

  /** The newest of each stage, and set of parameters, for each kernel group that some verdict is about. */
  async newestOf(releaseId: string): Promise<KernelVerdict[]> {
    const { rows } = await this.sql.pool.query<KernelVerdict>(
      `SELECT DISTINCT ON ("kernelGroupId", stage, globals) "releaseId", "kernelGroupId", stage, globals, verdict, reasons, facts, "btfDigest", at
       FROM "KernelVerdict" WHERE "releaseId" = $1 AND version = CASE stage WHEN 'resolve' THEN $3::int ELSE $4::int END
       ORDER BY "kernelGroupId", stage, globals, id DESC LIMIT $2`,
      [releaseId, READ_MAX, VERDICT_VERSIONS.resolve, VERDICT_VERSIONS.prove],
    );
    return rows;
  }
}

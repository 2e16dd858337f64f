import { timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { EnrolmentTokenView } from '@bpfleet/api';
import { digestOf, mintEnrolmentToken, parseEnrolmentToken, type EnrolmentToken } from '@bpfleet/trust';
import type pg from 'pg';
import type { BodyOf, ResponseOf } from '../../http/route.js';
import { Clock } from '../../platform/clock.js';
import { DomainError, notFound } from '../../platform/errors.js';
import { ServerKeys } from '../../platform/keys/server-keys.js';
import { sqlOf } from '../../platform/prisma/prisma-sql.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { AuditLog } from '../audit/log/index.js';
import { InstallCommand } from '../agent-packages/index.js';
import { cleanLabels, cleanText } from '../devices/index.js';

interface TokenRow {
  id: string;
  name: string;
  usesLeft: number;
  expiresAt: Date;
  createdAt: Date;
  labels: unknown;
}

const MAKE_ANOTHER = 'ask for a new one on the page of devices, or with `bpfleet devices add`';
const NO_SECRET = digestOf(Buffer.from('no such token'));

/** Enrolment tokens. Only the digest of the secret is stored: the text is shown once. */
@Injectable()
export class EnrolmentTokens {
  constructor(
    private readonly prisma: PrismaService,
    private readonly keys: ServerKeys,
    private readonly clock: Clock,
    private readonly install: InstallCommand,
    private readonly audit: AuditLog,
  ) {}

  async create(actor: string, body: BodyOf<'createEnrolmentToken'>): Promise<ResponseOf<'createEnrolmentToken'>> {
    const minted = mintEnrolmentToken(this.keys.root.digest);
    const now = this.clock.now();
    const data = {
      id: minted.id,
      name: cleanText(body.name),
      secretDigest: minted.secretDigest,
      rootDigest: minted.rootDigest,
      labels: cleanLabels(body.labels),
      usesLeft: body.uses,
      createdBy: actor,
      createdAt: now,
      expiresAt: new Date(now.getTime() + body.expiresInMinutes * 60_000),
    };
    const details = { name: data.name, uses: data.usesLeft, expiresAt: data.expiresAt };
    const row = await this.prisma.$transaction(async (transaction) => {
      const created = await transaction.enrolmentToken.create({ data });
      const entry = { actor, action: 'enrolment-token.create', subject: created.id, details };
      await this.audit.record(sqlOf(transaction), entry);
      return created;
    });
    return { ...tokenView(row), token: minted.text, ...(await this.install.forToken(minted.text)) };
  }

  async list(): Promise<EnrolmentTokenView[]> {
    const rows = await this.prisma.enrolmentToken.findMany({ orderBy: { createdAt: 'desc' }, take: 1000 });
    return rows.map(tokenView);
  }

  async revoke(actor: string, id: string): Promise<void> {
    await this.prisma.$transaction(async (transaction) => {
      const { count } = await transaction.enrolmentToken.deleteMany({ where: { id } });
      if (count === 0) throw notFound('enrolment token', id);
      await this.audit.record(sqlOf(transaction), { actor, action: 'enrolment-token.revoke', subject: id });
    });
  }

  /**
   * Takes one use, in the caller's transaction: when enrolment fails afterwards, the use is given back. Returns the labels
   * for the device. Throws TOKEN_UNKNOWN, TOKEN_EXPIRED or TOKEN_USED.
   */
  async use(client: pg.PoolClient, text: string): Promise<Record<string, string>> {
    const token = readToken(text);
    const { rows } = await client.query<{ secretDigest: string; rootDigest: string; labels: Record<string, string> }>(
      'SELECT "secretDigest", "rootDigest", labels FROM "EnrolmentToken" WHERE id = $1',
      [token.id],
    );
    const row = rows[0];
    // Compared in constant time, and also when there is no such id: how long an answer takes says nothing.
    const right = sameDigest(digestOf(Buffer.from(token.secret)), row?.secretDigest ?? NO_SECRET);
    if (!row || !right || row.rootDigest !== token.rootDigest) throw unknownToken();
    // The row lock makes two enrolments with a one-use token take turns; the second finds nothing left.
    const taken = await client.query(
      'UPDATE "EnrolmentToken" SET "usesLeft" = "usesLeft" - 1 WHERE id = $1 AND "usesLeft" > 0 AND "expiresAt" > $2',
      [token.id, this.clock.now()],
    );
    if (taken.rowCount === 1) return row.labels;
    throw await this.whyNot(client, token.id);
  }

  private async whyNot(client: pg.PoolClient, id: string): Promise<DomainError> {
    const { rows } = await client.query<{ usesLeft: number; expiresAt: Date }>(
      'SELECT "usesLeft", "expiresAt" FROM "EnrolmentToken" WHERE id = $1',
      [id],
    );
    const row = rows[0];
    if (!row) return unknownToken();
    if (row.usesLeft <= 0) {
      return new DomainError(409, 'TOKEN_USED', `this enrolment token was used up; ${MAKE_ANOTHER}`);
    }
    const at = row.expiresAt.toISOString();
    return new DomainError(403, 'TOKEN_EXPIRED', `this enrolment token expired at ${at}; ${MAKE_ANOTHER}`, {
      expiresAt: at,
    });
  }
}

function readToken(text: string): EnrolmentToken {
  try {
    return parseEnrolmentToken(text);
  } catch (error) {
    throw new DomainError(403, 'TOKEN_UNKNOWN', `${(error as Error).message}; copy the whole line or ${MAKE_ANOTHER}`);
  }
}

function unknownToken(): DomainError {
  return new DomainError(403, 'TOKEN_UNKNOWN', `this server knows no such enrolment token; ${MAKE_ANOTHER}`);
}

function sameDigest(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function tokenView(row: TokenRow): EnrolmentTokenView {
  return {
    id: row.id,
    name: row.name,
    usesLeft: row.usesLeft,
    expiresAt: row.expiresAt.toISOString(),
    createdAt: row.createdAt.toISOString(),
    labels: row.labels as Record<string, string>,
  };
}

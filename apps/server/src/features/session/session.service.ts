import { createHash, randomBytes } from 'node:crypto';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { roles, type Role, type User } from '@bpfleet/api';
import { Config } from '../../config/config.js';
import { Clock } from '../../platform/clock.js';
import { DomainError } from '../../platform/errors.js';
import type { Prisma } from '../../platform/prisma/generated/client.js';
import { sqlOf } from '../../platform/prisma/prisma-sql.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { Slots } from '../../platform/slots.js';
import { AuditLog } from '../audit/log/index.js';
import { LoginThrottle, networkOf, tooMany, type LoginAttempt } from './login-throttle.js';
import { RefusedLogIns } from './refused-log-ins.js';

const SESSION_HOURS = 12;
/** Each takes a thread of libuv and 19 MiB for some tens of milliseconds; the others of the four have files to read. */
const VERIFICATIONS_AT_ONCE_MAX = 2;
const VERIFICATIONS_WAITING_MAX = 32;

function secretDigest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

const TOKENS_PER_USER_MAX = 100;

/** The API token that a request came with. */
export interface UsedToken {
  readonly id: string;
  readonly expiresAt: Date;
}

export interface Caller {
  readonly user: User;
  readonly token?: UsedToken;
}

/** People's log-ins: argon2 passwords, sessions and API tokens by the digest of their secret. */
@Injectable()
export class SessionService implements OnModuleInit {
  private readonly slots = new Slots(VERIFICATIONS_AT_ONCE_MAX, VERIFICATIONS_WAITING_MAX, tooMany);
  /** Verified against when the name is unknown, so that both answers take as long. */
  private decoy = '';

  constructor(
    private readonly prisma: PrismaService,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly throttle: LoginThrottle,
    private readonly audit: AuditLog,
    private readonly refused: RefusedLogIns,
  ) {}

  async onModuleInit(): Promise<void> {
    this.decoy = await hash(randomBytes(16).toString('hex'));
    if ((await this.prisma.user.count()) > 0) return;
    if (!this.config.adminPassword) {
      new Logger('Session').warn('there is no user yet: start once with BPFLEET_ADMIN_PASSWORD to make `admin`');
      return;
    }
    const passwordHash = await hash(this.config.adminPassword);
    await this.prisma.user.createMany({
      data: [{ username: 'admin', passwordHash, role: 'admin' }],
      skipDuplicates: true,
    });
  }

  /** Throws LOGIN_FAILED (401) or LOGIN_TOO_MANY (429). */
  async login(
    username: string,
    password: string,
    address: string,
  ): Promise<{ user: User; secret: string; expiresAt: Date }> {
    const row = await this.tried(username, address, async () => {
      const found = await this.prisma.user.findUnique({ where: { username } });
      const right = await this.slots.use(() => verify(found?.passwordHash ?? this.decoy, password));
      if (found && right) return found;
      // A name that nobody has may be a password that was typed into the wrong field.
      const subject = found?.username ?? 'a name that nobody has';
      await this.note('session.refused', subject, address);
      return undefined;
    });
    if (!row) throw new DomainError(401, 'LOGIN_FAILED', 'the name or the password is wrong');
    const secret = randomBytes(32).toString('base64url');
    const expiresAt = new Date(this.clock.now().getTime() + SESSION_HOURS * 3_600_000);
    await this.prisma.session.deleteMany({ where: { expiresAt: { lt: this.clock.now() } } });
    await this.prisma.$transaction(async (transaction) => {
      await transaction.session.create({ data: { secretDigest: secretDigest(secret), userId: row.id, expiresAt } });
      const entry = { actor: username, action: 'session.login', subject: username, details: { address } };
      await this.audit.record(sqlOf(transaction), entry);
    });
    return { user: { id: row.id, username: row.username, role: row.role }, secret, expiresAt };
  }

  async logout(secret: string): Promise<void> {
    await this.prisma.session.deleteMany({ where: { secretDigest: secretDigest(secret) } });
  }

  /** Ends every session of the user: whoever knew the old password is out. API tokens stay; they are revoked by name. */
  async changePassword(user: User, current: string, next: string, address: string): Promise<void> {
    const row = await this.tried(user.username, address, async () => {
      const found = await this.prisma.user.findUniqueOrThrow({ where: { id: user.id } });
      if (await this.slots.use(() => verify(found.passwordHash, current))) return found;
      await this.note('password.refused', user.username, address);
      return undefined;
    });
    if (!row) throw new DomainError(403, 'PASSWORD_WRONG', 'the current password is wrong; nothing was changed');
    const passwordHash = await this.slots.use(() => hash(next));
    const entry = { actor: user.username, action: 'password.change', subject: user.username, details: { address } };
    await this.prisma.$transaction(async (transaction) => {
      await transaction.user.update({ where: { id: user.id }, data: { passwordHash } });
      await transaction.session.deleteMany({ where: { userId: user.id } });
      await this.audit.record(sqlOf(transaction), entry);
    });
  }

  async userOfSession(secret: string): Promise<User | undefined> {
    const row = await this.prisma.session.findUnique({
      where: { secretDigest: secretDigest(secret) },
      include: { user: true },
    });
    if (!row || row.expiresAt <= this.clock.now()) return undefined;
    return { id: row.user.id, username: row.user.username, role: row.user.role };
  }

  async userOfToken(token: string): Promise<Caller | undefined> {
    const row = await this.prisma.apiToken.findUnique({
      where: { secretDigest: secretDigest(token) },
      include: { user: true },
    });
    const now = this.clock.now();
    if (!row || row.expiresAt <= now) return undefined;
    if (!row.lastUsedAt || now.getTime() - row.lastUsedAt.getTime() > 60_000) {
      await this.prisma.apiToken.update({ where: { id: row.id }, data: { lastUsedAt: now } });
    }
    const { id, username, role } = row.user;
    return { user: { id, username, role: lower(row.role, role) }, token: { id: row.id, expiresAt: row.expiresAt } };
  }

  /**
   * A token that is made with another one outlives neither its day nor its revocation: who finds one that leaked must not be
   * able to keep what it opened. Throws ROLE_TOO_LOW (403) or TOKENS_FULL (409).
   */
  async createToken(
    { user, token: parent }: Caller,
    request: { name: string; role?: Role | undefined; expiresInDays: number },
  ) {
    const role = request.role ?? user.role;
    if (lower(role, user.role) !== role) {
      throw new DomainError(403, 'ROLE_TOO_LOW', `a ${user.role} cannot make a token with the role ${role}`);
    }
    const secret = `bpft_${randomBytes(32).toString('base64url')}`;
    const now = this.clock.now();
    const asked = now.getTime() + request.expiresInDays * 86_400_000;
    const expiresAt = new Date(Math.min(asked, parent?.expiresAt.getTime() ?? asked));
    const made = { userId: user.id, name: request.name, role, secretDigest: secretDigest(secret), expiresAt };
    const data = { ...made, parentId: parent?.id ?? null };
    const row = await this.prisma.$transaction(async (transaction) => {
      await assertTokenRoom(transaction, user.id, now);
      const created = await transaction.apiToken.create({ data });
      const details = { id: created.id, role, expiresAt, ...(parent ? { madeWith: parent.id } : {}) };
      await this.audit.record(sqlOf(transaction), {
        actor: user.username,
        action: 'token.create',
        subject: request.name,
        details,
      });
      return created;
    });
    return { row, secret };
  }

  listTokens(user: User) {
    return this.prisma.apiToken.findMany({ where: { userId: user.id }, orderBy: { createdAt: 'desc' }, take: 200 });
  }

  async revokeToken(user: User, id: string): Promise<boolean> {
    return this.prisma.$transaction(async (transaction) => {
      const { count } = await transaction.apiToken.deleteMany({ where: { id, userId: user.id } });
      if (count === 0) return false;
      await this.audit.record(sqlOf(transaction), { actor: user.username, action: 'token.revoke', subject: id });
      return true;
    });
  }

  /** Undefined for a wrong password, which stays counted against this name at this address. */
  private async tried<T>(name: string, address: string, find: () => Promise<T | undefined>): Promise<T | undefined> {
    const attempt = await this.attempt(name, address);
    try {
      const found = await find();
      if (found !== undefined) attempt.succeeded();
      return found;
    } catch (error) {
      attempt.giveBack();
      throw error;
    }
  }

  private async attempt(name: string, address: string): Promise<LoginAttempt> {
    try {
      return this.throttle.begin(name, address);
    } catch (error) {
      await this.note('session.throttled', 'log-in', address);
      throw error;
    }
  }

  private note(action: string, subject: string, address: string): Promise<void> {
    return this.refused.note({ actor: 'anonymous', action, subject, details: { address: networkOf(address) } });
  }
}

/** The user's row is locked, so that two requests do not both take the last place. What has expired takes none. */
async function assertTokenRoom(transaction: Prisma.TransactionClient, userId: string, now: Date): Promise<void> {
  await transaction.$queryRaw`SELECT id FROM "User" WHERE id = ${userId} FOR UPDATE`;
  await transaction.apiToken.deleteMany({ where: { userId, expiresAt: { lte: now } } });
  if ((await transaction.apiToken.count({ where: { userId } })) < TOKENS_PER_USER_MAX) return;
  throw new DomainError(
    409,
    'TOKENS_FULL',
    `you have ${TOKENS_PER_USER_MAX} API tokens; revoke some that nothing uses`,
  );
}

/** A token never has more rights than its owner has now. */
function lower(a: Role, b: Role): Role {
  return roles.indexOf(a) < roles.indexOf(b) ? a : b;
}

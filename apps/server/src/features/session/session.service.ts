import { createHash, randomBytes } from 'node:crypto';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { roles, type Role, type User } from '@bpfleet/api';
import { Config } from '../../config/config.js';
import { Clock } from '../../platform/clock.js';
import { DomainError } from '../../platform/errors.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';

const SESSION_HOURS = 12;
const ATTEMPTS_MAX = 10;
const ATTEMPTS_WINDOW_MS = 60_000;
/** Names whose failures are remembered at once; the oldest goes first. */
const ATTEMPTS_NAMES_MAX = 10_000;

function secretDigest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** People's log-ins: argon2 passwords, sessions and API tokens by the digest of their secret. */
@Injectable()
export class SessionService implements OnModuleInit {
  private readonly failures = new Map<string, { count: number; since: number }>();
  /** Verified against when the name is unknown, so that both answers take as long. */
  private decoy = '';

  constructor(
    private readonly prisma: PrismaService,
    private readonly clock: Clock,
    private readonly config: Config,
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

  async login(username: string, password: string): Promise<{ user: User; secret: string; expiresAt: Date }> {
    this.assertNotTooMany(username);
    const row = await this.prisma.user.findUnique({ where: { username } });
    const right = await verify(row?.passwordHash ?? this.decoy, password);
    if (!row || !right) {
      this.countFailure(username);
      throw new DomainError(401, 'LOGIN_FAILED', 'the name or the password is wrong');
    }
    this.failures.delete(username);
    const secret = randomBytes(32).toString('base64url');
    const expiresAt = new Date(this.clock.now().getTime() + SESSION_HOURS * 3_600_000);
    await this.prisma.session.deleteMany({ where: { expiresAt: { lt: this.clock.now() } } });
    await this.prisma.session.create({ data: { secretDigest: secretDigest(secret), userId: row.id, expiresAt } });
    return { user: { id: row.id, username: row.username, role: row.role }, secret, expiresAt };
  }

  async logout(secret: string): Promise<void> {
    await this.prisma.session.deleteMany({ where: { secretDigest: secretDigest(secret) } });
  }

  /** Ends every session of the user: whoever knew the old password is out. API tokens stay; they are revoked by name. */
  async changePassword(user: User, current: string, next: string): Promise<void> {
    this.assertNotTooMany(user.username);
    const row = await this.prisma.user.findUniqueOrThrow({ where: { id: user.id } });
    if (!(await verify(row.passwordHash, current))) {
      this.countFailure(user.username);
      throw new DomainError(403, 'PASSWORD_WRONG', 'the current password is wrong; nothing was changed');
    }
    const passwordHash = await hash(next);
    await this.prisma.$transaction([
      this.prisma.user.update({ where: { id: user.id }, data: { passwordHash } }),
      this.prisma.session.deleteMany({ where: { userId: user.id } }),
    ]);
  }

  async userOfSession(secret: string): Promise<User | undefined> {
    const row = await this.prisma.session.findUnique({
      where: { secretDigest: secretDigest(secret) },
      include: { user: true },
    });
    if (!row || row.expiresAt <= this.clock.now()) return undefined;
    return { id: row.user.id, username: row.user.username, role: row.user.role };
  }

  async userOfToken(token: string): Promise<User | undefined> {
    const row = await this.prisma.apiToken.findUnique({
      where: { secretDigest: secretDigest(token) },
      include: { user: true },
    });
    const now = this.clock.now();
    if (!row || row.expiresAt <= now) return undefined;
    if (!row.lastUsedAt || now.getTime() - row.lastUsedAt.getTime() > 60_000) {
      await this.prisma.apiToken.update({ where: { id: row.id }, data: { lastUsedAt: now } });
    }
    return { id: row.user.id, username: row.user.username, role: lower(row.role, row.user.role) };
  }

  async createToken(user: User, request: { name: string; role?: Role | undefined; expiresInDays: number }) {
    const role = request.role ?? user.role;
    if (lower(role, user.role) !== role) {
      throw new DomainError(403, 'ROLE_TOO_LOW', `a ${user.role} cannot make a token with the role ${role}`);
    }
    const secret = `bpft_${randomBytes(32).toString('base64url')}`;
    const expiresAt = new Date(this.clock.now().getTime() + request.expiresInDays * 86_400_000);
    const data = { userId: user.id, name: request.name, role, secretDigest: secretDigest(secret), expiresAt };
    return { row: await this.prisma.apiToken.create({ data }), secret };
  }

  listTokens(user: User) {
    return this.prisma.apiToken.findMany({ where: { userId: user.id }, orderBy: { createdAt: 'desc' }, take: 200 });
  }

  async revokeToken(user: User, id: string): Promise<boolean> {
    const { count } = await this.prisma.apiToken.deleteMany({ where: { id, userId: user.id } });
    return count > 0;
  }

  private assertNotTooMany(username: string): void {
    const entry = this.failures.get(username);
    if (!entry) return;
    if (this.clock.now().getTime() - entry.since > ATTEMPTS_WINDOW_MS) this.failures.delete(username);
    else if (entry.count >= ATTEMPTS_MAX) {
      throw new DomainError(429, 'LOGIN_TOO_MANY', 'too many wrong passwords; wait a minute and try again');
    }
  }

  private countFailure(username: string): void {
    const entry = this.failures.get(username) ?? { count: 0, since: this.clock.now().getTime() };
    entry.count += 1;
    this.failures.set(username, entry);
    const oldest = this.failures.keys().next().value;
    if (this.failures.size > ATTEMPTS_NAMES_MAX && oldest !== undefined) this.failures.delete(oldest);
  }
}

/** A token never has more rights than its owner has now. */
function lower(a: Role, b: Role): Role {
  return roles.indexOf(a) < roles.indexOf(b) ? a : b;
}

import { createHash, randomBytes } from 'node:crypto';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { roles, type Role, type User } from '@bpfleet/api';
import { Config } from '../../config/config.js';
import { Clock } from '../../platform/clock.js';
import { DomainError } from '../../platform/errors.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { Slots } from '../../platform/slots.js';
import { LoginThrottle, tooMany } from './login-throttle.js';

const SESSION_HOURS = 12;
/** Each takes a thread of libuv and 19 MiB for some tens of milliseconds; the others of the four have files to read. */
const VERIFICATIONS_AT_ONCE_MAX = 2;
const VERIFICATIONS_WAITING_MAX = 32;

function secretDigest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
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
      return right ? (found ?? undefined) : undefined;
    });
    if (!row) throw new DomainError(401, 'LOGIN_FAILED', 'the name or the password is wrong');
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
  async changePassword(user: User, current: string, next: string, address: string): Promise<void> {
    const row = await this.tried(user.username, address, async () => {
      const found = await this.prisma.user.findUniqueOrThrow({ where: { id: user.id } });
      return (await this.slots.use(() => verify(found.passwordHash, current))) ? found : undefined;
    });
    if (!row) throw new DomainError(403, 'PASSWORD_WRONG', 'the current password is wrong; nothing was changed');
    const passwordHash = await this.slots.use(() => hash(next));
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

  /** Undefined for a wrong password, which stays counted against this name at this address. */
  private async tried<T>(name: string, address: string, find: () => Promise<T | undefined>): Promise<T | undefined> {
    const attempt = this.throttle.begin(name, address);
    try {
      const found = await find();
      if (found !== undefined) attempt.succeeded();
      return found;
    } catch (error) {
      attempt.giveBack();
      throw error;
    }
  }
}

/** A token never has more rights than its owner has now. */
function lower(a: Role, b: Role): Role {
  return roles.indexOf(a) < roles.indexOf(b) ? a : b;
}

import { createParamDecorator, Injectable, SetMetadata, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { roles, type Role, type User } from '@bpfleet/api';
import type { FastifyRequest } from 'fastify';
import { DomainError } from '../../platform/errors.js';
import { SessionService, type Caller, type UsedToken } from './session.service.js';

const PUBLIC = 'bpfleet:public';
const ROLE = 'bpfleet:role';
export const SESSION_COOKIE = 'bpfleet_session';

/** No log-in needed: health, log-in, and a device's enrolment (which carries its own token). */
export const Public = () => SetMetadata(PUBLIC, true);

/** The least role that may do this; without it a viewer may. */
export const RequireRole = (role: Role) => SetMetadata(ROLE, role);

type AuthenticatedRequest = FastifyRequest & {
  user?: User;
  token?: UsedToken;
  cookies?: Record<string, string | undefined>;
};

export const CurrentUser = createParamDecorator((_: unknown, context: ExecutionContext): User => {
  const { user } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!user) throw new DomainError(401, 'NOT_LOGGED_IN', 'log in first');
  return user;
});

/** The API token that the request came with; undefined for a browser's session. */
export const CurrentToken = createParamDecorator((_: unknown, context: ExecutionContext): UsedToken | undefined => {
  return context.switchToHttp().getRequest<AuthenticatedRequest>().token;
});

/** Every route needs a session cookie or a bearer token, and the role the route asks for. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly sessions: SessionService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean>(PUBLIC, targets)) return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const caller = await this.identify(request);
    if (!caller) throw new DomainError(401, 'NOT_LOGGED_IN', 'log in first: there is no valid session or token');
    const { user, token } = caller;
    const needed = this.reflector.getAllAndOverride<Role>(ROLE, targets) ?? 'viewer';
    if (roles.indexOf(user.role) < roles.indexOf(needed)) {
      throw new DomainError(403, 'ROLE_TOO_LOW', `this needs the role ${needed}; ${user.username} is ${user.role}`);
    }
    request.user = user;
    if (token) request.token = token;
    return true;
  }

  private async identify(request: AuthenticatedRequest): Promise<Caller | undefined> {
    const bearer = /^Bearer (\S{1,256})$/.exec(request.headers.authorization ?? '')?.[1];
    if (bearer) return this.sessions.userOfToken(bearer);
    const cookie = request.cookies?.[SESSION_COOKIE];
    if (!cookie) return undefined;
    assertSameOrigin(request);
    const user = await this.sessions.userOfSession(cookie);
    return user && { user };
  }
}

/**
 * The cookie is SameSite=Strict, but a site is not an origin: another port of this host is the same site. So is a sandboxed
 * or referrer-less page there, whose Origin is `null`.
 */
function assertSameOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (request.method === 'GET' || origin === undefined) return;
  if (!URL.canParse(origin) || new URL(origin).host !== host) {
    throw new DomainError(403, 'ORIGIN_FOREIGN', 'a page of another site may not act with this session');
  }
}

import { Controller, Param, Req, Res } from '@nestjs/common';
import type { User } from '@bpfleet/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Route, RouteBody, type BodyOf, type ResponseOf } from '../../http/route.js';
import { notFound } from '../../platform/errors.js';
import { CurrentToken, CurrentUser, Public, SESSION_COOKIE } from './session.guard.js';
import { SessionService, type UsedToken } from './session.service.js';

type TokenRow = Awaited<ReturnType<SessionService['listTokens']>>[number];

@Controller()
export class SessionController {
  constructor(private readonly sessions: SessionService) {}

  @Public()
  @Route('login')
  async login(
    @RouteBody('login') body: BodyOf<'login'>,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Req() request: FastifyRequest,
  ): Promise<User> {
    const { user, secret, expiresAt } = await this.sessions.login(body.username, body.password, request.ip);
    reply.setCookie(SESSION_COOKIE, secret, {
      httpOnly: true,
      sameSite: 'strict',
      secure: request.protocol === 'https',
      path: '/',
      expires: expiresAt,
    });
    return user;
  }

  @Route('me')
  me(@CurrentUser() user: User): User {
    return user;
  }

  @Route('logout')
  async logout(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const secret = request.cookies[SESSION_COOKIE];
    if (secret) await this.sessions.logout(secret);
    reply.clearCookie(SESSION_COOKIE, { path: '/' });
    return {};
  }

  @Route('changePassword')
  async changePassword(
    @CurrentUser() user: User,
    @RouteBody('changePassword') body: BodyOf<'changePassword'>,
    @Req() request: FastifyRequest,
  ) {
    await this.sessions.changePassword(user, body.current, body.next, request.ip);
    return {};
  }

  @Route('createApiToken')
  async createApiToken(
    @CurrentUser() user: User,
    @CurrentToken() token: UsedToken | undefined,
    @RouteBody('createApiToken') body: BodyOf<'createApiToken'>,
  ): Promise<ResponseOf<'createApiToken'>> {
    const { row, secret } = await this.sessions.createToken({ user, ...(token ? { token } : {}) }, body);
    return { ...tokenView(row), token: secret };
  }

  @Route('listApiTokens')
  async listApiTokens(@CurrentUser() user: User): Promise<ResponseOf<'listApiTokens'>> {
    return { items: (await this.sessions.listTokens(user)).map(tokenView) };
  }

  @Route('revokeApiToken')
  async revokeApiToken(@CurrentUser() user: User, @Param('id') id: string) {
    if (!(await this.sessions.revokeToken(user, id))) throw notFound('API token', id);
    return {};
  }
}

function tokenView(row: TokenRow) {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  };
}

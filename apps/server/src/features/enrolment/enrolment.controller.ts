import { Controller, Param, Req } from '@nestjs/common';
import type { User } from '@bpfleet/api';
import type { FastifyRequest } from 'fastify';
import { Route, RouteBody, type BodyOf, type ResponseOf } from '../../http/route.js';
import { CurrentUser, Public, RequireRole } from '../session/index.js';
import { EnrolRate } from './enrol-rate.js';
import { Enrolment } from './enrol.service.js';
import { EnrolmentTokens } from './tokens.service.js';

@Controller()
export class EnrolmentController {
  constructor(
    private readonly tokens: EnrolmentTokens,
    private readonly enrolment: Enrolment,
    private readonly rate: EnrolRate,
  ) {}

  @RequireRole('operator')
  @Route('createEnrolmentToken')
  createToken(
    @CurrentUser() user: User,
    @RouteBody('createEnrolmentToken') body: BodyOf<'createEnrolmentToken'>,
  ): Promise<ResponseOf<'createEnrolmentToken'>> {
    return this.tokens.create(user.username, body);
  }

  @RequireRole('operator')
  @Route('listEnrolmentTokens')
  async listTokens(): Promise<ResponseOf<'listEnrolmentTokens'>> {
    return { items: await this.tokens.list() };
  }

  @RequireRole('operator')
  @Route('revokeEnrolmentToken')
  async revokeToken(@CurrentUser() user: User, @Param('id') id: string): Promise<object> {
    await this.tokens.revoke(user.username, id);
    return {};
  }

  /** The one thing a stranger may ask for: it carries its own proof, and is bounded. */
  @Public()
  @Route('enrol')
  enrol(@Req() request: FastifyRequest, @RouteBody('enrol') body: BodyOf<'enrol'>): Promise<ResponseOf<'enrol'>> {
    this.rate.take(request.ip);
    return this.enrolment.enrol(body);
  }
}

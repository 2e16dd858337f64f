import { Controller, Param } from '@nestjs/common';
import type { Run, User } from '@bpfleet/api';
import { Route, RouteBody, type BodyOf } from '../../http/route.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { DebugRuns } from './debug-runs.service.js';

@Controller()
export class DebugController {
  constructor(private readonly debug: DebugRuns) {}

  @RequireRole('operator')
  @Route('createDebugRun')
  create(@CurrentUser() user: User, @RouteBody('createDebugRun') body: BodyOf<'createDebugRun'>): Promise<Run> {
    return this.debug.create(user.username, body);
  }

  @RequireRole('operator')
  @Route('stopDebugRun')
  stop(@CurrentUser() user: User, @Param('id') id: string): Promise<Run> {
    return this.debug.stop(user.username, id);
  }
}

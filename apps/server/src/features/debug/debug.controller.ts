import { Controller, Param } from '@nestjs/common';
import type { Run, User } from '@bpfleet/api';
import { Route, RouteBody, type BodyOf } from '../../http/route.js';
import { AuditLog } from '../audit/index.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { DebugRuns } from './debug-runs.service.js';

@Controller()
export class DebugController {
  constructor(
    private readonly debug: DebugRuns,
    private readonly audit: AuditLog,
  ) {}

  @RequireRole('operator')
  @Route('createDebugRun')
  async create(@CurrentUser() user: User, @RouteBody('createDebugRun') body: BodyOf<'createDebugRun'>): Promise<Run> {
    const run = await this.debug.create(user.username, body);
    const details = {
      device: run.device,
      probe: run.probe,
      version: run.version,
      minutes: body.minutes,
      params: run.params,
    };
    await this.audit.record({ actor: user.username, action: 'debug.create', subject: run.id, details });
    return run;
  }

  @RequireRole('operator')
  @Route('stopDebugRun')
  async stop(@CurrentUser() user: User, @Param('id') id: string): Promise<Run> {
    const run = await this.debug.stop(user.username, id);
    await this.audit.record({
      actor: user.username,
      action: 'debug.stop',
      subject: id,
      details: { device: run.device },
    });
    return run;
  }
}

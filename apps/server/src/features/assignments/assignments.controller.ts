import { Controller, Param } from '@nestjs/common';
import type { Assignment, User } from '@bpfleet/api';
import { Route, RouteBody, type BodyOf, type ResponseOf } from '../../http/route.js';
import { AuditLog } from '../audit/index.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { Assignments } from './assignments.service.js';

@Controller()
export class AssignmentsController {
  constructor(
    private readonly assignments: Assignments,
    private readonly audit: AuditLog,
  ) {}

  @Route('listAssignments')
  async list(): Promise<ResponseOf<'listAssignments'>> {
    return { items: await this.assignments.list() };
  }

  @Route('getAssignment')
  get(@Param('id') id: string): Promise<Assignment> {
    return this.assignments.get(id);
  }

  @RequireRole('operator')
  @Route('createAssignment')
  async create(
    @CurrentUser() user: User,
    @RouteBody('createAssignment') body: BodyOf<'createAssignment'>,
  ): Promise<Assignment> {
    const assignment = await this.assignments.create(user.username, body);
    const { id, probe, version, selector, params, devices } = assignment;
    const details = { probe, version, selector, params, devices };
    await this.audit.record({ actor: user.username, action: 'assignment.create', subject: id, details });
    return assignment;
  }

  @RequireRole('operator')
  @Route('withdrawAssignment')
  async withdraw(@CurrentUser() user: User, @Param('id') id: string): Promise<Assignment> {
    const assignment = await this.assignments.withdraw(id);
    const { probe, version, selector } = assignment;
    const details = { probe, version, selector };
    await this.audit.record({ actor: user.username, action: 'assignment.withdraw', subject: id, details });
    return assignment;
  }
}

import { Controller, Param } from '@nestjs/common';
import type { Assignment, User } from '@bpfleet/api';
import { Route, RouteBody, type BodyOf, type ResponseOf } from '../../http/route.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { Assignments } from './assignments.service.js';

@Controller()
export class AssignmentsController {
  constructor(private readonly assignments: Assignments) {}

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
  create(
    @CurrentUser() user: User,
    @RouteBody('createAssignment') body: BodyOf<'createAssignment'>,
  ): Promise<Assignment> {
    return this.assignments.create(user.username, body);
  }

  @RequireRole('operator')
  @Route('withdrawAssignment')
  withdraw(@CurrentUser() user: User, @Param('id') id: string): Promise<Assignment> {
    return this.assignments.withdraw(user.username, id);
  }
}

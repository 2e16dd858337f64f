import { Controller, Param } from '@nestjs/common';
import { Route, RouteQuery, type QueryOf, type ResponseOf } from '../../http/route.js';
import { Runs } from './runs.service.js';

@Controller()
export class RunsController {
  constructor(private readonly runs: Runs) {}

  @Route('listRuns')
  async list(@RouteQuery('listRuns') query: QueryOf<'listRuns'>): Promise<ResponseOf<'listRuns'>> {
    return { items: await this.runs.list(query) };
  }

  @Route('getRun')
  get(@Param('id') id: string): Promise<ResponseOf<'getRun'>> {
    return this.runs.get(id);
  }
}

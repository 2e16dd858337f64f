import { Controller, Param } from '@nestjs/common';
import type { Release, User } from '@bpfleet/api';
import { Route, RouteBody, RouteQuery, type BodyOf, type QueryOf, type ResponseOf } from '../../http/route.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { Publisher } from './publish/publish.service.js';
import { Releases } from './releases.service.js';

@Controller()
export class ReleasesController {
  constructor(
    private readonly releases: Releases,
    private readonly publisher: Publisher,
  ) {}

  @Route('listProbes')
  async probes(): Promise<ResponseOf<'listProbes'>> {
    return { items: await this.releases.probes() };
  }

  @Route('listReleases')
  async list(@RouteQuery('listReleases') query: QueryOf<'listReleases'>): Promise<ResponseOf<'listReleases'>> {
    return { items: await this.releases.list(query.probe) };
  }

  @Route('getRelease')
  get(@Param('id') id: string): Promise<Release> {
    return this.releases.get(id);
  }

  @RequireRole('operator')
  @Route('publish')
  async publish(@CurrentUser() user: User, @RouteBody('publish') body: BodyOf<'publish'>): Promise<Release> {
    return (await this.publisher.publish(user, body)).release;
  }
}

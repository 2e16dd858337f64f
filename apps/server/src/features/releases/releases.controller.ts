import { Controller, Param } from '@nestjs/common';
import type { Release, User } from '@bpfleet/api';
import { Route, RouteBody, RouteQuery, type BodyOf, type QueryOf, type ResponseOf } from '../../http/route.js';
import { AuditLog } from '../audit/index.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { Publisher } from './publish/publish.service.js';
import { Releases } from './releases.service.js';

@Controller()
export class ReleasesController {
  constructor(
    private readonly releases: Releases,
    private readonly publisher: Publisher,
    private readonly audit: AuditLog,
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
    const { release, created } = await this.publisher.publish(user, body);
    if (created) {
      const { id, probe, version, digest } = release;
      const details = { probe, version, digest, verdict: release.verdicts[0]?.verdict };
      await this.audit.record({ actor: user.username, action: 'release.publish', subject: id, details });
    }
    return release;
  }
}

import { Controller } from '@nestjs/common';
import { Route, RouteQuery, type QueryOf, type ResponseOf } from '../../http/route.js';
import { RequireRole } from '../session/index.js';
import { AuditReader } from './audit-reader.js';

/** It names people, addresses and whatever they were asked for: administrators read it. */
@RequireRole('admin')
@Controller()
export class AuditController {
  constructor(private readonly reader: AuditReader) {}

  @Route('listAudit')
  list(@RouteQuery('listAudit') query: QueryOf<'listAudit'>): Promise<ResponseOf<'listAudit'>> {
    return this.reader.list(query);
  }

  @Route('verifyAudit')
  verify(@RouteQuery('verifyAudit') query: QueryOf<'verifyAudit'>): Promise<ResponseOf<'verifyAudit'>> {
    return this.reader.verify(query.after, query.limit);
  }
}

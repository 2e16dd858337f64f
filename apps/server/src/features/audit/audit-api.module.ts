import { Module } from '@nestjs/common';
import { AuditReader } from './audit-reader.js';
import { AuditController } from './audit.controller.js';

@Module({ providers: [AuditReader], controllers: [AuditController] })
export class AuditApiModule {}

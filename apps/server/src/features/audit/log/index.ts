export { AuditLog, FIRST_HASH, hashOf, type AuditRecord, type ChainRow } from './audit-log.js';
export { AuditModule } from './audit.module.js';

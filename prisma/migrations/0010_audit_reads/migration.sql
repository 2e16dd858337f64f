-- The audit log is read by time and by who did what, newest first.
CREATE INDEX "AuditEntry_at_idx" ON "AuditEntry" (at);
CREATE INDEX "AuditEntry_actor_sequence_idx" ON "AuditEntry" (actor, sequence);
CREATE INDEX "AuditEntry_action_sequence_idx" ON "AuditEntry" (action, sequence);

-- A run's history is read and cut by its newest rows, whose order is that of their ids.
CREATE INDEX "RunTransition_runId_id_idx" ON "RunTransition" ("runId", id);
DROP INDEX "RunTransition_runId_at_idx";

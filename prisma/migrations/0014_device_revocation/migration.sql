-- When and why a device was shut out; by whom stands in the audit log.
ALTER TABLE "Device" ADD COLUMN "revokedAt" TIMESTAMPTZ(3), ADD COLUMN "revokedReason" TEXT;

-- The control plane as prisma/schema.prisma describes it.

CREATE TYPE "Role" AS ENUM ('viewer', 'operator', 'approver', 'admin');

CREATE TYPE "DeviceStatus" AS ENUM ('active', 'revoked', 'decommissioned');

CREATE TYPE "RunKind" AS ENUM ('assignment', 'debug');

CREATE TYPE "AssignmentState" AS ENUM ('active', 'withdrawn');

CREATE TABLE "User" (
  "id" TEXT NOT NULL,
  "username" TEXT NOT NULL,
  "passwordHash" TEXT NOT NULL,
  "role" "Role" NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Session" (
  "secretDigest" TEXT NOT NULL,
  "userId" TEXT NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "expiresAt" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "Session_pkey" PRIMARY KEY ("secretDigest")
);

CREATE TABLE "ApiToken" (
  "id" TEXT NOT NULL,
  "userId" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "role" "Role" NOT NULL,
  "secretDigest" TEXT NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "expiresAt" TIMESTAMPTZ(3) NOT NULL,
  "lastUsedAt" TIMESTAMPTZ(3),
  CONSTRAINT "ApiToken_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AuditEntry" (
  "sequence" BIGSERIAL NOT NULL,
  "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "actor" TEXT NOT NULL,
  "action" TEXT NOT NULL,
  "subject" TEXT NOT NULL,
  "details" JSONB NOT NULL,
  "previousHash" TEXT NOT NULL,
  "hash" TEXT NOT NULL,
  CONSTRAINT "AuditEntry_pkey" PRIMARY KEY ("sequence")
);

CREATE TABLE "EnrolmentToken" (
  "id" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "secretDigest" TEXT NOT NULL,
  "rootDigest" TEXT NOT NULL,
  "labels" JSONB NOT NULL,
  "usesLeft" INTEGER NOT NULL,
  "createdBy" TEXT NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "expiresAt" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "EnrolmentToken_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Device" (
  "id" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "labels" JSONB NOT NULL,
  "status" "DeviceStatus" NOT NULL DEFAULT 'active',
  "online" BOOLEAN NOT NULL DEFAULT false,
  "connection" BIGINT NOT NULL DEFAULT 0,
  "bootId" TEXT,
  "lastSeenAt" TIMESTAMPTZ(3),
  "enrolledAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "facts" JSONB,
  "kernelRelease" TEXT,
  "kernelArch" TEXT,
  "desiredGeneration" INTEGER NOT NULL DEFAULT 0,
  "desiredEnvelope" BYTEA,
  "desiredDigest" TEXT,
  "desiredDueAt" TIMESTAMPTZ(3),
  "reportedGeneration" BIGINT NOT NULL DEFAULT 0,
  "reportedAt" TIMESTAMPTZ(3),
  "refused" JSONB,
  "agent" JSONB,
  CONSTRAINT "Device_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Certificate" (
  "serial" TEXT NOT NULL,
  "deviceId" TEXT NOT NULL,
  "pem" TEXT NOT NULL,
  "issuedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "expiresAt" TIMESTAMPTZ(3) NOT NULL,
  "revokedAt" TIMESTAMPTZ(3),
  CONSTRAINT "Certificate_pkey" PRIMARY KEY ("serial")
);

CREATE TABLE "Blob" (
  "digest" TEXT NOT NULL,
  "kind" TEXT NOT NULL,
  "bytes" BYTEA NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "Blob_pkey" PRIMARY KEY ("digest")
);

CREATE TABLE "Release" (
  "id" TEXT NOT NULL,
  "probe" TEXT NOT NULL,
  "version" TEXT NOT NULL,
  "summary" TEXT NOT NULL,
  "digest" TEXT NOT NULL,
  "manifest" TEXT NOT NULL,
  "objects" JSONB NOT NULL,
  "keyids" TEXT[],
  "mapBytes" BIGINT NOT NULL,
  "warnings" JSONB NOT NULL,
  "events" JSONB NOT NULL,
  "contentDigest" TEXT NOT NULL,
  "createdBy" TEXT NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "Release_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Verdict" (
  "id" TEXT NOT NULL,
  "releaseId" TEXT NOT NULL,
  "kernelRelease" TEXT,
  "kernelArch" TEXT,
  "kernelBuildId" TEXT,
  "verdict" TEXT NOT NULL,
  "reason" TEXT,
  "loadMs" DOUBLE PRECISION,
  "programs" JSONB NOT NULL,
  "provenAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "Verdict_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Assignment" (
  "id" TEXT NOT NULL,
  "releaseId" TEXT NOT NULL,
  "probe" TEXT NOT NULL,
  "selector" TEXT NOT NULL,
  "params" JSONB NOT NULL,
  "state" "AssignmentState" NOT NULL DEFAULT 'active',
  "createdBy" TEXT NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "withdrawnAt" TIMESTAMPTZ(3),
  CONSTRAINT "Assignment_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Run" (
  "id" TEXT NOT NULL,
  "deviceId" TEXT NOT NULL,
  "releaseId" TEXT NOT NULL,
  "kind" "RunKind" NOT NULL,
  "intent" TEXT NOT NULL,
  "params" JSONB NOT NULL,
  "state" TEXT NOT NULL,
  "wanted" BOOLEAN NOT NULL DEFAULT true,
  "revision" BIGINT NOT NULL DEFAULT -1,
  "error" JSONB,
  "stats" JSONB,
  "programs" JSONB,
  "hold" TEXT,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt" TIMESTAMPTZ(3) NOT NULL,
  "attachedAt" TIMESTAMPTZ(3),
  "endsAt" TIMESTAMPTZ(3),
  "endedAt" TIMESTAMPTZ(3),
  CONSTRAINT "Run_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "RunTransition" (
  "id" BIGSERIAL NOT NULL,
  "runId" TEXT NOT NULL,
  "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "from" TEXT,
  "to" TEXT NOT NULL,
  "reason" TEXT NOT NULL,
  CONSTRAINT "RunTransition_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Outbox" (
  "id" BIGSERIAL NOT NULL,
  "deviceId" TEXT NOT NULL,
  "topic" TEXT NOT NULL,
  "payload" BYTEA NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "Outbox_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "User_username_key" ON "User"("username");
CREATE UNIQUE INDEX "ApiToken_secretDigest_key" ON "ApiToken"("secretDigest");
CREATE UNIQUE INDEX "AuditEntry_hash_key" ON "AuditEntry"("hash");
CREATE INDEX "Device_status_kernelRelease_idx" ON "Device"("status", "kernelRelease");
CREATE INDEX "Device_name_id_idx" ON "Device"("name", "id");
CREATE INDEX "Device_desiredDueAt_idx" ON "Device"("desiredDueAt");
CREATE INDEX "Outbox_deviceId_topic_idx" ON "Outbox"("deviceId", "topic");
CREATE UNIQUE INDEX "Release_digest_key" ON "Release"("digest");
CREATE UNIQUE INDEX "Release_probe_version_key" ON "Release"("probe", "version");
CREATE INDEX "Verdict_releaseId_provenAt_idx" ON "Verdict"("releaseId", "provenAt");
CREATE INDEX "Assignment_state_createdAt_idx" ON "Assignment"("state", "createdAt");
CREATE INDEX "Run_deviceId_state_idx" ON "Run"("deviceId", "state");
CREATE INDEX "Run_releaseId_idx" ON "Run"("releaseId");
CREATE INDEX "Run_intent_idx" ON "Run"("intent");
CREATE INDEX "RunTransition_runId_at_idx" ON "RunTransition"("runId", "at");

ALTER TABLE "Session" ADD CONSTRAINT "Session_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "ApiToken" ADD CONSTRAINT "ApiToken_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Certificate" ADD CONSTRAINT "Certificate_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Verdict" ADD CONSTRAINT "Verdict_releaseId_fkey" FOREIGN KEY ("releaseId") REFERENCES "Release"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Assignment" ADD CONSTRAINT "Assignment_releaseId_fkey" FOREIGN KEY ("releaseId") REFERENCES "Release"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Run" ADD CONSTRAINT "Run_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Run" ADD CONSTRAINT "Run_releaseId_fkey" FOREIGN KEY ("releaseId") REFERENCES "Release"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "RunTransition" ADD CONSTRAINT "RunTransition_runId_fkey" FOREIGN KEY ("runId") REFERENCES "Run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

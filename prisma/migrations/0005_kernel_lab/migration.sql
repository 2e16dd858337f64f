CREATE TYPE "LabState" AS ENUM ('waiting', 'booting', 'ready', 'failed');
CREATE TYPE "LabJobState" AS ENUM ('waiting', 'proving', 'done', 'failed');

CREATE TABLE "LabKernel" (
  "id" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "target" TEXT NOT NULL,
  "imageDigest" TEXT,
  "btfDigest" TEXT,
  "kernelArgs" TEXT[],
  "jit" INTEGER,
  "state" "LabState" NOT NULL DEFAULT 'waiting',
  "reason" TEXT,
  "console" TEXT,
  "kernelGroupId" TEXT,
  "holder" TEXT,
  "leaseUntil" TIMESTAMPTZ(3),
  "failures" INTEGER NOT NULL DEFAULT 0,
  "dueAt" TIMESTAMPTZ(3) NOT NULL,
  "bootMs" INTEGER,
  "seenAt" TIMESTAMPTZ(3),
  "createdBy" TEXT NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "LabKernel_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "LabJob" (
  "id" BIGSERIAL NOT NULL,
  "labKernelId" TEXT NOT NULL,
  "releaseId" TEXT NOT NULL,
  "state" "LabJobState" NOT NULL DEFAULT 'waiting',
  "source" TEXT,
  "alone" BOOLEAN NOT NULL DEFAULT false,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "error" TEXT,
  "queuedAt" TIMESTAMPTZ(3) NOT NULL,
  "startedAt" TIMESTAMPTZ(3),
  "endedAt" TIMESTAMPTZ(3),
  CONSTRAINT "LabJob_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "LabHost" (
  "holder" TEXT NOT NULL,
  "machines" INTEGER NOT NULL,
  "reason" TEXT,
  "seenAt" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "LabHost_pkey" PRIMARY KEY ("holder")
);

CREATE UNIQUE INDEX "LabKernel_name_key" ON "LabKernel"("name");
CREATE INDEX "LabKernel_kernelGroupId_idx" ON "LabKernel"("kernelGroupId");
CREATE UNIQUE INDEX "LabJob_labKernelId_releaseId_key" ON "LabJob"("labKernelId", "releaseId");
CREATE INDEX "LabJob_labKernelId_state_idx" ON "LabJob"("labKernelId", "state");
CREATE INDEX "LabJob_releaseId_idx" ON "LabJob"("releaseId");

ALTER TABLE "LabKernel" ADD CONSTRAINT "LabKernel_btfDigest_fkey" FOREIGN KEY ("btfDigest") REFERENCES "KernelBtf"("digest") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "LabKernel" ADD CONSTRAINT "LabKernel_kernelGroupId_fkey" FOREIGN KEY ("kernelGroupId") REFERENCES "KernelGroup"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "LabJob" ADD CONSTRAINT "LabJob_labKernelId_fkey" FOREIGN KEY ("labKernelId") REFERENCES "LabKernel"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "LabJob" ADD CONSTRAINT "LabJob_releaseId_fkey" FOREIGN KEY ("releaseId") REFERENCES "Release"("id") ON DELETE CASCADE ON UPDATE CASCADE;

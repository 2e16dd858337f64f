CREATE TABLE "BtfAddendum" (
  "digest" TEXT NOT NULL,
  "releaseId" TEXT NOT NULL,
  "objectDigest" TEXT NOT NULL,
  "buildId" TEXT NOT NULL,
  "sourceDigest" TEXT NOT NULL,
  "keyid" TEXT NOT NULL,
  "btfDigest" TEXT NOT NULL,
  "bytes" INTEGER NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "BtfAddendum_pkey" PRIMARY KEY ("digest")
);

CREATE TABLE "KernelVerdict" (
  "id" BIGSERIAL NOT NULL,
  "releaseId" TEXT NOT NULL,
  "kernelGroupId" TEXT NOT NULL,
  "stage" TEXT NOT NULL,
  "verdict" TEXT NOT NULL,
  "reasons" JSONB NOT NULL,
  "facts" JSONB NOT NULL,
  "btfDigest" TEXT,
  "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "KernelVerdict_pkey" PRIMARY KEY ("id")
);

ALTER TABLE "Run" ADD COLUMN "basis" TEXT;

CREATE UNIQUE INDEX "BtfAddendum_releaseId_objectDigest_buildId_sourceDigest_keyid_key" ON "BtfAddendum"("releaseId", "objectDigest", "buildId", "sourceDigest", "keyid");
CREATE INDEX "BtfAddendum_btfDigest_idx" ON "BtfAddendum"("btfDigest");
CREATE INDEX "KernelVerdict_releaseId_kernelGroupId_stage_id_idx" ON "KernelVerdict"("releaseId", "kernelGroupId", "stage", "id");

ALTER TABLE "BtfAddendum" ADD CONSTRAINT "BtfAddendum_releaseId_fkey" FOREIGN KEY ("releaseId") REFERENCES "Release"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "KernelVerdict" ADD CONSTRAINT "KernelVerdict_releaseId_fkey" FOREIGN KEY ("releaseId") REFERENCES "Release"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "KernelVerdict" ADD CONSTRAINT "KernelVerdict_kernelGroupId_fkey" FOREIGN KEY ("kernelGroupId") REFERENCES "KernelGroup"("id") ON DELETE CASCADE ON UPDATE CASCADE;

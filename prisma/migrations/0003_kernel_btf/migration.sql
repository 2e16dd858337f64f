CREATE TYPE "BtfSource" AS ENUM ('device', 'admin');
CREATE TYPE "BtfUploadState" AS ENUM ('wanted', 'asking', 'refused');

CREATE TABLE "KernelBtf" (
  "digest" TEXT NOT NULL,
  "bytes" INTEGER NOT NULL,
  "pointerBits" INTEGER NOT NULL,
  "source" "BtfSource" NOT NULL,
  "addedBy" TEXT NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "KernelBtf_pkey" PRIMARY KEY ("digest")
);

CREATE TABLE "KernelBuild" (
  "buildId" TEXT NOT NULL,
  "btfDigest" TEXT NOT NULL,
  "kernelRelease" TEXT,
  "kernelArch" TEXT NOT NULL,
  "addedBy" TEXT NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "KernelBuild_pkey" PRIMARY KEY ("buildId")
);

CREATE TABLE "BtfUpload" (
  "digest" TEXT NOT NULL,
  "state" "BtfUploadState" NOT NULL DEFAULT 'wanted',
  "deviceId" TEXT,
  "askedAt" TIMESTAMPTZ(3),
  "silence" INTEGER NOT NULL DEFAULT 0,
  "receivedBytes" INTEGER NOT NULL DEFAULT 0,
  "totalBytes" INTEGER,
  "tried" TEXT[] NOT NULL DEFAULT '{}',
  "lied" TEXT[] NOT NULL DEFAULT '{}',
  "reason" TEXT,
  "wantedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "BtfUpload_pkey" PRIMARY KEY ("digest")
);

CREATE TABLE "BtfUploadChunk" (
  "digest" TEXT NOT NULL,
  "offset" INTEGER NOT NULL,
  "bytes" BYTEA NOT NULL,
  CONSTRAINT "BtfUploadChunk_pkey" PRIMARY KEY ("digest", "offset")
);

CREATE INDEX "KernelBtf_addedBy_createdAt_idx" ON "KernelBtf"("addedBy", "createdAt");
CREATE INDEX "KernelBuild_btfDigest_idx" ON "KernelBuild"("btfDigest");
CREATE INDEX "BtfUpload_state_askedAt_idx" ON "BtfUpload"("state", "askedAt");

ALTER TABLE "KernelBuild" ADD CONSTRAINT "KernelBuild_btfDigest_fkey" FOREIGN KEY ("btfDigest") REFERENCES "KernelBtf"("digest") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "BtfUploadChunk" ADD CONSTRAINT "BtfUploadChunk_digest_fkey" FOREIGN KEY ("digest") REFERENCES "BtfUpload"("digest") ON DELETE CASCADE ON UPDATE CASCADE;

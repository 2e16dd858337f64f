CREATE TABLE "KernelGroup" (
  "id" TEXT NOT NULL,
  "kernelRelease" TEXT NOT NULL,
  "kernelArch" TEXT NOT NULL,
  "kernelBuildId" TEXT,
  "userBits" INTEGER NOT NULL,
  "jit" TEXT,
  "lsm" TEXT[] NOT NULL,
  "pageBytes" INTEGER NOT NULL,
  "btfDigest" TEXT,
  "firstSeenAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "KernelGroup_pkey" PRIMARY KEY ("id")
);

ALTER TABLE "Device" ADD COLUMN "kernelGroupId" TEXT;

CREATE INDEX "KernelGroup_btfDigest_idx" ON "KernelGroup"("btfDigest");
CREATE INDEX "KernelGroup_kernelBuildId_idx" ON "KernelGroup"("kernelBuildId");
CREATE INDEX "Device_kernelGroupId_idx" ON "Device"("kernelGroupId");

ALTER TABLE "Device" ADD CONSTRAINT "Device_kernelGroupId_fkey" FOREIGN KEY ("kernelGroupId") REFERENCES "KernelGroup"("id") ON DELETE SET NULL ON UPDATE CASCADE;

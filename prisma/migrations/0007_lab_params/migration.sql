CREATE TABLE "LabParams" (
  "releaseId" TEXT NOT NULL,
  "kernelArch" TEXT NOT NULL,
  "globals" TEXT NOT NULL,
  "params" JSONB NOT NULL,
  "askedAt" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "LabParams_pkey" PRIMARY KEY ("releaseId", "kernelArch", "globals")
);

ALTER TABLE "LabParams" ADD CONSTRAINT "LabParams_releaseId_fkey" FOREIGN KEY ("releaseId") REFERENCES "Release"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What was proven until now was proven with the default parameters.
ALTER TABLE "KernelVerdict" ADD COLUMN "globals" TEXT NOT NULL DEFAULT '';
ALTER TABLE "LabJob" ADD COLUMN "globals" TEXT NOT NULL DEFAULT '';
DROP INDEX "LabJob_labKernelId_releaseId_key";
CREATE UNIQUE INDEX "LabJob_labKernelId_releaseId_globals_key" ON "LabJob"("labKernelId", "releaseId", "globals");

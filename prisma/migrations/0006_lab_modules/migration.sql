ALTER TABLE "LabKernel"
  ADD COLUMN "configDigest" TEXT,
  ADD COLUMN "modules" JSONB NOT NULL DEFAULT '[]';

-- What a kernel of the lab can do, by the names that agents report; null until it was asked.
ALTER TABLE "LabKernel" ADD COLUMN "features" TEXT[];
ALTER TABLE "LabKernel" ADD COLUMN "lacks" TEXT[];

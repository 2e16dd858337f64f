-- Which code found it out (VERDICT_VERSIONS): what came before the first that said so counts no more, and is found out again.
ALTER TABLE "KernelVerdict" ADD COLUMN "version" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "LabJob" ADD COLUMN "version" INTEGER NOT NULL DEFAULT 0;

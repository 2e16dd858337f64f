-- Since when the device is asked that is asked now: who is slow for ever gives its place up.
ALTER TABLE "BtfUpload" ADD COLUMN "begunAt" TIMESTAMPTZ(3);
UPDATE "BtfUpload" SET "begunAt" = "askedAt" WHERE state = 'asking';

-- A token that was made with another one ends with it. Of those from before, nothing says by which hand they were made.
ALTER TABLE "ApiToken" ADD COLUMN "parentId" TEXT;
ALTER TABLE "ApiToken" ADD CONSTRAINT "ApiToken_parentId_fkey" FOREIGN KEY ("parentId") REFERENCES "ApiToken" (id)
  ON DELETE CASCADE ON UPDATE CASCADE;
CREATE INDEX "ApiToken_parentId_idx" ON "ApiToken" ("parentId");
CREATE INDEX "ApiToken_userId_idx" ON "ApiToken" ("userId");

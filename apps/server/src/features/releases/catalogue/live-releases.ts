/** SQL for the ids of what may be offered next: the newest release of each probe, and what is assigned. */
export const LIVE_RELEASES = `
  SELECT COALESCE(newest.id, assigned."releaseId") AS id
  FROM (SELECT DISTINCT ON (probe) id FROM "Release" ORDER BY probe, "createdAt" DESC, id) newest
  FULL JOIN (SELECT DISTINCT "releaseId" FROM "Assignment" WHERE state = 'active') assigned ON assigned."releaseId" = newest.id`;

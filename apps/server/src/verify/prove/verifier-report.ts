import { z } from 'zod';

export const verifierReportSchema = z.looseObject({});
export type VerifierReport = z.infer<typeof verifierReportSchema>;

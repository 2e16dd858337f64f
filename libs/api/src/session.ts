import { z } from 'zod';

/** Each role may do what the ones before it may. */
export const roles = ['viewer', 'operator', 'approver', 'admin'] as const;
export const roleSchema = z.enum(roles);
export type Role = z.infer<typeof roleSchema>;

export const userSchema = z.object({ id: z.string(), username: z.string(), role: roleSchema });
export type User = z.infer<typeof userSchema>;

export const loginRequestSchema = z.strictObject({
  username: z.string().min(1).max(64),
  password: z.string().min(1).max(256),
});

/** At least 12 characters; every other session of the user ends. */
export const changePasswordRequestSchema = z.strictObject({
  current: z.string().min(1).max(256),
  next: z.string().min(12, 'a password has at least 12 characters').max(256),
});

export const createApiTokenRequestSchema = z.strictObject({
  name: z.string().min(1).max(64),
  role: roleSchema.optional(),
  expiresInDays: z.number().int().min(1).max(365).default(90),
});
export const apiTokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: roleSchema,
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().nullable(),
});
/** The token's text is in this one answer and nowhere else. */
export const createdApiTokenSchema = apiTokenSchema.extend({ token: z.string() });
export type ApiToken = z.infer<typeof apiTokenSchema>;

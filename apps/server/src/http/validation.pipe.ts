import { StandardSchemaValidationPipe, type ArgumentMetadata, type PipeTransform } from '@nestjs/common';
import { DomainError } from '../platform/errors.js';

/** Validates what @RouteBody and @RouteQuery carry; the answer names the first field that is wrong and lists the rest. */
export function contractValidation(): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({
    exceptionFactory: (issues) => {
      const listed = issues.slice(0, 20).map((issue) => ({
        path: (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.'),
        message: issue.message,
      }));
      const first = listed[0];
      return new DomainError(400, 'REQUEST_INVALID', `${first?.path || 'request'}: ${first?.message ?? 'invalid'}`, {
        issues: listed,
      });
    },
  });
}

/** NUL, or half of a surrogate pair. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

/**
 * Refuses texts that PostgreSQL cannot hold: found there, they would be an error in the middle of what was asked for. Runs
 * behind the contract's schemas, which bound how deep a value is.
 */
export class StorableText implements PipeTransform {
  transform(value: unknown, { type, data }: ArgumentMetadata): unknown {
    if (type === 'custom') return value;
    const where = pathOfUnstorable(value, data ?? '');
    if (where === undefined) return value;
    const message = `${where || 'request'}: holds a NUL or half a character, which no text here may; leave it out`;
    throw new DomainError(400, 'REQUEST_INVALID', message);
  }
}

function pathOfUnstorable(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') return UNSTORABLE.test(value) ? path : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    if (UNSTORABLE.test(key)) return path;
    const found = pathOfUnstorable(inner, path === '' ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

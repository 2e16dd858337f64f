import { StandardSchemaValidationPipe } from '@nestjs/common';
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

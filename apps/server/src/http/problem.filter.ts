import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ErrorBody } from '@bpfleet/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../platform/errors.js';
import { isDatabaseAway } from '../platform/sql/database-away.js';

interface Problem {
  readonly status: number;
  readonly body: ErrorBody;
}

/** Fastify and Nest repeat what was sent. */
const MESSAGE_CHARS_MAX = 200;

/** The one place where an error becomes a response. What is not ours says nothing about itself but an id to search the log for. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly log = new Logger('Http');

  catch(error: unknown, host: ArgumentsHost): void {
    const context = host.switchToHttp();
    const reply = context.getResponse<FastifyReply>();
    const request = context.getRequest<FastifyRequest>();
    if (reply.sent || reply.raw.headersSent) return;
    const { status, body } = this.problemOf(error, request);
    if (status === 404 && wantsPage(request) && typeof reply.sendFile === 'function') {
      void reply.status(200).sendFile('index.html');
      return;
    }
    void reply.status(status).type('application/json').send(body);
  }

  private problemOf(error: unknown, request: FastifyRequest): Problem {
    if (error instanceof DomainError) {
      const { code, message, details } = error;
      return { status: error.status, body: { error: { code, message, details } } };
    }
    if (error instanceof HttpException) return ofHttpException(error);
    if (isDatabaseAway(error)) {
      this.log.warn(`${request.id} ${request.method} ${request.url}: the database is away`);
      return problem(503, 'DATABASE_AWAY', 'the database does not answer; try again in a moment');
    }
    const { statusCode } = error as { statusCode?: number };
    if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
      return problem(statusCode, 'REQUEST_INVALID', (error as Error).message.slice(0, MESSAGE_CHARS_MAX));
    }
    this.log.error(`${request.id} ${request.method} ${request.url}: ${(error as Error)?.stack ?? String(error)}`);
    return problem(500, 'INTERNAL', `something went wrong; the server's log has it under ${request.id}`);
  }
}

function problem(status: number, code: string, message: string): Problem {
  return { status, body: { error: { code, message } } };
}

/** What Fastify refuses before a handler sees it arrives as one of these too. */
function ofHttpException(error: HttpException): Problem {
  const status = error.getStatus();
  if (status === 413) {
    return problem(413, 'REQUEST_TOO_LARGE', 'the request is larger than the server reads; an object may have 8 MiB');
  }
  if (status === 415) {
    return problem(
      415,
      'REQUEST_INVALID',
      'the body is read as JSON alone: send it with content-type application/json',
    );
  }
  const code = status === 404 ? 'ROUTE_UNKNOWN' : status === 400 ? 'REQUEST_INVALID' : `HTTP_${status}`;
  return problem(status, code, error.message.slice(0, MESSAGE_CHARS_MAX));
}

/** A deep link into the web app: anything outside /api that a browser navigates to. */
function wantsPage(request: FastifyRequest): boolean {
  return (
    request.method === 'GET' &&
    !request.url.startsWith('/api') &&
    !/\.[a-z0-9]+$/i.test(request.url.split('?')[0] ?? '') &&
    (request.headers.accept ?? '').includes('text/html')
  );
}

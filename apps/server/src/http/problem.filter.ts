import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ErrorBody } from '@bpfleet/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../platform/errors.js';

interface Problem {
  readonly status: number;
  readonly body: ErrorBody;
}

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
    const { statusCode, code } = error as { statusCode?: number; code?: string };
    if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
      return problem(413, 'REQUEST_TOO_LARGE', 'the request is larger than the server reads; an object may have 8 MiB');
    }
    if (error instanceof HttpException) return ofHttpException(error);
    if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
      return problem(statusCode, 'REQUEST_INVALID', (error as Error).message);
    }
    this.log.error(`${request.id} ${request.method} ${request.url}: ${(error as Error)?.stack ?? String(error)}`);
    return problem(500, 'INTERNAL', `something went wrong; the server's log has it under ${request.id}`);
  }
}

function problem(status: number, code: string, message: string): Problem {
  return { status, body: { error: { code, message } } };
}

function ofHttpException(error: HttpException): Problem {
  const status = error.getStatus();
  const code = status === 404 ? 'ROUTE_UNKNOWN' : status === 400 ? 'REQUEST_INVALID' : `HTTP_${status}`;
  return problem(status, code, error.message);
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

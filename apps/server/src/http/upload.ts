import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { DomainError } from '../platform/errors.js';

export const UPLOAD_TYPE = 'application/octet-stream';

/**
 * Bytes are handed to the handler as they come: guards have decided before anything of them is read, so that nobody who is
 * not logged in can make the server hold them.
 */
export function takeUploads(fastify: FastifyInstance): void {
  fastify.addContentTypeParser(UPLOAD_TYPE, (_request, payload, done) => done(null, payload));
}

/** The body as a stream. Throws REQUEST_INVALID (415) when it was sent as something else than bytes. */
export const RouteUpload = createParamDecorator((_: unknown, context: ExecutionContext): Readable => {
  const { body } = context.switchToHttp().getRequest<FastifyRequest>();
  if (body instanceof Readable) return body;
  throw new DomainError(415, 'REQUEST_INVALID', `send the bytes themselves, with content-type ${UPLOAD_TYPE}`);
});

/**
 * All bytes of a stream. Throws REQUEST_TOO_LARGE (413) as soon as there are more; what still comes is read and dropped, so
 * that whoever sends it gets to read the answer.
 */
export function readUpload(stream: Readable, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= bytesMax) return;
      stream.off('data', take).resume();
      const message = `the upload is larger than the ${bytesMax} bytes that are read here`;
      reject(new DomainError(413, 'REQUEST_TOO_LARGE', message));
    };
    stream.on('data', take);
    stream.once('end', () => resolve(Buffer.concat(chunks)));
    stream.once('error', reject);
    stream.once('close', () => reject(new DomainError(400, 'REQUEST_INVALID', 'the upload was cut off')));
  });
}

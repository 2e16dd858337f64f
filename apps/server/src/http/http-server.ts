import fastifyCookie from '@fastify/cookie';
import type { ErrorBody } from '@bpfleet/api';
import type { DynamicModule, LoggerService, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { resolve } from 'node:path';
import type { ServerConfig } from '../config/config.js';
import { takeUploads } from './upload.js';
import { ProblemFilter } from './problem.filter.js';
import { contractValidation, StorableText } from './validation.pipe.js';

/** An object of 8 MiB in base64, sources and manifest beside it. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

const CONTENT_SECURITY_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/** Builds the application, not yet listening. Without the role `api` it serves nothing but its life cycle. */
export async function createHttpApplication(
  root: Type | DynamicModule,
  config: ServerConfig,
  logger: LoggerService | false,
): Promise<NestFastifyApplication> {
  // A live listener never ends by itself, so closing ends it; it reads everything again when it is back.
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: 120_000,
    trustProxy: config.trustedProxies.length === 0 ? false : [...config.trustedProxies],
    forceCloseConnections: true,
    frameworkErrors: refuseAddress as never,
  });
  // Nest's own parsers would take forms, which a page of another site can send without asking first; Fastify's take JSON.
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, { logger, bodyParser: false });
  adapter.getInstance().removeContentTypeParser('text/plain');
  takeUploads(adapter.getInstance());
  app.useGlobalPipes(contractValidation(), new StorableText());
  app.useGlobalFilters(new ProblemFilter());
  app.enableShutdownHooks();
  await app.register(fastifyCookie as never);
  if (config.webDir) {
    // Loaded only where pages are served: an ingest process has no use for it.
    const { default: fastifyStatic } = await import('@fastify/static');
    await app.register(fastifyStatic as never, { root: resolve(config.webDir), wildcard: false } as never);
  }
  addSecurityHeaders(app);
  if (config.roles.includes('api')) addOpenApi(app, config.webDir !== undefined);
  return app;
}

/** What Fastify's router refuses never reaches the filter. Its own words would give the whole address back. */
function refuseAddress(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const status = error.statusCode ?? 400;
  const message =
    status === 414
      ? 'a part of the path is too long to name anything here'
      : 'the address is not a valid URL: a % stands before something other than two hexadecimal digits of UTF-8';
  void reply.status(status).send({ error: { code: 'REQUEST_INVALID', message } } satisfies ErrorBody);
}

function addSecurityHeaders(app: NestFastifyApplication): void {
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onSend', async (_request, reply, payload) => {
      reply.header('x-content-type-options', 'nosniff');
      reply.header('referrer-policy', 'no-referrer');
      reply.header('content-security-policy', CONTENT_SECURITY_POLICY);
      return payload;
    });
}

/** The document at /api/docs-json always; its pages at /api/docs where pages are served at all. */
function addOpenApi(app: NestFastifyApplication, ui: boolean): void {
  const description = 'The same contract as libs/api: every schema here is the one that validates.';
  const builder = new DocumentBuilder().setTitle('bpfleet').setDescription(description).setVersion('1').addBearerAuth();
  SwaggerModule.setup('api/docs', app, () => SwaggerModule.createDocument(app, builder.build()), { ui });
}

import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint } from '@nestjs/swagger';
import type { LiveEvent } from '@bpfleet/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../../platform/errors.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { BoundedStream } from './bounded-stream.js';

const CLIENTS_MAX = 500;
const PENDING_BYTES_MAX = 256 * 1024;
const HEARTBEAT_MS = 20_000;

/** `GET /api/live`: server-sent events. Nest's own @Sse has no back-pressure, so each client's queue is bounded here. */
@Controller()
export class LiveController {
  private clients = 0;

  constructor(private readonly bus: LiveBus) {}

  @ApiExcludeEndpoint()
  @Get('/api/live')
  stream(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    if (this.clients >= CLIENTS_MAX) {
      throw new DomainError(503, 'LIVE_FULL', `there are already ${CLIENTS_MAX} live listeners`);
    }
    this.clients += 1;
    reply.hijack();
    reply.raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    const stream = new BoundedStream<LiveEvent>(reply.raw, PENDING_BYTES_MAX, (count) => ({ type: 'dropped', count }));
    reply.raw.write(': connected\n\n');
    const unsubscribe = this.bus.subscribe((event) => stream.send(event));
    const heartbeat = setInterval(() => stream.comment('alive'), HEARTBEAT_MS);
    request.raw.once('close', () => {
      clearInterval(heartbeat);
      unsubscribe();
      this.clients -= 1;
    });
  }
}

import { createReadStream } from 'node:fs';
import { Controller, Get, Header, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { notFound } from '../../platform/errors.js';
import { Public } from '../session/index.js';
import { InstallCommand } from './install-command.js';
import { PackageShelf } from './package-shelf.js';

/**
 * For devices that have no identity yet. There is nothing secret in it: the token that enrols is not, and what is fetched is
 * held against the digests in the script.
 */
@Controller('agent')
@ApiExcludeController()
export class AgentPackagesController {
  constructor(
    private readonly shelf: PackageShelf,
    private readonly install: InstallCommand,
  ) {}

  @Public()
  @Get('install.sh')
  @Header('content-type', 'text/x-shellscript; charset=utf-8')
  @Header('cache-control', 'no-store')
  script(): Promise<string> {
    return this.install.script();
  }

  /** Whole, or from an offset on: a device goes on where its link dropped. */
  @Public()
  @Get('packages/:file')
  async file(@Param('file') file: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const found = await this.shelf.find(file);
    if (!found) throw notFound('agent package', file);
    const { path, bytes } = found;
    const from = rangeStart(request.headers.range);
    void reply.header('accept-ranges', 'bytes').type('application/octet-stream');
    if (from === undefined) {
      await reply.header('content-length', bytes).send(createReadStream(path));
    } else if (from >= bytes) {
      await reply.status(416).header('content-range', `bytes */${bytes}`).send();
    } else {
      const answer = reply.status(206).header('content-range', `bytes ${from}-${bytes - 1}/${bytes}`);
      await answer.header('content-length', bytes - from).send(createReadStream(path, { start: from }));
    }
  }
}

/** `bytes=N-`, the one form that a resumed download uses; any other range may be answered with the whole (RFC 9110, 14.2). */
function rangeStart(header: string | undefined): number | undefined {
  const start = /^bytes=(\d{1,15})-$/.exec(header ?? '')?.[1];
  return start === undefined ? undefined : Number(start);
}
